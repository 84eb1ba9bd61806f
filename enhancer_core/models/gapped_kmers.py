"""The k-mer model with gaps: logistic regression on all gapped k-mers of gkm-SVM.

Ten letters of which six are specified, in each of 210 ways, are 860,160 gapped k-mers, and a
sequence of 500 bp has 100,000 of them. They are not counted here. A linear model of them scores
each word of ten letters, and the words are 4**10. Two words share C(10 - d, 6) gapped k-mers if
they differ in d letters, and a Hadamard transform over letters makes that matrix diagonal: what a
pattern of j letters adds on its own is scaled by C(10 - j, 6 - j). So with the root of the matrix
between words and the weights of the 118,000 patterns that count, all is a logistic regression on
sparse counts of words, whose every step takes two transforms of a million numbers: some 20 ms.

References
----------
Ghandi M., Lee D., Mohammad-Noori M., Beer M. (2014). PLoS Computational Biology 10:e1003711.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.special import expit
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from enhancer_core.data.dataset import SplitDataset
from enhancer_core.dna.codes import Codes
from enhancer_core.dna.kmers import k_mer_columns, k_mer_numbers, reverse_complement_numbers
from enhancer_core.errors import SequenceError
from enhancer_core.models.kmers import best_by_auc

WIDTH, K = 10, 6  # letters of a word, and letters of these that a gapped k-mer has
NAME = f"gapped {K}-mer logistic regression"
PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0)  # inverse strengths (C); validation chooses

Floats = NDArray[np.float32]

_STEPS = 200  # several times what any penalty here needs
_TOLERANCE = 1e-5  # relative gain of a step from which on the loss is at its lowest
# A letter's four indicators, as their mean and three contrasts; and those of two letters.
_ONE = np.array([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]]) / 2
_TWO = np.kron(_ONE, _ONE).astype(np.float32)


@dataclass(frozen=True, slots=True)
class GappedBaseline:
    """A fitted model: the score of each word, bias, and the penalty chosen."""

    scores: Floats  # (K,), of a word and its reverse complement, as `word_counts` counts them
    bias: float
    penalty: float
    auc: float = math.nan  # on the validation part, which chose the penalty

    def probabilities(self, codes: Codes) -> NDArray[np.float32]:
        """Predict the probability that each sequence is positive: uint8 (n, L) -> float32 (n,)."""
        log_odds: Floats = (word_counts(codes) @ self.scores + self.bias).astype(np.float32)
        probabilities: Floats = expit(log_odds)
        return probabilities


def fit(data: SplitDataset) -> GappedBaseline:
    """Fit as `kmers.fit`; errors are those of `word_counts`."""
    train, validation = data.train, data.validation
    counts, check = word_counts(train.codes), word_counts(validation.codes)
    models = _regressions(counts, train.labels)
    best, auc = best_by_auc(models, lambda model: check @ model.scores, validation.labels)
    return replace(best, auc=auc)


def _regressions(counts: csr_array, labels: NDArray[np.bool_]) -> Iterator[GappedBaseline]:
    """Fit for each penalty, beginning with the weights of the one before."""
    weights = np.zeros(len(_space().first) + 1)
    # BLAS sums in another order on other numbers of threads, which would change the last bits.
    with threadpool_limits(1, user_api="blas"):
        for penalty in PENALTIES:
            weights = _descend(weights, counts, labels, penalty)
            yield GappedBaseline(_scores(weights), float(weights[-1]), penalty)


def word_counts(codes: Codes) -> csr_array:
    """Count the words of ten letters of each sequence, divided by the root of the number of places.

    uint8 (n, L >= 10) -> float32 (n, K), a column for a word and its reverse complement, in the
    order of the smaller of the two; those with N do not count. Divided so, the gapped k-mers of
    sequences of any length have a length near 1, if their words differ and none has N.

    Raises
    ------
    SequenceError
        If sequences are too short.
    """
    n, length = codes.shape
    if length < WIDTH:
        raise SequenceError(
            f"sequences of {length} bp are too short for gapped k-mers; allowed are {WIDTH} or more"
        )
    words, known = k_mer_numbers(codes, WIDTH)
    column, kept = k_mer_columns(WIDTH)
    ends = np.append(0, np.cumsum(known.sum(axis=1)))
    shares = np.full(ends[-1], words.shape[1] ** -0.5, np.float32)
    pairs = column.astype(np.int32)[words[known]]
    # As narrow as the numbers of pairs, or scipy widens those.
    ends = ends.astype(np.int32) if ends[-1] < 1 << 31 else ends
    return csr_array((shares, pairs, ends), shape=(n, len(kept)))


def kernel_roots(width: int, k: int) -> Floats:
    """Compute the roots of the eigenvalues of the gapped k-mer kernel: float32 (4**width,).

    Each is for the pattern at a word's place: the first letter stands for a mean, the others for
    contrasts, at each position. A word with itself has a kernel of 1. `width` is even.
    """
    contrasts = np.count_nonzero(np.indices((4,) * width).reshape(width, -1), axis=0)
    values = [
        math.comb(width - j, k - j) / math.comb(width, k) * 4 ** (width - k) if j <= k else 0
        for j in range(width + 1)
    ]
    roots: Floats = np.sqrt(values)[contrasts].astype(np.float32)
    return roots


def transform(values: Floats) -> Floats:
    """Change the basis from words to patterns, or back: float32 (4**width,).

    Between two transforms, products with the roots of `kernel_roots` multiply by the symmetric root
    of the kernel's matrix.
    """
    size, done = len(_TWO), 1
    while done * size < values.size:  # all but the last two letters, from the first two on
        values = np.matmul(_TWO, values.reshape(done, size, -1))
        done *= size
    transformed: Floats = (values.reshape(-1, size) @ _TWO).ravel()
    return transformed


@dataclass(frozen=True, slots=True)
class _Space:
    """What does not depend on data.

    On the other strand a pattern reads backwards, and its sign is changed where that of an odd
    number of its contrasts is. The two are one weight.
    """

    first: NDArray[np.int64]  # (m,): a pattern that counts, some 118,000
    second: NDArray[np.int64]  # that of the other strand
    signs: Floats  # of the second; 0 where it is the first
    scales: Floats  # of both
    words: NDArray[np.int64]  # (K,): the smaller of each pair of words


@cache
def _space() -> _Space:
    roots = kernel_roots(WIDTH, K)
    patterns = np.flatnonzero(roots)
    other = reverse_complement_numbers(4**WIDTH - 1 - patterns, WIDTH)  # contrasts 1 2 3 are 1 2 3
    bits = patterns.copy()
    for shift in (16, 8, 4, 2, 1):
        bits ^= bits >> shift
    odd = bits & 1 == 1  # of bits, as of contrasts 1 and 2, which change their sign
    alone = patterns == other
    signs = np.where(alone, 0, np.where(odd, -1, 1)).astype(np.float32)
    scales = roots[patterns] * np.where(alone, 2, math.sqrt(2)).astype(np.float32)
    kept = (patterns < other) | (alone & ~odd)
    words = k_mer_columns(WIDTH)[1]
    return _Space(patterns[kept], other[kept], signs[kept], scales[kept], words)


def _scores(weights: NDArray[np.float64]) -> Floats:
    """Score each pair of words by the weights of the patterns; the last is the bias."""
    space, values = _space(), np.zeros(4**WIDTH, np.float32)
    scaled = space.scales * weights[:-1]
    values[space.second] = space.signs * scaled
    values[space.first] = scaled
    return transform(values)[space.words]


def _slopes(by_pair: Floats) -> Floats:
    """Compute the slopes by the weights of the patterns from those by the scores."""
    space, by_word = _space(), np.zeros(4**WIDTH, np.float32)
    by_word[space.words] = by_pair
    slopes = transform(by_word)
    return space.scales * (slopes[space.first] + space.signs * slopes[space.second])


def _descend(
    weights: NDArray[np.float64], counts: csr_array, labels: NDArray[np.bool_], penalty: float
) -> NDArray[np.float64]:
    """Minimise the penalised cross-entropy, beginning with `weights`."""

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits = counts @ _scores(weights) + weights[-1]
        slopes = penalty * (expit(logits) - labels)
        gradient = _slopes(counts.T @ slopes.astype(np.float32)) + weights[:-1]
        entropy = np.logaddexp(0, np.where(labels, -logits, logits)).sum()
        value = penalty * entropy + weights[:-1] @ weights[:-1] / 2
        return float(value), np.append(gradient, slopes.sum())

    options = {"maxiter": _STEPS, "ftol": _TOLERANCE}
    result = minimize(loss, weights, jac=True, method="L-BFGS-B", options=options)
    lowest: NDArray[np.float64] = result.x
    return lowest
