"""Carry out one run: train its model, score its tests, and read its filters."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enhancer_core import __version__, metrics
from enhancer_core.data.dataset import Dataset, SplitDataset
from enhancer_core.data.simulation import DEFINITIONS
from enhancer_core.errors import FileError
from enhancer_core.io.files import make_folder, remove_partial
from enhancer_core.io.motifs import read_motif, read_motifs
from enhancer_core.io.outputs import MODEL_FILE
from enhancer_core.models import kmers
from enhancer_core.models.architecture import DEFAULT_NETWORK, named_architecture, widened
from enhancer_core.models.model import Model, save_model
from enhancer_core.motifs import pssm
from enhancer_core.motifs.motif import ppm, pwm, site_prior
from enhancer_core.prediction.sequences import probabilities
from enhancer_core.study.filters import read_filters
from enhancer_core.study.recipe import ORACLES, Recipe, Run
from enhancer_core.study.results import Result, ResultByRun
from enhancer_core.study.tasks import RunData, class_counts, prepare, shares_unchanged
from enhancer_core.training.restart import discard_states
from enhancer_core.training.trainer import train
from enhancer_core.training.warm_start import first_weights, known_motifs


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What a run needs beside its own definition."""

    recipe: Recipe
    data: Mapping[str, SplitDataset]
    data_folder: Path
    seed: int
    device: str
    threads: int  # candidates that a search trains side by side
    cores: threading.Semaphore  # one per core, held while computing, never while waiting
    runs: Path  # folder of all runs' folders
    folder: Path  # of this run, or of one fold of it
    key: str  # digest of all that its result depends on
    needed: ResultByRun  # results of the runs that it builds on
    stop: threading.Event
    force: bool  # whether what other settings made is replaced

    @property
    def states(self) -> Path:
        """Folder where the restarts of an unfinished run keep their checkpoints."""
        return self.folder / f"restarts-{self.key[:12]}"

    def check_stop(self) -> None:
        """Raise InterruptedError if the study was stopped."""
        if self.stop.is_set():
            raise InterruptedError("the study was stopped")


def execute_run(run: Run, context: Context) -> dict[str, Any]:
    """Carry out a run, and return its result as plain values.

    `learned` (positives and negatives by part), `tests` (each with its `auc`, `average_precision`,
    and the scores of its positives and negatives), `unchanged` (share of the training part's
    shuffles that equal their input, by k); of a network also `epochs`, `updates`, `restarts`
    (validation AUC of each) and what `filters.read_filters` returns.

    Raises
    ------
    EnhancerError, InterruptedError
        If data do not allow the run, or a file cannot be written; if the study was stopped.
    """
    folds = next((data.folds for data in context.recipe.data if data.name in run.data), 0)
    if not folds:
        with context.cores:
            return _execute(run, context)
    make_folder(context.folder)
    results = []
    for number in range(1, folds + 1):
        fold = replace(context, folder=context.folder / f"fold-{number}")
        make_folder(fold.folder)
        data, tests = (
            tuple(re.sub("(?=/)|$", f"@{number}", name, count=1) for name in names)
            for names in (run.data, run.tests)
        )
        with context.cores:
            results.append(_execute(replace(run, data=data, tests=tests), fold))
    merged = {**results[0], "tests": {k: v for fold in results for k, v in fold["tests"].items()}}
    if "restarts" in merged:
        merged["restarts"] = [auc for fold in results for auc in fold["restarts"]]
    return merged


def _execute(run: Run, context: Context) -> dict[str, Any]:
    context.check_stop()
    data = prepare(run, context.data, seed=context.seed)
    learned = {"train": data.learn.train, "validation": data.learn.validation}
    result: dict[str, Any] = {
        "learned": {part: class_counts(dataset.labels) for part, dataset in learned.items()},
        "unchanged": shares_unchanged(run, data),
    }
    model: Model | None = None
    if run.model in ORACLES:
        scores = {name: _oracle(run, test, context) for name, test in data.tests.items()}
    elif run.model == "5-mers":
        fitted = kmers.fit(data.learn, k=5)
        scores = {name: fitted.probabilities(test.codes) for name, test in data.tests.items()}
    else:
        model, training = _train(run, data, context)
        predictor = model.predictor()
        scores = {name: probabilities(predictor, test.codes) for name, test in data.tests.items()}
        result |= training
    result["tests"] = {
        name: _test_result(test, scores[name], context.seed) for name, test in data.tests.items()
    }
    if model is not None:
        record = _record(run, result, context)
        model = replace(model, metadata={**record, "prevalence": model.metadata["prevalence"]})
        save_model(model, context.folder / MODEL_FILE)
        discard_states(context.states)
    return result


def _test_result(test: Dataset, scores: NDArray[np.floating], seed: int) -> dict[str, Any]:
    # Rounded as they are written, so that the report compares what the file holds.
    rounded = np.array([float(f"{score:.7g}") for score in scores.tolist()])
    figures = metrics.evaluate(test.labels, rounded, rng=np.random.default_rng(seed))
    return {
        "auc": asdict(figures.auc),
        "average_precision": asdict(figures.average_precision),
        "positives": rounded[test.labels].tolist(),
        "negatives": rounded[~test.labels].tolist(),
    }


def _oracle(run: Run, test: Dataset, context: Context) -> NDArray[np.floating]:
    """Score simulated sequences by the model that simulated them; sites are on the + strand."""
    (data,) = (data for data in context.recipe.data if run.data[0] in data.splits)
    motif, definition = read_motif(data.simulate), DEFINITIONS[data.definition]
    log_odds = pwm(ppm(motif.pfm, pseudocount=definition.pseudocount))
    prior = site_prior(length=test.codes.shape[1], width=motif.width, sd=definition.sd)
    if run.model == "bayes":
        return pssm.log_likelihood_ratios(test.codes, log_odds, both_strands=False, prior=prior)
    sites = prior if run.model == "mllr" else None
    return pssm.best_hits(test.codes, log_odds, both_strands=False, prior=sites).scores


def _record(run: Run, result: Result, context: Context) -> dict[str, Any]:
    """Describe, for a model's file, its training and its first test, beside its baseline's."""
    record = {
        "enhancer_core": __version__, "network": run.network, "seed": context.seed,
        "config": replace(run.config, epochs=result["epochs"]).to_dict(),
        "run": run.name, "restarts": result["restarts"],
        "test": _figures(result, run.tests[0]),
    }  # fmt: skip
    if run.baseline:
        baseline = _figures(context.needed[run.baseline], run.tests[0])
        record["baseline"] = {"run": run.baseline, "test": baseline}
    return record


def _figures(result: Result, test: str) -> dict[str, Any]:
    figures = result["tests"][test]
    counts = {name: len(figures[name]) for name in ("positives", "negatives")}
    return {"data": test, **{k: figures[k] for k in ("auc", "average_precision")}, **counts}


def _train(run: Run, data: RunData, context: Context) -> tuple[Model, dict[str, Any]]:
    learn = data.learn
    config = run.config.for_data(len(learn.train))
    per_epoch = -(-len(learn.train) // config.batch_size)
    if run.updates_of:
        updates = context.needed[run.updates_of]["updates"]
        config = replace(config, epochs=max(1, round(updates / per_epoch)), most_updates=None)
    architecture = named_architecture(run.network, length=learn.dataset.codes.shape[1])
    if run.widen > 1 or run.filters is not None or run.width is not None:
        architecture = widened(architecture, run.widen, first=run.filters, width=run.width)
    motifs = [
        motif
        for spec in (f"{context.data_folder / spec}" for spec in run.plant_motifs)
        for motif in ([read_motif(spec)] if ":" in spec else read_motifs(Path(spec)))
    ]
    architecture, start = first_weights(
        architecture,
        networks=[_folder_of(name, context) for name in run.plant],
        motifs=known_motifs() if run.plants_known else motifs,
        initial=_folder_of(run.initial, context) if run.initial else None,
        data=learn if run.network == DEFAULT_NETWORK else None,
    )
    states = context.states
    for other in {*context.folder.glob("restarts-*")} - {states}:  # by another recipe or other data
        if not context.force:
            raise FileError(
                f"{context.folder}: an unfinished run of other settings, data or seed; --force"
                " replaces it"
            )
        discard_states(other)
    make_folder(states)
    remove_partial(states)
    trained = train(
        learn, architecture, config,
        planted=start.planted if start else None, motifs=(),
        seed=context.seed, device=context.device, folder=states,
        progress=lambda *_: context.check_stop(), warn=False,  # told of the data, once
    )  # fmt: skip
    positives = learn.train.codes[learn.train.labels]
    folder, seed = context.data_folder, context.seed
    return trained.model, {
        "epochs": config.epochs,
        "updates": config.epochs * per_epoch,
        "restarts": [restart.auc for restart in trained.restarts],
        **read_filters(trained.model, positives, run.motifs, folder, seed=seed),
    }


def _folder_of(name: str, context: Context) -> Path:
    """Return the folder of another run's model, on the same fold."""
    return context.runs.joinpath(name, *context.folder.relative_to(context.runs).parts[1:])
