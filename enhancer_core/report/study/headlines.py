"""What stands at the top of a study's page: its main figures, and what its controls say."""

from __future__ import annotations

from collections.abc import Mapping

from enhancer_core.report import plots
from enhancer_core.report.page import Highlight
from enhancer_core.report.study import text
from enhancer_core.report.study.matrix import gains_of
from enhancer_core.report.study.parts import test_of, tests_of
from enhancer_core.report.text import interval, signed, signed_interval
from enhancer_core.study.recipe import Recipe, ReportSection, Run, Study, runs_of
from enhancer_core.study.results import Result, auc, difference, mean


def highlight(part: ReportSection, recipe: Recipe, results: Mapping[str, Result]) -> Highlight:
    """Give a section's main figure.

    Of a matrix that is the gain of its last runs over one alone; of motifs the least similarity; of
    networks each on its own test the least AUC; of other sections the AUC of the first run.
    """
    runs = runs_of(part, recipe)
    if part.kind == "motifs":
        found = [
            m["similarity"] for run in runs for m in results[run.name].get("motifs", {}).values()
        ]
        value, note = f"{min(found):.3f}", f"the least of {len(found)}"
    elif part.kind == "each":
        networks = [run for run in runs if not isinstance(run, Run) or run.model == "network"]
        aucs = [auc(results[run.name], test_of(part, run, results)) for run in networks]
        least = min(aucs, key=lambda each: each.value)
        value, note = f"{least.value:.3f}", f"{interval(least)}, the least of {len(aucs)}"
    elif part.kind == "matrix":
        gain = mean(list(gains_of(part, recipe, results).values())[-1])
        value, note = signed(gain.value), signed_interval(gain)
    else:
        tests = tests_of(part, runs, results)
        first = mean([auc(results[runs[0].name], test) for test in tests])
        value, note = f"{first.value:.3f}", interval(first)
    return Highlight(label=part.headline, value=value, note=note, colour=plots.NETWORK)


def controlled(study: Study, results: Mapping[str, Result]) -> str:
    """Say which strategies did better than all of their controls, on real data and on simulated."""
    real: dict[str, bool] = {}
    simulated: dict[str, bool] = {}
    shown: dict[str, str] = {}
    for recipe in study.recipes:
        shown |= {run.name: run.shown for run in recipe.steps}
        made_up = {each.name for each in recipe.data if each.is_simulated}
        for run in recipe.runs:
            if run.control_of:
                better = _beats(results[run.control_of], results[run.name])
                found = real if made_up.isdisjoint(run.data) else simulated
                found[run.control_of] = found.get(run.control_of, True) and better
    return "".join(
        text.strategies(where, {shown[name]: better for name, better in found.items()}) + " "
        for where, found in (("real", real), ("simulated", simulated))
        if found
    )


def _beats(strategy: Result, control: Result) -> bool:
    common = [test for test in control["tests"] if test in strategy["tests"]]
    return mean([difference(strategy, control, test) for test in common]).low > 0
