"""Write a page as Markdown and PNG, for what shows those but no HTML: Galaxy's reports for one.

Markdown sets nothing side by side, so all figures of a section become one image, with their key and
captions. It is drawn with the letters that matplotlib brings, so that every machine draws the same.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import resvg_py
from markupsafe import Markup, escape

from enhancer_core.report.page import Figure, Page, Section, Table

_TEXT, _IMAGES = "report.md", "figures"  # a file and a folder, side by side

_SPECIAL = re.compile(r"[\\`*_{}\[\]<>$|~#&]")
_ROOT = re.compile(r'<svg([^>]*?)viewBox="0 0 ([\d.]+) ([\d.]+)"([^>]*)>')
_SIZE = re.compile(r'\b(?:width|height)="[^"]*"')

_FONTS = [
    str(Path(mpl.get_data_path(), "fonts", "ttf", f"DejaVuSans{style}.ttf"))
    for style in ("", "-Bold")
]
_STYLE = 'text { font-family: "DejaVu Sans" !important }'
_ZOOM = 1.5  # image pixels to a pixel of the page, for sharp screens
_COLUMNS, _SMALL_COLUMNS = 2, 5
_SMALL = 164  # pixels: width of a small figure
_GAP, _LINE, _LETTER = 30, 17, 6.6  # pixels: between figures, of a line's height, of a letter
_INK, _MUTED = "#1c2127", "#5d6670"


def render_markdown(page: Page) -> dict[str, bytes]:
    r"""Write a page as Markdown, with one image for the figures of each section.

    Parameters
    ----------
    page
        What to write. Its words are shown as they are: none has a meaning in Markdown.

    Returns
    -------
    dict of str to bytes
        Files by name: report.md, with tables as GitHub has them and each image alone on its line,
        and the images, figures/*.png. The same page gives the same bytes.

    Examples
    --------
    >>> render_markdown(Page(title="a*b", sections=[Section(title="Data")]))
    {'report.md': b'# a\\*b\n\n## Data\n'}
    """
    blocks = [f"# {_plain(page.title)}"]
    if page.lead:
        blocks.append(_plain(page.lead))
    blocks += (
        f"**{_plain(each.label)}: {_plain(each.value)}** ({_plain(each.note)})"
        for each in page.highlights
    )
    images: dict[str, bytes] = {}
    for section in page.sections:
        blocks.append(f"## {_plain(section.title)}")
        blocks += map(_plain, section.text)
        for table in section.tables:
            blocks.append(_table(table))
            if table.caption:
                blocks.append(_plain(table.caption))
        if section.figures:
            name = _fresh_name(section.title, images)
            images[name] = png(_sheet(section))
            alt = "; ".join(figure.alt for figure in section.figures[:_COLUMNS])
            blocks.append(f"![{_plain(alt)}]({name})")
    return {_TEXT: ("\n\n".join(blocks) + "\n").encode(), **images}


def _plain(value: str) -> str:
    """Spell a text so that Markdown shows it as it is, on one line."""
    if isinstance(value, Markup):
        value = re.sub("<br><small>(.*?)</small>", r" (\1)", str(value))
        value = Markup(value.replace("<br>", " ")).striptags()
    return _SPECIAL.sub(r"\\\g<0>", " ".join(value.split()))


def _table(table: Table) -> str:
    numbers = len(table.head) - table.text_columns
    rules = ["---"] * table.text_columns + ["---:"] * numbers
    rows = ([_plain(cell) for cell in row] for row in (table.head, *table.rows))
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, f"| {' | '.join(rules)} |", *body])


def _fresh_name(title: str, taken: dict[str, bytes]) -> str:
    stem = re.sub("[^a-z0-9]+", "-", title.lower())[:60].strip("-") or "figure"
    names = (f"{_IMAGES}/{stem}{number}.png" for number in ("", *range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken)


def png(svg: str) -> bytes:
    """Draw SVG as PNG, text in the letters that matplotlib brings."""
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
    width = _SMALL if section.small_figures else max(_size(each)[0] for each in figures)
    full = columns * (width + _GAP) - _GAP
    drawn, y = _key(section.key), _LINE * (1.6 if section.key else 0.0)
    for first in range(0, len(figures), columns):
        row = [_cell(figure, width) for figure in figures[first : first + columns]]
        for column, (svg, _) in enumerate(row):
            place = f"translate({column * (width + _GAP):g} {y:g})"
            drawn.append(f'<g transform="{place}">{svg}</g>')
        y += max(height for _, height in row) + _GAP / 2
    margin = _GAP / 2
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        f' width="{full + 2 * margin:g}" height="{y + margin:g}" font-size="12">'
        f'<g transform="translate({margin:g} {margin:g})">{"".join(drawn)}</g></svg>'
    )


def _size(figure: Figure) -> tuple[float, float]:
    """Read a figure's width and height, in its own units."""
    found = _ROOT.match(figure.svg)
    if found is None:
        raise ValueError(f"no viewBox from 0 0 at the start of {figure.svg[:60]}")
    return float(found[2]), float(found[3])


def _cell(figure: Figure, width: float) -> tuple[str, float]:
    """Give a figure with its caption as SVG, `width` wide, and how high they are."""
    own_width, own_height = _size(figure)
    height = own_height * width / own_width

    def resized(root: re.Match[str]) -> str:
        kept = _SIZE.sub("", root[1] + root[4])
        size = f'width="{width:g}" height="{height:g}" viewBox="0 0 {root[2]} {root[3]}"'
        return f"<svg {size}{kept}>"

    drawn = [_ROOT.sub(resized, str(figure.svg), count=1)]  # Markup would escape what is put in
    for line in _caption(figure.caption, width):
        height += _LINE
        drawn.append(f'<text y="{height:g}" fill="{_MUTED}">{line}</text>')
    return "".join(drawn), height


def _caption(caption: str, width: float) -> Sequence[str]:
    """Break a caption into lines; Markup has its own breaks, and may have bold words."""
    if isinstance(caption, Markup):
        bold = re.sub("<b>(.*?)</b>", r'<tspan font-weight="bold">\1</tspan>', str(caption))
        return bold.split("<br>")
    return [str(escape(line)) for line in textwrap.wrap(caption, int(width / _LETTER))]


def _key(key: Sequence[tuple[str, str]]) -> list[str]:
    drawn, x = [], 0.0
    for colour, name in key:
        drawn.append(f'<rect x="{x:g}" y="4" width="22" height="8" fill="{colour}"/>')
        drawn.append(f'<text x="{x + 30:g}" y="12" fill="{_INK}">{escape(name)}</text>')
        x += 30 + _LETTER * len(name) + _GAP
    return drawn
