"""The command wiring: what it gives, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from enhancer_core.dna.codes import Codes
from enhancer_core.io.fasta import write_fasta
from enhancer_core.io.motifs import write_meme
from enhancer_core.io.outputs import MODEL_FILE
from enhancer_core.io.tables import read_table
from enhancer_core.models.architecture import Architecture, Convolution
from enhancer_core.models.model import Model, save_model
from enhancer_core.models.network import Network
from enhancer_core.motifs.motif import Motif
from tests.conftest import Ran
from tests.interpretation.test_interactions import LENGTH, SITES, network, quiet_backgrounds
from tests.predictors import model_of

Run = Callable[..., Ran]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that joins two words 10 bp apart, sequences with its words, and known motifs."""
    folder = tmp_path_factory.mktemp("wiring")
    save_model(model_of(network(), {}), folder / MODEL_FILE)
    codes: Codes = quiet_backgrounds(30)
    for row in range(30):
        codes[row, 20:27] = SITES[row % 3]
    write_fasta(folder / "sequences.fa", [f"s{i}" for i in range(30)], codes)
    known = [Motif(f"M{i}", np.random.default_rng(i).dirichlet([0.2] * 4, 8).T) for i in range(30)]
    known.append(Motif("MA1", np.eye(4)[:, SITES[0]], alias="TF1"))
    write_meme(folder / "database.meme", known)
    return folder


def test_wiring_finds_what_a_network_joins(cli: Run, folder: Path, tmp_path: Path) -> None:
    given = ["wiring", folder, "--sequences", folder / "sequences.fa", "--spacing", 12]
    given += ["--backgrounds", 8, "--database", folder / "database.meme"]
    ran = cli(*given, "--threads", 1, "-o", tmp_path / "out")
    assert (ran.status, ran.out) == (0, "")
    assert "tested by planting: 1. Pairs that interact: 1 (1 spacing-specific): " in ran.err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"wiring.tsv", "report.html"}
    rows = [row for _, row in read_table(tmp_path / "out" / "wiring.tsv", ["first"])]
    assert {(row["first"], row["second"]) for row in rows} == {("filter_1", "filter_2")}
    assert {row["pools"] for row in rows} == {"10"}
    assert {row["kind"] for row in rows} == {"spacing-specific"}
    assert len(rows) == 2 * 2 * 6  # sites of 7 bp, spacings of 7 to 12 on either side and strand
    found = {(int(row["spacing"]), row["strand"]): float(row["interaction"]) for row in rows}
    for (spacing, _), value in found.items():
        assert value == pytest.approx(float(abs(spacing) == 10), abs=0.3)
    assert all(float(row["low"]) <= float(row["interaction"]) <= float(row["high"]) for row in rows)
    report = (tmp_path / "out" / "report.html").read_text()
    assert "filter_1 (TF1)" in report
    assert "within the 14 bp that the second layer reaches" in report

    assert cli(*given, "--threads", 2, "--markdown", "-q", "-o", tmp_path / "again").err == ""
    for name in ("wiring.tsv", "report.html"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    assert "(figures/interaction-by-spacing.png)" in (tmp_path / "again" / "report.md").read_text()


def test_of_a_mixed_model_wiring_and_motifs_read_the_first_kind(
    cli: Run, folder: Path, tmp_path: Path
) -> None:
    single = Network(Architecture(convolutions=(Convolution(9, 5, 2),), dense=(), length=LENGTH))
    members = (*network().members, *model_of(single).members)
    save_model(model_of(Model(members, {}), {}), tmp_path / MODEL_FILE)
    said = "the filters are those of 1 of 2 members; the others are networks of another"
    said += " architecture, or k-mer weights\n"
    given = ["--sequences", folder / "sequences.fa", "--backgrounds", 8, "--spacing", 12]
    ran = cli("wiring", tmp_path, *given, "-o", tmp_path / "out")
    assert ran.status == 0
    assert said in ran.err
    rows = [row for _, row in read_table(tmp_path / "out" / "wiring.tsv", ["first"])]
    assert {(row["first"], row["second"]) for row in rows} == {("filter_1", "filter_2")}
    given = ["--sequences", folder / "sequences.fa", "--database", folder / "database.meme"]
    ran = cli("motifs", tmp_path, *given, "-o", tmp_path / "motifs")
    assert ran.status == 0
    assert said in ran.err
    rows = [row for _, row in read_table(tmp_path / "motifs" / "matches.tsv", ["filter"])]
    assert len(rows) == network().architecture.convolutions[0].filters


def test_wiring_needs_no_database_and_fewer_sequences_than_backgrounds(
    cli: Run, folder: Path, tmp_path: Path
) -> None:
    given = ["--sequences", folder / "sequences.fa", "--backgrounds", 40, "--spacing", 8, "-q"]
    assert cli("wiring", folder, *given, "-o", tmp_path / "out") == Ran(0, "", "")
    assert "in 40 shuffles" in (tmp_path / "out" / "report.html").read_text()


def test_wiring_refuses_what_cannot_be(cli: Run, folder: Path, tmp_path: Path) -> None:
    single = Network(Architecture(convolutions=(Convolution(1, 7, 2),), dense=(), length=LENGTH))
    save_model(model_of(single, {}), tmp_path / "single.safetensors")
    silent = tmp_path / "silent.fa"
    write_fasta(silent, ["a"], np.full((1, LENGTH), 4, dtype=np.uint8))
    sequences = ["--sequences", folder / "sequences.fa"]
    for model, options, match in (
        (tmp_path / "single.safetensors", sequences, "the network has one convolution; no second"),
        (folder, ["--sequences", silent], "nothing in it activates a filter"),
        (folder, [*sequences, "--spacing", 40], "spacings of -40 to 40 bp do not fit sequences"),
        (folder, [*sequences, "--backgrounds", 3], "'--backgrounds': 3 is not in the range x>=4"),
        (folder, [*sequences, "--database", silent], "silent.fa line 2: "),
    ):
        ran = cli("wiring", model, *options, "-q", "-o", tmp_path / "out")
        assert (ran.status, ran.out, ran.err.count("\n")) == (2, "", 1)
        assert match in ran.err
        assert not (tmp_path / "out").exists()
