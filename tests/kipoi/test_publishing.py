"""A model file becomes a row of a Kipoi group, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from enhancer_core.dna.codes import encode, one_hot
from enhancer_core.errors import EnhancerError, FileError, ModelFileError
from enhancer_core.io.fasta import read_records
from enhancer_core.io.motifs import write_meme
from enhancer_core.kipoi import publishing as publishing
from enhancer_core.kipoi.publishing import example_windows, publish, read_rows, spell, weights_path
from enhancer_core.models.architecture import Architecture, Convolution
from enhancer_core.models.model import load_model, save_model
from enhancer_core.models.network import Ensemble, Network
from enhancer_core.motifs.motif import BUILTIN
from enhancer_core.prediction.sequences import probabilities
from tests.conftest import Ran
from tests.predictors import model_of, predictor_of

GROUP = "Nets"
FIGURES = {"auc": {"value": 0.8, "low": 0.7, "high": 0.9}, "positives": 30, "negatives": 40}
RECORD: Mapping[str, Any] = {
    "network": "enhancer",
    "test": FIGURES,
    "baseline": {"test": {"auc": {"value": 0.75, "low": 0.65, "high": 0.85}}},
    "inputs": [
        {"label": "positives", "name": "e.fa", "sequences": 1300, "sha256": ""},
        {"label": "positives", "name": "odd#\tname.fa", "sequences": 2, "sha256": ""},
        {"label": "negatives", "name": "b.fa", "sequences": 400, "sha256": ""},
    ],
}


def write_model(
    path: Path, *, seed: int = 0, length: int = 60, record: Mapping[str, Any] = RECORD
) -> Path:
    """Write a tiny network, not trained."""
    architecture = Architecture(convolutions=(Convolution(2, 3, 4),), dense=(3,), length=length)
    save_model(
        model_of(Network(architecture, generator=torch.Generator().manual_seed(seed)), record), path
    )
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model.safetensors")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A Kipoi source with one group and no rows."""
    folder = tmp_path / "source"
    (folder / GROUP).mkdir(parents=True)
    (folder / GROUP / "model-template.yaml").write_text("args: {}\n")
    return folder


def contents(folder: Path) -> Mapping[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_row_holds_the_weights_their_checksum_and_the_expected_probabilities(
    model: Path, source: Path
) -> None:
    row = publish(model, source=source, group=GROUP, name="fly", facts={"species": "D. m."})
    group = source / GROUP
    assert read_rows(group) == {"fly": row}
    weights = group / "weights" / f"fly-{row['sha256'][:12]}.safetensors"
    assert weights_path(group, row) == weights
    assert weights.read_bytes() == model.read_bytes()
    assert row["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    found = probabilities(predictor_of(load_model(weights).to_torch()), example_windows(60))
    assert row["expected"] == spell(found)
    assert np.allclose(np.array(row["expected"].split(), dtype=float), found, rtol=1e-5, atol=0)
    assert (row["length"], row["network"], row["species"]) == ("60", "enhancer", "D. m.")
    assert [row[name] for name in publishing.FIGURES] == [
        *("0.8000", "0.7000", "0.9000"),
        *("0.7500", "0.6500", "0.8500"),
    ]


def test_an_ensemble_is_published_as_any_model(source: Path, tmp_path: Path) -> None:
    architecture = Architecture(convolutions=(Convolution(2, 3, 4),), dense=(3,), length=60)
    seeds = (torch.Generator().manual_seed(seed) for seed in range(2))
    ensemble = Ensemble([Network(architecture, generator=seed) for seed in seeds])
    save_model(model_of(ensemble, RECORD), tmp_path / "both.safetensors")
    path = tmp_path / "both.safetensors"
    row = publish(path, source=source, group=GROUP, name="fly", facts={})
    assert row["expected"] == spell(probabilities(predictor_of(ensemble), example_windows(60)))
    batch = torch.from_numpy(one_hot(example_windows(60)))  # as the Kipoi model predicts
    with torch.inference_mode():
        found = load_model(path).to_torch()(batch).softmax(1)[:, 1]
    assert np.allclose(np.array(row["expected"].split(), dtype=float), found, rtol=1e-4, atol=0)


def test_what_is_not_said_comes_from_the_training_record_or_is_not_stated(
    model: Path, source: Path
) -> None:
    row = publish(model, source=source, group=GROUP, name="fly", facts={})
    assert row["positives"] == "1,300 sequences of e.fa, 2 sequences of odd__name.fa"
    assert row["negatives"] == "400 sequences of b.fa"
    assert row["held_out"] == "30 positives and 40 negatives to test on"
    assert {row[key] for key in ("species", "assembly", "kind", "recipe")} == {"not stated"}


def test_publishing_twice_leaves_the_same_bytes(model: Path, source: Path) -> None:
    publish(model, source=source, group=GROUP, name="fly", facts={"kind": "pooled"})
    before = contents(source)
    publish(model, source=source, group=GROUP, name="fly", facts={"kind": "pooled"}, force=True)
    assert contents(source) == before


def test_a_row_that_is_there_is_replaced_only_if_asked(model: Path, source: Path) -> None:
    publish(model, source=source, group=GROUP, name="fly", facts={})
    before = contents(source)
    with pytest.raises(FileError, match=r"models\.tsv: row fly is there already; --force replaces"):
        publish(model, source=source, group=GROUP, name="fly", facts={"kind": "pooled"})
    assert contents(source) == before


def test_another_model_replaces_a_rows_weights_and_keeps_what_was_said(
    model: Path, source: Path, tmp_path: Path
) -> None:
    publish(model, source=source, group=GROUP, name="fly", facts={"kind": "pooled"})
    other = write_model(tmp_path / "other.safetensors", seed=1, length=80)
    row = publish(
        other, source=source, group=GROUP, name="fly", facts={"species": "D. m."}, force=True
    )
    assert (row["kind"], row["species"], row["length"]) == ("pooled", "D. m.", "80")
    (weights,) = (source / GROUP / "weights").iterdir()
    assert weights.read_bytes() == other.read_bytes()


def test_rows_stand_in_the_order_of_their_names_however_they_came(
    model: Path, source: Path
) -> None:
    for name in ("mouse", "cow", "human"):
        publish(model, source=source, group=GROUP, name=name, facts={})
    assert list(read_rows(source / GROUP)) == ["cow", "human", "mouse"]


@pytest.mark.parametrize(
    "name", ["", "a b", "../up", "..", "a/b", "1st", "nan", "NA", "True", "a\n", "Fliege_ä"]
)
def test_a_name_that_a_path_or_a_table_misreads_is_refused(
    model: Path, source: Path, name: str
) -> None:
    before = contents(source)
    with pytest.raises(EnhancerError, match=rf"^name {re.escape(repr(name))} is not allowed; allo"):
        publish(model, source=source, group=GROUP, name=name, facts={})
    assert contents(source) == before


def test_a_name_too_long_for_a_file_is_refused_in_one_short_line(model: Path, source: Path) -> None:
    publish(model, source=source, group=GROUP, name="a" * 100, facts={})
    match = f"^name '{'a' * 40}...' has 300 letters; allowed are 100$"
    with pytest.raises(EnhancerError, match=match):
        publish(model, source=source, group=GROUP, name="a" * 300, facts={})


@pytest.mark.parametrize("value", ["", "a\tb", "a\nb", "number #1", 'the "best"', "NaN"])
def test_a_fact_that_a_table_misreads_is_refused(model: Path, source: Path, value: str) -> None:
    with pytest.raises(EnhancerError, match=rf"^species {re.escape(repr(value))} is not allowed; "):
        publish(model, source=source, group=GROUP, name="fly", facts={"species": value})


def test_an_unknown_fact_is_refused(model: Path, source: Path) -> None:
    with pytest.raises(EnhancerError, match=r"^fact 'author' is not known; known are species, ass"):
        publish(model, source=source, group=GROUP, name="fly", facts={"author": "me"})


@pytest.mark.parametrize(
    "group", ["", "Other", "Nets/weights", "..", "../source/Nets", "g" * 300, "a\nb"]
)
def test_a_group_that_is_not_there_is_refused(model: Path, source: Path, group: str) -> None:
    shown = repr(group if len(group) < 100 else "g" * 40 + "...")
    with pytest.raises(FileError, match=rf"no group {re.escape(shown)} \(.*\); it has Nets$"):
        publish(model, source=source, group=group, name="fly", facts={})


def test_a_model_without_figures_is_refused_and_leaves_nothing(
    source: Path, tmp_path: Path
) -> None:
    bare = write_model(tmp_path / "bare.safetensors", record={"network": "tf"})
    before = contents(source)
    with pytest.raises(ModelFileError, match=r"bare.safetensors: .* lacks the test AUCs .*'test'"):
        publish(bare, source=source, group=GROUP, name="fly", facts={})
    assert contents(source) == before
    assert not (source / GROUP / "weights").exists()


def test_a_model_too_long_for_the_example_is_refused(source: Path, tmp_path: Path) -> None:
    before = contents(source)
    long = write_model(tmp_path / "long.safetensors", length=4000)
    with pytest.raises(EnhancerError, match="windows of 4000 bp do not fit into the example"):
        publish(long, source=source, group=GROUP, name="fly", facts={})
    assert contents(source) == before


def test_a_table_that_cannot_be_written_leaves_no_weights(
    model: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise FileError("models.tsv: cannot be written (No space left on device)")

    monkeypatch.setattr(publishing, "write_table", full)
    with pytest.raises(FileError, match="No space left"):
        publish(model, source=source, group=GROUP, name="fly", facts={})
    assert not list((source / GROUP / "weights").iterdir())


def test_the_command_says_what_a_row_lacks(
    cli: Callable[..., Ran], model: Path, source: Path
) -> None:
    ran = cli("publish", model, "--group", GROUP, "--name", "fly", "--kind", "pooled", "-o", source)
    assert ran.status == 0
    assert "add --species, --assembly, --recipe" in ran.err
    assert "test AUC 0.8000, baseline 0.7500" in ran.err
    assert read_rows(source / GROUP)["fly"]["kind"] == "pooled"


@pytest.mark.parametrize(
    ("options", "network"),
    [
        (["-k", "5"], "5-mer logistic regression"),
        (["-k", "3"], "3-mer logistic regression"),
        (["--kind", "motifs"], "logistic regression on the best hits of 2 motifs"),
    ],
)
def test_what_baseline_writes_is_published_beside_5_mers(
    cli: Callable[..., Ran], inputs: Path, source: Path, tmp_path: Path, options: list[str],
    network: str,
) -> None:  # fmt: skip
    write_meme(tmp_path / "two.meme", [BUILTIN["CEBPA"], BUILTIN["HNF4A"]])
    more = ["--database", tmp_path / "two.meme"] if "motifs" in options else []
    files = ["--positives", inputs / "positives.fa", "--negatives", inputs / "negatives.fa"]
    for name, given in (("it", [*options, *more]), ("usual", [])):
        assert cli("baseline", *files, *given, "-q", "-o", tmp_path / name).status == 0
    ran = cli("publish", tmp_path / "it", "--group", GROUP, "--name", "it", "-o", source)
    assert ran.status == 0, ran.err
    row = read_rows(source / GROUP)["it"]
    assert row["network"] == network
    assert row["held_out"] == "6 positives and 6 negatives to test on"
    aucs = [
        json.loads((tmp_path / name / "metrics.json").read_text())["test"]["auc"]["value"]
        for name in ("it", "usual")
    ]
    assert [row["auc"], row["baseline_auc"]] == [f"{auc:.4f}" for auc in aucs]
    model = load_model(tmp_path / "it")
    assert model.metadata["baseline"]["name"] == "5-mer logistic regression"
    batch = torch.from_numpy(one_hot(example_windows(120)))  # as the Kipoi model predicts
    with torch.inference_mode():
        found = model.to_torch()(batch).softmax(1)[:, 1]
    expected = np.array(row["expected"].split(), dtype=float)
    assert np.allclose(expected, found, rtol=1e-4, atol=0)


def test_the_command_refuses_bad_input_in_one_line(
    cli: Callable[..., Ran], model: Path, source: Path
) -> None:
    ran = cli("publish", model, "--group", "Other", "--name", "fly", "-o", source)
    assert (ran.status, ran.out) == (2, "")
    assert re.fullmatch(r"enhancer-core: error: .*no group 'Other'.*it has Nets\n", ran.err)


def test_the_example_is_cut_around_the_centres_of_its_intervals() -> None:
    folder = Path(publishing.__file__).parent / "example"
    chr1 = next(read_records(folder / "genome.fa")).codes
    windows = example_windows(101)
    assert windows.shape == (8, 101)
    assert np.array_equal(windows[4], chr1[5000:5101])  # chr1 5000 5101
    assert np.array_equal(windows[0], chr1[900:1001])  # chr1 700 1200, centre 950
    assert (example_windows(500)[2] == encode(["N"])[0]).any()


def test_a_source_can_be_copied_and_published_to(model: Path, source: Path, tmp_path: Path) -> None:
    publish(model, source=source, group=GROUP, name="fly", facts={})
    copy = tmp_path / "copy"
    shutil.copytree(source, copy)
    publish(model.parent, source=copy, group=GROUP, name="worm", facts={})
    assert list(read_rows(copy / GROUP)) == ["fly", "worm"]
