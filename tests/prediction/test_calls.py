"""Calls: which bins join, how they rank, and the precision that is stated for them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import enhancer_core as ec
from enhancer_core.dna.intervals import Intervals, from_rows
from enhancer_core.errors import EnhancerError, ModelFileError
from enhancer_core.models.model import Model
from enhancer_core.prediction.accuracy import genome_peaks
from enhancer_core.prediction.calls import (
    PrecisionTable,
    chooser,
    find_calls,
    in_peaks,
    measure_precision,
    overlapping,
    top_calls,
)
from enhancer_core.prediction.tracks import Bins
from tests import planted

NAN = float("nan")


def bins_of(
    *heights: list[float], step: int = 10, length: int = 40, start: int = 0, ends: int = 0
) -> Bins:
    """Bins of regions on chr1, chr2, ...; `ends` shortens the last bin of each."""
    regions = from_rows(
        (f"chr{number}", start, start + step * len(each) - ends)
        for number, each in enumerate(heights, 1)
    )
    log_odds = np.concatenate([np.array(each, np.float32) for each in heights])
    return Bins(regions=regions, step=step, length=length, both_strands=False, log_odds=log_odds)


def names(bins: Bins, threshold: float) -> list[str]:
    return find_calls(bins, threshold).intervals.names()


# Runs of bins


def test_bins_at_the_threshold_are_called_and_those_below_are_not() -> None:
    assert names(bins_of([0.9, 1.0, 1.1, 0.9]), 1.0) == ["chr1:10-30"]


def test_bins_are_one_call_where_less_than_half_a_window_lies_between_them() -> None:
    # half of 40 bp: a gap of one bin joins, one of two bins does not
    assert names(bins_of([1, 0, 1, 0, 0, 1]), 1.0) == ["chr1:0-30", "chr1:50-60"]
    assert names(bins_of([1, 0, 0, 1], length=42), 1.0) == ["chr1:0-40"]


def test_neighbours_are_one_call_however_long_a_bin_is() -> None:
    assert names(bins_of([1, 1, 0, 1], step=100), 1.0) == ["chr1:0-200", "chr1:300-400"]


def test_no_call_reaches_over_the_end_of_a_region_or_chromosome() -> None:
    two = from_rows([("chr1", 0, 20), ("chr1", 25, 45), ("chr2", 0, 20)])
    ones = np.ones(6, np.float32)
    bins = Bins(regions=two, step=10, length=400, both_strands=False, log_odds=ones)
    assert names(bins, 1.0) == two.names()


def test_a_bin_without_a_value_is_in_no_call_and_may_lie_within_one() -> None:
    assert names(bins_of([NAN, 1, NAN, 1, NAN]), -math.inf) == ["chr1:10-40"]


def test_the_last_bin_of_a_region_may_be_shorter() -> None:
    calls = find_calls(bins_of([0, 1, 2], start=7, ends=3), 1.0)
    assert calls.intervals.names() == ["chr1:17-34"]
    assert calls.intervals.summits.tolist() == [30]  # the middle of 27-34


def test_the_summit_is_the_highest_bin_and_of_equals_the_first() -> None:
    calls = find_calls(bins_of([1, 3, 2, 3]), 1.0)
    assert calls.intervals.summits.tolist() == [15]
    assert calls.log_odds.tolist() == [3]


def test_calls_stand_by_position_and_rank_by_summit() -> None:
    calls = find_calls(bins_of([2, 0, 0, 5, 0, 0, 2], [7]), 1.0)
    assert calls.ranks.tolist() == [3, 2, 4, 1]
    rows = list(calls.rows())
    assert rows[3][:6] == ("chr2", 0, 10, "call_1", 999, ".")
    assert rows[3][6] == pytest.approx(1 / (1 + math.exp(-7)))
    assert math.isnan(rows[3][7])
    assert rows[3][8] == 5


def test_no_bin_at_the_threshold_gives_no_calls() -> None:
    calls = find_calls(bins_of([0, 1]), 2.0)
    assert (len(calls), list(calls.rows())) == (0, [])


heights = st.lists(st.one_of(st.integers(0, 5).map(float), st.just(NAN)), min_size=1, max_size=60)


@given(heights, heights, st.integers(0, 5), st.integers(1, 120))
def test_calls_are_what_joining_bins_one_by_one_gives(
    first: list[float], second: list[float], threshold: int, length: int
) -> None:
    expected: list[tuple[str, int, int, float]] = []
    for number, values in enumerate((first, second), 1):
        for place, value in enumerate(values):
            start, chrom = 10 * place, f"chr{number}"
            if not value >= threshold:
                continue
            near = expected and expected[-1][0] == chrom and (
                start - expected[-1][2] < max(length // 2, 1)
            )  # fmt: skip
            if near:
                *_, begin, _, best = expected.pop()
                expected.append((chrom, begin, start + 10, max(best, value)))
            else:
                expected.append((chrom, start, start + 10, value))
    calls = find_calls(bins_of(first, second, length=length), threshold)
    found = zip(calls.intervals.rows(), calls.log_odds.tolist(), strict=True)
    assert [(*place, best) for place, best in found] == expected


# The best N


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_the_best_calls_are_as_many_as_are_asked_for(n: int) -> None:
    bins = bins_of([9, 0, 0, 7, 6, 0, 0, 5, 0, 0, 3])
    calls = top_calls(bins, n)
    assert len(calls) == n
    assert sorted(calls.log_odds.tolist(), reverse=True) == [9, 7, 5, 3][:n]


def test_of_equal_calls_those_that_come_first_are_the_best() -> None:
    bins = bins_of([1, 0, 0, 1, 0, 0, 1, 0, 0, 1])
    assert top_calls(bins, 2).intervals.starts.tolist() == [0, 30]


def test_fewer_calls_come_where_bins_join_before_there_are_enough() -> None:
    bins = bins_of([5, 1, 1, 4, 1, 1, 3])
    assert len(top_calls(bins, 3)) == 3
    assert len(top_calls(bins, 4)) == 3
    assert len(top_calls(bins_of([NAN]), 4)) == 0


@given(st.lists(st.integers(0, 9).map(float), min_size=1, max_size=80), st.integers(1, 12))
def test_the_best_calls_are_those_of_one_threshold(values: list[float], n: int) -> None:
    bins = bins_of(values)
    calls = top_calls(bins, n)
    sizes = {len(find_calls(bins, value)) for value in values}
    assert len(calls) <= n
    if len(calls) < n:
        assert len(calls) == max(sizes)


# Peaks


def test_a_bin_is_in_a_peak_if_its_middle_is() -> None:
    bins = bins_of([0, 0, 0], [0, 0, 0])
    peaks = from_rows([("chr1", 15, 25), ("chr2", 6, 15), ("chr9", 0, 30)])
    assert in_peaks(bins, peaks).tolist() == [False, True, False, False, False, False]
    assert in_peaks(bins, from_rows([("chr2", 5, 16)])).tolist()[3:] == [True, True, False]


spans = st.lists(st.tuples(st.integers(0, 90), st.integers(1, 20)), max_size=6)


@given(spans, spans)
def test_overlaps_are_those_of_every_pair(ours: list[Any], others: list[Any]) -> None:
    mine = from_rows(("chr1", start, start + length) for start, length in ours)
    edges = sorted({edge for start, length in others for edge in (start, start + length)})
    theirs = [("chr1", low, high) for low, high in zip(edges[::2], edges[1::2], strict=False)]
    expected = [
        any(start < high and low < end for _, low, high in theirs) for _, start, end in mine.rows()
    ]
    assert overlapping(mine, from_rows(theirs)).tolist() == expected


def test_a_table_has_the_counts_of_the_calls_that_each_threshold_makes(
    rng: np.random.Generator,
) -> None:
    bins = bins_of(rng.normal(size=4000).tolist(), rng.normal(size=3000).tolist(), length=100)
    peaks = from_rows(
        (chrom, start, start + 60) for chrom in ("chr1", "chr2") for start in range(0, 30_000, 700)
    )
    table, found, bp = measure_precision(bins, peaks, in_peaks(bins, peaks))
    assert 100 < len(table.thresholds) <= 200
    assert table.calls[-1] == 1
    share = np.mean(bins.log_odds >= table.thresholds[0])
    assert share == pytest.approx(2 * in_peaks(bins, peaks).mean(), abs=0.001)
    for place in range(0, len(table.thresholds), 20):
        calls = find_calls(bins, table.thresholds[place]).intervals
        assert table.calls[place] == len(calls)
        assert table.right[place] == overlapping(calls, peaks).sum()
        assert found[place] == overlapping(peaks, calls).sum()
        assert bp[place] == (calls.ends - calls.starts).sum()


# Precision


def table_of(*rows: tuple[float, int, int], step: int = 10) -> PrecisionTable:
    thresholds, calls, right = zip(*rows, strict=True)
    return PrecisionTable(
        thresholds=np.array(thresholds, float), calls=np.array(calls), right=np.array(right),
        step=step, both_strands=False,
    )  # fmt: skip


# 3 of 10 at 2, where there are fewer right than at 1: pooled, 35 of 110; 5 calls are too few.
TABLE = table_of((0, 200, 20), (1, 100, 32), (2, 10, 3), (3, 10, 9), (4, 5, 0))


def expected(table: PrecisionTable, *log_odds: float) -> NDArray[np.float64]:
    return table.expected(np.array(log_odds, np.float32))


def test_expected_precision_is_monotone_and_that_of_the_next_lower_threshold() -> None:
    found = expected(TABLE, -0.5, 0.0, 0.9, 1.0, 2.5, 3.0, 99.0)
    pooled = 35 / 110
    np.testing.assert_allclose(found, [NAN, 0.1, 0.1, pooled, pooled, 0.9, 0.9])


def test_the_lowest_threshold_with_a_precision_is_taken() -> None:
    assert [TABLE.threshold(p) for p in (0.05, 0.1, 0.3, 0.35, 0.9)] == [0, 0, 1, 3, 3]


def test_a_precision_that_was_not_reached_is_refused_with_the_highest() -> None:
    with pytest.raises(
        EnhancerError, match=r"precision of 0\.95 was not .*; the highest is 0\.900"
    ):
        TABLE.threshold(0.95)


def test_a_table_of_few_calls_states_no_precision() -> None:
    few = table_of((1, 9, 9), (2, 3, 3))
    assert np.isnan(expected(few, 3)).all()
    with pytest.raises(EnhancerError, match="with no more than 9 calls; a precision takes 10"):
        few.threshold(0.5)


def test_a_table_comes_back_from_a_models_metadata() -> None:
    metadata = TABLE.to_metadata()
    assert metadata["precision"][1] == {"threshold": 1.0, "calls": 100, "right": 32}
    back = PrecisionTable.from_metadata(metadata)
    assert back is not None
    assert back.to_metadata() == metadata
    assert PrecisionTable.from_metadata({"seed": 0}) is None


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([{"threshold": 1}], "'calls'"),
        ("many", "indices"),
        ([{"threshold": "x", "calls": 1, "right": 1}], "could not convert"),
        ([{"threshold": 1, "calls": 1, "right": 2}], "no more calls be right than there are"),
        ([{"threshold": t, "calls": 1, "right": 1} for t in (2, 1)], "they must ascend"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused(rows: object, reason: str) -> None:
    metadata = {**TABLE.to_metadata(), "precision": rows}
    with pytest.raises(ModelFileError, match=f"the model's thresholds cannot be read.*{reason}"):
        PrecisionTable.from_metadata(metadata)


# Choosing


def model_with(metadata: dict[str, Any]) -> Model:
    return Model((), metadata)


def choose(bins: Bins, metadata: dict[str, Any], **choice: Any) -> ec.Calls:  # noqa: ANN401
    given = {
        "precision": None, "top": None, "threshold": None, "prevalence": None,
        "step": bins.step, "both_strands": False, **choice,
    }  # fmt: skip
    return chooser(model_with(metadata), **given)(bins)


BINS = bins_of([3.5, 0, 0, 2.5, 0, 0, 1, 0, 0, -1])


def test_calls_with_a_precision_are_those_from_its_threshold_up() -> None:
    calls = choose(BINS, TABLE.to_metadata(), precision=0.3)
    assert calls.intervals.starts.tolist() == [0, 30, 60]
    np.testing.assert_allclose(calls.precision, [0.9, 35 / 110, 35 / 110])


def test_a_threshold_is_a_probability_and_states_precision_if_the_model_can() -> None:
    calls = choose(BINS, TABLE.to_metadata(), threshold=1 / (1 + math.exp(-2)))
    assert calls.intervals.starts.tolist() == [0, 30]
    np.testing.assert_allclose(calls.precision, [0.9, 35 / 110])
    assert np.isnan(choose(BINS, {}, threshold=0.9).precision).all()


def test_a_prevalence_moves_probabilities_and_what_a_threshold_means_but_no_rank() -> None:
    plain, rare = (
        choose(BINS, {"prevalence": 0.5}, threshold=0.8, prevalence=share) for share in (None, 0.1)
    )
    assert plain.intervals.starts.tolist() == [0, 30]
    # log odds of 3.5 - log 9 = 1.30, a probability of .786
    assert len(rare) == 0
    calls = choose(BINS, {"prevalence": 0.5}, top=2, prevalence=0.1)
    np.testing.assert_allclose(
        calls.probabilities, [1 / (1 + 9 * math.exp(-odds)) for odds in (3.5, 2.5)]
    )
    assert calls.ranks.tolist() == [1, 2]


def test_thresholds_of_another_step_or_strand_are_not_used() -> None:
    with pytest.raises(EnhancerError, match="step of 50 bp on one strand, not of 10 bp on one"):
        choose(BINS, table_of((1, 100, 32), step=50).to_metadata(), precision=0.3)
    with pytest.raises(EnhancerError, match="10 bp on one strand, not of 10 bp on both strands"):
        choose(BINS, TABLE.to_metadata(), precision=0.3, both_strands=True)
    notes: list[str] = []
    calls = choose(BINS, TABLE.to_metadata(), top=1, both_strands=True, note=notes.append)
    assert np.isnan(calls.precision).all()
    assert notes[0].endswith("of 10 bp on both strands: no precision is stated")


def test_a_model_without_thresholds_says_how_to_get_them() -> None:
    with pytest.raises(ModelFileError, match=r"no thresholds .* evaluate MODEL --genome G --peaks"):
        choose(BINS, {}, precision=0.5)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({}, "of precision, top and threshold one is needed, and no more"),
        ({"top": 1, "threshold": 0.5}, "one is needed, and no more"),
        ({"precision": 1.5}, r"precision is 1\.5; allowed is above 0, up to 1"),
        ({"threshold": 0.0}, "threshold is 0; allowed is above 0, up to 1"),
        ({"top": 0}, "top is 0; allowed is 1 or more"),
        ({"top": 1, "prevalence": 1.0}, "prevalence is 1; allowed is above 0 and below 1"),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused(choice: dict[str, Any], message: str) -> None:
    with pytest.raises(EnhancerError, match=message):
        choose(BINS, {}, **choice)


# A genome with planted sites


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted")
    planted.write_genome(folder, chromosomes=3, bp=400_000, every=2000, sites=2)
    return folder


def test_precision_measured_on_one_chromosome_holds_on_another(genome: Path) -> None:
    chromosomes = [from_rows([(f"chr{number}", 0, 400_000)]) for number in (1, 2, 3)]
    fasta, bed = genome / "genome.fa", genome / "peaks.bed"
    model = planted.train_network(genome, chromosome="chr1")
    measured = ec.evaluate_genome(model, fasta, bed, chromosomes[1], step=10)
    assert measured.base_rate == pytest.approx(0.1, abs=0.001)
    model = measured.with_thresholds(model)
    for share in (0.6, 0.8):
        calls = ec.call(model, fasta, chromosomes[2], precision=share, step=10)
        with ec.open_genome(fasta) as opened:
            peaks = genome_peaks(opened, bed, chromosomes[2])
        right = overlapping(calls.intervals, peaks)
        assert len(right) >= 30
        at = np.flatnonzero(measured.table.expected(measured.table.thresholds) >= share)[0]
        n = measured.table.calls[at]
        # Four standard errors of the difference of two shares.
        bound = 4 * math.sqrt(share * (1 - share) * (1 / n + 1 / len(right)))
        assert abs(right.mean() - share) < bound
        assert (calls.precision >= share).all()
        assert (np.diff(calls.precision[np.argsort(calls.ranks)]) <= 0).all()


def test_calls_along_a_genome_have_the_probabilities_of_its_track(genome: Path) -> None:
    model = ec.Model(planted.train_network(genome, chromosome="chr1").members)
    fasta, region = genome / "genome.fa", from_rows([("chr3", 5_000, 45_000)])
    for both_strands in (False, True):
        calls = ec.call(model, fasta, region, top=20, step=10, both_strands=both_strands)
        track: dict[int, float] = {}
        for _, starts, ends, values in ec.predict_track(
            model, fasta, region, step=10, both_strands=both_strands
        ):
            track |= dict(zip(((starts + ends) // 2).tolist(), values.tolist(), strict=True))
        assert len(calls) == 20
        for summit, value in zip(
            calls.intervals.summits.tolist(), calls.probabilities.tolist(), strict=True
        ):
            assert value == pytest.approx(track[summit], abs=1e-6)
        best = calls.probabilities.max()
        assert best == pytest.approx(max(track.values()), abs=1e-6)


def test_calls_are_a_data_frame_in_one_line() -> None:
    import pandas as pd  # as a user has it

    frame = pd.DataFrame(find_calls(BINS, 1.0).rows(), columns=list(ec.prediction.CALL_COLUMNS))
    assert frame.start.tolist() == [0, 30, 60]
    assert frame.name.tolist() == ["call_1", "call_2", "call_3"]


def test_intervals_know_nothing_of_other_chromosomes() -> None:
    nothing: Intervals = from_rows([])
    assert overlapping(from_rows([("chr1", 0, 5)]), nothing).tolist() == [False]
