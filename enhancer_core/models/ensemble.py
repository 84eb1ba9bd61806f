"""The interface of a predictor, and several predictors as one: the mean of their logits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from enhancer_core.dna.codes import Codes


class Predictor(Protocol):
    """Weights laid out for a device; computes logits, positives second. Threads may share it."""

    @property
    def length(self) -> int:
        """Length of the sequences that it reads, in bp."""

    @property
    def windows_per_call(self) -> int:
        """Windows along a genome to pass to a call of `scanned_logits`, for speed."""

    def logits(self, codes: Codes) -> NDArray[np.float32]:
        """Compute the logits of sequences: uint8 (n, L) -> float32 (n, 2)."""

    def substituted_logits(
        self, codes: Codes, rows: ArrayLike, positions: ArrayLike, bases: ArrayLike
    ) -> NDArray[np.float32]:
        """Compute the logits of sequences with one base changed: float32 (m, 2)."""

    def scanned_logits(self, codes: Codes, starts: ArrayLike) -> NDArray[np.float32]:
        """Compute the logits of windows of codes (C,), whose starts ascend: float32 (n, 2)."""


class MeanPredictor:
    """An ensemble: each logit is the mean of its members'."""

    def __init__(self, members: Sequence[Predictor]) -> None:
        self.members = members

    @property
    def length(self) -> int:
        """Length of the sequences that it reads, in bp."""
        return self.members[0].length

    @property
    def windows_per_call(self) -> int:
        """Windows along a genome to pass to a call of `scanned_logits`, for speed."""
        return self.members[0].windows_per_call

    def logits(self, codes: Codes) -> NDArray[np.float32]:
        """Compute the logits of sequences: uint8 (n, L) -> float32 (n, 2)."""
        return _mean(member.logits(codes) for member in self.members)

    def substituted_logits(
        self, codes: Codes, rows: ArrayLike, positions: ArrayLike, bases: ArrayLike
    ) -> NDArray[np.float32]:
        """Compute the logits of sequences with one base changed: float32 (m, 2)."""
        return _mean(
            member.substituted_logits(codes, rows, positions, bases) for member in self.members
        )

    def scanned_logits(self, codes: Codes, starts: ArrayLike) -> NDArray[np.float32]:
        """Compute the logits of windows of codes (C,), whose starts ascend: float32 (n, 2)."""
        return _mean(member.scanned_logits(codes, starts) for member in self.members)


def _mean(logits: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    mean: NDArray[np.float32] = np.mean(list(logits), axis=0)
    return mean
