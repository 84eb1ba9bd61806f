"""Train a compiled network."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from enhancer_core.architecture import Architecture
from enhancer_core.dna import Codes
from enhancer_core.engine.backward import adam, backward, unpack
from enhancer_core.engine.forward import forward
from enhancer_core.engine.plan import aligned, pack, plan
from enhancer_core.engine.predictor import check_length
from enhancer_core.engine.vectors import Floats
from enhancer_core.errors import DatasetError

_BLOCK = 48  # sequences whose activations are kept at once; larger mini-batches go in blocks


class Learner:
    """A network in training, for one thread: `state` is all that a checkpoint needs.

    Parameters
    ----------
    wanted
        The network.
    parameters
        float32, shape (p,): its first weights, end to end as `architecture.flatten` gives
        them; copied.

    Attributes
    ----------
    parameters, mean, square
        float32, shape (p,): the weights, and Adam's averages of gradients and of their squares
        (`exp_avg` and `exp_avg_sq` in PyTorch); may be written to.
    steps
        Steps taken.

    Examples
    --------
    >>> from enhancer_core.dna import encode
    >>> from enhancer_core.architecture import Architecture, Convolution
    >>> from enhancer_core.model import Network
    >>> wanted = Architecture(convolutions=(Convolution(2, 3, 2),), dense=(3,), length=6)
    >>> learner = Learner(wanted, Network(wanted).flat_parameters())
    >>> codes, labels = encode(["ACGTAC", "GGGTTT"]), np.array([0, 1])
    >>> before = learner.step(codes, labels, rate=0.01)
    >>> learner.step(codes, labels, rate=0.01) < before
    True
    """

    def __init__(self, wanted: Architecture, parameters: Floats) -> None:
        self.architecture = wanted
        self.parameters = parameters.copy()
        self.mean, self.square = np.zeros_like(parameters), np.zeros_like(parameters)
        self.steps = 0
        self._plan = plan(wanted, sequences=_BLOCK, keep=True)
        layers = self._plan.layers
        self._packed, self._gradients = aligned(self._plan.packed), aligned(self._plan.packed)
        self._memory, self._chosen, self._slopes = (aligned(self._plan.memory) for _ in range(3))
        self._scores = aligned(self._plan.scores)
        self._words = np.empty(wanted.length, np.int64)
        self._live = np.empty(layers["filters"].max() + 1, np.int64)
        self._nothing = aligned(int(layers["stretch"].max()))
        self._units = int(layers[-1]["depth"])

    def state(self) -> dict[str, Floats]:
        """Copy what is learned so far: the attributes that are arrays, by name."""
        return {name: getattr(self, name).copy() for name in ("parameters", "mean", "square")}

    def restore(self, state: Mapping[str, Floats], *, steps: int) -> None:
        """Go on from a `state` after so many steps."""
        for name, array in state.items():
            getattr(self, name)[:] = array
        self.steps = steps

    def step(
        self, codes: Codes, labels: NDArray[np.int64], *, rate: float, mask: Floats | None = None
    ) -> float:
        """Take one step of Adam (betas 0.9 and 0.999, epsilon 1e-8), and give the loss before it.

        Parameters
        ----------
        codes, labels, mask
            As in `loss_and_gradients`.
        rate
            The learning rate.

        Returns
        -------
        float
            Mean cross-entropy of the mini-batch, in nats.
        """
        loss, gradients = self.loss_and_gradients(codes, labels, mask=mask)
        self.steps += 1
        adam(self.parameters, gradients, self.mean, self.square, rate, self.steps)
        return loss

    def loss_and_gradients(
        self, codes: Codes, labels: NDArray[np.int64], *, mask: Floats | None = None
    ) -> tuple[float, Floats]:
        """Compute the mean cross-entropy of a mini-batch, and its gradient.

        Parameters
        ----------
        codes
            uint8, shape (n, L), values 0-4, with the length L that the network reads.
        labels
            int64, shape (n,): 0 or 1.
        mask
            float32, shape (n, units): what multiplies the units that the last layer reads, 0 or
            1 / share kept; None keeps all.

        Returns
        -------
        float
            Nats.
        float32, shape (p,)
            In the order of the parameters; 0 for those that reach nothing.

        Raises
        ------
        SequenceError
            If L is not the network's, or a code is above 4.
        DatasetError
            If there is not one label a sequence, or one is neither 0 nor 1, or the mask has another
            shape.
        """
        check_length(codes, self.architecture.length)
        labels = np.asarray(labels, np.int64)
        mask = np.ones((len(codes), self._units), np.float32) if mask is None else mask
        self._check(len(codes), labels, mask)
        layers, convolutions, packed = self._plan.layers, self._plan.convolutions, self._packed
        memory, chosen, words = self._memory, self._chosen, self._words
        pack(layers, self.parameters, packed)
        self._gradients.fill(0)
        loss = 0.0
        for start in range(0, len(codes), _BLOCK):
            block = slice(start, start + _BLOCK)
            some, kept = np.ascontiguousarray(codes[block]), np.ascontiguousarray(mask[block])
            forward(some, layers, convolutions, packed, memory, words, self._scores, chosen, kept)
            loss += backward(
                some, labels[block], 1 / len(codes), layers, convolutions, packed, memory, chosen,
                kept, self._slopes, self._gradients, words, self._live, self._nothing,
            )  # fmt: skip
        gradients = np.zeros_like(self.parameters)
        unpack(layers, convolutions, self._gradients, gradients)
        return loss / len(codes), gradients

    def _check(self, n: int, labels: NDArray[np.int64], mask: Floats) -> None:
        """Check what the kernels take as it is."""
        if labels.shape != (n,) or ((labels != 0) & (labels != 1)).any():
            raise DatasetError(f"labels of {n} sequences must be {n} numbers, each 0 or 1")
        if mask.shape != (n, self._units) or mask.dtype != np.float32:
            raise DatasetError(
                f"a mask of shape {mask.shape}, {mask.dtype}, is not allowed; needed is"
                f" {(n, self._units)}, float32"
            )
