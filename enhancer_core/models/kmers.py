"""The simple models beside which networks are reported: logistic regressions on k-mers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from enhancer_core import metrics
from enhancer_core.data.dataset import SplitDataset
from enhancer_core.dna.codes import Codes
from enhancer_core.dna.kmers import k_mer_frequencies

# Inverse strengths (C); validation chooses.
PENALTIES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 1e-1)
SPECTRUM_PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0)

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Linear:
    """A fitted logistic regression on features, each shifted by a mean and scaled."""

    mean: NDArray[np.float32]  # (K,) of the training part
    scale: NDArray[np.float32]  # (K,)
    weights: NDArray[np.float32]  # (K,)
    bias: float
    penalty: float
    auc: float = math.nan  # on the validation part, which chose the penalty

    def log_odds(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the log odds of rows of features: float32 (n, K) -> float32 (n,), nats."""
        with threadpool_limits(1, user_api="blas"):  # as in fit
            products = (features - self.mean) / self.scale @ self.weights
        return (products + self.bias).astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline(Linear):
    """A fitted model of k-mers."""

    k: int
    unit: bool = False  # a sequence's frequencies are first divided by their length as a vector
    # Else they are shares of all places, as a member of a model counts: a padded sequence has less.

    def probabilities(self, codes: Codes) -> NDArray[np.float32]:
        """Predict the probability that each sequence is positive: uint8 (n, L) -> float32 (n,)."""
        features = k_mer_frequencies(codes, self.k, of_all=not self.unit)
        log_odds = self.log_odds(_unit(features) if self.unit else features)
        probabilities: NDArray[np.float32] = expit(log_odds)
        return probabilities


def fit(data: SplitDataset, *, k: int = 5) -> Baseline:
    """Fit on the training part; the penalty with the best validation AUC is kept.

    A k-mer and its reverse complement are one feature. Errors are those of `k_mer_frequencies`.
    """
    train, validation = data.train, data.validation
    features, check = (
        k_mer_frequencies(part.codes, k, of_all=True) for part in (train, validation)
    )
    return Baseline(k=k, **asdict(fit_features(features, train.labels, check, validation.labels)))


def fit_features(
    features: NDArray[np.float32],
    labels: NDArray[np.bool_],
    validation_features: NDArray[np.float32],
    validation_labels: NDArray[np.bool_],
) -> Linear:
    """Fit on features (n, K), each scaled to a variance of 1; validation chooses the penalty."""
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale == 0] = 1
    models = (
        replace(model, mean=mean, scale=scale)
        for model in _regressions((features - mean) / scale, labels, PENALTIES)
    )
    return _best(models, validation_features, validation_labels)


def fit_spectrum(data: SplitDataset, *, k: int = 5) -> Baseline:
    """Fit on the features of the spectrum kernel: k-mer counts as vectors of length 1.

    Frequent k-mers weigh more than in `fit`, where each has the same variance (Leslie, Eskin and
    Noble 2002, Pacific Symposium on Biocomputing 7:564-575).
    """
    train, validation = data.train, data.validation
    features, check = (_unit(k_mer_frequencies(part.codes, k)) for part in (train, validation))
    models = _regressions(features, train.labels, SPECTRUM_PENALTIES)
    return Baseline(k=k, unit=True, **asdict(_best(models, check, validation.labels)))


def _regressions(
    features: NDArray[np.float32], labels: NDArray[np.bool_], penalties: tuple[float, ...]
) -> Iterator[Linear]:
    """Fit a logistic regression to features as they are for each penalty."""
    zeros = np.zeros(features.shape[1], np.float32)
    # BLAS sums in another order on other numbers of threads, which would change the last bits.
    with threadpool_limits(1, user_api="blas"):
        for penalty in penalties:
            # lbfgs is deterministic; 1,000 steps are several times what any penalty here needs
            fitted = LogisticRegression(C=penalty, max_iter=1000).fit(features, labels)
            weights, bias = fitted.coef_[0].astype(np.float32), float(fitted.intercept_[0])
            yield Linear(zeros, zeros + 1, weights, bias, penalty)


def _best(
    models: Iterable[Linear], features: NDArray[np.float32], labels: NDArray[np.bool_]
) -> Linear:
    model, auc = best_by_auc(models, lambda model: model.log_odds(features), labels)
    return replace(model, auc=auc)


def best_by_auc(
    models: Iterable[M], scores: Callable[[M], NDArray[np.float32]], labels: NDArray[np.bool_]
) -> tuple[M, float]:
    """Return the model whose scores of the validation part have the best AUC, and the AUC."""
    aucs = ((model, metrics.roc_auc(labels, scores(model))) for model in models)
    return max(aucs, key=lambda pair: pair[1])


def _unit(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Divide rows by their length; a row of zeros stays as it is."""
    length: NDArray[np.float32] = np.sqrt(np.square(features).sum(axis=1, keepdims=True))
    length[length == 0] = 1
    return features / length
