"""Train a compiled network."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna.codes import Codes
from enhancer_core.errors import DatasetError
from enhancer_core.models.architecture import Architecture, tied_weights, weight_mask
from enhancer_core.models.cpu.backward import adam, backward, follow, shrink, unpack
from enhancer_core.models.cpu.forward import forward
from enhancer_core.models.cpu.layout import Floats, aligned, plan, sums_shape
from enhancer_core.models.cpu.packing import pack
from enhancer_core.models.cpu.predictor import check_length

_WARM_UP = 10  # steps
_BLOCK = 48  # sequences whose activations are kept at once; larger mini-batches go in blocks


class CpuLearner:
    """A network in training, for one thread: `state` is all that a checkpoint needs.

    Parameters
    ----------
    architecture
        The network.
    parameters
        float32, shape (p,): its first weights, end to end as `architecture.flatten` gives
        them; copied.
    weight_decay
        Each step first takes this many times its rate off the weights, not the biases: AdamW.
    average
        Decay of a running mean of the parameters, 0 to below 1, which is then what is learned (see
        `averaging_share`); 0 keeps none.

    Attributes
    ----------
    parameters, mean, square
        float32, shape (p,): the weights, and Adam's averages of gradients and of their squares
        (`exp_avg` and `exp_avg_sq` in PyTorch); may be written to.
    averaged
        float32, shape (p,): the running mean of the parameters; None where none is kept.
    steps
        Steps taken.

    Examples
    --------
    >>> from enhancer_core.dna.codes import encode
    >>> from enhancer_core.models.architecture import Architecture, Convolution
    >>> from enhancer_core.models.network import Network
    >>> architecture = Architecture(convolutions=(Convolution(2, 3, 2),), dense=(3,), length=6)
    >>> learner = CpuLearner(architecture, Network(architecture).flat_parameters())
    >>> codes, labels = encode(["ACGTAC", "GGGTTT"]), np.array([0, 1])
    >>> before = learner.step(codes, labels, rate=0.01)
    >>> learner.step(codes, labels, rate=0.01) < before
    True
    """

    def __init__(
        self,
        architecture: Architecture,
        parameters: Floats,
        *,
        weight_decay: float = 0.0,
        average: float = 0.0,
    ) -> None:
        self.architecture = architecture
        self.parameters = parameters.copy()
        self.mean, self.square = np.zeros_like(parameters), np.zeros_like(parameters)
        self.averaged = parameters.copy() if average else None
        self.steps = 0
        self._weight_decay, self._average = weight_decay, average
        self._weights, self._tied = weight_mask(architecture), tied_weights(architecture)
        self._plan = plan(architecture, sequences=_BLOCK, keep=True)
        layers = self._plan.layers
        self._packed, self._gradients = aligned(self._plan.packed), aligned(self._plan.packed)
        self._memory, self._chosen, self._slopes = (aligned(self._plan.memory) for _ in range(3))
        self._scores = aligned(self._plan.scores)
        self._words = np.empty(architecture.length, np.int64)
        self._live = np.empty(layers["filters"].max() + 1, np.int64)
        self._nothing = aligned(int(layers["stretch"].max()))
        self._units = int(layers[-1]["depth"])

    def learned(self) -> Floats:
        """Copy the weights to predict with, float32 (p,): the running mean where one is kept."""
        return (self.parameters if self.averaged is None else self.averaged).copy()

    def state(self) -> dict[str, Floats]:
        """Copy what a checkpoint needs: the attributes that are arrays, by name."""
        arrays = {"parameters": self.parameters, "mean": self.mean, "square": self.square}
        if self.averaged is not None:
            arrays["averaged"] = self.averaged
        return {name: array.copy() for name, array in arrays.items()}

    def restore(self, state: Mapping[str, Floats], *, steps: int) -> None:
        """Go on from a `state` after so many steps."""
        for name, array in state.items():
            getattr(self, name)[:] = array
        self.steps = steps

    def step(
        self,
        codes: Codes,
        labels: NDArray[np.int64],
        *,
        rate: float,
        mask: Floats | None = None,
        held: NDArray[np.bool_] | None = None,
    ) -> float:
        """Take one step of Adam (betas 0.9 and 0.999, epsilon 1e-8), and give the loss before it.

        Parameters
        ----------
        codes, labels, mask
            As in `loss_and_gradients`.
        rate
            The learning rate.
        held
            bool, shape (p,): the parameters that stay as they are; None moves all. Adam's averages
            go on meanwhile, so that what is let go later starts at its pace.

        Returns
        -------
        float
            Mean cross-entropy of the mini-batch, in nats.
        """
        loss, gradients = self.loss_and_gradients(codes, labels, mask=mask)
        if self._tied is not None:  # equal gradients keep equal weights equal
            where, shape = self._tied
            each = gradients[where].reshape(shape)
            each[:] = each.mean(axis=2, keepdims=True)
        self.steps += 1
        moved = self.parameters if held is None else self.parameters.copy()
        if self._weight_decay:
            shrink(moved, self._weights, rate * self._weight_decay)
        adam(moved, gradients, self.mean, self.square, rate, self.steps)
        if held is not None:
            np.copyto(self.parameters, moved, where=~held)
        if self.averaged is not None:
            follow(self.averaged, self.parameters, averaging_share(self._average, self.steps))
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
        pack(layers, self.parameters, packed, np.zeros(sums_shape(layers[0]), np.float32))
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


def averaging_share(decay: float, steps: int) -> float:
    """Give the weight of the newest parameters in their running mean, after so many steps.

    It is 1 - min(decay, (1 + t) / (10 + t)): a mean of few steps soon forgets where they began, as
    in TensorFlow's `tf.train.ExponentialMovingAverage` with `num_updates`.

    Examples
    --------
    >>> round(averaging_share(0.99, 8), 3), round(averaging_share(0.99, 10_000), 3)
    (0.5, 0.01)
    """
    return 1 - min(decay, (1 + steps) / (_WARM_UP + steps))
