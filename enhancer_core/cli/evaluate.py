"""Commands that evaluate models: evaluate, baseline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from enhancer_core import __version__, data, io, models, prediction, report, training
from enhancer_core.cli import options as opt
from enhancer_core.cli.common import Job, load_model, or_na, with_interval
from enhancer_core.cli.dataset import DataSource, data_options, read_labelled

if TYPE_CHECKING:
    from enhancer_core.training.evaluation import BaselineKind


@opt.command()
@opt.model
@opt.paths("--positives", "FASTA files of positives.")
@opt.paths("--negatives", "FASTA files of negatives.")
@opt.path("--genome", "FASTA to evaluate along, instead of sequences.")
@opt.path("--peaks", "BED; all positives in the regions of the genome.")
@opt.path("--regions", "BED; evaluate in these, not along whole chromosomes.")
@opt.skip_missing
@opt.step
@opt.both_strands
@opt.prevalence
@opt.model_length
@opt.switch(
    "--store-thresholds",
    "Write model.safetensors too: MODEL with the thresholds measured here, for call --precision."
    " The regions must be ones that it was not trained on, and not those that it is judged on.",
    section="Output",
)
@opt.markdown()
@opt.job(
    "JSON file for the figures; along a genome, folder for these, precision.tsv and report.html.",
    *opt.compute,
    formats=(io.JSON,),
    files=("metrics.json", "precision.tsv", *opt.REPORT_FILES, io.MODEL_FILE),
    folder_with="genome",
)
def evaluate(
    model: Path,
    positives: tuple[Path, ...],
    negatives: tuple[Path, ...],
    genome: Path | None,
    peaks: Path | None,
    regions: Path | None,
    skip_missing: bool,
    step: int,
    both_strands: bool,
    prevalence: float | None,
    length: int | None,
    store_thresholds: bool,
    markdown: bool,
    job: Job,
) -> None:
    """Evaluate a trained network on other sequences, or along a genome.

    On sequences the figures are those of train: AUC, average precision and accuracy, each with a
    bootstrap interval. Along a genome they are those of a track: precision and recall where
    positives are as rare as they are. A bin is positive if its middle lies in a peak; a call, made
    as call makes them, is right if it overlaps a peak. Intervals are of a bootstrap over blocks of
    the genome. What the network was trained on flatters it; keep it out.

    \b
      enhancer-core evaluate model --positives mouse.fa \\
          --negatives mouse_background.fa -o mouse.json
      enhancer-core evaluate model --genome genome.fa --peaks peaks.bed \\
          --regions kept_out.bed -o along_genome
    """
    if genome is None:
        if not (positives and negatives):
            raise click.UsageError("give --positives and --negatives, or --genome and --peaks")
        if peaks or regions or store_thresholds or markdown:
            raise click.UsageError(
                "--peaks, --regions, --store-thresholds and --markdown need --genome"
            )
        _evaluate_sequences(
            model, positives, negatives, length, job,
            both_strands=both_strands, prevalence=prevalence,
        )  # fmt: skip
        return
    if peaks is None or positives or negatives:
        raise click.UsageError("--genome needs --peaks, and no --positives or --negatives")
    if length is not None:
        raise click.UsageError("--length is for --positives and --negatives")
    loaded = models.load_model(model)
    shift = job.shift(loaded, prevalence)
    predictor = loaded.predictor(job.device)
    with io.open_genome(genome, note=job.info, skip_missing=skip_missing) as opened:
        covered = prediction.genome_regions(opened, regions, note=job.info)
        known = prediction.genome_peaks(opened, peaks, covered, note=job.info)
        bins = job.scan(predictor, opened, covered, step=step, both_strands=both_strands)
    found = prediction.evaluate_bins(bins, known, shift=shift, rng=job.rng())
    measured = found.with_thresholds(loaded) if store_thresholds else None
    io.make_folder(job.output)
    files = {"genome": genome, "peaks": peaks, "regions": regions}
    names = {kind: None if path is None else path.name for kind, path in files.items()}
    record = {**found.to_dict(), "prevalence": prevalence, "inputs": names}
    io.write_json(job.output / "metrics.json", record)
    rows = ([or_na(value) for value in row] for row in found.precision_rows())
    io.write_table(job.output / "precision.tsv", prediction.ThresholdRow._fields, rows)
    page = report.genome_page(
        found, model=model.name, inputs=names, prevalence=prevalence, trained=loaded.prevalence
    )
    job.write_report(page, markdown=markdown)
    if measured is not None:
        models.save_model(measured, job.output / io.MODEL_FILE)
    job.info(
        f"average precision {with_interval(found.average_precision)}, base rate"
        f" {found.base_rate:.3f}; of the highest 1 % {found.top_precision.value:.1%} are right:"
        f" {job.output}"
    )


def _evaluate_sequences(
    model: Path,
    positives: tuple[Path, ...],
    negatives: tuple[Path, ...],
    length: int | None,
    job: Job,
    *,
    both_strands: bool,
    prevalence: float | None,
) -> None:
    from enhancer_core import metrics  # which loads NumPy

    loaded = load_model(model, length)
    shift = job.shift(loaded, prevalence)
    predictor = loaded.predictor(job.device)
    dataset = read_labelled(positives, negatives, job, length=length, expected=predictor.length)
    with job.progress("sequences predicted", len(dataset)) as advance:
        scores = prediction.probabilities(
            predictor, dataset.codes, both_strands=both_strands, shift=shift,
            threads=job.threads, progress=advance,
        )  # fmt: skip
    figures = metrics.evaluate(dataset.labels, scores, rng=job.rng())
    if conflicts := data.describe_conflicts(dataset):
        job.info(f"warning: {conflicts}")
    io.write_json(job.output, figures.to_dict())
    job.info(f"AUC {with_interval(figures.auc)}: {job.output}")
    if figures.auc.high < 0.5:
        job.info("the network ranks negatives above positives: are the two swapped?")


@opt.command()
@data_options
@opt.choice(
    "--kind",
    "Features: k-mer frequencies, standardised; k-mer counts as in the spectrum kernel, where"
    " frequent ones weigh more; gapped k-mers, any 6 letters of 10; or"
    " the best hit of each motif of --database.",
    *("kmer", "spectrum", "gkm", "motifs"),
    section="Training",
)
@opt.path("--database", f"For --kind motifs: {opt.MOTIF_FORMS}.", section="Training")
@opt.count("-k", "Length of k-mers without gaps, in bp.", 1, 8, default=5, section="Training")
@opt.job(
    "Folder for metrics.json, test_predictions.tsv and split.tsv; model.safetensors too, for any"
    " --kind but spectrum.",
    opt.seed,
    files=(io.MODEL_FILE, "metrics.json", "test_predictions.tsv", "split.tsv"),
)
def baseline(
    source: DataSource, kind: BaselineKind, database: Path | None, k: int, job: Job
) -> None:
    """Train and test a logistic regression, the model that a network has to beat.

    The split is the one that train makes from the same files and seed. All kinds but
    the spectrum kernel's are written as a model, which predict, variants and the others take.

    \b
      enhancer-core baseline --positives enhancers.fa \\
          --negatives background.fa -o baseline
      enhancer-core baseline --positives enhancers.fa \\
          --negatives background.fa --kind motifs --database JASPAR.meme -o hits
    """
    given = click.get_current_context().get_parameter_source("k")
    if kind in ("gkm", "motifs") and given is ParameterSource.COMMANDLINE:
        raise click.UsageError("-k is for --kind kmer and spectrum")
    if (kind == "motifs") != (database is not None):
        raise click.UsageError("--kind motifs and --database need each other")
    motifs = [] if database is None else io.read_motifs(database)
    output, seed = job.output, job.seed
    split = source.split(source.read(job), job)
    fitted = training.fit_baseline(split, kind=kind, k=k, motifs=motifs)
    scored = training.evaluate_baseline(split, fitted, seed=seed)
    io.make_folder(output)
    data.write_split(output / "split.tsv", split)
    training.write_predictions(output / "test_predictions.tsv", split, {"probability": scored})
    figures = {"name": scored.name, **scored.to_dict()}
    io.write_json(output / "metrics.json", figures)
    if scored.regression is not None:
        usual = scored
        if kind != "kmer" or k != training.BASELINE_K:
            usual = training.evaluate_baseline(split, training.fit_baseline(split), seed=seed)
        record = {
            "enhancer_core": __version__,
            "network": scored.name,
            "seed": seed,
            "prevalence": float(split.train.labels.mean()),
            **figures,
            "penalty": scored.regression.penalty,
            "baseline": {"name": usual.name, **usual.to_dict()},
        }
        model = models.Model(scored.regression.members, record)
        models.save_model(model, output / io.MODEL_FILE)
    job.info(f"{scored.name}: test AUC {with_interval(scored.test.auc)}: {output}")
