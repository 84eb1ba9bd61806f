"""Intervals of a genome as arrays, 0-based and half-open, and the windows cut from them."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from enhancer_core.errors import EnhancerError, IntervalError

_NAME = re.compile(r"(.+):(\d+)-(\d+)")


@dataclass(frozen=True, slots=True)
class Intervals:
    """n intervals: `chroms` str (n,), `starts` and `ends` int64 (n,), 0-based, half-open.

    `source` and `lines` (int64 (n,), from 1) are where each came from, for error messages.
    `summits`, int64 (n,), are positions inside them, -1 for none; empty where they have no summits.
    """

    chroms: NDArray[np.str_]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    source: str = "intervals"
    lines: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    summits: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Intervals:
        """Select rows by index or mask."""
        lines, summits = (
            column[rows] if len(column) else column for column in (self.lines, self.summits)
        )
        return Intervals(
            self.chroms[rows], self.starts[rows], self.ends[rows], self.source, lines, summits
        )

    def where(self, row: int) -> str:
        """Return where an interval came from: `peaks.bed line 12`."""
        return f"{self.source} line {self.lines[row]}" if len(self.lines) else self.source

    def names(self) -> list[str]:
        """Name each interval `chrom:start-end`, 0-based and half-open."""
        return [f"{chrom}:{start}-{end}" for chrom, start, end in self.rows()]

    def rows(self) -> Iterator[tuple[str, int, int]]:
        """Yield (chrom, start, end) of each interval, as Python's own types."""
        return zip(self.chroms.tolist(), self.starts.tolist(), self.ends.tolist(), strict=True)


def from_rows(rows: Iterable[tuple[str, int, int]]) -> Intervals:
    """Make intervals of (chrom, start, end) rows.

    Raises
    ------
    IntervalError
        If a start is negative or an end is not after its start.
    """
    listed = list(rows)
    for chrom, start, end in listed:
        check_interval(f"interval {chrom}:{start}-{end}", start, end)
    chroms, starts, ends = zip(*listed, strict=True) if listed else ((), (), ())
    return Intervals(
        np.array(chroms, np.str_), np.array(starts, np.int64), np.array(ends, np.int64)
    )


def from_names(names: Sequence[str]) -> Intervals | None:
    """Read intervals back from names `chrom:start-end`; None unless every name is one.

    Examples
    --------
    >>> from_names(["chr1:10-20"]).ends.tolist(), from_names(["chr1:10-20", "chr1:20-10"])
    ([20], None)
    """
    matches = [match for match in map(_NAME.fullmatch, names) if match]
    rows = [(match[1], int(match[2]), int(match[3])) for match in matches]
    if len(rows) < len(names) or any(end <= start for _, start, end in rows):
        return None
    return from_rows(rows)


def check_interval(where: str, start: int, end: int, *, negative: bool = False) -> None:
    """Raise unless 0 <= start < end; with `negative`, a start may be below 0.

    Raises
    ------
    IntervalError
        The message begins with `where`.
    """
    if start < 0 and not negative:
        raise IntervalError(f"{where}: start {start} is negative; positions count from 0")
    if end <= start:
        raise IntervalError(f"{where}: end {end} is not after start {start}")


def centred_windows(
    intervals: Intervals, length: int, *, summits: NDArray[np.int64] | None = None
) -> Intervals:
    """Return the window of `length` bp around each interval's centre, (start + end) // 2.

    It is [centre - length // 2, centre - length // 2 + length); a start may be negative. With
    `summits`, int64 (n,), the centre is the summit where that is not -1.

    Examples
    --------
    >>> centred_windows(from_rows([("chr1", 1000, 1200)]), 500).names()
    ['chr1:850-1350']
    """
    centres = (intervals.starts + intervals.ends) // 2
    if summits is not None:
        centres = np.where(summits < 0, centres, summits)
    starts = centres - length // 2
    return Intervals(intervals.chroms, starts, starts + length, intervals.source, intervals.lines)


def tiled_windows(intervals: Intervals, length: int) -> Intervals:
    """Cut each interval into windows of `length` bp that touch and do not overlap.

    What is left over is split between the interval's ends; a shorter interval gives one window
    around its centre.

    Examples
    --------
    >>> tiled_windows(from_rows([("chr1", 1000, 2100), ("chr1", 5000, 5100)]), 500).names()
    ['chr1:1050-1550', 'chr1:1550-2050', 'chr1:4800-5300']
    """
    counts = np.maximum((intervals.ends - intervals.starts) // length, 1)
    rows = np.repeat(np.arange(len(intervals)), counts)
    order = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    centres = (intervals.starts + intervals.ends) // 2
    starts = centres[rows] - (counts[rows] * length) // 2 + order * length
    tiles = intervals.take(rows)
    return Intervals(tiles.chroms, starts, starts + length, tiles.source, tiles.lines)


def concatenate(parts: Sequence[Intervals]) -> Intervals:
    """Concatenate intervals; where they came from is not kept."""
    parts = [from_rows([]), *parts]  # there may be none
    return Intervals(
        np.concatenate([part.chroms for part in parts]),
        np.concatenate([part.starts for part in parts]),
        np.concatenate([part.ends for part in parts]),
    )


def check_inside(intervals: Intervals, lengths: Mapping[str, int]) -> None:
    """Raise unless each interval lies on a known chromosome and ends within it.

    Raises
    ------
    IntervalError
        If one does not.
    """
    for row, (chrom, _, end) in enumerate(intervals.rows()):
        if chrom not in lengths:
            raise IntervalError(
                f"{intervals.where(row)}: chromosome '{chrom}' is not among the genome's"
                f" {len(lengths)}"
            )
        if end > lengths[chrom]:
            raise IntervalError(
                f"{intervals.where(row)}: end {end} is beyond the end of {chrom}, {lengths[chrom]}"
            )


def merge(intervals: Intervals, order: Sequence[str]) -> Intervals:
    """Join intervals that overlap or touch, without bedtools; chromosomes come in `order`."""
    rank = {chrom: index for index, chrom in enumerate(order)}
    rows: list[tuple[str, int, int]] = []
    for chrom, start, end in sorted(intervals.rows(), key=lambda row: (rank[row[0]], row[1])):
        if rows and rows[-1][0] == chrom and start <= rows[-1][2]:
            rows[-1] = (chrom, rows[-1][1], max(end, rows[-1][2]))
        else:
            rows.append((chrom, start, end))
    return from_rows(rows)


def require_bedtools() -> None:
    """Raise unless the program `bedtools`, which the set operations run, is installed.

    Raises
    ------
    EnhancerError
        If it is not.
    """
    if shutil.which("bedtools") is None:
        raise EnhancerError(
            "the program 'bedtools' is not on the PATH; install it with 'apt-get install bedtools'"
            " or 'conda install -c bioconda bedtools'"
        )


def slop(intervals: Intervals, lengths: Mapping[str, int], distance: int) -> Intervals:
    """Widen intervals on both sides by `distance` bp, as far as `lengths` (bp) allow.

    Raises
    ------
    IntervalError
        If an interval is not inside its chromosome.
    """
    check_inside(intervals, lengths)
    starts = np.maximum(intervals.starts - distance, 0)
    limits = np.array([lengths[chrom] for chrom in intervals.chroms.tolist()], np.int64)
    return Intervals(intervals.chroms, starts, np.minimum(intervals.ends + distance, limits))


def complement(intervals: Intervals, lengths: Mapping[str, int]) -> Intervals:
    """Return the gaps between intervals, in the order of `lengths` (bp) (`bedtools complement`).

    Intervals may overlap and stand in any order; gaps are of at least 1 bp.

    Raises
    ------
    EnhancerError
        If bedtools is not installed.
    IntervalError
        If an interval is not inside its chromosome.

    Examples
    --------
    >>> taken = from_rows([("chr1", 10, 20), ("chr1", 15, 100)])
    >>> complement(taken, {"chr2": 5, "chr1": 100}).names()
    ['chr2:0-5', 'chr1:0-10']
    """
    require_bedtools()
    check_inside(intervals, lengths)
    # Not at the top: importing it runs every bedtools program once for its help, 0.3 s.
    from pybedtools import BedTool, chromsizes_to_file

    # Results are named in a folder: files that pybedtools names itself stay until the process ends,
    # and its `cleanup` would take those of the caller's own BedTools too.
    with tempfile.TemporaryDirectory(prefix="enhancer-core-") as folder:
        sizes = f"{folder}/sizes.txt"
        chromsizes_to_file({name: (0, bp) for name, bp in lengths.items()}, sizes)
        rows = ((chrom, str(start), str(end)) for chrom, start, end in intervals.rows())
        bed = BedTool(rows).saveas(f"{folder}/intervals.bed")
        in_order = bed.sort(g=sizes, output=f"{folder}/sorted.bed")
        gaps = in_order.complement(g=sizes, output=f"{folder}/complement.bed")
        return from_rows((gap.chrom, gap.start, gap.end) for gap in gaps)
