"""Do one run: learn, score its tests, and read its filters."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enhancer_core import __version__, metrics
from enhancer_core.data.dataset import Dataset, SplitDataset
from enhancer_core.data.simulation import DEFINITIONS
from enhancer_core.io.files import make_folder, remove_partial
from enhancer_core.io.motifs import read_motif, read_motifs
from enhancer_core.models import kmers
from enhancer_core.models.architecture import Architecture, named_architecture, widened
from enhancer_core.models.model import MODEL_FILE, Model, load_model, save_model
from enhancer_core.models.transfer import Planted, plant, room_for, start_from
from enhancer_core.motifs import pssm
from enhancer_core.motifs.motif import Motif, ppm, pwm, site_prior
from enhancer_core.prediction.sequences import probabilities
from enhancer_core.study.filters import read_filters
from enhancer_core.study.recipe import ORACLES, Recipe, Run
from enhancer_core.study.tasks import Task, prepare, shares_unchanged
from enhancer_core.training.restart import Check, discard_states
from enhancer_core.training.trainer import train
from enhancer_core.training.warm_start import plant_most

_STATES = "restarts"


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """Where a run runs."""

    recipe: Recipe
    data: Mapping[str, SplitDataset]
    data_folder: Path
    seed: int
    device: str
    threads: int  # for what a search trains side by side
    cores: threading.Semaphore  # as many; one is held by whatever computes, by none that waits
    runs: Path  # folder of all runs' folders
    folder: Path  # of this run, or of one fold of it
    key: str  # digest of all that its result depends on
    needed: Mapping[str, Mapping[str, Any]]  # results of the runs that it builds on
    stop: threading.Event


def execute(run: Run, context: Context) -> dict[str, Any]:
    """Do a run, and give its result as plain values.

    Returns
    -------
    dict
        `learned` (sequences by part: positives, negatives), `tests` (each with its `auc`,
        `average_precision`, and the scores of its positives and negatives), `unchanged` (the share
        of the training part's shuffles that equal their input, by k); of a network also `epochs`,
        `updates`, `restarts` (validation AUC of each) and what `filters.read_filters` gives.

    Raises
    ------
    EnhancerError
        If data are not what they should be, or a file cannot be written.
    InterruptedError
        If the study was stopped.
    """
    folds = next((e.folds for e in context.recipe.data if e.name in run.data), 0)
    if folds:
        return _joined([execute(*_fold(run, context, i + 1)) for i in range(folds)])
    with context.cores:
        return _done(run, context)


def _done(run: Run, context: Context) -> dict[str, Any]:
    if context.stop.is_set():
        raise InterruptedError("the study was stopped")
    task = prepare(run, context.data, seed=context.seed)
    result: dict[str, Any] = {
        "learned": {
            name: [int(part.labels.sum()), int((~part.labels).sum())]
            for name, part in (("train", task.learn.train), ("validation", task.learn.validation))
        },
        "unchanged": shares_unchanged(run, task),
    }
    model: Model | None = None
    if run.model in ORACLES:
        scores = {name: _oracle(run, test, context) for name, test in task.tests.items()}
    elif run.model == "5-mers":
        scores = _k_mers(task)
    else:
        model, made = _network(run, task, context)
        predictor = model.predictor()
        scores = {name: probabilities(predictor, test.codes) for name, test in task.tests.items()}
        result |= made
    result["tests"] = {
        name: _judged(test, scores[name], context.seed) for name, test in task.tests.items()
    }
    if model is not None:
        model = replace(model, metadata=_record(run, result, context))
        save_model(model, context.folder / MODEL_FILE)
        discard_states(_states(context))
    return result


def _fold(run: Run, context: Context, number: int) -> tuple[Run, Context]:
    """Give a run on one fold of its data, in a folder of its own."""

    def named(test: str) -> str:
        name, stroke, k = test.partition("/")
        return f"{name}@{number}{stroke}{k}"

    make_folder(context.folder)
    folder = context.folder / f"fold-{number}"
    make_folder(folder)
    data, tests = (tuple(map(named, names)) for names in (run.data, run.tests))
    return replace(run, data=data, tests=tests), replace(context, folder=folder)


def _joined(folds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Put the results of folds together: every test under its own name."""
    result = {**folds[0], "tests": {k: v for fold in folds for k, v in fold["tests"].items()}}
    if "restarts" in result:
        result["restarts"] = [auc for fold in folds for auc in fold["restarts"]]
    return result


def _judged(test: Dataset, scores: NDArray[np.floating], seed: int) -> dict[str, Any]:
    # As they are written: what the report compares is what the file says.
    told = np.array([float(f"{score:.7g}") for score in scores.tolist()])
    figures = metrics.evaluate(test.labels, told, rng=np.random.default_rng(seed))
    return {
        "auc": asdict(figures.auc),
        "average_precision": asdict(figures.average_precision),
        "positives": told[test.labels].tolist(),
        "negatives": told[~test.labels].tolist(),
    }


def _k_mers(task: Task) -> dict[str, NDArray[np.float32]]:
    learn, check = task.learn.train, task.learn.validation
    fitted = kmers.fit(learn.codes, learn.labels, check.codes, check.labels, k=5)
    return {name: fitted.probabilities(test.codes) for name, test in task.tests.items()}


def _oracle(run: Run, test: Dataset, context: Context) -> NDArray[np.floating]:
    """Score simulated sequences with what they were simulated from; sites are forward ones."""
    (data,) = (each for each in context.recipe.data if run.data[0] in each.splits)
    motif, definition = read_motif(data.simulate), DEFINITIONS[data.definition]
    log_odds = pwm(ppm(motif.pfm, pseudocount=definition.pseudocount))
    prior = None
    if run.model != "mllr-no-prior":
        prior = site_prior(length=test.codes.shape[1], width=motif.width, sd=definition.sd)
    if run.model == "bayes":
        return pssm.log_likelihood_ratios(test.codes, log_odds, both_strands=False, prior=prior)
    return pssm.best_hits(test.codes, log_odds, both_strands=False, prior=prior).scores


def _record(run: Run, result: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Say in a model's file how it was trained, and how it did on the first of the run's tests."""
    record = {
        "enhancer_core": __version__, "network": run.network, "seed": context.seed,
        "config": replace(run.config(), epochs=result["epochs"]).to_dict(),
        "run": run.name, "restarts": result["restarts"],
        "test": _figures(result, run.tests[0]),
    }  # fmt: skip
    if run.baseline:
        found = context.needed[run.baseline]
        record["baseline"] = {"run": run.baseline, "test": _figures(found, run.tests[0])}
    return record


def _figures(result: Mapping[str, Any], test: str) -> dict[str, Any]:
    told = result["tests"][test]
    counts = {name: len(told[name]) for name in ("positives", "negatives")}
    return {"data": test, **{k: told[k] for k in ("auc", "average_precision")}, **counts}


def _states(context: Context) -> Path:
    return context.folder / f"{_STATES}-{context.key[:12]}"


def _network(run: Run, task: Task, context: Context) -> tuple[Model, dict[str, Any]]:
    learn = task.learn
    n_train = len(learn.train)
    config = run.config()
    a_pass = -(-n_train // config.batch)
    if run.updates_of:
        wanted_updates = context.needed[run.updates_of]["updates"]
        config = replace(config, epochs=max(1, round(wanted_updates / a_pass)))
    motifs = _motifs_of(run, context)
    architecture, planted = _start(run, learn, motifs, context)
    states = _states(context)
    for other in context.folder.glob(f"{_STATES}-*"):
        if other != states:  # of an interrupted run by another recipe, or with other data
            discard_states(other)
    make_folder(states)
    remove_partial(states)

    def check(_: int, __: Check) -> None:
        if context.stop.is_set():
            raise InterruptedError("the study was stopped")

    trained = train(
        learn, architecture, config, planted=planted, motifs=motifs,
        seed=context.seed, device=context.device, folder=states, progress=check,
    )  # fmt: skip
    result = {
        "epochs": config.epochs,
        "updates": config.epochs * a_pass,
        "restarts": [restart.auc for restart in trained.restarts],
        **read_filters(
            trained.model, learn.train.codes[learn.train.labels], run.motifs,
            context.data_folder, seed=context.seed,
        ),
    }  # fmt: skip
    return trained.model, result


def _start(
    run: Run, learn: SplitDataset, motifs: Sequence[Motif], context: Context
) -> tuple[Architecture, Planted | None]:
    """Give the network of a run, and what it begins with."""
    architecture = named_architecture(run.network, length=learn.dataset.codes.shape[1])
    if run.widen > 1 or run.filters is not None or run.width is not None:
        architecture = widened(architecture, run.widen, first=run.filters, width=run.width)
    if run.plant:
        donors = [_model_of(name, context) for name in run.plant]
        architecture = room_for(donors, architecture)
        return architecture, plant(donors, architecture)
    if motifs:
        return architecture, plant_most(
            motifs, architecture, data=learn if run.regressions else None
        )[0]
    if run.initial:
        return architecture, start_from(_model_of(run.initial, context), architecture)
    return architecture, None


def _model_of(name: str, context: Context) -> Model:
    """Load another run's model, of the same fold."""
    fold = context.folder.relative_to(context.runs).parts[1:]
    return load_model(context.runs.joinpath(name, *fold))


def _motifs_of(run: Run, context: Context) -> list[Motif]:
    """Read the motifs that a run plants."""
    return [each for spec in run.plant_motifs for each in _named_motifs(spec, context.data_folder)]


def _named_motifs(spec: str, folder: Path) -> list[Motif]:
    """Read the one motif of FILE:NAME, or all of FILE."""
    return [read_motif(f"{folder / spec}")] if ":" in spec else read_motifs(folder / spec)
