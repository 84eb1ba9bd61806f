from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enhancer_core.data.dataset import TEST, TRAIN, Dataset, SplitDataset
from enhancer_core.data.mixture import (
    Mix,
    background_as_positives,
    concatenate,
    mix_negatives,
    share_unchanged,
    shuffle_dataset,
    subset,
    take,
)
from enhancer_core.dna.kmers import k_let_counts
from enhancer_core.errors import DatasetError


def made(n: int = 20, *, length: int = 30, seed: int = 0, name: str = "s") -> SplitDataset:
    """n positives and n of the background, each class with 3 in 5 to learn from."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (2 * n, length), dtype=np.uint8)
    names = np.array([f"{name}|{i}" for i in range(2 * n)])
    dataset = Dataset(codes, np.arange(2 * n) < n, names, np.full(2 * n, "f.fa"))
    return SplitDataset(dataset, np.tile(np.repeat([0, 1, 2], [n * 3 // 5, n // 5, n // 5]), 2))


def test_the_papers_mix_has_two_fifths_of_background_and_one_of_each_k() -> None:
    train = mix_negatives(made(), Mix(background=2, shuffles=(2, 3, 4)), seed=0).train
    assert (train.labels.sum(), (~train.labels).sum()) == (60, 60)
    kinds, counts = np.unique(train.files[~train.labels], return_counts=True)
    assert dict(zip(kinds.tolist(), counts.tolist(), strict=True)) == {
        "2-shuffle of f.fa": 12,
        "3-shuffle of f.fa": 12,
        "4-shuffle of f.fa": 12,
        "f.fa": 24,
    }


@given(
    background=st.integers(0, 3),
    shuffles=st.sets(st.integers(1, 6), max_size=3),
    seed=st.integers(0, 2**32 - 1),
)
def test_what_is_copied_or_shuffled_stays_in_its_part(
    background: int, shuffles: set[int], seed: int
) -> None:
    if not background and not shuffles:
        return
    data = made()
    part_of = dict(zip(data.dataset.names.tolist(), data.parts.tolist(), strict=True))
    mixed = mix_negatives(
        data, Mix(background=background, shuffles=tuple(sorted(shuffles))), seed=seed
    )
    for name, part in zip(mixed.dataset.names.tolist(), mixed.parts.tolist(), strict=True):
        assert part_of[name] == part
    train = mixed.train
    assert train.labels.sum() == (~train.labels).sum()
    assert len(mixed.test) == (8 if background else 4 * (1 + len(shuffles)))


@given(k=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))
def test_a_shuffle_is_a_negative_with_its_parents_name_and_k_lets(k: int, seed: int) -> None:
    data = made(5)
    found = shuffle_dataset(data, k=k, seed=seed)
    assert not found.dataset.labels.any()
    assert found.dataset.names.tolist() == data.dataset.names.tolist()
    assert found.parts.tolist() == data.parts.tolist()
    for row, parent in zip(found.dataset.codes, data.dataset.codes, strict=True):
        assert k_let_counts(row, k) == k_let_counts(parent, k)


def test_shuffles_at_one_k_are_the_same_whatever_else_the_mix_holds() -> None:
    data = made()
    one = mix_negatives(data, Mix(background=1, shuffles=(3,)), seed=5).dataset
    other = mix_negatives(data, Mix(background=2, shuffles=(2, 3)), seed=5).dataset
    rows, others = one.files == "3-shuffle of f.fa", other.files == "3-shuffle of f.fa"
    assert np.array_equal(one.codes[rows], other.codes[others])


def test_without_background_in_the_mix_each_part_is_against_shuffles_alone() -> None:
    mixed = mix_negatives(made(), Mix(background=0, shuffles=(2,)), seed=0)
    for part in (mixed.train, mixed.validation, mixed.test):
        assert part.labels.sum() == (~part.labels).sum()
        assert set(part.files[~part.labels].tolist()) == {"2-shuffle of f.fa"}


def test_the_background_can_stand_as_positives() -> None:
    data = background_as_positives(made())
    assert data.dataset.labels.all()
    assert len(data.dataset) == 20


def test_a_subset_takes_its_share_of_each_class_and_leaves_the_test_part() -> None:
    data = made(100)
    cut = subset(data, share=0.25, rng=np.random.default_rng(0))
    for part, size in ((0, 15), (1, 5), (2, 20)):
        labels = cut.dataset.labels[cut.parts == part]
        assert (labels.sum(), (~labels).sum()) == (size, size)
    assert cut.dataset.names[cut.parts == TEST].tolist() == data.test.names.tolist()


def test_pooled_sets_keep_their_parts_and_order() -> None:
    one, other = made(5, name="a"), made(5, name="b", seed=1)
    pooled = concatenate([one, other])
    assert pooled.dataset.names.tolist() == [*one.dataset.names, *other.dataset.names]
    assert pooled.parts.tolist() == [*one.parts, *other.parts]
    assert take(pooled, pooled.parts == TRAIN).parts.max() == TRAIN


def test_what_cannot_be_mixed_is_told() -> None:
    with pytest.raises(DatasetError, match="at least one of the two is needed"):
        Mix(background=0)
    with pytest.raises(DatasetError, match="each k is given once"):
        Mix(shuffles=(2, 2))
    alone = background_as_positives(made())
    with pytest.raises(DatasetError, match="no background, of which 1 copies"):
        mix_negatives(alone, Mix(), seed=0)
    with pytest.raises(DatasetError, match="no positives"):
        mix_negatives(take(made(), ~made().dataset.labels), Mix(), seed=0)
    with pytest.raises(DatasetError, match="20 and 30 bp to pool"):
        concatenate([made(), made(length=20)])
    with pytest.raises(DatasetError, match="no data sets"):
        concatenate([])
    with pytest.raises(DatasetError, match=r"share of 1\.5"):
        subset(made(), share=1.5, rng=np.random.default_rng(0))


def test_shuffles_that_equal_their_input_are_counted() -> None:
    codes = np.zeros((4, 10), np.uint8)
    assert share_unchanged(codes, codes) == 1.0
    assert share_unchanged(codes[:0], codes[:0]) == 0.0
