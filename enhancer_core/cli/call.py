"""The command that calls enhancers along a genome: call."""

from __future__ import annotations

from pathlib import Path

import click

from enhancer_core import io, models, prediction
from enhancer_core.cli import options as opt
from enhancer_core.cli.common import Job, or_na


@opt.command()
@opt.model
@opt.path("--genome", "FASTA to make calls along.", required=True)
@opt.path("--regions", "BED; calls are made in these, not along whole chromosomes.")
@opt.skip_missing
@opt.number(
    "--precision",
    "Calls of which this share is right, by MODEL's own thresholds.",
    0,
    1,
    above=True,
    metavar="SHARE",
)
@opt.count("--top", "The N best calls.")
@opt.number(
    "--threshold",
    "Calls of bins with at least this probability.",
    0,
    1,
    above=True,
    metavar="PROBABILITY",
)
@opt.step
@opt.both_strands
@opt.prevalence
@opt.job("BED file for the calls.", opt.threads, opt.device, formats=(io.BED,))
def call(
    model: Path,
    genome: Path,
    regions: Path | None,
    skip_missing: bool,
    precision: float | None,
    top: int | None,
    threshold: float | None,
    step: int,
    both_strands: bool,
    prevalence: float | None,
    job: Job,
) -> None:
    """Call enhancers along a genome: where, how good, and how often such calls are right.

    MODEL is a model.safetensors file or its folder. Bins of a track, as predict makes it, that
    reach the threshold are one call where less than half a window lies between them. The BED file
    is sorted by position; call_1 is the best. Its columns: chromosome, start, end, name, score
    (1000 times the probability), strand (none), probability at the summit, precision, and the
    summit, the middle of the best bin. The precision is the share that is right of all calls as
    good or better, where MODEL's thresholds were measured; NA if it has none.

    --precision needs such a model: evaluate --genome --peaks --store-thresholds writes it, for the
    same --step and strands. It holds where positives are as frequent as they were there.

    \b
      enhancer-core evaluate model --genome genome.fa --peaks peaks.bed \\
          --regions kept_out.bed --store-thresholds -o measured
      enhancer-core call measured --genome genome.fa --precision 0.8 -o calls.bed
      enhancer-core call model --genome genome.fa --top 1000 -o best.bed.gz
    """
    if (precision, top, threshold).count(None) != 2:
        raise click.UsageError("give one of --precision, --top and --threshold")
    loaded = models.load_model(model)
    choose = prediction.chooser(
        loaded, precision=precision, top=top, threshold=threshold, prevalence=prevalence,
        step=step, both_strands=both_strands, note=job.info,
    )  # fmt: skip
    job.shift(loaded, prevalence)
    predictor = loaded.predictor(job.device)
    with io.open_genome(genome, note=job.info, skip_missing=skip_missing) as opened:
        covered = prediction.genome_regions(opened, regions, note=job.info)
        calls = choose(job.scan(predictor, opened, covered, step=step, both_strands=both_strands))
    rows = ([or_na(value) for value in row] for row in calls.rows())
    io.write_table(job.output, ["#chrom", *prediction.CALL_COLUMNS[1:]], rows)
    if top is not None and len(calls) < top:
        job.info(f"no threshold makes {top:,} calls; these are the most")
    job.info(f"{len(calls):,} calls: {job.output}")
