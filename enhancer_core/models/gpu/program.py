"""Training as a program that stays on the device: data, steps, and looks at what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from enhancer_core.dna.codes import N_CODE, Codes
from enhancer_core.models.architecture import BASES, Architecture, shapes
from enhancer_core.models.gpu.batches import Steps, Visits, side_by_side
from enhancer_core.models.gpu.layers import logits, used
from enhancer_core.models.gpu.learner import Batch, GpuLearner

_UPLOAD = 1 << 25  # bytes of steps that are sent at once
_LOOKED_AT = 64  # sequences of each network, at least, that are looked at together
_WEIGHTS = 12  # copies of its weights that a network needs at most: Adam's, gradients, in between
_SHARE = 0.8  # of the free memory that is planned with; the rest is for PyTorch's own


class Look:
    """What became of the networks so far, on its way from the device."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        cuda = tensors["parameters"].is_cuda
        self._arrays = {
            name: torch.empty(each.shape, dtype=each.dtype, pin_memory=cuda).copy_(
                each.detach(), non_blocking=True
            )
            for name, each in tensors.items()
        }
        self._ready = torch.cuda.Event() if cuda else None  # type: ignore[no-untyped-call]
        if self._ready is not None:
            self._ready.record()

    def wait(self) -> dict[str, NDArray[Any]]:
        """Wait for the device, and give arrays by name, each with a row for each network.

        `GpuLearner.state`, `steps` and `ended`; float32 `probabilities`, (R, m); and of the losses
        since the look before, float64 (R,), their `sum` and `count`.
        """
        if self._ready is not None:
            self._ready.synchronize()
        return {name: each.numpy() for name, each in self._arrays.items()}


class Program:
    """A learner with its data: runs many steps without waiting for the device.

    Parameters
    ----------
    learner
        Its networks are trained.
    codes
        uint8, shape (N, L), values 0-4: all sequences, of all networks; kept on the device.
    labels
        Shape (N,): 0 or 1.
    batch
        Sequences of a mini-batch, at most.
    augmented
        Whether visits may move and turn their sequences.
    mutated
        Whether they may change letters.
    recorded
        Whether a GPU records a step and plays it back; anything else takes each as it comes.

    Attributes
    ----------
    most_steps
        How many can be run at once.
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
        networks = len(learner.parameters)
        idle = Visits(batch=1, rates=np.zeros(1), rows=np.zeros(1, np.int64))
        one = side_by_side([idle] * networks, batch=batch, units=self._units, length=self._length)
        each_step = sum(getattr(one, field.name).nbytes for field in fields(one))
        self.most_steps = max(_UPLOAD // each_step, 1)
        self._at = torch.zeros(1, dtype=torch.int64, device=device)
        self._steps = {
            field.name: torch.from_numpy(getattr(one, field.name))
            .new_zeros((self.most_steps, *getattr(one, field.name).shape[1:]))
            .to(device)
            for field in fields(one)
        }
        self._graph = self._record() if recorded and device.type == "cuda" else None

    def side_by_side(self, visits: Sequence[Visits | None]) -> Steps:
        """Lay out mini-batches of each network, no more than `most_steps` of one."""
        return side_by_side(visits, batch=self._batch, units=self._units, length=self._length)

    def run(self, steps: Steps) -> None:
        """Take steps, no more than `most_steps`; on a GPU they are under way when this returns."""
        for name, room in self._steps.items():
            array = torch.from_numpy(getattr(steps, name))
            sent = array.pin_memory() if room.is_cuda else array
            room[: len(steps)].copy_(sent, non_blocking=True)
        self._at.zero_()
        for _ in range(len(steps)):
            if self._graph is None:
                self._step()
            else:
                self._graph.replay()

    def look(self, rows: NDArray[np.int64]) -> Look:
        """Predict sequences of each network, (R, m), in float32; fetch that and all the state.

        Where the learner keeps a running mean of the weights, that predicts.
        """
        learner, device = self.learner, self._codes.device
        architecture = learner.architecture
        weights = learner.parameters if learner.averaged is None else learner.averaged
        together = max(self._batch, _LOOKED_AT)
        with torch.no_grad():
            found = [
                logits(architecture, weights, self._codes[some]).diff(dim=2)[:, :, 0].sigmoid()
                for some in torch.split(torch.from_numpy(rows).to(device), together, dim=1)
            ]
            total, count = learner.losses
            look = Look(
                {
                    **learner.state(),
                    "steps": learner.steps,
                    "ended": learner.ended,
                    "sum": total,
                    "count": count,
                    "probabilities": torch.cat(found, dim=1),
                }
            )
            learner.losses.zero_()
        return look

    def _step(self) -> None:
        """Take the step that is next of those sent."""
        now = {name: room.index_select(0, self._at)[0] for name, room in self._steps.items()}
        kept = now["kept"].float() / (1 - self.learner.architecture.dropout)
        codes, letters = self._codes[now["rows"]], now["letters"]
        if self._augmented:
            codes = moved(codes, now["moves"], now["turned"])
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
        """Record a step. The room for steps holds zeros, with which no network takes one."""
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


def moved(codes: Tensor, moves: Tensor, turned: Tensor) -> Tensor:
    """Read sequences, uint8 (..., L), further on by so many bp, then on the other strand if asked.

    N comes in at the end that opens; both others are of shape (...).

    Examples
    --------
    >>> codes = torch.tensor([[0, 0, 1, 2], [0, 0, 1, 2]], dtype=torch.uint8)
    >>> moved(codes, torch.tensor([1, -1]), torch.tensor([False, True])).tolist()
    [[0, 1, 2, 4], [2, 3, 3, 4]]
    """
    length = codes.shape[-1]
    places = torch.arange(length, device=codes.device) + moves[..., None].long()
    read = codes.gather(-1, places.clamp(0, length - 1))
    read = read.masked_fill((places < 0) | (places >= length), N_CODE)
    other = torch.where(read < BASES, BASES - 1 - read, read).flip(-1)
    return torch.where(turned[..., None], other, read)


def at_once(architecture: Architecture, restarts: int, *, batch: int, free: int, half: bool) -> int:
    """Choose how many restarts run side by side: all, or as even groups as memory allows.

    Parameters
    ----------
    architecture, restarts, batch
        What is trained: networks of one architecture, sequences of a mini-batch.
    free
        Bytes of the device that are free.
    half
        Whether the convolutions compute in 16 bits, else in 32.

    Returns
    -------
    int
        At least 1.

    Examples
    --------
    >>> from enhancer_core.models.architecture import NETWORKS
    >>> at_once(NETWORKS["enhancer"], 50, batch=50, free=1 << 33, half=True)
    50
    >>> at_once(NETWORKS["enhancer"], 50, batch=50, free=1 << 28, half=True)
    13
    """
    most = max(int(free * _SHARE) // bytes_needed(architecture, batch=batch, half=half), 1)
    groups = -(-restarts // most)
    return -(-restarts // groups)


def bytes_needed(architecture: Architecture, *, batch: int, half: bool) -> int:
    """Count the bytes of the device that a restart needs while it takes a step."""
    number, parameters = 2 if half else 4, sum(map(np.prod, shapes(architecture).values()))
    lengths, channels, before = architecture.pooled_lengths(), BASES, architecture.length
    each = before * BASES * number
    for index in used(architecture):
        layer, outputs = architecture.convolutions[index], lengths[index]
        places = layer.pool * (1 if index else 2)
        read = (layer.pool + layer.width + 1) * channels
        # What is read and the scores, each with its slopes; then the best, with index and ReLU.
        each += outputs * 2 * number * (read + places * layer.filters)
        each += outputs * layer.filters * (8 + 4 * number)
        channels, before = layer.filters, outputs
    each += 4 * 4 * (channels * before + sum(architecture.dense))
    return int(_WEIGHTS * 4 * parameters + batch * each)
