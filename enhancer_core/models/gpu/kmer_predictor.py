"""Predict with k-mer weights on a GPU: whole numbers, so the bits of the CPU."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional

from enhancer_core.dna.codes import N_CODE, Codes
from enhancer_core.models.architecture import BASES, CLASSES
from enhancer_core.models.cpu.predictor import blocks as in_spans
from enhancer_core.models.cpu.predictor import check_length, checked_changes, checked_starts
from enhancer_core.models.kmer_table import k_mer_table
from enhancer_core.models.parameters import KmerMember

_LETTERS = 1 << 22  # read at once; 8 bytes each, several times


class GpuKmerPredictor:
    """K-mer weights on a device; predicts as `CpuKmerPredictor` does, to the bit."""

    windows_per_call = 1 << 16

    def __init__(self, member: KmerMember, *, device: str = "cpu") -> None:
        self.length = member.architecture.length
        self._k, self._table = member.architecture.k, k_mer_table(member)
        self._weights = torch.tensor(self._table.weights, device=device)

    def logits(self, codes: Codes) -> NDArray[np.float32]:
        """Compute the logits of sequences: uint8 (n, L) -> float32 (n, 2)."""
        check_length(codes, self.length)
        logits, rows = [np.zeros((0, CLASSES), np.float32)], max(_LETTERS // self.length, 1)
        for start in range(0, len(codes), rows):
            with torch.inference_mode():
                sums = self._by_position(codes[start : start + rows]).sum(dim=1)
            logits.append(self._table.logits(sums.cpu().numpy()))
        return np.concatenate(logits)

    def substituted_logits(
        self, codes: Codes, rows: ArrayLike, positions: ArrayLike, bases: ArrayLike
    ) -> NDArray[np.float32]:
        """Compute the logits of sequences with one base changed: float32 (m, 2)."""
        check_length(codes, self.length)
        changes = checked_changes(codes, rows, positions, bases)
        changed = codes[changes[:, 0]]
        changed[np.arange(len(changed)), changes[:, 1]] = changes[:, 2]
        return self.logits(changed)

    def scanned_logits(self, codes: Codes, starts: ArrayLike) -> NDArray[np.float32]:
        """Compute the logits of windows of codes (C,), whose starts ascend: float32 (n, 2)."""
        begins = checked_starts(codes, starts, self.length)
        logits, words = [np.zeros((0, CLASSES), np.float32)], self.length - self._k + 1
        for block in in_spans(begins, max(_LETTERS - self.length, 1)):
            first, last = int(begins[block][0]), int(begins[block][-1])
            with torch.inference_mode():
                added = self._by_position(codes[np.newaxis, first : last + self.length])[0]
                before = functional.pad(added.cumsum(0), (1, 0))
                places = torch.from_numpy(begins[block] - first).to(before.device)
                sums = before[places + words] - before[places]
            logits.append(self._table.logits(sums.cpu().numpy()))
        return np.concatenate(logits)

    def _by_position(self, codes: Codes) -> Tensor:
        """Return the weight of the word at each position: (n, L) -> int64 (n, L - k + 1)."""
        letters = torch.tensor(codes, device=self._weights.device)  # read-only ones too
        positions = letters.shape[1] - self._k + 1
        words = torch.zeros(len(letters), positions, dtype=torch.int64, device=letters.device)
        known = torch.ones_like(words, dtype=torch.bool)
        for offset in range(self._k):
            letter = letters[:, offset : offset + positions]
            words = words * BASES + letter % BASES
            known &= letter != N_CODE
        return self._weights[words].long() * known
