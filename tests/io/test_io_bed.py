"""BED: intervals from every flavour, their summits, and what is wrong with a bad line."""

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
from enhancer_core.io.bed import read_bed, read_bed_rows, read_genes, read_named_bed, write_bed

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


@pytest.mark.parametrize(
    "header",
    [
        "chrom\tstart\tend",
        "Chr\tStart\tStop\tName",
        "seqnames\tstart\tend\twidth\tstrand",
        '"chromosome"\t"chromStart"\t"chromEnd"',
        "contig begin stop",
    ],
)
@pytest.mark.parametrize("start", ["", "\ufeff", "# peaks\n\n"])
def test_a_header_row_is_skipped_and_told(tmp_path: Path, header: str, start: str) -> None:
    path = put(tmp_path, f"{start}{header}\n{BED}")
    line = 3 if "#" in start else 1
    for read in (read_bed, read_genes):
        notes: list[str] = []
        assert read(path, note=notes.append).names() == SPANS
        text = f"{path} line {line}: a header row is skipped: {header.replace(chr(9), ' ')}"
        assert notes[0] == text
    notes = []
    assert [row[2:] for row in read_bed_rows(path, note=notes.append)] == [(10, 20), (0, 5)]
    assert notes == [text]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{BED}chrom\tstart\tend\n", "line 3: start 'start' and end 'end' must be whole numbers"),
        ("gene\tstart\tend\n", "line 1: start 'start' and end 'end' must be whole numbers"),
        ("Chromosome\tGene start (bp)\tGene end (bp)\n1\t5\t9\n", "line 1: start 'Gene start"),
        ("chrom start end\nchr1 10 20\n", "line 2: columns are separated by spaces; BED needs"),
        (
            "#MACS\n\nchr\tstart\tend\tlength\tabs_summit\nchr1\t11\t20\t10\t15\n",
            "line 4: length 10 from 11 to 20, so positions count from 1, as in peaks.xls of MACS",
        ),
        (
            '"seqnames"\t"start"\t"end"\t"width"\nchr1\t11\t20\t10\n',
            "line 2: width 10 from 11 to 20, so positions count from 1, as in peaks.xls",
        ),
    ],
)
def test_a_row_of_words_elsewhere_or_of_other_positions_is_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    path = put(tmp_path, text)
    with pytest.raises(FileError) as caught:
        read_bed(path)
    assert str(caught.value).startswith(f"{path} {message}")


def test_lengths_that_fit_positions_from_zero_are_read(tmp_path: Path) -> None:
    path = put(tmp_path, "chrom\tstart\tend\tlength\nchr1\t10\t20\t10\nchr2\t0\t5\t5\n")
    assert read_bed(path).names() == SPANS


@pytest.mark.parametrize(
    "text",
    [
        BED.replace("\n", " \n"),
        BED.replace("\n", "\t\n"),
        BED.replace("\n", "\t \t\r\n"),
        f"track\n{BED}browser\n",
        f"track\tname=peaks\n{BED}",
        f"browser\n\t\n{BED}",
    ],
)
def test_trailing_blanks_and_bare_track_lines_are_no_columns(tmp_path: Path, text: str) -> None:
    path = put(tmp_path, text)
    notes: list[str] = []
    assert read_bed(path, note=notes.append).names() == read_genes(path).names() == SPANS
    assert notes == []


def test_a_chromosome_may_be_called_track(tmp_path: Path) -> None:
    assert read_bed(put(tmp_path, "track\t10\t20\n")).names() == ["track:10-20"]


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


def test_gtf_is_not_bed(tmp_path: Path) -> None:
    message = r"line 2: start 'HAVANA' .* digits alone; it is GTF or GFF3, where BED is needed$"
    with pytest.raises(FileError, match=message):
        read_bed(put(tmp_path, GTF))


def test_real_peaks_and_genes_are_read_whole(real_data: Path) -> None:
    folder = real_data / "human_regions"
    for path in sorted(folder.glob("*.bed")):
        rows = [line.split("\t")[:3] for line in path.read_text().splitlines()]
        assert read_bed(path).names() == [f"{chrom}:{a}-{b}" for chrom, a, b in rows]
        assert read_genes(path).names() == read_bed(path).names()


NARROW = "chr1\t100\t200\tp1\t812\t.\t6.1\t8.25\t-1\t30\nchr2\t0\t50\tp2\t3\t+\t1e2\t0\tinf\t-1\n"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\t\n"])
@pytest.mark.parametrize("name", ["peaks.bed", "peaks.bed.gz", "peaks.narrowPeak"])
def test_narrowpeak_is_known_by_its_rows_whatever_its_name(
    tmp_path: Path, name: str, end: str
) -> None:
    text = NARROW.replace("\n", end).encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    notes: list[str] = []
    peaks = read_bed(tmp_path / name, note=notes.append)
    assert peaks.names() == ["chr1:100-200", "chr2:0-50"]
    assert peaks.summits.tolist() == [130, -1]
    assert peaks.take(np.array([1])).summits.tolist() == [-1]
    assert notes == []


# All rows could be BED with ten columns, or two files side by side on chromosomes without "chr".
OTHERS = [
    "chr1\t100\t200\tx\t0\t+\t100\t200\t0\t1\nchr1\t400\t500\ty\t0\t-\t400\t450\t0\t2\n",
    "1\t100\t200\tx\t0\t+\t1\t150\t250\t50\n2\t10\t20\tx\t0\t+\t2\t15\t25\t5\n",
]


@pytest.mark.parametrize("text", OTHERS)
def test_ten_columns_of_another_format_are_not_taken_for_narrowpeak(
    tmp_path: Path, text: str
) -> None:
    path = put(tmp_path, text)
    notes: list[str] = []
    assert len(read_bed(path, note=notes.append).summits) == 0
    assert notes == [
        f"{path}: columns 7 to 9 could be of another format than narrowPeak; the file is read as"
        " BED, without summits"
    ]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (
            "chr1\t10\t20\tx\t0\t.\t5.5\t2\t1\t10",
            "summit 10 of a peak of 10 bp; allowed are 0 to 9, and -1 for none",
        ),
        ("chr1\t10\t20\tx\t0\t.\t5.5\t2\t1\t-2", "columns 5 to 10 are not those of narrowPeak"),
        ("chr1\t10\t20\tx\t0\t.\tchr1\t2\t1\t3", "columns 5 to 10 are not those of narrowPeak"),
        ("chr1\t10\t20\tx\t0\tx\t5.5\t2\t1\t3", "columns 5 to 10 are not those of narrowPeak"),
        ("chr1\t10\t20\tx\t0\t.\t5.5\t2\t1", "9 columns; narrowPeak has 10"),
    ],
)
def test_one_row_that_is_not_narrowpeak_makes_the_file_bed_and_is_told(
    tmp_path: Path, row: str, problem: str
) -> None:
    path = put(tmp_path, f"{NARROW}{row}\n{NARROW}")
    notes: list[str] = []
    assert len(read_bed(path, note=notes.append).summits) == 0
    assert notes == [f"{path} line 3: {problem}; the file is read as BED, without summits"]


def test_a_file_that_calls_itself_narrowpeak_must_have_summits_in_its_peaks(tmp_path: Path) -> None:
    bad = "chr1\t10\t20\tx\t0\t.\t5.5\t2\t1\t10\n"
    (tmp_path / "a.narrowPeak").write_text(bad)
    message = "line 1: summit 10 of a peak of 10 bp; allowed are 0 to 9, and -1 for none"
    with pytest.raises(IntervalError, match=message):
        read_bed(tmp_path / "a.narrowPeak")
    with pytest.raises(IntervalError, match="line 2: summit 10 of a peak of 10 bp"):
        read_bed(put(tmp_path, f'track type="narrowPeak" name=x\n{bad}'))
    for text in OTHERS:
        path = put(tmp_path, f"track name=x type=narrowPeak\n{text}")
        assert len(read_bed(path).summits) == 2
    (tmp_path / "a.narrowPeak").write_text(BED)
    notes: list[str] = []
    assert read_bed(tmp_path / "a.narrowPeak", note=notes.append).names() == SPANS
    assert notes == [
        f"{tmp_path / 'a.narrowPeak'} line 1: 3 columns; narrowPeak has 10; the file is read as"
        " BED, without summits"
    ]


def test_bed_of_other_columns_has_no_summits_and_says_nothing(tmp_path: Path) -> None:
    for columns in (3, 6, 9, 12):
        notes: list[str] = []
        found = read_bed(put(tmp_path, cut(BED12, columns)), note=notes.append)
        assert (len(found.summits), notes) == (0, [])


def test_a_long_file_is_narrowpeak_as_a_whole_or_not(tmp_path: Path) -> None:
    """Longer than the blocks that files are read in."""
    row = NARROW.splitlines()[0] + "\n"
    assert read_bed(put(tmp_path, row * 50_000)).summits.tolist() == [130] * 50_000
    notes: list[str] = []
    found = read_bed(put(tmp_path, row * 50_000 + BED * 60_000), note=notes.append)
    assert (len(found), len(found.summits)) == (170_000, 0)
    assert notes[0].endswith("; the file is read as BED, without summits")


# Names


def test_names_are_those_of_the_fourth_column_and_else_of_the_place(tmp_path: Path) -> None:
    text = "# peaks\nchr1\t10\t20\ta b\t7\nchr1\t5\t9\nchr2\t0\t5\t.\t1\nchr2\t0\t6\t\t1\n"
    found, names = read_named_bed(put(tmp_path, text))
    assert names == ["a b", "chr1:5-9", "chr2:0-5", "chr2:0-6"]
    assert found.names() == ["chr1:10-20", "chr1:5-9", "chr2:0-5", "chr2:0-6"]
    assert found.where(1).endswith("some.bed line 3")
    assert len(found.summits) == 0


def test_named_intervals_are_checked_as_others_are(tmp_path: Path) -> None:
    with pytest.raises(IntervalError, match="line 1: start -1 is negative"):
        read_named_bed(put(tmp_path, "chr1\t-1\t5\tx\n"))
    with pytest.raises(FileError, match="no intervals; at least one is needed"):
        read_named_bed(put(tmp_path, "# nothing\n"))


def test_a_header_row_is_no_name(tmp_path: Path) -> None:
    notes: list[str] = []
    text = "chrom\tstart\tend\tname\nchr1\t1\t2\tone\n"
    _, names = read_named_bed(put(tmp_path, text), note=notes.append)
    assert names == ["one"]
    assert "a header row is skipped" in notes[0]
