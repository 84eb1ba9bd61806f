from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from markupsafe import Markup

from enhancer_core.metrics import Estimate
from enhancer_core.report.page import Figure, Page, Section, render_page
from enhancer_core.report.study.charts import ModelRow, along_k, compared, heatmap, rocs

NASTY = "<b>&$x_1$ Ünïcode"


def drawn() -> dict[str, Markup]:
    half = Estimate(0.5, 0.4, 0.6)
    line = np.linspace(0, 1, 200)
    return {
        "compared": compared(
            [ModelRow(name=NASTY, auc=half, paper=0.7), ModelRow(name="b", auc=half)],
            name="one", wide=True,
        ),
        "half": compared([ModelRow(name=NASTY, auc=half)], name="two", wide=False),
        "heatmap": heatmap(np.array([[0.5, 0.9]]), [NASTY], ["a", NASTY], name="three"),
        "along_k": along_k({NASTY: {1: half, 2: half}}, guide=0.55, chosen=2, name="four"),
        "rocs": rocs([(line, line**0.5)], name="five"),
    }  # fmt: skip


@pytest.mark.parametrize("name", list(drawn()))
def test_a_figure_is_well_formed_whatever_the_names_are(name: str) -> None:
    svg = drawn()[name]
    ElementTree.fromstring(svg)
    assert "<b>" not in svg
    assert svg == drawn()[name]


def test_names_stand_in_a_figure_as_text_and_long_ones_are_cut() -> None:
    svg = drawn()["heatmap"]
    assert "&lt;b&gt;&amp;$x_1$ Ünïcode" in svg
    long = compared([ModelRow(name="x" * 99, auc=Estimate(0.5, 0.4, 0.6))], name="n", wide=True)
    assert "x" * 43 + "…" in long
    assert "x" * 44 not in long


def test_numbers_stand_in_the_cells_of_a_matrix() -> None:
    text = re.sub(r"<[^>]+>", " ", drawn()["heatmap"])
    assert ".500" in text
    assert ".900" in text


def test_ids_of_all_figures_of_a_page_differ() -> None:
    ids = re.findall(r' id="([^"]+)"', "".join(drawn().values()))
    assert len(ids) == len(set(ids))


def test_a_section_can_have_figures_as_wide_as_the_page() -> None:
    figure = Figure(svg=drawn()["compared"], alt="a")
    for wide in (True, False):
        section = Section(title="t", figures=[figure], wide_figures=wide)
        page = render_page(Page(title="t", sections=[section]))
        assert ('<div class="figures wide">' in page) == wide
