"""Compose the sections of a study's report from the results of its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from enhancer_core.metrics import Estimate
from enhancer_core.report.page import Figure, Section, Table
from enhancer_core.report.study import charts, text
from enhancer_core.report.study.models import each_section, matrix_section, models_section
from enhancer_core.report.study.motifs import filters_section, motifs_section
from enhancer_core.report.text import with_interval
from enhancer_core.study import results as numbers
from enhancer_core.study.recipe import Recipe, ReportSection, Run, Search, runs_of, split_test
from enhancer_core.study.results import CHANCE_AT_MOST, PAPER_K, ResultByRun

_TOP = 8  # candidates of a search that are listed
_FEWEST = 10  # candidates of a round whose ranks are compared


def section(part: ReportSection, recipe: Recipe, results: ResultByRun) -> Section:
    """Compose one section."""
    compose = {
        "models": models_section, "each": each_section, "matrix": matrix_section,
        "k_choice": _k_choice, "motifs": motifs_section, "filters": filters_section,
        "search": _search,
    }  # fmt: skip
    return compose[part.kind](part, recipe, results)


def _k_choice(part: ReportSection, recipe: Recipe, results: ResultByRun) -> Section:
    """Draw AUC against own shuffles along k, and recommend one; the first is the background."""
    lines: dict[str, dict[int, Estimate]] = {}
    is_background: dict[str, bool] = {}
    equal: dict[int, float] = {}  # share of the first's shuffles that equal their input
    for run in runs_of(part, recipe):
        if isinstance(run, Run):
            name = run.shown.rpartition(", k = ")[0] or run.shown
            k, result = run.shuffles[0], results[run.name]
            own = [test for test in run.tests if split_test(test)[1] == k]
            lines.setdefault(name, {})[k] = numbers.mean_auc(result, own)
            is_background[name] = run.positive == "background"
            if len(lines) == 1:
                equal[k] = result["unchanged"][str(k)]
    background, *others = lines
    positives = [name for name in others if not is_background[name]]

    def recommended_by(name: str) -> dict[str, int | None]:
        return {other: numbers.recommended_k(lines[name], lines[other]) for other in positives}

    recommended = recommended_by(background)
    sentences = [
        text.k_choice(name, k, lines[background].get(k or 0), lines[name].get(k or 0))
        for name, k in recommended.items()
    ]
    if part.k is not None and recommended:
        sentences.append(text.k_used(part.k, recommended))
    backgrounds = [name for name in lines if is_background[name]]
    at_paper_k = [(name, lines[name][PAPER_K]) for name in backgrounds if PAPER_K in lines[name]]
    sentences += [text.beside_chance(n, PAPER_K, auc, CHANCE_AT_MOST) for n, auc in at_paper_k]
    sentences += [
        f"With '{name}' as background, recommended: {text.ks_listed(recommended_by(name))}."
        for name in backgrounds
        if name != background and positives and len(lines[name]) == len(lines[background])
    ]
    chosen = next((k for k in recommended.values() if k is not None), None)
    rows = []
    for k in sorted(set().union(*lines.values())):
        cells = [text.cell(line[k]) if k in line else "" for line in lines.values()]
        rows.append((str(k), f"{100 * equal[k]:.1f}" if k in equal else "", *cells))
    table = Table(
        head=("k", "Shuffles equal to input, %", *lines),
        rows=rows,
        caption="Test AUC against the sequences' own k-shuffles, with 95 % intervals, and the share"
        " of shuffles that equal their input.",
    )
    name = charts.figure_id(recipe, part)
    figure = Figure(
        svg=charts.along_k(lines, guide=CHANCE_AT_MOST, chosen=chosen, name=name),
        alt="Test AUC against own shuffles along k",
        caption=f"Dashed: 0.55.{' Shaded: the recommended k.' if chosen else ''}",
    )
    return Section(
        title=part.title,
        text=text.text_of(part, f"{text.K_RULE} The background is '{background}'.", *sentences),
        tables=[table],
        key=list(zip(charts.COLOURS, lines, strict=False)),
        figures=[figure],
        wide_figures=True,
    )


def _search(part: ReportSection, recipe: Recipe, results: ResultByRun) -> Section:
    """Summarize a search, round by round, and its winner."""
    runs = runs_of(part, recipe)
    searched = next(run for run in runs if isinstance(run, Search))
    result = results[searched.name]
    rounds = result["rounds"]
    rows = []
    for number, entry in enumerate(rounds, start=1):
        mixes, aucs = entry["candidates"], [auc for _, _, auc in entry["candidates"]]
        counts = (str(number), f"{len(mixes):,}", f"{entry['updates']:,}")
        rows.append((*counts, _mix(mixes[0]), f"{aucs[0]:.3f}", f"{np.median(aucs):.3f}"))
    top = rounds[-1]["candidates"][:_TOP] if rounds else []
    test = next(iter(result["tests"]))
    winner = _mix([result["winner"]["background"], result["winner"]["shuffles"]])
    sentences = [f"The winner is {winner}: test AUC {with_interval(numbers.auc(result, test))}."]
    for run in (run for run in runs if run.name == part.beside):
        gain = numbers.difference(result, results[run.name], test)
        sentences.append(text.versus("The winner", run.shown, gain))
    by_round = Table(
        head=("Round", "Mixes", "Updates each", "Best", "Its AUC", "Median AUC"),
        rows=rows,
        caption=f"Validation AUC by round of '{searched.shown}'; the test part was used once, for"
        " the winner.",
    )
    ranked = [(_mix(candidate), f"{candidate[2]:.3f}") for candidate in top]
    last = Table(head=("Last round", "Validation AUC"), rows=ranked)
    paragraphs = text.text_of(part, " ".join(sentences), _rank_correlations(rounds))
    return Section(title=part.title, text=paragraphs, tables=[by_round, last])


def _rank_correlations(rounds: Sequence[Mapping[str, Any]]) -> str:
    """State how far each round ranked mixes as the next one did."""
    correlations = []
    for number, (one, other) in enumerate(pairwise(rounds), start=1):
        before, after = ({_mix(c): c[2] for c in mixes["candidates"]} for mixes in (one, other))
        if len(after) >= _FEWEST:
            rho = numbers.rank_correlation([before[mix] for mix in after], list(after.values()))
            between = f"between rounds {number} and {number + 1} ({len(after):,} mixes)"
            correlations.append(f"{text.change(rho)} {between}")
    if not correlations:
        return ""
    return f"Rank correlation of validation AUC: {text.listed(correlations)}."


def _mix(candidate: Sequence[Any]) -> str:
    background, shuffles, *_ = candidate
    at = f" + shuffles at k = {', '.join(map(str, shuffles))}" if shuffles else ""
    return f"background × {background}{at}"
