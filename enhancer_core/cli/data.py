"""Commands that make sequences: simulate, extract, background, shuffle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from enhancer_core.cli.common import (
    PATH,
    ListCommand,
    Talk,
    list_option,
    output_option,
    quiet_option,
    seed_option,
    threads_option,
)

if TYPE_CHECKING:
    from enhancer_core.data.background.composition import Composition
    from enhancer_core.io.fasta import FastaRecord
    from enhancer_core.io.genome import Genome

length_option = click.option(
    "--length",
    type=click.IntRange(min=1),
    metavar="BP",
    default=500,
    show_default=True,
    help="Length of each sequence.",
)
_BLOCK = 4_000_000  # letters shuffled at once: what bounds the memory of a long FASTA


@click.command()
@click.option(
    "--motif",
    metavar="MOTIF",
    required=True,
    help="CEBPA or HNF4A, a file with one motif, or FILE:NAME for one of several.",
)
@click.option(
    "--definition",
    type=click.Choice(["figure2", "literal"]),
    default="figure2",
    show_default=True,
    help="figure2 gives the AUCs of the paper's Figure 2; literal follows its text.",
)
@click.option(
    "-n",
    "--number",
    type=click.IntRange(min=1),
    metavar="N",
    default=10_000,
    show_default=True,
    help="Sequences of each kind.",
)
@length_option
@seed_option
@quiet_option
@output_option("Folder for positives.fa, background.fa and sites.tsv.")
def simulate(
    motif: str, definition: str, number: int, length: int, seed: int, quiet: bool, output: Path
) -> None:
    """Plant one motif in random DNA.

    Positives are uniform DNA with one site, drawn from the motif, near the centre; background is
    uniform DNA. sites.tsv says where each site stands.

    \b
      enhancer-core simulate --motif CEBPA -n 10000 -o simulated
    """
    import numpy as np

    from enhancer_core.data import simulation as simulation
    from enhancer_core.dna.codes import decode
    from enhancer_core.io.fasta import write_fasta
    from enhancer_core.io.files import make_folder, write_text
    from enhancer_core.io.motifs import read_motif

    planted = read_motif(motif)
    rng = np.random.default_rng(seed)
    made = simulation.simulate(planted, n=number, length=length, definition=definition, rng=rng)
    make_folder(output)
    names = [f"positive_{index:06d}" for index in range(number)]
    rows = zip(names, made.starts.tolist(), decode(made.sites), strict=True)
    table = "".join(f"{name}\t{start}\t{start + len(site)}\t{site}\n" for name, start, site in rows)
    write_text(output / "sites.tsv", "name\tstart\tend\tsite\n" + table)
    write_fasta(
        output / "background.fa", [f"background_{i:06d}" for i in range(number)], made.background
    )
    write_fasta(output / "positives.fa", names, made.positives)
    Talk(quiet).say(
        f"{number:,} positives with one {planted.name} site and as many without: {output}"
    )


@click.command()
@click.argument("genome", type=PATH)
@click.argument("peaks", type=PATH)
@length_option
@click.option(
    "--tile",
    is_flag=True,
    help="Cut each peak into as many windows as fit, rather than one at its centre.",
)
@click.option("--drop-n", is_flag=True, help="Leave out windows with N.")
@quiet_option
@output_option("FASTA; .gz is compressed.")
def extract(
    genome: Path, peaks: Path, length: int, tile: bool, drop_n: bool, quiet: bool, output: Path
) -> None:
    """Cut windows around peaks out of a genome.

    GENOME is FASTA, PEAKS is BED; both may be .gz. A window is named chrom:start-end, 0-based and
    half-open, in the genome's chromosome names. Windows that reach over a chromosome's end, and
    repeats of one window, are left out and counted.

    \b
      enhancer-core extract genome.fa peaks.bed --length 500 -o enhancers.fa
    """
    import numpy as np

    from enhancer_core.dna import intervals
    from enhancer_core.dna.codes import N_CODE
    from enhancer_core.errors import IntervalError
    from enhancer_core.io.bed import read_bed
    from enhancer_core.io.fasta import write_fasta
    from enhancer_core.io.files import check_output
    from enhancer_core.io.genome import open_genome

    talk = Talk(quiet)
    check_output(output)
    found = read_bed(peaks)
    with open_genome(genome, note=talk.say) as opened:
        cut = intervals.tiled_windows if tile else intervals.centred_windows
        windows = cut(opened.match(found), length)
        limits = np.array([opened.lengths[chrom] for chrom in windows.chroms.tolist()])
        inside = (windows.starts >= 0) & (windows.ends <= limits)
        backwards = {name: row for row, name in reversed(list(enumerate(windows.names())))}
        fresh = np.zeros(len(windows), np.bool_)
        fresh[list(backwards.values())] = True
        kept = windows.take(inside & fresh)
        codes = opened.windows(kept)
    with_n = (codes == N_CODE).any(axis=1)
    if drop_n:
        kept, codes = kept.take(~with_n), codes[~with_n]
    notes = [
        f"{count:,} of {len(windows):,} windows {what}"
        for count, what in (
            (int((~inside).sum()), "reach over a chromosome's end and are left out"),
            (int((inside & ~fresh).sum()), "repeat an earlier one and are left out"),
            (int(with_n.sum()), f"have N and are {'left out' if drop_n else 'kept'}"),
        )
        if count
    ]
    if not len(kept):
        raise IntervalError(f"{peaks}: no window of {length} bp is left ({'; '.join(notes)})")
    for note in notes:
        talk.say(note)
    write_fasta(output, kept.names(), codes)
    talk.say(f"{len(kept):,} windows of {length} bp from {len(found):,} peaks: {output}")


@click.command(cls=ListCommand)
@click.argument("genome", type=PATH)
@list_option("--exclude", "BED files of intervals to stay off, for example peaks.")
@click.option("--genes", type=PATH, help="BED, GTF or GFF3 of genes to stay away from.")
@click.option(
    "--gene-distance",
    type=click.IntRange(min=0),
    metavar="BP",
    default=15_000,
    show_default=True,
    help="Least distance from a gene.",
)
@click.option("--regions", type=PATH, help="BED; draw from these only, not the whole genome.")
@click.option(
    "-n",
    "--number",
    type=click.IntRange(min=1),
    metavar="N",
    required=True,
    help="Windows to draw.",
)
@length_option
@click.option("--match", type=PATH, help="FASTA whose GC and repeat content to follow.")
@click.option("--fasta", type=PATH, help="Write the windows' sequences here too.")
@seed_option
@quiet_option
@output_option("BED; .gz is compressed.")
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
    quiet: bool,
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
    import numpy as np

    from enhancer_core.data.background.candidates import BackgroundRules, candidate_windows
    from enhancer_core.data.background.sampling import draw_background
    from enhancer_core.dna.intervals import complement, require_bedtools
    from enhancer_core.io.bed import read_bed, read_genes, write_bed
    from enhancer_core.io.fasta import write_fasta
    from enhancer_core.io.files import check_output
    from enhancer_core.io.genome import open_genome

    talk = Talk(quiet)
    require_bedtools()
    for path in (output, fasta):
        if path is not None:
            check_output(path)
    rng = np.random.default_rng(seed)
    with open_genome(genome, note=talk.say) as opened:
        excluded = [opened.match(read_bed(path)) for path in exclude]
        if regions is not None:
            excluded.append(complement(opened.match(read_bed(regions)), opened.lengths))
        known_genes = None if genes is None else opened.match(read_genes(genes))
        if known_genes is not None:
            bare = opened.lengths.keys() - set(known_genes.chroms.tolist())
            if bare:
                talk.say(
                    f"{genes} has no gene on {len(bare):,} of {len(opened.lengths):,} chromosomes,"
                    f" {min(bare)} for one: they count as free of genes; --regions leaves them out"
                )
        rules = BackgroundRules(
            length=length, excluded=excluded, genes=known_genes, gene_distance=gene_distance
        )
        target = None if match is None else _composition(opened, match)
        with talk.progress("bp of the genome read", sum(opened.lengths.values())) as advance:
            done = 0

            def progress(now: int, _: int) -> None:
                nonlocal done
                advance(now - done)
                done = now

            candidates = candidate_windows(
                opened.letters, opened.lengths, rules, rng=rng, progress=progress
            )
        drawn = draw_background(candidates, number, rng=rng, target=target)
        if fasta is not None:
            write_fasta(fasta, drawn.windows.names(), opened.windows(drawn.windows))
    write_bed(output, drawn.windows)
    talk.say(f"{number:,} windows of {len(candidates):,} that the genome can supply: {output}")
    if drawn.match is not None:
        repeats = drawn.match.repeat_distance
        what = "not known, GC alone is matched" if repeats is None else f"{repeats:.3f}"
        talk.say(
            f"largest difference from {match}: GC {drawn.match.gc_distance:.3f}, repeats {what};"
            f" {drawn.match.filled:,} windows from the nearest GC and repeat content instead"
        )


def _composition(genome: Genome, path: Path) -> Composition:
    """Measure the target of a match; repeats too if its records are windows of the genome."""
    import numpy as np

    from enhancer_core.data.background.composition import Composition, measure_composition
    from enhancer_core.dna.codes import CODE_OF_GENOME_LETTER, gc_content
    from enhancer_core.dna.intervals import from_names
    from enhancer_core.errors import SequenceError
    from enhancer_core.io.fasta import read_fasta

    sequences = read_fasta(path)
    gc = gc_content(sequences.codes)
    if np.isnan(gc).any():
        name = sequences.names[int(np.isnan(gc).argmax())]
        raise SequenceError(f"{path}: record '{name}' has no base but N, so no GC content to match")
    windows = from_names(sequences.names)
    if windows is not None and all(
        end <= genome.lengths.get(chrom, 0)
        for chrom, end in zip(windows.chroms.tolist(), windows.ends.tolist(), strict=True)
    ):
        rows = zip(
            windows.chroms.tolist(), windows.starts.tolist(), windows.ends.tolist(), strict=True
        )
        letters = [genome.letters(chrom, start, end) for chrom, start, end in rows]
        if {len(row) for row in letters} == {sequences.codes.shape[1]}:
            stacked = np.stack(letters)
            if np.array_equal(CODE_OF_GENOME_LETTER[stacked], sequences.codes):
                return measure_composition(stacked)
    return Composition(gc, None)


@click.command()
@click.argument("source", metavar="IN.fa", type=PATH)
@click.option(
    "-k",
    type=int,
    metavar="N",
    required=True,
    help="Length of the k-lets whose counts are kept, from 1; 1 keeps composition only.",
)
@seed_option
@threads_option
@quiet_option
@output_option("FASTA; .gz is compressed.")
def shuffle(source: Path, k: int, seed: int, threads: int, quiet: bool, output: Path) -> None:
    """Shuffle each sequence, keeping its count of every k-let.

    Every arrangement with the same counts is equally likely. Names are kept. N stays in place and
    each stretch between N is shuffled by itself; letters come out in upper case. Sequences may
    differ in length. A shuffle that equals its input, likely at large k, is counted on stderr.

    \b
      enhancer-core shuffle enhancers.fa -k 4 -o shuffled.fa
    """
    import numpy as np

    from enhancer_core.dna.shuffle import k_shuffle_ragged
    from enhancer_core.errors import SequenceError
    from enhancer_core.io.fasta import fasta_text, read_records
    from enhancer_core.io.files import check_output, open_output

    talk = Talk(quiet)
    check_output(output)
    if k < 1:
        raise SequenceError(f"k of {k} is not allowed; allowed are 1 to the shortest length")
    rng = np.random.default_rng(seed)
    done = equal = 0
    with open_output(output) as stream, talk.progress("sequences shuffled", None) as advance:
        for block in _blocks(read_records(source)):
            for record in block:
                if len(record.codes) < k:
                    raise SequenceError(
                        f"{source} line {record.line}: record '{record.name}' has"
                        f" {len(record.codes)} bp; k of {k} is over its length"
                    )
            lengths = [len(record.codes) for record in block]
            joined = np.concatenate([record.codes for record in block])
            ends = np.cumsum(lengths)[:-1]
            rows = np.split(
                k_shuffle_ragged(joined, np.array(lengths), k=k, rng=rng, threads=threads), ends
            )
            stream.write(fasta_text([record.name for record in block], rows))
            done += len(block)
            equal += sum(
                np.array_equal(record.codes, row) for record, row in zip(block, rows, strict=True)
            )
            advance(len(block))
    talk.say(
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
