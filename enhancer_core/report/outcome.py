"""Write an experiment's results into a folder: the model, its metrics and the report."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from enhancer_core import __version__
from enhancer_core.data.dataset import TRAIN
from enhancer_core.data.tables import write_split
from enhancer_core.interpretation.filters import filter_pfms
from enhancer_core.io.files import write_files, write_json, write_text
from enhancer_core.io.outputs import MODEL_FILE
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
) -> None:
    """Write the results of an experiment into an existing folder, the model last.

    With `markdown`, write the report as Markdown too.

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
