"""Make what a run learns from and what it is tested on, out of data that are split already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from enhancer_core.data.dataset import TEST, Dataset, SplitDataset
from enhancer_core.data.mixture import (
    Mix,
    background_as_positives,
    concatenate,
    mix_negatives,
    share_unchanged,
    subset,
    take,
)
from enhancer_core.errors import DatasetError
from enhancer_core.study.recipe import Run, split_test

_SUBSET = 3  # a stream of random numbers


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What a run needs."""

    learn: SplitDataset  # training and validation parts; no test sequence is in it
    tests: Mapping[str, Dataset]  # by name


def prepare(run: Run, data: Mapping[str, SplitDataset], *, seed: int) -> Task:
    """Pool, cut, copy and shuffle the data of a run, inside each part.

    Parameters
    ----------
    run
        What to learn from and to test on.
    data
        Split data by name, as `material.load` gives.
    seed
        Of shuffles, and of which sequences a share takes.

    Raises
    ------
    DatasetError
        If a class is missing.
    """
    pooled = concatenate([data[name] for name in run.data])
    pooled = take(pooled, pooled.parts != TEST)
    if run.positive == "background":
        pooled = background_as_positives(pooled)
    if run.share < 1:
        rng = np.random.default_rng((_SUBSET, seed))
        pooled = subset(pooled, share=run.share, rng=rng)
    return Task(
        learn=mix_negatives(pooled, run.mix(), seed=seed),
        tests={test: test_data(run, test, data, seed=seed) for test in run.tests},
    )


def test_data(run: Run, test: str, data: Mapping[str, SplitDataset], *, seed: int) -> Dataset:
    """Give the sequences of one test: those of the test part, against background or shuffles.

    Raises
    ------
    DatasetError
        If a class is missing.
    """
    name, k = split_test(test)
    whole = data[name]
    part = take(whole, whole.parts == TEST)
    if run.positive == "background":
        part = background_as_positives(part)
    mix = Mix() if k is None else Mix(background=0, shuffles=(k,))
    try:
        return mix_negatives(part, mix, seed=seed).dataset
    except DatasetError as error:
        raise DatasetError(f"test '{test}': {error}") from error


def shares_unchanged(run: Run, task: Task) -> dict[str, float]:
    """Give the share of a run's shuffles, by k, that equal the training sequence they came of."""
    learn, mix = task.learn.train, run.mix()
    positives, negatives = learn.codes[learn.labels], learn.codes[~learn.labels]
    n = len(positives) // mix.copies  # as `opposed` puts them: one copy, then the others
    made = negatives[len(negatives) - n * len(mix.shuffles) :]  # after the background, k by k
    return {
        str(k): share_unchanged(positives[:n], made[n * i : n * (i + 1)])
        for i, k in enumerate(mix.shuffles)
    }
