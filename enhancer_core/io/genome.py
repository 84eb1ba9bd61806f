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
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna.codes import CODE_OF_GENOME_LETTER, NOT_DNA, Codes, Letters
from enhancer_core.dna.intervals import Intervals
from enhancer_core.errors import FileError, IntervalError, SequenceError
from enhancer_core.io.bgzf import BgzipBytes, check_complete, import_pysam, is_bgzip
from enhancer_core.io.files import StrPath, is_gzip, read_chunks, temporary_beside

Data: TypeAlias = mmap.mmap | BgzipBytes  # what slices to bytes
Position = TypeVar("Position", int, NDArray[np.int64])

_MITOCHONDRIA = ("chrM", "MT", "M", "chrMT")
_NAMED = 3  # chromosomes that a message names
_BLANKS = bytes(range(33))  # line ends, tabs and blanks: bytes up to here are no letters
_CODES = CODE_OF_GENOME_LETTER.tobytes()
_BLOCK = 256  # windows decoded at once, within the cache
_LARGE = 1 << 17  # bytes read at once


class Genome:
    """An open genome: `lengths` (chromosome name -> bp), and letters by position.

    Positions are 0-based and half-open. Soft-masked letters keep their case; IUPAC ambiguity
    letters, of which real assemblies hold a few, read as N.
    """

    def __init__(self, path: Path, data: Data, *, index: bytes, misfit: str) -> None:
        entries = _entries(path, index, misfit)
        self.path = path
        self.lengths = {name: entry[0] for name, entry in entries.items()}
        self._layout = {name: entry[1:] for name, entry in entries.items()}
        self._data = data
        self._check_layout(misfit)
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
            If it holds a tab, blank or other character that is no letter.
        """
        end = self.lengths[chrom] if end is None else end
        letters = self._read(chrom, start, end)
        if len(letters) != end - start:
            raise SequenceError(
                f"{self.path}: {chrom}:{start}-{end} holds a blank or control character; allowed"
                " are letters and line ends"
            )
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

    def _check_layout(self, misfit: str) -> None:
        """Raise unless headers and sequences follow each other as the index says.

        An index may be another file's, or lack records. pyfaidx makes a wrong one where the last
        line of a record is its longest, or where LF and CRLF mix.
        """
        at = 0
        for name, length in self.lengths.items():
            offset = self._layout[name][0]
            between = self._data[at:offset].splitlines(keepends=True)
            headers = [line for line in between if line.strip() and not line.startswith(b";")]
            at = _byte(self._layout[name], length - 1) + 1
            if (
                len(headers) != 1
                or not headers[0].startswith(b">")
                or headers[0][1:].split()[:1] != [name.encode()]
                or not headers[0].endswith(b"\n")
                or not offset < at <= len(self._data)
                or self._data[at - 1 : at] <= b" "
            ):
                raise FileError(f"{self.path}: {misfit} (record '{name}')")
        if self._data[at : len(self._data)].strip():
            raise FileError(f"{self.path}: {misfit} (what follows record '{name}')")

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
            letters = self.letters(chrom, start, end)  # raises at a blank
            position = codes.index(NOT_DNA)
            raise SequenceError(
                f"{self.path}: letter '{chr(letters[position])}' at {chrom}:{start + position} is"
                " not DNA; allowed are A C G T N and IUPAC ambiguity codes"
            )
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
    folder can be written. Other gzip files are unpacked into a temporary folder at each call.

    Parameters
    ----------
    path
        FASTA file, not a pipe; lines of a record must have one length, as for `samtools faidx`.
    note
        Called at the end with a line for the user if the file was unpacked, one if names were
        matched by the rule chr1 = 1, and one if intervals were left out.
    skip_missing
        Whether `match` leaves out intervals on chromosomes that the genome lacks.

    Yields
    ------
    Genome
        The open genome.

    Raises
    ------
    FileError
        If the file cannot be read, or is not FASTA that can be indexed.
    """
    path = Path(path)
    if path.is_fifo():
        raise FileError(f"{path}: a genome is read at random, which a pipe cannot be; give a file")
    with tempfile.TemporaryDirectory(prefix="enhancer-core-") as name:
        folder = Path(name)
        fasta = _unpacked(path, folder) if is_gzip(path) and not is_bgzip(path) else path
        genome = _open(path, fasta, folder)
    # The folder is gone already: what is mapped stays readable, and a kill leaves nothing behind.
    genome.skip_missing = skip_missing
    yield genome
    if note and genome.missing:
        names = ", ".join(list(genome.missing)[:_NAMED]) + ", ..." * (len(genome.missing) > _NAMED)
        note(
            f"{genome.missing.total():,} intervals are left out, on chromosomes that {path} lacks:"
            f" {names}"
        )
    if note and fasta != path:
        note(f"{path}: unpacked to a temporary file; bgzip files are read in place")
    if note and genome.renamed:
        ours, theirs = next(iter(genome.renamed.items()))
        note(
            f"chromosome names matched by the rule chr1 = 1: {ours} is {theirs} in {path}"
            f" (names so matched: {len(genome.renamed)})"
        )


def _unpacked(path: Path, folder: Path) -> Path:
    fasta = folder / "genome.fa"
    try:
        with fasta.open("wb") as unpacked:
            unpacked.writelines(read_chunks(path))
    except OSError as error:
        raise FileError(f"{path}: cannot be unpacked in {folder} ({error.strerror})") from error
    return fasta


def _open(path: Path, fasta: Path, folder: Path) -> Genome:
    """Open by the indexes beside the FASTA, or by fresh ones, kept there if that can be."""
    modified, size = fasta.stat().st_mtime, fasta.stat().st_size
    if size == 0:
        raise FileError(f"{path}: empty; a FASTA file with at least one record is needed")
    suffixes = (".fai", ".gzi") if is_bgzip(fasta) else (".fai",)
    beside = [Path(f"{fasta}{suffix}") for suffix in suffixes]
    indexed = all(index.exists() and index.stat().st_mtime >= modified for index in beside)
    if indexed:
        misfit, indexes = f"index {beside[0]} does not fit this file; delete the index", beside
    else:
        misfit = "lines of a record differ in length, or LF and CRLF mix"
        indexes = [folder / f"index{suffix}" for suffix in suffixes]
        (_index_bgzip if len(suffixes) > 1 else _index_plain)(path, fasta, *indexes)
    fai, *gzi = [b"".join(read_chunks(index)) for index in indexes]
    with fasta.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if gzi:
        check_complete(fasta)
    data = BgzipBytes(fasta, mapped, *gzi) if gzi else mapped
    genome = Genome(path, data, index=fai, misfit=misfit)
    if not indexed:
        for index, place in zip(indexes, beside, strict=True):
            with suppress(FileError), temporary_beside(place) as partial:
                shutil.copyfile(index, partial)
    return genome


def _index_plain(path: Path, fasta: Path, index: Path) -> None:
    import pyfaidx  # its import takes as long as to score 500 variants by an index that is there

    named = index.with_name("plain.fa")  # pyfaidx would take a file for packed by its name
    named.symlink_to(fasta.resolve())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pyfaidx.Faidx(str(named), indexname=str(index)).close()
    except UnicodeDecodeError as error:
        raise FileError(f"{path}: not FASTA (it is not a text file)") from error
    except OSError as error:
        raise FileError(
            f"{path}: its index cannot be written in {index.parent}; TMPDIR names another folder"
        ) from error
    except (pyfaidx.FastaIndexingError, ValueError, IndexError) as error:
        reason = " ".join(str(error).split()).replace(str(named), str(path))
        raise FileError(f"{path}: not FASTA that can be indexed ({reason})") from error


def _index_bgzip(path: Path, fasta: Path, index: Path, blocks: Path) -> None:
    # Not by pyfaidx, which needs Biopython for it and takes twenty times as long.
    pysam = import_pysam(f"{path} is a genome of bgzip, whose index")
    try:
        pysam.faidx(str(fasta), "--fai-idx", str(index), "--gzi-idx", str(blocks))
    except pysam.SamtoolsError as error:
        raise FileError(
            f"{path}: not FASTA that can be indexed (samtools faidx fails: the data is damaged,"
            f" lines of a record differ in length, or {index.parent} is full)"
        ) from error


def _entries(path: Path, index: bytes, misfit: str) -> dict[str, tuple[int, int, int, int]]:
    """Read lengths, offsets, bases and bytes per line, as the SAM tools' faidx(5) has them."""
    entries: dict[str, tuple[int, int, int, int]] = {}
    for number, line in enumerate(index.decode(errors="replace").splitlines(), start=1):
        try:
            name, *fields = line.split("\t")
            length, offset, per_line, bytes_per_line = map(int, fields)
        except ValueError:
            raise FileError(f"{path}: {misfit} (line {number} of the index)") from None
        if name in entries:
            raise FileError(f"{path}: {misfit} (record '{name}' twice)")
        if length == 0:
            raise FileError(f"{path}: record '{name}' has a header without sequence")
        if per_line < 1:
            raise FileError(f"{path}: {misfit} (record '{name}')")
        entries[name] = length, offset, per_line, bytes_per_line
    if not entries:
        raise FileError(f"{path}: {misfit} (it is empty)")
    return entries
