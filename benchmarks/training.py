"""Training on one core in mini-batches of 50, beside PyTorch and, where installed, TensorFlow.

    python benchmarks/training.py

First the paper's enhancer network, then others that a user can configure. TensorFlow trains the
same layers as one compiled graph. Fails if PyTorch's loss of the first mini-batch differs by 1e-4
of its size; TensorFlow's differs, since its weights are its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from turns import machine, one_core, report, take_turns

from enhancer_core.dna.codes import Codes, one_hot
from enhancer_core.models.architecture import DEFAULT_NETWORK, NETWORKS, Architecture, Convolution
from enhancer_core.models.cpu.learner import CpuLearner
from enhancer_core.models.network import Network
from enhancer_core.models.network import one_hot as one_hot_tensor
from enhancer_core.models.parameters import shapes

STEPS, BATCH, RATE = 10, 50, 1e-3
OTHERS = {
    "single-TF network": NETWORKS["tf"],
    "one convolution, no dense layer": Architecture(
        convolutions=(Convolution(32, 15, 8),), dense=()
    ),
    "64 wide filters": Architecture(
        convolutions=(Convolution(64, 19, 4), Convolution(64, 7, 4)), dense=(64,)
    ),
    "128 filters, no pool": Architecture(
        convolutions=(Convolution(128, 11, 1), Convolution(32, 5, 8)), dense=(100,), length=200
    ),
    "dense of 512": Architecture(convolutions=(Convolution(20, 9, 3),), dense=(512,), length=300),
}

Train = Callable[[], list[float]]
Tensor: TypeAlias = Any  # of TensorFlow, which has no types


def main() -> None:
    """Train each network in turns with its peers."""
    torch.set_num_threads(1)
    print(machine(("numpy", "numba", "torch", "tensorflow_cpu")))
    compare("enhancer network", NETWORKS["enhancer"], bar=5, peers={"TensorFlow": tensorflow})
    compare("network of the default", NETWORKS[DEFAULT_NETWORK], bar=5)
    for name, architecture in OTHERS.items():
        compare(name, architecture, bar=1, turns=5)


def compare(
    name: str,
    architecture: Architecture,
    *,
    bar: float,
    turns: int = 9,
    peers: dict[str, Callable[[Architecture, Codes, NDArray[np.int64]], Train | None]]
    | None = None,
) -> None:
    """Train one network in turns with its peers."""
    architecture = replace(architecture, dropout=0.0)  # so that losses can be compared
    network = Network(architecture, generator=torch.Generator().manual_seed(0))
    learner = CpuLearner(architecture, network.flat_parameters())
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (STEPS, BATCH, architecture.length), dtype=np.uint8)
    labels = rng.integers(0, 2, (STEPS, BATCH))

    def ours() -> list[float]:
        return [learner.step(x, y, rate=RATE) for x, y in zip(codes, labels, strict=True)]

    def pytorch() -> list[float]:
        losses = []
        for x, y in zip(codes, labels, strict=True):
            logits = network(one_hot_tensor(torch.from_numpy(x)))
            loss = functional.cross_entropy(logits, torch.from_numpy(y))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(loss.item())
        return losses

    first, exact = ours()[0], pytorch()[0]
    if abs(first - exact) > 1e-4 * exact:  # later ones drift apart, as rounding differs
        sys.exit(f"{name}: losses differ: {first} and {exact}")
    contenders: dict[str, Train] = {"enhancer_core": ours, "PyTorch eager": pytorch}
    for peer, make in (peers or {}).items():
        made = make(architecture, codes, labels)
        if made is None:
            print(f"{peer}: not measured, since it is not installed")
        else:
            contenders[peer] = made
    report(
        f"training, {name}",
        take_turns(contenders, turns=turns),
        unit="us a sequence",
        per=STEPS * BATCH / 1e6,
        bars={"PyTorch eager": bar, "TensorFlow": 2.5},
    )


def tensorflow(architecture: Architecture, codes: Codes, labels: NDArray[np.int64]) -> Train | None:
    """Train the same layers in TensorFlow; None where it is not installed."""
    try:
        import tensorflow as tf
    except ImportError:
        return None
    weights, logits = tensorflow_network(tf, architecture)
    means, squares = ([tf.Variable(tf.zeros_like(each)) for each in weights] for _ in range(2))
    steps = tf.Variable(0.0)

    @tf.function  # type: ignore[untyped-decorator]
    def step(x: Tensor, y: Tensor) -> Tensor:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits(x))
            )
        steps.assign_add(1.0)
        gradients = tape.gradient(loss, weights)
        for weight, gradient, mean, square in zip(weights, gradients, means, squares, strict=True):
            mean.assign(0.9 * mean + 0.1 * gradient)
            square.assign(0.999 * square + 0.001 * gradient**2)
            root = tf.sqrt(square / (1 - 0.999**steps)) + 1e-8
            weight.assign_sub(RATE * mean / (1 - 0.9**steps) / root)
        return loss

    def train() -> list[float]:
        return [
            float(step(tf.constant(one_hot(x).transpose(0, 2, 1)), tf.constant(y)))
            for x, y in zip(codes, labels, strict=True)
        ]

    return train


def tensorflow_network(
    tf: ModuleType, architecture: Architecture
) -> tuple[list[Tensor], Callable[[Tensor], Tensor]]:
    """Make a network's weights and the function from one-hot sequences to logits."""
    rng = np.random.default_rng(0)

    def weight(shape: tuple[int, ...]) -> Tensor:
        """Draw as we do; TensorFlow has the axes the other way round."""
        bound = 1 / np.sqrt(np.prod(shape[1:], initial=1))
        return tf.Variable(rng.uniform(-bound, bound, shape[::-1]).astype(np.float32))

    weights = [weight(shape) for shape in shapes(architecture).values()]
    pairs = list(zip(weights[::2], weights[1::2], strict=True))

    def logits(x: Tensor) -> Tensor:
        for index, layer in enumerate(architecture.convolutions):
            kernel, bias = pairs[index]
            # As our PyTorch does: both strands in one convolution, the bias after the pool.
            both = tf.concat([kernel, kernel[::-1, ::-1]], -1) if index == 0 else kernel
            y = tf.nn.conv1d(x, both, 1, "VALID")
            y = tf.nn.max_pool1d(y, layer.pool, layer.pool, "VALID")
            y = tf.maximum(*tf.split(y, 2, -1)) if index == 0 else y
            x = tf.nn.relu(y + bias)
        x = tf.reshape(x, (BATCH, -1))
        for kernel, bias in pairs[len(architecture.convolutions) : -1]:
            x = tf.nn.relu(x @ kernel + bias)
        return x @ pairs[-1][0] + pairs[-1][1]

    return weights, logits


if __name__ == "__main__":
    one_core()
    main()
