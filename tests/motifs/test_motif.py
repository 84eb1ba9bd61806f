"""Motif matrices: probabilities, log-odds, information, strands, site positions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose

from enhancer_core.dna.codes import encode
from enhancer_core.dna.codes import reverse_complement as reverse_complement_codes
from enhancer_core.errors import MotifError
from enhancer_core.motifs.motif import (
    BUILTIN,
    Matrix,
    Motif,
    information_content,
    ppm,
    pwm,
    reverse_complement,
    site_prior,
)


@st.composite
def motifs(draw: st.DrawFn) -> Motif:
    width = draw(st.integers(1, 7))
    counts = draw(arrays(np.int64, (4, width), elements=st.integers(0, 20)))
    counts[draw(st.integers(0, 3)), counts.sum(axis=0) == 0] = 1
    return Motif("drawn", counts)


def test_motif_keeps_a_copy_that_nobody_can_change() -> None:
    counts = np.ones((4, 3))
    motif = Motif("m", counts)
    counts[0, 0] = 9
    assert motif.pfm[0, 0] == 1
    assert motif.width == 3
    with pytest.raises(ValueError, match="read-only"):
        motif.pfm[0, 0] = 2


@pytest.mark.parametrize("shape", [(3, 5), (5, 4), (4,), (4, 0), (1, 4, 2)])
def test_motif_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(MotifError, match=r"motif 'm': matrix of shape .*; allowed is \(4, W\)"):
        Motif("m", np.ones(shape))


@pytest.mark.parametrize("column", [[-1, 1, 1, 1], [np.nan, 1, 1, 1], [np.inf, 1, 1, 1], [0] * 4])
def test_motif_with_an_impossible_position_is_refused(column: list[float]) -> None:
    pfm = np.ones((4, 3))
    pfm[:, 1] = column
    with pytest.raises(MotifError, match=r"motif 'm': position 2 is .*; allowed are finite values"):
        Motif("m", pfm)


def test_ppm_adds_the_pseudocount_to_frequencies() -> None:
    # CEBPA's first position: 3, 0, 0, 15 of 18.
    assert_allclose(ppm(BUILTIN["CEBPA"].pfm)[:, 0], [1 / 6, 0, 0, 5 / 6])
    smoothed = ppm(BUILTIN["CEBPA"].pfm, pseudocount=0.01)[:, 0]
    assert_allclose(smoothed, np.array([1 / 6 + 0.01, 0.01, 0.01, 5 / 6 + 0.01]) / 1.04)


@given(motifs(), st.floats(0, 10))
def test_ppm_sums_to_one_and_of_probabilities_is_itself(motif: Motif, pseudocount: float) -> None:
    probabilities = ppm(motif.pfm, pseudocount=pseudocount)
    assert_allclose(probabilities.sum(axis=0), 1)
    assert_allclose(ppm(probabilities), probabilities)


@pytest.mark.parametrize("pseudocount", [-0.1, np.nan, np.inf])
def test_ppm_refuses_an_impossible_pseudocount(pseudocount: float) -> None:
    with pytest.raises(MotifError, match=r"pseudocount .*; allowed are finite values >= 0"):
        ppm(np.ones((4, 1)), pseudocount=pseudocount)


def test_ppm_refuses_a_malformed_matrix() -> None:
    with pytest.raises(MotifError, match="position 1 is"):
        ppm(np.zeros((4, 1)))


def test_pwm_is_log2_odds_of_each_base() -> None:
    probabilities = np.array([[0.5], [0.25], [0.25], [0.0]])
    assert pwm(probabilities).ravel().tolist() == [1, 0, 0, -np.inf]
    background = [0.25, 0.125, 0.5, 0.125]
    assert pwm(probabilities, background=background).ravel().tolist() == [1, 1, -1, -np.inf]


@pytest.mark.parametrize("background", [0.0, [0.5, 0.5, 0.0, 0.0], [0.5, 0.5], np.nan])
def test_pwm_refuses_an_impossible_background(background: float | list[float]) -> None:
    with pytest.raises(MotifError, match=r"background .*; allowed is one probability above 0"):
        pwm(np.full((4, 1), 0.25), background=background)


def test_information_content_counts_bits() -> None:
    # One base: 2 bits. Two: 1. 1/2, 1/4, 1/4: entropy 1.5, so 0.5. Uniform: 0.
    probabilities = ppm(np.array([[1, 1, 2, 1], [0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1]]))
    assert_allclose(information_content(probabilities), [2, 1, 0.5, 0])


@given(motifs())
def test_information_content_is_the_mean_log_odds_and_between_0_and_2(motif: Motif) -> None:
    probabilities = ppm(motif.pfm, pseudocount=0.01)
    bits = information_content(probabilities)
    assert_allclose(bits, (probabilities * pwm(probabilities)).sum(axis=0), atol=1e-12)
    assert bits.min() > -1e-12
    assert bits.max() <= 2


@given(motifs())
def test_reverse_complement_twice_is_the_motif(motif: Motif) -> None:
    assert (reverse_complement(reverse_complement(motif.pfm)) == motif.pfm).all()


@given(motifs(), st.data())
def test_reverse_complement_scores_the_other_strand_alike(
    motif: Motif, data: st.DataObject
) -> None:
    site = encode([data.draw(st.text("ACGT", min_size=motif.width, max_size=motif.width))])[0]

    def score(matrix: Matrix, codes: np.ndarray) -> float:
        return float(matrix[codes, np.arange(motif.width)].sum())

    other = score(reverse_complement(motif.pfm), reverse_complement_codes(site))
    assert other == pytest.approx(score(motif.pfm, site))


def test_site_prior_is_normal_at_the_sites_centre() -> None:
    # Starts 0-3 of a 3 bp site have centres 1-4; with mean 6 // 2 and sd 1: exp of -2, -.5, 0, -.5.
    density = np.exp([-2, -0.5, 0, -0.5])
    assert_allclose(site_prior(length=6, width=3, sd=1), density / density.sum())
    density = np.exp([-0.5, 0, -0.5, -2])
    assert_allclose(site_prior(length=6, width=3, sd=1, mean=2), density / density.sum())


@pytest.mark.parametrize("width", [8, 9])
def test_site_prior_has_the_mean_and_sd_it_was_given(width: int) -> None:
    prior = site_prior(length=500, width=width, sd=30)
    centres = np.arange(500 - width + 1) + width // 2
    mean = (prior * centres).sum()
    assert mean == pytest.approx(250, abs=1e-6)  # the ends, 8 sd away, hold less than 1e-14
    assert np.sqrt((prior * (centres - mean) ** 2).sum()) == pytest.approx(30, abs=1e-6)


def test_site_prior_with_infinite_sd_is_uniform_and_with_a_tiny_one_a_point() -> None:
    assert site_prior(length=10, width=3, sd=np.inf).tolist() == [1 / 8] * 8
    assert site_prior(length=10, width=3, sd=1e-200, mean=4.4).tolist() == [0, 0, 0, 1, 0, 0, 0, 0]


def test_site_prior_of_a_motif_as_long_as_the_sequence_has_one_place() -> None:
    assert site_prior(length=9, width=9, sd=30).tolist() == [1]


def test_site_prior_refuses_what_cannot_be() -> None:
    with pytest.raises(MotifError, match="a motif of 9 bp does not fit sequences of 8 bp"):
        site_prior(length=8, width=9, sd=30)
    for sd in (0, -1, np.nan):
        with pytest.raises(MotifError, match=r"standard deviation .*; allowed are values above 0"):
            site_prior(length=500, width=9, sd=sd)
    for mean in (np.nan, -1, 501):
        with pytest.raises(MotifError, match=r"mean (nan|-1|501) .*; allowed are 0 to 500 bp"):
            site_prior(length=500, width=9, sd=30, mean=mean)


def test_built_in_motifs_have_the_counts_of_jaspar() -> None:
    assert (BUILTIN["CEBPA"].pfm.sum(axis=0) == 18).all()
    assert (BUILTIN["HNF4A"].pfm.sum(axis=0) == 67).all()
    consensus = {
        name: "".join("ACGT"[base] for base in motif.pfm.argmax(axis=0))
        for name, motif in BUILTIN.items()
    }
    assert consensus == {"CEBPA": "TTTCGCAAT", "HNF4A": "AGGCCAAAGGTCA"}
