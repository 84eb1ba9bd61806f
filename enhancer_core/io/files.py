"""Open files for reading, and write them whole or not at all."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from enhancer_core.errors import FileError

GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 1 << 20


def first_bytes(path: Path) -> bytes:
    """Read the first 8 bytes of a file, which tell what it is.

    Raises
    ------
    FileError
        If the file cannot be read.
    """
    try:
        with path.open("rb") as raw:
            return raw.read(8)
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({_reason(error)})") from error


def is_gzip(path: Path) -> bool:
    """Tell by its content whether a file is gzip-compressed.

    Raises
    ------
    FileError
        If the file cannot be read.
    """
    return first_bytes(path).startswith(GZIP_MAGIC)


@contextmanager
def reading(path: Path) -> Iterator[BinaryIO]:
    """Open a plain or gzip-compressed file as bytes; the content tells which, not the name.

    Raises
    ------
    FileError
        If the file is missing, a folder, not readable, or its gzip data is cut or damaged.
    """
    opener = gzip.open if is_gzip(path) else open
    try:
        with opener(path, "rb") as stream:
            yield cast("BinaryIO", stream)
    except EOFError as error:
        raise FileError(f"{path}: the gzip data ends too early; the file is cut") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise FileError(f"{path}: the gzip data is damaged ({error})") from error
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({_reason(error)})") from error


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its end) of a text file, plain or gzip, LF or CRLF.

    Raises
    ------
    FileError
        If the file cannot be read or is not UTF-8 text.
    """
    with reading(path) as stream:
        number = 0
        try:
            with io.TextIOWrapper(stream, encoding="utf-8-sig") as text:
                for number, line in enumerate(text, start=1):
                    yield number, line.rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise FileError(f"{path} line {number + 1}: not a text file") from error


def sha256(path: Path) -> str:
    """Digest a file's bytes, as 64 hexadecimal digits.

    Raises
    ------
    FileError
        If the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({_reason(error)})") from error
    return digest.hexdigest()


@contextmanager
def writing(path: Path) -> Iterator[IO[bytes]]:
    """Write a file beside its place and rename it there, so that it is whole or absent.

    A path that ends in .gz is compressed, without a time stamp. A device or pipe is written as is.

    Raises
    ------
    FileError
        If the folder is missing or not writable, or the disk is full.
    """
    check_output(path)
    try:
        if path.exists() and not path.is_file():  # /dev/stdout, a named pipe
            with path.open("wb") as stream:
                yield stream
            return
        with temporary_beside(path) as temporary:
            with temporary.open("wb") as raw:
                if path.suffix == ".gz":
                    with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as zipped:
                        yield cast("IO[bytes]", zipped)
                else:
                    yield raw
                raw.flush()
                os.fsync(raw.fileno())
            temporary.replace(path)
    except OSError as error:
        raise FileError(f"{path}: cannot be written ({_reason(error)})") from error


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """Give a fresh name in the folder of `path`, for a library that writes by name.

    The caller renames it to its place; whatever is left under the name at the end is deleted.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")
    temporary = Path(name)
    try:
        os.fchmod(handle, 0o666 & ~_umask())
        os.close(handle)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all.

    Raises
    ------
    FileError
        If the folder is missing or not writable, or the disk is full.
    """
    with writing(path) as stream:
        stream.write(text.encode())


def check_output(path: Path) -> None:
    """Raise before the work starts if `path` could not be written at its end.

    Raises
    ------
    FileError
        If its folder is missing or not writable, or it is a folder itself.
    """
    folder = path.parent
    if not folder.is_dir():
        raise FileError(f"{path}: cannot be written (folder {folder} does not exist)")
    if path.is_dir():
        raise FileError(f"{path}: cannot be written (it is a folder; a file name is needed)")
    if not path.exists() and not os.access(folder, os.W_OK | os.X_OK):
        raise FileError(f"{path}: cannot be written (folder {folder} is not writable)")


def make_folder(path: Path) -> None:
    """Make an output folder unless it is there; its parent must be.

    Raises
    ------
    FileError
        If the parent is missing, a file has the name, or permission is lacking.
    """
    if not path.parent.is_dir():
        raise FileError(f"{path}: cannot be made (folder {path.parent} does not exist)")
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise FileError(f"{path}: cannot be made ({_reason(error)})") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise FileError(f"{path}: cannot be written (the folder is not writable)")


def remove_partial(folder: Path) -> None:
    """Delete what a killed run left half-written in a folder."""
    for left in folder.glob(".*.partial"):
        left.unlink(missing_ok=True)


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno in errno.errorcode else str(error)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
