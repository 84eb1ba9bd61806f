"""Models laid out for sequences of another length."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enhancer_core.dna.codes import Codes
from enhancer_core.errors import ModelFileError, SequenceError
from enhancer_core.models.architecture import NETWORKS, Architecture, Convolution
from enhancer_core.models.kmers import Baseline
from enhancer_core.models.model import Model
from enhancer_core.models.parameters import Member, at_length, flatten, shapes
from enhancer_core.models.regression import best_hits_networks, of_k_mers
from enhancer_core.models.transfer import start_from
from enhancer_core.motifs.motif import BUILTIN
from enhancer_core.prediction.sequences import log_odds

TIED = Architecture(
    convolutions=(Convolution(5, 4, 2), Convolution(6, 3, 2)), dense=(4,), length=40, tied=True
)


def drawn(made: Architecture, *, seed: int = 0) -> Member:
    """Draw weights, those of all positions alike where the architecture ties them."""
    rng = np.random.default_rng(seed)
    weights = {name: rng.normal(size=shape) for name, shape in shapes(made).items()}
    if made.tied:
        name = "dense.0.weight" if made.dense else "output.weight"
        by_position = weights[name].reshape(len(weights[name]), made.convolutions[-1].filters, -1)
        by_position[:] = by_position[:, :, :1]
    return Member(made, flatten(weights))


def codes_of(n: int, length: int, *, seed: int = 1) -> Codes:
    return np.random.default_rng(seed).integers(0, 4, (n, length)).astype(np.uint8)


@pytest.mark.parametrize("made", [TIED, replace(TIED, dense=()), replace(TIED, chained=False)])
def test_a_mean_over_a_repeated_sequence_is_the_mean_over_it(made: Architecture) -> None:
    # Of one letter all positions are alike, and so the mean is the same at any length.
    member = drawn(made)
    for letter in range(4):
        odds = [
            log_odds(Model((at_length(member, n),)).predictor(), np.full((1, n), letter, np.uint8))
            for n in (40, 23, 41, 200)
        ]
        np.testing.assert_allclose(odds, np.tile(odds[0], (4, 1)), rtol=1e-4, atol=1e-5)


@settings(max_examples=20)
@given(st.integers(12, 90), st.integers(0, 100))
def test_there_and_back_a_network_is_as_it_was(length: int, seed: int) -> None:
    member = drawn(TIED, seed=seed)
    back = at_length(at_length(member, length), TIED.length)
    assert back.architecture == member.architecture
    np.testing.assert_allclose(back.parameters, member.parameters, rtol=1e-5)


def test_the_member_that_is_laid_out_stays_as_it_was() -> None:
    member = drawn(TIED)
    before = member.parameters.copy()
    at_length(member, 60)
    assert (member.parameters == before).all()


def test_best_hits_are_those_of_the_whole_sequence_at_any_length() -> None:
    motifs = [BUILTIN["CEBPA"], BUILTIN["HNF4A"]]
    for (short, _), (long, _) in zip(
        best_hits_networks(motifs, 60), best_hits_networks(motifs, 90), strict=True
    ):
        weights = np.random.default_rng(0).normal(size=short.parameters.size)
        short = Member(short.architecture, weights.astype(np.float32))
        found = at_length(short, 90)
        assert found.architecture == long.architecture
        assert (found.parameters == short.parameters).all()
        codes = codes_of(20, 90)
        np.testing.assert_allclose(
            log_odds(Model((found,)).predictor(), codes),
            log_odds(Model((Member(long.architecture, short.parameters),)).predictor(), codes),
        )


def test_shares_of_k_mers_are_of_the_places_that_there_are() -> None:
    rng = np.random.default_rng(0)
    mean, scale, weights = rng.uniform(0.5, 1, (3, 32)).astype(np.float32)
    fitted = Baseline(k=3, mean=mean, scale=scale, weights=weights, bias=0.1, penalty=1.0)
    (member,), codes = of_k_mers(fitted, 50).members, codes_of(20, 80)
    codes[:, :30] = 4
    found = Model((member,)).at_length(80).predict(codes)
    np.testing.assert_allclose(found, fitted.probabilities(codes), rtol=1e-4)


def test_a_model_at_its_own_length_or_none_is_itself() -> None:
    model = Model((drawn(TIED),), {"network": "best"})
    assert model.at_length(40) is model
    assert model.at_length(None) is model
    assert model.at_length(50).length == 50
    assert model.at_length(50).metadata == {"network": "best"}


@pytest.mark.parametrize("name", ["enhancer", "tf", "original_code"])
def test_a_network_that_weighs_places_is_refused(name: str) -> None:
    model = Model((drawn(TIED), drawn(replace(NETWORKS[name], length=200))))
    message = (
        r"^the model weighs places, and so reads 200 bp alone; a length of 300 is not allowed$"
    )
    with pytest.raises(ModelFileError, match=message):
        model.at_length(300)


def test_tied_weights_that_differ_between_positions_are_refused() -> None:
    member = drawn(TIED)
    member.weights()["dense.0.weight"][0, 0] += 1
    with pytest.raises(ModelFileError, match="the model weighs places"):
        at_length(member, 60)


def test_a_length_too_short_for_a_member_is_refused() -> None:
    with pytest.raises(SequenceError, match="sequences of 5 bp are too short for convolution 2"):
        Model((drawn(TIED),)).at_length(5)


def test_a_tied_network_starts_another_length_with_all_its_weights() -> None:
    member = drawn(TIED)
    planted = start_from(Model((member,)), replace(TIED, length=70))
    assert planted.planted.all()
    assert (planted.parameters == at_length(member, 70).parameters).all()
    planted = start_from(Model((drawn(replace(TIED, tied=False)),)), replace(TIED, length=70))
    assert not planted.planted.all()  # the dense layers are drawn


def test_predictions_and_changes_of_unequal_lengths_are_of_the_length_that_is_given() -> None:
    model = Model((drawn(TIED),))
    sequences = ["ACGTTGCA" * 5, "ACGTTGCA" * 9, "ACGTTGCA" * 3, "ACGT"]
    found = model.predict(sequences, length=40)
    assert np.isnan(found).tolist() == [False, False, False, True]
    assert found[0] == model.predict(sequences[:1])[0]
    assert found[1] == model.predict([("ACGTTGCA" * 9)[16:56]])[0]
    assert found[2] == model.predict(["N" * 8 + "ACGTTGCA" * 3 + "N" * 8])[0]
    changes = model.mutagenesis(sequences, length=40)
    assert changes.shape == (4, 4, 40)
    assert np.isnan(changes[2]).all(axis=0).sum() == 16
    assert np.isnan(changes[3]).all()
    longer = model.predict(sequences[1:2], length=72)
    assert longer == model.at_length(72).predict(sequences[1:2])
    with pytest.raises(SequenceError, match=r"the first's, 40; length=L cuts or pads all to L$"):
        model.predict(sequences)
    with pytest.raises(SequenceError, match=r"the model reads 40 bp \(length=40 cuts or pads each"):
        model.predict(sequences[1:2])
