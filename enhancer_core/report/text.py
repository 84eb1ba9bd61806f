"""Sentences on what a report's numbers show, and no more than they show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from enhancer_core.metrics import THRESHOLD, Estimate, Labels
from enhancer_core.training.ensemble import EnsemblePart
from enhancer_core.training.evaluation import Evaluation
from enhancer_core.training.experiment import SplitBy
from enhancer_core.training.restart import Restart

_PREVALENCE = 0.01  # an enhancer every 100 windows: the order of what a genome holds
_FLATTER = "and inflate every figure."
_HOMOLOGY: Mapping[SplitBy, str] = {
    "links": "Homology was not controlled. Identical sequences are in one part of the split only,"
    f" but similar ones may be in several, {_FLATTER}",
    "groups": "The groups given were kept whole in the split. Relatives in different groups may"
    f" still be in several parts, {_FLATTER}",
    "table": "The split was given as a table; whether it keeps relatives in one part is not known"
    " here. Identical sequences are in one part only, but similar ones may be in several,"
    f" {_FLATTER}",
}


def with_interval(estimate: Estimate) -> str:
    """Write a figure between 0 and 1 with its interval: `0.802 (0.780–0.825)`."""
    return f"{estimate.value:.3f} ({interval(estimate)})"


def interval(estimate: Estimate) -> str:
    """Write the interval of a figure between 0 and 1: `0.780–0.825`."""
    return f"{estimate.low:.3f}–{estimate.high:.3f}"  # a range takes an en dash


def signed(value: float, form: str = "+.3f") -> str:
    """Write a difference with its sign: `+0.027`; `−0.004` has a true minus."""
    return format(value, form).replace("-", "−")


def signed_interval(difference: Estimate) -> str:
    """Write the interval of a difference: `−0.004 to +0.016`."""
    return f"{signed(difference.low)} to {signed(difference.high)}"


def headline(network: Evaluation, baseline: Evaluation, difference: Estimate) -> str:
    """Write the network's test AUC, and whether it beats the baseline."""
    n = network.test.n_positive + network.test.n_negative
    reached = (
        f"On {n:,} test sequences the network separates positives from negatives with an AUC of"
        f" {network.test.auc.value:.3f} ({100 * network.test.confidence:g} % interval"
        f" {interval(network.test.auc)}); the {baseline.name} reaches"
        f" {with_interval(baseline.test.auc)}."
    )
    if network.test.auc.low <= 0.5:
        return f"{reached} The network's interval includes 0.5: it may be no better than chance."
    return f"{reached} {verdict(difference)}"


def verdict(difference: Estimate) -> str:
    """Write whether the network is better than the baseline, worse, or neither for certain."""
    if difference.low <= 0 <= difference.high:
        return (
            f"The difference, {signed(difference.value)} ({signed_interval(difference)}), may be"
            " due to chance: this test does not separate the two models."
        )
    better = difference.value > 0
    return (
        f"On the same sequences the network is {'better' if better else 'worse'} by"
        f" {abs(difference.value):.3f} ({signed_interval(difference)})."
    )


def training(restarts: Sequence[Restart], *, kept: Sequence[int]) -> str:
    """Write how the restarts did and which were selected; the best of those comes first."""
    best = restarts[kept[0]]
    epoch = best.checkpoints[best.kept].epoch
    after = f"{epoch:g} epoch{'' if epoch == 1 else 's'}"
    reached = f"a validation AUC of {best.auc:.3f} after {after}"
    if len(restarts) == 1:
        return f"The one restart reached {reached}; that state is the network of this report."
    aucs = [restart.auc for restart in restarts]
    spread = (
        f"{len(restarts)} restarts reached validation AUCs from {min(aucs):.3f} to {max(aucs):.3f}"
        f" (median {np.median(aucs):.3f})."
    )
    if len(kept) == 1:
        return (
            f"{spread} Restart {best.index + 1} was the best: it reached {reached}, and that state"
            " is the network of this report."
        )
    *others, last = (str(restarts[place].index + 1) for place in kept)
    return (
        f"{spread} The network of this report is the mean log odds of the {len(kept)} best,"
        f" restarts {', '.join(others)} and {last}. The best alone reached {reached}."
    )


def ensemble(parts: Sequence[EnsemblePart]) -> str:
    """Write what an ensemble of several kinds is made of."""
    *others, last = (f"{part.name} ({part.validation_auc:.3f})" for part in parts)
    return (
        f"Evaluated here is an ensemble of {', '.join(others)} and {last}; in brackets is"
        " the validation AUC of each. The simple models are written as networks. Each is weighted"
        " by how far apart its log odds set the classes of the validation part."
    )


def composition(aucs: Mapping[str, Estimate], network_auc: Estimate) -> str:
    """Answer whether composition alone separates positives from negatives."""
    name, best = max(aucs.items(), key=lambda item: item[1].value)
    question = "Does composition alone separate them?"
    reached = f"the best model of it, {name}, has an AUC of {with_interval(best)}"
    if best.low <= 0.5:
        return f"{question} Not that this test can tell: {reached}, which includes 0.5."
    against = f"{reached} against the network's {with_interval(network_auc)}"
    if best.low > network_auc.high:
        return f"{question} Yes, better than the network: {against}."
    if best.high >= network_auc.low:
        return f"{question} Perhaps as well as the network: {against}; the intervals overlap."
    share = (best.value - 0.5) / (network_auc.value - 0.5)
    return f"{question} In part: {against}, which is {100 * share:.0f} % of the way from chance."


def calls(labels: Labels, probabilities: NDArray[np.floating]) -> str:
    """Write how many of each class are called positive at a probability of 0.5."""
    sensitivity, false_positive_rate = _call_rates(labels, probabilities)
    return (
        f"At a probability of 0.5 or more the network calls {100 * sensitivity:.1f} % of the"
        f" positives and {100 * false_positive_rate:.1f} % of the negatives."
    )


def limits(labels: Labels, probabilities: NDArray[np.floating], *, split_by: SplitBy) -> list[str]:
    """Write what a test like this one leaves open."""
    sensitivity, false_positive_rate = _call_rates(labels, probabilities)
    n_negative = int((~labels).sum())
    at_most = false_positive_rate or 3 / n_negative  # rule of three: the 95 % bound at 0 of n
    right = sensitivity * _PREVALENCE
    precision = right / (right + at_most * (1 - _PREVALENCE))
    rare = (
        f"Precision here is not precision in a genome. {100 * labels.mean():.0f} % of the test part"
        f" are positives; were it {100 * _PREVALENCE:g} in 100, "
    )
    rare += (
        f"{100 * precision:.1f} % of the network's calls at 0.5 would be right."
        if false_positive_rate
        else f"no more than {100 * precision:.1f} % of calls at 0.5 could be vouched for, though"
        f" none of {n_negative:,} negatives was called here."
    )
    return [
        rare,
        _HOMOLOGY[split_by],
        "The validation figures are optimistic: they selected the epoch and the restart. The test"
        " part selected nothing.",
        "Intervals cover which sequences were tested by chance. They do not cover the chance in"
        " training, nor another tissue, species or choice of negatives.",
    ]


def _call_rates(labels: Labels, probabilities: NDArray[np.floating]) -> tuple[float, float]:
    """Return the shares of positives and of negatives called positive."""
    called = probabilities >= THRESHOLD
    return float(called[labels].mean()), float(called[~labels].mean())
