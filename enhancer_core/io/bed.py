"""Intervals in BED files, and genes in BED or GTF files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from enhancer_core.errors import FileError
from enhancer_core.intervals import Intervals, check_interval
from enhancer_core.io.files import read_lines, writing

_GTF_COLUMNS = 9
_NOT_INTERVALS = ("#", "track", "browser")


def read_bed(path: Path) -> Intervals:
    """Read the first three columns of a BED file, plain or gzip, LF or CRLF.

    Lines that are blank or begin with `#`, `track` or `browser` are not intervals.

    Raises
    ------
    FileError
        If the file cannot be read, holds no interval, or a line is not tab-separated BED.
    IntervalError
        If a start is negative or an end is not after its start.
    """
    return _collect(path, ((number, line) for number, line in read_lines(path)), "BED")


def read_genes(path: Path) -> Intervals:
    """Read gene spans from BED or GTF (rows with feature `gene`); the content tells which.

    GTF positions, 1-based and inclusive, become 0-based and half-open.

    Raises
    ------
    FileError, IntervalError
        As `read_bed`; also if a GTF file has no row with feature `gene`.
    """
    return _collect(path, read_lines(path), "BED or GTF")


def _collect(path: Path, lines: Iterable[tuple[int, str]], form: str) -> Intervals:
    chroms, starts, ends, numbers = [], [], [], []
    other_features = 0
    for number, line in lines:
        if not line.strip() or line.startswith(_NOT_INTERVALS):
            continue
        where = f"{path} line {number}"
        fields = line.split("\t")
        gtf = form != "BED" and len(fields) == _GTF_COLUMNS and fields[3].isdigit()
        if gtf and not fields[1].isdigit():
            if fields[2] != "gene":
                other_features += 1
                continue
            start, end = _positions(where, fields[3], fields[4])
            start -= 1
        elif len(fields) < 3:
            raise FileError(f"{where}: {_too_few(line, fields)}")
        else:
            start, end = _positions(where, fields[1], fields[2])
        check_interval(where, start, end)
        chroms.append(fields[0])
        starts.append(start)
        ends.append(end)
        numbers.append(number)
    if not chroms:
        got = "no row with feature 'gene'" if other_features else "no intervals"
        raise FileError(f"{path}: {got}; at least one is needed")
    return Intervals(
        np.array(chroms, dtype=np.str_),
        np.array(starts, dtype=np.int64),
        np.array(ends, dtype=np.int64),
        str(path),
        np.array(numbers, dtype=np.int64),
    )


def _too_few(line: str, fields: list[str]) -> str:
    if len(fields) == 1 and len(line.split()) > 1:
        return "columns are separated by spaces; BED needs tabs"
    columns = "1 column" if len(fields) == 1 else f"{len(fields)} columns"
    return f"{columns}; BED needs at least 3 (chrom, start, end), separated by tabs"


def _positions(where: str, start: str, end: str) -> tuple[int, int]:
    try:
        return int(start), int(end)
    except ValueError:
        raise FileError(f"{where}: start '{start}' and end '{end}' must be whole numbers") from None


def write_bed(path: Path, intervals: Intervals) -> None:
    """Write three BED columns, whole or not at all.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    with writing(path) as stream:
        for chrom, start, end in zip(
            intervals.chroms, intervals.starts, intervals.ends, strict=True
        ):
            stream.write(f"{chrom}\t{start}\t{end}\n".encode())
