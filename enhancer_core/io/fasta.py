"""Sequences in FASTA files."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from enhancer_core.dna import codes as dna
from enhancer_core.dna.codes import ALPHABET, NOT_DNA, Codes
from enhancer_core.errors import FileError, SequenceError
from enhancer_core.io.files import StrPath, open_input, open_output

_BLANKS = b"\r \t"  # at the end of a line
_CODES = dna.CODE_OF_LETTER.tobytes()
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


def read_records(path: StrPath, *, numbered: bool = False) -> Iterator[FastaRecord]:
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


def _read(path: StrPath, *, numbered: bool) -> Iterator[tuple[str, int, bytes]]:
    """Yield each record's name, the line of its header, and its base codes."""
    seen: dict[str, int] = {}
    name, number = "", 0
    lines: list[bytes] = []
    with open_input(path) as stream:
        for number, line in enumerate(stream, start=1):
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
            if not line.startswith(b">"):
                if not seen:
                    _check_blank(path, number, line)
                lines.append(line)
                continue
            if seen:
                yield name, seen[name], _codes(path, name, seen[name], lines)
            name, lines = str(len(seen) + 1) if numbered else _name(path, line[1:], number), []
            if name in seen:
                raise FileError(
                    f"{path} line {number}: name '{name}' is already on line {seen[name]};"
                    " each record needs its own"
                )
            seen[name] = number
    if not seen:
        what = "only blank lines" if number else "empty"
        raise FileError(f"{path}: {what}; a FASTA file with at least one record is needed")
    yield name, seen[name], _codes(path, name, seen[name], lines)


def _check_blank(path: StrPath, number: int, line: bytes) -> None:
    """Raise unless a line before the first header is blank."""
    if line.lstrip(_BLANKS).startswith(b">"):
        raise FileError(f"{path} line {number}: a blank before '>name'; a header begins its line")
    if line.rstrip(b"\n").rstrip(_BLANKS):
        raise FileError(
            f"{path} line {number}: not FASTA; the first line must be a header, '>name'"
        )


def _name(path: StrPath, header: bytes, number: int) -> str:
    words = header.split(maxsplit=1)
    if not words:
        raise FileError(f"{path} line {number}: header without a name; '>name' is needed")
    try:
        return words[0].decode()
    except UnicodeDecodeError as error:
        raise FileError(f"{path} line {number}: not a text file") from error


def _codes(path: StrPath, name: str, start: int, lines: list[bytes]) -> bytes:
    """Encode the lines that follow a header on line `start`, whatever blanks end them."""
    # Not by indexing a table, which takes ten times as long.
    codes = b"".join(lines).translate(_CODES, b"\n")
    if NOT_DNA in codes:  # perhaps only blanks at the ends of lines
        lines = [line.removesuffix(b"\n").rstrip(_BLANKS) for line in lines]
        for number, line in enumerate(lines, start=start + 1):
            if NOT_DNA in line.translate(_CODES):
                bad = dna.describe_bad_letter(np.frombuffer(line, dtype=np.uint8))
                raise SequenceError(f"{path} line {number}: record '{name}': {bad}")
        codes = b"".join(lines).translate(_CODES)
    if not codes:
        raise FileError(f"{path} line {start}: record '{name}' has a header without sequence")
    return codes


def read_blocks(
    path: StrPath, *, size: int, length: int | None = None, numbered: bool = False
) -> Iterator[Sequences]:
    """Read records of one length, `size` of them at a time; the last block may have fewer.

    `length`, in bp, is what each record must have; None takes the first record's. `numbered` is as
    in `read_records`.

    Raises
    ------
    FileError, SequenceError
        As `read_records`; SequenceError also if a length differs.
    """
    records = _of_one_length(path, length, numbered=numbered)
    while block := list(islice(records, size)):
        names, rows = zip(*block, strict=True)
        codes = np.frombuffer(bytearray().join(rows), dtype=np.uint8)
        yield Sequences(list(names), codes.reshape(len(rows), -1))


def _of_one_length(
    path: StrPath, length: int | None, *, numbered: bool
) -> Iterator[tuple[str, bytes]]:
    because = "the model reads" if length is not None else "the first record has"
    for name, line, codes in _read(path, numbered=numbered):
        length = len(codes) if length is None else length
        if len(codes) != length:
            raise SequenceError(
                f"{path} line {line}: record '{name}' has {len(codes)} bp;"
                f" {because} {length} (all must have one length)"
            )
        yield name, codes


def read_fasta(path: StrPath, *, length: int | None = None, numbered: bool = False) -> Sequences:
    """Read a whole FASTA file, whose records have one length.

    Parameters
    ----------
    path, length, numbered
        As `read_blocks`.

    Returns
    -------
    Sequences
        Names, and codes uint8 (n, L).

    Raises
    ------
    FileError, SequenceError
        As `read_blocks`.
    """
    (sequences,) = read_blocks(path, size=sys.maxsize, length=length, numbered=numbered)
    return sequences


def fasta_text(names: Sequence[str], rows: Iterable[Codes]) -> bytes:
    """Return records as FASTA text, each sequence on one line."""
    # A row at a time, but not by `decode`, which takes ten times as long for one.
    return b"".join(
        b">%b\n%b\n" % (name.encode(), row.tobytes().translate(_LETTERS))
        for name, row in zip(names, rows, strict=True)
    )


def write_fasta(path: StrPath, names: Sequence[str], codes: Codes) -> None:
    """Write sequences as FASTA; .gz is compressed.

    Raises
    ------
    SequenceError
        If a code is above 4.
    """
    dna.check_codes(codes)
    with open_output(path) as stream:
        stream.write(fasta_text(names, codes))
