"""Files compressed by bgzip: gzip in blocks, each of which can be unpacked by itself."""

from __future__ import annotations

import zlib
from functools import lru_cache
from mmap import mmap
from pathlib import Path
from types import ModuleType

import numpy as np

from enhancer_core.errors import EnhancerError, FileError
from enhancer_core.io.files import StrPath, first_bytes

_MAGIC = b"\x1f\x8b\x08\x04"
_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_BLOCK = 1 << 16  # bytes of content in a block, at most
_CACHE = 64  # blocks


def is_bgzip(path: StrPath) -> bool:
    """Return whether a file is compressed by bgzip, by its content."""
    return first_bytes(path).startswith(_MAGIC)


def check_complete(path: StrPath) -> None:
    """Check that a bgzip file has its end mark: cut between two blocks, it is still valid gzip.

    Raises
    ------
    FileError
        If it has none.
    """
    with Path(path).open("rb") as raw:
        raw.seek(-min(len(_END), raw.seek(0, 2)), 2)
        if raw.read() != _END:
            raise FileError(f"{path}: the bgzip data lacks its end mark; the file is cut")


class BgzipBytes:
    """The content of a bgzip file, which slices to bytes; only the blocks needed are unpacked.

    `path` is for messages, `packed` the file itself; `index` is its `.gzi`: a count, then the
    offsets of each block but the first in the file and in the content, all uint64. FileError is
    raised if the index does not fit, and, while slicing, if the data is damaged.
    """

    def __init__(self, path: Path, packed: mmap, index: bytes) -> None:
        numbers = np.frombuffer(index[: len(index) // 8 * 8], dtype="<u8").astype(np.int64)
        self._path, self._packed = path, packed
        self._offsets = np.array([0, *numbers[1::2], len(packed)])
        self._starts = np.array([0, *numbers[2::2]])
        if len(numbers) != 2 * numbers[:1].sum() + 1 or (np.diff(self._offsets) < 1).any():
            raise FileError(self._misfit("the count or an offset is wrong"))
        # Blocks are read again and again where windows are close; to unpack one takes 0.2 ms.
        self._block = lru_cache(_CACHE)(self._unpack)
        self._length = int(self._starts[-1]) + len(self._block(len(self._starts) - 1))

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, key: slice, /) -> bytes:
        start, stop, _ = key.indices(self._length)
        if start >= stop:
            return b""
        first, last = (np.searchsorted(self._starts, [start, stop - 1], "right") - 1).tolist()
        content = b"".join([self._block(number) for number in range(first, last + 1)])
        return content[start - int(self._starts[first]) : stop - int(self._starts[first])]

    def _unpack(self, number: int) -> bytes:
        packed = self._packed[self._offsets[number] : self._offsets[number + 1]]
        try:
            content = zlib.decompress(packed, wbits=31, bufsize=_BLOCK)
        except zlib.error as error:
            raise FileError(self._misfit(str(error))) from error
        if number + 1 < len(self._starts) and len(content) != np.diff(self._starts)[number]:
            raise FileError(self._misfit("the size of a block is wrong"))
        return content

    def _misfit(self, reason: str) -> str:
        return (
            f"{self._path}: the bgzip data is damaged, or the index {self._path}.gzi does not fit"
            f" this file and is to be deleted ({reason})"
        )


def import_pysam(what: str) -> ModuleType:
    """Import pysam for `what`, which begins the message if it is not installed.

    Raises
    ------
    EnhancerError
        If pysam is not installed.
    """
    try:
        import pysam  # takes as long as to score 100 variants, which plain files do without
    except ImportError as error:
        raise EnhancerError(f"{what} needs pysam: pip install pysam") from error
    pysam.set_verbosity(0)  # htslib prints on its own; what matters comes back as an error
    return pysam
