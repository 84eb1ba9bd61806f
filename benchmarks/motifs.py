"""Motifs on one core, beside PyTorch, a loop in numpy, and memelite.

    python benchmarks/motifs.py [DATABASE]

Best hits of two motifs, both strands, in 20,000 random sequences of 500 bp; PyTorch convolves
sequences that were one-hot before, and takes the maximum. Then 80 random filters of 9 bp against
800 motifs, of DATABASE or random ones: the similarity beside numpy one alignment at a time (160 of
the pairs, its time multiplied by 400), and TOMTOM's p-values beside memelite's where installed.
What memelite 0.5 takes to compile at its first call on a machine, 100 CPU seconds, is not counted.

Fails if scores differ by more than the steps they are rounded to, similarities by 1e-9, or the
p-values of a pair by a factor of 3 and those of half of the pairs by 2 %.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from turns import machine, one_core, report, take_turns

from enhancer_core.io.motifs import read_motifs
from enhancer_core.models.network import one_hot
from enhancer_core.motifs.homer import similarity
from enhancer_core.motifs.motif import BUILTIN, Matrix, Motif, ppm, pwm, reverse_complement
from enhancer_core.motifs.pssm import best_hits
from enhancer_core.motifs.tomtom import p_values

Scores = NDArray[np.floating]

SEQUENCES, LENGTH, BATCH = 20_000, 500, 256
FILTERS, WIDTH, TARGETS = 80, 9, 800
LOOPED = (4, 40)  # filters and motifs that the loop compares


def main(database: str = "") -> None:
    """Take turns at the three tasks."""
    torch.set_num_threads(1)
    print(machine(("numpy", "numba", "scipy", "torch", "memelite")))
    rng = np.random.default_rng(0)
    compare_hits(rng)
    filters = random_motifs(rng, [WIDTH] * FILTERS)
    targets = random_motifs(rng, rng.integers(6, 20, TARGETS).tolist())
    if database:
        targets = read_motifs(Path(database))[:TARGETS]
    compare_similarities(filters, targets)
    compare_p_values(filters, targets)


def random_motifs(rng: np.random.Generator, widths: Sequence[int]) -> list[Motif]:
    """Draw motifs of one bit a position or so."""
    return [Motif(str(i), rng.dirichlet([0.4] * 4, width).T) for i, width in enumerate(widths)]


def compare_hits(rng: np.random.Generator) -> None:
    """Find the best hits of either built-in motif."""
    codes = rng.integers(0, 4, (SEQUENCES, LENGTH), dtype=np.uint8)
    sequences = torch.split(one_hot(torch.from_numpy(codes)), BATCH)
    for name, motif in BUILTIN.items():
        log_odds = pwm(ppm(motif.pfm, pseudocount=0.01))
        peer = convolution(sequences, log_odds)
        worst = np.abs(best_hits(codes, log_odds).scores - peer()).max()
        if worst > motif.width * 2.0**-15:
            sys.exit(f"PyTorch: scores differ by {worst}")
        report(
            f"best hit of {name}, {motif.width} bp, both strands",
            take_turns(
                {"enhancer_core": partial(best_hits, codes, log_odds), "PyTorch conv1d, max": peer}
            ),
            unit="us a sequence",
            per=SEQUENCES / 1e6,
            bars={"PyTorch conv1d, max": 5},
        )


def convolution(sequences: Sequence[torch.Tensor], log_odds: Matrix) -> Callable[[], Scores]:
    """Make a function that convolves batches with both strands of a motif."""
    strands = np.stack([log_odds, reverse_complement(log_odds)])
    weights = torch.from_numpy(strands).float()

    def best() -> Scores:
        with torch.inference_mode():
            found = [functional.conv1d(batch, weights).amax((1, 2)) for batch in sequences]
            scores: Scores = torch.cat(found).numpy()
        return scores

    return best


def compare_similarities(filters: Sequence[Motif], targets: Sequence[Motif]) -> None:
    """Compare all pairs at once, and some of them alignment by alignment."""
    some = filters[: LOOPED[0]], targets[: LOOPED[1]]
    worst = np.abs(similarity(*some).scores - looped_similarity(*some)).max()
    if worst > 1e-9:
        sys.exit(f"numpy loop: similarities differ by {worst}")
    times = take_turns(
        {
            "enhancer_core": partial(similarity, filters, targets),
            "numpy loop": partial(looped_similarity, *some),
        },
        turns=5,
    )
    whole = len(filters) * len(targets) / (len(some[0]) * len(some[1]))
    report(
        f"similarity of {len(filters)} filters with {len(targets)} motifs",
        {**times, "numpy loop": times["numpy loop"] * whole},
        unit="ms",
        per=1e-3,
        bars={"numpy loop": 500},
    )


def looped_similarity(queries: Sequence[Motif], targets: Sequence[Motif]) -> Scores:
    """Correlate frequencies, beyond a motif 0.25, in one alignment after the other."""
    best = np.full((len(queries), len(targets)), -np.inf)
    for i, query in enumerate(queries):
        for strand in (ppm(query.pfm), reverse_complement(ppm(query.pfm))):
            for j, target in enumerate(targets):
                other = ppm(target.pfm)
                for offset in range(1 - query.width, target.width):
                    start = max(0, -offset)
                    span = max(start + target.width, start + offset + query.width)
                    over, under = np.full((2, 4, span), 0.25)
                    over[:, start + offset : start + offset + query.width] = strand
                    under[:, start : start + target.width] = other
                    x, y = over - over.mean(), under - under.mean()
                    score = (x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum())
                    best[i, j] = max(best[i, j], score)
    return best


def compare_p_values(filters: Sequence[Motif], targets: Sequence[Motif]) -> None:
    """Give TOMTOM's p-values of all pairs."""
    contenders: dict[str, Callable[[], object]] = {
        "enhancer_core": partial(p_values, filters, targets)
    }
    if importlib.util.find_spec("memelite"):
        tomtom = importlib.import_module("memelite.tomtom").tomtom
        pairs = [[ppm(motif.pfm) for motif in motifs] for motifs in (filters, targets)]
        peer = partial(tomtom, *pairs, n_jobs=1)
        ratios = np.abs(np.log10(p_values(filters, targets) / np.maximum(peer()[0], 1e-15)))
        if ratios.max() > np.log10(3) or np.median(ratios) > np.log10(1.02):
            sys.exit(f"memelite: p-values differ by factors up to {10 ** ratios.max():.2f}")
        contenders["memelite"] = peer
    else:
        print("memelite: not measured, since it is not installed")
    report(
        f"TOMTOM p-values of {len(filters)} filters with {len(targets)} motifs",
        take_turns(contenders, turns=5),
        unit="ms",
        per=1e-3,
    )


if __name__ == "__main__":
    one_core()
    main(*sys.argv[1:])
