"""The sections that compare models: on one test, or each on its own."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from enhancer_core.report import plots
from enhancer_core.report.page import Figure, Section, Table
from enhancer_core.report.study import charts, text
from enhancer_core.report.study.charts import ModelRow, figure_id
from enhancer_core.report.text import with_interval
from enhancer_core.study import results as numbers
from enhancer_core.study.recipe import Recipe, ReportSection, Run, Search, runs_of
from enhancer_core.study.results import ResultByRun, mean_difference, test_of, tests_of


def models_section(part: ReportSection, recipe: Recipe, results: ResultByRun) -> Section:
    """Compare models on one test, or on the mean of several, each strategy with its controls."""
    runs = runs_of(part, recipe)
    tests = tests_of(part, runs, results)
    base = next((run for run in runs if run.name == part.beside), runs[0])
    shown = {run.name: run.shown for run in runs}
    values = {name: numbers.mean_auc(results[name], tests) for name in shown}
    gains = {
        name: mean_difference(results[name], results[base.name], tests)
        for name in shown
        if name != base.name
    }
    control_of = {run.name: run.control_of for run in runs if isinstance(run, Run)}
    controls = {control: name for control, name in control_of.items() if name in values}
    papers = [(run, run.paper) for run in runs if run.paper is not None]
    paragraphs = [
        " ".join(text.beside_paper(run.shown, values[run.name], paper) for run, paper in papers)
    ]
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
    others = gains.keys() - {*controls, *controls.values()}
    versus = [text.versus(shown[name], base.shown, gains[name]) for name in gains if name in others]
    paragraphs.append(" ".join(versus))
    colours = {**dict.fromkeys(controls, plots.GUIDE), base.name: plots.BASELINE}
    rows = [
        ModelRow(
            r.shown, values[r.name], gains.get(r.name), r.paper, colours.get(r.name, plots.NETWORK)
        )
        for r in runs
    ]
    on = text.listed(tests) if len(tests) < 4 else f"{len(tests)} data sets, on average"
    # A simulation's oracles are drawn with ROC curves, as in the paper's Figure 2.
    with_curves = len(tests) == 1 and any(isinstance(r, Run) and r.model == "bayes" for r in runs)
    name = figure_id(recipe, part)
    key = [(plots.NETWORK, "models"), (plots.BASELINE, f"{base.shown}, the reference")]
    return _comparison(
        part,
        rows,
        name=name,
        paragraphs=paragraphs,
        caption=f"AUC on the test part of {on}; paired differences from '{base.shown}'.",
        key=[*key, (plots.GUIDE, "controls")] if controls else key,
        curves=_roc_figure(runs, tests[0], results, name) if with_curves else None,
    )


def each_section(part: ReportSection, recipe: Recipe, results: ResultByRun) -> Section:
    """Show each run on its own test, compared with the first run on the same one."""
    references: dict[str, Run | Search] = {}
    rows, thresholds, differences = [], [], []
    for run in runs_of(part, recipe):
        test = test_of(part, run, results)
        base = references.setdefault(test, run)
        value, gain, colour = numbers.auc(results[run.name], test), None, plots.BASELINE
        if base is not run:
            gain, colour = (
                numbers.difference(results[run.name], results[base.name], test),
                plots.NETWORK,
            )
            differences.append(text.versus(run.shown, base.shown, gain))
        rows.append(ModelRow(run.shown, value, gain, colour=colour))
        if part.least is not None and (isinstance(run, Search) or run.model == "network"):
            thresholds.append(text.reached(run.shown, value, part.least))
    return _comparison(
        part,
        rows,
        name=figure_id(recipe, part),
        paragraphs=[" ".join(thresholds), " ".join(differences)],
        caption="AUC on the test part of each data set; paired differences from the first model on"
        " the same one.",
    )


def _comparison(
    part: ReportSection,
    models: Sequence[ModelRow],
    *,
    name: str,
    paragraphs: Sequence[str],
    caption: str,
    key: Sequence[tuple[str, str]] = (),
    curves: Figure | None = None,
) -> Section:
    """Lay out models as a table and a figure, with ROC curves beside it if there are any."""
    paper = [model.paper for model in models if model.paper is not None]
    rows = []
    for model in models:
        papers = ["" if model.paper is None else f"{model.paper:g}"] if paper else []
        gain = "" if model.gain is None else text.change(model.gain)
        rows.append((model.name, with_interval(model.auc), *papers, gain))
    heads = ("AUC (95 % interval)", *(["Paper"] if paper else []), "Difference (95 % interval)")
    diamond = "; diamonds: the paper's values, on its own data" if paper else ""
    wide = curves is None
    figure = Figure(
        svg=charts.compared(models, name=name, wide=wide),
        alt=f"Test AUC of {len(models)} models with intervals",
        caption=f"Dots: test AUC with its 95 % interval{diamond}",
    )
    return Section(
        title=part.title,
        text=text.text_of(part, *paragraphs),
        tables=[Table(head=("Model", *heads), rows=rows, caption=caption)],
        key=key,
        figures=[figure] if curves is None else [figure, curves],
        wide_figures=wide,
    )


def _roc_figure(runs: Sequence[Run | Search], test: str, results: ResultByRun, name: str) -> Figure:
    drawn = runs[: len(charts.COLOURS)]
    square = Markup('<span style="color: {}">&#9632;</span> {}')
    key = [
        square.format(*pair) for pair in zip(charts.COLOURS, [r.shown for r in drawn], strict=False)
    ]
    return Figure(
        svg=charts.rocs(
            [numbers.roc_points(results[r.name], test) for r in drawn], name=f"{name}-roc"
        ),
        alt=f"ROC curves of {len(drawn)} models",
        caption=Markup("ROC curves on the test part. {}").format(Markup("; ").join(key)),
    )
