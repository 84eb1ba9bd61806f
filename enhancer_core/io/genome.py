"""A genome FASTA with random access, through a pyfaidx index."""

from __future__ import annotations

import mmap
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna.codes import CODE_OF_GENOME_LETTER, NOT_DNA, Codes, Letters
from enhancer_core.dna.intervals import Intervals
from enhancer_core.errors import FileError, IntervalError, SequenceError
from enhancer_core.io.files import is_gzip, read_chunks, temporary_beside

_PACKED = (".gz", ".bgz", ".bz2", ".zip")
_BLANK = 32  # line ends, tabs and blanks: bytes up to here are no letters
_BLANKS = bytes(range(_BLANK + 1))
_CODES = CODE_OF_GENOME_LETTER.tobytes()
_BLOCK = 256  # windows decoded at once, within the cache
_SHORT, _LARGE = 1 << 14, 1 << 17  # bytes read at once


class _Entry(NamedTuple):
    """A record of an index, as the SAM tools' faidx(5) has it."""

    length: int  # bp
    offset: int  # byte of the first base
    per_line: int  # bases
    bytes_per_line: int  # with the line's end


class Genome:
    """An open genome: `lengths` (chromosome name -> bp), and letters by position.

    Positions are 0-based and half-open. Soft-masked letters keep their case; IUPAC ambiguity
    letters, of which real assemblies hold a few, read as N.
    """

    def __init__(self, path: Path, *, fasta: Path, index: Path, misfit: str) -> None:
        entries = _read_index(path, index, misfit)
        self.path = path
        self.lengths = {name: entry.length for name, entry in entries.items()}
        self._layout = {name: entry[1:] for name, entry in entries.items()}
        with fasta.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._bytes = np.frombuffer(self._map, dtype=np.uint8)
        self._check_layout(misfit)
        self.renamed: dict[str, str] = {}  # names matched by the rule chr1 = 1, for the reader

    def name_of(self, chrom: str, where: str) -> str:
        """Find a chromosome by its name, or by the one rule `chr1` = `1`.

        Raises
        ------
        IntervalError
            If the genome has neither name.
        """
        if chrom in self.lengths:
            return chrom
        other = chrom.removeprefix("chr") if chrom.startswith("chr") else f"chr{chrom}"
        if other in self.lengths:
            self.renamed[chrom] = other
            return other
        some = ", ".join(list(self.lengths)[:3])
        more = ", ..." if len(self.lengths) > 3 else ""
        raise IntervalError(
            f"{where}: chromosome '{chrom}' (or '{other}') is not in {self.path}, which has"
            f" {some}{more}"
        )

    def match(self, intervals: Intervals) -> Intervals:
        """Put intervals into this genome's names, and check that each lies inside.

        Raises
        ------
        IntervalError
            If a chromosome is unknown, or an end is beyond it.
        """
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
        chroms = np.array(ours, dtype=np.str_)[rows]
        return Intervals(
            chroms, intervals.starts, intervals.ends, intervals.source, intervals.lines
        )

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
        raw = self._raw(chrom, start, end)
        letters = raw[raw > _BLANK]
        if len(raw) > _LARGE:  # its pages would count as ours until the machine needs them
            self._map.madvise(mmap.MADV_DONTNEED)
        if len(letters) != end - start:
            raise SequenceError(
                f"{self.path}: {chrom}:{start}-{end} holds a blank or control character; allowed"
                " are letters and line ends"
            )
        return letters

    def _raw(self, chrom: str, start: int, end: int) -> Letters:
        """Slice the bytes of an interval, line ends among them."""
        if not 0 <= start <= end <= self.lengths[chrom]:
            raise IntervalError(
                f"{chrom}:{start}-{end} is not inside {chrom}, which has {self.lengths[chrom]} bp"
            )
        return self._bytes[self._place(chrom, start) : self._place(chrom, end - 1) + 1]

    def _place(self, chrom: str, position: int) -> int:
        """Find the byte of the FASTA at which a base stands."""
        offset, per_line, bytes_per_line = self._layout[chrom]
        return offset + position // per_line * bytes_per_line + position % per_line

    def _check_layout(self, misfit: str) -> None:
        """Raise unless headers and sequences follow each other as the index says.

        An index may be another file's, or lack records. pyfaidx makes a wrong one where the last
        line of a record is its longest, or where LF and CRLF mix.
        """
        at = 0
        for name, length in self.lengths.items():
            offset = self._layout[name][0]
            between = self._bytes[at:offset].tobytes().splitlines(keepends=True)
            headers = [line for line in between if line.strip() and not line.startswith(b";")]
            at = self._place(name, length - 1) + 1
            if (
                len(headers) != 1
                or not headers[0].startswith(b">")
                or headers[0][1:].split()[:1] != [name.encode()]
                or not headers[0].endswith(b"\n")
                or not offset < at <= len(self._bytes)
                or self._bytes[at - 1] <= _BLANK
            ):
                raise FileError(f"{self.path}: {misfit} (record '{name}')")
        if self._bytes[at:].tobytes().strip():
            raise FileError(f"{self.path}: {misfit} (what follows record '{name}')")

    def codes(self, chrom: str, start: int = 0, end: int | None = None) -> Codes:
        """Fetch the base codes of an interval inside a chromosome: uint8 (L,).

        Raises
        ------
        IntervalError, SequenceError
            As `letters`; SequenceError also if a letter is not a base, N or IUPAC ambiguity code.
        """
        raw = self._raw(chrom, start, self.lengths[chrom] if end is None else end)
        if len(raw) <= _SHORT:  # at once, a quarter of the time; what is wrong, if so, below
            some = bytearray(raw).translate(_CODES, _BLANKS)
            if len(some) == (end or 0) - start and NOT_DNA not in some:
                return np.frombuffer(some, dtype=np.uint8)
        letters = self.letters(chrom, start, end)
        # Not by indexing a table, which makes eight bytes of each letter first.
        codes: Codes = np.frombuffer(bytearray(letters).translate(_CODES), dtype=np.uint8)
        if (codes == NOT_DNA).any():
            position = int(np.argmax(codes == NOT_DNA))
            raise SequenceError(
                f"{self.path}: letter '{chr(letters[position])}' at {chrom}:{start + position} is"
                " not DNA; allowed are A C G T N and IUPAC ambiguity codes"
            )
        return codes

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
        places = self._places(windows)
        # One call decodes many windows: a window at a time takes four times as long.
        for first in range(0, len(windows), _BLOCK):
            some = slice(first, first + _BLOCK)
            raw = b"".join([self._map[start:end] for start, end in places[some]])
            found = raw.translate(_CODES, delete=_BLANKS)
            if len(found) != codes[some].size or NOT_DNA in found:
                for row in zip(
                    windows.chroms[some].tolist(),
                    windows.starts[some],
                    windows.ends[some],
                    strict=True,
                ):
                    self.codes(*row)  # raises at the bad one
            codes[some] = np.frombuffer(found, dtype=np.uint8).reshape(-1, length)
        return codes

    def _places(self, windows: Intervals) -> list[tuple[int, int]]:
        """Find the bytes of the FASTA at which windows inside their chromosomes begin and end."""
        names, rows = _distinct(windows.chroms)
        limits = np.array([self.lengths[name] for name in names], dtype=np.int64)[rows]
        outside = (windows.starts < 0) | (windows.ends > limits)
        if outside.any():
            row = int(outside.argmax())
            self._raw(str(windows.chroms[row]), int(windows.starts[row]), int(windows.ends[row]))
        layout = np.array([self._layout[name] for name in names], dtype=np.int64)
        offsets, per_line, bytes_per_line = layout.reshape(-1, 3)[rows].T
        first, last = (
            offsets + position // per_line * bytes_per_line + position % per_line
            for position in (windows.starts, windows.ends - 1)
        )
        return list(zip(first.tolist(), (last + 1).tolist(), strict=True))


def _distinct(names: NDArray[np.str_]) -> tuple[list[str], NDArray[np.int64]]:
    """Give the different names, in order of appearance, and which of them each is.

    `np.unique` sorts strings, which takes several times as long.
    """
    listed = names.tolist()
    number = {name: index for index, name in enumerate(dict.fromkeys(listed))}
    return list(number), np.fromiter(map(number.__getitem__, listed), np.int64, len(listed))


@contextmanager
def open_genome(path: Path, *, note: Callable[[str], None] | None = None) -> Iterator[Genome]:
    """Open a genome FASTA, plain or gzip.

    The index `path.fai` is used if it is not older than the FASTA; otherwise it is made, and
    kept beside the FASTA where that folder can be written. A gzip file is unpacked into a
    temporary folder first, on whose disk it takes room as long as the genome is open.

    Parameters
    ----------
    path
        FASTA file, not a pipe; lines of a record must have one length, as for `samtools faidx`.
    note
        Called at the end with a line for the user if names were matched by the rule chr1 = 1.

    Raises
    ------
    FileError
        If the file cannot be read, or is not FASTA that can be indexed.
    """
    if path.is_fifo():
        raise FileError(f"{path}: a genome is read at random, which a pipe cannot be; give a file")
    with tempfile.TemporaryDirectory(prefix="enhancer-core-") as name:
        folder = Path(name)
        # By its name too: pyfaidx goes by it.
        packed = is_gzip(path) or path.suffix in _PACKED
        fasta = _unpacked(path, folder) if packed else path
        genome = _open(path, fasta, folder)
    # The folder is gone already: what is mapped stays readable, and a kill leaves nothing behind.
    yield genome
    if genome.renamed and note is not None:
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
    """Open by the index beside the FASTA, or by a fresh one, kept there if that can be."""
    if fasta.stat().st_size == 0:
        raise FileError(f"{path}: empty; a FASTA file with at least one record is needed")
    beside = Path(f"{fasta}.fai")
    if beside.exists() and beside.stat().st_mtime >= fasta.stat().st_mtime:
        misfit = f"index {beside} does not fit this file; delete the index"
        return Genome(path, fasta=fasta, index=beside, misfit=misfit)
    fresh = _make_index(path, fasta, folder)
    misfit = "lines of a record differ in length, or LF and CRLF mix"
    genome = Genome(path, fasta=fasta, index=fresh, misfit=misfit)
    with suppress(FileError), temporary_beside(beside) as partial:
        shutil.copyfile(fresh, partial)
    return genome


def _make_index(path: Path, fasta: Path, folder: Path) -> Path:
    import pyfaidx

    fresh = folder / "index.fai"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pyfaidx.Faidx(str(fasta), indexname=str(fresh)).close()
    except UnicodeDecodeError as error:
        raise FileError(f"{path}: not FASTA (it is not a text file)") from error
    except OSError as error:
        raise FileError(
            f"{path}: its index cannot be written in {folder}; TMPDIR names another folder"
        ) from error
    except (pyfaidx.FastaIndexingError, ValueError, IndexError) as error:
        reason = _one_line(error).replace(str(fasta), str(path))
        raise FileError(f"{path}: not FASTA that can be indexed ({reason})") from error
    return fresh


def _read_index(path: Path, index: Path, misfit: str) -> dict[str, _Entry]:
    """Read an index; not through pyfaidx, whose import takes as long as to score 500 variants."""
    entries: dict[str, _Entry] = {}
    lines = b"".join(read_chunks(index)).decode(errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            name, *fields = line.split("\t")
            entry = _Entry(*map(int, fields))
        except (TypeError, ValueError):
            raise FileError(f"{path}: {misfit} (line {number} of the index)") from None
        if name in entries:
            raise FileError(f"{path}: {misfit} (record '{name}' twice)")
        if entry.length == 0:
            raise FileError(f"{path}: record '{name}' has a header without sequence")
        if entry.per_line < 1:
            raise FileError(f"{path}: {misfit} (record '{name}')")
        entries[name] = entry
    if not entries:
        raise FileError(f"{path}: {misfit} (it is empty)")
    return entries


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
