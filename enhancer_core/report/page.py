"""Lay out a page: sections of text, tables and figures in one HTML file that needs nothing else.

Whatever is a plain `str` is escaped; only `markupsafe.Markup` goes in as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

_TEMPLATES = Environment(
    loader=PackageLoader("enhancer_core.report", package_path=""),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table; the columns after the first `text_columns` hold numbers and are set right."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    text_columns: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A drawing, what it says to a reader who cannot see it, and its caption."""

    svg: Markup
    alt: str
    caption: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A titled part of a page: paragraphs, then tables, then figures.

    `key` pairs a CSS colour with the name of what is drawn in it.
    """

    title: str
    text: Sequence[str] = ()
    tables: Sequence[Table] = ()
    key: Sequence[tuple[str, str]] = ()
    figures: Sequence[Figure] = ()
    small_figures: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Highlight:
    """A figure set large at the top of a page."""

    value: str
    label: str
    note: str
    colour: str = "inherit"


def render_page(
    title: str,
    *,
    sections: Sequence[Section],
    lead: str = "",
    highlights: Sequence[Highlight] = (),
) -> str:
    """Lay out sections as one self-contained HTML page.

    Parameters
    ----------
    title
        Of the page and of the browser's tab.
    sections
        In order; each gets an entry in the contents.
    lead
        One or two sentences that say what was found.
    highlights
        Figures set large under the lead.

    Returns
    -------
    str
        HTML without scripts or outside resources; the same bytes for the same content.

    Examples
    --------
    >>> page = render_page("AUC < 1", sections=[Section(title="Data", text=["3 & 4"])])
    >>> "<h1>AUC &lt; 1</h1>" in page, "<p>3 &amp; 4</p>" in page
    (True, True)
    """
    return _TEMPLATES.get_template("template.html.j2").render(
        title=title, lead=lead, highlights=highlights, sections=sections
    )
