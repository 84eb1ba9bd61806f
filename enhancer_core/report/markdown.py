"""Write a page as Markdown and PNG, for what shows those but no HTML, such as Galaxy's reports.

Markdown sets nothing side by side, so all figures of a section become one image, with their key and
captions. It is drawn in the font that matplotlib brings, so that every machine draws the same.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import resvg_py
from markupsafe import Markup, escape

from enhancer_core.report.page import TEMPLATES, Figure, Page, Section
from enhancer_core.report.plots import INK

_SPECIAL = re.compile(r"[\\`*_{}\[\]<>$|~#&]")
_VIEW_BOX = re.compile(r'<svg[^>]*?viewBox="0 0 ([\d.]+) ([\d.]+)"')
_FONT_FOLDER = Path(mpl.get_data_path(), "fonts", "ttf")
_FONTS = [str(_FONT_FOLDER / f"DejaVuSans{style}.ttf") for style in ("", "-Bold")]
_STYLE = 'text { font-family: "DejaVu Sans" !important }'
_ZOOM = 1.5  # image pixels to a pixel of the page, for sharp screens
_COLUMNS, _SMALL_COLUMNS = 2, 5
_SMALL = 164  # pixels: width of a small figure
_GAP, _LINE, _LETTER = 30, 17, 6.6  # pixels: between figures, of a line's height, of a letter
_MUTED = "#5d6670"


def render_markdown(page: Page) -> dict[str, bytes]:
    """Write a page as Markdown, with one image for the figures of each section.

    Text is shown as it is: none has a meaning in Markdown. The same page gives the same bytes.

    Returns
    -------
    dict of str to bytes
        Files by name: report.md, with tables as GitHub has them and each image alone on its line,
        and the images, figures/*.png.

    Raises
    ------
    ValueError
        If a figure's SVG has no viewBox that starts at 0 0.
    """
    images: dict[str, bytes] = {}
    names: list[str | None] = []
    for section in page.sections:
        names.append(_fresh_name(section.title, images) if section.figures else None)
        if names[-1] is not None:
            images[names[-1]] = png(_sheet(section))
    template = TEMPLATES.overlay(autoescape=False, finalize=_plain).get_template("template.md.j2")
    return {"report.md": template.render(page=page, names=names).encode(), **images}


def _plain(value: str) -> str:
    """Escape a text so that Markdown shows it as it is, on one line."""
    if isinstance(value, Markup):
        value = re.sub("<br><small>(.*?)</small>", r" (\1)", str(value))
        value = Markup(value.replace("<br>", " ")).striptags()
    return _SPECIAL.sub(r"\\\g<0>", " ".join(value.split()))


def _fresh_name(title: str, taken: dict[str, bytes]) -> str:
    stem = re.sub("[^a-z0-9]+", "-", title.lower())[:60].strip("-") or "figure"
    names = (f"figures/{stem}{number}.png" for number in ("", *range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken)


def png(svg: str) -> bytes:
    """Render SVG as PNG, text in the font that matplotlib brings."""
    return resvg_py.svg_to_bytes(
        svg_string=svg,
        background="white",
        zoom=_ZOOM,
        style_sheet=_STYLE,
        skip_system_fonts=True,
        font_files=_FONTS,
    )


def _sheet(section: Section) -> str:
    """Set the figures of a section in columns, each above its caption, under their key."""
    figures = section.figures
    columns = min(len(figures), _SMALL_COLUMNS if section.small_figures else _COLUMNS)
    width = _SMALL if section.small_figures else max(_size(figure)[0] for figure in figures)
    drawn, x, y = [], 0.0, 0.0
    for colour, name in section.key:
        drawn.append(f'<rect x="{x:g}" y="4" width="22" height="8" fill="{colour}"/>')
        drawn.append(f'<text x="{x + 30:g}" y="12" fill="{INK}">{escape(name)}</text>')
        x, y = x + 30 + _LETTER * len(name) + _GAP, 1.6 * _LINE
    for first in range(0, len(figures), columns):
        bottoms = []
        for column, figure in enumerate(figures[first : first + columns]):
            x = column * (width + _GAP)
            own_width, own_height = _size(figure)
            height = own_height * width / own_width
            drawn.append(
                f'<svg x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"'
                f' viewBox="0 0 {own_width:g} {own_height:g}">{figure.svg}</svg>'
            )
            bottom = y + height
            for line in _caption(figure.caption, width):
                bottom += _LINE
                drawn.append(f'<text x="{x:g}" y="{bottom:g}" fill="{_MUTED}">{line}</text>')
            bottoms.append(bottom)
        y = max(bottoms) + _GAP / 2
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        f' width="{columns * (width + _GAP):g}" height="{y + _GAP / 2:g}" font-size="12">'
        f'<g transform="translate({_GAP / 2:g} {_GAP / 2:g})">{"".join(drawn)}</g></svg>'
    )


def _size(figure: Figure) -> tuple[float, float]:
    """Read a figure's width and height, in its own units."""
    view_box = _VIEW_BOX.match(figure.svg)
    if view_box is None:
        raise ValueError(f"no viewBox from 0 0 at the start of {figure.svg[:60]}")
    return float(view_box[1]), float(view_box[2])


def _caption(caption: str, width: float) -> Sequence[str]:
    """Break a caption into lines; Markup has its own breaks, and may have bold words."""
    if isinstance(caption, Markup):
        bold = re.sub("<b>(.*?)</b>", r'<tspan font-weight="bold">\1</tspan>', str(caption))
        return bold.split("<br>")
    return [str(escape(line)) for line in textwrap.wrap(caption, int(width / _LETTER))]
