"""K-mer weights as whole numbers, whose sums are exact, and so the same in any order."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna.kmers import k_mer_columns
from enhancer_core.models.parameters import KmerMember

_BITS = 31  # of a whole number, besides its sign


@dataclass(frozen=True, eq=False, slots=True)
class KmerTable:
    """The weight of each word of k letters as a multiple of `unit`, and the bias of the logits.

    `unit` is the power of two with which the largest weight just fits 32 bits. So each weight is
    off by 2**-32 of twice the largest at most, none within 7 bits of the largest is off at all, and
    the log odds of 500 words of weights up to 1 by less than 2e-7, as float32 itself rounds them.
    """

    weights: NDArray[np.int32]  # (4**k,), words in alphabetical order
    unit: float
    bias: NDArray[np.float64]  # (2,)

    def logits(self, sums: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the logits, float32 (n, 2), of sums of weights, (n,)."""
        halves = sums[:, np.newaxis] * (np.array([-0.5, 0.5]) * self.unit)
        logits: NDArray[np.float32] = (halves + self.bias).astype(np.float32)
        return logits


def k_mer_table(member: KmerMember) -> KmerTable:
    """Lay the weights out by word."""
    weights = member.weights()
    by_pair = weights["output.weight"].astype(np.float64)
    largest = math.frexp(float(np.abs(by_pair).max()))[1]
    unit = 2.0 ** (largest - _BITS)
    whole = np.rint(by_pair / unit).astype(np.int32)
    column = k_mer_columns(member.architecture.k)[0]
    return KmerTable(whole[column], unit, weights["output.bias"].astype(np.float64))
