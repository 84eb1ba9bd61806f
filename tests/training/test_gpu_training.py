"""Restarts trained as one program, as on a GPU, are the restarts that a CPU trains one by one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from enhancer_core.metrics import roc_auc
from enhancer_core.prediction.sequences import probabilities
from enhancer_core.training.config import TrainConfig
from enhancer_core.training.restart import Checkpoint, Restart
from enhancer_core.training.trainer import Work, train, train_all
from tests.predictors import predictor_of
from tests.training.test_trainer import (
    OPTIONS,
    SHORT,
    SMALL,
    KilledError,
    half_planted,
    planted,
    same_weights,
    weights_of,
)

AS_PROGRAM = "cpu:0"  # the program of a GPU, on the CPU


def alike(ours: list[Restart], theirs: list[Restart]) -> None:
    """Check that two runs saw the same sequences and learned the same but for rounding."""
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        for a, b in zip(one.checkpoints, other.checkpoints, strict=True):
            assert a.epoch == b.epoch
            # Adam makes rounding of slopes near 0 into steps; over 40 steps that stays far below
            # what one other sequence or dropped unit changes, some 1e-2.
            assert a.loss == pytest.approx(b.loss, rel=1e-3)
            assert a.auc == pytest.approx(b.auc, abs=0.02)


@pytest.mark.parametrize("checks", [1, 3, 99])
def test_restarts_as_one_program_learn_what_they_learn_one_by_one(checks: int) -> None:
    data, config = planted(100), replace(SHORT, checks_per_epoch=checks)
    as_program = train(data, SMALL, config, device=AS_PROGRAM)
    alike(as_program.restarts, train(data, SMALL, config).restarts)
    best = as_program.restarts[as_program.best]
    found = probabilities(predictor_of(as_program.model), data.validation.codes)
    assert roc_auc(data.validation.labels, found) == pytest.approx(best.auc, abs=0.01)


def test_all_options_mean_the_same_in_one_program() -> None:
    data, config = planted(100), replace(SHORT, **OPTIONS)
    as_program = train(data, SMALL, config, device=AS_PROGRAM)
    alike(as_program.restarts, train(data, SMALL, config).restarts)


def test_what_is_planted_and_frozen_stays_to_the_bit_in_a_program_and_then_learns() -> None:
    data, planting, config = planted(100), half_planted(), replace(SHORT, restarts=2, freeze=4)
    frozen = weights_of(train(data, SMALL, config, planted=planting, device=AS_PROGRAM))
    where = planting.planted
    assert frozen[where].tobytes() == planting.parameters[where].tobytes()
    config = replace(config, freeze=2)
    as_program = train(data, SMALL, config, planted=planting, device=AS_PROGRAM)
    alike(as_program.restarts, train(data, SMALL, config, planted=planting).restarts)


def test_a_restart_learns_the_same_whoever_is_beside_it() -> None:
    data = planted(100)
    alone = train(data, SMALL, replace(SHORT, restarts=1), device=AS_PROGRAM)
    alike(train(data, SMALL, SHORT, device=AS_PROGRAM).restarts[:1], alone.restarts)


def test_a_low_loss_ends_a_restart_of_a_program() -> None:
    config = replace(SHORT, stop_below_loss=0.69)
    as_program = train(planted(100), SMALL, config, device=AS_PROGRAM)
    alike(as_program.restarts, train(planted(100), SMALL, config).restarts)
    assert min(len(restart.checkpoints) for restart in as_program.restarts) < 4


def test_threads_that_prepare_a_program_do_not_change_a_bit() -> None:
    one, two = (train(planted(100), SMALL, SHORT, device=AS_PROGRAM, threads=t) for t in (1, 3))
    assert one.restarts == two.restarts
    assert same_weights(one, two)


@pytest.mark.parametrize("after", [1, 4, 7, 11])
def test_an_interrupted_program_continues_to_the_same_bytes(tmp_path: Path, after: int) -> None:
    data, seen = planted(100), list[Checkpoint]()

    def interrupt(_: int, checkpoint: Checkpoint) -> None:
        seen.append(checkpoint)
        if len(seen) == after:
            raise KilledError

    with pytest.raises(KilledError):
        train(data, SMALL, SHORT, device=AS_PROGRAM, folder=tmp_path, progress=interrupt)
    reported: list[int] = []
    again = train(
        data,
        SMALL,
        SHORT,
        device=AS_PROGRAM,
        folder=tmp_path,
        progress=lambda index, _: reported.append(index),
    )
    whole = train(data, SMALL, SHORT, device=AS_PROGRAM)
    assert again.restarts == whole.restarts
    assert same_weights(again, whole)
    assert sorted(reported) == sorted([0, 1, 2] * 4)


def test_a_run_begun_one_by_one_continues_as_a_program(tmp_path: Path) -> None:
    data = planted(100)

    def interrupt(restart: int, checkpoint: Checkpoint) -> None:
        if (restart, checkpoint.epoch) == (1, 2):
            raise KilledError

    with pytest.raises(KilledError):
        train(data, SMALL, SHORT, folder=tmp_path, progress=interrupt)
    again = train(data, SMALL, SHORT, device=AS_PROGRAM, folder=tmp_path)
    alike(again.restarts, train(data, SMALL, SHORT).restarts)


@pytest.mark.parametrize("device", ["cpu", AS_PROGRAM])
def test_several_data_sets_train_side_by_side_as_each_alone(device: str, tmp_path: Path) -> None:
    sets = [planted(100), planted(60, seed=1)]
    reported: list[tuple[int, int]] = []
    works = [
        Work(sets[0], folder=tmp_path),
        Work(sets[1], progress=lambda index, check: reported.append((index, int(check.epoch)))),
    ]
    found = train_all(works, SMALL, SHORT, device=device)
    for data, as_program in zip(sets, found, strict=True):
        alike(as_program.restarts, train(data, SMALL, SHORT, device=device).restarts)
    assert sorted(reported) == [(index, epoch) for index in range(3) for epoch in range(1, 5)]
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_recorded_step_is_the_step_that_the_cpu_takes() -> None:
    config = replace(SHORT, mixed_precision=False, **OPTIONS)
    on_gpu = train(planted(100), SMALL, config, device="cuda")
    alike(on_gpu.restarts, train(planted(100), SMALL, config).restarts)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_half_precision_learns_as_well() -> None:
    data = planted(400)
    config = TrainConfig(restarts=4, epochs=15, batch_size=20, learning_rate=5e-3)
    aucs = []
    for mixed in (False, True):
        trained = train(data, SMALL, replace(config, mixed_precision=mixed), device="cuda")
        found = probabilities(predictor_of(trained.model), data.test.codes)
        aucs.append(roc_auc(data.test.labels, found))
    # 40 + 40 test sequences: the standard error of an AUC near 1 is below sqrt(.05 / 40)
    assert np.ptp(aucs) < 2 * (0.05 / 40) ** 0.5
