"""Run the main job on a small genome made here: from genome, genes and peaks to a scored locus.

    python training/demo.py FOLDER

Every step is a command that you can copy. The world is simple and known: an enhancer is 500 bp of
ordinary DNA into which two CEBPA and two HNF4A sites were planted, on either strand.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.console import Console

from enhancer_core.dna.codes import Codes, decode, reverse_complement
from enhancer_core.dna.intervals import from_rows
from enhancer_core.io.bed import read_bed, write_bed
from enhancer_core.io.files import write_text
from enhancer_core.motifs.motif import BUILTIN, ppm

CHROMOSOMES = ("chr1", "chr2", "chr3", "chr4")
CHROMOSOME_BP = 3_000_000
ENHANCERS = 700  # on each chromosome
GENES = 25  # on each chromosome
SITES = ("CEBPA", "CEBPA", "HNF4A", "HNF4A")  # in each enhancer
REACH = 150  # bp from an enhancer's centre within which its sites lie
LOCUS = ("chr4", 1_000_000, 1_060_000)
MARK = "demo.txt"  # in the folder: what is there was made here, and may be made anew

console = Console(stderr=True, highlight=False)


@dataclass(frozen=True, slots=True)
class World:
    """A genome with its genes and peaks."""

    genome: str  # FASTA
    genes: list[tuple[str, int, int]]
    peaks: list[tuple[str, int, int]]


def make_world(rng: np.random.Generator) -> World:
    """Draw chromosomes with GC that drifts, soft-masked repeats, genes, and peaks on enhancers."""
    motifs = {name: ppm(motif.pfm) for name, motif in BUILTIN.items()}
    repeats = [rng.integers(0, 4, 300, dtype=np.uint8) for _ in range(3)]
    records, genes, peaks = [], [], []
    for chrom in CHROMOSOMES:
        codes, masked = _draw_dna(repeats, rng)
        slots = rng.permutation(np.arange(2_000, CHROMOSOME_BP - 2_000, 2_500))
        for centre in np.sort(slots[:ENHANCERS]).tolist():
            for name in SITES:
                site = _draw_site(motifs[name], rng)
                start = centre + int(rng.integers(-REACH, REACH - len(site)))
                codes[start : start + len(site)] = site
            half = int(rng.integers(250, 700))
            jitter = int(rng.integers(-40, 41))
            peaks.append((chrom, centre + jitter - half, centre + jitter + half))
        for start in np.sort(rng.integers(0, CHROMOSOME_BP - 30_000, GENES)).tolist():
            genes.append((chrom, start, start + int(rng.integers(3_000, 30_000))))
        letters = np.frombuffer(decode(codes[np.newaxis])[0].encode(), dtype=np.uint8)
        letters = np.where(masked, letters + 32, letters).astype(np.uint8)  # lower case
        lines = [row.tobytes().decode() for row in np.split(letters, len(letters) // 60)]
        records.append(f">{chrom}\n" + "\n".join(lines) + "\n")
    return World("".join(records), genes, peaks)


def _draw_dna(repeats: list[Codes], rng: np.random.Generator) -> tuple[Codes, NDArray[np.bool_]]:
    steps = CHROMOSOME_BP // 10_000
    gc = np.repeat(np.clip(0.42 + np.cumsum(rng.normal(0, 0.01, steps)), 0.36, 0.5), 10_000)
    strong = rng.random(CHROMOSOME_BP) < gc
    other = rng.random(CHROMOSOME_BP) < 0.5
    codes = np.where(strong, np.where(other, 1, 2), np.where(other, 0, 3)).astype(np.uint8)
    masked = np.zeros(CHROMOSOME_BP, dtype=bool)
    for start in rng.integers(0, CHROMOSOME_BP - 300, CHROMOSOME_BP // 3_000).tolist():
        copy = repeats[int(rng.integers(len(repeats)))].copy()
        changed = rng.random(len(copy)) < 0.15
        copy[changed] = rng.integers(0, 4, int(changed.sum()))
        codes[start : start + len(copy)] = copy
        masked[start : start + len(copy)] = True
    return codes, masked


def _draw_site(probabilities: NDArray[np.float64], rng: np.random.Generator) -> Codes:
    site = np.array([rng.choice(4, p=column) for column in probabilities.T], dtype=np.uint8)
    return reverse_complement(site) if rng.random() < 0.5 else site


def run(folder: Path, arguments: str) -> None:
    """Show a command and run it in the folder."""
    console.print(f"\n[bold]$ enhancer-core {arguments}[/bold]")
    command = [sys.executable, "-m", "enhancer_core", *arguments.split()]
    subprocess.run(command, cwd=folder, check=True)


def draw_track(folder: Path) -> None:
    """Draw the track along the held-out locus, above the peaks that the network never saw."""
    rows = [line.split("\t") for line in (folder / "track.bedgraph").read_text().splitlines()]
    starts = np.array([int(row[1]) for row in rows]) / 1e3
    values = np.array([float(row[3]) for row in rows])
    peaks = read_bed(folder / "peaks.bed")
    chrom, first, last = LOCUS
    shown = (peaks.chroms == chrom) & (peaks.ends > first) & (peaks.starts < last)
    with mpl.rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(10, 2.8), layout="constrained")
        axes = figure.subplots()
        axes.fill_between(starts, values, step="post", color="#1b6ca8", linewidth=0, zorder=2)
        for start, end in zip(peaks.starts[shown] / 1e3, peaks.ends[shown] / 1e3, strict=True):
            axes.axvspan(start, end, color="#d1711f", alpha=0.25, linewidth=0)
        axes.set(
            xlim=(first / 1e3, last / 1e3),
            ylim=(0, 1.02),
            yticks=(0, 0.5, 1),
            xlabel=f"{chrom}, kb",
            ylabel="probability",
        )
        axes.set_title(
            f"Predicted enhancers along {chrom}, held out of training; shaded: the peaks there",
            loc="left",
            fontsize=11,
        )
        figure.savefig(folder / "track.png", dpi=150, metadata={"Software": None})


def report(folder: Path, seconds: float) -> None:
    """Say what was found, and where."""
    metrics = json.loads((folder / "model/metrics.json").read_text())
    shuffled = json.loads((folder / "against_shuffles.json").read_text())

    def auc(figures: dict[str, dict[str, float]]) -> str:
        return "{value:.3f}  (95 % interval {low:.3f} to {high:.3f})".format(**figures["auc"])

    console.rule("[bold]What was found, on a chromosome held out")
    console.print(f"network, against background          AUC [bold]{auc(metrics['test'])}[/bold]")
    console.print(f"5-mer baseline, against background   AUC {auc(metrics['baseline']['test'])}")
    console.print(f"network, against 4-shuffles          AUC {auc(shuffled)}")
    console.print(f"\nreport   {folder / 'model/report.html'}")
    console.print(f"track    {folder / 'track.png'} and {folder / 'track.bw'}")
    console.print(f"model    {folder / 'model/model.safetensors'}")
    console.print(f"\n{seconds:.0f} s", style="dim")


def main() -> None:
    """Make the world, run the commands, say what was found."""
    started = time.monotonic()
    folder = Path(sys.argv[1])
    if (folder / MARK).exists():
        shutil.rmtree(folder)
    elif folder.exists() and any(folder.iterdir()):
        sys.exit(f"{folder}: holds other things than a demo; give a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).write_text("Made by training/demo.py, which replaces this folder.\n")
    console.rule("[bold]enhancer_core: from a genome and peaks to scored DNA")
    world = make_world(np.random.default_rng(0))
    write_text(folder / "genome.fa", world.genome)
    write_bed(folder / "genes.bed", from_rows(world.genes))
    write_bed(folder / "peaks.bed", from_rows(world.peaks))
    held_out = [peak for peak in world.peaks if peak[0] == LOCUS[0]]
    write_bed(folder / "held_out_peaks.bed", from_rows(held_out))
    write_bed(folder / "locus.bed", from_rows([LOCUS]))
    console.print(
        f"made a genome of {len(CHROMOSOMES)} x {CHROMOSOME_BP / 1e6:.0f} Mb with"
        f" {len(world.genes)} genes and {len(world.peaks):,} peaks: {folder}"
    )
    run(folder, "extract genome.fa peaks.bed -o enhancers.fa")
    run(
        folder,
        f"background genome.fa --exclude peaks.bed --genes genes.bed -n {len(world.peaks)}"
        " -o background.bed --fasta background.fa",
    )
    run(folder, "extract genome.fa held_out_peaks.bed -o held_out.fa")
    run(folder, "shuffle held_out.fa -k 4 -o shuffled.fa")
    run(
        folder,
        "train --positives enhancers.fa --negatives background.fa --groups chromosome"
        f" --validation-group chr3 --test-group {LOCUS[0]} -o model",
    )
    run(
        folder,
        "evaluate model --positives held_out.fa --negatives shuffled.fa -o against_shuffles.json",
    )
    run(folder, "predict model --genome genome.fa --regions locus.bed --step 25 -o track.bedgraph")
    run(folder, "predict model --genome genome.fa --regions locus.bed --step 25 -o track.bw")
    draw_track(folder)
    report(folder, time.monotonic() - started)


if __name__ == "__main__":
    main()
