"""Tracks: probabilities of windows along regions of a genome."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna import intervals
from enhancer_core.dna.codes import MOST_N, N_CODE, Codes, reverse_complement
from enhancer_core.dna.intervals import Intervals
from enhancer_core.io.bed import read_bed
from enhancer_core.io.genome import Genome, open_genome
from enhancer_core.io.tracks import Stretch
from enhancer_core.models.ensemble import Predictor
from enhancer_core.models.model import Model
from enhancer_core.prediction.alleles import padded_codes
from enhancer_core.prediction.sequences import (
    Floats,
    in_order,
    mean_log_odds,
    mean_probability,
    prior_shift,
)

Starts: TypeAlias = NDArray[np.int64]
Values: TypeAlias = Callable[[Sequence[Floats]], Floats]  # of strands' logits, (n, 2) each: (n,)

_REACH = 1 << 20  # bp of a track predicted at once, at most


def predict_track(
    model: Model,
    genome: str | Path,
    regions: str | Path | Intervals | None = None,
    *,
    step: int = 50,
    both_strands: bool = False,
    prevalence: float | None = None,
    device: str = "auto",
    threads: int = 1,
) -> Iterator[Stretch]:
    """Predict along regions of a genome, or along all of it.

    Parameters
    ----------
    genome
        FASTA file, plain or compressed.
    regions
        BED file, or intervals; None is every chromosome.
    step
        Width of a bin, in bp: each has the probability of the window around its middle.
    model, both_strands, prevalence, device, threads
        As in `predict`.

    Yields
    ------
    tuple of str, int64 (m,), int64 (m,) and float32 (m,)
        Chromosome, and the starts, ends and values of its next bins; what `io.write_track` takes.
        Bins whose window is mostly N have no value.

    Raises
    ------
    FileError, IntervalError
        If a file cannot be read, or a region is not inside the genome.
    DeviceError
        If the device is not there.
    EnhancerError
        If `prevalence` is not between 0 and 1.
    """
    values = partial(mean_probability, shift=prior_shift(model, prevalence))
    predictor = model.predictor(device)
    with open_genome(Path(genome)) as opened:
        chosen = genome_regions(opened, regions)
        yield from track(
            predictor, opened, chosen,
            step=step, both_strands=both_strands, values=values, threads=threads,
        )  # fmt: skip


def genome_regions(
    genome: Genome,
    regions: str | Path | Intervals | None,
    *,
    note: Callable[[str], None] | None = None,
) -> Intervals:
    """Return regions in a genome's names and order, merged where they overlap; None is all of it.

    `note` is as in `read_bed`.

    Raises
    ------
    FileError, IntervalError
        If the file cannot be read, or a region is not inside the genome.
    """
    if regions is None:
        return intervals.from_rows((chrom, 0, bp) for chrom, bp in genome.lengths.items())
    if not isinstance(regions, Intervals):
        regions = read_bed(Path(regions), note=note)
    return intervals.merge(genome.match(regions), list(genome.lengths))


def track(
    predictor: Predictor,
    genome: Genome,
    regions: Intervals,
    *,
    step: int,
    both_strands: bool = False,
    values: Values = mean_probability,
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Stretch]:
    """Predict along regions inside a genome, as `predict_track` does.

    A region is cut into bins of `step` bp, the last perhaps shorter. A bin's value is the
    probability of the window around its middle, (start + end) // 2, or what else `values` makes of
    its logits. Beyond the chromosome's ends a window holds N, as the Kipoi data loader pads; bins
    whose window is more than half N have no value. The genome is read a block at a time, ahead of
    what is predicted; `progress` is called with the number of bins done since the last call.
    """
    for _, stretch in _predicted(
        predictor, genome, regions, step=step, both_strands=both_strands, values=values,
        threads=threads, progress=progress,
    ):  # fmt: skip
        if len(stretch[-1]):
            yield stretch


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Bins:
    """Log odds of the bins along regions: a track in memory, 4 bytes a bin.

    Bins of `step` bp lie side by side in each region, the last perhaps shorter; a bin's log odds,
    in nats, are those of the window of `length` bp around its middle.
    """

    regions: Intervals  # that do not overlap, in the genome's order
    step: int
    length: int
    both_strands: bool
    log_odds: Floats  # (n,): NaN where the window is mostly N

    @property
    def firsts(self) -> NDArray[np.int64]:
        """Index of each region's first bin, and the number of bins: (R + 1,)."""
        counts = -(-(self.regions.ends - self.regions.starts) // self.step)
        return np.concatenate([[0], np.cumsum(counts)])

    def spans(self, bins: NDArray[np.int64]) -> tuple[NDArray[np.int64], Starts, Starts]:
        """Return the region, start and end of bins by their indices: (m,) each."""
        firsts = self.firsts
        region = np.searchsorted(firsts, bins, "right") - 1
        starts = self.regions.starts[region] + (bins - firsts[region]) * self.step
        return region, starts, np.minimum(starts + self.step, self.regions.ends[region])


def scan(
    predictor: Predictor,
    genome: Genome,
    regions: Intervals,
    *,
    step: int,
    both_strands: bool = False,
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Bins:
    """Compute the log odds of what `track` has the probabilities of; arguments are the same.

    Regions may not overlap.
    """
    bins = Bins(
        regions=regions, step=step, length=predictor.length, both_strands=both_strands,
        log_odds=np.zeros(0, np.float32),
    )  # fmt: skip
    firsts = bins.firsts
    log_odds = np.full(firsts[-1], np.nan, np.float32)
    for region, (_, starts, _, values) in _predicted(
        predictor, genome, regions, step=step, both_strands=both_strands, values=mean_log_odds,
        threads=threads, progress=progress,
    ):  # fmt: skip
        log_odds[firsts[region] + (starts - regions.starts[region]) // step] = values
    return replace(bins, log_odds=log_odds)


def score_regions(
    predictor: Predictor,
    genome: Genome,
    regions: Intervals,
    *,
    step: int,
    both_strands: bool = False,
    shift: float = 0.0,
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> tuple[Floats, Floats]:
    """Compute the highest and the mean value of a track in each region, float32 (R,) each.

    Regions may overlap and stand in any order; those whose windows are mostly N get NaN. `shift` is
    that of `mean_probability`, all else as in `track`.
    """
    highest, total = np.full(len(regions), np.nan, np.float32), np.zeros(len(regions))
    count = np.zeros(len(regions), np.int64)
    values = partial(mean_probability, shift=shift)
    for region, (*_, found) in _predicted(
        predictor, genome, regions, step=step, both_strands=both_strands, values=values,
        threads=threads, progress=progress,
    ):  # fmt: skip
        if len(found):
            highest[region] = np.fmax(highest[region], found.max())
            total[region] += found.sum(dtype=np.float64)
            count[region] += len(found)
    mean = np.divide(total, count, out=np.full(len(regions), np.nan), where=count > 0)
    return highest, mean.astype(np.float32)


def _predicted(
    predictor: Predictor,
    genome: Genome,
    regions: Intervals,
    *,
    step: int,
    both_strands: bool,
    values: Values,
    threads: int,
    progress: Callable[[int], None] | None,
) -> Iterator[tuple[int, Stretch]]:
    """Yield the index of a region, and its next stretch, in which no bin may have a value."""
    length = predictor.length
    most = step * min(predictor.windows_per_call, max(_REACH // step, 1))

    def predict_block(block: _Block) -> tuple[int, int, Stretch]:
        region, chrom, bins, ends, windows, codes = block
        known = _known(codes, windows, length)
        strands = [predictor.scanned_logits(codes, windows[known])]
        if both_strands:
            starts = len(codes) - length - windows[known][::-1]
            strands.append(predictor.scanned_logits(reverse_complement(codes), starts)[::-1])
        return region, len(bins), (chrom, bins[known], ends[known], values(strands))

    for region, done, stretch in in_order(
        predict_block, _read(genome, regions, most, step, length), threads=threads
    ):
        if progress is not None:
            progress(done)
        yield region, stretch


def _known(codes: Codes, windows: Starts, length: int) -> NDArray[np.bool_]:
    """Return which windows hold no more N than they may."""
    unknown = codes == N_CODE
    if not unknown.any():  # as nearly everywhere, and counting takes longer than looking
        return np.ones(len(windows), np.bool_)
    counted = np.cumsum(np.concatenate([[False], unknown]), dtype=np.int32)
    few: NDArray[np.bool_] = counted[windows + length] - counted[windows] <= MOST_N * length
    return few


# Index of the region, chromosome, starts and ends of bins, where the window of each begins in the
# codes, and the codes that windows read.
_Block: TypeAlias = tuple[int, str, Starts, Starts, Starts, Codes]


def _read(
    genome: Genome, regions: Intervals, most: int, step: int, length: int
) -> Iterator[_Block]:
    for region, (chrom, start, end) in enumerate(regions.rows()):
        for first in range(start, end, most):
            bins = np.arange(first, min(first + most, end), step)
            ends = np.minimum(bins + step, end)
            windows = (bins + ends) // 2 - length // 2
            begin = int(windows[0])
            codes = padded_codes(genome, chrom, begin, int(windows[-1]) + length)
            yield region, chrom, bins, ends, windows - begin, codes
