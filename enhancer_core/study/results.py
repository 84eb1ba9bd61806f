"""Compare the results of runs: figures, paired differences, means over tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from enhancer_core.metrics import Estimate, auc_difference

Result = Mapping[str, Any]

# Of the background against its own shuffles, from k = 4 on (Cohn et al. 2018, Figure 5).
CHANCE_AT_MOST, PAPER_K = 0.55, 4  # AUC
_Z = 1.959964  # of 95 % of a normal distribution


def auc(result: Result, test: str) -> Estimate:
    """Give a run's AUC on a test, with its interval."""
    return Estimate(**result["tests"][test]["auc"])


def difference(one: Result, other: Result, test: str) -> Estimate:
    """Give by how much a run's AUC exceeds another's on the same sequences, paired.

    Examples
    --------
    >>> one = {"tests": {"t": {"positives": [4, 3], "negatives": [2, 1]}}}
    >>> other = {"tests": {"t": {"positives": [4, 1], "negatives": [3, 2]}}}
    >>> difference(one, other, "t").value
    0.5
    """
    scores = [
        np.concatenate([each["tests"][test]["positives"], each["tests"][test]["negatives"]])
        for each in (one, other)
    ]
    n = len(one["tests"][test]["positives"])
    return auc_difference(np.arange(len(scores[0])) < n, *scores)


def mean(estimates: Sequence[Estimate]) -> Estimate:
    """Average figures of tests on different sequences; their intervals, taken as normal, add up.

    Examples
    --------
    >>> average = mean([Estimate(0.8, 0.76, 0.84), Estimate(0.6, 0.57, 0.63)])
    >>> round(average.value, 3), round(average.low, 3), round(average.high, 3)
    (0.7, 0.675, 0.725)
    """
    if len(estimates) == 1:
        return estimates[0]
    value = float(np.mean([each.value for each in estimates]))
    halves = np.array([(each.high - each.low) / 2 for each in estimates])
    half = float(np.sqrt((halves**2).sum())) / len(estimates)
    return Estimate(value, value - half, value + half)


def recommended_k(
    background: Mapping[int, Estimate], positives: Mapping[int, Estimate]
) -> int | None:
    """Choose k: the smallest at which chance is left of the background, and not of the positives.

    The rule: the background's AUC against its own k-shuffles is at most 0.55, the paper's limit,
    and the positives' interval against theirs lies above the background's. So a network that tells
    positives from their k-shuffles sees what the background has not.

    Parameters
    ----------
    background, positives
        Test AUC by k.

    Returns
    -------
    int or None
        None where no k will do.

    Examples
    --------
    >>> background = {2: Estimate(0.6, 0.58, 0.62), 3: Estimate(0.54, 0.52, 0.56)}
    >>> positives = {2: Estimate(0.9, 0.88, 0.92), 3: Estimate(0.8, 0.78, 0.82)}
    >>> recommended_k(background, positives)
    3
    """
    for k in sorted(background.keys() & positives.keys()):
        if background[k].value <= CHANCE_AT_MOST and positives[k].low > background[k].high:
            return k
    return None


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> Estimate:
    """Give Spearman's correlation of n pairs, with a 95 % interval (Fieller et al. 1957).

    Examples
    --------
    >>> found = rank_correlation([1, 2, 3, 4, 5], [2, 1, 3, 5, 4])
    >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
    (0.8, -0.317, 0.987)
    """
    rho = float(spearmanr(one, other).statistic)
    centre, half = np.arctanh(rho), _Z * np.sqrt(1.06 / (len(one) - 3))
    return Estimate(rho, float(np.tanh(centre - half)), float(np.tanh(centre + half)))


def roc_points(result: Result, test: str) -> tuple[np.ndarray, np.ndarray]:
    """Trace the ROC curve of a run's scores: false- and true-positive rates, 200 points each."""
    positives = np.array(result["tests"][test]["positives"])
    negatives = np.array(result["tests"][test]["negatives"])
    thresholds = np.concatenate([[np.inf], np.unique(np.concatenate([positives, negatives]))[::-1]])
    x = np.array([np.mean(negatives >= t) for t in thresholds])
    y = np.array([np.mean(positives >= t) for t in thresholds])
    rates = np.linspace(0, 1, 200)
    return rates, np.interp(rates, x, y)
