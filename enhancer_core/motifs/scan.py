"""The scanner of sequences with a motif, and the hits of known motifs from a p-value on.

A sequence is read five letters at a time, each word looked up in a table of the scores of all
words. `find_hits` is as FIMO (Grant et al. 2011): a hit's score is the sum of its letters' log2
odds, and its p-value the chance that as many uniform random letters, on one strand, score as high.
Its scores are whole steps of 1/64 bit, so that the chances of all of them are summed up exactly.

References
----------
Grant C., Bailey T., Noble W. (2011). Bioinformatics 27:1017-1018.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna._numba import compiled
from enhancer_core.dna.codes import ALPHABET, N_CODE, Codes, check_codes
from enhancer_core.errors import MotifError
from enhancer_core.motifs.motif import UNIFORM, Motif, ppm, pwm

# Complex scores: the forward strand's is the real part, the reverse strand's the imaginary one, so
# that one load and one sum serve both.
Scores: TypeAlias = NDArray[np.complexfloating[Any, Any]]
Score: TypeAlias = complex | np.complexfloating[Any, Any]
# One table for each word of a site, (words, 5**letters). In a tuple of arrays, whose length is
# known when it is compiled, a loop over tables is unrolled: twice as fast as in one array.
Tables: TypeAlias = tuple[NDArray[np.complex64], ...] | Scores
Words: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]

LETTERS = 5  # of a word
PSEUDOCOUNT = 0.01  # added to each frequency, as in Cohn et al. 2018, section 3.1.4

_STEP = 1 / 64  # bits


def strand_scores(scores: NDArray[np.floating]) -> NDArray[np.complex128]:
    """Return the scores of letters (W, 5), order A C G T N, on both strands: complex128 (W, 5)."""
    strands = scores.astype(np.complex128)
    strands.imag = scores[::-1, [3, 2, 1, 0, N_CODE]]
    return strands


def word_tables(scores: Scores) -> NDArray[np.complex64]:
    """Sum the scores (W, 5) of letters for all words of five: complex64 (ceil(W / 5), 5**5).

    Letters beyond the site's end score 0.
    """
    padded = np.pad(scores.astype(np.complex64), ((0, -len(scores) % LETTERS), (0, 0)))
    words = padded.reshape(-1, LETTERS, len(ALPHABET))
    tables = words[:, 0]
    for letter in range(1, LETTERS):
        tables = (tables[:, :, np.newaxis] + words[:, letter, np.newaxis]).reshape(len(words), -1)
    return tables


@compiled
def make_workspace(length: int) -> tuple[Codes, Words]:
    """Make arrays for the letters and words of a sequence; beyond its end stands A."""
    return np.zeros(length + LETTERS, np.uint8), np.zeros(length, np.uint16)


@compiled
def spell(codes: Codes, letters: Codes, words: Words) -> None:
    """Write the number of the word at each position of a sequence (L,), in a workspace."""
    for position in range(len(codes)):  # a slice would be copied letter by letter
        letters[position] = codes[position]
    for position in range(len(codes)):
        word = np.uint16(0)
        for letter in range(LETTERS):
            word = np.uint16(word * np.uint16(5) + letters[position + letter])
        words[position] = word


@compiled
def site_score(tables: Tables, words: Words, start: int, step: int, score: Score) -> Score:
    """Add the scores of the words of a site, `step` positions apart, to `score`."""
    position = np.uint64(start)  # unsigned: never counted from the end
    for table in tables:
        score += table[words[position]]
        position += np.uint64(step)
    return score


@compiled
def _site_scores(codes: Codes, letters: Scores, scores: NDArray[np.float32]) -> None:
    for start in range(scores.shape[1]):
        both = site_score(letters, codes, start, 1, np.complex64(0))
        scores[0, start], scores[1, start] = both.real, both.imag


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
    """A motif made ready to scan with."""

    motif: Motif

    @cached_property
    def steps(self) -> NDArray[np.int64]:
        """Scores of each position and letter, in steps: int64 (W, 4)."""
        scores = pwm(ppm(self.motif.pfm, pseudocount=PSEUDOCOUNT))
        return np.rint(scores.T / _STEP).astype(np.int64)

    @cached_property
    def strands(self) -> Scores:
        """`strand_scores` of `steps`, exact in complex64; a place with N is none."""
        scores = self.steps.astype(np.float64)
        scores = np.pad(scores, ((0, 0), (0, 1)), constant_values=-np.inf)
        return strand_scores(scores).astype(np.complex64)

    @cached_property
    def _chances(self) -> NDArray[np.float64]:
        """Chance to score as high, float64, from the lowest score that can be to the highest."""
        chances = np.ones(1)
        for column in self.steps - self.steps.min(axis=1, keepdims=True):
            longer = np.zeros(len(chances) + column.max())
            for shift in column.tolist():
                longer[shift : shift + len(chances)] += UNIFORM * chances
            chances = longer
        reached: NDArray[np.float64] = np.minimum(chances[::-1].cumsum()[::-1], 1)
        return reached

    @cached_property
    def _lowest(self) -> int:
        return int(self.steps.min(axis=1).sum())

    def p(self, score: int) -> float:
        """Return the chance to score as high, in steps, or higher."""
        return float(self._chances[max(score - self._lowest, 0)])

    def least(self, p: float) -> int:
        """Return the least score, in steps, of p or less; above the highest if there is none."""
        return self._lowest + int(np.count_nonzero(self._chances > p))

    def expected(self, p: float, length: int) -> float:
        """Compute how many hits of p or less uniform random DNA of `length` bp has, both strands.

        That a place may be a hit on both strands is not allowed for.
        """
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
    >>> hits = find_hits(encode(["CCTGTAATCCC"])[0], [Scanner(gat)], p=1e-3)
    >>> [(hit.start, hit.end, hit.strand, round(hit.score, 1)) for hit in hits]
    [(2, 9, -1, 13.7)]
    """
    check_codes(codes)
    if not 0 < p <= 1:
        raise MotifError(f"p-value {p} of hits; allowed are values above 0, up to 1")
    hits = []
    for scanner in scanners:
        motif = scanner.motif
        scores = np.empty((2, max(len(codes) - motif.width + 1, 0)), np.float32)
        _site_scores(codes, scanner.strands, scores)
        best = scores.max(axis=0)
        for start in np.flatnonzero(best >= scanner.least(p)).tolist():
            score, strand = int(best[start]), 1 if scores[0, start] == best[start] else -1
            hits.append(Hit(motif, start, strand, score * _STEP, scanner.p(score)))
    return sorted(hits, key=lambda hit: hit.start)
