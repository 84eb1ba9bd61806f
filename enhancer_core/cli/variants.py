"""Commands that score changes of DNA with a trained network: variants, mutagenesis."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import click

from enhancer_core import dna, interpretation, io, models, prediction, report
from enhancer_core import motifs as motif_scanning
from enhancer_core.cli import options as opt
from enhancer_core.cli.common import Console, load_predictor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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


@opt.command(short_help="Score the variants of a VCF: SNVs, indels, every ALT.")
@opt.model
@opt.path("--genome", required=True, help="FASTA of the variants' assembly.")
@opt.path("--vcf", required=True, help="VCF, plain, gzip or bgzip, or BCF.")
@opt.switch(
    "--skip-mismatch",
    help="Pass records that do not fit the genome through, with the reason, rather than stop.",
)
@opt.threads
@opt.device
@opt.quiet
@opt.output("VCF; .vcf.gz is compressed with bgzip and indexed.")
def variants(
    model: Path,
    genome: Path,
    vcf: Path,
    skip_mismatch: bool,
    threads: int,
    device: str,
    console: Console,
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
    predictor = load_predictor(model, device)
    prefix, fields = prediction.PREFIX, prediction.FIELDS
    records = skipped = 0
    with (
        io.open_genome(genome, note=console.info) as opened,
        io.open_vcf(vcf) as source,
        io.open_vcf_output(output, longest=max(opened.lengths.values())) as write,
        console.progress("records scored", None) as advance,
    ):
        write(b"\n".join(io.header_with(source.header, prefix, fields)) + b"\n")
        for record, info in prediction.annotate(
            io.in_order(source.records) if io.is_indexed(output) else source.records,
            predictor,
            opened,
            skip_mismatch=skip_mismatch,
            threads=threads,
            progress=advance,
        ):
            write(io.line_with(record, prefix, info, fields) + b"\n")
            records += 1
            skipped += "SKIP" in info
    if skipped:
        console.info(f"{skipped:,} records have ALTs that were not scored; {prefix}SKIP says why")
    console.info(f"{records:,} records scored: {output}")


@opt.command(short_help="Score every single-base change of sequences, and draw it.")
@opt.model
@opt.path_argument("source", metavar="IN.fa")
@opt.switch(
    "--gradients", help="Compute gradients of the log odds too: gradients.tsv, and a second logo."
)
@opt.path(
    "--motifs",
    metavar="FILE",
    help="Mark where these motifs fit, and list it in hits.tsv; MEME, JASPAR, HOMER or .pfm.",
)
@opt.option(
    "--motif-p",
    type=opt.FiniteRange(min=0, max=1, min_open=True),
    metavar="P",
    default=1e-4,
    help="Largest p-value of a hit, as FIMO's: not corrected for places and motifs.",
)
@opt.option(
    "--plots",
    type=click.IntRange(min=0),
    metavar="N",
    default=100,
    help="Sequences to draw, the first N; the table has all.",
)
@opt.markdown(
    f"Write a report as Markdown too: report.md, with images of the first {_SHOWN} drawn in"
    " figures/."
)
@opt.threads
@opt.device
@opt.quiet
@opt.output("Folder for effects.tsv, other tables asked for, and a plot, SVG, each.")
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
    console: Console,
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
    predictor = load_predictor(model, device)
    differentiate = _differentiator(model, device) if gradients else None
    known = [] if motifs is None else io.read_motifs(motifs)
    scanners = [motif_scanning.Scanner(motif) for motif in known]
    # All at once, so that bad input stops before there is output.
    sequences = io.read_fasta(source, length=predictor.length)
    io.make_folder(output)
    sections, hits = [], 0
    with ExitStack() as stack:

        def table(name: str, columns: Sequence[str], *, write: bool = True) -> Write:
            if not write:
                return lambda lines: None
            stream = stack.enter_context(io.open_output(output / name))
            stream.write(("\t".join(columns) + "\n").encode())
            return stream.writelines

        write_effects = table("effects.tsv", _COLUMNS)
        write_slopes = table("gradients.tsv", _SLOPE_COLUMNS, write=gradients)
        write_hits = table("hits.tsv", _HIT_COLUMNS, write=motifs is not None)
        advance = stack.enter_context(console.progress("sequences scored", len(sequences)))
        for index, (name, codes) in enumerate(zip(sequences.names, sequences.codes, strict=True)):
            mutations = prediction.mutate(predictor, codes, threads=threads)
            write_effects(_effect_lines(name, mutations))
            contributions = None
            if differentiate is not None:
                slopes, contributions = differentiate(codes)
                write_slopes(_slope_lines(name, codes, slopes, contributions))
            sites = motif_scanning.find_hits(codes, scanners, p=motif_p)
            write_hits(_hit_lines(name, sites, prediction.attributions(mutations, len(codes))))
            hits += len(sites)
            marks = report.Marks(contributions=contributions, hits=sites)
            if index < plots:
                plot = output / f"{index + 1:04d}_{_UNSAFE.sub('_', name)[:_LONGEST_NAME]}.svg"
                io.write_text(plot, report.mutation_plot(name, codes, mutations, marks))
            if markdown and index < min(plots, _SHOWN):
                sections.append(
                    report.mutation_section(name[:_LONGEST_NAME], codes, mutations, marks)
                )
            advance(1)
    notes = [_SLOPE_NOTE] if gradients else []
    if motifs is not None:
        length = predictor.length
        chance = len(sequences) * sum(scanner.expected(motif_p, length) for scanner in scanners)
        summary = (
            f"{hits:,} hits of {len(scanners):,} motifs at p up to {motif_p:g}; uniform random"
            f" DNA has about {chance:,.0f}"
        )
        console.info(summary)
        notes.append(f"Bars: where known motifs fit. {summary}.")
    if markdown:
        page = report.mutation_page(sections, scored=len(sequences), notes=notes)
        io.write_files(output, report.render_markdown(page))
    if len(sequences) > plots:
        console.info(f"{plots:,} of {len(sequences):,} sequences are drawn, the first; see --plots")
    console.info(f"{len(sequences):,} sequences scored: {output}")


def _differentiator(
    model: Path, device: str
) -> Callable[[dna.Codes], tuple[Slopes, NDArray[np.float64]]]:
    """Return a function that computes a sequence's slopes (4, L), and those of its bases (L,)."""
    loaded, resolved = models.load_model(model), models.resolve_device(device)

    def differentiate(codes: dna.Codes) -> tuple[Slopes, NDArray[np.float64]]:
        slopes = interpretation.input_gradients(loaded, codes[None], device=resolved)[0]
        return slopes, (slopes * dna.one_hot(codes[None])[0]).sum(axis=0, dtype=float)

    return differentiate


def _slope_lines(
    name: str, codes: dna.Codes, slopes: Slopes, contributions: NDArray[np.float64]
) -> Iterator[bytes]:
    for position, (code, values, own) in enumerate(
        zip(codes.tolist(), slopes.T.tolist(), contributions.tolist(), strict=True)
    ):
        yield _line(name, position, dna.ALPHABET[code], own, *values)


def _hit_lines(
    name: str, hits: Sequence[motif_scanning.Hit], added: NDArray[np.float64]
) -> Iterator[bytes]:
    for hit in hits:
        names, strand = (hit.motif.name, hit.motif.alias or "NA"), "+" if hit.strand > 0 else "-"
        adds = float(added[hit.start : hit.end].sum())
        yield _line(name, *names, hit.start, hit.end, strand, float(hit.score), float(hit.p), adds)


def _effect_lines(name: str, mutations: prediction.Mutations) -> Iterator[bytes]:
    effects = mutations.effects
    columns = (
        mutations.positions, mutations.references, mutations.alternatives,
        effects.reference, effects.alternative, effects.difference, effects.logit,
    )  # fmt: skip
    rows = zip(*(column.tolist() for column in columns), strict=True)
    for position, reference, alternative, *values in rows:
        yield _line(name, position, dna.ALPHABET[reference], dna.ALPHABET[alternative], *values)


def _line(*values: object) -> bytes:
    cells = (f"{value:.6g}" if isinstance(value, float) else str(value) for value in values)
    return ("\t".join(cells) + "\n").encode()
