"""Search for the best mix of negatives: successive halving over copies and sets of k."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, combinations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enhancer_core.data.dataset import TRAIN, VALIDATION, Dataset, SplitDataset
from enhancer_core.data.mixture import Mix, concatenate, shuffle_dataset, take
from enhancer_core.models.architecture import named_architecture
from enhancer_core.study.execute import Context, execute
from enhancer_core.study.recipe import Run, Search
from enhancer_core.training.config import TrainConfig
from enhancer_core.training.trainer import train

_SAMPLE = 4  # a stream of random numbers


def candidates(recipe: Search) -> list[Mix]:
    """List all mixes: each number of copies of the background with each set of k.

    Examples
    --------
    >>> found = candidates(Search(name="s", data=("a",), ks=(2, 3), copies=(1, 2), updates=1))
    >>> [(mix.background, mix.shuffles) for mix in found][:5]
    [(1, ()), (1, (2,)), (1, (3,)), (1, (2, 3)), (2, ())]
    """
    ks = sorted(recipe.ks)
    sets = list(chain.from_iterable(combinations(ks, size) for size in range(len(ks) + 1)))
    return [Mix(background=n, shuffles=chosen) for n, chosen in product(recipe.copies, sets)]


def rounds(n: int, *, keep_one_of: int, updates: int) -> Iterator[tuple[int, int]]:
    """Give each round's number of candidates, and the updates of each of them.

    Every round has the same share of all updates (Jamieson and Talwalkar 2016, algorithm 1).

    Parameters
    ----------
    n
        Candidates at first.
    keep_one_of
        One of so many goes on to the next round, at least one.
    updates
        Mini-batches in all; a candidate has at least one a round.

    Examples
    --------
    >>> list(rounds(16, keep_one_of=4, updates=320))
    [(16, 10), (4, 40)]
    """
    sizes = []
    while n > 1:
        sizes.append(n)
        n = max(1, n // keep_one_of)
    for size in sizes:
        yield size, max(1, updates // len(sizes) // size)


def search(recipe: Search, context: Context) -> dict[str, Any]:
    """Find the best mix by validation AUC, train with it, and test it once.

    Returns
    -------
    dict
        As `execute.execute` of the winner, with `winner` (background copies and k) and `rounds`
        (updates of each candidate, and every candidate's validation AUC, best first).

    Raises
    ------
    EnhancerError
        If data are not what they should be.
    InterruptedError
        If the study was stopped.
    """
    with context.cores:
        pooled = concatenate([context.data[name] for name in recipe.data])
        learn = take(pooled, pooled.parts == TRAIN)
        check = take(pooled, pooled.parts == VALIDATION)
        parents = take(learn, learn.dataset.labels)
        sources = concatenate(
            [learn, *[shuffle_dataset(parents, k=k, seed=context.seed) for k in sorted(recipe.ks)]]
        )
    rows = _rows(learn, sorted(recipe.ks))
    left, told = candidates(recipe), []
    plan = rounds(len(left), keep_one_of=recipe.keep_one_of, updates=recipe.updates)
    for size, updates in plan:
        left = left[:size]

        def judge(mix: Mix, updates: int = updates) -> float:
            with context.cores:
                if context.stop.is_set():
                    raise InterruptedError("the study was stopped")
                part, epochs = _sample(sources, rows, mix, updates=updates, seed=context.seed)
                trained = train(
                    concatenate([part, check]),
                    named_architecture(recipe.network, length=part.dataset.codes.shape[1]),
                    TrainConfig(restarts=1, epochs=epochs),
                    seed=context.seed, device=context.device,
                )  # fmt: skip
                return trained.restarts[0].auc

        with ThreadPoolExecutor(context.threads) as pool:
            aucs = list(pool.map(judge, left))
        order = sorted(range(len(left)), key=lambda index: -aucs[index])
        left = [left[index] for index in order]
        told.append(
            {
                "updates": updates,
                "candidates": [
                    [left[place].background, list(left[place].shuffles), round(aucs[index], 6)]
                    for place, index in enumerate(order)
                ],
            }
        )
    best = left[0]
    run = Run(
        name=recipe.name, data=recipe.data, background=best.background, shuffles=best.shuffles,
        network=recipe.network, restarts=recipe.restarts, epochs=recipe.epochs, tests=recipe.data,
    )  # fmt: skip
    winner = {"background": best.background, "shuffles": list(best.shuffles)}
    return {**execute(run, context), "winner": winner, "rounds": told}


def _rows(learn: SplitDataset, ks: list[int]) -> Mapping[int, NDArray[np.int64]]:
    """Give the rows of the positives (-1), the background (0) and each k's shuffles."""
    labels = learn.dataset.labels
    found = {-1: np.flatnonzero(labels), 0: np.flatnonzero(~labels)}
    n, first = int(labels.sum()), len(labels)
    for place, k in enumerate(ks):
        found[k] = np.arange(first + place * n, first + (place + 1) * n)
    return found


def _sample(
    sources: SplitDataset,
    rows: Mapping[int, NDArray[np.int64]],
    mix: Mix,
    *,
    updates: int,
    seed: int,
) -> tuple[SplitDataset, int]:
    """Draw as much of a mix as so many updates read, in as few epochs as it takes."""
    half = TrainConfig().batch // 2
    negatives = np.concatenate([rows[0]] * mix.background + [rows[k] for k in mix.shuffles])
    positives = np.tile(rows[-1], mix.copies)
    most = min(len(negatives), len(positives))
    epochs = -(-updates * half // most)
    size = min(most, updates * half // epochs)
    rng = np.random.default_rng((_SAMPLE, seed))
    drawn = np.concatenate(
        [rng.choice(each, size=size, replace=False) for each in (positives, negatives)]
    )
    dataset = sources.dataset.take(drawn)
    labels = np.repeat([True, False], size)
    part = Dataset(dataset.codes, labels, dataset.names, dataset.files)
    return SplitDataset(part, np.full(2 * size, TRAIN)), epochs
