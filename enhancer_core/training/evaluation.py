"""Models judged on one split: simple ones, that a network has to beat, and any other's figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enhancer_core import metrics
from enhancer_core.data.dataset import TEST, VALIDATION, SplitDataset
from enhancer_core.io.tables import write_table
from enhancer_core.models import gapped_kmers, kmers
from enhancer_core.models.model import Model
from enhancer_core.models.regression import Regression, fit_best_hits, of_k_mers
from enhancer_core.motifs.motif import Motif
from enhancer_core.prediction.sequences import probabilities

BASELINE_K = 5


@dataclass(frozen=True, slots=True)
class Scored:
    """One model's probabilities, and its figures on the validation and test parts."""

    name: str
    probabilities: NDArray[np.float32]  # (n,), of every sequence
    validation: metrics.Metrics
    test: metrics.Metrics
    regression: Regression | None = None  # the model as networks, where it is one

    def to_dict(self) -> dict[str, Any]:
        """Give the figures as they stand in metrics.json."""
        return {"validation": self.validation.to_dict(), "test": self.test.to_dict()}


def judged(data: SplitDataset, name: str, found: NDArray[np.float32], *, seed: int) -> Scored:
    """Judge the probabilities of every sequence that a model gives, by name."""
    validation, test = (
        metrics.evaluate(part.labels, found[data.parts == index], rng=np.random.default_rng(seed))
        for index, part in ((VALIDATION, data.validation), (TEST, data.test))
    )
    return Scored(name, found, validation, test)


def score_baseline(data: SplitDataset, k: int, *, seed: int) -> Scored:
    """Fit the k-mer baseline on the training part, and score every sequence with it.

    Raises
    ------
    SequenceError
        If k is not allowed.
    """
    learn, check = data.train, data.validation
    fitted = kmers.fit(learn.codes, learn.labels, check.codes, check.labels, k=k)
    found = fitted.probabilities(data.dataset.codes)
    regression = of_k_mers(fitted, data.dataset.codes.shape[1])
    return replace(judged(data, regression.name, found, seed=seed), regression=regression)


def score_best_hits(data: SplitDataset, motifs: Sequence[Motif], *, seed: int) -> Scored:
    """Fit motifs' best hits on the training part, and score every sequence with them.

    Raises
    ------
    MotifError
        If there are no motifs, or one is flat.
    """
    regression = fit_best_hits(data, motifs)
    found = probabilities(Model(regression.members).predictor(), data.dataset.codes)
    return replace(judged(data, regression.name, found, seed=seed), regression=regression)


def score_spectrum(data: SplitDataset, k: int, *, seed: int) -> Scored:
    """Fit the spectrum kernel's k-mers on the training part, and score every sequence with them.

    Raises
    ------
    SequenceError
        If k is not allowed.
    """
    learn, check = data.train, data.validation
    fitted = kmers.fit_spectrum(learn.codes, learn.labels, check.codes, check.labels, k=k)
    found = fitted.probabilities(data.dataset.codes)
    return judged(data, f"{k}-mer spectrum", found, seed=seed)


def score_gapped(data: SplitDataset, *, seed: int) -> Scored:
    """Fit gapped k-mers on the training part, and score every sequence with them.

    Raises
    ------
    SequenceError
        If sequences are too short.
    """
    learn, check = data.train, data.validation
    fitted = gapped_kmers.fit(learn.codes, learn.labels, check.codes, check.labels)
    found = fitted.probabilities(data.dataset.codes)
    return judged(data, f"gapped {gapped_kmers.K}-mer logistic regression", found, seed=seed)


def write_predictions(path: Path, data: SplitDataset, scored: Mapping[str, Scored]) -> None:
    """Write each model's probabilities on the test part, a column each."""
    test = data.test
    columns = [each.probabilities[data.parts == TEST].tolist() for each in scored.values()]
    rows = zip(test.names, test.files, test.labels.astype(int), *columns, strict=True)
    write_table(path, ["name", "file", "label", *scored], rows)
