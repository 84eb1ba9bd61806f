"""train --genome, --hard-negatives and --folds, on a genome with planted sites."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from enhancer_core.io.tables import read_table
from enhancer_core.models.model import load_model
from tests import planted
from tests.conftest import Ran

Run = Callable[..., Ran]
SMALL = ("--network", "tf", "--restarts", 1, "--epochs", 2, "--length", planted.LENGTH)
SPLIT = ("--test-group", "chr2", "--validation-group", "3")
FILES = ("metrics.json", "model.safetensors", "report.html", "split.tsv", "test_predictions.tsv")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a genome of four chromosomes, and 20 peaks on each."""
    folder = tmp_path_factory.mktemp("genome")
    planted.write_genome(folder, chromosomes=4, bp=20_000, every=1000, sites=2)
    return folder


def training(folder: Path, *options: object) -> list[object]:
    genome, peaks = folder / "genome.fa", folder / "peaks.bed"
    return ["train", "--genome", genome, "--peaks", peaks, "--no-tile", *SMALL, *options]


def error(ran: Ran) -> str:
    assert (ran.status, ran.out) == (2, ""), ran
    return ran.err.splitlines()[-1].partition("error: ")[2].strip()


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_chromosomes_are_kept_out_and_the_files_are_those_of_any_training(
    here: Path, cli: Run, tmp_path: Path
) -> None:
    ran = cli(*training(here, *SPLIT, "--negatives-per-positive", 4, "-o", tmp_path / "out"))
    assert ran.status == 0, ran.err
    lines = ran.err.splitlines()
    assert (
        "positives + negatives: 40 + 160 to learn from, 20 + 80 to choose, 20 + 80 to test" in lines
    )
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == list(FILES)
    rows = [row for _, row in read_table(tmp_path / "out" / "split.tsv", ["name", "part"])]
    chroms = {part: {r["name"].partition(":")[0] for r in rows if r["part"] == part}
              for part in ("train", "validation", "test")}  # fmt: skip
    assert chroms == {"train": {"chr1", "chr4"}, "validation": {"chr3"}, "test": {"chr2"}}
    figures = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (figures["test"]["positives"], figures["test"]["negatives"]) == (20, 80)
    inputs = load_model(tmp_path / "out").metadata["inputs"]
    assert [(file["name"], file["label"], file["sequences"]) for file in inputs] == [
        *(("peaks.bed", "positives", 80), ("genome.fa", "negatives", 320))
    ]


def test_the_same_seed_gives_the_same_bytes_for_any_number_of_threads(
    here: Path, cli: Run, tmp_path: Path
) -> None:
    for threads in (1, 2):
        ran = cli(*training(here, "--hard-negatives", 1, "--threads", threads, "--device", "cpu",
                            "-o", tmp_path / str(threads)))  # fmt: skip
        assert ran.status == 0, ran.err
    assert contents(tmp_path / "1") == contents(tmp_path / "2")


def test_what_is_assumed_and_left_out_is_told(here: Path, cli: Run, tmp_path: Path) -> None:
    (tmp_path / "regions.bed").write_text("".join(f"chr{c}\t0\t15000\n" for c in range(1, 5)))
    command = [part for part in training(here, "--regions", tmp_path / "regions.bed") if part not in
               ("--length", planted.LENGTH)]  # fmt: skip
    ran = cli(*command, "-o", tmp_path / "out")
    assert ran.status == 0, ran.err
    lines = ran.err.splitlines()
    assert lines[0] == "windows of 500 bp; --length is for others"
    peaks = [line.split("\t") for line in (here / "peaks.bed").read_text().splitlines()]
    starts = [(int(start) + int(end)) // 2 - 250 for _, start, end in peaks]
    fit = [start for start in starts if 0 <= start <= 19_500]
    beyond = sum(start > 14_500 for start in fit)
    assert 0 < beyond < len(fit) < len(starts)
    assert f"{beyond} of {len(fit)} windows are not inside a region and are left out" in lines


def test_a_round_tells_how_many_hard_negatives_it_found(
    here: Path, cli: Run, tmp_path: Path
) -> None:
    ran = cli(*training(here, *SPLIT, "--hard-negatives", 2, "-o", tmp_path / "out"))
    assert ran.status == 0, ran.err
    told = [line for line in ran.err.splitlines() if " hard negatives, the best of " in line]
    assert len(told) == 2
    assert all(line.endswith("that score above the median positive") for line in told)
    assert "epochs trained, round 3 of 3: 2 of 2 (100%)" in ran.err
    rows = [row for _, row in read_table(tmp_path / "out" / "split.tsv", ["part", "label"])]
    assert sum(r["part"] == "train" and r["label"] == "negative" for r in rows) == 40 * 8
    figures = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert figures["run"]["--hard-negatives"] == 2
    assert not (tmp_path / "out" / "restarts").exists()


def test_a_run_killed_in_any_round_goes_on_to_the_same_bytes(
    here: Path, cli: Run, tmp_path: Path
) -> None:
    command = [*training(here, *SPLIT, "--hard-negatives", 1, "--device", "cpu", "--threads", 1),
               "--epochs", 60]  # fmt: skip
    assert cli(*command, "-o", tmp_path / "whole").status == 0
    expected = contents(tmp_path / "whole")
    for number, begun in enumerate(("round-1/restart-*", "restart-*")):
        output = tmp_path / str(number)
        process = subprocess.Popen(
            [sys.executable, "-m", "enhancer_core", *map(str, command), "-o", str(output)],
            stderr=subprocess.PIPE,
        )
        while not list((output / "restarts").glob(f"{begun}.safetensors")):
            assert process.poll() is None, process.communicate()
            time.sleep(0.005)
        process.kill()
        process.communicate()
        for folder in (output / "restarts").glob("round-*"):
            (folder / ".restart-0000.safetensors.0.partial").touch()  # what a kill may leave
        assert "holds an unfinished run" in error(cli(*command, "-o", output))
        assert cli(*command, "--resume", "-o", output).status == 0
        assert contents(output) == expected
        ran = cli(*command, "--resume", "-o", output)
        assert ran.err.endswith(
            "finished already with these options and data; nothing is left to do\n"
        )
        other = [*command, "--hard-negatives", 2]
        assert "--hard-negatives (1 then, 2 now)" in error(cli(*other, "--resume", "-o", output))


def test_folds_test_each_chromosome_by_a_model_that_never_saw_it(
    here: Path, cli: Run, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    ran = cli(*training(here, "--folds", 4, "-o", output))
    assert ran.status == 0, ran.err
    assert "fold 4 of 4" in ran.err.splitlines()
    assert sorted(path.name for path in output.iterdir()) == [
        *(f"fold_{number}" for number in (1, 2, 3, 4)), "metrics.json", "predictions.tsv",
    ]  # fmt: skip
    columns = ["fold", "name", "label", "probability", "baseline_probability"]
    rows = [row for _, row in read_table(output / "predictions.tsv", columns)]
    positives = [row["name"] for row in rows if row["label"] == "1"]
    assert len(positives) == len(set(positives)) == 80
    assert len(rows) == 80 * 9
    for number in ("1", "2", "3", "4"):
        assert sorted(p.name for p in (output / f"fold_{number}").iterdir()) == list(FILES)
        mine = {row["name"].partition(":")[0] for row in rows if row["fold"] == number}
        split = read_table(output / f"fold_{number}" / "split.tsv", ["name", "part"])
        learned = {r["name"].partition(":")[0] for _, r in split if r["part"] != "test"}
        assert not mine & learned
    figures = json.loads((output / "metrics.json").read_text())
    aucs = [json.loads((output / f"fold_{number}" / "metrics.json").read_text())["test"]["auc"]
            ["value"] for number in (1, 2, 3, 4)]  # fmt: skip
    assert figures["auc"]["folds"] == pytest.approx(aucs, abs=1e-3)  # of 6 digits
    assert figures["auc"]["value"] == pytest.approx(np.mean(aucs), abs=1e-3)
    assert figures["auc"]["low"] < figures["auc"]["value"] < figures["auc"]["high"]
    assert figures["together"]["positives"] == 80
    assert set(figures["baseline"]) == {"auc", "average_precision", "accuracy", "together"}


def test_folds_go_on_with_those_that_are_not_finished(here: Path, cli: Run, tmp_path: Path) -> None:
    output, command = tmp_path / "out", training(here, "--folds", 3, "--device", "cpu")
    assert cli(*command, "-o", output).status == 0
    expected = contents(output)
    for path in ("fold_2/model.safetensors", "metrics.json"):
        (output / path).unlink()
    assert "is there already" in error(cli(*command, "-o", output))
    ran = cli(*command, "--resume", "-o", output)
    assert ran.err.count("finished already") == 2
    assert contents(output) == expected


def test_folds_of_sequences_keep_groups_whole(inputs: Path, cli: Run, tmp_path: Path) -> None:
    ran = cli("train", "--positives", inputs / "positives.fa", "--negatives",
              inputs / "negatives.fa", "--groups", "chromosome", "--folds", 2, *SMALL[:-2],
              "-o", tmp_path / "out")  # fmt: skip
    assert ran.status == 0, ran.err
    rows = read_table(tmp_path / "out" / "predictions.tsv", ["fold", "name"])
    folds = {(row["name"].partition(":")[0], row["fold"]) for _, row in rows}
    assert len(rows) == 120
    assert len(folds) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give --positives and --negatives, or --genome and --peaks"),
        (["--positives", "p.fa"], "give --positives and --negatives, or --genome and --peaks"),
        (["--peaks", "p.bed"], "--peaks needs --genome"),
        (["--genome", "g.fa"], "--genome needs --peaks, and no --positives or --negatives"),
        (
            ["--genome", "g.fa", "--peaks", "p.bed", "--negatives", "n.fa"],
            "--genome needs --peaks, and no --positives or --negatives",
        ),
        (
            ["--genome", "g.fa", "--peaks", "p.bed", "--groups", "chromosome"],
            "--genome keeps chromosomes in one part by itself; --split and --groups are for"
            " --positives and --negatives",
        ),
        (
            ["--genome", "g.fa", "--peaks", "p.bed", "--folds", "3", "--test-group", "chr1"],
            "--folds tests on everything in turn; --split, --test-group and --validation-group name"
            " one test part",
        ),
        *(
            (["--positives", "p.fa", "--negatives", "n.fa", *given], f"{given[0]} needs --genome")
            for given in (
                ["--regions", "r.bed"],
                ["--hard-negatives", "1"],
                ["--negatives-per-positive", "2"],
                ["--tile"],
                ["--skip-missing"],
            )
        ),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    options: list[str], message: str, cli: Run, tmp_path: Path
) -> None:
    expected = f"{message} (see enhancer-core train --help)"
    assert error(cli("train", *options, "-o", tmp_path / "out")) == expected
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--test-group", "chrX"), "chromosome 'chrX' is not among the regions, which are on chr1"),
        (("--folds", 5), "folds of 5 is not allowed; from 2 to the 4 chromosomes with peaks"),
        (("--hard-negatives", -1), "Invalid value for '--hard-negatives': -1 is not in the range"),
        (("--length", 30_000), "no window of 30000 bp is left"),
    ],
)
def test_bad_values_are_one_line_and_leave_no_folder(
    here: Path, options: tuple[object, ...], message: str, cli: Run, tmp_path: Path
) -> None:
    assert message in error(cli(*training(here, *options), "-o", tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_thresholds_of_the_validation_part_are_kept_for_calls(
    here: Path, cli: Run, tmp_path: Path
) -> None:
    peaks = tmp_path / "peaks.bed"
    peaks.write_text((here / "peaks.bed").read_text() + "chrZ\t100\t600\n")
    options = ("--peaks", peaks, "--skip-missing", "-o", tmp_path / "out")
    ran = cli(*training(here, *SPLIT, *options))
    assert ran.status == 0, ran.err
    assert "network: " not in ran.err.splitlines()[0]  # it was named
    metadata = load_model(tmp_path / "out").metadata
    assert metadata["precision_measured"] == {"step": 50, "both_strands": False}
    assert max(row["calls"] for row in metadata["precision"]) >= 10
    called = ("call", tmp_path / "out", "--genome", here / "genome.fa", "--precision", 0.01)
    assert cli(*called, "-o", tmp_path / "calls.bed").status == 0


def test_too_few_calls_for_a_precision_lose_no_model(here: Path, cli: Run, tmp_path: Path) -> None:
    (tmp_path / "regions.bed").write_text("chr1\t0\t20000\nchr2\t0\t20000\nchr3\t0\t900\n")
    options = ("--regions", tmp_path / "regions.bed", "-o", tmp_path / "out")
    ran = cli(*training(here, *SPLIT, *options))
    assert ran.status == 0, ran.err
    assert "no thresholds for call --precision: thresholds were measured with no more than" in (
        ran.err
    )
    assert "precision" not in load_model(tmp_path / "out").metadata
