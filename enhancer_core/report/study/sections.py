"""Compose the sections of a study's report from the results of its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from enhancer_core.metrics import Estimate
from enhancer_core.report.page import Figure, Section, Table
from enhancer_core.report.study import charts, text
from enhancer_core.report.study.matrix import matrix_section
from enhancer_core.report.study.models import each_section, models_section
from enhancer_core.report.study.motifs import filters_section, motifs_section
from enhancer_core.report.study.parts import cell, figure_id, text_of
from enhancer_core.report.text import with_interval
from enhancer_core.study.recipe import Recipe, ReportSection, Run, Search, runs_of, split_test
from enhancer_core.study.results import (
    CHANCE_AT_MOST,
    PAPER_K,
    Result,
    auc,
    difference,
    mean,
    rank_correlation,
    recommended_k,
)

_TOP = 8  # candidates of a search that are listed
_FEWEST = 10  # candidates of a round whose ranks are compared


def section(part: ReportSection, recipe: Recipe, results: Mapping[str, Result]) -> Section:
    """Compose one section."""
    compose = {
        "models": models_section,
        "each": each_section,
        "matrix": matrix_section,
        "k_choice": _k_choice,
        "motifs": motifs_section,
        "filters": filters_section,
        "search": _search,
    }[part.kind]
    return compose(part, recipe, results)


def _k_choice(part: ReportSection, recipe: Recipe, results: Mapping[str, Result]) -> Section:
    """Draw AUC against own shuffles along k, and recommend one; the first is the background."""
    lines: dict[str, dict[int, Estimate]] = {}
    runs: dict[str, list[Run]] = {}
    for run in runs_of(part, recipe):
        if not isinstance(run, Run):
            continue
        name = run.shown.rpartition(", k = ")[0] or run.shown
        k = run.shuffles[0]
        own = [test for test in run.tests if split_test(test)[1] == k]
        lines.setdefault(name, {})[k] = mean([auc(results[run.name], test) for test in own])
        runs.setdefault(name, []).append(run)
    background = next(iter(lines))
    of_shuffles = [name for name in lines if runs[name][0].positive == "background"]
    others = [name for name in lines if name not in (background, *of_shuffles)]
    recommended = {other: recommended_k(lines[background], lines[other]) for other in others}
    said = [
        text.k_choice(other, k, lines[background].get(k or 0), lines[other].get(k or 0))
        for other, k in recommended.items()
    ]
    if part.k is not None and recommended:
        said.append(text.k_used(part.k, recommended))
    said += [
        text.beside_chance(name, PAPER_K, lines[name][PAPER_K], CHANCE_AT_MOST)
        for name in of_shuffles
        if PAPER_K in lines[name]
    ]
    said += [
        text.by_other_background(
            name, {other: recommended_k(lines[name], lines[other]) for other in others}
        )
        for name in of_shuffles
        if name != background and others and len(lines[name]) == len(lines[background])
    ]
    chosen = next((k for k in recommended.values() if k is not None), None)
    first = runs[background]
    equal = {run.shuffles[0]: results[run.name]["unchanged"] for run in first}
    table = [
        (
            str(k),
            f"{100 * equal[k][str(k)]:.1f}" if k in equal else "",
            *(cell(line[k]) if k in line else "" for line in lines.values()),
        )
        for k in sorted({k for line in lines.values() for k in line})
    ]
    return Section(
        title=part.title,
        text=text_of(part, f"{text.K_RULE} The background is '{background}'.", *said),
        tables=[
            Table(
                head=("k", "Shuffles equal to input, %", *lines),
                rows=table,
                caption="Test AUC against the sequences' own k-shuffles, with 95 % intervals, and"
                " the share of shuffles that equal their input.",
            )
        ],
        key=list(zip(charts.COLOURS, lines, strict=False)),
        figures=[
            Figure(
                svg=charts.along_k(
                    lines, guide=CHANCE_AT_MOST, chosen=chosen, name=figure_id(recipe, part)
                ),
                alt="Test AUC against own shuffles along k",
                caption="Dashed: 0.55." + (" Shaded: the k recommended." if chosen else ""),
            )
        ],
        wide_figures=True,
    )


def _search(part: ReportSection, recipe: Recipe, results: Mapping[str, Result]) -> Section:
    """Tell how a search went, round by round, and how its winner did."""
    runs = runs_of(part, recipe)
    searched = next(run for run in runs if isinstance(run, Search))
    result = results[searched.name]
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
        said += " " + text.versus("The winner", base.shown, gain)
    return Section(
        title=part.title,
        text=text_of(part, said, _rank_kept(result["rounds"])),
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


def _rank_kept(rounds: Sequence[Mapping[str, Any]]) -> str:
    """Say whether each round ranked the mixes that went on as the next one did."""
    said = []
    for number, (one, other) in enumerate(pairwise(rounds), start=1):
        before = {_mix(each): each[2] for each in one["candidates"]}
        after = [each[2] for each in other["candidates"]]
        if len(after) >= _FEWEST:
            rho = rank_correlation([before[_mix(each)] for each in other["candidates"]], after)
            said.append(text.rank_kept(number, len(after), rho))
    if not said:
        return ""
    return " ".join([*said, "(Rank correlation of validation AUC, with its 95 % interval.)"])


def _mix(candidate: Sequence[object]) -> str:
    background, shuffles = candidate[0], candidate[1]
    ks = ", ".join(str(k) for k in shuffles) if isinstance(shuffles, list) else ""
    return f"background × {background}" + (f" + shuffles at k = {ks}" if ks else "")
