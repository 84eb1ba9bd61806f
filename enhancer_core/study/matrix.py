"""The section that shows who learned from whom does how on whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from enhancer_core.metrics import Estimate
from enhancer_core.report import Figure, Section, Table
from enhancer_core.report.sentences import interval, with_interval
from enhancer_core.study import figures, words
from enhancer_core.study.compare import Result, auc, difference, mean
from enhancer_core.study.newick import read_newick
from enhancer_core.study.parts import figure_id, runs_of, tests_of, text_of
from enhancer_core.study.recipe import Part, Recipe, Run, Search


def matrix_section(part: Part, recipe: Recipe, results: Mapping[str, Result]) -> Section:
    """Show who learned from whom does how on whom, in the order of the tree."""
    runs = runs_of(part, recipe)
    tests = tests_of(part, runs, results)
    if recipe.tree:
        leaves = read_newick(recipe.tree).leaves
        tests = sorted(tests, key=lambda test: _place(test, leaves))
        groups_of = list(part.runs)
        runs = sorted(runs, key=lambda run: (_group(run, groups_of), _place(run.name, leaves)))
    values = np.array([[auc(results[run.name], test).value for test in tests] for run in runs])
    groups: dict[str, list[Run]] = {}
    for run in runs:
        if isinstance(run, Run):
            groups.setdefault(run.group or run.name, []).append(run)
    base = part.beside or next(iter(groups))
    own = {run.data[0]: run for run in groups[base] if len(run.data) == 1}
    said = []
    if all(test in own for test in tests):
        diagonal = mean([auc(results[own[test].name], test) for test in tests])
        across = [auc(results[own[a].name], b) for a in tests for b in tests if a != b]
        said.append(
            f"Trained on one and tested on the same: {with_interval(diagonal)} on average; tested"
            f" on another: {np.mean([each.value for each in across]):.3f}."
        )
        for group, members in groups.items():
            if group == base:
                continue
            gains = _group_gains(members, own, tests, results)
            said.append(
                words.versus(
                    f"{members[0].shown.partition(':')[0]}", "one alone, on average over tests",
                    mean(gains),
                )
            )  # fmt: skip
            if part.least is not None and members[0].name == part.runs[-1]:
                said.append(words.reached("The gain", mean(gains), part.least))
    rows = [
        (
            run.shown,
            *(
                Markup("{:.3f}<br><small>{}</small>").format(
                    auc(results[run.name], test).value, interval(auc(results[run.name], test))
                )
                for test in tests
            ),
            f"{values[row].mean():.3f}",
        )
        for row, run in enumerate(runs)
    ]
    return Section(
        title=part.title,
        text=text_of(part, " ".join(said)),
        tables=[
            Table(
                head=("Trained on", *tests, "mean"),
                rows=rows,
                caption="Test AUC with its 95 % interval; a column is a test.",
            )
        ],
        figures=[
            Figure(
                svg=figures.heatmap(
                    values, [run.shown for run in runs], tests, name=figure_id(recipe, part)
                ),
                alt="Matrix of test AUCs: trained on a row, tested on a column",
                caption="Test AUC; darker is higher."
                + (" Species in the order of the tree." if recipe.tree else ""),
            )
        ],
        wide_figures=True,
    )


def _place(name: str, leaves: Sequence[str]) -> int:
    """Place a test, or a run of one species, in the tree's order; others first."""
    leaf = name.rpartition(".")[2]
    return leaves.index(leaf) if leaf in leaves else -1


def _group(run: Run | Search, groups: Sequence[str]) -> int:
    """Place a run where the section names it, or what it came of."""
    return next(i for i, name in enumerate(groups) if name in (run.name, getattr(run, "group", "")))


def _group_gains(
    members: Sequence[Run],
    own: Mapping[str, Run],
    tests: Sequence[str],
    results: Mapping[str, Result],
) -> list[Estimate]:
    """Give the gain over one species alone, on each test; of the run left out or near for it."""
    by_test = {run.name.rpartition(".")[2]: run for run in members}
    return [
        difference(results[by_test.get(test, members[0]).name], results[own[test].name], test)
        for test in tests
    ]
