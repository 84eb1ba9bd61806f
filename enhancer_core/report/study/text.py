"""Sentences that state what a study's numbers show, whichever way they fall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from enhancer_core.metrics import Estimate
from enhancer_core.report.text import interval, signed, signed_interval, with_interval
from enhancer_core.study.recipe import ReportSection

K_RULE = (
    "Rule: the smallest k at which the background's AUC against its own shuffles is at most 0.55,"
    " the paper's limit, and the positives' interval against theirs lies above the background's."
)


def text_of(part: ReportSection, *results: str) -> list[str]:
    """Return a section's paragraphs: the question, the paper's finding, and the results."""
    paper = f"The paper: {part.paper}" if part.paper else ""
    return [*filter(None, (part.text, paper, *results))]


def cell(value: Estimate) -> Markup:
    """Format an estimate for a wide table, its interval beneath it."""
    return Markup("{:.3f}<br><small>{}</small>").format(value.value, interval(value))


def change(gain: Estimate) -> str:
    """Format a difference with its interval: `+0.020 (−0.010 to +0.050)`."""
    return f"{signed(gain.value)} ({signed_interval(gain)})"


def versus(name: str, other: str, gain: Estimate) -> str:
    """Compare a run with another, by the difference of their AUCs."""
    verdict = _beside(gain, 0, "better than", "not significantly different from", "worse than")
    return f"{sentence(name)} is {verdict} {other}: {change(gain)}."


def with_control(name: str, base: str, gain: Estimate, control: str, over: Estimate) -> str:
    """State whether a strategy's gain over its base is its own, by its gain over its control."""
    own, unclear = "the strategy itself contributes", "this test does not show that "
    worse = "the control does better, so the strategy itself does not contribute"
    verdict = _beside(over, 0, own, unclear + own, worse)
    return f"{versus(name, base, gain)} Against its control, {control}: {change(over)}; {verdict}."


def strategies(where: str, better: Mapping[str, bool]) -> str:
    """State which strategies did better than all of their controls, on one kind of data."""
    best, others = ([name for name in better if better[name] == did] for did in (True, False))
    names = listed(best) if best else f"none of {listed(others)}"
    exceptions = f", but not {listed(others)}" if best and others else ""
    return f"Significantly better than their controls on {where} data: {names}{exceptions}."


def reached(name: str, value: Estimate, least: float, *, is_change: bool = False) -> str:
    """State whether an AUC, or a change of it, meets the recipe's threshold."""
    verb = "meets" if value.value >= least else "does not meet"
    written = change(value) if is_change else with_interval(value)
    return f"{sentence(name)} {verb} the recipe's threshold of {least:g}: {written}."


def near(name: str, other: str, gain: Estimate, within: float) -> str:
    """State whether one run came as near to another as the recipe asks."""
    verb = "is" if gain.value >= -within else "is not"
    margin = f"within {within:g} of {other}, the recipe's margin"
    return f"{sentence(name)} {verb} {margin}: {change(gain)}."


def beside_paper(name: str, value: Estimate, paper: float) -> str:
    """Compare an AUC with the paper's."""
    gap = value.value - paper
    where = f"{abs(gap):.3f} {'above' if gap > 0 else 'below'} it"
    if value.low <= paper <= value.high:
        where = "the interval contains it"
    return f"{sentence(name)}: {with_interval(value)}; paper {paper:.3g}, {where}."


def k_choice(
    name: str, k: int | None, background: Estimate | None, positives: Estimate | None
) -> str:
    """State which k the rule recommends for positives, and why."""
    if k is None or background is None or positives is None:
        return f"{sentence(name)}: no k tried fulfils the rule."
    return (
        f"{sentence(name)}: k = {k} is recommended; AUC {with_interval(background)} of the"
        f" background, {with_interval(positives)} of the positives."
    )


def k_used(used: int, recommended: Mapping[str, int | None]) -> str:
    """State whether the k that a recipe uses is the recommended one."""
    if set(recommended.values()) == {used}:
        return f"This recipe uses k = {used}, as recommended."
    return f"This recipe uses k = {used}; recommended: {ks_listed(recommended)}."


def ks_listed(recommended: Mapping[str, int | None]) -> str:
    """List the k that is recommended for each data set."""
    return listed([f"{f'k = {k}' if k else 'none'} for {name}" for name, k in recommended.items()])


def beside_chance(name: str, k: int, value: Estimate, most: float) -> str:
    """Compare a background's AUC against its own k-shuffles with the paper's limit."""
    where = _beside(value, most, "above", "not significantly different from", "below")
    return f"'{name}' at k = {k}: {with_interval(value)}, {where} the paper's limit of {most:g}."


def _beside(value: Estimate, limit: float, above: str, unclear: str, below: str) -> str:
    return above if value.low > limit else below if value.high < limit else unclear


def sentence(text: str) -> str:
    """Capitalize the first letter alone: `All but human`."""
    return text[:1].upper() + text[1:]


def listed(names: Sequence[str]) -> str:
    """Join names: `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
