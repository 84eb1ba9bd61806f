"""Commands that score DNA with a trained network: predict."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from enhancer_core.cli.common import (
    PATH,
    Talk,
    device_option,
    load_predictor,
    output_option,
    quiet_option,
    threads_option,
)

if TYPE_CHECKING:
    from enhancer_core.io.fasta import Sequences
    from enhancer_core.io.tracks import Stretch
    from enhancer_core.models.ensemble import Predictor

_BLOCK = 4096  # sequences read at once


@click.command(short_help="Predict probabilities for sequences, or a track along a genome.")
@click.argument("model", type=PATH)
@click.argument("source", metavar="[IN.fa]", type=PATH, required=False)
@click.option("--genome", type=PATH, help="FASTA to predict a track along.")
@click.option("--regions", type=PATH, help="BED; the track covers these, not whole chromosomes.")
@click.option(
    "--step",
    type=click.IntRange(min=1),
    metavar="BP",
    default=50,
    show_default=True,
    help="Length of a track's bins.",
)
@click.option(
    "--both-strands",
    is_flag=True,
    help="Average each sequence's or window's probability with its reverse complement's.",
)
@threads_option
@device_option
@quiet_option
@output_option("TSV for sequences; .bedgraph or .bw (bigWig) for a track.")
def predict(
    model: Path,
    source: Path | None,
    genome: Path | None,
    regions: Path | None,
    step: int,
    both_strands: bool,
    threads: int,
    device: str,
    quiet: bool,
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
    from enhancer_core.io.files import check_output

    check_output(output)
    predictor = load_predictor(model, device)
    talk = Talk(quiet)
    if source is not None:
        _predict_sequences(
            predictor, source, output, both_strands=both_strands, threads=threads, talk=talk
        )
    elif genome is not None:
        _predict_track(
            predictor, genome, regions, output,
            step=step, both_strands=both_strands, threads=threads, talk=talk,
        )  # fmt: skip


def _predict_sequences(
    predictor: Predictor,
    source: Path,
    output: Path,
    *,
    both_strands: bool,
    threads: int,
    talk: Talk,
) -> None:
    from enhancer_core.io.fasta import read_blocks
    from enhancer_core.io.files import open_output
    from enhancer_core.prediction.sequences import in_order, probabilities

    def predict(block: Sequences) -> list[tuple[str, float]]:
        found = probabilities(predictor, block.codes, both_strands=both_strands)
        return list(zip(block.names, found.tolist(), strict=True))

    done = 0
    with open_output(output) as stream, talk.progress("sequences predicted", None) as advance:
        stream.write(b"name\tprobability\n")
        blocks = read_blocks(source, size=_BLOCK, length=predictor.length)
        for rows in in_order(predict, blocks, threads=threads):
            stream.write("".join(f"{name}\t{value:.6g}\n" for name, value in rows).encode())
            advance(len(rows))
            done += len(rows)
    talk.say(f"{done:,} sequences predicted: {output}")


def _predict_track(
    predictor: Predictor,
    genome: Path,
    regions: Path | None,
    output: Path,
    *,
    step: int,
    both_strands: bool,
    threads: int,
    talk: Talk,
) -> None:
    from enhancer_core.io.genome import open_genome
    from enhancer_core.io.tracks import write_track
    from enhancer_core.prediction.tracks import genome_regions, track

    with open_genome(genome, note=talk.say) as opened:
        chosen = genome_regions(opened, regions)
        bins = int((-(-(chosen.ends - chosen.starts) // step)).sum())
        known = 0
        with talk.progress("bins predicted", bins) as advance:
            stretches = track(
                predictor, opened, chosen,
                step=step, both_strands=both_strands, threads=threads, progress=advance,
            )  # fmt: skip

            def counted() -> Iterator[Stretch]:
                nonlocal known
                for stretch in stretches:
                    known += len(stretch[-1])
                    yield stretch

            write_track(output, counted(), opened.lengths)
    if known < bins:
        talk.say(f"{bins - known:,} bins have no value: their window is mostly N")
    talk.say(f"{known:,} bins of {step} bp in {len(chosen):,} regions predicted: {output}")
