"""One experiment, from labelled sequences to a folder of results.

Everything is judged on one split: the network and the k-mer baseline learn from the training part,
are chosen on the validation part, and are reported on the test part once.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from enhancer_core import __version__, metrics, report
from enhancer_core.data.dataset import PARTS, TEST, TRAIN, Dataset, SplitDataset, file_names
from enhancer_core.data.tables import write_split
from enhancer_core.dna.codes import gc_content
from enhancer_core.errors import DatasetError
from enhancer_core.interpretation.filters import filter_pfms
from enhancer_core.io.files import sha256, write_files, write_json, write_text
from enhancer_core.models import kmers
from enhancer_core.models.architecture import NETWORKS, Architecture
from enhancer_core.models.model import MODEL_FILE, save_model
from enhancer_core.models.transfer import Planted
from enhancer_core.motifs.motif import ppm
from enhancer_core.prediction.sequences import probabilities
from enhancer_core.training.config import TrainConfig
from enhancer_core.training.evaluation import (
    BASELINE_K,
    Scored,
    judged,
    score_baseline,
    write_predictions,
)
from enhancer_core.training.restart import Check
from enhancer_core.training.trainer import Trained, check_run, train
from enhancer_core.training.warm_start import Start

_FEWEST = 2  # of each class in the test part: a paired interval needs a variance
_COMPOSITION_K = (1, 2)  # k-mers so short that a model of them sees composition only


@dataclass(frozen=True, kw_only=True, slots=True)
class Experiment:
    """What an experiment is made of: split data, network, protocol and seed."""

    data: SplitDataset
    inputs: Sequence[report.InputFile]  # what the data were read from
    network: str  # the architecture's name
    architecture: Architecture
    config: TrainConfig
    seed: int
    split_by: report.SplitBy = "links"
    start: Start | None = None  # None draws all first weights

    def __post_init__(self) -> None:
        """Check that they go together and can be judged, before anything is done."""
        check_run(self.data, self.architecture, self.config, planted=self.planted)
        tested = self.data.test.labels
        for kind, count in (("positives", tested.sum()), ("negatives", (~tested).sum())):
            if count < _FEWEST:
                raise DatasetError(
                    f"the test part would have {count} of the {kind}; to judge a network takes"
                    f" {_FEWEST} or more"
                )

    @property
    def planted(self) -> Planted | None:
        """What every restart begins with."""
        return None if self.start is None else self.start.planted


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What came of an experiment."""

    trained: Trained
    network: Scored
    baseline: Scored
    composition: Mapping[str, Scored]  # models that see composition only, by name

    def difference(self, data: SplitDataset) -> metrics.Estimate:
        """Estimate by how much the network's test AUC exceeds the baseline's, paired."""
        test = data.parts == TEST
        return metrics.auc_difference(
            data.test.labels, self.network.probabilities[test], self.baseline.probabilities[test]
        )


def input_files(
    dataset: Dataset, positives: Sequence[Path], negatives: Sequence[Path]
) -> list[report.InputFile]:
    """Say which files a data set was read from, with the checksums that they have now.

    To be called when they have been read: training takes hours, in which files change.

    Raises
    ------
    FileError
        If a file cannot be read.
    """
    names = file_names([*positives, *negatives])
    return [
        report.InputFile(
            name=names[path],
            label=label,
            sequences=int((dataset.files == names[path]).sum()),
            sha256=sha256(path),
        )
        for label, paths in (("positives", positives), ("negatives", negatives))
        for path in paths
    ]


def run(
    experiment: Experiment,
    *,
    threads: int = 1,
    device: str = "cpu",
    folder: Path | None = None,
    progress: Callable[[int, Check], None] | None = None,
) -> Outcome:
    """Train the network and the simple models, and score every sequence with each.

    Parameters
    ----------
    experiment
        Data, split and protocol.
    threads, device, folder, progress
        As `train.train`.

    Raises
    ------
    EnhancerError
        As `train.train`.
    """
    data, seed = experiment.data, experiment.seed
    simple = {k: score_baseline(data, k, seed=seed) for k in (*_COMPOSITION_K, BASELINE_K)}
    trained = train(
        data,
        experiment.architecture,
        experiment.config,
        planted=experiment.planted,
        motifs=() if experiment.start is None else experiment.start.motifs,
        seed=seed,
        threads=threads,
        device=device,
        folder=folder,
        progress=progress,
    )
    found = probabilities(trained.model.predictor(), data.dataset.codes, threads=threads)
    return Outcome(
        trained=trained,
        network=judged(data, "network", found, seed=seed),
        baseline=simple[BASELINE_K],
        composition={simple[k].name: simple[k] for k in _COMPOSITION_K},
    )


def write_outcome(
    folder: Path,
    experiment: Experiment,
    outcome: Outcome,
    *,
    threads: int = 1,
    markdown: bool = False,
) -> None:
    """Write the results of a run into a folder; the model last, so that with it all is there.

    Parameters
    ----------
    folder
        An existing folder.
    experiment, outcome
        What was done, and what came of it.
    threads
        Cores to use.
    markdown
        Whether to write the report as Markdown too.

    Raises
    ------
    FileError
        If a file cannot be written.
    """
    data = experiment.data
    trained = outcome.trained
    restart = trained.restarts[trained.best]
    figures = {
        **outcome.network.to_dict(),
        "baseline": {"name": outcome.baseline.name, **outcome.baseline.to_dict()},
        "difference": asdict(outcome.difference(data)),
        "composition": {name: s.to_dict() for name, s in outcome.composition.items()},
        "restarts": [
            {"restart": r.index, "validation_auc": r.auc, "epoch": r.checks[r.kept].epoch}
            for r in trained.restarts
        ],
        "best_restart": trained.best,
    }
    if len(trained.members) > 1:
        figures["members"] = trained.members
    if trained.parts:
        figures["parts"] = [asdict(part) for part in trained.parts]
    training = {
        "enhancer_core": __version__,
        "network": experiment.network,
        "seed": experiment.seed,
        "config": experiment.config.to_dict(),
        "restart": restart.index,
        "epoch": restart.checks[restart.kept].epoch,
        "validation": outcome.network.validation.to_dict(),
        "test": outcome.network.test.to_dict(),
        "baseline": figures["baseline"],
        "inputs": [asdict(each) for each in experiment.inputs],
    }
    if experiment.start is not None:
        training["start"] = experiment.start.to_dict()
    if len(trained.members) > 1:
        training["members"] = [figures["restarts"][index] for index in trained.members]
    if trained.parts:
        training["parts"] = figures["parts"]
    if trained.calibration is not None:
        training["calibration"] = asdict(trained.calibration)
    write_split(folder / "split.tsv", data)
    write_predictions(
        folder / "test_predictions.tsv",
        data,
        {"probability": outcome.network, "baseline_probability": outcome.baseline},
    )
    page = report.report_page(_content(experiment, outcome, threads=threads))
    write_text(folder / "report.html", report.render_page(page))
    if markdown:
        write_files(folder, report.render_markdown(page))
    write_json(folder / "metrics.json", figures)
    save_model(replace(trained.model, metadata=training), folder / MODEL_FILE)


def _content(experiment: Experiment, outcome: Outcome, *, threads: int) -> report.ReportContent:
    data = experiment.data
    dataset, parts = data.dataset, data.parts
    test = data.test
    positives = dataset.codes[(parts == TRAIN) & dataset.labels]
    pfms = filter_pfms(outcome.trained.model, positives, threads=threads)
    return report.ReportContent(
        title=f"Network '{experiment.network}' on {experiment.inputs[0].name}",
        configuration={
            "network": experiment.network,
            "length, bp": experiment.architecture.length,
            **_first_weights(experiment),
            **{
                name.replace("_", " "): value for name, value in experiment.config.to_dict().items()
            },
            "seed": experiment.seed,
        },
        inputs=experiment.inputs,
        parts=_parts(data),
        split_by=experiment.split_by,
        network=_result(data, outcome.network, seed=experiment.seed),
        baseline=_result(data, outcome.baseline, seed=experiment.seed),
        auc_difference=outcome.difference(data),
        test_labels=test.labels,
        test_probabilities=outcome.network.probabilities[parts == TEST].astype(np.float64),
        restarts=[
            report.Restart(
                epochs=np.array([check.epoch for check in restart.checks]),
                losses=np.array([check.loss for check in restart.checks]),
                validation_aucs=np.array([check.auc for check in restart.checks]),
                kept=restart.kept,
            )
            for restart in outcome.trained.restarts
        ],
        kept_restarts=outcome.trained.members,
        ensemble=[(part.name, part.validation_auc) for part in outcome.trained.parts],
        composition=_composition(dataset, outcome),
        filters=[
            report.Filter(name=f"filter {index + 1}", ppm=ppm(pfm))
            for index, pfm in enumerate(pfms)
            if pfm.any()
        ],
        versions={
            "enhancer_core": __version__,
            "Python": platform.python_version(),
            **{name: version(name) for name in ("torch", "numpy", "scikit-learn")},
        },
    )


def _parts(data: SplitDataset) -> list[report.Part]:
    labels = {name: data.dataset.labels[data.parts == part] for part, name in enumerate(PARTS)}
    if data.left_out is not None:
        labels["left out"] = data.left_out.labels
    return [
        report.Part(name=name, positives=int(each.sum()), negatives=int((~each).sum()))
        for name, each in labels.items()
    ]


def _first_weights(experiment: Experiment) -> dict[str, object]:
    """Say what is not as the network's name has it: its filters, and where it starts."""
    said: dict[str, object] = {}
    layers, named = experiment.architecture.convolutions, NETWORKS.get(experiment.network)
    if named is not None and layers != named.convolutions:
        said["filters"] = ", ".join(str(layer.filters) for layer in layers)
    if experiment.start is not None:
        said[experiment.start.kind] = ", ".join(experiment.start.names())
    return said


def _result(data: SplitDataset, scored: Scored, *, seed: int) -> report.ModelResult:
    return report.ModelResult(
        name=scored.name,
        validation=scored.validation,
        test=scored.test,
        curves=metrics.curves(
            data.test.labels,
            scored.probabilities[data.parts == TEST],
            rng=np.random.default_rng(seed),
        ),
    )


def _composition(dataset: Dataset, outcome: Outcome) -> report.Composition:
    shares = kmers.k_mer_frequencies(dataset.codes, 2)
    return report.Composition(
        features=_gc(dataset),
        kmers=kmers.k_mer_names(2),
        positive_frequencies=shares[dataset.labels].mean(axis=0, dtype=np.float64),
        negative_frequencies=shares[~dataset.labels].mean(axis=0, dtype=np.float64),
        aucs={name: scored.test.auc for name, scored in outcome.composition.items()},
    )


def _gc(dataset: Dataset) -> list[report.Feature]:
    """Give the GC content by class, of the sequences that have one."""
    gc = gc_content(dataset.codes) * 100
    known = ~np.isnan(gc)
    positives, negatives = gc[known & dataset.labels], gc[known & ~dataset.labels]
    if not (positives.size and negatives.size):
        return []
    name = "GC content, %"
    if not known.all():
        name += f" (of {known.sum():,} of {gc.size:,} sequences; the others hold N alone)"
    return [report.Feature(name=name, positives=positives, negatives=negatives)]
