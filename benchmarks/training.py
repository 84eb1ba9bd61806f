"""Training on one core in mini-batches of 50, beside PyTorch.

    python benchmarks/training.py [network]

Contenders take turns; see prediction.py for the table. Fails if the losses of the
first mini-batch differ by 1e-4 of their size.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before the libraries that read it

import sys
import time
from dataclasses import replace

import numpy as np
import torch
from prediction import report
from torch.nn import functional

from enhancer_core.architecture import architecture
from enhancer_core.engine import Learner
from enhancer_core.model import Network, one_hot

TURNS, STEPS, BATCH, RATE = 9, 10, 50, 1e-3


def main(name: str = "enhancer") -> None:
    """Take turns and print the table."""
    torch.set_num_threads(1)
    wanted = replace(architecture(name), keep=1.0)  # so that losses can be compared
    network = Network(wanted, generator=torch.Generator().manual_seed(0))
    learner = Learner(wanted, network.flat_parameters())
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (STEPS, BATCH, 500), dtype=np.uint8)
    labels = rng.integers(0, 2, (STEPS, BATCH))

    def ours() -> list[float]:
        return [learner.step(x, y, rate=RATE) for x, y in zip(codes, labels, strict=True)]

    def pytorch() -> list[float]:
        losses = []
        for x, y in zip(codes, labels, strict=True):
            loss = functional.cross_entropy(
                network(one_hot(torch.from_numpy(x))), torch.from_numpy(y)
            )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(loss.item())
        return losses

    first, exact = ours()[0], pytorch()[0]
    if abs(first - exact) > 1e-4 * exact:  # later ones drift apart, as rounding differs
        sys.exit(f"losses differ: {first} and {exact}")
    times: dict[str, list[float]] = {"enhancer_core": [], "PyTorch": []}
    for _ in range(TURNS):
        for who, train in (("enhancer_core", ours), ("PyTorch", pytorch)):
            start = time.process_time()
            train()
            times[who].append((time.process_time() - start) / codes[..., 0].size * 1e6)
    report(times, "us a sequence")


if __name__ == "__main__":
    main(*sys.argv[1:])
