"""The command that scores DNA with a trained network: predict."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from enhancer_core import io, prediction
from enhancer_core.cli import options as opt
from enhancer_core.cli.common import Console, load_predictor

if TYPE_CHECKING:
    from enhancer_core.models.ensemble import Predictor

_BLOCK = 4096  # sequences read at once


@opt.command(short_help="Predict probabilities for sequences, or a track along a genome.")
@opt.model
@opt.path_argument("source", metavar="[IN.fa]", required=False)
@opt.path("--genome", help="FASTA to predict a track along.")
@opt.path("--regions", help="BED; the track covers these, not whole chromosomes.")
@opt.count("--step", metavar="BP", default=50, help="Length of a track's bins.")
@opt.switch(
    "--both-strands",
    help="Average each sequence's or window's probability with its reverse complement's.",
)
@opt.threads
@opt.device
@opt.quiet
@opt.output("TSV for sequences; .bedgraph or .bw (bigWig) for a track.")
def predict(
    model: Path,
    source: Path | None,
    genome: Path | None,
    regions: Path | None,
    step: int,
    both_strands: bool,
    threads: int,
    device: str,
    console: Console,
    output: Path,
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
    io.check_output(output)
    predictor = load_predictor(model, device)
    if source is not None:
        _predict_sequences(
            predictor, source, output, both_strands=both_strands, threads=threads, console=console
        )
    elif genome is not None:
        _predict_track(
            predictor, genome, regions, output,
            step=step, both_strands=both_strands, threads=threads, console=console,
        )  # fmt: skip


def _predict_sequences(
    predictor: Predictor,
    source: Path,
    output: Path,
    *,
    both_strands: bool,
    threads: int,
    console: Console,
) -> None:
    def predict_block(block: io.Sequences) -> list[tuple[str, float]]:
        scores = prediction.probabilities(predictor, block.codes, both_strands=both_strands)
        return list(zip(block.names, scores.tolist(), strict=True))

    done = 0
    with io.open_output(output) as stream, console.progress("sequences predicted", None) as advance:
        stream.write(b"name\tprobability\n")
        blocks = io.read_blocks(source, size=_BLOCK, length=predictor.length)
        for rows in prediction.in_order(predict_block, blocks, threads=threads):
            stream.write("".join(f"{name}\t{value:.6g}\n" for name, value in rows).encode())
            advance(len(rows))
            done += len(rows)
    console.info(f"{done:,} sequences predicted: {output}")


def _predict_track(
    predictor: Predictor,
    genome: Path,
    regions: Path | None,
    output: Path,
    *,
    step: int,
    both_strands: bool,
    threads: int,
    console: Console,
) -> None:
    with io.open_genome(genome, note=console.info) as opened:
        covered = prediction.genome_regions(opened, regions)
        bins = int((-(-(covered.ends - covered.starts) // step)).sum())
        known = 0
        with console.progress("bins predicted", bins) as advance:
            stretches = prediction.track(
                predictor, opened, covered,
                step=step, both_strands=both_strands, threads=threads, progress=advance,
            )  # fmt: skip

            def counted() -> Iterator[io.Stretch]:
                nonlocal known
                for stretch in stretches:
                    known += len(stretch[-1])
                    yield stretch

            io.write_track(output, counted(), opened.lengths)
    if known < bins:
        console.info(f"{bins - known:,} bins have no value: their window is mostly N")
    console.info(f"{known:,} bins of {step} bp in {len(covered):,} regions predicted: {output}")
