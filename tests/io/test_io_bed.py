"""BED and GTF: intervals from every flavour, and what is wrong with a bad line."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enhancer_core.dna.intervals import from_rows
from enhancer_core.errors import EnhancerError, FileError, IntervalError
from enhancer_core.io.bed import read_bed, read_bed_rows, read_genes, write_bed

BED = "chr1\t10\t20\nchr2\t0\t5\n"
BED12 = "chr1\t10\t20\tname\t0\t+\t10\t20\t0,0,0\t1\t10\t0\nchr2\t0\t5\tx\t0\t-\t0\t5\t0\t1\t5\t0\n"
GTF = (
    "#!genome-build GRCh38\n"
    'chr1\tHAVANA\tgene\t11\t20\t.\t+\t.\tgene_id "A";\n'
    'chr1\tHAVANA\ttranscript\t11\t20\t.\t+\t.\tgene_id "A";\n'
    'chr2\tENSEMBL\tgene\t1\t5\t.\t-\t.\tgene_id "B";\n'
    'chr2\tENSEMBL\texon\t1\t2\t.\t-\t.\tgene_id "B";\n'
)
SPANS = ["chr1:10-20", "chr2:0-5"]

Read = Callable[[Path], object]
spans = st.tuples(
    st.sampled_from(["chr1", "2", "tracked", "browserify"]),
    st.integers(0, 10**12),
    st.integers(1, 10**6),
).map(lambda row: (row[0], row[1], row[1] + row[2]))


def put(folder: Path, text: str) -> Path:
    path = folder / "some.bed"
    path.write_bytes(text.encode())
    return path


def cut(text: str, columns: int) -> str:
    return "".join("\t".join(line.split("\t")[:columns]) + "\n" for line in text.splitlines())


@pytest.mark.parametrize("columns", range(3, 13))
def test_bed_of_three_to_twelve_columns_gives_its_first_three(tmp_path: Path, columns: int) -> None:
    path = put(tmp_path, cut(BED12, columns))
    for found in (read_bed(path), read_genes(path)):
        assert found.names() == SPANS
        assert found.starts.dtype == found.ends.dtype == found.lines.dtype == np.int64
        assert [found.where(0), found.where(1)] == [f"{path} line 1", f"{path} line 2"]


@pytest.mark.parametrize(
    "text",
    [
        BED.rstrip("\n"),
        BED.replace("\n", "\r\n"),
        "\ufeff" + BED,
        f"browser position chr1\ntrack name=peaks type=bed\n#chrom\tstart\tend\n\n{BED}\n \n",
        BED.replace("10", "0010"),
    ],
    ids=["no last end", "CRLF", "byte order mark", "headers", "leading zeros"],
)
def test_every_spelling_of_bed_gives_the_same_intervals(tmp_path: Path, text: str) -> None:
    path = put(tmp_path, text)
    assert read_bed(path).names() == SPANS
    path.write_bytes(gzip.compress(text.encode()))
    assert read_bed(path).names() == SPANS


def test_lines_are_counted_with_comments_and_blanks(tmp_path: Path) -> None:
    found = read_bed(put(tmp_path, "# peaks\n\nchr1\t10\t20\n#\nchr2\t0\t5\n"))
    assert found.lines.tolist() == [3, 5]


@given(st.lists(spans, min_size=1))
def test_what_is_written_is_read_back(rows: list[tuple[str, int, int]]) -> None:
    intervals = from_rows(rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "some.bed.gz"
        write_bed(path, intervals)
        assert read_bed(path).names() == intervals.names()
        assert read_genes(path).names() == intervals.names()


def test_bed_is_written_with_three_columns(tmp_path: Path) -> None:
    path = tmp_path / "some.bed"
    write_bed(path, from_rows([("chr1", 10, 20), ("chr2", 0, 5)]))
    assert path.read_text() == BED


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_genes_of_gtf_become_zero_based_and_half_open(tmp_path: Path, end: str) -> None:
    genes = read_genes(put(tmp_path, GTF.replace("\n", end)))
    assert genes.names() == SPANS
    assert genes.lines.tolist() == [2, 4]


def test_a_gene_of_one_base_is_a_gene(tmp_path: Path) -> None:
    path = put(tmp_path, "1\tx\tgene\t7\t7\t.\t.\t.\t\n")
    assert read_genes(path).names() == ["1:6-7"]


def test_genes_of_gff3_read_as_those_of_gtf(tmp_path: Path) -> None:
    text = GTF.replace('gene_id "', "ID=").replace('";', "").replace("#!", "##gff-version 3\n##")
    assert read_genes(put(tmp_path, text)).names() == SPANS


def test_a_bed_file_of_nine_columns_is_not_gtf_even_if_its_names_are_numbers(
    tmp_path: Path,
) -> None:
    text = "chr1\t10\t20\t17\t18\t+\t.\t.\t.\nchr2\t0\t5\t18\t0\t.\t0\t5\t0\n"
    assert read_genes(put(tmp_path, text)).names() == SPANS


def test_rows_keep_all_columns_and_may_begin_before_a_chromosome_does(tmp_path: Path) -> None:
    path = put(tmp_path, "# header\nchr1\t-5\t20\tname\t0\t-\n\nchr2\t0\t5\n")
    assert list(read_bed_rows(path)) == [
        (2, ["chr1", "-5", "20", "name", "0", "-"], -5, 20),
        (4, ["chr2", "0", "5"], 0, 5),
    ]
    with pytest.raises(IntervalError, match=r"line 1: end -9 is not after start -5$"):
        list(read_bed_rows(put(tmp_path, "chr1\t-5\t-9\n")))
    with pytest.raises(FileError, match="line 1: columns are separated by spaces; BED needs tabs"):
        list(read_bed_rows(put(tmp_path, "chr1 0 9\n")))


@pytest.mark.parametrize("read", [read_bed, read_genes])
@pytest.mark.parametrize(
    ("line", "error", "message"),
    [
        ("chr1\t20\t20", IntervalError, "end 20 is not after start 20"),
        ("chr1\t30\t20\tx", IntervalError, "end 20 is not after start 30"),
        ("chr1\t-1\t20", IntervalError, "start -1 is negative; positions count from 0"),
        ("chr1\t10", FileError, "2 columns; BED needs at least 3 (chrom, start, end), separated"),
        ("chr1", FileError, "1 column; BED needs at least 3 (chrom, start, end), separated"),
        ("chr1 10 20", FileError, "columns are separated by spaces; BED needs tabs"),
        ("chr1  10  20", FileError, "columns are separated by spaces; BED needs tabs"),
        ("chrom\tstart\tend", FileError, "start 'start' and end 'end' must be whole numbers"),
        ("track\tstart\tend", FileError, "start 'start' and end 'end' must be whole numbers"),
        ("chr1,10,20", FileError, "columns are separated by commas; BED needs tabs"),
        ("chr1 10\t20\t30", FileError, "chromosome 'chr1 10' is empty or holds a blank; BED's"),
        ("\t10\t20", FileError, "chromosome '' is empty or holds a blank; BED's columns are"),
        ("chr1\t\t20", FileError, "start '' and end '20' must be whole numbers of digits alone"),
    ],
)
def test_a_bad_line_is_told_with_its_number(
    tmp_path: Path, read: Read, line: str, error: type[EnhancerError], message: str
) -> None:
    path = put(tmp_path, f"# header\n{BED}{line}\n")
    with pytest.raises(error) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path} line 4: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "number", ["1e5", " 10", "10 ", "+5", "1_000", "1.0", "1,000", "0x1", "٣", "--1", "9" * 19]
)
@pytest.mark.parametrize("column", [1, 2])
def test_only_plain_digits_are_a_number(tmp_path: Path, number: str, column: int) -> None:
    fields = ["chr1", "10", "20", "x"]
    fields[column] = number
    path = put(tmp_path, "\t".join(fields) + "\n")
    with pytest.raises(FileError) as caught:
        read_bed(path)
    assert str(caught.value) == (
        f"{path} line 1: start '{fields[1]}' and end '{fields[2]}' must be whole numbers of digits"
        " alone"
    )


@pytest.mark.parametrize(
    ("line", "error", "message"),
    [
        ("1\tx\tgene\t0\t9\t.\t+\t.\tid", IntervalError, "start 0 and end 9; GTF counts from 1"),
        ("1\tx\tgene\t9\t8\t.\t+\t.\tid", IntervalError, "start 9 and end 8; GTF counts from 1"),
        ("1\tx\tgene\t1e5\t8\t.\t+\t.\tid", FileError, "start '1e5' and end '8' must be whole"),
        ("1\tx\tgene\t8\t9\t.\t+\t.", FileError, "8 columns; GTF needs 9, separated by tabs"),
        ("1 x gene 8 9 . + . id", FileError, "1 column; GTF needs 9, separated by tabs"),
        ("1\t10\t20", FileError, "3 columns; GTF needs 9, separated by tabs"),
    ],
)
def test_a_bad_gtf_line_is_told_with_its_number(
    tmp_path: Path, line: str, error: type[EnhancerError], message: str
) -> None:
    path = put(tmp_path, f"{GTF}{line}\n")
    with pytest.raises(error) as caught:
        read_genes(path)
    assert str(caught.value).startswith(f"{path} line 6: {message}")


def test_a_bad_number_in_bed_of_nine_columns_is_not_taken_for_gtf(tmp_path: Path) -> None:
    path = put(tmp_path, "chr1\t1e5\t2e5\t17\t0\t+\t10\t20\t0\n")
    with pytest.raises(FileError, match=r"line 1: start '1e5' and end '2e5' must be whole numbers"):
        read_genes(path)


@pytest.mark.parametrize("read", [read_bed, read_genes])
@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\ntrack name=x\n"])
def test_a_file_without_intervals_is_told(tmp_path: Path, read: Read, text: str) -> None:
    with pytest.raises(FileError, match=r"some\.bed: no intervals; at least one is needed$"):
        read(put(tmp_path, text))


def test_a_gtf_file_without_gene_rows_is_told(tmp_path: Path) -> None:
    path = put(tmp_path, GTF.replace("\tgene\t", "\tCDS\t").replace("gene_id", "note"))


def test_gtf_is_not_bed(tmp_path: Path) -> None:
    message = r"line 2: start 'HAVANA' and end 'gene' must be whole numbers"
    with pytest.raises(FileError, match=message):
        read_bed(put(tmp_path, GTF))


def test_real_peaks_and_genes_are_read_whole(real_data: Path) -> None:
    folder = real_data / "human_regions"
    for path in sorted(folder.glob("*.bed")):
        rows = [line.split("\t")[:3] for line in path.read_text().splitlines()]
        assert read_bed(path).names() == [f"{chrom}:{a}-{b}" for chrom, a, b in rows]
        assert read_genes(path).names() == read_bed(path).names()
