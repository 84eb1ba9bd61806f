from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enhancer_core.data.homology import join_groupings, link_homologs
from enhancer_core.dna.codes import N_CODE, Codes, reverse_complement
from enhancer_core.errors import SequenceError


def drawn(n: int, length: int = 120, seed: int = 0) -> Codes:
    return np.random.default_rng(seed).integers(0, 4, (n, length), dtype=np.uint8)


@given(start=st.integers(0, 96), at=st.integers(0, 96), flip=st.booleans(), seed=st.integers(0, 99))
def test_one_word_in_common_on_either_strand_links_two_records_where_one_is_enough(
    start: int, at: int, *, flip: bool, seed: int
) -> None:
    codes = drawn(3, seed=seed)
    word = codes[0, start : start + 24]
    codes[2, at : at + 24] = reverse_complement(word) if flip else word
    families = link_homologs(codes, least=1)
    assert families[0] == families[2] != families[1]


def test_a_word_of_23_letters_links_nothing() -> None:
    codes = drawn(2)
    codes[1, 10:33] = codes[0, 10:33]
    codes[1, 9], codes[1, 33] = 3 - codes[0, 9], 3 - codes[0, 33]
    assert len(set(link_homologs(codes, least=1).tolist())) == 2


@pytest.mark.parametrize(("stretch", "families"), [(43, 1), (42, 2)])
def test_a_stretch_of_43_letters_makes_relatives(stretch: int, families: int) -> None:
    codes = drawn(2)
    codes[1, 10 : 10 + stretch] = codes[0, 10 : 10 + stretch]
    codes[1, [9, 10 + stretch]] = 3 - codes[0, [9, 10 + stretch]]
    assert len(set(link_homologs(codes).tolist())) == families


def test_what_many_records_hold_is_a_repeat() -> None:
    codes = drawn(4)
    codes[:, 50:80] = codes[0, 50:80]
    codes[:, 49] = codes[:, 80] = np.arange(4)  # no longer word in common
    assert len(set(link_homologs(codes, least=1, most=3).tolist())) == 4
    assert len(set(link_homologs(codes, least=1, most=4).tolist())) == 1


def test_a_word_with_n_links_nothing() -> None:
    codes = drawn(2)
    codes[1, 10:34] = codes[0, 10:34]
    codes[:, 20] = N_CODE
    codes[:, [9, 34]] = [[0, 0], [1, 1]]
    assert len(set(link_homologs(codes, least=1).tolist())) == 2


def test_a_record_that_repeats_its_own_word_is_linked_to_no_other() -> None:
    codes = drawn(3)
    codes[0, 60:90] = codes[0, 10:40]
    assert len(set(link_homologs(codes, least=1).tolist())) == 3


def test_joined_sets_hold_together_what_either_holds() -> None:
    assert join_groupings(np.array([0, 1, 2, 2]), np.array([3, 3, 0, 1])).tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("word", [0, 32, 121])
def test_a_word_that_does_not_fit_is_told(word: int) -> None:
    with pytest.raises(SequenceError, match=f"words of {word} letters are not allowed"):
        link_homologs(drawn(2), word=word)
