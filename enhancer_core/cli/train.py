"""The command that learns: train."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from enhancer_core.cli.common import (
    PATH,
    FiniteRange,
    ListCommand,
    Talk,
    device_option,
    list_option,
    output_option,
    quiet_option,
    seed_option,
    threads_option,
)
from enhancer_core.cli.evaluate import data_options, interval, split_data

if TYPE_CHECKING:
    from enhancer_core.data.dataset import SplitDataset
    from enhancer_core.models.architecture import Architecture
    from enhancer_core.training.config import TrainConfig
    from enhancer_core.training.experiment import Experiment
    from enhancer_core.training.warm_start import Start

# architecture.NETWORKS, whose names help shows without importing numpy; a test compares the two.
_NETWORKS = ("enhancer", "tf", "original_code", "best")
_UNFINISHED = "restarts"  # the folder in the output folder where a run in progress keeps its state


@click.command(cls=ListCommand)
@data_options
@click.option(
    "--network",
    type=click.Choice(_NETWORKS),
    default="enhancer",
    show_default=True,
    help="The paper's network for enhancers, the smaller one for one transcription factor, or the"
    " first with the bugs of the published code; or best, which is not the paper's: what is not"
    " given is then as its own protocol has it (shifts, strands, a running mean, an ensemble, with"
    " regressions on 5-mers and on the best hits of all motifs of --plant-motifs).",
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
    type=FiniteRange(min=0, min_open=True),
    metavar="RATE",
    default=1e-3,
    show_default=True,
    help="Step size of the Adam optimiser.",
)
@click.option(
    "--stop-below-loss",
    type=FiniteRange(min=0),
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
@list_option(
    "--plant",
    "Trained models whose filters are planted side by side in a wider network. Train them on the"
    " same --split, or they have seen what is tested on.",
)
@click.option(
    "--plant-motifs",
    type=PATH,
    metavar="FILE",
    help="Motifs that become first-layer filters: MEME, JASPAR, HOMER or .pfm.",
)
@click.option(
    "--plant-share",
    type=FiniteRange(0, 1, min_open=True),
    metavar="SHARE",
    default=0.75,
    show_default=True,
    help="Share of filters that are planted; with --plant the network is made as wide as that"
    " needs.",
)
@click.option(
    "--initial",
    type=PATH,
    metavar="MODEL",
    help="Train this model further: each restart starts from its weights, or its convolutions'"
    " alone where the dense layers or the length differ.",
)
@click.option(
    "--freeze",
    type=click.IntRange(min=0),
    metavar="EPOCHS",
    default=0,
    show_default=True,
    help="Epochs for which what is planted, or started from, stays as it is.",
)
@click.option(
    "--widen",
    type=FiniteRange(min=1),
    metavar="TIMES",
    default=1.0,
    show_default=True,
    help="So many times the filters in each convolution.",
)
@click.option(
    "--first-filters",
    type=click.IntRange(min=1),
    metavar="N",
    help="Filters of the first convolution alone, to make room for motifs.",
)
@click.option(
    "--shift",
    type=click.IntRange(min=0),
    metavar="BP",
    default=0,
    show_default=True,
    help="Move a training sequence by up to so many bp, either way, each time it is read.",
)
@click.option("--flip", is_flag=True, help="Read a random strand of a training sequence each time.")
@click.option(
    "--mutate",
    type=FiniteRange(0, 1, max_open=True),
    metavar="SHARE",
    default=0.0,
    show_default=True,
    help="Replace so many letters of a training sequence by random bases each time it is read.",
)
@click.option(
    "--weight-decay",
    type=FiniteRange(min=0),
    metavar="DECAY",
    default=0.0,
    show_default=True,
    help="Shrink weights by this times the learning rate at each step, as AdamW does.",
)
@click.option(
    "--average",
    type=FiniteRange(0, 1, max_open=True),
    metavar="DECAY",
    default=0.0,
    show_default=True,
    help="Keep a running mean of the weights with this decay, for example 0.995, and judge it in"
    " their place.",
)
@click.option(
    "--schedule",
    type=click.Choice(["constant", "cosine"]),
    default="constant",
    show_default=True,
    help="How the learning rate goes: cosine falls to 0 over all epochs.",
)
@click.option(
    "--ensemble",
    type=click.IntRange(min=1),
    metavar="N",
    default=1,
    show_default=True,
    help="Keep the N best restarts in one model, which predicts with their mean log odds.",
)
@click.option(
    "--regressions/--no-regressions",
    help="Let regressions on 5-mers, and on the best hits of all motifs of --plant-motifs, predict"
    " with the networks, each counting for how well it tells the validation part's classes; with"
    " --calibrate only. Of more motifs than fit into the network those that weigh most in that"
    " regression are planted.",
)
@click.option(
    "--calibrate",
    is_flag=True,
    help="Scale and shift log odds on the validation part, so that a probability means what it"
    " says; the order of scores stays.",
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
    plant: tuple[Path, ...],
    plant_motifs: Path | None,
    plant_share: float,
    initial: Path | None,
    freeze: int,
    widen: float,
    first_filters: int | None,
    shift: int,
    flip: bool,
    mutate: float,
    weight_decay: float,
    average: float,
    schedule: str,
    ensemble: int,
    calibrate: bool,
    regressions: bool,
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
      enhancer-core train --positives e.fa --negatives b.fa --shift 10 --flip \\
          --weight-decay 0.01 --average 0.995 --schedule cosine \\
          --ensemble 3 --calibrate -o model
      enhancer-core train --positives e.fa --negatives b.fa \\
          --plant k2 k3 k4 -o wide
      enhancer-core train --positives e.fa --negatives b.fa \\
          --network best --plant-motifs H12CORE.meme -o best
    """
    from enhancer_core.data.dataset import read_dataset
    from enhancer_core.io.files import make_folder, remove_partial
    from enhancer_core.models.architecture import named_architecture, widened
    from enhancer_core.models.device import resolve_device
    from enhancer_core.training.experiment import Experiment, input_files, run, write_outcome
    from enhancer_core.training.restart import Check, discard_states

    if sum((bool(plant), plant_motifs is not None, initial is not None)) > 1:
        raise click.UsageError("--plant, --plant-motifs and --initial exclude each other")
    talk = Talk(quiet)
    state = output / _UNFINISHED
    if state.is_dir() and not resume:
        raise click.UsageError(
            f"{output} holds an unfinished run; continue it with --resume, or choose another folder"
        )
    config = _config(network)
    device = resolve_device(device)
    dataset = read_dataset(positives, negatives)
    inputs = input_files(dataset, positives, negatives)
    data = split_data(
        dataset,
        split_table=split_table,
        groups=groups,
        test=test_group,
        validation=validation_group,
        seed=seed,
        talk=talk,
    )
    architecture = named_architecture(network, length=data.dataset.codes.shape[1])
    architecture = widened(architecture, widen, first=first_filters)
    architecture, start = _start(
        architecture, plant=plant, plant_motifs=plant_motifs, initial=initial, share=plant_share,
        data=data if config.regressions else None,
    )  # fmt: skip
    experiment = Experiment(
        data=data,
        inputs=inputs,
        network=network,
        architecture=architecture,
        start=start,
        config=config,
        seed=seed,
        split_by="table" if split_table else "groups" if groups else "links",
    )
    for folder in (output, state):  # only now: bad input leaves no folder behind
        make_folder(folder)
        remove_partial(folder)
    talk.say(_describe(data))
    if start is not None:
        talk.say(_describe_start(start, architecture))
        if plant_motifs is None and split_table is None and not test_group:
            talk.say(
                "note: a model trained on another split has seen some of what is tested on here;"
                " give both the same --split"
            )
    _say_arrangement(talk, experiment, device)
    with talk.progress("epochs trained", config.restarts * config.epochs) as advance:
        done = dict.fromkeys(range(config.restarts), 0)
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
    write_outcome(output, experiment, outcome, threads=threads, markdown=markdown)
    discard_states(state)
    for part in outcome.trained.parts:
        talk.say(f"part of the ensemble: {part.name}, validation AUC {part.validation_auc:.3f}")
    talk.say(f"network:  test AUC {interval(outcome.network.test.auc)}")
    talk.say(f"baseline: test AUC {interval(outcome.baseline.test.auc)} ({outcome.baseline.name})")
    talk.say(f"model and report: {output}")


def _config(network: str) -> TrainConfig:
    """Take the network's protocol, and in it what the command line says.

    The defaults that click knows are those of the paper's networks, so it is asked what was given.
    """
    from enhancer_core.training.config import TrainConfig, protocol

    context, config = click.get_current_context(), protocol(network)
    given = {
        field.name: context.params[field.name]
        for field in fields(TrainConfig)
        if context.get_parameter_source(field.name) is ParameterSource.COMMANDLINE
    }
    if "restarts" in given and "ensemble" not in given:
        given["ensemble"] = min(config.ensemble, given["restarts"])
    return replace(config, **given)


def _start(
    architecture: Architecture,
    *,
    plant: tuple[Path, ...],
    plant_motifs: Path | None,
    initial: Path | None,
    share: float,
    data: SplitDataset | None,
) -> tuple[Architecture, Start | None]:
    """Give the network, which donors may widen, and what its first weights are."""
    from enhancer_core.training.warm_start import from_model, from_motifs, from_networks

    if plant:
        return from_networks(plant, architecture, share=share)
    if plant_motifs is not None:
        return architecture, from_motifs(plant_motifs, architecture, share=share, data=data)
    return architecture, None if initial is None else from_model(initial, architecture)


def _describe_start(start: Start, architecture: Architecture) -> str:
    names = ", ".join(start.names())
    if start.chosen is not None:
        names += (
            f" ({start.chosen:,} of {len(start.motifs):,}, as many as fit: those that weigh most in"
            " the regression on best hits)"
        )
    if start.kind != "start from":
        filters = ", ".join(f"{layer.filters:,}" for layer in architecture.convolutions)
        return f"{start.kind}: {names}; the convolutions have {filters} filters"
    if start.planted.planted.all():
        return f"all weights start from {names}"
    return (
        f"the convolutions start from {names}; the dense layers are drawn, since they or the length"
        " differ"
    )


def _say_arrangement(talk: Talk, experiment: Experiment, device: str) -> None:
    """Say how a GPU is used; threads on a CPU are as they were asked for."""
    from enhancer_core.training.gpu import arrangement

    if device != "cpu":
        sets = [experiment.data.dataset.codes]
        talk.say(arrangement(experiment.architecture, experiment.config, sets=sets, device=device))


def _describe(data: SplitDataset) -> str:
    parts = ((data.train, "to learn from"), (data.validation, "to choose"), (data.test, "to test"))
    counts = ", ".join(
        f"{part.labels.sum():,} + {(~part.labels).sum():,} {what}" for part, what in parts
    )
    return f"positives + negatives: {counts}"
