"""The command that trains networks: train."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import Field, fields, replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from enhancer_core import data, io, models, prediction, report, training
from enhancer_core.cli import options as opt
from enhancer_core.cli.common import Job, with_interval
from enhancer_core.cli.dataset import DataSource, training_options
from enhancer_core.errors import EnhancerError, FileError, TrainingError
from enhancer_core.models.architecture import DEFAULT_NETWORK, NETWORKS, Architecture
from enhancer_core.training.config import TrainConfig, TrainOption, default_config

_FILES = (
    *(io.MODEL_FILE, "metrics.json", "test_predictions.tsv", "split.tsv"), *opt.REPORT_FILES,
)  # fmt: skip
_STEP = 50  # bp of the bins in which thresholds are measured, the default of `call`
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
        show_default=_shown_default(field),
        section=declared.section,
        advanced=declared.advanced,
    )


def _shown_default(field: Field[Any]) -> str | bool:
    """Return how the help shows a default: of both kinds of networks, where they differ."""
    own, papers = getattr(default_config(DEFAULT_NETWORK), field.name), field.default
    if own == papers:
        return True
    shown = (
        ("yes" if value else "no") if isinstance(value, bool) else value for value in (own, papers)
    )
    return "{}, or {} for the paper's networks".format(*shown)


def _config(**values: object) -> TrainConfig:
    """Return the network's default configuration, changed by the options that are given.

    The defaults that click knows are those of the paper's networks, so it is asked what was given.
    """
    context = click.get_current_context()
    drawn = context.params["genome"] is not None
    config = default_config(_network(context.params), drawn=drawn)
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
    donor = models.load_model(donors[0])
    names = [str(donor.metadata.get("network"))]
    made = [m.architecture for m in donor.members if isinstance(m.architecture, Architecture)]
    if made:  # a stack may have kept the paper's network alone
        shape = made[0].convolutions, made[0].chained
        names[:0] = [n for n, a in NETWORKS.items() if (a.convolutions, a.chained) == shape]
    return next((name for name in names if name in NETWORKS), DEFAULT_NETWORK)


config_options = opt.gathered(
    "config",
    _config,
    *(_config_option(field) for field in fields(TrainConfig) if field.metadata["option"].help),
)


@opt.command()
@training_options
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
    files=(*_FILES, "predictions.tsv", *(f"fold_*/{name}" for name in _FILES)),
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
    """Train a network on positives and negatives, or on the peaks of a genome, and test it.

    The data are split first (80 / 10 / 10): identical sequences, records of one name, and
    overlapping windows named chrom:start-end stay in one part. Several random restarts are
    trained; the best by validation AUC is kept and evaluated once on the test part, beside a 5-mer
    baseline. The folder gets model.safetensors, metrics.json, test_predictions.tsv, split.tsv and
    report.html. A run that was killed continues with --resume, the other options the same, to the
    same bytes; other options or data are refused, unless --force trains anew.

    With --genome the positives are windows around peaks, and the negatives windows from all over
    the rest, both drawn anew for each epoch. Whole chromosomes are kept out to choose and to test:
    those of --validation-group and --test-group, or some with a tenth of the peaks each. With
    --folds each is tested once: the folder gets a folder a fold, predictions.tsv of all data by the
    models that never saw them, and metrics.json with intervals over folds.

    \b
      enhancer-core train --positives enhancers.fa --negatives background.fa \\
          -o model
      enhancer-core train --positives e.fa --negatives b.fa k4.fa --restarts 10 \\
          --groups chromosome --test-group chr1 --validation-group chr2 -o model
      enhancer-core train --positives e.fa --negatives b.fa \\
          --network enhancer --plant k2 k3 k4 -o wide
      enhancer-core train --genome genome.fa --peaks peaks.bed \\
          --hard-negatives 1 --test-group chr1 --validation-group chr2 -o model
    """
    if sum((bool(plant), plant_motifs is not None, initial is not None)) > 1:
        raise click.UsageError("--plant, --plant-motifs and --initial exclude each other")
    source.check()
    output, folds = job.output, source.folds
    numbers = range(1, (folds or 0) + 1)
    outputs = [output / f"fold_{number}" for number in numbers] or [output]
    if any((each / _UNFINISHED).is_dir() for each in outputs) and not resume and not job.force:
        raise click.UsageError(
            f"{output} holds an unfinished run; --resume goes on with it, --force starts anew"
        )
    other = output / io.MODEL_FILE if folds else output / "fold_1"
    if resume and not job.force and other.exists():
        raise FileError(f"{other} is of a run {'without' if folds else 'with'} --folds")
    device = models.resolve_device(job.device)
    splits = source.splits(job)
    network = _network(click.get_current_context().params)
    known = network == DEFAULT_NETWORK
    if plant_motifs is None and known and not plant and initial is None:
        plant_motifs = training.JASPAR
    experiments = []
    for split in splits:
        architecture = models.named_architecture(network, length=split.dataset.codes.shape[1])
        architecture = models.widened(architecture, widen, first=first_filters)
        architecture, start = training.first_weights(
            architecture, networks=plant, initial=initial,
            motifs=() if plant_motifs is None or str(plant_motifs) == "none" else plant_motifs,
            share=plant_share, data=split if known else None,
        )  # fmt: skip
        experiments.append(
            training.Experiment(
                data=split, inputs=training.input_files(split.dataset, *source.files),
                network=network, architecture=architecture, start=start,
                config=config.for_data(len(split.train)), seed=job.seed,
                split_by="table" if source.split_table
                else "groups" if source.groups or source.genome
                else "links",
                hard_negatives=source.hard_negatives,
            )
        )  # fmt: skip
    if click.get_current_context().params["network"] is None:
        what = "that of the model to begin with" if plant or initial else "the default"
        job.info(f"network: {network}, {what}; --network chooses another")
    for number, (experiment, folder) in enumerate(zip(experiments, outputs, strict=True), 1):
        if folds:
            job.info(f"fold {number} of {folds}")
        _run(
            experiment, folder, device, source, job, markdown=markdown, resume=resume,
            split_is_given=bool(source.split_table or source.test_group),
        )  # fmt: skip
    if folds:
        figures = report.write_folds(output, outputs, seed=job.seed)
        auc = figures["auc"]
        job.info(
            f"network:  test AUC {auc['value']:.3f} (95% interval over folds"
            f" {auc['low']:.3f} to {auc['high']:.3f})"
        )
        job.info(f"models, figures and predictions: {output}")


def _run(
    experiment: training.Experiment,
    output: Path,
    device: str,
    source: DataSource,
    job: Job,
    *,
    markdown: bool,
    resume: bool,
    split_is_given: bool,
) -> None:
    """Train and test on one split, and write what came of it into a folder."""
    state, start = output / _UNFINISHED, experiment.start
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
    job.info(_describe_split(experiment.data))
    if start is not None:
        job.info(_describe_start(start, experiment.architecture))
        if start.kind != "motifs planted" and not split_is_given:
            job.info(
                "note: a model trained on another split has seen some of what is tested on here;"
                " give both the same --split"
            )
    outcome, experiment = _train(experiment, state, device, job)
    measured = _measure(experiment.data, outcome.trained.model, source, job)
    report.write_outcome(
        output, experiment, outcome, threads=job.threads, markdown=markdown, measured=measured
    )
    training.discard_states(state)
    for part in outcome.trained.parts:
        weight = f"weight {part.weight:.2f}" if part.weight else "left out"
        job.info(f"{part.name}: validation AUC {part.validation_auc:.3f}, {weight}")
    job.info(f"network:  test AUC {with_interval(outcome.network.test.auc)}")
    baseline = outcome.baseline
    job.info(f"baseline: test AUC {with_interval(baseline.test.auc)} ({baseline.name})")
    job.info(f"model and report: {output}")


def _measure(
    split: data.SplitDataset, model: models.Model, source: DataSource, job: Job
) -> dict[str, Any]:
    """Measure thresholds for `call --precision` along the validation part of a genome."""
    if split.sampler is None or source.genome is None or source.peaks is None:
        return {}
    regions = split.sampler.regions_of(data.VALIDATION)
    predictor = model.predictor(job.device)
    try:
        with io.open_genome(source.genome, skip_missing=source.skip_missing) as opened:
            peaks = prediction.genome_peaks(opened, source.peaks, regions)
            bins = job.scan(predictor, opened, regions, step=_STEP, both_strands=False)
        found = prediction.evaluate_bins(bins, peaks, rng=job.rng())
        measured = found.with_thresholds(model).metadata
    except EnhancerError as error:  # too few calls, or files that changed: the model is not lost
        job.info(f"no thresholds for call --precision: {error}")
        return {}
    return {name: measured[name] for name in measured.keys() - model.metadata.keys()}


def _train(
    experiment: training.Experiment, state: Path, device: str, job: Job
) -> tuple[training.Outcome, training.Experiment]:
    """Train in rounds and evaluate; return the experiment with the hard negatives of the rounds."""
    config, architecture, rounds = experiment.config, experiment.architecture, ""
    if device != "cpu":
        codes = [experiment.data.dataset.codes]
        job.info(training.arrangement(architecture, config, sets=codes, device=device))
    options: dict[str, Any] = {"threads": job.threads, "device": device, "folder": state}
    try:
        for number in range(1, experiment.hard_negatives + 1):
            rounds = f", round {number} of {experiment.hard_negatives + 1}"
            with _progress(config, job, rounds) as progress:
                experiment, found = training.mine(experiment, number, progress=progress, **options)
            job.info(
                f"{len(found.places):,} hard negatives, the best of {found.above:,} windows off the"
                f" peaks, of {found.scanned:,} looked at every {found.step:,} bp, that score above"
                " the median positive"
            )
        if rounds:
            rounds = f", round {experiment.hard_negatives + 1} of {experiment.hard_negatives + 1}"
        with _progress(config, job, rounds) as progress:
            return training.run(experiment, progress=progress, **options), experiment
    except TrainingError:  # other options are needed, which the folder shall not refuse
        training.discard_states(state)
        if not any(state.parent.iterdir()):
            state.parent.rmdir()
        raise


@contextmanager
def _progress(
    config: TrainConfig, job: Job, rounds: str
) -> Iterator[Callable[[int, training.Checkpoint], None]]:
    """Show the epochs that restarts have done."""
    with job.progress(f"epochs trained{rounds}", config.restarts * config.epochs) as advance:
        done = dict.fromkeys(range(config.restarts), 0)
        best = 0.0

        def progress(restart: int, check: training.Checkpoint) -> None:
            nonlocal best
            best = max(best, check.auc)
            advance(int(check.epoch) - done[restart], f"best validation AUC {best:.3f}")
            done[restart] = int(check.epoch)

        yield progress


def _is_finished(experiment: training.Experiment, state: Path, job: Job) -> bool:
    """Return whether there is nothing to resume, since the same run is finished.

    States of another run are discarded if they may be replaced.

    Raises
    ------
    FileError
        If a finished or unfinished run had other options or data, and must not be replaced.
    """
    output = state.parent
    finished = not state.is_dir() and (output / io.MODEL_FILE).exists()
    path = output / "metrics.json" if finished else state / training.SETTINGS_FILE
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
            f"{output} holds {kind} run that differs: {'; '.join(differ)}. Give the same, or"
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
