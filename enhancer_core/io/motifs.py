"""Motifs in files: MEME, JASPAR, HOMER, and counts with one row a position (.pfm); MEME out."""

from __future__ import annotations

import re
from collections.abc import Sequence
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
_FORMATS = "allowed are MEME ('MEME version 4'), JASPAR, HOMER and .pfm ('>name', rows of numbers)"
_LABELLED_ROW = re.compile(r"([ACGT])\b\s*\[?([^\[\]]*)\]?")  # A [ 4 19 0 ]
_ROW_SUM_TOLERANCE = 0.02  # MEME writers round to as few as two decimals
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

    - MEME (minimal): `MOTIF name alias`, then a letter-probability matrix.
    - JASPAR: `>name alias`, then rows `A [ 4 19 0 ]`, C, G and T, or those rows as bare numbers.
      A file without any `>` line is one motif, which takes the file's name.
    - HOMER: `>consensus`, name and threshold between tabs, then a row of four a position.
    - .pfm: `>name alias`, then a row of four a position.

    Blank lines and lines that start with `#` do not count.

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
        If the file cannot be read, or a line is not what its format allows.
    MotifError
        If a matrix has a negative or infinite value, or a position of zeros alone.
    """
    path = Path(path)
    lines = [(number, text.strip()) for number, text in read_lines(path)]
    lines = [(number, text) for number, text in lines if text and not text.startswith("#")]
    if not lines:
        raise FileError(f"{path}: no motifs; {_FORMATS}")
    if any(text.startswith("MEME version") for _, text in lines):
        return _read_meme(path, lines)
    number, first = lines[0]
    if not first.startswith(">"):
        if not (_starts_with_number(first) or _LABELLED_ROW.fullmatch(first)):
            raise FileError(f"{path} line {number}: '{first[:40]}' starts no motif; {_FORMATS}")
        lines = [(number, f">{path.name.removesuffix('.gz').removesuffix('.pfm')}"), *lines]
    return _read_tables(path, _blocks(lines, ">"))


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
    """Cut lines before each that starts with `marker`."""
    starts = [i for i, (_, text) in enumerate(lines) if text.startswith(marker)]
    return [
        _Block(lines[start][0], lines[start][1].removeprefix(marker), [*lines[start + 1 : end]])
        for start, end in pairwise([*starts, len(lines)])
    ]


def _read_meme(path: Path, lines: Sequence[Line]) -> list[Motif]:
    for number, text in lines:
        if text.startswith("ALPHABET") and text.removeprefix("ALPHABET=").strip() != _BASES:
            raise FileError(f"{path} line {number}: '{text}'; allowed is 'ALPHABET= {_BASES}'")
    blocks = _blocks(lines, "MOTIF")
    if not blocks:
        raise FileError(f"{path}: MEME without motifs; at least one 'MOTIF name' is needed")
    return [_motif(path, block, _meme_table(path, block).T) for block in blocks]


def _meme_table(path: Path, block: _Block) -> Table:
    texts = iter(block.body)
    titles = (line for line in texts if line[1].startswith("letter-probability matrix"))
    number, title = next(titles, (block.line, ""))
    rows = list(takewhile(lambda line: _starts_with_number(line[1]), texts))
    stated = re.search(r"\bw= *(\d+)", title)
    width = max(int(stated[1]) if stated else len(rows), 1)
    if len(rows) != width:
        raise FileError(
            f"{path} line {number}: a letter-probability matrix of {width} rows is needed,"
            f" {len(rows)} follow"
        )
    table = _numbers(path, rows)
    for (number, _), total in zip(rows, table.sum(axis=1), strict=True):
        if table.shape[1] != len(_BASES) or abs(total - 1) > _ROW_SUM_TOLERANCE:
            raise FileError(
                f"{path} line {number}: {table.shape[1]} probabilities that sum to {total:g};"
                " allowed are 4 (A C G T) that sum to 1"
            )
    return table


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
        motifs.append(_motif(path, block, table if by_base else table.T))
    return motifs


def _table(path: Path, block: _Block) -> tuple[Table, bool | None]:
    """Read a block's numbers, and whether rows are bases; None where the block alone is unclear."""
    labelled = [_LABELLED_ROW.fullmatch(text) for _, text in block.body]
    if any(labelled):
        labels = "".join(match[1] if match else "?" for match in labelled)
        if labels != _BASES:
            raise FileError(
                f"{path} line {block.line}: rows {' '.join(labels)}; allowed are A C G T, in order"
            )
        numbered = zip(block.body, labelled, strict=True)
        return _numbers(path, [(line, match[2]) for (line, _), match in numbered if match]), True
    table = _numbers(path, block.body) if block.body else np.empty((0, 0))
    if table.shape == (4, 4):
        return table, False if _is_homer(block) else None
    if len(_BASES) not in table.shape:
        raise FileError(
            f"{path} line {block.line}: {len(table)} rows of {table.shape[1]} numbers;"
            " allowed are 4 rows (A C G T), or rows of 4, one a position"
        )
    return table, len(table) == len(_BASES)


def _motif(path: Path, block: _Block, pfm: Table) -> Motif:
    names = block.header.split("\t")[1:2] if _is_homer(block) else block.header.split()
    name, alias = [*names, "", ""][:2]
    if not name:
        raise FileError(f"{path} line {block.line}: a motif without a name; one is needed")
    try:
        return Motif(name, pfm, alias)
    except MotifError as error:
        raise MotifError(f"{path} line {block.line}: {error}") from error


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
        if len(table[-1]) != len(table[0]):
            raise FileError(
                f"{path} line {number}: {len(table[-1])} numbers;"
                f" the motif's first row has {len(table[0])}"
            )
    return np.array(table)
