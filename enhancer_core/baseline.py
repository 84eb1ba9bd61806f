"""The simple model beside which every network is reported: logistic regression on k-mers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from enhancer_core import metrics
from enhancer_core.dna import N_CODE, Codes, decode
from enhancer_core.errors import SequenceError

LONGEST = 8  # 4**8 / 2 features; beyond it the table outgrows memory and the data
PENALTIES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 1e-1)  # inverse strengths (C); validation chooses

_BLOCK = 512  # sequences counted at once: 0.3 GB at k = 8


@dataclass(frozen=True, slots=True)
class Baseline:
    """A fitted model: k, the scale of each k-mer, weights, bias, and the penalty chosen."""

    k: int
    mean: NDArray[np.float32]  # (K,) of the training part
    scale: NDArray[np.float32]  # (K,)
    weights: NDArray[np.float32]  # (K,)
    bias: float
    penalty: float

    def probabilities(self, codes: Codes) -> NDArray[np.float32]:
        """Predict the probability that each sequence is positive: float32 (n,)."""
        scaled = (k_mer_frequencies(codes, self.k) - self.mean) / self.scale
        with threadpool_limits(1, user_api="blas"):  # as in fit
            logits = scaled @ self.weights + self.bias
        probabilities: NDArray[np.float32] = expit(logits.astype(np.float32))
        return probabilities


def fit(
    codes: Codes,
    labels: NDArray[np.bool_],
    validation_codes: Codes,
    validation_labels: NDArray[np.bool_],
    *,
    k: int = 5,
) -> Baseline:
    """Fit on the training part; the penalty with the best validation AUC is kept.

    Parameters
    ----------
    codes, validation_codes
        uint8, shape (n, L) and (m, L).
    labels, validation_labels
        bool, shape (n,) and (m,).
    k
        Length of the k-mers, 1 to 8; a k-mer and its reverse complement are one.

    Raises
    ------
    SequenceError
        If k is not allowed.
    """
    features = k_mer_frequencies(codes, k)
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale == 0] = 1
    features -= mean
    features /= scale
    models = []
    # BLAS sums in another order on other numbers of threads, which would change the last bits.
    with threadpool_limits(1, user_api="blas"):
        for penalty in PENALTIES:
            # lbfgs is deterministic; 1,000 steps are several times what any penalty here needs
            fitted = LogisticRegression(C=penalty, max_iter=1000).fit(features, labels)
            weights = fitted.coef_[0].astype(np.float32)
            models.append(Baseline(k, mean, scale, weights, float(fitted.intercept_[0]), penalty))
    return max(
        models,
        key=lambda model: metrics.roc_auc(validation_labels, model.probabilities(validation_codes)),
    )


def k_mer_frequencies(codes: Codes, k: int) -> NDArray[np.float32]:
    """Count k-mers on both strands, as shares of a sequence's k-mers.

    Parameters
    ----------
    codes
        uint8, shape (n, L), values 0-4; k-mers with N do not count.
    k
        1 to 8, not above L.

    Returns
    -------
    float32, shape (n, K)
        K = 4**k / 2 for odd k, (4**k + 4**(k / 2)) / 2 for even: one column for a k-mer and its
        reverse complement, in the order of the smaller of the two.

    Raises
    ------
    SequenceError
        If k is not allowed.

    Examples
    --------
    >>> from enhancer_core.dna import encode
    >>> k_mer_frequencies(encode(["ACGT"]), 1).tolist()
    [[0.5, 0.5]]
    """
    if not 1 <= k <= min(LONGEST, codes.shape[1]):
        raise SequenceError(
            f"k of {k} is not allowed for k-mers; allowed are 1 to {min(LONGEST, codes.shape[1])}"
        )
    column, kept = _columns(k)
    n_columns = len(kept)
    table = np.empty((len(codes), n_columns), dtype=np.float32)
    for start in range(0, len(codes), _BLOCK):
        block = codes[start : start + _BLOCK]
        n, positions = len(block), block.shape[1] - k + 1
        words = np.zeros((n, positions), dtype=np.int64)
        known = np.ones((n, positions), dtype=bool)
        for offset in range(k):
            letter = block[:, offset : offset + positions]
            words = words * 4 + (letter & 3)
            known &= letter != N_CODE
        cells = column[words] + np.arange(n)[:, np.newaxis] * n_columns
        counts = np.bincount(cells[known], minlength=n * n_columns).reshape(n, n_columns)
        table[start : start + n] = counts / np.maximum(known.sum(axis=1), 1)[:, np.newaxis]
    return table


def k_mer_names(k: int) -> list[str]:
    """Spell the columns of `k_mer_frequencies`.

    Examples
    --------
    >>> k_mer_names(1)
    ['A', 'C']
    """
    _, kept = _columns(k)
    digits = kept[:, np.newaxis] // 4 ** np.arange(k - 1, -1, -1) % 4
    return decode(digits.astype(np.uint8))


def _columns(k: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Map each k-mer, and its reverse complement, to one column; give each column's k-mer."""
    words = np.arange(4**k)
    reverse, rest = np.zeros_like(words), words.copy()
    for _ in range(k):
        reverse = reverse * 4 + 3 - rest % 4
        rest //= 4
    kept, column = np.unique(np.minimum(words, reverse), return_inverse=True)
    return column.astype(np.int64), kept
