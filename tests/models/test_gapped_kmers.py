"""Gapped k-mers: the kernel against counting them, and what the model learns."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from enhancer_core import metrics
from enhancer_core.dna.codes import Codes, decode, encode, reverse_complement
from enhancer_core.dna.kmers import k_mer_columns, spell_k_mers
from enhancer_core.errors import SequenceError
from enhancer_core.models import gapped_kmers
from enhancer_core.models.gapped_kmers import (
    PENALTIES,
    WIDTH,
    GappedBaseline,
    K,
    fit,
    kernel_roots,
    transform,
    word_counts,
)
from tests.conftest import Ran
from tests.small_data import split_of

Run = Callable[..., Ran]

sequences = st.integers(WIDTH, 24).flatmap(
    lambda length: st.lists(st.text("ACGTN", min_size=length, max_size=length), min_size=1)
)


def gapped_k_mers(word: str, k: int) -> Counter[str]:
    """List a word's gapped k-mers: k of its letters where they stand, dots elsewhere."""
    return Counter(
        "".join(letter if i in places else "." for i, letter in enumerate(word))
        for places in combinations(range(len(word)), k)
    )


def smooth(values: NDArray[np.float32], roots: NDArray[np.float32]) -> NDArray[np.float32]:
    return transform(roots * transform(values))


def both(word: str) -> tuple[str, str]:
    """Return a word and its reverse complement."""
    return word, word.translate(str.maketrans("ACGT", "TGCA"))[::-1]


def number(word: str) -> int:
    return int("".join(str("ACGT".index(letter)) for letter in word), 4)


def kernel(values: NDArray[np.float32], roots: NDArray[np.float32]) -> NDArray[np.float32]:
    return smooth(smooth(values, roots), roots)


def random_codes(n: int, length: int, *, seed: int) -> Codes:
    return np.random.default_rng(seed).integers(0, 4, (n, length)).astype(np.uint8)


def planted(n: int, *, seed: int) -> tuple[Codes, NDArray[np.bool_]]:
    """Make sequences of which the positives have TGACNNNGTCA, with any letters between."""
    rng = np.random.default_rng(seed)
    codes = random_codes(n, 60, seed=seed)
    labels = np.arange(n) % 2 == 0
    for row in np.flatnonzero(labels):
        place = rng.integers(0, 50)
        codes[row, place : place + 3] = encode(["TGA"])[0]
        codes[row, place + 7 : place + 10] = encode(["GCA"])[0]
        if rng.random() < 0.5:
            codes[row] = reverse_complement(codes[row])
    return codes, labels


# The kernel


@pytest.mark.parametrize(("width", "k"), [(2, 1), (2, 2), (4, 1), (4, 2), (4, 3), (4, 4), (6, 4)])
def test_the_kernel_counts_the_gapped_k_mers_that_words_share(width: int, k: int) -> None:
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("ACGT"), width)) for _ in range(6)]
    roots = kernel_roots(width, k)
    for word in words:
        row = kernel((np.arange(4**width) == number(word)).astype(np.float32), roots)
        own = gapped_k_mers(word, k)
        for other in words:
            shared = (own & gapped_k_mers(other, k)).total() / own.total()
            at = int("".join(str("ACGT".index(letter)) for letter in other), 4)
            assert row[at] == pytest.approx(shared, abs=1e-5)


def test_the_root_of_the_kernel_is_symmetric() -> None:
    rng, roots = np.random.default_rng(0), kernel_roots(4, 2)
    x, y = rng.normal(size=(2, 256)).astype(np.float32)
    assert x @ smooth(y, roots) == pytest.approx(y @ smooth(x, roots), rel=1e-4)


def test_with_all_letters_looked_at_the_kernel_changes_nothing() -> None:
    values = np.random.default_rng(0).normal(size=4**4).astype(np.float32)
    np.testing.assert_allclose(smooth(values, kernel_roots(4, 4)), values, atol=1e-5)


# Counting


@given(sequences)
def test_words_are_counted_as_in_plain_python(rows: list[str]) -> None:
    counts = word_counts(encode(rows))
    assert counts.shape == (len(rows), 524_800)
    smaller = k_mer_columns(WIDTH)[1]
    for index, sequence in enumerate(rows):
        row = counts[[index]]
        words = [sequence[i : i + WIDTH] for i in range(len(sequence) - WIDTH + 1)]
        known = [word for word in words if "N" not in word]
        expected = Counter(min(number(strand) for strand in both(word)) for word in known)
        found: Counter[int] = Counter()
        for pair, share in zip(row.indices, row.data.tolist(), strict=True):
            found[int(smaller[pair])] += share
        assert found.keys() == expected.keys()
        for word, share in found.items():
            assert share == pytest.approx(expected[word] / len(words) ** 0.5)


def test_short_sequences_are_refused() -> None:
    codes, labels = np.zeros((2, WIDTH - 1), dtype=np.uint8), np.array([True, False])
    message = "^sequences of 9 bp are too short for gapped k-mers; allowed are 10 or more$"
    with pytest.raises(SequenceError, match=message):
        word_counts(codes)
    with pytest.raises(SequenceError, match=message):
        fit(split_of(codes, labels))


# Learning


@pytest.fixture(scope="module")
def model() -> GappedBaseline:
    return fit(split_of(*planted(500, seed=1), *planted(200, seed=2)))


def test_a_motif_with_a_gap_is_found_on_both_strands(model: GappedBaseline) -> None:
    unseen, labels = planted(400, seed=3)
    found = model.probabilities(unseen)
    assert found.dtype == np.float32
    assert metrics.roc_auc(labels, found) > 0.85
    assert model.penalty in PENALTIES
    flipped = model.probabilities(reverse_complement(unseen))
    np.testing.assert_allclose(found, flipped, atol=1e-5)
    # The word that scores best has the motif, whatever is in the gap.
    best = k_mer_columns(WIDTH)[1][np.argsort(model.scores)[-20:]]
    spelled = set(decode(spell_k_mers(best, WIDTH)))
    assert all(word[:3] + word[7:] in {"TGAGCA", "TGCTCA"} for word in spelled), (
        spelled
    )  # the second is the first on the other strand


@pytest.fixture
def two_of_four(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Gapped 2-mers of 4 letters instead, which are few."""
    gapped_kmers._space.cache_clear()
    monkeypatch.setattr(gapped_kmers, "WIDTH", 4)
    monkeypatch.setattr(gapped_kmers, "K", 2)
    yield
    gapped_kmers._space.cache_clear()


@pytest.mark.usefixtures("two_of_four")
def test_the_fit_is_where_the_slope_is_nought(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare with the same regression on gapped k-mers that are counted one by one."""
    monkeypatch.setattr(gapped_kmers, "_TOLERANCE", 1e-12)
    monkeypatch.setattr(gapped_kmers, "PENALTIES", (0.5,))
    codes, labels = random_codes(60, 12, seed=4), np.arange(60) % 3 == 0
    codes[labels, 3:6] = 1
    fitted = fit(split_of(codes, labels))
    rows = []
    for sequence in ["".join("ACGT"[code] for code in row) for row in codes]:
        counts: Counter[str] = Counter()
        for strand in both(sequence):
            for start in range(9):
                counts += gapped_k_mers(strand[start : start + 4], 2)
        rows.append({name: count / (9 * 6) ** 0.5 for name, count in counts.items()})
    names = sorted({name for row in rows for name in row})
    table = np.array([[row.get(name, 0) for name in names] for row in rows])
    # A weight is what its slope of the loss makes of it: w = C X^T (labels - probabilities).
    residuals = 0.5 * (labels - fitted.probabilities(codes).astype(float))
    weights = table.T @ residuals
    logits = table @ weights + fitted.bias
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), fitted.probabilities(codes), atol=1e-3)
    assert residuals.sum() == pytest.approx(0, abs=1e-3)


@pytest.mark.usefixtures("two_of_four")
def test_arguments_are_left_as_they_were_and_threads_do_not_matter() -> None:
    codes, labels = planted(60, seed=5)
    before, found = codes.copy(), []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            fitted = fit(split_of(codes, labels))
            found.append(fitted.scores.tobytes() + fitted.probabilities(codes).tobytes())
    assert np.array_equal(codes, before)
    assert found[0] == found[1]


# The command


def test_baseline_judges_gapped_k_mers_on_the_same_split(
    cli: Run, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gapped_kmers, "PENALTIES", (0.3,))
    data = ["--positives", inputs / "positives.fa", "--negatives", inputs / "negatives.fa", "-q"]
    assert cli("baseline", *data, "-o", tmp_path / "whole").status == 0
    args = ["baseline", *data, "--kind", "gkm", "-o"]
    assert cli(*args, tmp_path / "gapped") == Ran(0, "", "")
    split = [(tmp_path / folder / "split.tsv").read_bytes() for folder in ("whole", "gapped")]
    assert split[0] == split[1]
    figures = json.loads((tmp_path / "gapped" / "metrics.json").read_text())
    assert figures["name"] == "gapped 6-mer logistic regression"
    assert figures["test"]["auc"]["value"] > 0.9  # positives have more G and C
    assert (tmp_path / "gapped" / "test_predictions.tsv").exists()

    ran = cli(*args, tmp_path / "refused", "-k", 4)
    assert (ran.status, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert "-k is for --kind kmer" in ran.err
    assert not (tmp_path / "refused").exists()


def test_gapped_k_mers_have_six_letters_of_ten() -> None:
    assert (WIDTH, K) == (10, 6)
    assert sum(gapped_k_mers("ACGTACGTAC", K).values()) == 210
