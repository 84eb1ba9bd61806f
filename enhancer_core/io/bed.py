"""Intervals in BED files, and genes in BED, GTF or GFF3 files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna.codes import Letters, Note
from enhancer_core.dna.intervals import Intervals, check_interval
from enhancer_core.errors import FileError
from enhancer_core.io.annotation import (
    WHOLE_NUMBER,
    count_columns,
    is_annotation,
    is_track,
    parse_positions,
    read_annotation,
)
from enhancer_core.io.files import StrPath, lines_of, open_output, read_line_blocks, read_lines
from enhancer_core.io.narrowpeak import Summits

Positions: TypeAlias = NDArray[np.int64]
# Chromosomes, starts, ends, line numbers and summits: (n,) each.
Columns: TypeAlias = tuple[NDArray[np.str_], Positions, Positions, Positions, Positions]

_MOST_DIGITS = 18
_TAB, _LF, _BLANK, _HASH, _LAST = b"\t\n #~"
_SUMMIT_TABS = (9, 10)  # of a row of narrowPeak, one at its end perhaps
_CHROM_WORD = re.compile(r".*(chr|seq|contig|scaffold|ref).*")
_START_WORD = re.compile(r"(chrom|chr|tx|peak|region|pos)?(start|begin)(pos|position)?|from")
_END_WORD = re.compile(r"(chrom|chr|tx|peak|region|pos)?(end|stop)(pos|position)?|to")


def read_bed(path: StrPath, *, note: Note | None = None) -> Intervals:
    """Read the first three columns of a BED file, plain or gzip, LF or CRLF.

    Lines that are blank or begin with `#`, `track` or `browser` are not intervals, nor is a first
    row that names the columns. Where every row is narrowPeak, the intervals have summits.

    Parameters
    ----------
    path
        BED or narrowPeak file.
    note
        Called with a line for the user if a header row was skipped, or if a file that may be taken
        for narrowPeak is not.

    Raises
    ------
    FileError
        If the file cannot be read, holds no interval, or a line is not tab-separated BED.
    IntervalError
        If a start is negative or an end is not after its start, or if a file that is narrowPeak by
        its name or `track` line has a summit outside a peak.
    """
    parts: list[Columns] = []
    summits = Summits(path)
    for first, block in read_line_blocks(path):
        part = None if summits.declared else _plain(block, first)
        if part is None:
            header = not any(len(starts) for _, starts, *_ in parts)
            part = _collect(path, lines_of(path, block, first), note, summits, header=header)
        elif len(part[0]) and not summits.misfit:
            summits.misfit = f"{path} line {part[3][0]}: not the columns of narrowPeak"
        parts.append(part)
    return _intervals(path, parts, summits, note)


def read_bed_rows(
    path: StrPath, *, note: Note | None = None
) -> Iterator[tuple[int, list[str], int, int]]:
    """Read a BED file row by row, all columns: (line number, columns, start, end).

    A start may be negative here, as kipoi-veff writes windows that reach over a chromosome's ends.

    Raises
    ------
    FileError, IntervalError
        As `read_bed`, but for starts, and for a file without intervals.
    """
    for number, line in _rows(path, read_lines(path), note):
        fields = line.rstrip().split("\t")
        start, end = _bed_span(f"{path} line {number}", fields, negative=True)
        yield number, fields, start, end


def read_named_bed(path: StrPath, *, note: Note | None = None) -> tuple[Intervals, list[str]]:
    """Read a BED file with the names of its fourth column.

    Returns
    -------
    Intervals, list of str
        In the order of the file; an interval without a name, or with `.`, is `chrom:start-end`.

    Raises
    ------
    FileError, IntervalError
        As `read_bed`.
    """
    rows, names = [], []
    for number, fields, start, end in read_bed_rows(path, note=note):
        check_interval(f"{path} line {number}", start, end)
        rows.append((fields[0], start, end, number, -1))
        name = fields[3].strip() if len(fields) > 3 else ""
        names.append(f"{fields[0]}:{start}-{end}" if name in ("", ".") else name)
    return _intervals(path, [_columns(rows)], None, None), names


def read_genes(path: StrPath, *, note: Note | None = None) -> Intervals:
    """Read gene spans from BED, GTF or GFF3; the first row tells which.

    Each row of BED is a gene. Of GTF and GFF3 genes are rows of type `gene`, `pseudogene`,
    `ncRNA_gene` and the like; transcripts outside of them; and, where a file has transcripts and
    exons alone, what their gene_id joins. Positions, 1-based and inclusive, become 0-based and
    half-open. Sequences at the end of GFF3 are not read.

    Parameters
    ----------
    path
        Annotation, plain or gzip.
    note
        Called with a line for the user: how many genes, of which types, and what was left out.

    Raises
    ------
    FileError, IntervalError
        As `read_bed`; also if a GTF or GFF3 file has no gene.
    """
    lines, head = read_lines(path), []
    annotation = False
    for number, line in lines:
        head.append((number, line))
        annotation |= line.startswith("##gff-version")
        if annotation or not _is_comment(line):
            annotation |= is_annotation(line.split("\t") if "\t" in line else line.split())
            break
    if annotation:
        genes, text = read_annotation(path, chain(head, lines))
    else:
        # Whether they are peaks with summits does not matter here.
        part = _collect(path, chain(head, lines), note, None)
        genes = _intervals(path, [part], None, None)
        text = f"{path}: {len(genes):,} genes read, the rows of BED"
    if note is not None:
        note(text)
    return genes


def _intervals(
    path: StrPath, parts: Sequence[Columns], summits: Summits | None, note: Note | None
) -> Intervals:
    if not any(len(starts) for _, starts, *_ in parts):
        raise FileError(f"{path}: no intervals; at least one is needed")
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    if summits is None or (problem := summits.problem()):
        if summits is not None and summits.expected and note is not None:
            note(f"{problem}; the file is read as BED, without summits")
        columns.pop()
    chroms, starts, ends, lines, *centres = columns
    return Intervals(chroms, starts, ends, str(path), lines, *centres)


def _plain(block: bytes, first: int) -> Columns | None:
    """Read lines at once if all are plain; line `first` is the first.

    Plain are intervals of printing ASCII without blanks, and comments; None says that others are
    among them, for good or bad. It pays: 20,000 peaks take 8 ms, line by line 40 ms, where all of
    their windows take 14 ms.
    """
    letters = np.frombuffer(block.replace(b"\r\n", b"\n"), dtype=np.uint8)
    stops = np.flatnonzero(letters == _LF)
    tabs = np.flatnonzero(letters == _TAB)
    odd = np.count_nonzero((letters <= _BLANK) | (letters > _LAST)) != len(stops) + len(tabs)
    if odd or letters[-1] != _LF:
        return None
    begins = np.append(0, stops[:-1] + 1)
    rows = np.flatnonzero(letters[begins] != _HASH)
    begins, stops = begins[rows], stops[rows]
    counts = np.searchsorted(tabs, stops) - np.searchsorted(tabs, begins)
    if np.isin(counts, _SUMMIT_TABS).any():  # perhaps narrowPeak
        return None
    tabs = np.append(tabs, [len(letters)] * 3)  # so that each line has three to look at
    first_tab, second_tab, third_tab = (
        tabs[np.searchsorted(tabs, begins) + nth] for nth in range(3)
    )
    if (begins == first_tab).any() or (second_tab >= stops).any():
        return None
    starts = _whole_numbers(letters, first_tab + 1, second_tab)
    ends = _whole_numbers(letters, second_tab + 1, np.minimum(third_tab, stops))
    if starts is None or ends is None or (starts >= ends).any():
        return None
    no_summits = np.full(len(rows), -1)
    return _strings(letters, begins, first_tab), starts, ends, first + rows, no_summits


def _whole_numbers(letters: Letters, begins: Positions, stops: Positions) -> Positions | None:
    """Read the number between each begin and stop; None if one is not 1 to 18 digits alone."""
    widths = stops - begins
    widest = int(widths.max(initial=0))
    if widths.min(initial=1) < 1 or widest > _MOST_DIGITS:
        return None
    places = stops[:, np.newaxis] + np.arange(-widest, 0)
    zero = np.uint8(ord("0"))
    digits = np.where(places >= begins[:, np.newaxis], letters[places], zero) - zero
    if (digits > 9).any():  # what is below "0" wraps around
        return None
    numbers: Positions = digits @ 10 ** np.arange(widest)[::-1]
    return numbers


def _strings(letters: Letters, begins: Positions, stops: Positions) -> NDArray[np.str_]:
    """Cut strings out of ASCII letters."""
    places = begins[:, np.newaxis] + np.arange(max(1, (stops - begins).max(initial=0)))
    inside = places < stops[:, np.newaxis]
    cut = np.where(inside, letters[np.where(inside, places, 0)], np.uint8(0))
    return cut.view(f"S{cut.shape[1]}")[:, 0].astype(np.str_)


def _collect(
    path: StrPath,
    lines: Iterable[tuple[int, str]],
    note: Note | None,
    summits: Summits | None,
    *,
    header: bool = True,
) -> Columns:
    """Read lines one by one; a first row of column names is allowed with `header`."""
    rows = []
    for number, line in _rows(path, lines, note, summits, header=header):
        where = f"{path} line {number}"
        fields = line.rstrip().split("\t")
        start, end = _bed_span(where, fields)
        summit = -1 if summits is None else summits.read_row(where, line, start, end)
        rows.append((fields[0], start, end, number, summit))
    return _columns(rows)


def _columns(rows: Sequence[tuple[str, int, int, int, int]]) -> Columns:
    chroms, *numbers = zip(*rows, strict=True) if rows else ((),) * 5
    starts, ends, line_numbers, centres = (np.array(column, np.int64) for column in numbers)
    return np.array(chroms, dtype=np.str_), starts, ends, line_numbers, centres


def _rows(
    path: StrPath,
    lines: Iterable[tuple[int, str]],
    note: Note | None,
    summits: Summits | None = None,
    *,
    header: bool = True,
) -> Iterator[tuple[int, str]]:
    """Select the lines that are intervals, with their numbers."""
    names: list[str] = []
    for number, line in lines:
        if _is_comment(line):
            if summits is not None:
                summits.read_track(line)
            continue
        if header and _is_header(line):
            names = line.lower().split("\t")
            if note is not None:
                note(f"{path} line {number}: a header row is skipped: {' '.join(line.split())}")
        else:
            if names:
                _check_zero_based(f"{path} line {number}", names, line.split("\t"))
                names = []
            yield number, line
        header = False


def _is_comment(line: str) -> bool:
    return not line.strip() or line.startswith("#") or is_track(line)


def _is_header(line: str) -> bool:
    """Return whether a row names the columns of BED."""
    fields = line.split("\t") if "\t" in line else line.split()
    chrom, start, end = [re.sub("[^a-z]", "", field.lower()) for field in (*fields, "", "", "")][:3]
    return bool(
        _CHROM_WORD.fullmatch(chrom) and _START_WORD.fullmatch(start) and _END_WORD.fullmatch(end)
    )


def _check_zero_based(where: str, names: Sequence[str], fields: Sequence[str]) -> None:
    """Raise if a column of lengths tells that positions count from 1, as in tables of MACS or R."""
    values = dict(zip((name.strip(' "') for name in names), fields, strict=False))
    for name in ("length", "width"):
        value = values.get(name, "").strip()
        if value.isdigit() and all(WHOLE_NUMBER.fullmatch(field) for field in fields[1:3]):
            start, end = int(fields[1]), int(fields[2])
            if int(value) == end - start + 1:
                raise FileError(
                    f"{where}: {name} {value} from {start} to {end}, so positions count from 1, as"
                    " in peaks.xls of MACS or a table of R; BED counts from 0"
                )


def _bed_span(where: str, fields: list[str], *, negative: bool = False) -> tuple[int, int]:
    if len(fields) < 3:
        if len(fields[0].split()) > 1:
            raise FileError(f"{where}: columns are separated by spaces; BED needs tabs")
        if len(fields) == 1 and fields[0].count(",") > 1:
            raise FileError(f"{where}: columns are separated by commas; BED needs tabs")
        raise FileError(
            f"{where}: {count_columns(fields)}; BED needs at least 3 (chrom, start, end), separated"
            " by tabs"
        )
    try:
        start, end = parse_positions(where, fields[1], fields[2])
    except FileError as error:
        if is_annotation(fields):
            raise FileError(f"{error}; it is GTF or GFF3, where BED is needed") from None
        raise
    if [fields[0]] != fields[0].split():
        raise FileError(
            f"{where}: chromosome '{fields[0]}' is empty or holds a blank; BED's columns are"
            " separated by tabs"
        )
    check_interval(where, start, end, negative=negative)
    return start, end


def write_bed(path: StrPath, intervals: Intervals) -> None:
    """Write three BED columns, whole or not at all.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    with open_output(path) as stream:
        for chrom, start, end in zip(
            intervals.chroms, intervals.starts, intervals.ends, strict=True
        ):
            stream.write(f"{chrom}\t{start}\t{end}\n".encode())
