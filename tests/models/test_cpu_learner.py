from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from enhancer_core.models.architecture import Architecture, Convolution
from enhancer_core.models.cpu.learner import CpuLearner, ema_weight
from enhancer_core.models.network import Network, one_hot
from enhancer_core.models.parameters import cut, dropout_mask, tied_weights
from tests.torch_learner import TorchLearner

SMALL = Architecture(
    convolutions=(Convolution(6, 7, 4), Convolution(5, 3, 2)), dense=(8,), dropout=0.5, length=60
)


def first_weights() -> np.typing.NDArray[np.float32]:
    return Network(SMALL, generator=torch.Generator().manual_seed(0)).flat_parameters()


def test_steps_are_those_of_torch_with_its_own_adam() -> None:
    rng = np.random.default_rng(0)
    learner = TorchLearner(SMALL, first_weights())
    network = Network(SMALL, generator=torch.Generator().manual_seed(0))
    adam = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(10):
        codes = rng.integers(0, 5, (20, 60), dtype=np.uint8)
        labels = rng.integers(0, 2, 20)
        mask = dropout_mask(SMALL, 20, rng=rng)
        assert mask is not None
        logits = network(one_hot(torch.from_numpy(codes)), torch.from_numpy(mask))
        loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels))
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        assert learner.step(codes, labels, rate=1e-2, mask=mask) == pytest.approx(loss.item(), 1e-4)
    np.testing.assert_allclose(
        learner.parameters.detach().numpy(), network.flat_parameters(), rtol=1e-3, atol=1e-5
    )


def test_the_compiled_learner_takes_the_same_steps() -> None:
    rng = np.random.default_rng(0)
    ours, oracle = CpuLearner(SMALL, first_weights()), TorchLearner(SMALL, first_weights())
    for _ in range(10):
        codes = rng.integers(0, 5, (20, 60), dtype=np.uint8)
        labels = rng.integers(0, 2, 20)
        mask = dropout_mask(SMALL, 20, rng=rng)
        found, architecture = (x.step(codes, labels, rate=1e-3, mask=mask) for x in (ours, oracle))
        assert found == pytest.approx(architecture, rel=1e-4)
    for name in ("parameters", "mean", "square"):
        np.testing.assert_allclose(
            getattr(ours, name), getattr(oracle, name).detach().numpy(), rtol=1e-2, atol=1e-5
        )


def steps(
    learner: CpuLearner | TorchLearner, n: int, frozen: NDArray[np.bool_] | None = None
) -> None:
    """Take steps on random data, the same each time."""
    rng = np.random.default_rng(0)
    for _ in range(n):
        codes = rng.integers(0, 5, (20, 60), dtype=np.uint8)
        mask = dropout_mask(SMALL, 20, rng=rng)
        learner.step(codes, rng.integers(0, 2, 20), rate=1e-2, mask=mask, frozen=frozen)


def test_decay_is_that_of_torchs_adamw_on_weights_alone() -> None:
    rng = np.random.default_rng(0)
    learner = TorchLearner(SMALL, first_weights(), weight_decay=0.5)
    network = Network(SMALL, generator=torch.Generator().manual_seed(0))
    named = dict(network.named_parameters())
    adam = torch.optim.AdamW(
        [
            {"params": [p for n, p in named.items() if n.endswith("weight")], "weight_decay": 0.5},
            {"params": [p for n, p in named.items() if n.endswith("bias")], "weight_decay": 0.0},
        ],
        lr=1e-2,
    )
    for _ in range(10):
        codes = rng.integers(0, 5, (20, 60), dtype=np.uint8)
        labels = rng.integers(0, 2, 20)
        logits = network(one_hot(torch.from_numpy(codes)))
        loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels))
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        learner.step(codes, labels, rate=1e-2)
    np.testing.assert_allclose(
        learner.prediction_weights(), network.flat_parameters(), rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize("make", [CpuLearner, TorchLearner])
def test_the_running_mean_follows_the_weights_and_warms_up(
    make: type[CpuLearner | TorchLearner],
) -> None:
    learner = make(SMALL, first_weights(), average=0.6)
    exact = first_weights().astype(np.float64)
    for step in range(1, 13):
        steps(learner, 1)
        decay = min(0.6, (1 + step) / (10 + step))  # 2/11, 3/12, ... .6 from step 13
        exact = decay * exact + (1 - decay) * learner.state()["parameters"]
    np.testing.assert_allclose(learner.prediction_weights(), exact, rtol=1e-5, atol=1e-7)
    assert not np.allclose(learner.prediction_weights(), learner.state()["parameters"], atol=1e-3)


def test_a_long_running_mean_is_torchs_own() -> None:
    averaged = torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)  # type: ignore[no-untyped-call]
    learner = CpuLearner(SMALL, first_weights(), average=0.9)
    steps(learner, 90)  # by now the warm-up is over: 91 / 100
    mean = torch.from_numpy(learner.prediction_weights())
    for _ in range(5):
        steps(learner, 1)
        averaged([mean], [torch.from_numpy(learner.parameters)], 1)
    np.testing.assert_allclose(learner.prediction_weights(), mean.numpy(), rtol=1e-5, atol=1e-7)


def test_the_compiled_learner_decays_averages_and_holds_as_the_other_does() -> None:
    frozen = np.random.default_rng(1).random(len(first_weights())) < 0.5
    ours, oracle = (
        make(SMALL, first_weights(), weight_decay=0.5, average=0.9)
        for make in (CpuLearner, TorchLearner)
    )
    for learner in (ours, oracle):
        steps(learner, 3, frozen)
        steps(learner, 4)
    assert ours.state().keys() == oracle.state().keys()
    for name, array in ours.state().items():
        np.testing.assert_allclose(array, oracle.state()[name], rtol=1e-2, atol=1e-5)


@pytest.mark.parametrize("make", [CpuLearner, TorchLearner])
def test_what_is_held_stays_to_the_bit_and_the_rest_moves(
    make: type[CpuLearner | TorchLearner],
) -> None:
    first = first_weights()
    frozen = np.random.default_rng(1).random(len(first)) < 0.5
    learner = make(SMALL, first, weight_decay=0.5)
    steps(learner, 5, frozen)
    assert learner.prediction_weights()[frozen].tobytes() == first[frozen].tobytes()
    assert (learner.prediction_weights() != first)[
        ~frozen
    ].mean() > 0.9  # a unit that is never on has no slope
    steps(learner, 1)
    assert (learner.prediction_weights() != first)[frozen].mean() > 0.9


@pytest.mark.parametrize("make", [CpuLearner, TorchLearner])
def test_a_state_has_all_that_the_next_steps_need(make: type[CpuLearner | TorchLearner]) -> None:
    whole, half, rest = (
        make(SMALL, first_weights(), weight_decay=0.5, average=0.9) for _ in range(3)
    )
    steps(whole, 1)
    steps(whole, 1)
    steps(half, 1)
    rest.restore(half.state(), steps=half.steps)
    steps(rest, 1)
    assert rest.prediction_weights().tobytes() == whole.prediction_weights().tobytes()


def test_a_running_mean_of_few_steps_forgets_where_they_began() -> None:
    assert ema_weight(0.995, 1) == pytest.approx(9 / 11)
    assert ema_weight(0.995, 10**6) == pytest.approx(0.005)


@pytest.mark.parametrize("make", [CpuLearner, TorchLearner])
@pytest.mark.parametrize("dense", [(8,), ()])
def test_tied_weights_learn_as_one_weight_on_each_filters_mean(
    make: type[CpuLearner | TorchLearner], dense: tuple[int, ...]
) -> None:
    tied = replace(SMALL, dense=dense, dropout=0, tied=True)
    network = Network(tied, generator=torch.Generator().manual_seed(0))
    learner = make(tied, network.flat_parameters())
    where = tied_weights(tied)
    assert where is not None
    span, shape = where
    # The oracle: a mean over positions, and a layer with a weight for each filter.
    layers = [*network.dense, network.output]
    first = layers[0]
    first.weight = torch.nn.Parameter(first.weight.detach().view(shape)[:, :, 0] * shape[2])
    rates = [{"params": [p for p in network.parameters() if p is not first.weight]}]
    # Its weights are as many times larger, and so are its steps.
    rates.append({"params": [first.weight], "lr": 1e-3 * shape[2]})  # type: ignore[dict-item]
    adam = torch.optim.Adam(rates, lr=1e-3)
    rng = np.random.default_rng(0)
    for _ in range(10):
        codes = rng.integers(0, 5, (20, 60), dtype=np.uint8)
        labels = rng.integers(0, 2, 20)
        x = one_hot(torch.from_numpy(codes))
        for convolution in network.convolutions:
            x = torch.relu(convolution(x))
        x = x.mean(dim=2)
        for layer in layers[:-1]:
            x = torch.relu(layer(x))
        loss = torch.nn.functional.cross_entropy(layers[-1](x), torch.from_numpy(labels))
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        assert learner.step(codes, labels, rate=1e-3) == pytest.approx(loss.item(), rel=1e-4)
    each = learner.prediction_weights()[span].reshape(shape)
    np.testing.assert_allclose(each, np.broadcast_to(each[:, :, :1], shape), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(
        each[:, :, 0] * shape[2], first.weight.detach().numpy(), rtol=1e-2, atol=1e-3
    )
    assert cut(tied, learner.prediction_weights())["output.bias"] == pytest.approx(
        network.output.bias.detach().numpy(), rel=1e-2, abs=1e-4
    )
