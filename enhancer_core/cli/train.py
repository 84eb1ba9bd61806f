"""The command that trains networks: train."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, fields, replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from enhancer_core import data, io, models, report, training
from enhancer_core.cli import options as opt
from enhancer_core.cli.common import Job, with_interval
from enhancer_core.cli.dataset import DataSource, data_options
from enhancer_core.errors import FileError, TrainingError
from enhancer_core.models.architecture import DEFAULT_NETWORK, NETWORKS
from enhancer_core.training.config import TrainConfig, TrainOption, default_config

_UNFINISHED = "restarts"  # the folder in the output folder where a run in progress keeps its state


def _config_option(field: Field[Any]) -> opt.Decorator:
    """Make the option of a field of `TrainConfig`."""
    declared: TrainOption = field.metadata["option"]
    flag = f"--{field.name.replace('_', '-')}"
    kind: click.ParamType[Any] | None = None
    if isinstance(field.default, bool):
        flag += f"/--no-{flag[2:]}"
    elif declared.choices:
        kind = click.Choice(declared.choices)
    elif isinstance(field.default, int):
        kind = click.IntRange(min=None if declared.at_least is None else int(declared.at_least))
    else:
        low = declared.at_least if declared.above is None else declared.above
        kind = opt.FiniteRange(
            low, declared.below, min_open=declared.above is not None, max_open=True
        )
    return opt.option(
        flag,
        declared.help,
        type=kind,
        metavar=declared.metavar if isinstance(kind, click.IntRange | opt.FiniteRange) else None,
        default=field.default,
        section=declared.section,
        advanced=declared.advanced,
    )


def _config(**values: object) -> TrainConfig:
    """Return the network's default configuration, changed by the options that are given.

    The defaults that click knows are those of the paper's networks, so it is asked what was given.
    """
    context = click.get_current_context()
    config = default_config(_network(context.params))
    given: dict[str, Any] = {
        name: value
        for name, value in values.items()
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    if "restarts" in given and "ensemble" not in given:
        given["ensemble"] = min(config.ensemble, given["restarts"])
    return replace(config, **given)


def _network(options: Mapping[str, Any]) -> str:
    """Return the name of the network: what is given, else that of what training starts from."""
    donors = [*options["plant"], *filter(None, [options["initial"]])]
    if options["network"] is not None or not donors:
        return options["network"] or DEFAULT_NETWORK
    name: str = models.load_model(donors[0]).metadata.get("network", "")
    if name not in NETWORKS:
        raise click.UsageError(f"--network is needed: that of {donors[0]} has no name")
    return name


config_options = opt.gathered(
    "config",
    _config,
    *(_config_option(field) for field in fields(TrainConfig) if field.metadata["option"].help),
)


@opt.command()
@data_options
@opt.option(
    "--network",
    "motif_cnn, the default, has known motifs and average pooling, and its own defaults for"
    " training; of the paper are enhancer, tf (smaller, for one transcription factor) and"
    " original_code (with the bugs of the published code).",
    type=click.Choice(tuple(NETWORKS)),
    section="Network",
)
@opt.number(
    "--widen",
    "Multiply the filters of each convolution by this factor.",
    1,
    metavar="FACTOR",
    default=1.0,
    section="Network",
    advanced=True,
)
@opt.count(
    "--first-filters", "Filters of the first convolution alone.", section="Network", advanced=True
)
@config_options
@opt.paths(
    "--plant",
    "Trained models whose filters are planted side by side in a wider network. Train them on"
    " the same --split, or they have seen what is tested on.",
    section="Transfer",
)
@opt.path(
    "--plant-motifs",
    f"Motifs to plant as filters: {opt.MOTIF_FORMS}. For motif_cnn JASPAR's of vertebrates by"
    " default, those that tell most.",
    metavar="FILE|none",
    section="Transfer",
)
@opt.number(
    "--plant-share",
    "Share of planted filters; --plant widens the network to it.",
    high=1,
    above=True,
    metavar="SHARE",
    default=0.75,
    section="Transfer",
    advanced=True,
)
@opt.path(
    "--initial",
    "Fine-tune this model: each restart starts from its weights, or from those of its"
    " convolutions alone where the dense layers differ, or the length of a network that weighs"
    " places.",
    metavar="MODEL",
    section="Transfer",
)
@opt.markdown()
@opt.switch("--resume", "Continue an unfinished run in the output folder.", section="Compute")
@opt.job(
    "Folder for the model, its figures and its report.",
    *opt.compute,
    files=(
        *(io.MODEL_FILE, "metrics.json", "test_predictions.tsv", "split.tsv"),
        *opt.REPORT_FILES,
    ),
)
def train(
    source: DataSource,
    network: str | None,
    widen: float,
    first_filters: int | None,
    config: TrainConfig,
    plant: tuple[Path, ...],
    plant_motifs: Path | None,
    plant_share: float,
    initial: Path | None,
    markdown: bool,
    resume: bool,
    job: Job,
) -> None:
    """Train a network on positives and negatives, and test it.

    The data are split first (80 / 10 / 10): identical sequences, records of one name, and
    overlapping windows named chrom:start-end stay in one part. Several random restarts are
    trained; the best by validation AUC is kept and evaluated once on the test part, beside a 5-mer
    baseline. The folder gets model.safetensors, metrics.json, test_predictions.tsv, split.tsv and
    report.html. A run that was killed continues with --resume, the other options the same, to the
    same bytes; other options or data are refused, unless --force trains anew.

    \b
      enhancer-core train --positives enhancers.fa --negatives background.fa \\
          -o model
      enhancer-core train --positives e.fa --negatives b.fa k4.fa --restarts 10 \\
          --groups chromosome --test-group chr1 --validation-group chr2 -o model
      enhancer-core train --positives e.fa --negatives b.fa \\
          --network enhancer --plant k2 k3 k4 -o wide
    """
    if sum((bool(plant), plant_motifs is not None, initial is not None)) > 1:
        raise click.UsageError("--plant, --plant-motifs and --initial exclude each other")
    output, threads, state = job.output, job.threads, job.output / _UNFINISHED
    if state.is_dir() and not resume and not job.force:
        raise click.UsageError(
            f"{output} holds an unfinished run; --resume goes on with it, --force starts anew"
        )
    device = models.resolve_device(job.device)
    dataset = source.read(job)
    inputs = training.input_files(dataset, source.positives, source.negatives)
    split = source.split(dataset, job)
    length = split.dataset.codes.shape[1]
    network = _network(click.get_current_context().params)
    config = config.for_data(len(split.train))
    architecture = models.named_architecture(network, length=length)
    architecture = models.widened(architecture, widen, first=first_filters)
    known = network == DEFAULT_NETWORK
    if plant_motifs is None and known and not plant and initial is None:
        plant_motifs = training.JASPAR
    architecture, start = training.first_weights(
        architecture, networks=plant, initial=initial,
        motifs=() if plant_motifs is None or str(plant_motifs) == "none" else plant_motifs,
        share=plant_share, data=split if known else None,
    )  # fmt: skip
    experiment = training.Experiment(
        data=split, inputs=inputs, network=network, architecture=architecture, start=start,
        config=config, seed=job.seed,
        split_by="table" if source.split_table else "groups" if source.groups else "links",
    )  # fmt: skip
    if resume and _is_finished(experiment, state, job):
        job.info(f"{output}: finished already with these options and data; nothing is left to do")
        return
    if state.is_dir() and not resume:
        training.discard_states(state)
    for folder in (output, state):  # only now: bad input leaves no folder behind
        io.make_folder(folder)
        io.remove_partial(folder)
    io.write_json(state / training.SETTINGS_FILE, experiment.settings())
    job.can_resume()
    job.info(_describe_split(split))
    if start is not None:
        job.info(_describe_start(start, architecture))
        if start.kind != "motifs planted" and source.split_table is None and not source.test_group:
            job.info(
                "note: a model trained on another split has seen some of what is tested on here;"
                " give both the same --split"
            )
    outcome = _train(experiment, state, device, job)
    report.write_outcome(output, experiment, outcome, threads=threads, markdown=markdown)
    training.discard_states(state)
    for part in outcome.trained.parts:
        weight = f"weight {part.weight:.2f}" if part.weight else "left out"
        job.info(f"{part.name}: validation AUC {part.validation_auc:.3f}, {weight}")
    job.info(f"network:  test AUC {with_interval(outcome.network.test.auc)}")
    baseline = outcome.baseline
    job.info(f"baseline: test AUC {with_interval(baseline.test.auc)} ({baseline.name})")
    job.info(f"model and report: {output}")


def _train(experiment: training.Experiment, state: Path, device: str, job: Job) -> training.Outcome:
    """Train and evaluate, and show the progress."""
    config, architecture = experiment.config, experiment.architecture
    if device != "cpu":
        codes = [experiment.data.dataset.codes]
        job.info(training.arrangement(architecture, config, sets=codes, device=device))
    with job.progress("epochs trained", config.restarts * config.epochs) as advance:
        done = dict.fromkeys(range(config.restarts), 0)
        best = 0.0

        def progress(restart: int, check: training.Checkpoint) -> None:
            nonlocal best
            best = max(best, check.auc)
            advance(int(check.epoch) - done[restart], f"best validation AUC {best:.3f}")
            done[restart] = int(check.epoch)

        try:
            return training.run(
                experiment, threads=job.threads, device=device, folder=state, progress=progress
            )
        except TrainingError:  # other options are needed, which the folder shall not refuse
            training.discard_states(state)
            if not any(job.output.iterdir()):
                job.output.rmdir()
            raise


def _is_finished(experiment: training.Experiment, state: Path, job: Job) -> bool:
    """Return whether there is nothing to resume, since the same run is finished.

    States of another run are discarded if they may be replaced.

    Raises
    ------
    FileError
        If a finished or unfinished run had other options or data, and must not be replaced.
    """
    finished = not state.is_dir() and (job.output / io.MODEL_FILE).exists()
    path = job.output / "metrics.json" if finished else state / training.SETTINGS_FILE
    if not path.exists() and not finished:  # nothing yet
        return False
    content = io.read_json(path) if path.exists() else {}
    earlier = content.get("run") if finished else content
    differ = (
        ["what it was trained with is not known"]
        if earlier is None
        else training.differences(earlier, experiment.settings(), unfinished=not finished)
    )
    if not differ:
        return finished
    if not job.force:
        kind = "a finished" if finished else "an unfinished"
        raise FileError(
            f"{job.output} holds {kind} run that differs: {'; '.join(differ)}. Give the same, or"
            " --force to train anew"
        )
    if state.is_dir():
        training.discard_states(state)
    return False


def _describe_start(start: training.Start, architecture: models.Architecture) -> str:
    names = ", ".join(start.names())
    if start.chosen is not None:
        names += (
            f" ({start.chosen:,} of {start.motifs:,}, as many as fit: those that weigh most in a"
            " regression on best hits)"
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


def _describe_split(split: data.SplitDataset) -> str:
    uses = ("to learn from", "to choose", "to test")
    parts = (split.train.labels, split.validation.labels, split.test.labels)
    counts = (
        f"{labels.sum():,} + {(~labels).sum():,} {use}"
        for labels, use in zip(parts, uses, strict=True)
    )
    return f"positives + negatives: {', '.join(counts)}"
