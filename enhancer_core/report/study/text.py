"""Say in words what a study's numbers show, whichever way they fall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from enhancer_core.metrics import Estimate
from enhancer_core.report.text import signed, signed_interval, with_interval


def versus(name: str, other: str, gain: Estimate) -> str:
    """Say how one run did beside another.

    Examples
    --------
    >>> versus("planted", "base", Estimate(0.02, 0.01, 0.03))
    'Planted is better than base by 0.020 (+0.010 to +0.030).'
    >>> versus("planted", "base", Estimate(0.02, -0.01, 0.05))
    'Planted against base: +0.020 (−0.010 to +0.050), which may be chance.'
    """
    name = sentence(name)
    if gain.low <= 0 <= gain.high:
        return (
            f"{name} against {other}: {signed(gain.value)} ({signed_interval(gain)}), which may be"
            " chance."
        )
    side = "better" if gain.value > 0 else "worse"
    return f"{name} is {side} than {other} by {abs(gain.value):.3f} ({signed_interval(gain)})."


def with_control(name: str, base: str, gain: Estimate, control: str, over: Estimate) -> str:
    """Say whether a strategy's gain is its own, or its control's too.

    Parameters
    ----------
    name, base, control
        The strategy, what it was to improve, and its control.
    gain, over
        The strategy less the base, and less the control, paired.
    """
    said = versus(name, base, gain)
    beside = f"Beside its control, {control}: {signed(over.value)} ({signed_interval(over)})"
    if over.low > 0:
        return f"{said} {beside}; the strategy itself adds something."
    if over.high < 0:
        return f"{said} {beside}; the control does better, so the strategy itself adds nothing."
    return f"{said} {beside}; so this test does not show that the strategy itself adds anything."


def strategies(where: str, better: Mapping[str, bool]) -> str:
    """Say which strategies did better than all of their controls, on one kind of data.

    Examples
    --------
    >>> strategies("real", {"copies": False, "planting": False})
    'On real data none of 2 strategies did better than their controls beyond chance: copies and \
planting did not.'
    >>> strategies("simulated", {"pooling": True, "copies": False})
    'On simulated data 1 of 2 strategies did better than their controls beyond chance: pooling \
did, copies did not.'
    >>> strategies("simulated", {"pooling": True})
    'On simulated data the one strategy, pooling, did better than its controls beyond chance.'
    """
    if len(better) == 1:
        ((name, did),) = better.items()
        verb = "did better" if did else "did no better"
        return f"On {where} data the one strategy, {name}, {verb} than its controls beyond chance."
    best = [name for name, did in better.items() if did]
    others = [name for name, did in better.items() if not did]
    told = [f"{listed(best)} did"] if best else []
    told += [f"{listed(others)} did not"] if others else []
    return (
        f"On {where} data {len(best) or 'none'} of {len(better)} strategies did better than their"
        f" controls beyond chance: {', '.join(told)}."
    )


def reached(name: str, value: Estimate, least: float) -> str:
    """Say whether a figure that was to be reached was."""
    verb = "reaches" if value.value >= least else "does not reach"
    return (
        f"{sentence(name)} {verb} the bar of {least:g} set in the recipe: {with_interval(value)}."
    )


def near(name: str, other: str, gain: Estimate, within: float) -> str:
    """Say whether one run came as near to another as the recipe wants it.

    Examples
    --------
    >>> near("network", "the oracle", Estimate(-0.01, -0.014, -0.006), 0.015)
    'Network is within 0.015 of the oracle, the bar set in the recipe: −0.010 (−0.014 to \
−0.006).'
    """
    verb = "is" if gain.value >= -within else "is not"
    told = f"{signed(gain.value)} ({signed_interval(gain)})"
    return (
        f"{sentence(name)} {verb} within {within:g} of {other}, the bar set in the recipe: {told}."
    )


def gain_reached(name: str, gain: Estimate, least: float) -> str:
    """Say whether a gain that was to be reached was."""
    verb = "reaches" if gain.value >= least else "does not reach"
    told = f"{signed(gain.value)} ({signed_interval(gain)})"
    return f"The gain of '{name}' {verb} the bar of {least:g} set in the recipe: {told}."


def beside_paper(name: str, value: Estimate, paper: float) -> str:
    """Set a figure beside the paper's."""
    gap = value.value - paper
    if value.low <= paper <= value.high:
        where = "the paper's lies inside the interval"
    else:
        where = f"{abs(gap):.3f} {'above' if gap > 0 else 'below'} the paper's"
    return f"{sentence(name)}: {with_interval(value)}; paper {paper:.3g}; {where}."


K_RULE = (
    "The rule: the smallest k at which the background's AUC against its own shuffles is at most"
    " 0.55, the paper's limit, while the positives' interval against theirs lies above the"
    " background's."
)


def k_choice(
    name: str, k: int | None, background: Estimate | None, positives: Estimate | None
) -> str:
    """Say which k the rule recommends for positives, and why.

    Examples
    --------
    >>> k_choice("peaks", None, None, None)
    'Peaks: no k of those tried fulfils the rule.'
    """
    if k is None or background is None or positives is None:
        return f"{sentence(name)}: no k of those tried fulfils the rule."
    return (
        f"{sentence(name)}: k = {k} is recommended, where the background has"
        f" {with_interval(background)} and they have {with_interval(positives)}."
    )


def k_used(used: int, recommended: Mapping[str, int | None]) -> str:
    """Say whether the k that a recipe goes on with is the one that came out.

    Examples
    --------
    >>> k_used(3, {"peaks": 3, "others": 3})
    'This recipe goes on with k = 3, as recommended.'
    >>> k_used(3, {"peaks": 4, "others": None})
    'This recipe goes on with k = 3; recommended are k = 4 for peaks and none for others.'
    """
    if set(recommended.values()) == {used}:
        return f"This recipe goes on with k = {used}, as recommended."
    told = [f"{f'k = {k}' if k else 'none'} for {name}" for name, k in recommended.items()]
    verb = "are" if len(told) > 1 else "is"
    return f"This recipe goes on with k = {used}; recommended {verb} {listed(told)}."


def by_other_background(name: str, recommended: Mapping[str, int | None]) -> str:
    """Say which k the rule would recommend by another background.

    Examples
    --------
    >>> by_other_background("repeats", {"peaks": 5, "others": None})
    "Were 'repeats' the background, the rule would recommend k = 5 for peaks and no k for others."
    """
    told = [f"{f'k = {k}' if k else 'no k'} for {other}" for other, k in recommended.items()]
    return f"Were '{name}' the background, the rule would recommend {listed(told)}."


def beside_chance(name: str, k: int, value: Estimate, most: float) -> str:
    """Say whether a background is as near to chance against its own k-shuffles as the paper's.

    Examples
    --------
    >>> beside_chance("repeats", 4, Estimate(0.8, 0.78, 0.82), 0.55)
    "'repeats' at k = 4: 0.800 (0.780–0.820), above the paper's 0.55: told from its shuffles."
    >>> beside_chance("dna", 4, Estimate(0.56, 0.54, 0.58), 0.55)
    "'dna' at k = 4: 0.560 (0.540–0.580), which does not tell it from the paper's 0.55."
    >>> beside_chance("dna", 4, Estimate(0.51, 0.49, 0.53), 0.55)
    "'dna' at k = 4: 0.510 (0.490–0.530), below 0.55, as the paper found."
    """
    told = f"'{name}' at k = {k}: {with_interval(value)}"
    if value.low > most:
        return f"{told}, above the paper's {most:g}: told from its shuffles."
    if value.high < most:
        return f"{told}, below {most:g}, as the paper found."
    return f"{told}, which does not tell it from the paper's {most:g}."


def rank_kept(number: int, n: int, rho: Estimate) -> str:
    """Say whether a round of a search ranked its candidates as the next round did.

    Examples
    --------
    >>> rank_kept(1, 384, Estimate(0.05, -0.05, 0.15))
    'Rounds 1 and 2 rank the 384 mixes of both alike by no more than chance: +0.050 (−0.050 to \
+0.150).'
    """
    told = f"{signed(rho.value)} ({signed_interval(rho)})"
    verb = "alike" if rho.low > 0 else "alike by no more than chance"
    verb = "the other way round" if rho.high < 0 else verb
    return f"Rounds {number} and {number + 1} rank the {n:,} mixes of both {verb}: {told}."


def sentence(text: str) -> str:
    """Begin with a capital.

    Examples
    --------
    >>> sentence("all but human")
    'All but human'
    """
    return text[:1].upper() + text[1:]


def listed(names: Sequence[str]) -> str:
    """Join names: a, b and c.

    Examples
    --------
    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
