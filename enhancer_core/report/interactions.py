"""Compose the report on which first-layer motifs a network's second layer joins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from enhancer_core.dna.codes import ALPHABET, N_CODE, Codes
from enhancer_core.interpretation.interactions import CONFIDENCE, Arrangement, Interactions
from enhancer_core.motifs.match import FilterMotif
from enhancer_core.motifs.motif import ppm
from enhancer_core.report.motifs import SIGNIFICANT
from enhancer_core.report.mutagenesis import SHADES, shade
from enhancer_core.report.page import Figure, Highlight, Page, Section, Table
from enhancer_core.report.plots import GUIDE, logo

_WIDTH, _LEFT, _RIGHT, _TOP = 440, 84, 14, 40  # pixels: of the map, and its margins
_ROW = 11  # pixels: height of a row
_TICK = 10  # bp
_SHORT = "+.2g"  # of log odds
_ALIKE = 0.5  # share of an interaction from which another arrangement's is like it


def wiring_page(
    filters: Sequence[FilterMotif],
    sites: Codes,
    tested: Sequence[Interactions],
    found: Sequence[Arrangement],
    *,
    model: str,
    reach: int,
) -> Page:
    """Compose the report on pairs of filters.

    Parameters
    ----------
    filters
        In the order of the network, with their matches if a database was given.
    sites
        uint8, shape (F, W), as `second_layer.consensus_sites` gives.
    tested, found
        Of the pairs tested, and what came of it.
    model
        Name to show.
    reach
        bp, as `second_layer.max_distance` gives.

    Returns
    -------
    Page
        The same values give the same page.
    """
    names = [_name(each) for each in filters]
    joined = [each for each in found if each.low > 0]
    n = len(tested[0].values) if tested else 0
    lead = (
        f"Pairs of motifs that the second layer joins most strongly, tested by planting:"
        f" {len(tested)}. That tell more together than apart: {len(joined)}."
    )
    highlights = [
        Highlight(
            label="Pairs confirmed", value=f"{len(joined)} of {len(tested)}", note="by planting"
        )
    ]
    meaning = Section(title="What the figures mean", text=_meanings(n))
    if not tested:
        lead = "The second layer joins no two motifs."
        return Page(title=f"Wiring of {model}", lead=lead, sections=[meaning])
    shown = sorted({i for each in tested for i in (each.pair.first, each.pair.second)})
    sections = [
        Section(
            title="What is joined",
            text=[_sentence(each, names, reach) for each in found],
            tables=[_table(found, filters)],
        ),
        Section(
            title="Interaction by spacing",
            text=[
                "Each pair has two rows: the second site on the strand of the first (=), and on"
                " the opposite one (×). The spacing is from the first site's leftmost base to the"
                " second's, on the first one's strand; below 0 the second stands before it. Orange:"
                " together the two raise the log odds more than apart; blue: less. Grey: both sites"
                f" need one place. Lines at {reach} bp mark how far the second layer reaches."
            ],
            figures=[
                Figure(
                    svg=interaction_map(tested, reach=reach),
                    alt="Interaction of each pair by spacing and orientation",
                )
            ],
        ),
        Section(
            title="The motifs",
            figures=[_figure(filters[i], names[i], sites[i]) for i in shown],
            small_figures=True,
        ),
        meaning,
    ]
    return Page(
        title=f"Wiring of {model}",
        lead=lead,
        highlights=highlights,
        sections=sections,
    )


def interaction_map(tested: Sequence[Interactions], *, reach: int) -> Markup:
    """Draw the mean interaction of each pair, a row an orientation, by spacing.

    Parameters
    ----------
    tested
        One or more, all with the same spacings.
    reach
        bp, marked on both sides.

    Returns
    -------
    Markup
        SVG; the same bytes for the same values.

    Examples
    --------
    >>> from enhancer_core.interpretation.second_layer import FilterPair
    >>> values, pair = np.array([[[0.0, np.nan], [1.0, -1.0]]]), FilterPair(0, 6, 1.0, 3)
    >>> tested = [Interactions(pair, np.array([8, 9]), values, np.zeros(1), values)]
    >>> svg = interaction_map(tested, reach=9)
    >>> svg.count("1 + 7"), svg.count('fill="#cc7a29"'), svg.count('fill="#1f6fb2"')
    (1, 2, 2)
    """
    means = np.array([each.values.mean(axis=0).T for each in tested])  # (P, 2, S)
    strongest = float(np.nanmax(np.abs(means), initial=0.0))
    rows, spacings = means.reshape(-1, means.shape[2]), tested[0].spacings
    inside = _WIDTH - _LEFT - _RIGHT
    cell = inside / len(spacings)
    height = _TOP + _ROW * len(rows) + 34
    drawn = [*_key(strongest), f'<g transform="translate({_LEFT} {_TOP})">']
    drawn += _cells(rows, cell, strongest)
    for row, each in enumerate(tested):
        y = 2 * row * _ROW
        name = f"{each.pair.first + 1} + {each.pair.second + 1}"
        drawn.append(f'<text x="-24" y="{y + 15}" text-anchor="end">{name}</text>')
        drawn += (
            f'<text x="-6" y="{y + 9 + _ROW * at}" font-size="10" text-anchor="end">{sign}</text>'
            for at, sign in enumerate("=×")
        )
        if row:
            drawn.append(f'<path d="M0 {y}h{inside}" stroke="white" stroke-width="2"/>')
    bottom = len(rows) * _ROW
    for column, spacing in enumerate(spacings.tolist()):
        x = (column + 0.5) * cell
        if abs(spacing) == reach:
            edge = x + (cell if spacing > 0 else -cell) / 2
            drawn.append(f'<path d="M{edge:.2f} -4V{bottom + 4}" stroke="{GUIDE}"/>')
        if spacing % _TICK == 0:
            drawn.append(
                f'<text x="{x:.2f}" y="{bottom + 16}" font-size="10"'
                f' text-anchor="middle">{_signed(spacing, "+d") if spacing else 0}</text>'
            )
    drawn.append(f'<text x="{inside}" y="{bottom + 30}" text-anchor="end">spacing, bp</text></g>')
    return Markup(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
        f' font-family="sans-serif" font-size="12" fill="#1c2127">{"".join(drawn)}</svg>'
    )


def _cells(rows: NDArray[np.float64], cell: float, strongest: float) -> Iterator[str]:
    """Colour cells (rows, spacings), those of one shade in one path; what is nan is grey."""
    steps = np.rint(np.nan_to_num(rows) * (SHADES / strongest if strongest else 0)).astype(int)
    steps[np.isnan(rows)] = SHADES + 1
    for step in np.unique(steps[steps != 0]).tolist():
        path = "".join(
            f"M{column * cell:.2f} {row * _ROW}h{cell:.2f}v{_ROW}h-{cell:.2f}z"
            for row, column in np.argwhere(steps == step).tolist()
        )
        yield f'<path fill="{"#e6e9ec" if step > SHADES else shade(step)}" d="{path}"/>'


def _key(strongest: float) -> Iterator[str]:
    wide = 5
    right = float(_WIDTH - _RIGHT)
    left = right - (2 * SHADES + 1) * wide
    for step in range(-SHADES, SHADES + 1):
        x = left + (step + SHADES) * wide
        yield f'<rect x="{x:g}" y="2" width="{wide}" height="10" fill="{shade(step)}"/>'
    for x, anchor, text in (
        (left, "start", _signed(-strongest, "+.2g")),
        ((left + right) / 2, "middle", "log odds"),
        (right, "end", _signed(strongest, "+.2g")),
    ):
        yield f'<text x="{x:g}" y="25" font-size="10" text-anchor="{anchor}">{text}</text>'


def _name(each: FilterMotif) -> str:
    """Name a filter, with what it surely matches."""
    if each.match is None or not each.match.q < SIGNIFICANT:
        return each.name
    return f"{each.name} ({each.match.target.alias or each.match.target.name})"


def _arrangement(each: Arrangement, names: Sequence[str]) -> str:
    second, first = names[each.pair.second], names[each.pair.first]
    second = second if each.pair.first != each.pair.second else "another such site"
    where = "behind" if each.spacing >= 0 else "before"
    strand = "same" if each.same_strand else "opposite"
    return f"{second} {abs(each.spacing)} bp {where} {first}, on the {strand} strand"


def _sentence(each: Arrangement, names: Sequence[str], reach: int) -> str:
    """Say what planting a pair showed, and no more."""
    arrangement = _arrangement(each, names)
    measured = _measured(each)
    if each.low <= 0:
        return (
            f"{names[each.pair.first]} and {names[each.pair.second]}: no spacing or orientation"
            f" surely adds to what the two tell apart. The best, {arrangement}, changes the log"
            f" odds by {measured} beyond their sum."
        )
    layer = (
        f"within the {reach} bp that the second layer reaches"
        if abs(each.spacing) <= reach
        else f"beyond the {reach} bp that the second layer reaches, so later layers join them too"
    )
    rest = (
        ""
        if np.isnan(each.elsewhere)
        else (
            f" Averaged over all other spacings and orientations it is"
            f" {_signed(each.elsewhere, _SHORT)}."
        )
    )
    ways = [
        f"{_signed(value, _SHORT)} {way}"
        for value, way in (
            (each.turned, "with the second site turned round in its place"),
            (each.swapped, "as far on the other side of the first"),
        )
        if not np.isnan(value)
    ]
    others = f" It is {' and '.join(ways)}." if ways else ""
    if any(value < _ALIKE * each.interaction for value in (each.turned, each.swapped)):
        others += (
            " That this differs shows that other filters read these sites too, or across both:"
            " the first layer by itself forgets strands."
        )
    return (
        f"{arrangement[0].upper()}{arrangement[1:]}: together they change the log odds by"
        f" {measured} beyond the sum of what each does alone, {layer}.{others}{rest}"
    )


def _table(found: Sequence[Arrangement], filters: Sequence[FilterMotif]) -> Table:
    rows = [
        (
            filters[each.pair.first].name,
            filters[each.pair.second].name,
            "same" if each.same_strand else "opposite",
            _signed(each.spacing, "+d"),
            _measured(each),
            "" if np.isnan(each.elsewhere) else _signed(each.elsewhere, _SHORT),
            ", ".join(_signed(value, _SHORT) for value in each.alone),
            f"{each.pair.strength:.3g} at {each.pair.pools}",
        )
        for each in found
    ]
    head = ("First", "Second", "Strand", "Spacing, bp", "Interaction", "Elsewhere", "Alone")
    return Table(head=(*head, "Joined by weights"), rows=rows, text_columns=3)


def _measured(each: Arrangement) -> str:
    interval = f"{_signed(each.low, _SHORT)} to {_signed(each.high, _SHORT)}"
    return f"{_signed(each.interaction, _SHORT)} ({interval})"


def _figure(each: FilterMotif, name: str, site: Codes) -> Figure:
    assert each.motif is not None
    planted = "".join("·" if code == N_CODE else ALPHABET[code] for code in site.tolist())
    return Figure(
        svg=logo(ppm(each.motif.pfm)),
        alt=f"Logo of {each.name}",
        caption=Markup("<b>{}</b><br>planted: {}").format(name, planted),
    )


def _meanings(n: int) -> list[str]:
    return [
        "The first layer keeps the better strand of a site and forgets which it was, and scores are"
        " means of both strands. So where sites stand apart, such a network can hardly care on"
        " which strand they are, or in which order. Sites that touch may spell a third one across"
        " the place where they meet: then strand and order matter.",
        "Two filters are joined by the weights if units of the second layer weigh both positively;"
        " how strongly is the product of what each adds when its best site is there, over all"
        " units. The figure after it is the distance, in places of the pooled first layer. The"
        " weights know no strand, and nothing of later layers; they only chose what to test.",
        f"Each pair was planted in {n} shuffles of the sequences, which keep each one's count of"
        " pairs of letters, at every spacing and on both strands. The interaction is the log odds"
        " with both sites, less those with either alone, plus those with none, mean of both"
        " strands; 0 where what the two tell just adds up.",
        f"Half of the shuffles chose a pair's best spacing and orientation, the other half judged"
        f" it. All intervals hold together with {100 * CONFIDENCE:g} %. They cover the luck of"
        " which DNA stands around the sites, not that of training: another network may be wired in"
        " another way. What a network joins is not yet what a cell does.",
    ]


def _signed(value: float, form: str) -> str:
    return format(value, form).replace("-", "−")
