"""Score sequences by one motif, at its best place or over all places (Cohn et al. 2018).

The model of section 3.4: a sequence has one site, whose start is drawn from a prior and whose
letters are drawn from the motif; all else is uniform. The odds of a place are those of its letters
times the prior, on a scale on which a uniform prior is 1. The score of the best place is the
paper's MLLR (its formula 3); the mean over all places is the likelihood ratio of the sequence, the
exact Bayes classifier for data that were simulated so.

Scores are in bits. N scores 0, since the odds of a letter, averaged over uniform bases, are 1. A
base that the motif never has scores -64, so that scores stay finite and can be compared.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna._numba import compiled
from enhancer_core.dna.codes import Codes, check_codes
from enhancer_core.errors import MotifError
from enhancer_core.motifs.motif import Matrix, Prior
from enhancer_core.motifs.scan import (
    LETTERS,
    Tables,
    make_workspace,
    site_score,
    spell,
    strand_scores,
    word_tables,
)

Floats: TypeAlias = NDArray[np.float32]

IMPOSSIBLE = -64.0  # bits

# Scores are whole multiples of this, in bits. So sums below 1,024 bits are exact in float32, and a
# site scores the same on both strands.
_STEP = 2.0**-14


class Hits(NamedTuple):
    """The best place for a motif in each of n sequences, the first of equally good ones."""

    scores: Floats  # (n,), bits
    starts: NDArray[np.int64]  # (n,): 0-based first position of the site on the forward strand
    strands: NDArray[np.int8]  # (n,): 1, or -1 where the reverse strand is better


def best_hits(
    codes: Codes, pwm: Matrix, *, both_strands: bool = True, prior: Prior | None = None
) -> Hits:
    """Find where a motif fits each sequence best: the MLLR of Cohn et al. 2018, formula 3.

    Parameters
    ----------
    codes
        uint8, shape (n, L), values 0-4.
    pwm
        float64, shape (4, W), log2 odds, as from `motif.pwm`; W is 1 to L.
    both_strands
        Whether to read the reverse strand too.
    prior
        float64, shape (L - W + 1,): the chance of each start, for example `motif.site_prior`. Its
        log2, on a scale on which a uniform prior is 0, is added to the scores. None is uniform.

    Returns
    -------
    Hits
        Scores in bits; N adds 0, a base of -inf in `pwm` adds -64.

    Raises
    ------
    SequenceError
        If a code is above 4.
    MotifError
        If the motif does not fit the sequences, or `prior` is not a distribution of that shape.

    Examples
    --------
    >>> from enhancer_core.dna.codes import encode
    >>> from enhancer_core.motifs.motif import ppm, pwm
    >>> gat = pwm(ppm([[0, 1, 0], [0, 0, 0], [1, 0, 0], [0, 0, 1]]))
    >>> hits = best_hits(encode(["CCGATC", "ATCCCC"]), gat)
    >>> hits.scores.tolist(), hits.starts.tolist(), hits.strands.tolist()
    ([6.0, 6.0], [2, 0], [1, -1])
    """
    bonus = _checked_bonus(codes, pwm, prior)
    n = len(codes)
    hits = Hits(np.empty(n, np.float32), np.empty(n, np.int64), np.empty(n, np.int8))
    tables = _tables(pwm, both_strands=both_strands)
    _find_best(codes, tables, pwm.shape[1], bonus, hits)
    return hits


def log_likelihood_ratios(
    codes: Codes, pwm: Matrix, *, both_strands: bool = True, prior: Prior | None = None
) -> NDArray[np.float64]:
    """Compare having one site with having none, over all places: the exact Bayes score.

    Parameters and errors are those of `best_hits`; on both strands a site is as likely on either.

    Returns
    -------
    float64, shape (n,)
        log2 of the chance of the sequence with one site over that of uniform DNA.

    Examples
    --------
    >>> from enhancer_core.dna.codes import encode
    >>> from enhancer_core.motifs.motif import ppm, pwm
    >>> a = pwm(ppm([[1], [0], [0], [0]]))  # one A, at any of two places: 4 times as likely there
    >>> log_likelihood_ratios(encode(["AC", "AA", "NN"]), a, both_strands=False).tolist()
    [1.0, 2.0, 0.0]
    """
    bonus = _checked_bonus(codes, pwm, prior)
    scores = best_hits(codes, pwm, both_strands=both_strands, prior=prior).scores
    sums = np.empty(len(codes))
    _add_up(codes, _tables(pwm, both_strands=both_strands), pwm.shape[1], bonus, scores, sums)
    places = (codes.shape[1] - pwm.shape[1] + 1) * (1 + both_strands)
    ratios: NDArray[np.float64] = scores + np.log2(sums / places)
    return ratios


def best_threshold(labels: NDArray[np.bool_], scores: NDArray[np.floating]) -> float:
    """Return the score from which on to call positives, so that most sequences are called rightly.

    `labels`, bool (n,), are True for positives, n >= 1. Of equally good scores it is the highest.
    """
    order = np.argsort(-scores, kind="stable")
    right = np.cumsum(np.where(labels[order], 1, -1))  # right calls, less wrong ones
    last = np.append(np.diff(scores[order]) != 0, True)  # equal scores are called together
    return float(scores[order][last][np.argmax(right[last])])


def _checked_bonus(codes: Codes, pwm: Matrix, prior: Prior | None) -> Floats | None:
    """Check the input; return what the prior adds to each place's score, if there is one."""
    check_codes(codes)
    places = codes.shape[1] - pwm.shape[1] + 1
    if places < 1:
        raise MotifError(
            f"a motif of {pwm.shape[1]} bp does not fit sequences of {codes.shape[1]} bp"
        )
    if prior is None:
        return None
    if prior.shape != (places,):
        raise MotifError(f"prior of shape {prior.shape}; allowed is ({places},), one a start")
    if not ((prior >= 0).all() and abs(prior.sum() - 1) < 1e-6):
        raise MotifError(f"prior from {prior.min()} with sum {prior.sum()}; allowed are >= 0 and 1")
    with np.errstate(divide="ignore"):  # log2(0) is the -inf that is meant
        bonus: Floats = np.log2(places * prior).astype(np.float32)
    return bonus


def _tables(pwm: Matrix, *, both_strands: bool) -> Tables:
    scores = np.zeros((pwm.shape[1], 5))
    scores[:, :4] = np.rint(np.maximum(pwm.T, IMPOSSIBLE) / _STEP) * _STEP
    strands = strand_scores(scores)
    if not both_strands:
        strands.imag = -np.inf
    return tuple(word_tables(strands))


@compiled
def _find_best(codes: Codes, tables: Tables, width: int, bonus: Floats | None, hits: Hits) -> None:
    """Write the best place of each sequence: its score, start and strand."""
    places = codes.shape[1] - width + 1
    letters, words = make_workspace(codes.shape[1])
    for i in range(len(codes)):
        spell(codes[i], letters, words)
        best, place = np.float32(-np.inf), 0
        for start in range(places):
            both = site_score(tables, words, start, LETTERS, np.complex64(0))
            score = np.float32(max(both.real, both.imag))
            if bonus is not None:
                score += bonus[start]
            if score > best:
                best, place = score, start
        both = site_score(tables, words, place, LETTERS, np.complex64(0))
        hits.scores[i], hits.starts[i] = best, place
        hits.strands[i] = 1 if both.real >= both.imag else -1


@compiled
def _add_up(
    codes: Codes,
    tables: Tables,
    width: int,
    bonus: Floats | None,
    best: Floats,
    sums: NDArray[np.float64],
) -> None:
    """Write the sum of the odds of all places, in units of the best one's."""
    letters, words = make_workspace(codes.shape[1])
    for i in range(len(codes)):
        spell(codes[i], letters, words)
        total = 0.0
        for start in range(codes.shape[1] - width + 1):
            both = site_score(tables, words, start, LETTERS, np.complex64(0))
            less = best[i] - (np.float32(0) if bonus is None else bonus[start])
            total += 2.0 ** (both.real - less) + 2.0 ** (both.imag - less)
        sums[i] = total
