"""Models of k-mer weights go through the commands as networks do, but where filters are needed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from enhancer_core.interpretation.gradients import input_gradients
from enhancer_core.io.fasta import write_fasta
from enhancer_core.io.tables import read_table
from enhancer_core.models.architecture import Architecture, Convolution
from enhancer_core.models.model import Model, load_model, save_model
from enhancer_core.models.network import Network
from enhancer_core.models.parameters import Member
from tests.conftest import Ran
from tests.models.test_kmer_weights import member

Run = Callable[..., Ran]
LENGTH = 100
NETWORK = Architecture(convolutions=(Convolution(3, 4, 2),), dense=(3,), length=LENGTH)
FIGURES = {"auc": {"value": 0.8, "low": 0.7, "high": 0.9}, "positives": 30, "negatives": 40}
RECORD = {"network": "k-mers", "test": FIGURES, "baseline": {"test": FIGURES}}


def models() -> dict[str, Model]:
    network = Network(NETWORK, generator=torch.Generator().manual_seed(0))
    beside = Member(NETWORK, network.flat_parameters())
    words = member(5, LENGTH, seed=1), member(10, LENGTH, seed=2)
    return {"alone": Model(words, RECORD), "beside": Model((words[0], beside, words[1]), RECORD)}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Enter a folder with both models, some sequences, a genome and two variants of it."""
    monkeypatch.chdir(tmp_path)
    for name, model in models().items():
        save_model(model, tmp_path / f"{name}.safetensors")
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (40, LENGTH), dtype=np.uint8)
    write_fasta(tmp_path / "some.fa", [f"s{i}" for i in range(40)], codes)
    write_fasta(tmp_path / "other.fa", [f"o{i}" for i in range(40)], (codes + 1) % 4)
    genome = "".join("ACGT"[code] for code in rng.integers(0, 4, 300))
    (tmp_path / "genome.fa").write_text(f">chr1\n{genome}\n")
    alt = "ACGT"[("ACGT".index(genome[99]) + 1) % 4]
    (tmp_path / "some.vcf").write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        f"chr1\t100\t.\t{genome[99]}\t{alt}\t.\t.\t.\n"
        f"chr1\t200\t.\t{genome[199]}\t{genome[199]}ACG\t.\t.\t.\n"
    )
    return tmp_path


@pytest.mark.parametrize("name", models())
def test_what_predicts_takes_k_mer_weights(cli: Run, folder: Path, name: str) -> None:
    file = f"{name}.safetensors"
    assert cli("predict", file, "some.fa", "-q", "-o", "p.tsv") == Ran(0, "", "")
    rows = [row for _, row in read_table(folder / "p.tsv", ["probability"])]
    assert len(rows) == 40
    track = ["predict", file, "--genome", "genome.fa", "--step", 7, "-q"]
    assert cli(*track, "-o", "t.bedgraph") == Ran(0, "", "")
    bins = [line.split() for line in (folder / "t.bedgraph").read_text().splitlines()]
    assert all(row[0] == "chr1" and 0 < float(row[3]) < 1 for row in bins)
    assert cli(
        "variants", file, "--genome", "genome.fa", "--vcf", "some.vcf", "-o", "s.vcf"
    ) == Ran(0, "", "2 of 2 ALTs scored: s.vcf\n")
    assert cli("mutagenesis", file, "some.fa", "-q", "-o", "effects") == Ran(0, "", "")
    known = ["--positives", "some.fa", "--negatives", "other.fa", "-q"]
    assert cli("evaluate", file, *known, "-o", "f.json") == Ran(0, "", "")
    assert 0 <= json.loads((folder / "f.json").read_text())["auc"]["value"] <= 1


def test_a_model_of_k_mer_weights_is_published(cli: Run, folder: Path) -> None:
    source = Path(__file__).parents[2] / "kipoi_models" / "EnhancerCNN"
    (folder / "source" / "EnhancerCNN").mkdir(parents=True)
    for path in source.glob("*.yaml"):
        (folder / "source" / "EnhancerCNN" / path.name).write_bytes(path.read_bytes())
    args = ["--group", "EnhancerCNN", "--name", "k_mers", "-q", "-o", "source"]
    assert cli("publish", "alone.safetensors", *args).status == 0
    (row,) = (row for _, row in read_table(folder / "source" / "EnhancerCNN" / "models.tsv", []))
    assert "k_mers" in row.values()


ALONE = "alone.safetensors: the model has k-mer weights alone; needed is one with a network"


@pytest.mark.parametrize(
    "args",
    [
        ["motifs", "alone.safetensors", "--sequences", "some.fa", "--database", "none.meme"],
        ["motifs", "alone.safetensors", "--from-weights", "--database", "none.meme"],
        ["wiring", "alone.safetensors", "--sequences", "some.fa"],
        *(
            ["train", "--positives", "some.fa", "--negatives", "other.fa", option, ALONE[:17]]
            for option in ("--initial", "--plant")
        ),
    ],
    ids=["motifs", "weights", "wiring", "initial", "plant"],
)
def test_what_needs_filters_says_that_there_are_none(
    cli: Run, folder: Path, args: list[str]
) -> None:
    (folder / "none.meme").write_text("MEME version 4\n")
    assert cli(*args, "-o", "out") == Ran(2, "", f"enhancer-core: error: {ALONE}\n")
    assert not (folder / "out").exists()


def test_motifs_are_those_of_the_network_among_k_mer_weights(cli: Run, folder: Path) -> None:
    (folder / "one.meme").write_text(
        "MEME version 4\nALPHABET= ACGT\nMOTIF one\nletter-probability matrix: alength= 4 w= 4\n"
        + "0.7 0.1 0.1 0.1\n" * 4
    )
    args = ["--from-weights", "--database", "one.meme", "-o", "out"]
    ran = cli("motifs", "beside.safetensors", *args)
    assert ran.status == 0
    said = "the filters are those of 1 of 3 members; the others are networks of another"
    assert f"{said} architecture, or k-mer weights\n" in ran.err
    assert len(list(read_table(folder / "out" / "matches.tsv", ["filter"]))) == 3


@pytest.mark.parametrize("name", models())
def test_gradients_of_k_mer_weights_are_the_effects_of_changes(folder: Path, name: str) -> None:
    """Of k-mer weights alone, less their mean, they are to the letter; a network's are near."""
    save_model(models()[name], folder / "again.safetensors")
    model = load_model(folder / "again.safetensors")
    codes = np.random.default_rng(1).integers(0, 4, (3, LENGTH), dtype=np.uint8)
    gradients, effects = input_gradients(model, codes), model.mutagenesis(codes, device="cpu")
    assert gradients.shape == effects.shape
    if name == "alone":
        centred = effects - effects.mean(axis=1, keepdims=True)
        np.testing.assert_allclose(gradients, centred, rtol=0, atol=1e-5)
