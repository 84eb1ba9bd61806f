from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from enhancer_core.dna.codes import Codes
from enhancer_core.models.architecture import Architecture, Convolution, KmerWeights
from enhancer_core.models.model import Model
from enhancer_core.models.network import Network
from enhancer_core.models.parameters import KmerMember, Member, shapes
from enhancer_core.prediction.sequences import log_odds
from enhancer_core.training.stacking import Part, stack

LENGTH = 20


def member(weights: dict[int, float], bias: float = 0.0) -> KmerMember:
    """Make a model of single letters: what a C or G adds to the log odds, by column."""
    architecture = KmerWeights(k=1, length=LENGTH)
    parameters = np.zeros(sum(int(np.prod(s)) for s in shapes(architecture).values()), np.float32)
    for column, weight in weights.items():
        parameters[column] = weight
    parameters[-2:] = -bias / 2, bias / 2
    return KmerMember(architecture, parameters)


def data(n: int = 2000, *, seed: int = 0) -> tuple[Codes, NDArray[np.bool_]]:
    """Draw sequences whose share of C and G is higher in positives."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) < n // 2
    strong = rng.random((n, LENGTH)) < np.where(labels, 0.55, 0.45)[:, np.newaxis]
    codes = np.where(strong, rng.integers(1, 3, (n, LENGTH)), 3 * rng.integers(0, 2, (n, LENGTH)))
    return codes.astype(np.uint8), labels


def odds_of(members: list[KmerMember | Member], codes: Codes) -> NDArray[np.float32]:
    return log_odds(Model(tuple(members)).predictor(), codes)


GC = member({1: 1.0})  # column 0 is A or T, 1 is C or G


def test_one_part_is_calibrated_whatever_its_scale() -> None:
    codes, labels = data()
    # The log likelihood ratio of C or G is log(.55 / .45) = .2007, that of A or T minus it.
    for scale in (0.01, 1.0, 50.0):
        members, (part,) = stack([Part("GC", [member({1: scale}, 3.0)])], codes, labels)
        gc = ((codes == 1) | (codes == 2)).sum(axis=1)
        slope, intercept = np.polyfit(gc, odds_of(members, codes), 1)
        assert slope == pytest.approx(2 * 0.2007, abs=0.05)
        assert intercept == pytest.approx(-LENGTH * 0.2007, abs=0.5)
        assert (part.name, part.members, part.weight) == ("GC", 1, 1.0)


def test_a_part_that_tells_the_opposite_is_left_out() -> None:
    codes, labels = data()
    wrong = member({0: 1.0})
    members, parts = stack([Part("right", [GC]), Part("wrong", [wrong])], codes, labels)
    assert [part.weight for part in parts] == [1.0, 0.0]
    assert len(members) == 1


def test_parts_that_tell_the_same_share_the_weight() -> None:
    codes, labels = data()
    parts = stack([Part("one", [GC]), Part("three", [GC, GC, GC])], codes, labels)[1]
    assert [part.weight for part in parts] == pytest.approx([0.5, 0.5], abs=1e-4)


def test_the_members_of_a_part_share_its_weight() -> None:
    codes, labels = data()
    double = member({1: 2.0})
    together = stack([Part("mean", [GC, double, member({1: 3.0})])], codes, labels)[0]
    alone = stack([Part("mean", [double])], codes, labels)[0]
    np.testing.assert_allclose(odds_of(together, codes), odds_of(alone, codes), atol=1e-4)


def test_the_best_network_stays_even_if_it_does_not_help() -> None:
    codes, labels = data()
    small = Architecture(convolutions=(Convolution(2, 3, 2),), dense=(), length=LENGTH)
    network = Member(small, Network(small).flat_parameters())
    # A network whose output is a constant tells nothing
    weights = network.weights()
    weights["output.weight"][:] = 0
    network = replace(network, parameters=np.concatenate([w.ravel() for w in weights.values()]))
    parts = [Part("GC", [GC]), Part("network", [network], network=True)]
    members, described = stack(parts, codes, labels)
    assert members[0].architecture == small  # first, since its filters are read
    np.testing.assert_allclose(
        odds_of(members, codes), odds_of(stack(parts[:1], codes, labels)[0], codes), atol=1e-4
    )
    assert described[0].weight > 0.99


def test_parts_no_better_than_chance_predict_what_is_near_the_prior() -> None:
    codes, labels = data()
    members, parts = stack([Part("wrong", [member({0: 1.0})])], codes, labels)
    assert np.abs(odds_of(members, codes)).max() < 0.1
    assert parts[0].validation_auc < 0.5


def test_few_sequences_leave_alike_parts_alike() -> None:
    codes, labels = data(20)
    rng = np.random.default_rng(1)
    others = [member({1: 1.0, 0: float(rng.normal(0, 0.01))}) for _ in range(3)]
    parts = stack([Part(str(i), [each]) for i, each in enumerate(others)], codes, labels)[1]
    assert max(part.weight for part in parts) < 0.4
