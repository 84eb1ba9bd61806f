"""Tables with a header, separated by tabs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from enhancer_core.errors import FileError
from enhancer_core.io.files import StrPath, read_lines, write_text


def write_table(path: StrPath, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table; floats with 6 significant digits, which float32 holds."""
    lines = [columns, *(map(_spelled, row) for row in rows)]
    write_text(path, "".join("\t".join(line) + "\n" for line in lines))


def _spelled(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)


def read_table(path: StrPath, columns: Sequence[str]) -> list[tuple[int, Mapping[str, str]]]:
    """Read a table that has at least these columns: (line number, row) pairs.

    Raises
    ------
    FileError
        If a column is missing or there twice, a row is too short or too long, or there is none.
    """
    # Blank lines, and blanks at the ends of lines, do not count.
    lines = ((number, line.rstrip(" ")) for number, line in read_lines(path) if line.strip())
    top, first = next(lines, (1, ""))
    header = first.split("\t")
    for column in columns:
        if header.count(column) != 1:
            what = "is there twice" if column in header else "is missing"
            raise FileError(
                f"{path} line {top}: column '{column}' {what}; needed are {', '.join(columns)}"
            )
    rows: list[tuple[int, Mapping[str, str]]] = []
    for number, line in lines:
        values = line.split("\t")
        if len(values) != len(header):
            raise FileError(
                f"{path} line {number}: {len(values)} columns; the header has {len(header)}"
            )
        rows.append((number, dict(zip(header, values, strict=True))))
    if not rows:
        raise FileError(f"{path}: no rows; at least one is needed")
    return rows
