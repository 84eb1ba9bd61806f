from __future__ import annotations

import numpy as np
import pytest
import torch

from enhancer_core.architecture import Architecture, Convolution, dropout_mask
from enhancer_core.engine import Learner
from enhancer_core.learner import TorchLearner
from enhancer_core.model import Network, one_hot

SMALL = Architecture(
    convolutions=(Convolution(6, 7, 4), Convolution(5, 3, 2)), dense=(8,), keep=0.5, length=60
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
    ours, oracle = Learner(SMALL, first_weights()), TorchLearner(SMALL, first_weights())
    for _ in range(10):
        codes = rng.integers(0, 5, (20, 60), dtype=np.uint8)
        labels = rng.integers(0, 2, 20)
        mask = dropout_mask(SMALL, 20, rng=rng)
        found, wanted = (x.step(codes, labels, rate=1e-3, mask=mask) for x in (ours, oracle))
        assert found == pytest.approx(wanted, rel=1e-4)
    for name in ("parameters", "mean", "square"):
        np.testing.assert_allclose(
            getattr(ours, name), getattr(oracle, name).detach().numpy(), rtol=1e-2, atol=1e-5
        )
