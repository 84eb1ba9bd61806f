"""The sections that compare models: on one test, or each on its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from enhancer_core.metrics import Estimate
from enhancer_core.report import plots
from enhancer_core.report.page import Figure, Section, Table
from enhancer_core.report.study import charts, text
from enhancer_core.report.study.charts import ModelRow, figure_id
from enhancer_core.report.text import with_interval
from enhancer_core.study.recipe import Recipe, ReportSection, Run, Search, runs_of
from enhancer_core.study.results import Result, auc, difference, mean, roc_points, test_of, tests_of


def models_section(part: ReportSection, recipe: Recipe, results: Mapping[str, Result]) -> Section:
    """Compare models on one test, or on the mean of several, each strategy with its controls."""
    runs = runs_of(part, recipe)
    tests = tests_of(part, runs, results)
    base = next((run for run in runs if run.name == part.beside), runs[0])
    shown = {run.name: run.shown for run in runs}
    values = {name: mean([auc(results[name], test) for test in tests]) for name in shown}

    def gain_over(name: str, other: str) -> Estimate:
        return mean([difference(results[name], results[other], test) for test in tests])

    gains = {name: gain_over(name, base.name) for name in shown if name != base.name}
    controls = {
        run.name: run.control_of
        for run in runs
        if isinstance(run, Run) and run.control_of in values
    }
    papers = [(run, run.paper) for run in runs if run.paper is not None]
    paragraphs = [
        " ".join(text.beside_paper(run.shown, values[run.name], paper) for run, paper in papers)
    ]
    first = runs[0].name
    if part.within is not None and first in gains:
        paragraphs.append(text.near(shown[first], base.shown, gains[first], part.within))
    if part.least is not None:
        paragraphs.append(text.reached(base.shown, values[base.name], part.least))
    paragraphs += [
        text.with_control(
            shown[name], base.shown, gains[name], shown[control], gain_over(name, control)
        )
        for control, name in controls.items()
        if name in gains
    ]
    paragraphs.append(
        " ".join(
            text.versus(shown[name], base.shown, gain)
            for name, gain in gains.items()
            if name not in controls and name not in controls.values()
        )
    )
    colours = {**dict.fromkeys(controls, plots.GUIDE), base.name: plots.BASELINE}
    rows = [
        ModelRow(
            name=run.shown,
            auc=values[run.name],
            gain=gains.get(run.name),
            paper=run.paper,
            colour=colours.get(run.name, plots.NETWORK),
        )
        for run in runs
    ]
    on = text.listed(tests) if len(tests) < 4 else f"{len(tests)} data sets, on average"
    # A simulation's oracles are drawn with ROC curves, as in the paper's Figure 2.
    with_curves = len(tests) == 1 and any(isinstance(r, Run) and r.model == "bayes" for r in runs)
    key = [(plots.NETWORK, "models"), (plots.BASELINE, f"{base.shown}, the reference")]
    return _comparison(
        part,
        recipe,
        rows,
        paragraphs=paragraphs,
        caption=f"AUC on the test part of {on}; paired differences from '{base.shown}'.",
        key=[*key, (plots.GUIDE, "controls")] if controls else key,
        curves=_curves(part, recipe, runs, tests[0], results) if with_curves else None,
    )


def each_section(part: ReportSection, recipe: Recipe, results: Mapping[str, Result]) -> Section:
    """Show each run on its own test, compared with the first run on the same one."""
    references: dict[str, Run | Search] = {}
    rows, thresholds, differences = [], [], []
    for run in runs_of(part, recipe):
        test = test_of(part, run, results)
        base = references.setdefault(test, run)
        value, gain, colour = auc(results[run.name], test), None, plots.BASELINE
        if base is not run:
            gain, colour = difference(results[run.name], results[base.name], test), plots.NETWORK
            differences.append(text.versus(run.shown, base.shown, gain))
        rows.append(ModelRow(name=run.shown, auc=value, gain=gain, colour=colour))
        if part.least is not None and (isinstance(run, Search) or run.model == "network"):
            thresholds.append(text.reached(run.shown, value, part.least))
    return _comparison(
        part,
        recipe,
        rows,
        paragraphs=[" ".join(thresholds), " ".join(differences)],
        caption="AUC on the test part of each data set; paired differences from the first model on"
        " the same one.",
    )


def _comparison(
    part: ReportSection,
    recipe: Recipe,
    models: Sequence[ModelRow],
    *,
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
    name, wide = figure_id(recipe, part), curves is None
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


def _curves(
    part: ReportSection,
    recipe: Recipe,
    runs: Sequence[Run | Search],
    test: str,
    results: Mapping[str, Result],
) -> Figure:
    drawn = list(zip(runs, charts.COLOURS, strict=False))
    key = Markup("; ").join(
        Markup('<span style="color: {}">&#9632;</span> {}').format(colour, run.shown)
        for run, colour in drawn
    )
    return Figure(
        svg=charts.rocs(
            [roc_points(results[run.name], test) for run, _ in drawn],
            name=f"{figure_id(recipe, part)}-roc",
        ),
        alt=f"ROC curves of {len(drawn)} models",
        caption=Markup("ROC curves on the test part. {}").format(key),
    )
