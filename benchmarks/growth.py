"""How CPU time grows with the size of a task: the exponent of a power fitted to four sizes.

    python benchmarks/growth.py

1 is linear. Sizes double three times, from one at which a run takes a tenth of a second or more.
`scanning.py` tells how a track grows.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from turns import cpu_seconds, machine, one_core, record

from enhancer_core.architecture import architecture
from enhancer_core.dataset import make_dataset, split
from enhancer_core.dna import Codes, decode
from enhancer_core.intervals import from_rows
from enhancer_core.io.genome import open_genome
from enhancer_core.model import Network
from enhancer_core.predict import probabilities
from enhancer_core.protocol import TrainConfig
from enhancer_core.shuffle import k_shuffle
from enhancer_core.train import train

DOUBLINGS, REPEATS = (1, 2, 4, 8), 3
WANTED = architecture("enhancer")


def main() -> None:
    """Time each task at its sizes, and print the exponents."""
    print(machine(("numpy", "numba", "torch")))
    network = Network(WANTED)
    tasks: dict[str, tuple[int, Callable[[int], Callable[[], object]]]] = {
        "prediction, sequences": (
            4000,
            lambda n: (lambda codes: lambda: probabilities(network, codes))(random_codes(n)),
        ),
        "4-shuffle, sequences": (4000, shuffles),
        "training, sequences": (1000, lambda n: trains(n, 1)),
        "training, restarts": (1, lambda n: trains(1000, n)),
        "extraction from a genome, windows": (5000, extracts),
    }
    for name, (least, make) in tasks.items():
        sizes = [least * factor for factor in DOUBLINGS]
        seconds = [best(make(size)) for size in sizes]
        exponent = float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
        shown = ", ".join(
            f"{size:,}: {spent:.2f} s" for size, spent in zip(sizes, seconds, strict=True)
        )
        print(f"{name}: exponent {exponent:.2f} ({shown})")
        record("growth", {"task": name, "exponent": exponent, "shown": shown})


def best(run: Callable[[], object]) -> float:
    """Give the least CPU time of a few runs, after one that warms up."""
    run()
    spent = []
    for _ in range(REPEATS):
        start = cpu_seconds()
        run()
        spent.append(cpu_seconds() - start)
    return min(spent)


def random_codes(n: int) -> Codes:
    """Draw n sequences that the network reads."""
    return np.random.default_rng(0).integers(0, 4, (n, WANTED.length), dtype=np.uint8)


def shuffles(n: int) -> Callable[[], object]:
    """Prepare to shuffle n sequences."""
    codes = random_codes(n)
    return lambda: k_shuffle(codes, k=4, rng=np.random.default_rng(0))


def trains(n: int, restarts: int) -> Callable[[], object]:
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


def extracts(n: int) -> Callable[[], object]:
    """Prepare to cut n windows out of a genome of 10 Mb."""
    folder = tempfile.mkdtemp(prefix="enhancer-core-")
    fasta = Path(folder) / "genome.fa"
    rng = np.random.default_rng(0)
    (letters,) = decode(rng.integers(0, 4, (1, 10_000_000), dtype=np.uint8))
    lines = "\n".join(letters[at : at + 60] for at in range(0, len(letters), 60))
    fasta.write_text(f">chr1\n{lines}\n")
    windows = from_rows(
        ("chr1", start, start + WANTED.length)
        for start in rng.integers(0, len(letters) - WANTED.length, n).tolist()
    )

    def extract() -> None:
        with open_genome(fasta) as genome:
            genome.windows(windows)

    return extract


if __name__ == "__main__":
    one_core()
    main()
