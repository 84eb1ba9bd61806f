"""Sequences in FASTA files."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from enhancer_core.dna.codes import (
    ALPHABET,
    CODE_OF_LETTER,
    NOT_DNA,
    Codes,
    check_codes,
    describe_bad_letter,
)
from enhancer_core.errors import FileError, SequenceError
from enhancer_core.io.files import open_input, open_output

_CHUNK = 1 << 18  # bytes read at once
_BLANKS = b"\r \t"  # at the end of a line
_CODES = CODE_OF_LETTER.tobytes()
_LETTERS = bytes.maketrans(bytes(range(len(ALPHABET))), ALPHABET.encode())


@dataclass(frozen=True, slots=True)
class FastaRecord:
    """One FASTA record: its name, base codes uint8 (L,), and the line of its header."""

    name: str
    codes: Codes
    line: int


@dataclass(frozen=True, slots=True)
class Sequences:
    """Records of one length: names, and codes uint8 (n, L)."""

    names: list[str]
    codes: Codes

    def __len__(self) -> int:
        return len(self.names)


def read_records(path: Path, *, numbered: bool = False) -> Iterator[FastaRecord]:
    """Read the records of a FASTA file one by one; plain or gzip, LF or CRLF, either case.

    A record's name is the first word of its header; or its number from 1, if `numbered`, for files
    that have a name twice.

    Raises
    ------
    FileError
        If the file is empty or not FASTA, a header has no name or no sequence, or a name is
        there twice.
    SequenceError
        If a letter is not A, C, G, T or N.
    """
    for name, start, codes in _read(path, numbered=numbered):
        yield FastaRecord(name, np.frombuffer(bytearray(codes), dtype=np.uint8), start)


def _read(path: Path, *, numbered: bool) -> Iterator[tuple[str, int, bytes]]:
    """Yield each record's name, the line of its header, and its base codes."""
    seen: dict[str, int] = {}
    texts = _texts(path)
    blank = next(texts)
    start = blank.count(b"\n") + 1
    for text in texts:
        header, _, body = text.partition(b"\n")
        name = str(len(seen) + 1) if numbered else _name(path, header, start)
        if name in seen:
            raise FileError(
                f"{path} line {start}: name '{name}' is already on line {seen[name]};"
                " each record needs its own"
            )
        seen[name] = start
        letters = body.replace(b"\n", b"")
        # Not by indexing a table, which takes ten times as long.
        codes = letters.translate(_CODES)
        if NOT_DNA in codes:  # perhaps only blanks at the ends of lines
            codes = _codes(path, name, body, start)
        if not codes:
            raise FileError(f"{path} line {start}: record '{name}' has a header without sequence")
        yield name, start, codes
        start += 1 + len(body) - len(letters)
    if not seen:
        what = "only blank lines" if blank else "empty"
        raise FileError(f"{path}: {what}; a FASTA file with at least one record is needed")


def _texts(path: Path) -> Iterator[bytes]:
    """Yield what stands before the first header, then each record from behind its '>' on.

    Blocks are cut at every '>': to read line by line takes three times as long.
    """
    held: list[bytes] = []  # of a text that is not whole yet
    begun = False
    with open_input(path) as stream:
        while block := stream.read(_CHUNK):
            if not held:
                block = block.removeprefix(codecs.BOM_UTF8)
            rest, *texts = block.split(b">")
            if rest:
                held.append(rest)
            if not begun:
                _check_blank(path, b"".join(held), headed=bool(texts))
            for text in texts:
                if held and not held[-1].endswith(b"\n"):  # in a line
                    held += [b">", text]
                else:
                    yield b"".join(held)
                    begun, held = True, [text]
        yield b"".join(held)


def _check_blank(path: Path, text: bytes, *, headed: bool) -> None:
    """Raise unless a text is blank and, if a header follows, ends where a line does."""
    for number, line in enumerate(text.split(b"\n"), start=1):
        if line.rstrip(_BLANKS):
            raise FileError(
                f"{path} line {number}: not FASTA; the first line must be a header, '>name'"
            )
    if headed and line:
        raise FileError(f"{path} line {number}: a blank before '>name'; a header begins its line")


def _name(path: Path, header: bytes, number: int) -> str:
    words = header.split(maxsplit=1)
    if not words:
        raise FileError(f"{path} line {number}: header without a name; '>name' is needed")
    try:
        return words[0].decode()
    except UnicodeDecodeError as error:
        raise FileError(f"{path} line {number}: not a text file") from error


def _codes(path: Path, name: str, body: bytes, start: int) -> bytes:
    """Encode the lines that follow a header on line `start`, whatever blanks end them."""
    lines = [line.rstrip(_BLANKS) for line in body.split(b"\n")]
    for number, line in enumerate(lines, start=start + 1):
        if NOT_DNA in line.translate(_CODES):
            bad = describe_bad_letter(np.frombuffer(line, dtype=np.uint8))
            raise SequenceError(f"{path} line {number}: record '{name}': {bad}")
    return b"".join(lines).translate(_CODES)


def read_blocks(
    path: Path, *, size: int, length: int | None = None, numbered: bool = False
) -> Iterator[Sequences]:
    """Read records of one length, `size` of them at a time.

    Parameters
    ----------
    path
        FASTA, plain or gzip.
    size
        Records in a block; the last may have fewer.
    length
        The length that each record must have, in bp; None takes the first record's.
    numbered
        As `read_records`.

    Raises
    ------
    FileError, SequenceError
        As `read_records`; SequenceError also if a length differs.
    """
    names: list[str] = []
    rows: list[bytes] = []
    because = "the model reads" if length is not None else "the first record has"
    for name, line, codes in _read(path, numbered=numbered):
        length = len(codes) if length is None else length
        if len(codes) != length:
            raise SequenceError(
                f"{path} line {line}: record '{name}' has {len(codes)} bp;"
                f" {because} {length} (all must have one length)"
            )
        names.append(name)
        rows.append(codes)
        if len(names) == size:
            yield _stacked(names, rows)
            names, rows = [], []
    if names:
        yield _stacked(names, rows)


def _stacked(names: list[str], rows: list[bytes]) -> Sequences:
    codes = np.frombuffer(bytearray().join(rows), dtype=np.uint8)
    return Sequences(names, codes.reshape(len(rows), -1))


def read_sequences(path: Path, *, length: int | None = None, numbered: bool = False) -> Sequences:
    """Read a whole FASTA file of one length; arguments and errors as `read_blocks`."""
    (sequences,) = read_blocks(path, size=sys.maxsize, length=length, numbered=numbered)
    return sequences


def fasta_text(names: Sequence[str], rows: Iterable[Codes]) -> bytes:
    """Spell records as FASTA, a sequence on one line."""
    # A row at a time, but not by `decode`, which takes ten times as long for one.
    return b"".join(
        b">%b\n%b\n" % (name.encode(), row.tobytes().translate(_LETTERS))
        for name, row in zip(names, rows, strict=True)
    )


def write_fasta(path: Path, names: Sequence[str], codes: Codes) -> None:
    """Write sequences as FASTA, whole or not at all; .gz is compressed.

    Raises
    ------
    FileError
        If the file cannot be written.
    SequenceError
        If a code is above 4.
    """
    check_codes(codes)
    with open_output(path) as stream:
        stream.write(fasta_text(names, codes))
