"""When a study takes a run's result as it is, and when it does the run again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from enhancer_core import __version__
from enhancer_core.io.fasta import write_fasta
from enhancer_core.io.motifs import write_meme
from enhancer_core.models.architecture import named_architecture
from enhancer_core.models.model import load_model
from enhancer_core.motifs.motif import BUILTIN
from enhancer_core.prediction.sequences import probabilities
from enhancer_core.study.data import digest, load
from enhancer_core.study.recipe import Run, settings
from enhancer_core.study.runner import RESULT_FILE, run_study
from enhancer_core.study.toml import read_study
from enhancer_core.training.config import TrainConfig
from enhancer_core.training.warm_start import first_weights, known_motifs
from tests.predictors import predictor_of

RECIPE = """
[defaults]
data = ["d"]
restarts = 1
epochs = 1
network = "tf"
[[data]]
name = "d"
positives = ["p.fa"]
background = ["n.fa"]
[[run]]
name = "planted"
plant_motifs = ["planted.meme"]
[[run]]
name = "sought"
motifs = ["sought.meme:HNF4A_NAME"]
[[run]]
name = "further"
initial = "planted"
[[run]]
name = "plain"
""".replace("HNF4A_NAME", BUILTIN["HNF4A"].name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty sequences of each class, two files of motifs, and a finished study of them."""
    codes = np.random.default_rng(0).integers(0, 4, (80, 60), dtype=np.uint8)
    for name, some in (("p", codes[:40]), ("n", codes[40:])):
        write_fasta(tmp_path / f"{name}.fa", [f"{name}{i}" for i in range(40)], some)
    for name in ("planted", "sought"):
        write_meme(tmp_path / f"{name}.meme", [BUILTIN["HNF4A"]])
    (tmp_path / "r.toml").write_text(RECIPE)
    (tmp_path / "out").mkdir()
    do(tmp_path)
    return tmp_path


def do(folder: Path) -> Mapping[str, Any]:
    study = read_study(folder / "r.toml")
    return run_study(study, folder / "out", data_folder=folder, force=True).runs


def done_again(folder: Path) -> set[str]:
    """Go on with the study, and name the runs that were done once more."""
    kept = {p: p.stat().st_mtime_ns for p in folder.rglob(RESULT_FILE)}
    do(folder)
    return {p.parent.name for p, time in kept.items() if p.stat().st_mtime_ns != time}


def test_a_run_is_done_again_where_a_file_that_it_reads_has_changed(folder: Path) -> None:
    assert done_again(folder) == set()
    write_meme(folder / "planted.meme", [BUILTIN["CEBPA"]])
    assert done_again(folder) == {"planted", "further"}
    write_meme(folder / "sought.meme", [BUILTIN["HNF4A"], BUILTIN["CEBPA"]])
    assert done_again(folder) == {"sought"}
    text = (folder / "n.fa").read_text().splitlines()
    text[1] = text[1][::-1]
    (folder / "n.fa").write_text("\n".join([*text, ""]))
    assert done_again(folder) == {"planted", "sought", "further", "plain"}
    assert done_again(folder) == set()


def test_what_finished_studies_hold_stays_good_where_no_motif_file_is_read(folder: Path) -> None:
    runs = do(folder)
    (recipe,) = read_study(folder / "r.toml").recipes
    data = {"positives": ["p.fa"], "background": ["n.fa"]}
    settings = {"data": ["d"], "epochs": 1, "network": "tf", "restarts": 1, "tests": ["d"]}
    of = {"d": [digest(load(recipe.data, folder, seed=0)["d"]), data]}

    def key(settings: Mapping[str, Any], *needed: str, **more: object) -> str:
        said = {
            "data": of, "needed": {name: runs[name]["fingerprint"] for name in needed}, "seed": 0,
            "settings": settings, "version": __version__, **more,
        }  # fmt: skip
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    assert runs["plain"]["fingerprint"] == key(settings)
    further = {**settings, "initial": "planted"}
    assert runs["further"]["fingerprint"] == key(further, "planted")
    files = {"planted.meme": hashlib.sha256((folder / "planted.meme").read_bytes()).hexdigest()}
    planted = {**settings, "plant_motifs": ["planted.meme"]}
    assert runs["planted"]["fingerprint"] == key(planted, files=files)


def test_no_result_stands_beside_a_model_that_it_is_not_of(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = RECIPE.replace('name = "plain"', 'name = "plain"\nlearning_rate = 0.01')
    (folder / "r.toml").write_text(changed)
    with monkeypatch.context() as patch:

        def kill(path: Path, _: Mapping[str, Any]) -> None:
            raise KeyboardInterrupt(path)

        patch.setattr("enhancer_core.io.files.write_json", kill)  # after the model is written
        with pytest.raises(KeyboardInterrupt):
            do(folder)
    model = (folder / "out" / "runs" / "plain" / "model.safetensors").read_bytes()
    (folder / "r.toml").write_text(RECIPE)
    told = do(folder)["plain"]["tests"]["d"]
    assert (folder / "out" / "runs" / "plain" / "model.safetensors").read_bytes() != model
    test = load(read_study(folder / "r.toml").recipes[0].data, folder, seed=0)["d"].test
    scores = probabilities(predictor_of(load_model(folder / "out" / "runs" / "plain")), test.codes)
    assert told["positives"] == pytest.approx(scores[test.labels].tolist(), rel=1e-5)


def test_options_of_training_have_the_keys_and_defaults_that_results_were_kept_under() -> None:
    config = TrainConfig(restarts=3, epochs=20, ema=0.99, learning_rate_schedule="cosine")
    assert settings(Run(name="r", data=("d",), config=config)) == {
        "data": ("d",), "epochs": 20, "average": 0.99, "schedule": "cosine",
    }  # fmt: skip
    assert settings(Run(name="r", data=("d",))) == {"data": ("d",)}


OWN = """
[[data]]
name = "d"
simulate = "CEBPA"
length = 80
number = 100
[[run]]
name = "own"
data = ["d"]
network = "motif_cnn"
restarts = 1
ensemble = 1
epochs = 40
shift = 0
stack = false
learning_rate = 1e-12
weight_decay = 0.0
most_updates = 8
"""


def test_a_run_of_motif_cnn_begins_with_the_packages_motifs(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(OWN)
    (tmp_path / "out").mkdir()
    study = read_study(tmp_path / "r.toml")
    found = run_study(study, tmp_path / "out", data_folder=tmp_path).runs["own"]
    assert (found["epochs"], found["updates"]) == (2, 8)  # of 4 mini-batches each, not 40
    data = load(study.recipes[0].data, tmp_path, seed=0)["d"]
    network = named_architecture("motif_cnn", length=80)
    _, start = first_weights(network, motifs=known_motifs(), data=data)
    assert start is not None
    weights = load_model(tmp_path / "out" / "runs" / "own").members[0].parameters
    planted = start.planted.planted
    np.testing.assert_allclose(weights[planted], start.planted.parameters[planted], atol=1e-6)


def test_a_run_of_motif_cnn_is_done_again_where_the_packages_motifs_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "r.toml").write_text(OWN)
    (tmp_path / "out").mkdir()
    do(tmp_path)
    assert done_again(tmp_path) == set()
    write_meme(tmp_path / "other.meme", [BUILTIN["HNF4A"]])
    monkeypatch.setattr("enhancer_core.study.runner.JASPAR", tmp_path / "other.meme")
    assert done_again(tmp_path) == {"own"}
