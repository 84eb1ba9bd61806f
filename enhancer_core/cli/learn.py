"""Commands that learn and judge: train, evaluate, baseline."""

from __future__ import annotations

from collections.abc import Callable
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
    load_scorer,
    output_option,
    quiet_option,
    resolve_device,
    seed_option,
    threads_option,
)

if TYPE_CHECKING:
    from enhancer_core.dataset import Dataset, SplitDataset
    from enhancer_core.metrics import Estimate

_NETWORKS = ("enhancer", "tf", "original_code")  # model.NETWORKS, without importing torch
_UNFINISHED = "restarts"  # the folder in the output folder where a run in progress keeps its state


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
@data_options
@click.option(
    "--network",
    type=click.Choice(_NETWORKS),
    default="enhancer",
    show_default=True,
    help="The paper's network for enhancers, the smaller one for one transcription factor, or the"
    " first with the bugs of the published code.",
)
@click.option(
    "--restarts",
    type=click.IntRange(min=1),
    metavar="N",
    default=50,
    show_default=True,
    help="Random starting weights to train from; the best network is kept.",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    metavar="N",
    default=20,
    show_default=True,
    help="Passes over the training part, at most.",
)
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    metavar="N",
    default=50,
    show_default=True,
    help="Sequences in a mini-batch.",
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    metavar="RATE",
    default=1e-3,
    show_default=True,
    help="Step size of the Adam optimiser.",
)
@click.option(
    "--stop-below-loss",
    type=click.FloatRange(min=0),
    metavar="LOSS",
    default=2e-4,
    show_default=True,
    help="End a restart when a mini-batch's mean cross-entropy is below this.",
)
@click.option(
    "--keep",
    type=click.Choice(["best", "last"]),
    default="best",
    show_default=True,
    help="Which epoch of a restart is kept: best by validation AUC, or last, as published.",
)
@click.option(
    "--markdown",
    is_flag=True,
    help="Write the report as Markdown too: report.md, with its images in the folder figures.",
)
@click.option(
    "--resume", is_flag=True, help="Continue the unfinished run in the output folder, if any."
)
@seed_option
@threads_option
@device_option
@quiet_option
@output_option("Folder for the model, its figures and its report.")
def train(
    positives: tuple[Path, ...],
    negatives: tuple[Path, ...],
    split_table: Path | None,
    groups: str | None,
    test_group: tuple[str, ...],
    validation_group: tuple[str, ...],
    network: str,
    restarts: int,
    epochs: int,
    batch: int,
    learning_rate: float,
    stop_below_loss: float,
    keep: str,
    markdown: bool,
    resume: bool,
    seed: int,
    threads: int,
    device: str,
    quiet: bool,
    output: Path,
) -> None:
    """Train a network on positives and negatives, and judge it.

    The data are split first (80 / 10 / 10): identical sequences, records of one name, and
    overlapping windows named chrom:start-end stay in one part. Several random restarts are
    trained; the best by validation AUC is kept and judged once on the test part, beside a 5-mer
    baseline. The folder gets model.safetensors, metrics.json, test_predictions.tsv, split.tsv and
    report.html. A run that was killed continues with --resume, the other options the same, to the
    same bytes.

    \b
      enhancer-core train --positives enhancers.fa --negatives background.fa \\
          -o model
      enhancer-core train --positives e.fa --negatives b.fa k4.fa --restarts 10 \\
          --groups chromosome --test-group chr1 --validation-group chr2 -o model
    """
    from enhancer_core.architecture import architecture
    from enhancer_core.dataset import read_dataset
    from enhancer_core.experiment import Experiment, run, write_outcome
    from enhancer_core.io.files import make_folder, remove_partial
    from enhancer_core.train import Check, TrainConfig, discard_states

    talk = Talk(quiet)
    state = output / _UNFINISHED
    if state.is_dir() and not resume:
        raise click.UsageError(
            f"{output} holds an unfinished run; continue it with --resume, or choose another folder"
        )
    device = resolve_device(device)
    data = split_data(
        read_dataset(positives, negatives),
        split_table=split_table,
        groups=groups,
        test=test_group,
        validation=validation_group,
        seed=seed,
        talk=talk,
    )
    experiment = Experiment(
        data=data,
        network=network,
        architecture=architecture(network, length=data.dataset.codes.shape[1]),
        config=TrainConfig(
            restarts=restarts,
            epochs=epochs,
            batch=batch,
            learning_rate=learning_rate,
            stop_below_loss=stop_below_loss,
            keep=keep,
        ),
        seed=seed,
        grouped=groups is not None,
    )
    for folder in (output, state):  # only now: bad input leaves no folder behind
        make_folder(folder)
        remove_partial(folder)
    talk.say(_describe(data))
    with talk.progress("epochs trained", restarts * epochs) as advance:
        done = dict.fromkeys(range(restarts), 0)
        best = 0.0

        def progress(restart: int, check: Check) -> None:
            nonlocal best
            best = max(best, check.auc)
            advance(int(check.epoch) - done[restart], f"best validation AUC {best:.3f}")
            done[restart] = int(check.epoch)

        outcome = run(
            experiment,
            threads=threads,
            device=device,
            folder=state,
            progress=progress,
        )
    write_outcome(
        output,
        experiment,
        outcome,
        positives=positives,
        negatives=negatives,
        threads=threads,
        markdown=markdown,
    )
    discard_states(state)
    talk.say(f"network:  test AUC {interval(outcome.network.test.auc)}")
    talk.say(f"baseline: test AUC {interval(outcome.baseline.test.auc)} ({outcome.baseline.name})")
    talk.say(f"model and report: {output}")


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
    from enhancer_core.dataset import read_dataset
    from enhancer_core.io.files import check_output, write_json
    from enhancer_core.predict import probabilities

    talk = Talk(quiet)
    check_output(output)
    network = load_scorer(model, device)
    dataset = read_dataset(positives, negatives)
    with talk.progress("sequences predicted", len(dataset)) as advance:
        found = probabilities(network, dataset.codes, threads=threads, progress=advance)
    figures = metrics.evaluate(dataset.labels, found, rng=np.random.default_rng(seed))
    write_json(output, figures.to_dict())
    talk.say(f"AUC {interval(figures.auc)}: {output}")
    if figures.auc.high < 0.5:
        talk.say("the network ranks negatives above positives: are the two swapped?")


@click.command(
    cls=ListCommand, short_help="Train and judge a k-mer model, which a network has to beat."
)
@data_options
@click.option(
    "--kind",
    type=click.Choice(["kmer", "spectrum", "gkm"]),
    default="kmer",
    show_default=True,
    help="Whole k-mers, each on one scale; the spectrum kernel's, by their counts, frequent ones"
    " weighing more; or gapped ones: any 6 letters of 10, which takes a minute or more.",
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
@output_option("Folder for metrics.json, test_predictions.tsv and split.tsv.")
def baseline(
    positives: tuple[Path, ...],
    negatives: tuple[Path, ...],
    split_table: Path | None,
    groups: str | None,
    test_group: tuple[str, ...],
    validation_group: tuple[str, ...],
    kind: str,
    k: int,
    seed: int,
    quiet: bool,
    output: Path,
) -> None:
    """Train and judge a k-mer logistic regression, the model that a network has to beat.

    The split is the one that train makes from the same files and seed.

    \b
      enhancer-core baseline --positives enhancers.fa \\
          --negatives background.fa -o baseline
    """
    given = click.get_current_context().get_parameter_source("k")
    if kind == "gkm" and given is ParameterSource.COMMANDLINE:
        raise click.UsageError("-k is for --kind kmer; gapped k-mers have 6 letters of 10")
    from enhancer_core.dataset import read_dataset
    from enhancer_core.experiment import (
        score_baseline,
        score_gapped,
        score_spectrum,
        write_predictions,
        write_split,
    )
    from enhancer_core.io.files import make_folder, write_json

    talk = Talk(quiet)
    data = split_data(
        read_dataset(positives, negatives),
        split_table=split_table,
        groups=groups,
        test=test_group,
        validation=validation_group,
        seed=seed,
        talk=talk,
    )
    if kind == "gkm":
        scored = score_gapped(data, seed=seed)
    elif kind == "spectrum":
        scored = score_spectrum(data, k, seed=seed)
    else:
        scored = score_baseline(data, k, seed=seed)
    make_folder(output)
    write_split(output / "split.tsv", data)
    write_predictions(output / "test_predictions.tsv", data, {"probability": scored})
    write_json(output / "metrics.json", {"name": scored.name, **scored.to_dict()})
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

    from enhancer_core import dataset as datasets

    if split_table is not None and groups is not None:
        raise click.UsageError("--split and --groups exclude each other")
    if (test or validation) and groups is None:
        raise click.UsageError("--test-group and --validation-group need --groups")
    if split_table is not None:
        return datasets.read_split(split_table, dataset)
    rng = np.random.default_rng(seed)
    if groups is None:
        return datasets.split(dataset, rng=rng)
    if groups == "chromosome":
        group_of = datasets.chromosome_groups(dataset.names)
    else:
        group_of = datasets.read_groups(Path(groups), dataset)
    kept = datasets.without_shared_sequences(dataset, group_of)
    data = datasets.split_by_group(
        dataset.take(kept), group_of[kept], rng=rng, test=test, validation=validation
    )
    if not kept.all():
        talk.say(
            f"{int((~kept).sum()):,} of {len(dataset):,} sequences stand in an earlier group too"
            " and are left out"
        )
    return data


def _describe(data: SplitDataset) -> str:
    parts = ((data.train, "to learn from"), (data.validation, "to choose"), (data.test, "to test"))
    counts = ", ".join(
        f"{part.labels.sum():,} + {(~part.labels).sum():,} {what}" for part, what in parts
    )
    return f"positives + negatives: {counts}"


def interval(estimate: Estimate) -> str:
    """Spell a figure with its interval."""
    return f"{estimate.value:.3f} (95% interval {estimate.low:.3f} to {estimate.high:.3f})"
