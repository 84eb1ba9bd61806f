from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from enhancer_core.metrics import roc_auc
from enhancer_core.models.architecture import Architecture, Convolution
from enhancer_core.models.calibration import Platt, calibrated, fit_platt
from enhancer_core.models.network import Network, torch_network
from enhancer_core.models.parameters import Member
from tests.predictors import predictor_of

SMALL = Architecture(convolutions=(Convolution(3, 4, 2),), dense=(6,), length=30)


@given(st.integers(0, 2**32 - 1), st.floats(0.2, 3), st.floats(-2, 2), st.integers(5, 300))
def test_the_fit_is_where_the_likelihood_does_not_slope(
    seed: int, scale: float, shift: float, n: int
) -> None:
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 2, 2 * n).astype(np.float32)
    labels = rng.random(2 * n) < expit(scale * odds + shift)
    found = fit_platt(labels, odds)
    positives, negatives = labels.sum(), (~labels).sum()
    targets = np.where(labels, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    wrong = expit(found.scale * odds + found.shift) - targets
    assert wrong.mean() == pytest.approx(0, abs=1e-5)
    if found.scale > 0.001:
        assert (wrong * odds).mean() == pytest.approx(0, abs=1e-5)
    else:  # at the least scale that is allowed, the likelihood asks for less
        assert (wrong * odds).mean() > -1e-5


def test_what_was_done_to_calibrated_odds_is_undone() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(0, 2, 40_000)
    labels = rng.random(len(true)) < expit(true)
    found = fit_platt(labels, (3 * true - 1).astype(np.float32))
    # The standard errors of a logistic regression with two terms, from its Fisher information.
    weights = expit(true) * (1 - expit(true))
    rows = np.stack([3 * true - 1, np.ones_like(true)])
    errors = np.sqrt(np.diag(np.linalg.inv((rows * weights) @ rows.T)))
    assert found.scale == pytest.approx(1 / 3, abs=5 * errors[0])
    assert found.shift == pytest.approx(1 / 3, abs=5 * errors[1])


def test_classes_that_nothing_confuses_get_finite_odds() -> None:
    labels = np.repeat([False, True], 50)
    found = fit_platt(labels, np.where(labels, 1, -1).astype(np.float32))
    # Targets are 51 / 52 and 1 / 52: the odds that both are right, 51 to 1, are met exactly.
    assert found.scale == pytest.approx(np.log(51), rel=1e-4)
    assert found.shift == pytest.approx(0, abs=1e-4)


def test_odds_that_point_the_wrong_way_are_not_turned_round() -> None:
    labels = np.repeat([True, False], 50)
    assert fit_platt(labels, np.where(labels, -1, 1).astype(np.float32)).scale == 0.001


def test_calibrated_weights_give_scaled_and_shifted_log_odds_and_the_same_auc() -> None:
    network = Network(SMALL, generator=torch.Generator().manual_seed(0))
    codes = np.random.default_rng(0).integers(0, 4, (400, 30), dtype=np.uint8)
    made = calibrated(Member(SMALL, network.flat_parameters()), Platt(2.5, -0.7))
    before = predictor_of(network).logits(codes)
    after = predictor_of(torch_network(made)).logits(codes)
    odds, scaled = (each[:, 1] - each[:, 0] for each in (before, after))
    np.testing.assert_allclose(scaled, 2.5 * odds - 0.7, rtol=1e-4, atol=1e-5)
    labels = np.arange(400) % 2 == 0
    assert roc_auc(labels, scaled) == pytest.approx(roc_auc(labels, odds), abs=1e-4)
    assert predictor_of(network).logits(codes).tobytes() == before.tobytes()
