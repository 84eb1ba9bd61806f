"""FASTA: read whatever its spelling; what is wrong with a bad file is told with its line."""

from __future__ import annotations

import gzip
import random
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enhancer_core.dna.codes import Codes, decode, encode
from enhancer_core.errors import FileError, SequenceError
from enhancer_core.io.fasta import fasta_text, read_blocks, read_fasta, read_records, write_fasta

TWO = b">one first of two\nACGT\nAC\n>two\nNNGGTT\n"

names = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=8)
records = st.integers(1, 12).flatmap(
    lambda length: st.dictionaries(
        names, st.text("ACGTN", min_size=length, max_size=length), min_size=1, max_size=5
    )
)


def fasta(folder: Path, content: bytes, name: str = "some.fa") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        TWO,
        TWO.rstrip(b"\n"),
        TWO.replace(b"\n", b"\r\n"),
        TWO.replace(b"ACGT\nAC", b"acgtaC").replace(b"NN", b"nN"),
        b"\n\n" + TWO.replace(b"\n", b"\n\n"),
        TWO.replace(b"AC\n", b"AC \t\n"),
        TWO.replace(b">two", b"> two\twith a tab"),
        b"\xef\xbb\xbf" + TWO,
        b"\xef\xbb\xbf" + TWO.replace(b"\n", b"\r"),
        TWO.replace(b"\n", b"\r", 2),
        b"; a comment\n" + TWO.replace(b"\nAC\n", b"\n; > another\nAC\n;\n") + b"; the last",
        TWO + b"\n \n\n",
        gzip.compress(TWO),
        gzip.compress(TWO[:18]) + gzip.compress(TWO[18:]),
    ],
    ids=[
        "wrapped",
        "no last line end",
        "CRLF",
        "lower case",
        "blank lines",
        "blanks at line ends",
        "blank before the name",
        "byte order mark",
        "CR",
        "CR and LF",
        "comments",
        "blank lines at the end",
        "gzip",
        "gzip in blocks",
    ],
)
def test_every_spelling_gives_the_same_records(tmp_path: Path, content: bytes) -> None:
    sequences = read_fasta(fasta(tmp_path, content))
    assert sequences.names == ["one", "two"]
    assert len(sequences) == 2
    assert sequences.codes.dtype == np.uint8
    assert decode(sequences.codes) == ["ACGTAC", "NNGGTT"]


def test_signs_within_lines_and_blanks_at_their_ends_are_read(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf\r\n>one a>b\nACGT \r\n\nAC\n>>two>\nNNGGTT\n>3\nACGTAC"
    found = list(read_records(fasta(tmp_path, content)))
    assert [(record.name, record.line) for record in found] == [("one", 2), (">two>", 6), ("3", 8)]
    assert decode(np.stack([record.codes for record in found])) == ["ACGTAC", "NNGGTT", "ACGTAC"]


def test_a_sign_that_begins_no_line_begins_no_record(tmp_path: Path) -> None:
    with pytest.raises(SequenceError, match="line 2: record 'a': letter '>' at position 3"):
        read_fasta(fasta(tmp_path, b">a\nAC>b\nACGT\n"))


def test_a_record_knows_the_line_of_its_header(tmp_path: Path) -> None:
    found = list(read_records(fasta(tmp_path, b"\n" + TWO)))
    assert [(record.name, record.line) for record in found] == [("one", 2), ("two", 5)]
    assert [len(record.codes) for record in found] == [6, 6]


@given(records, st.booleans())
def test_what_is_written_is_read_back(sequences: dict[str, str], zipped: bool) -> None:  # noqa: FBT001
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("some.fa.gz" if zipped else "some.fa")
        codes = encode(list(sequences.values()))
        write_fasta(path, list(sequences), codes)
        back = read_fasta(path)
    assert back.names == list(sequences)
    assert (back.codes == codes).all()


def test_a_sequence_is_written_on_one_line(tmp_path: Path) -> None:
    path = tmp_path / "long.fa"
    write_fasta(path, ["a", "b"], encode(["ACGTN" * 40, "T" * 200]))
    assert path.read_text() == f">a\n{'ACGTN' * 40}\n>b\n{'T' * 200}\n"


def test_text_is_made_of_rows_of_any_length() -> None:
    rows = [encode(["ACG"])[0], encode(["N"])[0]]
    assert fasta_text(["a", "b"], rows) == b">a\nACG\n>b\nN\n"


@given(records, st.integers(1, 6))
def test_blocks_hold_all_records_in_order(sequences: dict[str, str], size: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "some.fa"
        write_fasta(path, list(sequences), encode(list(sequences.values())))
        blocks = list(read_blocks(path, size=size))
    assert [name for block in blocks for name in block.names] == list(sequences)
    rows: list[Codes] = [block.codes for block in blocks]
    assert decode(np.concatenate(rows)) == list(sequences.values())
    assert all(len(block) == size for block in blocks[:-1])
    assert 1 <= len(blocks[-1]) <= size


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ": empty; a FASTA file with at least one record is needed"),
        (b"\n >a\nACGT\n>b\nACGT\n", " line 2: a blank before '>name'; a header begins its line"),
        (
            b"\n \r\n\t\n",
            ": only blank lines or comments; a FASTA file with at least one record is needed",
        ),
        (b"\nACGT\n>a\nACGT\n", " line 2: not FASTA; the first line must be a header, '>name'"),
        (b"chr1\t10\t20\n", " line 1: not FASTA; the first line must be a header, '>name'"),
        (bytes(range(256)), " line 1: not FASTA; the first line must be a header, '>name'"),
        (b">a\nAC\n>\nAC\n", " line 3: header without a name; '>name' is needed"),
        (b">a\nAC\n> \nAC\n", " line 3: header without a name; '>name' is needed"),
        (b">a\nAC\n>\xff\nAC\n", " line 3: not a text file"),
        (b">a\n>b\nAC\n", " line 1: record 'a' has a header without sequence"),
        (b">a\nAC\n\n>b\n\n", " line 4: record 'b' has a header without sequence"),
        (
            b">a x\nAC\n>b\nAC\n\n>a y\nAC\n",
            " line 6: name 'a' is already on line 1; each record needs its own",
        ),
    ],
)
def test_a_bad_file_is_told_with_its_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = fasta(tmp_path, content)
    with pytest.raises(FileError) as caught:
        read_fasta(path)
    assert str(caught.value) == f"{path}{message}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b">a\nACGT\nACR\n", " line 3: record 'a': letter 'R' at position 3 is an IUPAC"),
        (b">a\nMKLV\n", " line 2: record 'a': letter 'M' at position 1 is an IUPAC"),
        (b">a\nACEF\n", " line 2: record 'a': letter 'E' at position 3 is not DNA; allowed are"),
        (b">a\nACGU\n", " line 2: record 'a': letter 'U' at position 4 is not DNA; allowed are"),
        (b">a\nAC GT\n", " line 2: record 'a': letter ' ' at position 3 is not DNA; allowed are"),
        (b">a\nA\0GT\n", r" line 2: record 'a': letter '\x00' at position 2 is not DNA; allowed"),
        (b">a\nAC\nAC;old\n", " line 3: record 'a': letter ';' at position 3 is not DNA; allowed"),
        (b">a\rAC\r\rAC-\r", " line 4: record 'a': letter '-' at position 3 is not DNA; allowed"),
        (b"; x\n>a\n;y\nA*\n", " line 4: record 'a': letter '*' at position 2 is not DNA; allowed"),
    ],
)
def test_a_letter_that_is_not_dna_is_told_with_its_place(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = fasta(tmp_path, content)
    with pytest.raises(SequenceError) as caught:
        read_fasta(path)
    assert str(caught.value).startswith(f"{path}{message}")


@given(st.lists(st.sampled_from(["", "ACGT", "ac", "NN"]), min_size=1, max_size=12), st.randoms())
def test_the_line_of_a_bad_letter_is_exact_among_blank_lines(
    lines: list[str], chance: random.Random
) -> None:
    bad = chance.randrange(len(lines))
    text = ">first\nACGT\n\n>second\n" + "".join(
        f"{line}{'!' if number == bad else ''}\n" for number, line in enumerate(lines)
    )
    with tempfile.TemporaryDirectory() as folder:
        path = fasta(Path(folder), text.encode())
        with pytest.raises(SequenceError) as caught:
            list(read_records(path))
    where = f"letter '!' at position {len(lines[bad]) + 1} is not DNA"
    assert str(caught.value).startswith(f"{path} line {bad + 5}: record 'second': {where}")


def test_lengths_must_agree_within_a_file(tmp_path: Path) -> None:
    path = fasta(tmp_path, b">a\nACGT\n>b\nACG\n")
    message = (
        r"some.fa line 3: record 'b' has 3 bp; the first record has 4 \(all must have one length;"
        r" --length BP cuts or pads each\)$"
    )
    with pytest.raises(SequenceError, match=message):
        read_fasta(path)
    assert [len(record.codes) for record in read_records(path)] == [4, 3]


def test_lengths_must_be_what_the_model_reads(tmp_path: Path) -> None:
    path = fasta(tmp_path, TWO)
    assert decode(read_fasta(path, expected=6).codes) == ["ACGTAC", "NNGGTT"]
    message = (
        r"some.fa line 1: record 'one' has 6 bp; the model reads 500 \(all must have one length;"
        r" --length 500 cuts or pads each\)$"
    )
    with pytest.raises(SequenceError, match=message):
        read_fasta(path, expected=500)


RAGGED = b">long\nAACCGGTT\n>even\nACGT\n>short\nACG\n>tiny\nA\n>unknown\nNNNA\n"


def test_records_are_cut_and_padded_to_a_length_and_counted(tmp_path: Path) -> None:
    path, notes = fasta(tmp_path, RAGGED), list[str]()
    found = read_fasta(path, length=4, note=notes.append)
    assert found.names == ["long", "even", "short"]
    assert decode(found.codes) == ["CCGG", "ACGT", "NACG"]
    assert notes == [
        f"{path}: 1 of 5 sequences cut to 4 bp, 2 padded with N; 2 left out, since mostly N"
    ]


def test_blocks_of_records_keep_those_that_are_mostly_n(tmp_path: Path) -> None:
    path, notes = fasta(tmp_path, RAGGED), list[str]()
    blocks = list(read_blocks(path, size=2, length=4, note=notes.append))
    assert [block.names for block in blocks] == [["long", "even"], ["short", "tiny"], ["unknown"]]
    assert decode(blocks[1].codes) == ["NACG", "NNAN"]
    assert notes == [f"{path}: 1 of 5 sequences cut to 4 bp, 2 padded with N"]


def test_records_that_have_the_length_are_as_they_were_and_nothing_is_said(tmp_path: Path) -> None:
    path, notes = fasta(tmp_path, TWO), list[str]()
    assert decode(read_fasta(path, length=6, note=notes.append).codes) == ["ACGTAC", "NNGGTT"]
    assert [len(block) for block in read_blocks(path, size=9, length=6, note=notes.append)] == [2]
    assert notes == []


def test_without_a_note_a_warning_counts_what_is_left_out(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"some.fa: 1 of 5 .*; 2 left out, since mostly N$"):
        read_fasta(fasta(tmp_path, RAGGED), length=4)


def test_a_file_that_is_left_out_whole_is_refused(tmp_path: Path) -> None:
    message = r"some\.fa: all 2 sequences are mostly N at 40 bp$"
    with pytest.raises(SequenceError, match=message):
        read_fasta(fasta(tmp_path, TWO), length=40)


def test_a_letter_that_is_cut_off_is_looked_at_too(tmp_path: Path) -> None:
    with pytest.raises(SequenceError, match=r"line 2: record 'a': letter 'E' at position 1 is"):
        read_fasta(fasta(tmp_path, b">a\nEACGT\n"), length=2)


def test_a_cut_gzip_file_is_told(tmp_path: Path) -> None:
    whole = gzip.compress(b">a\n" + bytes(random.Random(0).choices(b"ACGT", k=5000)))
    path = fasta(tmp_path, whole[: len(whole) // 2], "cut.fa.gz")
    with pytest.raises(FileError, match=r"cut\.fa\.gz: the gzip data ends too early; the file is"):
        read_fasta(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"none\.fa: cannot be read \(No such file or directory\)"):
        read_fasta(tmp_path / "none.fa")


def test_nothing_is_written_into_what_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match=r"cannot be written \(.*file is not a folder\)"):
        write_fasta(tmp_path / "file" / "some.fa", ["a"], encode(["ACGT"]))
