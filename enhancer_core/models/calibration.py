"""Platt calibration: log odds scaled and shifted, in the weights of the output layer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from enhancer_core.models.parameters import AnyMember, flatten

M = TypeVar("M", bound=AnyMember)

_SCALES = (1e-3, 1e3)  # above 0, so that no two sequences change places


@dataclass(frozen=True, slots=True)
class Platt:
    """Calibrated log odds are `scale` times the model's plus `shift`, in nats."""

    scale: float
    shift: float


def fit_platt(labels: NDArray[np.bool_], log_odds: NDArray[np.float32]) -> Platt:
    """Fit the scale and shift of log odds by maximum likelihood (Platt 1999, section 2.2).

    `labels`, bool (n,), and `log_odds`, float32 (n,), in nats, are of sequences that the network
    did not learn from.
    """
    odds, targets = log_odds.astype(np.float64), smoothed_targets(labels)

    def loss(terms: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scaled = terms[0] * odds + terms[1]
        wrong = expit(scaled) - targets
        slopes = np.array([(wrong * odds).mean(), wrong.mean()])
        return float((np.logaddexp(0, scaled) - targets * scaled).mean()), slopes

    bounds, options = [_SCALES, (None, None)], {"ftol": 1e-14, "gtol": 1e-9}
    optimum = minimize(
        loss, [1.0, 0.0], jac=True, method="L-BFGS-B", bounds=bounds, options=options
    )
    return Platt(float(optimum.x[0]), float(optimum.x[1]))


def smoothed_targets(labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return Platt's targets of classes, bool (n,): float64 (n,).

    (N+ + 1) / (N+ + 2) for the N+ positives and 1 / (N- + 2) for the N- negatives, so that
    separable classes do not call for infinite odds.
    """
    positives, negatives = labels.sum(), (~labels).sum()
    targets: NDArray[np.float64] = np.where(
        labels, (positives + 1) / (positives + 2), 1 / (negatives + 2)
    )
    return targets


def calibrated(member: M, by: Platt) -> M:
    """Fold a calibration into a network's output layer, or into k-mer weights.

    The mean of several members' log odds is calibrated where each of them is.
    """
    weights = {name: array.astype(np.float64) for name, array in member.weights().items()}
    weights["output.weight"] *= by.scale
    weights["output.bias"] = weights["output.bias"] * by.scale + np.array([-0.5, 0.5]) * by.shift
    return replace(member, parameters=flatten(weights))
