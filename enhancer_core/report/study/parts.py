"""What all sections of a study's report share: their runs, tests, words and names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from enhancer_core.metrics import Estimate
from enhancer_core.report.text import interval
from enhancer_core.study.recipe import Recipe, ReportSection, Run, Search
from enhancer_core.study.results import Result


def tests_of(
    part: ReportSection, runs: Sequence[Run | Search], results: Mapping[str, Result]
) -> list[str]:
    """Give the tests of a section: those that it names, or that its runs have in common."""
    if part.tests:
        return list(part.tests)
    first, *others = (results[run.name]["tests"] for run in runs)
    return [test for test in first if all(test in other for other in others)]


def test_of(part: ReportSection, run: Run | Search, results: Mapping[str, Result]) -> str:
    """Give the test of a run that has one of its own: the first of the section's, or of its own."""
    tests: Mapping[str, object] = results[run.name]["tests"]
    return next(test for test in tests if test in part.tests or not part.tests)


def text_of(part: ReportSection, *more: str) -> list[str]:
    """Give a section's paragraphs: what is asked, what the paper found, what came out."""
    paper = [f"The paper: {part.paper}"] if part.paper else []
    return [*filter(None, [part.text, *paper, *more])]


def cell(value: Estimate) -> Markup:
    """Write a figure in a table, its interval under it: wide tables have room for it."""
    return Markup("{:.3f}<br><small>{}</small>").format(value.value, interval(value))


def figure_id(recipe: Recipe, part: ReportSection) -> str:
    """Name a figure in the page."""
    return f"{recipe.name}-{recipe.sections.index(part)}"
