"""The report on filters: logos that lie as their motifs match, and what is said of each filter."""

from __future__ import annotations

import re

import numpy as np
import pytest

from enhancer_core.dna.codes import encode
from enhancer_core.motifs.match import FilterMotif, Match, best_matches
from enhancer_core.motifs.motif import Motif, reverse_complement
from enhancer_core.report.motifs import motif_page, pair_logo
from enhancer_core.report.page import render_page
from enhancer_core.report.plots import LETTER_WIDTH, LETTERS, LOGO_HEIGHT

WHOLE = Motif("whole", np.eye(4)[:, encode(["GATTACACCTG"])[0]])


def letters(svg: str) -> list[list[tuple[int, str]]]:
    """Read the logos inside a drawing: (position in it, letter) of each letter, by logo."""
    bases = {outline: base for base, (_, outline) in zip("ACGT", LETTERS, strict=True)}
    logos = []
    for part in svg.split("<svg ")[2:]:
        left = int(re.findall(r'^x="(\d+)"', part)[0]) // LETTER_WIDTH
        drawn = re.findall(r'translate\((\d+) .*?fill-rule="evenodd" d="(.*?)"', part)
        logos.append([(left + int(x) // LETTER_WIDTH, bases[d]) for x, d in drawn])
    return logos


@pytest.mark.parametrize("strand", [1, -1])
@pytest.mark.parametrize(("start", "stop"), [(0, 5), (3, 8), (5, 11), (0, 11)])
def test_letters_of_a_motif_stand_above_the_same_letters_of_its_match(
    strand: int, start: int, stop: int
) -> None:
    pfm = WHOLE.pfm[:, start:stop]
    query = Motif("query", pfm if strand == 1 else reverse_complement(pfm))
    for upper, lower in ((query, WHOLE), (WHOLE, query)):
        match = best_matches([upper], [lower])[0]
        assert match is not None
        svg = str(pair_logo(upper, match))
        above, below = letters(svg)
        assert len(above) == upper.width
        assert len(below) == lower.width
        shorter = above if len(above) < len(below) else below
        assert set(above) & set(below) == set(shorter)
        assert min(above + below)[0] == 0
        assert f'viewBox="0 0 {11 * LETTER_WIDTH} {2 * LOGO_HEIGHT + 10}"' in svg


def match(target: Motif, similarity: float, q: float) -> Match:
    return Match(target=target, similarity=similarity, offset=0, strand=1, p=q / 10, q=q)


def test_filters_come_by_how_sure_their_match_is() -> None:
    filters = [
        FilterMotif(name="silent", motif=None, sites=0),
        FilterMotif(name="flat", motif=Motif("a", np.ones((4, 3))), sites=7),
        FilterMotif(name="poor", motif=WHOLE, sites=1234, match=match(WHOLE, 0.8, 0.2)),
        FilterMotif(name="sure", motif=WHOLE, sites=5, match=match(WHOLE, 0.7, 0.001)),
    ]
    page = motif_page(filters, model="m<1>", database="db & co", targets=900)
    assert page.lead.startswith("1 of 4 first-layer filters match a motif of db & co")
    shown = [re.findall("<b>(.*?)</b>", figure.caption)[0] for figure in page.sections[0].figures]
    assert shown == ["sure", "poor", "flat"]
    rows = page.sections[1].tables[0].rows
    assert rows[0] == ("silent", "nothing activates it", "", "", "", "", "0")
    assert rows[1] == ("flat", "flat", "", "", "", "0.0", "7")
    assert rows[2] == ("poor", "whole", "0.800", "0.02", "0.2", "22.0", "1,234")
    html = render_page(page)
    assert "Motifs of m&lt;1&gt;" in html
    assert "900 motifs" in html


def test_a_match_of_a_motif_below_4_bits_is_shown_but_not_counted() -> None:
    pfms = [np.full((4, 9), 0.25) for _ in range(2)]
    pfms[0][:, 0] = pfms[1][:, 0] = pfms[1][:, 1] = [1, 0, 0, 0]  # 2 and 4 bits
    filters = [
        FilterMotif(name=str(pfm), motif=Motif("m", pfm), match=match(WHOLE, 0.4, 0.01))
        for pfm in pfms
    ]
    assert [item.matched for item in filters] == [False, True]
    page = motif_page(filters, model="m", database="db", targets=900)
    assert page.lead.startswith("1 of 2 first-layer filters match a motif of db")
    assert [row[4] for row in page.sections[1].tables[0].rows] == ["0.01", "0.01"]


def test_without_p_values_the_most_similar_come_first_and_none_is_called_a_match() -> None:
    filters = [
        FilterMotif(name=str(value), motif=WHOLE, match=match(WHOLE, value, np.nan))
        for value in (0.5, 0.9)
    ]
    page = motif_page(filters, model="m", database="few.meme", targets=2)
    assert page.lead == "2 of 2 first-layer filters respond to the sequences."
    assert [figure.caption[3:6] for figure in page.sections[0].figures] == ["0.9", "0.5"]
    assert "q" not in page.sections[0].figures[0].caption
    assert page.sections[1].tables[0].rows[0][3:5] == ("", "")
    assert "few.meme has 2 motifs" in " ".join(page.sections[2].text)


def test_a_target_is_named_with_its_alias_once() -> None:
    for name, alias, label in (("MA1.1", "TF", "MA1.1 TF"), ("MA1.1.TF", "TF", "MA1.1.TF")):
        target = Motif(name, WHOLE.pfm, alias)
        found = [FilterMotif(name="f", motif=WHOLE, sites=1, match=match(target, 1, 0))]
        page = motif_page(found, model="m", database="d", targets=30)
        assert page.sections[1].tables[0].rows[0][1] == label
