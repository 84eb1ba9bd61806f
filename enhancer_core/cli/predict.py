"""The command that scores DNA with a trained network: predict."""

from __future__ import annotations

from collections.abc import Iterator
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING

import click

from enhancer_core import io, prediction
from enhancer_core.cli import options as opt
from enhancer_core.cli.common import Job

if TYPE_CHECKING:
    from enhancer_core.models.ensemble import Predictor

_BLOCK = 4096  # sequences read at once


@opt.command()
@opt.model
@opt.path_argument("source", metavar="[IN.fa]", required=False)
@opt.model_length
@opt.path("--genome", "FASTA to predict a track along.")
@opt.path("--regions", "BED; the track covers these, not whole chromosomes.")
@opt.skip_missing
@opt.count("--step", "Length of a track's bins.", metavar="BP", default=50)
@opt.switch("--both-strands", "Average each probability with its reverse complement's.")
@opt.job(
    "TSV for sequences; .bedgraph or .bw (bigWig) for a track.",
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
    step: int,
    both_strands: bool,
    job: Job,
) -> None:
    """Predict the probability that sequences, or windows along a genome, are enhancers.

    MODEL is a model.safetensors file or its folder. For sequences the table has the columns name
    and probability, in input order; what --length made mostly N has NA. A track has one value a
    bin, from the window around the bin's middle; beyond a chromosome's end the window holds N, and
    a window that is mostly N has no value. Regions that overlap or touch are joined first.

    \b
      enhancer-core predict model sequences.fa -o probabilities.tsv
      enhancer-core predict model --genome genome.fa --regions locus.bed \\
          -o track.bw
    """
    if (source is None) == (genome is None):
        raise click.UsageError("give either IN.fa or --genome GENOME")
    if regions is not None and genome is None:
        raise click.UsageError("--regions needs --genome")
    if length is not None and source is None:
        raise click.UsageError("--length is for IN.fa")
    io.format_of(job.output, *((io.TSV,) if genome is None else (io.BEDGRAPH, io.BIGWIG)))
    predictor = job.predictor(model, length)
    if source is not None:
        _predict_sequences(predictor, source, length, job, both_strands=both_strands)
    elif genome is not None:
        with io.open_genome(genome, note=job.info, skip_missing=skip_missing) as opened:
            _predict_track(predictor, opened, regions, job, step=step, both_strands=both_strands)


def _predict_sequences(
    predictor: Predictor, source: Path, length: int | None, job: Job, *, both_strands: bool
) -> None:
    def predict_block(block: io.Sequences) -> list[tuple[str, float]]:
        scores = prediction.probabilities(predictor, block.codes, both_strands=both_strands)
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
    predictor: Predictor,
    genome: io.Genome,
    regions: Path | None,
    job: Job,
    *,
    step: int,
    both_strands: bool,
) -> None:
    notes: list[str] = []
    covered = prediction.genome_regions(genome, regions, note=notes.append)
    bins = int((-(-(covered.ends - covered.starts) // step)).sum())
    known = 0
    with job.progress("bins predicted", bins) as advance:
        stretches = prediction.track(
            predictor, genome, covered,
            step=step, both_strands=both_strands, threads=job.threads, progress=advance,
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
    job.info(f"{known:,} bins of {step} bp in {len(covered):,} regions predicted: {job.output}")
