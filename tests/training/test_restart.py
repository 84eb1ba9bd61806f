"""What a restart reads is the same however it is drawn."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
import pytest

from enhancer_core.training.restart import RestartState, Task, Work, mini_batches
from tests.training.test_trainer import OPTIONS, SHORT, SMALL, planted


@pytest.mark.parametrize("checks", [1, 3])
@pytest.mark.parametrize("options", [{}, OPTIONS])
def test_mini_batches_do_not_depend_on_how_many_are_drawn_at_once(
    options: dict[str, Any], checks: int
) -> None:
    data = planted(100)
    config = replace(SHORT, checks_per_epoch=checks, **options)
    task = Task(Work(data), SMALL, config, seed=0)
    state = RestartState(task, 1)
    rows: list[int] = []
    for number in range(checks):
        one, two, all_ = (
            list(chain.from_iterable(mini_batches(state, number, most=most)))
            for most in (1, 2, None)
        )
        assert len(one) == len(two) == len(all_)
        for batches in zip(one, two, all_, strict=True):
            for name in ("rows", "rate", "mask", "moves", "turned", "letters"):
                first, *others = (getattr(batch, name) for batch in batches)
                assert all(np.array_equal(first, other) for other in others)
            rows += batches[0].rows.tolist()
    assert sorted(rows) == list(range(len(task.labels)))  # an epoch reads each sequence once
