"""Sequences of unequal length, through the command line: what --length does, and what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from enhancer_core.models.model import load_model
from tests.conftest import Ran

Run = Callable[..., Ran]

QUICK = ("--restarts", 1, "--epochs", 1)


class Ragged(NamedTuple):
    """Files of 60 positives and 60 negatives of 40 to 160 bp, and a model of 100 bp of them."""

    positives: Path
    negatives: Path
    trained: Ran
    model: Path
    pooling: Path

    @property
    def data(self) -> tuple[object, ...]:
        return ("--positives", self.positives, "--negatives", self.negatives)


@pytest.fixture(scope="module")
def ragged(cli: Run, tmp_path_factory: pytest.TempPathFactory) -> Ragged:
    folder, rng = tmp_path_factory.mktemp("ragged"), np.random.default_rng(5)
    for kind, gc in (("positives", 0.7), ("negatives", 0.4)):
        lengths = [40, 49, 160, 100, *(60, 120) * 28]  # two are mostly N at 100
        shares = np.array([1 - gc, gc, gc, 1 - gc]) / 2
        rows = ("".join(rng.choice(list("ACGT"), n, p=shares)) for n in lengths)
        text = "".join(f">{kind}{i}\n{row}\n" for i, row in enumerate(rows))
        (folder / f"{kind}.fa").write_text(text)
    made = Ragged(
        folder / "positives.fa", folder / "negatives.fa", Ran(0, "", ""),
        folder / "model", folder / "pooling",
    )  # fmt: skip
    trained = cli("train", *made.data, "--length", 100, *QUICK, "-o", made.model)
    pooling = cli(
        *("train", *made.data, "--length", 100, *QUICK, "--network", "motif_cnn"),
        *("--no-stack", "-q", "-o", made.pooling),
    )
    assert (trained.status, pooling) == (0, Ran(0, "", ""))
    return made._replace(trained=trained)


CUT = "29 of 60 sequences cut to 100 bp, 30 padded with N"
LEFT_OUT = "; 2 left out, since mostly N"


def test_train_cuts_and_pads_counts_and_leaves_out_what_is_mostly_n(ragged: Ragged) -> None:
    lines = ragged.trained.err.splitlines()
    assert lines[:2] == [
        f"{ragged.positives}: {CUT}{LEFT_OUT}", f"{ragged.negatives}: {CUT}{LEFT_OUT}",
    ]  # fmt: skip
    assert lines[2:4] == [
        "network: motif_cnn, the default; --network chooses another",
        "positives + negatives: 46 + 46 to learn from, 6 + 6 to choose, 6 + 6 to test",
    ]
    assert load_model(ragged.model).length == 100
    split = (ragged.model / "split.tsv").read_text()
    assert "positives0\t" not in split
    assert "positives2\t" in split


def test_a_split_is_read_back_at_the_same_length(cli: Run, ragged: Ragged, tmp_path: Path) -> None:
    split = ragged.model / "split.tsv"
    ran = cli("baseline", *ragged.data, "--length", 100, "--split", split, "-o", tmp_path / "out")
    assert ran.status == 0
    assert ran.err.splitlines()[0] == f"{ragged.positives}: {CUT}{LEFT_OUT}"
    assert (tmp_path / "out" / "split.tsv").read_bytes() == split.read_bytes()


def test_a_baseline_predicts_padded_sequences_as_it_was_judged(
    cli: Run, ragged: Ragged, tmp_path: Path
) -> None:
    folder, table = tmp_path / "base", tmp_path / "p.tsv"
    assert cli("baseline", *ragged.data, "--length", 100, "-q", "-o", folder) == Ran(0, "", "")
    assert cli("predict", folder, ragged.positives, "--length", 100, "-q", "-o", table).status == 0
    predicted = dict(line.split("\t") for line in table.read_text().splitlines())
    rows = [line.split("\t") for line in (folder / "test_predictions.tsv").read_text().splitlines()]
    judged = {row[0]: row[-1] for row in rows if row[0].startswith("positives")}
    assert len(judged) == 6
    for name, probability in judged.items():
        assert float(predicted[name]) == pytest.approx(float(probability), abs=2e-6)


def test_predict_keeps_the_order_and_has_no_probability_of_what_is_mostly_n(
    cli: Run, ragged: Ragged, tmp_path: Path
) -> None:
    out = tmp_path / "p.tsv"
    ran = cli("predict", ragged.model, ragged.positives, "--length", 100, "-o", out)
    assert ran.err.splitlines()[-2:] == [
        f"{ragged.positives}: {CUT}",
        f"58 sequences predicted: {out}; 2 are mostly N, and have no probability (NA)",
    ]
    rows = [line.split("\t") for line in out.read_text().splitlines()[1:]]
    assert [name for name, _ in rows] == [f"positives{i}" for i in range(60)]
    assert [name for name, value in rows if value == "NA"] == ["positives0", "positives1"]


def test_what_has_the_length_is_predicted_as_without_it(
    cli: Run, ragged: Ragged, tmp_path: Path
) -> None:
    lines = ragged.positives.read_text().splitlines()
    (tmp_path / "one.fa").write_text("\n".join(lines[6:8]) + "\n")  # 100 bp
    for name, length in (("with.tsv", ["--length", 100]), ("without.tsv", [])):
        ran = cli("predict", ragged.model, tmp_path / "one.fa", *length, "-o", tmp_path / name)
        assert ran.err.splitlines()[-1:] == [f"1 sequences predicted: {tmp_path / name}"]
        assert " cut to " not in ran.err
    assert (tmp_path / "with.tsv").read_bytes() == (tmp_path / "without.tsv").read_bytes()


def test_evaluate_leaves_out_what_is_mostly_n(cli: Run, ragged: Ragged, tmp_path: Path) -> None:
    out = tmp_path / "m.json"
    ran = cli("evaluate", ragged.model, *ragged.data, "--length", 100, "-o", out)
    assert ran.err.splitlines()[:2] == [
        f"{ragged.positives}: {CUT}{LEFT_OUT}", f"{ragged.negatives}: {CUT}{LEFT_OUT}",
    ]  # fmt: skip
    figures = json.loads(out.read_text())
    assert (figures["positives"], figures["negatives"]) == (58, 58)


def test_mutagenesis_pssm_motifs_and_wiring_take_sequences_of_unequal_length(
    cli: Run, ragged: Ragged, tmp_path: Path
) -> None:
    database = tmp_path / "m.jaspar"
    database.write_text(">M1 one\nA [9 0 0 1 9]\nC [0 9 0 1 0]\nG [0 0 9 7 0]\nT [0 0 0 1 0]\n")
    fitted = ("--length", 100, "-o")
    known = ("--sequences", ragged.positives, "--database", database)
    data = ("--motif", database, *ragged.data)
    for first, args in (
        ("mutagenesis", (ragged.model, ragged.positives, "--plots", 0)),
        ("pssm", data),
        ("motifs", (ragged.model, *known)),
        ("wiring", (ragged.model, *known, "--pairs", 1, "--backgrounds", 4, "--spacing", 15)),
    ):
        output = tmp_path / (first + (".json" if first == "pssm" else ""))
        ran = cli(first, *args, *fitted, output)
        assert ran.status == 0, ran.err
        assert f"{ragged.positives}: {CUT}{LEFT_OUT}" in ran.err.splitlines()[:2]
    rows = (tmp_path / "mutagenesis" / "effects.tsv").read_text().splitlines()[1:]
    assert len(rows) == 3 * (28 * 60 + 30 * 100)  # N is not changed
    positions = [int(row.split("\t")[1]) for row in rows if row.startswith("positives4\t")]
    assert (min(positions), max(positions)) == (20, 79)


def test_a_model_that_pools_over_all_predicts_any_length(
    cli: Run, ragged: Ragged, tmp_path: Path
) -> None:
    out = tmp_path / "m.json"
    ran = cli("evaluate", ragged.pooling, *ragged.data, "--length", 140, "-o", out)
    cut = "1 of 60 sequences cut to 140 bp, 59 padded with N; 30 left out, since mostly N"
    assert ran.err.splitlines()[0] == f"{ragged.positives}: {cut}"
    assert json.loads(out.read_text())["auc"]["value"] > 0.8
    assert cli(
        "predict", ragged.pooling, ragged.positives, "--length", 70, "-q", "-o", tmp_path / "p.tsv"
    ) == Ran(0, "", "")
    assert "NA" not in (tmp_path / "p.tsv").read_text()


def test_a_model_that_pools_over_all_is_trained_further_at_another_length(
    cli: Run, ragged: Ragged, tmp_path: Path
) -> None:
    start = ("--network", "motif_cnn", "--no-stack", "--initial", ragged.pooling)
    ran = cli("train", *ragged.data, "--length", 80, *QUICK, *start, "-o", tmp_path / "further")
    assert ran.status == 0
    assert "all weights start from model.safetensors" in ran.err.splitlines()
    assert load_model(tmp_path / "further").length == 80


def test_padding_that_tells_the_classes_apart_is_warned_of(
    cli: Run, ragged: Ragged, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    rows = ["".join(rng.choice(list("ACGT"), 100)) for _ in range(60)]
    (tmp_path / "n.fa").write_text("".join(f">n{i}\n{row}\n" for i, row in enumerate(rows)))
    data = ("--positives", ragged.positives, "--negatives", tmp_path / "n.fa", "--length", 100)
    warning = (
        "warning: padding alone tells positives from negatives with an AUC of 0.74 (19% and 0% of"
        " their letters are N), which flatters all figures; a smaller --length pads less"
    )
    for command in (("baseline",), ("evaluate", ragged.model)):
        name = "out.json" if command[0] == "evaluate" else "out"
        ran = cli(*command, *data, "-o", tmp_path / name)
        assert warning in ran.err.splitlines()
    assert "padding" not in ragged.trained.err
