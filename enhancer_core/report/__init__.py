"""Write reports as HTML that needs nothing but a browser, or as Markdown with PNG images.

`report_page` composes the report of a training run out of a `ReportContent`; `render_page` and
`render_markdown` write any `Page`. All are pure functions: the same content gives the same bytes.
"""

from enhancer_core.report.content import (
    Composition,
    Feature,
    Filter,
    InputFile,
    ModelResult,
    Part,
    ReportContent,
    Restart,
    SplitBy,
)
from enhancer_core.report.markdown import render_markdown
from enhancer_core.report.page import Figure, Highlight, Page, Section, Table, render_page
from enhancer_core.report.training import report_page

__all__ = [
    "Composition",
    "Feature",
    "Figure",
    "Filter",
    "Highlight",
    "InputFile",
    "ModelResult",
    "Page",
    "Part",
    "ReportContent",
    "Restart",
    "Section",
    "SplitBy",
    "Table",
    "render_markdown",
    "render_page",
    "report_page",
]
