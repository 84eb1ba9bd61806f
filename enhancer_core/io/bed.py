"""Intervals in BED files, and genes in BED or GTF files."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from enhancer_core.errors import FileError, IntervalError
from enhancer_core.intervals import Intervals, check_interval
from enhancer_core.io.files import read_lines, writing

_GTF_COLUMNS = 9
_GTF_STRANDS = ("+", "-", ".", "?")
_NOT_INTERVALS = ("#", "track ", "browser ")
# Nearly every line of BED: read at once, at a third of the time; the others with more care.
_PLAIN = re.compile("(?!#|track |browser )([^\t]+)\t([0-9]{1,18})\t([0-9]{1,18})(?:\t|$)")
_WHOLE_NUMBER = re.compile("-?[0-9]{1,18}")  # int() would take '1_000', ' 10' and '+5' too


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
    return _collect(path, genes=False)


def read_genes(path: Path) -> Intervals:
    """Read gene spans from BED or GTF (rows with feature `gene`); the first row tells which.

    GTF positions, 1-based and inclusive, become 0-based and half-open. GFF3 reads as GTF does.

    Raises
    ------
    FileError, IntervalError
        As `read_bed`; also if a GTF file has no row with feature `gene`.
    """
    return _collect(path, genes=True)


def _collect(path: Path, *, genes: bool) -> Intervals:
    chroms, starts, ends, numbers = [], [], [], []
    gtf: bool | None = None
    for number, line in read_lines(path):
        plain = None if genes else _PLAIN.match(line)
        if plain is not None and (start := int(plain[2])) < (end := int(plain[3])):
            chroms.append(plain[1])
            starts.append(start)
            ends.append(end)
            numbers.append(number)
            continue
        if not line.strip() or line.startswith(_NOT_INTERVALS):
            continue
        where = f"{path} line {number}"
        fields = line.split("\t")
        if gtf is None:
            gtf = genes and _is_gtf(fields)
        if gtf and len(fields) == _GTF_COLUMNS and fields[2] != "gene":
            continue
        start, end = _gtf_span(where, fields) if gtf else _bed_span(where, fields)
        chroms.append(fields[0])
        starts.append(start)
        ends.append(end)
        numbers.append(number)
    if not chroms:
        got = "no row with feature 'gene'" if gtf else "no intervals"
        raise FileError(f"{path}: {got}; at least one is needed")
    return Intervals(
        np.array(chroms, dtype=np.str_),
        np.array(starts, dtype=np.int64),
        np.array(ends, dtype=np.int64),
        str(path),
        np.array(numbers, dtype=np.int64),
    )


def _is_gtf(fields: list[str]) -> bool:
    """Tell GTF from BED with 9 columns, which has numbers where GTF has source and strand."""
    return (
        len(fields) == _GTF_COLUMNS
        and not _WHOLE_NUMBER.fullmatch(fields[1])
        and fields[6] in _GTF_STRANDS
    )


def _bed_span(where: str, fields: list[str]) -> tuple[int, int]:
    if len(fields) < 3:
        raise FileError(f"{where}: {_too_few(fields)}")
    start, end = _positions(where, fields[1], fields[2])
    check_interval(where, start, end)
    return start, end


def _gtf_span(where: str, fields: list[str]) -> tuple[int, int]:
    if len(fields) != _GTF_COLUMNS:
        raise FileError(f"{where}: {_columns(fields)}; GTF needs {_GTF_COLUMNS}, separated by tabs")
    start, end = _positions(where, fields[3], fields[4])
    if not 1 <= start <= end:
        raise IntervalError(
            f"{where}: start {start} and end {end}; GTF counts from 1, and end is not below start"
        )
    return start - 1, end


def _too_few(fields: list[str]) -> str:
    if len(fields) == 1 and len(fields[0].split()) > 1:
        return "columns are separated by spaces; BED needs tabs"
    return f"{_columns(fields)}; BED needs at least 3 (chrom, start, end), separated by tabs"


def _columns(fields: list[str]) -> str:
    return "1 column" if len(fields) == 1 else f"{len(fields)} columns"


def _positions(where: str, start: str, end: str) -> tuple[int, int]:
    if not (_WHOLE_NUMBER.fullmatch(start) and _WHOLE_NUMBER.fullmatch(end)):
        raise FileError(
            f"{where}: start '{start}' and end '{end}' must be whole numbers of digits alone"
        )
    return int(start), int(end)


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
