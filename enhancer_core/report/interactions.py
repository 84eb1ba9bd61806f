"""Compose the report on which first-layer motifs a network's second layer combines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from enhancer_core.dna.codes import ALPHABET, N_CODE, Codes
from enhancer_core.interpretation.interactions import (
    ALIKE,
    ANYWHERE,
    CONFIDENCE,
    KINDS,
    SPECIFIC,
    UNCLEAR,
    Arrangement,
    Interactions,
)
from enhancer_core.motifs.match import FilterMotif
from enhancer_core.motifs.motif import ppm
from enhancer_core.report.page import Figure, Highlight, Page, Section, Table
from enhancer_core.report.plots import CHANGES, GUIDE, as_svg, logo, new_axes, styled
from enhancer_core.report.text import signed

_WIDTH, _LEFT, _ROW, _MARGINS = 440, 90, 11, 92  # points, of the map
_CONCLUSIONS = {
    SPECIFIC: "the interaction is spacing-specific",
    ANYWHERE: "the two interact at any distance",
    UNCLEAR: "whether it depends on the spacing is unclear",
}
_COLLISION = "#e6e9ec"
_LOG_ODDS = "+.2g"


def interaction_page(
    filters: Sequence[FilterMotif],
    sites: Codes,
    tested: Sequence[Interactions],
    findings: Sequence[Arrangement],
    *,
    model: str,
    reach: int,
) -> Page:
    """Compose the report on pairs of filters.

    Parameters
    ----------
    filters, sites
        In the order of the network, with their matches if a database was given; uint8, shape
        (F, W), as `consensus_sites` returns.
    tested, findings
        Of the pairs tested, in one order.
    model, reach
        Name to show; bp, as `interpretation.max_distance` returns.
    """
    title, shuffles = f"Wiring of {model}", len(tested[0].values) if tested else 0
    meaning = Section(title="What the figures mean", text=_meanings(shuffles))
    if not tested:
        return Page(title=title, lead="The second layer combines no motifs.", sections=[meaning])
    names = [_name(filter_motif) for filter_motif in filters]
    kinds = [finding.kind for finding in findings if finding.confirmed]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in KINDS if kind in kinds)
    shown = sorted({i for result in tested for i in (result.pair.first, result.pair.second)})
    return Page(
        title=title,
        lead="Pairs of motifs that the second layer combines most strongly, tested by planting:"
        f" {len(tested)}. Pairs that interact: {len(kinds)}{f' ({counts})' if counts else ''}.",
        highlights=[
            Highlight(f"{len(kinds)} of {len(tested)}", "Pairs confirmed", counts or "by planting")
        ],
        sections=[
            Section(
                title="Pairs",
                text=[_sentence(finding, names, reach) for finding in findings],
                tables=[_table(findings, filters)],
            ),
            Section(
                title="Interaction by spacing",
                text=[
                    "Each pair has two rows: the second site on the strand of the first (=), and on"
                    " the opposite one (×). The spacing is from the first site's leftmost base to"
                    " the second's, on the first one's strand; below 0 the second site comes first."
                    " Orange: the two sites together raise the log odds more than the sum of each"
                    f" alone; blue: less. Grey: the sites overlap. Lines at {reach} bp mark how far"
                    " the second layer reaches."
                ],
                figures=[
                    Figure(
                        interaction_map(tested, reach=reach),
                        "Interaction of each pair by spacing and orientation",
                    )
                ],
            ),
            Section(
                title="The motifs",
                figures=[_figure(filters[i], names[i], sites[i]) for i in shown],
                small_figures=True,
            ),
            meaning,
        ],
    )


@styled
def interaction_map(tested: Sequence[Interactions], *, reach: int) -> Markup:
    """Draw the mean interaction of each pair by spacing, one row for each orientation.

    All of the pairs, one or more, have the same spacings; `reach`, in bp, is marked on both sides.
    """
    means = np.concatenate([each.values.mean(axis=0).T for each in tested])  # (2 P, S)
    strongest = float(np.nanmax(np.abs(means), initial=0.0)) or 1.0
    edges = np.append(tested[0].spacings, tested[0].spacings[-1] + 1) - 0.5
    height = _MARGINS + _ROW * len(means)
    figure, axes = new_axes(x="spacing, bp", y="pair", height=height, width=_WIDTH, left=_LEFT)
    cells = axes.imshow(
        means, extent=(edges[0], edges[-1], len(means), 0), aspect="auto", interpolation="none",
        cmap=CHANGES.with_extremes(bad=_COLLISION), vmin=-strongest, vmax=strongest,
    )  # fmt: skip
    middles = np.arange(1, len(means), 2)
    axes.hlines(middles[1:] - 1, edges[0], edges[-1], color="white", linewidth=2)
    axes.vlines(np.intersect1d([-reach - 0.5, reach + 0.5], edges), 0, len(means), color=GUIDE)
    axes.set_yticks(middles, [f"{each.pair.first + 1} + {each.pair.second + 1}" for each in tested])
    axes.set_yticks(np.arange(len(means)) + 0.5, ["=", "×"] * len(tested), minor=True)
    axes.tick_params(axis="y", pad=22)
    axes.tick_params(axis="y", which="minor", pad=6, length=0, labelsize=10)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(lambda spacing, _: signed(spacing, "+g") if spacing else "0")
    key = figure.add_axes((0.52, 1 - 14 / height, 0.4, 8 / height))
    figure.colorbar(cells, cax=key, orientation="horizontal").outline.set_visible(False)
    ends = [signed(value, _LOG_ODDS) for value in (-strongest, strongest)]
    key.set_xticks([-strongest, 0, strongest], [ends[0], "log odds", ends[1]])
    key.tick_params(length=0, pad=4, labelsize=10)
    return as_svg(figure, name="interactions")


def _name(motif: FilterMotif) -> str:
    """Name a filter, with its significant match."""
    if motif.match is None or not motif.matched:
        return motif.name
    return f"{motif.name} ({motif.match.target.alias or motif.match.target.name})"


def _sentence(finding: Arrangement, names: Sequence[str], reach: int) -> str:
    """Write what planting a pair showed, and no more."""
    first, second = names[finding.pair.first], names[finding.pair.second]
    own = finding.pair.first == finding.pair.second
    arrangement = (
        f"{'another such site' if own else second} {abs(finding.spacing)} bp"
        f" {'behind' if finding.spacing >= 0 else 'before'} {first}, on the"
        f" {'same' if finding.same_strand else 'opposite'} strand"
    )
    measured = _measured(finding)
    if not finding.confirmed:
        return (
            f"{first} and {second}: no spacing or orientation is significant. The best,"
            f" {arrangement}, changes the log odds by {measured} beyond the sum of each alone."
        )
    within = abs(finding.spacing) <= reach
    text = (
        f"{arrangement[0].upper()}{arrangement[1:]}: together they change the log odds by"
        f" {measured} beyond the sum of each alone, {'within' if within else 'beyond'} the"
        f" {reach} bp that the second layer reaches"
        f"{'' if within else ', so later layers contribute'}."
    )
    alternatives = (
        (finding.turned, "with the second site reverse-complemented in place"),
        (finding.swapped, "as far on the other side of the first"),
    )
    others = [f"{signed(v, _LOG_ODDS)} {place}" for v, place in alternatives if not np.isnan(v)]
    if others:
        text += f" It is {' and '.join(others)}."
    if any(value < ALIKE * finding.interaction for value, _ in alternatives):
        text += (
            " That this differs shows that other filters read these sites too, or the DNA across"
            " both: the first layer alone does not keep strands."
        )
    if not np.isnan(finding.elsewhere):
        mean = signed(finding.elsewhere, _LOG_ODDS)
        text += f" Its mean over all other spacings and orientations is {mean}"
        if not np.isnan(finding.excess[0]):
            text += f", less by {_interval(finding.excess)}: {_CONCLUSIONS[finding.kind]}"
        text += "."
    return text


def _table(findings: Sequence[Arrangement], filters: Sequence[FilterMotif]) -> Table:
    rows = [
        (
            filters[finding.pair.first].name,
            filters[finding.pair.second].name,
            finding.kind if finding.confirmed else "not confirmed",
            "same" if finding.same_strand else "opposite",
            signed(finding.spacing, "+d"),
            _measured(finding),
            "" if np.isnan(finding.elsewhere) else signed(finding.elsewhere, _LOG_ODDS),
            ", ".join(signed(value, _LOG_ODDS) for value in finding.alone),
            f"{finding.pair.strength:.3g} at {finding.pair.pools}",
        )
        for finding in findings
    ]
    head = ("First", "Second", "Kind", "Strand", "Spacing, bp", "Interaction", "Elsewhere", "Alone")
    return Table((*head, "Strength"), rows, text_columns=4)


def _measured(finding: Arrangement) -> str:
    return _interval((finding.interaction, finding.low, finding.high))


def _interval(values: tuple[float, float, float]) -> str:
    value, low, high = (signed(v, _LOG_ODDS) for v in values)
    return f"{value} ({low} to {high})"


def _figure(motif: FilterMotif, name: str, site: Codes) -> Figure:
    assert motif.motif is not None
    planted = "".join("·" if code == N_CODE else ALPHABET[code] for code in site.tolist())
    caption = Markup("<b>{}</b><br>planted: {}").format(name, planted)
    return Figure(logo(ppm(motif.motif.pfm)), f"Logo of {motif.name}", caption)


def _meanings(n: int) -> list[str]:
    return [
        "The first layer keeps the better strand of a site but not which it was, and scores are"
        " means of both strands. So where sites do not touch, such a network can hardly depend on"
        " their strands or order. Sites that touch may spell a third one across their junction:"
        " then strand and order matter.",
        "The weights combine two filters if units of the second layer weight both positively; the"
        " strength is the product of what the best site of each adds, summed over units. The"
        " figure after it is the distance, in positions of the pooled first layer. The weights"
        " hold no strand, and nothing of later layers; they only selected what to test.",
        f"Each pair was planted in {n} shuffles of the sequences, which keep each one's"
        " dinucleotide counts, at every spacing and on both strands. The interaction is the log"
        " odds with both sites, less those with either alone, plus those with none, mean of both"
        " strands; 0 where the two effects are additive.",
        "Half of the shuffles selected a pair's best spacing and orientation, the other half"
        " estimated it, and how much it is above the mean of all others. If that mean is half of it"
        " or more, the pair interacts at any distance; if less, and the interval of the excess is"
        " above 0, it is spacing-specific; else that is unclear."
        f" All intervals hold together at {100 * CONFIDENCE:g} % confidence. They"
        " cover the chance in the DNA around the sites, not that in training: another network may"
        " combine other motifs. What a network combines is not yet what a cell does.",
    ]
