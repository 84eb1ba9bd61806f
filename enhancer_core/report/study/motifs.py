"""The sections that show what filters look for: beside the motifs asked for, and beside all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from enhancer_core.motifs.match import Match
from enhancer_core.motifs.motif import Motif, ppm, reverse_complement
from enhancer_core.report import plots
from enhancer_core.report.motifs import pair_logo
from enhancer_core.report.page import Figure, Section, Table
from enhancer_core.report.study import text
from enhancer_core.report.study.parts import text_of
from enhancer_core.study.recipe import Recipe, ReportSection, Run, Search, runs_of
from enhancer_core.study.results import Result

_NAMED, _DRAWN = 6, 4  # motifs of a network, at most, in words and as logos
_SIMILARITY = (
    "Similarity is the Pearson correlation of the best filter with the motif, as HOMER's (1 is the"
    " same)"
)
_CHANCE = (
    "; p is TOMTOM's, q the false discovery rate among all motifs of the database. Neither allows"
    " for the number of filters. Factors of one family bind alike, and so their motifs are alike."
)


def motifs_section(part: ReportSection, recipe: Recipe, results: Mapping[str, Result]) -> Section:
    """Show the filter most like each motif that was looked for."""
    rows, drawn, found = [], [], []
    for run in runs_of(part, recipe):
        for spec, best in results[run.name].get("motifs", {}).items():
            motif = spec.rpartition(":")[2].rpartition(".")[2]
            found.append((run, motif, best))
            rows.append((run.shown, motif, f"{best['similarity']:.3f}", *_judged(best)))
            if best.get("q") is not None:
                drawn.append(_figure(run, {"pfm": best["pfm"], "match": best}))
            elif "pfm" in best:
                drawn += _pair(run, motif, best)
    judged = any(best.get("q") is not None for _, _, best in found)
    head = ("Network", "Motif", "Similarity", "p", "q", "Most like in the database", "Similarity")
    return Section(
        title=part.title,
        text=text_of(part, *_said(part, found, judged=judged)),
        tables=[
            Table(
                head=head if judged else head[:3],
                rows=[row if judged else row[:3] for row in rows],
                text_columns=2,
                caption=_SIMILARITY + (_CHANCE if judged else "."),
            )
        ],
        figures=drawn,
        small_figures=True,
    )


def filters_section(part: ReportSection, recipe: Recipe, results: Mapping[str, Result]) -> Section:
    """Show what filters match of all motifs of the database, the surest filter of each."""
    said, rows, drawn = [], [], []
    for run in runs_of(part, recipe):
        filters = results[run.name].get("filters", ())
        matched: dict[str, list[Mapping[str, Any]]] = {}
        for each in sorted((e for e in filters if _is_sure(e["match"] or {}, part)), key=_surest):
            matched.setdefault(each["match"]["name"], []).append(each)
        told = [f"{_name(each[0]['match'])} ({len(each)})" for each in matched.values()]
        said.append(
            f"{text.sentence(run.shown)}: {sum(map(len, matched.values()))} of {len(filters)}"
            f" filters match a motif at q below {part.most_q:g}"
            f"{f': {text.listed(told[:_NAMED])}' if told else ''}"
            f"{f', and {len(told) - _NAMED} more motifs' if len(told) > _NAMED else ''}."
        )
        for each in matched.values():
            rows.append((run.shown, *_cells(each[0]["match"]), str(len(each))))
        drawn += [_figure(run, each[0]) for each in list(matched.values())[:_DRAWN]]
    return Section(
        title=part.title,
        text=text_of(part, " ".join(said)),
        tables=[
            Table(
                head=("Network", "Motif of the database", "Similarity", "p", "q", "Filters"),
                rows=rows,
                text_columns=2,
                caption="Each motif that filters are most like, with the figures of the surest"
                " filter" + _CHANCE,
            )
        ],
        figures=drawn,
        small_figures=True,
    )


def _said(
    part: ReportSection,
    found: Sequence[tuple[Run | Search, str, Mapping[str, Any]]],
    *,
    judged: bool,
) -> list[str]:
    """Say how many reach what is asked for, and how many are most like what was looked for."""
    said = []
    if part.least is not None:
        least = min(best["similarity"] for _, _, best in found)
        one_each = len({run.name for run, _, _ in found}) == len(found)
        enough = [
            run.shown if one_each else motif
            for run, motif, best in found
            if best["similarity"] >= part.least and (not judged or _is_sure(best, part))
        ]
        also = f" and a q below {part.most_q:g}" if judged else ""
        which = f" ({'; '.join(enough)})" if enough else ""
        said.append(
            f"{len(enough)} of {len(found)} reach a similarity of {part.least:g}{also}{which}; the"
            f" least similarity is {least:.3f}."
        )
    matched = [(run, best) for run, _, best in found if best.get("best")]
    others = [
        f"that of {run.shown} is more like {_name(best['best'])}, {best['best']['similarity']:.3f}"
        for run, best in matched
        if best["best"]["target"] != best["motif"]
    ]
    if judged:
        said.append(
            f"Of all motifs of the database, {len(matched) - len(others)} of {len(found)} are most"
            f" like the one looked for{''.join(f'; {other}' for other in others)}."
        )
    return said


def _is_sure(best: Mapping[str, Any], part: ReportSection) -> bool:
    """Say whether q is known, and below the most allowed."""
    q = best.get("q")
    return q is not None and bool(q < part.most_q)


def _judged(best: Mapping[str, Any]) -> tuple[str, str, str, str]:
    name, similarity, *_ = _cells(best.get("best"))
    return _small(best.get("p")), _small(best.get("q")), name, similarity


def _cells(match: Mapping[str, Any] | None) -> tuple[str, str, str, str]:
    if match is None:
        return "flat", "", "", ""
    return (
        " ".join(filter(None, (match["name"], match["alias"]))),
        f"{match['similarity']:.3f}",
        _small(match["p"]),
        _small(match["q"]),
    )


def _name(match: Mapping[str, Any]) -> str:
    """Name a motif of a database as short as can be."""
    return str(match["alias"] or match["name"].rpartition(".")[2] or match["name"])


def _small(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"


def _surest(each: Mapping[str, Any]) -> tuple[float, float]:
    return each["match"]["q"], -each["match"]["similarity"]


def _figure(run: Run | Search, each: Mapping[str, Any]) -> Figure:
    """Draw a filter above what it is most like, as they lie over each other."""
    match = each["match"]
    target = Match(
        target=Motif(match["name"], np.array(match["target"]), match["alias"]),
        similarity=match["similarity"], offset=match["offset"], strand=match["strand"],
        p=match["p"], q=match["q"],
    )  # fmt: skip
    return Figure(
        svg=pair_logo(Motif("filter", np.array(each["pfm"])), target),
        alt=f"Logos of a filter of {run.shown} and of {_name(match)}",
        caption=Markup("<b>{}</b><br>{}, {:.2f}, q {}").format(
            run.shown, _name(match), target.similarity, _small(target.q)
        ),
    )


def _pair(run: Run | Search, motif: str, best: Mapping[str, Any]) -> list[Figure]:
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
