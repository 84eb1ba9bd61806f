"""A training step through autograd, one network at a time: the oracle of the compiled one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

from enhancer_core.dna.codes import Codes
from enhancer_core.models.architecture import Architecture
from enhancer_core.models.cpu.learner import ema_weight
from enhancer_core.models.network import Network, one_hot
from enhancer_core.models.parameters import tied_weights, weight_mask


class TorchLearner:
    """A network in training; the same steps and state as `CpuLearner`.

    Parameters
    ----------
    architecture
        The network.
    parameters
        float32, shape (p,): its first weights, end to end as `parameters.flatten` gives them.
    weight_decay, average
        As in `CpuLearner`.

    Attributes
    ----------
    parameters, mean, square
        float32 tensors, shape (p,): the weights, and Adam's averages of gradients and of their
        squares; may be written to without gradients.
    averaged
        The EMA of the parameters, likewise; None without one.
    steps
        Steps taken.
    """

    def __init__(
        self,
        architecture: Architecture,
        parameters: NDArray[np.float32],
        *,
        weight_decay: float = 0.0,
        average: float = 0.0,
    ) -> None:
        self.parameters = torch.tensor(parameters, requires_grad=True)
        self.mean = torch.zeros_like(self.parameters, requires_grad=False)
        self.square = torch.zeros_like(self.mean)
        self.averaged = self.parameters.detach().clone() if average else None
        self.steps = 0
        self._weight_decay, self._average = weight_decay, average
        self._weights = torch.tensor(weight_mask(architecture), dtype=torch.float32)
        self._tied = tied_weights(architecture)
        self._network = Network(architecture)
        self._shapes = {name: p.shape for name, p in self._network.state_dict().items()}

    def prediction_weights(self) -> NDArray[np.float32]:
        """Return a copy of the weights to predict with, float32 (p,): their EMA if there is one."""
        return _copy(self.parameters if self.averaged is None else self.averaged)

    def state(self) -> dict[str, NDArray[np.float32]]:
        """Return copies of what a checkpoint needs, as arrays by the name of the attribute."""
        tensors = {"parameters": self.parameters, "mean": self.mean, "square": self.square}
        if self.averaged is not None:
            tensors["averaged"] = self.averaged
        return {name: _copy(tensor) for name, tensor in tensors.items()}

    def restore(self, state: Mapping[str, NDArray[np.float32]], *, steps: int) -> None:
        """Restore a `state` that was reached in `steps` steps."""
        with torch.no_grad():
            for name, array in state.items():
                getattr(self, name).copy_(torch.from_numpy(array))
        self.steps = steps

    def loss_and_gradients(
        self, codes: Codes, labels: NDArray[np.int64], *, mask: NDArray[np.float32] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Compute the mean cross-entropy of a mini-batch, in nats, and its gradient (p,).

        `codes` is uint8 (n, L), `labels` int64 (n,) of 0 and 1, and `mask` float32 (n, units)
        multiplies the units that the last layer reads.
        """
        pieces = torch.split(self.parameters, [shape.numel() for shape in self._shapes.values()])
        weights = {
            name: piece.reshape(shape)
            for (name, shape), piece in zip(self._shapes.items(), pieces, strict=True)
        }
        kept = None if mask is None else torch.from_numpy(mask)
        x = one_hot(torch.from_numpy(codes))
        logits = functional_call(self._network, weights, (x, kept))
        loss = functional.cross_entropy(logits, torch.from_numpy(labels))
        (gradient,) = torch.autograd.grad(loss, self.parameters)
        return loss.detach(), gradient

    def step(
        self,
        codes: Codes,
        labels: NDArray[np.int64],
        *,
        rate: float,
        mask: NDArray[np.float32] | None = None,
        frozen: NDArray[np.bool_] | None = None,
    ) -> float:
        """Take one step of Adam with betas 0.9 and 0.999, epsilon 1e-8; return the loss before it.

        Kingma and Ba 2015, algorithm 1: the same numbers as torch.optim.Adam, whose first use
        imports a compiler for 2.4 s. Decay, EMA and `frozen` are as in `CpuLearner`.
        """
        loss, gradient = self.loss_and_gradients(codes, labels, mask=mask)
        if self._tied is not None:
            where, shape = self._tied
            each = gradient[where].view(shape)
            each.copy_(each.mean(dim=2, keepdim=True).expand(shape))
        self.steps += 1
        with torch.no_grad():
            self.mean.lerp_(gradient, 1 - 0.9)
            self.square.mul_(0.999).addcmul_(gradient, gradient, value=1 - 0.999)
            scale = (1 - 0.999**self.steps) ** 0.5
            spread = (self.square.sqrt() / scale).add_(1e-8)
            moved = self.parameters if frozen is None else self.parameters.clone()
            if self._weight_decay:
                moved.mul_(1 - rate * self._weight_decay * self._weights)
            moved.addcdiv_(self.mean, spread, value=-rate / (1 - 0.9**self.steps))
            if frozen is not None:
                still = torch.from_numpy(frozen)
                self.parameters.copy_(torch.where(still, self.parameters, moved))
            if self.averaged is not None:
                share = ema_weight(self._average, self.steps)
                self.averaged.lerp_(self.parameters, share)
        return loss.item()


def _copy(tensor: Tensor) -> NDArray[np.float32]:
    found: NDArray[np.float32] = tensor.detach().cpu().numpy().copy()
    return found
