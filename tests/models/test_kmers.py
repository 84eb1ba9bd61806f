"""The k-mer baseline and the spectrum: what they learn."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from threadpoolctl import threadpool_info, threadpool_limits  # type: ignore[import-untyped]

from enhancer_core import metrics
from enhancer_core.dna.codes import Codes, encode, reverse_complement
from enhancer_core.dna.kmers import k_mer_names
from enhancer_core.errors import SequenceError
from enhancer_core.models.kmers import (
    PENALTIES,
    SPECTRUM_PENALTIES,
    Baseline,
    fit,
    fit_spectrum,
)
from tests.small_data import split_of

COMPLEMENT = str.maketrans("ACGTN", "TGCAN")


def random_codes(n: int, length: int, *, seed: int = 0) -> Codes:
    return np.random.default_rng(seed).integers(0, 4, (n, length)).astype(np.uint8)


def planted(n: int, *, seed: int) -> tuple[Codes, NDArray[np.bool_]]:
    """Make sequences of which the positives have TTGCACAA, on either strand, at any place."""
    rng = np.random.default_rng(seed)
    codes = random_codes(n, 100, seed=seed)
    labels = np.arange(n) % 2 == 0
    for row in np.flatnonzero(labels):
        place = rng.integers(0, 90)
        codes[row, place : place + 8] = encode(["TTGCACAA"])[0]
        if rng.random() < 0.5:
            codes[row] = reverse_complement(codes[row])
    return codes, labels


@pytest.mark.parametrize(("k", "length", "most"), [(0, 20, 8), (9, 20, 8), (5, 4, 4)])
def test_a_k_that_is_not_allowed_is_told(k: int, length: int, most: int) -> None:
    data = split_of(np.zeros((2, length), dtype=np.uint8), np.array([True, False]))
    for learn in (fit, fit_spectrum):
        with pytest.raises(SequenceError, match=rf"^k of {k} is not allowed.* are 1 to {most}$"):
            learn(data, k=k)


def test_a_planted_word_is_found_on_both_strands() -> None:
    codes, labels = planted(600, seed=1)
    check, check_labels = planted(200, seed=2)
    model = fit(split_of(codes, labels, check, check_labels), k=6)
    unseen, unseen_labels = planted(400, seed=3)
    found = model.probabilities(unseen)
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 1
    assert metrics.roc_auc(unseen_labels, found) > 0.95
    # the three 6-mers of the planted word carry the most weight
    best = {k_mer_names(6)[column] for column in np.argsort(model.weights)[-3:]}
    words = ("TTGCAC", "TGCACA", "GCACAA")
    assert best == {min(word, word.translate(COMPLEMENT)[::-1]) for word in words}
    np.testing.assert_array_equal(found, model.probabilities(reverse_complement(unseen)))


def test_nothing_is_found_where_there_is_nothing() -> None:
    labels = np.arange(400) % 2 == 0
    first, second = (random_codes(400, 100, seed=seed) for seed in (1, 2))
    model = fit(split_of(first, labels, second, labels), k=3)
    auc = metrics.roc_auc(labels, model.probabilities(random_codes(400, 100, seed=3)))
    # the AUC of chance has sd sqrt((n + m + 1) / (12 n m)) = 0.029 for 200 and 200
    assert abs(auc - 0.5) < 4 * 0.029


def test_probabilities_are_those_of_the_weights_by_hand() -> None:
    model = Baseline(
        k=1,
        mean=np.array([0.5, 0.5], dtype=np.float32),
        scale=np.array([0.25, 0.5], dtype=np.float32),
        weights=np.array([1, 2], dtype=np.float32),
        bias=-1.0,
        penalty=1.0,
    )
    # AAAC: A or T 3/4, C or G 1/4; logit 1 * (1/4) / (1/4) + 2 * (-1/4) / (1/2) - 1 = -1
    np.testing.assert_allclose(model.probabilities(encode(["AAAC"])), [1 / (1 + np.e)], rtol=1e-6)


def test_the_spectrum_divides_counts_by_their_length_as_a_vector_by_hand() -> None:
    ones = np.ones(2, dtype=np.float32)
    model = Baseline(
        k=1, mean=0 * ones, scale=ones, weights=np.array([5, 10], np.float32), bias=-11.0,
        penalty=1.0, unit=True,
    )  # fmt: skip
    # AAAACCC: 4/7 and 3/7, of length 5/7, so 4/5 and 3/5; logit 4 + 6 - 11 = -1. N has no k-mer.
    found = model.probabilities(encode(["AAAACCC", "NNNNNNN"]))
    np.testing.assert_allclose(found, [1 / (1 + np.e), 1 / (1 + np.exp(11))], rtol=1e-6)


def test_the_spectrum_finds_a_planted_motif_and_its_penalty_is_chosen_on_validation() -> None:
    codes, labels = planted(2000, seed=1)
    check, check_labels = planted(500, seed=2)
    unseen, unseen_labels = planted(500, seed=3)
    model = fit_spectrum(split_of(codes, labels, check, check_labels))
    assert metrics.roc_auc(unseen_labels, model.probabilities(unseen)) > 0.9
    assert (model.k, model.unit) == (5, True)
    assert model.penalty in SPECTRUM_PENALTIES
    upside_down = fit_spectrum(split_of(codes, labels, check, ~check_labels))
    chosen, other = (
        metrics.roc_auc(check_labels, each.probabilities(check)) for each in (model, upside_down)
    )
    assert chosen >= other


def test_a_huge_logit_is_a_probability_without_a_warning() -> None:
    ones = np.ones(2, dtype=np.float32)
    model = Baseline(k=1, mean=ones, scale=ones, weights=ones * 1e4, bias=0.0, penalty=1.0)
    assert model.probabilities(encode(["A", "N"])).tolist() == [0.0, 0.0]


def test_a_column_that_never_varies_does_no_harm() -> None:
    codes = encode(["A" * 20, "C" * 20] * 10)
    labels = np.array([True, False] * 10)
    model = fit(split_of(codes, labels), k=3)
    found = model.probabilities(codes)
    assert metrics.roc_auc(labels, found) == 1
    assert np.isfinite(model.weights).all()


def test_the_penalty_is_chosen_on_the_validation_part() -> None:
    codes, labels = planted(200, seed=1)
    check, check_labels = planted(100, seed=2)
    model = fit(split_of(codes, labels, check, check_labels), k=3)
    assert model.penalty in PENALTIES
    upside_down = fit(split_of(codes, labels, check, ~check_labels), k=3)
    chosen = metrics.roc_auc(check_labels, model.probabilities(check))
    other = metrics.roc_auc(check_labels, upside_down.probabilities(check))
    assert chosen >= other


def test_arguments_are_left_as_they_were() -> None:
    codes, labels = planted(50, seed=1)
    before = codes.copy()
    fit(split_of(codes, labels), k=2)
    assert (codes == before).all()


def test_the_same_data_give_the_same_bytes_on_any_number_of_threads() -> None:
    # At this size, sums by three threads of BLAS differ from those by one in their last bits.
    codes = random_codes(3001, 60)
    labels = np.random.default_rng(0).random(3001) < codes[:, 0] / 3
    found = []
    for threads in (1, 3):
        with threadpool_limits(threads, user_api="blas"):
            model = fit(split_of(codes, labels, codes[:500], labels[:500]), k=5)
            found.append(model.weights.tobytes() + model.probabilities(codes).tobytes())
            for pool in threadpool_info():
                assert pool["user_api"] != "blas" or pool["num_threads"] == threads
    assert found[0] == found[1]
