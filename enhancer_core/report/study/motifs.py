"""The sections on filters as motifs: beside motifs of interest, and beside a whole database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from enhancer_core.motifs.homer import similarity
from enhancer_core.motifs.match import Match
from enhancer_core.motifs.motif import Motif
from enhancer_core.report.motifs import pair_logo
from enhancer_core.report.page import Figure, Section, Table
from enhancer_core.report.study import text
from enhancer_core.study.recipe import Recipe, ReportSection, runs_of
from enhancer_core.study.results import ResultByRun

Pfm = Sequence[Sequence[float]]  # (4, W), as JSON has it

_DRAWN = 4  # motifs of a network, at most
_SIMILARITY = "Similarity: Pearson correlation of filter and motif, as HOMER's (1 for the same)"
_CHANCE = (
    "; p: TOMTOM's; q: false discovery rate among all motifs of the database. Neither corrects for"
    " the number of filters. Factors of one family have similar motifs."
)


def motifs_section(part: ReportSection, recipe: Recipe, results: ResultByRun) -> Section:
    """Show the filter most like each motif of interest."""
    filters = [
        (run.shown, spec.rpartition(":")[2].rpartition(".")[2], best)
        for run in runs_of(part, recipe)
        for spec, best in results[run.name].get("motifs", {}).items()
    ]
    has_q = any(best.get("q") is not None for _, _, best in filters)
    rows = []
    for run, motif, best in filters:
        row = [run, motif, f"{best['similarity']:.3f}"]
        if has_q:
            name, nearest, *_ = _cells(best.get("best"))
            row += [_small(best.get("p")), _small(best.get("q")), name, nearest]
        rows.append(row)
    more = ("p", "q", "Best match in the database", "Similarity") if has_q else ()
    figures = [
        _figure(run, _name(best) if "name" in best else motif, best["pfm"], best, best["motif"])
        for run, motif, best in filters
        if "pfm" in best
    ]
    head, caption = ("Network", "Motif", "Similarity", *more), _CHANCE if has_q else "."
    paragraphs = _sentences(part, filters, has_q=has_q)
    return _section(part, paragraphs, head, rows, f"{_SIMILARITY}{caption}", figures)


def filters_section(part: ReportSection, recipe: Recipe, results: ResultByRun) -> Section:
    """Show which motifs of the database filters match, by the filter of lowest q of each."""
    sentences, rows, figures = [], [], []
    for run in runs_of(part, recipe):
        filters = results[run.name].get("filters", ())
        matched = [entry for entry in filters if _is_significant(entry["match"] or {}, part)]
        matched.sort(key=lambda entry: (entry["match"]["q"], -entry["match"]["similarity"]))
        names = [entry["match"]["name"] for entry in matched]
        counts = Counter(names)  # in the order of q
        sentences.append(
            f"{text.sentence(run.shown)}: {len(matched)} of {len(filters)} filters match a motif at"
            f" q below {part.most_q:g} (distinct motifs: {len(counts)})."
        )
        for i, (name, count) in enumerate(counts.items()):
            best = matched[names.index(name)]
            match = best["match"]
            rows.append((run.shown, *_cells(match), str(count)))
            if i < _DRAWN:
                logos = best["pfm"], match, match["target"]
                figures.append(_figure(run.shown, _name(match), *logos))
    head = ("Network", "Motif of the database", "Similarity", "p", "q", "Filters")
    caption = f"The best match of each filter, by motif. {_SIMILARITY}, of the filter of lowest q"
    return _section(part, [" ".join(sentences)], head, rows, f"{caption}{_CHANCE}", figures)


def _section(
    part: ReportSection, paragraphs: Sequence[str], head: Sequence[str],
    rows: Sequence[Sequence[str]], caption: str, figures: Sequence[Figure],
) -> Section:  # fmt: skip
    paragraphs = text.text_of(part, *paragraphs)
    tables = [Table(head=head, rows=rows, text_columns=2, caption=caption)]
    return Section(
        title=part.title, text=paragraphs, tables=tables, figures=figures, small_figures=True
    )


def _sentences(
    part: ReportSection, filters: Sequence[tuple[str, str, Mapping[str, Any]]], *, has_q: bool
) -> list[str]:
    """State how many filters are similar enough, and how many match no other motif better."""
    sentences = []
    if part.least is not None:
        least = min(best["similarity"] for _, _, best in filters)
        one_each = len({run for run, _, _ in filters}) == len(filters)
        enough = [
            run if one_each else motif
            for run, motif, best in filters
            if best["similarity"] >= part.least and (not has_q or _is_significant(best, part))
        ]
        also = f" and a q below {part.most_q:g}" if has_q else ""
        which = f" ({'; '.join(enough)})" if enough else ""
        sentences.append(
            f"{len(enough)} of {len(filters)} reach a similarity of {part.least:g}{also}{which};"
            f" the lowest similarity is {least:.3f}."
        )
    if has_q:
        matched = [(run, best, best["best"]) for run, _, best in filters if best.get("best")]
        others = [
            f"; that of {run} matches {_name(nearest)}, p {_small(nearest['p'])}"
            for run, best, nearest in matched
            if nearest["target"] != best["motif"]
        ]
        sentences.append(
            f"Of all motifs of the database, {len(matched) - len(others)} of {len(filters)} match"
            f" the motif of interest best{''.join(others)}."
        )
    return sentences


def _is_significant(match: Mapping[str, Any], part: ReportSection) -> bool:
    q = match.get("q")
    return q is not None and bool(q < part.most_q)


def _cells(match: Mapping[str, Any] | None) -> tuple[str, str, str, str]:
    if match is None:
        return "flat", "", "", ""
    name = " ".join(filter(None, (match["name"], match["alias"])))
    return name, f"{match['similarity']:.3f}", _small(match["p"]), _small(match["q"])


def _name(match: Mapping[str, Any]) -> str:
    return str(match["alias"] or match["name"].rpartition(".")[2] or match["name"])


def _small(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"


def _figure(run: str, name: str, pfm: Pfm, match: Mapping[str, Any], target: Pfm) -> Figure:
    query, other = Motif("filter", np.array(pfm)), Motif(name, np.array(target))
    aligned = similarity([query], [other])
    offset, strand = int(aligned.offsets[0, 0]), int(aligned.strands[0, 0])
    pair = Match(other, match["similarity"], offset=offset, strand=strand, p=np.nan, q=np.nan)
    q = "" if match.get("q") is None else f", q {_small(match['q'])}"
    return Figure(
        svg=pair_logo(query, pair),
        alt=f"Logos of a filter of {run} and of {name}",
        caption=Markup("<b>{}</b><br>{}, {:.2f}{}").format(run, name, match["similarity"], q),
    )
