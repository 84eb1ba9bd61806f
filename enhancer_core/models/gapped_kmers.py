"""The k-mer model with gaps: logistic regression on all gapped k-mers of gkm-SVM.

Ten letters of which six are specified, in each of 210 ways, are 860,160 gapped k-mers, and a
sequence of 500 bp has 100,000 of them. They are not counted here. A linear model of them scores
each word of ten letters, and the words are 4**10. Two words share C(10 - d, 6) gapped k-mers if
they differ in d letters, and a Hadamard transform over letters makes that matrix diagonal: what a
pattern of j letters adds on its own is scaled by C(10 - j, 6 - j). So with the root of the matrix
between words and weights, all is a logistic regression on sparse counts of words, whose every step
takes two transforms of a million numbers: some 0.1 s.

References
----------
Ghandi M., Lee D., Mohammad-Noori M., Beer M. (2014). PLoS Computational Biology 10:e1003711.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.special import expit
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from enhancer_core.data.dataset import SplitDataset
from enhancer_core.dna.codes import Codes
from enhancer_core.dna.kmers import k_mer_numbers, reverse_complement_numbers
from enhancer_core.errors import SequenceError
from enhancer_core.models.kmers import best_by_auc

WIDTH, K = 10, 6  # letters of a word, and letters of these that a gapped k-mer has
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

    scores: Floats  # (4**10,), a word and its reverse complement the same
    bias: float
    penalty: float

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
    return best_by_auc(models, lambda model: check @ model.scores, validation.labels)[0]


def _regressions(counts: csr_array, labels: NDArray[np.bool_]) -> Iterator[GappedBaseline]:
    """Fit for each penalty, beginning with the weights of the one before."""
    weights = np.zeros(4**WIDTH + 1)
    # BLAS sums in another order on other numbers of threads, which would change the last bits.
    with threadpool_limits(1, user_api="blas"):
        for penalty in PENALTIES:
            weights = _descend(weights, counts, labels, penalty)
            yield GappedBaseline(_scores(weights), float(weights[-1]), penalty)


def word_counts(codes: Codes) -> csr_array:
    """Count the words of ten letters of each sequence, divided by the root of the number of places.

    uint8 (n, L >= 10) -> float32 (n, 4**10), words in alphabetical order; those with N do not
    count. Divided so, the gapped k-mers of sequences of any length have a length near 1, if their
    words differ and none has N.

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
    ends = np.concatenate([[0], np.cumsum(known.sum(axis=1))])
    shares = np.full(ends[-1], words.shape[1] ** -0.5, np.float32)
    return csr_array((shares, words[known], ends), shape=(n, 4**WIDTH))


def kernel_roots(width: int, k: int) -> Floats:
    """Compute the roots of the eigenvalues of the gapped k-mer kernel: float32 (4**width,).

    Each is for the pattern at a word's place: the first letter stands for a mean, the others for
    contrasts, at each position. A word with itself has a kernel of 1. `width` is even.
    """
    contrasts = np.count_nonzero(np.indices((4,) * width).reshape(width, -1), axis=0)
    values = [
        comb(width - j, k - j) / comb(width, k) * 4 ** (width - k) if j <= k else 0
        for j in range(width + 1)
    ]
    roots: Floats = np.sqrt(values)[contrasts].astype(np.float32)
    return roots


def smooth(values: Floats, roots: Floats) -> Floats:
    """Multiply values of words, float32 (4**width,), by the symmetric root of the kernel.

    Or by that of any matrix with these eigenvalues; `roots` are those of `kernel_roots`.
    """
    return _transform(roots * _transform(values))


def _transform(values: Floats) -> Floats:
    """Change the basis from words to patterns, or back."""
    size = values.size
    while size > 1:  # two letters in front are done, and put at the end
        values = (_TWO @ values.reshape(len(_TWO), -1)).T
        size //= len(_TWO)
    return values.ravel()


@cache
def _space() -> tuple[Floats, NDArray[np.int64]]:
    """Return what does not depend on data: the kernel's roots, and each word's other strand."""
    return kernel_roots(WIDTH, K), reverse_complement_numbers(np.arange(4**WIDTH), WIDTH)


def _scores(weights: NDArray[np.float64]) -> Floats:
    """Score each word, on both strands, by the weights of the patterns; the last is the bias."""
    roots, other = _space()
    scores = smooth(weights[:-1].astype(np.float32), roots)
    return scores + scores[other]


def _descend(
    weights: NDArray[np.float64], counts: csr_array, labels: NDArray[np.bool_], penalty: float
) -> NDArray[np.float64]:
    """Minimise the penalised cross-entropy, beginning with `weights`."""
    roots, other = _space()

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits = counts @ _scores(weights) + weights[-1]
        slopes = penalty * (expit(logits) - labels)
        by_word = counts.T @ slopes.astype(np.float32)
        gradient = smooth(by_word + by_word[other], roots) + weights[:-1]
        entropy = np.logaddexp(0, np.where(labels, -logits, logits)).sum()
        value = penalty * entropy + weights[:-1] @ weights[:-1] / 2
        return float(value), np.append(gradient, slopes.sum())

    options = {"maxiter": _STEPS, "ftol": _TOLERANCE}
    result = minimize(loss, weights, jac=True, method="L-BFGS-B", options=options)
    lowest: NDArray[np.float64] = result.x
    return lowest
