"""What a predictor is, and what several say together: the mean of their logits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from enhancer_core.dna.codes import Codes


class Predictor(Protocol):
    """Computes logits, positives second; threads may call it side by side."""

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
    """Several predictors of one length as one: each logit is the mean of theirs."""

    def __init__(self, members: Sequence[Predictor]) -> None:
        self.members = members

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


def together(members: Sequence[Predictor]) -> Predictor:
    """Make one predictor of several, or give the only one as it is.

    Examples
    --------
    >>> from enhancer_core.models.architecture import Architecture, Convolution
    >>> from enhancer_core.dna.codes import encode
    >>> from enhancer_core.models.network import Network
    >>> architecture = Architecture(convolutions=(Convolution(2, 3, 2),), dense=(3,), length=6)
    >>> members = [Network(architecture).predictor() for _ in range(3)]
    >>> together(members).logits(encode(["ACGTAC", "NNNNNN"])).shape
    (2, 2)
    """
    return members[0] if len(members) == 1 else MeanPredictor(members)


def _mean(logits: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    mean: NDArray[np.float32] = np.mean(list(logits), axis=0)
    return mean
