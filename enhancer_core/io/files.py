"""Open files for reading, and write them whole or not at all; the wing describes the errors."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO, TypeAlias, cast

from enhancer_core.errors import FileError

StrPath: TypeAlias = str | Path

GZIP_MAGIC = b"\x1f\x8b"

_CHUNK = 1 << 20
_STANDARD = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
_DESCRIPTOR = re.compile(r"/(?:dev|proc/(?:self|thread-self|(?P<process>\d+)))/fd/(?P<number>\d+)")
_LINKS = 40  # followed at most, as by the system
_stdin: list[bytes] = []  # its content, once it has been kept
_unfinished: set[Path] = set()  # files and fresh folders, of all threads, that are not whole yet
_NOT_UTF8 = re.compile("[\udc80-\udcff]")  # how the error handler "surrogateescape" marks a byte


def descriptor_of(path: StrPath, standard: int = 1) -> int | None:
    """Return the open descriptor that a name stands for: `-`, /dev/stdout, /dev/fd/3, links to it.

    `standard` is that of `-`: 0 where it is read. None is any other name, of which the system
    opens the file anew: written from its start on, not where the descriptor stands.
    """
    name = str(path)
    if name == "-":
        return standard
    for _ in range(_LINKS):
        if name in _STANDARD:
            return _STANDARD[name]
        if match := _DESCRIPTOR.fullmatch(name):
            own = match["process"] in (None, str(os.getpid()))
            return int(match["number"]) if own else None
        link = Path(name)
        if not link.is_symlink():
            return None
        name = os.path.normpath(link.parent / link.readlink())
    return None


def first_bytes(path: StrPath) -> bytes:
    """Read the first 8 bytes of a file, which tell what it is."""
    with _read_errors(path), Path(path).open("rb") as raw:
        return raw.read(8)


def is_gzip(path: StrPath) -> bool:
    """Return whether a file is gzip-compressed, by its content."""
    return first_bytes(path).startswith(GZIP_MAGIC)


@contextmanager
def open_input(path: StrPath) -> Iterator[BinaryIO]:
    """Open a plain or gzip-compressed file as bytes; the content tells which, not the name.

    The file is opened once, so that a pipe can be read too; `-` is standard input.
    """
    with _read_errors(path), _open_to_read(path) as raw:
        if raw.peek(2).startswith(GZIP_MAGIC):
            with gzip.GzipFile(fileobj=raw) as unzipped:
                yield cast("BinaryIO", unzipped)
        else:
            yield raw


def _open_to_read(path: StrPath) -> io.BufferedReader:
    if str(path) == "-" and _stdin:
        return io.BufferedReader(io.BytesIO(_stdin[0]))
    number = descriptor_of(path, standard=0)
    return Path(path).open("rb") if number is None else os.fdopen(os.dup(number), "rb")


def read_chunks(path: StrPath) -> Iterator[bytes]:
    """Yield the bytes of a file, plain or gzip, 1 MiB at a time."""
    with open_input(path) as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def read_line_blocks(path: StrPath) -> Iterator[tuple[int, bytes]]:
    """Yield (number from 1 of the first line, whole lines of 1 MiB or so) of a file."""
    number = 1
    with open_input(path) as stream:
        while block := stream.read(_CHUNK):
            block += stream.readline()
            yield number, block
            number += block.count(b"\n")
            if b"\r" in block:
                number += block.count(b"\r") - block.count(b"\r\n")


def read_lines(path: StrPath) -> Iterator[tuple[int, str]]:
    """Yield (number from 1, line without its end) of a text file, LF or CRLF."""
    for first, block in read_line_blocks(path):
        yield from lines_of(path, block, first)


def lines_of(path: StrPath, block: bytes, first: int) -> Iterator[tuple[int, str]]:
    """Yield (line number, line without its end) of a block that begins with line `first`.

    Raises
    ------
    FileError
        If the block is not UTF-8 text.
    """
    # A strict decoder would fail on a whole buffer of lines, and not know which of them is bad.
    encoding = "utf-8-sig" if first == 1 else "utf-8"
    with io.TextIOWrapper(io.BytesIO(block), encoding=encoding, errors="surrogateescape") as text:
        for number, line in enumerate(text, start=first):
            if "\0" in line or (not line.isascii() and _NOT_UTF8.search(line)):
                raise FileError(f"{path} line {number}: not a text file")
            yield number, line.rstrip("\r\n")


def check_regular(path: StrPath, *, named: bool = False) -> None:
    """Raise if a file that is read twice, as for its checksum, can be read only once.

    Standard input, `-`, is kept in memory for this, unless it is to be opened by a name.

    Raises
    ------
    FileError
        If it is a pipe or a device.
    """
    if str(path) == "-" and not named:
        with _read_errors(path), _open_to_read(path) as raw:
            _stdin[:] = [raw.read()]
    elif str(path) == "-" or Path(path).is_fifo() or Path(path).is_char_device():
        raise FileError(f"{path}: not a regular file; it is read twice, so save it first")


def sha256(path: StrPath) -> str:
    """Return the SHA-256 of a file's bytes, 64 hexadecimal digits."""
    with _read_errors(path), _open_to_read(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def open_output(path: StrPath) -> Iterator[IO[bytes]]:
    """Write a file beside its place and rename it there, so that it is whole or absent.

    A path that ends in .gz is compressed, without a time stamp. A device or pipe is written as is;
    `-` is standard output, and what stands for an open descriptor is written into it.
    """
    path = Path(path)
    check_output(path)
    if is_stream(path):
        with _write_errors(path), _open_stream(path) as stream:
            yield stream
        return
    with temporary_beside(path) as temporary, temporary.open("wb") as raw:
        if path.suffix.lower() == ".gz":
            with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as zipped:
                yield cast("IO[bytes]", zipped)
        else:
            yield raw
        raw.flush()
        os.fsync(raw.fileno())


@contextmanager
def temporary_beside(path: StrPath) -> Iterator[Path]:
    """Yield a fresh name in the folder of `path`, for a library that writes by name.

    What stands under the name at the end takes the place of `path`; if the body raises, it is
    deleted instead. Where `path` is a link, the file that it points to is replaced.

    Raises
    ------
    FileError
        As `check_output`, or if `path` is a pipe or device.
    """
    path = Path(path)
    check_output(path)
    if is_stream(path):
        raise FileError(f"{path}: cannot be written (it is a pipe or device; a file is needed)")
    target = _target(path)
    _make_parents(target)
    with _write_errors(path):
        handle, name = tempfile.mkstemp(".partial", f".{target.name}.", target.parent)
        temporary = Path(name)
        _unfinished.add(temporary)
        try:
            os.umask(mask := os.umask(0))
            os.fchmod(handle, 0o666 & ~mask)
            os.close(handle)
            yield temporary
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
            _unfinished.discard(temporary)


def write_text(path: StrPath, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with open_output(path) as stream:
        stream.write(text.encode())


def read_json(path: StrPath) -> dict[str, Any]:
    """Read what `write_json` wrote."""
    content: dict[str, Any] = json.loads(b"".join(read_chunks(path)))
    return content


def write_json(path: StrPath, content: Mapping[str, Any]) -> None:
    """Write plain values as JSON.

    Raises
    ------
    ValueError
        If a number is not finite, which JSON cannot express.
    """
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files by their names in a folder, each whole or not at all; a/b makes the folder a."""
    for name, content in files.items():
        make_folder((folder / name).parent)
        with open_output(folder / name) as stream:
            stream.write(content)


def check_output(path: StrPath, *, folder: bool = False) -> None:
    """Raise, before the work starts, if `path`, a file or folder to be, cannot be written.

    Raises
    ------
    FileError
        If the other of file and folder has the name, or the nearest of the folders that it lies in
        and that exist is not writable.
    """
    path = Path(path)
    if folder and (is_stream(path) or path.is_file()):
        raise FileError(f"{path}: cannot be made (it is no folder; a folder name is needed)")
    if is_stream(path):
        return
    if path.is_dir() and not folder:
        raise FileError(f"{path}: cannot be written (it is a folder; a file name is needed)")
    above = path if folder else _target(path).parent
    while not above.exists():
        above = above.parent
    if not above.is_dir():
        raise FileError(f"{path}: cannot be written ({above} is not a folder)")
    if not os.access(above, os.W_OK | os.X_OK):
        raise FileError(f"{path}: cannot be written (folder {above} is not writable)")


def make_folder(path: Path) -> None:
    """Make an output folder, and those that it lies in, unless it is there.

    Raises
    ------
    FileError
        As `check_output`.
    """
    check_output(path, folder=True)
    with _write_errors(path, "made"):
        path.mkdir(parents=True, exist_ok=True)


@contextmanager
def output_folder(path: Path) -> Iterator[None]:
    """Make an output folder as `make_folder`; remove it if the body raises before it is filled."""
    fresh = not path.exists()
    make_folder(path)
    if fresh:
        _unfinished.add(path)
    try:
        yield
    except BaseException:
        if fresh and not any(path.iterdir()):
            path.rmdir()
        raise
    finally:
        _unfinished.discard(path)


def remove_unfinished() -> None:
    """Delete what any thread has half-written, before the process ends without waiting for them."""
    for path in sorted(_unfinished, reverse=True):  # what is in a folder comes before it
        with suppress(OSError):  # a folder that is filled stays
            if path.is_dir():
                path.rmdir()
            else:
                path.unlink()


def remove_partial(folder: Path) -> None:
    """Delete what a killed run left half-written in a folder."""
    for left in folder.glob(".*.partial"):
        left.unlink(missing_ok=True)


def is_stream(path: Path) -> bool:
    """Return whether an output is written as it comes: a descriptor, a named pipe, a device."""
    if descriptor_of(path) is not None:
        return True
    return path.exists() and not path.is_file() and not path.is_dir()


def _open_stream(path: Path) -> IO[bytes]:
    number = descriptor_of(path)
    return path.open("wb") if number is None else os.fdopen(os.dup(number), "wb")


def _target(path: Path) -> Path:
    """Follow a link, so that the file it points to is replaced and not the link."""
    return path.resolve() if path.is_symlink() else path


def _make_parents(path: Path) -> None:
    with _write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)


@contextmanager
def _read_errors(path: StrPath) -> Iterator[None]:
    try:
        yield
    except EOFError as error:
        raise FileError(f"{path}: the gzip data ends too early; the file is cut") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise FileError(f"{path}: the gzip data is damaged ({error})") from error
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror or error})") from error


@contextmanager
def _write_errors(path: Path, done: str = "written") -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise  # whoever reads has enough, as with `| head`; click ends without a word
    except OSError as error:
        raise FileError(f"{path}: cannot be {done} ({error.strerror or error})") from error
