"""Find where known motifs fit a sequence: hits, by log odds, from a p-value on.

As in FIMO (Grant et al. 2011): a hit's score is the sum of its letters' log2 odds, and its p-value
the chance that as many uniform random letters, on one strand, score as high. Scores are whole steps
of 1/64 bit, so that the chances of all of them are summed up exactly.

References
----------
Grant C., Bailey T., Noble W. (2011). Bioinformatics 27:1017-1018.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna._numba import compiled
from enhancer_core.dna.codes import ALPHABET, N_CODE, Codes, check_codes
from enhancer_core.errors import MotifError
from enhancer_core.motifs.motif import UNIFORM, Motif, ppm, pwm

Steps: TypeAlias = NDArray[np.int32]

PSEUDOCOUNT = 0.01  # added to each frequency, as in Cohn et al. 2018, section 3.1.4

_STEP = 1 / 64  # bits
_NEVER = -(2**20)  # steps; up to 2,000 positions no sum leaves int32, or makes up for one


@dataclass(frozen=True, slots=True)
class Hit:
    """Where a motif fits, on the strand where it fits better."""

    motif: Motif
    start: int  # 0-based first position on the forward strand
    strand: int  # 1 or -1
    score: float  # bits
    p: float  # of this place, this motif and one strand

    @property
    def end(self) -> int:
        """Position after the last one."""
        return self.start + self.motif.width


@dataclass(frozen=True, eq=False)
class Scanner:
    """A motif made ready to scan with.

    Examples
    --------
    >>> from enhancer_core.motifs.motif import BUILTIN
    >>> scanner = Scanner(BUILTIN["CEBPA"])
    >>> scanner.least(1e-4) * _STEP, scanner.p(scanner.least(1e-4)) <= 1e-4
    (10.25, True)
    """

    motif: Motif

    @cached_property
    def steps(self) -> Steps:
        """Scores of each position and letter: int32 (W, 5); a place with N is none."""
        scores = pwm(ppm(self.motif.pfm, pseudocount=PSEUDOCOUNT))
        steps = np.full((self.motif.width, len(ALPHABET)), _NEVER, np.int32)
        steps[:, :N_CODE] = np.rint(scores.T / _STEP)
        return steps

    @cached_property
    def _chances(self) -> NDArray[np.float64]:
        """Chance to score as high, float64, from the lowest score that can be to the highest."""
        chances = np.ones(1)
        for column in self.steps[:, :N_CODE] - self.steps[:, :N_CODE].min(axis=1, keepdims=True):
            longer = np.zeros(len(chances) + column.max())
            for shift in column.tolist():
                longer[shift : shift + len(chances)] += UNIFORM * chances
            chances = longer
        reached: NDArray[np.float64] = np.minimum(chances[::-1].cumsum()[::-1], 1)
        return reached

    @cached_property
    def _lowest(self) -> int:
        return int(self.steps[:, :N_CODE].min(axis=1).sum())

    def p(self, score: int) -> float:
        """Give the chance to score as high, in steps, or higher."""
        return float(self._chances[max(score - self._lowest, 0)])

    def least(self, p: float) -> int:
        """Give the least score, in steps, of p or less; above the highest where there is none."""
        return self._lowest + int(np.count_nonzero(self._chances > p))

    def expected(self, p: float, length: int) -> float:
        """Give how many hits of p or less uniform random DNA of `length` bp has on both strands."""
        least = self.least(p) - self._lowest
        places = max(length - self.motif.width + 1, 0)
        return 2 * places * float(self._chances[least]) if least < len(self._chances) else 0.0


def find_hits(codes: Codes, scanners: Sequence[Scanner], *, p: float) -> list[Hit]:
    """Find every place where a motif fits with a p-value of `p` or less.

    Parameters
    ----------
    codes
        uint8, shape (L,), values 0-4.
    scanners
        Of motifs of any width; one wider than L has no hit.
    p
        Above 0, at most 1; not corrected for the number of places and motifs.

    Returns
    -------
    list of Hit
        By start, then in the order of the motifs.

    Raises
    ------
    SequenceError
        If a code is above 4.
    MotifError
        If `p` is not allowed.

    Examples
    --------
    >>> from enhancer_core.dna.codes import encode
    >>> gat = Motif("GATTACA", np.eye(4)[:, [2, 0, 3, 3, 0, 1, 0]])
    >>> found = find_hits(encode(["CCTGTAATCCC"])[0], [Scanner(gat)], p=1e-3)
    >>> [(hit.start, hit.end, hit.strand, round(hit.score, 1)) for hit in found]
    [(2, 9, -1, 13.7)]
    """
    check_codes(codes)
    if not 0 < p <= 1:
        raise MotifError(f"p-value {p} of hits; allowed are values above 0, up to 1")
    found: list[tuple[int, int, Hit]] = []
    for number, each in enumerate(scanners):
        motif, least = each.motif, each.least(p)
        scores = _scores(codes, each.steps)
        for start in np.flatnonzero(scores.max(axis=0, initial=_NEVER) >= least).tolist():
            forward, reverse = scores[:, start].tolist()
            score, strand = max(forward, reverse), 1 if forward >= reverse else -1
            hit = Hit(motif, start, strand, score * _STEP, each.p(score))
            found.append((start, number, hit))
    return [hit for _, _, hit in sorted(found, key=lambda each: each[:2])]


def _scores(codes: Codes, steps: Steps) -> Steps:
    """Score each place on both strands: int32 (2, places)."""
    places = max(len(codes) - len(steps) + 1, 0)
    scores = np.empty((2, places), np.int32)
    turned = np.full_like(steps, _NEVER)
    turned[:, :N_CODE] = steps[::-1, N_CODE - 1 :: -1]  # the reverse complement
    for strand, table in enumerate((steps, turned)):
        _scan(codes, table, scores[strand])
    return scores


@compiled
def _scan(codes: Codes, steps: Steps, scores: Steps) -> None:
    for start in range(len(scores)):
        total = 0
        for position in range(len(steps)):
            total += steps[position, codes[start + position]]
        scores[start] = total
