"""A track along a genome on one core, beside the same windows one by one in PyTorch.

    python benchmarks/scanning.py [BP]

A chromosome of 5 Mb, or so many bp as given, from FASTA to bigWig: a window every 50 bp, both
strands. PyTorch takes the place of the engine only; reading and writing are ours, the same for
both. Fails if a value differs by 1e-5. Then times at 1, 2, 4 and 8 Mb tell how ours grow.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pyBigWig
import torch
from numpy.typing import ArrayLike, NDArray
from turns import machine, one_core, record, report, take_turns

from enhancer_core.architecture import Architecture, architecture
from enhancer_core.dna import Codes, decode
from enhancer_core.intervals import from_rows
from enhancer_core.io.genome import open_genome
from enhancer_core.io.tracks import write_track
from enhancer_core.model import Network, one_hot
from enhancer_core.predict import BATCH, Scorer, track

TURNS, STEP, LINE = 3, 50, 60
GROWTH = (1, 2, 4, 8)  # Mb


def main(bp: str = "5000000") -> None:
    """Scan in turns, then at several sizes."""
    torch.set_num_threads(1)
    print(machine(("numpy", "numba", "torch")))
    network = Network(architecture("enhancer"), generator=torch.Generator().manual_seed(0)).eval()
    with tempfile.TemporaryDirectory(prefix="enhancer-core-") as name:
        folder = Path(name)
        genome = chromosome(folder, int(bp))
        peer = WindowByWindow(network)
        contenders = {
            "enhancer_core": partial(scan, network, genome, folder / "ours.bw"),
            "PyTorch, window by window": partial(scan, peer, genome, folder / "peers.bw"),
        }
        times = take_turns(contenders, turns=TURNS)
        worst = np.abs(values(folder / "ours.bw") - values(folder / "peers.bw")).max()
        if worst > 1e-5:
            sys.exit(f"PyTorch: probabilities differ by {worst}")
        report(
            f"track of {int(bp) / 1e6:g} Mb, both strands",
            times,
            unit="us a bin",
            per=int(bp) / STEP / 1e6,
            bars={"PyTorch, window by window": 8},
        )
        runs: dict[str, Callable[[], object]] = {
            f"{size} Mb": partial(
                scan, network, chromosome(folder, size * 10**6), folder / "grown.bw"
            )
            for size in GROWTH
        }
        seconds = [float(each.min()) for each in take_turns(runs, turns=TURNS).values()]
    exponent = float(np.polyfit(np.log(GROWTH), np.log(seconds), 1)[0])
    shown = ", ".join(f"{size}: {spent:.2f} s" for size, spent in zip(runs, seconds, strict=True))
    print(f"growth: exponent {exponent:.2f} ({shown})")
    record("growth", {"task": "track", "exponent": exponent, "shown": shown})


class WindowByWindow:
    """A network that PyTorch runs layer by layer, on windows laid out."""

    def __init__(self, network: Network) -> None:
        self._network = network

    @property
    def architecture(self) -> Architecture:
        """What it is made of."""
        return self._network.architecture

    def predictor(self) -> WindowByWindow:
        """Predict with what it is."""
        return self

    def logits(self, codes: Codes) -> NDArray[np.float32]:
        """Compute the logits of sequences."""
        with torch.inference_mode():
            found: NDArray[np.float32] = self._network(one_hot(torch.from_numpy(codes))).numpy()
        return found

    def scanned_logits(self, codes: Codes, starts: ArrayLike) -> NDArray[np.float32]:
        """Compute the logits of windows, each on its own."""
        begins = np.asarray(starts)
        windows = np.lib.stride_tricks.sliding_window_view(codes, self.architecture.length)
        batches = [windows[begins[i : i + BATCH]] for i in range(0, len(begins), BATCH)]
        return np.concatenate([np.zeros((0, 2), np.float32), *map(self.logits, batches)])

    def substituted_logits(
        self, codes: Codes, rows: ArrayLike, positions: ArrayLike, bases: ArrayLike
    ) -> NDArray[np.float32]:
        """Not needed to scan."""
        raise NotImplementedError


def chromosome(folder: Path, bp: int) -> Path:
    """Write a genome of one random chromosome, with its index."""
    path = folder / f"{bp}.fa"
    if not path.exists():
        codes = np.random.default_rng(0).integers(0, 4, (1, bp), dtype=np.uint8)
        (letters,) = decode(codes)
        lines = (letters[at : at + LINE] for at in range(0, bp, LINE))
        path.write_text("\n".join([">chr1", *lines, ""]))
        with open_genome(path):
            pass
    return path


def scan(network: Scorer, genome: Path, output: Path, *, threads: int = 1) -> None:
    """Predict a genome's track, as `enhancer-core predict --both-strands --threads N` does."""
    with open_genome(genome) as opened:
        whole = from_rows((chrom, 0, bp) for chrom, bp in opened.lengths.items())
        stretches = track(network, opened, whole, step=STEP, both_strands=True, threads=threads)
        write_track(output, stretches, opened.lengths)


def values(path: Path) -> NDArray[np.float64]:
    """Read a bigWig's values."""
    with pyBigWig.open(str(path)) as file:
        return np.array([value for chrom in file.chroms() for *_, value in file.intervals(chrom)])


if __name__ == "__main__":
    one_core()
    main(*sys.argv[1:])
