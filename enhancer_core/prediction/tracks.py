"""Tracks: probabilities of windows along regions of a genome."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
from enhancer_core.prediction.sequences import in_order, mean_probability

Starts: TypeAlias = NDArray[np.int64]

_REACH = 1 << 20  # bp of a track predicted at once, at most


def predict_track(
    model: Model,
    genome: str | Path,
    regions: str | Path | Intervals | None = None,
    *,
    step: int = 50,
    both_strands: bool = False,
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
    model, both_strands, device, threads
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
    """
    predictor = model.predictor(device)
    with open_genome(Path(genome)) as opened:
        chosen = genome_regions(opened, regions)
        yield from track(
            predictor, opened, chosen, step=step, both_strands=both_strands, threads=threads
        )


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
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Stretch]:
    """Predict along regions inside a genome, as `predict_track` does.

    A region is cut into bins of `step` bp, the last perhaps shorter. A bin's value is the
    probability of the window around its middle, (start + end) // 2. Beyond the chromosome's ends a
    window holds N, as the Kipoi data loader pads; bins whose window is more than half N have no
    value. The genome is read a block at a time, ahead of what is predicted; `progress` is called
    with the number of bins done since the last call.
    """
    length = predictor.length
    most = step * min(predictor.windows_per_call, max(_REACH // step, 1))

    def predict_block(block: _Block) -> tuple[int, Stretch]:
        chrom, bins, ends, windows, codes = block
        known = _known(codes, windows, length)
        strands = [predictor.scanned_logits(codes, windows[known])]
        if both_strands:
            starts = len(codes) - length - windows[known][::-1]
            strands.append(predictor.scanned_logits(reverse_complement(codes), starts)[::-1])
        return len(bins), (chrom, bins[known], ends[known], mean_probability(strands))

    for done, stretch in in_order(
        predict_block, _read(genome, regions, most, step, length), threads=threads
    ):
        if progress is not None:
            progress(done)
        if len(stretch[-1]):
            yield stretch


def _known(codes: Codes, windows: Starts, length: int) -> NDArray[np.bool_]:
    """Return which windows hold no more N than they may."""
    unknown = codes == N_CODE
    if not unknown.any():  # as nearly everywhere, and counting takes longer than looking
        return np.ones(len(windows), np.bool_)
    counted = np.cumsum(np.concatenate([[False], unknown]), dtype=np.int32)
    few: NDArray[np.bool_] = counted[windows + length] - counted[windows] <= MOST_N * length
    return few


# Chromosome, starts and ends of bins, the codes that their windows read, and where each begins.
_Block: TypeAlias = tuple[str, Starts, Starts, Starts, Codes]


def _read(
    genome: Genome, regions: Intervals, most: int, step: int, length: int
) -> Iterator[_Block]:
    rows = zip(regions.chroms.tolist(), regions.starts.tolist(), regions.ends.tolist(), strict=True)
    for chrom, start, end in rows:
        for first in range(start, end, most):
            bins = np.arange(first, min(first + most, end), step)
            ends = np.minimum(bins + step, end)
            windows = (bins + ends) // 2 - length // 2
            begin = int(windows[0])
            codes = padded_codes(genome, chrom, begin, int(windows[-1]) + length)
            yield chrom, bins, ends, windows - begin, codes
