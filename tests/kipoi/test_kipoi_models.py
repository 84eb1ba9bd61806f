"""The published models, without Kipoi; `make kipoi` runs Kipoi's own commands over them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pytest
import yaml

from enhancer_core.io.files import sha256
from enhancer_core.kipoi.publishing import (
    COLUMNS,
    FACTS,
    NOT_STATED,
    TEMPLATE,
    example_windows,
    read_rows,
    weights_path,
)
from enhancer_core.models.model import load_model
from enhancer_core.prediction.sequences import probabilities
from enhancer_core.study.recipe import Run
from enhancer_core.study.select import only_runs
from enhancer_core.study.toml import read_study
from enhancer_core.training.config import default_config

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "kipoi_models"
GROUPS = sorted(path.parent for path in SOURCE.glob(f"*/{TEMPLATE}"))
ROWS = [(group, row) for group in GROUPS for row in read_rows(group).values()]
NAMES = [f"{group.name}/{row['model']}" for group, row in ROWS]
RECIPES = tomllib.loads((ROOT / "training" / "models.toml").read_text())["model"]

each_row = pytest.mark.parametrize(("group", "row"), ROWS, ids=NAMES)


def rendered(group: Path, row: dict[str, str]) -> dict[str, Any]:
    """The row through its template, with numbers as pandas hands them to Kipoi."""
    values: dict[str, Any] = dict(row)
    for name in COLUMNS:
        if name == "length" or name.startswith(("auc", "baseline")):
            values[name] = float(row[name]) if "." in row[name] else int(row[name])
    text = jinja2.Template((group / TEMPLATE).read_text()).render(**values)
    content: dict[str, Any] = yaml.safe_load(text)
    return content


def run_of(recipe: Mapping[str, Any]) -> Run:
    """The run of a study that a recipe publishes."""
    study = only_runs(read_study(ROOT / "training" / recipe["study"]), [recipe["run"]])
    (run,) = [each for each in study.recipes[0].runs if each.name == recipe["run"]]
    return run


@pytest.mark.parametrize(
    ("name", "background", "shuffles", "planted"),
    [
        ("human_liver_expanded", 2, (2, 3, 4), []),
        ("human_liver_planted", 1, (), [(2,), (3,), (4,)]),
    ],
)
def test_the_papers_strategies_are_published_with_the_ks_that_it_gives(
    name: str, background: int, shuffles: tuple[int, ...], planted: list[tuple[int, ...]]
) -> None:
    (recipe,) = [each for each in RECIPES if each["name"] == name]
    run = run_of(recipe)
    (study,) = read_study(ROOT / "training" / recipe["study"]).recipes
    donors = [each for each in study.runs if each.name in run.plant]
    assert (run.background, run.shuffles) == (background, shuffles)
    assert [donor.shuffles for donor in donors] == planted
    assert all(donor.background == 0 and donor.data == run.data for donor in donors)


def test_there_are_the_two_groups_and_each_has_a_row() -> None:
    assert [group.name for group in GROUPS] == ["EnhancerCNN", "SingleTF"]
    assert all(read_rows(group) for group in GROUPS)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_a_group_holds_the_weights_of_its_rows_and_no_others(group: Path) -> None:
    expected = {weights_path(group, row) for row in read_rows(group).values()}
    assert set((group / "weights").iterdir()) == expected
    assert not list(group.rglob("*.py"))


@each_row
def test_a_rows_weights_are_those_of_its_checksum(group: Path, row: dict[str, str]) -> None:
    assert sha256(weights_path(group, row)) == row["sha256"]


@each_row
def test_a_row_gives_the_probabilities_that_it_expects(group: Path, row: dict[str, str]) -> None:
    model = load_model(weights_path(group, row))
    assert model.length == int(row["length"])
    found = probabilities(model.predictor(), example_windows(int(row["length"])))
    expected = np.array(row["expected"].split(), dtype=float)
    assert np.abs(found - expected).max() < 1e-6
    assert np.ptp(expected) > 1e-3  # the network looks at the sequence


@each_row
def test_a_row_says_all_that_a_user_needs(group: Path, row: dict[str, str]) -> None:
    assert all(row[fact] != NOT_STATED for fact in FACTS)
    record = load_model(weights_path(group, row)).metadata
    for name, figures in (("auc", record["test"]), ("baseline_auc", record["baseline"]["test"])):
        assert float(row[name]) == pytest.approx(figures["auc"]["value"], abs=5e-5)
    assert float(row["auc_low"]) <= float(row["auc"]) <= float(row["auc_high"])


@each_row
def test_a_row_renders_to_the_yaml_that_kipoi_and_kipoi_veff_read(
    group: Path, row: dict[str, str]
) -> None:
    model = rendered(group, row)
    assert model["defined_as"] == "enhancer_core.kipoi.ProbabilityModel"
    assert group / model["args"]["weights"] == weights_path(group, row)
    assert model["args"]["sha256"] == row["sha256"]
    loader = model["default_dataloader"]
    assert loader["defined_as"] == "enhancer_core.kipoi.WindowDataset"
    assert loader["default_args"] == {"length": int(row["length"])}
    assert model["schema"]["inputs"]["shape"] == f"(4, {row['length']})"
    assert model["schema"]["inputs"]["special_type"] == "DNASeq"
    info = model["info"]
    assert info["name"] == f"{group.name}/{row['model']}"
    assert info["license"] == "MIT"
    assert info["cite_as"].endswith("10.1101/264200")
    assert row["held_out"] in info["trained_on"]
    for what in ("positives", "negatives", "recipe"):
        assert row[what] in info["doc"]
    assert f"{float(row['auc']):.3f}" in info["doc"]
    assert info["doc"].startswith(
        f"Probability that a sequence of {row['length']} bp is one of the"
    )
    for text in (info["doc"], info["trained_on"]):
        assert (row["species"] in text) != row["species"].startswith("none")
        assert (f"({row['assembly']})" in text) == (row["assembly"] == "hg19")
        assert ("(assembly not stated)" in text) == row["assembly"].startswith("not stated")
        assert "(simulated)" not in text
    is_ensemble = row["network"] == "motif_cnn"
    assert ("ensemble of convolutional networks" in info["doc"]) == is_ensemble
    assert "Cohn, Zuk and Kaplan 2018" in info["doc"]
    is_shuffle = row["negatives"].startswith("each positive shuffled")
    assert ("Not for scanning a genome" in info["doc"]) == is_shuffle
    assert info["authors"] == [{"name": "The enhancer_core authors"}]
    assert ("promoter" in info["tags"]) == ("promoters" in row["model"])
    assert ("enhancer" in info["tags"]) == ("liver" in row["model"])
    assert ("simulated" in info["tags"]) == row["model"].startswith("simulated")
    effects = model["postprocessing"]["variant_effects"]
    assert effects["seq_input"] == [model["schema"]["inputs"]["name"]]
    assert effects["use_rc"] is True


@each_row
def test_a_row_can_be_trained_again_by_a_recipe_of_its_name(
    group: Path, row: dict[str, str]
) -> None:
    (recipe,) = [each for each in RECIPES if each["name"] == row["model"]]
    assert recipe["group"] == group.name
    for fact in ("species", "assembly", "kind"):
        assert recipe[fact] == row[fact]
    assert row["held_out"] == recipe.get("held_out", row["held_out"])
    assert row["recipe"].endswith(f"--only {row['model']}")
    record = load_model(weights_path(group, row)).metadata
    assert record["seed"] == recipe["seed"]
    if "study" in recipe:
        run = run_of(recipe)
        stated = run.config.to_dict()
        assert record["config"] == {name: stated[name] for name in record["config"]}
        assert {"restarts", "epochs"} <= record["config"].keys()
        assert (record["run"], record["baseline"]["run"]) == (run.name, run.baseline)
        assert row["network"] == run.network
        return
    assert row["network"] == recipe["network"]
    own = default_config(recipe["network"])
    assert record["config"]["restarts"] == recipe.get("restarts", own.restarts)
    assert record["config"]["epochs"] == recipe.get("epochs", own.epochs)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
@pytest.mark.parametrize(
    ("network", "text"),
    [
        (
            "motif_cnn",
            "networks that begin with known motifs, stacked with simpler models where those",
        ),
        ("enhancer", "a convolutional network on one-hot DNA"),
        ("tf", "a small convolutional network on one-hot DNA"),
        ("mine", "The model is of this kind: mine."),
    ],
)
def test_each_network_is_described_in_words(group: Path, network: str, text: str) -> None:
    row = next(iter(read_rows(group).values()))
    assert text in rendered(group, {**row, "network": network})["info"]["doc"]


def test_recipes_have_names_of_their_own_and_one_source_of_negatives() -> None:
    names = [recipe["name"] for recipe in RECIPES]
    assert len(set(names)) == len(names)
    for recipe in RECIPES:
        assert (SOURCE / recipe["group"] / TEMPLATE).is_file()
        assert sum(key in recipe for key in ("negatives", "k", "simulate", "study")) == 1
