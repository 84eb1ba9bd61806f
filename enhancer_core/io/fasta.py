"""Sequences in FASTA files."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from enhancer_core.dna import (
    ALPHABET,
    CODE_OF_LETTER,
    NOT_DNA,
    Codes,
    Letters,
    check_codes,
    describe_bad_letter,
)
from enhancer_core.errors import FileError, SequenceError
from enhancer_core.io.files import reading, writing

_CODES = CODE_OF_LETTER.tobytes()
_LETTERS = bytes.maketrans(bytes(range(len(ALPHABET))), ALPHABET.encode())


@dataclass(frozen=True, slots=True)
class Record:
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


def read_records(path: Path, *, numbered: bool = False) -> Iterator[Record]:
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
    seen: dict[str, int] = {}
    name, start = "", 0
    parts: list[bytes] = []
    with reading(path) as stream:
        number = 0
        for number, raw in enumerate(stream, start=1):
            line = raw.rstrip(b"\r\n \t")
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
            if line.startswith(b">"):
                if start:
                    yield _record(path, name, parts, start)
                name = str(len(seen) + 1) if numbered else _name(path, line, number)
                start, parts = number, []
                if name in seen:
                    raise FileError(
                        f"{path} line {number}: name '{name}' is already on line {seen[name]};"
                        " each record needs its own"
                    )
                seen[name] = number
            elif start:
                parts.append(line)  # a blank one too: lines are counted by it
            elif line:
                raise FileError(
                    f"{path} line {number}: not FASTA; the first line must be a header, '>name'"
                )
        if not start:
            what = "only blank lines" if number else "empty"
            raise FileError(f"{path}: {what}; a FASTA file with at least one record is needed")
        yield _record(path, name, parts, start)


def _name(path: Path, header: bytes, number: int) -> str:
    words = header[1:].split(maxsplit=1)
    if not words:
        raise FileError(f"{path} line {number}: header without a name; '>name' is needed")
    try:
        return words[0].decode()
    except UnicodeDecodeError as error:
        raise FileError(f"{path} line {number}: not a text file") from error


def _record(path: Path, name: str, parts: list[bytes], start: int) -> Record:
    # Not by indexing a table, which takes ten times as long.
    codes = bytearray().join(parts).translate(_CODES)
    if not codes:
        raise FileError(f"{path} line {start}: record '{name}' has a header without sequence")
    if NOT_DNA in codes:
        number, part = _line_of_bad_letter(parts, start)
        raise SequenceError(f"{path} line {number}: record '{name}': {describe_bad_letter(part)}")
    return Record(name, np.frombuffer(codes, dtype=np.uint8), start)


def _line_of_bad_letter(parts: list[bytes], start: int) -> tuple[int, Letters]:
    """Find the first line with a letter that is not DNA, in a record whose header is on `start`."""
    for number, part in enumerate(parts, start=start + 1):
        letters = np.frombuffer(part, dtype=np.uint8)
        if (CODE_OF_LETTER[letters] == NOT_DNA).any():
            return number, letters
    raise AssertionError("every letter is DNA")


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
    rows: list[Codes] = []
    because = "the model reads" if length is not None else "the first record has"
    for record in read_records(path, numbered=numbered):
        length = len(record.codes) if length is None else length
        if len(record.codes) != length:
            raise SequenceError(
                f"{path} line {record.line}: record '{record.name}' has {len(record.codes)} bp;"
                f" {because} {length} (all must have one length)"
            )
        names.append(record.name)
        rows.append(record.codes)
        if len(names) == size:
            yield Sequences(names, np.stack(rows))
            names, rows = [], []
    if names:
        yield Sequences(names, np.stack(rows))


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
    with writing(path) as stream:
        stream.write(fasta_text(names, codes))
