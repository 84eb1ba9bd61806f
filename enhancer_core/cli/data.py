"""Commands that make sequences: simulate, extract, background, shuffle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from enhancer_core import data, dna, io
from enhancer_core.cli import options as opt
from enhancer_core.cli.common import Console, random_generator
from enhancer_core.errors import SequenceError

if TYPE_CHECKING:
    from enhancer_core.io.fasta import FastaRecord

length_option = opt.count("--length", metavar="BP", default=500, help="Length of each sequence.")
_BLOCK = 4_000_000  # letters shuffled at once: what bounds the memory of a long FASTA


@opt.command()
@opt.motif(required=True)
@opt.option(
    "--definition",
    type=click.Choice(["figure2", "literal"]),
    default="figure2",
    help="figure2 gives the AUCs of the paper's Figure 2; literal follows its text.",
)
@opt.count("-n", "--number", default=10_000, help="Sequences of each class.")
@length_option
@opt.seed
@opt.quiet
@opt.output("Folder for positives.fa, background.fa and sites.tsv.")
def simulate(
    motif: str, definition: str, number: int, length: int, seed: int, console: Console, output: Path
) -> None:
    """Plant one motif in random DNA.

    Positives are uniform DNA with one site, drawn from the motif, near the centre; background is
    uniform DNA. sites.tsv has the place of each site.

    \b
      enhancer-core simulate --motif CEBPA -n 10000 -o simulated
    """
    planted = io.read_motif(motif)
    simulated = data.simulate(
        planted, n=number, length=length, definition=definition, rng=random_generator(seed)
    )
    io.make_folder(output)
    names = [f"positive_{index:06d}" for index in range(number)]
    rows = (
        (name, start, start + len(site), site)
        for name, start, site in zip(
            names, simulated.starts.tolist(), dna.decode(simulated.sites), strict=True
        )
    )
    io.write_table(output / "sites.tsv", ("name", "start", "end", "site"), rows)
    background_names = [f"background_{index:06d}" for index in range(number)]
    io.write_fasta(output / "background.fa", background_names, simulated.background)
    io.write_fasta(output / "positives.fa", names, simulated.positives)
    console.info(f"{number:,} positives with one {planted.name} site and as many without: {output}")


@opt.command()
@opt.path_argument("genome")
@opt.path_argument("peaks")
@length_option
@opt.switch(
    "--tile", help="Cut each peak into as many windows as fit, rather than one at its centre."
)
@opt.switch("--drop-n", help="Leave out windows with N.")
@opt.quiet
@opt.output("FASTA; .gz is compressed.")
def extract(
    genome: Path, peaks: Path, length: int, tile: bool, drop_n: bool, console: Console, output: Path
) -> None:
    """Extract windows around peaks from a genome.

    GENOME is FASTA, PEAKS is BED; both may be .gz. A window is named chrom:start-end, 0-based and
    half-open, in the genome's chromosome names. Windows that reach over a chromosome's end, and
    repeats of one window, are left out and counted.

    \b
      enhancer-core extract genome.fa peaks.bed --length 500 -o enhancers.fa
    """
    io.check_output(output)
    regions = io.read_bed(peaks)
    with io.open_genome(genome, note=console.info) as opened:
        windows = data.extract(opened, regions, length=length, tile=tile, drop_n=drop_n)
    for note in windows.notes:
        console.info(note)
    io.write_fasta(output, windows.names, windows.codes)
    console.info(f"{len(windows):,} windows of {length} bp from {len(regions):,} peaks: {output}")


@opt.command()
@opt.path_argument("genome")
@opt.paths("--exclude", help="BED files of intervals to stay off, for example peaks.")
@opt.path("--genes", help="BED, GTF or GFF3 of genes to stay away from.")
@opt.option(
    "--gene-distance",
    type=click.IntRange(min=0),
    metavar="BP",
    default=15_000,
    help="Least distance from a gene.",
)
@opt.path("--regions", help="BED; draw from these only, not the whole genome.")
@opt.count("-n", "--number", required=True, help="Windows to draw.")
@length_option
@opt.path("--match", help="FASTA whose GC and repeat content to match.")
@opt.path("--fasta", section="Output", help="Write the windows' sequences here too.")
@opt.seed
@opt.quiet
@opt.output("BED; .gz is compressed.")
def background(
    genome: Path,
    exclude: tuple[Path, ...],
    genes: Path | None,
    gene_distance: int,
    regions: Path | None,
    number: int,
    length: int,
    match: Path | None,
    fasta: Path | None,
    seed: int,
    console: Console,
    output: Path,
) -> None:
    """Draw windows of a genome that are not known to be enhancers.

    Windows hold no N, lie at least --gene-distance bp from every gene and off every excluded
    interval and each other, and spread over the genome by the length that is left. --match makes
    their GC content follow a FASTA file's, and their repeat content too where its records are
    windows of this soft-masked genome, as extract names them. Needs bedtools.

    \b
      enhancer-core background genome.fa --exclude peaks.bed --genes genes.gtf \\
          -n 5000 --match enhancers.fa -o background.bed --fasta background.fa
    """
    dna.require_bedtools()
    for path in filter(None, (output, fasta)):
        io.check_output(path)
    with io.open_genome(genome, note=console.info) as opened:
        bp = sum(opened.lengths.values())
        with console.progress("bp of the genome read", bp) as advance:
            done = 0

            def progress(now: int, _: int) -> None:
                nonlocal done
                advance(now - done)
                done = now

            windows = data.sample_background(
                opened, number,
                length=length, exclude=exclude, genes=genes, gene_distance=gene_distance,
                regions=regions, match=match, rng=seed, progress=progress,
            )  # fmt: skip
    if fasta is not None:
        io.write_fasta(fasta, windows.names, windows.codes)
    io.write_bed(output, windows.intervals)
    for note in windows.notes:
        console.info(note)
    console.info(f"{number:,} background windows: {output}")


@opt.command()
@opt.path_argument("source", metavar="IN.fa")
@opt.option(
    "-k",
    type=int,
    metavar="N",
    required=True,
    help="Length of the k-lets whose counts are preserved, from 1; 1 preserves composition only.",
)
@opt.seed
@opt.threads
@opt.quiet
@opt.output("FASTA; .gz is compressed.")
def shuffle(source: Path, k: int, seed: int, threads: int, console: Console, output: Path) -> None:
    """Shuffle each sequence, preserving its count of every k-let.

    Every arrangement with the same counts is equally likely. Names are kept. N stays in place and
    each segment between Ns is shuffled by itself; letters come out in upper case. Sequences may
    differ in length. A shuffle that equals its input, likely at large k, is counted on stderr.

    \b
      enhancer-core shuffle enhancers.fa -k 4 -o shuffled.fa
    """
    import numpy as np

    io.check_output(output)
    if k < 1:
        raise SequenceError(f"k of {k} is not allowed; allowed are 1 to the shortest length")
    rng = random_generator(seed)
    done = equal = 0
    with io.open_output(output) as stream, console.progress("sequences shuffled", None) as advance:
        for block in _blocks(io.read_records(source)):
            for record in block:
                if len(record.codes) < k:
                    raise SequenceError(
                        f"{source} line {record.line}: record '{record.name}' has"
                        f" {len(record.codes)} bp; k of {k} is over its length"
                    )
            lengths = np.array([len(record.codes) for record in block])
            codes = np.concatenate([record.codes for record in block])
            shuffled = dna.k_shuffle_ragged(codes, lengths, k=k, rng=rng, threads=threads)
            rows = np.split(shuffled, np.cumsum(lengths)[:-1])
            stream.write(io.fasta_text([record.name for record in block], rows))
            done += len(block)
            equal += sum(
                np.array_equal(record.codes, row) for record, row in zip(block, rows, strict=True)
            )
            advance(len(block))
    console.info(
        f"{done:,} sequences shuffled at k = {k}; {equal:,} equal their input ({equal / done:.1%})"
    )


def _blocks(records: Iterator[FastaRecord]) -> Iterator[list[FastaRecord]]:
    """Group records so that a block has about _BLOCK letters."""
    block: list[FastaRecord] = []
    letters = 0
    for record in records:
        block.append(record)
        letters += len(record.codes)
        if letters >= _BLOCK:
            yield block
            block, letters = [], 0
    if block:
        yield block
