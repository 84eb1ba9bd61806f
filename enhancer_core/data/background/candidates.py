"""All windows of a genome that rules allow, none overlapping."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enhancer_core.data.background.composition import Composition, measure_composition
from enhancer_core.dna.codes import Letters
from enhancer_core.dna.intervals import Intervals, complement, concatenate, slop, tiled_windows
from enhancer_core.errors import IntervalError

_BASE_RUN = re.compile(rb"[ACGTacgt]+")
_LETTERS_AT_ONCE = 2**17  # read for their composition: 128 KB stays in the cache


@dataclass(frozen=True, kw_only=True, slots=True)
class BackgroundRules:
    """Where a background window may lie; defaults are Cohn et al. 2018, section 2.3.1.

    Genes and excluded intervals carry the genome's chromosome names. The distance between a window
    and a gene is the number of bp between them, 0 if they touch: a window closer than
    `gene_distance` is one that `bedtools window -w` finds (`bedtools closest -d` counts one more).
    """

    length: int = 500  # of a window, bp
    excluded: Sequence[Intervals] = ()  # a window overlaps none of these
    genes: Intervals | None = None
    gene_distance: int = 15_000  # bp at least between a window and a gene

    def __post_init__(self) -> None:
        distances = (("length", self.length, 1), ("gene distance", self.gene_distance, 0))
        for what, bp, least in distances:
            if bp < least:
                raise IntervalError(f"{what} of {bp} bp is not allowed; allowed is {least} or more")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Candidates:
    """All m windows that a background can be drawn from, in genome order, none overlapping."""

    names: Sequence[str]  # of the genome's chromosomes
    chroms: NDArray[np.int32]  # (m,): index into `names`
    starts: NDArray[np.int64]  # (m,)
    length: int  # bp of each
    composition: Composition  # its `repeat` is None if the genome is not soft-masked
    lost: Mapping[str, int]  # reason -> bp of the genome that no candidate covers because of it
    total: int  # bp of the genome

    def __len__(self) -> int:
        return len(self.starts)

    def windows(self, rows: NDArray[np.int64]) -> Intervals:
        """Select windows by index."""
        starts = self.starts[rows]
        chroms = np.array(self.names, dtype=np.str_)[self.chroms[rows]]
        return Intervals(chroms, starts, starts + self.length, "background")


def candidate_windows(
    letters_of: Callable[[str], Letters],
    lengths: Mapping[str, int],
    rules: BackgroundRules,
    *,
    rng: np.random.Generator,
    progress: Callable[[int, int], None] | None = None,
) -> Candidates:
    """Tile all that the rules allow of a genome with windows that do not overlap.

    Each allowed stretch of S bp gives floor(S / length) windows, the most there can be. What is
    left over is split at random between its two ends. Windows have no letter but A, C, G and T, in
    either case.

    Chromosomes, of the bp that `lengths` says, are read in its order, one at a time: `letters_of`
    returns their ASCII letters, uint8 (L,), as `Genome.letters` does, and `progress` is called
    after each with the bp done, and in all.

    Raises
    ------
    EnhancerError
        If bedtools is not installed.
    IntervalError
        If a gene or excluded interval is not inside one of the chromosomes, or a chromosome has
        not the length that `lengths` says.
    """
    near_genes = concatenate([])
    if rules.genes is not None:
        near_genes = slop(rules.genes, lengths, rules.gene_distance)
    off_genes = complement(near_genes, lengths)
    free = complement(concatenate([near_genes, *rules.excluded]), lengths)
    spans = defaultdict(list)
    for chrom, *span in free.rows():
        spans[chrom].append(span)

    starts: list[NDArray[np.int64]] = []
    compositions: list[Composition] = []
    done = base_bp = 0
    total = sum(lengths.values())
    for chrom, bp in lengths.items():
        letters = letters_of(chrom)
        if len(letters) != bp:
            raise IntervalError(f"{chrom}: {len(letters)} letters were read; its length is {bp}")
        runs = [  # found without an array as long as `letters`
            run.span() for span in spans[chrom] for run in _BASE_RUN.finditer(letters.data, *span)
        ]
        base_bp += sum(end - start for start, end in runs)
        starts.append(_tile_starts(chrom, runs, rules.length, rng=rng))
        compositions.extend(_compositions(letters, starts[-1], rules.length))
        del letters  # before the next are read: two chromosomes at once take twice the memory
        done += bp
        if progress is not None:
            progress(done, total)

    counts = [len(part) for part in starts]
    return Candidates(
        names=tuple(lengths),
        chroms=np.repeat(np.arange(len(counts), dtype=np.int32), counts),
        starts=np.concatenate(starts),
        length=rules.length,
        composition=_join(compositions),
        lost={
            f"closer than {rules.gene_distance} bp to a gene": total - _bp(off_genes),
            "in excluded intervals": _bp(off_genes) - _bp(free),
            "not A, C, G or T": _bp(free) - base_bp,
            "left over beside whole windows": base_bp - sum(counts) * rules.length,
        },
        total=total,
    )


def _bp(intervals: Intervals) -> int:
    return int((intervals.ends - intervals.starts).sum())


def _tile_starts(
    chrom: str, runs: Sequence[tuple[int, int]], length: int, *, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Start as many windows in each run as fit, touching, the first of them moved at random."""
    bounds = np.array(runs, dtype=np.int64).reshape(-1, 2)
    bounds = bounds[bounds[:, 1] - bounds[:, 0] >= length]
    left_over = (bounds[:, 1] - bounds[:, 0]) % length
    shift = rng.integers(left_over, endpoint=True)
    starts, ends = bounds[:, 0] + shift, bounds[:, 1] - left_over + shift
    return tiled_windows(Intervals(np.full(len(bounds), chrom), starts, ends), length).starts


def _compositions(
    letters: Letters, starts: NDArray[np.int64], length: int
) -> Iterator[Composition]:
    step = max(1, _LETTERS_AT_ONCE // length)
    for first in range(0, len(starts), step):
        windows = np.lib.stride_tricks.sliding_window_view(letters, length)
        yield measure_composition(windows[starts[first : first + step]])


def _join(parts: Sequence[Composition]) -> Composition:
    """Concatenate compositions; if all letters have one case, repeats are not known."""
    gc = np.concatenate([np.zeros(0), *(part.gc for part in parts)])
    known = (part.repeat for part in parts if part.repeat is not None)
    repeat = np.concatenate([np.zeros(0), *known])
    soft_masked = repeat.size > 0 and 0 < repeat.mean() < 1
    return Composition(gc, repeat if soft_masked else None)
