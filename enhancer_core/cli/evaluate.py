"""Commands that evaluate models: evaluate, baseline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from enhancer_core import __version__, data, io, models, prediction, training
from enhancer_core.cli import options as opt
from enhancer_core.cli.common import Console, load_predictor, random_generator
from enhancer_core.cli.dataset import DataSource, data_options, with_interval

if TYPE_CHECKING:
    from enhancer_core.training.evaluation import BaselineKind


@opt.command()
@opt.model
@opt.positives
@opt.negatives
@opt.seed
@opt.threads
@opt.device
@opt.quiet
@opt.output("JSON file for the figures.")
def evaluate(
    model: Path,
    positives: tuple[Path, ...],
    negatives: tuple[Path, ...],
    seed: int,
    threads: int,
    device: str,
    console: Console,
    output: Path,
) -> None:
    """Evaluate a trained network on other sequences.

    The figures are those of train: AUC, average precision and accuracy, each with a bootstrap
    interval. Sequences that the network was trained on flatter it; keep them out.

    \b
      enhancer-core evaluate model --positives mouse.fa \\
          --negatives mouse_background.fa -o mouse.json
    """
    from enhancer_core import metrics  # which loads NumPy

    io.check_output(output)
    predictor = load_predictor(model, device)
    dataset = data.read_dataset(positives, negatives)
    with console.progress("sequences predicted", len(dataset)) as advance:
        scores = prediction.probabilities(
            predictor, dataset.codes, threads=threads, progress=advance
        )
    figures = metrics.evaluate(dataset.labels, scores, rng=random_generator(seed))
    io.write_json(output, figures.to_dict())
    console.info(f"AUC {with_interval(figures.auc)}: {output}")
    if figures.auc.high < 0.5:
        console.info("the network ranks negatives above positives: are the two swapped?")


@opt.command(short_help="Train and test a simple model, which a network has to beat.")
@data_options
@opt.option(
    "--kind",
    type=click.Choice(["kmer", "spectrum", "gkm", "motifs"]),
    default="kmer",
    section="Training",
    help="Features: k-mer frequencies, standardised; k-mer counts as in the spectrum kernel, where"
    " frequent ones weigh more; gapped k-mers, any 6 letters of 10, which take a minute or more;"
    " or the best hit of each motif of --database.",
)
@opt.path(
    "--database",
    metavar="FILE",
    section="Training",
    help="Known motifs for --kind motifs: MEME, JASPAR, HOMER or .pfm.",
)
@opt.option(
    "-k",
    type=click.IntRange(1, 8),
    metavar="N",
    default=5,
    section="Training",
    help="Length of k-mers without gaps, in bp.",
)
@opt.seed
@opt.quiet
@opt.output(
    "Folder for metrics.json, test_predictions.tsv and split.tsv; model.safetensors too, for"
    " --kind kmer or motifs."
)
def baseline(
    source: DataSource,
    kind: BaselineKind,
    database: Path | None,
    k: int,
    seed: int,
    console: Console,
    output: Path,
) -> None:
    """Train and test a logistic regression, the model that a network has to beat.

    The split is the one that train makes from the same files and seed. A regression on k-mer
    frequencies or on motifs is written as a network, which predict, variants and the others take.

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
    split = source.split(source.read(), seed=seed, console=console)
    fitted = training.fit_baseline(split, kind=kind, k=k, motifs=motifs)
    scored = training.evaluate_baseline(split, fitted, seed=seed)
    io.make_folder(output)
    data.write_split(output / "split.tsv", split)
    training.write_predictions(output / "test_predictions.tsv", split, {"probability": scored})
    figures = {"name": scored.name, **scored.to_dict()}
    io.write_json(output / "metrics.json", figures)
    if scored.regression is not None:
        usual_k = training.BASELINE_K
        usual = scored
        if kind != "kmer" or k != usual_k:
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
        models.save_model(model, output / models.MODEL_FILE)
    console.info(f"{scored.name}: test AUC {with_interval(scored.test.auc)}: {output}")
