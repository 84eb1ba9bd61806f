"""Training steps of R networks of one architecture, side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from enhancer_core.models.architecture import Architecture
from enhancer_core.models.gpu.layers import logits
from enhancer_core.models.parameters import tied_weights, weight_mask

_BETAS, _EPSILON = (0.9, 0.999), 1e-8
_WARM_UP = 10  # steps, as in `cpu.learner.ema_weight`


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """A mini-batch for each of R networks, on their device; shorter ones are padded.

    A network whose shares are all 0 takes no step.
    """

    codes: Tensor  # uint8 (R, n, L)
    labels: Tensor  # int64 (R, n): 0 or 1
    shares: Tensor  # float32 (R, n): weight of each sequence in the mean loss; 0 for padding
    rates: Tensor  # float64 (R,): learning rates
    mask: Tensor | None = None  # float32 (R, n, units): multiplies what the last layer reads


class GpuLearner:
    """R networks in training; each takes the steps that a `CpuLearner` takes.

    Nothing here waits for the device, so that a step can be recorded as a CUDA graph.

    Parameters
    ----------
    architecture, parameters
        The architecture of all, and their first weights, float32 (R, p), as in `CpuLearner`.
    device
        A torch device.
    dtype
        What the convolutions compute in; all else is float32.
    stop_below_loss
        Nats: a network stops after the step at which its loss was below.
    weight_decay, average
        As in `CpuLearner`.

    Attributes
    ----------
    parameters, mean, square, averaged
        As in `CpuLearner`, but tensors (R, p), on the device.
    steps, ended
        int64 and bool, shape (R,): steps taken, and which networks have stopped so.
    losses
        float64 tensor, shape (2, R): the sum of losses, and their number, since set to 0.
    """

    def __init__(
        self,
        architecture: Architecture,
        parameters: NDArray[np.float32],
        *,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        stop_below_loss: float = 0.0,
        weight_decay: float = 0.0,
        average: float = 0.0,
    ) -> None:
        self.architecture = architecture
        self.parameters = torch.tensor(parameters, device=device, requires_grad=True)
        self.mean = torch.zeros_like(self.parameters, requires_grad=False)
        self.square = torch.zeros_like(self.mean)
        self.averaged = self.parameters.detach().clone() if average else None
        count = len(parameters)
        self.steps = torch.zeros(count, dtype=torch.int64, device=device)
        self.ended = torch.zeros(count, dtype=torch.bool, device=device)
        self.losses = torch.zeros(2, count, dtype=torch.float64, device=device)
        self._dtype, self._stop = dtype, stop_below_loss
        self._average, self._decay = average, None
        if weight_decay:
            weights = torch.tensor(weight_mask(architecture), device=device)
            self._decay = weight_decay * weights.double()
        self._tied = tied_weights(architecture)
        # 0 where a weight is frozen; None, at no cost, until the first call of `freeze`.
        self._moving: Tensor | None = None

    def state(self) -> dict[str, Tensor]:
        """Return what a checkpoint needs besides the steps, tensors (R, p) by name, not copied."""
        tensors = {"parameters": self.parameters, "mean": self.mean, "square": self.square}
        return tensors if self.averaged is None else {**tensors, "averaged": self.averaged}

    def restore(self, state: Mapping[str, NDArray[np.float32]], *, steps: Sequence[int]) -> None:
        """Restore a `state`, arrays (R, p), that each network reached in its `steps`."""
        with torch.no_grad():
            for name, array in state.items():
                self.state()[name].copy_(torch.from_numpy(array))
            self.steps.copy_(torch.tensor(steps))

    def freeze(self, frozen: NDArray[np.bool_]) -> None:
        """Freeze weights, bool (R, p), until the next call.

        The first call must precede a `Program`, which records a step.
        """
        moving = torch.from_numpy(~frozen).to(self.parameters)
        if self._moving is None:
            self._moving = moving
        else:
            self._moving.copy_(moving)

    def loss_and_gradients(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Compute each network's mean cross-entropy (R,), in nats, and its gradient (R, p)."""
        outputs = logits(
            self.architecture, self.parameters, batch.codes, mask=batch.mask, dtype=self._dtype
        )
        entropies = functional.cross_entropy(
            outputs.flatten(0, 1), batch.labels.flatten(), reduction="none"
        )
        losses = (entropies.view_as(batch.shares) * batch.shares).sum(1)
        # A network's weights reach its own loss only, so the gradient of the sum is each one's.
        (gradients,) = torch.autograd.grad(losses.sum(), self.parameters)
        return losses.detach(), gradients

    def step(self, batch: Batch) -> Tensor:
        """Take one step of Adam (Kingma and Ba 2015, algorithm 1); return the losses before it.

        They are float32 (R,), in nats; 0 of a network that takes no step.
        """
        losses, gradients = self.loss_and_gradients(batch)
        with torch.no_grad():
            if self._tied is not None:  # equal gradients keep equal weights equal
                where, shape = self._tied
                tied = gradients[:, where].view(-1, *shape)
                tied.copy_(tied.mean(dim=3, keepdim=True).expand_as(tied))
            going = batch.shares.any(1) & ~self.ended
            self.steps += going
            move = going[:, None].float()  # where 0, nothing changes to the last bit
            self.mean.lerp_(gradients, move * (1 - _BETAS[0]))
            self.square.lerp_(gradients.square_(), move * (1 - _BETAS[1]))
            taken, rates = self.steps.clamp(min=1).double(), (batch.rates * going)[:, None]
            # 1 - beta ** taken
            first, second = (-(taken * math.log(beta)).expm1()[:, None] for beta in _BETAS)
            if self._moving is not None:
                rates = rates * self._moving
            if self._decay is not None:
                self.parameters.mul_((1 - rates * self._decay).float())
            spread = (self.square.sqrt() * second.rsqrt().float()).add_(_EPSILON)
            self.parameters.addcdiv_(self.mean * (-rates / first).float(), spread)
            if self.averaged is not None:
                decay = ((1 + taken) / (_WARM_UP + taken)).clamp(max=self._average)
                self.averaged.lerp_(self.parameters, ((1 - decay) * going)[:, None].float())
            losses = losses * going
            self.losses += torch.stack([losses, going])
            self.ended |= going & (losses < self._stop)
        return losses
