"""Predict with k-mer weights, compiled."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from enhancer_core.dna.codes import Codes
from enhancer_core.models.cpu.object_cache import load_kernel
from enhancer_core.models.cpu.predictor import check_length, checked_changes, checked_starts
from enhancer_core.models.kmer_table import k_mer_table
from enhancer_core.models.parameters import KmerMember


class CpuKmerPredictor:
    """K-mer weights on CPU cores; predicts as `CpuPredictor` does, and raises as it does.

    All its methods give the same bits for the same sequence, and for its reverse complement.

    Examples
    --------
    >>> from enhancer_core.dna.codes import encode
    >>> from enhancer_core.models.architecture import KmerWeights
    >>> weights = np.array([1, 10, -1, 1], np.float32)  # of A and T, of C and G; the bias
    >>> predictor = CpuKmerPredictor(KmerMember(KmerWeights(k=1, length=4), weights))
    >>> predictor.logits(encode(["ACGT", "AAAN"])).tolist()
    [[-12.0, 12.0], [-2.5, 2.5]]
    """

    windows_per_call = 4096

    def __init__(self, member: KmerMember) -> None:
        self.length = member.architecture.length
        self._k, self._table = member.architecture.k, k_mer_table(member)

    def logits(self, codes: Codes) -> NDArray[np.float32]:
        """Compute the logits of sequences: uint8 (n, L) -> float32 (n, 2)."""
        check_length(codes, self.length)
        return self._windows(codes.ravel(), np.arange(len(codes)) * self.length, self.length)

    def substituted_logits(
        self, codes: Codes, rows: ArrayLike, positions: ArrayLike, bases: ArrayLike
    ) -> NDArray[np.float32]:
        """Compute the logits of sequences with one base changed: float32 (m, 2)."""
        check_length(codes, self.length)
        changes = checked_changes(codes, rows, positions, bases)
        before, sums = np.empty(self.length + 1, np.int64), np.empty(len(changes), np.int64)
        load_kernel("sum_changed_words")(
            np.ascontiguousarray(codes), changes, self._k, self._table.weights, before, sums
        )
        return self._table.logits(sums)

    def scanned_logits(self, codes: Codes, starts: ArrayLike) -> NDArray[np.float32]:
        """Compute the logits of windows of codes (C,), whose starts ascend: float32 (n, 2)."""
        begins = checked_starts(codes, starts, self.length)
        span = int(begins[-1] - begins[0]) + self.length if len(begins) else 0
        return self._windows(codes, begins, span)

    def _windows(self, codes: Codes, starts: NDArray[np.int64], span: int) -> NDArray[np.float32]:
        before, sums = np.empty(span + 1, np.int64), np.empty(len(starts), np.int64)
        load_kernel("sum_words")(
            np.ascontiguousarray(codes), starts, self.length, self._k, self._table.weights,
            before, sums,
        )  # fmt: skip
        return self._table.logits(sums)
