"""Training windows of a genome, drawn anew for each epoch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enhancer_core.data.dataset import TRAIN, VALIDATION
from enhancer_core.data.sampler import GenomeSampler
from enhancer_core.dna.codes import N_CODE, decode
from enhancer_core.dna.intervals import from_rows
from enhancer_core.errors import DatasetError

LENGTH = 20
BASES = np.random.default_rng(0).integers(0, 4, 400, dtype=np.uint8)


def sampler(**changes: object) -> GenomeSampler:
    """Two regions of 200 bp; peaks' windows at places 5 and 300, windows off them at 50 to 99."""
    made = GenomeSampler(
        codes=BASES, checksum=b"", regions=from_rows([("chr1", 1000, 1200), ("chr2", 0, 200)]),
        parts=np.array([TRAIN, VALIDATION]), length=LENGTH, positives=np.array([5, 300]),
        bounds=np.array([[0, 180], [200, 380]]), free=np.array([[50, 60], [60, 100]]),
        negatives=6, hard=np.zeros(0, np.int64),
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def places_of(windows: np.ndarray) -> list[int]:
    """Find where windows were cut: no two places of the genome are alike."""
    everywhere = np.lib.stride_tricks.sliding_window_view(BASES, LENGTH)
    return [int(np.flatnonzero((everywhere == row).all(axis=1))[0]) for row in windows]


def test_an_epoch_has_each_positive_once_and_then_the_negatives() -> None:
    drawn = sampler().draw(shift=0, rng=rng())
    assert drawn.shape == (8, LENGTH)
    assert places_of(drawn[:2]) == [5, 300]
    assert all(50 <= place < 100 for place in places_of(drawn[2:]))


def test_positives_move_by_up_to_the_shift_and_keep_the_dna_beside_them() -> None:
    seen = {places_of(sampler().draw(shift=3, rng=rng(seed))[1:2])[0] for seed in range(200)}
    assert seen == set(range(297, 304))


def test_a_positive_does_not_move_out_of_its_region() -> None:
    seen = {places_of(sampler().draw(shift=40, rng=rng(seed))[:1])[0] for seed in range(200)}
    assert (min(seen), max(seen)) == (0, 45)


def test_the_same_generator_draws_the_same_windows_and_another_does_not() -> None:
    one, same, other = (sampler().draw(shift=3, rng=rng(seed)) for seed in (1, 1, 2))
    assert one.tobytes() == same.tobytes() != other.tobytes()


def test_negatives_lie_at_each_place_off_the_peaks_equally_often() -> None:
    n = 50_000
    counts = np.bincount(sampler().draw_negatives(n, rng=rng()), minlength=400)
    assert counts[:50].sum() == counts[100:].sum() == 0
    expected = n / 50
    # Six standard deviations of each count; a fair draw is beyond in one of ten million tests.
    assert np.abs(counts[50:100] - expected).max() < 6 * expected**0.5


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 60)), min_size=1, max_size=5))
def test_negatives_lie_in_the_ranges_that_are_free(ranges: list[tuple[int, int]]) -> None:
    free = np.array([(begin, begin + size) for begin, size in ranges])
    drawn = sampler(free=free).draw_negatives(100, rng=rng())
    assert all(any(begin <= place < end for begin, end in free) for place in drawn)


def test_no_negative_is_mostly_n() -> None:
    codes = BASES.copy()
    codes[60:140] = N_CODE  # the window at place 50 is half N, the next ones more
    drawn = sampler(codes=codes, free=np.array([[40, 120]])).draw_negatives(2_000, rng=rng())
    assert set(drawn.tolist()) == set(range(40, 51))


def test_windows_that_are_all_mostly_n_are_refused_and_so_is_no_window() -> None:
    for changes in ({"codes": np.full(400, N_CODE, np.uint8)}, {"free": np.zeros((0, 2), int)}):
        with pytest.raises(
            DatasetError,
            match=r"^the regions have no window of 20 bp off the peaks that is not mostly N$",
        ):
            sampler(**changes).draw_negatives(1, rng=rng())


def test_hard_negatives_are_in_every_epoch_up_to_half_of_the_negatives() -> None:
    few = sampler(hard=np.array([70, 80]))
    assert {70, 80} <= set(places_of(few.draw(shift=0, rng=rng())[2:]))
    many = sampler(hard=np.arange(110, 130))
    drawn = [places_of(many.draw(shift=0, rng=rng(seed))[2:]) for seed in range(30)]
    assert all(sum(place >= 110 for place in places) == 3 for places in drawn)
    assert len({tuple(sorted(places[:3])) for places in drawn}) > 20  # others in each epoch


def test_a_place_is_named_by_where_it_lies_in_the_genome() -> None:
    places = np.array([0, 180, 200, 380])
    assert sampler().intervals(places).names() == [
        *("chr1:1000-1020", "chr1:1180-1200", "chr2:0-20", "chr2:180-200")
    ]
    assert decode(sampler().windows(places)[2:3]) == decode(BASES[np.newaxis, 200:220])


def test_the_regions_of_a_part_are_known() -> None:
    assert sampler().regions_of(VALIDATION).names() == ["chr2:0-200"]
