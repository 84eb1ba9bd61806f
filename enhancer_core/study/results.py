"""Compare the results of runs: AUCs, paired differences, means over tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.metrics import roc_curve

from enhancer_core.metrics import CURVE_POINTS, Estimate, auc_difference
from enhancer_core.study.recipe import ReportSection, Run, Search

Result = Mapping[str, Any]  # of one run, as in its result.json
ResultByRun = Mapping[str, Result]

# Of the background against its own shuffles, from k = 4 on (Cohn et al. 2018, Figure 5).
CHANCE_AT_MOST, PAPER_K = 0.55, 4  # AUC
_Z = 1.959964  # of 95 % of a normal distribution


def tests_of(part: ReportSection, runs: Sequence[Run | Search], results: ResultByRun) -> list[str]:
    """List the tests of a section: those that it names, or that its runs have in common."""
    if part.tests:
        return list(part.tests)
    first, *others = (results[run.name]["tests"] for run in runs)
    return [test for test in first if all(test in other for other in others)]


def test_of(part: ReportSection, run: Run | Search, results: ResultByRun) -> str:
    """Return a run's own test: its first, or its first of those that the section names."""
    tests: Mapping[str, object] = results[run.name]["tests"]
    return next(test for test in tests if test in part.tests or not part.tests)


def auc(result: Result, test: str) -> Estimate:
    """Return a run's AUC on a test, with its interval."""
    return Estimate(**result["tests"][test]["auc"])


def difference(one: Result, other: Result, test: str) -> Estimate:
    """Estimate by how much a run's AUC exceeds another's on the same sequences, paired."""
    labels, scores = _labels_and_scores(one, test)
    return auc_difference(labels, scores, _labels_and_scores(other, test)[1])


def mean_auc(result: Result, tests: Sequence[str]) -> Estimate:
    """Average a run's AUC over tests, as `mean` does."""
    return mean([auc(result, test) for test in tests])


def mean_difference(one: Result, other: Result, tests: Sequence[str]) -> Estimate:
    """Average the paired difference of two runs over tests, as `mean` does."""
    return mean([difference(one, other, test) for test in tests])


def mean(estimates: Sequence[Estimate]) -> Estimate:
    """Average estimates of independent tests, their intervals taken as normal."""
    if len(estimates) == 1:
        return estimates[0]
    value = float(np.mean([estimate.value for estimate in estimates]))
    halves = np.array([(estimate.high - estimate.low) / 2 for estimate in estimates])
    half = float(np.sqrt((halves**2).sum())) / len(estimates)
    return Estimate(value, value - half, value + half)


def recommended_k(
    background: Mapping[int, Estimate], positives: Mapping[int, Estimate]
) -> int | None:
    """Choose the smallest k at which positives, but not background, differ from their shuffles.

    The rule: the background's AUC against its own k-shuffles is at most 0.55, the paper's limit,
    and the positives' interval against theirs lies above the background's. So a network that
    distinguishes positives from their k-shuffles uses features that the background lacks. None if
    no k fulfils it.
    """
    for k in sorted(background.keys() & positives.keys()):
        if background[k].value <= CHANCE_AT_MOST and positives[k].low > background[k].high:
            return k
    return None


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> Estimate:
    """Compute Spearman's correlation of n pairs, with a 95 % interval (Fieller et al. 1957)."""
    rho = float(spearmanr(one, other).statistic)
    centre, half = np.arctanh(rho), _Z * np.sqrt(1.06 / (len(one) - 3))
    return Estimate(rho, float(np.tanh(centre - half)), float(np.tanh(centre + half)))


def roc_points(result: Result, test: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Trace the ROC curve of a run's scores: false- and true-positive rates, 200 points each."""
    x, y, _ = roc_curve(*_labels_and_scores(result, test), drop_intermediate=False)
    rates = np.linspace(0, 1, CURVE_POINTS)
    return rates, np.interp(rates, x, y)


def _labels_and_scores(result: Result, test: str) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    positives, negatives = (result["tests"][test][name] for name in ("positives", "negatives"))
    labels = np.repeat([True, False], [len(positives), len(negatives)])
    return labels, np.array([*positives, *negatives], dtype=np.float64)
