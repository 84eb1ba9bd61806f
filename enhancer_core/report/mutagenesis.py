"""Draw what every single-base change of a sequence does, as one SVG file.

The sequence runs in lines of 100 bp. Each has a map of the changes, a row a base, blue where a
change lowers the log odds and orange where it raises them, a dot at the base that is there; under
it the sequence as a logo, each letter as high as its loss costs. If they are given, a second logo
has letters as high as their corrected slope, and bars mark where known motifs fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from enhancer_core.dna.codes import ALPHABET, N_CODE, Codes
from enhancer_core.models.architecture import BASES
from enhancer_core.motifs.scan import Hit
from enhancer_core.prediction.saturation import Mutations, attributions
from enhancer_core.report.page import Figure, Page, Section
from enhancer_core.report.plots import BASELINE, GUIDE, LETTERS, NETWORK, POSITIVES

_PER_LINE = 100  # bp
_CELL, _ROW = 9, 8  # points: width of a base, height of a row of the map
_LEFT, _RIGHT, _HEAD = 52, 16, 62
_LOGO_TOP, _LOGO = BASES * _ROW + 12, 84
_TICKS, _GAP = 14, 20  # below a logo; between lines
_BAR = 20  # height of the bars with their names
_LETTER, _FEWEST = 5.2, 3  # of a name: points a letter takes, letters that are worth it
SHADES = 16  # of each of the two colours
_TICK = 10  # bp
_LOGOS = ("loss", "slope")
_SHORTEST = 0.3  # points; a lower letter is not seen


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Marks:
    """What may be drawn beside the effects of changes."""

    contributions: NDArray[np.float64] | None = None  # (L,): slope at the base that is there
    hits: Sequence[Hit] = ()  # of known motifs, in any order


def mutation_plot(
    name: str, codes: Codes, mutations: Mutations, marks: Marks | None = None
) -> Markup:
    """Draw the effects of every change of a sequence: a map of them, and a logo of the sequence.

    Parameters
    ----------
    name
        Of the sequence, as title.
    codes
        uint8, shape (L,), values 0-4.
    mutations
        Of these codes.
    marks
        Drawn too; of hits that overlap, the one with the lowest p-value.

    Returns
    -------
    Markup
        An SVG document; the same bytes for the same effects.

    Examples
    --------
    >>> from enhancer_core.models.architecture import Architecture, Convolution
    >>> from enhancer_core.models.model import Model
    >>> from enhancer_core.models.network import Network
    >>> from enhancer_core.prediction.saturation import mutate
    >>> architecture = Architecture(convolutions=(Convolution(1, 2, 2),), dense=(), length=3)
    >>> predictor = Model.from_torch(Network(architecture)).predictor()
    >>> codes = np.array([1, 0, 3], dtype=np.uint8)
    >>> mutation_plot("a<b", codes, mutate(predictor, codes)).count("a&lt;b")
    1
    """
    logits = np.zeros((len(codes), BASES))
    logits[mutations.positions, mutations.alternatives] = mutations.effects.logit
    strongest = float(np.abs(logits).max(initial=0.0))
    marks = Marks() if marks is None else marks
    logos = [attributions(mutations, len(codes))]
    if marks.contributions is not None:
        logos.append(marks.contributions)
    hits = _apart(marks.hits)
    bottom = _LOGO_TOP + (_LOGO + _TICKS) * len(logos)
    line_height = bottom + _GAP + (_BAR if hits else 0)
    width = _LEFT + _PER_LINE * _CELL + _RIGHT
    height = _HEAD + -(-len(codes) // _PER_LINE) * line_height
    chance = mutations.effects.reference
    found = f"probability {chance[0]:.3g}, mean of both strands" if len(chance) else "no base"
    drawn = [
        f'<text x="{_LEFT}" y="24" font-size="15" font-weight="bold">{escape(name)}</text>',
        f'<text x="{_LEFT}" y="44">{len(codes):,} bp, {found}</text>',
        *_key(width - _RIGHT, strongest),
    ]
    for start in range(0, len(codes), _PER_LINE):
        line = slice(start, start + _PER_LINE)
        top = _HEAD + start // _PER_LINE * line_height
        drawn.append(f'<g transform="translate({_LEFT} {top})">')
        drawn += _map(codes[line], logits[line], strongest)
        for number, heights in enumerate(logos):
            logo_top = _LOGO_TOP + number * (_LOGO + _TICKS)
            drawn += _logo(codes[line], heights[line], _span(heights), logo_top)
            if len(logos) > 1:
                drawn.append(
                    f'<text x="-6" y="{logo_top + _LOGO / 2:g}" font-size="9" text-anchor="end">'
                    f"{_LOGOS[number]}</text>"
                )
        drawn += _ticks(start, len(codes[line]), bottom)
        drawn += _bars(hits, start, len(codes[line]), bottom + 8)
        drawn.append("</g>")
    letters = (
        f'<path id="{base}" fill="{colour}" fill-rule="evenodd" d="{outline}"/>'
        for base, (colour, outline) in zip(ALPHABET, LETTERS, strict=False)
    )
    return Markup(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12" fill="#1c2127">'
        f'<defs>{"".join(letters)}</defs><rect width="100%" height="100%" fill="white"/>'
        f"{''.join(drawn)}</svg>\n"
    )


def mutation_page(sections: Sequence[Section], *, scored: int, notes: Sequence[str] = ()) -> Page:
    """Compose the report of a run: the sections of the first of `scored` sequences.

    `notes` explain what is drawn beside the effects.
    """
    first = "" if len(sections) == scored else f"; drawn here: {len(sections):,}, the first"
    return Page(
        title="Every single-base change",
        lead=f"Sequences scored: {scored:,}{first}. A cell of a map is blue where the change"
        " makes an enhancer less likely, orange where it makes one more likely. Below, a letter is"
        " as high as the log odds that its loss costs on average."
        + "".join(f" {note}" for note in notes),
        sections=sections,
    )


def mutation_section(
    name: str, codes: Codes, mutations: Mutations, marks: Marks | None = None
) -> Section:
    """Say which changes of a sequence do most, above its `mutation_plot`, as part of a page."""
    scored = mutations.effects
    text = "It has no base that is known."
    if len(scored.logit):
        text = (
            f"Its probability is {scored.reference[0]:.3g}, mean of both strands."
            f" {_change('lowers', mutations, int(scored.logit.argmin()))}"
            f" {_change('raises', mutations, int(scored.logit.argmax()))}"
        )
    plot = mutation_plot(name, codes, mutations, marks)
    return Section(
        title=name, text=[text], figures=[Figure(svg=plot, alt=f"Effects of changes of {name}")]
    )


def _change(does: str, mutations: Mutations, index: int) -> str:
    scored = mutations.effects
    reference, alternative = (
        ALPHABET[codes[index]] for codes in (mutations.references, mutations.alternatives)
    )
    return (
        f"What {does} it most is {reference} to {alternative} at position"
        f" {mutations.positions[index]}, to {scored.alternative[index]:.3g}"
        f" (log odds {_signed(scored.logit[index])})."
    )


def _map(codes: Codes, logits: NDArray[np.float64], strongest: float) -> Iterator[str]:
    """Colour a cell for each change, cells of one shade in one path; dot the bases there."""
    scale = SHADES / strongest if strongest else 0.0
    shades = np.rint(logits * scale).astype(int)
    for step in np.unique(shades[shades != 0]).tolist():
        cells = "".join(
            f"M{position * _CELL} {base * _ROW}h{_CELL}v{_ROW}h-{_CELL}z"
            for position, base in np.argwhere(shades == step).tolist()
        )
        yield f'<path fill="{shade(step)}" d="{cells}"/>'
    dots = "".join(
        f"M{(position + 0.5) * _CELL - 1:g} {(codes[position] + 0.5) * _ROW - 1:g}h2v2h-2z"
        for position in np.flatnonzero(codes != N_CODE).tolist()
    )
    yield f'<path fill="{GUIDE}" d="{dots}"/>'
    for base, letter in enumerate(ALPHABET[:BASES]):
        yield (
            f'<text x="-6" y="{(base + 1) * _ROW - 1}" font-size="8" text-anchor="end">{letter}'
            "</text>"
        )


def shade(step: int) -> str:
    """Mix a colour with white: from -SHADES, the first colour, to SHADES, the second.

    Examples
    --------
    >>> shade(-SHADES), shade(0), shade(SHADES)
    ('#1f6fb2', '#ffffff', '#cc7a29')
    """
    full = NETWORK if step < 0 else BASELINE
    share = abs(step) / SHADES
    mixed = (round(255 + share * (int(full[at : at + 2], 16) - 255)) for at in (1, 3, 5))
    return "#" + "".join(f"{part:02x}" for part in mixed)


def _span(heights: NDArray[np.float64]) -> tuple[float, float]:
    return min(float(heights.min()), 0.0), max(float(heights.max()), 0.0)


def _logo(
    codes: Codes, heights: NDArray[np.float64], span: tuple[float, float], top: float
) -> Iterator[str]:
    """Stand letters on a line, or hang them from it, `span` filling the height."""
    low, high = span
    scale = _LOGO / (high - low) if high > low else 0.0
    zero = top + high * scale
    yield f'<path d="M0 {zero:.2f}h{len(codes) * _CELL}" stroke="{GUIDE}" stroke-width="0.6"/>'
    for position, (code, value) in enumerate(zip(codes.tolist(), heights.tolist(), strict=True)):
        tall = abs(value) * scale
        if tall >= _SHORTEST:
            up = zero - max(value, 0.0) * scale
            place = f"translate({position * _CELL} {up:.2f})scale({_CELL} {tall:.2f})"
            yield f'<use href="#{ALPHABET[code]}" transform="{place}"/>'
    for value, down in ((high, 0.0), (low, _LOGO)):
        if value:
            yield (
                f'<text x="-6" y="{top + down + 3:g}" font-size="8"'
                f' text-anchor="end">{_signed(value)}</text>'
            )


def _apart(hits: Sequence[Hit]) -> list[Hit]:
    """Keep the hits that overlap none of a lower p-value."""
    kept: list[Hit] = []
    for hit in sorted(hits, key=lambda each: (each.p, each.start)):
        if all(hit.end <= other.start or other.end <= hit.start for other in kept):
            kept.append(hit)
    return kept


def _bars(hits: Sequence[Hit], start: int, length: int, top: float) -> Iterator[str]:
    """Draw a bar under each hit, its name below it, cut to the bar's width."""
    for hit in hits:
        first, last = max(hit.start - start, 0), min(hit.end - start, length)
        if first >= last:
            continue
        x, wide = first * _CELL, (last - first) * _CELL
        yield (
            f'<rect x="{x + 1}" y="{top}" width="{wide - 2}" height="4" fill="{POSITIVES}">'
            f"<title>{escape(_label(hit))}, p {hit.p:.2g}</title></rect>"
        )
        arrow, name = "→" if hit.strand > 0 else "←", hit.motif.alias or hit.motif.name
        letters = int(wide / _LETTER) - 2
        if letters >= _FEWEST:
            short = escape(name[:letters])
            yield f'<text x="{x + 1}" y="{top + 14}" font-size="8">{arrow} {short}</text>'


def _label(hit: Hit) -> str:
    return " ".join(filter(None, (hit.motif.name, hit.motif.alias)))


def _ticks(start: int, length: int, y: float) -> Iterator[str]:
    for position in range(0, length, _TICK):
        x = (position + 0.5) * _CELL
        yield (
            f'<text x="{x:g}" y="{y}" font-size="9" text-anchor="middle">{start + position}</text>'
        )


def _key(right: float, strongest: float) -> Iterator[str]:
    """Explain the colours: a bar from the strongest loss to the strongest gain."""
    wide = 5
    left = right - (2 * SHADES + 1) * wide
    for step in range(2 * SHADES + 1):
        colour = shade(step - SHADES)
        yield f'<rect x="{left + step * wide}" y="14" width="{wide}" height="10" fill="{colour}"/>'
    middle = (left + right) / 2
    for x, anchor, text in (
        (left, "start", _signed(-strongest)),
        (middle, "middle", "change of log odds"),
        (right, "end", _signed(strongest)),
    ):
        yield f'<text x="{x:g}" y="38" font-size="10" text-anchor="{anchor}">{text}</text>'


def _signed(value: float) -> str:
    return f"{value:+.2g}".replace("-", "−")
