"""Write reports as HTML pages that need nothing but a browser.

`render_report` makes the report of a training run out of a `ReportContent`; `render_page` lays out
any `Section`s. Both are pure functions: the same content gives the same bytes.
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
)
from enhancer_core.report.page import Figure, Highlight, Section, Table, render_page
from enhancer_core.report.training import render_report

__all__ = [
    "Composition",
    "Feature",
    "Figure",
    "Filter",
    "Highlight",
    "InputFile",
    "ModelResult",
    "Part",
    "ReportContent",
    "Restart",
    "Section",
    "Table",
    "render_page",
    "render_report",
]
