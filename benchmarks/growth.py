"""How CPU time and memory grow with the size of a task, each size in a process of its own.

    python benchmarks/growth.py

Sizes double three times. Of the time, the least of a few runs, the exponent of a power is fitted: 1
is linear. Of the memory, the most that the process ever held, a straight line is: what an item
adds, and how far the worst of the four lies from the line.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
from scanning import chromosome, scan
from turns import cpu_seconds, machine, one_core, record

from enhancer_core.data.dataset import make_dataset
from enhancer_core.data.splits import split
from enhancer_core.dna.codes import Codes
from enhancer_core.dna.intervals import from_rows
from enhancer_core.dna.shuffle import k_shuffle
from enhancer_core.io.genome import open_genome
from enhancer_core.models.architecture import named_architecture
from enhancer_core.models.model import Model
from enhancer_core.models.network import Network
from enhancer_core.prediction.sequences import probabilities
from enhancer_core.training.config import TrainConfig
from enhancer_core.training.trainer import train

DOUBLINGS, REPEATS = (1, 2, 4, 8), 3
WANTED = named_architecture("enhancer")
GENOME_BP = 10_000_000
MB = 1e6

Run: TypeAlias = Callable[[], object]
Prepare: TypeAlias = Callable[[int, Path], Run]  # size, and a folder for files


def main() -> None:
    """Measure each task at its sizes, and print the fits."""
    print(machine(("numpy", "numba", "torch")))
    for name, (least, _) in TASKS.items():
        sizes = [least * factor for factor in DOUBLINGS]
        measured = [measure_apart(name, size) for size in sizes]
        seconds, peaks = (np.array(column) for column in zip(*measured, strict=True))
        exponent = float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
        line = np.polyfit(sizes, peaks, 1)
        off = float(np.abs(np.polyval(line, sizes) - peaks).max())
        times = ", ".join(f"{n:,}: {each:.2f} s" for n, each in zip(sizes, seconds, strict=True))
        memory = ", ".join(f"{each / MB:.0f}" for each in peaks)
        memory += f" MB: {line[0]:,.0f} bytes each, within {off / MB:.1f} MB of a line"
        print(f"{name}: exponent {exponent:.2f} ({times}); {memory}", flush=True)
        record("growth", {"task": name, "exponent": exponent, "times": times, "memory": memory})


def measure_apart(name: str, size: int) -> tuple[float, float]:
    """Measure in a process that does nothing else."""
    command = [sys.executable, __file__, name, str(size)]
    seconds, peak = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return seconds, peak


def measure(name: str, size: int) -> None:
    """Print the least CPU time of a few runs, in s, and the memory held at most, in bytes."""
    with tempfile.TemporaryDirectory(prefix="enhancer-core-") as folder:
        run = TASKS[name][1](size, Path(folder))
        run()
        seconds = []
        for _ in range(REPEATS):
            start = cpu_seconds()
            run()
            seconds.append(cpu_seconds() - start)
    # Not `getrusage`, which counts what the process held before it became this program.
    (peak,) = (
        int(line.split()[1]) * 1024
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmHWM:")
    )
    print(json.dumps([min(seconds), peak]))


def random_codes(n: int) -> Codes:
    """Draw n sequences that the network reads."""
    return np.random.default_rng(0).integers(0, 4, (n, WANTED.length), dtype=np.uint8)


def predicts(n: int, _: Path) -> Run:
    """Prepare to predict n sequences."""
    model, codes = Model.from_torch(Network(WANTED)), random_codes(n)
    return lambda: probabilities(model.predictor(), codes)


def shuffles(n: int, _: Path) -> Run:
    """Prepare to shuffle n sequences."""
    codes = random_codes(n)
    return lambda: k_shuffle(codes, k=4, rng=np.random.default_rng(0))


def trains(n: int, *, restarts: int) -> Run:
    """Prepare to train on n sequences for an epoch."""
    codes = random_codes(n)
    half = n // 2
    names = [f"sequence_{index}" for index in range(n)]
    data = split(
        make_dataset([("a", names[:half], codes[:half])], [("b", names[half:], codes[half:])]),
        rng=np.random.default_rng(0),
    )
    config = TrainConfig(restarts=restarts, epochs=1)
    return lambda: train(data, WANTED, config)


def extracts(n: int, folder: Path) -> Run:
    """Prepare to cut n windows out of a genome."""
    genome = chromosome(folder, GENOME_BP)
    windows = from_rows(
        ("chr1", start, start + WANTED.length)
        for start in np.random.default_rng(0).integers(0, GENOME_BP - WANTED.length, n).tolist()
    )

    def extract() -> None:
        with open_genome(genome) as opened:
            opened.windows(windows)

    return extract


def scans(bp: int, folder: Path) -> Run:
    """Prepare to predict a genome's track."""
    genome = chromosome(folder, bp)
    return lambda: scan(Model.from_torch(Network(WANTED)).predictor(), genome, folder / "track.bw")


TASKS: dict[str, tuple[int, Prepare]] = {  # the least size, and how to prepare
    "prediction, sequences": (4000, predicts),
    "4-shuffle, sequences": (4000, shuffles),
    "training, sequences": (1000, lambda n, _: trains(n, restarts=1)),
    "training, restarts": (1, lambda n, _: trains(1000, restarts=n)),
    "extraction, windows": (5000, extracts),
    "track, bp": (1_000_000, scans),
}


if __name__ == "__main__":
    one_core()
    if len(sys.argv) > 1:
        measure(sys.argv[1], int(sys.argv[2]))
    else:
        main()
