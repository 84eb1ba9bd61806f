"""A track along a genome on one core, beside the same windows one by one in PyTorch.

    python benchmarks/scanning.py [MB]

A chromosome of 50 Mb, or so many as given, from FASTA to bigWig: a window every 50 bp, both
strands. PyTorch takes the place of the engine only; reading and writing are ours, the same for
both. It would take minutes for the whole, so that it scans 0.5, 1 and 2 Mb in each turn: its time
is that of 2 Mb, as many times as the whole is longer, and the exponent of its growth, which the
line says, tells that this is fair. Fails if a value of the first 2 Mb differs by 1e-5.
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
from turns import machine, one_core, report, take_turns

from enhancer_core.dna.codes import Codes, decode
from enhancer_core.dna.intervals import from_rows
from enhancer_core.io.genome import open_genome
from enhancer_core.io.tracks import write_track
from enhancer_core.models.architecture import named_architecture
from enhancer_core.models.ensemble import Predictor
from enhancer_core.models.model import Model
from enhancer_core.models.network import Network, one_hot
from enhancer_core.prediction.sequences import BATCH
from enhancer_core.prediction.tracks import track

WANTED = named_architecture("enhancer")
TURNS, STEP, LINE = 3, 50, 60
MB, PEERS = 10**6, (0.5, 1, 2)  # bp; Mb that the peer scans


def main(mb: str = "50") -> None:
    """Scan in turns."""
    torch.set_num_threads(1)
    print(machine(("numpy", "numba", "torch")))
    whole = float(mb)
    network = Network(WANTED, generator=torch.Generator().manual_seed(0)).eval()
    peer, ours = WindowByWindow(network), Model.from_torch(network).predictor()
    with tempfile.TemporaryDirectory(prefix="enhancer-core-") as name:
        folder = Path(name)
        sizes = [round(size * MB) for size in PEERS]
        check(ours, peer, chromosome(folder, sizes[-1]), folder)

        def scans(predictor: Predictor, bp: int) -> Callable[[], object]:
            return partial(scan, predictor, chromosome(folder, bp), folder / "track.bw")

        runs = {f"{size}": scans(peer, size) for size in sizes}
        times = take_turns({"": scans(ours, round(whole * MB)), **runs}, turns=TURNS)
    seconds = [np.median(times[size]) for size in runs]
    exponent = float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
    who = (
        f"PyTorch, window by window, {PEERS[-1]:g} Mb times {whole / PEERS[-1]:g}"
        f" (grows with exponent {exponent:.2f} from {PEERS[0]:g} Mb on)"
    )
    report(
        f"track of {whole:g} Mb, both strands, FASTA to bigWig",
        {"enhancer_core": times[""], who: times[str(sizes[-1])] * whole / PEERS[-1]},
        bars={who: 8},
    )


def check(ours: Predictor, peer: Predictor, genome: Path, folder: Path) -> None:
    """Stop unless both give the same track."""
    for predictor, name in ((ours, "ours.bw"), (peer, "peers.bw")):
        scan(predictor, genome, folder / name)
    worst = np.abs(values(folder / "ours.bw") - values(folder / "peers.bw")).max()
    if worst > 1e-5:
        sys.exit(f"PyTorch: probabilities differ by {worst}")


class WindowByWindow:
    """A network that PyTorch runs layer by layer, on windows laid out."""

    windows_per_call = BATCH

    def __init__(self, network: Network) -> None:
        self._network, self.length = network, network.architecture.length

    def logits(self, codes: Codes) -> NDArray[np.float32]:
        """Compute the logits of sequences."""
        with torch.inference_mode():
            found: NDArray[np.float32] = self._network(one_hot(torch.from_numpy(codes))).numpy()
        return found

    def scanned_logits(self, codes: Codes, starts: ArrayLike) -> NDArray[np.float32]:
        """Compute the logits of windows, each on its own."""
        begins = np.asarray(starts)
        windows = np.lib.stride_tricks.sliding_window_view(codes, self.length)
        batches = [windows[begins[i : i + BATCH]] for i in range(0, len(begins), BATCH)]
        return np.concatenate([np.zeros((0, 2), np.float32), *map(self.logits, batches)])

    def substituted_logits(
        self, codes: Codes, rows: ArrayLike, positions: ArrayLike, bases: ArrayLike
    ) -> NDArray[np.float32]:
        """Compute the logits of sequences with one base changed, each on its own."""
        changed = codes[np.asarray(rows)]
        changed[np.arange(len(changed)), np.asarray(positions)] = bases
        return self.logits(changed)


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


def scan(predictor: Predictor, genome: Path, output: Path, *, threads: int = 1) -> None:
    """Predict a genome's track, as `enhancer-core predict --both-strands --threads N` does."""
    with open_genome(genome) as opened:
        whole = from_rows((chrom, 0, bp) for chrom, bp in opened.lengths.items())
        stretches = track(predictor, opened, whole, step=STEP, both_strands=True, threads=threads)
        write_track(output, stretches, opened.lengths)


def values(path: Path) -> NDArray[np.float64]:
    """Read a bigWig's values."""
    with pyBigWig.open(str(path)) as file:
        return np.array([value for chrom in file.chroms() for *_, value in file.intervals(chrom)])


if __name__ == "__main__":
    one_core()
    main(*sys.argv[1:])
