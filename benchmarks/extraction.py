"""Cutting windows out of a genome on one core, beside tangermeme where it is installed.

    python benchmarks/extraction.py

20,000 peaks in a genome of 20 Mb, drawn from a seed: from BED and FASTA to base codes here, to
one-hot there. Fails if the sequences differ.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from turns import machine, one_core, report, take_turns

from enhancer_core.dna.codes import Codes, decode, one_hot
from enhancer_core.dna.intervals import centred_windows
from enhancer_core.io.bed import read_bed
from enhancer_core.io.genome import open_genome

PEAKS, CHROMOSOMES, BP, LENGTH = 20_000, 4, 5_000_000, 500


def main() -> None:
    """Extract in turns."""
    print(machine(("numpy", "tangermeme")))
    with tempfile.TemporaryDirectory(prefix="enhancer-core-") as folder:
        genome, peaks = Path(folder) / "genome.fa", Path(folder) / "peaks.bed"
        make_inputs(genome, peaks)

        def ours() -> Codes:
            with open_genome(genome) as opened:
                return opened.windows(centred_windows(opened.match(read_bed(peaks)), LENGTH))

        contenders: dict[str, Callable[[], object]] = {"enhancer_core": ours}
        try:
            from tangermeme.io import extract_loci
        except ImportError:
            print("tangermeme: not measured, since it is not installed")
        else:
            theirs = partial(extract_loci, str(peaks), str(genome), in_window=LENGTH, n_jobs=1)
            if not (one_hot(ours()) == theirs().numpy()).all():
                sys.exit("tangermeme: sequences differ")
            contenders["tangermeme"] = theirs
        times = take_turns(contenders, turns=15)
        report("extraction", times, unit="us a window", per=PEAKS / 1e6, bars={"tangermeme": 1})


def make_inputs(genome: Path, peaks: Path) -> None:
    """Write a genome and peaks."""
    rng = np.random.default_rng(0)
    with genome.open("w") as file:
        for chrom in range(CHROMOSOMES):
            (letters,) = decode(rng.integers(0, 4, (1, BP), dtype=np.uint8))
            lines = "\n".join(letters[at : at + 60] for at in range(0, BP, 60))
            file.write(f">chr{chrom + 1}\n{lines}\n")
    chroms = rng.integers(1, CHROMOSOMES + 1, PEAKS).tolist()
    starts = rng.integers(LENGTH, BP - 2 * LENGTH, PEAKS).tolist()
    rows = zip(chroms, starts, strict=True)
    peaks.write_text("".join(f"chr{c}\t{start}\t{start + 200}\n" for c, start in rows))


if __name__ == "__main__":
    one_core()
    main()
