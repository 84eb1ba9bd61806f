"""The section that sets models side by side, each strategy beside its controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from enhancer_core.metrics import Estimate
from enhancer_core.report import plots
from enhancer_core.report.page import Figure, Section, Table
from enhancer_core.report.study import charts, text
from enhancer_core.report.study.parts import figure_id, test_of, tests_of, text_of
from enhancer_core.report.text import interval, signed, signed_interval
from enhancer_core.study.recipe import Recipe, ReportSection, Run, Search, runs_of
from enhancer_core.study.results import Result, auc, difference, mean, roc_points

_LEGEND = "A dot and its 95 % interval for each model"
_DIAMOND = "; a diamond is the paper's figure, on its own data"


def models_section(part: ReportSection, recipe: Recipe, results: Mapping[str, Result]) -> Section:
    """Set models side by side on one test, or on the mean of several."""
    runs = runs_of(part, recipe)
    tests = tests_of(part, runs, results)
    base = next((run for run in runs if run.name == part.beside), runs[0])
    values = {run.name: mean([auc(results[run.name], test) for test in tests]) for run in runs}
    gains = {
        run.name: _gain(run.name, base.name, tests, results) for run in runs if run is not base
    }
    controls = {
        run.name: run.control_of
        for run in runs
        if isinstance(run, Run) and run.control_of in values
    }
    said = _said(runs, base, controls, gains, tests, results)
    if part.least is not None:
        said.insert(0, text.reached(base.shown, values[base.name], part.least))
    if part.within is not None and runs[0].name in gains:
        near = text.near(runs[0].shown, base.shown, gains[runs[0].name], part.within)
        said.insert(0, near)
    paper = " ".join(
        text.beside_paper(run.shown, values[run.name], run.paper)
        for run in runs
        if run.paper is not None
    )
    paper_head = ("Paper",) if paper else ()
    with_curves = _draws_curves(runs, tests)
    bars = [
        charts.Bar(
            name=run.shown,
            value=values[run.name],
            paper=run.paper,
            colour=_colour(run, base, controls),
        )
        for run in runs
    ]
    on = text.listed(tests) if len(tests) < 4 else f"{len(tests)} data sets, on average"
    return Section(
        title=part.title,
        text=text_of(part, paper, *said),
        tables=[
            Table(
                head=("Model", "AUC", "95 % interval", *paper_head, "Difference", "95 % interval"),
                rows=[
                    _row(run, values[run.name], gains.get(run.name), with_paper=bool(paper))
                    for run in runs
                ],
                caption=f"AUC on the test part of {on}; differences are from '{base.shown}',"
                " paired.",
            )
        ],
        key=(
            (plots.NETWORK, "models"),
            (plots.BASELINE, f"{base.shown}, compared with"),
            *([(plots.GUIDE, "controls")] if controls else []),
        ),
        figures=[
            Figure(
                svg=charts.compared(
                    bars, x="test AUC", name=figure_id(recipe, part), wide=not with_curves
                ),
                alt=f"Test AUC of {len(bars)} models with intervals",
                caption=_LEGEND + (_DIAMOND if paper else ""),
            ),
            *([_curves(part, recipe, runs, tests[0], results)] if with_curves else []),
        ],
        wide_figures=not with_curves,
    )


def _gain(name: str, other: str, tests: Sequence[str], results: Mapping[str, Result]) -> Estimate:
    return mean([difference(results[name], results[other], test) for test in tests])


def _row(
    run: Run | Search, value: Estimate, gain: Estimate | None, *, with_paper: bool
) -> tuple[str, ...]:
    paper = "" if run.paper is None else f"{run.paper:g}"
    return (
        run.shown,
        f"{value.value:.3f}",
        interval(value),
        *([paper] if with_paper else []),
        "" if gain is None else signed(gain.value),
        "" if gain is None else signed_interval(gain),
    )


def _said(
    runs: Sequence[Run | Search],
    base: Run | Search,
    controls: Mapping[str, str],
    gains: Mapping[str, Estimate],
    tests: Sequence[str],
    results: Mapping[str, Result],
) -> list[str]:
    """Say of each strategy what it gained, beside its controls; then of the others."""
    shown = {run.name: run.shown for run in runs}
    strategies = [
        text.with_control(
            shown[name], base.shown, gains[name], shown[control],
            _gain(name, control, tests, results),
        )
        for control, name in controls.items()
        if name in gains
    ]  # fmt: skip
    others = [
        text.versus(shown[name], base.shown, gain)
        for name, gain in gains.items()
        if name not in controls and name not in controls.values()
    ]
    return [*strategies, " ".join(others)]


def _colour(run: Run | Search, base: Run | Search, controls: Mapping[str, str]) -> str:
    if run is base:
        return plots.BASELINE
    return plots.GUIDE if run.name in controls else plots.NETWORK


def _draws_curves(runs: Sequence[Run | Search], tests: Sequence[str]) -> bool:
    """Say whether a simulation's oracles are among the models, as in Figure 2."""
    return len(tests) == 1 and any(isinstance(r, Run) and r.model == "bayes" for r in runs)


def _curves(
    part: ReportSection,
    recipe: Recipe,
    runs: Sequence[Run | Search],
    test: str,
    results: Mapping[str, Result],
) -> Figure:
    drawn = runs[: len(charts.COLOURS)]
    curves = [roc_points(results[run.name], test) for run in drawn]
    key = Markup("; ").join(
        Markup('<span style="color: {}">&#9632;</span> {}').format(colour, run.shown)
        for run, colour in zip(drawn, charts.COLOURS, strict=False)
    )
    return Figure(
        svg=charts.rocs(curves, name=f"{figure_id(recipe, part)}-roc"),
        alt=f"ROC curves of {len(drawn)} models",
        caption=Markup("ROC curves on the test part. {}").format(key),
    )


def each_section(part: ReportSection, recipe: Recipe, results: Mapping[str, Result]) -> Section:
    """Show each run on a test of its own, beside the first run that has the same one."""
    runs = runs_of(part, recipe)
    first: dict[str, Run | Search] = {}
    rows, reached, said, bars = [], [], [], []
    for run in runs:
        test = test_of(part, run, results)
        base = first.setdefault(test, run)
        value = auc(results[run.name], test)
        gain = None if base is run else difference(results[run.name], results[base.name], test)
        rows.append(_row(run, value, gain, with_paper=False))
        colour = plots.BASELINE if base is run else plots.NETWORK
        bars.append(charts.Bar(name=run.shown, value=value, colour=colour))
        if gain is not None:
            said.append(text.versus(run.shown, base.shown, gain))
        if part.least is not None and (not isinstance(run, Run) or run.model == "network"):
            reached.append(text.reached(run.shown, value, part.least))
    return Section(
        title=part.title,
        text=text_of(part, " ".join(reached), " ".join(said)),
        tables=[
            Table(
                head=("Model", "AUC", "95 % interval", "Difference", "95 % interval"),
                rows=rows,
                caption="AUC on the test part of each data set; differences are from the model"
                " before it on the same one, paired.",
            )
        ],
        figures=[
            Figure(
                svg=charts.compared(bars, x="test AUC", name=figure_id(recipe, part), wide=True),
                alt=f"Test AUC of {len(bars)} models with intervals",
                caption=_LEGEND,
            )
        ],
        wide_figures=True,
    )
