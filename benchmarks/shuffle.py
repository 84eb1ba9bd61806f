"""k-shuffles on one core, beside SeqPro's where it is installed.

    python benchmarks/shuffle.py [SEQUENCES.fa]

Without a file, on random DNA: 2,000 sequences of 500 bp. Fails if a shuffle of ours changes the
count of a k-let.
"""

from __future__ import annotations

import importlib.util
import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from turns import machine, one_core, report, take_turns

from enhancer_core.dna.codes import Codes, decode
from enhancer_core.dna.kmers import k_let_counts
from enhancer_core.dna.shuffle import k_shuffle
from enhancer_core.io.fasta import read_fasta

BARS = {1: None, 2: 2.0, 3: None, 4: 2.0, 6: None, 8: 2.0}  # by k: the ratio that is promised


def main() -> None:
    """Shuffle with each k in turns."""
    print(machine(("numpy", "numba", "seqpro")))
    if len(sys.argv) > 1:
        codes = read_fasta(Path(sys.argv[1])).codes[:2000]
    else:
        codes = np.random.default_rng(0).integers(0, 4, (2000, 500), dtype=np.uint8)
    for k, bar in BARS.items():
        check_counts(codes, k_shuffle(codes, k=k, rng=np.random.default_rng(0)), k)
        contenders = {"enhancer_core": shuffles(codes, k)}
        if importlib.util.find_spec("seqpro"):
            contenders["SeqPro"] = seqpro_shuffles(codes, k)
        report(
            f"{k}-shuffle",
            take_turns(contenders, turns=31),
            unit="us a sequence",
            per=len(codes) / 1e6,
            bars={} if bar is None else {"SeqPro": bar},
        )


def shuffles(codes: Codes, k: int) -> Callable[[], object]:
    """Make a function that gives other shuffles each time."""
    seeds = itertools.count()
    return lambda: k_shuffle(codes, k=k, rng=np.random.default_rng(next(seeds)))


def seqpro_shuffles(codes: Codes, k: int) -> Callable[[], object]:
    """Make a function that gives SeqPro's."""
    import seqpro

    seeds = itertools.count()
    letters = np.array([list(row) for row in decode(codes)], dtype="S1")
    return lambda: seqpro.k_shuffle(letters, k, seqpro.DNA, length_axis=1, seed=next(seeds))


def check_counts(codes: Codes, shuffled: Codes, k: int) -> None:
    """Stop unless the first 200 shuffles have the k-lets of their input."""
    for before, after in zip(codes[:200], shuffled[:200], strict=True):
        if k_let_counts(before, k) != k_let_counts(after, k):
            sys.exit(f"k = {k}: counts differ")


if __name__ == "__main__":
    one_core()
    main()
