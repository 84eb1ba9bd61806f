"""Intervals in BED files, and genes in BED, GTF or GFF3 files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna.intervals import Intervals, check_interval
from enhancer_core.errors import FileError, IntervalError
from enhancer_core.io.files import StrPath, lines_of, open_output, read_line_blocks, read_lines

Positions: TypeAlias = NDArray[np.int64]
# Chromosomes, starts, ends and line numbers: (n,) each.
Columns: TypeAlias = tuple[NDArray[np.str_], Positions, Positions, Positions]

_GTF_COLUMNS = 9
_GTF_STRANDS = ("+", "-", ".", "?")
_NOT_INTERVALS = ("#", "track ", "browser ")
_MOST_DIGITS = 18
_WHOLE_NUMBER = re.compile(f"-?[0-9]{{1,{_MOST_DIGITS}}}")  # int() would take '1_000' and '+5' too
# An interval, or a comment, of ASCII in a line that ends.
_PLAIN_LINE = re.compile(
    rb"^(?:([!-\"$-~][!-~]*)\t([0-9]{1,%d})\t([0-9]{1,%d})(?:\t[\t -~]*)?|#[\t -~]*)\r?\n"
    % (_MOST_DIGITS, _MOST_DIGITS),
    re.MULTILINE,
)


def read_bed(path: StrPath) -> Intervals:
    """Read the first three columns of a BED file, plain or gzip, LF or CRLF.

    Lines that are blank or begin with `#`, `track` or `browser` are not intervals.

    Raises
    ------
    FileError
        If the file holds no interval, or a line is not tab-separated BED.
    IntervalError
        If a start is negative or an end is not after its start.
    """
    parts = [
        _plain(block, first) or _collect(path, lines_of(path, block, first), genes=False)[0]
        for first, block in read_line_blocks(path)
    ]
    return _intervals(path, parts, "no intervals")


def read_bed_rows(path: StrPath) -> Iterator[tuple[int, list[str], int, int]]:
    """Read a BED file row by row, all columns: (line number, columns, start, end).

    A start may be negative here, as kipoi-veff writes windows that reach over a chromosome's ends.

    Raises
    ------
    FileError, IntervalError
        As `read_bed`, but for starts, and for a file without intervals.
    """
    for number, fields in _rows(read_lines(path)):
        start, end = _bed_span(f"{path} line {number}", fields, negative=True)
        yield number, fields, start, end


def read_genes(path: StrPath) -> Intervals:
    """Read gene spans from BED or GTF (rows with feature `gene`); the first row tells which.

    GTF positions, 1-based and inclusive, become 0-based and half-open. GFF3 reads as GTF does.

    Raises
    ------
    FileError, IntervalError
        As `read_bed`; also if a GTF file has no row with feature `gene`.
    """
    part, gtf = _collect(path, read_lines(path), genes=True)
    return _intervals(path, [part], "no row with feature 'gene'" if gtf else "no intervals")


def _intervals(path: StrPath, parts: Sequence[Columns], got: str) -> Intervals:
    if not any(len(starts) for _, starts, _, _ in parts):
        raise FileError(f"{path}: {got}; at least one is needed")
    chroms, starts, ends, lines = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Intervals(chroms, starts, ends, str(path), lines)


def _plain(block: bytes, first: int) -> Columns | None:
    """Read lines, from number `first`, at once; None if not all are plain.

    It pays: 20,000 peaks take 20 ms, line by line 40 ms, where all of their windows take 14 ms.
    """
    rows = _PLAIN_LINE.findall(block)
    if len(rows) != block.count(b"\n") or not block.endswith(b"\n"):
        return None
    numbers = [number for number, row in enumerate(rows, start=first) if row[0]]
    names, *positions = zip(*(row for row in rows if row[0]), strict=True) if numbers else [()] * 3
    starts, ends = (np.fromiter(map(int, column), np.int64, len(numbers)) for column in positions)
    if (starts >= ends).any():
        return None
    return np.array(names, np.bytes_).astype(np.str_), starts, ends, np.array(numbers, np.int64)


def _collect(
    path: StrPath, lines: Iterable[tuple[int, str]], *, genes: bool
) -> tuple[Columns, bool | None]:
    """Read lines one by one; and whether they are GTF, if there is a row that tells."""
    rows = []
    gtf: bool | None = None
    for number, fields in _rows(lines):
        where = f"{path} line {number}"
        if gtf is None:  # BED with 9 columns has numbers for source and strand
            gtf = genes and len(fields) == _GTF_COLUMNS and fields[6] in _GTF_STRANDS
            gtf = gtf and not _WHOLE_NUMBER.fullmatch(fields[1])
        if gtf and len(fields) == _GTF_COLUMNS and fields[2] != "gene":
            continue
        start, end = _gtf_span(where, fields) if gtf else _bed_span(where, fields)
        rows.append((fields[0], start, end, number))
    chroms, *numbers = zip(*rows, strict=True) if rows else ((), (), (), ())
    starts, ends, line_numbers = (np.array(column, dtype=np.int64) for column in numbers)
    return (np.array(chroms, dtype=np.str_), starts, ends, line_numbers), gtf


def _rows(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, list[str]]]:
    """Split the lines that are intervals into columns, with their numbers."""
    for number, line in lines:
        if line.strip() and not line.startswith(_NOT_INTERVALS):
            yield number, line.split("\t")


def _bed_span(where: str, fields: list[str], *, negative: bool = False) -> tuple[int, int]:
    if len(fields) < 3:
        if len(fields) == 1 and len(fields[0].split()) > 1:
            raise FileError(f"{where}: columns are separated by spaces; BED needs tabs")
        count = f"{len(fields)} column{'s' * (len(fields) > 1)}"
        needed = "at least 3 (chrom, start, end), separated by tabs"
        raise FileError(f"{where}: {count}; BED needs {needed}")
    start, end = _positions(where, fields[1], fields[2])
    check_interval(where, start, end, negative=negative)
    return start, end


def _gtf_span(where: str, fields: list[str]) -> tuple[int, int]:
    if len(fields) != _GTF_COLUMNS:
        count = f"{len(fields)} column{'s' * (len(fields) > 1)}"
        raise FileError(f"{where}: {count}; GTF needs {_GTF_COLUMNS}, separated by tabs")
    start, end = _positions(where, fields[3], fields[4])
    if not 1 <= start <= end:
        raise IntervalError(
            f"{where}: start {start} and end {end}; GTF counts from 1, and end is not below start"
        )
    return start - 1, end


def _positions(where: str, start: str, end: str) -> tuple[int, int]:
    if not (_WHOLE_NUMBER.fullmatch(start) and _WHOLE_NUMBER.fullmatch(end)):
        raise FileError(
            f"{where}: start '{start}' and end '{end}' must be whole numbers of digits alone"
        )
    return int(start), int(end)


def write_bed(path: StrPath, intervals: Intervals) -> None:
    """Write three BED columns."""
    with open_output(path) as stream:
        for chrom, start, end in intervals.rows():
            stream.write(f"{chrom}\t{start}\t{end}\n".encode())
