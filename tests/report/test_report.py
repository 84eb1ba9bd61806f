"""report: what the page says follows from the numbers, escapes names and never changes."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from enhancer_core.metrics import Estimate, auc_difference, curves, evaluate
from enhancer_core.report import plots, text
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
from enhancer_core.report.page import Figure, Page, Section, Table, render_page
from enhancer_core.report.training import report_page

NASTY = "<script>alert('1')</script> & \"Ünïcode\" $x_1$.fa"


class Browsed(HTMLParser):
    """What a browser would read: text, tags in order, attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(html)

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def of(self, attribute: str) -> list[str]:
        return [value for name, value in self.attributes if name == attribute]


def render_report(content: ReportContent) -> str:
    return render_page(report_page(content))


def model(name: str, shift: float, *, n: int = 300) -> ModelResult:
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 2 == 0
    scores = rng.normal(size=n) + shift * labels
    figures = evaluate(labels, scores, rng=rng, resamples=20)
    return ModelResult(
        name=name,
        validation=figures,
        test=figures,
        curves=curves(labels, scores, rng=rng, resamples=20),
    )


@pytest.fixture(scope="module")
def content() -> ReportContent:
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 2 == 0
    probabilities = np.clip(0.5 + 0.2 * (labels - 0.5) + 0.1 * rng.normal(size=300), 0, 1)
    epochs = np.arange(1.0, 6.0)
    return ReportContent(
        title="Liver enhancers",
        configuration={"network": "modern", "restarts": 3, "seed": 0},
        inputs=[
            InputFile(name="a.fa", label="positives", sequences=1234, sha256="ab" * 32),
            InputFile(name="b.fa", label="negatives", sequences=1250, sha256="cd" * 32),
        ],
        parts=[
            Part(name=name, positives=size, negatives=3 * size)
            for name, size in (("train", 1200), ("validation", 150), ("test", 151))
        ],
        split_by="links",
        network=model("network", 1.4),
        baseline=model("5-mer baseline", 1.0),
        auc_difference=Estimate(0.03, 0.01, 0.05),
        test_labels=labels,
        test_probabilities=probabilities,
        restarts=[
            Restart(
                epochs=epochs,
                losses=0.693 - 0.05 * epochs,
                validation_aucs=0.5 + (0.02 + 0.01 * index) * epochs,
                kept=3,
            )
            for index in range(3)
        ],
        kept_restarts=[2],
        composition=Composition(
            features=[
                Feature(
                    name="GC content, %",
                    positives=rng.normal(45, 5, size=150),
                    negatives=rng.normal(41, 5, size=150),
                ),
                Feature(
                    name="Length, bp", positives=np.full(9, 500.0), negatives=np.full(9, 500.0)
                ),
            ],
            kmers=("A/T", "C/G"),
            positive_frequencies=np.array([0.55, 0.45]),
            negative_frequencies=np.array([0.6, 0.4]),
            aucs={"GC content": Estimate(0.6, 0.55, 0.65), "2-mers": Estimate(0.66, 0.61, 0.71)},
        ),
        filters=[
            Filter(name="flat", ppm=np.full((4, 9), 0.25)),
            Filter(name="sharp", ppm=np.eye(4)[:, [0, 1, 2, 3]], note="CEBPA 0.98"),
        ],
        versions={"enhancer_core": "0.1.0", "numpy": "2.4.6"},
        sections=[
            Section(title="Extra", tables=[Table(head=("What", "n"), rows=[("windows", "17")])])
        ],
    )


def test_a_report_holds_every_section_in_order(content: ReportContent) -> None:
    titles = re.findall("<h2>(.*)</h2>", render_report(content))
    assert titles == [
        "Results",
        "Scores",
        "Training",
        "Composition",
        "First-layer filters",
        "Extra",
        "What this does not tell you",
        "Data",
        "Run",
    ]


def test_a_report_shows_the_figures_it_was_given(content: ReportContent) -> None:
    text = Browsed(render_report(content)).text
    for shown in (
        f"{content.network.test.auc.value:.3f}",
        f"{content.baseline.test.average_precision.value:.3f}",
        "+0.030",
        "+0.010 to +0.050",
        "1,234",
        "ab" * 32,
        "25.0",  # per cent positives
        "modern",
        "2.4.6",
        "CEBPA 0.98",
        "8.0 bits",
        "Length, bp: 500 in every sequence.",
        "17",
    ):
        assert shown in text


def test_a_report_is_the_same_bytes_each_time_and_holds_no_date(content: ReportContent) -> None:
    html = render_report(content)
    assert html == render_report(content)
    assert not re.search(r"\b20\d\d-\d\d-\d\d|\d\d:\d\d:\d\d|Matplotlib v", html)


def test_a_report_does_not_depend_on_the_user_s_matplotlib_settings(content: ReportContent) -> None:
    html = render_report(content)
    with mpl.rc_context({"lines.linewidth": 9, "svg.fonttype": "path", "axes.facecolor": "red"}):
        assert render_report(content) == html


def test_a_page_needs_nothing_from_elsewhere_and_runs_nothing(content: ReportContent) -> None:
    page = Browsed(render_report(content))
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert page.of("src") == []
    assert all(target.startswith("#") for target in page.of("href") + page.of("xlink:href"))


def test_ids_in_a_page_are_unique_and_links_find_them(content: ReportContent) -> None:
    page = Browsed(render_report(content))
    ids = page.of("id")
    assert len(ids) == len(set(ids))
    assert {target[1:] for target in page.of("href") + page.of("xlink:href")} <= set(ids)


def test_every_figure_tells_a_reader_who_cannot_see_it_what_it_is(content: ReportContent) -> None:
    page = Browsed(render_report(content))
    assert page.of("role").count("img") == page.tags.count("figure") == 10
    assert "Logo of sharp, consensus ACGT" in page.of("aria-label")


def test_names_are_escaped_wherever_they_stand(content: ReportContent) -> None:
    nasty = replace(
        content,
        title=NASTY,
        configuration={NASTY: NASTY},
        inputs=[InputFile(name=NASTY, label=NASTY, sequences=1, sha256=NASTY)],
        parts=[Part(name=NASTY, positives=1, negatives=1)],
        network=replace(content.network, name=NASTY),
        baseline=replace(content.baseline, name=NASTY),
        composition=replace(
            content.composition,
            features=[replace(content.composition.features[0], name=NASTY)],
            kmers=(NASTY, "$\\frac$"),
            aucs={NASTY: Estimate(0.6, 0.55, 0.65)},
        ),
        filters=[replace(content.filters[1], name=NASTY, note=NASTY)],
        versions={NASTY: NASTY},
        sections=[
            Section(
                title=NASTY,
                text=[NASTY],
                tables=[Table(head=[NASTY], rows=[[NASTY]], caption=NASTY)],
                key=[("red", NASTY)],
                figures=[Figure(svg=Markup("<svg></svg>"), alt=NASTY, caption=NASTY)],
            )
        ],
    )
    page = Browsed(render_report(nasty))
    assert "script" not in page.tags
    assert page.text.count(NASTY) >= 25
    assert NASTY in page.of("aria-label")
    assert Browsed(render_report(content)).tags.count("svg") == page.tags.count("svg")


@given(st.text())
def test_a_page_shows_any_text_as_it_is(text: str) -> None:
    page = Browsed(render_page(Page(title="title", sections=[Section(title="s", text=[text])])))
    assert text in page.text


def test_filters_stand_by_falling_information_and_are_left_out_where_none_are(
    content: ReportContent,
) -> None:
    html = render_report(content)
    assert html.index("<b>sharp</b> 8.0 bits") < html.index("<b>flat</b> 0.0 bits")
    assert "First-layer filters" not in render_report(replace(content, filters=[]))


def test_a_report_of_eighty_filters_and_fifty_restarts_stays_small(content: ReportContent) -> None:
    rng = np.random.default_rng(0)
    large = replace(
        content,
        restarts=[
            Restart(
                epochs=np.arange(1.0, 21.0),
                losses=rng.random(20),
                validation_aucs=rng.random(20),
                kept=0,
            )
            for _ in range(50)
        ],
        filters=[Filter(name=str(n), ppm=rng.dirichlet([0.5] * 4, size=9).T) for n in range(80)],
    )
    assert len(render_report(large).encode()) < 1_000_000


def test_a_winning_network_is_said_to_win() -> None:
    said = text.headline(
        model("network", 1.4), model("6-mer baseline", 1.0), Estimate(0.027, 0.01, 0.044)
    )
    assert said.startswith("On 300 test sequences the network tells positives from negatives")
    assert "(95 % interval " in said
    assert "; the 6-mer baseline reaches 0." in said
    assert said.endswith("the network is better by 0.027 (+0.010 to +0.044).")


def test_a_losing_network_is_said_to_lose() -> None:
    said = text.verdict(Estimate(-0.027, -0.044, -0.01))
    assert said == "On the same sequences the network is worse by 0.027 (−0.044 to −0.010)."


@pytest.mark.parametrize(
    "difference", [Estimate(0.01, -0.01, 0.03), Estimate(-0.01, -0.03, 0.01), Estimate(0, 0, 0)]
)
def test_a_tie_is_said_to_be_a_tie(difference: Estimate) -> None:
    said = text.verdict(difference)
    assert said.endswith("may be chance: this test does not tell the two apart.")


def test_a_network_that_may_be_guessing_is_said_to_do_so() -> None:
    guessing = model("network", 0.0)
    said = text.headline(guessing, model("baseline", 0.0), Estimate(0.02, 0.01, 0.03))
    assert said.endswith("includes 0.5: it may do no better than guessing.")


def test_the_verdict_agrees_with_a_paired_interval_of_real_scores() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(2000) % 2 == 0
    good, bad = (shift * labels + rng.normal(size=2000) for shift in (2.0, 0.5))
    assert "better" in text.verdict(auc_difference(labels, good, bad))
    assert "worse" in text.verdict(auc_difference(labels, bad, good))
    assert "chance" in text.verdict(auc_difference(labels, good, good))


@pytest.mark.parametrize(
    ("best", "answer"),
    [
        (
            Estimate(0.52, 0.49, 0.55),
            r"Not that this test can tell: .*2-mers, has an AUC of 0\.520",
        ),
        (Estimate(0.65, 0.62, 0.68), r"In part: .* which is 50 % of the way from chance\."),
        (Estimate(0.79, 0.76, 0.82), r"Perhaps as well as the network: .*; the intervals overlap"),
        (Estimate(0.90, 0.88, 0.92), r"Yes, better than the network: .*0\.800 \(0\.770–0\.830\)"),
    ],
)
def test_composition_is_weighed_against_chance_and_the_network(best: Estimate, answer: str) -> None:
    aucs = {"GC content": Estimate(0.51, 0.48, 0.54), "2-mers": best}
    assert re.search(answer, text.composition(aucs, Estimate(0.8, 0.77, 0.83)))


def test_training_is_told_for_one_restart_and_for_many(content: ReportContent) -> None:
    # The kept check is the fourth: 0.5 + (0.02 + 0.01 i) 4 for restart i is .58, .62, .66.
    assert text.training(content.restarts, kept=[2]) == (
        "3 restarts reached validation AUCs from 0.580 to 0.660, half of them 0.620 or more."
        " Restart 3 was kept: it reached a validation AUC of 0.660 after 4 epochs, and that state"
        " is the network of this report."
    )
    assert text.training(content.restarts, kept=[2, 0, 1]).endswith(
        " The 3 best, restarts 3, 1 and 2, were kept, and the network of this report is their mean"
        " log odds. The best alone reached a validation AUC of 0.660 after 4 epochs."
    )
    assert text.training(content.restarts[:1], kept=[0]).startswith(
        "The one restart reached a validation AUC of 0.580 after 4 epochs"
    )


def test_precision_in_a_genome_is_worked_out_from_the_calls() -> None:
    labels = np.array([True] * 10 + [False] * 10)
    probabilities = np.array([0.9] * 8 + [0.1] * 2 + [0.6] * 2 + [0.1] * 8)
    said = text.limits(labels, probabilities, split_by="groups")
    # 0.8 x 0.01 right calls for 0.2 x 0.99 wrong ones: 0.008 / 0.206 = 3.9 %.
    assert said[0].endswith(
        "50 % of the test part are positives; were it 1 in 100, 3.9 % of the"
        " network's calls at 0.5 would be right."
    )
    assert "The groups given were kept whole" in said[1]
    assert "80.0 % of the positives and 20.0 % of the negatives" in text.calls(
        labels, probabilities
    )


def test_no_wrong_call_in_a_small_test_is_not_taken_for_perfection() -> None:
    labels = np.array([True] * 100 + [False] * 100)
    said = text.limits(labels, labels.astype(float), split_by="links")
    # Rule of three: 3 of 100 may be called, 0.01 / (0.01 + 0.03 x 0.99) = 25.2 %.
    assert "no more than 25.2 % of calls at 0.5 could be vouched for" in said[0]
    assert "though none of 100 negatives was called here" in said[0]
    assert said[1].startswith("Homology was not controlled.")


def test_of_a_split_that_was_given_no_homology_is_claimed_nor_denied() -> None:
    labels = np.array([True] * 10 + [False] * 10)
    said = text.limits(labels, labels.astype(float), split_by="table")
    assert said[1].startswith("The split was given as a table; whether it keeps relatives in one")


def test_a_logo_stacks_letters_by_height_up_to_the_bits_of_each_position() -> None:
    # Position 1 is A only: 2 bits, the full 60 points. Position 2 is 3/4 C and 1/4 T, its
    # information 2 - 0.8113 = 1.1887 bits: T 8.92 points high, C above it 26.75.
    svg = plots.logo(np.array([[1, 0], [0, 0.75], [0, 0], [0, 0.25]]))
    placed = re.findall(r"translate\((\S+) (\S+)\)scale\((\S+) (\S+)\)", svg)
    assert placed == [
        ("0", "0.00", "20", "60.00"),
        ("20", "51.08", "20", "8.92"),
        ("20", "24.34", "20", "26.75"),
    ]


def test_a_flat_motif_has_a_logo_without_letters() -> None:
    assert plots.logo(np.full((4, 9), 0.25)).count("<path") == 1


def test_a_k_mer_that_one_class_lacks_is_drawn_at_the_end_of_the_axis() -> None:
    svg = plots.enrichments(("CG", "AT"), np.array([0.1, 0.9]), np.array([0.0, 1.0]))
    assert "nan" not in svg
    assert "inf" not in svg


def test_figures_keep_words_of_the_page_s_typeface_as_text(content: ReportContent) -> None:
    svg = plots.roc(content.network.curves.roc, content.baseline.curves.roc)
    assert re.search(r"<text [^>]*>true-positive rate</text>", svg)
    assert not re.search(r'="[^"]*\.\d{3}', svg)
