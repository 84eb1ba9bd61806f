"""A study cut down to some of its runs: what is kept, and that it comes out as in the whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from enhancer_core.report.page import render_page
from enhancer_core.report.study.page import study_page
from enhancer_core.study.recipe import Study
from enhancer_core.study.runner import run_study
from enhancer_core.study.schema import RecipeError
from enhancer_core.study.select import only_runs
from enhancer_core.study.toml import read_study
from tests.small_data import CEBPA, species

RECIPE = f"""
title = "A small study"
[defaults]
data = ["human"]
restarts = 1
epochs = 1
network = "tf"
{species("human", "dog")}
{CEBPA}
[[run]]
name = "k_mers"
model = "5-mers"
[[run]]
name = "oracle"
model = "bayes"
data = ["cebpa"]
[[run]]
name = "shuffled"
over = "k"
ks = [2, 3]
[[run]]
name = "planted"
plant = ["shuffled.2"]
baseline = "k_mers"
[[run]]
name = "wide"
widen = 2
control_of = "planted"
[[run]]
name = "further"
updates_of = "planted"
[[search]]
name = "mix"
data = ["human"]
updates = 20
[[section]]
kind = "models"
title = "Planted"
headline = "AUC"
runs = ["planted", "wide", "k_mers"]
beside = "wide"
within = 0.1
least = 0.9
[[section]]
kind = "each"
title = "Each"
runs = ["shuffled", "k_mers"]
"""


@pytest.fixture
def study(tmp_path: Path) -> Study:
    path = tmp_path / "small.toml"
    path.write_text(RECIPE)
    return read_study(path)


def names(study: Study) -> list[str]:
    return [each.name for recipe in study.recipes for each in recipe.steps]


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        (["oracle"], ["oracle"]),
        (["shuffled"], ["shuffled.2", "shuffled.3"]),
        (["shuffled.3"], ["shuffled.3"]),
        (["planted"], ["k_mers", "shuffled.2", "planted"]),
        (["further"], ["k_mers", "shuffled.2", "planted", "further"]),
        (["wide"], ["wide"]),
        (["mix", "wide"], ["wide", "mix"]),
    ],
)
def test_a_run_is_kept_with_all_that_it_builds_on(
    study: Study, asked: list[str], kept: list[str]
) -> None:
    assert names(only_runs(study, asked)) == kept


def test_all_runs_are_the_whole_study(study: Study) -> None:
    assert only_runs(study, names(study)) == study


def test_data_that_are_split_together_stay_together_and_others_go(study: Study) -> None:
    (recipe,) = only_runs(study, ["wide"]).recipes
    assert [each.name for each in recipe.data] == ["human", "dog"]
    (recipe,) = only_runs(study, ["oracle"]).recipes
    assert [each.name for each in recipe.data] == ["cebpa"]


def test_a_section_stays_as_far_as_it_says_the_same(study: Study) -> None:
    (whole,) = study.recipes
    (recipe,) = only_runs(study, ["planted", "wide"]).recipes
    assert recipe.sections == whole.sections[:1]
    (recipe,) = only_runs(study, ["planted"]).recipes
    (section,) = recipe.sections
    assert (section.runs, section.beside) == (("planted", "k_mers"), "")
    assert (section.headline, section.within, section.least) == ("", None, None)
    (recipe,) = only_runs(study, ["shuffled", "k_mers"]).recipes
    assert [section.title for section in recipe.sections] == ["Each"]
    (recipe,) = only_runs(study, ["wide"]).recipes  # one model is beside no other
    assert recipe.sections == ()


def test_recipes_without_a_run_that_is_asked_for_go(study: Study) -> None:
    (small,) = study.recipes
    other = replace(small, name="other", runs=small.runs[:2], searches=(), sections=())
    both = replace(study, recipes=(small, other))
    assert [recipe.name for recipe in only_runs(both, ["wide"]).recipes] == ["small"]
    assert [recipe.name for recipe in only_runs(both, ["oracle"]).recipes] == ["small", "other"]


def test_a_run_that_is_not_there_is_refused(study: Study) -> None:
    with pytest.raises(RecipeError, match=r"^no run 'planned'; there are 'k_mers', 'oracle', 'sh"):
        only_runs(study, ["planted", "planned"])


def test_what_is_kept_comes_out_byte_for_byte_as_in_the_whole(study: Study, tmp_path: Path) -> None:
    (small,) = study.recipes
    whole = replace(study, recipes=(replace(small, searches=()),))
    cut = only_runs(whole, ["planted", "wide"])
    for each, folder in ((whole, tmp_path / "whole"), (cut, tmp_path / "cut")):
        folder.mkdir()
        run_study(each, folder, data_folder=tmp_path)
    files = sorted(path for path in (tmp_path / "cut" / "runs").rglob("*") if path.is_file())
    assert {path.parent.name for path in files} == {"k_mers", "shuffled.2", "planted", "wide"}
    for path in files:
        beside = tmp_path / "whole" / path.relative_to(tmp_path / "cut")
        assert path.read_bytes() == beside.read_bytes(), path


def test_the_report_of_a_control_alone_does_not_ask_for_its_strategy(
    study: Study, tmp_path: Path
) -> None:
    cut = only_runs(study, ["wide", "k_mers"])
    page = render_page(study_page(cut, run_study(cut, tmp_path, data_folder=tmp_path)))
    assert "<h2>Planted</h2>" in page
    assert "better than their controls" not in page
