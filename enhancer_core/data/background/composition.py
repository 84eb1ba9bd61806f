"""GC and repeat content of sequences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna.codes import Letters
from enhancer_core.errors import DatasetError

_UPPER = 0xDF  # clears the bit that makes an ASCII letter lower case


@dataclass(frozen=True, slots=True, eq=False)
class Composition:
    """GC and repeat content of n sequences, the two things that a match follows.

    Raises
    ------
    DatasetError
        If the two differ in length, or a share is not within 0 to 1.
    """

    gc: NDArray[np.float64]  # (n,): share of G and C among A, C, G and T
    repeat: NDArray[np.float64] | None  # (n,): share of lower-case letters; None if not known

    def __post_init__(self) -> None:
        for name, shares in (("GC", self.gc), ("repeat", self.repeat)):
            if shares is None:
                continue
            if shares.shape != (len(self.gc),):
                raise DatasetError(
                    f"{name} shares have shape {shares.shape}; allowed is {(len(self.gc),)}"
                )
            bad = np.flatnonzero(~((shares >= 0) & (shares <= 1)))
            if bad.size:
                raise DatasetError(
                    f"sequence {bad[0]}: {name} share is {shares[bad[0]]}; allowed is 0 to 1"
                )

    def __len__(self) -> int:
        return len(self.gc)

    def take(self, rows: NDArray[np.int64]) -> Composition:
        """Select sequences by index."""
        return Composition(self.gc[rows], None if self.repeat is None else self.repeat[rows])


def measure_composition(letters: Letters) -> Composition:
    """Measure GC and repeat (lower-case) content of ASCII letters, uint8 (n, L).

    Raises
    ------
    DatasetError
        If a row has none of A, C, G and T.
    """
    upper = letters & _UPPER
    strong = _count((upper == ord("C")) | (upper == ord("G")))
    weak = _count((upper == ord("A")) | (upper == ord("T")))
    with np.errstate(invalid="ignore"):  # 0 / 0: `Composition` says which sequence
        return Composition(strong / (strong + weak), _count(letters >= ord("a")) / letters.shape[1])


def _count(mask: NDArray[np.bool_]) -> NDArray[np.uint32]:
    counts: NDArray[np.uint32] = mask.sum(axis=1, dtype=np.uint32)
    return counts
