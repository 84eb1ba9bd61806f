"""The section that shows who learned from whom does how on whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from enhancer_core.metrics import Estimate
from enhancer_core.report.page import Figure, Section, Table
from enhancer_core.report.study import charts, text
from enhancer_core.report.study.parts import cell, figure_id, tests_of, text_of
from enhancer_core.report.text import with_interval
from enhancer_core.study.newick import read_newick
from enhancer_core.study.recipe import (
    Recipe,
    ReportSection,
    Run,
    Search,
    groups_of,
    runs_of,
    single_data_runs,
)
from enhancer_core.study.results import Result, auc, difference, mean


def matrix_section(part: ReportSection, recipe: Recipe, results: Mapping[str, Result]) -> Section:
    """Show who learned from whom does how on whom, in the order of the tree."""
    runs = runs_of(part, recipe)
    tests = tests_of(part, runs, results)
    if recipe.tree:
        leaves = list(read_newick(recipe.tree))
        tests = sorted(tests, key=lambda test: _place(test, leaves))
        order = list(part.runs)
        runs = sorted(runs, key=lambda run: (_group(run, order), _place(run.name, leaves)))
    values = np.array([[auc(results[run.name], test).value for test in tests] for run in runs])
    return Section(
        title=part.title,
        text=text_of(part, " ".join(_said(part, recipe, results))),
        tables=[
            Table(
                head=("Trained on", *tests, "mean"),
                rows=[
                    (
                        run.shown,
                        *(cell(auc(results[run.name], test)) for test in tests),
                        f"{values[row].mean():.3f}",
                    )
                    for row, run in enumerate(runs)
                ],
                caption="Test AUC with its 95 % interval; a column is a test.",
            )
        ],
        figures=[
            Figure(
                svg=charts.heatmap(
                    values, [run.shown for run in runs], tests, name=figure_id(recipe, part)
                ),
                alt="Matrix of test AUCs: trained on a row, tested on a column",
                caption="Test AUC; darker is higher."
                + (" Species in the order of the tree." if recipe.tree else ""),
            )
        ],
        wide_figures=True,
    )


def gains_of(
    part: ReportSection, recipe: Recipe, results: Mapping[str, Result]
) -> dict[str, list[Estimate]]:
    """Give what each group of runs gains, on every test, over the test's own species alone.

    Of runs that left one species out, or took its nearest, the one for that species counts.

    Returns
    -------
    dict
        By the group's name in the report; empty where not every test has a run of its own.
    """
    base, *others = groups_of(part, recipe).values()
    own = single_data_runs(base)
    tests = tests_of(part, runs_of(part, recipe), results)
    if not all(test in own for test in tests):
        return {}
    found: dict[str, list[Estimate]] = {}
    for members in others:
        by_test = {run.name.rpartition(".")[2]: run for run in members}
        found[members[0].shown.partition(":")[0]] = [
            difference(results[by_test.get(test, members[0]).name], results[own[test].name], test)
            for test in tests
        ]
    return found


def _said(part: ReportSection, recipe: Recipe, results: Mapping[str, Result]) -> list[str]:
    gains = {name: mean(each) for name, each in gains_of(part, recipe, results).items()}
    own = single_data_runs(next(iter(groups_of(part, recipe).values())))
    tests = tests_of(part, runs_of(part, recipe), results)
    if not all(test in own for test in tests):
        return []
    same = mean([auc(results[own[test].name], test) for test in tests])
    across = [auc(results[own[a].name], b).value for a in tests for b in tests if a != b]
    another = f"; tested on another: {np.mean(across):.3f}" if across else ""
    said = [
        f"Trained on one and tested on the same: {with_interval(same)} on average{another}.",
    ]
    said += [
        text.versus(name, "one alone, on average over tests", gain) for name, gain in gains.items()
    ]
    if part.least is not None and gains:
        name, gain = list(gains.items())[-1]
        said.append(text.gain_reached(name, gain, part.least))
    return said


def _place(name: str, leaves: Sequence[str]) -> int:
    """Place a test, or a run of one species, in the tree's order; others first."""
    leaf = name.rpartition(".")[2]
    return leaves.index(leaf) if leaf in leaves else -1


def _group(run: Run | Search, order: Sequence[str]) -> int:
    """Place a run where the section names it, or what it came of."""
    return next(i for i, name in enumerate(order) if name in (run.name, getattr(run, "group", "")))
