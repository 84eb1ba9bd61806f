"""Commands that judge: evaluate, baseline; and how `train` and `pssm` split data as they do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from enhancer_core.cli.common import (
    PATH,
    Function,
    ListCommand,
    Talk,
    device_option,
    list_option,
    load_predictor,
    output_option,
    quiet_option,
    seed_option,
    threads_option,
)

if TYPE_CHECKING:
    import numpy as np

    from enhancer_core.data.dataset import Dataset, SplitDataset
    from enhancer_core.metrics import Estimate


def data_options(function: Function) -> Function:
    """Add the options that say which sequences, and how they are split."""
    options: list[Callable[[Function], Function]] = [
        list_option("--positives", "FASTA files of positives, one or more.", required=True),
        list_option("--negatives", "FASTA files of negatives, one or more.", required=True),
        click.option(
            "--split",
            "split_table",
            type=PATH,
            help="split.tsv of an earlier run; the same records go to the same parts.",
        ),
        click.option(
            "--groups",
            metavar="chromosome|TABLE",
            help="Keep each group in one part: by chromosome, where names are chrom:start-end, or"
            " by a table with the columns name and group.",
        ),
        click.option("--test-group", metavar="GROUP...", multiple=True, help="Groups to test on."),
        click.option(
            "--validation-group",
            metavar="GROUP...",
            multiple=True,
            help="Groups to choose the network on.",
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


@click.command(cls=ListCommand)
@click.argument("model", type=PATH)
@list_option("--positives", "FASTA files of positives, one or more.", required=True)
@list_option("--negatives", "FASTA files of negatives, one or more.", required=True)
@seed_option
@threads_option
@device_option
@quiet_option
@output_option("JSON file for the figures.")
def evaluate(
    model: Path,
    positives: tuple[Path, ...],
    negatives: tuple[Path, ...],
    seed: int,
    threads: int,
    device: str,
    quiet: bool,
    output: Path,
) -> None:
    """Judge a trained network on other sequences.

    The figures are those of train: AUC, average precision and accuracy, each with a bootstrap
    interval. Sequences that the network was trained on flatter it; keep them out.

    \b
      enhancer-core evaluate model --positives mouse.fa \\
          --negatives mouse_background.fa -o mouse.json
    """
    import numpy as np

    from enhancer_core import metrics
    from enhancer_core.data.dataset import read_dataset
    from enhancer_core.io.files import check_output, write_json
    from enhancer_core.prediction.sequences import probabilities

    talk = Talk(quiet)
    check_output(output)
    predictor = load_predictor(model, device)
    dataset = read_dataset(positives, negatives)
    with talk.progress("sequences predicted", len(dataset)) as advance:
        found = probabilities(predictor, dataset.codes, threads=threads, progress=advance)
    figures = metrics.evaluate(dataset.labels, found, rng=np.random.default_rng(seed))
    write_json(output, figures.to_dict())
    talk.say(f"AUC {interval(figures.auc)}: {output}")
    if figures.auc.high < 0.5:
        talk.say("the network ranks negatives above positives: are the two swapped?")


@click.command(
    cls=ListCommand, short_help="Train and judge a simple model, which a network has to beat."
)
@data_options
@click.option(
    "--kind",
    type=click.Choice(["kmer", "spectrum", "gkm", "motifs"]),
    default="kmer",
    show_default=True,
    help="Whole k-mers, each on one scale; the spectrum kernel's, by their counts, frequent ones"
    " weighing more; gapped ones: any 6 letters of 10, which takes a minute or more; or the best"
    " hit of each motif of --database.",
)
@click.option(
    "--database",
    type=PATH,
    metavar="FILE",
    help="Known motifs for --kind motifs: MEME, JASPAR, HOMER or .pfm.",
)
@click.option(
    "-k",
    type=click.IntRange(1, 8),
    metavar="N",
    default=5,
    show_default=True,
    help="Length of whole k-mers, in bp.",
)
@seed_option
@quiet_option
@output_option(
    "Folder for metrics.json, test_predictions.tsv and split.tsv; model.safetensors too, for"
    " --kind kmer or motifs."
)
def baseline(
    positives: tuple[Path, ...],
    negatives: tuple[Path, ...],
    split_table: Path | None,
    groups: str | None,
    test_group: tuple[str, ...],
    validation_group: tuple[str, ...],
    kind: str,
    database: Path | None,
    k: int,
    seed: int,
    quiet: bool,
    output: Path,
) -> None:
    """Train and judge a logistic regression, the model that a network has to beat.

    The split is the one that train makes from the same files and seed. A regression on whole k-mers
    or on motifs is written as a network, which predict, variants and the others take.

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
    from enhancer_core import __version__
    from enhancer_core.data.dataset import read_dataset
    from enhancer_core.data.tables import write_split
    from enhancer_core.io.files import make_folder, write_json
    from enhancer_core.io.motifs import read_motifs
    from enhancer_core.models.model import MODEL_FILE, Model, save_model
    from enhancer_core.training.evaluation import (
        BASELINE_K,
        score_baseline,
        score_best_hits,
        score_gapped,
        score_spectrum,
        write_predictions,
    )

    talk = Talk(quiet)
    motifs = [] if database is None else read_motifs(database)
    data = split_data(
        read_dataset(positives, negatives),
        split_table=split_table,
        groups=groups,
        test=test_group,
        validation=validation_group,
        seed=seed,
        talk=talk,
    )
    if kind == "motifs":
        scored = score_best_hits(data, motifs, seed=seed)
    elif kind == "gkm":
        scored = score_gapped(data, seed=seed)
    elif kind == "spectrum":
        scored = score_spectrum(data, k, seed=seed)
    else:
        scored = score_baseline(data, k, seed=seed)
    make_folder(output)
    write_split(output / "split.tsv", data)
    write_predictions(output / "test_predictions.tsv", data, {"probability": scored})
    figures = {"name": scored.name, **scored.to_dict()}
    write_json(output / "metrics.json", figures)
    if scored.regression is not None:
        usual = kind == "kmer" and k == BASELINE_K
        beside = scored if usual else score_baseline(data, BASELINE_K, seed=seed)
        record = {
            "enhancer_core": __version__,
            "network": scored.name,
            "seed": seed,
            **figures,
            "penalty": scored.regression.penalty,
            "baseline": {"name": beside.name, **beside.to_dict()},
        }
        save_model(Model(scored.regression.members, record), output / MODEL_FILE)
    talk.say(f"{scored.name}: test AUC {interval(scored.test.auc)}: {output}")


def split_data(
    dataset: Dataset,
    *,
    split_table: Path | None,
    groups: str | None,
    test: tuple[str, ...],
    validation: tuple[str, ...],
    seed: int,
    talk: Talk,
) -> SplitDataset:
    """Split as the options say: by an earlier table, by groups, or by linked records."""
    import numpy as np

    from enhancer_core import data as datasets

    if split_table is not None and groups is not None:
        raise click.UsageError("--split and --groups exclude each other")
    if (test or validation) and groups is None:
        raise click.UsageError("--test-group and --validation-group need --groups")
    rng = np.random.default_rng(seed)
    if split_table is not None:
        data, why = datasets.read_split(split_table, dataset), f"as in {split_table}"
    elif groups is None:
        return datasets.split(dataset, rng=rng)
    else:
        data = _grouped(dataset, groups, test=test, validation=validation, rng=rng)
        why = "their sequence, or one of the same name, stands in an earlier group too"
    if data.left_out is not None:
        talk.say(f"{len(data.left_out):,} of {len(dataset):,} sequences are left out: {why}")
    if torn := datasets.torn_overlaps(data.dataset.names, data.parts):
        talk.say(
            f"note: {torn:,} sequences overlap one in another part, by their names, which flatters"
            " all figures; groups of neighbours, or --groups chromosome, keep them together"
        )
    return data


def _grouped(
    dataset: Dataset,
    groups: str,
    *,
    test: tuple[str, ...],
    validation: tuple[str, ...],
    rng: np.random.Generator,
) -> SplitDataset:
    """Split whole groups; leave out what two of them share."""
    from enhancer_core import data as datasets

    if groups == "chromosome":
        group_of = datasets.chromosome_groups(dataset.names)
    else:
        group_of = datasets.read_groups(Path(groups), dataset)
    kept = datasets.without_shared_sequences(dataset, group_of)
    data = datasets.split_by_group(
        dataset.take(kept), group_of[kept], rng=rng, test=test, validation=validation
    )
    return data if kept.all() else replace(data, left_out=dataset.take(~kept))


def interval(estimate: Estimate) -> str:
    """Spell a figure with its interval."""
    return f"{estimate.value:.3f} (95% interval {estimate.low:.3f} to {estimate.high:.3f})"
