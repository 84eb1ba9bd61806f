"""Commands that score changes of DNA with a trained network: variants, mutagenesis."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import click

from enhancer_core.cli.common import (
    PATH,
    FiniteRange,
    Talk,
    device_option,
    load_predictor,
    output_option,
    quiet_option,
    threads_option,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from enhancer_core.dna.codes import Codes
    from enhancer_core.motifs.scan import Hit
    from enhancer_core.prediction.saturation import Mutations

    Slopes: TypeAlias = NDArray[np.float32]
    Write: TypeAlias = Callable[[Iterable[bytes]], None]

_COLUMNS = (
    "name", "position", "reference", "alternative", "probability_reference",
    "probability_alternative", "difference", "logit_difference",
)  # fmt: skip
_SLOPE_COLUMNS = ("name", "position", "reference", "contribution", "A", "C", "G", "T")
_HIT_COLUMNS = ("name", "motif", "alias", "start", "end", "strand", "score", "p", "attribution")
_SLOPE_NOTE = (
    "In the second logo it is as high as the slope of the log odds by it, less the mean slope of"
    " the four bases: fast, and true of small changes only."
)
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

    Published models hardly predict measured effects of single changes (median correlation 0.08 at
    best): do not rank variants by these scores alone.

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
        open_vcf_output,
    )
    from enhancer_core.prediction.vcf import FIELDS, PREFIX, annotate

    talk = Talk(quiet)
    predictor = load_predictor(model, device)
    records = skipped = 0
    with (
        open_genome(genome, note=talk.say) as opened,
        open_vcf(vcf) as source,
        open_vcf_output(output, longest=max(opened.lengths.values())) as write,
        talk.progress("records scored", None) as advance,
    ):
        write(b"\n".join(header_with(source.header, PREFIX, FIELDS)) + b"\n")
        for record, info in annotate(
            in_order(source.records) if is_indexed(output) else source.records,
            predictor,
            opened,
            skip_mismatch=skip_mismatch,
            threads=threads,
            progress=advance,
        ):
            write(line_with(record, PREFIX, info, FIELDS) + b"\n")
            records += 1
            skipped += "SKIP" in info
    if skipped:
        talk.say(f"{skipped:,} records have ALTs that were not scored; {PREFIX}SKIP says why")
    talk.say(f"{records:,} records scored: {output}")


@click.command(short_help="Score every single-base change of sequences, and draw it.")
@click.argument("model", type=PATH)
@click.argument("source", metavar="IN.fa", type=PATH)
@click.option(
    "--gradients",
    is_flag=True,
    help="Differentiate the log odds by each base too: gradients.tsv, and a second logo.",
)
@click.option(
    "--motifs",
    type=PATH,
    metavar="FILE",
    help="Mark where these motifs fit, and list it in hits.tsv; MEME, JASPAR, HOMER or .pfm.",
)
@click.option(
    "--motif-p",
    type=FiniteRange(min=0, max=1, min_open=True),
    metavar="P",
    default=1e-4,
    show_default=True,
    help="Largest p-value of a hit, as FIMO's: not corrected for places and motifs.",
)
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
@output_option("Folder for effects.tsv, other tables asked for, and a plot, SVG, each.")
def mutagenesis(
    model: Path,
    source: Path,
    gradients: bool,
    motifs: Path | None,
    motif_p: float,
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

    With --gradients the slope of the log odds by each base, less its mean over the four, stands in
    gradients.tsv: A, C, G, T, and under contribution that of the base that is there. With --motifs
    the hits of known motifs are listed, each with the sum of what its bases add, and marked; of
    those that overlap the plot shows the surest.

    Published models hardly predict measured effects of single changes (median correlation 0.08 at
    best): do not rank variants by these scores alone.

    \b
      enhancer-core mutagenesis model enhancers.fa -o mutagenesis
      enhancer-core mutagenesis model enhancers.fa --gradients \\
          --motifs JASPAR.meme -o attribution
    """
    from enhancer_core.io.fasta import read_fasta
    from enhancer_core.io.files import make_folder, open_output, write_files, write_text
    from enhancer_core.io.motifs import read_motifs
    from enhancer_core.motifs.scan import Scanner, find_hits
    from enhancer_core.prediction.saturation import attributions, mutate
    from enhancer_core.report.markdown import render_markdown
    from enhancer_core.report.mutagenesis import (
        Marks,
        mutation_page,
        mutation_plot,
        mutation_section,
    )

    talk = Talk(quiet)
    predictor = load_predictor(model, device)
    differentiate = _differentiator(model, device) if gradients else None
    scanners = [Scanner(motif) for motif in read_motifs(motifs)] if motifs is not None else []
    # All at once, so that bad input stops before there is output.
    sequences = read_fasta(source, length=predictor.length)
    make_folder(output)
    sections, hits = [], 0
    with ExitStack() as stack:

        def table(name: str, columns: Sequence[str], *, write: bool = True) -> Write:
            if not write:
                return lambda lines: None
            stream = stack.enter_context(open_output(output / name))
            stream.write(("\t".join(columns) + "\n").encode())
            return stream.writelines

        write_effects = table("effects.tsv", _COLUMNS)
        write_slopes = table("gradients.tsv", _SLOPE_COLUMNS, write=gradients)
        write_hits = table("hits.tsv", _HIT_COLUMNS, write=motifs is not None)
        advance = stack.enter_context(talk.progress("sequences scored", len(sequences)))
        for index, (name, codes) in enumerate(zip(sequences.names, sequences.codes, strict=True)):
            found = mutate(predictor, codes, threads=threads)
            write_effects(_lines(name, found))
            contributions = None
            if differentiate is not None:
                slopes, contributions = differentiate(codes)
                write_slopes(_slope_lines(name, codes, slopes, contributions))
            fitting = find_hits(codes, scanners, p=motif_p)
            write_hits(_hit_lines(name, fitting, attributions(found, len(codes))))
            hits += len(fitting)
            marks = Marks(contributions=contributions, hits=fitting)
            if index < plots:
                plot = output / f"{index + 1:04d}_{_UNSAFE.sub('_', name)[:_LONGEST_NAME]}.svg"
                write_text(plot, mutation_plot(name, codes, found, marks))
            if markdown and index < min(plots, _SHOWN):
                sections.append(mutation_section(name[:_LONGEST_NAME], codes, found, marks))
            advance(1)
    notes = [_SLOPE_NOTE] if gradients else []
    if motifs is not None:
        length = predictor.length
        chance = len(sequences) * sum(each.expected(motif_p, length) for each in scanners)
        said = (
            f"{hits:,} hits of {len(scanners):,} motifs at p up to {motif_p:g}; uniform random"
            f" DNA has about {chance:,.0f}"
        )
        talk.say(said)
        notes.append(f"Bars: where known motifs fit. {said}.")
    if markdown:
        page = mutation_page(sections, scored=len(sequences), notes=notes)
        write_files(output, render_markdown(page))
    if len(sequences) > plots:
        talk.say(f"{plots:,} of {len(sequences):,} sequences are drawn, the first; see --plots")
    talk.say(f"{len(sequences):,} sequences scored: {output}")


def _differentiator(
    model: Path, device: str
) -> Callable[[Codes], tuple[Slopes, NDArray[np.float64]]]:
    """Give what computes a sequence's slopes (4, L), and (L,) those of the bases there."""
    from enhancer_core.dna.codes import one_hot
    from enhancer_core.interpretation.filters import input_gradients
    from enhancer_core.models.device import resolve_device
    from enhancer_core.models.model import load_model

    loaded, resolved = load_model(model), resolve_device(device)

    def differentiate(codes: Codes) -> tuple[Slopes, NDArray[np.float64]]:
        slopes = input_gradients(loaded, codes[None], device=resolved)[0]
        return slopes, (slopes * one_hot(codes[None])[0]).sum(axis=0, dtype=float)

    return differentiate


def _slope_lines(
    name: str, codes: Codes, slopes: Slopes, contributions: NDArray[np.float64]
) -> Iterator[bytes]:
    from enhancer_core.dna.codes import ALPHABET

    for position, (code, values, own) in enumerate(
        zip(codes.tolist(), slopes.T.tolist(), contributions.tolist(), strict=True)
    ):
        spelled = "\t".join(f"{value:.6g}" for value in (own, *values))
        yield f"{name}\t{position}\t{ALPHABET[code]}\t{spelled}\n".encode()


def _hit_lines(name: str, hits: Sequence[Hit], added: NDArray[np.float64]) -> Iterator[bytes]:
    for hit in hits:
        motif, strand = hit.motif, "+" if hit.strand > 0 else "-"
        adds = added[hit.start : hit.end].sum()
        yield (
            f"{name}\t{motif.name}\t{motif.alias or 'NA'}\t{hit.start}\t{hit.end}\t{strand}"
            f"\t{hit.score:.6g}\t{hit.p:.6g}\t{adds:.6g}\n"
        ).encode()


def _lines(name: str, found: Mutations) -> Iterator[bytes]:
    from enhancer_core.dna.codes import ALPHABET

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
