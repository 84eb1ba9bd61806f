"""Splits of a genome by chromosomes: windows of peaks, and windows off the peaks."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from enhancer_core.data.dataset import (
    PARTS,
    TEST,
    TRAIN,
    VALIDATION,
    SplitDataset,
    file_names,
    make_dataset,
)
from enhancer_core.data.sampler import GenomeSampler, Places, first_places
from enhancer_core.data.splits import FRACTIONS, deal, part_of_groups, split_strata
from enhancer_core.data.windows import extract
from enhancer_core.dna.codes import Note
from enhancer_core.dna.intervals import Intervals, from_rows, merge
from enhancer_core.errors import DatasetError, IntervalError
from enhancer_core.io.bed import read_bed
from enhancer_core.io.genome import Genome, open_genome

Center: TypeAlias = Literal["auto", "summit", "middle"]

NEGATIVES_PER_POSITIVE = 8


def split_genome(  # noqa: PLR0913
    genome: str | Path | Genome,
    peaks: str | Path | Intervals,
    *,
    regions: str | Path | Intervals | None = None,
    length: int = 500,
    tile: bool | None = None,
    center: Center = "auto",
    negatives_per_positive: int = NEGATIVES_PER_POSITIVE,
    test: Collection[str] = (),
    validation: Collection[str] = (),
    rng: np.random.Generator | int = 0,
    note: Note | None = None,
) -> SplitDataset:
    """Split a genome by chromosomes: windows of peaks against windows off the peaks.

    The training part is drawn anew for each epoch by the `sampler` of the result; its records are
    one such draw, for models that are fitted once.

    Parameters
    ----------
    genome, peaks, length, center
        As in `extract`. Windows that are mostly N, or not inside a region, are left out.
    tile
        As in `extract`; None cuts broad peaks into windows: those without summits of which half are
        at least two windows wide.
    regions
        BED file or intervals to learn, choose and test on; None is all of the genome.
    negatives_per_positive
        Negatives for each positive, in each part: at the true prevalence too few positives would be
        left to rank.
    test, validation
        Chromosomes for these parts; where not given they are drawn so that each part has about a
        tenth of the positives, and one chromosome at least.
    rng
        Generator, or the seed of one.
    note
        Called with each line on what is left out or assumed.

    Returns
    -------
    SplitDataset
        Positives first; windows are named chrom:start-end.

    Raises
    ------
    FileError, IntervalError
        As `extract`, or if a region is not inside the genome.
    DatasetError
        If a named chromosome is not among the regions, a part would have no positive, or there is
        no window off the peaks.
    """
    if not isinstance(genome, Genome):
        with open_genome(genome, note=note) as opened:
            return split_genome(
                opened, peaks, regions=regions, length=length, tile=tile, center=center,
                negatives_per_positive=negatives_per_positive, test=test, validation=validation,
                rng=rng, note=note,
            )  # fmt: skip
    rng = np.random.default_rng(rng)
    whole = _Whole(genome, peaks, regions, length, tile=tile, center=center, note=note)
    named = [whole.names(chroms) for chroms in (test, validation)]
    parts = part_of_groups(
        np.zeros(len(whole.chroms), np.int64), whole.chroms,
        rng=rng, test=named[0], validation=named[1],
    )  # fmt: skip
    return whole.split(parts, named, negatives_per_positive, rng)


def split_genome_folds(  # noqa: PLR0913
    genome: str | Path | Genome,
    peaks: str | Path | Intervals,
    *,
    folds: int,
    regions: str | Path | Intervals | None = None,
    length: int = 500,
    tile: bool | None = None,
    center: Center = "auto",
    negatives_per_positive: int = NEGATIVES_PER_POSITIVE,
    rng: np.random.Generator | int = 0,
    note: Note | None = None,
) -> list[SplitDataset]:
    """Split a genome for cross-validation: each chromosome with peaks is tested once.

    Chromosomes are dealt to folds so that these have positives in numbers as like as can be. A fold
    is the test part of one split; its validation part is drawn from the other chromosomes. What
    else is as in `split_genome`.

    Raises
    ------
    FileError, IntervalError, DatasetError
        As `split_genome`; DatasetError also if there are too few chromosomes with peaks.
    """
    if not isinstance(genome, Genome):
        with open_genome(genome, note=note) as opened:
            return split_genome_folds(
                opened, peaks, folds=folds, regions=regions, length=length, tile=tile,
                center=center, negatives_per_positive=negatives_per_positive, rng=rng, note=note,
            )  # fmt: skip
    rng = np.random.default_rng(rng)
    whole = _Whole(genome, peaks, regions, length, tile=tile, center=center, note=note)
    names, sets = np.unique(whole.chroms, return_inverse=True)
    if not 2 <= folds <= len(names):
        raise DatasetError(
            f"folds of {folds} is not allowed; from 2 to the {len(names)} chromosomes with peaks"
        )
    same = np.zeros(len(sets), np.bool_)
    fold_of = deal(same, sets, folds=folds, rng=rng)
    splits = []
    for fold in range(folds):
        parts = np.full(len(sets), TEST)
        rest = fold_of != fold
        share = min(FRACTIONS[VALIDATION] * len(sets) / max(rest.sum(), 1), 0.5)
        ids = np.unique(sets[rest], return_inverse=True)[1]
        parts[rest] = split_strata(same[rest], ids, rng=rng, fractions=(1 - share, share, 0.0))
        splits.append(whole.split(parts, ((), ()), negatives_per_positive, rng))
    return splits


class _Whole:
    """All regions of an open genome, and the positives there."""

    def __init__(
        self,
        genome: Genome,
        peaks: str | Path | Intervals,
        regions: str | Path | Intervals | None,
        length: int,
        *,
        tile: bool | None,
        center: Center,
        note: Note | None,
    ) -> None:
        tell = note or (lambda _: None)
        self._genome = genome
        given = peaks if isinstance(peaks, Intervals) else read_bed(peaks, note=note)
        if regions is None:
            covered = from_rows((chrom, 0, bp) for chrom, bp in genome.lengths.items())
        else:
            if not isinstance(regions, Intervals):
                regions = read_bed(regions, note=note)
            covered = merge(genome.match(regions), list(genome.lengths))
        if tile is None:
            width = float(np.median(given.ends - given.starts)) if len(given) else 0.0
            tile = center == "auto" and width >= 2 * length and not (given.summits >= 0).any()
            if tile:
                tell(f"peaks are broad, {width:,.0f} bp at the median: each is cut into windows")
        found = extract(genome, given, length=length, tile=tile, center=center)
        for line in found.notes:
            tell(line)
        firsts = first_places(covered)
        codes = np.empty(firsts[-1], np.uint8)
        for first, (chrom, start, end) in zip(firsts.tolist(), covered.rows(), strict=False):
            codes[first : first + end - start] = genome.codes(chrom, start, end)
        region = _region_of(found.intervals, covered)
        inside, region = region >= 0, region[region >= 0]
        places = found.intervals.starts[inside] + (firsts[:-1] - covered.starts)[region]
        bounds = np.stack([firsts[:-1], firsts[1:] - length], axis=1)[region]
        off = _off_peaks(covered, merge(genome.match(given), list(genome.lengths)), length)
        sampler = GenomeSampler(
            codes=codes, checksum=sha256(codes.data).digest(), regions=covered,
            parts=np.zeros(len(covered), np.int64), length=length, positives=places, bounds=bounds,
            free=off, negatives=0, hard=np.zeros(0, np.int64),
        )  # fmt: skip
        unknown = sampler.mostly_n(places)
        for count, what in (
            (int((~inside).sum()), "are not inside a region and are left out"),
            (int(unknown.sum()), "are mostly N and are left out"),
        ):
            if count:
                tell(f"{count:,} of {len(found):,} windows {what}")
        if unknown.all():
            raise IntervalError(f"{given.source}: no window of {length} bp is left")
        self.sampler = replace(sampler, positives=places[~unknown], bounds=bounds[~unknown])
        self.chroms = self.sampler.intervals(self.sampler.positives).chroms
        self._files = file_names([Path(given.source), genome.path]).values()

    def names(self, chroms: Collection[str]) -> list[str]:
        """Return the genome's names of chromosomes, each of which has regions."""
        names = []
        known = dict.fromkeys(self.sampler.regions.chroms.tolist())
        for chrom in chroms:
            name = self._genome.find(chrom)
            if name is None or name not in known:
                listed = ", ".join(list(known)[:5]) + ", ..." * (len(known) > 5)
                raise DatasetError(
                    f"chromosome '{chrom}' is not among the regions, which are on {listed}"
                )
            names.append(name)
        return names

    def split(
        self,
        parts: NDArray[np.int64],
        named: Collection[Collection[str]],
        ratio: int,
        rng: np.random.Generator,
    ) -> SplitDataset:
        """Draw negatives for each part of the positives, int64 (P,)."""
        whole = self.sampler
        part_of = dict(zip(self.chroms.tolist(), parts.tolist(), strict=True))
        for part, chroms in zip((TEST, VALIDATION), named, strict=True):
            part_of |= dict.fromkeys(chroms, part)
        of_region = np.array(
            [part_of.get(chrom, TRAIN) for chrom in whole.regions.chroms.tolist()], np.int64
        )
        firsts = first_places(whole.regions)
        free_region = np.searchsorted(firsts, whole.free[:, 0], "right") - 1
        samplers, negatives = [], []
        for part, name in enumerate(PARTS):
            mine = parts == part
            if not mine.any():
                raise DatasetError(
                    f"the chromosomes leave the {name} part without a positive; peaks on three"
                    " chromosomes or more are needed, and each part needs some"
                )
            sampler = replace(
                whole, parts=of_region, positives=whole.positives[mine],
                bounds=whole.bounds[mine], free=whole.free[of_region[free_region] == part],
                negatives=ratio * int(mine.sum()),
            )  # fmt: skip
            samplers.append(sampler)
            negatives.append(sampler.draw_negatives(sampler.negatives, rng=rng))
        classes = [[sampler.positives for sampler in samplers], negatives]
        sources = []
        for file, drawn in zip(self._files, classes, strict=True):
            places = np.concatenate(drawn)
            sources.append([(file, whole.intervals(places).names(), whole.windows(places))])
        of_record = np.repeat(list(range(len(PARTS))) * 2, [len(d) for c in classes for d in c])
        return SplitDataset(make_dataset(*sources), of_record, sampler=samplers[TRAIN])


def _region_of(windows: Intervals, regions: Intervals) -> NDArray[np.int64]:
    """Return the region that each window lies in, -1 for none; regions are merged."""
    found = np.full(len(windows), -1)
    for chrom in np.unique(windows.chroms):
        rows, mine = (np.flatnonzero(each.chroms == chrom) for each in (windows, regions))
        if len(mine):
            row = np.searchsorted(regions.starts[mine], windows.starts[rows], "right") - 1
            inside = (row >= 0) & (windows.ends[rows] <= regions.ends[mine[row]])
            found[rows[inside]] = mine[row[inside]]
    return found


def _off_peaks(regions: Intervals, peaks: Intervals, length: int) -> Places:
    """Return the ranges of places whose windows lie in a region and overlap no peak: (F, 2)."""

    def ranges() -> Iterator[Places]:
        for first, (chrom, start, end) in zip(first_places(regions), regions.rows(), strict=False):
            mine = (peaks.chroms == chrom) & (peaks.ends > start) & (peaks.starts < end)
            begins = np.concatenate([[start], peaks.ends[mine]])
            ends = np.concatenate([peaks.starts[mine], [end]]) - length + 1
            yield (np.stack([begins, ends], axis=1) + (first - start))[ends > begins]

    return np.concatenate([np.zeros((0, 2), np.int64), *ranges()])
