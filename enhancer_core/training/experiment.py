"""One experiment: a network and simple models, trained and evaluated on one split.

All of them learn from the training part, are chosen on the validation part, and are evaluated on
the test part once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from enhancer_core import metrics
from enhancer_core.data.dataset import TEST, Dataset, SplitDataset, file_names
from enhancer_core.errors import DatasetError
from enhancer_core.io.files import make_folder, remove_partial, sha256
from enhancer_core.io.safetensors import read_arrays, write_arrays
from enhancer_core.models.architecture import Architecture
from enhancer_core.models.transfer import Planted
from enhancer_core.prediction.sequences import probabilities
from enhancer_core.training import evaluation
from enhancer_core.training.config import TrainConfig
from enhancer_core.training.evaluation import BASELINE_K, Evaluation
from enhancer_core.training.hard_negatives import (
    HardNegatives,
    find_hard_negatives,
    sampler_of,
    with_hard_negatives,
)
from enhancer_core.training.restart import Checkpoint, discard_states
from enhancer_core.training.trainer import Trained, check_run, train
from enhancer_core.training.warm_start import Start

_FEWEST = 2  # of each class in the test part: a paired interval needs a variance
_OF_NO_RESTART = {f"--{name}" for name in ("restarts", "ensemble", "calibrate", "stack")}
_HARD = "hard negatives"  # the kind of file in which a round keeps them
_COMPOSITION_K = (1, 2)  # k-mers so short that a model of them sees composition only

# What a split kept in one part: linked records, whole groups, or what an earlier table did.
SplitBy: TypeAlias = Literal["links", "groups", "table"]


@dataclass(frozen=True, kw_only=True, slots=True)
class InputFile:
    """A file of sequences that a data set was read from."""

    name: str
    label: str  # positives or negatives
    sequences: int
    sha256: str  # of the file on disk, in hexadecimal


@dataclass(frozen=True, kw_only=True, slots=True)
class Experiment:
    """Split data, architecture, training configuration and seed.

    Raises
    ------
    DatasetError
        If they do not go together, or the test part is too small for an interval.
    """

    data: SplitDataset
    inputs: Sequence[InputFile]
    network: str  # the architecture's name
    architecture: Architecture
    config: TrainConfig
    seed: int
    split_by: SplitBy = "links"
    start: Start | None = None  # None draws all first weights
    hard_negatives: int = 0  # rounds of training in which they are found
    before: SplitDataset | None = None  # the data before the first round; None is `data`

    def __post_init__(self) -> None:
        """Check before anything is trained."""
        check_run(self.data, self.architecture, self.config, planted=self.planted)
        tested = self.data.test.labels
        for kind, count in (("positives", tested.sum()), ("negatives", (~tested).sum())):
            if count < _FEWEST:
                raise DatasetError(
                    f"the test part would have {count} of the {kind}; to judge a network takes"
                    f" {_FEWEST} or more"
                )

    def settings(self) -> dict[str, Any]:
        """Return all that determines the experiment's numbers, by the names of options.

        Plain values for JSON; files, and the parts of the split, by their SHA-256.
        """
        files = {
            f"--{label}": [file.sha256 for file in self.inputs if file.label == label]
            for label in ("positives", "negatives")
        }
        split = self.before or self.data
        data = split.dataset
        digest = hashlib.sha256("\n".join(data.names.tolist()).encode())
        drawn = () if split.sampler is None else split.sampler.arrays()
        for array in (data.codes, data.labels, split.parts, *drawn):
            digest.update(np.ascontiguousarray(array).tobytes())
        options = {f"--{key.replace('_', '-')}": v for key, v in asdict(self.config).items()}
        start = None if self.start is None else self.start.to_dict()
        settings = {
            **files, "the split": digest.hexdigest(), "--network": self.network,
            "the architecture": self.architecture.to_dict(), "--seed": self.seed, **options,
            "what is planted or fine-tuned": start,
        }  # fmt: skip
        if self.hard_negatives:
            settings["--hard-negatives"] = self.hard_negatives
        plain: dict[str, Any] = json.loads(json.dumps(settings))
        return plain

    @property
    def planted(self) -> Planted | None:
        """Weights that every restart begins with."""
        return None if self.start is None else self.start.planted


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """A trained network, and its evaluation beside the simple models'."""

    trained: Trained
    network: Evaluation
    baseline: Evaluation
    composition: Mapping[str, Evaluation]  # models that see composition only, by name

    def difference(self, data: SplitDataset) -> metrics.Estimate:
        """Estimate by how much the network's test AUC exceeds the baseline's, paired."""
        test = data.parts == TEST
        return metrics.auc_difference(
            data.test.labels, self.network.probabilities[test], self.baseline.probabilities[test]
        )


def differences(
    earlier: Mapping[str, Any], now: Mapping[str, Any], *, unfinished: bool = False
) -> list[str]:
    """Describe how the `settings` of two experiments differ, one at a time.

    Of an unfinished run those do not count on which no restart depends, so that none is lost.
    """
    found = []
    for key in dict.fromkeys((*earlier, *now)):
        before, after = earlier.get(key), now.get(key)
        if before == after or (unfinished and key in _OF_NO_RESTART):
            continue
        plain = all(isinstance(value, bool | int | float | str) for value in (before, after))
        spelled = plain and not key.startswith("the ")
        found.append(f"{key} ({before} then, {after} now)" if spelled else key)
    return found


def input_files(
    dataset: Dataset, positives: Sequence[Path], negatives: Sequence[Path]
) -> list[InputFile]:
    """List the files that a data set was just read from, with their checksums.

    Call it before training, which takes hours, in which files change.

    Raises
    ------
    FileError
        If a file cannot be read.
    """
    names, files = file_names([*positives, *negatives]), []
    for label, paths in (("positives", positives), ("negatives", negatives)):
        for path in paths:
            name, n = names[path], int((dataset.files == names[path]).sum())
            files.append(InputFile(name=name, label=label, sequences=n, sha256=sha256(path)))
    return files


def mine(
    experiment: Experiment,
    number: int,
    *,
    threads: int = 1,
    device: str = "cpu",
    folder: Path | None = None,
    progress: Callable[[int, Checkpoint], None] | None = None,
) -> tuple[Experiment, HardNegatives]:
    """Train for a round, and add the hard negatives that the model calls falsely to the data.

    Parameters
    ----------
    experiment
        On a split of a genome.
    number
        Of the round, from 1.
    folder
        Where the round keeps its state, and what it found: a round that is done is not done again.
    threads, device, progress
        As in `trainer.train`.

    Returns
    -------
    tuple of Experiment and HardNegatives
        The same experiment on more data, and what was found.

    Raises
    ------
    DatasetError
        If the data are not of a genome; else as `trainer.train`.
    """
    sampler = sampler_of(experiment.data)
    path = None if folder is None else folder / f"hard-{number:04d}.safetensors"
    if path is not None and path.exists():
        arrays, counts = read_arrays(path, kind=_HARD)
        found = HardNegatives(places=arrays["places"], **counts)
    else:
        states = None if folder is None else folder / f"round-{number}"
        if states is not None:
            make_folder(states)
            remove_partial(states)
        trained = _trained(
            experiment, threads=threads, device=device, folder=states, progress=progress
        )
        found = find_hard_negatives(sampler, trained.model, device=device, threads=threads)
        if path is not None and states is not None:
            counts = {"scanned": found.scanned, "above": found.above, "step": found.step}
            write_arrays(path, {"places": found.places}, kind=_HARD, record=counts)
            discard_states(states)
    data = with_hard_negatives(experiment.data, found.places, seed=experiment.seed)
    return replace(experiment, data=data, before=experiment.before or experiment.data), found


def run(
    experiment: Experiment,
    *,
    threads: int = 1,
    device: str = "cpu",
    folder: Path | None = None,
    progress: Callable[[int, Checkpoint], None] | None = None,
) -> Outcome:
    """Train the network and the simple models, and evaluate each.

    Arguments and errors are those of `trainer.train`.
    """
    data, seed = experiment.data, experiment.seed
    simple = {
        k: evaluation.evaluate_baseline(data, evaluation.fit_baseline(data, k=k), seed=seed)
        for k in (*_COMPOSITION_K, BASELINE_K)
    }
    trained = _trained(experiment, threads=threads, device=device, folder=folder, progress=progress)
    predicted = probabilities(trained.model.predictor(), data.dataset.codes, threads=threads)
    return Outcome(
        trained=trained,
        network=evaluation.evaluate_probabilities(data, "network", predicted, seed=seed),
        baseline=simple[BASELINE_K],
        composition={simple[k].name: simple[k] for k in _COMPOSITION_K},
    )


def _trained(
    experiment: Experiment,
    *,
    threads: int,
    device: str,
    folder: Path | None,
    progress: Callable[[int, Checkpoint], None] | None,
) -> Trained:
    return train(
        experiment.data,
        experiment.architecture,
        experiment.config,
        planted=experiment.planted,
        motifs=(),  # planted already
        seed=experiment.seed,
        threads=threads,
        device=device,
        folder=folder,
        progress=progress,
        warn=False,  # the command has told it
    )
