"""The sections that compare models: on one test, each on its own, or all on all tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from enhancer_core.metrics import Estimate
from enhancer_core.report import plots
from enhancer_core.report.page import Figure, Section, Table
from enhancer_core.report.study import charts, text
from enhancer_core.report.study.charts import ModelRow, figure_id
from enhancer_core.report.text import with_interval
from enhancer_core.study import recipe as recipes
from enhancer_core.study import results as numbers
from enhancer_core.study.newick import read_newick
from enhancer_core.study.recipe import Recipe, ReportSection, Run, Search, runs_of
from enhancer_core.study.results import ResultByRun, mean_difference, test_of, tests_of


def models_section(part: ReportSection, recipe: Recipe, results: ResultByRun) -> Section:
    """Compare models on one test, or on the mean of several, each strategy with its controls."""
    runs = runs_of(part, recipe)
    tests = tests_of(part, runs, results)
    base = next((run for run in runs if run.name == part.beside), runs[0])
    shown = {run.name: run.shown for run in runs}
    values = {name: numbers.mean_auc(results[name], tests) for name in shown}
    others = [name for name in shown if name != base.name]
    gains = {n: mean_difference(results[n], results[base.name], tests) for n in others}
    control_of = {run.name: run.control_of for run in runs}
    controls = {control: name for control, name in control_of.items() if name in values}
    papers = [(run.name, run.paper) for run in runs if run.paper is not None]
    beside = [text.beside_paper(shown[name], values[name], paper) for name, paper in papers]
    paragraphs = [" ".join(beside)]
    first = runs[0].name
    if part.within is not None and first in gains:
        paragraphs.append(text.near(shown[first], base.shown, gains[first], part.within))
    if part.least is not None:
        paragraphs.append(text.reached(base.shown, values[base.name], part.least))
    for control, name in controls.items():
        if name in gains:
            over = mean_difference(results[name], results[control], tests)
            controlled = (shown[name], base.shown, gains[name], shown[control], over)
            paragraphs.append(text.with_control(*controlled))
    alone = [name for name in others if name not in {*controls, *controls.values()}]
    versus = [text.versus(shown[name], base.shown, gains[name]) for name in alone]
    paragraphs.append(" ".join(versus))
    colours = dict.fromkeys(shown, plots.NETWORK) | dict.fromkeys(controls, plots.GUIDE)
    colours[base.name] = plots.BASELINE
    rows = [
        ModelRow(r.shown, values[r.name], gains.get(r.name), r.paper, colours[r.name]) for r in runs
    ]
    on = text.listed(tests) if len(tests) < 4 else f"{len(tests)} data sets, on average"
    # A simulation's oracles are drawn with ROC curves, as in the paper's Figure 2.
    with_curves = len(tests) == 1 and any(run.model == "bayes" for run in runs)
    name = figure_id(recipe, part)
    key = [(plots.NETWORK, "models"), (plots.BASELINE, f"{base.shown}, the reference")]
    return _comparison(
        part, rows, name=name, paragraphs=paragraphs,
        caption=f"AUC on the test part of {on}; paired differences from '{base.shown}'.",
        key=[*key, (plots.GUIDE, "controls")] if controls else key,
        curves=_roc_figure(runs, tests[0], results, name) if with_curves else None,
    )  # fmt: skip


def each_section(part: ReportSection, recipe: Recipe, results: ResultByRun) -> Section:
    """Show each run on its own test, compared with the first run on the same one."""
    references: dict[str, Run | Search] = {}
    rows, thresholds, differences = [], [], []
    for run in runs_of(part, recipe):
        test = test_of(part, run, results)
        base = references.setdefault(test, run)
        value, gain, colour = numbers.auc(results[run.name], test), None, plots.BASELINE
        if base is not run:
            colour = plots.NETWORK
            gain = numbers.difference(results[run.name], results[base.name], test)
            differences.append(text.versus(run.shown, base.shown, gain))
        rows.append(ModelRow(run.shown, value, gain, colour=colour))
        if part.least is not None and run.model == "network":
            thresholds.append(text.reached(run.shown, value, part.least))
    caption = "AUC on the test part of each data set; paired differences from the first model on"
    return _comparison(
        part, rows, name=figure_id(recipe, part), caption=f"{caption} the same one.",
        paragraphs=[" ".join(thresholds), " ".join(differences)],
    )  # fmt: skip


def matrix_section(part: ReportSection, recipe: Recipe, results: ResultByRun) -> Section:
    """Show the AUC of each run on each test, in the order of the tree."""
    runs = runs_of(part, recipe)
    tests = tests_of(part, runs, results)
    sentences = _matrix_sentences(part, recipe, tests, results)
    if recipe.tree:  # tests, and runs of one species, in its order; others first
        place = {leaf: i for i, leaf in enumerate(read_newick(recipe.tree))}
        order = {member: i for i, name in enumerate(part.runs) for member in recipe.members(name)}
        tests = sorted(tests, key=lambda test: place.get(test.rpartition(".")[2], -1))
        runs.sort(key=lambda run: (order[run.name], place.get(run.name.rpartition(".")[2], -1)))
    aucs = [[numbers.auc(results[run.name], test) for test in tests] for run in runs]
    values = np.array([[estimate.value for estimate in row] for row in aucs])
    table = Table(
        head=("Trained on", *tests, "mean"),
        rows=[
            (run.shown, *map(text.cell, row), f"{average:.3f}")
            for run, row, average in zip(runs, aucs, values.mean(axis=1), strict=True)
        ],
        caption="Test AUC with its 95 % interval; a column is a test.",
    )
    name, order_of_species = figure_id(recipe, part), " Species in the order of the tree."
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
    first, *others = recipes.groups_of(runs_of(part, recipe)).values()
    own = recipes.single_data_runs(first)
    gains: dict[str, list[Estimate]] = {}
    if own.keys() >= set(tests):
        for members in others:
            by_test = {run.name.rpartition(".")[2]: run for run in members}
            pairs = [(test, by_test.get(test, members[0]), own[test]) for test in tests]
            gains[members[0].shown.partition(":")[0]] = [
                numbers.difference(results[run.name], results[base.name], test)
                for test, run, base in pairs
            ]
    return gains


def _matrix_sentences(
    part: ReportSection, recipe: Recipe, tests: Sequence[str], results: ResultByRun
) -> list[str]:
    own = recipes.single_data_runs(next(iter(recipes.groups_of(runs_of(part, recipe)).values())))
    if not own.keys() >= set(tests):
        return []
    same = numbers.mean([numbers.auc(results[own[test].name], test) for test in tests])
    across = [numbers.auc(results[own[a].name], b).value for a in tests for b in tests if a != b]
    another = f"; tested on another: {np.mean(across):.3f}" if across else ""
    sentences = [f"Trained and tested on the same: {with_interval(same)} on average{another}."]
    gains = {k: numbers.mean(v) for k, v in gains_of(part, recipe, tests, results).items()}
    for name, gain in gains.items():
        sentences.append(text.versus(name, "one alone, on average over tests", gain))
    if part.least is not None and gains:
        name, gain = list(gains.items())[-1]
        sentences.append(text.reached(f"the gain of '{name}'", gain, part.least, is_change=True))
    return sentences


def _comparison(
    part: ReportSection, models: Sequence[ModelRow], *, name: str, paragraphs: Sequence[str],
    caption: str, key: Sequence[tuple[str, str]] = (), curves: Figure | None = None,
) -> Section:  # fmt: skip
    """Lay out models as a table and a figure, with ROC curves beside it if there are any."""
    paper = [model.paper for model in models if model.paper is not None]
    rows = []
    for model in models:
        papers = ["" if model.paper is None else f"{model.paper:g}"] if paper else []
        gain = "" if model.gain is None else text.change(model.gain)
        rows.append((model.name, with_interval(model.auc), *papers, gain))
    heads = ("AUC (95 % interval)", *(["Paper"] if paper else []), "Difference (95 % interval)")
    diamond = "; diamonds: the paper's values, on its own data" if paper else ""
    figure = Figure(
        svg=charts.compared(models, name=name, wide=curves is None),
        alt=f"Test AUC of {len(models)} models with intervals",
        caption=f"Dots: test AUC with its 95 % interval{diamond}",
    )
    return Section(
        title=part.title,
        text=text.text_of(part, *paragraphs),
        tables=[Table(head=("Model", *heads), rows=rows, caption=caption)],
        key=key,
        figures=[figure] if curves is None else [figure, curves],
        wide_figures=curves is None,
    )


def _roc_figure(runs: Sequence[Run | Search], test: str, results: ResultByRun, name: str) -> Figure:
    drawn = runs[: len(charts.COLOURS)]
    square = Markup('<span style="color: {}">&#9632;</span> {}')
    key = [square.format(charts.COLOURS[i], run.shown) for i, run in enumerate(drawn)]
    curves = [numbers.roc_points(results[run.name], test) for run in drawn]
    return Figure(
        svg=charts.rocs(curves, name=f"{name}-roc"),
        alt=f"ROC curves of {len(drawn)} models",
        caption=Markup("ROC curves on the test part. {}").format(Markup("; ").join(key)),
    )
