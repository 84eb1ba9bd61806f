"""Sequences in FASTA files."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path

import numpy as np

from enhancer_core.dna import codes as dna
from enhancer_core.dna.codes import (
    ALPHABET,
    NOT_DNA,
    Codes,
    Note,
    describe_fit,
    fit_length,
    leave_out_unknown,
)
from enhancer_core.errors import FileError, SequenceError
from enhancer_core.io.bgzf import check_complete, is_bgzip
from enhancer_core.io.files import StrPath, open_output, read_line_blocks

_BLANKS = b" \t"  # at the end of a line
_COMMENT = b";"  # of the old form of FASTA
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
    """Read the records of a FASTA file one by one; plain or gzip, either case.

    Line ends are LF, CRLF or CR; blank lines, blanks at the ends of lines, comments (lines that
    begin with `;`) and a byte order mark are left out.

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
    name, start, parts = "", 0, [b""]
    for piece in read_pieces(path, _CODES, numbered=numbered):
        if piece[1] == start:
            parts.append(piece[2])
            continue
        if start:
            yield name, start, b"".join(parts)
        name, start, parts = *piece[:2], [piece[2]]
    yield name, start, b"".join(parts)


def read_pieces(
    path: StrPath, table: bytes, *, numbered: bool = False
) -> Iterator[tuple[str, int, bytes]]:
    """Yield (name, line of the header, next letters) of a FASTA file, 1 MiB or so at a time.

    The one reader of sequence files and genomes: lines end with LF, CRLF or CR; a byte order mark,
    blank lines, blanks at the ends of lines, and lines that begin with `;` (comments) are left out.

    Parameters
    ----------
    path, numbered
        As for `read_records`.
    table
        256 bytes, by which letters are translated; what it maps to `NOT_DNA` is refused.

    Raises
    ------
    FileError, SequenceError
        As `read_records`.
    """
    seen: dict[str, int] = {}
    name, empty, number = "", False, 0
    for number, header, lines in _parts(path):
        if header is not None:
            if empty:
                raise _empty(path, name, seen[name])
            name = str(len(seen) + 1) if numbered else _name(path, header[1:], number, seen)
            seen[name], empty = number, True
        elif not seen:
            _check_blank(path, lines, number)
            continue
        first = number + (header is not None)
        if letters := _letters(path, name, lines, first, table):
            empty = False
            yield name, seen[name], letters
    if not seen:
        what = "only blank lines or comments" if number else "empty"
        raise FileError(f"{path}: {what}; a FASTA file with at least one record is needed")
    if empty:
        raise _empty(path, name, seen[name])


def _parts(path: StrPath) -> Iterator[tuple[int, bytes | None, list[bytes]]]:
    """Yield (line number, header, lines below it); no header is what a record goes on with."""
    for number, text in _blocks(path):
        start, header = number, None
        lines: list[bytes] = []
        for place, line in enumerate(BytesIO(text), start=number):
            if line.startswith(b">"):
                yield start, header, lines
                start, header, lines = place, line, []
            else:
                lines.append(line)
        yield start, header, lines


def _blocks(path: StrPath) -> Iterator[tuple[int, bytes]]:
    """Yield whole lines, all ended by LF, with the number of the first."""
    if Path(path).is_file() and is_bgzip(path):  # a pipe is opened once
        check_complete(path)
    for first, block in read_line_blocks(path):
        text = block.removeprefix(codecs.BOM_UTF8) if first == 1 else block
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        yield first, text


def _check_blank(path: StrPath, lines: list[bytes], first: int) -> None:
    """Raise unless the lines before the first header are blank, or comments."""
    for number, line in enumerate(lines, start=first):
        if line.lstrip(_BLANKS).startswith(b">"):
            raise FileError(
                f"{path} line {number}: a blank before '>name'; a header begins its line"
            )
        if line.rstrip(_BLANKS + b"\n") and not line.startswith(_COMMENT):
            raise FileError(
                f"{path} line {number}: not FASTA; the first line must be a header, '>name'"
            )


def _empty(path: StrPath, name: str, number: int) -> FileError:
    return FileError(f"{path} line {number}: record '{name}' has a header without sequence")


def _name(path: StrPath, header: bytes, number: int, seen: dict[str, int]) -> str:
    words = header.split(maxsplit=1)
    if not words:
        raise FileError(f"{path} line {number}: header without a name; '>name' is needed")
    try:
        name = words[0].decode()
    except UnicodeDecodeError as error:
        raise FileError(f"{path} line {number}: not a text file") from error
    if name in seen:
        raise FileError(
            f"{path} line {number}: name '{name}' is already on line {seen[name]};"
            " each record needs its own"
        )
    return name


def _letters(path: StrPath, name: str, lines: list[bytes], first: int, table: bytes) -> bytes:
    """Join lines of a record, from line `first` on, without comments and blanks at their ends."""
    # Not by indexing a table, which takes ten times as long.
    letters = b"".join(lines).translate(table, b"\n")
    if NOT_DNA not in letters:
        return letters
    lines = [b"" if line.startswith(_COMMENT) else line.rstrip(_BLANKS + b"\n") for line in lines]
    for number, line in enumerate(lines, start=first):
        if NOT_DNA in line.translate(table):
            bad = dna.describe_bad_letter(
                np.frombuffer(line, dtype=np.uint8), np.frombuffer(table, dtype=np.uint8)
            )
            raise SequenceError(f"{path} line {number}: record '{name}': {bad}")
    return b"".join(lines).translate(table)


def read_blocks(
    path: StrPath,
    *,
    size: int,
    length: int | None = None,
    expected: int | None = None,
    numbered: bool = False,
    note: Note | None = None,
) -> Iterator[Sequences]:
    """Read records of one length, `size` of them at a time; the last block may have fewer.

    Parameters
    ----------
    path, numbered
        As for `read_records`.
    size
        Records at a time.
    length
        bp to which each record is cut or padded, as by `fit_length`; without, all need one length.
    expected
        bp that each must have where there is no `length`; None takes the first record's.
    note
        Called at the end with a line that counts what was cut and padded, if anything was.

    Raises
    ------
    FileError, SequenceError
        As `read_records`; SequenceError also if a length differs.
    """
    lengths: list[int] = []
    records = _records(path, length, expected, lengths, numbered=numbered)
    while block := list(islice(records, size)):
        yield _stack(block)
    if length is not None and note is not None and (line := describe_fit(path, lengths, length)):
        note(line)


def _stack(records: Sequence[tuple[str, bytes]]) -> Sequences:
    names, rows = zip(*records, strict=True)
    codes = np.frombuffer(bytearray().join(rows), dtype=np.uint8)
    return Sequences(list(names), codes.reshape(len(rows), -1))


def _records(
    path: StrPath, length: int | None, expected: int | None, lengths: list[int], *, numbered: bool
) -> Iterator[tuple[str, bytes]]:
    """Return names and codes; what is cut or padded adds the length that it had to `lengths`."""
    if length is None:
        return _of_one_length(path, expected, numbered=numbered)
    return _fitted(path, length, lengths, numbered=numbered)


def _fitted(
    path: StrPath, length: int, lengths: list[int], *, numbered: bool
) -> Iterator[tuple[str, bytes]]:
    for name, _, codes in _read(path, numbered=numbered):
        lengths.append(len(codes))
        yield name, fit_length(codes, length)


def _of_one_length(
    path: StrPath, expected: int | None, *, numbered: bool
) -> Iterator[tuple[str, bytes]]:
    because = "the first record has" if expected is None else "the model reads"
    way_out = f"--length {expected or 'BP'} cuts or pads each"
    for name, line, codes in _read(path, numbered=numbered):
        expected = len(codes) if expected is None else expected
        if len(codes) != expected:
            raise SequenceError(
                f"{path} line {line}: record '{name}' has {len(codes)} bp;"
                f" {because} {expected} (all must have one length; {way_out})"
            )
        yield name, codes


def read_fasta(
    path: StrPath,
    *,
    length: int | None = None,
    expected: int | None = None,
    numbered: bool = False,
    note: Note | None = None,
) -> Sequences:
    """Read a whole FASTA file, whose records have one length, or get one.

    Parameters
    ----------
    path, length, expected, numbered
        As `read_blocks`. With `length`, records that are mostly N then are left out.
    note
        As for `leave_out_unknown`, which counts them.

    Returns
    -------
    Sequences
        Names, and codes uint8 (n, L).

    Raises
    ------
    FileError, SequenceError
        As `read_blocks`; SequenceError also if no record is left.
    """
    lengths: list[int] = []
    records = _records(path, length, expected, lengths, numbered=numbered)
    sequences = _stack(list(records))
    if length is None:
        return sequences
    kept = leave_out_unknown(path, sequences.codes, lengths, note=note)
    return Sequences([sequences.names[row] for row in kept.tolist()], sequences.codes[kept])


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
