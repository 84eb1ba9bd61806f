"""Time k-shuffles on one core, ours and SeqPro's in turns.

    python benchmarks/shuffle.py [SEQUENCES.fa]

Without a file, on random DNA: 2,000 sequences of 500 bp. Times are CPU times of this process, in
microseconds a sequence, medians over rounds; the ratio is SeqPro's time over ours, round by round.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna import Codes, decode, k_let_counts
from enhancer_core.io.fasta import read_sequences
from enhancer_core.shuffle import k_shuffle

Shuffle: TypeAlias = Callable[[int, int], NDArray[Any]]  # of k and a seed

KS = (1, 2, 3, 4, 6, 8, 10)
ROUNDS = 31


def main() -> None:
    """Print the machine, the versions and a row for each k."""
    if len(sys.argv) > 1:
        codes = read_sequences(Path(sys.argv[1])).codes[:2000]
    else:
        codes = np.random.default_rng(0).integers(0, 4, (2000, 500), dtype=np.uint8)
    packages = ["numpy", "numba"]
    contenders: list[Shuffle] = [
        lambda k, seed: k_shuffle(codes, k=k, rng=np.random.default_rng(seed))
    ]
    if importlib.util.find_spec("seqpro"):
        packages.append("seqpro")
        contenders.append(seqpro_shuffle(codes))
    print(f"{cpu_model()}; Python {platform.python_version()}", *map(release, packages), sep=", ")
    print(f"{len(codes):,} sequences of {codes.shape[1]} bp")
    if len(contenders) == 1:
        print("SeqPro is missing (pip install seqpro): its columns are left empty")
    print("k", "ours us", "SeqPro us", "ratio", "5 % to 95 %", sep="\t")
    for k in KS:
        check_counts(codes, contenders[0](k, 0), k)
        times = np.array([[cpu_time(c, k, seed) for c in contenders] for seed in range(ROUNDS + 1)])
        times = times[1:] / len(codes) * 1e6  # the first round warms up
        print(k, *(f"{time:.1f}" for time in np.median(times, axis=0)), sep="\t", end="")
        if len(contenders) == 2:
            low, middle, high = np.quantile(times[:, 1] / times[:, 0], [0.05, 0.5, 0.95])
            print(f"\t{middle:.2f}\t{low:.2f} to {high:.2f}", end="")
        print()


def seqpro_shuffle(codes: Codes) -> Shuffle:
    """Return SeqPro's shuffle of `codes`, held to one core."""
    os.environ["RAYON_NUM_THREADS"] = "1"
    import seqpro

    letters = np.array([list(row) for row in decode(codes)], dtype="S1")
    return lambda k, seed: seqpro.k_shuffle(letters, k, seqpro.DNA, length_axis=1, seed=seed)


def cpu_time(shuffle: Shuffle, k: int, seed: int) -> float:
    """Measure the seconds of CPU time that a shuffle takes, all threads together."""
    start = time.process_time()
    shuffle(k, seed)
    return time.process_time() - start


def check_counts(codes: Codes, shuffled: Codes, k: int) -> None:
    """Raise unless the first 200 shuffles have the k-lets of their input."""
    for before, after in zip(codes[:200], shuffled[:200], strict=True):
        if k_let_counts(before, k) != k_let_counts(after, k):
            raise AssertionError(f"k = {k}: counts differ")


def cpu_model() -> str:
    """Name the processor, where Linux tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def release(package: str) -> str:
    """Name a package with its version."""
    return f"{package} {version(package)}"


if __name__ == "__main__":
    main()
