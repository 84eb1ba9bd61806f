"""Windows of a genome for training: around peaks, and background beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from enhancer_core.data.background.candidates import BackgroundRules, candidate_windows
from enhancer_core.data.background.composition import Composition, measure_composition
from enhancer_core.data.background.sampling import draw_background
from enhancer_core.dna.codes import CODE_OF_GENOME_LETTER, N_CODE, Codes, decode, encode, gc_content
from enhancer_core.dna.intervals import (
    Intervals,
    centred_windows,
    complement,
    from_names,
    tiled_windows,
)
from enhancer_core.errors import IntervalError, SequenceError
from enhancer_core.io.bed import read_bed, read_genes
from enhancer_core.io.fasta import read_records
from enhancer_core.io.genome import Genome, open_genome


@dataclass(frozen=True, eq=False, slots=True)
class GenomeWindows:
    """n windows of a genome: `intervals`, and their `codes`, uint8 (n, L)."""

    intervals: Intervals
    codes: Codes
    notes: Sequence[str] = ()  # what was left out, and why

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def names(self) -> list[str]:
        """Name each window as FASTA files do, chrom:start-end."""
        return self.intervals.names()

    @property
    def sequences(self) -> list[str]:
        """Spell the windows' DNA."""
        return decode(self.codes)


def extract(
    genome: str | Path | Genome,
    peaks: str | Path | Intervals,
    *,
    length: int = 500,
    tile: bool = False,
    drop_n: bool = False,
    center: Literal["auto", "summit", "middle"] = "auto",
) -> GenomeWindows:
    """Cut windows around peaks out of a genome.

    Parameters
    ----------
    genome
        FASTA file, plain or compressed, or an open genome.
    peaks
        BED or narrowPeak file, or intervals.
    length
        Of the windows, in bp.
    tile
        Cut each peak into as many windows as fit, instead of one around its middle.
    drop_n
        Leave out windows that hold N.
    center
        What a peak's one window is centred on: its "summit" or "middle"; "auto" is its summit
        where it has one, as in narrowPeak, else its middle. Tiles lie around the middle.

    Returns
    -------
    GenomeWindows
        In the order of the peaks, each window once; none reaches over a chromosome's end.

    Raises
    ------
    FileError, IntervalError
        If a file cannot be read, a peak is not inside the genome, no peak has a summit to centre
        on, both `tile` and `center` are given, or no window is left.
    """
    if not isinstance(genome, Genome):
        with open_genome(genome) as opened:
            return extract(opened, peaks, length=length, tile=tile, drop_n=drop_n, center=center)
    notes: list[str] = []
    regions = _read(peaks, notes)
    matched = genome.match(regions)
    summits, how = _summits(matched, tile=tile, center=center)
    notes += how
    if tile:
        windows = tiled_windows(matched, length)
    else:
        windows = centred_windows(matched, length, summits=summits)
    limits = np.array([genome.lengths[chrom] for chrom in windows.chroms.tolist()])
    inside = (windows.starts >= 0) & (windows.ends <= limits)
    first_row = {name: row for row, name in reversed(list(enumerate(windows.names())))}
    is_first = np.zeros(len(windows), np.bool_)
    is_first[list(first_row.values())] = True
    kept = windows.take(inside & is_first)
    codes = genome.windows(kept)
    with_n = (codes == N_CODE).any(axis=1)
    if drop_n:
        kept, codes = kept.take(~with_n), codes[~with_n]
    left_out = [
        f"{count:,} of {len(windows):,} windows {what}"
        for count, what in (
            (int((~inside).sum()), "reach over a chromosome's end and are left out"),
            (int((inside & ~is_first).sum()), "repeat an earlier one and are left out"),
            (int(with_n.sum()), f"have N and are {'left out' if drop_n else 'kept'}"),
        )
        if count
    ]
    if not len(kept):
        raise IntervalError(
            f"{regions.source}: no window of {length} bp is left ({'; '.join(left_out)})"
        )
    return GenomeWindows(kept, codes, [*notes, *left_out])


def _summits(
    regions: Intervals, *, tile: bool, center: str
) -> tuple[NDArray[np.int64] | None, list[str]]:
    """Return the summits to centre on, if any, and how this is told."""
    if center not in ("auto", "summit", "middle"):
        raise IntervalError(f"center of {center!r}; allowed are auto, summit and middle")
    if tile and center != "auto":
        raise IntervalError(
            "tiles lie around the middle of a peak, so tile and center exclude each other"
        )
    known = int((regions.summits >= 0).sum())
    if center == "summit" and not known:
        raise IntervalError(
            f"{regions.source}: no summits to centre on; they are in column 10 of narrowPeak"
        )
    if tile or center == "middle" or not known:
        if not len(regions.summits):
            return None, ["windows are centred on the middles of peaks"] * (center == "middle")
        how = "tiles lie around" if tile else "windows are centred on"
        none = "" if known else "; none has a summit"
        unused = "; summits are not used" if known else none
        return None, [f"{regions.source} is narrowPeak: {how} the middles of peaks{unused}"]
    missing = len(regions) - known
    line = f"{regions.source} is narrowPeak: windows are centred on the summits of peaks"
    if missing:
        line += f"; {missing:,} of {len(regions):,} have none, and their middles are taken"
    return regions.summits, [line]


def sample_background(  # noqa: PLR0913
    genome: str | Path | Genome,
    n: int,
    *,
    length: int = 500,
    exclude: Sequence[str | Path | Intervals] = (),
    genes: str | Path | Intervals | None = None,
    gene_distance: int = 15_000,
    regions: str | Path | Intervals | None = None,
    match: str | Path | Sequence[str] | None = None,
    rng: np.random.Generator | int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> GenomeWindows:
    """Draw background windows: no N, far from genes, off excluded intervals and off each other.

    Parameters
    ----------
    genome
        FASTA file, plain or compressed, or an open genome.
    n
        Windows to draw.
    length
        Of the windows, in bp.
    exclude
        BED files or intervals to stay off, for example the peaks.
    genes
        BED, GTF or GFF3 of genes to stay away from; None is no genes.
    gene_distance
        Least distance from a gene, in bp.
    regions
        Draw from these only; None is the whole genome.
    match
        FASTA file or sequences whose GC content to follow; repeats too, where its records are
        windows of this soft-masked genome.
    rng
        Generator, or the seed of one.
    progress
        Called with the bp of the genome read so far, and of all.

    Returns
    -------
    GenomeWindows
        In the order of the genome.

    Raises
    ------
    FileError, IntervalError, DatasetError
        If a file cannot be read, an interval is not inside the genome, or the genome cannot supply
        so many windows.
    SequenceError
        If a sequence to match holds N alone.
    """
    if not isinstance(genome, Genome):
        with open_genome(genome) as opened:
            return sample_background(
                opened, n,
                length=length, exclude=exclude, genes=genes, gene_distance=gene_distance,
                regions=regions, match=match, rng=rng, progress=progress,
            )  # fmt: skip
    rng = np.random.default_rng(rng)
    notes: list[str] = []
    excluded = [genome.match(_read(source, notes)) for source in exclude]
    if regions is not None:
        excluded.append(complement(genome.match(_read(regions, notes)), genome.lengths))
    known_genes = None
    if genes is not None:
        spans = genes if isinstance(genes, Intervals) else read_genes(genes, note=notes.append)
        known_genes = genome.match(spans)
        if bare := genome.lengths.keys() - set(known_genes.chroms.tolist()):
            notes.append(
                f"{spans.source} has no gene on {len(bare):,} of {len(genome.lengths):,}"
                f" chromosomes, {min(bare)} for one: they count as free of genes; --regions leaves"
                " them out"
            )
    rules = BackgroundRules(
        length=length, excluded=excluded, genes=known_genes, gene_distance=gene_distance
    )
    target = None if match is None else target_composition(genome, match)
    candidates = candidate_windows(
        genome.letters, genome.lengths, rules, rng=rng, progress=progress
    )
    background = draw_background(candidates, n, rng=rng, target=target)
    notes.append(f"{n:,} windows of {len(candidates):,} that the genome can supply")
    if background.match is not None:
        repeats = background.match.repeat_distance
        what = "not known, GC alone is matched" if repeats is None else f"{repeats:.3f}"
        source = match if isinstance(match, str | Path) else "what is given"
        notes.append(
            f"largest difference from {source}: GC {background.match.gc_distance:.3f},"
            f" repeats {what}; {background.match.filled:,} windows from the nearest GC and repeat"
            " content instead"
        )
    return GenomeWindows(background.windows, genome.windows(background.windows), notes)


def target_composition(genome: Genome, match: str | Path | Sequence[str]) -> Composition:
    """Measure the composition to match: repeats too, of records that are windows of the genome.

    Raises
    ------
    FileError, SequenceError
        If the file cannot be read, or a sequence holds N alone.
    """
    if not isinstance(match, str | Path):
        longest = max(map(len, match), default=1)  # N has no part in GC
        names, rows, source = None, list(encode(match, length=longest)), "sequences to match"
    else:
        records = list(read_records(match))
        names, rows = [each.name for each in records], [each.codes for each in records]
        source = str(match)
    gc = np.concatenate([gc_content(row[np.newaxis]) for row in rows])
    if np.isnan(gc).any():
        row = int(np.isnan(gc).argmax())
        record = f"record {row + 1}" if names is None else f"record '{names[row]}'"
        raise SequenceError(f"{source}: {record} has no base but N, so no GC content to match")
    windows = None if names is None else from_names(names)
    if windows is not None and all(
        end <= genome.lengths.get(chrom, 0) for chrom, _, end in windows.rows()
    ):
        letters = [genome.letters(*row) for row in windows.rows()]
        if all(map(np.array_equal, (CODE_OF_GENOME_LETTER[each] for each in letters), rows)):
            measured = [measure_composition(each[np.newaxis]) for each in letters]
            return Composition(gc, np.array([each.repeat for each in measured])[:, 0])
    return Composition(gc, None)


def _read(source: str | Path | Intervals, notes: list[str]) -> Intervals:
    return source if isinstance(source, Intervals) else read_bed(source, note=notes.append)
