from __future__ import annotations

import gzip
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pysam
import pytest

from enhancer_core.errors import EnhancerError, FileError
from enhancer_core.io.vcf import (
    Field,
    VcfRecord,
    header_with,
    in_order,
    line_with,
    open_vcf,
    open_vcf_output,
)
from enhancer_core.prediction.vcf import FIELDS

# Spellings that htslib would change, and an INFO key that the header does not define.
HEADER = (
    b"##fileformat=VCFv4.2",
    b'##FILTER=<ID=q10,Description="caf\xc3\xa9">',
    b'##INFO=<ID=AF,Number=A,Type=Float,Description="Frequency">',
    b"##contig=<ID=chr1>",
    b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ts1",
)
LINES = (
    b"chr1\t10\trs1;rs2\ta\tG,<DEL>\t50.00\tPASS\tAF=0.10;XX=3;DB\tGT\t0|1",
    b"chr1\t20\t.\tACgn\t.\t.\t.\t.\tGT\t./.",
    b"1\t5\t.\tA\t*,T\t1e3\tq11;q10\tAF=0.500,1\tGT\t0/1",
)
TEXT = b"\n".join([*HEADER, *LINES, b""])


def write(folder: Path, content: bytes, name: str = "a.vcf") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def bgzip(content: bytes, folder: Path) -> bytes:
    path = folder / "packed"
    with pysam.BGZFile(str(path), "w", index=None) as stream:
        stream.write(content)
    return path.read_bytes()


def read(path: Path) -> tuple[Sequence[bytes], list[VcfRecord]]:
    with open_vcf(path) as vcf:
        return vcf.header, list(vcf.records)


def records_of(folder: Path, *lines: str) -> list[VcfRecord]:
    head = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    text = head + "".join(f"{line.replace(' ', chr(9))}\n" for line in lines)
    return read(write(folder, text.encode()))[1]


@pytest.mark.parametrize("kind", ["plain", "CRLF", "gzip", "bgzip", "no last line end"])
def test_text_is_read_however_it_is_packed(kind: str, tmp_path: Path) -> None:
    packed = {
        "plain": TEXT,
        "CRLF": TEXT.replace(b"\n", b"\r\n"),
        "gzip": gzip.compress(TEXT),
        "bgzip": bgzip(TEXT, tmp_path),
        "no last line end": TEXT.rstrip(b"\n"),
    }
    header, records = read(write(tmp_path, packed[kind]))
    assert header == list(HEADER)
    assert [line_with(record, "EC_", {}, FIELDS) for record in records] == list(LINES)
    first, second, third = records
    assert (first.chrom, first.position, first.reference) == ("chr1", 9, "A")
    assert first.alternatives == ("G", "<DEL>")
    assert (second.reference, second.alternatives) == ("ACGN", ())
    assert (third.where, third.alternatives) == (f"{tmp_path}/a.vcf line 8", ("*", "T"))


def test_a_pipe_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR)
    os.write(writer, TEXT)
    with open_vcf(pipe) as vcf:
        os.close(writer)
        assert len(list(vcf.records)) == 3


def test_a_bcf_is_read(tmp_path: Path) -> None:
    genotype = b'##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">'
    text = b"\n".join([*HEADER[:-1], genotype, HEADER[-1], LINES[1], b""])
    path = tmp_path / "a.vcf.gz"  # its content tells, not its name
    with (
        pysam.VariantFile(str(write(tmp_path, text))) as source,
        pysam.VariantFile(str(path), "wb", header=source.header) as target,
    ):
        for each in source:
            target.write(each)
    header, (record,) = read(path)
    assert header[-1] == HEADER[-1]
    assert line_with(record, "EC_", {}, FIELDS) == LINES[1]
    assert record.where == f"{path} record 1"
    cut = write(tmp_path, path.read_bytes()[:-40], "cut.bcf")
    with pytest.raises(FileError, match=r"cut\.bcf: the BCF data is cut or damaged"):
        read(cut)


def test_a_header_alone_has_no_records(tmp_path: Path) -> None:
    assert read(write(tmp_path, b"\n".join(HEADER) + b"\n"))[1] == []


def test_info_is_added_to_and_what_an_earlier_run_left_is_replaced(tmp_path: Path) -> None:
    records = records_of(
        tmp_path,
        "chr1 5 . A T . . AF=0.10;EC_REF=9;DB;EC_SKIP=x",
        "chr1 6 . A T . . .",
        "chr1 7 . A T . . EC_REF=1",
        "chr1 8 . A T . . XEC_REF=1;EC_NUMBER=1.1.1.1",
    )
    values = {"REF": "0.5"}
    infos = [line_with(record, "EC_", values, FIELDS).split(b"\t")[7] for record in records]
    assert infos == [
        b"AF=0.10;DB;EC_REF=0.5",
        b"EC_REF=0.5",
        b"EC_REF=0.5",
        b"XEC_REF=1;EC_NUMBER=1.1.1.1;EC_REF=0.5",
    ]
    assert line_with(records[2], "EC_", {}, FIELDS).split(b"\t")[7] == b"."


def test_fields_are_defined_once_however_often_a_file_is_scored() -> None:
    field = Field(id="REF", number="A", type="Float", description="Of the reference")
    once = header_with(HEADER, "EC_", [field])
    line = b'##INFO=<ID=EC_REF,Number=A,Type=Float,Description="Of the reference">'
    assert once == [*HEADER[:-1], line, HEADER[-1]]
    assert header_with(once, "EC_", [field]) == once
    others = b'##INFO=<ID=EC_REFERENCE,Number=1,Type=String,Description="Not ours">'
    assert header_with([others, HEADER[-1]], "EC_", [field])[0] == others


RECORD = b"chr1\t5\t.\tA\tT\t.\t.\t."


def with_record(line: bytes) -> bytes:
    return b"\n".join([*HEADER, line, b""])


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", r"a\.vcf: empty; a VCF header is needed"),
        (RECORD, r"a\.vcf line 1: not VCF; the header must begin ##fileformat=VCF"),
        (b">chr1\nACGT\n", r"a\.vcf line 1: not VCF"),
        (b"\x00\xff\n", r"a\.vcf line 1: not VCF"),
        (HEADER[0] + b"\n" + RECORD, r"a\.vcf line 2: a record before the header line #CHROM"),
        (HEADER[0] + b"\n", r"a\.vcf: the header lacks its last line, #CHROM POS ID REF ALT"),
        (HEADER[0] + b"\n#CHROM\tPOS\n", r"a\.vcf: the header lacks its last line, #CHROM POS"),
        (with_record(b"chr1 5 . A T"), r"a\.vcf line 6: 1 columns; VCF has at least 8, sep"),
        (with_record(RECORD.replace(b"5", b"x")), r"line 6: position 'x' is not a whole number"),
        (with_record(RECORD.replace(b"5", b"-5")), r"line 6: position '-5' is not a whole number"),
        (RECORD.replace(b"\t", b" "), r"a\.vcf line 1: not VCF; columns must be separated by tabs"),
        (HEADER[0] + b"\n" + HEADER[-1].replace(b"\t", b" "), r"a\.vcf: the line #CHROM POS ID RE"),
        (gzip.compress(TEXT)[:-12], r"a\.vcf: the gzip data ends too early; the file is cut"),
    ],
    ids=[
        "empty", "no header", "FASTA", "binary", "no #CHROM", "header cut", "columns cut", "blanks",
        "letters as position", "negative", "no header, blanks", "#CHROM with blanks", "cut gzip",
    ],
)  # fmt: skip
def test_what_is_not_vcf_is_refused(content: bytes, match: str, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=match):
        read(write(tmp_path, content))


def test_a_bgzip_file_that_is_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = bgzip(TEXT, tmp_path)
    for left in (len(whole) - 1, len(whole) - 28, len(whole) - 40, 60, 20):
        path = write(tmp_path, whole[:left], "cut.vcf.gz")
        with pytest.raises(FileError, match=r"cut\.vcf\.gz: the b?gzip data .*; the file is cut"):
            read(path)


def test_records_out_of_order_are_named(tmp_path: Path) -> None:
    records = records_of(
        tmp_path, "chr1 7 . A T . . .", "chr1 7 . A C . . .", "chr2 2 . A T . . .",
        "chr2 1 . A T . . .",
    )  # fmt: skip
    assert list(in_order(records[:3])) == records[:3]
    with pytest.raises(FileError, match=r"a\.vcf line 6: position 1 after 2; sort the file"):
        list(in_order(records))
    with pytest.raises(FileError, match=r"line 4: chromosome chr1 again, after chr2; sort"):
        list(in_order([*records[:3], records[1]]))


def test_a_compressed_vcf_has_an_index_that_finds_its_records(tmp_path: Path) -> None:
    path = tmp_path / "out.vcf.gz"
    with open_vcf_output(path) as put:
        put(b"\n".join([*HEADER, *LINES[:2], b""]))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["out.vcf.gz", "out.vcf.gz.tbi"]
    assert gzip.decompress(path.read_bytes()) == b"\n".join([*HEADER, *LINES[:2], b""])
    with pysam.TabixFile(str(path), encoding="utf-8") as index:
        assert [line.encode() for line in index.fetch("chr1", 19, 20)] == [LINES[1]]


@pytest.mark.parametrize("position", [1 << 29, (1 << 29) + 1, 600_000_000])
def test_the_index_is_the_one_that_holds_the_records(tmp_path: Path, position: int) -> None:
    path = tmp_path / "a.vcf.gz"
    for suffix in (".tbi", ".csi"):
        path.with_name(path.name + suffix).write_text("of an older file")
    record = b"chr1\t%d\t.\tA\tT\t.\t.\t." % position
    with open_vcf_output(path) as write:
        write(b"\n".join([HEADER[0], b"\t".join(HEADER[-1].split(b"\t")[:8]), record, b""]))
    suffix = ".tbi" if position <= 1 << 29 else ".csi"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.vcf.gz", f"a.vcf.gz{suffix}"]
    with pysam.TabixFile(str(path), index=f"{path}{suffix}") as indexed:
        assert list(indexed.fetch("chr1", position - 1, position)) == [record.decode()]


def test_a_vcf_stays_where_no_index_can_be_made(tmp_path: Path) -> None:
    path = tmp_path / "a.vcf.gz"
    with (
        pytest.warns(UserWarning, match=r"a\.vcf\.gz is written without an index \("),
        open_vcf_output(path) as write,
    ):
        write(with_record(RECORD.replace(b"\t5\t", b"\t99999999999999\t")))
    assert [file.name for file in tmp_path.iterdir()] == ["a.vcf.gz"]
    assert read(path)[1][0].position == 99999999999998


@pytest.mark.parametrize(
    ("content", "alleles"),
    [
        (b"chr1\t5\trs1\tA\tT,C\nchr1\t9\t.\tG\tT\n", ["rs1", "A"]),
        (b"chr1\t5\tA\tT,C\n\nchr1\t9\tG\tT\n", [".", "A"]),
        (b"\xef\xbb\xbfchr1\t5\trs1\tA\tT,C\r\nchr1\t9\t.\tG\tT", ["rs1", "A"]),
        (b"#CHROM\tPOS\tID\tREF\tALT\nchr1\t5\trs1\tA\tT,C\nchr1\t9\t.\tG\tT\n", ["rs1", "A"]),
        (b"ref\talt\tchrom\tpos\tgene\nA\tT,C\tchr1\t5\tx\nG\tT\tchr1\t9\ty\n", [".", "A"]),
    ],
    ids=["five columns", "four columns", "BOM and CRLF", "#CHROM alone", "names in another order"],
)
def test_a_list_of_variants_is_read_as_a_vcf(
    tmp_path: Path, content: bytes, alleles: list[str]
) -> None:
    with open_vcf(write(tmp_path, content)) as vcf:
        assert vcf.header == [b"##fileformat=VCFv4.2", b"\t".join(HEADER[-1].split(b"\t")[:8])]
        assert "a.vcf: read as a list of variants: " in vcf.note
        records = list(vcf.records)
    assert [record.position for record in records] == [4, 8]
    assert [c.decode() for c in records[0].columns[2:4]] == alleles
    assert records[0].columns[4:] == [b"T,C", b".", b".", b"."]


def test_a_list_with_a_short_line_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, b"chr1\t5\t.\tA\tT\nchr1\t9\tG\n")
    with pytest.raises(FileError, match=r"a\.vcf line 2: 3 columns, separated by tabs; 5 are need"):
        read(path)


def test_a_vcf_with_a_byte_order_mark_or_five_columns_is_read(tmp_path: Path) -> None:
    assert read(write(tmp_path, b"\xef\xbb\xbf" + TEXT))[0] == list(HEADER)
    short = b"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\nchr1\t5\t.\tA\tT\n"
    assert read(write(tmp_path, short))[1][0].columns[5:] == [b".", b".", b"."]


def test_contigs_of_a_header_have_their_lengths(tmp_path: Path) -> None:
    header = (
        b"##fileformat=VCFv4.2\n##contig=<ID=1,assembly=b37,length=249250621>\n##contig=<ID=2>\n"
        b'##contig=<length=5,ID=MT,species="H. sapiens">\n'
    )
    with open_vcf(write(tmp_path, header + HEADER[-1])) as vcf:
        assert vcf.contigs() == {"1": 249250621, "MT": 5}


@pytest.mark.parametrize("name", ["out.vcf", "out.vcf.gz"])
def test_nothing_is_left_of_an_output_that_was_not_finished(name: str, tmp_path: Path) -> None:
    def write_half() -> None:
        with open_vcf_output(tmp_path / name) as put:
            put(TEXT)
            raise FileError("bad input")

    with pytest.raises(FileError, match="bad input"):
        write_half()
    assert list(tmp_path.iterdir()) == []


def test_bcf_is_not_written(tmp_path: Path) -> None:
    with (
        pytest.raises(FileError, match=r"out\.bcf: the ending does not fit what is written; allow"),
        open_vcf_output(tmp_path / "out.bcf"),
    ):
        pass


def test_without_pysam_plain_files_work_and_others_say_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bcf = write(tmp_path, bgzip(b"BCF\x02\x02", tmp_path), "a.bcf")
    monkeypatch.setitem(sys.modules, "pysam", None)
    with open_vcf_output(tmp_path / "out.vcf") as put:
        put(TEXT)
    assert len(read(tmp_path / "out.vcf")[1]) == 3
    with (
        pytest.raises(EnhancerError, match=r"out\.vcf\.gz is to be .* needs pysam: pip install"),
        open_vcf_output(tmp_path / "out.vcf.gz"),
    ):
        pass
    with pytest.raises(EnhancerError, match=r"a\.bcf is BCF, which needs pysam: pip install pysam"):
        read(bcf)


def test_a_disk_without_room_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def __init__(self, *_: object) -> None:
            super().__init__()

        def write(self, _: object) -> int:
            raise OSError("Error writing")

    monkeypatch.setattr(pysam, "BGZFile", Full)
    with (
        pytest.raises(FileError, match=r"out\.vcf\.gz: cannot be written \(Error writing\)"),
        open_vcf_output(tmp_path / "out.vcf.gz") as put,
    ):
        put(TEXT)
    assert list(tmp_path.iterdir()) == []
