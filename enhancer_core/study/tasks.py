"""Make the data that a run learns from and is tested on, out of data that are split already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enhancer_core.data import mixture
from enhancer_core.data.dataset import TEST, Dataset, SplitDataset
from enhancer_core.data.mixture import Mix, background_as_positives, mix_negatives, take
from enhancer_core.errors import DatasetError
from enhancer_core.study.recipe import Run, split_test

_SUBSET = 3  # a stream of random numbers


@dataclass(frozen=True, slots=True, eq=False)
class RunData:
    """The data of one run."""

    learn: SplitDataset  # training and validation parts; no test sequence is in it
    tests: Mapping[str, Dataset]  # by name


def prepare(run: Run, data: Mapping[str, SplitDataset], *, seed: int) -> RunData:
    """Pool, subsample, copy and shuffle the data of a run, inside each part.

    `data` are those of `data.load`; `seed` is of shuffles and of the subsample.

    Raises
    ------
    DatasetError
        If a class is missing.
    """
    pooled = mixture.concatenate([data[name] for name in run.data])
    pooled = take(pooled, pooled.parts != TEST)
    if run.positive == "background":
        pooled = background_as_positives(pooled)
    if run.share < 1:
        rng = np.random.default_rng((_SUBSET, seed))
        pooled = mixture.subset(pooled, share=run.share, rng=rng)
    return RunData(
        learn=mix_negatives(pooled, run.mix(), seed=seed),
        tests={test: _test_data(run, test, data, seed=seed) for test in run.tests},
    )


def _test_data(run: Run, test: str, data: Mapping[str, SplitDataset], *, seed: int) -> Dataset:
    name, k = split_test(test)
    part = take(data[name], data[name].parts == TEST)
    if run.positive == "background":
        part = background_as_positives(part)
    mix = Mix() if k is None else Mix(background=0, shuffles=(k,))
    try:
        return mix_negatives(part, mix, seed=seed).dataset
    except DatasetError as error:
        raise DatasetError(f"test '{test}': {error}") from error


def shares_unchanged(run: Run, data: RunData) -> dict[str, float]:
    """Return the share of a run's shuffles, by k, that equal the training sequence they came of."""
    learn, mix = data.learn.train, run.mix()
    positives, negatives = learn.codes[learn.labels], learn.codes[~learn.labels]
    n = len(positives) // mix.copies  # as `mix_negatives` orders them: one copy, then the others
    shuffles = negatives[len(negatives) - n * len(mix.shuffles) :]  # after the background, k by k
    return {
        str(k): mixture.share_unchanged(positives[:n], shuffles[n * i : n * (i + 1)])
        for i, k in enumerate(mix.shuffles)
    }


def class_counts(labels: NDArray[np.bool_]) -> list[int]:
    """Count positives and negatives."""
    return [int(labels.sum()), int((~labels).sum())]
