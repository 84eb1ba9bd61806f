"""The report of an evaluation along a genome says what is right, and what is false."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from enhancer_core.dna.intervals import from_rows
from enhancer_core.prediction.accuracy import GenomeEvaluation, evaluate_bins
from enhancer_core.prediction.tracks import Bins
from enhancer_core.report.genome import genome_page
from enhancer_core.report.page import Page, render_page

NAMES = {"genome": "<b>.fa", "peaks": "peaks.bed", "regions": None}


def evaluation(gain: float, *, chromosomes: int = 2, shift: float = 0.0) -> GenomeEvaluation:
    """Noise along chromosomes of 50 kb, higher by `gain` in a peak of 500 bp every 5 kb."""
    rng = np.random.default_rng(0)
    names = [f"chr{number}" for number in range(1, chromosomes + 1)]
    inside = np.tile(np.arange(1000) % 100 < 10, chromosomes)
    bins = Bins(
        regions=from_rows((name, 0, 50_000) for name in names), step=50, length=100,
        both_strands=False,
        log_odds=(rng.normal(size=len(inside)) + gain * inside - 2).astype(np.float32),
    )  # fmt: skip
    peaks = from_rows(
        (name, start, start + 500) for name in names for start in range(0, 50_000, 5000)
    )
    return evaluate_bins(bins, peaks, shift=shift, rng=rng)


def page_of(found: GenomeEvaluation, *, prevalence: float | None = None) -> Page:
    return genome_page(found, model="m", inputs=NAMES, prevalence=prevalence, trained=0.5)


def text_of(page: Page) -> str:
    return " ".join(part for section in page.sections for part in section.text)


def test_the_lead_says_how_much_better_than_chance_the_highest_bins_are() -> None:
    good = page_of(evaluation(3)).lead
    assert good.startswith("Of 2,000 bins of 50 bp 10 % lie in peaks. Of the 1 % that the model")
    assert good.endswith("puts highest 100 % do, which is 10 times what chance would have.")
    assert page_of(evaluation(0)).lead.endswith("which may be no better than chance.")
    assert page_of(evaluation(-3)).lead.endswith("0 % do, which is less than chance would have.")


def test_the_stretch_shows_calls_of_both_kinds_and_counts_the_false_ones() -> None:
    page = page_of(evaluation(2))
    (section,) = (each for each in page.sections if each.title == "A stretch of it")
    (figure,) = section.figures
    match = re.fullmatch(
        r"chr[12], [\d,]+ to [\d,]+: (\d+) peaks, and (\d+) calls, of which (\d+) are false\.",
        figure.caption,
    )
    assert match
    assert 0 < int(match[3]) < int(match[2])
    assert figure.alt == figure.caption
    assert re.search(r"along all, \d+ of \d+ are false", section.text[0])


def test_a_model_without_a_right_call_has_no_stretch() -> None:
    found = evaluation(0)
    found.table.right[:] = 0
    assert "A stretch of it" not in [section.title for section in page_of(found).sections]


def test_calibration_says_what_a_prevalence_would_change() -> None:
    found = evaluation(2)
    assert "stated for that of training, 0.5." in text_of(page_of(found))
    base = np.log(9)  # from 1 in 2 to the 1 in 10 that there is
    share = float((found.bins.log_odds >= base).mean())
    assert f"at 0.1, {100 * share:.3g} % of bins are above .5." in text_of(page_of(found))
    asked = text_of(page_of(evaluation(2, shift=-base), prevalence=0.1))
    assert "stated for a prevalence of 0.1." in asked
    assert "the option --prevalence" not in asked


@pytest.mark.parametrize("gain", [-3, 0, 2])
def test_names_are_escaped_and_the_same_figures_give_the_same_page(gain: float) -> None:
    html = render_page(page_of(evaluation(gain)))
    assert html == render_page(page_of(evaluation(gain)))
    assert "&lt;b&gt;.fa" in html
    assert "<b>.fa" not in html
    HTMLParser().feed(html)


def test_a_stretch_lies_within_the_regions_also_where_they_are_short() -> None:
    found = evaluation(2, chromosomes=1)
    short = Bins(
        regions=from_rows([("chr1", 200, 700), ("chr1", 5000, 5400)]), step=50, length=100,
        both_strands=False, log_odds=found.bins.log_odds[:18],
    )  # fmt: skip
    own = evaluate_bins(short, from_rows([("chr1", 250, 400)]), rng=np.random.default_rng(0))
    captions = [each.caption for section in page_of(own).sections for each in section.figures]
    assert any(caption.startswith("chr1, 200 to 5,400: 1 peaks") for caption in captions)
