"""k-mers and k-lets: numbers, strands, names and counts, against plain Python."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enhancer_core.dna.codes import ALPHABET, Codes, decode, encode, reverse_complement
from enhancer_core.dna.kmers import (
    LONGEST,
    k_let_counts,
    k_mer_frequencies,
    k_mer_names,
    k_mer_numbers,
    reverse_complement_numbers,
    spell_k_mers,
)
from enhancer_core.errors import SequenceError

COMPLEMENT = str.maketrans("ACGTN", "TGCAN")

dna = st.text(ALPHABET, min_size=1, max_size=30)
sequences = st.integers(1, 24).flatmap(
    lambda length: st.lists(st.text("ACGTN", min_size=length, max_size=length), min_size=1)
)


def plain_frequencies(sequence: str, k: int) -> dict[str, float]:
    """Count both strands in plain Python; a k-mer goes by the smaller of its two spellings."""
    counts: Counter[str] = Counter()
    for strand in (sequence, sequence.translate(COMPLEMENT)[::-1]):
        for start in range(len(strand) - k + 1):
            word = strand[start : start + k]
            if "N" not in word:
                counts[min(word, word.translate(COMPLEMENT)[::-1])] += 1
    return {word: count / counts.total() for word, count in counts.items()}


def random_codes(n: int, length: int, *, seed: int = 0) -> Codes:
    return np.random.default_rng(seed).integers(0, 4, (n, length)).astype(np.uint8)


# Numbers


@given(st.lists(st.text("ACGTN", min_size=40, max_size=40), min_size=1), st.integers(1, 31))
def test_numbers_spell_the_k_mers_of_both_strands(rows: list[str], k: int) -> None:
    codes = encode(rows)
    numbers, known = k_mer_numbers(codes, k)
    assert numbers.shape == known.shape == (len(rows), 41 - k)
    words = [row[i : i + k] for row in rows for i in range(41 - k)]
    assert known.ravel().tolist() == ["N" not in word for word in words]
    spelled = decode(spell_k_mers(numbers.ravel(), k))
    assert spelled == [word.replace("N", "A") for word in words]
    others = reverse_complement_numbers(numbers, k)
    assert others.dtype == numbers.dtype
    flipped = decode(spell_k_mers(others.ravel(), k))
    assert flipped == [word.translate(COMPLEMENT)[::-1] for word in spelled]


def test_numbers_are_in_alphabetical_order() -> None:
    assert decode(spell_k_mers(np.arange(5), 2)) == ["AA", "AC", "AG", "AT", "CA"]


# Counting


def test_columns_are_the_smaller_spellings_in_order() -> None:
    assert k_mer_names(1) == ["A", "C"]
    assert k_mer_names(2) == ["AA", "AC", "AG", "AT", "CA", "CC", "CG", "GA", "GC", "TA"]


@pytest.mark.parametrize("k", range(1, LONGEST + 1))
def test_a_k_mer_and_its_reverse_complement_have_one_column(k: int) -> None:
    names = k_mer_names(k)
    # of 4**k words, 4**(k / 2) are their own reverse complement if k is even, and none if it is odd
    assert len(names) == (4**k + (4 ** (k // 2) if k % 2 == 0 else 0)) // 2
    assert names == sorted(set(names))
    assert all(name <= name.translate(COMPLEMENT)[::-1] for name in names)
    assert k_mer_frequencies(random_codes(2, 20), k).shape == (2, len(names))


def test_frequencies_by_hand() -> None:
    found = k_mer_frequencies(encode(["AACGN", "TTTTT", "NNNNA"]), 2)
    assert found.dtype == np.float32
    names = k_mer_names(2)
    # AA (also TT), AC and CG; the last word has N
    first = {"AA": 1 / 3, "AC": 1 / 3, "CG": 1 / 3}
    np.testing.assert_allclose(found[0], [first.get(name, 0) for name in names], rtol=1e-6)
    assert found[1].tolist() == [1.0] + [0.0] * 9
    assert found[2].tolist() == [0.0] * 10


def test_frequencies_of_all_places_are_less_where_there_is_n() -> None:
    found = k_mer_frequencies(encode(["AACGN", "TTTTT", "NNNNA"]), 2, of_all=True)
    first = {"AA": 1 / 4, "AC": 1 / 4, "CG": 1 / 4}
    np.testing.assert_allclose(found[0], [first.get(name, 0) for name in k_mer_names(2)])
    assert found[1].tolist() == [1.0] + [0.0] * 9
    assert found[2].tolist() == [0.0] * 10


@given(sequences, st.data())
def test_frequencies_are_those_of_plain_python(rows: list[str], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, min(4, len(rows[0]))))
    names = k_mer_names(k)
    for sequence, found in zip(rows, k_mer_frequencies(encode(rows), k), strict=True):
        expected = plain_frequencies(sequence, k)
        np.testing.assert_allclose(found, [expected.get(name, 0) for name in names], rtol=1e-6)


@given(sequences)
def test_frequencies_are_the_same_on_both_strands(rows: list[str]) -> None:
    codes = encode(rows)
    other = k_mer_frequencies(reverse_complement(codes), 1)
    np.testing.assert_array_equal(k_mer_frequencies(codes, 1), other)


def test_blocks_make_no_difference() -> None:
    codes = random_codes(1300, 12)
    whole = k_mer_frequencies(codes, 3)
    rows = np.concatenate([k_mer_frequencies(row[np.newaxis], 3) for row in codes])
    assert (whole == rows).all()


def test_no_sequences_give_an_empty_table() -> None:
    assert k_mer_frequencies(np.zeros((0, 9), dtype=np.uint8), 2).shape == (0, 10)


@pytest.mark.parametrize(
    ("k", "length", "most"), [(0, 20, 8), (-1, 20, 8), (9, 20, 8), (5, 4, 4), (1, 0, 0)]
)
def test_a_k_that_is_not_allowed_is_told(k: int, length: int, most: int) -> None:
    message = rf"^k of {k} is not allowed for k-mers; allowed are 1 to {most}$"
    with pytest.raises(SequenceError, match=message):
        k_mer_frequencies(np.zeros((2, length), dtype=np.uint8), k)


# k-lets


@given(dna, st.data())
def test_k_lets_are_counted_as_plain_python_counts_them(sequence: str, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(sequence)))
    words = Counter(sequence[i : i + k] for i in range(len(sequence) - k + 1))
    counts = k_let_counts(encode([sequence])[0], k)
    assert counts == words
    assert sum(counts.values()) == len(sequence) - k + 1


def test_k_lets_overlap() -> None:
    assert k_let_counts(encode(["AAAN"])[0], 2) == {"AA": 2, "AN": 1}


@pytest.mark.parametrize("k", [-1, 0, 5])
def test_a_k_outside_the_sequence_is_refused(k: int) -> None:
    message = rf"^k of {k} is not allowed for 4 bp; allowed are 1 to length$"
    with pytest.raises(SequenceError, match=message):
        k_let_counts(encode(["ACGT"])[0], k)
