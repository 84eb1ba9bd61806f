"""The motif found de novo is the one that was planted, as far as a sample can tell."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import check_grad

from enhancer_core.data.simulation import simulate
from enhancer_core.dna.codes import Codes, encode, reverse_complement
from enhancer_core.dna.shuffle import k_shuffle
from enhancer_core.errors import DatasetError, MotifError
from enhancer_core.io.fasta import read_fasta
from enhancer_core.io.motifs import read_motifs
from enhancer_core.metrics import roc_auc
from enhancer_core.motifs.discovery import _Task, discover, enriched_words
from enhancer_core.motifs.homer import similarity
from enhancer_core.motifs.motif import BUILTIN, Prior, ppm, pwm, site_prior
from enhancer_core.motifs.pssm import log_likelihood_ratios

CEBPA = BUILTIN["CEBPA"]
LENGTH = 100


def data(n: int, rng: np.random.Generator, *, turned: bool) -> tuple[Codes, NDArray[np.bool_]]:
    """Simulate n positives, every other one turned round if asked, and n negatives."""
    drawn = simulate(CEBPA, n=n, length=LENGTH, rng=rng)
    if turned:
        drawn.positives[::2] = reverse_complement(drawn.positives[::2])
    return np.concatenate([drawn.positives, drawn.background]), np.arange(2 * n) < n


@pytest.mark.parametrize("strands", [1, 2])
@pytest.mark.parametrize("prior", [np.full(23, 1 / 23), site_prior(length=30, width=8, sd=5)])
def test_slopes_are_those_of_small_steps(strands: int, prior: Prior) -> None:
    rng = np.random.default_rng(0)
    codes: Codes = rng.integers(5, size=(60, 30), dtype=np.uint8)
    with ThreadPoolExecutor(1) as pool:
        task = _Task(codes, np.arange(60) < 30, np.log(23 * prior), strands, pool)
        at = rng.normal(size=33)
        off = check_grad(lambda x: task._loss(x)[0], lambda x: task._loss(x)[1], at)
    assert off < 1e-6


def test_the_loss_is_that_of_the_likelihood_ratio(rng: np.random.Generator) -> None:
    codes, labels = data(50, rng, turned=True)
    shares = rng.dirichlet([1.0] * 4, 8)
    z = log_likelihood_ratios(codes, pwm(shares.T)) * np.log(2) + 0.3
    with ThreadPoolExecutor(1) as pool:
        task = _Task(codes, labels, np.zeros(LENGTH - 7), 2, pool)
        loss, _ = task._loss(np.append(np.log(shares).ravel(), 0.3))
    prior = (np.log(shares) ** 2).sum() / 9 / 100 / 2  # a deviation of 3, 100 sequences
    expected = np.log1p(np.exp(np.where(labels, -z, z))).mean() + prior
    assert loss == pytest.approx(expected, abs=1e-4)  # scores of pssm are in steps


@pytest.mark.parametrize("strands", [1, 2])
def test_the_motif_that_was_planted_is_found(rng: np.random.Generator, strands: int) -> None:
    turned = strands == 2
    codes, labels = data(500, rng, turned=turned)
    found = discover(codes, labels, width=12, both_strands=turned)
    assert found.motif.name == "de_novo"
    assert similarity([found.motif], [CEBPA]).scores[0, 0] > 0.95
    codes, labels = data(2000, rng, turned=turned)
    own, true = (
        roc_auc(labels, log_likelihood_ratios(codes, pwm(each), both_strands=turned))
        for each in (found.motif.pfm, ppm(CEBPA.pfm, pseudocount=0.001))
    )
    assert own > true - 0.02
    assert true > 0.85


def test_a_prior_of_places_helps_to_find_it(rng: np.random.Generator) -> None:
    codes, labels = data(150, rng, turned=False)
    prior = site_prior(length=LENGTH, width=12, sd=30)
    found = discover(codes, labels, width=12, both_strands=False, prior=prior)
    assert similarity([found.motif], [CEBPA]).scores[0, 0] > 0.8


def test_threads_do_not_change_a_bit(rng: np.random.Generator) -> None:
    codes, labels = data(300, rng, turned=True)
    one, two = (discover(codes, labels, width=8, threads=threads) for threads in (1, 2))
    assert one.seed == two.seed
    assert np.array_equal(one.motif.pfm, two.motif.pfm)


def test_words_are_ranked_by_how_many_more_positives_have_them() -> None:
    codes = encode(["GATTACCC", "GATTACGG", "TTGATTAC", "CCCCCCCC", "GGGTTTGG", "ANTNANTT"])
    labels = np.arange(6) < 3
    found = enriched_words(codes, labels, both_strands=False)
    assert found[0] == "GATTAC"
    assert "CCCCCC" not in found
    assert not any("ATTAC" in word or "GATTA" in word for word in found[1:])


def test_on_both_strands_a_word_stands_for_its_reverse_complement() -> None:
    codes = encode(["GATTACGG", "CAGTAATC", "CCCCCCCC", "GGGGGGGG"])
    labels = np.arange(4) < 2
    found = enriched_words(codes, labels, both_strands=True)
    assert found[0] in ("GATTAC", "GTAATC")
    assert not {"GATTAC", "GTAATC"} & set(found[1:])


def test_what_cannot_be_searched_is_refused() -> None:
    codes = np.zeros((4, 10), np.uint8)
    labels = np.arange(4) < 2
    for width in (5, 11):
        with pytest.raises(MotifError, match=f"width of {width} bp; allowed are 6 to 10"):
            discover(codes, labels, width=width)
    with pytest.raises(DatasetError, match="0 positives and 4 negatives; at least one of each"):
        discover(codes, np.zeros(4, bool), width=8)
    with pytest.raises(MotifError, match="no word of 6 letters is in more positives than"):
        discover(codes, labels, width=8)


def test_the_motif_of_foxa1_is_found_in_its_chip_seq_peaks(real_data: Path) -> None:
    peaks = read_fasta(real_data / "chip_seq_101bp" / "FOXA1_HepG2.peaks.fa.gz").codes[:1000]
    shuffled = k_shuffle(peaks, k=2, rng=np.random.default_rng(0))
    found = discover(np.concatenate([peaks, shuffled]), np.arange(2000) < 1000)
    known = read_motifs(real_data / "motifs" / "JASPAR2022_vertebrates.pfm")
    best = known[int(similarity([found.motif], known).scores[0].argmax())]
    assert "FOX" in f"{best.name} {best.alias}".upper()
