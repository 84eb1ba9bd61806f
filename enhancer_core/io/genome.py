"""A genome FASTA with random access, through an index as `samtools faidx` makes it."""

from __future__ import annotations

import mmap
import shutil
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import NoReturn, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna.codes import CODE_OF_GENOME_LETTER, NOT_DNA, Codes, Letters
from enhancer_core.dna.intervals import Intervals
from enhancer_core.errors import FileError, IntervalError
from enhancer_core.io.bgzf import BgzipBytes, check_complete, import_pysam, is_bgzip
from enhancer_core.io.fasta import read_pieces
from enhancer_core.io.files import StrPath, is_gzip, is_stream, read_chunks, temporary_beside

Data: TypeAlias = mmap.mmap | BgzipBytes  # what slices to bytes
# chromosome name -> bp, offset of the first base, bases and bytes per line
Entries: TypeAlias = dict[str, tuple[int, int, int, int]]
Position = TypeVar("Position", int, NDArray[np.int64])

_MITOCHONDRIA = ("chrM", "MT", "M", "chrMT")
_NAMED = 3  # chromosomes that a message names
_BLANKS = bytes(range(33))  # line ends, tabs and blanks: bytes up to here are no letters
_CODES = CODE_OF_GENOME_LETTER.tobytes()
# Refuses no letter, only what breaks the layout.
_LAYOUT = bytes(NOT_DNA if byte in _BLANKS + b";" else byte for byte in range(256))
_BLOCK = 256  # windows decoded at once, within the cache
_LARGE = 1 << 17  # bytes read at once


class _IrregularError(Exception):
    """A file that cannot be read in place."""


class Genome:
    """An open genome: `lengths` (chromosome name -> bp), and letters by position.

    Positions are 0-based and half-open. Soft-masked letters keep their case; IUPAC ambiguity
    letters, of which real assemblies hold a few, read as N.
    """

    def __init__(self, path: Path, data: Data, entries: Entries) -> None:
        self.path = path
        self.lengths = {name: entry[0] for name, entry in entries.items()}
        self._layout = {name: entry[1:] for name, entry in entries.items()}
        self._data = data
        self.renamed: dict[str, str] = {}  # names matched by the rule chr1 = 1, for the reader
        self.skip_missing = False  # whether `match` leaves out what it does not know
        self.missing: Counter[str] = Counter()  # intervals left out, by chromosome

    def find(self, chrom: str) -> str | None:
        """Return the genome's name of a chromosome: the same, or by the rule `chr1` = `1`.

        By this rule `chrM` is `M`, `MT` and `chrMT` too. None if the genome has no such name.
        """
        if chrom in self.lengths:
            return chrom
        other = chrom.removeprefix("chr") if chrom.startswith("chr") else f"chr{chrom}"
        names = _MITOCHONDRIA if chrom in _MITOCHONDRIA else (other,)
        return next((name for name in names if name in self.lengths), None)

    def name_of(self, chrom: str, where: str) -> str:
        """Return the genome's name of a chromosome, as `find`, and note it in `renamed`.

        Raises
        ------
        IntervalError
            If the genome has neither name.
        """
        found = self.find(chrom)
        if found is not None:
            if found != chrom:
                self.renamed[chrom] = found
            return found
        other = chrom.removeprefix("chr") if chrom.startswith("chr") else f"chr{chrom}"
        names = ", ".join(list(self.lengths)[:3]) + (", ..." if len(self.lengths) > 3 else "")
        raise IntervalError(
            f"{where}: chromosome '{chrom}' (or '{other}') is not in {self.path}, which has {names}"
        )

    def match(self, intervals: Intervals) -> Intervals:
        """Rename intervals' chromosomes as this genome does, and check that each lies inside.

        With `skip_missing` those on chromosomes that the genome lacks are left out, and counted in
        `missing`.

        Raises
        ------
        IntervalError
            If a chromosome is unknown, or an end is beyond it.
        """
        if self.skip_missing:
            intervals = self._without_missing(intervals)
        names, rows = _distinct(intervals.chroms)
        first = np.empty(len(names), np.int64)
        first[rows[::-1]] = np.arange(len(rows))[::-1]  # what is written last stays
        ours = [
            self.name_of(name, intervals.where(row))
            for name, row in zip(names, first.tolist(), strict=True)
        ]
        limits = np.array([self.lengths[name] for name in ours], dtype=np.int64)[rows]
        beyond = np.flatnonzero(intervals.ends > limits)
        if beyond.size:
            row = int(beyond[0])
            raise IntervalError(
                f"{intervals.where(row)}: end {intervals.ends[row]} is beyond the end of"
                f" {intervals.chroms[row]}, {limits[row]}"
            )
        return replace(intervals, chroms=np.array(ours, dtype=np.str_)[rows])

    def _without_missing(self, intervals: Intervals) -> Intervals:
        names, rows = _distinct(intervals.chroms)
        known = np.array([self.find(name) is not None for name in names], np.bool_)
        for index in np.flatnonzero(~known).tolist():
            self.missing[names[index]] += int((rows == index).sum())
        return intervals if known.all() else intervals.take(known[rows])

    def letters(self, chrom: str, start: int = 0, end: int | None = None) -> Letters:
        """Fetch the ASCII letters of an interval inside a chromosome, case kept: uint8 (L,).

        Raises
        ------
        IntervalError
            If the interval is not inside.
        SequenceError
            If the file holds a tab, blank or other character that is no letter.
        """
        end = self.lengths[chrom] if end is None else end
        letters = self._read(chrom, start, end)
        if len(letters) != end - start:
            self._refuse(_LAYOUT)
        return np.frombuffer(letters, dtype=np.uint8)

    def _read(self, chrom: str, start: int, end: int, table: bytes | None = None) -> bytearray:
        """Read the letters of an interval, translated by a table; those of blanks are left out."""
        if not 0 <= start <= end <= self.lengths[chrom]:
            raise IntervalError(
                f"{chrom}:{start}-{end} is not inside {chrom}, which has {self.lengths[chrom]} bp"
            )
        layout = self._layout[chrom]
        raw = bytearray(self._data[_byte(layout, start) : _byte(layout, end - 1) + 1])
        if len(raw) > _LARGE and isinstance(self._data, mmap.mmap):
            # Its pages would count as ours until the machine needs them.
            self._data.madvise(mmap.MADV_DONTNEED)
        # Not by indexing a table, which makes eight bytes of each letter first.
        return raw.translate(table, _BLANKS)

    def _refuse(self, table: bytes) -> NoReturn:
        """Raise with the line of the file's first letter that a table refuses."""
        for _ in read_pieces(self.path, table):
            pass
        raise FileError(f"{self.path}: the index {self.path}.fai does not fit; delete the index")

    def codes(self, chrom: str, start: int = 0, end: int | None = None) -> Codes:
        """Fetch the base codes of an interval inside a chromosome: uint8 (L,).

        Raises
        ------
        IntervalError, SequenceError
            As `letters`; SequenceError also if a letter is not a base, N or IUPAC ambiguity code.
        """
        end = self.lengths[chrom] if end is None else end
        codes = self._read(chrom, start, end, _CODES)
        if len(codes) != end - start or NOT_DNA in codes:
            self._refuse(_CODES)
        return np.frombuffer(codes, dtype=np.uint8)

    def windows(self, windows: Intervals) -> Codes:
        """Fetch windows of one length, all inside their chromosomes: uint8 (n, L).

        Raises
        ------
        IntervalError, SequenceError
            As `codes`; IntervalError also if lengths differ.
        """
        lengths = windows.ends - windows.starts
        length = int(lengths[0]) if len(windows) else 0
        if (lengths != length).any():
            other = int(np.argmax(lengths != length))
            raise IntervalError(
                f"{windows.where(other)}: window of {lengths[other]} bp; the first has {length}"
            )
        codes = np.empty((len(windows), length), dtype=np.uint8)
        starts, ends = self._places(windows)
        # In order of the file, so that each block of a bgzip file is unpacked once; and one call
        # decodes many windows: a window at a time takes four times as long.
        order = np.argsort(starts)
        for first in range(0, len(windows), _BLOCK):
            rows = order[first : first + _BLOCK]
            places = zip(starts[rows].tolist(), ends[rows].tolist(), strict=True)
            raw = b"".join([self._data[start:end] for start, end in places])
            decoded = raw.translate(_CODES, delete=_BLANKS)
            if len(decoded) != len(rows) * length or NOT_DNA in decoded:
                for place in windows.take(rows).rows():  # raises at the bad one
                    self.codes(*place)
            codes[rows] = np.frombuffer(decoded, dtype=np.uint8).reshape(-1, length)
        return codes

    def _places(self, windows: Intervals) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Find the bytes of the FASTA at which windows inside their chromosomes begin and end."""
        names, rows = _distinct(windows.chroms)
        limits = np.array([self.lengths[name] for name in names], dtype=np.int64)[rows]
        for place in windows.take((windows.starts < 0) | (windows.ends > limits)).rows():
            self.codes(*place)  # raises
        layout = np.array([self._layout[name] for name in names], dtype=np.int64).reshape(-1, 3)
        columns = layout[rows].T
        return _byte(columns, windows.starts), _byte(columns, windows.ends - 1) + 1


def _byte(layout: Iterable[Position], position: Position) -> Position:
    """Find the byte of the FASTA at which a base stands."""
    offset, per_line, bytes_per_line = layout
    byte: Position = offset + position // per_line * bytes_per_line + position % per_line
    return byte


def _distinct(names: NDArray[np.str_]) -> tuple[list[str], NDArray[np.int64]]:
    """Return the different names, in order of appearance, and which of them each is."""
    # Not by np.unique, which sorts strings and takes several times as long.
    listed = names.tolist()
    number = {name: index for index, name in enumerate(dict.fromkeys(listed))}
    return list(number), np.fromiter(map(number.__getitem__, listed), np.int64, len(listed))


@contextmanager
def open_genome(
    path: StrPath, *, note: Callable[[str], None] | None = None, skip_missing: bool = False
) -> Iterator[Genome]:
    """Open a genome FASTA: plain, bgzip or gzip.

    Plain and bgzip files are read in place, by the index `path.fai` (and `path.gzi` for bgzip) if
    it is not older than the FASTA; otherwise it is made, and kept beside the FASTA where that
    folder can be written. Other gzip files, and files whose lines an index cannot describe (they
    differ in length within a record, end with CR, or there are blanks, comments or a byte order
    mark), are read through a temporary copy, made at each call.

    Parameters
    ----------
    path
        FASTA file or pipe, read by the rules of `io.fasta.read_pieces`.
    note
        Called at the end with a line for the user if the file was copied, one if names were matched
        by the rule chr1 = 1, and one if intervals were left out.
    skip_missing
        Whether `match` leaves out intervals on chromosomes that the genome lacks.

    Yields
    ------
    Genome
        The open genome.

    Raises
    ------
    FileError
        If the file cannot be read or is not FASTA, or an index that is not older does not fit.
    SequenceError
        If the file is to be copied and a blank stands within a line.
    """
    path = Path(path)
    piped = is_stream(path)
    with tempfile.TemporaryDirectory(prefix="enhancer-core-") as name:
        genome = None if piped else _open(path, Path(name))
        copied = genome is None
        genome = genome or _copied(path, Path(name))
    # The folder is gone already: what is mapped stays readable, and a kill leaves nothing behind.
    genome.skip_missing = skip_missing
    yield genome
    if note and genome.missing:
        names = ", ".join(list(genome.missing)[:_NAMED]) + ", ..." * (len(genome.missing) > _NAMED)
        note(
            f"{genome.missing.total():,} intervals are left out, on chromosomes that {path} lacks:"
            f" {names}"
        )
    if note and copied:
        note(
            f"{path}: unpacked to a temporary file; bgzip files are read in place"
            if not piped and is_gzip(path)
            else f"{path}: read through a temporary copy; files of LF or CRLF whose records have"
            " lines of one length, no blanks and no comments are read in place"
        )
    if note and genome.renamed:
        ours, theirs = next(iter(genome.renamed.items()))
        note(
            f"chromosome names matched by the rule chr1 = 1: {ours} is {theirs} in {path}"
            f" (names so matched: {len(genome.renamed)})"
        )


def _copied(path: Path, folder: Path) -> Genome:
    """Open a copy of the sequences alone, whatever the lines of the file."""
    copy, offsets, size = folder / "genome", dict[str, int](), 0
    try:
        with copy.open("wb") as stream:
            for name, _, letters in read_pieces(path, _LAYOUT):
                offsets.setdefault(name, size)
                size += stream.write(letters)
    except OSError as error:
        raise FileError(f"{path}: cannot be copied to {folder} ({error.strerror})") from error
    lengths = np.diff([*offsets.values(), size]).tolist()
    entries = {
        name: (length, offset, length, length)
        for (name, offset), length in zip(offsets.items(), lengths, strict=True)
    }
    return Genome(path, _mapped(copy), entries)


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _open(path: Path, folder: Path) -> Genome | None:
    """Open in place, by the indexes beside the FASTA or by fresh ones, kept there if that can be.

    None if the file cannot be read in place.
    """
    packed = is_bgzip(path)
    if is_gzip(path) and not packed:
        return None
    if packed:
        check_complete(path)
    modified, size = path.stat().st_mtime, path.stat().st_size
    if size == 0:
        raise FileError(f"{path}: empty; a FASTA file with at least one record is needed")
    suffixes = (".fai", ".gzi") if packed else (".fai",)
    beside = [Path(f"{path}{suffix}") for suffix in suffixes]
    mapped = _mapped(path)
    if all(index.exists() and index.stat().st_mtime >= modified for index in beside):
        fai, *gzi = [b"".join(read_chunks(index)) for index in beside]
        data: Data = BgzipBytes(path, mapped, *gzi) if packed else mapped
        misfit = f"{path}: index {beside[0]} does not fit this file; delete the index"
        try:
            entries = _entries(fai, misfit)
            _check_layout(data, entries, misfit)
        except FileError:
            for _ in read_pieces(path, _LAYOUT):  # if the file itself is wrong, that comes first
                pass
            raise
        return Genome(path, data, entries)
    indexes = [folder / f"index{suffix}" for suffix in suffixes]
    try:
        if packed:
            _index_bgzip(path, *indexes)
            data = BgzipBytes(path, mapped, indexes[1].read_bytes())
            entries = _entries(indexes[0].read_bytes(), "")
            _check_layout(data, entries, "")
        else:
            data, entries = mapped, _index_plain(path, mapped, indexes[0])
    except (FileError, _IrregularError):
        return None
    for index, place in zip(indexes, beside, strict=True):
        with suppress(FileError), temporary_beside(place) as partial:
            shutil.copyfile(index, partial)
    return Genome(path, data, entries)


def _index_plain(path: Path, data: mmap.mmap, index: Path) -> Entries:
    """Index a FASTA whose records have lines of one length, ended alike, and nothing besides."""
    import pyfaidx  # its import takes as long as to score 500 variants by an index that is there

    named = index.with_name("plain.fa")  # pyfaidx would take a file for packed by its name
    named.symlink_to(path.resolve())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pyfaidx.Faidx(str(named), indexname=str(index)).close()
    except (pyfaidx.FastaIndexingError, ValueError, IndexError, RuntimeError, OSError) as error:
        raise _IrregularError from error
    # pyfaidx takes lines that differ in length for equal if the last is the longest, or if LF and
    # CRLF mix, and blanks and comments for bases.
    entries = _entries(index.read_bytes(), "")
    for name, (length, offset, *_) in entries.items():
        end = data.find(b"\n>", offset - 1) + 1 or len(data)
        entries[name] = _layout_of(data, offset, end)
        if entries[name][0] != length:
            raise _IrregularError
    _check_layout(data, entries, "")
    return entries


def _layout_of(data: mmap.mmap, start: int, end: int) -> tuple[int, int, int, int]:
    """Return length, offset, bases and bytes per line of the record whose lines are these bytes."""
    line = data[start : data.find(b"\n", start, end) + 1 or end]
    bases = line.rstrip(b"\r\n")
    ending = line[len(bases) :] or b"\n"
    width, step = len(bases), len(bases) + len(ending)
    while end > start and data[end - 1] in b" \t\r\n":
        end -= 1
    if not width or start == end or ending not in {b"\n", b"\r\n"}:
        raise _IrregularError
    length = end - start
    for at in range(start, end, block := step * max(_LARGE // step, 1)):
        text = data[at : min(at + block, end)]
        lines = len(text) // step
        if (
            text[width::step] != ending[:1] * lines
            or text[step - 1 :: step] != ending[-1:] * lines
            or text.count(b"\n") != lines
            or text.count(b"\r") != lines * (len(ending) - 1)
            or any(mark in text for mark in (b" ", b"\t", b";"))
        ):
            raise _IrregularError
        length -= lines * len(ending)
    return length, start, width, step


def _index_bgzip(path: Path, index: Path, blocks: Path) -> None:
    # Not by pyfaidx, which needs Biopython for it and takes twenty times as long.
    pysam = import_pysam(f"{path} is a genome of bgzip, whose index")
    try:
        pysam.faidx(str(path), "--fai-idx", str(index), "--gzi-idx", str(blocks))
    except pysam.SamtoolsError as error:  # the data is damaged, or lines differ in length
        raise _IrregularError from error


def _entries(index: bytes, misfit: str) -> Entries:
    """Read lengths, offsets, bases and bytes per line, as the SAM tools' faidx(5) has them."""
    entries: Entries = {}
    lines = index.decode(errors="replace").removesuffix("\n").split("\n")
    for number, line in enumerate(lines, start=1):
        try:
            name, *fields = line.split("\t")
            length, offset, per_line, bytes_per_line = map(int, fields)
        except ValueError:
            raise FileError(f"{misfit} (line {number} of the index)") from None
        if name in entries:
            raise FileError(f"{misfit} (record '{name}' twice)")
        if length < 1 or per_line < 1:
            raise FileError(f"{misfit} (record '{name}')")
        entries[name] = length, offset, per_line, bytes_per_line
    return entries


def _check_layout(data: Data, entries: Entries, misfit: str) -> None:
    """Raise unless headers and sequences follow each other as the index says.

    An index may be another file's, or lack records.
    """
    at = 0
    for name, (length, *layout) in entries.items():
        offset = layout[0]
        between = data[at:offset].splitlines(keepends=True)
        headers = [line for line in between if line.strip() and not line.startswith(b";")]
        ends = [_byte(layout, min(length, layout[1]) - 1), _byte(layout, length - 1)]
        at = ends[1] + 1
        if (
            len(headers) != 1
            or not headers[0].startswith(b">")
            or headers[0][1:].split()[:1] != [name.encode()]
            or not headers[0].endswith(b"\n")
            or not offset < at <= len(data)
            or any(data[end : end + 1] <= b" " for end in ends)
        ):
            raise FileError(f"{misfit} (record '{name}')")
    if data[at : len(data)].strip():
        raise FileError(f"{misfit} (what follows record '{name}')")
