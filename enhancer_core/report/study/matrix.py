"""The section that shows how runs on each species do on every other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from enhancer_core.metrics import Estimate
from enhancer_core.report.page import Figure, Section, Table
from enhancer_core.report.study import charts, text
from enhancer_core.report.text import with_interval
from enhancer_core.study.newick import read_newick
from enhancer_core.study.recipe import Recipe, ReportSection, groups_of, runs_of, single_data_runs
from enhancer_core.study.results import ResultByRun, auc, difference, mean, tests_of


def matrix_section(part: ReportSection, recipe: Recipe, results: ResultByRun) -> Section:
    """Show the AUC of each run on each test, in the order of the tree."""
    runs = runs_of(part, recipe)
    tests = tests_of(part, runs, results)
    sentences = _sentences(part, recipe, tests, results)
    if recipe.tree:  # tests, and runs of one species, in its order; others first
        place = {leaf: i for i, leaf in enumerate(read_newick(recipe.tree))}
        order = {member: i for i, name in enumerate(part.runs) for member in recipe.members(name)}
        tests = sorted(tests, key=lambda test: place.get(test.rpartition(".")[2], -1))
        runs = sorted(
            runs, key=lambda run: (order[run.name], place.get(run.name.rpartition(".")[2], -1))
        )
    aucs = [[auc(results[run.name], test) for test in tests] for run in runs]
    values = np.array([[estimate.value for estimate in row] for row in aucs])
    table = Table(
        head=("Trained on", *tests, "mean"),
        rows=[
            (run.shown, *map(text.cell, row), f"{average:.3f}")
            for run, row, average in zip(runs, aucs, values.mean(axis=1), strict=True)
        ],
        caption="Test AUC with its 95 % interval; a column is a test.",
    )
    name, order_of_species = charts.figure_id(recipe, part), " Species in the order of the tree."
    figure = Figure(
        svg=charts.heatmap(values, [run.shown for run in runs], tests, name=name),
        alt="Matrix of test AUCs: trained on a row, tested on a column",
        caption=f"Test AUC; darker is higher.{order_of_species if recipe.tree else ''}",
    )
    paragraphs = text.text_of(part, " ".join(sentences))
    return Section(
        title=part.title, text=paragraphs, tables=[table], figures=[figure], wide_figures=True
    )


def gains_of(
    part: ReportSection, recipe: Recipe, tests: Sequence[str], results: ResultByRun
) -> dict[str, list[Estimate]]:
    """Compute the gain of each group of runs, on every test, over the test's species alone.

    Of runs that leave one species out, or take its nearest, the one for that species counts. Gains
    are by the group's name in the report; empty where not every test has a run of its own.
    """
    first, *others = groups_of(runs_of(part, recipe)).values()
    own = single_data_runs(first)
    gains: dict[str, list[Estimate]] = {}
    if own.keys() >= set(tests):
        for members in others:
            by_test = {run.name.rpartition(".")[2]: run for run in members}
            pairs = [(test, by_test.get(test, members[0]), own[test]) for test in tests]
            gains[members[0].shown.partition(":")[0]] = [
                difference(results[run.name], results[base.name], test) for test, run, base in pairs
            ]
    return gains


def _sentences(
    part: ReportSection, recipe: Recipe, tests: Sequence[str], results: ResultByRun
) -> list[str]:
    own = single_data_runs(next(iter(groups_of(runs_of(part, recipe)).values())))
    if not own.keys() >= set(tests):
        return []
    same = mean([auc(results[own[test].name], test) for test in tests])
    across = [auc(results[own[a].name], b).value for a in tests for b in tests if a != b]
    another = f"; tested on another: {np.mean(across):.3f}" if across else ""
    sentences = [f"Trained and tested on the same: {with_interval(same)} on average{another}."]
    gains = {k: mean(v) for k, v in gains_of(part, recipe, tests, results).items()}
    for name, gain in gains.items():
        sentences.append(text.versus(name, "one alone, on average over tests", gain))
    if part.least is not None and gains:
        name, gain = list(gains.items())[-1]
        sentences.append(text.reached(f"the gain of '{name}'", gain, part.least, is_change=True))
    return sentences
