"""report: what the page says follows from the numbers, escapes names and never changes."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup
from numpy.typing import NDArray

from enhancer_core.data.dataset import Dataset, SplitDataset
from enhancer_core.metrics import Estimate, auc_difference, curves
from enhancer_core.models.architecture import Architecture, Convolution
from enhancer_core.report import plots, text
from enhancer_core.report.page import Figure, Page, Section, Table, render_page
from enhancer_core.report.training import training_page
from enhancer_core.training.config import TrainConfig
from enhancer_core.training.evaluation import Evaluation, evaluate_probabilities
from enhancer_core.training.experiment import Experiment, InputFile, Outcome
from enhancer_core.training.restart import Checkpoint, Restart
from enhancer_core.training.trainer import Trained

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


class Content(NamedTuple):
    """What a report is made of."""

    experiment: Experiment
    outcome: Outcome
    pfms: NDArray[np.int64]


def render_report(content: Content) -> str:
    return render_page(training_page(*content))


def split_data() -> SplitDataset:
    """300 sequences of the test part and 40 of each other, of which every fourth is positive."""
    n, rng = 380, np.random.default_rng(0)
    parts = np.repeat([2, 0, 1], [300, 40, 40])
    labels = np.where(parts == 2, np.arange(n) % 2 == 0, np.arange(n) % 4 == 0)
    codes = rng.choice(4, size=(n, 20), p=[0.3, 0.2, 0.2, 0.3]).astype(np.uint8)
    names = np.full(n, "a")
    return SplitDataset(Dataset(codes, labels, names, names), parts)


def model(name: str, shift: float, data: SplitDataset | None = None) -> Evaluation:
    data = split_data() if data is None else data
    labels = data.dataset.labels
    scores = np.random.default_rng(0).normal(size=len(labels)) + shift * (labels - 0.5)
    probabilities = (1 / (1 + np.exp(-scores))).astype(np.float32)
    return evaluate_probabilities(data, name, probabilities, seed=0)


def restart(
    index: int, losses: NDArray[np.float64], aucs: NDArray[np.float64], kept: int
) -> Restart:
    checks = [
        Checkpoint(epoch, loss, auc, 0.5)
        for epoch, (loss, auc) in enumerate(
            zip(losses.tolist(), aucs.tolist(), strict=True), start=1
        )
    ]
    return Restart(index, checks, kept)


def trained(restarts: list[Restart], members: list[int]) -> Trained:
    return Trained(cast("Any", SimpleNamespace()), restarts, members)


@pytest.fixture(scope="module")
def content() -> Content:
    data, epochs = split_data(), np.arange(1.0, 6.0)
    restarts = [
        restart(index, 0.693 - 0.05 * epochs, 0.5 + (0.02 + 0.01 * index) * epochs, kept=3)
        for index in range(3)
    ]
    experiment = Experiment(
        data=data,
        inputs=[
            InputFile(name="a.fa", label="positives", sequences=1234, sha256="ab" * 32),
            InputFile(name="b.fa", label="negatives", sequences=1250, sha256="cd" * 32),
        ],
        network="modern",
        architecture=Architecture(convolutions=(Convolution(2, 3, 1),), dense=(), length=20),
        config=TrainConfig(restarts=3),
        seed=0,
    )
    outcome = Outcome(
        trained=trained(restarts, [2]),
        network=model("network", 1.4, data),
        baseline=model("5-mer baseline", 1.0, data),
        composition={"1-mers": model("1-mers", 0.2, data), "2-mers": model("2-mers", 0.4, data)},
    )
    pfms = np.array([np.ones((4, 4)), np.eye(4), np.zeros((4, 4))], dtype=np.int64)
    return Content(experiment, outcome, pfms)


def test_a_report_holds_every_section_in_order(content: Content) -> None:
    titles = re.findall("<h2>(.*)</h2>", render_report(content))
    assert titles == [
        "Results",
        "Scores",
        "Training",
        "Composition",
        "First-layer filters",
        "What this does not tell you",
        "Data",
        "Run",
    ]


def test_a_report_shows_the_figures_it_was_given(content: Content) -> None:
    text = Browsed(render_report(content)).text
    network, baseline = content.outcome.network, content.outcome.baseline
    difference = content.outcome.difference(content.experiment.data)
    for shown in (
        f"{network.test.auc.value:.3f}",
        f"{baseline.test.average_precision.value:.3f}",
        f"+{difference.value:.3f}",
        f"+{difference.low:.3f} to +{difference.high:.3f}",
        "1,234",
        "ab" * 32,
        "25.0",  # per cent positives
        "modern",
        np.__version__,
        "filter_2 8.0 bits",
        "GC content, %",
    ):
        assert shown in text


def test_a_report_is_the_same_bytes_each_time_and_holds_no_date(content: Content) -> None:
    html = render_report(content)
    assert html == render_report(content)
    assert not re.search(r"\b20\d\d-\d\d-\d\d|\d\d:\d\d:\d\d|Matplotlib v", html)


def test_a_report_does_not_depend_on_the_user_s_matplotlib_settings(content: Content) -> None:
    html = render_report(content)
    with mpl.rc_context({"lines.linewidth": 9, "svg.fonttype": "path", "axes.facecolor": "red"}):
        assert render_report(content) == html


def test_a_page_needs_nothing_from_elsewhere_and_runs_nothing(content: Content) -> None:
    page = Browsed(render_report(content))
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert page.of("src") == []
    assert all(target.startswith("#") for target in page.of("href") + page.of("xlink:href"))


def test_ids_in_a_page_are_unique_and_links_find_them(content: Content) -> None:
    page = Browsed(render_report(content))
    ids = page.of("id")
    assert len(ids) == len(set(ids))
    assert {target[1:] for target in page.of("href") + page.of("xlink:href")} <= set(ids)


def test_every_figure_tells_a_reader_who_cannot_see_it_what_it_is(content: Content) -> None:
    page = Browsed(render_report(content))
    assert page.of("role").count("img") == page.tags.count("figure") == 10
    assert "Logo of filter_2, consensus ACGT" in page.of("aria-label")


def test_names_are_escaped_wherever_they_stand(content: Content) -> None:
    outcome = replace(
        content.outcome,
        network=replace(content.outcome.network, name=NASTY),
        baseline=replace(content.outcome.baseline, name=NASTY),
        composition={NASTY: content.outcome.composition["2-mers"]},
    )
    experiment = replace(
        content.experiment,
        inputs=[InputFile(name=NASTY, label=NASTY, sequences=1, sha256=NASTY)],
        network=NASTY,
    )
    report = training_page(experiment, outcome, content.pfms)
    section = Section(
        title=NASTY,
        text=[NASTY],
        tables=[Table(head=[NASTY], rows=[[NASTY]], caption=NASTY)],
        key=[("red", NASTY)],
        figures=[Figure(svg=Markup("<svg></svg>"), alt=NASTY, caption=NASTY)],
    )
    page = Browsed(render_page(replace(report, sections=[*report.sections, section])))
    assert "script" not in page.tags
    assert page.text.count(NASTY) >= 25
    assert NASTY in page.of("aria-label")
    assert page.tags.count("svg") == Browsed(render_report(content)).tags.count("svg") + 1


def test_a_k_mer_s_name_is_escaped() -> None:
    svg = plots.enrichments((NASTY, "$\\frac$"), np.array([0.5, 0.5]), np.array([0.4, 0.6]))
    assert NASTY in Browsed(str(svg)).text


@given(st.text())
def test_a_page_shows_any_text_as_it_is(text: str) -> None:
    page = Browsed(render_page(Page(title="title", sections=[Section(title="s", text=[text])])))
    assert text in page.text


def test_filters_stand_by_falling_information_and_are_left_out_where_none_are(
    content: Content,
) -> None:
    html = render_report(content)
    assert html.index("<b>filter_2</b> 8.0 bits") < html.index("<b>filter_1</b> 0.0 bits")
    assert "filter_3" not in html  # nothing activates it
    assert "First-layer filters" not in render_report(content._replace(pfms=content.pfms[2:]))


def test_a_report_of_eighty_filters_and_fifty_restarts_stays_small(content: Content) -> None:
    rng = np.random.default_rng(0)
    restarts = [restart(n, rng.random(20), rng.random(20), kept=0) for n in range(50)]
    pfms = (100 * rng.dirichlet([0.5] * 4, size=(80, 9))).astype(np.int64).transpose(0, 2, 1)
    outcome = replace(content.outcome, trained=trained(restarts, [0]))
    large = content._replace(outcome=outcome, pfms=pfms)
    assert len(render_report(large).encode()) < 1_000_000


def test_a_winning_network_is_said_to_win() -> None:
    said = text.headline(
        model("network", 1.4), model("6-mer baseline", 1.0), Estimate(0.027, 0.01, 0.044)
    )
    assert said.startswith("On 300 test sequences the network separates positives from negatives")
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
    assert said.endswith("may be due to chance: this test does not separate the two models.")


def test_a_network_that_may_be_guessing_is_said_to_do_so() -> None:
    guessing = model("network", 0.0)
    said = text.headline(guessing, model("baseline", 0.0), Estimate(0.02, 0.01, 0.03))
    assert said.endswith("includes 0.5: it may be no better than chance.")


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


def test_training_is_told_for_one_restart_and_for_many(content: Content) -> None:
    # The kept check is the fourth: 0.5 + (0.02 + 0.01 i) 4 for restart i is .58, .62, .66.
    restarts = content.outcome.trained.restarts
    assert text.training(restarts, kept=[2]) == (
        "3 restarts reached validation AUCs from 0.580 to 0.660 (median 0.620)."
        " Restart 3 was the best: it reached a validation AUC of 0.660 after 4 epochs, and that"
        " state is the network of this report."
    )
    assert text.training(restarts, kept=[2, 0, 1]).endswith(
        " The network of this report is the mean log odds of the 3 best, restarts 3, 1 and 2. The"
        " best alone reached a validation AUC of 0.660 after 4 epochs."
    )
    assert text.training(restarts[:1], kept=[0]).startswith(
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


def test_figures_keep_words_of_the_page_s_typeface_as_text(content: Content) -> None:
    test, probabilities = content.experiment.data.test, content.outcome.network.probabilities[:300]
    roc = curves(test.labels, probabilities, rng=np.random.default_rng(0), resamples=20).roc
    svg = plots.curve_pair(roc, roc, chance=(0, 1), name="roc")
    assert re.search(r"<text [^>]*>true-positive rate</text>", svg)
    assert not re.search(r'="[^"]*\.\d{3}', svg)
