from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from enhancer_core import dna
from enhancer_core.models.architecture import (
    NETWORKS,
    Architecture,
    Convolution,
    first_bias,
    named_architecture,
)
from enhancer_core.models.network import Network, ReverseComplementConvolution, one_hot
from enhancer_core.models.transfer import plant_motifs
from enhancer_core.motifs.motif import BUILTIN
from tests.models.test_architecture import architectures

SMALL = Architecture(
    convolutions=(Convolution(3, 4, 2), Convolution(5, 3, 2)), dense=(6, 4), dropout=0.5, length=30
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def layer(network: Network, index: int) -> nn.Conv1d:
    return cast("nn.Conv1d", network.convolutions[index])


def random_codes(n: int, length: int, seed: int = 0) -> dna.Codes:
    return np.random.default_rng(seed).integers(0, 5, (n, length), dtype=np.uint8)


def reference_logits(network: Network, codes: dna.Codes) -> NDArray[np.float64]:
    """Compute the network as the paper describes it, in float64, one position at a time."""
    weights = {name: w.double().numpy() for name, w in network.state_dict().items()}

    def convolve(x: NDArray[np.float64], name: str, *, strands: bool) -> NDArray[np.float64]:
        w, b = weights[f"{name}.weight"], weights[f"{name}.bias"]
        width = w.shape[2]
        kernels = [w, w[:, ::-1, ::-1]] if strands else [w]
        return np.array(
            [
                max_over(
                    [np.tensordot(k, x[:, p : p + width], axes=([1, 2], [0, 1])) for k in kernels]
                )
                + b
                for p in range(x.shape[1] - width + 1)
            ]
        ).T

    def max_over(scores: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        best: NDArray[np.float64] = np.max(scores, axis=0)
        return best

    logits = []
    for row in dna.one_hot(codes).astype(np.float64):
        x = first = row
        for index, layer in enumerate(network.architecture.convolutions):
            source = x if network.architecture.chained or index == 0 else first
            scores = convolve(source, f"convolutions.{index}", strands=index == 0)
            pools = scores.shape[1] // layer.pool
            pooled = scores[:, : pools * layer.pool].reshape(len(scores), pools, layer.pool)
            x = np.maximum(pooled.max(axis=2), 0)
            first = x if index == 0 else first
        units = x.ravel()
        for index in range(len(network.architecture.dense)):
            w, b = weights[f"dense.{index}.weight"], weights[f"dense.{index}.bias"]
            units = np.maximum(w @ units + b, 0)
        logits.append(weights["output.weight"] @ units + weights["output.bias"])
    return np.array(logits)


@given(architectures, st.integers(0, 2**32 - 1), st.integers(0, 7))
def test_a_network_computes_what_the_paper_describes(
    architecture: Architecture, seed: int, more: int
) -> None:
    architecture = replace(architecture, length=architecture.length + more)
    network = Network(architecture, generator=generator(seed)).eval()
    codes = random_codes(2, architecture.length, seed)
    with torch.no_grad():
        found = network(one_hot(torch.from_numpy(codes))).numpy()
    np.testing.assert_allclose(found, reference_logits(network, codes), rtol=1e-4, atol=1e-5)


def test_published_networks_have_the_published_sizes() -> None:
    assert NETWORKS["enhancer"].pooled_lengths() == [164, 40, 9]
    assert NETWORKS["tf"].pooled_lengths() == [164, 54]
    assert NETWORKS["original_code"].pooled_lengths() == [164, 40, 40]
    # 20*4*9+20 + 30*20*5+30 + 40*30*3+40 + 90*360+90 + 45*90+45 + 2*45+2
    assert sum(p.numel() for p in Network(NETWORKS["enhancer"]).parameters()) == 44_087


def test_the_original_code_discards_its_second_convolution() -> None:
    network = Network(NETWORKS["original_code"], generator=generator()).eval()
    x = one_hot(torch.from_numpy(random_codes(2, 500)))
    with torch.no_grad():
        before = network(x)
        layer(network, 1).weight.add_(1)
        assert torch.equal(network(x), before)
        layer(network, 2).weight.add_(1)
        assert not torch.equal(network(x), before)


def test_the_original_code_draws_first_weights_with_standard_deviation_root_two_over_four() -> None:
    draws = [Network(NETWORKS["original_code"], generator=generator(s)) for s in range(20)]
    weights = torch.cat([network.first_layer.weight.flatten() for network in draws])
    # 14,400 normal draws: the standard error of their standard deviation is sd / sqrt(2 n)
    assert weights.std().item() == pytest.approx(0.5**0.5, abs=5 * 0.5**0.5 / (2 * 14_400) ** 0.5)
    assert not draws[0].state_dict()["convolutions.0.bias"].any()


def test_initial_weights_are_uniform_within_one_over_root_fan_in() -> None:
    network = Network(NETWORKS["enhancer"], generator=generator())
    bound = 1 / (20 * 5) ** 0.5
    weight = layer(network, 1).weight
    assert weight.abs().max() <= bound
    # 3,000 draws: the largest is above 99 % of the bound but for a chance of .99 ** 3000 = 1e-13
    assert weight.abs().max() > 0.99 * bound


def test_a_filter_of_the_default_network_begins_on_where_it_fits_better_than_by_chance() -> None:
    architecture = named_architecture("motif_cnn")
    rng = np.random.default_rng(0)
    codes = torch.from_numpy(rng.integers(0, 4, (200, 500), dtype=np.uint8))
    drawn = Network(architecture, generator=generator())
    planted = plant_motifs([BUILTIN["CEBPA"]], architecture)
    with torch.no_grad():
        drawn.first_layer.weight[0] = torch.from_numpy(planted.parameters[: 4 * 19]).view(4, 19)
        assert planted.into(drawn.flat_parameters())[96 * 4 * 19] == np.float32(
            first_bias(architecture)
        )
        pooled = drawn.first_layer(one_hot(codes))
        # 0 is in the middle of what is pooled, so that about half of the pools are on.
        assert pooled.mean().item() == pytest.approx(0, abs=0.05)
        assert (pooled > 0).float().mean().item() == pytest.approx(0.45, abs=0.1)
        second = torch.relu(drawn.convolutions[1](torch.relu(pooled)))
        assert (second.amax(dim=(0, 2)) > 0).float().mean() > 0.6  # few filters are never on


def test_weights_come_from_the_given_generator_alone() -> None:
    outputs = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        outputs.append(Network(SMALL, generator=generator(7)).state_dict()["output.weight"])
    assert torch.equal(*outputs)


@given(st.integers(0, 2**32 - 1))
def test_the_first_layer_reads_both_strands_alike(seed: int) -> None:
    first = ReverseComplementConvolution(Convolution(3, 5, 1))
    forward = random_codes(2, 20, seed)
    with torch.no_grad():
        one = first(one_hot(torch.from_numpy(forward)))
        other = first(one_hot(torch.from_numpy(dna.reverse_complement(forward))))
    torch.testing.assert_close(one, other.flip(2))


def test_strands_that_match_alike_share_the_gradient() -> None:
    first = ReverseComplementConvolution(Convolution(1, 2, 1))
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[[1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 1.0]]]))  # A, T
        first.weight[0, 1, 0] = 0.5
    x = one_hot(torch.tensor([[0, 3]], dtype=torch.uint8))  # AT, its own reverse complement
    first(x.requires_grad_()).sum().backward()
    assert x.grad is not None
    assert x.grad[0].tolist() == [[1, 0], [0.25, 0], [0, 0.25], [0, 1]]


def test_a_mask_multiplies_what_the_last_layer_reads() -> None:
    network = Network(SMALL, generator=generator())
    x = one_hot(torch.from_numpy(random_codes(3, 30)))
    with torch.no_grad():
        assert torch.equal(network(x, torch.ones(3, 4)), network(x))
        assert torch.equal(network(x, torch.zeros(3, 4)), network.output.bias.expand(3, 2))


def test_one_hot_on_a_device_equals_one_hot_in_numpy() -> None:
    codes = random_codes(3, 11)
    np.testing.assert_array_equal(one_hot(torch.from_numpy(codes)).numpy(), dna.one_hot(codes))
