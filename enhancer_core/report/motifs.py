"""Compose the report on a network's filters as motifs, beside the motifs that they match."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from enhancer_core.motifs.match import FLAT, FilterMotif, Match
from enhancer_core.motifs.motif import Motif, ppm, reverse_complement
from enhancer_core.motifs.tomtom import FEWEST
from enhancer_core.report.page import Figure, Highlight, Page, Section, Table
from enhancer_core.report.plots import LETTER_WIDTH, LOGO_HEIGHT, logo

SIGNIFICANT = 0.05  # false discovery rate from which a match is shown as one
_GAP = 8  # points between two logos


def motif_page(filters: Sequence[FilterMotif], *, model: str, database: str, targets: int) -> Page:
    """Compose the report on filters as motifs.

    Parameters
    ----------
    filters
        In the order of the network.
    model, database
        Names to show.
    targets
        Motifs in the database.

    Returns
    -------
    Page
        The same filters give the same page.
    """
    active = [each for each in filters if each.motif is not None]
    matched = [each for each in active if each.match and each.match.q < SIGNIFICANT]
    known = targets >= FEWEST
    lead = f"{len(active)} of {len(filters)} first-layer filters respond to the sequences."
    highlights = [
        Highlight(label="Filters", value=str(len(filters)), note=f"{len(active)} with a motif")
    ]
    if known:
        lead = (
            f"{len(matched)} of {len(filters)} first-layer filters match a motif of {database}, at"
            f" a false discovery rate of {100 * SIGNIFICANT:g} % each."
        )
        highlights.append(
            Highlight(
                label="Matched", value=str(len(matched)), note=f"q below {SIGNIFICANT:g}, each"
            )
        )
    ranked = sorted(active, key=_rank)
    return Page(
        title=f"Motifs of {model}",
        lead=lead,
        highlights=highlights,
        sections=(
            Section(
                title="Filters and their matches",
                text=[
                    "Above each filter's motif, below it the motif that it is most similar to, as"
                    " they lie over each other; the surest matches first. A letter is as high as"
                    " its share of the position's information; the full height is 2 bits."
                ],
                figures=[_figure(each) for each in ranked],
                small_figures=True,
            ),
            Section(title="All filters", tables=[_table(filters)]),
            Section(title="What the figures mean", text=_meanings(database, targets, known=known)),
        ),
    )


def pair_logo(query: Motif, match: Match) -> Markup:
    """Draw a motif above its match, as they lie over each other, the match on the query's strand.

    Parameters
    ----------
    query
        The upper motif.
    match
        Of this query.

    Returns
    -------
    Markup
        SVG, as wide as both together.

    Examples
    --------
    >>> from enhancer_core.motifs.match import best_matches
    >>> from enhancer_core.motifs.motif import BUILTIN
    >>> cebpa = BUILTIN["CEBPA"]
    >>> part = Motif("part", cebpa.pfm[:, 2:8])
    >>> drawn = pair_logo(part, best_matches([part], [cebpa])[0])
    >>> drawn[:40], drawn.count('<svg x="40" y="0"')
    (Markup('<svg viewBox="0 0 180 130" xmlns="http:/'), 1)
    """
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
    """Set a logo of `width` letters into a drawing, from a position on."""
    place = f'x="{position * LETTER_WIDTH}" y="{y}"'
    size = f'width="{width * LETTER_WIDTH}" height="{LOGO_HEIGHT + 1}"'
    return str(svg).replace("<svg ", f"<svg {place} {size} ", 1)


def _rank(each: FilterMotif) -> tuple[bool, float, float]:
    """Order by q where it is known, then by similarity; what has no match comes last."""
    if each.match is None:
        return True, 0.0, -each.bits
    return False, float(np.nan_to_num(each.match.q, nan=1.0)), -each.match.similarity


def _figure(each: FilterMotif) -> Figure:
    assert each.motif is not None
    caption = Markup("<b>{}</b> {:.1f} bits").format(each.name, each.bits)
    if each.match is None:
        return Figure(svg=logo(ppm(each.motif.pfm)), alt=f"Logo of {each.name}", caption=caption)
    label = _label(each.match)
    caption += Markup("<br>{}<br>similarity {:.2f}").format(label, each.match.similarity)
    if np.isfinite(each.match.q):
        caption += f", q {_small(each.match.q)}"
    return Figure(
        svg=pair_logo(each.motif, each.match),
        alt=f"Logos of {each.name} and of {label}",
        caption=caption,
    )


def _table(filters: Sequence[FilterMotif]) -> Table:
    rows = [
        (each.name, _label(each.match) if each.match else _why_none(each), *_numbers(each))
        for each in filters
    ]
    return Table(
        head=("Filter", "Most similar", "Similarity", "p", "q", "Bits", "Sites"),
        rows=rows,
        text_columns=2,
    )


def _numbers(each: FilterMotif) -> tuple[str, str, str, str, str]:
    match = each.match
    return (
        f"{match.similarity:.3f}" if match else "",
        _small(match.p) if match else "",
        _small(match.q) if match else "",
        f"{each.bits:.1f}" if each.motif else "",
        "" if each.sites is None else f"{each.sites:,}",
    )


def _label(match: Match) -> str:
    """Name a target, with its alias unless the name holds it."""
    name, alias = match.target.name, match.target.alias
    return name if not alias or alias in name else f"{name} {alias}"


def _why_none(each: FilterMotif) -> str:
    return "nothing activates it" if each.motif is None else "flat"


def _small(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.2g}"


def _meanings(database: str, targets: int, *, known: bool) -> list[str]:
    """Say what similarity, p and q are, and what they leave open."""
    chance = (
        f"p is TOMTOM's: the chance that a motif made of {database}'s columns, drawn at random,"
        f" lies as near to the filter's in its best alignment. q is the false discovery rate at"
        f" that p among the {targets:,} motifs; it does not allow for the number of filters."
    )
    if not known:
        chance = (
            f"{database} has {targets:,} motifs; p-values, which are drawn from a database's"
            f" columns, need {FEWEST}. So a similarity here is no evidence by itself."
        )
    return [
        "Similarity is the correlation of two motifs' base frequencies in their best alignment on"
        " either strand, 1 for the same motif; positions that hang over count as uniform. With the"
        " nearest of a thousand motifs, half of random motifs of 9 bp reach 0.65, and a few 0.9.",
        chance,
        f"A filter of less than {FLAT:g} bits is called flat and not matched. A match names a"
        " family: members of one bind alike, and a database has many of them. What does not match"
        " may still be half of a motif, the other half being in another filter, or composition.",
    ]
