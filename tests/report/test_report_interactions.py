"""The report on interactions says what planting showed, and no more."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from enhancer_core.dna.codes import encode
from enhancer_core.interpretation.interactions import Arrangement, Interactions
from enhancer_core.interpretation.second_layer import FilterPair
from enhancer_core.motifs.match import FilterMotif, Match
from enhancer_core.motifs.motif import Motif
from enhancer_core.report.interactions import interaction_map, interaction_page
from enhancer_core.report.page import Page, render_page
from enhancer_core.report.plots import GUIDE

SITES = encode(["GATTN", "CCGTG"])
PAIR = FilterPair(0, 1, 4.0, 3)
FOUND = Arrangement(
    pair=PAIR, spacing=-9, same_strand=False, interaction=2.5, low=2.0, high=3.0, turned=2.4,
    swapped=2.2, elsewhere=-0.25, alone=(1.0, 0.5), excess=(2.75, 2.0, 3.5),
)  # fmt: skip


def filters(*, named: bool = True) -> list[FilterMotif]:
    known = Motif("MA1", np.eye(4), alias="TF<1>")
    match = Match(target=known, similarity=0.9, offset=0, strand=1, p=0.001, q=0.01)
    pfms = [np.eye(4)[:, np.minimum(site, 3)] for site in SITES]
    return [
        FilterMotif(name="filter_1", motif=Motif("a", pfms[0]), match=match if named else None),
        FilterMotif(name="filter_2", motif=Motif("b", pfms[1]), match=replace(match, q=0.2)),
    ]


def planted(values: list[list[float]]) -> Interactions:
    array = np.array([values] * 4)
    return Interactions(
        PAIR, np.arange(-9, len(values) - 9), array, np.zeros(4), np.zeros_like(array)
    )


def page(*found: Arrangement) -> Page:
    tested = [planted([[0.0, 2.5], [1.0, np.nan]])] * len(found)
    return interaction_page(filters(), SITES, tested, found, model="m", reach=14)


def sentence(found: Arrangement) -> str:
    return page(found).sections[0].text[0]


def test_a_pair_that_holds_is_told_with_its_place_and_what_is_elsewhere() -> None:
    assert sentence(FOUND) == (
        "Filter_2 9 bp before filter_1 (TF<1>), on the opposite strand: together they change the"
        " log odds by +2.5 (+2 to +3) beyond the sum of each alone, within the 14 bp that the"
        " second layer reaches. It is +2.4 with the second site reverse-complemented in place and"
        " +2.2 as far on the other side of the first. Its mean over all other spacings and"
        " orientations is −0.25, less by +2.8 (+2 to +3.5): the interaction is spacing-specific."
    )


def test_a_pair_whose_strand_or_order_matters_is_told_why_it_may() -> None:
    why = "That this differs shows that other filters read these sites too, or the DNA across both"
    assert why not in sentence(FOUND)
    assert why in sentence(replace(FOUND, turned=1.0))
    assert why in sentence(replace(FOUND, turned=np.nan, swapped=-1.0))
    assert why not in sentence(replace(FOUND, turned=np.nan, swapped=np.nan))


def test_what_cannot_be_known_is_left_out() -> None:
    nothing = replace(FOUND, turned=np.nan, swapped=np.nan, elsewhere=np.nan)
    assert sentence(nothing).endswith("within the 14 bp that the second layer reaches.")


def test_a_pair_that_interacts_at_any_distance_is_told_from_one_of_a_spacing() -> None:
    anywhere = replace(FOUND, elsewhere=2.3, excess=(0.2, 0.1, 0.3))
    assert sentence(anywhere).endswith(
        "orientations is +2.3, less by +0.2 (+0.1 to +0.3): the two interact at any distance."
    )
    unclear = replace(FOUND, elsewhere=1.0, excess=(1.5, -0.5, 3.5))
    assert sentence(unclear).endswith(": whether it depends on the spacing is unclear.")
    lead = page(FOUND, anywhere, unclear, anywhere).lead
    assert lead.endswith("interact: 4 (1 spacing-specific, 2 at any distance, 1 unclear).")
    assert page(replace(FOUND, low=-1.0)).lead.endswith("Pairs that interact: 0.")


def test_a_pair_whose_interval_holds_0_is_not_said_to_be_joined() -> None:
    said = sentence(replace(FOUND, low=-0.1))
    assert "no spacing or orientation is significant" in said
    assert "+2.5 (−0.1 to +3)" in said


def test_a_pair_farther_apart_than_the_layer_reaches_is_told_so() -> None:
    said = sentence(replace(FOUND, spacing=20, same_strand=True))
    assert said.startswith("Filter_2 20 bp behind filter_1 (TF<1>), on the same strand: ")
    assert "beyond the 14 bp that the second layer reaches, so later layers contribute" in said


def test_a_filter_joined_to_itself_is_named_once() -> None:
    said = sentence(replace(FOUND, pair=FilterPair(1, 1, 1.0, 2)))
    assert said.startswith("Another such site 9 bp before filter_2, on the opposite strand: ")


def test_the_page_counts_what_holds_and_shows_the_motifs_as_planted() -> None:
    made = page(FOUND, replace(FOUND, low=-1.0))
    assert made.lead.endswith("by planting: 2. Pairs that interact: 1 (1 spacing-specific).")
    assert made.highlights[0].value == "1 of 2"
    assert [row[2] for row in made.sections[0].tables[0].rows] == [
        "spacing-specific",
        "not confirmed",
    ]
    html = render_page(made)
    assert "filter_1 (TF&lt;1&gt;)</b><br>planted: GATT·" in html
    assert "planted in 4 shuffles" in html
    row = made.sections[0].tables[0].rows[0]
    assert row[3:] == ("opposite", "−9", "+2.5 (+2 to +3)", "−0.25", "+1, +0.5", "4 at 3")


def test_a_network_that_joins_nothing_has_a_page_that_says_so() -> None:
    made = interaction_page(filters(), SITES, [], [], model="m", reach=14)
    assert made.lead == "The second layer combines no motifs."
    assert [each.title for each in made.sections] == ["What the figures mean"]
    assert "The second layer" in render_page(made)


def test_the_map_has_a_cell_for_each_spacing_and_grey_where_sites_collide() -> None:
    svg = interaction_map([planted([[0.0, 2.5], [-1.25, np.nan]])], reach=9)
    image = base64.b64decode(re.findall(r'"data:image/png;base64,([^"]*)"', svg)[0])
    with Image.open(io.BytesIO(image)) as picture:
        cells = np.asarray(picture.convert("RGB"))
    assert [[f"#{bytes(cell).hex()}" for cell in row] for row in cells] == [  # orientations
        ["#ffffff", "#8fb7d8"],  # spacings
        ["#cc7a29", "#e6e9ec"],
    ]
    assert svg.count(f"stroke: {GUIDE}; stroke-width: 1.5") == 1  # the reach, where it is shown
    assert ">−2.5</text>" in svg


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_map_without_interactions_is_drawn_too(value: float) -> None:
    assert "1 + 2" in interaction_map([planted([[value, value]])], reach=14)
