"""Train a compiled network."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna.codes import Codes
from enhancer_core.errors import DatasetError
from enhancer_core.models.architecture import Architecture
from enhancer_core.models.cpu.backward import adam, backward_pass
from enhancer_core.models.cpu.forward import forward_pass
from enhancer_core.models.cpu.layout import Floats, aligned, plan, word_sums
from enhancer_core.models.cpu.packing import pack, unpack
from enhancer_core.models.cpu.predictor import check_length
from enhancer_core.models.parameters import tied_weights, weight_mask

_WARM_UP = 10  # steps
_BLOCK = 48  # sequences of a mini-batch whose activations are in memory at once


class CpuLearner:
    """A network in training, for one thread: `state` is all that a checkpoint needs.

    Parameters
    ----------
    architecture, parameters
        The network, and its first weights, as in `CpuPredictor`; copied.
    weight_decay
        AdamW's, of the weights but not the biases.
    average
        Decay of an exponential moving average (EMA) of the parameters, 0 to below 1, to predict
        with (see `ema_weight`); 0 for none.

    Attributes
    ----------
    parameters, mean, square, averaged
        float32, shape (p,): the weights, Adam's averages of gradients and of their squares
        (`exp_avg` and `exp_avg_sq` in PyTorch), and the EMA or None; may be written to.
    steps
        Steps taken.
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
        laid = plan(architecture, sequences=_BLOCK, training=True)
        layers = laid.layers
        self._net = laid.net(aligned(laid.packed), length=architecture.length)
        self._gradients = aligned(laid.packed)
        self._chosen, self._slopes = aligned(laid.memory), aligned(laid.memory)
        self._live = np.empty(layers["filters"].max() + 1, np.int64)
        self._nothing = aligned(int(layers["padded_depth"].max()))
        self._units = int(layers[-1]["depth"])

    def prediction_weights(self) -> Floats:
        """Return a copy of the weights to predict with, float32 (p,): their EMA if there is one."""
        return (self.parameters if self.averaged is None else self.averaged).copy()

    def state(self) -> dict[str, Floats]:
        """Return copies of what a checkpoint needs: the attributes that are arrays, by name."""
        arrays = {"parameters": self.parameters, "mean": self.mean, "square": self.square}
        if self.averaged is not None:
            arrays["averaged"] = self.averaged
        return {name: array.copy() for name, array in arrays.items()}

    def restore(self, state: Mapping[str, Floats], *, steps: int) -> None:
        """Restore a `state` that was reached in `steps` steps."""
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
        frozen: NDArray[np.bool_] | None = None,
    ) -> float:
        """Take one step of Adam (betas 0.9 and 0.999, epsilon 1e-8), and return the loss before it.

        `frozen`, bool (p,), are the parameters that are not updated. Adam's averages are, so that
        what is unfrozen later starts at its pace. The rest is as in `loss_and_gradients`.
        """
        loss, gradients = self.loss_and_gradients(codes, labels, mask=mask)
        if self._tied is not None:  # equal gradients keep equal weights equal
            where, shape = self._tied
            tied = gradients[where].reshape(shape)
            tied[:] = tied.mean(axis=2, keepdims=True)
        self.steps += 1
        updated = self.parameters if frozen is None else self.parameters.copy()
        with np.errstate(over="ignore", invalid="ignore"):  # what diverges is told later
            if self._weight_decay:
                rest = np.float32(
                    1 - rate * self._weight_decay
                )  # Loshchilov and Hutter 2019, AdamW
                np.multiply(updated, rest, out=updated, where=self._weights)
            adam(updated, gradients, self.mean, self.square, rate, self.steps)
            if frozen is not None:
                np.copyto(self.parameters, updated, where=~frozen)
            if self.averaged is not None:
                weight = np.float32(ema_weight(self._average, self.steps))
                self.averaged += weight * (self.parameters - self.averaged)
        return loss

    def loss_and_gradients(
        self, codes: Codes, labels: NDArray[np.int64], *, mask: Floats | None = None
    ) -> tuple[float, Floats]:
        """Compute the mean cross-entropy of a mini-batch, in nats, and its gradient, float32 (p,).

        Sequences are uint8 (n, L), `labels` (n,) 0 or 1, and `mask`, float32 (n, units), is of
        dropout: it multiplies the last layer's input. The gradient is in the order of the
        parameters; 0 for those of unused layers.

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
        net, layers = self._net, self._net.layers
        pack(layers, self.parameters, net.packed, word_sums(layers[0]))
        self._gradients.fill(0)
        loss = 0.0
        for start in range(0, len(codes), _BLOCK):
            block = slice(start, start + _BLOCK)
            part, kept = np.ascontiguousarray(codes[block]), np.ascontiguousarray(mask[block])
            forward_pass(part, net, self._chosen, kept)
            loss += backward_pass(
                part, labels[block], 1 / len(codes), net, self._chosen, kept, self._slopes,
                self._gradients, self._live, self._nothing,
            )  # fmt: skip
        gradients = np.zeros_like(self.parameters)
        unpack(layers, net.convolutions, self._gradients, gradients)
        return loss / len(codes), gradients

    def _check(self, n: int, labels: NDArray[np.int64], mask: Floats) -> None:
        """Raise unless labels and mask are what the kernels assume."""
        if labels.shape != (n,) or ((labels != 0) & (labels != 1)).any():
            raise DatasetError(f"labels of {n} sequences must be {n} numbers, each 0 or 1")
        if mask.shape != (n, self._units) or mask.dtype != np.float32:
            raise DatasetError(
                f"a mask of shape {mask.shape}, {mask.dtype}, is not allowed; needed is"
                f" {(n, self._units)}, float32"
            )


def ema_weight(decay: float, steps: int) -> float:
    """Return the weight of the newest parameters in their EMA after a number of steps.

    It is 1 - min(decay, (1 + t) / (10 + t)): an EMA of few steps soon forgets the first weights, as
    in TensorFlow's `tf.train.ExponentialMovingAverage` with `num_updates`.

    Examples
    --------
    >>> round(ema_weight(0.99, 8), 3), round(ema_weight(0.99, 10_000), 3)
    (0.5, 0.01)
    """
    return 1 - min(decay, (1 + steps) / (_WARM_UP + steps))
