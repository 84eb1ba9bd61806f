from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from enhancer_core.data.dataset import TEST, Dataset, SplitDataset, make_dataset
from enhancer_core.data.splits import split
from enhancer_core.dna.codes import encode
from enhancer_core.errors import DatasetError, ModelFileError, TrainingError
from enhancer_core.metrics import roc_auc
from enhancer_core.models.architecture import Architecture, Convolution
from enhancer_core.models.calibration import fit_platt
from enhancer_core.models.network import Network
from enhancer_core.models.transfer import Planted
from enhancer_core.motifs.motif import BUILTIN
from enhancer_core.prediction.sequences import log_odds, probabilities
from enhancer_core.training.config import TrainConfig, default_config
from enhancer_core.training.restart import Checkpoint
from enhancer_core.training.trainer import Trained, train
from tests.predictors import model_of, predictor_of

SMALL = Architecture(convolutions=(Convolution(6, 7, 4),), dense=(8,), dropout=0.2, length=60)
SHORT = TrainConfig(restarts=3, epochs=4, batch_size=20)
OPTIONS: dict[str, Any] = {
    "shift": 5,
    "flip": True,
    "mutate": 0.05,
    "weight_decay": 0.1,
    "ema": 0.9,
    "learning_rate_schedule": "cosine",
}


def planted(n: int, *, seed: int = 0) -> SplitDataset:
    """Make n positives with the word GATTACA, and n sequences of random DNA."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (2 * n, 60), dtype=np.uint8)
    codes[:n, 20:27] = encode(["GATTACA"])[0]
    names = [str(i) for i in range(2 * n)]
    data = make_dataset([("p.fa", names[:n], codes[:n])], [("n.fa", names[n:], codes[n:])])
    return split(data, rng=rng)


def same_weights(one: Trained, other: Trained) -> bool:
    ours, theirs = ([m.parameters.tobytes() for m in each.model.members] for each in (one, other))
    return ours == theirs


def test_a_planted_word_is_learned() -> None:
    data = planted(400)
    trained = train(
        data, SMALL, TrainConfig(restarts=2, epochs=15, batch_size=20, learning_rate=5e-3)
    )
    found = probabilities(predictor_of(trained.model), data.test.codes)
    # A random 60 bp holds the word on some strand with probability 108 / 4**7, so AUC .99 is easy
    assert roc_auc(data.test.labels, found) > 0.95


def test_a_model_states_the_share_of_positives_that_its_probabilities_hold_among() -> None:
    data = planted(100)
    data.parts[np.flatnonzero(data.dataset.labels & (data.parts == 0))[:40]] = TEST
    assert data.train.labels.mean() < 0.4
    for calibrate, part in ((False, data.train), (True, data.validation)):
        config = replace(SHORT, restarts=1, epochs=1, calibrate=calibrate)
        assert train(data, SMALL, config).model.prevalence == part.labels.mean()


def test_threads_do_not_change_a_bit() -> None:
    data = planted(100)
    one, two = (train(data, SMALL, SHORT, threads=threads) for threads in (1, 3))
    assert one.restarts == two.restarts
    assert same_weights(one, two)


def test_another_seed_gives_another_network() -> None:
    data = planted(100)
    assert not same_weights(train(data, SMALL, SHORT), train(data, SMALL, SHORT, seed=1))


def test_a_restart_does_not_depend_on_how_many_there_are() -> None:
    data = planted(100)
    few = train(data, SMALL, replace(SHORT, restarts=1))
    assert train(data, SMALL, SHORT).restarts[0] == few.restarts[0]


def test_the_test_part_is_not_looked_at() -> None:
    data = planted(100)
    codes = data.dataset.codes.copy()
    codes[data.parts == TEST] = 4
    blinded = SplitDataset(replace(data.dataset, codes=codes), data.parts)
    assert same_weights(train(data, SMALL, SHORT), train(blinded, SMALL, SHORT))


def test_each_restart_keeps_its_best_check_and_the_run_its_best_restart() -> None:
    trained = train(planted(100), SMALL, SHORT)
    for restart in trained.restarts:
        aucs = [check.auc for check in restart.checkpoints]
        assert restart.kept == aucs.index(max(aucs))
        assert restart.auc == max(aucs)
    aucs = [restart.auc for restart in trained.restarts]
    assert trained.best == aucs.index(max(aucs))


def test_an_ensemble_is_the_best_restarts_together_and_changes_none_of_them(tmp_path: Path) -> None:
    data = planted(100)
    one = train(data, SMALL, SHORT, folder=tmp_path)
    two = train(data, SMALL, replace(SHORT, ensemble=2), folder=tmp_path)
    assert two.restarts == one.restarts
    aucs = [restart.auc for restart in one.restarts]
    assert two.members == sorted(range(3), key=lambda index: (-aucs[index], index))[:2]
    assert (one.members, two.best) == ([one.best], one.best)
    best, _ = model_of(two.model).members
    assert [each.parameters.tobytes() for each in model_of(one.model).members] == [
        best.parameters.tobytes()
    ]


def test_a_stack_is_a_weighted_sum_of_networks_and_simple_models(tmp_path: Path) -> None:
    data, config = planted(300), replace(SHORT, ensemble=2)
    alone = train(data, SMALL, config, folder=tmp_path)
    config = replace(config, stack=True)
    # The same restarts, which need not be trained again
    stacked, again = (
        train(data, SMALL, config, folder=folder, threads=threads)
        for folder, threads in ((tmp_path, 1), (None, 2))
    )
    assert stacked.restarts == alone.restarts
    assert same_weights(stacked, again)
    names = [part.name for part in stacked.parts]
    assert names == [
        "2 networks",
        "2 networks of the paper",
        "5-mer logistic regression",
        "gapped 6-mer logistic regression",
    ]
    assert sum(part.weight for part in stacked.parts) == pytest.approx(1)
    kept = [part for part in stacked.parts if part.weight]
    assert sum(part.members for part in kept) == len(stacked.model.members)
    validation = data.validation
    odds = log_odds(predictor_of(stacked.model), validation.codes)
    best = max(part.validation_auc for part in stacked.parts)
    assert roc_auc(validation.labels, odds) > best - 0.02
    found = fit_platt(validation.labels, odds)  # a sum that is calibrated needs it no more
    assert found.scale == pytest.approx(1, abs=0.05)
    assert found.shift == pytest.approx(0, abs=0.05)


def test_a_stack_of_short_sequences_has_the_models_that_can_read_them() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (200, 12), dtype=np.uint8)
    data = split(Dataset.from_sequences(codes[:100], codes[100:]), rng=rng)
    small = Architecture(convolutions=(Convolution(2, 3, 2),), dense=(), length=12)
    config = TrainConfig(restarts=1, epochs=1, stack=True)
    names = [part.name for part in train(data, small, config).parts]
    assert names == ["network", "5-mer logistic regression", "gapped 6-mer logistic regression"]


def test_every_restart_of_the_default_network_learns() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (1_600, 100), dtype=np.uint8)
    for row, start in zip(codes[:800], rng.integers(0, 88, 800), strict=True):
        row[start : start + 12] = encode(["GATTACAGATTA"])[0]
    data = split(Dataset.from_sequences(codes[:800], codes[800:]), rng=rng)
    config = replace(default_config("motif_cnn"), stack=False, restarts=6, ensemble=1, epochs=10)
    trained = train(data, "motif_cnn", config, threads=2)
    # With biases that began near 0, half of the restarts stayed at .5.
    assert min(restart.checkpoints[-1].auc for restart in trained.restarts) > 0.85


def test_a_network_without_a_name_for_it_is_planted_with_no_motifs() -> None:
    data = planted(100)
    config = TrainConfig(restarts=1, epochs=1)
    plain = train(data, SMALL, config)
    assert same_weights(plain, train(data, SMALL, config, motifs=()))
    motif = BUILTIN["CEBPA"]
    assert not same_weights(plain, train(data, SMALL, config, motifs=[motif]))
    with pytest.raises(ModelFileError, match="initial, planted weights and motifs exclude"):
        train(data, SMALL, config, motifs=[motif], initial=plain.model)


@pytest.mark.parametrize("ensemble", [1, 2])
def test_calibration_scales_log_odds_as_fitted_on_the_validation_part(ensemble: int) -> None:
    data, config = planted(100), replace(SHORT, ensemble=ensemble)
    plain, scaled = (train(data, SMALL, replace(config, calibrate=c)) for c in (False, True))
    validation = data.validation
    before, after = (
        log_odds(predictor_of(each.model), validation.codes) for each in (plain, scaled)
    )
    by = fit_platt(validation.labels, before)
    assert (plain.calibration, scaled.calibration) == (None, by)
    np.testing.assert_allclose(after, by.scale * before + by.shift, rtol=1e-4, atol=1e-4)
    test = data.test
    aucs = [
        roc_auc(test.labels, log_odds(predictor_of(each.model), test.codes))
        for each in (plain, scaled)
    ]
    assert aucs[0] == aucs[1]


def test_the_kept_weights_give_the_validation_auc_that_was_noted() -> None:
    data = planted(100)
    trained = train(data, SMALL, SHORT)
    found = probabilities(predictor_of(trained.model), data.validation.codes)
    assert roc_auc(data.validation.labels, found) == trained.restarts[trained.best].auc


def test_keep_last_keeps_the_last_check_as_the_published_code_does() -> None:
    trained = train(planted(100), SMALL, replace(SHORT, keep="last"))
    assert [restart.kept for restart in trained.restarts] == [3, 3, 3]


def test_a_run_is_checked_as_often_as_asked_and_sees_each_sequence_once_an_epoch() -> None:
    data = planted(100)
    once = train(data, SMALL, replace(SHORT, restarts=1))
    thrice = train(data, SMALL, replace(SHORT, restarts=1, checks_per_epoch=3))
    assert [check.epoch for check in once.restarts[0].checkpoints] == [1, 2, 3, 4]
    epochs = [check.epoch for check in thrice.restarts[0].checkpoints]
    assert epochs == pytest.approx([i / 3 for i in range(1, 13)])


def test_an_epoch_is_checked_after_each_mini_batch_at_most() -> None:
    config = replace(SHORT, restarts=1, epochs=2, batch_size=80)
    twice, often = (  # 160 sequences to learn from are two mini-batches
        train(planted(100), SMALL, replace(config, checks_per_epoch=n)).restarts[0] for n in (2, 9)
    )
    assert [check.epoch for check in often.checkpoints] == [0.5, 1, 1.5, 2]
    assert often == twice


def test_a_low_loss_ends_a_restart() -> None:
    config = replace(SHORT, restarts=1, stop_below_loss=10.0)
    (restart,) = train(planted(100), SMALL, config).restarts
    assert len(restart.checkpoints) == 1
    assert restart.checkpoints[0].loss < 10


class KilledError(Exception):
    pass


@pytest.mark.parametrize("after", [1, 4, 7, 11])
def test_an_interrupted_run_continues_to_the_same_bytes(tmp_path: Path, after: int) -> None:
    data = planted(100)
    config = replace(SHORT, checks_per_epoch=2)
    seen: list[Checkpoint] = []

    def interrupt(_: int, checkpoint: Checkpoint) -> None:
        seen.append(checkpoint)
        if len(seen) == after:
            raise KilledError

    with pytest.raises(KilledError):
        train(data, SMALL, config, folder=tmp_path, progress=interrupt)
    resumed: list[tuple[int, Checkpoint]] = []
    again = train(
        data, SMALL, config, folder=tmp_path, progress=lambda i, check: resumed.append((i, check))
    )
    whole = train(data, SMALL, config)
    assert again.restarts == whole.restarts
    assert same_weights(again, whole)
    assert len(resumed) == 3 * 8  # what was done before is told again, so that a bar is right


def test_a_run_with_all_options_does_not_depend_on_threads_and_continues_to_the_same_bytes(
    tmp_path: Path,
) -> None:
    data, config = planted(100), replace(SHORT, checks_per_epoch=2, **OPTIONS)

    def interrupt(restart: int, checkpoint: Checkpoint) -> None:
        if (restart, checkpoint.epoch) == (1, 1.5):
            raise KilledError

    with pytest.raises(KilledError):
        train(data, SMALL, config, folder=tmp_path, progress=interrupt)
    again = train(data, SMALL, config, folder=tmp_path)
    whole = train(data, SMALL, config, threads=3)
    assert again.restarts == whole.restarts
    assert same_weights(again, whole)


@pytest.mark.parametrize("name", OPTIONS)
def test_each_option_makes_another_network_and_another_run(name: str, tmp_path: Path) -> None:
    data = planted(100)
    plain, changed = replace(SHORT, restarts=1), replace(SHORT, restarts=1, **{name: OPTIONS[name]})
    one = train(data, SMALL, plain, folder=tmp_path)
    assert not same_weights(one, train(data, SMALL, changed))
    with pytest.raises(ModelFileError, match="saved by a run with other data or settings"):
        train(data, SMALL, changed, folder=tmp_path)


def test_what_is_kept_is_the_mean_of_the_weights_where_one_is_asked_for() -> None:
    data = planted(100)
    config = replace(SHORT, restarts=1, epochs=1, ema=0.9)
    steps = -(-len(data.train) // config.batch_size)
    # The mean has no say in training, so that it can be taken from runs that end at each step.
    plain = train(data, SMALL, replace(config, ema=0.0, checks_per_epoch=steps, keep="last"))
    averaged = train(data, SMALL, replace(config, checks_per_epoch=steps, keep="last"))
    assert [c.loss for c in plain.restarts[0].checkpoints] == [
        c.loss for c in averaged.restarts[0].checkpoints
    ]
    assert not same_weights(plain, averaged)
    found = probabilities(predictor_of(averaged.model), data.validation.codes)
    assert roc_auc(data.validation.labels, found) == averaged.restarts[0].checkpoints[-1].auc


def half_planted() -> Planted:
    """Plant a random half of the weights of a network of another seed."""
    generator = torch.Generator().manual_seed(99)
    parameters = Network(SMALL, generator=generator).flat_parameters()
    return Planted(parameters, np.random.default_rng(0).random(len(parameters)) < 0.5)


def weights_of(trained: Trained) -> NDArray[np.float32]:
    (parameters,) = (each.parameters for each in model_of(trained.model).members)
    return parameters


def test_what_is_planted_and_frozen_stays_to_the_bit_and_the_rest_learns() -> None:
    data, planting = planted(100), half_planted()
    config = replace(SHORT, restarts=1, epochs=2, keep="last", weight_decay=0.1, ema=0.5)
    frozen = weights_of(train(data, SMALL, replace(config, freeze=2), planted=planting))
    where = planting.planted
    assert frozen[where].tobytes() == planting.parameters[where].tobytes()
    assert (frozen != planting.parameters)[~where].mean() > 0.9
    let_go = weights_of(train(data, SMALL, replace(config, freeze=1), planted=planting))
    assert (let_go != planting.parameters)[where].mean() > 0.9


def test_each_restart_draws_its_own_weights_around_what_is_planted(tmp_path: Path) -> None:
    config = replace(SHORT, restarts=2, epochs=1, keep="last", freeze=1, learning_rate=1e-12)
    planting = half_planted()
    trained = train(planted(20), SMALL, replace(config, ensemble=2), planted=planting)
    one, two = (each.parameters for each in model_of(trained.model).members)
    assert np.array_equal(one == two, planting.planted)


def test_a_planted_run_continues_to_the_same_bytes_and_not_as_another(tmp_path: Path) -> None:
    data, planting = planted(100), half_planted()
    config = replace(SHORT, restarts=1, epochs=3, freeze=2, ema=0.9)

    def interrupt(_: int, checkpoint: Checkpoint) -> None:
        if checkpoint.epoch == 1:
            raise KilledError

    with pytest.raises(KilledError):
        train(data, SMALL, config, planted=planting, folder=tmp_path, progress=interrupt)
    other = replace(planting, parameters=planting.parameters + 1)
    for start in (None, other):
        with pytest.raises(ModelFileError, match="saved by a run with other data or settings"):
            train(data, SMALL, replace(config, freeze=0), planted=start, folder=tmp_path)
    again = train(data, SMALL, config, planted=planting, folder=tmp_path)
    assert same_weights(again, train(data, SMALL, config, planted=planting))


def test_freezing_needs_something_that_is_planted() -> None:
    with pytest.raises(DatasetError, match="freeze of 3 epochs needs something that is planted"):
        train(planted(20), SMALL, replace(SHORT, freeze=3))


def test_a_finished_run_is_read_back_without_training(tmp_path: Path) -> None:
    data = planted(100)
    done = train(data, SMALL, SHORT, folder=tmp_path)
    states = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(states) == SHORT.restarts
    assert same_weights(train(data, SMALL, SHORT, folder=tmp_path), done)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == states


def test_the_state_of_another_run_is_refused(tmp_path: Path) -> None:
    data = planted(100)
    train(data, SMALL, SHORT, folder=tmp_path)
    message = r"restart-0000\.safetensors: saved by a run with other data or settings"
    for other in (planted(100, seed=1), data):
        config = replace(SHORT, learning_rate=0.1) if other is data else SHORT
        with pytest.raises(ModelFileError, match=message):
            train(other, SMALL, config, folder=tmp_path)


def test_more_restarts_can_be_added_to_a_run(tmp_path: Path) -> None:
    data = planted(100)
    train(data, SMALL, replace(SHORT, restarts=1), folder=tmp_path)
    more = train(data, SMALL, SHORT, folder=tmp_path)
    assert same_weights(more, train(data, SMALL, SHORT))


def diverging(monkeypatch: pytest.MonkeyPatch, *checks: int) -> None:
    """Let training find what is not finite at these checks, counted from 0 over all restarts."""
    number = -1

    def is_finite(*_: object) -> bool:
        nonlocal number
        number += 1
        return number not in checks

    for module in ("trainer", "gpu"):
        monkeypatch.setattr(f"enhancer_core.training.{module}.is_finite", is_finite)


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])
def test_a_restart_that_diverges_at_once_is_left_out_and_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, device: str
) -> None:
    data, config = planted(100), replace(SHORT, epochs=1)
    whole = train(data, SMALL, replace(config, restarts=1), device=device)
    diverging(monkeypatch, 1)
    message = r"^1 of 3 restarts diverged \(2\): .*; lower --learning-rate, which is 0\.001$"
    with pytest.warns(UserWarning, match=message):
        trained = train(data, SMALL, config, device=device, folder=tmp_path)
    assert [restart.index for restart in trained.restarts] == [0, 2]
    assert list(trained.diverged) == [1]
    assert trained.restarts[0].auc == pytest.approx(whole.restarts[0].auc)
    with pytest.warns(UserWarning, match=message):  # as its state says
        again = train(data, SMALL, config, device=device, folder=tmp_path)
    assert same_weights(again, trained)


def test_a_restart_that_diverges_late_keeps_what_came_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = planted(100)
    diverging(monkeypatch, 2)
    with pytest.warns(UserWarning, match=r"1 of 1 restarts diverged \(1\)"):
        trained = train(data, SMALL, replace(SHORT, restarts=1))
    monkeypatch.undo()
    whole = train(data, SMALL, replace(SHORT, restarts=1))
    assert trained.restarts[0].checkpoints == whole.restarts[0].checkpoints[:2]


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])
def test_where_all_restarts_diverge_there_is_no_network(device: str) -> None:
    message = r"3 of 3 restarts diverged \(1, 2, 3\): the loss or the weights are no longer finite"
    with pytest.raises(TrainingError, match=message):
        train(planted(100), SMALL, replace(SHORT, learning_rate=1e30), device=device)


def test_sequences_of_another_length_are_refused() -> None:
    with pytest.raises(DatasetError, match="sequences of 60 bp; the network reads 61 bp"):
        train(planted(20), replace(SMALL, length=61), SHORT)


def test_a_shift_past_the_whole_sequence_is_refused() -> None:
    with pytest.raises(DatasetError, match="shift of 60 bp is not allowed; at most 59 for 60 bp"):
        train(planted(20), SMALL, replace(SHORT, shift=60))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_learns_as_well_as_a_cpu() -> None:
    data = planted(400)
    config = TrainConfig(restarts=2, epochs=15, batch_size=20, learning_rate=5e-3)
    trained = train(data, SMALL, config, device="cuda")
    found = probabilities(predictor_of(trained.model), data.test.codes)
    assert roc_auc(data.test.labels, found) > 0.95
