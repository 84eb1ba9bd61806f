"""Commands that make sequences: simulate, extract, background, shuffle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from enhancer_core import data, dna, io
from enhancer_core.cli import options as opt
from enhancer_core.cli.common import Job
from enhancer_core.errors import SequenceError

if TYPE_CHECKING:
    from enhancer_core.io.fasta import FastaRecord

length_option = opt.count("--length", "Length of each sequence.", metavar="BP", default=500)
_BLOCK = 4_000_000  # letters shuffled at once: what bounds the memory of a long FASTA


@opt.command()
@opt.motif(required=True)
@opt.choice("--definition", "As the paper's Figure 2, or as its text.", "figure2", "literal")
@opt.count("-n --number", "Sequences of each class.", default=10_000)
@length_option
@opt.job(
    "Folder for positives.fa, background.fa and sites.tsv.",
    opt.seed,
    files=("positives.fa", "background.fa", "sites.tsv"),
)
def simulate(motif: str, definition: str, number: int, length: int, job: Job) -> None:
    """Plant one motif in random DNA.

    Positives are uniform DNA with one site, drawn from the motif, near the centre; background is
    uniform DNA. sites.tsv has the place of each site.

    \b
      enhancer-core simulate --motif CEBPA -n 10000 -o simulated
    """
    planted, output = io.read_motif(motif), job.output
    simulated = data.simulate(
        planted, n=number, length=length, definition=definition, rng=job.rng()
    )
    io.make_folder(output)
    names, background_names = (
        [f"{kind}_{index:06d}" for index in range(number)] for kind in ("positive", "background")
    )
    sites = zip(names, simulated.starts.tolist(), dna.decode(simulated.sites), strict=True)
    rows = ((name, start, start + len(site), site) for name, start, site in sites)
    io.write_table(output / "sites.tsv", ("name", "start", "end", "site"), rows)
    io.write_fasta(output / "background.fa", background_names, simulated.background)
    io.write_fasta(output / "positives.fa", names, simulated.positives)
    job.info(f"{number:,} positives with one {planted.name} site and as many without: {output}")


@opt.command()
@opt.path_argument("genome")
@opt.path_argument("peaks")
@length_option
@opt.switch("--tile", "Cut each peak into as many windows as fit, not one at its centre.")
@opt.switch("--drop-n", "Leave out windows with N.")
@opt.skip_missing
@opt.choice(
    "--center",
    "What windows are centred on: auto takes the summits of narrowPeak, and else the middles.",
    *("auto", "summit", "middle"),
)
@opt.job("FASTA; .gz is compressed.", formats=(io.FASTA,))
def extract(
    genome: Path,
    peaks: Path,
    length: int,
    tile: bool,
    drop_n: bool,
    skip_missing: bool,
    center: Literal["auto", "summit", "middle"],
    job: Job,
) -> None:
    """Extract windows around peaks from a genome.

    GENOME is FASTA, PEAKS is BED or narrowPeak; both may be .gz. Windows are centred on summits
    where peaks have them (column 10 of narrowPeak), else on the middles of peaks. A window is named
    chrom:start-end, 0-based and half-open, in the genome's chromosome names. Windows that reach
    over a chromosome's end, and repeats of one window, are left out and counted.

    \b
      enhancer-core extract genome.fa peaks.bed --length 500 -o enhancers.fa
    """
    if tile and center != "auto":
        raise click.UsageError("--tile and --center exclude each other")
    notes: list[str] = []
    regions = io.read_bed(peaks, note=notes.append)
    with io.open_genome(genome, note=job.info, skip_missing=skip_missing) as opened:
        windows = data.extract(
            opened, regions, length=length, tile=tile, drop_n=drop_n, center=center
        )
    for note in (*notes, *windows.notes):
        job.info(note)
    io.write_fasta(job.output, windows.names, windows.codes)
    job.info(f"{len(windows):,} windows of {length} bp from {len(regions):,} peaks: {job.output}")


@opt.command()
@opt.path_argument("genome")
@opt.paths("--exclude", "BED files of intervals to stay off, for example peaks.")
@opt.path(
    "--genes",
    "BED, GTF or GFF3 of genes to stay away from; of the latter two every type of gene and"
    " pseudogene, and transcripts without a gene.",
)
@opt.count("--gene-distance", "Least distance from a gene.", 0, metavar="BP", default=15_000)
@opt.path("--regions", "BED; draw from these only, not the whole genome.")
@opt.skip_missing
@opt.count("-n --number", "Windows to draw.", required=True)
@length_option
@opt.path("--match", "FASTA whose GC and repeat content to match.")
@opt.path(
    "--fasta", "Write the windows' sequences here too.", section="Output", formats=(io.FASTA,)
)
@opt.job("BED; .gz is compressed.", opt.seed, formats=(io.BED,))
def background(
    genome: Path,
    exclude: tuple[Path, ...],
    genes: Path | None,
    gene_distance: int,
    regions: Path | None,
    skip_missing: bool,
    number: int,
    length: int,
    match: Path | None,
    fasta: Path | None,
    job: Job,
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
    with (
        io.open_genome(genome, note=job.info, skip_missing=skip_missing) as opened,
        job.progress("bp of the genome read", sum(opened.lengths.values())) as advance,
    ):
        done = 0

        def progress(now: int, _: int) -> None:
            nonlocal done
            advance(now - done)
            done = now

        windows = data.sample_background(
            opened, number,
            length=length, exclude=exclude, genes=genes, gene_distance=gene_distance,
            regions=regions, match=match, rng=job.seed, progress=progress,
        )  # fmt: skip
    if fasta is not None:
        io.write_fasta(fasta, windows.names, windows.codes)
    io.write_bed(job.output, windows.intervals)
    for note in windows.notes:
        job.info(note)
    job.info(f"{number:,} background windows: {job.output}")


@opt.command()
@opt.path_argument("source", metavar="IN.fa")
@opt.option(
    "-k",
    "Length of the k-lets whose counts are preserved, from 1; 1 preserves composition only.",
    type=int,
    metavar="N",
    required=True,
)
@opt.job("FASTA; .gz is compressed.", opt.seed, opt.threads, formats=(io.FASTA,))
def shuffle(source: Path, k: int, job: Job) -> None:
    """Shuffle each sequence, preserving its count of every k-let.

    Every arrangement with the same counts is equally likely. N stays in place and each segment
    between Ns is shuffled by itself. A shuffle equal to its input, likely at large k, is counted.
    A sequence has at most 2,147,483,647 bp; a segment needs some 30 bytes of memory a bp.

    \b
      enhancer-core shuffle enhancers.fa -k 4 -o shuffled.fa
    """
    import numpy as np  # which help does without

    if k < 1:
        raise SequenceError(f"k of {k} is not allowed; allowed are 1 to the shortest length")
    rng = job.rng()
    done = equal = 0
    with io.open_output(job.output) as stream, job.progress("sequences shuffled", None) as advance:
        for block in _blocks(io.read_records(source)):
            for record in block:
                if len(record.codes) < k:
                    raise SequenceError(
                        f"{source} line {record.line}: record '{record.name}' has"
                        f" {len(record.codes)} bp; k of {k} is over its length"
                    )
                if len(record.codes) > dna.LONGEST:
                    raise SequenceError(
                        f"{source} line {record.line}: record '{record.name}' has"
                        f" {len(record.codes)} bp; allowed are up to {dna.LONGEST}"
                    )
            lengths = np.array([len(record.codes) for record in block])
            codes = np.concatenate([record.codes for record in block])
            shuffled = dna.k_shuffle_ragged(codes, lengths, k=k, rng=rng, threads=job.threads)
            rows = np.split(shuffled, np.cumsum(lengths)[:-1])
            stream.write(io.fasta_text([record.name for record in block], rows))
            done += len(block)
            equal += sum(
                np.array_equal(record.codes, row) for record, row in zip(block, rows, strict=True)
            )
            advance(len(block))
    job.info(
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
