from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enhancer_core.data.augmentation import augment, draw_letters, draw_moves
from enhancer_core.dna.codes import N_CODE, Codes, decode, encode, reverse_complement


def random_codes(n: int, length: int, seed: int = 0) -> Codes:
    return np.random.default_rng(seed).integers(0, 5, (n, length), dtype=np.uint8)


def augmented(
    codes: Codes, *, shift: int, flip: bool, mutate: float = 0.0, rng: np.random.Generator
) -> Codes:
    moves = draw_moves(len(codes), shift=shift, flip=flip, rng=rng)
    return augment(codes, *moves, draw_letters(*codes.shape, mutate=mutate, rng=rng))


def moved(row: Codes, by: int) -> Codes:
    """Move a sequence to the right, base by base."""
    found = np.full_like(row, N_CODE)
    for position, code in enumerate(row):
        if 0 <= position + by < len(row):
            found[position + by] = code
    return found


@given(st.integers(0, 5), st.integers(1, 12), st.integers(0, 9), st.integers(0, 2**32 - 1))
def test_a_sequence_is_moved_by_at_most_the_shift_with_n_at_the_end_that_opens(
    n: int, length: int, shift: int, seed: int
) -> None:
    codes = random_codes(n, length, seed)
    found = augmented(codes, shift=shift, flip=False, rng=np.random.default_rng(seed))
    assert found.dtype == np.uint8
    assert found.shape == codes.shape
    for row, before in zip(found, codes, strict=True):
        allowed = [moved(before, by) for by in range(-shift, shift + 1)]
        assert any(np.array_equal(row, each) for each in allowed)


def test_all_moves_are_equally_likely() -> None:
    codes = np.tile(encode(["ACGTACGTA"])[0], (7000, 1))
    found = augmented(codes, shift=3, flip=False, rng=np.random.default_rng(0))
    counts = [(found == moved(codes[0], by)).all(axis=1).sum() for by in range(-3, 4)]
    assert sum(counts) == 7000
    # 7,000 draws with probability 1/7: 5 standard errors of a count
    assert counts == pytest.approx([1000] * 7, abs=5 * (7000 / 7 * 6 / 7) ** 0.5)


def test_each_strand_is_read_half_the_time() -> None:
    codes = random_codes(4000, 20)
    found = augmented(codes, shift=0, flip=True, rng=np.random.default_rng(0))
    same = (found == codes).all(axis=1)
    other = (found == reverse_complement(codes)).all(axis=1)
    assert (same | other).all()
    # 4,000 draws with probability 1/2: 5 standard errors of the share
    assert other.mean() == pytest.approx(0.5, abs=5 * 0.5 / 4000**0.5)


def test_a_sequence_can_be_moved_and_read_on_the_other_strand_at_once() -> None:
    codes = np.tile(encode(["AACCG"])[0], (200, 1))
    found = augmented(codes, shift=1, flip=True, rng=np.random.default_rng(0))
    assert set(decode(found)) == {"NAACC", "AACCG", "ACCGN", "GGTTN", "CGGTT", "NCGGT"}


def test_what_is_off_changes_nothing_and_draws_nothing() -> None:
    codes, rng = random_codes(3, 10), np.random.default_rng(0)
    before = codes.copy()
    assert augmented(codes, shift=0, flip=False, rng=rng) is codes
    assert rng.bit_generator.state == np.random.default_rng(0).bit_generator.state
    augmented(codes, shift=4, flip=True, rng=rng)
    assert np.array_equal(codes, before)


def test_a_share_of_letters_becomes_a_base_drawn_at_random() -> None:
    codes = np.full((100, 400), N_CODE, np.uint8)
    found = augmented(codes, shift=0, flip=False, mutate=0.2, rng=np.random.default_rng(0))
    counts = np.bincount(found.ravel(), minlength=5)
    # 40,000 draws: 5 standard errors of a count
    assert counts[:4] == pytest.approx([2000] * 4, abs=5 * (40_000 * 0.05 * 0.95) ** 0.5)
    assert counts[4] == pytest.approx(32_000, abs=5 * (40_000 * 0.8 * 0.2) ** 0.5)
    assert (codes == N_CODE).all()
