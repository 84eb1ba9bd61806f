"""Compose the sections of a study's report from the results of its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from enhancer_core.metrics import Estimate
from enhancer_core.motif import ppm, reverse_complement
from enhancer_core.report import Figure, Section, Table, plots
from enhancer_core.report.sentences import with_interval
from enhancer_core.study import figures, words
from enhancer_core.study.compare import (
    CHANCE_AT_MOST,
    Result,
    auc,
    difference,
    mean,
    recommended_k,
)
from enhancer_core.study.matrix import matrix_section
from enhancer_core.study.models import each_section, models_section
from enhancer_core.study.parts import figure_id, runs_of, text_of
from enhancer_core.study.recipe import Part, Recipe, Run, Search

_TOP = 8  # candidates of a search that are listed


def section(part: Part, recipe: Recipe, results: Mapping[str, Result]) -> Section:
    """Compose one section."""
    compose = {
        "models": models_section,
        "each": each_section,
        "matrix": matrix_section,
        "k_choice": _k_choice,
        "motifs": _motifs,
        "search": _search,
    }[part.kind]
    return compose(part, recipe, results)


def _k_choice(part: Part, recipe: Recipe, results: Mapping[str, Result]) -> Section:
    """Draw AUC against own shuffles along k, and recommend one; the first is the background."""
    lines: dict[str, dict[int, Estimate]] = {}
    runs: dict[str, list[Run]] = {}
    for run in runs_of(part, recipe):
        if not isinstance(run, Run):
            continue
        name = run.shown.rpartition(", k = ")[0] or run.shown
        k = run.shuffles[0]
        lines.setdefault(name, {})[k] = mean([auc(results[run.name], t) for t in run.tests])
        runs.setdefault(name, []).append(run)
    background, *others = lines
    recommended = {other: recommended_k(lines[background], lines[other]) for other in others}
    said = [
        words.k_choice(other, k, lines[background].get(k or 0), lines[other].get(k or 0))
        for other, k in recommended.items()
    ]
    chosen = next((k for k in recommended.values() if k is not None), None)
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
        text=text_of(part, f"{words.K_RULE} The background is '{background}'.", *said),
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
                    lines, guide=CHANCE_AT_MOST, chosen=chosen, name=figure_id(recipe, part)
                ),
                alt="Test AUC against own shuffles along k",
                caption="Dashed: 0.55." + (" Shaded: the k recommended." if chosen else ""),
            )
        ],
        wide_figures=True,
    )


def _motifs(part: Part, recipe: Recipe, results: Mapping[str, Result]) -> Section:
    """Show the filter most like each motif that was looked for."""
    rows, drawn, found = [], [], []
    for run in runs_of(part, recipe):
        for spec, best in results[run.name].get("motifs", {}).items():
            motif = spec.rpartition(":")[2].rpartition(".")[2]
            found.append((run, motif, best["similarity"]))
            rows.append((run.shown, motif, f"{best['similarity']:.3f}"))
            if "pfm" in best:
                drawn += _pair(run, motif, best)
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
        text=text_of(part, *said),
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
        said += " " + words.versus("The winner", base.shown, gain)
    return Section(
        title=part.title,
        text=text_of(part, said),
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
