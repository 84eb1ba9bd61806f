"""A run in Galaxy and the same run on the command line give the same bytes."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from live import FEW, Dataset, History, command_line, of_history


@pytest.fixture(scope="module")
def datasets(history: History, inputs: Path, trained: Path) -> dict[str, Dataset]:
    """The small inputs and the model trained on them, in the history."""
    files = [*inputs.iterdir(), trained / "model.safetensors"]
    return {path.stem: history.upload(path) for path in files}


def test_train_gives_the_command_lines_bytes(
    history: History, datasets: dict[str, Dataset], trained: Path
) -> None:
    job = history.run(
        "train", positives=[datasets["positives"]], negatives=[datasets["negatives"]], **FEW
    )
    for output, file in {
        "model": "model.safetensors",
        "predictions": "test_predictions.tsv",
        "split_table": "split.tsv",
        "metrics": "metrics.json",
        "report_html": "report.html",
    }.items():
        assert job.content(output) == (trained / file).read_bytes(), file


def test_predict_gives_the_command_lines_bytes(
    history: History, datasets: dict[str, Dataset], inputs: Path, trained: Path, tmp_path: Path
) -> None:
    job = history.run(
        "predict",
        model_source=of_history("model", datasets["model"]),
        input={"kind": "sequences", "sequences": datasets["positives"]},
    )
    command_line("predict", trained, inputs / "positives.fa", "-o", tmp_path / "out.tsv")
    assert job.content("predictions") == (tmp_path / "out.tsv").read_bytes()


def test_variants_gives_the_command_lines_records(
    history: History, datasets: dict[str, Dataset], inputs: Path, trained: Path, tmp_path: Path
) -> None:
    job = history.run(
        "variants",
        model_source=of_history("model", datasets["model"]),
        genome_source=of_history("genome", datasets["genome"]),
        vcf=datasets["variants"],
    )
    command_line(
        *("variants", trained, "--genome", inputs / "genome.fa"),
        *("--vcf", inputs / "variants.vcf", "-o", tmp_path / "out.vcf.gz"),
    )
    scored, expected = (
        gzip.decompress(content).splitlines()
        for content in (job.content("scored"), (tmp_path / "out.vcf.gz").read_bytes())
    )
    # But for the model's name, which is its dataset's there; the checksum is the same.
    (theirs,), (ours,) = (
        [line for line in lines if line.startswith(b"##enhancer_core=<ID=EC,Model=")]
        for lines in (scored, expected)
    )
    assert theirs.partition(b",SHA256=")[2] == ours.partition(b",SHA256=")[2]
    assert [line for line in scored if line != theirs] == [
        line for line in expected if line != ours
    ]


def test_shuffle_gives_the_command_lines_bytes(
    history: History, datasets: dict[str, Dataset], inputs: Path, tmp_path: Path
) -> None:
    job = history.run("shuffle", sequences=datasets["genome"], k=["3", "5"], seed=7)
    expected = {}
    for k in (3, 5):
        out = tmp_path / f"{k}.fa"
        command_line("shuffle", inputs / "genome.fa", "-k", k, "--seed", 7, "-o", out)
        expected[f"k{k}"] = out.read_bytes()
    assert job.elements("shuffled") == expected
