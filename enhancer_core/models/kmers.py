"""The simple models beside which networks are reported: logistic regressions on k-mers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from enhancer_core import metrics
from enhancer_core.dna.codes import N_CODE, Codes, decode
from enhancer_core.errors import SequenceError

LONGEST = 8  # 4**8 / 2 features; beyond it the table outgrows memory and the data
# Inverse strengths (C); validation chooses.
PENALTIES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 1e-1)
SPECTRUM_PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0)

Fitted = TypeVar("Fitted", bound="Linear")

_BLOCK = 512  # sequences counted at once: 0.3 GB at k = 8


@dataclass(frozen=True, slots=True)
class Linear:
    """A fitted logistic regression: the scale of each feature, weights, bias, the penalty chosen.

    `auc` is what it was chosen by, on the validation part.
    """

    mean: NDArray[np.float32]  # (K,) of the training part
    scale: NDArray[np.float32]  # (K,)
    weights: NDArray[np.float32]  # (K,)
    bias: float
    penalty: float
    auc: float = math.nan

    def log_odds(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give the log odds of rows of features: float32 (n, K) -> float32 (n,), nats."""
        with threadpool_limits(1, user_api="blas"):  # as in fit
            found = (features - self.mean) / self.scale @ self.weights
        log_odds: NDArray[np.float32] = (found + self.bias).astype(np.float32)
        return log_odds


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline(Linear):
    """A fitted model of k-mers.

    With `unit` a sequence's frequencies are first divided by their length as a vector.
    """

    k: int
    unit: bool = False

    def probabilities(self, codes: Codes) -> NDArray[np.float32]:
        """Predict the probability that each sequence is positive: float32 (n,)."""
        found = k_mer_frequencies(codes, self.k)
        probabilities: NDArray[np.float32] = expit(
            self.log_odds(_unit(found) if self.unit else found)
        )
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
    features, check = (k_mer_frequencies(each, k) for each in (codes, validation_codes))
    found = fit_features(features, labels, check, validation_labels)
    return Baseline(k=k, **{field.name: getattr(found, field.name) for field in fields(found)})


def fit_features(
    features: NDArray[np.float32],
    labels: NDArray[np.bool_],
    validation_features: NDArray[np.float32],
    validation_labels: NDArray[np.bool_],
) -> Linear:
    """Fit on features, each scaled to a variance of 1; validation chooses the penalty.

    Parameters
    ----------
    features, validation_features
        float32, shape (n, K) and (m, K).
    labels, validation_labels
        bool, shape (n,) and (m,).
    """
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale == 0] = 1
    models = [
        Linear(mean, scale, weights, bias, penalty)
        for penalty, weights, bias in _regressions((features - mean) / scale, labels, PENALTIES)
    ]
    return _best(models, validation_features, validation_labels)


def fit_spectrum(
    codes: Codes,
    labels: NDArray[np.bool_],
    validation_codes: Codes,
    validation_labels: NDArray[np.bool_],
    *,
    k: int = 5,
) -> Baseline:
    """Fit on the features of the spectrum kernel: k-mer counts as vectors of length 1.

    Frequent k-mers weigh more than in `fit`, which gives each the same variance. Parameters and
    errors are those of `fit`.

    References
    ----------
    Leslie C., Eskin E., Noble W. (2002). Pacific Symposium on Biocomputing 7:564-575.
    """
    features, check = (_unit(k_mer_frequencies(each, k)) for each in (codes, validation_codes))
    size = features.shape[1]
    zeros, ones = np.zeros(size, np.float32), np.ones(size, np.float32)
    models = [
        Baseline(
            mean=zeros, scale=ones, weights=weights, bias=bias, penalty=penalty, k=k, unit=True
        )
        for penalty, weights, bias in _regressions(features, labels, SPECTRUM_PENALTIES)
    ]
    return _best(models, check, validation_labels)


def _regressions(
    features: NDArray[np.float32], labels: NDArray[np.bool_], penalties: tuple[float, ...]
) -> Iterator[tuple[float, NDArray[np.float32], float]]:
    """Fit a logistic regression for each penalty; give it, the weights (K,) and the bias."""
    # BLAS sums in another order on other numbers of threads, which would change the last bits.
    with threadpool_limits(1, user_api="blas"):
        for penalty in penalties:
            # lbfgs is deterministic; 1,000 steps are several times what any penalty here needs
            fitted = LogisticRegression(C=penalty, max_iter=1000).fit(features, labels)
            yield penalty, fitted.coef_[0].astype(np.float32), float(fitted.intercept_[0])


def _best(models: list[Fitted], features: NDArray[np.float32], labels: NDArray[np.bool_]) -> Fitted:
    judged = [
        replace(each, auc=metrics.roc_auc(labels, each.log_odds(features))) for each in models
    ]
    return max(judged, key=lambda each: each.auc)


def _unit(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Divide rows by their length; one of zeros stays."""
    length: NDArray[np.float32] = np.sqrt(np.square(features).sum(axis=1, keepdims=True))
    length[length == 0] = 1
    return features / length


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
    >>> from enhancer_core.dna.codes import encode
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
    return decode(k_mer_words(k))


def k_mer_words(k: int) -> Codes:
    """Give the k-mers of the columns of `k_mer_frequencies`: uint8 (K, k).

    Examples
    --------
    >>> k_mer_words(1).tolist()
    [[0], [1]]
    """
    _, kept = _columns(k)
    digits = kept[:, np.newaxis] // 4 ** np.arange(k - 1, -1, -1) % 4
    return digits.astype(np.uint8)


def _columns(k: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Map each k-mer, and its reverse complement, to one column; give each column's k-mer."""
    words = np.arange(4**k)
    reverse, rest = np.zeros_like(words), words.copy()
    for _ in range(k):
        reverse = reverse * 4 + 3 - rest % 4
        rest //= 4
    kept, column = np.unique(np.minimum(words, reverse), return_inverse=True)
    return column.astype(np.int64), kept
