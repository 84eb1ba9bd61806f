"""What one core could do at best: operations counted, and its peak at them measured.

    python benchmarks/limits.py

Imported by benchmarks whose ratio to a peer is bounded by arithmetic in float32.
"""

from __future__ import annotations

import numpy as np
from turns import Result, cpu_seconds, machine, one_core, record

from enhancer_core.dna._numba import compiled
from enhancer_core.models.architecture import BASES, CLASSES, NETWORKS, Architecture
from enhancer_core.models.cpu.forward import multiply
from enhancer_core.models.cpu.layout import COLUMNS, LETTERS, ROWS, Floats

TILES, DEPTH, CALLS, REPEATS = 8, 128, 2000, 9
WIDTH = 2 * COLUMNS  # the most columns of a tile


def operations(architecture: Architecture) -> int:
    """Count the additions and multiply-adds of one sequence, as the engine takes them.

    The first layer adds a number a word of three letters and strand; what the pools leave out at
    the end of a layer is not computed.
    """
    lengths, channels, total = architecture.pooled_lengths(), BASES, 0
    for index, (layer, length) in enumerate(zip(architecture.convolutions, lengths, strict=True)):
        reads = 2 * -(-layer.width // LETTERS) if index == 0 else channels * layer.width
        total += length * layer.pool * layer.filters * reads
        channels = layer.filters
    units = channels * lengths[-1]
    for size in (*architecture.dense, CLASSES):
        total += units * size
        units = size
    return total


def peak() -> float:
    """Measure the multiply-adds a second of a matrix product that stays in the nearest cache."""
    rows = TILES * ROWS
    x, w = np.ones(rows * DEPTH, np.float32), np.ones(DEPTH * WIDTH, np.float32)
    out, nothing = np.empty(rows * WIDTH, np.float32), np.zeros(WIDTH, np.float32)
    seconds = []
    for _ in range(REPEATS + 1):  # the first compiles
        start = cpu_seconds()
        _multiply_again(x, w, nothing, out, rows)
        seconds.append(cpu_seconds() - start)
    return CALLS * rows * DEPTH * WIDTH / min(seconds)


@compiled
def _multiply_again(x: Floats, w: Floats, nothing: Floats, out: Floats, rows: int) -> None:
    for _ in range(CALLS):
        multiply(x, 0, DEPTH, 1, DEPTH, w, 0, WIDTH, WIDTH, nothing, 0, 0, out, 0, WIDTH, rows)


def report_limit(result: Result, architecture: Architecture, *, sequences: float) -> None:
    """Print and record the time that arithmetic alone would take, in the result's unit.

    `sequences` that take a second take one unit: 1e6 if it is us a sequence, n if s for n.
    """
    least = sequences * operations(architecture) / peak()
    shown = (
        f"{operations(architecture):,} additions and multiply-adds a sequence take at least"
        f" {least:.3g} {result.unit} at the measured peak of one core: at most"
        f" {result.peers / least:.1f} x {result.peer}"
    )
    print(f"  limit: {shown}")
    record("limit", {"task": result.task, "shown": shown})


if __name__ == "__main__":
    one_core()
    print(machine(("numpy", "numba")))
    for name, each in NETWORKS.items():
        print(f"{name}: {operations(each):,} operations, {1e6 * operations(each) / peak():.1f} us")
