"""Say in words what a report's numbers show, and no more than they show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from enhancer_core.metrics import THRESHOLD, Estimate, Labels
from enhancer_core.report.content import ModelResult, Restart, SplitBy

_PREVALENCE = 0.01  # an enhancer every 100 windows: the order of what a genome holds
_HOMOLOGY: Mapping[SplitBy, str] = {
    "links": "Homology was not controlled. Identical sequences stand in one part of the split only,"
    " but similar ones may stand in several, and flatter every figure.",
    "groups": "The groups given were kept whole in the split. Relatives in different groups may"
    " still stand in several parts, and flatter every figure.",
    "table": "The split was given as a table; whether it keeps relatives in one part is not known"
    " here. Identical sequences stand in one part only, but similar ones may stand in several, and"
    " flatter every figure.",
}


def with_interval(estimate: Estimate) -> str:
    """Write a figure between 0 and 1 with its interval: `0.802 (0.780–0.825)`."""
    return f"{estimate.value:.3f} ({interval(estimate)})"


def interval(estimate: Estimate) -> str:
    """Write the interval of a figure between 0 and 1: `0.780–0.825`."""
    return f"{estimate.low:.3f}–{estimate.high:.3f}"  # a range takes an en dash


def signed(value: float) -> str:
    """Write a difference with its sign: `+0.027`; `−0.004` has a true minus."""
    return f"{value:+.3f}".replace("-", "−")


def signed_interval(difference: Estimate) -> str:
    """Write the interval of a difference: `−0.004 to +0.016`."""
    return f"{signed(difference.low)} to {signed(difference.high)}"


def headline(network: ModelResult, baseline: ModelResult, difference: Estimate) -> str:
    """Say what the network reached on the test part, and whether it beats the baseline."""
    n = network.test.n_positive + network.test.n_negative
    reached = (
        f"On {n:,} test sequences the network tells positives from negatives with an AUC of"
        f" {network.test.auc.value:.3f} ({100 * network.test.confidence:g} % interval"
        f" {interval(network.test.auc)}); the {baseline.name} reaches"
        f" {with_interval(baseline.test.auc)}."
    )
    if network.test.auc.low <= 0.5:
        return f"{reached} The network's interval includes 0.5: it may do no better than guessing."
    return f"{reached} {verdict(difference)}"


def verdict(difference: Estimate) -> str:
    """Say whether the network is better than the baseline, worse, or neither for certain."""
    if difference.low <= 0 <= difference.high:
        return (
            f"The difference, {signed(difference.value)} ({signed_interval(difference)}), may be"
            " chance: this test does not tell the two apart."
        )
    better = difference.value > 0
    return (
        f"On the same sequences the network is {'better' if better else 'worse'} by"
        f" {abs(difference.value):.3f} ({signed_interval(difference)})."
    )


def training(restarts: Sequence[Restart], *, kept: Sequence[int]) -> str:
    """Say how far the restarts came, and which were kept; the best of those comes first."""
    best = restarts[kept[0]]
    epochs = f"{best.epochs[best.kept]:g}"
    reached = f"a validation AUC of {best.validation_aucs[best.kept]:.3f} after {epochs} epochs"
    if len(restarts) == 1:
        return f"The one restart reached {reached}; that state is the network of this report."
    aucs = [each.validation_aucs[each.kept] for each in restarts]
    spread = (
        f"{len(restarts)} restarts reached validation AUCs from {min(aucs):.3f} to {max(aucs):.3f},"
        f" half of them {np.median(aucs):.3f} or more."
    )
    if len(kept) == 1:
        return (
            f"{spread} Restart {kept[0] + 1} was kept: it reached {reached}, and that state is the"
            " network of this report."
        )
    *others, last = (str(index + 1) for index in kept)
    return (
        f"{spread} The {len(kept)} best, restarts {', '.join(others)} and {last}, were kept, and"
        f" the network of this report is their mean log odds. The best alone reached {reached}."
    )


def ensemble(parts: Sequence[tuple[str, float]]) -> str:
    """Say what an ensemble of several kinds is made of; each part has a validation AUC."""
    *others, last = (f"{name} ({auc:.3f})" for name, auc in parts)
    return (
        f"Simple models, written as networks, predict with them. What is judged here is"
        f" {', '.join(others)} and {last} together; in brackets is the validation AUC of each. Each"
        " counts for how far apart its log odds set the classes of the validation part."
    )


def composition(aucs: Mapping[str, Estimate], network_auc: Estimate) -> str:
    """Answer whether composition alone separates positives from negatives."""
    name, best = max(aucs.items(), key=lambda item: item[1].value)
    question = "Does composition alone separate them?"
    reached = f"the best measure of it, {name}, has an AUC of {with_interval(best)}"
    if best.low <= 0.5:
        return f"{question} Not that this test can tell: {reached}, which includes 0.5."
    against = f"{reached} against the network's {with_interval(network_auc)}"
    if best.low > network_auc.high:
        return f"{question} Yes, better than the network: {against}."
    if best.high >= network_auc.low:
        return f"{question} Perhaps as well as the network: {against}; the intervals overlap."
    share = (best.value - 0.5) / (network_auc.value - 0.5)
    return f"{question} In part: {against}, which is {100 * share:.0f} % of the way from chance."


def calls(labels: Labels, probabilities: NDArray[np.float64]) -> str:
    """Say how many of each class are called positive at a probability of 0.5."""
    found, wrong = _called(labels, probabilities)
    return (
        f"At a probability of 0.5 or more the network calls {100 * found:.1f} % of the positives"
        f" and {100 * wrong:.1f} % of the negatives."
    )


def limits(labels: Labels, probabilities: NDArray[np.float64], *, split_by: SplitBy) -> list[str]:
    """Say what a test like this one leaves open."""
    found, wrong = _called(labels, probabilities)
    n_negative = int((~labels).sum())
    wrong_at_most = wrong or 3 / n_negative  # the rule of three: 95 % sure of it after 0 of n
    right = found * _PREVALENCE
    precise = right / (right + wrong_at_most * (1 - _PREVALENCE))
    rare = (
        f"Precision here is not precision in a genome. {100 * labels.mean():.0f} % of the test part"
        f" are positives; were it {100 * _PREVALENCE:g} in 100, "
    )
    rare += (
        f"{100 * precise:.1f} % of the network's calls at 0.5 would be right."
        if wrong
        else f"no more than {100 * precise:.1f} % of calls at 0.5 could be vouched for, though none"
        f" of {n_negative:,} negatives was called here."
    )
    return [
        rare,
        _HOMOLOGY[split_by],
        "The validation figures are optimistic: they chose the epoch and the restart. The test part"
        " chose nothing.",
        "Intervals cover the luck of which sequences were tested. They do not cover the luck of"
        " training, nor another tissue, species or way of choosing negatives.",
    ]


def _called(labels: Labels, probabilities: NDArray[np.float64]) -> tuple[float, float]:
    """Return the shares of positives and of negatives called positive."""
    called = probabilities >= THRESHOLD
    return float(called[labels].mean()), float(called[~labels].mean())
