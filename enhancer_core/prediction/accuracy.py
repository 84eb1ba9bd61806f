"""Accuracy along a genome: precision and recall where positives are as rare as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from scipy.stats import binomtest

from enhancer_core.dna import intervals
from enhancer_core.dna.intervals import Intervals
from enhancer_core.errors import EnhancerError
from enhancer_core.io.bed import read_bed
from enhancer_core.io.genome import Genome, open_genome
from enhancer_core.metrics import Curve, Estimate, Labels, block_bootstrap, ranking
from enhancer_core.models.cpu.predictor import expit
from enhancer_core.models.model import Model
from enhancer_core.prediction.calls import (
    Calls,
    PrecisionTable,
    find_calls,
    in_peaks,
    measure_precision,
    overlapping,
)
from enhancer_core.prediction.sequences import prior_shift
from enhancer_core.prediction.tracks import Bins, genome_regions, scan

TOP = 0.01  # share of bins that are the highest
_LONGEST_BLOCK, _FEWEST_BLOCKS = 100_000, 20  # bp of a block, in regions that are long enough
_WINDOWS = 4  # the least length of a block, in windows: shorter ones are not independent
_LEVELS = 512  # of recall, at which precision is resampled
_TENTHS = np.linspace(0, 1, 11).round(1)


class ThresholdRow(NamedTuple):
    """Calls at a threshold: a row of precision.tsv. `by_chance` such calls would be right anywhere.

    Intervals are Wilson's (Wilson 1927).
    """

    threshold: float  # probability
    log_odds: float  # without the shift to a prevalence
    calls: int
    right: int
    precision: float
    precision_low: float
    precision_high: float
    expected_precision: float  # of `PrecisionTable`
    by_chance: float
    peaks_found: int
    recall: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Reliability:
    """Bins with a probability from `low` to below `high`: how many, and what share is in peaks."""

    low: float
    high: float
    bins: int
    probability: float  # the mean
    share: Estimate


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class GenomeEvaluation:
    """How well a model finds peaks along regions whose peaks are known.

    A bin is positive if its middle lies in a peak. Intervals of figures are of a bootstrap over
    blocks of the regions.
    """

    bins: Bins
    labels: Labels  # of the bins, also of those without a value
    peaks: Intervals  # that overlap the regions; joined where they overlapped or touched
    shift: float  # of the log odds, in nats, at the prevalence that probabilities are stated for
    base_rate: float
    auc: Estimate
    average_precision: Estimate
    top_precision: Estimate  # of the highest hundredth of bins
    enrichment: Estimate  # that, over the base rate
    share_above_half: float
    curve: Curve  # precision over recall, of bins
    calibration: Sequence[Reliability]
    table: PrecisionTable
    peaks_found: NDArray[np.int64]  # by the calls at each threshold of the table
    called_bp: NDArray[np.int64]  # by these calls
    blocks: int
    block_bp: int
    confidence: float
    resamples: int

    @property
    def scored(self) -> int:
        """Number of bins with a value."""
        return int((~np.isnan(self.bins.log_odds)).sum())

    @property
    def bp(self) -> int:
        """Total length of the regions."""
        return int((self.bins.regions.ends - self.bins.regions.starts).sum())

    def precision_rows(self) -> list[ThresholdRow]:
        """Return the calls at each threshold, the highest first."""
        table, peaks = self.table, self.peaks
        peak_bp = int((peaks.ends - peaks.starts).sum())
        rows = []
        for odds, calls, right, expected, found, bp in zip(
            table.thresholds.tolist(), table.calls.tolist(), table.right.tolist(),
            table.expected(table.thresholds).tolist(), self.peaks_found.tolist(),
            self.called_bp.tolist(), strict=True,
        ):  # fmt: skip
            interval = binomtest(right, calls).proportion_ci(self.confidence, method="wilson")
            rows.append(
                ThresholdRow(
                    threshold=float(expit(np.array([odds + self.shift]))[0]),
                    log_odds=odds,
                    calls=calls,
                    right=right,
                    precision=right / calls,
                    precision_low=float(interval.low),
                    precision_high=float(interval.high),
                    expected_precision=expected,
                    # A call of l bp overlaps one of p bp from l + p - 1 places.
                    by_chance=min(1.0, (peak_bp + len(peaks) * (bp / calls - 1)) / self.bp),
                    peaks_found=found,
                    recall=found / len(peaks),
                )
            )
        return rows[::-1]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as they stand in a metrics.json, each with `value`, `low`, `high`."""
        return {
            "bins": self.scored,
            "bins_without_value": len(self.labels) - self.scored,
            "positives": int((self.labels & ~np.isnan(self.bins.log_odds)).sum()),
            "base_rate": self.base_rate,
            "average_precision": asdict(self.average_precision),
            "auc": asdict(self.auc),
            "share_above_half": self.share_above_half,
            "top_1_percent": {
                "precision": asdict(self.top_precision), "enrichment": asdict(self.enrichment)
            },
            "calibration": [asdict(each) for each in self.calibration],
            "peaks": len(self.peaks),
            "regions": len(self.bins.regions),
            "bp": self.bp,
            "step": self.bins.step,
            "both_strands": self.bins.both_strands,
            "blocks": self.blocks,
            "block_bp": self.block_bp,
            "confidence": self.confidence,
            "resamples": self.resamples,
        }  # fmt: skip

    def calls(self, threshold: float) -> tuple[Calls, NDArray[np.bool_]]:
        """Return the calls at a threshold, in nats, and which of them are right."""
        found = find_calls(self.bins, threshold)
        return found, overlapping(found.intervals, self.peaks)

    def with_thresholds(self, model: Model) -> Model:
        """Return the model with the thresholds measured here, for calls with a precision.

        The regions must be ones that the model was not trained on, and not those that it is to be
        judged on.

        Raises
        ------
        EnhancerError
            If no threshold has enough calls.
        """
        self.table.threshold(0)
        return replace(model, metadata={**model.metadata, **self.table.to_metadata()})


def evaluate_genome(  # noqa: PLR0913
    model: Model,
    genome: str | Path,
    peaks: str | Path | Intervals,
    regions: str | Path | Intervals | None = None,
    *,
    prevalence: float | None = None,
    step: int = 50,
    both_strands: bool = False,
    seed: int = 0,
    device: str = "auto",
    threads: int = 1,
) -> GenomeEvaluation:
    """Evaluate a model along a genome, where positives are as rare as they are.

    Parameters
    ----------
    model
        A trained model.
    genome, regions, step, both_strands, device, threads
        As in `predict_track`; regions that the model was not trained on.
    peaks
        BED file, or intervals: all of those in the regions.
    prevalence
        Share of positives among which probabilities hold; as in `predict`.
    seed
        Of the bootstrap that the intervals are of.

    Returns
    -------
    GenomeEvaluation
        Average precision and more, and how many calls are right at each threshold.

    Raises
    ------
    FileError, IntervalError
        If a file cannot be read, or a region or peak is not inside the genome.
    EnhancerError
        If the regions have no peaks, or nothing else, or `prevalence` is not between 0 and 1.
    DeviceError
        If the device is not there.
    """
    shift = prior_shift(model, prevalence)
    predictor = model.predictor(device)
    with open_genome(Path(genome)) as opened:
        chosen = genome_regions(opened, regions)
        known = genome_peaks(opened, peaks, chosen)
        bins = scan(
            predictor, opened, chosen, step=step, both_strands=both_strands, threads=threads
        )
    return evaluate_bins(bins, known, shift=shift, rng=np.random.default_rng(seed))


def genome_peaks(
    genome: Genome,
    peaks: str | Path | Intervals,
    regions: Intervals,
    *,
    note: Callable[[str], None] | None = None,
) -> Intervals:
    """Return the peaks that overlap regions, joined where they overlap or touch, as `merge` does.

    `note` is called with a line for the user if some do not, or are joined.

    Raises
    ------
    FileError, IntervalError
        If the file cannot be read, or a peak is not inside the genome.
    EnhancerError
        If none overlaps a region.
    """
    source = "the peaks" if isinstance(peaks, Intervals) else str(peaks)
    if not isinstance(peaks, Intervals):
        peaks = read_bed(Path(peaks), note=note)
    merged = intervals.merge(genome.match(peaks), list(genome.lengths))
    inside = merged.take(overlapping(merged, regions))
    if not len(inside):
        raise EnhancerError(f"{source}: none of {len(peaks):,} peaks overlaps the regions")
    if note is not None and len(inside) < len(peaks):
        note(
            f"{source}: {len(inside):,} peaks in the regions, of {len(peaks):,} intervals;"
            " those that overlap or touch are one"
        )
    return inside


def evaluate_bins(
    bins: Bins,
    peaks: Intervals,
    *,
    shift: float = 0.0,
    rng: np.random.Generator,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> GenomeEvaluation:
    """Evaluate the log odds of bins by the peaks of their regions, as `evaluate_genome` does.

    Peaks are what `genome_peaks` returns; `shift`, in nats, is added to log odds for probabilities;
    other parameters are those of `metrics.evaluate`.

    Raises
    ------
    EnhancerError
        If no bin has a value, or all or none of those that have are in peaks.
    """
    inside = in_peaks(bins, peaks)
    known = ~np.isnan(bins.log_odds)
    scores, labels = bins.log_odds[known], inside[known]
    if not len(scores):
        raise EnhancerError("no bin has a value: the regions are mostly N")
    exact = ranking(labels, scores)
    most = max(round(TOP * len(scores)), 1)
    highest = np.partition(scores, -most)[-most]
    # Levels of recall: as many positives between each two.
    positives = np.sort(scores[labels])
    levels = np.unique(positives[np.linspace(0, len(positives) - 1, _LEVELS).astype(np.int64)])
    edges = logit(_TENTHS[1:-1]) - shift
    starts, block_bp = _blocks(bins)
    sizes = np.add.reduceat(known, starts, dtype=np.int64)
    sums = _sums(labels, scores, np.append(0, np.cumsum(sizes)), levels, edges, highest)
    n_levels, n_tenths = len(levels) + 1, len(edges) + 1
    value, low, high = block_bootstrap(
        sums, _statistics(n_levels), rng=rng, resamples=resamples, confidence=confidence
    )
    # Levels make ties of scores; that moves AUC and average precision, and their resamples alike.
    moved = exact - value[:2]
    for figures in (value, low, high):
        figures[:2] += moved
    estimates = [Estimate(*map(float, each)) for each in zip(value, low, high, strict=True)]
    at_levels = slice(4, 4 + n_levels)
    true = sums[:, :n_levels].sum(axis=0, dtype=np.float64).cumsum()
    counts = sums[:, -n_tenths - 2 : -2].sum(axis=0, dtype=np.int64)
    table, found, bp = measure_precision(bins, peaks, inside)
    return GenomeEvaluation(
        bins=bins,
        labels=inside,
        peaks=peaks,
        shift=shift,
        base_rate=float(labels.mean()),
        auc=estimates[0],
        average_precision=estimates[1],
        top_precision=estimates[2],
        enrichment=estimates[3],
        share_above_half=float((scores >= -shift).mean()),
        curve=Curve(
            x=true / true[-1], y=value[at_levels], low=low[at_levels], high=high[at_levels]
        ),
        calibration=_reliability(scores, edges, shift, counts, estimates[4 + n_levels :]),
        table=table,
        peaks_found=found,
        called_bp=bp,
        blocks=len(starts),
        block_bp=block_bp,
        confidence=confidence,
        resamples=resamples,
    )


def _blocks(bins: Bins) -> tuple[NDArray[np.int64], int]:
    """Return the index of each block's first bin, and the length of a block in bp.

    Short regions that follow each other share a block.
    """
    bp = int((bins.regions.ends - bins.regions.starts).sum())
    length = max(min(_LONGEST_BLOCK, bp // _FEWEST_BLOCKS), _WINDOWS * bins.length)
    per_block = max(length // bins.step, 1)
    return np.arange(0, len(bins.log_odds), per_block), per_block * bins.step


def _sums(
    labels: Labels,
    scores: NDArray[np.float32],
    bounds: NDArray[np.int64],
    levels: NDArray[np.float32],
    edges: NDArray[np.float64],
    highest: np.float32,
) -> NDArray[np.float32]:
    """Count, for each block, what `_statistics` reads: (B, K).

    Positives and negatives at each level, the highest first; positives and all in each tenth;
    positives and all among the highest.
    """
    sums = []
    for first, last in pairwise(bounds.tolist()):
        own, odds = labels[first:last], scores[first:last]
        level, tenth = (np.searchsorted(each, odds, "right") for each in (levels, edges))
        top = odds >= highest
        counts = [
            np.bincount(level[own], minlength=len(levels) + 1)[::-1],
            np.bincount(level[~own], minlength=len(levels) + 1)[::-1],
            np.bincount(tenth[own], minlength=len(edges) + 1),
            np.bincount(tenth, minlength=len(edges) + 1),
            np.array([(own & top).sum(), top.sum()]),
        ]
        sums.append(np.concatenate(counts).astype(np.float32))
    return np.array(sums)


def _statistics(n_levels: int) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Make the figures, (n, S), of sums, (n, K).

    AUC, average precision, precision and enrichment of the highest; precision at each level; share
    of positives in each tenth.
    """

    def statistics(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        positives, negatives = sums[:, :n_levels], sums[:, n_levels : 2 * n_levels]
        tenths = (len(sums[0]) - 2 * n_levels - 2) // 2
        right, all_ = sums[:, 2 * n_levels : -2 - tenths], sums[:, -2 - tenths : -2]
        true, false = positives.cumsum(axis=1), negatives.cumsum(axis=1)
        n_positive, n_negative = true[:, -1:], false[:, -1:]
        with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0 is NaN: not in the resample
            precision = true / (true + false)
            weighed = np.where(positives > 0, positives * precision, 0)
            ranked = (negatives * (true - positives / 2)).sum(axis=1, keepdims=True)
            top = sums[:, -2:-1] / sums[:, -1:]
            base = n_positive / (n_positive + n_negative)
            return np.concatenate(
                [
                    ranked / (n_positive * n_negative),
                    weighed.sum(axis=1, keepdims=True) / n_positive,
                    *(top, top / base, precision, right / all_),
                ],
                axis=1,
            )

    return statistics


def _reliability(
    scores: NDArray[np.float32],
    edges: NDArray[np.float64],
    shift: float,
    counts: NDArray[np.int64],
    shares: Sequence[Estimate],
) -> list[Reliability]:
    """Describe the tenths of probability that hold bins."""
    tenth = np.searchsorted(edges, scores, "right")
    sums = np.bincount(tenth, weights=expit(scores + np.float32(shift)), minlength=len(counts))
    return [
        Reliability(
            low=float(_TENTHS[place]), high=float(_TENTHS[place + 1]), bins=int(n),
            probability=float(sums[place] / n), share=shares[place],
        )
        for place, n in enumerate(counts.tolist())
        if n
    ]  # fmt: skip
