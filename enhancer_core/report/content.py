"""What a training report is made of: plain values and arrays, from whoever trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from enhancer_core.metrics import Curves, Estimate, Labels, Metrics
from enhancer_core.report.page import Section

# What a split kept together: linked records, whole groups, or what a table of before did.
SplitBy: TypeAlias = Literal["links", "groups", "table"]


@dataclass(frozen=True, kw_only=True, slots=True)
class InputFile:
    """A file of sequences that went in."""

    name: str
    label: str  # positives or negatives
    sequences: int
    sha256: str  # of the file as it is on disk, in hexadecimal


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A part of the split, and how many sequences of each class it holds."""

    name: str  # train, validation or test; or left out
    positives: int
    negatives: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelResult:
    """How one model did."""

    name: str
    validation: Metrics
    test: Metrics
    curves: Curves  # on the test part


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Restart:
    """How one restart's training went; three arrays of a value a check."""

    epochs: NDArray[np.float64]  # epochs done at each check
    losses: NDArray[np.float64]  # mean training cross-entropy since the check before, nats
    validation_aucs: NDArray[np.float64]
    kept: int  # index of the check whose weights were kept


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Feature:
    """A number that each sequence has, by class."""

    name: str  # with its unit, for example "GC content, %"
    positives: NDArray[np.float64]
    negatives: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Composition:
    """What positives and negatives of the test part are made of, order of bases aside."""

    features: Sequence[Feature]  # for example GC content, length, share of repeats
    kmers: Sequence[str]  # K short k-mers
    positive_frequencies: NDArray[np.float64]  # (K,): share of all k-mers of its length
    negative_frequencies: NDArray[np.float64]  # (K,)
    aucs: Mapping[str, Estimate]  # test AUC of each model that sees composition only


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Filter:
    """A first-layer filter as the motif of the sub-sequences that activate it."""

    name: str
    ppm: NDArray[np.float64]  # (4, W), rows A C G T
    note: str = ""  # for example its best match in a database


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ReportContent:
    """All that a training report says."""

    title: str
    configuration: Mapping[str, object]
    inputs: Sequence[InputFile]
    parts: Sequence[Part]
    split_by: SplitBy
    network: ModelResult
    baseline: ModelResult
    auc_difference: Estimate  # test AUC of the network less the baseline's, paired
    test_labels: Labels  # (n,)
    test_probabilities: NDArray[np.float64]  # (n,), the network's
    restarts: Sequence[Restart]
    kept_restarts: Sequence[int]  # indices into `restarts`, the best by validation AUC first
    composition: Composition
    filters: Sequence[Filter]
    versions: Mapping[str, str]
    ensemble: Sequence[
        tuple[str, float]
    ] = ()  # its parts, if of several kinds: name, validation AUC
    sections: Sequence[Section] = ()  # of other features, shown after the filters
