"""No test sequence, its reverse complement, its shuffle or its copy is learned from, anywhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from enhancer_core.data.dataset import TEST, TRAIN, SplitDataset
from enhancer_core.data.mixture import concatenate, take
from enhancer_core.dna.codes import Codes, reverse_complement
from enhancer_core.study.data import load
from enhancer_core.study.recipe import Recipe, Run
from enhancer_core.study.schema import read_toml
from enhancer_core.study.search import _kinds, _sample, candidates
from enhancer_core.study.tasks import prepare
from enhancer_core.study.toml import read_study

RECIPES = Path(__file__).parents[2] / "training" / "recipes"
# Those that include others say nothing themselves; those in the folder data are data alone.
FILES = [path for path in sorted(RECIPES.glob("*.toml")) if "include" not in read_toml(path)]


def sequences(codes: Codes) -> set[bytes]:
    """Each sequence on the strand that comes first."""
    flipped = reverse_complement(codes)
    return {min(a.tobytes(), b.tobytes()) for a, b in zip(codes, flipped, strict=True)}


def pairs_of_letters(codes: Codes) -> set[bytes]:
    """The counts of each sequence's pairs, which a shuffle at k = 2 and above keeps."""
    pairs = codes[:, :-1].astype(np.int64) * 5 + codes[:, 1:]
    pairs += np.arange(len(codes))[:, np.newaxis] * 25
    counts = np.bincount(pairs.ravel(), minlength=25 * len(codes)).reshape(-1, 25)
    return {row.tobytes() for row in counts}


def parents(data: SplitDataset) -> set[str]:
    return set(data.dataset.names.tolist())


def check(run: Run, recipe: Recipe, data: dict[str, SplitDataset]) -> None:
    for each in recipe.data:
        if each.folds and each.name in run.data:  # a run of its own on each fold
            for split in each.splits:
                fold = replace(each, name=split, folds=0)
                one = replace(run, data=(split,), tests=(split,))
                check(one, replace(recipe, data=(fold,)), {split: data[split]})
            return
    learn = prepare(run, data, seed=0).learn
    assert not (learn.parts == TEST).any()
    of_set = {each.name: each.set_name for each in recipe.data}
    held_out = concatenate(
        [take(each, each.parts == TEST) for name, each in data.items()
         if of_set[name] == of_set[run.data[0]]]
    )  # fmt: skip
    # The names of records, which their copies and shuffles share; and what those made.
    assert not parents(learn) & parents(held_out), run.name
    ours, theirs = learn.dataset.codes, held_out.dataset.codes
    assert not sequences(ours) & sequences(theirs), run.name
    assert not pairs_of_letters(ours) & pairs_of_letters(theirs), run.name
    # Nor is what networks are chosen on learned from.
    train, validation = take(learn, learn.parts == TRAIN), take(learn, learn.parts != TRAIN)
    assert not parents(train) & parents(validation), run.name


@pytest.fixture(scope="module", params=FILES, ids=lambda path: path.stem)
def recipe(request: pytest.FixtureRequest) -> Recipe:
    (found,) = read_study(request.param, quick=True).recipes
    return found


def test_no_test_sequence_reaches_training_in_any_run_of_any_recipe(
    recipe: Recipe, real_data: Path
) -> None:
    data = load(recipe.data, real_data, seed=0)
    for run in recipe.runs:
        check(run, recipe, data)
    for search in recipe.searches:
        pooled = concatenate([data[name] for name in search.data])
        learn = take(pooled, pooled.parts == TRAIN)
        kinds = _kinds(learn, [])
        part, _ = _sample(learn, kinds, candidates(search)[0], updates=10, seed=0)
        assert parents(part) <= parents(learn)
        winner = Run(name="winner", data=search.data, background=2, shuffles=search.ks)
        check(winner, recipe, data)
