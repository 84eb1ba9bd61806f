from __future__ import annotations

from dataclasses import asdict

import pytest

from enhancer_core.errors import DatasetError
from enhancer_core.training.config import TrainConfig, default_config


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("restarts", 0, "restarts of 0 is not allowed; at least 1"),
        ("epochs", 0, "epochs of 0 is not allowed; at least 1"),
        ("batch_size", -1, "batch_size of -1 is not allowed; at least 1"),
        ("checks_per_epoch", 0, "checks_per_epoch of 0 is not allowed; at least 1"),
        ("keep", "first", "keep 'first' is not known; allowed are best and last"),
        ("shift", -1, "shift of -1 is not allowed; at least 0"),
        ("weight_decay", -0.1, "weight_decay of -0.1 is not allowed; at least 0"),
        ("weight_decay", float("nan"), "weight_decay of nan is not allowed; at least 0"),
        ("freeze", -1, "freeze of -1 is not allowed; at least 0"),
        ("ensemble", 0, "ensemble of 0 is not allowed; from 1 to the 50 restarts"),
        ("ensemble", 51, "ensemble of 51 is not allowed; from 1 to the 50 restarts"),
        ("mutate", -0.1, "mutate of -0.1 is not allowed; from 0 to below 1"),
        ("ema", 1.0, "ema of 1.0 is not allowed; from 0 to below 1"),
        (
            "learning_rate_schedule",
            "linear",
            "learning_rate_schedule 'linear' is not known; allowed are constant and cosine",
        ),
        ("learning_rate", 0.0, "learning_rate of 0.0 is not allowed; above 0"),
        ("stop_below_loss", -1.0, "stop_below_loss of -1.0 is not allowed; at least 0"),
    ],
)
def test_a_protocol_that_makes_no_sense_is_refused(
    field: str, value: float | str, message: str
) -> None:
    with pytest.raises(DatasetError, match=f"^{message}$"):
        TrainConfig(**{field: value})  # type: ignore[arg-type]


def test_a_constant_rate_stays_and_a_cosine_falls_to_nothing_over_all_steps() -> None:
    constant, cosine = (
        TrainConfig(learning_rate=0.2, learning_rate_schedule=s) for s in ("constant", "cosine")
    )
    assert {constant.rate(step, total=6) for step in range(6)} == {0.2}
    #        0.2 * (1 + cos(180 degrees * step / 6)) / 2
    architecture = [0.2, 0.1 + 0.1 * 3**0.5 / 2, 0.15, 0.1, 0.05, 0.1 - 0.1 * 3**0.5 / 2, 0.0]
    assert [cosine.rate(step, total=6) for step in range(7)] == pytest.approx(
        architecture, abs=1e-15
    )


def test_a_record_tells_what_came_later_only_where_it_is_used() -> None:
    plain = TrainConfig().to_dict()
    assert "shift" not in plain
    assert plain["batch"] == 50
    used = TrainConfig(
        shift=10,
        flip=True,
        mutate=0.05,
        weight_decay=0.01,
        ema=0.99,
        learning_rate_schedule="cosine",
        freeze=2,
        ensemble=3,
        calibrate=True,
        stack=True,
        most_updates=100,
    )
    old_keys = {"batch_size": "batch", "ema": "average", "learning_rate_schedule": "schedule"}
    expected = {old_keys.get(name, name): value for name, value in asdict(used).items()}
    assert used.to_dict() == expected
    assert list(used.to_dict()) == list(expected)


def test_the_papers_networks_have_the_papers_protocol_and_motif_cnn_keeps_all_its_restarts() -> (
    None
):
    assert (
        default_config("enhancer")
        == default_config("tf")
        == default_config("original_code")
        == TrainConfig()
    )
    default = default_config("motif_cnn")
    assert default != TrainConfig()
    assert default.ensemble == default.restarts
    assert default.stack


def test_more_data_have_fewer_epochs_where_updates_are_limited() -> None:
    config = TrainConfig(epochs=12, batch_size=50, most_updates=1_000)
    assert config.for_data(2_000).epochs == 12  # 480 updates
    assert config.for_data(10_000).epochs == 5
    assert config.for_data(10_001).epochs == 4  # 201 mini-batches an epoch
    assert config.for_data(10**7).epochs == 1
    assert TrainConfig().for_data(10**7) == TrainConfig()


def test_windows_drawn_from_a_genome_are_shifted_by_default_for_any_network() -> None:
    assert default_config("tf").shift == 0
    for network in ("tf", "motif_cnn"):
        assert default_config(network, drawn=True).shift == 20
