"""Motifs in files: MEME, TRANSFAC, CIS-BP, UniPROBE, JASPAR, HOMER and .pfm in; MEME out."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import pairwise, takewhile
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from enhancer_core.errors import FileError, MotifError
from enhancer_core.io.files import StrPath, read_lines, write_text
from enhancer_core.motifs.motif import BUILTIN, Motif, ppm

Line: TypeAlias = tuple[int, str]  # its number in the file, its text without blanks around it
Table: TypeAlias = NDArray[np.float64]  # rows of numbers, as in the file

_BASES = "ACGT"
_FORMATS = (
    "allowed are MEME ('MEME version 4'), TRANSFAC ('P0 A C G T'), CIS-BP ('Pos A C G T'),"
    " JASPAR, HOMER and .pfm ('>name', rows of numbers), and UniPROBE (a name, 'A: 0.1 0.7')"
)
_LABELLED_ROW = re.compile(r"([ACGTU])(?=[\s:|\[])\s*[:|]?\s*\[?([^\[\]]*)\]?", re.IGNORECASE)
_COLUMNS = re.compile(r"(P[0O]\s|POS\w*\s|)\s*([A-Z]\s+[A-Z]\s+[A-Z]\s+[A-Z])", re.IGNORECASE)
_ONCE = {"AC", "TF", "MOTIF"}  # fields that begin another record when they come again
_NAMES = ("AC", "MOTIF", "ID", "NA", "DE", "TF NAME", "TF")  # of a record, the first that it has
_ALIASES = ("NA", "TF NAME", "ID")
_AFTER_ALPHABET = ("END ALPHABET", "strands", "Background", "MOTIF")
_UNIPROBE_KEY = re.compile(r"(protein|gene|motif|name|tf)\s*:\s*", re.IGNORECASE)
_ENDING = re.compile(r"\.(txt|tsv|tab|dat|mat|pfm|pcm|ppm|pwm|jaspar|transfac)$", re.IGNORECASE)
_OFF = 1e-3  # of a row's sum from 1, harmless however many decimals there are
_MEME_HEADER = """MEME version 4

ALPHABET= ACGT

strands: + -

Background letter frequencies
A 0.25 C 0.25 G 0.25 T 0.25
"""


class _Block(NamedTuple):
    """One motif's lines: the number and text of its header, and what follows."""

    line: int
    header: str
    body: list[Line]


def read_motif(spec: str) -> Motif:
    """Read the one motif that a user names.

    `spec` is "CEBPA" or "HNF4A" (built in), a file with exactly one motif, or FILE:NAME for one of
    several, by its name or alias.

    Raises
    ------
    MotifError
        If there is no such motif, or more than one.
    FileError
        As `read_motifs`.
    """
    if spec in BUILTIN:
        return BUILTIN[spec]
    # Both FILE and NAME may have colons of their own: which FILE exists?
    ends = [len(spec), *(match.start() for match in re.finditer(":", spec))]
    end = next((end for end in ends if Path(spec[:end]).exists()), None)
    if end is None:
        raise MotifError(
            f"motif '{spec}': no such file, and not built in; built in are {', '.join(BUILTIN)}"
        )
    path, name = Path(spec[:end]), spec[end + 1 :]
    motifs = read_motifs(path)
    chosen = [motif for motif in motifs if not name or name in {motif.name, motif.alias}]
    if len(chosen) == 1:
        return chosen[0]
    named = f" named '{name}'" if name else ""
    names = ", ".join(motif.name for motif in motifs[:5]) + (", ..." if len(motifs) > 5 else "")
    raise MotifError(
        f"{path}: {len(chosen)} motifs{named}, exactly one is needed;"
        f" choose one of {names} as {path}:NAME"
    )


def read_motifs(path: StrPath) -> list[Motif]:
    """Read every motif of a file, plain or gzip; the content tells the format.

    - MEME, DREME and STREME: `MOTIF name alias`, then a letter-probability matrix, whose rows sum
      to 1 as far as their decimals let them, and are divided by their sum.
    - TRANSFAC: records with `AC`, `ID` or `NA`, then `P0 A C G T` and a row a position, `01 4 1 0 9
      W`, up to `//`. The name is the accession, the alias the factor's name or else the identifier.
    - CIS-BP: `Pos A C G T` and a row a position, alone, or below lines such as `TF Name` and
      `Motif`.
    - UniPROBE: a line with the name, then rows `A: 0.1 0.7`.
    - JASPAR: `>name alias`, then rows `A [ 4 19 0 ]`, or rows of A, C, G and T as bare numbers.
    - HOMER: `>consensus`, name and threshold between tabs, then a row of four a position.
    - .pfm: `>name alias`, then a row of four a position.

    Where columns or rows are labelled, their order is free and small letters will do. A file of one
    matrix without a name gives it its own. Blank lines and lines that start with `#` do not count.
    Records without a matrix, as CIS-BP has them where another's licence forbids, are left out with
    a warning, and so are names warned of that several motifs bear.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    list of Motif
        In the file's order; counts or probabilities, whichever it has.

    Raises
    ------
    FileError
        If the file cannot be read, or a line is not what its format allows, as log odds and RNA.
    MotifError
        If a matrix has an infinite value, or a position of zeros alone.
    """
    path = Path(path)
    lines = [(number, text.strip()) for number, text in read_lines(path)]
    lines = [(number, text) for number, text in lines if text and not text.startswith("#")]
    if not lines:
        raise FileError(f"{path}: no motifs; {_FORMATS}")
    if any(text.startswith("MEME version") for _, text in lines):
        motifs = _read_meme(path, lines)
    elif any(_COLUMNS.fullmatch(text) for _, text in lines):
        motifs = _read_records(path, lines)
    else:
        motifs = _read_tables(path, _named_blocks(path, lines))
    counts = Counter(" ".join((motif.name, motif.alias)).strip() for motif in motifs)
    _warn(f"{path}: several motifs of one name", [n for n, count in counts.items() if count > 1])
    return motifs


def write_meme(path: StrPath, motifs: Sequence[Motif]) -> None:
    """Write motifs as MEME, probabilities with six decimals.

    The number of sites is the sum of counts at the first position, rounded.
    """
    blocks = [_MEME_HEADER]
    for motif in motifs:
        rows = "".join(" {:.6f} {:.6f} {:.6f} {:.6f}\n".format(*row) for row in ppm(motif.pfm).T)
        blocks.append(
            f"MOTIF {' '.join([motif.name, motif.alias]).strip()}\n"
            f"letter-probability matrix: alength= 4 w= {motif.width}"
            f" nsites= {round(motif.pfm[:, 0].sum())}\n{rows}"
        )
    write_text(path, "\n".join(blocks))


def _blocks(lines: Sequence[Line], marker: str) -> list[_Block]:
    """Cut lines before each that starts with `marker`, a regular expression."""
    starts = [i for i, (_, text) in enumerate(lines) if re.match(marker, text)]
    return [
        _Block(
            lines[start][0], re.sub(f"^{marker}", "", lines[start][1]), [*lines[start + 1 : end]]
        )
        for start, end in pairwise([*starts, len(lines)])
    ]


def _read_meme(path: Path, lines: Sequence[Line]) -> list[Motif]:
    for index, (number, text) in enumerate(lines):
        if text.startswith("ALPHABET"):
            letters = text.partition("=")[2].strip() or _custom_alphabet(lines[index + 1 :])
            if letters.upper() != _BASES:
                raise FileError(
                    f"{path} line {number}: '{text}' of {letters}; allowed is DNA,"
                    f" 'ALPHABET= {_BASES}'"
                )
    blocks = _blocks(lines, r"MOTIF\b")
    if not blocks:
        raise FileError(f"{path}: MEME without motifs; at least one 'MOTIF name' is needed")
    return [_block_motif(path, block, _meme_table(path, block).T) for block in blocks]


def _custom_alphabet(lines: Sequence[Line]) -> str:
    """Return the core symbols of MEME's `A "Adenine" CC0000 ~ T "Thymine" 008000` lines, sorted.

    The others, `N "Any base" = ACGT`, stand for several. So are a matrix's columns sorted.
    """
    symbols = takewhile(lambda line: not line[1].startswith(_AFTER_ALPHABET), lines)
    core = [re.sub('"[^"]*"', "", text) for _, text in symbols]
    pairs = [text.split("~") for text in core if "=" not in text]
    return "".join(sorted({symbol.split()[0] for pair in pairs for symbol in pair if symbol}))


def _meme_table(path: Path, block: _Block) -> Table:
    texts = iter(block.body)
    titles = (line for line in texts if line[1].startswith("letter-probability matrix"))
    number, title = next(titles, (block.line, ""))
    if not title and any(text.startswith("log-odds matrix") for _, text in block.body):
        raise FileError(
            f"{path} line {number}: a log-odds matrix alone; a letter-probability matrix is needed"
        )
    rows = list(takewhile(lambda line: _starts_with_number(line[1]), texts))
    stated = re.search(r"\bw= *(\d+)", title)
    width = max(int(stated[1]) if stated else len(rows), 1)
    if len(rows) != width:
        raise FileError(
            f"{path} line {number}: a letter-probability matrix of {width} rows is needed,"
            f" {len(rows)} follow"
        )
    table = _numbers(path, rows)
    sums, tolerance = table.sum(axis=1), _rounding(rows)
    for (number, _), total in zip(rows, sums, strict=True):
        if table.shape[1] != len(_BASES) or not abs(total - 1) <= tolerance:
            raise FileError(
                f"{path} line {number}: {table.shape[1]} probabilities that sum to {total:g};"
                f" allowed are 4 (A C G T) that sum to 1, {tolerance:g} more or less by rounding"
            )
    table /= sums[:, np.newaxis]
    return table


def _rounding(rows: Sequence[Line]) -> float:
    """Compute how far from 1 four rounded numbers may sum.

    Each is off by half a unit of its last decimal, at most. How many decimals were printed shows in
    the row that has most: trailing zeros may be cut. Only the largest number of a row tells, since
    where significant digits are printed, small numbers have more decimals.
    """
    largest = [max(text.split(), key=float) for _, text in rows]
    finite = [word for word in largest if np.isfinite(float(word))]
    decimals = max((-int(Decimal(word).as_tuple().exponent) for word in finite), default=1)
    return max(2 * 10.0 ** -max(decimals, 1), _OFF) + 1e-9  # sums of floats are not exact


def _read_records(path: Path, lines: Sequence[Line]) -> list[Motif]:
    """Read TRANSFAC and CIS-BP: a record's fields, a line that names columns, a row a position."""
    starts = [i for i, (_, text) in enumerate(lines) if _COLUMNS.fullmatch(text)]
    motifs: list[Motif] = []
    empty: list[str] = []
    end = 0
    for start in starts:
        number = lines[start][0]
        *others, fields = _records(path, lines[end:start])
        name = _name(fields) or (_stem(path) if len(starts) == 1 else "")
        alias = next((fields[key] for key in _ALIASES if fields.get(key, name) != name), "")
        rows = list(takewhile(lambda line: _starts_with_number(line[1]), lines[start + 1 :]))
        end = start + 1 + len(rows)
        empty += map(_name, others)
        if rows:
            table = _read_columns(path, lines[start], rows)
            motifs.append(_motif(path, number, name, alias, table.T))
        else:
            empty.append(name or f"line {number}")
    empty = [name for name in (*empty, *map(_name, _records(path, lines[end:]))) if name]
    if not motifs:
        raise FileError(f"{path}: no motifs; a matrix is missing from {', '.join(empty)}")
    _warn(f"{path}: left out, without a matrix", empty)
    return motifs


def _records(path: Path, lines: Sequence[Line]) -> list[dict[str, str]]:
    """Return the fields of the records of some lines, the first of each name."""
    records: list[dict[str, str]] = [{}]
    for number, text in lines:
        first, *words = text.split()
        if re.search(r"\d", first) and len(words) > 3 and all(map(_starts_with_number, words[:4])):
            raise FileError(f"{path} line {number}: '{text[:40]}' is a row of no matrix")
        key, _, value = text.partition("\t" if "\t" in text else " ")
        fields = {key.upper(): value.strip()}
        if text.startswith(">"):
            fields = dict(zip(("AC", "NA"), text[1:].split(), strict=False))
        if text.startswith("//") or _ONCE & fields.keys() & records[-1].keys():
            records.append({})
        records[-1] = fields | records[-1]
    return records


def _name(fields: Mapping[str, str]) -> str:
    return next((fields[key] for key in _NAMES if fields.get(key)), "")


def _read_columns(path: Path, header: Line, rows: Sequence[Line]) -> Table:
    """Read rows below `P0 A C G T`, numbered and perhaps with a consensus, or `A C G T`."""
    match = _COLUMNS.fullmatch(header[1])
    assert match is not None
    order = _order(path, header[0], "columns", match[2].upper().split())
    if match[1]:
        split = [(number, text.split()) for number, text in rows]
        first = float(split[0][1][0])
        for i, (number, words) in enumerate(split):
            if float(words[0]) != first + i:
                raise FileError(f"{path} line {number}: position {words[0]}; {first + i:g} is next")
            if words[-1].isalpha() and len(words) > 2:
                del words[-1]  # of the consensus
        rows = [(number, " ".join(words[1:])) for number, words in split]
    table = _numbers(path, rows)
    if table.shape[1] != len(_BASES):
        raise FileError(
            f"{path} line {rows[0][0]}: {table.shape[1]} numbers; allowed are 4 (A C G T)"
        )
    return table[:, order]


def _order(path: Path, number: int, what: str, letters: Sequence[str]) -> list[int]:
    """Return where A, C, G and T stand among the letters of rows or columns."""
    if sorted(letters) != [*_BASES]:
        raise FileError(f"{path} line {number}: {what} {' '.join(letters)}; allowed are A C G T")
    return [letters.index(base) for base in _BASES]


def _named_blocks(path: Path, lines: Sequence[Line]) -> list[_Block]:
    """Cut lines before each '>name', or before each name of UniPROBE's, which has no '>'."""
    is_row = [bool(_starts_with_number(text) or _LABELLED_ROW.fullmatch(text)) for _, text in lines]
    if is_row[0]:
        return _blocks([(lines[0][0], f">{_stem(path)}"), *lines], ">")
    if lines[0][1].startswith(">"):
        return _blocks(lines, ">")
    blocks: list[_Block] = []
    for (number, text), row, after_row in zip(lines, is_row, [True, *is_row], strict=False):
        if row:
            blocks[-1].body.append((number, text))
        elif after_row:  # a second line says more of the same motif
            blocks.append(_Block(number, _UNIPROBE_KEY.sub("", text), []))
    for block in blocks:
        if not (block.body and _LABELLED_ROW.fullmatch(block.body[0][1])):
            text = dict(lines)[block.line]
            raise FileError(f"{path} line {block.line}: '{text[:40]}' starts no motif; {_FORMATS}")
    return blocks


def _stem(path: Path) -> str:
    """Return the name of a motif that has none but its file's."""
    return _ENDING.sub("", path.name.removesuffix(".gz"))


def _warn(problem: str, names: Sequence[str]) -> None:
    if names:
        some = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        warnings.warn(f"{problem}: {len(names):,} ({some})", stacklevel=3)


def _read_tables(path: Path, blocks: Sequence[_Block]) -> list[Motif]:
    """Read the formats whose motifs start with '>', rows being bases or positions."""
    tables = [_table(path, block) for block in blocks]
    clear = {is_base_rows for _, is_base_rows in tables} - {None}
    motifs = []
    for block, (table, is_base_rows) in zip(blocks, tables, strict=True):
        if is_base_rows is None and len(clear) != 1:
            raise FileError(
                f"{path} line {block.line}: rows of a 4 x 4 matrix can be bases or positions;"
                " allowed is 'A [ 1 2 3 4 ]', and so for C, G and T"
            )
        by_base = is_base_rows if is_base_rows is not None else clear == {True}
        motifs.append(_block_motif(path, block, table if by_base else table.T))
    return motifs


def _table(path: Path, block: _Block) -> tuple[Table, bool | None]:
    """Read a block's numbers, and whether rows are bases; None where the block alone is unclear."""
    labelled = [_LABELLED_ROW.fullmatch(text) for _, text in block.body]
    if any(labelled):
        labels = [match[1].upper() if match else "?" for match in labelled]
        order = _order(path, block.line, "rows", labels)
        numbered = zip(block.body, labelled, strict=True)
        rows = [(line, match[2]) for (line, _), match in numbered if match]
        return _numbers(path, rows)[order], True
    table = _numbers(path, block.body) if block.body else np.empty((0, 0))
    if table.shape == (4, 4):
        return table, False if _is_homer(block) else None
    if len(_BASES) not in table.shape:
        raise FileError(
            f"{path} line {block.line}: {len(table)} rows of {table.shape[1]} numbers;"
            " allowed are 4 rows (A C G T), or rows of 4, one a position"
        )
    return table, len(table) == len(_BASES)


def _block_motif(path: Path, block: _Block, pfm: Table) -> Motif:
    names = block.header.split("\t")[1:2] if _is_homer(block) else block.header.split()
    name, alias = [*names, "", ""][:2]
    return _motif(path, block.line, name, alias, pfm)


def _motif(path: Path, line: int, name: str, alias: str, pfm: Table) -> Motif:
    if not name:
        raise FileError(f"{path} line {line}: a motif without a name; one is needed")
    try:
        return Motif(name, pfm, alias)
    except MotifError as error:
        raise MotifError(f"{path} line {line}: {error}") from error


def _is_homer(block: _Block) -> bool:
    """Return whether a header is HOMER's: consensus, name and a threshold between tabs."""
    fields = block.header.split("\t")
    return len(fields) >= 3 and _starts_with_number(fields[2])


def _starts_with_number(text: str) -> bool:
    try:
        float(text.split()[0])
    except (ValueError, IndexError):
        return False
    return True


def _numbers(path: Path, rows: Sequence[Line]) -> Table:
    table: list[list[float]] = []
    for number, text in rows:
        try:
            table.append([float(word) for word in text.split()])
        except ValueError as error:
            raise FileError(f"{path} line {number}: '{text[:40]}'; allowed are numbers") from error
        if min(table[-1], default=0) < 0:
            raise FileError(
                f"{path} line {number}: {min(table[-1]):g} is negative, as log odds are;"
                " allowed are counts or probabilities"
            )
        if len(table[-1]) != len(table[0]):
            raise FileError(
                f"{path} line {number}: {len(table[-1])} numbers;"
                f" the motif's first row has {len(table[0])}"
            )
    return np.array(table)
