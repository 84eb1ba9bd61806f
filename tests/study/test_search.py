from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from enhancer_core.data.dataset import TRAIN, Dataset, SplitDataset
from enhancer_core.data.mixture import Mix, concatenate, shuffle_dataset, take
from enhancer_core.study.recipe import Search
from enhancer_core.study.search import _kinds, _sample, candidates, rounds


def test_the_papers_search_has_three_times_two_to_the_ninth_candidates() -> None:
    found = candidates(Search(name="s", data=("a",), updates=1))
    assert len(found) == 3 * 2**9 == len(set(found))
    assert Mix(background=2, shuffles=(2, 3, 4)) in found


def test_a_later_round_trains_fewer_candidates_longer() -> None:
    assert list(rounds(16, keep_one_of=4, updates=320)) == [(16, 10), (4, 40)]


@given(n=st.integers(1, 3000), keep=st.integers(2, 6), updates=st.integers(1, 10**6))
def test_rounds_halve_and_share_the_updates(n: int, keep: int, updates: int) -> None:
    plan = list(rounds(n, keep_one_of=keep, updates=updates))
    sizes = [size for size, _ in plan]
    assert sizes[:1] == ([n] if n > 1 else [])
    assert all(1 < after <= before // keep for before, after in pairwise(sizes))
    for size, each in plan:
        assert each >= 1
        assert each == 1 or size * each * len(plan) <= updates


@given(updates=st.integers(1, 40), background=st.integers(1, 3), three=st.booleans())
def test_a_candidate_learns_from_as_many_sequences_as_its_updates_read(
    updates: int, background: int, *, three: bool
) -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (120, 30), dtype=np.uint8)
    names = np.array([str(i) for i in range(120)])
    dataset = Dataset(codes, np.arange(120) < 60, names, np.full(120, "f"))
    learn = SplitDataset(dataset, np.full(120, TRAIN))
    parents = take(learn, learn.dataset.labels)
    sources = concatenate(
        [learn, shuffle_dataset(parents, k=2, seed=0), shuffle_dataset(parents, k=3, seed=0)]
    )
    mix = Mix(background=background, shuffles=(2, 3) if three else (2,))
    part, epochs = _sample(sources, _kinds(learn, [2, 3]), mix, updates=updates, seed=0)
    labels = part.dataset.labels
    assert labels.sum() == (~labels).sum()
    expected, got = updates * 25, labels.sum() * epochs
    assert got == expected or expected - epochs < got <= expected
    assert (part.parts == TRAIN).all()
    kinds = set(part.dataset.files[~labels].tolist())
    assert kinds <= {"f", "2-shuffle of f", *(["3-shuffle of f"] if three else [])}
    positives = part.dataset.codes[labels]
    assert {row.tobytes() for row in positives} <= {row.tobytes() for row in codes[:60]}
