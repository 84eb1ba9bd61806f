from __future__ import annotations

import numpy as np
import torch

from enhancer_core.architecture import Architecture, Convolution
from enhancer_core.dna import Codes
from enhancer_core.engine.predictor import Predictor
from enhancer_core.ensemble import MeanPredictor, together
from enhancer_core.model import Ensemble, Network, network_of_members, one_hot

SMALL = Architecture(
    convolutions=(Convolution(3, 4, 2), Convolution(5, 3, 2)), dense=(6, 4), keep=0.5, length=30
)


def networks(n: int) -> list[Network]:
    seeds = (torch.Generator().manual_seed(seed) for seed in range(n))
    return [Network(SMALL, generator=seed).eval() for seed in seeds]


def random_codes(n: int, length: int) -> Codes:
    return np.random.default_rng(0).integers(0, 5, (n, length), dtype=np.uint8)


def test_an_ensemble_says_the_mean_of_what_its_members_say() -> None:
    members, codes = networks(3), random_codes(20, 30)
    made = Ensemble(members).predictor()
    one, two, three = (member.predictor() for member in members)
    stretch, starts = random_codes(1, 200)[0], np.arange(0, 170, 7)
    changes = np.arange(20), np.arange(20), np.arange(20) % 4
    for found, parts in (
        (made.logits(codes), [p.logits(codes) for p in (one, two, three)]),
        (
            made.substituted_logits(codes, *changes),
            [p.substituted_logits(codes, *changes) for p in (one, two, three)],
        ),
        (
            made.scanned_logits(stretch, starts),
            [p.scanned_logits(stretch, starts) for p in (one, two, three)],
        ),
    ):
        assert found.dtype == np.float32
        exact = np.sum(parts, axis=0, dtype=np.float64) / 3
        np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-7)


def test_one_predictor_alone_stays_as_it_is() -> None:
    alone = networks(1)[0].predictor()
    assert together([alone]) is alone
    assert isinstance(together([alone, alone]), MeanPredictor)


def test_pytorch_and_the_engine_agree_on_an_ensemble() -> None:
    members, codes = networks(3), random_codes(20, 30)
    made = network_of_members(SMALL, [member.flat_parameters() for member in members])
    assert isinstance(made, Ensemble)
    assert not made.training
    with torch.inference_mode():
        found = made(one_hot(torch.from_numpy(codes))).numpy()
    np.testing.assert_allclose(found, made.predictor().logits(codes), rtol=1e-4, atol=1e-6)


def test_one_member_makes_a_plain_network() -> None:
    made = network_of_members(SMALL, [networks(1)[0].flat_parameters()])
    assert isinstance(made, Network)
    assert isinstance(made.predictor(), Predictor)
    assert len(made.member_parameters()) == 1


def test_an_ensembles_filters_are_those_of_all_members_in_order() -> None:
    members = networks(2)
    weights, biases = Ensemble(members).filters()
    assert weights.shape == (6, 4, 4)
    assert torch.equal(weights[3:], members[1].first_layer.weight)
    assert torch.equal(biases[:3], members[0].state_dict()["convolutions.0.bias"])
