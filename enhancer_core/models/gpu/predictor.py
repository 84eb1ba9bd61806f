"""Predict on a GPU, and along a genome compute once what overlapping windows share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional

from enhancer_core.dna.codes import Codes
from enhancer_core.models.architecture import CLASSES, Architecture
from enhancer_core.models.gpu.layers import (
    convolve,
    cut,
    dense,
    join,
    logits,
    one_hot,
    scores,
    used,
)

_SEQUENCES = 4096  # computed at once, or fewer: their scores on both strands are as many
_SCORES = 1 << 30  # numbers, 4 GB
_SPAN = 1 << 20  # bp between the first and the last start of windows scanned at once, or fewer
_AT_ONCE = 2  # threads whose work lies on a GPU: one computes while another is fetched


class GpuPredictor:
    """A network on a device; predicts as `CpuPredictor` does, in float32."""

    windows_per_call = 1 << 16

    def __init__(
        self, architecture: Architecture, parameters: NDArray[np.float32], *, device: str = "cpu"
    ) -> None:
        self.architecture, self.length = architecture, architecture.length
        self._parameters = torch.tensor(parameters[None], device=device)
        self._weights = cut(architecture, self._parameters)
        scores_a_bp = 2 * architecture.convolutions[0].filters
        self._sequences = min(_SEQUENCES, max(_SCORES // (scores_a_bp * architecture.length), 1))
        self._span = min(_SPAN, _SCORES // (4 * scores_a_bp))  # laid out four times over
        cuda = self._parameters.is_cuda
        self._slots: AbstractContextManager[object] = (
            threading.Semaphore(_AT_ONCE) if cuda else nullcontext()
        )

    def logits(self, codes: Codes) -> NDArray[np.float32]:
        """Compute the two logits of each sequence: uint8 (n, L) -> float32 (n, 2)."""
        return self._in_blocks(codes, self._logits, (CLASSES,))

    def pooled(self, codes: Codes) -> NDArray[np.float32]:
        """Compute the last convolution's output: uint8 (n, L) -> float32 (n, outputs, F)."""
        shape = self.architecture.pooled_lengths()[-1], self.architecture.convolutions[-1].filters

        def compute(codes: Tensor) -> Tensor:
            return convolve(self.architecture, self._weights, codes[None])[0].view(-1, *shape)

        return self._in_blocks(codes, compute, shape)

    def substituted_logits(
        self, codes: Codes, rows: ArrayLike, positions: ArrayLike, bases: ArrayLike
    ) -> NDArray[np.float32]:
        """Compute the logits of sequences with one base changed: float32 (m, 2)."""
        changed = codes[np.asarray(rows)]
        changed[np.arange(len(changed)), np.asarray(positions)] = bases
        return self.logits(changed)

    def scanned_logits(self, codes: Codes, starts: ArrayLike) -> NDArray[np.float32]:
        """Compute the logits of windows of codes (C,), whose starts ascend: float32 (n, 2).

        What windows that overlap share is computed once.
        """
        begins, length = np.asarray(starts, np.int64), self.architecture.length
        slides = self.architecture.pooled_lengths() == [1]
        blocks, end = [np.zeros((0, CLASSES), np.float32)], 0
        while end < len(begins):
            start, first = end, begins[end]
            end = int(np.searchsorted(begins, first + self._span, side="right"))
            part, relative = codes[first : begins[end - 1] + length], begins[start:end] - first
            if len(part) >= len(relative) * length:  # they overlap too little
                windows = np.lib.stride_tricks.sliding_window_view(part, length)[relative]
                blocks.append(self.logits(windows))
                continue
            with self._slots, torch.inference_mode():
                scan = self._slide if slides else self._scan
                blocks.append(scan(self._upload(part), relative).cpu().numpy())
        return np.concatenate(blocks)

    def _in_blocks(
        self, codes: Codes, compute: Callable[[Tensor], Tensor], shape: tuple[int, ...]
    ) -> NDArray[np.float32]:
        """Compute something of sequences, (n, *shape), in blocks that memory can hold."""
        blocks = [np.zeros((0, *shape), np.float32)]
        for start in range(0, len(codes), self._sequences):
            with self._slots, torch.inference_mode():
                block = self._upload(codes[start : start + self._sequences])
                blocks.append(compute(block).cpu().numpy())
        return np.concatenate(blocks)

    def _logits(self, codes: Tensor) -> Tensor:
        return logits(self.architecture, self._parameters, codes[None])[0]

    def _scan(self, codes: Tensor, starts: NDArray[np.int64]) -> Tensor:
        """Compute the logits of windows, (n, 2).

        The outputs of a layer fall into fragments, one for each remainder of the starts modulo the
        pools so far (as in `cpu.sharing`); here they are rows of one tensor, each read from its
        phase on.
        """
        architecture, stride = self.architecture, 1
        fragments = np.zeros(1, np.int64)  # by row of x: its remainder modulo the stride
        x = one_hot(codes, torch.float32)[None, None]  # (1, fragments, P * C)
        last, positions = int(starts[-1]), architecture.length
        for index in used(architecture):
            layer = architecture.convolutions[index]
            positions = (positions - layer.width + 1) // layer.pool
            found = scores(self._weights, index, x, pool=1)[0].amax(dim=2)  # (fragments, P, F)
            wide = stride * layer.pool
            remainders = np.flatnonzero(np.bincount(starts % wide))
            source = np.searchsorted(fragments, remainders % stride)
            outputs = last // wide + positions
            # The last fragments end sooner: what is not there, no window reads.
            places = self._from(remainders // stride, outputs * layer.pool)
            places = places.clamp(max=found.shape[1] - 1)
            read = found[self._index(source)[:, None], places]
            best = read.reshape(len(source), outputs, layer.pool, -1).amax(dim=2)
            bias = self._weights[f"convolutions.{index}.bias"]
            x = torch.relu(best + bias).flatten(1)[None]
            fragments, stride = remainders, wide
        filters = architecture.convolutions[-1].filters
        rows = self._index(np.searchsorted(fragments, starts % stride))
        places = self._from(starts // stride, positions)
        units = x.reshape(len(fragments), -1, filters)[rows[:, None], places].flatten(1)
        return dense(architecture, self._weights, join(architecture, units)[None])[0]

    def _slide(self, codes: Tensor, starts: NDArray[np.int64]) -> Tensor:
        """Compute the logits of windows, (n, 2), each of them one pool.

        The best of a window is the better of that to the end of its block of positions, and that
        from the beginning of the next (as in `cpu.sliding`).
        """
        x = one_hot(codes, torch.float32)[None, None]
        found = scores(self._weights, 0, x, pool=1)[0, 0].amax(dim=1)  # (P, F)
        size = self.architecture.convolutions[0].pool
        beyond = -len(found) % size
        blocks = functional.pad(found, (0, 0, 0, beyond), value=-torch.inf)
        blocks = blocks.view(-1, size, blocks.shape[1])
        before = blocks.cummax(dim=1).values.flatten(0, 1)
        behind = blocks.flip(1).cummax(dim=1).values.flip(1).flatten(0, 1)
        begins = self._index(starts)
        best = torch.maximum(behind[begins], before[begins + size - 1])
        units = torch.relu(best + self._weights["convolutions.0.bias"][0])
        return dense(self.architecture, self._weights, units[None])[0]

    def _upload(self, codes: Codes) -> Tensor:
        return torch.tensor(codes, device=self._parameters.device)  # read-only ones too

    def _from(self, firsts: NDArray[np.int64], count: int) -> Tensor:
        """Count up from each number: (m, count)."""
        numbers = torch.arange(count, device=self._parameters.device)
        return self._index(firsts)[:, None] + numbers

    def _index(self, rows: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(rows).to(self._parameters.device)
