"""Windows and set operations: hand-computed values, properties against masks, and every error."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enhancer_core.dna.intervals import (
    Intervals,
    centred_windows,
    check_inside,
    check_interval,
    complement,
    concatenate,
    from_names,
    from_rows,
    merge,
    require_bedtools,
    slop,
    tiled_windows,
)
from enhancer_core.errors import EnhancerError, IntervalError

LENGTHS = {"chrB": 30, "chrA": 20}  # not in alphabetical order: genome order must win

rows = st.lists(
    st.tuples(st.sampled_from(sorted(LENGTHS)), st.integers(0, 19), st.integers(1, 20)).map(
        lambda row: (row[0], row[1], min(row[1] + row[2], LENGTHS[row[0]]))
    ),
    max_size=6,
)


def read_from(source: str, lines: list[int], *spans: tuple[str, int, int]) -> Intervals:
    plain = from_rows(spans)
    return Intervals(plain.chroms, plain.starts, plain.ends, source, np.array(lines))


def covered(intervals: Intervals) -> dict[str, list[bool]]:
    masks = {chrom: [False] * length for chrom, length in LENGTHS.items()}
    for chrom, start, end in zip(intervals.chroms, intervals.starts, intervals.ends, strict=True):
        masks[chrom][start:end] = [True] * (end - start)
    return masks


def test_rows_become_arrays_and_names() -> None:
    intervals = from_rows([("chr1", 0, 1), ("chr22", 10, 20)])
    assert intervals.chroms.tolist() == ["chr1", "chr22"]
    assert intervals.starts.tolist() == [0, 10]
    assert intervals.ends.tolist() == [1, 20]
    assert intervals.starts.dtype == intervals.ends.dtype == np.int64
    assert intervals.names() == ["chr1:0-1", "chr22:10-20"]
    assert len(intervals) == 2


def test_no_rows_make_no_intervals() -> None:
    assert from_rows([]).names() == []


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (-1, 5, r"^interval chr1:-1-5: start -1 is negative; positions count from 0$"),
        (5, 5, r"^interval chr1:5-5: end 5 is not after start 5$"),
        (6, 5, r"^interval chr1:6-5: end 5 is not after start 6$"),
    ],
)
def test_rows_that_are_no_intervals_are_refused(start: int, end: int, message: str) -> None:
    with pytest.raises(IntervalError, match=message):
        from_rows([("chr1", start, end)])


@pytest.mark.parametrize("name", ["peak_1", "chr1:20-10", "chr1:5-5", "chr1:-5-5"])
def test_names_of_which_one_is_no_interval_are_none(name: str) -> None:
    assert from_names(["chr1:10-20", name]) is None


def test_an_interval_check_says_where() -> None:
    check_interval("peaks.bed line 3", 0, 1)
    with pytest.raises(
        IntervalError, match=r"^peaks\.bed line 12: end 400 is not after start 500$"
    ):
        check_interval("peaks.bed line 12", 500, 400)


def test_taking_rows_keeps_where_they_came_from() -> None:
    peaks = read_from("peaks.bed", [4, 7], ("chr1", 0, 5), ("chr2", 1, 9))
    taken = peaks.take(np.array([False, True]))
    assert taken.names() == ["chr2:1-9"]
    assert taken.where(0) == "peaks.bed line 7"
    assert from_rows([("chr1", 0, 5)]).take(np.array([0])).where(0) == "intervals"


def test_a_centred_window_stands_around_the_middle() -> None:
    peaks = from_rows([("chr1", 1000, 1201), ("chr1", 0, 10), ("chr1", 10, 11)])
    assert centred_windows(peaks, 5).names() == ["chr1:1098-1103", "chr1:3-8", "chr1:8-13"]
    assert centred_windows(peaks, 500).starts.tolist() == [850, -245, -240]


@given(st.integers(0, 1000), st.integers(1, 1000), st.integers(1, 300))
def test_tiles_touch_and_fill_an_interval_as_far_as_they_fit(
    start: int, span: int, length: int
) -> None:
    tiles = tiled_windows(from_rows([("chr1", start, start + span)]), length)
    assert len(tiles) == max(span // length, 1)
    assert (tiles.ends - tiles.starts == length).all()
    assert (tiles.starts[1:] == tiles.ends[:-1]).all()
    if span >= length:
        left, right = tiles.starts[0] - start, start + span - tiles.ends[-1]
        assert left >= 0
        assert right >= 0
        assert abs(left - right) <= 1


def test_one_bp_of_difference_moves_no_tile_out_of_its_interval() -> None:
    tiles = tiled_windows(from_rows([("chr1", 5, 14), ("chr2", 7, 16)]), 3)
    assert tiles.names() == [
        "chr1:5-8", "chr1:8-11", "chr1:11-14", "chr2:7-10", "chr2:10-13", "chr2:13-16",
    ]  # fmt: skip


def test_concatenation_keeps_order_and_overlaps() -> None:
    parts = [
        from_rows([("chr1", 5, 9)]),
        from_rows([]),
        from_rows([("chr10", 0, 2), ("chr1", 6, 7)]),
    ]
    assert concatenate(parts).names() == ["chr1:5-9", "chr10:0-2", "chr1:6-7"]
    assert concatenate([]).names() == []


def test_slop_stops_at_both_ends_of_a_chromosome_and_keeps_order() -> None:
    genes = from_rows([("chrA", 5, 8), ("chrB", 28, 30), ("chrA", 1, 2)])
    assert slop(genes, LENGTHS, 3).names() == ["chrA:2-11", "chrB:25-30", "chrA:0-5"]
    assert slop(genes, LENGTHS, 0).names() == genes.names()
    assert slop(from_rows([]), LENGTHS, 3).names() == []


def test_complement_follows_genome_order_and_leaves_no_empty_gap() -> None:
    taken = from_rows([("chrA", 10, 20), ("chrB", 5, 7), ("chrB", 7, 9), ("chrB", 6, 8)])
    assert complement(taken, LENGTHS).names() == ["chrB:0-5", "chrB:9-30", "chrA:0-10"]
    assert complement(from_rows([]), LENGTHS).names() == ["chrB:0-30", "chrA:0-20"]
    assert complement(from_rows([("chrA", 0, 20), ("chrB", 0, 30)]), LENGTHS).names() == []


@given(rows)
@settings(deadline=None, max_examples=25)  # each example runs the bedtools program
def test_merging_is_the_complement_of_the_complement(spans: list[tuple[str, int, int]]) -> None:
    taken = from_rows(spans)
    twice = complement(complement(taken, LENGTHS), LENGTHS)
    assert merge(taken, list(LENGTHS)).names() == twice.names()


@given(rows)
@settings(deadline=None, max_examples=25)  # each example runs the bedtools program
def test_each_position_is_either_covered_or_in_the_complement(
    spans: list[tuple[str, int, int]],
) -> None:
    taken = from_rows(spans)
    gaps = complement(taken, LENGTHS)
    inside, outside = covered(taken), covered(gaps)
    for chrom in LENGTHS:
        assert [not taken for taken in inside[chrom]] == outside[chrom]


@pytest.mark.parametrize(
    "operate", [lambda i: slop(i, LENGTHS, 1), lambda i: complement(i, LENGTHS)]
)
def test_set_operations_refuse_intervals_outside_the_genome(
    operate: Callable[[Intervals], Intervals],
) -> None:
    beyond = read_from("genes.bed", [2, 3], ("chrA", 0, 20), ("chrA", 0, 21))
    with pytest.raises(
        IntervalError, match=r"^genes\.bed line 3: end 21 is beyond the end of chrA, 20$"
    ):
        operate(beyond)
    unknown = read_from("genes.bed", [9], ("chrZ", 0, 1))
    with pytest.raises(
        IntervalError, match=r"^genes\.bed line 9: chromosome 'chrZ' is not among the genome's 2$"
    ):
        operate(unknown)


def test_intervals_that_end_with_their_chromosome_are_inside() -> None:
    check_inside(from_rows([("chrA", 0, 20), ("chrB", 29, 30)]), LENGTHS)


def test_a_missing_bedtools_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_bedtools()
    monkeypatch.setenv("PATH", str(tmp_path))
    message = (
        r"^the program 'bedtools' is not on the PATH; install it with 'apt-get install bedtools'"
    )
    with pytest.raises(EnhancerError, match=message):
        require_bedtools()
    with pytest.raises(EnhancerError, match=message):
        complement(from_rows([]), LENGTHS)


def test_set_operations_leave_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    complement(slop(from_rows([("chrA", 5, 6)]), LENGTHS, 2), LENGTHS)
    assert list(tmp_path.iterdir()) == []
