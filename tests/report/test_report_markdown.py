"""report.markdown: what the page says, in Markdown that shows it as it is, with images to match."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markupsafe import Markup

from enhancer_core.report.markdown import render_markdown
from enhancer_core.report.page import Figure, Highlight, Page, Section, Table
from tests.conftest import Ran

PNG = b"\x89PNG\r\n\x1a\n"
# What Markdown, HTML, TeX and Galaxy's directives are made of, and the letters of any script.
words = st.text(
    st.sampled_from("a *_`#|<>[](){}!$&~\\\"';:/é\u4e2d\n")
    | st.characters(exclude_categories=["C"]),
    max_size=40,
)


def square(colour: str) -> Markup:
    return Markup('<svg viewBox="0 0 10 10"><rect width="10" height="10" fill="{}"/></svg>').format(
        colour
    )


def text_of(page: Page) -> str:
    return render_markdown(page)["report.md"].decode()


def shown(markdown: str) -> list[str]:
    """The text of each block, as a reader of the page sees it."""
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    return [
        "".join(child.content for child in token.children or ())
        for token in tokens
        if token.type == "inline"
    ]


def size(image: bytes) -> tuple[int, int]:
    assert image.startswith(PNG)
    width, height = struct.unpack(">II", image[16:24])
    return width, height


@given(words)
def test_words_are_shown_as_they_are_and_mean_nothing(name: str) -> None:
    name = f"file {name}"
    page = Page(
        title=name,
        lead=name,
        highlights=[Highlight(label=name, value=name, note=name)],
        sections=[
            Section(title=name, text=[name], tables=[Table(head=[name, name], rows=[[name, name]])])
        ],
    )
    plain = " ".join(name.split())
    assert shown(text_of(page)) == [
        *(plain, plain, f"{plain}: {plain} ({plain})", plain, plain),
        *[plain] * 4,
    ]
    assert "${" not in text_of(page)
    assert not re.search("^ *(```|!)", text_of(page), flags=re.MULTILINE)


def test_markup_of_a_table_becomes_plain_words() -> None:
    cell = Markup("0.802<br><small>0.780–0.825</small>")
    table = Table(head=["AUC", "File"], rows=[[cell, Markup("<code>a&lt;b</code>")]], caption="c")
    text = text_of(Page(title="t", sections=[Section(title="s", tables=[table])]))
    assert "| AUC | File |\n| --- | ---: |\n| 0.802 (0.780–0.825) | a\\<b |\n\nc\n" in text


def test_the_figures_of_a_section_are_one_image_on_a_line_of_its_own() -> None:
    figures = [Figure(svg=square("red"), alt="a red one"), Figure(svg=square("blue"), alt="b]")]
    sections = [
        Section(title="Some Results!", figures=figures),
        Section(title="None"),
        Section(title="some results", figures=figures[:1]),
        Section(title="中", figures=figures[:1]),
    ]
    files = render_markdown(Page(title="t", sections=sections))
    assert list(files) == [
        "report.md",
        "figures/some-results.png",
        "figures/some-results2.png",
        "figures/figure.png",
    ]
    text = files.pop("report.md").decode()
    assert re.findall(r"(?m)^!\[(.*)\]\((.*)\)$", text) == [
        ("a red one; b\\]", "figures/some-results.png"),
        ("a red one", "figures/some-results2.png"),
        ("a red one", "figures/figure.png"),
    ]
    for image in files.values():
        size(image)


def test_two_figures_stand_side_by_side_and_small_ones_five_in_a_row() -> None:
    def drawn(count: int, *, small: bool = False, caption: str = "", key: bool = False) -> bytes:
        figure = Figure(svg=square("red"), alt="red", caption=caption)
        section = Section(
            title="s",
            figures=[figure] * count,
            small_figures=small,
            key=[("red", "squares")] if key else [],
        )
        return render_markdown(Page(title="t", sections=[section]))["figures/s.png"]

    one, two, three = (size(drawn(count)) for count in (1, 2, 3))
    assert one[0] < two[0] == three[0]
    assert one[1] == two[1] < three[1]
    five, six = (size(drawn(count, small=True)) for count in (5, 6))
    assert five[0] == six[0]
    assert five[1] < six[1]
    assert size(drawn(1, caption="why"))[1] > one[1]
    assert size(drawn(1, caption="a very long caption"))[1] > size(drawn(1, caption="why"))[1]
    assert size(drawn(1, key=True))[1] > one[1]


def test_a_caption_is_escaped_and_its_bold_words_stay() -> None:
    def drawn(caption: str) -> bytes:
        figure = Figure(svg=square("red"), alt="red", caption=caption)
        section = Section(title="s", figures=[figure], small_figures=True)
        return render_markdown(Page(title="t", sections=[section]))["figures/s.png"]

    assert drawn("a < b & c") != drawn("a b c")
    assert drawn(Markup("<b>filter</b> 1")) != drawn(Markup("filter 1")) == drawn("filter 1")


def test_the_same_page_gives_the_same_bytes() -> None:
    figure = Figure(svg=square("red"), alt="red", caption="red")
    page = Page(title="t", sections=[Section(title="s", figures=[figure], key=[("red", "r")])])
    assert render_markdown(page) == render_markdown(page)


def test_a_figure_without_a_size_is_refused() -> None:
    section = Section(title="s", figures=[Figure(svg=Markup("<svg></svg>"), alt="none")])
    with pytest.raises(ValueError, match="no viewBox from 0 0 at the start of <svg></svg>"):
        render_markdown(Page(title="t", sections=[section]))


def test_train_and_mutagenesis_write_reports_as_markdown_if_asked_to(
    cli: Callable[..., Ran], inputs: Path, tmp_path: Path
) -> None:
    model, mutated, data = tmp_path / "model", tmp_path / "mutated", tmp_path / "two.fa"
    files = ("--positives", inputs / "positives.fa", "--negatives", inputs / "negatives.fa")
    quick = ("--network", "tf", "--restarts", 1, "--epochs", 1)
    assert cli("train", *files, *quick, "--markdown", "-o", model).status == 0
    text = (model / "report.md").read_text()
    assert text.startswith("# Network 'tf' on positives.fa\n\nOn 12 test sequences the network ")
    assert set(re.findall(r"\((figures/.*)\)", text)) == {
        path.relative_to(model).as_posix() for path in (model / "figures").iterdir()
    }
    records = (inputs / "positives.fa").read_text().splitlines(keepends=True)
    data.write_text("".join(records[:4]))
    assert cli("mutagenesis", model, data, "--plots", 1, "--markdown", "-o", mutated).status == 0
    text = (mutated / "report.md").read_text()
    assert "Sequences scored: 2; drawn here: 1, the first." in text
    assert f"\n## {records[0][1:].split()[0]}\n\nIts probability is 0." in text
    assert len(list((mutated / "figures").iterdir())) == 1
