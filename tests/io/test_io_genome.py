"""A genome: random access against plain Python, its index, its names, and what a bad file says."""

from __future__ import annotations

import gzip
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pysam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enhancer_core.dna.codes import IUPAC_AMBIGUITY, decode, encode
from enhancer_core.dna.intervals import Intervals, from_rows
from enhancer_core.errors import FileError, IntervalError, SequenceError
from enhancer_core.io.fasta import read_records
from enhancer_core.io.genome import Genome, open_genome

CHR1 = "ACGTNacgtnAACCGGTT"  # 18 bp
CHR2 = "GATTACA"  # 7 bp
BEDROWS = [("chr1", 0, 5), ("chr2", 2, 7), ("chr1", 13, 18)]

dna = st.text("ACGTNacgtn", min_size=1, max_size=60)


def wrapped(sequences: dict[str, str], width: int, end: str = "\n") -> bytes:
    lines = []
    for name, bases in sequences.items():
        lines += [f">{name} a description > of {len(bases)} bp"]
        lines += [bases[start : start + width] for start in range(0, len(bases), width)]
    return (end.join(lines) + end).encode()


def put(folder: Path, content: bytes, name: str = "genome.fa") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def small(folder: Path, name: str = "genome.fa") -> Path:
    return put(folder, wrapped({"chr1": CHR1, "chr2": CHR2}, 5), name)


def spelled(genome: Genome, chrom: str, start: int = 0, end: int | None = None) -> str:
    return genome.letters(chrom, start, end).tobytes().decode()


def aged(path: Path, seconds: int) -> None:
    """Make a file so much older than it is."""
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


# Letters and codes


@given(
    sequences=st.dictionaries(st.sampled_from(["chr1", "chr2", "X"]), dna, min_size=1),
    width=st.integers(1, 70),
    end=st.sampled_from(["\n", "\r\n"]),
    last_end=st.booleans(),
    zipped=st.booleans(),
    data=st.data(),
)
def test_any_interval_of_any_layout_is_the_slice_of_the_sequence(
    sequences: dict[str, str],
    width: int,
    end: str,
    last_end: bool,  # noqa: FBT001
    zipped: bool,  # noqa: FBT001
    data: st.DataObject,
) -> None:
    content = wrapped(sequences, width, end)
    if not last_end:
        content = content.rstrip(b"\r\n")
    with tempfile.TemporaryDirectory() as folder:
        path = put(Path(folder), gzip.compress(content) if zipped else content)
        for _ in ("the index is made", "the index is read"):
            with open_genome(path) as genome:
                assert genome.lengths == {name: len(bases) for name, bases in sequences.items()}
                for name, bases in sequences.items():
                    start = data.draw(st.integers(0, len(bases)))
                    stop = data.draw(st.integers(start, len(bases)))
                    assert spelled(genome, name, start, stop) == bases[start:stop]
                    assert spelled(genome, name) == bases
                    if start < stop:
                        expected = encode([bases[start:stop]])[0]
                        assert (genome.codes(name, start, stop) == expected).all()


def test_soft_masked_letters_keep_their_case_and_have_the_same_codes(tmp_path: Path) -> None:
    with open_genome(small(tmp_path)) as genome:
        assert spelled(genome, "chr1", 3, 8) == "TNacg"
        assert genome.letters("chr1").dtype == np.uint8
        assert genome.codes("chr1", 0, 5).tolist() == genome.codes("chr1", 5, 10).tolist()
        assert genome.codes("chr1", 0, 5).tolist() == [0, 1, 2, 3, 4]


def test_iupac_letters_read_as_n(tmp_path: Path) -> None:
    letters = IUPAC_AMBIGUITY + IUPAC_AMBIGUITY.lower()
    with open_genome(put(tmp_path, f">a\nA{letters}C\n".encode())) as genome:
        assert decode(genome.codes("a")) == ["A" + "N" * len(letters) + "C"]
        assert spelled(genome, "a") == f"A{letters}C"


@pytest.mark.parametrize(("letter", "shown"), [("E", "E"), ("*", "*"), ("-", "-")])
def test_a_letter_that_is_not_dna_is_told_with_its_place(
    tmp_path: Path, letter: str, shown: str
) -> None:
    path = put(tmp_path, f">a\nACGT\nAC{letter}T\n".encode())
    with open_genome(path) as genome:
        assert decode(genome.codes("a", 0, 6)) == ["ACGTAC"]
        with pytest.raises(SequenceError) as caught:
            genome.codes("a", 3)
    assert str(caught.value) == (
        f"{path} line 3: record 'a': letter '{shown}' at position 3 is not DNA; allowed are A C G"
        " T N and IUPAC ambiguity codes"
    )


@pytest.mark.parametrize(("character", "shown"), [("\t", r"\\x09"), (" ", " "), ("\0", r"\\x00")])
def test_a_blank_within_a_line_is_told(tmp_path: Path, character: str, shown: str) -> None:
    path = put(tmp_path, f">a\nACGT\nA{character}GT\n".encode())
    message = rf"genome\.fa line 3: record 'a': letter '{shown}' at position 2 is not DNA"
    with pytest.raises(SequenceError, match=message), open_genome(path) as genome:
        genome.letters("a")


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (0, 8), (5, 4), (8, 8)])
def test_an_interval_outside_its_chromosome_is_refused(
    tmp_path: Path, start: int, end: int
) -> None:
    message = rf"^chr2:{start}-{end} is not inside chr2, which has 7 bp$"
    with open_genome(small(tmp_path)) as genome, pytest.raises(IntervalError, match=message):
        genome.letters("chr2", start, end)


def test_windows_are_rows_of_codes(tmp_path: Path) -> None:
    with open_genome(small(tmp_path)) as genome:
        codes = genome.windows(from_rows(BEDROWS))
        assert codes.dtype == np.uint8
        assert decode(codes) == ["ACGTN", "TTACA", "CGGTT"]
        assert genome.windows(from_rows([])).shape == (0, 0)


@given(st.lists(st.integers(0, 41), max_size=9), st.integers(1, 12))
def test_windows_are_what_codes_gives_one_by_one(starts: list[int], width: int) -> None:
    bases = "ACGTN" * 10
    with tempfile.TemporaryDirectory() as folder:
        path = put(Path(folder), wrapped({"a": bases, "b": bases[::-1]}, width))
        rows = [("ab"[start % 2], start, start + 9) for start in starts]
        with open_genome(path) as genome:
            found = genome.windows(from_rows(rows))
            assert [row.tolist() for row in found] == [genome.codes(*row).tolist() for row in rows]


def test_windows_must_have_one_length(tmp_path: Path) -> None:
    windows = from_rows([*BEDROWS, ("chr1", 0, 1)])
    message = r"^intervals: window of 1 bp; the first has 5$"
    with open_genome(small(tmp_path)) as genome, pytest.raises(IntervalError, match=message):
        genome.windows(windows)


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([("chr1", 0, 5), ("chr2", 3, 8)], IntervalError, "chr2:3-8 is not inside chr2, which has"),
        ([("bad", 0, 2), ("bad", 1, 3)], SequenceError, "line 10: record 'bad': letter 'E' at"),
    ],
)
def test_a_bad_window_is_told(
    tmp_path: Path, rows: list[tuple[str, int, int]], error: type[Exception], message: str
) -> None:
    path = put(tmp_path, wrapped({"chr1": CHR1, "chr2": CHR2, "bad": "ACE"}, 5))
    with open_genome(path) as genome, pytest.raises(error, match=message):
        genome.windows(from_rows(rows))


# Names


def numbered(rows: list[tuple[str, int, int]]) -> Intervals:
    plain = from_rows(rows)
    lines = np.arange(len(rows), dtype=np.int64) + 3
    return Intervals(plain.chroms, plain.starts, plain.ends, "peaks.bed", lines)


def test_names_that_agree_stay_and_nothing_is_noted(tmp_path: Path) -> None:
    notes: list[str] = []
    with open_genome(small(tmp_path), note=notes.append) as genome:
        matched = genome.match(numbered(BEDROWS))
    assert matched.names() == ["chr1:0-5", "chr2:2-7", "chr1:13-18"]
    assert matched.where(2) == "peaks.bed line 5"
    assert notes == []


@pytest.mark.parametrize("ours", ["chr1", "1"])
def test_chr1_is_1_and_that_is_noted_once(tmp_path: Path, ours: str) -> None:
    theirs = "1" if ours == "chr1" else "chr1"
    other = "2" if ours == "chr1" else "chr2"
    notes: list[str] = []
    path = put(tmp_path, wrapped({ours: CHR1, ours.replace("1", "2"): CHR2}, 7))
    with open_genome(path, note=notes.append) as genome:
        for _ in range(2):
            matched = genome.match(numbered([(theirs, 0, 5), (ours, 1, 2), (other, 0, 7)]))
        assert matched.names() == [f"{ours}:0-5", f"{ours}:1-2", f"{ours.replace('1', '2')}:0-7"]
        assert notes == []
    assert notes == [
        f"chromosome names matched by the rule chr1 = 1: {theirs} is {ours} in {path}"
        " (names so matched: 2)"
    ]


def test_the_rule_needs_no_listener(tmp_path: Path) -> None:
    with open_genome(small(tmp_path)) as genome:
        assert genome.match(numbered([("2", 0, 7)])).names() == ["chr2:0-7"]


@pytest.mark.parametrize(("chrom", "other"), [("chr9", "9"), ("9", "chr9"), ("Chr1", "chrChr1")])
def test_an_unknown_chromosome_is_told_with_its_line(
    tmp_path: Path, chrom: str, other: str
) -> None:
    path = small(tmp_path)
    with open_genome(path) as genome, pytest.raises(IntervalError) as caught:
        genome.match(numbered([*BEDROWS, (chrom, 0, 5), (chrom, 0, 9)]))
    assert str(caught.value) == (
        f"peaks.bed line 6: chromosome '{chrom}' (or '{other}') is not in {path}, which has chr1,"
        " chr2"
    )


def test_an_unknown_chromosome_is_told_with_some_that_are_there(tmp_path: Path) -> None:
    path = put(tmp_path, wrapped(dict.fromkeys("abcde", "ACGT"), 4))
    with open_genome(path) as genome, pytest.raises(IntervalError, match=r"has a, b, c, \.\.\.$"):
        genome.match(numbered([("x", 0, 1)]))


def test_an_end_beyond_the_chromosome_is_told_with_its_line(tmp_path: Path) -> None:
    message = r"^peaks\.bed line 4: end 8 is beyond the end of chr2, 7$"
    with open_genome(small(tmp_path)) as genome:
        genome.match(numbered([("chr1", 0, 18), ("chr2", 0, 7)]))
        with pytest.raises(IntervalError, match=message):
            genome.match(numbered([("chr1", 0, 18), ("chr2", 0, 8)]))


def test_no_intervals_match(tmp_path: Path) -> None:
    with open_genome(small(tmp_path)) as genome:
        assert len(genome.match(from_rows([]))) == 0


# The index


def test_the_index_is_kept_beside_the_genome_as_samtools_would_make_it(tmp_path: Path) -> None:
    path = put(tmp_path, b">chr1 x\nACGTA\nACG\n>chr2\r\nAC\r\nGT\r\n")
    with open_genome(path):
        pass
    # name, bp, offset of the first base, bases a line, bytes a line
    assert (tmp_path / "genome.fa.fai").read_text() == "chr1\t8\t8\t5\t6\nchr2\t4\t25\t2\t4\n"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["genome.fa", "genome.fa.fai"]


def test_an_index_that_is_there_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = small(tmp_path)
    with open_genome(path):
        pass
    monkeypatch.setattr("enhancer_core.io.genome._index_plain", None)
    with open_genome(path) as genome:
        assert spelled(genome, "chr2") == CHR2


def test_an_index_older_than_the_genome_is_made_anew(tmp_path: Path) -> None:
    path = small(tmp_path)
    with open_genome(path):
        pass
    index = tmp_path / "genome.fa.fai"
    put(tmp_path, wrapped({"chr1": CHR2, "chr2": CHR1}, 3))
    aged(index, 60)
    with open_genome(path) as genome:
        assert spelled(genome, "chr1") == CHR2
        assert spelled(genome, "chr2") == CHR1
    assert index.stat().st_mtime >= path.stat().st_mtime
    with open_genome(path) as genome:
        assert spelled(genome, "chr1") == CHR2


def test_a_genome_in_a_folder_that_cannot_be_written_is_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = small(tmp_path)
    allowed = os.access
    # Root may write to every folder, whatever its mode: so the answer of the system is made up.
    monkeypatch.setattr(os, "access", lambda at, mode: at != tmp_path and allowed(at, mode))
    with open_genome(path) as genome:
        assert spelled(genome, "chr1") == CHR1
    assert [each.name for each in tmp_path.iterdir()] == ["genome.fa"]


def test_nothing_is_written_beside_a_gzip_file_and_nothing_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    path = put(tmp_path, gzip.compress(wrapped({"chr1": CHR1}, 5)), "genome.fa.gz")
    with open_genome(path) as genome:
        assert spelled(genome, "chr1") == CHR1
        assert genome.path == path
    assert sorted(each.name for each in tmp_path.iterdir()) == ["genome.fa.gz", "temporary"]
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("name", ["genome.fa.gz", "genome.fa.bgz", "genome.zip", "genome"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_the_content_tells_gzip_not_the_name(
    tmp_path: Path, name: str, pack: Callable[[bytes], bytes]
) -> None:
    path = put(tmp_path, pack(wrapped({"chr1": CHR1}, 5)), name)
    with open_genome(path) as genome:
        assert spelled(genome, "chr1") == CHR1


# Compressed by bgzip: read in place

LARGE = decode(np.random.default_rng(0).integers(0, 5, (1, 150_000), dtype=np.uint8))[0]
TWO = {"chr1": LARGE[:140_000], "chr2": LARGE[140_000:]}


def bgzip(folder: Path, content: bytes, name: str = "genome.fa.gz") -> Path:
    path = folder / name
    with pysam.BGZFile(str(path), "w", index=None) as stream:
        stream.write(content)
    return path


def opened(path: Path) -> tuple[str, str]:
    with open_genome(path) as genome:
        return spelled(genome, "chr1"), spelled(genome, "chr2")


@pytest.fixture
def no_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a file would be unpacked."""
    monkeypatch.setattr("enhancer_core.io.genome._copied", None)


@pytest.mark.usefixtures("no_copy")
@pytest.mark.parametrize("name", ["genome.fa.gz", "genome.fa"])
@pytest.mark.parametrize(("width", "end"), [(60, "\n"), (61, "\r\n"), (10**6, "\n")])
def test_a_genome_of_bgzip_is_that_of_the_plain_file(
    tmp_path: Path, name: str, width: int, end: str
) -> None:
    content = wrapped(TWO, width, end)
    starts = np.random.default_rng(1).integers(0, 139_400, 600)
    windows = from_rows(("chr1", start, start + 600) for start in starts.tolist())
    with (
        open_genome(put(tmp_path, content, "plain.fa")) as plain,
        open_genome(bgzip(tmp_path, content, name)) as packed,
    ):
        assert packed.lengths == plain.lengths
        assert (packed.windows(windows) == plain.windows(windows)).all()
        for chrom in TWO:
            assert (packed.codes(chrom) == plain.codes(chrom)).all()
        # One base, an end, none, and what lies on the edge of two blocks.
        for start, stop in ((0, 1), (139_999, 140_000), (5, 5), (64_000, 66_000)):
            assert spelled(packed, "chr1", start, stop) == TWO["chr1"][start:stop]


@given(st.dictionaries(st.sampled_from(["chr1", "chr2", "X"]), dna, min_size=1), st.integers(1, 70))
def test_any_small_genome_of_bgzip_is_that_of_the_plain_file(
    sequences: dict[str, str], width: int
) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        open_genome(bgzip(Path(folder), wrapped(sequences, width))) as genome,
    ):
        assert {name: spelled(genome, name) for name in genome.lengths} == sequences


@pytest.mark.usefixtures("no_copy")
def test_the_indexes_of_bgzip_are_kept_beside_it_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bgzip(tmp_path, wrapped(TWO, 60))
    assert opened(path) == (TWO["chr1"], TWO["chr2"])
    kept = ["genome.fa.gz", "genome.fa.gz.fai", "genome.fa.gz.gzi"]
    assert sorted(each.name for each in tmp_path.iterdir()) == kept
    with pysam.FastaFile(str(path)) as samtools:
        assert samtools.fetch("chr2") == TWO["chr2"]
    with monkeypatch.context() as context:
        context.setattr(pysam, "faidx", None)
        assert opened(path) == (TWO["chr1"], TWO["chr2"])
    bgzip(tmp_path, wrapped({"chr1": CHR1, "chr2": CHR2}, 5))
    aged(tmp_path / kept[2], 60)
    assert opened(path) == (CHR1, CHR2)


@pytest.mark.usefixtures("no_copy")
def test_a_genome_of_bgzip_in_a_folder_that_cannot_be_written_is_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bgzip(tmp_path, wrapped(TWO, 60))
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda at, mode: at != tmp_path and allowed(at, mode))
    assert opened(path) == (TWO["chr1"], TWO["chr2"])
    assert [each.name for each in tmp_path.iterdir()] == ["genome.fa.gz"]


def test_a_plain_gzip_genome_is_unpacked_and_that_is_noted(tmp_path: Path) -> None:
    path = put(tmp_path, gzip.compress(wrapped({"chr1": CHR1}, 5)), "genome.fa.gz")
    notes: list[str] = []
    with open_genome(path, note=notes.append) as genome:
        assert spelled(genome, "chr1") == CHR1
    assert notes == [f"{path}: unpacked to a temporary file; bgzip files are read in place"]


def test_bgzip_that_is_cut_is_told(tmp_path: Path) -> None:
    path = bgzip(tmp_path, wrapped(TWO, 60))
    path.write_bytes(path.read_bytes()[:-28])  # the empty block that ends it
    with pytest.raises(FileError, match="lacks its end mark; the file is cut"), open_genome(path):
        pass


def test_damaged_bgzip_or_the_index_of_other_blocks_is_told(tmp_path: Path) -> None:
    path = bgzip(tmp_path, wrapped(TWO, 60))
    assert opened(path) == (TWO["chr1"], TWO["chr2"])
    whole, index = path.read_bytes(), tmp_path / "genome.fa.gz.gzi"
    blocks = np.fromfile(index, dtype="<u8")
    shift = np.eye(5, dtype="<u8")
    for damaged in ([], [9], blocks[:-1], blocks + shift[1], blocks - shift[2]):
        np.array(damaged, dtype="<u8").tofile(index)
        with pytest.raises(FileError, match=r"the index .*\.gzi does not fit .*"):
            opened(path)
    blocks.tofile(index)
    path.write_bytes(whole[:9000] + b"damage" + whole[9006:])
    aged(path, 60)
    with pytest.raises(FileError, match=r"genome\.fa\.gz: the gzip data is damaged \("):
        opened(path)


def index_of(sequences: dict[str, str], width: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = put(Path(folder), wrapped(sequences, width))
        with open_genome(path):
            return Path(f"{path}.fai").read_text()


WHOLE = index_of({"chr1": CHR1, "chr2": CHR2}, 5)


@pytest.mark.parametrize(
    "index",
    [
        "",
        WHOLE[:-8],
        WHOLE.splitlines(keepends=True)[0],
        WHOLE.splitlines(keepends=True)[1],
        "".join(reversed(WHOLE.splitlines(keepends=True))),
        WHOLE + WHOLE,
        WHOLE + "chr3\t5\t90\t5\t6\n",
        WHOLE.replace("chr2", "chr3"),
        WHOLE.replace("\t18\t", "\t17\t"),
        WHOLE.replace("\t18\t", "\t-18\t"),
        WHOLE.replace("\t7\t", "\t8\t"),
        WHOLE.replace("\t7\t", "\t9999\t"),
        WHOLE.replace("\t5\t6", "\t6\t7"),
        WHOLE.replace("\t5\t6", "\t0\t0"),
        WHOLE.replace("\t", " "),
        index_of({"chr1": CHR1, "chr2": CHR2}, 6),
        index_of({"chr1": CHR2, "chr2": CHR1}, 5),
        index_of({"chr1": CHR1, "chr2": CHR2[:-1]}, 5),
        "\x00\x01\x02",
        "not an index\n",
    ],
)
def test_an_index_that_does_not_fit_is_told_and_kept(tmp_path: Path, index: str) -> None:
    path = small(tmp_path)
    beside = tmp_path / "genome.fa.fai"
    beside.write_text(index)
    with pytest.raises(FileError) as caught, open_genome(path):
        pass
    message = f"{path}: index {beside} does not fit this file; delete the index ("
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert beside.read_text() == index


def test_an_index_whose_sequence_begins_within_a_header_is_told(tmp_path: Path) -> None:
    path = put(tmp_path, b">chr1 abc\nACGT\n")
    (tmp_path / "genome.fa.fai").write_text("chr1\t8\t6\t8\t9\n")
    message = r"fai does not fit this file; delete the index \(record 'chr1'\)$"
    with pytest.raises(FileError, match=message), open_genome(path):
        pass


def test_an_index_of_the_same_layout_fits(tmp_path: Path) -> None:
    path = small(tmp_path)
    (tmp_path / "genome.fa.fai").write_text(WHOLE)
    with open_genome(path) as genome:
        assert spelled(genome, "chr2") == CHR2


# One rule for genomes and sequence files

SPELLINGS = {
    "LF": b">one x\nACGT\nAC\n>two\nNNgG\nT\n",
    "CRLF": b">one x\r\nACGT\r\nAC\r\n>two\r\nNNgG\r\nT\r\n",
    "no last line end": b">one x\nACGT\nAC\n>two\nNNgG\nT",
    "blank lines at the ends of records": b">one x\nACGT\nAC\n\n \n>two\nNNgG\nT\n\n\n",
    "longest line last": b">one x\nAC\nACGT\n>two\nNNg\nGT\n".replace(b"AC\nACGT", b"A\nCGTAC"),
    "lines of any length": b">one x\nA\nCGTA\nC\n>two\nNN\ngGT\n",
    "CR": b">one x\rACGT\rAC\r>two\rNNgG\rT\r",
    "CR and LF": b">one x\rACGT\nAC\n>two\r\nNNgG\nT\n",
    "CRLF longer by one": b">one x\r\nACG\r\nTAC\r\n>two\r\nNN\r\ngGT",
    "CRLF in one of two lines": b">one x\nACG\r\nTAC\n>two\nNNgG\nT\r\n",
    "byte order mark": b"\xef\xbb\xbf>one x\nACGT\nAC\n>two\nNNgG\nT\n",
    "comments": b"; made by hand\n>one x\n;>three\nACGT\nAC\n;\n>two\nNNgG\n;ACGT\nT\n; end",
    "blanks at line ends": b">one x\nACGT \nAC\t\n>two \t\nNNgG \nT \n",
    "a blank where a base could be": b">one x\nACG\nT  \nAC\n>two\nNNgG\nT\n",
    "blank lines first and between": b"\n \n>one x\n\nACGT\n\nAC\n\n>two\nNNgG\nT\n",
    "a blank before the name": b"> one x\nACGT\nAC\n>\ttwo\nNNgG\nT\n",
    "a header that is not UTF-8": b">one \xe9\nACGT\nAC\n>two\nNNgG\nT\n",
}


@pytest.mark.parametrize("pack", ["plain", "gzip", "bgzip"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_genome_is_read_as_a_sequence_file_is(tmp_path: Path, spelling: str, pack: str) -> None:
    content = SPELLINGS[spelling]
    if pack == "bgzip":
        path = bgzip(tmp_path, content)
    else:
        path = put(tmp_path, gzip.compress(content) if pack == "gzip" else content)
    assert {r.name: decode(r.codes[None])[0] for r in read_records(path)} == {
        "one": "ACGTAC",
        "two": "NNGGT",
    }
    for _ in ("the index is made", "the index is read"):
        with open_genome(path) as genome:
            assert genome.lengths == {"one": 6, "two": 5}
            assert (spelled(genome, "one"), spelled(genome, "two")) == ("ACGTAC", "NNgGT")
            assert spelled(genome, "one", 3, 5) == "TA"
            assert decode(genome.windows(from_rows([("two", 1, 4), ("one", 3, 6)]))) == [
                "NGG",
                "TAC",
            ]


@given(
    st.lists(
        st.sampled_from(
            [">a", ">b c", ">", "> d", " >e", "AC", "ACG", "acgt", "", " ", "AC ", "A C", ";x"]
        ),
        max_size=9,
    ),
    st.lists(st.sampled_from(["\n", "\n", "\r\n", "\r", ""]), min_size=9, max_size=9),
    st.sampled_from([put, bgzip]),
)
def test_any_text_reads_the_same_as_genome_and_as_sequences(
    lines: list[str], ends: list[str], write: Callable[[Path, bytes], Path]
) -> None:
    content = "".join(map("".join, zip(lines, ends, strict=False))).encode()

    def outcome(read: Callable[[Path], dict[str, str]], path: Path) -> dict[str, str] | str:
        try:
            return read(path)
        except (FileError, SequenceError) as error:
            return str(error).removesuffix(" and IUPAC ambiguity codes")

    def genome_records(path: Path) -> dict[str, str]:
        with open_genome(path) as genome:
            return {name: decode(genome.codes(name)[None])[0] for name in genome.lengths}

    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), content)
        expected = outcome(
            lambda path: {r.name: decode(r.codes[None])[0] for r in read_records(path)}, path
        )
        assert outcome(genome_records, path) == expected
        assert outcome(genome_records, path) == expected  # by the index, if one could be made


def test_a_genome_that_is_read_through_a_copy_says_so(tmp_path: Path) -> None:
    notes: list[str] = []
    path = put(tmp_path, SPELLINGS["lines of any length"])
    with open_genome(path, note=notes.append):
        pass
    assert notes == [
        f"{path}: read through a temporary copy; files of LF or CRLF whose records have lines of"
        " one length, no blanks and no comments are read in place"
    ]
    assert [each.name for each in tmp_path.iterdir()] == ["genome.fa"]


def test_a_bad_letter_of_a_copied_genome_is_told_only_where_it_is_read(tmp_path: Path) -> None:
    path = put(tmp_path, b";\n>a\nAC\nACGT\n>b\rAC*\n")
    with open_genome(path) as genome:
        assert decode(genome.codes("a")[None]) == ["ACACGT"]
        with pytest.raises(SequenceError, match=r"line 6: record 'b': letter '\*' at position 3"):
            genome.codes("b")


# Files that are no genome


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ": empty; a FASTA file with at least one record is needed"),
        (gzip.compress(b"", mtime=0), ": empty; a FASTA file with at least one record is needed"),
        (b"\n\n", ": only blank lines or comments; a FASTA file with at least one record is"),
        (b"ACGT\n", " line 1: not FASTA; the first line must be a header, '>name'"),
        (b";old\nACGT\n", " line 2: not FASTA; the first line must be a header, '>name'"),
        (bytes(range(14, 256)), " line 1: not FASTA; the first line must be a header, '>name'"),
        (b">a \nACGT\n>\nACGT\n", " line 3: header without a name; '>name' is needed"),
        (b">a\nAC\n>a\nAC\n", " line 3: name 'a' is already on line 1; each record needs its own"),
        (b">a\rAC\r>a\rAC\r", " line 3: name 'a' is already on line 1; each record needs its own"),
        (b">a\n", " line 1: record 'a' has a header without sequence"),
        (b">a\n>b\nAC\n", " line 1: record 'a' has a header without sequence"),
        (b">a\nAC\n>b\n\n", " line 3: record 'b' has a header without sequence"),
        (
            gzip.compress(b">a\nACGT\n" * 20, mtime=0)[:-9],
            ": the gzip data ends too early; the file is cut",
        ),
    ],
)
def test_a_file_that_is_no_genome_is_told_and_nothing_is_left(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = put(tmp_path, content)
    with pytest.raises(FileError) as caught, open_genome(path):
        pass
    assert str(caught.value).startswith(f"{path}{message}")
    assert "\n" not in str(caught.value)
    assert [each.name for each in tmp_path.iterdir()] == ["genome.fa"]


def test_what_is_wrong_with_the_file_comes_before_an_index_that_does_not_fit(
    tmp_path: Path,
) -> None:
    path = put(tmp_path, b">chr1\n>chr2\nAC\n")
    (tmp_path / "genome.fa.fai").write_text("chr1\t0\t6\t0\t0\nchr2\t2\t12\t2\t3\n")
    message = r"line 1: record 'chr1' has a header without sequence$"
    with pytest.raises(FileError, match=message), open_genome(path):
        pass


def test_an_empty_genome_with_an_index_is_told(tmp_path: Path) -> None:
    path = put(tmp_path, b"")
    (tmp_path / "genome.fa.fai").write_text(WHOLE)
    with pytest.raises(FileError, match=r"genome\.fa: empty; a FASTA file"), open_genome(path):
        pass


def test_what_cannot_be_opened_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"No such file or directory"), open_genome(tmp_path / "no"):
        pass
    with pytest.raises(FileError, match=r"Is a directory"), open_genome(tmp_path):
        pass


def test_a_genome_is_read_from_a_pipe(tmp_path: Path) -> None:
    path, pipe = small(tmp_path), tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(path.read_bytes()))
    writer.start()
    notes: list[str] = []
    with open_genome(pipe, note=notes.append) as genome:
        assert spelled(genome, "chr2") == CHR2
    writer.join()
    assert notes[0].startswith(f"{pipe}: read through a temporary copy; ")


def test_real_windows_are_the_slices_of_the_whole(real_data: Path) -> None:
    path = real_data / "human_regions" / "genome.fa.gz"
    with open_genome(path) as genome:
        assert not Path(f"{path}.fai").exists()
        for name, length in list(genome.lengths.items())[:3]:
            whole = genome.codes(name)
            assert whole.shape == (length,)
            starts = np.linspace(0, length - 500, 50).astype(int)
            windows = from_rows((name, start, start + 500) for start in starts.tolist())
            expected = np.stack([whole[start : start + 500] for start in starts])
            assert (genome.windows(windows) == expected).all()
