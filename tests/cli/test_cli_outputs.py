"""Outputs: nothing finished and no input is replaced, and a name says what its file holds."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from enhancer_core.io.outputs import BED, MODEL_FILE, TSV, format_of
from enhancer_core.models.architecture import Architecture, Convolution
from enhancer_core.models.model import load_model, save_model
from enhancer_core.models.network import Network
from tests.conftest import Ran
from tests.predictors import model_of

Run = Callable[..., Ran]

DATA = ["--positives", "positives.fa", "--negatives", "negatives.fa"]
MOTIF = "MEME version 4\n\nMOTIF one\nletter-probability matrix: w= 4\n" + "1 0 0 0\n" * 4
VCF_TEXT = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"

# Each command with the name of a good output, and a file of it.
FILES = {
    "shuffle": (["shuffle", "positives.fa", "-k", "2"], "out.fa"),
    "extract": (["extract", "genome.fa", "peaks.bed", "--length", "120"], "out.fa"),
    "background": (["background", "genome.fa", "-n", "5", "--length", "100"], "out.bed"),
    "predict": (["predict", "model", "positives.fa"], "out.tsv"),
    "track": (["predict", "model", "--genome", "genome.fa"], "out.bw"),
    "evaluate": (["evaluate", "model", *DATA], "out.json"),
    "call": (["call", "model", "--genome", "genome.fa", "--top", "3"], "out.bed"),
    "by region": (
        ["predict", "model", "--genome", "genome.fa", "--regions", "peaks.bed", "--per-region"],
        "out.tsv",
    ),
    "pssm": (["pssm", "--motif", "one.meme", *DATA], "out.json"),
    "variants": (["variants", "model", "--genome", "genome.fa", "--vcf", "in.vcf"], "out.vcf.gz"),
}
FOLDERS = {
    "simulate": (["simulate", "--motif", "CEBPA", "-n", "10"], "sites.tsv"),
    "train": (["train", *DATA, "--restarts", "1", "--epochs", "1"], MODEL_FILE),
    "baseline": (["baseline", *DATA, "-k", "2"], "metrics.json"),
    "mutagenesis": (["mutagenesis", "model", "positives.fa", "--plots", "1"], "effects.tsv"),
    "evaluate along a genome": (
        ["evaluate", "model", "--genome", "genome.fa", "--peaks", "peaks.bed"], "metrics.json",
    ),
    "motifs": (
        ["motifs", "model", "--from-weights", "--database", "one.meme"], "report.html",
    ),
}  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, inputs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with inputs of every kind."""
    monkeypatch.chdir(tmp_path)
    for name in ("positives.fa", "negatives.fa", "genome.fa"):
        Path(name).write_bytes((inputs / name).read_bytes())
    Path("peaks.bed").write_text("chr1\t100\t900\nchr1\t1000\t1200\n")
    Path("one.meme").write_text(MOTIF)
    Path("in.vcf").write_text(VCF_TEXT)
    Path("model").mkdir()
    tiny = Architecture(convolutions=(Convolution(2, 9, 4),), dense=(3,), length=120)
    network = Network(tiny, generator=torch.Generator().manual_seed(0))
    save_model(model_of(network, {"seed": 0}), Path("model", MODEL_FILE))
    return tmp_path


def error(ran: Ran) -> str:
    assert (ran.status, ran.out, ran.err.count("\n")) == (2, "", 1), ran
    return ran.err.removeprefix("enhancer-core: error: ").rstrip("\n")


def process(args: Sequence[str], **streams: object) -> subprocess.CompletedProcess[bytes]:
    """Run the command line as a program, quietly."""
    program = [sys.executable, "-m", "enhancer_core", *args, "-q"]
    return subprocess.run(program, check=False, timeout=300, **streams)  # type: ignore[call-overload,no-any-return]


# Finished work


@pytest.mark.parametrize("command", FILES)
def test_a_finished_file_is_replaced_by_force_only(cli: Run, here: Path, command: str) -> None:
    args, name = FILES[command]
    Path(name).write_text("work of a week\n")
    assert error(cli(*args, "-o", name)) == f"{name} is there already; --force replaces it"
    assert Path(name).read_text() == "work of a week\n"
    assert cli(*args, "-o", name, "--force").status == 0
    assert not Path(name).read_bytes().startswith(b"work")


@pytest.mark.parametrize("command", FOLDERS)
def test_a_finished_folder_is_replaced_by_force_only(cli: Run, here: Path, command: str) -> None:
    args, name = FOLDERS[command]
    Path("out").mkdir()
    Path("out", name).write_text("work of a week\n")
    assert error(cli(*args, "-o", "out")) == f"out/{name} is there already; --force replaces it"
    assert [path.name for path in Path("out").iterdir()] == [name]
    assert cli(*args, "-o", "out", "--force").status == 0
    assert not Path("out", name).read_bytes().startswith(b"work")


def test_a_second_output_of_a_command_is_kept_too(cli: Run, here: Path) -> None:
    args, _ = FILES["background"]
    Path("windows.fa").write_text("work\n")
    told = error(cli(*args, "-o", "out.bed", "--fasta", "windows.fa"))
    assert told == "windows.fa is there already; --force replaces it"
    assert not Path("out.bed").exists()


def test_an_empty_file_is_no_work(cli: Run, here: Path) -> None:
    Path("out.fa").touch()  # as a workflow system makes it
    assert cli(*FILES["shuffle"][0], "-o", "out.fa").status == 0


def test_a_folder_with_other_files_only_may_be_filled(cli: Run, here: Path) -> None:
    assert cli(*FOLDERS["simulate"][0], "-o", ".", "--force").status == 0
    Path("other").mkdir()
    Path("other", "notes.txt").write_text("mine")
    assert cli(*FOLDERS["simulate"][0], "-o", "other").status == 0
    assert Path("other", "notes.txt").read_text() == "mine"


def test_what_an_earlier_run_left_and_this_one_does_not_write_is_deleted(
    cli: Run, here: Path
) -> None:
    args = ["mutagenesis", "model", "positives.fa", "-o", "out"]
    assert cli(*args, "--plots", 3, "--motifs", "one.meme").status == 0
    Path("out", "notes.txt").write_text("mine")
    assert len(list(Path("out").glob("*.svg"))) == 3
    assert cli(*args, "--plots", 1, "--force").status == 0
    assert len(list(Path("out").glob("*.svg"))) == 1
    assert not Path("out", "hits.tsv").exists()
    assert Path("out", "notes.txt").read_text() == "mine"


def test_a_forced_run_that_fails_keeps_what_was_there(cli: Run, here: Path) -> None:
    Path("out.fa").write_text("work\n")
    Path("bad.fa").write_text(">one\nAC!T\n")
    assert "bad.fa line 2" in error(cli("shuffle", "bad.fa", "-k", 2, "-o", "out.fa", "--force"))
    assert Path("out.fa").read_text() == "work\n"


def test_the_folders_that_an_output_lies_in_are_made(cli: Run, here: Path) -> None:
    assert cli(*FILES["shuffle"][0], "-o", "a/b/c.fa").status == 0
    assert cli(*FOLDERS["simulate"][0], "-o", "a/d/e").status == 0
    assert Path("a/d/e/sites.tsv").is_file()


# Inputs


@pytest.mark.parametrize(
    ("args", "output"),
    [
        (["shuffle", "positives.fa", "-k", 2], "positives.fa"),
        (["shuffle", "positives.fa", "-k", 2], "link.fa"),
        (["shuffle", "positives.fa", "-k", 2], "hard.fa"),
        (["shuffle", "link.fa", "-k", 2], "./folder/../positives.fa"),
        (["extract", "genome.fa", "peaks.bed"], "genome.fa"),
        (["background", "genome.fa", "-n", 5, "--exclude", "other.bed", "peaks.bed"], "peaks.bed"),
        (["background", "genome.fa", "-n", 5, "--match", "link.fa", "-o", "o.bed", "--fasta"],
         "positives.fa"),
        (["variants", "model", "--genome", "genome.fa", "--vcf", "in.vcf"], "in.vcf"),
        (["call", "model", "--genome", "genome.fa", "--top", "3", "--regions", "peaks.bed"],
         "peaks.bed"),
        (["evaluate", "model", "--genome", "genome.fa", "--peaks", "peaks.bed"], "model"),
        (["train", *DATA, "--initial", "model"], "model"),
        (["train", *DATA, "--split", "model/split.tsv"], "model"),
    ],
)  # fmt: skip
def test_an_output_that_is_an_input_is_refused(
    cli: Run, here: Path, args: list[object], output: str
) -> None:
    Path("folder").mkdir()
    Path("link.fa").symlink_to("positives.fa")
    Path("hard.fa").hardlink_to("positives.fa")
    Path("other.bed").write_text("chr2\t0\t10\n")
    Path("model/split.tsv").write_text("name\n")
    flag = [] if "--fasta" in args else ["-o"]
    for force in ([], ["--force"]):
        told = error(cli(*args, *flag, output, *force))
        assert " an input too (" in told
        assert told.endswith("; write elsewhere")


def test_standard_output_that_leads_into_an_input_is_refused(here: Path) -> None:
    before = Path("positives.fa").read_bytes()
    with Path("positives.fa").open("ab") as stream:
        args = ["shuffle", "positives.fa", "-k", "2", "-o", "-"]
        ran = process(args, stdout=stream, stderr=subprocess.PIPE)
    assert ran.returncode == 2
    assert b"-: it is an input too (positives.fa)" in ran.stderr
    assert Path("positives.fa").read_bytes() == before


# Open descriptors


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
def test_what_stands_behind_standard_output_is_added_to(here: Path, name: str) -> None:
    Path("link").symlink_to("/dev/stdout")
    Path("all.tsv").write_text("earlier\n")
    with Path("all.tsv").open("ab") as stream:
        ran = process(["predict", "model", "positives.fa", "-o", name], stdout=stream)
    assert ran.returncode == 0
    lines = Path("all.tsv").read_text().splitlines()
    assert lines[:2] == ["earlier", "name\tprobability"]
    assert len(lines) == 62


def test_another_open_descriptor_is_written_into(here: Path) -> None:
    with Path("all.bedgraph").open("wb") as stream:
        stream.write(b"track type=bedGraph\n")
        stream.flush()
        number = stream.fileno()
        args = ["predict", "model", "--genome", "genome.fa", "-o", f"/dev/fd/{number}"]
        assert process(args, pass_fds=[number]).returncode == 0
    lines = Path("all.bedgraph").read_text().splitlines()
    assert lines[0] == "track type=bedGraph"
    assert lines[1].startswith("chr1\t0\t50\t")


@pytest.mark.parametrize("packed", [False, True])
def test_a_dash_is_standard_input_and_output(here: Path, packed: bool) -> None:  # noqa: FBT001
    content = Path("positives.fa").read_bytes()
    ran = process(
        ["shuffle", "-", "-k", "2", "-o", "-"],
        input=gzip.compress(content) if packed else content,
        stdout=subprocess.PIPE,
    )
    assert ran.returncode == 0
    assert process(["shuffle", "positives.fa", "-k", "2", "-o", "out.fa"]).returncode == 0
    assert ran.stdout == Path("out.fa").read_bytes()
    assert not Path("-").exists()


def test_a_dash_is_an_input_of_every_kind(here: Path) -> None:
    peaks = Path("peaks.bed").read_bytes()
    args = ["extract", "genome.fa", "-", "--length", "120", "-o", "-"]
    assert process(args, input=peaks, stdout=subprocess.PIPE).stdout.startswith(b">chr1:440-560\n")
    args = ["variants", "model", "--genome", "genome.fa", "--vcf", "-", "-o", "-"]
    ran = process(args, input=VCF_TEXT.encode(), stdout=subprocess.PIPE)
    assert ran.stdout.endswith(b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")


def test_what_is_read_twice_may_be_standard_input(here: Path) -> None:
    content = Path("positives.fa").read_bytes()
    args = ["--positives", "-", "--negatives", "negatives.fa"]
    ran = process(["evaluate", "model", *args, "-o", "-"], input=content, stdout=subprocess.PIPE)
    assert json.loads(ran.stdout)["positives"] == 60
    train = ["train", *args, "--restarts", "1", "--epochs", "1", "-o", "out"]
    assert process(train, input=gzip.compress(content)).returncode == 0
    model = load_model(Path("out"))
    assert model.metadata["inputs"][0]["name"] == "-"
    twice = ["evaluate", "model", "--positives", "-", "--negatives", "-", "-o", "out.json"]
    assert process(twice, input=content, stderr=subprocess.DEVNULL).returncode == 2


def test_a_folder_cannot_be_standard_output(cli: Run, here: Path) -> None:
    for name in ("-", "/dev/stdout"):
        told = error(cli(*FOLDERS["simulate"][0], "-o", name))
        assert told == f"{name}: cannot be made (it is no folder; a folder name is needed)"


def test_a_reader_that_has_enough_ends_the_command_without_a_word(here: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    args = ["shuffle", "positives.fa", "-k", "2", "-o", "-"]
    ran = process(args, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (ran.returncode, ran.stderr) == (1, b"")


# Names


@pytest.mark.parametrize(
    ("command", "name", "allowed"),
    [
        ("shuffle", "out.bed", ".fa, .fasta, .fna for FASTA, or with .gz after it"),
        ("extract", "out.bed.gz", ".fa, .fasta, .fna for FASTA, or with .gz after it"),
        ("extract", "out.fa.bz2", ".fa, .fasta, .fna for FASTA, or with .gz after it"),
        ("background", "out.fa", ".bed for BED, or with .gz after it"),
        ("predict", "out.bw", ".tsv, .tab, .txt for a table, or with .gz after it"),
        ("predict", "out.csv", ".tsv, .tab, .txt for a table, or with .gz after it; .bedgraph"),
        ("track", "out.tsv", ".bedgraph, .bdg, .bg for bedGraph, or with .gz after it; .bw, .bigw"),
        ("track", "out.bed", ".bedgraph, .bdg, .bg for bedGraph"),
        ("track", "out.bw.gz", ".bedgraph, .bdg, .bg for bedGraph"),
        ("call", "out.tsv", ".bed for BED, or with .gz after it"),
        ("by region", "out.bw", ".tsv, .tab, .txt for a table, or with .gz after it"),
        ("evaluate", "out.tsv", ".json for JSON, or with .gz after it"),
        ("variants", "out.vcf.bz2", ".vcf for VCF, or with .gz or .bgz after it"),
        ("variants", "out.bcf", ".vcf for VCF, or with .gz or .bgz after it"),
    ],
)
def test_a_name_that_promises_another_format_is_refused(
    cli: Run, here: Path, command: str, name: str, allowed: str
) -> None:
    told = error(cli(*FILES[command][0], "-o", name))
    assert told.startswith(f"{name}: the ending does not fit what is written; allowed are ")
    assert allowed in told
    assert not Path(name).exists()


@pytest.mark.parametrize("command", FOLDERS)
@pytest.mark.parametrize("name", ["m.safetensors", "out.json", "a.TSV", "out.fa", "out.fa.gz"])
def test_a_folder_with_the_name_of_a_file_is_refused(
    cli: Run, here: Path, command: str, name: str
) -> None:
    told = error(cli(*FOLDERS[command][0], "-o", name))
    assert told.startswith(f"{name}: a folder is written, so its name must not end in .")


def test_an_ending_may_be_in_capitals(cli: Run, here: Path) -> None:
    assert cli(*FILES["shuffle"][0], "-o", "OUT.FA.GZ").status == 0
    assert gzip.decompress(Path("OUT.FA.GZ").read_bytes()).startswith(b">")
    assert cli(*FILES["variants"][0], "-o", "OUT.VCF.GZ").status == 0
    assert Path("OUT.VCF.GZ").read_bytes().startswith(b"\x1f\x8b\x08\x04")
    assert cli(*FILES["track"][0], "-o", "out.bigWig").status == 0
    assert Path("out.bigWig").read_bytes()[:4] == bytes.fromhex("26fc8f88")


def test_a_name_without_an_ending_holds_the_usual_format() -> None:
    assert format_of("scores", TSV, BED) is TSV
    assert format_of("v1.2/scores.gz", TSV, BED) is TSV
    assert format_of("peaks.BED.gz", TSV, BED) is BED
