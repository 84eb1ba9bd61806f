"""Stacking: networks and simple models in one, weighted on the validation part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from enhancer_core.dna.codes import Codes
from enhancer_core.metrics import roc_auc
from enhancer_core.models.calibration import Platt, calibrated, smoothed_targets
from enhancer_core.models.model import Model
from enhancer_core.models.parameters import AnyMember
from enhancer_core.prediction.sequences import log_odds

_RIDGE = 1.0  # inverse variance of the weights about their mean
_LEAST = 0.05  # share of the weights that is worth the time of a part


@dataclass(frozen=True, slots=True)
class Part:
    """What is stacked: networks trained alike, which predict with their mean, or a regression."""

    name: str
    members: Sequence[AnyMember]
    network: bool = False


@dataclass(frozen=True, slots=True)
class EnsemblePart:
    """What became of a part: 0 is the weight of one that was left out."""

    name: str
    members: int
    validation_auc: float  # alone
    weight: float  # its share of the sum of all, in units of its spread within the classes


def stack(
    parts: Sequence[Part], codes: Codes, labels: NDArray[np.bool_], *, threads: int = 1
) -> tuple[list[AnyMember], list[EnsemblePart]]:
    """Weight the parts' log odds by logistic regression, without negative weights (Breiman 1996).

    Their log odds are in units of their standard deviation within the classes. A ridge draws the
    weights to their mean, so that few sequences leave parts alike. Parts no better than chance, and
    those whose weight is less than a twentieth of all, do not help the others: they are left out,
    and the rest is fitted again. The targets are Platt's, so the sum is calibrated. The best
    network stays, with a weight of 0 if need be, since its filters are read as motifs.

    Parameters
    ----------
    parts
        At least one.
    codes, labels
        Sequences, uint8 (n, L), and classes, bool (n,), that no part was trained on.
    threads
        As in `log_odds`.

    Returns
    -------
    tuple of list of AnyMember and list of EnsemblePart
        The members of the parts that are kept, scaled so that the mean of their log odds is the
        weighted sum; networks first, the part of the largest weight first. And each part's weight.
    """
    odds = [
        log_odds(Model(tuple(part.members)).predictor(), codes, threads=threads).astype(np.float64)
        for part in parts
    ]
    spreads = np.array([_spread(each, labels) for each in odds])
    aucs = [roc_auc(labels, each) for each in odds]
    telling = np.array(aucs) > 0.5
    telling |= not telling.any()
    features = np.stack(odds, axis=1) / spreads
    while True:
        weights = np.zeros(len(parts))
        weights[telling], bias = _fit(features[:, telling], labels)
        shares = weights / weights.sum()
        little = telling & (shares < _LEAST)
        if not little.any():
            break
        telling &= ~little
    described = [
        EnsemblePart(part.name, len(part.members), auc, float(share))
        for part, auc, share in zip(parts, aucs, shares, strict=True)
    ]
    kept = np.flatnonzero(weights).tolist()
    networks = [index for index, part in enumerate(parts) if part.network]
    if networks and not set(networks) & set(kept):
        kept.append(max(networks, key=aucs.__getitem__))
    kept.sort(key=lambda index: (not parts[index].network, -shares[index]))
    count = sum(len(parts[index].members) for index in kept)
    members = [
        calibrated(
            member, Platt(float(weights[i] / spreads[i]) * count / len(parts[i].members), bias)
        )
        for i in kept
        for member in parts[i].members
    ]
    return members, described


def _spread(odds: NDArray[np.float64], labels: NDArray[np.bool_]) -> float:
    """Return the standard deviation within the classes; 1 if there is none."""
    variance = float(odds[labels].var() + odds[~labels].var()) / 2
    return variance**0.5 if variance > 0 else 1.0


def _fit(
    features: NDArray[np.float64], labels: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], float]:
    """Fit weights from 0 up and a bias: those of `stack`."""
    n, count = features.shape
    targets = smoothed_targets(labels)
    centre = features.mean(axis=0)
    centred = features - centre

    def loss(terms: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights, sums = terms[:-1], centred @ terms[:-1] + terms[-1]
        wrong, apart = expit(sums) - targets, weights - weights.mean()
        entropy = (np.logaddexp(0, sums) - targets * sums).sum()
        slopes = np.append(wrong @ centred + _RIDGE * apart, wrong.sum())
        return float(entropy + _RIDGE * (apart @ apart) / 2) / n, slopes / n

    first = np.append(np.full(count, 1 / count), 0.0)
    bounds = [(0.0, None)] * count + [(None, None)]
    options = {"ftol": 1e-13, "gtol": 1e-9, "maxiter": 1000}
    optimum = minimize(loss, first, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    weights = optimum[:-1]
    if not weights.any():  # no part is better than chance
        weights = np.full(count, 1e-3 / count)
    return weights, float(optimum[-1] - weights @ centre)
