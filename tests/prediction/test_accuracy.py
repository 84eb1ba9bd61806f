"""Accuracy along a genome: figures by hand, against scikit-learn, and intervals by blocks."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from enhancer_core.dna.intervals import Intervals, from_rows
from enhancer_core.errors import EnhancerError
from enhancer_core.io.genome import open_genome
from enhancer_core.metrics import ScoreError
from enhancer_core.models.model import Model
from enhancer_core.prediction.accuracy import GenomeEvaluation, evaluate_bins, genome_peaks
from enhancer_core.prediction.tracks import Bins

NAN = float("nan")


def bins_of(log_odds: list[float], *, step: int = 10) -> Bins:
    regions = from_rows([("chr1", 0, step * len(log_odds))])
    return Bins(
        regions=regions, step=step, length=20, both_strands=False,
        log_odds=np.array(log_odds, np.float32),
    )  # fmt: skip


def evaluate(bins: Bins, peaks: Intervals, shift: float = 0.0) -> GenomeEvaluation:
    return evaluate_bins(bins, peaks, shift=shift, rng=np.random.default_rng(0))


def noisy(rng: np.random.Generator, n: int = 20_000) -> tuple[Bins, Intervals]:
    """Bins whose log odds are higher in peaks, of 10 bins each, a peak every 200."""
    peaks = from_rows(("chr1", start, start + 100) for start in range(50, 10 * n, 2000))
    inside = np.zeros(n)
    for start in range(5, n, 200):
        inside[start : start + 10] = 1
    return bins_of((rng.normal(size=n) + 2 * inside - 3).tolist()), peaks


def test_figures_of_eight_bins_match_a_hand_computation() -> None:
    # middles 5, 15, ...; the peak holds those at 15 and 25; one bin has no value
    found = evaluate(bins_of([-1, 3, 1, NAN, 2, -2, -3, -1]), from_rows([("chr1", 10, 30)]))
    assert (found.scored, found.base_rate, found.bp) == (7, 2 / 7, 80)
    assert found.average_precision.value == pytest.approx((1 + 2 / 3) / 2)
    assert found.auc.value == pytest.approx(9 / 10)
    assert found.top_precision.value == 1  # of one bin, as a hundredth of seven rounds to none
    assert found.enrichment.value == pytest.approx(3.5)
    assert found.share_above_half == 3 / 7
    record = found.to_dict()
    assert (record["bins"], record["bins_without_value"], record["positives"]) == (7, 1, 2)


def test_auc_and_average_precision_are_scikit_learns(rng: np.random.Generator) -> None:
    bins, peaks = noisy(rng)
    bins.log_odds[:] = bins.log_odds.round(1)  # so that there are ties
    found = evaluate(bins, peaks)
    scores = bins.log_odds
    assert found.auc.value == pytest.approx(roc_auc_score(found.labels, scores), abs=1e-12)
    expected = average_precision_score(found.labels, scores)
    assert found.average_precision.value == pytest.approx(expected, abs=1e-12)
    highest = np.sort(scores)[-200]
    assert found.top_precision.value == found.labels[scores >= highest].mean()


def test_intervals_hold_the_value_and_are_as_wide_as_blocks_differ(
    rng: np.random.Generator,
) -> None:
    bins, peaks = noisy(rng)
    found = evaluate(bins, peaks)
    assert (found.blocks, found.block_bp) == (20, 10_000)
    for figure in (found.auc, found.average_precision, found.top_precision, found.enrichment):
        assert figure.low < figure.value < figure.high
    # Neighbours that are the same count as one: ten times the bins, and the interval is as wide.
    wide = bins_of(np.repeat(bins.log_odds, 10).tolist(), step=1)
    same = evaluate(wide, peaks)
    assert same.auc.value == pytest.approx(found.auc.value, abs=0.005)
    assert same.auc.high - same.auc.low == pytest.approx(found.auc.high - found.auc.low, rel=0.2)


def test_calibration_counts_each_bin_once_in_its_tenth(rng: np.random.Generator) -> None:
    bins, peaks = noisy(rng)
    found = evaluate(bins, peaks)
    probabilities = 1 / (1 + np.exp(-bins.log_odds.astype(float)))
    assert sum(each.bins for each in found.calibration) == found.scored
    for each in found.calibration:
        inside = (probabilities >= each.low) & (probabilities < each.high)
        assert each.bins == inside.sum()
        assert each.probability == pytest.approx(probabilities[inside].mean(), abs=1e-6)
        assert each.share.value == pytest.approx(found.labels[inside].mean(), abs=1e-6)


def test_a_prevalence_moves_calibration_alone(rng: np.random.Generator) -> None:
    bins, peaks = noisy(rng)
    plain, shifted = evaluate(bins, peaks), evaluate(bins, peaks, shift=1.5)
    assert shifted.share_above_half == (bins.log_odds >= -1.5).mean()
    assert shifted.share_above_half > plain.share_above_half
    assert shifted.auc == plain.auc
    assert shifted.table.to_metadata() == plain.table.to_metadata()
    assert shifted.calibration != plain.calibration
    odds = plain.precision_rows()[3].log_odds
    assert plain.precision_rows()[3].threshold == pytest.approx(1 / (1 + math.exp(-odds)))
    assert shifted.precision_rows()[3].threshold == pytest.approx(1 / (1 + math.exp(-odds - 1.5)))


def test_rows_go_from_the_highest_threshold_down_with_precision_and_recall(
    rng: np.random.Generator,
) -> None:
    bins, peaks = noisy(rng)
    found = evaluate(bins, peaks)
    rows = found.precision_rows()
    thresholds = [row.threshold for row in rows]
    assert thresholds == sorted(thresholds, reverse=True)
    assert [row.recall for row in rows] == sorted(row.recall for row in rows)
    for row in rows[:: len(rows) // 10]:
        calls, right = found.calls(row.log_odds)
        assert (row.calls, row.right) == (len(calls), right.sum())
        assert row.precision_low <= row.precision == row.right / row.calls <= row.precision_high
        assert row.recall == row.peaks_found / len(peaks)
    # 10 calls of 10 bp: 1 of 2,000 places in a period of 2 kb is right for 100 + 10 - 1 of them
    assert rows[0].by_chance == pytest.approx(109 / 2000)


def test_scores_that_know_nothing_are_as_good_as_chance(rng: np.random.Generator) -> None:
    _, peaks = noisy(rng)
    found = evaluate(bins_of(rng.normal(size=20_000).tolist()), peaks)
    assert found.auc.low < 0.5 < found.auc.high
    assert found.enrichment.low < 1 < found.enrichment.high
    row = next(row for row in found.precision_rows() if row.calls >= 200)
    assert row.precision_low < row.by_chance < row.precision_high


def test_the_same_seed_gives_the_same_figures(rng: np.random.Generator) -> None:
    bins, peaks = noisy(rng)
    assert evaluate(bins, peaks).to_dict() == evaluate(bins, peaks).to_dict()


def test_a_model_gets_the_thresholds_and_keeps_what_it_had(rng: np.random.Generator) -> None:
    found = evaluate(*noisy(rng))
    model = found.with_thresholds(Model((), {"seed": 3}))
    assert model.metadata["seed"] == 3
    assert model.metadata["precision_measured"] == {"step": 10, "both_strands": False}
    assert len(model.metadata["precision"]) == len(found.table.thresholds)


def test_thresholds_with_too_few_calls_are_not_stored() -> None:
    found = evaluate(bins_of([0, 3, 0, 0, 0, 1]), from_rows([("chr1", 10, 30)]))
    with pytest.raises(EnhancerError, match="no more than 2 calls; a precision takes 10"):
        found.with_thresholds(Model(()))


def test_bins_of_one_class_or_without_values_are_refused() -> None:
    with pytest.raises(ScoreError, match="all 2 labels are positive"):
        evaluate(bins_of([1, 2]), from_rows([("chr1", 0, 20)]))
    with pytest.raises(ScoreError, match="all 2 labels are negative"):
        evaluate(bins_of([1, 2]), from_rows([("chr1", 6, 9)]))
    with pytest.raises(EnhancerError, match="no bin has a value: the regions are mostly N"):
        evaluate(bins_of([NAN, NAN]), from_rows([("chr1", 0, 10)]))


def test_peaks_are_those_that_overlap_the_regions_and_joined(tmp_path: Path) -> None:
    (tmp_path / "genome.fa").write_text(f">chr1\n{'A' * 100}\n>chr2\n{'C' * 100}\n")
    (tmp_path / "peaks.bed").write_text("1\t50\t60\nchr1\t55\t70\nchr2\t0\t5\nchr1\t19\t21\n")
    notes: list[str] = []
    with open_genome(tmp_path / "genome.fa") as genome:
        regions = from_rows([("chr1", 20, 100)])
        peaks = genome_peaks(genome, tmp_path / "peaks.bed", regions, note=notes.append)
        assert peaks.names() == ["chr1:19-21", "chr1:50-70"]
        assert notes[0].endswith(
            "peaks.bed: 2 peaks in the regions, of 4 intervals; those that overlap or touch are one"
        )
        with pytest.raises(
            EnhancerError, match=r"peaks\.bed: none of 4 peaks overlaps the regions"
        ):
            genome_peaks(genome, tmp_path / "peaks.bed", from_rows([("chr2", 50, 60)]))
