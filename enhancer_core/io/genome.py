"""A genome FASTA with random access, through a pyfaidx index."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyfaidx

from enhancer_core.dna import CODE_OF_GENOME_LETTER, NOT_DNA, Codes, Letters
from enhancer_core.errors import FileError, IntervalError, SequenceError
from enhancer_core.intervals import Intervals
from enhancer_core.io.files import is_gzip, reading

_LINE_END = 13  # bytes up to carriage return never belong to a sequence


class Genome:
    """An open genome: `lengths` (chromosome name -> bp), and letters by position.

    Positions are 0-based and half-open. Soft-masked letters keep their case; IUPAC ambiguity
    letters, of which real assemblies hold a few, read as N.
    """

    def __init__(self, path: Path, *, fasta: Path, index: Path) -> None:
        entries = _read_index(path, fasta, index)
        self.path = path
        self.lengths = {name: int(entry.rlen) for name, entry in entries.items()}
        self._layout = {
            name: (entry.offset, entry.lenc, entry.lenb) for name, entry in entries.items()
        }
        self._bytes = np.memmap(fasta, dtype=np.uint8, mode="r")
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
        names, rows = np.unique(intervals.chroms, return_inverse=True)
        first = {name: int(np.argmax(rows == i)) for i, name in enumerate(names)}
        ours = [self.name_of(str(name), intervals.where(first[name])) for name in names]
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
        """Fetch the ASCII letters of an interval inside a chromosome, case kept: uint8 (L,)."""
        offset, per_line, bytes_per_line = self._layout[chrom]
        end = self.lengths[chrom] if end is None else end
        if not 0 <= start <= end <= self.lengths[chrom]:
            raise IntervalError(
                f"{chrom}:{start}-{end} is not inside {chrom}, which has {self.lengths[chrom]} bp"
            )
        if start == end:
            return np.zeros(0, dtype=np.uint8)
        first = offset + start // per_line * bytes_per_line + start % per_line
        last = offset + (end - 1) // per_line * bytes_per_line + (end - 1) % per_line
        raw = np.asarray(self._bytes[first : last + 1])
        return raw[raw > _LINE_END]

    def codes(self, chrom: str, start: int = 0, end: int | None = None) -> Codes:
        """Fetch the base codes of an interval inside a chromosome: uint8 (L,).

        Raises
        ------
        SequenceError
            If a letter is neither a base, N nor an IUPAC ambiguity code.
        """
        letters = self.letters(chrom, start, end)
        codes = CODE_OF_GENOME_LETTER[letters]
        if (codes == NOT_DNA).any():
            position = int(np.argmax(codes == NOT_DNA))
            raise SequenceError(
                f"{self.path}: letter '{chr(letters[position])}' at {chrom}:{start + position} is"
                " not DNA; allowed are A C G T N and IUPAC ambiguity codes"
            )
        return codes

    def windows(self, windows: Intervals) -> Codes:
        """Fetch windows of one length, all inside their chromosomes: uint8 (n, L)."""
        length = int(windows.ends[0] - windows.starts[0]) if len(windows) else 0
        codes = np.empty((len(windows), length), dtype=np.uint8)
        for row, (chrom, start, end) in enumerate(
            zip(
                windows.chroms.tolist(), windows.starts.tolist(), windows.ends.tolist(), strict=True
            )
        ):
            codes[row] = self.codes(chrom, start, end)
        return codes


@contextmanager
def open_genome(path: Path, *, note: Callable[[str], None] | None = None) -> Iterator[Genome]:
    """Open a genome FASTA, plain or gzip.

    The index `path.fai` is used if it is not older than the FASTA; otherwise it is made, and
    kept beside the FASTA where that folder can be written. A gzip file is unpacked into a
    temporary folder first, which is deleted at the end.

    Parameters
    ----------
    path
        FASTA file; lines of a record must have one length, as for `samtools faidx`.
    note
        Called at the end with a line for the user if names were matched by the rule chr1 = 1.

    Raises
    ------
    FileError
        If the file cannot be read, or is not FASTA that can be indexed.
    """
    with tempfile.TemporaryDirectory(prefix="enhancer-core-") as name:
        folder = Path(name)
        fasta = _unpacked(path, folder) if is_gzip(path) else path
        genome = Genome(path, fasta=fasta, index=_index(path, fasta, folder))
        yield genome
        if genome.renamed and note is not None:
            ours, theirs = next(iter(genome.renamed.items()))
            note(
                f"chromosome names matched by the rule chr1 = 1: {ours} is {theirs} in {path}"
                f" ({len(genome.renamed)} names)"
            )


def _unpacked(path: Path, folder: Path) -> Path:
    fasta = folder / path.name.removesuffix(".gz")
    with reading(path) as packed, fasta.open("wb") as unpacked:
        shutil.copyfileobj(packed, unpacked, 1 << 20)
    return fasta


def _index(path: Path, fasta: Path, folder: Path) -> Path:
    """Find or build the index; build it whole in `folder`, then rename it to beside the FASTA."""
    beside = Path(f"{fasta}.fai")
    if beside.exists() and beside.stat().st_mtime >= fasta.stat().st_mtime:
        return beside
    fresh = folder / "index.fai"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pyfaidx.Faidx(str(fasta), indexname=str(fresh)).close()
    except UnicodeDecodeError as error:
        raise FileError(f"{path}: not FASTA (it is not a text file)") from error
    except (pyfaidx.FastaIndexingError, ValueError, IndexError) as error:
        raise FileError(f"{path}: not FASTA that can be indexed ({_one_line(error)})") from error
    if os.access(fasta.parent, os.W_OK):
        partial = fasta.parent / f".{fasta.name}.fai.{os.getpid()}.partial"
        try:
            shutil.copyfile(fresh, partial)
            partial.replace(beside)
        except OSError:  # a folder that only looks writable: the index in `folder` serves
            partial.unlink(missing_ok=True)
    return fresh


def _read_index(path: Path, fasta: Path, index: Path) -> Mapping[str, pyfaidx.IndexRecord]:
    try:
        faidx = pyfaidx.Faidx(str(fasta), indexname=str(index), rebuild=False)
    except (pyfaidx.FastaIndexingError, ValueError) as error:
        raise FileError(f"{path}: its index cannot be used ({_one_line(error)})") from error
    entries = dict(faidx.index)
    faidx.close()
    size = fasta.stat().st_size
    for name, entry in entries.items():
        if not entry.rlen:
            raise FileError(f"{path}: record '{name}' has a header without sequence")
        if entry.offset + entry.rlen > size:
            raise FileError(f"{path}: index {index} does not fit this file; delete the index")
    return entries


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
