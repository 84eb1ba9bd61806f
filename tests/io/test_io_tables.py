"""Tables: written and read back, and what is wrong with a bad one."""

from __future__ import annotations

import gzip
import math
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enhancer_core.errors import FileError
from enhancer_core.io.tables import read_table, write_table

TABLE = b"name\tpart\tnote\na\ttrain\t\nb\ttest\tgood\n"
cells = st.text(st.characters(exclude_characters="\r\n\t\0\ufeff", codec="utf-8"), max_size=8)


def put(folder: Path, content: bytes) -> Path:
    path = folder / "some.tsv"
    path.write_bytes(content)
    return path


def test_floats_have_six_digits_and_all_else_is_spelled_in_full(tmp_path: Path) -> None:
    path = tmp_path / "some.tsv"
    rows = [
        ("a", 1 / 3, np.float32(1 / 3), np.float64(2e-9), 123456789, True),
        ("b", 1.0, math.nan, -math.inf, np.int64(-3), None),
    ]
    write_table(path, ["name", "x", "y", "z", "n", "flag"], rows)
    assert path.read_text() == (
        "name\tx\ty\tz\tn\tflag\n"
        "a\t0.333333\t0.333333\t2e-09\t123456789\tTrue\n"
        "b\t1\tnan\t-inf\t-3\tNone\n"
    )


def test_a_table_without_rows_is_its_header(tmp_path: Path) -> None:
    path = tmp_path / "some.tsv"
    write_table(path, ["name", "x"], [])
    assert path.read_text() == "name\tx\n"


def test_nothing_is_left_where_a_row_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        write_table(tmp_path / "some.tsv", ["x"], ([1 // n] for n in (1, 0)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n"], ids=["LF", "CRLF", "blank lines"])
def test_rows_are_read_by_column_whatever_the_file(
    tmp_path: Path, pack: Callable[[bytes], bytes], end: bytes
) -> None:
    rows = read_table(put(tmp_path, pack(TABLE.replace(b"\n", end))), ["part", "name"])
    step = end.count(b"\n")
    assert rows == [
        (1 + step, {"name": "a", "part": "train", "note": ""}),
        (1 + 2 * step, {"name": "b", "part": "test", "note": "good"}),
    ]


@given(st.lists(st.tuples(cells.filter(bool), cells, cells), min_size=1, max_size=5))
def test_what_is_written_is_read_back(rows: list[tuple[str, str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "some.tsv.gz"
        write_table(path, ["a", "b", "c"], rows)
        back = read_table(path, ["a", "b", "c"])
    assert [number for number, _ in back] == list(range(2, len(rows) + 2))
    assert [tuple(row.values()) for _, row in back] == rows


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", " line 1: column 'name' is missing; needed are name, part"),
        (b"name,part\na,train\n", " line 1: column 'name' is missing; needed are name, part"),
        (b"name\tPart\na\ttrain\n", " line 1: column 'part' is missing; needed are name, part"),
        (b"name\tpart\n\n", ": no rows; at least one is needed"),
        (b"name\tpart\na\ttrain\nb\n", " line 3: 1 columns; the header has 2"),
        (b"name\tpart\na\ttrain\tx\n", " line 2: 3 columns; the header has 2"),
        (b"name\tpart\n\xff\ttrain\n", " line 2: not a text file"),
        (b"name\tpart\tname\na\ttrain\tb\n", " line 1: column 'name' is there twice; needed are"),
    ],
)
def test_a_bad_table_is_told_with_its_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = put(tmp_path, content)
    with pytest.raises(FileError) as caught:
        read_table(path, ["name", "part"])
    assert str(caught.value).startswith(f"{path}{message}")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_table_is_read_whatever_its_line_ends_and_blanks(tmp_path: Path, end: str) -> None:
    path = tmp_path / "some.tsv"
    lines = ["\ufeff", "name\tpart ", "", "a\ttrain  ", " ", "b\ttest", "", "  "]
    path.write_bytes(end.join(lines).encode())
    assert read_table(path, ["name", "part"]) == [
        (4, {"name": "a", "part": "train"}),
        (6, {"name": "b", "part": "test"}),
    ]
    path.write_bytes(end.join(["", "name", "a"]).encode())
    with pytest.raises(FileError, match=r"some\.tsv line 2: column 'part' is missing"):
        read_table(path, ["name", "part"])
