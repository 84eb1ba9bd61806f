"""What each command gives, as cli users rely on it; bad input is in test_cli_errors."""

from __future__ import annotations

import gzip
import json
import os
import pty
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pyBigWig
import pytest
import torch

from enhancer_core.dna.codes import encode
from enhancer_core.dna.kmers import k_let_counts
from enhancer_core.io.fasta import read_fasta, read_records
from enhancer_core.io.motifs import write_meme
from enhancer_core.io.outputs import MODEL_FILE
from enhancer_core.io.tables import read_table
from enhancer_core.models.architecture import Architecture, Convolution, named_architecture
from enhancer_core.models.model import Model, load_model, save_model
from enhancer_core.models.network import Network
from enhancer_core.motifs.motif import BUILTIN
from enhancer_core.training.config import default_config
from tests.command_line import COMMANDS
from tests.conftest import Ran
from tests.predictors import model_of, predictor_of

Run = Callable[..., Ran]


def contents(folder: Path) -> Mapping[str, bytes]:
    """The bytes of every file below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def column(path: Path, name: str) -> list[str]:
    return [row[name] for _, row in read_table(path, [name])]


def data(inputs: Path) -> list[object]:
    return ["--positives", inputs / "positives.fa", "--negatives", inputs / "negatives.fa"]


def training(inputs: Path) -> list[object]:
    """A small run."""
    return ["train", *data(inputs), "--network", "tf", "--restarts", 2, "--epochs", 12]


@pytest.fixture(scope="module")
def training_run(
    cli: Run, inputs: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Ran]:
    """An uninterrupted run on one core: its folder, and what it said."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    return folder, cli(*training(inputs), "--threads", 1, "-o", folder)


@pytest.fixture
def trained(training_run: tuple[Path, Ran]) -> Path:
    """The folder of an uninterrupted run on one core."""
    return training_run[0]


@pytest.fixture
def other_case(inputs: Path, tmp_path: Path) -> Path:
    """The input folder's sequences under the same names, in the other case and with CRLF."""
    folder = tmp_path / "other_case"
    folder.mkdir()
    for path in inputs.glob("*.fa"):
        lines = path.read_text().splitlines()
        text = "".join(f"{x if x.startswith('>') else x.swapcase()}\r\n" for x in lines)
        (folder / path.name).write_bytes(text.encode())
    return folder


@pytest.fixture
def zipped(inputs: Path, tmp_path: Path) -> Path:
    """The input folder's files under the same names, gzip-compressed."""
    folder = tmp_path / "zipped"
    folder.mkdir()
    for path in inputs.glob("*.fa"):
        (folder / path.name).write_bytes(gzip.compress(path.read_bytes()))
    return folder


# Help


@pytest.mark.parametrize("width", [80, 100])
@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_shows_an_example_and_fits_the_terminal(
    cli: Run, name: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    ran = cli(*name.split(), "--help")
    assert (ran.status, ran.err) == (0, "")
    assert re.search(rf"^    enhancer-core {name}", ran.out, re.MULTILINE)
    assert max(map(len, ran.out.splitlines())) < width
    assert cli(*name.split(), "-h") == ran


def test_the_list_of_commands_is_whole_and_comes_with_no_arguments_too(
    cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ran = cli("--help")
    listed = ran.out.split("Commands:\n")[1].splitlines()
    assert [line.split()[0] for line in listed] == list(COMMANDS)  # a line each
    assert "..." not in "".join(listed)
    assert cli() == ran


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(name: str) -> None:
    for parameter in COMMANDS[name].params:
        assert not isinstance(parameter, click.Option) or parameter.help, parameter.name


def test_help_names_what_help_all_explains_by_sections(cli: Run) -> None:
    short, whole = (cli("train", flag).out for flag in ("--help", "--help-all"))
    headings = [line[:-1] for line in whole.splitlines() if re.fullmatch(r"[A-Z]\w+:", line)]
    assert headings == ["Data", "Split", "Network", "Training", "Transfer", "Augmentation",
                        "Ensemble", "Compute", "Output", "Help"]  # fmt: skip
    for parameter in COMMANDS["train"].params:
        flag = parameter.opts[-1]
        assert f"{flag}" in short
        assert re.search(rf"^  .*{flag}\b", whole, re.MULTILINE)
    assert "Sequences in a mini-batch." in whole
    assert "Sequences in a mini-batch." not in short
    assert len(short.splitlines()) < 125  # two kinds of input, sequences and a genome
    assert cli("predict", "--help-all") == cli("predict", "--help")


def test_the_version_is_a_line(cli: Run) -> None:
    assert re.fullmatch(r"enhancer-core, version \d+\.\d+\.\d+\n", cli("--version").out)


# Data


def test_simulate_writes_both_kinds_and_where_each_site_is(cli: Run, tmp_path: Path) -> None:
    args = ["simulate", "--motif", "CEBPA", "-n", 20, "--length", 100, "-o"]
    assert cli(*args, tmp_path / "one").status == 0
    positives = read_fasta(tmp_path / "one" / "positives.fa", length=100)
    background = read_fasta(tmp_path / "one" / "background.fa", length=100)
    assert len(background) == 20
    rows = [row for _, row in read_table(tmp_path / "one" / "sites.tsv", ["name"])]
    assert [row["name"] for row in rows] == positives.names
    for codes, row in zip(positives.codes, rows, strict=True):
        start, end = int(row["start"]), int(row["end"])
        assert end - start == 9
        assert np.array_equal(codes[start:end], encode([row["site"]])[0])
    assert cli(*args, tmp_path / "two").status == 0
    assert contents(tmp_path / "two") == contents(tmp_path / "one")
    assert cli(*args, tmp_path / "three", "--seed", 1).status == 0
    assert contents(tmp_path / "three") != contents(tmp_path / "one")
    assert contents(tmp_path / "one").keys() == {"positives.fa", "background.fa", "sites.tsv"}


def genome_letters(inputs: Path, chrom: str, start: int, end: int) -> str:
    records = (inputs / "genome.fa").read_text().split(">")[1:]
    names, _, sequences = zip(*(record.partition("\n") for record in records), strict=True)
    return str(sequences[names.index(chrom)]).replace("\n", "")[start:end].upper()


def test_extract_cuts_windows_around_the_centres_of_peaks(
    cli: Run, inputs: Path, tmp_path: Path
) -> None:
    peaks = tmp_path / "peaks.bed"
    # centres 150, 1600 (soft-masked), 500, 990 (over the end of chr2), 150 again
    peaks.write_text(
        "chr1\t100\t200\r\n1\t1500\t1701\n#\nchr2\t500\t501\nchr2\t980\t1000\n1\t150\t151\n"
    )
    ran = cli("extract", inputs / "genome.fa", peaks, "--length", 100, "-o", tmp_path / "out.fa")
    expected = [("chr1", 100, 200), ("chr1", 1550, 1650), ("chr2", 450, 550)]
    assert (tmp_path / "out.fa").read_text() == "".join(
        f">{chrom}:{start}-{end}\n{genome_letters(inputs, chrom, start, end)}\n"
        for chrom, start, end in expected
    )
    assert ran.status == 0
    assert "chromosome names matched by the rule chr1 = 1: 1 is chr1" in ran.err
    assert "1 of 5 windows reach over a chromosome's end and are left out" in ran.err
    assert "1 of 5 windows repeat an earlier one and are left out" in ran.err
    assert "3 windows of 100 bp from 5 peaks" in ran.err


def test_extract_tiles_peaks_and_leaves_out_n_if_asked(
    cli: Run, inputs: Path, tmp_path: Path
) -> None:
    (tmp_path / "peaks.bed").write_text("chr3\t0\t400\n")
    args = ["extract", inputs / "genome.fa", tmp_path / "peaks.bed", "--tile", "--length", 100]
    names = [f"chr3:{start}-{start + 100}" for start in (0, 100, 200, 300)]
    assert "2 of 4 windows have N and are kept" in cli(*args, "-o", tmp_path / "all.fa").err
    assert read_fasta(tmp_path / "all.fa").names == names
    ran = cli(*args, "--drop-n", "-o", tmp_path / "some.fa")
    assert "2 of 4 windows have N and are left out" in ran.err
    assert read_fasta(tmp_path / "some.fa").names == [names[0], names[3]]


def test_intervals_on_chromosomes_that_the_genome_lacks_are_left_out_on_request(
    cli: Run, trained: Path, inputs: Path, tmp_path: Path
) -> None:
    peaks = tmp_path / "peaks.bed"
    peaks.write_text("chr1\t100\t300\nchrEBV\t0\t90\n3\t20\t40\nKI270742.1\t5\t6\nchrEBV\t1\t3\n")
    genome = inputs / "genome.fa"
    for name, args in (
        ("a.fa", ["extract", genome, peaks, "--length", 20]),
        ("b.bed", ["background", genome, "-n", 2, "--length", 20, "--exclude", peaks]),
        ("c.bedgraph", ["predict", trained, "--genome", genome, "--regions", peaks]),
    ):
        output = tmp_path / name
        ran = cli(*args, "-o", output)
        assert (ran.status, "chromosome 'chrEBV' (or 'EBV') is not in" in ran.err) == (2, True)
        ran = cli(*args, "--skip-missing", "-o", output)
        assert ran.status == 0
        told = f"3 intervals are left out, on chromosomes that {genome} lacks: chrEBV, KI"
        assert told in ran.err
    assert read_fasta(tmp_path / "a.fa").names == ["chr1:190-210", "chr3:20-40"]


def test_extract_centres_windows_on_summits_or_middles_and_says_so(
    cli: Run, inputs: Path, tmp_path: Path
) -> None:
    peaks = tmp_path / "peaks.bed"
    peaks.write_text("chr1\t100\t300\tx\t9\t.\t5.5\t2\t1\t20\n")
    args = ["extract", inputs / "genome.fa", peaks, "--length", 100, "--force"]
    args += ["-o", tmp_path / "out.fa"]
    ran = cli(*args)
    assert f"{peaks} is narrowPeak: windows are centred on the summits of peaks\n" in ran.err
    assert read_fasta(tmp_path / "out.fa").names == ["chr1:70-170"]
    ran = cli(*args, "--center", "middle")
    assert "windows are centred on the middles of peaks; summits are not used\n" in ran.err
    assert read_fasta(tmp_path / "out.fa").names == ["chr1:150-250"]
    ran = cli(*args, "--tile", "--center", "summit")
    assert (ran.status, "--tile and --center exclude each other" in ran.err) == (2, True)
    peaks.write_text("chrom\tstart\tend\nchr1\t100\t300\n")
    assert f"{peaks} line 1: a header row is skipped: chrom start end\n" in cli(*args).err
    ran = cli(*args, "--center", "summit")
    assert ran.status == 2
    assert ran.err.endswith(
        f"{peaks}: no summits to centre on; they are in column 10 of narrowPeak\n"
    )


@pytest.mark.parametrize("command", ["baseline", "train", "pssm", "evaluate"])
def test_sequences_of_both_classes_are_counted(
    cli: Run, inputs: Path, tmp_path: Path, command: str
) -> None:
    both = (inputs / "positives.fa").read_text().split(">", 2)[1]
    negatives = tmp_path / "negatives.fa"
    negatives.write_text(f"{(inputs / 'negatives.fa').read_text()}>{both}")
    model = tmp_path / MODEL_FILE
    tiny = Architecture(convolutions=(Convolution(2, 9, 4),), dense=(3,), length=120)
    save_model(model_of(Network(tiny, generator=torch.Generator().manual_seed(0)), {}), model)
    options: dict[str, list[object]] = {
        "baseline": ["baseline", "-k", 1],
        "train": ["train", "--restarts", 1, "--epochs", 1, "--device", "cpu"],
        "pssm": ["pssm", "--motif", "CEBPA"],
        "evaluate": ["evaluate", model],
    }
    ran = cli(
        *options[command], "--positives", inputs / "positives.fa", "--negatives", negatives,
        "-o", tmp_path / "out",
    )  # fmt: skip
    assert ran.status == 0
    assert ran.err.count("warning: both positive and negative: 1 positives and 1 negatives") == 1
    assert ran.err.count("both positive and negative") == 1


def test_extract_needs_no_place_for_an_index(cli: Run, inputs: Path, tmp_path: Path) -> None:
    """In /proc no file can be made, by root neither: the index must go to a temporary folder."""
    (tmp_path / "peaks.bed").write_text("chr1\t100\t200\n")
    with (inputs / "genome.fa").open() as genome:
        path = Path(f"/proc/self/fd/{genome.fileno()}")
        ran = cli("extract", path, tmp_path / "peaks.bed", "-o", tmp_path / "out.fa", "--length", 9)
    assert ran.status == 0
    assert read_fasta(tmp_path / "out.fa").names == ["chr1:146-155"]


def test_background_is_off_genes_and_excluded_intervals_and_holds_no_n(
    cli: Run, inputs: Path, tmp_path: Path
) -> None:
    (tmp_path / "peaks.bed").write_text("chr1\t1000\t1500\n")
    (tmp_path / "more.bed").write_text("chr2\t0\t600\n")
    (tmp_path / "genes.bed").write_text("chr1\t2000\t2200\n")
    args = [
        "background", inputs / "genome.fa", "--exclude", tmp_path / "peaks.bed",
        tmp_path / "more.bed", "--genes", tmp_path / "genes.bed", "--gene-distance", 300,
        "-n", 8, "--length", 100,
    ]  # fmt: skip
    ran = cli(*args, "-o", tmp_path / "one.bed", "--fasta", tmp_path / "one.fa")
    assert ran.status == 0, ran.err
    rows = [line.split("\t") for line in (tmp_path / "one.bed").read_text().splitlines()]
    windows = [(chrom, int(start), int(end)) for chrom, start, end in rows]
    assert len(set(windows)) == 8
    allowed = [("chr1", 0, 1000), ("chr1", 1500, 1700), ("chr1", 2500, 3000),
               ("chr2", 600, 1000), ("chr3", 0, 100), ("chr3", 300, 400)]  # fmt: skip
    for chrom, start, end in windows:
        assert end - start == 100
        assert any(chrom == name and low <= start and end <= high for name, low, high in allowed)
    assert (tmp_path / "one.fa").read_text() == "".join(
        f">{chrom}:{start}-{end}\n{genome_letters(inputs, chrom, start, end)}\n"
        for chrom, start, end in windows
    )
    assert cli(*args, "-o", tmp_path / "two.bed", "--fasta", tmp_path / "two.fa").status == 0
    assert (tmp_path / "two.bed").read_bytes() == (tmp_path / "one.bed").read_bytes()
    assert (tmp_path / "two.fa").read_bytes() == (tmp_path / "one.fa").read_bytes()


def test_shuffle_keeps_names_and_k_let_counts_for_any_threads(
    cli: Run, inputs: Path, tmp_path: Path
) -> None:
    args = ["shuffle", inputs / "positives.fa", "-k", 3]
    ran = cli(*args, "--threads", 1, "-o", tmp_path / "one.fa")
    assert re.search(r"60 sequences shuffled at k = 3; 0 equal their input \(0\.0%\)", ran.err)
    assert cli(*args, "--threads", 2, "-o", tmp_path / "two.fa").status == 0
    assert (tmp_path / "two.fa").read_bytes() == (tmp_path / "one.fa").read_bytes()
    before, after = (read_fasta(p) for p in (inputs / "positives.fa", tmp_path / "one.fa"))
    assert after.names == before.names
    for old, new in zip(before.codes, after.codes, strict=True):
        assert k_let_counts(new, 3) == k_let_counts(old, 3)
    assert cli(*args, "--seed", 1, "-o", tmp_path / "three.fa").status == 0
    assert (tmp_path / "three.fa").read_bytes() != (tmp_path / "one.fa").read_bytes()


def test_shuffle_takes_lengths_that_differ_and_counts_what_stays_equal(
    cli: Run, tmp_path: Path
) -> None:
    (tmp_path / "in.fa").write_text(">a\nAAAA\n>b\nACNNGTTGCA\n>c\nacgtacgtaa\n")
    ran = cli("shuffle", tmp_path / "in.fa", "-k", 1, "-o", tmp_path / "out.fa.gz")
    assert ran.status == 0, ran.err
    a, b, c = read_records(tmp_path / "out.fa.gz")
    assert [a.name, b.name, c.name] == ["a", "b", "c"]
    assert k_let_counts(c.codes, 1) == {"A": 4, "C": 2, "G": 2, "T": 2}
    assert np.flatnonzero(b.codes == 4).tolist() == [2, 3]
    found = re.search(r"; (\d) equal their input", ran.err)
    assert found is not None
    assert int(found[1]) >= 1  # AAAA has one arrangement


# Learning


def test_train_fills_its_folder(trained: Path, inputs: Path) -> None:
    assert contents(trained).keys() == {
        "model.safetensors", "metrics.json", "test_predictions.tsv", "report.html", "split.tsv",
    }  # fmt: skip
    figures = json.loads((trained / "metrics.json").read_text())
    for part in ("validation", "test"):
        for figure in ("auc", "accuracy", "average_precision"):
            interval = figures[part][figure]
            assert 0 <= interval["low"] <= interval["value"] <= interval["high"] <= 1
    aucs = [restart["validation_auc"] for restart in figures["restarts"]]
    assert len(aucs) == 2
    assert figures["validation"]["auc"]["value"] == pytest.approx(max(aucs))
    names = [*read_fasta(inputs / "positives.fa").names]
    names += read_fasta(inputs / "negatives.fa").names
    assert column(trained / "split.tsv", "name") == names
    assert column(trained / "split.tsv", "label") == ["positive"] * 60 + ["negative"] * 60
    parts = column(trained / "split.tsv", "part")
    assert [parts.count(part) for part in ("train", "validation", "test")] == [96, 12, 12]
    tested = [name for name, part in zip(names, parts, strict=True) if part == "test"]
    assert column(trained / "test_predictions.tsv", "name") == tested
    assert load_model(trained).metadata["seed"] == 0


def test_train_gives_the_same_bytes_for_any_threads_quiet_or_not(
    cli: Run, trained: Path, inputs: Path, tmp_path: Path
) -> None:
    ran = cli(*training(inputs), "--threads", 2, "-q", "-o", tmp_path / "out")
    assert ran == Ran(0, "", "")
    assert contents(tmp_path / "out") == contents(trained)


def test_how_a_network_is_trained_is_recorded_with_it(
    cli: Run, inputs: Path, tmp_path: Path
) -> None:
    options = ["--shift", 5, "--flip", "--weight-decay", 0.01, "--ema", 0.9]
    ran = cli(
        *training(inputs),
        *options,
        "--learning-rate-schedule",
        "cosine",
        "-q",
        "-o",
        tmp_path / "out",
    )
    assert ran == Ran(0, "", "")
    config = load_model(tmp_path / "out").metadata["config"]
    expected = {
        "shift": 5,
        "flip": True,
        "weight_decay": 0.01,
        "average": 0.9,
        "schedule": "cosine",
    }
    assert {name: config[name] for name in expected} == expected
    assert "weight decay" in (tmp_path / "out" / "report.html").read_text()


def test_the_default_is_a_stack_with_motifs_and_what_is_given_counts_above_its_defaults(
    cli: Run, inputs: Path, tmp_path: Path
) -> None:
    given = ["--restarts", 1, "--epochs", 1, "--shift", 0, "--markdown"]
    ran = cli("train", *data(inputs), *given, "-o", tmp_path / "out")
    assert ran.status == 0
    assert (
        "motifs planted: JASPAR2026_vertebrates.pfm.gz (72 of 1,019, as many as fit: those that"
        " weigh most in a regression on best hits); the convolutions have 96, 32 filters\n"
    ) in ran.err
    assert re.search(
        r"5-mer logistic regression: validation AUC \.?\d\.\d+, (weight|left)", ran.err
    )
    model = load_model(tmp_path / "out")
    expected = replace(default_config("motif_cnn"), restarts=1, ensemble=1, epochs=1, shift=0)
    assert model.metadata["config"] == expected.to_dict()
    assert model.architecture in (named_architecture(n, length=120) for n in ("motif_cnn", "tf"))
    names = ["network", "network of the paper", "5-mer logistic regression"]
    names.append("gapped 6-mer logistic regression")
    figures = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert [part["name"] for part in figures["parts"]] == names
    assert model.metadata["parts"] == figures["parts"]
    assert model.metadata["start"]["chosen"] == 72
    assert "Weights are shares of their sum" in (tmp_path / "out" / "report.html").read_text()


def test_motifs_of_a_file_or_none_are_planted_instead(
    cli: Run, inputs: Path, tmp_path: Path
) -> None:
    given = ["--restarts", 1, "--epochs", 1, "--no-stack", "-o", tmp_path / "out"]
    write_meme(tmp_path / "one.meme", [BUILTIN["CEBPA"]])
    ran = cli("train", *data(inputs), *given, "--plant-motifs", tmp_path / "one.meme")
    assert "motifs planted: one.meme; the convolutions have" in ran.err
    ran = cli("train", *data(inputs), *given, "--plant-motifs", "none", "--force")
    assert "planted" not in ran.err
    assert len(load_model(tmp_path / "out").members) == 1


def test_without_a_network_training_goes_on_with_that_of_the_model_it_starts_from(
    cli: Run, inputs: Path, tmp_path: Path
) -> None:
    quick = ["--restarts", 1, "--epochs", 1]
    cli("train", *data(inputs), *quick, "--network", "tf", "-o", tmp_path / "first")
    ran = cli("train", *data(inputs), *quick, "--initial", tmp_path / "first", "-o", tmp_path / "2")
    assert ran.status == 0
    assert load_model(tmp_path / "2").metadata["network"] == "tf"


def test_an_ensemble_is_calibrated_recorded_and_used_as_one_model(
    cli: Run, trained: Path, inputs: Path, tmp_path: Path
) -> None:
    here = tmp_path / "out"
    args = [*training(inputs), "--ensemble", 2, "--calibrate", "--markdown", "-o", here]
    assert cli(*args, "-q") == Ran(0, "", "")
    figures, single = (json.loads((each / "metrics.json").read_text()) for each in (here, trained))
    assert figures["restarts"] == single["restarts"]
    assert figures["best_restart"] == figures["members"][0] == single["best_restart"]
    assert sorted(figures["members"]) == [1, 2]  # as the report numbers them
    assert [each["restart"] for each in figures["restarts"]] == [1, 2]
    record = load_model(here).metadata
    assert [each["restart"] for each in record["members"]] == figures["members"]
    assert record["calibration"].keys() == {"scale", "shift"}
    assert (
        "the mean log odds of the 2 best, restarts {} and {}.".format(*figures["members"])
        in (here / "report.md").read_text()
    )

    assert cli("predict", here, inputs / "positives.fa", "-q", "-o", tmp_path / "p.tsv").status == 0
    probabilities = [float(value) for value in column(tmp_path / "p.tsv", "probability")]
    codes = read_fasta(inputs / "positives.fa").codes
    members = np.mean([predictor_of(each).logits(codes) for each in members_of(here)], axis=0)
    expected = 1 / (1 + np.exp(members[:, 0] - members[:, 1]))
    assert probabilities == pytest.approx(expected.tolist(), rel=1e-4)

    database = tmp_path / "known.pfm"
    database.write_text(">word\n9 0 0 0\n0 9 0 0\n0 0 9 0\n0 0 0 9\n9 0 0 0\n")
    args = ["motifs", here, "--from-weights", "--database", database, "-q", "-o", tmp_path / "m"]
    assert cli(*args) == Ran(0, "", "")
    assert len(column(tmp_path / "m" / "matches.tsv", "filter")) == 2 * 7  # the network tf has 7
    (tmp_path / "v.vcf").write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        f"chr1\t500\t.\t{genome_letters(inputs, 'chr1', 499, 500)}\tN\t.\t.\t.\n"
    )
    args = ["variants", here, "--genome", inputs / "genome.fa", "--vcf", tmp_path / "v.vcf"]
    assert cli(*args, "-q", "-o", tmp_path / "v.out.vcf").status == 0


def members_of(folder: Path) -> list[Model]:
    whole = load_model(folder)
    return [Model((each,), {}) for each in whole.members]


def test_more_members_than_restarts_are_refused(cli: Run, inputs: Path, tmp_path: Path) -> None:
    ran = cli(*training(inputs), "--ensemble", 3, "-o", tmp_path / "out")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.endswith("error: ensemble of 3 is not allowed; from 1 to the 2 restarts\n")
    assert not (tmp_path / "out").exists()


def test_trained_networks_are_planted_in_a_wider_one_that_is_used_as_any(
    cli: Run, trained: Path, inputs: Path, tmp_path: Path
) -> None:
    out, args = tmp_path / "out", [*training(inputs), "--epochs", 1, "--keep", "last"]
    ran = cli(*args, "--plant", trained, trained, "--freeze", 1, "-o", out)
    assert ran.status == 0, ran.err
    assert "; the convolutions have 19, 134 filters" in ran.err
    assert "note: a model trained on another split has seen some of what is tested" in ran.err
    donor, grown = load_model(trained), load_model(out)
    # Frozen for the one epoch: the first 14 of 19 filters are the donor's, twice.
    size = 7 * 4 * 9
    for place in (0, size):
        planted = grown.members[0].parameters[place : place + size]
        assert planted.tobytes() == donor.members[0].parameters[:size].tobytes()
    assert grown.metadata["start"]["kind"] == "networks planted"
    assert grown.metadata["config"]["freeze"] == 1
    assert "networks planted" in (out / "report.html").read_text()
    assert cli("predict", out, inputs / "positives.fa", "-o", tmp_path / "p.tsv").status == 0


def test_motifs_are_planted_and_models_trained_further(
    cli: Run, trained: Path, inputs: Path, tmp_path: Path
) -> None:
    (tmp_path / "known.pfm").write_text(">word\n9 0 0 0\n0 9 0 0\n0 0 9 0\n0 0 0 9\n9 0 0 0\n")
    args = [*training(inputs), "--epochs", 1]
    ran = cli(
        *args, "--plant-motifs", tmp_path / "known.pfm", "--first-filters", 12, "--widen", 1.1,
        "-o", tmp_path / "one",
    )  # fmt: skip
    assert ran.status == 0, ran.err
    assert "motifs planted: known.pfm; the convolutions have 12, 55 filters" in ran.err
    ran = cli(*args, "--initial", trained, "--split", trained / "split.tsv", "-o", tmp_path / "two")
    assert "note: a model trained on another split" not in ran.err
    assert "all weights start from model.safetensors" in ran.err
    figures = json.loads((tmp_path / "two" / "metrics.json").read_text())
    assert [restart["validation_auc"] > 0.9 for restart in figures["restarts"]] == [True, True]
    ran = cli(*args, "--initial", tmp_path / "one", "-o", tmp_path / "three")
    assert ran.status == 2
    assert "convolutions are 12 of 9 with pool 3, 55 of 2 with pool 3; to start from" in ran.err


def test_starts_exclude_each_other(cli: Run, trained: Path, inputs: Path, tmp_path: Path) -> None:
    ran = cli(*training(inputs), "--plant", trained, "--initial", trained, "-o", tmp_path / "out")
    assert (ran.status, ran.out) == (2, "")
    assert "--plant, --plant-motifs and --initial exclude each other (see" in ran.err
    ran = cli(*training(inputs), "--freeze", 2, "-o", tmp_path / "out")
    assert ran.err.endswith("error: freeze of 2 epochs needs something that is planted\n")
    ran = cli(*training(inputs), "--shift", 120, "-o", tmp_path / "out")
    assert ran.err.endswith("error: shift of 120 bp is not allowed; at most 119 for 120 bp\n")
    assert not (tmp_path / "out").exists()


def test_train_takes_a_split_back_and_a_folder_that_is_there(
    cli: Run, trained: Path, inputs: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    args = ["train", *data(inputs), "--restarts", 1, "--epochs", 1, "--seed", 7]
    assert cli(*args, "--split", trained / "split.tsv", "-o", tmp_path).status == 0
    assert (tmp_path / "split.tsv").read_bytes() == (trained / "split.tsv").read_bytes()
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ([], "5-mer logistic regression"),
        (["-k", "3"], "3-mer logistic regression"),
        (["--kind", "spectrum"], "5-mer spectrum"),
        (["--kind", "spectrum", "-k", "2"], "2-mer spectrum"),
        (["--kind", "gkm"], "gapped 6-mer logistic regression"),
    ],
)
def test_baseline_says_which_simple_model_it_is(
    cli: Run, inputs: Path, tmp_path: Path, options: list[str], name: str
) -> None:
    assert cli("baseline", *data(inputs), *options, "-o", tmp_path / "out").status == 0
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["name"] == name


def test_baseline_makes_the_split_of_train_and_its_figures(
    cli: Run, trained: Path, inputs: Path, tmp_path: Path
) -> None:
    assert cli("baseline", *data(inputs), "-o", tmp_path / "out").status == 0
    assert load_model(tmp_path / "out").prevalence == load_model(trained).prevalence == 0.5
    assert contents(tmp_path / "out").keys() == {
        "metrics.json", "test_predictions.tsv", "split.tsv", "model.safetensors",
    }  # fmt: skip
    assert (tmp_path / "out" / "split.tsv").read_bytes() == (trained / "split.tsv").read_bytes()
    figures = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert figures == json.loads((trained / "metrics.json").read_text())["baseline"]
    assert column(tmp_path / "out" / "test_predictions.tsv", "probability") == column(
        trained / "test_predictions.tsv", "baseline_probability"
    )


def test_groups_stay_in_one_part(cli: Run, inputs: Path, tmp_path: Path) -> None:
    args = ["baseline", *data(inputs), "--groups", "chromosome", "-o", tmp_path]
    assert cli(*args, "--test-group", "chr1", "chr2", "--validation-group", "chr4").status == 0
    names, parts = (column(tmp_path / "split.tsv", name) for name in ("name", "part"))
    part_of = {"chr1": "test", "chr2": "test", "chr4": "validation"}
    assert parts == [part_of.get(name.split(":")[0], "train") for name in names]


def test_what_groups_leave_out_is_left_out_with_its_shuffles_wherever_the_split_is_given_back(
    cli: Run, inputs: Path, tmp_path: Path
) -> None:
    lines = (inputs / "positives.fa").read_text().splitlines()
    lines[3] = lines[1]  # chr1:0-120 again, as chr2:1000-1120
    positives, shuffled = tmp_path / "positives.fa", tmp_path / "k2.fa"
    positives.write_text("\n".join(lines))
    options = ["--negatives", inputs / "negatives.fa", "--restarts", 1, "--epochs", 1]
    args = ["train", "--positives", positives, *options]
    ran = cli(*args, "--groups", "chromosome", "-o", tmp_path / "model")
    assert "\n1 of 120 sequences are left out: " in f"\n{ran.err}"
    table = tmp_path / "model" / "split.tsv"
    assert table.read_text().splitlines()[-1].split("\t") == [
        "chr2:1000-1120", "positive", "positives.fa", "left_out",
    ]  # fmt: skip
    page = (tmp_path / "model" / "report.html").read_text()
    assert "The groups given were kept whole" in page
    assert re.search(r"left out</t[dh]>\s*<td[^>]*>1</td>\s*<td[^>]*>0</td>", page)
    assert cli("shuffle", positives, "-k", 2, "-o", shuffled).status == 0
    for negatives, out in ((inputs / "negatives.fa", 1), (shuffled, 2)):
        options[1] = negatives
        folder = tmp_path / negatives.stem
        ran = cli("train", "--positives", positives, *options, "--split", table, "-o", folder)
        assert ran.err.startswith(f"{out} of 120 sequences are left out: as in {table}\n")
        assert "The split was given as a table" in (folder / "report.html").read_text()
    assert (tmp_path / "negatives" / "split.tsv").read_bytes() == table.read_bytes()
    assert column(tmp_path / "k2" / "split.tsv", "part").count("left_out") == 2


def test_windows_that_a_table_of_groups_tears_apart_are_told(
    cli: Run, inputs: Path, tmp_path: Path
) -> None:
    records = (inputs / "positives.fa").read_text().replace(">chr2:1000-1120", ">chr1:60-180")
    (tmp_path / "positives.fa").write_text(records)
    both = [tmp_path / "positives.fa", inputs / "negatives.fa"]
    names = [line[1:] for path in both for line in path.read_text().splitlines()[::2]]
    rows = [f"{name}\tgroup{index % 10}\n" for index, name in enumerate(names)]
    (tmp_path / "groups.tsv").write_text("name\tgroup\n" + "".join(rows))
    ran = cli(
        "baseline", "--positives", both[0], "--negatives", both[1],
        "--groups", tmp_path / "groups.tsv", "--test-group", "group0", "-o", tmp_path / "out",
    )  # fmt: skip
    assert ran.err.startswith("note: 2 sequences overlap one in another part, by their names")


def test_files_after_one_flag_and_flags_repeated_are_the_same(
    cli: Run, inputs: Path, tmp_path: Path
) -> None:
    records = (inputs / "negatives.fa").read_text().splitlines(keepends=True)
    one, two = tmp_path / "one.fa", tmp_path / "two.fa"
    one.write_text("".join(records[:60]))
    two.write_text("".join(records[60:]))
    positives = ["--positives", inputs / "positives.fa"]
    args = ["baseline", *positives, "--negatives", one, two, "-o", tmp_path / "together"]
    assert cli(*args).status == 0
    args = ["baseline", "--negatives", one, *positives, "--negatives", two]
    assert cli(*args, "-o", tmp_path / "apart").status == 0
    assert contents(tmp_path / "apart") == contents(tmp_path / "together")
    assert set(column(tmp_path / "apart" / "split.tsv", "file")) == {
        "positives.fa", "one.fa", "two.fa",
    }  # fmt: skip


def test_evaluate_gives_the_figures_of_train_on_the_same_sequences(
    cli: Run, trained: Path, inputs: Path, tmp_path: Path
) -> None:
    tested = set(column(trained / "test_predictions.tsv", "name"))
    for kind in ("positives", "negatives"):
        records = (inputs / f"{kind}.fa").read_text().split(">")[1:]
        kept = [f">{record}" for record in records if record.split("\n")[0] in tested]
        (tmp_path / f"{kind}.fa").write_text("".join(kept))
    ran = cli("evaluate", trained, *data(tmp_path), "-o", tmp_path / "figures.json")
    assert ran.status == 0
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures == json.loads((trained / "metrics.json").read_text())["test"]


def test_evaluate_asks_about_classes_that_look_swapped(
    cli: Run, trained: Path, inputs: Path, tmp_path: Path
) -> None:
    swapped = ["--positives", inputs / "negatives.fa", "--negatives", inputs / "positives.fa"]
    ran = cli("evaluate", trained, *swapped, "-o", tmp_path / "figures.json")
    assert "ranks negatives above positives: are the two swapped?" in ran.err


# Prediction


def test_predict_gives_every_record_in_order_as_train_did(
    cli: Run, trained: Path, inputs: Path, tmp_path: Path
) -> None:
    args = ["predict", trained / "model.safetensors", inputs / "positives.fa"]
    assert cli(*args, "--threads", 1, "-o", tmp_path / "one.tsv").status == 0
    assert cli(*args, "--threads", 2, "-o", tmp_path / "two.tsv").status == 0
    assert (tmp_path / "two.tsv").read_bytes() == (tmp_path / "one.tsv").read_bytes()
    table = (tmp_path / "one.tsv").read_text().splitlines()
    assert table[0] == "name\tprobability"
    found = dict(line.split("\t") for line in table[1:])
    assert list(found) == read_fasta(inputs / "positives.fa").names
    rows = read_table(trained / "test_predictions.tsv", ["name", "label", "probability"])
    same = {row["name"]: row["probability"] for _, row in rows if row["label"] == "1"}
    assert same.items() <= found.items()


@pytest.mark.parametrize("variant", ["other_case", "zipped"])
def test_case_line_ends_and_compression_of_inputs_change_nothing(
    cli: Run, trained: Path, inputs: Path, tmp_path: Path, variant: str,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    (tmp_path / "peaks.bed").write_text("chr1\t1200\t1800\n")
    for name, folder in (("a", inputs), ("b", request.getfixturevalue(variant))):
        out, genome = tmp_path / name, folder / "genome.fa"
        out.mkdir()
        for args in (
            ["shuffle", folder / "positives.fa", "-k", 2, "-o", out / "shuffled.fa"],
            ["extract", genome, tmp_path / "peaks.bed", "-o", out / "extracted.fa"],
            ["predict", trained, folder / "positives.fa", "-o", out / "probabilities.tsv"],
            ["predict", trained, "--genome", genome, "-o", out / "track.bedgraph"],
            ["call", trained, "--genome", genome, "--top", 3, "-o", out / "calls.bed"],
            ["evaluate", trained, *data(folder), "-o", out / "figures.json"],
            ["baseline", *data(folder), "-o", out / "baseline"],
        ):
            assert cli(*args).status == 0
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_outputs_named_gz_are_the_same_bytes_compressed(
    cli: Run, trained: Path, inputs: Path, tmp_path: Path
) -> None:
    for args in (
        ["shuffle", inputs / "positives.fa", "-k", 2],
        ["predict", trained, inputs / "positives.fa"],
        ["predict", trained, "--genome", inputs / "genome.fa"],
    ):
        assert cli(*args, "--force", "-o", tmp_path / "plain").status == 0
        assert cli(*args, "--force", "-o", tmp_path / "zipped.gz").status == 0
        unzipped = gzip.decompress((tmp_path / "zipped.gz").read_bytes())
        assert unzipped == (tmp_path / "plain").read_bytes()


def read_bedgraph(path: Path) -> list[tuple[str, int, int, float]]:
    rows = (line.split("\t") for line in path.read_text().splitlines())
    return [(chrom, int(start), int(end), float(value)) for chrom, start, end, value in rows]


def test_a_track_covers_its_regions_exactly_in_both_formats(
    cli: Run, trained: Path, inputs: Path, tmp_path: Path
) -> None:
    # chr2 first, two regions that overlap, one whose last bin is short, one without "chr"
    regions = tmp_path / "regions.bed"
    regions.write_text("chr2\t0\t1000\nchr1\t330\t500\nchr1\t400\t610\n1\t7\t30\n")
    genome = inputs / "genome.fa"
    args = ["predict", trained, "--genome", genome, "--regions", regions, "--step", 20]
    assert cli(*args, "-o", tmp_path / "track.bedgraph").status == 0
    rows = read_bedgraph(tmp_path / "track.bedgraph")
    bins = [("chr1", 7, 27), ("chr1", 27, 30)]
    bins += [("chr1", start, start + 20) for start in range(330, 610, 20)]
    bins += [("chr2", start, start + 20) for start in range(0, 1000, 20)]
    assert [row[:3] for row in rows] == bins
    assert cli(*args, "-o", tmp_path / "track.bw").status == 0
    with pyBigWig.open(str(tmp_path / "track.bw")) as track:
        assert track.chroms() == {"chr1": 3000, "chr2": 1000, "chr3": 400}
        found = [(chrom, *each) for chrom in ("chr1", "chr2") for each in track.intervals(chrom)]
    assert [row[:3] for row in found] == bins
    assert [row[3] for row in found] == pytest.approx([row[3] for row in rows], rel=1e-5)


def test_a_track_without_regions_covers_chromosomes_but_for_runs_of_n(
    cli: Run, trained: Path, inputs: Path, tmp_path: Path
) -> None:
    args = ["predict", trained, "--genome", inputs / "genome.fa"]
    ran = cli(*args, "-o", tmp_path / "track.bedgraph")
    bins = [("chr1", start, start + 50) for start in range(0, 3000, 50)]
    bins += [("chr2", start, start + 50) for start in range(0, 1000, 50)]
    # chr3: N from 100 to 300; the windows of 120 bp around 75 and 325 are 35 / 120 N and stay
    bins += [("chr3", start, start + 50) for start in (0, 50, 300, 350)]
    assert [row[:3] for row in read_bedgraph(tmp_path / "track.bedgraph")] == bins
    assert "4 bins have no value: their window is mostly N" in ran.err
    assert "84 bins of 50 bp in 3 regions predicted" in ran.err


def test_a_window_of_a_track_has_the_probability_of_the_sequence_extracted(
    cli: Run, trained: Path, inputs: Path, tmp_path: Path
) -> None:
    centres = [("chr1", 60), ("chr1", 1501), ("chr2", 940)]
    points = tmp_path / "points.bed"
    points.write_text("".join(f"{chrom}\t{at}\t{at + 1}\n" for chrom, at in centres))
    genome, table, track = inputs / "genome.fa", tmp_path / "a.tsv", tmp_path / "a.bedgraph"
    assert cli("extract", genome, points, "--length", 120, "-o", tmp_path / "a.fa").status == 0
    assert cli("predict", trained, tmp_path / "a.fa", "-o", table).status == 0
    args = ["predict", trained, "--genome", genome, "--regions", points, "--step", 1]
    assert cli(*args, "-o", track).status == 0
    rows = read_bedgraph(track)
    assert [row[:3] for row in rows] == [(chrom, at, at + 1) for chrom, at in centres]
    expected = [float(value) for value in column(table, "probability")]
    assert [row[3] for row in rows] == pytest.approx(expected, abs=1e-6)


# What is said on the way


def test_quiet_is_silent(cli: Run, trained: Path, inputs: Path, tmp_path: Path) -> None:
    (tmp_path / "peaks.bed").write_text("1\t100\t600\n")
    genome = inputs / "genome.fa"
    for args in (
        ["simulate", "--motif", "CEBPA", "-n", 5, "-o", tmp_path / "simulated"],
        ["extract", genome, tmp_path / "peaks.bed", "-o", tmp_path / "a.fa"],
        ["background", genome, "-n", 2, "--length", 100, "-o", tmp_path / "a.bed"],
        ["shuffle", inputs / "positives.fa", "-k", 2, "-o", tmp_path / "b.fa"],
        ["evaluate", trained, *data(inputs), "-o", tmp_path / "figures.json"],
        ["baseline", *data(inputs), "-o", tmp_path / "baseline"],
        ["predict", trained, inputs / "positives.fa", "-o", tmp_path / "a.tsv"],
        ["predict", trained, "--genome", genome, "-o", tmp_path / "track.bw"],
        ["predict", trained, "--genome", genome, "--regions", tmp_path / "peaks.bed",
         "--per-region", "--prevalence", 0.1, "-o", tmp_path / "regions.tsv"],
        ["call", trained, "--genome", genome, "--top", 3, "-o", tmp_path / "calls.bed"],
        ["evaluate", trained, "--genome", genome, "--peaks", tmp_path / "peaks.bed",
         "-o", tmp_path / "along"],
    ):  # fmt: skip
        assert cli(*args, "-q") == Ran(0, "", "")


def test_progress_is_plain_lines_where_there_is_no_terminal(
    cli: Run, training_run: tuple[Path, Ran], inputs: Path, tmp_path: Path
) -> None:
    folder, ran = training_run
    assert ran.status == 0
    assert ran.out == ""
    assert ran.err.replace("\n", "").isprintable()  # no carriage returns, no colours
    lines = ran.err.splitlines()
    assert lines[0].endswith(": 48 + 48 to learn from, 6 + 6 to choose, 6 + 6 to test")
    assert re.fullmatch(
        r"epochs trained: 24 of 24 \(100%\), best validation AUC [01]\.\d{3}", lines[-4]
    )
    assert lines[-1] == f"model and report: {folder}"
    ran = cli("predict", folder, "--genome", inputs / "genome.fa", "-o", tmp_path / "track.bw")
    assert ran.err.startswith("bins predicted: 88 of 88 (100%)\n")


def test_progress_is_a_bar_on_a_terminal(inputs: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "enhancer_core", "shuffle", inputs / "positives.fa", "-k", "2",
         "-o", tmp_path / "out.fa"],
        stderr=theirs, env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:  # Linux says so where a terminal's other side is closed
        pass
    os.close(ours)
    assert process.wait() == 0
    assert b"\x1b[" in shown  # the cursor is moved, so that the bar is drawn in place
    assert "sequences shuffled" in shown.decode()
    assert "60 sequences shuffled at k = 2" in shown.decode().splitlines()[-1]


# Interruption


def long_training(inputs: Path) -> list[object]:
    """A run that takes long enough to be interrupted, a second or more."""
    return [*training(inputs), "--epochs", 60, "--threads", 1]


def start_training(inputs: Path, output: Path) -> subprocess.Popen[str]:
    """Start a run of its own process, and wait until it has saved a state.

    It has so many restarts that it cannot end by itself; each is what it is among fewer.
    """
    started = time.time_ns()
    process = subprocess.Popen(
        [sys.executable, "-m", "enhancer_core", *map(str, long_training(inputs)),
         "--restarts", "1000", "--resume", "-o", str(output)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    states = output / "restarts"
    while not any(s.stat().st_mtime_ns > started for s in states.glob("restart-*.safetensors")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)
    return process


def test_a_run_killed_and_then_interrupted_resumes_to_the_same_bytes(
    cli: Run, inputs: Path, tmp_path: Path
) -> None:
    output = tmp_path / "model"
    process = start_training(inputs, output)
    time.sleep(random.uniform(0, 0.3))
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert (output / "restarts").is_dir()

    process = start_training(inputs, output)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)  # a second or two where the machine is idle
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "enhancer-core: error: interrupted"
    assert "Traceback" not in err
    assert not list(output.rglob("*.partial"))

    assert cli(*long_training(inputs), "--resume", "-o", output).status == 0
    whole = tmp_path / "uninterrupted"
    assert cli(*long_training(inputs), "-o", whole).status == 0
    assert contents(output) == contents(whole)


def test_of_a_stack_that_kept_the_papers_network_alone_that_is_trained_further(
    cli: Run, inputs: Path, tmp_path: Path
) -> None:
    quick = ["--restarts", 1, "--epochs", 1]
    cli("train", *data(inputs), *quick, "--network", "tf", "-o", tmp_path / "first")
    model = load_model(tmp_path / "first")
    named = replace(model, metadata={**model.metadata, "network": "motif_cnn"})
    named.save(tmp_path / "stack.safetensors")
    started = ["--initial", tmp_path / "stack.safetensors", "-o", tmp_path / "second"]
    assert cli("train", *data(inputs), *quick, *started).status == 0
    assert load_model(tmp_path / "second").metadata["network"] == "tf"
