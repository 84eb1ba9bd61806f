"""Compose the sections of a study's report from the results of its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from enhancer_core.metrics import Estimate
from enhancer_core.motif import ppm, reverse_complement
from enhancer_core.report import Figure, Section, Table, plots
from enhancer_core.report.sentences import interval, signed, signed_interval, with_interval
from enhancer_core.study import figures, words
from enhancer_core.study.compare import (
    CHANCE_AT_MOST,
    Result,
    auc,
    difference,
    mean,
    recommended_k,
    roc_points,
)
from enhancer_core.study.fields import RecipeError
from enhancer_core.study.newick import read_newick
from enhancer_core.study.recipe import Part, Recipe, Run, Search

_TOP = 8  # candidates of a search that are listed


def section(part: Part, recipe: Recipe, results: Mapping[str, Result]) -> Section:
    """Compose one section.

    Raises
    ------
    RecipeError
        If its runs have no test in common, or not the tests that it names.
    """
    compose = {
        "models": _models,
        "matrix": _matrix,
        "k_choice": _k_choice,
        "motifs": _motifs,
        "search": _search,
    }[part.kind]
    try:
        return compose(part, recipe, results)
    except RecipeError as error:
        raise RecipeError(f"{recipe.name}: section '{part.title}': {error}") from error


def _runs(part: Part, recipe: Recipe) -> list[Run | Search]:
    """Give the runs of a section, in its order."""
    by_name = {each.name: each for each in recipe.steps}
    names = dict.fromkeys(one for name in part.runs for one in recipe.members(name))
    return [by_name[name] for name in names]


def _tests(part: Part, runs: Sequence[Run | Search], results: Mapping[str, Result]) -> list[str]:
    if part.tests:
        return list(part.tests)
    first, *others = (results[run.name]["tests"] for run in runs)
    common = [test for test in first if all(test in other for other in others)]
    if not common:
        raise RecipeError("its runs have no test in common")
    return common


def _text(part: Part, *more: str) -> list[str]:
    paper = [f"The paper: {part.paper}"] if part.paper else []
    return [*filter(None, [part.text]), *paper, *more]


def _models(part: Part, recipe: Recipe, results: Mapping[str, Result]) -> Section:
    """Set models side by side on one test, or on the mean of several."""
    runs = _runs(part, recipe)
    tests = _tests(part, runs, results)
    base = next((run for run in runs if run.name == part.beside), runs[0])
    shown = {run.name: run.shown for run in runs}

    def value(name: str) -> Estimate:
        return mean([auc(results[name], test) for test in tests])

    def gain(name: str, other: str) -> Estimate:
        return mean([difference(results[name], results[other], test) for test in tests])

    values = {
        run.name: auc(results[run.name], tests[0]) if len(tests) == 1 else value(run.name)
        for run in runs
    }
    controls: dict[str, list[str]] = {}
    for run in runs:
        if isinstance(run, Run) and run.control_of in values:
            controls.setdefault(run.control_of, []).append(run.name)
    control_names = {name for names in controls.values() for name in names}
    said, rows = [], []
    for run in runs:
        name = run.name
        over = None if run is base else gain(name, base.name)
        rows.append(
            (
                run.shown,
                f"{values[name].value:.3f}",
                interval(values[name]),
                "" if run.paper is None else f"{run.paper:g}",
                "" if over is None else signed(over.value),
                "" if over is None else signed_interval(over),
            )
        )
        if run is base or name in control_names or over is None:
            continue
        if name in controls:
            said += [
                words.with_control(run.shown, base.shown, over, shown[control], gain(name, control))
                for control in controls[name]
            ]
        else:
            said.append(words.versus(run.shown, base.shown, over))
    if part.least is not None:
        said.insert(0, words.reached(base.shown, values[base.name], part.least))
    said[:0] = [
        words.beside_paper(run.shown, values[run.name], run.paper)
        for run in runs[:1]
        if run.paper is not None
    ]
    bars = [
        figures.Bar(
            name=run.shown,
            value=values[run.name],
            paper=run.paper,
            colour=_colour(run, base, control_names),
        )
        for run in runs
    ]
    on = words.listed(tests) if len(tests) < 4 else f"{len(tests)} data sets, on average"
    return Section(
        title=part.title,
        text=_text(part, " ".join(said)),
        tables=[
            Table(
                head=("Model", "AUC", "95 % interval", "Paper", "Difference", "95 % interval"),
                rows=rows,
                caption=f"AUC on the test part of {on}. Differences are from {base.shown}, paired.",
            )
        ],
        key=(
            (plots.NETWORK, "models"),
            (plots.BASELINE, base.shown),
            (plots.GUIDE, "controls"),
        ),
        figures=[
            Figure(
                svg=figures.compared(bars, x="test AUC", name=_id(recipe, part)),
                alt=f"Test AUC of {len(bars)} models with intervals",
                caption="A dot and its 95 % interval for each model; a diamond is the paper's"
                " figure, on its own data.",
            ),
            *_roc_figure(part, recipe, runs, tests, results),
        ],
        wide_figures=True,
    )


def _colour(run: Run | Search, base: Run | Search, controls: set[str]) -> str:
    if run is base:
        return plots.BASELINE
    return plots.GUIDE if run.name in controls else plots.NETWORK


def _roc_figure(
    part: Part,
    recipe: Recipe,
    runs: Sequence[Run | Search],
    tests: Sequence[str],
    results: Mapping[str, Result],
) -> list[Figure]:
    """Draw ROC curves where a simulation's oracles are among the models, as in Figure 2."""
    if len(tests) > 1 or not any(isinstance(run, Run) and run.model == "bayes" for run in runs):
        return []
    drawn = runs[: len(figures.COLOURS)]
    curves = [roc_points(results[run.name], tests[0]) for run in drawn]
    key = Markup("; ").join(
        Markup('<span style="color: {}">&#9632;</span> {}').format(colour, run.shown)
        for run, colour in zip(drawn, figures.COLOURS, strict=False)
    )
    return [
        Figure(
            svg=figures.rocs(curves, name=f"{_id(recipe, part)}-roc"),
            alt=f"ROC curves of {len(drawn)} models",
            caption=Markup("ROC curves on the test part. {}").format(key),
        )
    ]


def _matrix(part: Part, recipe: Recipe, results: Mapping[str, Result]) -> Section:
    """Show who learned from whom does how on whom, in the order of the tree."""
    runs = _runs(part, recipe)
    tests = _tests(part, runs, results)
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
        text=_text(part, " ".join(said)),
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
                    values, [run.shown for run in runs], tests, name=_id(recipe, part)
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


def _k_choice(part: Part, recipe: Recipe, results: Mapping[str, Result]) -> Section:
    """Draw AUC against own shuffles along k, and recommend one; the first is the background."""
    lines: dict[str, dict[int, Estimate]] = {}
    runs: dict[str, list[Run]] = {}
    for run in _runs(part, recipe):
        if not isinstance(run, Run) or len(run.shuffles) != 1:
            raise RecipeError(f"run '{run.name}' is not against the shuffles of one k")
        name = run.shown.rpartition(", k = ")[0] or run.shown
        k = run.shuffles[0]
        lines.setdefault(name, {})[k] = mean([auc(results[run.name], t) for t in run.tests])
        runs.setdefault(name, []).append(run)
    background, *others = lines
    said = []
    chosen = None
    for other in others:
        chosen = recommended_k(lines[background], lines[other])
        said.append(
            f"{other}: "
            + words.k_choice(
                chosen,
                None if chosen is None else lines[background][chosen],
                None if chosen is None else lines[other][chosen],
            )
        )
    first = runs[background]
    equal = {run.shuffles[0]: results[run.name]["unchanged"] for run in first}
    table = [
        (
            str(k),
            *(with_interval(line[k]) if k in line else "" for line in lines.values()),
            f"{100 * equal[k][str(k)]:.1f}" if k in equal else "",
        )
        for k in sorted({k for line in lines.values() for k in line})
    ]
    return Section(
        title=part.title,
        text=_text(part, *said),
        tables=[
            Table(
                head=("k", *lines, "Shuffles equal to their input, %"),
                rows=table,
                caption="Test AUC against the sequences' own k-shuffles, with 95 % intervals.",
            )
        ],
        key=list(zip(figures.COLOURS, lines, strict=False)),
        figures=[
            Figure(
                svg=figures.along_k(
                    lines, guide=CHANCE_AT_MOST, chosen=chosen, name=_id(recipe, part)
                ),
                alt="Test AUC against own shuffles along k",
                caption="Dashed: 0.55. Shaded: the k recommended.",
            )
        ],
        wide_figures=True,
    )


def _motifs(part: Part, recipe: Recipe, results: Mapping[str, Result]) -> Section:
    """Show the filter most like each motif that was looked for."""
    rows, drawn, found = [], [], []
    for run in _runs(part, recipe):
        for spec, best in results[run.name].get("motifs", {}).items():
            motif = spec.rpartition(":")[2].rpartition(".")[2]
            found.append((run, motif, best["similarity"]))
            rows.append((run.shown, motif, f"{best['similarity']:.3f}"))
            if "pfm" in best:
                drawn += _pair(run, motif, best)
    if not rows:
        raise RecipeError("its runs look for no motif")
    said = []
    if part.least is not None:
        least = min(similarity for _, _, similarity in found)
        enough = sum(similarity >= part.least for _, _, similarity in found)
        said.append(
            f"{enough} of {len(found)} reach a similarity of {part.least:g}; the least is"
            f" {least:.3f}."
        )
    return Section(
        title=part.title,
        text=_text(part, *said),
        tables=[
            Table(
                head=("Network", "Motif", "Similarity"),
                rows=rows,
                text_columns=2,
                caption="Pearson correlation of the best filter with the motif, as HOMER's"
                " (1 is the same).",
            )
        ],
        figures=drawn,
        small_figures=True,
    )


def _pair(run: Run | Search, motif: str, best: Mapping[str, object]) -> list[Figure]:
    pfm = np.array(best["pfm"], dtype=np.float64)
    if best["strand"] == -1:
        pfm = reverse_complement(pfm)
    return [
        Figure(
            svg=plots.logo(ppm(pfm)),
            alt=f"Logo of the filter of {run.shown} most like {motif}",
            caption=Markup("<b>{}</b><br>filter most like {}, {:.2f}").format(
                run.shown, motif, best["similarity"]
            ),
        ),
        Figure(
            svg=plots.logo(ppm(np.array(best["motif"], dtype=np.float64))),
            alt=f"Logo of {motif}",
            caption=Markup("<b>{}</b><br>as known").format(motif),
        ),
    ]


def _search(part: Part, recipe: Recipe, results: Mapping[str, Result]) -> Section:
    """Tell how a search went, round by round, and how its winner did."""
    runs = _runs(part, recipe)
    found = [run for run in runs if isinstance(run, Search)]
    if not found:
        raise RecipeError("none of its runs is a search")
    searched, result = found[0], results[found[0].name]
    rows = [
        (
            str(number),
            f"{len(each['candidates']):,}",
            f"{each['updates']:,}",
            _mix(each["candidates"][0]),
            f"{each['candidates'][0][2]:.3f}",
            f"{np.median([c[2] for c in each['candidates']]):.3f}",
        )
        for number, each in enumerate(result["rounds"], start=1)
    ]
    last = result["rounds"][-1]["candidates"] if result["rounds"] else []
    top = [(_mix(each), f"{each[2]:.3f}") for each in last[:_TOP]]
    winner = _mix([result["winner"]["background"], result["winner"]["shuffles"]])
    base = next((run for run in runs if run.name == part.beside), None)
    test = next(iter(result["tests"]))
    said = f"The winner is {winner}: test AUC {with_interval(auc(result, test))}."
    if base is not None:
        gain = difference(result, results[base.name], test)
        said += " " + words.versus("The winner", base.shown, gain)
    return Section(
        title=part.title,
        text=_text(part, said),
        tables=[
            Table(
                head=("Round", "Mixes", "Updates each", "Best", "Its AUC", "Median AUC"),
                rows=rows,
                caption=f"Validation AUC by round of '{searched.shown}'; the test part was looked"
                " at once, for the winner.",
            ),
            Table(head=("Last round", "Validation AUC"), rows=top),
        ],
    )


def _mix(candidate: Sequence[object]) -> str:
    background, shuffles = candidate[0], candidate[1]
    ks = ", ".join(str(k) for k in shuffles) if isinstance(shuffles, list) else ""
    return f"background × {background}" + (f" + shuffles at k = {ks}" if ks else "")


def _id(recipe: Recipe, part: Part) -> str:
    """Name a figure in the page."""
    return f"{recipe.name}-{recipe.sections.index(part)}"
