"""The command that scores DNA with a trained network: predict."""

from __future__ import annotations

from collections.abc import Iterator
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
    genome: Path | None,
    regions: Path | None,
    skip_missing: bool,
    step: int,
    both_strands: bool,
    job: Job,
) -> None:
    """Predict the probability that sequences, or windows along a genome, are enhancers.

    MODEL is a model.safetensors file or its folder. For sequences the table has the columns name
    and probability, in input order. A track has one value a bin, from the window around the bin's
    middle; beyond a chromosome's end the window holds N, and a window that is mostly N has no
    value. Regions that overlap or touch are joined first.

    \b
      enhancer-core predict model sequences.fa -o probabilities.tsv
      enhancer-core predict model --genome genome.fa --regions locus.bed \\
          -o track.bw
    """
    if (source is None) == (genome is None):
        raise click.UsageError("give either IN.fa or --genome GENOME")
    if regions is not None and genome is None:
        raise click.UsageError("--regions needs --genome")
    io.format_of(job.output, *((io.TSV,) if genome is None else (io.BEDGRAPH, io.BIGWIG)))
    predictor = job.predictor(model)
    if source is not None:
        _predict_sequences(predictor, source, job, both_strands=both_strands)
    elif genome is not None:
        with io.open_genome(genome, note=job.info, skip_missing=skip_missing) as opened:
            _predict_track(predictor, opened, regions, job, step=step, both_strands=both_strands)


def _predict_sequences(predictor: Predictor, source: Path, job: Job, *, both_strands: bool) -> None:
    def predict_block(block: io.Sequences) -> list[tuple[str, float]]:
        scores = prediction.probabilities(predictor, block.codes, both_strands=both_strands)
        return list(zip(block.names, scores.tolist(), strict=True))

    done = 0
    with io.open_output(job.output) as stream, job.progress("sequences predicted", None) as advance:
        stream.write(b"name\tprobability\n")
        blocks = io.read_blocks(source, size=_BLOCK, length=predictor.length)
        for rows in prediction.in_order(predict_block, blocks, threads=job.threads):
            stream.write("".join(f"{name}\t{value:.6g}\n" for name, value in rows).encode())
            advance(len(rows))
            done += len(rows)
    job.info(f"{done:,} sequences predicted: {job.output}")


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
