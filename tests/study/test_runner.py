"""A study's runs: what they learn from, what they leave, and what becomes of an interrupted one."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from enhancer_core.errors import FileError, ModelFileError
from enhancer_core.kipoi.publishing import publish
from enhancer_core.models.model import load_model
from enhancer_core.prediction.sequences import probabilities
from enhancer_core.report.page import render_page
from enhancer_core.report.study.page import study_page
from enhancer_core.study import execute, search
from enhancer_core.study.data import load
from enhancer_core.study.runner import RESULT_FILE, Results, run_study
from enhancer_core.study.toml import read_study
from enhancer_core.training.trainer import Trained, train
from tests.predictors import predictor_of
from tests.small_data import CEBPA, species

SEARCH = """
[[search]]
name = "found_mix"
title = "best mix"
data = ["human"]
ks = [2, 3]
copies = [1, 2]
updates = 40
keep_one_of = 3
network = "tf"
restarts = 1
epochs = 1
"""
RECIPE = f"""
title = "A small study"
tree = "((human:1,mouse:1):1,dog:2);"
[defaults]
data = ["human", "mouse", "dog"]
restarts = 2
epochs = 2
network = "tf"
{species("human", "mouse", "dog")}
{CEBPA}
[[run]]
name = "oracle"
model = "bayes"
data = ["cebpa"]
paper = 0.9
[[run]]
name = "found"
data = ["cebpa"]
motifs = ["CEBPA"]
ensemble = 2
[[run]]
name = "one"
over = "each"
tests = ["human", "mouse", "dog"]
[[run]]
name = "k_mers"
model = "5-mers"
[[run]]
name = "all"
title = "all together"
baseline = "k_mers"
[[run]]
name = "more"
title = "human, as many updates"
data = ["human"]
updates_of = "all"
control_of = "all"
[[run]]
name = "background"
positive = "background"
over = "k"
ks = [1, 3]
[[run]]
name = "enhancers"
over = "k"
ks = [1, 3]
{SEARCH}[[section]]
kind = "models"
title = "Oracle"
headline = "Best possible"
runs = ["oracle", "found"]
[[section]]
kind = "each"
title = "Each on its own"
runs = ["oracle", "found", "one.dog", "background.1"]
[[section]]
kind = "models"
title = "Updates"
runs = ["one.human", "all", "more"]
tests = ["human"]
beside = "one.human"
[[section]]
kind = "matrix"
title = "Transfer"
headline = "Gain"
runs = ["one", "all", "k_mers"]
least = 0.03
[[section]]
kind = "k_choice"
title = "Choice of k"
runs = ["background", "enhancers"]
[[section]]
kind = "motifs"
title = "Motifs"
headline = "Similarity"
runs = ["k_mers", "found"]
least = 0.9
[[section]]
kind = "search"
title = "Search"
runs = ["found_mix", "one.human"]
beside = "one.human"
"""


BOTH = """
title = "Sequences of both classes"
[[data]]
name = "liver"
positives = ["p.fa"]
background = ["n.fa"]
[[run]]
name = "k_mers"
model = "5-mers"
data = ["liver"]
[[section]]
kind = "models"
title = "Liver"
runs = ["k_mers"]
"""


def do(
    recipe: Path, folder: Path, *, threads: int = 1, seed: int = 0, force: bool = False
) -> Results:
    folder.mkdir(exist_ok=True)
    study = read_study(recipe)
    return run_study(
        study, folder, data_folder=recipe.parent, threads=threads, seed=seed, force=force
    )


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "small.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def finished(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Results]:
    folder = tmp_path_factory.mktemp("study")
    return folder, do(recipe, folder)


def written(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_each_run_leaves_its_result_and_a_network_its_model(finished: tuple[Path, Results]) -> None:
    folder, results = finished
    assert len(results.runs) == 13
    for name, result in results.runs.items():
        files = {path.name for path in (folder / "runs" / name).iterdir()}
        assert files == {RESULT_FILE, *(["model.safetensors"] if "restarts" in result else [])}
        assert json.loads((folder / "runs" / name / RESULT_FILE).read_text()) == result


def test_the_scores_are_those_of_the_model_that_is_left(
    recipe: Path, finished: tuple[Path, Results]
) -> None:
    folder, results = finished
    data = load(read_study(recipe).recipes[0].data, recipe.parent, seed=0)["dog"]
    test = data.test
    scores = probabilities(predictor_of(load_model(folder / "runs" / "all")), test.codes)
    told = results.runs["all"]["tests"]["dog"]
    assert told["positives"] == pytest.approx(scores[test.labels].tolist(), rel=1e-5)
    assert told["negatives"] == pytest.approx(scores[~test.labels].tolist(), rel=1e-5)


def test_a_model_tells_how_it_did_on_the_first_test_beside_its_baseline(
    finished: tuple[Path, Results],
) -> None:
    folder, results = finished
    record = load_model(folder / "runs" / "all").metadata
    told = results.runs["all"]["tests"]["human"]
    learned = results.runs["all"]["learned"]["train"]
    assert record["prevalence"] == learned[0] / sum(learned)
    assert record["test"] == {
        "data": "human",
        "auc": told["auc"],
        "average_precision": told["average_precision"],
        "positives": 4,
        "negatives": 4,
    }
    assert record["baseline"]["run"] == "k_mers"
    assert record["baseline"]["test"]["data"] == "human"
    assert record["baseline"]["test"]["auc"] == results.runs["k_mers"]["tests"]["human"]["auc"]
    alone = load_model(folder / "runs" / "one.dog").metadata
    assert alone["test"]["auc"] == results.runs["one.dog"]["tests"]["human"]["auc"]
    assert "baseline" not in alone


def test_a_control_trains_as_long_as_its_models_record_says(finished: tuple[Path, Results]) -> None:
    record = load_model(finished[0] / "runs" / "more").metadata
    assert record["config"]["epochs"] == finished[1].runs["more"]["epochs"] == 4


def test_a_network_with_a_baseline_can_be_published(
    finished: tuple[Path, Results], tmp_path: Path
) -> None:
    (tmp_path / "Nets").mkdir()
    (tmp_path / "Nets" / "model-template.yaml").write_text("args: {}\n")
    runs = finished[0] / "runs"
    row = publish(runs / "all", source=tmp_path, group="Nets", name="all", facts={})
    aucs = [finished[1].runs[name]["tests"]["human"]["auc"] for name in ("all", "k_mers")]
    assert [row["auc"], row["baseline_auc"]] == [f"{auc['value']:.4f}" for auc in aucs]
    assert row["held_out"] == "4 positives and 4 negatives to test on"
    with pytest.raises(ModelFileError, match="or a run of a study that names its 'baseline'"):
        publish(runs / "one.dog", source=tmp_path, group="Nets", name="dog", facts={})


def test_two_threads_and_two_times_give_the_same_bytes(
    recipe: Path, finished: tuple[Path, Results], tmp_path: Path
) -> None:
    do(recipe, tmp_path, threads=2)
    assert written(tmp_path) == written(finished[0])


@pytest.mark.parametrize("threads", [1, 2])
def test_two_searches_and_a_run_side_by_side_use_no_more_cores_than_asked(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    at_once, most, lock = 0, 0, threading.Lock()

    def counted(*args: object, **more: object) -> Trained:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        try:
            time.sleep(0.02)  # or one may be done before the next begins
            return train(*args, **more)  # type: ignore[arg-type]
        finally:
            with lock:
                at_once -= 1

    for module in (execute, search):
        monkeypatch.setattr(module, "train", counted)
    path = tmp_path / "searches.toml"
    searches = SEARCH + SEARCH.replace("found_mix", "other_mix")
    path.write_text(RECIPE[: RECIPE.index("[[run]]")] + '[[run]]\nname = "all"\n' + searches)
    do(path, tmp_path / "out", threads=threads)
    assert most == threads


def test_a_study_that_lost_runs_does_those_alone_again(
    recipe: Path, finished: tuple[Path, Results], tmp_path: Path
) -> None:
    for name, content in written(finished[0]).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    lost = tmp_path / "runs" / "one.dog"
    (lost / RESULT_FILE).unlink()
    kept = {p: p.stat().st_mtime_ns for p in tmp_path.rglob(RESULT_FILE)}
    do(recipe, tmp_path)
    assert written(tmp_path) == written(finished[0])
    assert {p: p.stat().st_mtime_ns for p in kept} == kept


def test_an_interrupted_run_goes_on_to_the_same_bytes(
    recipe: Path, finished: tuple[Path, Results], tmp_path: Path
) -> None:
    study = read_study(recipe)

    def stop(name: str, _: Mapping[str, Any]) -> None:
        if name == "one.mouse":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_study(study, tmp_path, data_folder=recipe.parent, progress=stop)
    assert not (tmp_path / "runs" / "found_mix").exists()
    do(recipe, tmp_path)
    assert written(tmp_path) == written(finished[0])


def test_another_recipe_does_again_what_it_changes(
    recipe: Path, finished: tuple[Path, Results], tmp_path: Path
) -> None:
    changed = tmp_path / "changed.toml"
    changed.write_text(RECIPE.replace('name = "more"', 'name = "more"\nepochs = 1'))
    out = tmp_path / "out"
    do(recipe, out)
    before = {p.parent.name: p.stat().st_mtime_ns for p in out.rglob(RESULT_FILE)}
    with pytest.raises(
        FileError, match=r"runs/more/result\.json: made with other epochs \(2 then, 1 now\);"
    ):
        do(changed, out)
    assert before == {p.parent.name: p.stat().st_mtime_ns for p in out.rglob(RESULT_FILE)}
    with pytest.raises(FileError, match=r"result\.json: made with other .*seed, data; --force re"):
        do(recipe, out, seed=1)
    do(changed, out, force=True)
    after = {p.parent.name: p.stat().st_mtime_ns for p in out.rglob(RESULT_FILE)}
    assert {name for name in before if before[name] != after[name]} == {"more"}


def test_what_an_interrupted_run_of_another_recipe_left_is_not_taken(
    recipe: Path, finished: tuple[Path, Results], tmp_path: Path
) -> None:
    for name, content in written(finished[0]).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    run = tmp_path / "runs" / "one.dog"
    (run / RESULT_FILE).unlink()
    (run / "restarts-0123456789ab").mkdir()
    (run / "restarts-0123456789ab" / "restart-0000.safetensors").write_bytes(b"of another recipe")
    with pytest.raises(FileError, match=r"one\.dog: an unfinished run of other settings, data or"):
        do(recipe, tmp_path)
    do(recipe, tmp_path, force=True)
    assert written(tmp_path) == written(finished[0])
    assert {path.name for path in run.iterdir()} == {RESULT_FILE, "model.safetensors"}


def test_a_control_takes_as_many_mini_batches_as_its_strategy(
    finished: tuple[Path, Results],
) -> None:
    runs = finished[1].runs
    assert runs["all"]["updates"] == 2 * 4  # 192 sequences, 50 at a time, twice
    assert runs["more"]["updates"] == 4 * 2  # 64 sequences: two mini-batches, four times


def test_data_are_split_once_for_all_runs(finished: tuple[Path, Results]) -> None:
    sizes = finished[1].data["small"]
    assert sizes["human"] == {"length": 60, "train": [32, 32], "validation": [4, 4], "test": [4, 4]}


def test_a_search_halves_its_candidates_by_validation_auc(finished: tuple[Path, Results]) -> None:
    result = finished[1].runs["found_mix"]
    assert [len(each["candidates"]) for each in result["rounds"]] == [8, 2]
    for each in result["rounds"]:
        aucs = [auc for _, _, auc in each["candidates"]]
        assert aucs == sorted(aucs, reverse=True)
    first, last = (each["candidates"] for each in result["rounds"])
    assert sorted(c[:2] for c in last) == sorted(c[:2] for c in first[:2])
    assert [result["winner"]["background"], result["winner"]["shuffles"]] == last[0][:2]


def test_shuffles_that_equal_their_input_are_counted(finished: tuple[Path, Results]) -> None:
    runs = finished[1].runs
    assert runs["background.1"]["unchanged"] == {"1": 0.0}
    assert 0 <= runs["background.3"]["unchanged"]["3"] < 0.1


def test_the_report_has_every_section_and_is_the_same_each_time(
    recipe: Path, finished: tuple[Path, Results]
) -> None:
    study = read_study(recipe)
    page = render_page(study_page(study, finished[1]))
    for title in (
        "Oracle",
        "Each on its own",
        "Updates",
        "Transfer",
        "Choice of k",
        "Motifs",
        "Search",
        "Runs",
    ):
        assert f"<h2>{title}</h2>" in page
    assert page.count("<svg") >= 6
    assert "Against its control, human, as many updates" in page
    assert "the recipe&#39;s threshold of" in page
    assert "Significantly better than their controls on simulated data: " in page
    assert "all together." in page
    for label in ("Best possible", "Gain", "Similarity"):
        assert f"<dt>{label}</dt>" in page
    assert page == render_page(study_page(study, finished[1]))


def test_what_the_report_says_follows_from_the_results(
    recipe: Path, finished: tuple[Path, Results]
) -> None:
    results = finished[1]
    better = json.loads(json.dumps(dict(results.runs)))
    for test in better["all"]["tests"].values():
        test["positives"] = [9.0 + i for i in range(len(test["positives"]))]
        test["auc"] = {"value": 1.0, "low": 1.0, "high": 1.0}
    changed = Results(better, results.data, results.seed)
    page = render_page(study_page(read_study(recipe), changed))
    assert re.search(
        "All together is (better than|not significantly different from) one: human", page
    )
    assert page != render_page(study_page(read_study(recipe), results))


FOLDED = """
title = "Folds"
[defaults]
data = ["dog"]
restarts = 1
epochs = 1
network = "tf"
[[data]]
name = "dog"
world = "dog"
number = 50
length = 60
folds = 5
[[run]]
name = "k_mers"
model = "5-mers"
[[run]]
name = "network"
[[run]]
name = "planted"
plant = ["network"]
baseline = "k_mers"
[[section]]
kind = "models"
title = "Five folds"
runs = ["k_mers", "network", "planted"]
"""


def test_on_folds_each_sequence_is_tested_once_by_a_network_that_did_not_see_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "folds.toml"
    path.write_text(FOLDED)
    results = do(path, tmp_path / "out")
    for name in ("k_mers", "network", "planted"):
        tests = results.runs[name]["tests"]
        assert list(tests) == [f"dog@{fold}" for fold in range(1, 6)]
        assert sum(len(test["positives"]) for test in tests.values()) == 50
    assert len(results.runs["network"]["restarts"]) == 5
    model = load_model(tmp_path / "out" / "runs" / "planted" / "fold-5")
    donor = load_model(tmp_path / "out" / "runs" / "network" / "fold-5")
    assert model.architecture.convolutions[0].filters == 10  # 7 are three quarters of 10
    assert donor.architecture.convolutions[0].filters == 7
    for key, name in (("test", "planted"), ("baseline", "k_mers")):  # each fold beside its own
        record = model.metadata[key]["test"] if key == "baseline" else model.metadata[key]
        assert record["data"] == "dog@5"
        assert record["auc"] == results.runs[name]["tests"]["dog@5"]["auc"]
    assert "<h2>Five folds</h2>" in render_page(study_page(read_study(path), results))


def test_sequences_of_both_classes_are_counted_for_each_data_set(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    rows = ["".join(rng.choice(list("ACGT"), 60)) for _ in range(80)]
    for name, first in (("p.fa", 0), ("n.fa", 38)):
        text = "".join(f">{name}{i}\n{row}\n" for i, row in enumerate(rows[first : first + 40]))
        (tmp_path / name).write_text(text)
    recipe = tmp_path / "both.toml"
    recipe.write_text(BOTH)
    notes: list[str] = []
    run_study(read_study(recipe), tmp_path, data_folder=tmp_path, note=notes.append)
    assert notes == [
        "warning: data 'liver': both positive and negative: 2 positives and 2 negatives are the"
        " same sequences, on either strand (as 'liver|p.fa38' of p.fa and 'liver|n.fa0' of n.fa)"
    ]
