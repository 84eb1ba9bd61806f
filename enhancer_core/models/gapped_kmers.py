"""The k-mer model with gaps: logistic regression on all gapped k-mers of gkm-SVM.

Ten letters of which six are looked at, in each of 210 ways, are 860,160 gapped k-mers, and a
sequence of 500 bp has 100,000 of them. They are not counted here. A linear model of them gives
each word of ten letters a score, and the words are 4**10. Two words share C(10 - d, 6) gapped
k-mers if they differ in d letters, and a Hadamard transform over letters makes that matrix
diagonal: what a pattern of j letters adds on its own is scaled by C(10 - j, 6 - j). So with the
root of the matrix between words and weights, all is a logistic regression on sparse counts of
words, whose every step takes two transforms of a million numbers: some 0.1 s.

References
----------
Ghandi M., Lee D., Mohammad-Noori M., Beer M. (2014). PLoS Computational Biology 10:e1003711.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.special import expit
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from enhancer_core import metrics
from enhancer_core.dna.codes import N_CODE, Codes
from enhancer_core.errors import SequenceError

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
        """Predict the probability that each sequence is positive: float32 (n,)."""
        found: Floats = expit((word_counts(codes) @ self.scores + self.bias).astype(np.float32))
        return found


def fit(
    codes: Codes,
    labels: NDArray[np.bool_],
    validation_codes: Codes,
    validation_labels: NDArray[np.bool_],
) -> GappedBaseline:
    """Fit on the training part; the penalty with the best validation AUC is kept.

    Parameters
    ----------
    codes, validation_codes
        uint8, shape (n, L) and (m, L), L >= 10.
    labels, validation_labels
        bool, shape (n,) and (m,).

    Raises
    ------
    SequenceError
        If sequences are too short.
    """
    counts, check = word_counts(codes), word_counts(validation_codes)
    weights = np.zeros(4**WIDTH + 1)
    models = []
    # BLAS sums in another order on other numbers of threads, which would change the last bits.
    with threadpool_limits(1, user_api="blas"):
        for penalty in PENALTIES:
            weights = _descend(weights, counts, labels, penalty)
            models.append(GappedBaseline(_scores(weights), float(weights[-1]), penalty))
    return max(models, key=lambda model: metrics.roc_auc(validation_labels, check @ model.scores))


def word_counts(codes: Codes) -> csr_array:
    """Count the words of ten letters of each sequence, over the root of their number.

    Parameters
    ----------
    codes
        uint8, shape (n, L), values 0-4, L >= 10; words with N do not count.

    Returns
    -------
    csr_array of float32, shape (n, 4**10)
        Words in alphabetical order. Divided so, sequences of any length have gapped k-mers of a
        length near 1, if their words differ.

    Raises
    ------
    SequenceError
        If sequences are too short.

    Examples
    --------
    >>> from enhancer_core.dna.codes import encode
    >>> counts = word_counts(encode(["AAAAAAAAAAAAAC", "NNNNAAAAAAAAAC"]))
    >>> (counts[:, :2].toarray().astype(float) ** 2).round(3).tolist()  # A x 10: 4 of 5 words
    [[3.2, 0.2], [0.0, 1.0]]
    """
    n, length = codes.shape
    if length < WIDTH:
        raise SequenceError(
            f"sequences of {length} bp are too short for gapped k-mers; allowed are {WIDTH} or more"
        )
    places = length - WIDTH + 1
    words = np.zeros((n, places), dtype=np.int32)
    known = np.ones((n, places), dtype=bool)
    for offset in range(WIDTH):
        letter = codes[:, offset : offset + places]
        words = words * 4 + (letter & 3)
        known &= letter != N_CODE
    sizes = known.sum(axis=1)
    shares = np.repeat(np.maximum(sizes, 1) ** -0.5, sizes).astype(np.float32)
    ends = np.concatenate([[0], np.cumsum(sizes)])
    return csr_array((shares, words[known], ends), shape=(n, 4**WIDTH))


def kernel_roots(width: int, k: int) -> Floats:
    """Give the roots of the eigenvalues of the gapped k-mer kernel, word by word.

    Parameters
    ----------
    width
        Letters of a word, even.
    k
        Letters of a gapped k-mer, 1 to `width`.

    Returns
    -------
    float32, shape (4**width,)
        For the pattern at a word's place: the first letter stands for a mean, the others for
        contrasts, at each position. A word with itself has a kernel of 1.
    """
    contrasts = np.count_nonzero(np.indices((4,) * width).reshape(width, -1), axis=0)
    values = [
        comb(width - j, k - j) / comb(width, k) * 4 ** (width - k) if j <= k else 0
        for j in range(width + 1)
    ]
    roots: Floats = np.sqrt(values)[contrasts].astype(np.float32)
    return roots


def smoothed(values: Floats, roots: Floats) -> Floats:
    """Multiply by the symmetric root of the kernel, or of any matrix of these eigenvalues.

    Parameters
    ----------
    values
        float32, shape (4**width,), for an even width: one number a word.
    roots
        As `kernel_roots` gives.

    Returns
    -------
    float32, shape (4**width,)
    """
    return _transformed(roots * _transformed(values))


def _transformed(values: Floats) -> Floats:
    """Write in terms of patterns what is in terms of words, or the other way round."""
    size = values.size
    while size > 1:  # two letters in front are done, and put at the end
        values = (_TWO @ values.reshape(len(_TWO), -1)).T
        size //= len(_TWO)
    return values.ravel()


@cache
def _space() -> tuple[Floats, NDArray[np.int64]]:
    """Give what does not depend on data: the kernel's roots, and each word's other strand."""
    words = np.arange(4**WIDTH).reshape((4,) * WIDTH)
    return kernel_roots(WIDTH, K), np.flip(words).transpose().ravel()


def _scores(weights: NDArray[np.float64]) -> Floats:
    """Score each word, on both strands, by the weights of the patterns; the last is the bias."""
    roots, other = _space()
    scores = smoothed(weights[:-1].astype(np.float32), roots)
    return scores + scores[other]


def _descend(
    weights: NDArray[np.float64], counts: csr_array, labels: NDArray[np.bool_], penalty: float
) -> NDArray[np.float64]:
    """Minimise penalised cross-entropy, from some weights on."""
    roots, other = _space()

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits = counts @ _scores(weights) + weights[-1]
        slopes = penalty * (expit(logits) - labels)
        by_word = counts.T @ slopes.astype(np.float32)
        gradient = smoothed(by_word + by_word[other], roots) + weights[:-1]
        entropy = np.logaddexp(0, np.where(labels, -logits, logits)).sum()
        value = penalty * entropy + weights[:-1] @ weights[:-1] / 2
        return float(value), np.append(gradient, slopes.sum())

    options = {"maxiter": _STEPS, "ftol": _TOLERANCE}
    found = minimize(loss, weights, jac=True, method="L-BFGS-B", options=options)
    lowest: NDArray[np.float64] = found.x
    return lowest
