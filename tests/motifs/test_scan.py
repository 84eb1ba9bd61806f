"""Where known motifs fit, and how surprising that is."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enhancer_core.dna.codes import Codes, encode, reverse_complement
from enhancer_core.errors import MotifError, SequenceError
from enhancer_core.motifs.motif import BUILTIN, Motif, ppm, pwm
from enhancer_core.motifs.scan import PSEUDOCOUNT, Scanner, find_hits

GATTA = Scanner(Motif("GATTA", np.eye(4)[:, encode(["GATTA"])[0]]))


def random_motif(seed: int, width: int) -> Motif:
    return Motif("random", np.random.default_rng(seed).dirichlet([0.5] * 4, width).T)


@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_p_values_are_those_of_all_words(seed: int, width: int) -> None:
    scanner = Scanner(random_motif(seed, width))
    words = np.array(list(product(range(4), repeat=width)))
    scores = scanner.steps[np.arange(width), words].sum(axis=1)
    for score in scores[:20].tolist():
        assert scanner.p(score) == pytest.approx((scores >= score).mean())
    for p in (0.001, 0.03, 0.5, 1.0):
        least = scanner.least(p)
        assert (scores >= least).mean() <= p
        assert least == scores.min() or (scores >= least - 1).mean() > p


def test_scores_are_log_odds_in_bits() -> None:
    motif = BUILTIN["CEBPA"]
    best = pwm(ppm(motif.pfm, pseudocount=PSEUDOCOUNT)).max(axis=0).sum()
    site = motif.pfm.argmax(axis=0).astype(np.uint8)
    (hit,) = find_hits(site, [Scanner(motif)], p=1e-4)
    assert hit.score == pytest.approx(best, abs=9 / 128)  # half a step a position
    assert hit.p == pytest.approx(4.0**-9)


def test_a_word_is_found_on_either_strand_with_its_place_and_chance() -> None:
    found = find_hits(encode(["CCGATTACCTAATCGG"])[0], [GATTA], p=4.0**-5)
    assert [(hit.start, hit.end, hit.strand) for hit in found] == [(2, 7, 1), (9, 14, -1)]
    assert [hit.p for hit in found] == [pytest.approx(4.0**-5)] * 2
    assert find_hits(encode(["CCGATTACCTAATCGG"])[0], [GATTA], p=4.0**-6) == []


def test_a_place_with_n_is_no_hit_and_a_motif_that_does_not_fit_has_none() -> None:
    assert find_hits(encode(["GATNA"])[0], [GATTA], p=1.0) == []
    assert find_hits(encode(["GATT"])[0], [GATTA], p=1.0) == []
    assert GATTA.expected(1.0, 4) == 0
    assert len(find_hits(encode(["GATTAC"])[0], [GATTA], p=1.0)) == 2


@given(st.integers(0, 2**32 - 1))
def test_the_other_strand_has_the_same_hits(seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes: Codes = rng.integers(5, size=60, dtype=np.uint8)
    scanner = Scanner(random_motif(seed, 6))
    forward, reverse = (
        find_hits(each, [scanner], p=0.05) for each in (codes, reverse_complement(codes))
    )
    there = {(hit.start, hit.score) for hit in forward}
    assert there == {(60 - hit.end, hit.score) for hit in reverse}


def test_random_dna_has_as_many_hits_as_expected(rng: np.random.Generator) -> None:
    codes: Codes = rng.integers(4, size=100_000, dtype=np.uint8)
    scanner = Scanner(BUILTIN["CEBPA"])
    # At 2 % of all places; hits of one place on both strands, which count once, are some 20.
    # Neighbours depend on each other, which widens 63 to less than 200.
    found, expected = len(find_hits(codes, [scanner], p=0.02)), scanner.expected(0.02, 100_000)
    assert expected == pytest.approx(2 * 99_992 * 0.02, rel=0.02)
    assert abs(found - expected) < 1000


def test_hits_come_by_place_and_then_as_the_motifs() -> None:
    second = Scanner(Motif("TTA", np.eye(4)[:, encode(["TTA"])[0]]))
    found = find_hits(encode(["GATTACCCTTA"])[0], [second, GATTA], p=1 / 64)
    assert [(hit.start, hit.motif.name) for hit in found if hit.strand == 1] == [
        (0, "GATTA"),
        (2, "TTA"),
        (8, "TTA"),
    ]


def test_what_cannot_be_is_refused() -> None:
    for p in (0.0, 1.1):
        with pytest.raises(MotifError, match=rf"p-value {p} of hits; allowed are values above 0"):
            find_hits(encode(["GATTA"])[0], [GATTA], p=p)
    with pytest.raises(SequenceError, match="code 5 at"):
        find_hits(np.array([5], np.uint8), [GATTA], p=0.1)
