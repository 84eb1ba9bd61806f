from __future__ import annotations

import numpy as np
import pytest
import torch

from enhancer_core.dna.codes import Codes
from enhancer_core.interpretation.gradients import input_gradients
from enhancer_core.models.architecture import Architecture, Convolution, widened
from enhancer_core.models.cpu.predictor import CpuPredictor
from enhancer_core.models.ensemble import MeanPredictor
from enhancer_core.models.gpu.predictor import GpuPredictor
from enhancer_core.models.network import Ensemble, Network, one_hot
from enhancer_core.models.transfer import plant, widen_for
from tests.predictors import model_of, predictor_of

SMALL = Architecture(
    convolutions=(Convolution(3, 4, 2), Convolution(5, 3, 2)), dense=(6, 4), dropout=0.5, length=30
)


def networks(n: int) -> list[Network]:
    seeds = (torch.Generator().manual_seed(seed) for seed in range(n))
    return [Network(SMALL, generator=seed).eval() for seed in seeds]


def mixed() -> list[Network]:
    """Networks of three architectures that read one length; the last is wider than its pool."""
    made = (
        Architecture(convolutions=(Convolution(20, 7, 24),), dense=(), length=30),
        Architecture(
            convolutions=(Convolution(9, 3, 1), Convolution(2, 1, 1)),
            dense=(), length=30, tied=True,
        ),
    )  # fmt: skip
    seeds = (torch.Generator().manual_seed(seed) for seed in (7, 8))
    others = [Network(one, generator=seed).eval() for one, seed in zip(made, seeds, strict=True)]
    return [*networks(2), *others]


def random_codes(n: int, length: int) -> Codes:
    return np.random.default_rng(0).integers(0, 5, (n, length), dtype=np.uint8)


@pytest.mark.parametrize("members", [networks(3), mixed()], ids=["alike", "mixed"])
def test_an_ensemble_says_the_mean_of_what_its_members_say(members: list[Network]) -> None:
    codes = random_codes(20, 30)
    made = predictor_of(Ensemble(members))
    each = [predictor_of(member) for member in members]
    stretch, starts = random_codes(1, 200)[0], np.arange(0, 170, 7)
    changes = np.arange(20), np.arange(20), np.arange(20) % 4
    for found, parts in (
        (made.logits(codes), [p.logits(codes) for p in each]),
        (
            made.substituted_logits(codes, *changes),
            [p.substituted_logits(codes, *changes) for p in each],
        ),
        (made.scanned_logits(stretch, starts), [p.scanned_logits(stretch, starts) for p in each]),
    ):
        assert found.dtype == np.float32
        exact = np.sum(parts, axis=0, dtype=np.float64) / len(members)
        np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-7)


def test_windows_and_changes_of_a_mixed_ensemble_have_the_logits_of_each_sequence() -> None:
    made, codes, stretch = (
        predictor_of(Ensemble(mixed())),
        random_codes(4, 30),
        random_codes(1, 200),
    )
    starts = np.array([0, 0, 1, 5, 23, 24, 25, 60, 61, 160, 170])
    windows = np.lib.stride_tricks.sliding_window_view(stretch[0], 30)[starts]
    scanned = made.scanned_logits(stretch[0], starts)
    assert scanned.tobytes() == made.logits(windows).tobytes()
    rows, positions = (each.ravel() for each in np.indices((4, 30)))
    bases = (codes[rows, positions] + 1) % 5
    changed = codes[rows]
    changed[np.arange(120), positions] = bases
    found = made.substituted_logits(codes, rows, positions, bases)
    assert found.tobytes() == made.logits(changed).tobytes()


def test_one_predictor_alone_stays_as_it_is() -> None:
    assert isinstance(predictor_of(networks(1)[0]), CpuPredictor)
    assert isinstance(predictor_of(Ensemble(networks(2))), MeanPredictor)


@pytest.mark.parametrize("members", [networks(3), mixed()], ids=["alike", "mixed"])
def test_pytorch_and_the_engine_agree_on_an_ensemble(members: list[Network]) -> None:
    codes, stretch, starts = random_codes(20, 30), random_codes(1, 90)[0], np.arange(0, 60, 7)
    made = model_of(Ensemble(members)).to_torch()
    assert isinstance(made, Ensemble)
    assert not made.training
    with torch.inference_mode():
        found = made(one_hot(torch.from_numpy(codes))).numpy()
    np.testing.assert_allclose(found, predictor_of(made).logits(codes), rtol=1e-4, atol=1e-6)
    on_gpus = MeanPredictor(
        [GpuPredictor(each.architecture, each.flat_parameters()) for each in members]
    )
    np.testing.assert_allclose(found, on_gpus.logits(codes), rtol=1e-4, atol=1e-6)
    scanned = predictor_of(made).scanned_logits(stretch, starts)
    np.testing.assert_allclose(
        scanned, on_gpus.scanned_logits(stretch, starts), rtol=1e-4, atol=1e-6
    )


def test_one_member_makes_a_plain_network() -> None:
    made = model_of(networks(1)[0]).to_torch()
    assert isinstance(made, Network)
    assert isinstance(predictor_of(made), CpuPredictor)
    assert len(model_of(made).members) == 1


def test_an_ensembles_filters_are_those_of_all_members_in_order() -> None:
    members = networks(2)
    weights, biases = model_of(Ensemble(members)).filters()
    assert weights.shape == (6, 4, 4)
    assert np.array_equal(weights[3:], members[1].first_layer.weight.detach())
    assert np.array_equal(biases[:3], members[0].state_dict()["convolutions.0.bias"])


def test_of_a_mixed_ensemble_the_filters_of_the_first_kind_are_shown() -> None:
    ours, theirs = (model_of(Ensemble(members)).filters() for members in (mixed(), networks(2)))
    assert np.array_equal(ours[0], theirs[0])


def test_of_a_mixed_ensemble_the_members_of_the_first_kind_are_planted() -> None:
    ours, theirs = (
        plant([model_of(Ensemble(members))], widened(SMALL, 3))
        for members in (mixed(), networks(2))
    )
    assert ours.parameters.tobytes() == theirs.parameters.tobytes()
    assert widen_for([model_of(Ensemble(mixed()))], SMALL) == widen_for(
        [model_of(Ensemble(networks(2)))], SMALL
    )


def test_slopes_of_a_mixed_ensemble_are_the_mean_of_its_members() -> None:
    codes = random_codes(5, 30)
    each = [input_gradients(model_of(member), codes) for member in mixed()]
    found = input_gradients(model_of(Ensemble(mixed())), codes)
    np.testing.assert_allclose(found, np.mean(each, axis=0), rtol=1e-4, atol=1e-6)
