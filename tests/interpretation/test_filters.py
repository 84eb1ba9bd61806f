from __future__ import annotations

import numpy as np
import torch

from enhancer_core.dna.codes import encode, reverse_complement
from enhancer_core.interpretation.filters import filter_pfms, weight_ppms
from enhancer_core.models.architecture import Architecture, Convolution
from enhancer_core.models.network import Network
from tests.predictors import model_of

LENGTH = 30


def network_that_reads(word: str, *, bias: float) -> Network:
    """Make a network whose one filter scores +1 for each matching base."""
    architecture = Architecture(
        convolutions=(Convolution(1, len(word), 2),), dense=(), length=LENGTH
    )
    network = Network(architecture)
    codes = encode([word])[0]
    with torch.no_grad():
        network.first_layer.weight.zero_()
        network.first_layer.weight[0, torch.from_numpy(codes).long(), range(len(word))] = 1
        network.state_dict()["convolutions.0.bias"].fill_(bias)
    return network


def test_a_filter_is_counted_from_the_sites_that_activate_it_on_either_strand() -> None:
    codes = np.zeros((3, LENGTH), dtype=np.uint8)  # all A: scores at most 2 of 5, below the bias
    codes[0, 4:9] = encode(["GCTCC"])[0]
    codes[1, 11:16] = reverse_complement(encode(["GCTCC"]))[0]
    codes[2, 20:25] = encode(["GCTCG"])[0]
    # With bias -3 a full match activates by 2 and 4 of 5 bases by 1, which is half and so counts.
    pfm = filter_pfms(model_of(network_that_reads("GCTCC", bias=-3.0)), codes)[0]
    #                        G  C  T  C  C/G
    assert pfm.tolist() == [[0, 0, 0, 0, 0], [0, 3, 0, 3, 2], [3, 0, 0, 0, 1], [0, 0, 3, 0, 0]]


def test_sites_with_n_do_not_count() -> None:
    codes = np.zeros((2, LENGTH), dtype=np.uint8)
    codes[0, 4:9] = encode(["GCTCC"])[0]
    codes[1, 4:9] = encode(["GCTCN"])[0]
    assert filter_pfms(model_of(network_that_reads("GCTCC", bias=-3.0)), codes)[0].sum() == 5


def test_a_filter_that_nothing_activates_has_only_zeros() -> None:
    codes = np.zeros((2, LENGTH), dtype=np.uint8)
    assert not filter_pfms(model_of(network_that_reads("GCTCC", bias=-5.0)), codes).any()


def test_threads_do_not_change_the_counts() -> None:
    codes = np.random.default_rng(0).integers(0, 4, (700, LENGTH), dtype=np.uint8)
    network = network_that_reads("GCTCC", bias=-2.5)
    one, two = (filter_pfms(model_of(network), codes, threads=threads) for threads in (1, 2))
    assert one.sum() > 0
    assert np.array_equal(one, two)


def test_weights_are_read_as_log_odds() -> None:
    network = network_that_reads("GC", bias=0.0)
    with torch.no_grad():
        network.first_layer.weight[0, :, 1] = torch.tensor([0.0, np.log(2), np.log(4), np.log(8)])
    ppms = weight_ppms(model_of(network))
    assert ppms.shape == (1, 4, 2)
    share = 1 / (np.e + 3)
    np.testing.assert_allclose(ppms[0, :, 0], [share, share, np.e * share, share])
    np.testing.assert_allclose(ppms[0, :, 1], np.array([1, 2, 4, 8]) / 15, rtol=1e-6)
    assert network.first_layer.weight.requires_grad
