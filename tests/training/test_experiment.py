from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from enhancer_core.data.dataset import TEST, TRAIN, SplitDataset, read_dataset
from enhancer_core.data.splits import split
from enhancer_core.data.tables import read_split
from enhancer_core.dna.codes import encode
from enhancer_core.errors import DatasetError, EnhancerError
from enhancer_core.io.fasta import write_fasta
from enhancer_core.io.tables import read_table
from enhancer_core.models.architecture import Architecture, Convolution
from enhancer_core.models.model import load_model
from enhancer_core.prediction.sequences import probabilities
from enhancer_core.report.outcome import write_outcome
from enhancer_core.training.config import TrainConfig
from enhancer_core.training.evaluation import evaluate, evaluate_baseline, fit_baseline
from enhancer_core.training.experiment import Experiment, Outcome, input_files, run
from tests.predictors import predictor_of

SMALL = Architecture(convolutions=(Convolution(6, 7, 4),), dense=(8,), dropout=0.2, length=60)
FILES = ("metrics.json", "model.safetensors", "report.html", "split.tsv", "test_predictions.tsv")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (200, 60), dtype=np.uint8)
    codes[:100, 20:27] = encode(["GATTACA"])[0]
    paths = folder / "enhancers.fa", folder / "background.fa"
    write_fasta(paths[0], [f"e{i}" for i in range(100)], codes[:100])
    write_fasta(paths[1], [f"b{i}" for i in range(100)], codes[100:])
    return paths


def experiment(files: tuple[Path, Path]) -> Experiment:
    dataset = read_dataset([files[0]], [files[1]])
    return Experiment(
        data=split(dataset, rng=np.random.default_rng(0)),
        inputs=input_files(dataset, [files[0]], [files[1]]),
        network="small",
        architecture=SMALL,
        config=TrainConfig(restarts=2, epochs=2, batch_size=20),
        seed=0,
    )


@pytest.fixture(scope="module")
def finished(
    files: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, SplitDataset, Outcome]:
    done = experiment(files)
    outcome = run(done)
    folder = tmp_path_factory.mktemp("model")
    write_outcome(folder, done, outcome)
    return folder, done.data, outcome


def test_a_run_writes_five_files(finished: tuple[Path, SplitDataset, Outcome]) -> None:
    assert sorted(path.name for path in finished[0].iterdir()) == list(FILES)


def test_the_figures_follow_from_the_predictions_that_are_written(
    finished: tuple[Path, SplitDataset, Outcome],
) -> None:
    folder, data, _ = finished
    figures = json.loads((folder / "metrics.json").read_text())
    columns = ["name", "file", "label", "probability", "baseline_probability"]
    rows = [row for _, row in read_table(folder / "test_predictions.tsv", columns)]
    assert [row["name"] for row in rows] == data.test.names.tolist()
    labels = np.array([int(row["label"]) for row in rows])
    for column, found in (
        ("probability", figures["test"]),
        ("baseline_probability", figures["baseline"]["test"]),
    ):
        scores = np.array([float(row[column]) for row in rows])
        # Printed with 6 digits, so a pair may tie that did not: 1 / (10 * 10) of the AUC.
        assert found["auc"]["value"] == pytest.approx(roc_auc_score(labels, scores), abs=0.01)
        precision = average_precision_score(labels, scores)
        assert found["average_precision"]["value"] == pytest.approx(precision, abs=0.01)
        assert found["accuracy"]["value"] == np.mean((scores >= 0.5) == labels)


def test_the_model_that_is_written_makes_the_predictions_that_are_written(
    finished: tuple[Path, SplitDataset, Outcome],
) -> None:
    folder, data, outcome = finished
    again = probabilities(predictor_of(load_model(folder).to_torch()), data.test.codes)
    np.testing.assert_allclose(again, outcome.network.probabilities[data.parts == TEST], rtol=1e-5)


def test_the_model_records_how_it_was_made(
    finished: tuple[Path, SplitDataset, Outcome], files: tuple[Path, Path]
) -> None:
    folder, _, outcome = finished
    record = load_model(folder).metadata
    assert record["seed"] == 0
    assert record["prevalence"] == 0.5
    assert record["config"]["restarts"] == 2
    assert record["restart"] == outcome.trained.best + 1  # numbered from 1
    assert record["test"] == outcome.network.test.to_dict()
    assert [each["name"] for each in record["inputs"]] == [path.name for path in files]
    assert [each["sequences"] for each in record["inputs"]] == [100, 100]


def test_what_becomes_of_the_files_while_a_network_is_trained_is_not_recorded(
    finished: tuple[Path, SplitDataset, Outcome], files: tuple[Path, Path], tmp_path: Path
) -> None:
    folder, _, outcome = finished
    mine = tmp_path / "enhancers.fa", tmp_path / "background.fa"
    for path, whole in zip(mine, files, strict=True):
        path.write_bytes(whole.read_bytes())
    done = experiment(mine)
    mine[0].write_text(">another\nACGT\n")
    mine[1].unlink()
    write_outcome(tmp_path, done, outcome)
    inputs = load_model(tmp_path).metadata["inputs"]
    assert inputs == load_model(folder).metadata["inputs"]
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    assert [each["sha256"] for each in inputs] == digests


@pytest.mark.parametrize(
    ("without", "said"),
    [(1, "GC content, % (of 199 of 200 sequences; the others hold N alone)"), (100, None)],
)
def test_sequences_of_n_alone_have_no_part_in_the_gc_content_of_the_report(
    finished: tuple[Path, SplitDataset, Outcome], tmp_path: Path, files: tuple[Path, Path],
    without: int, said: str | None,
) -> None:  # fmt: skip
    done, outcome = experiment(files), finished[2]
    codes = done.data.dataset.codes.copy()
    codes[:without] = 4
    dataset = replace(done.data.dataset, codes=codes)
    write_outcome(tmp_path, replace(done, data=replace(done.data, dataset=dataset)), outcome)
    page = (tmp_path / "report.html").read_text()
    if said is None:
        assert "GC content" not in page
    else:
        assert said in page


@pytest.mark.parametrize(("label", "kind"), [(True, "positives"), (False, "negatives")])
def test_a_test_part_too_small_for_an_interval_is_refused_before_training(
    files: tuple[Path, Path], label: bool, kind: str  # noqa: FBT001
) -> None:  # fmt: skip
    done = experiment(files)
    parts = done.data.parts.copy()
    tested = np.flatnonzero((parts == TEST) & (done.data.dataset.labels == label))
    parts[tested[2:]] = TRAIN
    few = replace(done, data=replace(done.data, parts=parts))
    assert few.data.test.labels.sum() + (~few.data.test.labels).sum() == 12
    parts[tested[1:]] = TRAIN
    with pytest.raises(DatasetError, match=f"^the test part would have 1 of the {kind}; to judge"):
        replace(done, data=replace(done.data, parts=parts))


def test_the_split_that_is_written_can_be_given_back(
    finished: tuple[Path, SplitDataset, Outcome],
) -> None:
    folder, data, _ = finished
    assert np.array_equal(read_split(folder / "split.tsv", data.dataset).parts, data.parts)


def test_the_same_experiment_gives_the_same_bytes(
    finished: tuple[Path, SplitDataset, Outcome], files: tuple[Path, Path], tmp_path: Path
) -> None:
    again = experiment(files)
    write_outcome(tmp_path, again, run(again, threads=2))
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (finished[0] / name).read_bytes(), name


def test_the_baseline_is_the_one_that_the_run_reports(
    finished: tuple[Path, SplitDataset, Outcome],
) -> None:
    folder, data, outcome = finished
    model = fit_baseline(data)
    assert evaluate_baseline(data, model, seed=0).to_dict() == outcome.baseline.to_dict()
    assert evaluate(model, data.test) == outcome.baseline.test
    assert evaluate(load_model(folder), data.test) == outcome.network.test


def test_a_baseline_of_an_unknown_kind_is_refused(files: tuple[Path, Path]) -> None:
    with pytest.raises(EnhancerError, match=r"^baseline kind of 'svm' is unknown; allowed are "):
        fit_baseline(experiment(files).data, kind="svm")  # type: ignore[arg-type]
