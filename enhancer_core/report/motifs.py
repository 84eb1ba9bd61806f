"""Compose the report on a network's filters as motifs, beside the motifs that they match."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from enhancer_core.dna.codes import ALPHABET
from enhancer_core.motifs.match import FLAT, SIGNIFICANT, SURE, FilterMotif, Match
from enhancer_core.motifs.motif import Motif, ppm, reverse_complement
from enhancer_core.motifs.tomtom import FEWEST
from enhancer_core.report.page import Figure, Highlight, Page, Section, Table
from enhancer_core.report.plots import LETTER_WIDTH, LOGO_HEIGHT, logo

_GAP = 8  # points between two logos


def motif_page(filters: Sequence[FilterMotif], *, model: str, database: str, targets: int) -> Page:
    """Compose the report on filters, in the network's order, as motifs.

    `model` and `database` are names to show; the database has `targets` motifs.
    """
    active = [each for each in filters if each.motif is not None]
    lead = f"{len(active)} of {len(filters)} first-layer filters respond to the sequences."
    highlights = [Highlight(str(len(filters)), "Filters", f"{len(active)} with a motif")]
    significance = targets >= FEWEST
    if significance:
        n = sum(each.matched for each in active)
        lead = (
            f"{n} of {len(filters)} first-layer filters match a motif of {database}, at a false"
            f" discovery rate of {100 * SIGNIFICANT:g} % each."
        )
        highlights.append(Highlight(str(n), "Matched", f"q below {SIGNIFICANT:g}, each"))
    meanings = _meanings(database, targets, significance=significance)
    return Page(
        title=f"Motifs of {model}",
        lead=lead,
        highlights=highlights,
        sections=[
            Section(
                title="Filters and their matches",
                text=[
                    "Above each filter's motif, below it the known one that it matches best,"
                    " aligned; the most significant matches first. The height of a letter is its"
                    " share of the position's information; the full height is 2 bits."
                ],
                figures=[filter_figure(each) for each in sorted(active, key=_rank)],
                small_figures=True,
            ),
            Section(title="All filters", tables=[_table(filters)]),
            Section(title="What the figures mean", text=meanings),
        ],
    )


def pair_logo(query: Motif, match: Match) -> Markup:
    """Draw a motif above its match, aligned, with the match on the query's strand, as SVG."""
    lower, offset = ppm(match.target.pfm), match.offset
    if match.strand < 0:
        lower = reverse_complement(lower)
        offset = match.target.width - query.width - offset
    shift, under = max(0, offset), max(0, -offset)
    width = max(shift + query.width, under + match.target.width)
    height = LOGO_HEIGHT + 1
    drawn = _placed(logo(ppm(query.pfm)), query.width, shift, 0)
    drawn += _placed(logo(lower), match.target.width, under, height + _GAP)
    box = f"0 0 {width * LETTER_WIDTH} {2 * height + _GAP}"
    return Markup(f'<svg viewBox="{box}" xmlns="http://www.w3.org/2000/svg">{drawn}</svg>')


def _placed(svg: Markup, width: int, position: int, y: int) -> str:
    """Place a logo of `width` letters in a drawing, from a position on."""
    place = f'x="{position * LETTER_WIDTH}" y="{y}"'
    size = f'width="{width * LETTER_WIDTH}" height="{LOGO_HEIGHT + 1}"'
    return str(svg).replace("<svg ", f"<svg {place} {size} ", 1)


def _rank(each: FilterMotif) -> tuple[bool, float, float]:
    """Order by q where it is known, then by similarity; filters without a match come last."""
    if each.match is None:
        return True, 0.0, -each.bits
    return False, float(np.nan_to_num(each.match.q, nan=1.0)), -each.match.similarity


def filter_figure(item: FilterMotif) -> Figure:
    """Draw the motif of an active filter, above its match if it has one."""
    assert item.motif is not None
    frequencies = ppm(item.motif.pfm)
    consensus = "".join(ALPHABET[base] for base in frequencies.argmax(axis=0))
    svg, alt = logo(frequencies), f"Logo of {item.name}, consensus {consensus}"
    caption = Markup("<b>{}</b> {:.1f} bits").format(item.name, item.bits)
    if item.match is not None:
        label = _label(item.match)
        svg, alt = (pair_logo(item.motif, item.match), f"Logos of {item.name} and of {label}")
        caption += Markup("<br>{}<br>similarity {:.2f}").format(label, item.match.similarity)
        if np.isfinite(item.match.q):
            caption += f", q {_small(item.match.q)}"
    return Figure(svg, alt, caption)


def _table(filters: Sequence[FilterMotif]) -> Table:
    rows = []
    for item in filters:
        match = ["nothing activates it" if item.motif is None else "flat", "", "", ""]
        if item.match is not None:
            similarity, p, q = item.match.similarity, item.match.p, item.match.q
            match = [_label(item.match), f"{similarity:.3f}", _small(p), _small(q)]
        bits = f"{item.bits:.1f}" if item.motif else ""
        rows.append((item.name, *match, bits, "" if item.sites is None else f"{item.sites:,}"))
    head = ("Filter", "Best match", "Similarity", "p", "q", "Bits", "Sites")
    return Table(head, rows, text_columns=2)


def _label(match: Match) -> str:
    """Name a target, with its alias unless the name holds it."""
    name, alias = match.target.name, match.target.alias
    return name if not alias or alias in name else f"{name} {alias}"


def _small(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.2g}"


def _meanings(database: str, targets: int, *, significance: bool) -> list[str]:
    """Explain similarity, p and q, and what they leave open."""
    p_and_q = (
        f"{database} has {targets:,} motifs; p-values, which are computed from a database's"
        f" columns, need {FEWEST}. So the match is the most similar motif, which is no evidence by"
        " itself."
    )
    if significance:
        p_and_q = (
            f"p is TOMTOM's: the probability that a motif of columns drawn at random from"
            f" {database} is as close to the filter's in its best alignment. The match is the"
            " motif of lowest p, the more similar one if two are equal. q is the false"
            f" discovery rate at that p among the {targets:,} motifs; it does not allow for the"
            f" number of filters. Of random motifs below {SURE:g} bits a quarter match some long,"
            " flat motif at q below 0.05, unlike as they are: such matches are shown, not counted."
        )
    return [
        "Similarity is the correlation of two motifs' base frequencies in their most similar"
        " alignment, the one drawn, on either strand, 1 for the same motif; overhanging positions"
        " count as uniform. With the most similar of a thousand motifs, half of random motifs of"
        " 9 bp reach 0.65, and a few 0.9.",
        p_and_q,
        f"A filter of less than {FLAT:g} bits is called flat and not matched. A match names a"
        " family: its members bind alike, and a database has many of them. A filter without a"
        " match may still be half of a motif, the other half being in another filter, or read"
        " composition.",
    ]
