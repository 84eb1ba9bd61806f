"""Commands that evaluate models: evaluate, baseline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from enhancer_core import __version__, data, io, models, prediction, training
from enhancer_core.cli import options as opt
from enhancer_core.cli.common import Job, with_interval
from enhancer_core.cli.dataset import DataSource, data_options, read_labelled

if TYPE_CHECKING:
    from enhancer_core.training.evaluation import BaselineKind


@opt.command()
@opt.model
@opt.positives
@opt.negatives
@opt.model_length
@opt.job("JSON file for the figures.", *opt.compute, formats=(io.JSON,))
def evaluate(
    model: Path,
    positives: tuple[Path, ...],
    negatives: tuple[Path, ...],
    length: int | None,
    job: Job,
) -> None:
    """Evaluate a trained network on other sequences.

    The figures are those of train: AUC, average precision and accuracy, each with a bootstrap
    interval. Sequences that the network was trained on flatter it; keep them out.

    \b
      enhancer-core evaluate model --positives mouse.fa \\
          --negatives mouse_background.fa -o mouse.json
    """
    from enhancer_core import metrics  # which loads NumPy

    predictor = job.predictor(model, length)
    dataset = read_labelled(positives, negatives, job, length=length, expected=predictor.length)
    with job.progress("sequences predicted", len(dataset)) as advance:
        scores = prediction.probabilities(
            predictor, dataset.codes, threads=job.threads, progress=advance
        )
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
            **figures,
            "penalty": scored.regression.penalty,
            "baseline": {"name": usual.name, **usual.to_dict()},
        }
        model = models.Model(scored.regression.members, record)
        models.save_model(model, output / io.MODEL_FILE)
    job.info(f"{scored.name}: test AUC {with_interval(scored.test.auc)}: {output}")
