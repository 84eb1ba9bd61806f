"""Write an experiment's results into a folder: the model, its metrics and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from enhancer_core import __version__, metrics
from enhancer_core.data.dataset import TRAIN
from enhancer_core.data.tables import write_split
from enhancer_core.interpretation.filters import filter_pfms
from enhancer_core.io.files import write_files, write_json, write_text
from enhancer_core.io.outputs import MODEL_FILE
from enhancer_core.io.tables import read_table, write_table
from enhancer_core.models.model import save_model
from enhancer_core.report.markdown import render_markdown
from enhancer_core.report.page import render_page
from enhancer_core.report.training import training_page
from enhancer_core.training.evaluation import write_predictions
from enhancer_core.training.experiment import Experiment, Outcome

_SITES = 2_000  # positives in which sites of filters are sought, at most


def write_outcome(
    folder: Path,
    experiment: Experiment,
    outcome: Outcome,
    *,
    threads: int = 1,
    markdown: bool = False,
    measured: Mapping[str, Any] | None = None,
) -> None:
    """Write the results of an experiment into an existing folder, the model last.

    With `markdown`, write the report as Markdown too. The model's metadata get what else was
    `measured` of it.

    Raises
    ------
    FileError
        If a file cannot be written.
    """
    data, trained = experiment.data, outcome.trained
    restarts = [  # numbered from 1, as in the report
        {"restart": r.index + 1, "validation_auc": r.auc, "epoch": r.checkpoints[r.kept].epoch}
        for r in trained.restarts
    ]
    best, members = restarts[trained.best], [restarts[index] for index in trained.members]
    ensemble = {"parts": [asdict(part) for part in trained.parts]} if trained.parts else {}
    figures = {
        **outcome.network.to_dict(),
        "baseline": {"name": outcome.baseline.name, **outcome.baseline.to_dict()},
        "difference": asdict(outcome.difference(data)),
        "composition": {name: model.to_dict() for name, model in outcome.composition.items()},
        "restarts": restarts,
        "best_restart": best["restart"],
        **({"diverged": [i + 1 for i in sorted(trained.diverged)]} if trained.diverged else {}),
        **({"members": [each["restart"] for each in members]} if len(members) > 1 else {}),
        **ensemble,
        "run": experiment.settings(),
    }
    record = {
        "enhancer_core": __version__,
        "network": experiment.network,
        "seed": experiment.seed,
        "config": experiment.config.to_dict(),
        "restart": best["restart"],
        "epoch": best["epoch"],
        "prevalence": trained.model.metadata["prevalence"],
        **outcome.network.to_dict(),
        "baseline": figures["baseline"],
        "inputs": [asdict(file) for file in experiment.inputs],
        **ensemble,
        **(measured or {}),
    }
    if experiment.start is not None:
        record["start"] = experiment.start.to_dict()
    if len(members) > 1:
        record["members"] = members
    if trained.calibration is not None:
        record["calibration"] = asdict(trained.calibration)
    write_split(folder / "split.tsv", data)
    evaluations = {"probability": outcome.network, "baseline_probability": outcome.baseline}
    write_predictions(folder / "test_predictions.tsv", data, evaluations)
    positives = data.dataset.codes[(data.parts == TRAIN) & data.dataset.labels]
    positives = positives[:: -(-len(positives) // _SITES)]
    pfms = filter_pfms(trained.model, positives, threads=threads)
    page = training_page(experiment, outcome, pfms)
    write_text(folder / "report.html", render_page(page))
    if markdown:
        write_files(folder, render_markdown(page))
    write_json(folder / "metrics.json", figures)
    save_model(replace(trained.model, metadata=record), folder / MODEL_FILE)


def write_folds(folder: Path, folds: Sequence[Path], *, seed: int = 0) -> dict[str, Any]:
    """Write what folds have together: predictions.tsv and metrics.json; return the figures.

    Parameters
    ----------
    folder
        An existing folder.
    folds
        Two or more, each as `write_outcome` wrote it.
    seed
        Of the bootstrap that the intervals over all sequences are of.

    Returns
    -------
    dict
        AUC, average precision and accuracy: the mean over folds, with Student's interval of the
        mean over folds, and each fold's figure; and the same, of all sequences ranked together, of
        which each was predicted by the model that never saw it, with a bootstrap interval.

    Raises
    ------
    FileError
        If a file cannot be read or written.
    """
    columns = ("name", "file", "label", "probability", "baseline_probability")
    tables = [
        [row for _, row in read_table(fold / "test_predictions.tsv", columns)] for fold in folds
    ]
    rows = [
        [str(number), *(row[column] for column in columns)]
        for number, table in enumerate(tables, 1)
        for row in table
    ]
    write_table(folder / "predictions.tsv", ["fold", *columns], rows)

    def measure(table: Sequence[Mapping[str, str]], column: str) -> metrics.Metrics:
        labels = np.array([row["label"] == "1" for row in table])
        scores = np.array([float(row[column]) for row in table])
        return metrics.evaluate(labels, scores, rng=np.random.default_rng(seed))

    def together(column: str) -> dict[str, Any]:
        by_fold = [measure(table, column) for table in tables]
        figures: dict[str, Any] = {}
        for name in metrics.FIGURES:
            values = [figure.figures[name].value for figure in by_fold]
            figures[name] = {**asdict(metrics.mean_over_folds(values)), "folds": values}
        whole = measure([row for table in tables for row in table], column)
        return {**figures, "together": whole.to_dict()}

    figures = {**together("probability"), "baseline": together("baseline_probability")}
    write_json(folder / "metrics.json", figures)
    return figures
