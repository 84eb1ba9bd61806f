"""Training that stays on the device: data, steps, and metrics at checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from enhancer_core.dna.codes import N_CODE, Codes
from enhancer_core.models.architecture import BASES, Architecture
from enhancer_core.models.gpu.batches import MiniBatches, Steps, stack
from enhancer_core.models.gpu.layers import logits, used
from enhancer_core.models.gpu.learner import Batch, GpuLearner
from enhancer_core.models.parameters import shapes

_UPLOAD = 1 << 25  # bytes of steps that are sent at once
_PREDICTED = 64  # sequences of each network, at least, to predict at once
_WEIGHTS = 12  # copies of its weights that a network needs at most: Adam's, gradients, temporaries
_SHARE = 0.8  # of the free memory that is used; the rest is for PyTorch itself


class CheckpointMetrics:
    """The state and the predictions of networks at a checkpoint, copied from the device."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        cuda = tensors["parameters"].is_cuda
        self._arrays = {
            name: torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=cuda).copy_(
                tensor.detach(), non_blocking=True
            )
            for name, tensor in tensors.items()
        }
        self._ready = torch.cuda.Event() if cuda else None  # type: ignore[no-untyped-call]
        if self._ready is not None:
            self._ready.record()

    def wait(self) -> dict[str, NDArray[Any]]:
        """Wait for the device, and return arrays by name, with a row for each network.

        `GpuLearner.state`, `steps` and `ended`; float32 `probabilities`, (R, m); and
        `sum` and `count`, float64 (R,), of the losses since the checkpoint before.
        """
        if self._ready is not None:
            self._ready.synchronize()
        return {name: each.numpy() for name, each in self._arrays.items()}


class Program:
    """A learner with its data, which runs many steps without waiting for the device.

    `codes`, uint8 (N, L), and `labels`, 0 or 1 (N,), are all sequences, of all networks; they are
    kept on the device. Mini-batches have `batch` sequences at most; they may shift and flip them
    where `augmented`, and substitute letters where `mutated`. If `recorded`, a GPU records a step
    as a CUDA graph, and replays it. `most_steps` steps fit into a call of `run`.
    """

    def __init__(
        self,
        learner: GpuLearner,
        codes: Codes,
        labels: NDArray[np.int64],
        *,
        batch: int,
        augmented: bool = False,
        mutated: bool = False,
        recorded: bool = True,
    ) -> None:
        architecture, device = learner.architecture, learner.parameters.device
        self.learner, self._batch, self._augmented = learner, batch, augmented
        self._codes = torch.from_numpy(np.ascontiguousarray(codes)).to(device)
        self._labels = torch.from_numpy(np.asarray(labels, np.int64)).to(device)
        self._units = architecture.last_units if architecture.dropout else 0
        self._length = architecture.length if mutated else 0
        idle = MiniBatches(batch=1, rates=np.zeros(1), rows=np.zeros(1, np.int64))
        step = vars(self.stack([idle] * len(learner.parameters)))
        self.most_steps = max(_UPLOAD // sum(array.nbytes for array in step.values()), 1)
        self._at = torch.zeros(1, dtype=torch.int64, device=device)
        self._steps = {
            name: torch.from_numpy(array).new_zeros(
                self.most_steps, *array.shape[1:], device=device
            )
            for name, array in step.items()
        }
        self._graph = self._record() if recorded and device.type == "cuda" else None

    def stack(self, batches: Sequence[MiniBatches | None]) -> Steps:
        """Stack mini-batches of each network, no more than `most_steps` of one."""
        return stack(batches, batch=self._batch, units=self._units, length=self._length)

    def replace(self, first: int, codes: Codes) -> None:
        """Replace the sequences from row `first` on, for the steps that are taken from now on."""
        self._codes[first : first + len(codes)].copy_(torch.from_numpy(codes))

    def run(self, steps: Steps) -> None:
        """Take steps, no more than `most_steps`; on a GPU, asynchronously."""
        for name, buffer in self._steps.items():
            array = torch.from_numpy(getattr(steps, name))
            sent = array.pin_memory() if buffer.is_cuda else array
            buffer[: len(steps)].copy_(sent, non_blocking=True)
        self._at.zero_()
        for _ in range(len(steps)):
            if self._graph is None:
                self._step()
            else:
                self._graph.replay()

    def evaluate(self, rows: NDArray[np.int64]) -> CheckpointMetrics:
        """Predict sequences of each network, (R, m), in float32; fetch predictions and state.

        The EMA of the weights predicts, if there is one.
        """
        learner, architecture = self.learner, self.learner.architecture
        weights = learner.parameters if learner.averaged is None else learner.averaged
        together = max(self._batch, _PREDICTED)
        with torch.no_grad():
            probabilities = [
                logits(architecture, weights, self._codes[part]).diff(dim=2)[:, :, 0].sigmoid()
                for part in torch.split(
                    torch.from_numpy(rows).to(self._codes.device), together, dim=1
                )
            ]
            tensors = learner.state() | {"steps": learner.steps, "ended": learner.ended}
            tensors["sum"], tensors["count"] = learner.losses
            tensors["probabilities"] = torch.cat(probabilities, dim=1)
            metrics = CheckpointMetrics(tensors)
            learner.losses.zero_()
        return metrics

    def _step(self) -> None:
        """Take the next of the steps in `_steps`."""
        now = {name: buffer.index_select(0, self._at)[0] for name, buffer in self._steps.items()}
        kept = now["kept"].float() / (1 - self.learner.architecture.dropout)
        codes, letters = self._codes[now["rows"]], now["letters"]
        if self._augmented:
            codes = shift_and_flip(codes, now["moves"], now["turned"])
        if self._length:
            codes = torch.where(letters > 0, letters - 1, codes)
        self.learner.step(
            Batch(
                codes=codes,
                labels=self._labels[now["rows"]],
                shares=now["shares"],
                rates=now["rates"],
                mask=kept if self._units else None,
            )
        )
        self._at += 1

    def _record(self) -> torch.cuda.CUDAGraph:
        """Record a step; the arrays of `_steps` hold zeros, which update no network."""
        apart, here = torch.cuda.Stream(), torch.cuda.current_stream()  # type: ignore[no-untyped-call]
        apart.wait_stream(here)
        with torch.cuda.stream(apart):  # libraries set themselves up in the first calls
            for _ in range(3):
                self._at.zero_()
                self._step()
        here.wait_stream(apart)
        self._at.zero_()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self._step()
        return graph


def shift_and_flip(codes: Tensor, moves: Tensor, turned: Tensor) -> Tensor:
    """Shift sequences, uint8 (..., L), by `moves` bp, then reverse complement those `turned`.

    N fills the end that opens; `moves` and `turned` are of shape (...).

    Examples
    --------
    >>> codes = torch.tensor([[0, 0, 1, 2], [0, 0, 1, 2]], dtype=torch.uint8)
    >>> shift_and_flip(codes, torch.tensor([1, -1]), torch.tensor([False, True])).tolist()
    [[0, 1, 2, 4], [2, 3, 3, 4]]
    """
    length = codes.shape[-1]
    places = torch.arange(length, device=codes.device) + moves[..., None].long()
    read = codes.gather(-1, places.clamp(0, length - 1))
    read = read.masked_fill((places < 0) | (places >= length), N_CODE)
    other = torch.where(read < BASES, BASES - 1 - read, read).flip(-1)
    return torch.where(turned[..., None], other, read)


def restarts_per_group(
    architecture: Architecture, restarts: int, *, batch: int, free: int, half: bool
) -> int:
    """Return how many restarts train together: all, or groups as even as memory allows.

    `free` bytes of the device are free, and the convolutions compute in 16 bits (`half`) or 32.

    Examples
    --------
    >>> from enhancer_core.models.architecture import NETWORKS
    >>> restarts_per_group(NETWORKS["enhancer"], 50, batch=50, free=1 << 33, half=True)
    50
    """
    most = max(int(free * _SHARE) // bytes_needed(architecture, batch=batch, half=half), 1)
    groups = -(-restarts // most)
    return -(-restarts // groups)


def bytes_needed(architecture: Architecture, *, batch: int, half: bool) -> int:
    """Count the bytes of the device that a restart needs while it takes a step."""
    number, parameters = 2 if half else 4, sum(map(np.prod, shapes(architecture).values()))
    lengths, channels, before = architecture.pooled_lengths(), BASES, architecture.length
    numbers = before * BASES * number
    for index in used(architecture):
        layer, outputs = architecture.convolutions[index], lengths[index]
        places = layer.pool * (1 if index else 2)
        read = (layer.pool + layer.width + 1) * channels
        # What is read and the scores, each with its slopes; then the best, with index and ReLU.
        numbers += outputs * 2 * number * (read + places * layer.filters)
        numbers += outputs * layer.filters * (8 + 4 * number)
        channels, before = layer.filters, outputs
    numbers += 4 * 4 * (channels * before + sum(architecture.dense))
    return int(_WEIGHTS * 4 * parameters + batch * numbers)
