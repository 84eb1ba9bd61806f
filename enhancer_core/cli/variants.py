"""Commands that score changes of DNA with a trained network: variants, mutagenesis."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

from enhancer_core import dna, interpretation, io, models, prediction, report
from enhancer_core import motifs as motif_scanning
from enhancer_core.cli import options as opt
from enhancer_core.cli.common import Job, load_model

Write: TypeAlias = Callable[[Iterable[Sequence[Any]]], None]

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


@opt.command()
@opt.model
@opt.path("--genome", "FASTA of the variants' assembly.", required=True)
@opt.path("--vcf", "VCF, plain, gzip or bgzip, or BCF.", required=True)
@opt.option(
    "--prefix",
    "Of the INFO fields, so that those of several models stand side by side.",
    metavar="NAME",
    default="EC",
)
@opt.switch(
    "--skip-mismatch",
    "Pass records that do not fit the genome, or whose alleles are no DNA, with the reason.",
)
@opt.job(
    "VCF; .vcf.gz is compressed with bgzip and indexed.", opt.threads, opt.device, formats=(io.VCF,)
)
def variants(
    model: Path, genome: Path, vcf: Path, prefix: str, skip_mismatch: bool, job: Job
) -> None:
    """Score what the variants of a VCF change, on both strands.

    MODEL is a model.safetensors file or its folder. Each ALT gets the probabilities of two windows,
    one around the reference allele, one around the alternative in the genome edited: EC_REF and
    EC_ALT in INFO, one value an ALT, their difference EC_DIFF, and the difference of their log odds
    EC_LOGIT, all by the mean log odds of both strands. Indels are aligned left first, so that their
    spelling does not matter. What cannot be scored passes through with EC_SKIP: symbolic and
    breakend ALTs, *, windows that are mostly N, and, with --skip-mismatch, alleles that are no DNA
    and records whose REF, position or chromosome the genome does not have. All else stays as it is.

    --vcf may also be a list of variants: chromosome, position, ID, REF and ALT, separated by tabs.

    Published models hardly predict measured effects of single changes (median correlation 0.08 at
    best): do not rank variants by these scores alone.

    \b
      enhancer-core variants model --genome genome.fa --vcf variants.vcf.gz \\
          -o scored.vcf.gz
    """
    prediction.check_prefix(prefix)
    predictor, output = job.predictor(model), job.output
    start, fields, tally = f"{prefix}_", prediction.FIELDS, prediction.Tally()
    origin = prediction.describe_model(prefix, model)
    with (
        io.open_genome(genome, note=job.info) as opened,
        io.open_vcf(vcf) as source,
        io.open_vcf_output(output) as write,
        job.progress("records scored", None) as advance,
    ):
        for note in (source.note, prediction.describe_contigs(source.contigs(), opened)):
            if note:
                job.info(note)
        header = io.header_with(source.header, start, fields, origin)
        if len(header) <= len(source.header) + len(fields):
            job.info(f"{vcf} has fields {start}* already, which are replaced; see --prefix")
        write(b"\n".join(header) + b"\n")
        for record, info in prediction.annotate(
            io.in_order(source.records) if io.is_indexed(output) else source.records,
            predictor, opened,
            skip_mismatch=skip_mismatch, threads=job.threads, progress=advance, tally=tally,
        ):  # fmt: skip
            write(io.line_with(record, start, info, fields) + b"\n")
    for line in tally.lines(prefix):
        job.info(line)
    job.info(f"{tally.alleles['']:,} of {tally.alleles.total():,} ALTs scored: {output}")


@opt.command()
@opt.model
@opt.path_argument("source", metavar="IN.fa")
@opt.model_length
@opt.switch("--gradients", "Compute gradients of the log odds: gradients.tsv, a second logo.")
@opt.path("--motifs", f"Mark where these motifs fit, and list it in hits.tsv: {opt.MOTIF_FORMS}.")
@opt.number(
    "--motif-p",
    "Largest p-value of a hit, uncorrected.",
    high=1,
    above=True,
    metavar="P",
    default=1e-4,
)
@opt.count("--plots", "Sequences to draw, the first N; the table has all.", 0, default=100)
@opt.markdown(f"Write report.md, with images of the first {_SHOWN} drawn in figures/.")
@opt.job(
    "Folder for effects.tsv, other tables asked for, and SVG plots.",
    opt.threads,
    opt.device,
    files=("effects.tsv", "gradients.tsv", "hits.tsv", "[0-9][0-9][0-9][0-9]_*.svg", "report.md"),
)
def mutagenesis(
    model: Path,
    source: Path,
    length: int | None,
    gradients: bool,
    motifs: Path | None,
    motif_p: float,
    plots: int,
    markdown: bool,
    job: Job,
) -> None:
    """Score every single-base change of each sequence, on both strands.

    MODEL is a model.safetensors file or its folder. effects.tsv has a line for each change, with
    positions from 0. A plot shows the effect of each change as a colour, and the sequence as a
    logo: a letter is as high as the log odds that its loss costs on average, and hangs below the
    line where the loss would make an enhancer more likely. N is not changed, and
    nothing in a sequence that is mostly N.

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
    loaded, output = load_model(model, length), job.output
    predictor, device = loaded.predictor(job.device), models.resolve_device(job.device)
    known = [] if motifs is None else io.read_motifs(motifs)
    scanners = [motif_scanning.Scanner(motif) for motif in known]
    # All at once, so that bad input stops before there is output.
    sequences = io.read_fasta(source, length=length, expected=predictor.length, note=job.info)
    io.make_folder(output)
    sections, hits = [], 0
    with ExitStack() as stack:

        def table(name: str, columns: Sequence[str], *, write: bool = True) -> Write:
            if not write:
                return lambda rows: None
            stream = stack.enter_context(io.open_output(output / name))
            stream.write(_line(columns))
            return lambda rows: stream.writelines(map(_line, rows))

        write_effects = table("effects.tsv", _COLUMNS)
        write_slopes = table("gradients.tsv", _SLOPE_COLUMNS, write=gradients)
        write_hits = table("hits.tsv", _HIT_COLUMNS, write=motifs is not None)
        advance = stack.enter_context(job.progress("sequences scored", len(sequences)))
        for index, (name, codes) in enumerate(zip(sequences.names, sequences.codes, strict=True)):
            mutations = prediction.mutate(predictor, codes, threads=job.threads)
            write_effects((name, *row) for row in _effect_rows(mutations))
            contributions = None
            if gradients:
                slopes = interpretation.input_gradients(loaded, codes[None], device=device)[0]
                contributions = (slopes * dna.one_hot(codes[None])[0]).sum(axis=0, dtype=float)
                letters = dna.decode(codes[None])[0]
                columns = (letters, contributions.tolist(), *slopes.tolist())
                write_slopes(
                    (name, position, *row)
                    for position, row in enumerate(zip(*columns, strict=True))
                )
            sites = motif_scanning.find_hits(codes, scanners, p=motif_p)
            added = prediction.attributions(mutations, len(codes))
            write_hits(
                (
                    name, hit.motif.name, hit.motif.alias or "NA", hit.start, hit.end,
                    "+" if hit.strand > 0 else "-", float(hit.score), float(hit.p),
                    float(added[hit.start : hit.end].sum()),
                )
                for hit in sites
            )  # fmt: skip
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
        expected = sum(scanner.expected(motif_p, predictor.length) for scanner in scanners)
        summary = (
            f"{hits:,} hits of {len(scanners):,} motifs at p up to {motif_p:g}; uniform random"
            f" DNA has about {len(sequences) * expected:,.0f}"
        )
        job.info(summary)
        notes.append(f"Bars: where known motifs fit. {summary}.")
    if markdown:
        page = report.mutation_page(sections, scored=len(sequences), notes=notes)
        io.write_files(output, report.render_markdown(page))
    if len(sequences) > plots:
        job.info(f"{plots:,} of {len(sequences):,} sequences are drawn, the first; see --plots")
    unknown = sum(map(dna.is_mostly_n, sequences.codes))
    note = f"; {unknown:,} are mostly N, and not scored" if unknown else ""
    job.info(f"{len(sequences) - unknown:,} sequences scored: {output}{note}")


def _effect_rows(mutations: prediction.Mutations) -> Iterator[Sequence[Any]]:
    effects = mutations.effects
    columns = (
        mutations.positions, mutations.references, mutations.alternatives,
        effects.reference, effects.alternative, effects.difference, effects.logit,
    )  # fmt: skip
    rows = zip(*(column.tolist() for column in columns), strict=True)
    for position, reference, alternative, *values in rows:
        yield position, dna.ALPHABET[reference], dna.ALPHABET[alternative], *values


def _line(cells: Iterable[object]) -> bytes:
    texts = (f"{cell:.6g}" if isinstance(cell, float) else str(cell) for cell in cells)
    return ("\t".join(texts) + "\n").encode()
