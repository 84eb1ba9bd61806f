from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn import functional

from enhancer_core.dna.codes import Codes, encode, reverse_complement
from enhancer_core.errors import DatasetError, SequenceError
from enhancer_core.models.architecture import (
    NETWORKS,
    Architecture,
    Convolution,
    named_architecture,
    shortest_length,
)
from enhancer_core.models.cpu.learner import CpuLearner
from enhancer_core.models.network import Network, one_hot
from enhancer_core.models.parameters import cut
from tests.models.test_architecture import sliding
from tests.predictors import predictor_of

layers = st.builds(Convolution, st.integers(1, 35), st.integers(1, 8), st.integers(1, 5))
architectures = st.builds(
    lambda convolutions, dense, chained, extra: (
        lambda architecture: replace(architecture, length=shortest_length(architecture) + extra)
    )(Architecture(convolutions=tuple(convolutions), dense=tuple(dense), chained=chained)),
    st.lists(layers, min_size=1, max_size=4),
    st.lists(st.integers(1, 40), max_size=3),
    st.booleans(),
    st.integers(0, 40),
)
architectures = st.one_of(architectures, sliding)
SMALL = Architecture(
    convolutions=(Convolution(3, 4, 2), Convolution(5, 3, 2)), dense=(6, 4), dropout=0.5, length=30
)


def network(architecture: Architecture, seed: int = 0) -> Network:
    return Network(architecture, generator=torch.Generator().manual_seed(seed)).eval()


def random_codes(n: int, length: int, seed: int = 0) -> Codes:
    return np.random.default_rng(seed).integers(0, 5, (n, length), dtype=np.uint8)


def exact_logits(made: Network, codes: Codes) -> torch.Tensor:
    """Compute in float64, as PyTorch does."""
    made = made.double()
    logits: torch.Tensor = made(one_hot(torch.from_numpy(codes)).double())
    return logits


def assert_close(found: NDArray[np.float32], exact: NDArray[np.float64]) -> None:
    """Compare to 1e-5 of the largest number."""
    assert found.dtype == np.float32
    assert found.shape == exact.shape
    assert np.abs(found - exact).max() <= 1e-5 * max(float(np.abs(exact).max()), 1e-3)


def test_logits_are_those_worked_out_by_hand() -> None:
    architecture = Architecture(convolutions=(Convolution(1, 2, 2),), dense=(), length=5)
    made = network(architecture)
    with torch.no_grad():
        made.first_layer.weight.copy_(
            torch.tensor([[[1.0, 0.0], [0.0, 2.0], [0.0, 0.0], [0.0, 0.0]]])
        )
        made.first_layer.bias.fill_(-0.5)  # type: ignore[union-attr]
        made.output.weight.copy_(torch.tensor([[1.0, 0.0], [10.0, 100.0]]))
        made.output.bias.copy_(torch.tensor([0.25, 0.0]))
    # The filter reads AC as 3 and, on the other strand, GT as 3; N counts a quarter of each base.
    # ACAGT: pools (AC CA) and (AG GT) give 3 and 3, 2.5 each after the bias.
    # TTTTT: AA on the other strand, 1 and 1, 0.5 each.  NNNNN: 0.75 each, 0.25 each.
    # TAGGG: (TA AG): AG 1, TA 1, -> 1; (GG GG): CC on the other strand 2, -> 2.
    found = predictor_of(made).logits(encode(["ACAGT", "TTTTT", "NNNNN", "TAGGG"]))
    assert found.tolist() == [[2.75, 275.0], [0.75, 55.0], [0.5, 27.5], [0.75, 155.0]]


@settings(max_examples=40)
@given(architectures, st.integers(0, 70), st.integers(0, 2**32 - 1))
def test_logits_of_any_network_are_those_in_float64(
    architecture: Architecture, n: int, seed: int
) -> None:
    made, codes = network(architecture, seed), random_codes(n, architecture.length, seed)
    found = predictor_of(made).logits(codes)
    if n:
        assert_close(found, exact_logits(made, codes).detach().numpy())
    else:
        assert found.shape == (0, 2)


@pytest.mark.parametrize("name", NETWORKS)
def test_logits_of_the_published_networks_are_those_in_float64(name: str) -> None:
    made, codes = network(named_architecture(name)), random_codes(100, 500)
    assert_close(predictor_of(made).logits(codes), exact_logits(made, codes).detach().numpy())


def test_a_row_of_logits_depends_on_its_sequence_only() -> None:
    predictor, codes = predictor_of(network(named_architecture("enhancer"))), random_codes(103, 500)
    together = predictor.logits(codes)
    apart = np.concatenate([predictor.logits(codes[i : i + 1]) for i in range(len(codes))])
    assert together.tobytes() == apart.tobytes()
    with ThreadPoolExecutor(4) as pool:
        side_by_side = np.concatenate(list(pool.map(predictor.logits, np.array_split(codes, 7))))
    assert together.tobytes() == side_by_side.tobytes()


def test_the_first_layer_reads_both_strands_alike() -> None:
    # A pool as long as the sequence hides where a match lies, so that strands can be exchanged.
    architecture = Architecture(convolutions=(Convolution(9, 5, 26),), dense=(7,), length=30)
    predictor, codes = predictor_of(network(architecture)), random_codes(20, 30)
    other = np.ascontiguousarray(reverse_complement(codes))
    np.testing.assert_allclose(predictor.logits(codes), predictor.logits(other), rtol=1e-5)


def test_codes_that_lie_apart_in_memory_are_read_as_they_are() -> None:
    predictor, codes = predictor_of(network(SMALL)), random_codes(10, 60)
    assert np.array_equal(
        predictor.logits(codes[::2, ::2]), predictor.logits(codes[::2, ::2].copy())
    )


def test_sequences_that_the_network_cannot_read_are_refused() -> None:
    made = network(SMALL)
    learner = CpuLearner(SMALL, made.flat_parameters())
    with pytest.raises(SequenceError, match="sequences of 31 bp; the model reads 30 bp"):
        predictor_of(made).logits(random_codes(2, 31))
    with pytest.raises(SequenceError, match=r"code 5 at \(0, 0\) is not a base"):
        predictor_of(made).logits(np.full((1, 30), 5, np.uint8))
    with pytest.raises(SequenceError, match="sequences of 29 bp; the model reads 30 bp"):
        learner.step(random_codes(2, 29), np.array([0, 1]), rate=0.1)


@settings(max_examples=40)
@given(architectures, st.integers(1, 4), st.integers(0, 120), st.integers(0, 2**32 - 1))
def test_logits_of_changed_bases_are_those_of_the_changed_sequences(
    architecture: Architecture, n: int, changes: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    predictor, codes = (
        predictor_of(network(architecture, seed)),
        random_codes(n, architecture.length, seed),
    )
    rows, bases = rng.integers(0, n, changes), rng.integers(0, 5, changes)
    positions = rng.integers(0, architecture.length, changes)
    changed = codes[rows]
    changed[np.arange(changes), positions] = bases
    found = predictor.substituted_logits(codes, rows, positions, bases)
    assert np.array_equal(found, predictor.logits(changed))


def test_all_changes_of_a_sequence_are_predicted_as_the_changed_sequences() -> None:
    predictor, codes = predictor_of(network(named_architecture("enhancer"))), random_codes(1, 500)
    positions, bases = (each.ravel() for each in np.mgrid[:500, :5])
    changed = codes[np.zeros(2500, int)]
    changed[np.arange(2500), positions] = bases
    found = predictor.substituted_logits(codes, np.zeros(2500), positions, bases)
    assert np.array_equal(found, predictor.logits(changed))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ((2, 0, 0), "row 2 does not exist; allowed are 0 to 1"),
        ((0, -1, 0), "position -1 does not exist; allowed are 0 to 29"),
        ((0, 0, 5), "base 5 does not exist; allowed are 0 to 4"),
    ],
)
def test_changes_that_cannot_be_made_are_refused(
    change: tuple[int, int, int], message: str
) -> None:
    with pytest.raises(SequenceError, match=message):
        predictor_of(network(SMALL)).substituted_logits(random_codes(2, 30), *([i] for i in change))


def test_labels_and_masks_that_do_not_fit_are_refused() -> None:
    learner, codes = CpuLearner(SMALL, network(SMALL).flat_parameters()), random_codes(2, 30)
    with pytest.raises(DatasetError, match="labels of 2 sequences must be 2 numbers, each 0 or 1"):
        learner.step(codes, np.array([0, 2]), rate=0.1)
    with pytest.raises(DatasetError, match="labels of 2 sequences"):
        learner.step(codes, np.array([0, 1, 0]), rate=0.1)
    with pytest.raises(DatasetError, match=r"shape \(2, 3\), float32, .* needed is \(2, 4\)"):
        learner.step(codes, np.array([0, 1]), rate=0.1, mask=np.ones((2, 3), np.float32))


def exact_gradients(
    made: Network, codes: Codes, labels: NDArray[np.int64], mask: NDArray[np.float32]
) -> tuple[float, list[NDArray[np.float64]]]:
    """Differentiate in float64, the mask in the place of the network's own dropout."""
    kept = torch.from_numpy(mask).double()
    hook = made.output.register_forward_pre_hook(lambda _, inputs: (inputs[0] * kept,))
    loss = functional.cross_entropy(exact_logits(made, codes), torch.from_numpy(labels))
    loss.backward()  # type: ignore[no-untyped-call]
    hook.remove()
    return loss.item(), [
        np.zeros(p.shape) if p.grad is None else p.grad.numpy() for p in made.parameters()
    ]


@settings(max_examples=40)
@given(architectures, st.integers(1, 110), st.integers(0, 2**32 - 1))
def test_gradients_of_any_network_are_those_of_autograd_in_float64(
    architecture: Architecture, n: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    made, codes = network(architecture, seed), random_codes(n, architecture.length, seed)
    labels = rng.integers(0, 2, n)
    units = made.output.in_features
    mask = (rng.random((n, units)) < 0.7).astype(np.float32) / np.float32(0.7)
    learner = CpuLearner(architecture, made.flat_parameters())
    loss, gradients = learner.loss_and_gradients(codes, labels, mask=mask)
    exact_loss, exact = exact_gradients(made, codes, labels, mask)
    assert loss == pytest.approx(exact_loss, rel=1e-5)
    largest = max(float(np.abs(each).max()) for each in exact)
    ends = np.cumsum([0, *(each.size for each in exact)])
    for (start, end), each in zip(pairwise(ends), exact, strict=True):
        difference = np.abs(gradients[start:end].reshape(each.shape) - each).max()
        # A bias's gradient can be what is left of numbers many times as large.
        assert difference <= 1e-5 * max(float(np.abs(each).max()), 0.1 * largest)


def test_training_goes_where_pytorch_goes() -> None:
    made, codes = network(SMALL), random_codes(64, 30)
    labels = (codes == 1).sum(axis=1) % 2
    learner = CpuLearner(SMALL, made.flat_parameters())
    reference = network(replace(SMALL, dropout=0)).double()
    optimizer = torch.optim.Adam(reference.parameters(), lr=0.01)
    for _ in range(30):
        loss = functional.cross_entropy(exact_logits(reference, codes), torch.from_numpy(labels))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        assert learner.step(codes, labels, rate=0.01) == pytest.approx(loss.item(), rel=1e-3)
    assert learner.steps == 30
    np.testing.assert_allclose(learner.parameters, reference.flat_parameters(), atol=1e-3)


def test_training_gives_the_same_bytes_each_time_and_goes_on_from_a_saved_state() -> None:
    architecture, codes = named_architecture("tf"), random_codes(60, 500)
    labels = np.arange(60) % 2

    def learn(steps: int, learner: CpuLearner) -> CpuLearner:
        for _ in range(steps):
            learner.step(codes, labels, rate=1e-3)
        return learner

    first = network(architecture).flat_parameters()
    whole, again = (
        learn(6, CpuLearner(architecture, first)),
        learn(6, CpuLearner(architecture, first)),
    )
    half = learn(3, CpuLearner(architecture, first))
    rest = CpuLearner(architecture, half.parameters)
    rest.mean[:], rest.square[:], rest.steps = half.mean, half.square, half.steps
    learn(3, rest)
    assert whole.parameters.tobytes() == again.parameters.tobytes()
    assert whole.parameters.tobytes() == rest.parameters.tobytes()
    assert first.tobytes() == network(architecture).flat_parameters().tobytes()


@given(architectures)
def test_flat_parameters_can_be_cut_apart_again(architecture: Architecture) -> None:
    made = network(architecture)
    pieces = cut(architecture, made.flat_parameters())
    assert list(pieces) == list(made.state_dict())
    for name, tensor in made.state_dict().items():
        np.testing.assert_array_equal(pieces[name], tensor)
