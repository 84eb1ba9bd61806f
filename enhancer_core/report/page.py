"""Lay out a page: sections of text, tables and figures in one HTML file that needs nothing else.

Whatever is a plain `str` is escaped; only `markupsafe.Markup` goes in as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES = Environment(
    loader=PackageLoader("enhancer_core.report", package_path=""),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the columns after the first `text_columns` hold numbers, aligned on the right."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    text_columns: int = 1


@dataclass(frozen=True, slots=True)
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
    wide_figures: bool = False  # each as wide as the page


@dataclass(frozen=True, slots=True)
class Highlight:
    """A figure set large at the top of a page."""

    value: str
    label: str
    note: str
    colour: str = "inherit"


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """What a page says, before it is HTML or Markdown.

    `title` is also the browser tab's, `lead` one or two sentences that say what was found.
    """

    title: str
    sections: Sequence[Section]  # each with an entry in the contents
    lead: str = ""
    highlights: Sequence[Highlight] = ()  # set large under the lead


def render_page(page: Page) -> str:
    """Render a page as one HTML file without scripts or outside resources.

    The same content gives the same bytes.
    """
    return TEMPLATES.get_template("template.html.j2").render(page=page)
