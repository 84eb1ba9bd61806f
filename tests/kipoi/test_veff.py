"""kipoi-veff scores the SNVs of a VCF; all else of it comes out as it went in.

kipoi-veff itself is not installed here: a stand-in scores; `make kipoi` runs the real one.
"""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from enhancer_core.errors import EnhancerError, FileError
from enhancer_core.io.genome import open_genome
from enhancer_core.io.vcf import open_vcf
from enhancer_core.kipoi import veff
from enhancer_core.kipoi.snvs import write_snvs

HEADER = (
    "##fileformat=VCFv4.1",
    "##odd=stays where it is",
    '##INFO=<ID=AF,Number=A,Type=Float,Description="">',
    "##contig=<ID=1>",
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="">',
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tone\ttwo",
)
SAMPLES = "GT:AD\t0/1:3,4\t./.:."
# CHROM POS ID REF ALT QUAL FILTER INFO of a genome ACGTACGT..., and why an ALT is not scored.
RECORDS = (
    ("1 1 rs1 A C 29.0 PASS AF=0.10;DB", [""]),
    ("1 2 . C A,T 29 q10;s50 AF=0.10,1e-3", ["", ""]),
    ("1 3 a;b G <DEL> 50.00 . SVTYPE=DEL;END=9", ["symbolic"]),
    ("1 4 . T *,A . . .", ["spanning_deletion", ""]),
    ("1 5 . A A]1:9] . . AF=0.10", ["breakend"]),
    ("1 6 . C CAC . . AF=0.10", ["not_an_snv"]),
    ("1 7 . GT AC . . AF=0.10", ["not_an_snv"]),
    ("1 8 wrong A C . . AF=0.10", ["ref_mismatch"]),
    ("1 9 . A . . . AF=0.10", ["no_alt"]),
    ("1 10 . C N . . AF=0.10", ["not_acgt"]),
    ("1 11 . G G . . AF=0.10", ["alt_is_ref"]),
    ("7 11 . G A . . AF=0.10", ["unknown_chromosome"]),
    ("1 999 . G A . . AF=0.10", ["outside_chromosome"]),
    ("1 12 . t c 1e1 . AF=0.10", [""]),  # not in order
)
LINES = [line.replace(" ", "\t") + "\t" + SAMPLES for line, _ in RECORDS]
PREFIX = "KV:enhancer:Nets/fly:"


class Table:
    """As much of a pandas table of one model output as is read."""

    columns = ("probability",)

    def __init__(self, values: Sequence[float]) -> None:
        self.iloc = [(value,) for value in values]


class Record:
    """As much of cyvcf2's record."""

    def __init__(self, info: bytes) -> None:
        name, _, number = info.decode().partition("=")
        self.INFO = {name: int(number)}


def stand_in(*leave_out: int) -> Any:  # noqa: ANN401
    """Score as kipoi-veff does: 0.5 for the first SNV, 1.5 for the second; some are left out."""

    def score(
        model: object, dl_args: object, input_vcf: str, *, output_writers: Iterable[Any]
    ) -> str:
        with open_vcf(input_vcf) as opened:
            records = list(opened.records)
        kept = [row for row in range(len(records)) if row not in leave_out]
        for start in range(0, len(kept), 2):  # batches
            batch = kept[start : start + 2]
            names = [f"{records[r].chrom}:{records[r].position + 1}" for r in batch]
            for writer in output_writers:
                writer(
                    {"diff": Table([row + 0.5 for row in batch])},
                    [Record(records[row].columns[7]) for row in batch],
                    names,
                )
        return "done"

    return score


@pytest.fixture
def genome(tmp_path: Path) -> Path:
    path = tmp_path / "genome.fa"
    path.write_text(">chr1\n" + "ACGT" * 10 + "\n")
    return path


def vcf(path: Path, lines: Sequence[str] = LINES, *, end: str = "\n") -> Path:
    content = "".join(line + end for line in (*HEADER, *lines)).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def scored(source: Path, genome: Path, target: Path, *leave_out: int, **options: object) -> str:
    """What `score_variants` writes."""
    score = veff._of_whole_records(stand_in(*leave_out), lambda _: PREFIX.rstrip(":"))
    score("model", {"fasta_file": str(genome)}, str(source), str(target), **options)
    return target.read_text()


def without_scores(line: str) -> str:
    columns = line.split("\t")
    parts = [part for part in columns[7].split(";") if not part.startswith(PREFIX)]
    return "\t".join([*columns[:7], ";".join(parts) or ".", *columns[8:]])


def test_only_snvs_that_fit_the_genome_are_handed_on_one_alt_a_record(
    genome: Path, tmp_path: Path
) -> None:
    target = tmp_path / "snvs.vcf.gz"
    with open_genome(genome) as opened:
        counts = write_snvs(vcf(tmp_path / "in.vcf"), target, opened)
    assert counts == Counter(reason for _, reasons in RECORDS for reason in reasons)
    with open_vcf(target) as written:
        found = [
            b" ".join([*record.columns[:5], *record.columns[7:]]) for record in written.records
        ]
    assert found == [
        b"1 1 rs1 A C ALLELE=0",
        b"1 2 . C A ALLELE=1",
        b"1 2 . C T ALLELE=2",
        b"1 4 . T A ALLELE=5",
        b"1 12 . T C ALLELE=15",
    ]


@pytest.mark.parametrize("name", ["in.vcf", "in.vcf.gz"])
def test_every_byte_of_a_vcf_stays_but_for_the_info_that_is_added(
    genome: Path, tmp_path: Path, name: str
) -> None:
    written = scored(vcf(tmp_path / name), genome, tmp_path / "out.vcf").splitlines()
    header = [line for line in written if line.startswith("#")]
    assert [line for line in header if not line.startswith(f"##INFO=<ID={PREFIX}")] == [*HEADER]
    assert [without_scores(line) for line in written[len(header) :]] == LINES


def test_each_alt_has_its_score_or_none(genome: Path, tmp_path: Path) -> None:
    written = scored(vcf(tmp_path / "in.vcf"), genome, tmp_path / "out.vcf").splitlines()
    assert [line for line in written if PREFIX in line and not line.startswith("#")] == [
        line.replace("INFO", f"{PREFIX}DIFF={diff};{PREFIX}rID={name}").replace(" ", "\t")
        + f"\t{SAMPLES}"
        for line, diff, name in (
            ("1 1 rs1 A C 29.0 PASS AF=0.10;DB;INFO", "0.50000000", "1:1"),
            ("1 2 . C A,T 29 q10;s50 AF=0.10,1e-3;INFO", "1.50000000,2.50000000", "1:2,1:2"),
            ("1 4 . T *,A . . INFO", ".,3.50000000", ".,1:4"),
            ("1 12 . t c 1e1 . AF=0.10;INFO", "4.50000000", "1:12"),
        )
    ]


def test_scoring_twice_changes_nothing(genome: Path, tmp_path: Path) -> None:
    once = scored(vcf(tmp_path / "in.vcf"), genome, tmp_path / "once.vcf")
    assert scored(tmp_path / "once.vcf", genome, tmp_path / "twice.vcf") == once


def test_what_cannot_be_scored_is_counted_on_stderr(
    genome: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = vcf(tmp_path / "in.vcf")
    scored(source, genome, tmp_path / "out.vcf", 3, 4)
    assert capsys.readouterr().err.splitlines() == [
        f"enhancer-core-veff: {source}: 11 of 16 ALTs cannot be scored and stay as they are:"
        " 1 alt_is_ref, 1 breakend, 1 no_alt, 1 not_acgt, 2 not_an_snv, 1 outside_chromosome,"
        " 1 ref_mismatch, 1 spanning_deletion, 1 symbolic, 1 unknown_chromosome",
        "enhancer-core-veff: 2 of them are not scored: outside the restriction BED",
        "enhancer-core-veff: chromosome names matched by the rule chr1 = 1: 1 is chr1 in"
        f" {genome} (names so matched: 1)",
    ]


@pytest.mark.parametrize("lines", [[], [LINES[2]], [LINES[5]]], ids=["none", "<DEL>", "insertion"])
def test_a_vcf_without_snvs_is_written_as_it_is(
    genome: Path, tmp_path: Path, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    source = vcf(tmp_path / "in.vcf", lines)
    assert scored(source, genome, tmp_path / "out.vcf") == source.read_text()
    assert f"{source}: no SNV to score, so there are no scores to write" in capsys.readouterr().err


def test_an_id_is_replaced_only_where_asked_and_scored(genome: Path, tmp_path: Path) -> None:
    source = vcf(tmp_path / "in.vcf", LINES[:3])
    written = scored(source, genome, tmp_path / "out.vcf", std_var_id=True).splitlines()
    names = [line.split("\t")[2] for line in written if not line.startswith("#")]
    assert names == ["1:1:A:['C']", "1:2:C:['A', 'T']", "a;b"]


def test_a_file_that_is_no_vcf_is_refused_and_leaves_nothing(genome: Path, tmp_path: Path) -> None:
    (tmp_path / "in.vcf").write_text("")
    with pytest.raises(FileError, match=r"in\.vcf: empty; a VCF header is needed"):
        scored(tmp_path / "in.vcf", genome, tmp_path / "out.vcf")
    assert not (tmp_path / "out.vcf").exists()


def test_a_mutation_map_is_of_the_snvs_and_needs_one(genome: Path, tmp_path: Path) -> None:
    def stand_in_map(*, vcf_fpath: str | None, **_: object) -> int:
        if vcf_fpath is None:
            return 0
        with open_vcf(vcf_fpath) as opened:
            return len(list(opened.records))

    loader: Mapping[str, Any] = {"dataloader_args": {"fasta_file": str(genome)}}
    make = veff._of_snvs(stand_in_map)
    assert make(vcf_fpath=str(vcf(tmp_path / "in.vcf")), **loader) == 5
    with pytest.raises(EnhancerError, match=r"none\.vcf: no SNV that fits the genome; a map needs"):
        make(vcf_fpath=str(vcf(tmp_path / "none.vcf", [])), **loader)
    (tmp_path / "map.bed").write_text("chr1\t1\t2\n")
    assert make(vcf_fpath=None, bed_fpath=str(tmp_path / "map.bed"), **loader) == 0
    (tmp_path / "map.bed").write_text("")
    with pytest.raises(EnhancerError, match=r"map\.bed: no intervals; at least one is needed"):
        make(vcf_fpath=None, bed_fpath=str(tmp_path / "map.bed"), **loader)


@pytest.mark.parametrize(
    ("name", "written"), [("1", "chr1"), ("chr1", "chr1"), ("contig_1", "chrcontig_1")]
)
def test_a_name_that_begins_like_chr_keeps_its_letters(
    tmp_path: Path, name: str, written: str
) -> None:
    with (tmp_path / "it.bed").open("w") as stream:
        writer = type("Writer", (), {"ofh": stream})()
        veff._append_interval(writer, name, 5, 8, 3)
    assert (tmp_path / "it.bed").read_text() == f"{written}\t4\t8\t3\n"
