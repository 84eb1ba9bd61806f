"""The command that scores DNA with a trained network: predict."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from enhancer_core import io, prediction
from enhancer_core.cli import options as opt
from enhancer_core.cli.common import Job, load_model, or_na

if TYPE_CHECKING:
    from enhancer_core.models.ensemble import Predictor

_BLOCK = 4096  # sequences read at once


class _How(NamedTuple):
    """What a track is of."""

    step: int
    both_strands: bool
    shift: float


@opt.command()
@opt.model
@opt.path_argument("source", metavar="[IN.fa]", required=False)
@opt.model_length
@opt.path("--genome", "FASTA to predict a track along.")
@opt.path("--regions", "BED; the track covers these, not whole chromosomes.")
@opt.skip_missing
@opt.switch("--per-region", "Write a table with a row a region, not a track.")
@opt.step
@opt.both_strands
@opt.prevalence
@opt.job(
    "TSV for sequences and --per-region; .bedgraph or .bw (bigWig) for a track.",
    opt.threads,
    opt.device,
    formats=(io.TSV, io.BEDGRAPH, io.BIGWIG),
)
def predict(
    model: Path,
    source: Path | None,
    length: int | None,
    genome: Path | None,
    regions: Path | None,
    skip_missing: bool,
    per_region: bool,
    step: int,
    both_strands: bool,
    prevalence: float | None,
    job: Job,
) -> None:
    """Predict the probability that sequences, or windows along a genome, are enhancers.

    MODEL is a model.safetensors file or its folder. For sequences the table has the columns name
    and probability, in input order; what --length made mostly N has NA. A track has one value a
    bin, from the window around the bin's middle; beyond a chromosome's end the window holds N, and
    a window that is mostly N has no value. Regions that overlap or touch are joined first.

    With --per-region the table has a row a region, in input order, also where they overlap: name
    (the BED file's, else chrom:start-end), chrom, start, end, probability, the highest in the
    region's part of such a track, and mean; NA where it has no value.

    Probabilities are those among as many positives as there were in training. --prevalence turns
    them to another share: log odds + logit(share) - logit(share in training). It changes no order.

    \b
      enhancer-core predict model sequences.fa -o probabilities.tsv
      enhancer-core predict model --genome genome.fa --regions locus.bed \\
          -o track.bw
      enhancer-core predict model --genome genome.fa --regions peaks.bed \\
          --per-region --prevalence 0.02 -o peaks.tsv
    """
    if (source is None) == (genome is None):
        raise click.UsageError("give either IN.fa or --genome GENOME")
    if regions is not None and genome is None:
        raise click.UsageError("--regions needs --genome")
    if length is not None and source is None:
        raise click.UsageError("--length is for IN.fa")
    if per_region and regions is None:
        raise click.UsageError("--per-region needs --regions")
    table = genome is None or per_region
    io.format_of(job.output, *((io.TSV,) if table else (io.BEDGRAPH, io.BIGWIG)))
    loaded = load_model(model, length)
    shift = job.shift(loaded, prevalence)
    predictor = loaded.predictor(job.device)
    if source is not None:
        _predict_sequences(predictor, source, length, job, both_strands=both_strands, shift=shift)
    elif genome is not None:
        with io.open_genome(genome, note=job.info, skip_missing=skip_missing) as opened:
            how = _How(step, both_strands, shift)
            if per_region and regions is not None:
                _predict_regions(predictor, opened, regions, job, how)
            else:
                _predict_track(predictor, opened, regions, job, how)


def _predict_sequences(
    predictor: Predictor,
    source: Path,
    length: int | None,
    job: Job,
    *,
    both_strands: bool,
    shift: float,
) -> None:
    def predict_block(block: io.Sequences) -> list[tuple[str, float]]:
        scores = prediction.probabilities(
            predictor, block.codes, both_strands=both_strands, shift=shift
        )
        if length is not None:
            scores = prediction.without_unknown(scores, block.codes)
        return list(zip(block.names, scores.tolist(), strict=True))

    notes: list[str] = []
    done = unknown = 0
    with io.open_output(job.output) as stream, job.progress("sequences predicted", None) as advance:
        stream.write(b"name\tprobability\n")
        blocks = io.read_blocks(
            source, size=_BLOCK, length=length, expected=predictor.length, note=notes.append
        )
        for rows in prediction.in_order(predict_block, blocks, threads=job.threads):
            lines = (f"{name}\t{'NA' if isnan(p) else f'{p:.6g}'}\n" for name, p in rows)
            stream.write("".join(lines).encode())
            advance(len(rows))
            done += len(rows)
            unknown += sum(isnan(p) for _, p in rows)
    for note in notes:
        job.info(note)
    without = f"; {unknown:,} are mostly N, and have no probability (NA)" if unknown else ""
    job.info(f"{done - unknown:,} sequences predicted: {job.output}{without}")


def _predict_track(
    predictor: Predictor, genome: io.Genome, regions: Path | None, job: Job, how: _How
) -> None:
    notes: list[str] = []
    covered = prediction.genome_regions(genome, regions, note=notes.append)
    bins = int((-(-(covered.ends - covered.starts) // how.step)).sum())
    known = 0
    with job.progress("bins predicted", bins) as advance:
        stretches = prediction.track(
            predictor, genome, covered, step=how.step, both_strands=how.both_strands,
            values=partial(prediction.mean_probability, shift=how.shift),
            threads=job.threads, progress=advance,
        )  # fmt: skip

        def counted() -> Iterator[io.Stretch]:
            nonlocal known
            for stretch in stretches:
                known += len(stretch[-1])
                yield stretch

        io.write_track(job.output, counted(), genome.lengths)
    for note in notes:
        job.info(note)
    if known < bins:
        job.info(f"{bins - known:,} bins have no value: their window is mostly N")
    job.info(f"{known:,} bins of {how.step} bp in {len(covered):,} regions predicted: {job.output}")


def _predict_regions(
    predictor: Predictor, genome: io.Genome, regions: Path, job: Job, how: _How
) -> None:
    given, names = io.read_named_bed(regions, note=job.info)
    name_of = dict(zip(given.lines.tolist(), names, strict=True))
    known = genome.match(given)
    bins = int((-(-(known.ends - known.starts) // how.step)).sum())
    with job.progress("bins predicted", bins) as advance:
        highest, mean = prediction.score_regions(
            predictor, genome, known, **how._asdict(), threads=job.threads, progress=advance,
        )  # fmt: skip
    columns = ("name", "chrom", "start", "end", "probability", "mean")
    scores = (map(or_na, each.tolist()) for each in (highest, mean))
    table = zip(known.lines.tolist(), known.rows(), *scores, strict=True)
    rows = ((name_of[line], *place, *values) for line, place, *values in table)
    io.write_table(job.output, columns, rows)
    if unknown := int((highest != highest).sum()):
        job.info(f"{unknown:,} regions have no value: their windows are mostly N")
    job.info(f"{len(known):,} regions predicted: {job.output}")
