from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from enhancer_core.data.dataset import TEST, TRAIN, VALIDATION, Dataset, SplitDataset
from enhancer_core.study.recipe import Run
from enhancer_core.study.tasks import prepare, shares_unchanged


@pytest.fixture
def data() -> SplitDataset:
    """Twenty positives, in training 3 of 10 of one letter; background of one letter alone.

    What has one letter is its own shuffle; of the others, 60 bp long, next to none is.
    """
    codes = np.random.default_rng(0).integers(0, 4, (40, 60), dtype=np.uint8)
    parts = np.tile([TRAIN, VALIDATION, TRAIN, TEST], 10)
    labels = np.arange(40) < 20
    same = ~labels | (parts == VALIDATION)
    same[[0, 6, 18]] = True
    codes[same] = codes[same, :1]
    names = np.array([str(i) for i in range(40)])
    return SplitDataset(Dataset(codes, labels, names, np.full(40, "4-shuffle of f")), parts)


@pytest.mark.parametrize(
    ("more", "share"),
    [
        ({}, 0.3),
        ({"background": 2}, 0.3),
        ({"background": 0}, 0.3),
        ({"positive": "background"}, 1.0),
    ],
)
def test_the_shuffles_that_are_learned_from_are_counted_where_they_equal_their_input(
    data: SplitDataset, more: dict[str, Any], share: float
) -> None:
    run = Run(name="r", data=("d",), shuffles=(1, 4), **more)
    found = shares_unchanged(run, prepare(run, {"d": data}, seed=0))
    assert found == {"1": share, "4": share}


def test_without_shuffles_none_is_counted(data: SplitDataset) -> None:
    run = Run(name="r", data=("d",))
    assert shares_unchanged(run, prepare(run, {"d": data}, seed=0)) == {}


def test_of_a_share_of_the_data_only_its_own_shuffles_are_counted(data: SplitDataset) -> None:
    run = Run(name="r", data=("d",), share=0.1, shuffles=(1,))
    task = prepare(run, {"d": data}, seed=0)
    assert task.learn.train.labels.sum() == 2  # one positive, beside its shuffle and background
    (share,) = shares_unchanged(run, task).values()
    kept = task.learn.train.codes[0]
    assert share == float((kept == kept[0]).all())
