"""The data loader that the rows of `kipoi_models/` name: BED and FASTA to one-hot windows."""

from __future__ import annotations

import hashlib
import warnings
from contextlib import AbstractContextManager
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from kipoi.data import Dataset, kipoi_dataloader
from kipoi.metadata import GenomicRanges
from kipoi.specs import Author, DataLoaderSchema, Dependencies, RemoteFile
from kipoi_utils.utils import default_kwargs
from numpy.typing import NDArray

from enhancer_core.dna.codes import N_CODE, Codes, one_hot, reverse_complement
from enhancer_core.dna.intervals import Intervals, centred_windows, tiled_windows
from enhancer_core.errors import FileError, IntervalError
from enhancer_core.io.bed import read_bed_rows
from enhancer_core.io.files import read_chunks
from enhancer_core.io.genome import Genome, open_genome
from enhancer_core.models.architecture import BASES

_EXAMPLE = Path(__file__).parent / "example"
_STRAND = 5  # BED's column, from 0


# Kipoi reads the docstring: it is the loader's dataloader.yaml.
@kipoi_dataloader(
    override={
        "info.authors": [Author(name="The enhancer_core authors")],
        "dependencies": Dependencies(conda=["python>=3.11"], pip=["enhancer_core"]),
    }
)
class WindowDataset(Dataset):  # type: ignore[misc] # Kipoi has no types
    """
    info:
        doc: >
            Windows of one length around (or tiled over) the intervals of a BED file, cut out of a
            genome and one-hot encoded. Beyond the ends of a chromosome a window holds N, which is
            0.25 in all four channels. Chromosome names are matched exactly or by the rule
            chr1 = 1, with a warning.
    args:
        intervals_file:
            doc: BED of intervals, plain or .gz; kipoi-veff writes windows that reach over the ends
        fasta_file:
            doc: genome as FASTA, plain or .gz; an index (.fai) is made if there is none
        length:
            doc: length of a window in bp
        tile:
            doc: cut an interval into as many windows as fit, rather than one around its centre
        use_strand:
            doc: read intervals with a minus in column 6 on the other strand
    output_schema:
        inputs:
            name: seq
            shape: (4, None)
            special_type: DNASeq
            doc: one-hot DNA in the order A C G T, N 0.25
            associated_metadata: ranges
        metadata:
            ranges:
                type: GenomicRanges
                doc: the window, in the chromosome names of the BED file
    """  # noqa: D205, D400

    def __init__(
        self,
        intervals_file: str,
        fasta_file: str,
        length: int = 500,
        tile: bool = False,  # noqa: FBT001, FBT002 -- Kipoi passes and overrides by these names
        use_strand: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        # Absolute, since Kipoi changes folders between calls.
        self._fasta = Path(fasta_file).absolute()
        intervals, minus = _read_intervals(Path(intervals_file), stranded=bool(use_strand))
        cut = tiled_windows if tile else centred_windows
        self.windows = cut(intervals, int(length))
        # Lines are in order and unique, so they lead back from a tile to its interval.
        self._minus = minus[np.searchsorted(intervals.lines, self.windows.lines)]
        self._stranded = bool(use_strand)
        self._opened: tuple[AbstractContextManager[Genome], Genome] | None = None

    def __len__(self) -> int:
        return len(self.windows)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the open genome behind: a worker that is sent this data set opens its own."""
        return {**self.__dict__, "_opened": None}

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return one window: inputs float32 (4, L), and its place.

        Raises
        ------
        IntervalError
            If the chromosome is unknown, or the window lies wholly beyond its ends.
        FileError, SequenceError
            If the genome cannot be read.
        """
        strand = "*" if not self._stranded else "-" if self._minus[index] else "+"
        ((chrom, start, end),) = self.windows.take(np.array([index])).rows()
        return {
            "inputs": one_hot(self._codes(index, chrom, start, end)[np.newaxis])[0],
            "metadata": {"ranges": GenomicRanges(chrom, start, end, str(index), strand)},
        }

    def _codes(self, index: int, named: str, start: int, end: int) -> Codes:
        where = self.windows.where(index)
        if self._opened is None:
            opening = open_genome(self._fasta)
            self._opened = opening, opening.__enter__()  # closed when the data set is collected
        _, genome = self._opened
        known = len(genome.renamed)
        chrom = genome.name_of(named, where)
        if len(genome.renamed) > known:
            warnings.warn(  # not logged: Kipoi silences loggers that are not its own
                f"chromosome names matched by the rule chr1 = 1: {named} is {chrom} in"
                f" {self._fasta}",
                stacklevel=3,
            )
        first, last = max(start, 0), min(end, genome.lengths[chrom])
        if first >= last:
            raise IntervalError(
                f"{where}: window {start}-{end} lies beyond the ends of {chrom},"
                f" {genome.lengths[chrom]} bp"
            )
        codes = np.full(end - start, N_CODE, dtype=np.uint8)
        codes[first - start : last - start] = genome.codes(chrom, first, last)
        return reverse_complement(codes) if self._minus[index] else codes

    @classmethod
    def get_output_schema(cls) -> DataLoaderSchema:
        """Describe what an item is, with the window length that a row of a group asks for."""
        schema: DataLoaderSchema = deepcopy(cls.output_schema)
        schema.inputs.shape = (BASES, default_kwargs(cls)["length"])
        return schema


for _argument, _name in (("intervals_file", "intervals.bed"), ("fasta_file", "genome.fa")):
    _file = _EXAMPLE / _name
    _md5 = hashlib.md5(b"".join(read_chunks(_file)), usedforsecurity=False).hexdigest()
    WindowDataset.args[_argument].example = RemoteFile(_file.as_uri(), _md5, _name)


def _read_intervals(path: Path, *, stranded: bool) -> tuple[Intervals, NDArray[np.bool_]]:
    """Read BED whose intervals may reach over a chromosome's ends, and which of them are minus."""
    rows, minus = [], []
    note = partial(warnings.warn, stacklevel=5)
    for number, fields, start, end in read_bed_rows(path, note=note):
        strand = fields[_STRAND] if len(fields) > _STRAND else ""
        if stranded and strand not in ("+", "-", "."):
            raise FileError(
                f"{path} line {number}: strand '{strand}'; column 6 must be +, - or . (use_strand)"
            )
        rows.append((fields[0], start, end, number))
        minus.append(stranded and strand == "-")
    if not rows:
        raise FileError(f"{path}: no intervals; at least one is needed")
    chroms, *numbers = zip(*rows, strict=True)
    starts, ends, lines = np.array(numbers, dtype=np.int64)
    intervals = Intervals(np.array(chroms, dtype=np.str_), starts, ends, str(path), lines)
    return intervals, np.array(minus, dtype=np.bool_)
