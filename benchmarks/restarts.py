"""Restarts on two cores, beside one: wall-clock time of one training run.

    python benchmarks/restarts.py

Fails if the networks that come out differ by a bit.
"""

from __future__ import annotations

import os
import sys
import time

import numpy as np
from turns import machine, one_thread_each, report, take_turns

from enhancer_core.data.dataset import make_dataset
from enhancer_core.data.splits import split
from enhancer_core.models.architecture import named_architecture
from enhancer_core.training.config import TrainConfig
from enhancer_core.training.trainer import train

SEQUENCES, CONFIG = 4000, TrainConfig(restarts=8, epochs=2)


def main() -> None:
    """Train in turns."""
    print(machine(("numpy", "numba", "torch")))
    if (os.cpu_count() or 1) < 2:
        print("not measured: this machine has one core")
        return
    rng = np.random.default_rng(0)
    names = [f"sequence_{index}" for index in range(SEQUENCES // 2)]
    both = rng.integers(0, 4, (2, len(names), 500), dtype=np.uint8)
    positives, negatives = (
        [(file, [f"{file}_{name}" for name in names], codes)]
        for file, codes in zip(("positives", "negatives"), both, strict=True)
    )
    data = split(make_dataset(positives, negatives), rng=rng)
    architecture = named_architecture("enhancer")

    def with_threads(threads: int) -> bytes:
        model = train(data, architecture, CONFIG, threads=threads).model
        return b"".join(member.parameters.tobytes() for member in model.members)

    if with_threads(1) != with_threads(2):
        sys.exit("two cores give another network than one")
    contenders = {"two cores": lambda: with_threads(2), "one core": lambda: with_threads(1)}
    times = take_turns(contenders, turns=3, clock=time.perf_counter)
    report("restarts, wall-clock", times, bars={"one core": 1.8})


if __name__ == "__main__":
    one_thread_each()
    main()
