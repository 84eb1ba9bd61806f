"""Search for the best mix of negatives: successive halving over copies and sets of k."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, combinations, product, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enhancer_core.data.dataset import TRAIN, VALIDATION, SplitDataset
from enhancer_core.data.mixture import Mix, concatenate, shuffle_dataset, take
from enhancer_core.models.architecture import named_architecture
from enhancer_core.study.execute import Context, execute_run
from enhancer_core.study.recipe import Run, Search
from enhancer_core.training.config import TrainConfig
from enhancer_core.training.trainer import train

_SAMPLE = 4  # a stream of random numbers


def candidates(recipe: Search) -> list[Mix]:
    """List all mixes: each number of copies of the background with each set of k."""
    ks = sorted(recipe.ks)
    sets = list(chain.from_iterable(combinations(ks, size) for size in range(len(ks) + 1)))
    return [Mix(background=n, shuffles=chosen) for n, chosen in product(recipe.copies, sets)]


def rounds(n: int, *, keep_one_of: int, updates: int) -> Iterator[tuple[int, int]]:
    """Yield each round's number of candidates, and the updates of each of them.

    Every round has the same share of all updates, at least one a candidate, and passes one of
    `keep_one_of` candidates on (Jamieson and Talwalkar 2016, algorithm 1).
    """
    sizes = []
    while n > 1:
        sizes.append(n)
        n = max(1, n // keep_one_of)
    yield from ((size, max(1, updates // len(sizes) // size)) for size in sizes)


def execute_search(recipe: Search, context: Context) -> dict[str, Any]:
    """Find the best mix by validation AUC, train with it, and test it once.

    The result is that of the winner's run, with `winner` (background copies and k) and `rounds`
    (updates of each candidate, and every candidate's validation AUC, best first).

    Raises
    ------
    EnhancerError, InterruptedError
        As in `execute_run`.
    """
    with context.cores:
        ks, seed = sorted(recipe.ks), context.seed
        pooled = concatenate([context.data[name] for name in recipe.data])
        learn, validation = (take(pooled, pooled.parts == part) for part in (TRAIN, VALIDATION))
        parents = take(learn, learn.dataset.labels)
        sources = concatenate([learn, *[shuffle_dataset(parents, k=k, seed=seed) for k in ks]])
    kinds = _kinds(learn, ks)

    def validation_auc(mix: Mix, updates: int) -> float:
        with context.cores:
            context.check_stop()
            sample, epochs = _sample(sources, kinds, mix, updates=updates, seed=seed)
            trained = train(
                concatenate([sample, validation]),
                named_architecture(recipe.network, length=sample.dataset.codes.shape[1]),
                TrainConfig(restarts=1, epochs=epochs), seed=seed, device=context.device,
                warn=False,
            )  # fmt: skip
            return trained.restarts[0].auc

    mixes, history = candidates(recipe), []
    plan = rounds(len(mixes), keep_one_of=recipe.keep_one_of, updates=recipe.updates)
    for size, updates in plan:
        with ThreadPoolExecutor(context.threads) as pool:
            aucs = pool.map(validation_auc, mixes[:size], repeat(updates))
            ranked = sorted(zip(mixes, aucs, strict=False), key=lambda pair: -pair[1])
        mixes = [mix for mix, _ in ranked]
        rows = [[mix.background, list(mix.shuffles), round(auc, 6)] for mix, auc in ranked]
        history.append({"updates": updates, "candidates": rows})
    best = mixes[0]
    run = Run(
        name=recipe.name, data=recipe.data, background=best.background, shuffles=best.shuffles,
        network=recipe.network, tests=recipe.data,
        config=TrainConfig(restarts=recipe.restarts, epochs=recipe.epochs),
    )  # fmt: skip
    winner = {"background": best.background, "shuffles": list(best.shuffles)}
    return {**execute_run(run, context), "winner": winner, "rounds": history}


def _kinds(learn: SplitDataset, ks: list[int]) -> NDArray[np.int64]:
    """Mark positives by -1, background by 0 and the shuffles that follow `learn` by their k."""
    labels = learn.dataset.labels
    return np.concatenate([np.where(labels, -1, 0), np.repeat(ks, labels.sum()).astype(np.int64)])


def _sample(
    sources: SplitDataset, kinds: NDArray[np.int64], mix: Mix, *, updates: int, seed: int
) -> tuple[SplitDataset, int]:
    """Draw as much of a mix as these updates read, in as few epochs as possible."""
    half = TrainConfig().batch_size // 2
    positives, background = (np.flatnonzero(kinds == kind) for kind in (-1, 0))
    shuffles = [np.flatnonzero(kinds == k) for k in mix.shuffles]
    negatives = np.concatenate([background] * mix.background + shuffles)
    positives = np.tile(positives, mix.copies)
    most = min(len(negatives), len(positives))
    epochs = -(-updates * half // most)
    size = min(most, updates * half // epochs)
    rng = np.random.default_rng((_SAMPLE, seed))
    drawn = [rng.choice(rows, size=size, replace=False) for rows in (positives, negatives)]
    return take(sources, np.concatenate(drawn)), epochs
