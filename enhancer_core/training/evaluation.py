"""Metrics of models on one split, and the simple models that a network has to beat."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from enhancer_core import metrics
from enhancer_core.data.dataset import TEST, VALIDATION, Dataset, SplitDataset
from enhancer_core.dna.codes import Codes
from enhancer_core.errors import EnhancerError
from enhancer_core.io.tables import write_table
from enhancer_core.models import gapped_kmers, kmers
from enhancer_core.models.model import Model
from enhancer_core.models.regression import Regression, fit_best_hits, of_gapped_k_mers, of_k_mers
from enhancer_core.motifs.motif import Motif
from enhancer_core.prediction.sequences import probabilities

BASELINE_K = 5
BaselineKind: TypeAlias = Literal["kmer", "spectrum", "gkm", "motifs"]


@dataclass(frozen=True, slots=True)
class FittedBaseline:
    """A simple model: its name, and its probabilities of codes: uint8 (n, L) -> float32 (n,)."""

    name: str
    probabilities: Callable[[Codes], NDArray[np.float32]]
    regression: Regression | None = None  # as members of a model, where it can be written so


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One model's probabilities, and its metrics on the validation and test parts of a split."""

    name: str
    probabilities: NDArray[np.float32]  # (n,), of every sequence
    validation: metrics.Metrics
    test: metrics.Metrics
    regression: Regression | None = None  # of a `FittedBaseline`

    def to_dict(self) -> dict[str, Any]:
        """Return the metrics as they stand in metrics.json."""
        return {"validation": self.validation.to_dict(), "test": self.test.to_dict()}


def fit_baseline(
    data: SplitDataset,
    *,
    kind: BaselineKind = "kmer",
    k: int = BASELINE_K,
    motifs: Sequence[Motif] = (),
) -> FittedBaseline:
    """Fit a simple model to the training part; the validation part chooses its penalty.

    Parameters
    ----------
    data
        Labelled sequences in parts; the test part is not used.
    kind
        "kmer", logistic regression on the frequencies of k-mers; "spectrum", on those of the
        spectrum kernel; "gkm", on gapped k-mers; "motifs", on each motif's best hit.
    k
        Length of the k-mers of "kmer" and "spectrum", 1 to 8.
    motifs
        Those of "motifs", at least one.

    Returns
    -------
    FittedBaseline
        Evaluate it on a part with `evaluate`.

    Raises
    ------
    EnhancerError
        If there is no such kind.
    SequenceError
        If k is not allowed, or sequences are too short for gapped k-mers.
    MotifError
        If there are no motifs, or one is flat.
    """
    if kind == "kmer":
        model = kmers.fit(data, k=k)
        regression = of_k_mers(model, data.dataset.codes.shape[1])
        return FittedBaseline(regression.name, model.probabilities, regression)
    if kind == "spectrum":
        return FittedBaseline(f"{k}-mer spectrum", kmers.fit_spectrum(data, k=k).probabilities)
    if kind == "gkm":
        gapped = gapped_kmers.fit(data)
        regression = of_gapped_k_mers(gapped, data.dataset.codes.shape[1])
        return FittedBaseline(regression.name, gapped.probabilities, regression)
    if kind == "motifs":
        regression = fit_best_hits(data, motifs)
        predictor = Model(regression.members).predictor()
        return FittedBaseline(regression.name, partial(probabilities, predictor), regression)
    raise EnhancerError(
        f"baseline kind of {kind!r} is unknown; allowed are kmer, spectrum, gkm and motifs"
    )


def evaluate(
    model: Model | FittedBaseline,
    dataset: Dataset,
    *,
    seed: int = 0,
    device: str = "auto",
    threads: int = 1,
) -> metrics.Metrics:
    """Evaluate a model's probabilities of labelled sequences.

    Parameters
    ----------
    model
        A trained network or a baseline.
    dataset
        Sequences that the model was not trained on, for example `SplitDataset.test`.
    seed
        Of the bootstrap that the intervals are of.
    device
        "cpu", "cuda", or "auto", which takes a CUDA GPU if there is one.
    threads
        CPU cores; the result does not depend on it.

    Returns
    -------
    Metrics
        Area under the ROC curve, average precision and accuracy, with 95 % intervals.

    Raises
    ------
    SequenceError
        If the sequences are not of the length that the model reads.
    ScoreError
        If all sequences are of one class.
    DeviceError
        If the device is not there.
    """
    if isinstance(model, FittedBaseline):
        predicted = model.probabilities(dataset.codes)
    else:
        predicted = probabilities(model.predictor(device), dataset.codes, threads=threads)
    return metrics.evaluate(dataset.labels, predicted, rng=np.random.default_rng(seed))


def evaluate_baseline(data: SplitDataset, model: FittedBaseline, *, seed: int) -> Evaluation:
    """Evaluate a baseline on its split; raises as `evaluate_probabilities` does."""
    predicted = model.probabilities(data.dataset.codes)
    evaluation = evaluate_probabilities(data, model.name, predicted, seed=seed)
    return replace(evaluation, regression=model.regression)


def evaluate_probabilities(
    data: SplitDataset, name: str, predicted: NDArray[np.float32], *, seed: int
) -> Evaluation:
    """Evaluate the probabilities of every sequence, float32 (n,), that a named model predicts.

    Raises
    ------
    ScoreError
        If a part holds sequences of one class alone.
    """
    labels = data.dataset.labels
    validation, test = (
        metrics.evaluate(labels[rows], predicted[rows], rng=np.random.default_rng(seed))
        for rows in (data.parts == VALIDATION, data.parts == TEST)
    )
    return Evaluation(name, predicted, validation, test)


def write_predictions(
    path: Path, data: SplitDataset, evaluations: Mapping[str, Evaluation]
) -> None:
    """Write each model's probabilities on the test part, a column each.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    test = data.test
    columns = [model.probabilities[data.parts == TEST].tolist() for model in evaluations.values()]
    rows = zip(test.names, test.files, test.labels.astype(int), *columns, strict=True)
    write_table(path, ["name", "file", "label", *evaluations], rows)
