"""Calls: runs of bins along a genome that score high, and how often such calls are right."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.isotonic import isotonic_regression

from enhancer_core.dna.intervals import Intervals
from enhancer_core.errors import EnhancerError, ModelFileError
from enhancer_core.io.genome import open_genome
from enhancer_core.models.cpu.predictor import expit
from enhancer_core.models.model import Model
from enhancer_core.prediction.sequences import prior_shift
from enhancer_core.prediction.tracks import Bins, genome_regions, scan

Integers: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Spans: TypeAlias = tuple[Integers, Integers]  # starts and ends

CALL_COLUMNS = (
    *("chrom", "start", "end", "name", "score", "strand"),
    *("probability", "precision", "summit"),
)
KEY = "precision"  # of a model's metadata: the table; `KEY`_measured says how it was measured
_FEWEST = 10  # calls from which a precision is taken; of fewer, chance says most
_THRESHOLDS = 200
_BLOCK = 1 << 20  # bins at once, to bound the memory
_CHROMOSOME = 1 << 40  # bp between chromosomes where all lie on one axis


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Calls:
    """n calls in the order of the genome, ranked by the highest bin of each, its summit.

    `summits` of the intervals are the middles of these bins; `probabilities` and `precision`, the
    share of calls as good or better that are right, are float64 (n,), NaN where not known.
    """

    intervals: Intervals
    log_odds: NDArray[np.float32]  # (n,), of the summits, in nats
    probabilities: Floats
    precision: Floats

    def __len__(self) -> int:
        return len(self.intervals)

    @property
    def ranks(self) -> Integers:
        """Rank of each call, 1 the best; of equals, the first by position: (n,)."""
        ranks = np.empty(len(self), np.int64)
        ranks[np.argsort(-self.log_odds, kind="stable")] = np.arange(1, len(self) + 1)
        return ranks

    def take(self, rows: Integers | NDArray[np.bool_]) -> Calls:
        """Select calls by index or mask."""
        return Calls(
            intervals=self.intervals.take(rows), log_odds=self.log_odds[rows],
            probabilities=self.probabilities[rows], precision=self.precision[rows],
        )  # fmt: skip

    def rows(self) -> Iterator[tuple[str, int, int, str, int, str, float, float, int]]:
        """Yield the rows of a BED file, whose columns are `CALL_COLUMNS`."""
        scores = np.rint(1000 * self.probabilities).astype(np.int64)
        columns = (
            self.ranks, scores, self.probabilities, self.precision, self.intervals.summits,
        )  # fmt: skip
        values = zip(*(column.tolist() for column in columns), strict=True)
        for (chrom, start, end), (rank, score, probability, precision, summit) in zip(
            self.intervals.rows(), values, strict=True
        ):
            yield (
                *(chrom, start, end, f"call_{rank}", score, "."),
                *(probability, precision, summit),
            )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PrecisionTable:
    """How many calls there were at each of m thresholds, and how many of them overlap a peak.

    `thresholds` are log odds in nats, ascending; `calls` and `right` count, int64, (m,) each.
    """

    thresholds: Floats
    calls: Integers
    right: Integers
    step: int
    both_strands: bool

    def expected(self, log_odds: NDArray[np.floating]) -> Floats:
        """Estimate the precision of all calls at thresholds, float (n,): float64 (n,).

        It is the share that was right at the next lower threshold measured, made monotone by
        isotonic regression weighted by calls; thresholds with fewer than 10 calls are not used. NaN
        is below the lowest threshold.
        """
        thresholds, precision = self._monotone()
        place = np.searchsorted(thresholds, log_odds.astype(np.float64), "right")
        return np.concatenate([[np.nan], precision])[place]

    def threshold(self, precision: float) -> float:
        """Return the lowest threshold at which a precision is expected.

        Raises
        ------
        EnhancerError
            If it was reached at none.
        """
        thresholds, reached = self._monotone()
        if not len(reached):
            raise EnhancerError(
                f"thresholds were measured with no more than {self.calls.max(initial=0)} calls;"
                f" a precision takes {_FEWEST}"
            )
        if reached[-1] < precision:
            raise EnhancerError(
                f"a precision of {precision:g} was not reached where the model's thresholds were"
                f" measured; the highest is {reached[-1]:.3f}"
            )
        return float(thresholds[np.searchsorted(reached, precision)])

    def _monotone(self) -> tuple[Floats, Floats]:
        enough = self.calls >= _FEWEST
        calls, right = self.calls[enough], self.right[enough]
        if not len(calls):
            return np.zeros(0), np.zeros(0)
        return self.thresholds[enough], isotonic_regression(right / calls, sample_weight=calls)

    def to_metadata(self) -> dict[str, Any]:
        """Return what a model's metadata have of it, under two keys."""
        columns = zip(
            self.thresholds.tolist(), self.calls.tolist(), self.right.tolist(), strict=True
        )
        return {
            KEY: [{"threshold": t, "calls": calls, "right": right} for t, calls, right in columns],
            f"{KEY}_measured": {"step": self.step, "both_strands": self.both_strands},
        }

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> PrecisionTable | None:
        """Read the table of a model's metadata; None if there is none.

        Raises
        ------
        ModelFileError
            If it is not such a table.
        """
        if KEY not in metadata:
            return None
        try:
            rows, measured = metadata[KEY], metadata[f"{KEY}_measured"]
            table = cls(
                thresholds=np.array([float(row["threshold"]) for row in rows]),
                calls=np.array([int(row["calls"]) for row in rows], np.int64),
                right=np.array([int(row["right"]) for row in rows], np.int64),
                step=int(measured["step"]),
                both_strands=bool(measured["both_strands"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFileError(f"the model's thresholds cannot be read ({error})") from None
        ascending = np.isfinite(table.thresholds).all() and (np.diff(table.thresholds) > 0).all()
        if not ascending or (table.right < 0).any() or (table.right > table.calls).any():
            raise ModelFileError(
                "the model's thresholds cannot be read; they must ascend, and no more calls be"
                " right than there are"
            )
        return table


def call(  # noqa: PLR0913
    model: Model,
    genome: str | Path,
    regions: str | Path | Intervals | None = None,
    *,
    precision: float | None = None,
    top: int | None = None,
    threshold: float | None = None,
    prevalence: float | None = None,
    step: int = 50,
    both_strands: bool = False,
    device: str = "auto",
    threads: int = 1,
) -> Calls:
    """Call enhancers along a genome: runs of bins that score high, ranked by their summits.

    Parameters
    ----------
    model
        For `precision`, one with thresholds, as `GenomeEvaluation.with_thresholds` returns it.
    genome, regions, step, both_strands, device, threads
        As in `predict_track`.
    precision
        Share of calls that is to be right, as it was where the thresholds were measured.
    top
        Number of calls, the best ones.
    threshold
        Probability from which a bin is in a call.
    prevalence
        Share of positives among which probabilities, `threshold` too, hold; as in `predict`.

    Returns
    -------
    Calls
        In the order of the genome. Bins at or above the threshold are one call where less than half
        a window lies between them.

    Raises
    ------
    FileError, IntervalError
        If a file cannot be read, or a region is not inside the genome.
    ModelFileError, EnhancerError
        If not one of `precision`, `top` and `threshold` is given, or the model has no thresholds
        for the precision, or others than for this step and these strands, or it was not reached.
    DeviceError
        If the device is not there.
    """
    choose = chooser(
        model, precision=precision, top=top, threshold=threshold, prevalence=prevalence,
        step=step, both_strands=both_strands,
    )  # fmt: skip
    predictor = model.predictor(device)
    with open_genome(Path(genome)) as opened:
        bins = scan(
            predictor, opened, genome_regions(opened, regions),
            step=step, both_strands=both_strands, threads=threads,
        )  # fmt: skip
    return choose(bins)


def chooser(
    model: Model,
    *,
    precision: float | None,
    top: int | None,
    threshold: float | None,
    prevalence: float | None,
    step: int,
    both_strands: bool,
    note: Callable[[str], None] | None = None,
) -> Callable[[Bins], Calls]:
    """Return the function that makes calls of bins, as `call` does; it checks all before a scan.

    `note` is called with a line for the user if the model's thresholds are of another procedure.

    Raises
    ------
    ModelFileError, EnhancerError
        As `call`.
    """
    _check_choice(precision, top, threshold)
    shift = prior_shift(model, prevalence)
    table = _table_for(
        model, step, needed=precision is not None, both_strands=both_strands, note=note
    )
    lowest = 0.0
    if table is not None and precision is not None:
        lowest = table.threshold(precision)
    elif threshold is not None:
        lowest = float(logit(threshold)) - shift

    def choose(bins: Bins) -> Calls:
        found = find_calls(bins, lowest) if top is None else top_calls(bins, top)
        known = np.full(len(found), np.nan) if table is None else table.expected(found.log_odds)
        probabilities = expit(found.log_odds.astype(np.float64) + shift)
        return Calls(
            intervals=found.intervals, log_odds=found.log_odds, probabilities=probabilities,
            precision=known,
        )  # fmt: skip

    return choose


def _check_choice(precision: float | None, top: int | None, threshold: float | None) -> None:
    if (precision, top, threshold).count(None) != 2:
        raise EnhancerError("of precision, top and threshold one is needed, and no more")
    for name, value in (("precision", precision), ("threshold", threshold)):
        if value is not None and not 0 < value <= 1:
            raise EnhancerError(f"{name} is {value:g}; allowed is above 0, up to 1")
    if top is not None and top < 1:
        raise EnhancerError(f"top is {top}; allowed is 1 or more")


def _table_for(
    model: Model, step: int, *, both_strands: bool, needed: bool, note: Callable[[str], None] | None
) -> PrecisionTable | None:
    """Return a model's table if it has one that was measured as calls are to be made."""
    table = PrecisionTable.from_metadata(model.metadata)
    if table is None:
        if needed:
            raise ModelFileError(
                "the model has no thresholds for a precision; measure them on regions kept out of"
                " training: enhancer-core evaluate MODEL --genome G --peaks BED --regions BED"
                " --store-thresholds -o DIR, and call with DIR"
            )
        return None
    if (table.step, table.both_strands) == (step, both_strands):
        return table
    strands = ("one strand", "both strands")
    differ = (
        f"the model's thresholds were measured at a step of {table.step} bp on"
        f" {strands[table.both_strands]}, not of {step} bp on {strands[both_strands]}"
    )
    if needed:
        raise EnhancerError(f"{differ}; a precision holds for the same only")
    if note is not None:
        note(f"{differ}: no precision is stated")
    return None


def find_calls(bins: Bins, threshold: float) -> Calls:
    """Find the runs of bins at or above a threshold, in nats.

    Bins are in one run where less than half a window lies between them. Probabilities are those of
    the log odds, and no precision is known.

    Examples
    --------
    >>> from enhancer_core.dna.intervals import from_rows
    >>> odds = np.array([0, 2, 3, 0, 2, 0, 0, 0, 1], np.float32)
    >>> bins = Bins(regions=from_rows([("chr1", 100, 190)]), step=10, length=40,
    ...             both_strands=False, log_odds=odds)
    >>> calls = find_calls(bins, 1.0)
    >>> calls.intervals.names(), calls.intervals.summits.tolist(), calls.ranks.tolist()
    (['chr1:110-150', 'chr1:180-190'], [125, 185], [1, 2])
    """
    rows = np.flatnonzero(bins.log_odds >= np.float32(threshold))
    runs = _runs(bins, rows)
    heights = bins.log_odds[rows]
    highest = np.maximum.reduceat(heights, runs.firsts) if len(rows) else heights
    run = np.repeat(np.arange(len(highest)), np.diff([*runs.firsts, len(rows)]))
    at_top = np.flatnonzero(heights == highest[run])
    summits = rows[at_top[np.searchsorted(run[at_top], np.arange(len(highest)))]]  # first of equals
    _, starts, ends = bins.spans(summits)
    return Calls(
        intervals=Intervals(
            bins.regions.chroms[runs.regions], runs.starts, runs.ends, summits=(starts + ends) // 2
        ),
        log_odds=highest,
        probabilities=expit(highest.astype(np.float64)),
        precision=np.full(len(highest), np.nan),
    )


def top_calls(bins: Bins, n: int) -> Calls:
    """Find the n best calls, at the highest threshold that makes as many; fewer if none does."""
    # A bin begins a call at thresholds from its height down to above the highest of those before it
    # that are near enough to be in the same call.
    heights = np.nan_to_num(bins.log_odds, nan=-np.inf)
    before = np.full_like(heights, -np.inf)
    for first, last in pairwise(bins.firsts.tolist()):
        for distance in range(1, min(-(-_gap(bins) // bins.step), last - first - 1) + 1):
            later = before[first + distance : last]
            np.maximum(later, heights[first : last - distance], out=later)
    begins = heights > before
    rises, falls = np.sort(heights[begins]), np.sort(before[begins])
    if not len(rises):
        return find_calls(bins, np.inf)
    counts = np.searchsorted(falls, rises) - np.searchsorted(rises, rises)
    enough = np.flatnonzero(counts >= n)
    found = find_calls(bins, rises[enough[-1] if len(enough) else counts.argmax()])
    return found.take(found.ranks <= n)


def measure_precision(
    bins: Bins, peaks: Intervals, labels: NDArray[np.bool_]
) -> tuple[PrecisionTable, Integers, Integers]:
    """Count calls, those that are right, and the peaks that they find, at up to 200 thresholds.

    A call is right if it overlaps a peak by 1 bp or more. Thresholds are those above which lie from
    one bin to a tenth of all, or twice the share of bins in peaks if that is more, but no more than
    a half; evenly spaced in the logarithm.

    Parameters
    ----------
    bins
        Of regions whose peaks are known; at least one has a value.
    peaks
        That do not overlap each other, in the order of the regions' genome.
    labels
        bool (n,), what `in_peaks` returns for these.

    Returns
    -------
    PrecisionTable, int64 (m,), int64 (m,)
        The table; the number of peaks that calls overlap, and the calls' bp, at each threshold.
    """
    scores = bins.log_odds[~np.isnan(bins.log_odds)]
    share = min(0.5, max(0.1, 2 * float(labels.mean())))
    most = max(int(share * len(scores)), 1)
    tail = -np.sort(-scores[scores >= np.partition(scores, -most)[-most]])
    counts = np.unique(np.geomspace(1, most, _THRESHOLDS).round().astype(np.int64))
    thresholds = np.unique(tail[counts - 1])
    rows = np.flatnonzero(bins.log_odds >= thresholds[0])
    heights = bins.log_odds[rows]
    axis = _axis(bins.regions)
    bases, peak_spans = _bases(bins.regions, axis), _on_axis(peaks, axis)
    columns = []
    for threshold in thresholds:
        runs = _runs(bins, rows[heights >= threshold])
        spans = runs.starts + bases[runs.regions], runs.ends + bases[runs.regions]
        right, found = (_overlap(*pair) for pair in ((spans, peak_spans), (peak_spans, spans)))
        bp = (runs.ends - runs.starts).sum()
        columns.append((len(runs.firsts), right.sum(), found.sum(), bp))
    calls, right, found, bp = np.array(columns, np.int64).T
    table = PrecisionTable(
        thresholds=thresholds.astype(np.float64), calls=calls, right=right,
        step=bins.step, both_strands=bins.both_strands,
    )  # fmt: skip
    return table, found, bp


def in_peaks(bins: Bins, peaks: Intervals) -> NDArray[np.bool_]:
    """Return whether the middle of each bin lies in a peak: (n,); peaks as above."""
    axis = _axis(bins.regions)
    bases, (starts, ends) = _bases(bins.regions, axis), _on_axis(peaks, axis)
    inside = np.zeros(len(bins.log_odds), np.bool_)
    for first in range(0, len(inside), _BLOCK):
        region, low, high = bins.spans(np.arange(first, min(first + _BLOCK, len(inside))))
        middles = bases[region] + (low + high) // 2
        # As many peaks have begun as have ended, or one more.
        begun, ended = (np.searchsorted(edges, middles, "right") for edges in (starts, ends))
        inside[first : first + _BLOCK] = begun > ended
    return inside


def overlapping(intervals: Intervals, others: Intervals) -> NDArray[np.bool_]:
    """Return which intervals overlap others by 1 bp or more: (n,).

    The others do not overlap each other, and stand by chromosome and position.

    Examples
    --------
    >>> from enhancer_core.dna.intervals import from_rows
    >>> ours = from_rows([("chr1", 0, 10), ("chr1", 0, 11), ("chr2", 10, 12)])
    >>> overlapping(ours, from_rows([("chr1", 10, 20)])).tolist()
    [False, True, False]
    """
    axis = _axis(others)
    known = np.isin(intervals.chroms, list(axis))
    overlaps = np.zeros(len(intervals), np.bool_)
    overlaps[known] = _overlap(_on_axis(intervals, axis), _on_axis(others, axis))
    return overlaps


class _Runs(NamedTuple):
    """Runs of bins: the index of each one's first among the bins given, its region and span."""

    firsts: Integers
    regions: Integers
    starts: Integers
    ends: Integers


def _runs(bins: Bins, rows: Integers) -> _Runs:
    """Join bins, by their indices in order, where less than half a window lies between them."""
    region, starts, ends = bins.spans(rows)
    apart = (np.diff(region) != 0) | (starts[1:] - ends[:-1] >= _gap(bins))
    firsts = np.flatnonzero(np.concatenate([np.ones(min(len(rows), 1), np.bool_), apart]))
    lasts = np.append(firsts[1:], len(rows))[: len(firsts)] - 1
    return _Runs(firsts, region[firsts], starts[firsts], ends[lasts])


def _gap(bins: Bins) -> int:
    """Return the least bp between bins of different calls."""
    return max(bins.length // 2, 1)


def _axis(intervals: Intervals) -> dict[str, int]:
    """Return where each chromosome begins on one axis for all."""
    names = dict.fromkeys(intervals.chroms.tolist())
    return {chrom: place * _CHROMOSOME for place, chrom in enumerate(names)}


def _bases(intervals: Intervals, axis: Mapping[str, int]) -> Integers:
    return np.array([axis[chrom] for chrom in intervals.chroms.tolist()], np.int64)


def _on_axis(intervals: Intervals, axis: Mapping[str, int]) -> Spans:
    """Return starts and ends on the axis; intervals of other chromosomes are left out."""
    known = intervals.take(np.isin(intervals.chroms, list(axis)))
    bases = _bases(known, axis)
    return known.starts + bases, known.ends + bases


def _overlap(spans: Spans, others: Spans) -> NDArray[np.bool_]:
    """Return which spans overlap others, which ascend and do not overlap each other."""
    (starts, ends), (other_starts, other_ends) = spans, others
    begun = np.searchsorted(other_starts, ends, "left")
    overlap: NDArray[np.bool_] = np.searchsorted(other_ends, starts, "right") < begun
    return overlap
