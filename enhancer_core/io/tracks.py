"""Tracks along a genome: bedGraph and bigWig."""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyBigWig
from numpy.typing import NDArray

from enhancer_core.errors import FileError
from enhancer_core.io.files import StrPath, open_output, temporary_beside
from enhancer_core.io.outputs import BEDGRAPH, BIGWIG, format_of

_MAGIC_SIZE = 4  # bytes
_ENTRY = 64  # bytes that an entry may take on disk, with its share of the zoom levels
_SPARE = 1 << 20  # bytes for the header and the index

# One stretch: chromosome, starts int64 (m,), ends int64 (m,), values float32 (m,), in order, m > 0.
Stretch = tuple[str, NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]


def write_track(path: StrPath, stretches: Iterable[Stretch], lengths: Mapping[str, int]) -> None:
    """Write a track: bigWig or bedGraph, as the name's ending says.

    Parameters
    ----------
    path
        A bedGraph is compressed if it ends in .gz.
    stretches
        In the order of `lengths`, then of position, without overlaps.
    lengths
        Chromosome sizes in bp, in the genome's order.

    Raises
    ------
    FileError
        If the ending is of neither.
    """
    path = Path(path)
    if format_of(path, BEDGRAPH, BIGWIG) is BIGWIG:
        _write_bigwig(path, stretches, lengths)
        return
    with open_output(path) as stream:
        for chrom, starts, ends, values in stretches:
            rows = zip(starts.tolist(), ends.tolist(), values.tolist(), strict=True)
            text = "".join(f"{chrom}\t{start}\t{end}\t{value:.6g}\n" for start, end, value in rows)
            stream.write(text.encode())


def _write_bigwig(path: Path, stretches: Iterable[Stretch], lengths: Mapping[str, int]) -> None:
    with temporary_beside(path) as temporary:
        with _write_errors(path):
            file = pyBigWig.open(str(temporary), "w")
            file.addHeader(list(lengths.items()))
        for chrom, starts, ends, values in stretches:
            _check_space(temporary.parent, len(starts))
            width, numbers = int(ends[0] - starts[0]), values.astype(float)
            with _write_errors(path):
                # Even bins without gaps take a third of the time and two thirds of the space.
                if (np.diff(starts) == width).all() and (ends == starts + width).all():
                    file.addEntries(chrom, int(starts[0]), values=numbers, span=width, step=width)
                else:
                    file.addEntries([chrom] * len(starts), starts, ends=ends, values=numbers)
        file.close()
        if not _ends_with_its_magic(temporary):
            raise FileError(f"{path}: cannot be written (it came out cut; the disk may be full)")
        _sort_names(temporary)


@contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # pyBigWig's, over several lines
        raise FileError(f"{path}: cannot be written ({' '.join(str(error).split())})") from error


def _check_space(folder: Path, entries: int) -> None:
    """Raise before the disk is full: pyBigWig overruns its buffer where writing entries fails."""
    if shutil.disk_usage(folder).free < _ENTRY * entries + _SPARE:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _ends_with_its_magic(path: Path) -> bool:
    """Return whether a bigWig is whole; pyBigWig does not say so where closing it failed."""
    with path.open("rb") as file:
        first = file.read(_MAGIC_SIZE)
        file.seek(-_MAGIC_SIZE, os.SEEK_END)
        return file.read() == first


def _sort_names(path: Path) -> None:
    """Sort the chromosome tree of a bigWig, which readers search by the bytes of names.

    pyBigWig writes names in the order given, 32,767 a node: of more, readers do not find those that
    stand in another node than where they search. Numbers of chromosomes, by which data is ordered,
    stay. The format is that of Kent et al. 2010, supplementary tables 8 to 11.
    """
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        (tree,) = struct.unpack_from("<Q", data, 8)
        (width,) = struct.unpack_from("<I", data, tree + 8)  # bytes of a name
        leaves, branches, nodes = list[int](), list[tuple[int, int]](), [tree + 32]
        for node in nodes:
            is_leaf, _, count = struct.unpack_from("<BBH", data, node)
            items = range(node + 4, node + 4 + count * (width + 8), width + 8)
            if is_leaf:
                leaves += items
            else:
                below = [struct.unpack_from("<Q", data, item + width)[0] for item in items]
                branches += zip(items, below, strict=True)
                nodes += below
        chroms = sorted(data[item : item + width + 8] for item in leaves)
        for item, chrom in zip(leaves, chroms, strict=True):
            data[item : item + width + 8] = chrom
        for item, node in reversed(branches):  # the first name below; those of lower nodes first
            data[item : item + width] = data[node + 4 : node + 4 + width]
