"""A small genome in which peaks hold sites of CEBPA, and a network trained to find them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import enhancer_core as ec
from enhancer_core.models.model import Model
from enhancer_core.motifs.motif import BUILTIN, ppm

LENGTH = 60  # bp that the network reads
PEAK = 200
LETTERS = np.array(list("ACGT"))


def _site(rng: np.random.Generator) -> str:
    """Draw a site base by base."""
    columns = ppm(BUILTIN["CEBPA"].pfm).T
    return "".join(rng.choice(LETTERS, p=column / column.sum()) for column in columns)


def write_genome(
    folder: Path, *, chromosomes: int, bp: int, every: int, sites: int, seed: int = 0
) -> None:
    """Write genome.fa and peaks.bed: a peak with some sites in it every so many bp or so."""
    rng = np.random.default_rng(seed)
    fasta, bed = "", ""
    for number in range(1, chromosomes + 1):
        letters = rng.choice(LETTERS, bp)
        for first in range(0, bp - every + 1, every):
            start = first + int(rng.integers(0, every - PEAK))
            bed += f"chr{number}\t{start}\t{start + PEAK}\n"
            middle = start + PEAK // 2
            for at in np.linspace(middle - 20, middle + 6, sites).astype(int):
                site = _site(rng)
                letters[at : at + len(site)] = list(site)
        fasta += f">chr{number}\n{''.join(letters)}\n"
    (folder / "genome.fa").write_text(fasta)
    (folder / "peaks.bed").write_text(bed)


def train_network(folder: Path, *, chromosome: str) -> Model:
    """Train a small network on the peaks of one chromosome against windows between them."""
    peaks = [line.split("\t") for line in (folder / "peaks.bed").read_text().splitlines()]
    own = [(int(start), int(end)) for chrom, start, end in peaks if chrom == chromosome]
    with ec.open_genome(folder / "genome.fa") as genome:
        codes = genome.codes(chromosome)
    taken = np.zeros(len(codes), np.int64)
    for start, end in own:
        taken[start:end] = 1
    middles = [(start + end) // 2 for start, end in own]
    positives = np.stack(
        [codes[at - LENGTH // 2 + s : at + LENGTH // 2 + s] for at in middles for s in (-6, 0, 6)]
    )
    free = np.flatnonzero(np.convolve(taken, np.ones(LENGTH), "valid") == 0)
    rng = np.random.default_rng(0)
    starts = rng.choice(free, len(positives), replace=False)
    negatives = np.stack([codes[start : start + LENGTH] for start in starts])
    data = ec.split(ec.Dataset.from_sequences(positives, negatives))
    return ec.train(data, "tf", ec.TrainConfig(restarts=1, epochs=10)).model
