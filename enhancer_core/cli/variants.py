"""Commands that score changes of DNA with a trained network: variants, mutagenesis."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from enhancer_core.cli.common import (
    PATH,
    Talk,
    device_option,
    load_scorer,
    output_option,
    quiet_option,
    threads_option,
)

if TYPE_CHECKING:
    from enhancer_core.variants import Mutations

_COLUMNS = (
    "name", "position", "reference", "alternative", "probability_reference",
    "probability_alternative", "difference", "logit_difference",
)  # fmt: skip
_UNSAFE = re.compile(r"[^\w.:+-]", re.ASCII)  # in a file's name
_LONGEST_NAME = 100
_SHOWN = 20  # sequences in a report, so that it can be read


@click.command(short_help="Score the variants of a VCF: SNVs, indels, every ALT.")
@click.argument("model", type=PATH)
@click.option("--genome", type=PATH, required=True, help="FASTA of the variants' assembly.")
@click.option("--vcf", type=PATH, required=True, help="VCF, plain, gzip or bgzip, or BCF.")
@click.option(
    "--skip-mismatch",
    is_flag=True,
    help="Pass records that do not fit the genome through, with the reason, rather than stop.",
)
@threads_option
@device_option
@quiet_option
@output_option("VCF; .vcf.gz is compressed with bgzip and indexed.")
def variants(
    model: Path,
    genome: Path,
    vcf: Path,
    skip_mismatch: bool,
    threads: int,
    device: str,
    quiet: bool,
    output: Path,
) -> None:
    """Score what the variants of a VCF change, on both strands.

    MODEL is a model.safetensors file or its folder. Each ALT gets the probabilities of two windows,
    one around the reference allele, one around the alternative in the genome edited: EC_REF,
    EC_ALT, their difference EC_DIFF, and the difference of log odds EC_LOGIT, in INFO, one value
    an ALT. Indels are aligned left first, so that their spelling does not matter. What cannot be
    scored passes through with EC_SKIP: symbolic and breakend ALTs, *, and, with --skip-mismatch,
    records whose REF, position or chromosome the genome does not have. All else stays as it is.

    \b
      enhancer-core variants model --genome genome.fa --vcf variants.vcf.gz \\
          -o scored.vcf.gz
    """
    from enhancer_core.io.genome import open_genome
    from enhancer_core.io.vcf import (
        header_with,
        in_order,
        is_indexed,
        line_with,
        open_vcf,
        writing_vcf,
    )
    from enhancer_core.variants import FIELDS, PREFIX, annotate

    talk = Talk(quiet)
    network = load_scorer(model, device)
    records = skipped = 0
    with (
        open_genome(genome, note=talk.say) as opened,
        open_vcf(vcf) as source,
        writing_vcf(output, longest=max(opened.lengths.values())) as write,
        talk.progress("records scored", None) as advance,
    ):
        write(b"\n".join(header_with(source.header, PREFIX, FIELDS)) + b"\n")
        for record, info in annotate(
            in_order(source.records) if is_indexed(output) else source.records,
            network,
            opened,
            skip_mismatch=skip_mismatch,
            threads=threads,
            progress=advance,
        ):
            write(line_with(record, PREFIX, info) + b"\n")
            records += 1
            skipped += "SKIP" in info
    if skipped:
        talk.say(f"{skipped:,} records have ALTs that were not scored; {PREFIX}SKIP says why")
    talk.say(f"{records:,} records scored: {output}")


@click.command(short_help="Score every single-base change of sequences, and draw it.")
@click.argument("model", type=PATH)
@click.argument("source", metavar="IN.fa", type=PATH)
@click.option(
    "--plots",
    type=click.IntRange(min=0),
    metavar="N",
    default=100,
    show_default=True,
    help="Sequences to draw, the first N; the table has all.",
)
@click.option(
    "--markdown",
    is_flag=True,
    help=f"Write a report as Markdown too: report.md, with images of the first {_SHOWN} drawn in"
    " the folder figures.",
)
@threads_option
@device_option
@quiet_option
@output_option("Folder for effects.tsv and a plot, SVG, of each sequence.")
def mutagenesis(
    model: Path,
    source: Path,
    plots: int,
    markdown: bool,
    threads: int,
    device: str,
    quiet: bool,
    output: Path,
) -> None:
    """Score every single-base change of each sequence, on both strands.

    MODEL is a model.safetensors file or its folder. effects.tsv has a line for each change, with
    positions from 0. A plot shows the effect of each change as a colour, and the sequence as a
    logo: a letter is as high as the log odds that its loss costs on average, and hangs below the
    line where the loss would make an enhancer more likely. N is not changed.

    \b
      enhancer-core mutagenesis model enhancers.fa -o mutagenesis
    """
    from enhancer_core.io.fasta import read_sequences
    from enhancer_core.io.files import make_folder, write_files, write_text, writing
    from enhancer_core.report import render_markdown
    from enhancer_core.report.mutagenesis import mutation_page, mutation_plot, mutation_section
    from enhancer_core.variants import mutagenesis as mutate

    talk = Talk(quiet)
    network = load_scorer(model, device)
    # All at once, so that bad input stops before there is output.
    sequences = read_sequences(source, length=network.architecture.length)
    make_folder(output)
    sections = []
    with (
        writing(output / "effects.tsv") as stream,
        talk.progress("sequences scored", len(sequences)) as advance,
    ):
        stream.write(("\t".join(_COLUMNS) + "\n").encode())
        for index, (name, codes) in enumerate(zip(sequences.names, sequences.codes, strict=True)):
            found = mutate(network, codes, threads=threads)
            stream.writelines(_lines(name, found))
            if index < plots:
                plot = output / f"{index + 1:04d}_{_UNSAFE.sub('_', name)[:_LONGEST_NAME]}.svg"
                write_text(plot, mutation_plot(name, codes, found))
            if markdown and index < min(plots, _SHOWN):
                sections.append(mutation_section(name[:_LONGEST_NAME], codes, found))
            advance(1)
    if markdown:
        write_files(output, render_markdown(mutation_page(sections, scored=len(sequences))))
    if len(sequences) > plots:
        talk.say(f"{plots:,} of {len(sequences):,} sequences are drawn, the first; see --plots")
    talk.say(f"{len(sequences):,} sequences scored: {output}")


def _lines(name: str, found: Mutations) -> Iterator[bytes]:
    from enhancer_core.dna import ALPHABET

    scored = found.effects
    columns = (
        found.positions, found.references, found.alternatives,
        scored.reference, scored.alternative, scored.difference, scored.logit,
    )  # fmt: skip
    for position, reference, alternative, *values in zip(
        *(column.tolist() for column in columns), strict=True
    ):
        spelled = "\t".join(f"{value:.6g}" for value in values)
        bases = f"{ALPHABET[reference]}\t{ALPHABET[alternative]}"
        yield f"{name}\t{position}\t{bases}\t{spelled}\n".encode()
