from __future__ import annotations

import numpy as np
import pytest
import torch

from enhancer_core.dna.codes import encode, reverse_complement
from enhancer_core.errors import SequenceError
from enhancer_core.interpretation.gradients import input_gradients
from enhancer_core.models.architecture import Architecture, Convolution
from enhancer_core.models.network import Network, one_hot
from tests.interpretation.test_filters import LENGTH, network_that_reads
from tests.predictors import model_of


def test_the_slope_of_a_word_is_what_its_bases_add_on_both_strands() -> None:
    network = network_that_reads("GCTCC", bias=-3.0)
    with torch.no_grad():
        network.output.weight.zero_()
        network.output.weight[1] = 2
        network.output.bias.zero_()
    codes = np.zeros((2, LENGTH), dtype=np.uint8)
    codes[0, 4:9] = encode(["GCTCC"])[0]
    found = input_gradients(model_of(network), codes)
    # The word is read on both strands, so the mean is 2 a base: 1.5 there, -0.5 for the others.
    expected = np.full((4, 5), -0.5)
    expected[codes[0, 4:9], range(5)] = 1.5
    np.testing.assert_allclose(found[0, :, 4:9], expected, atol=1e-6)
    assert not found[0, :, :4].any()
    assert not found[1].any()
    assert network.first_layer.weight.grad is None


def test_slopes_are_those_of_small_steps_less_their_mean() -> None:
    architecture = Architecture(convolutions=(Convolution(3, 5, 2),), dense=(4,), length=12)
    network = Network(architecture, generator=torch.Generator().manual_seed(1)).double()
    codes = np.random.default_rng(0).integers(4, size=(40, 12), dtype=np.uint8)
    x = one_hot(torch.from_numpy(codes)).double()

    def odds(inputs: torch.Tensor) -> torch.Tensor:
        logits = network(inputs) + network(inputs.flip(1, 2))
        found: torch.Tensor = (logits[:, 1] - logits[:, 0]) / 2
        return found

    step = 1e-7
    slopes = np.zeros((40, 4, 12))
    for base in range(4):
        for position in range(12):
            change = torch.zeros_like(x)
            change[:, base, position] = step
            with torch.no_grad():
                slopes[:, base, position] = (odds(x + change) - odds(x - change)) / (2 * step)
    expected = slopes - slopes.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(
        input_gradients(model_of(network.float()), codes), expected, atol=1e-5
    )


def test_slopes_of_a_sequence_turned_round_are_turned_round() -> None:
    architecture = Architecture(convolutions=(Convolution(3, 5, 2),), dense=(4,), length=13)
    network = Network(architecture, generator=torch.Generator().manual_seed(1))
    codes = np.random.default_rng(0).integers(5, size=(40, 13), dtype=np.uint8)
    forward, reverse = (
        input_gradients(model_of(network), each) for each in (codes, reverse_complement(codes))
    )
    np.testing.assert_allclose(forward, reverse[:, ::-1, ::-1], atol=1e-6)


def test_slopes_need_the_length_of_the_network() -> None:
    with pytest.raises(SequenceError, match="sequences of 12 bp; the model reads 30 bp"):
        input_gradients(model_of(network_that_reads("GC", bias=0.0)), np.zeros((1, 12), np.uint8))
