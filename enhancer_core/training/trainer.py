"""Runs: data sets and a protocol to the networks that are kept."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np

from enhancer_core.data.augmentation import augment
from enhancer_core.data.conflicts import describe_conflicts
from enhancer_core.data.dataset import TEST, TRAIN, VALIDATION, SplitDataset
from enhancer_core.dna._numba import OBSTACLE
from enhancer_core.errors import DatasetError, ModelFileError, TrainingError
from enhancer_core.io.progress import progress_bar
from enhancer_core.models import gapped_kmers
from enhancer_core.models.architecture import (
    DEFAULT_NETWORK,
    NETWORKS,
    Architecture,
    named_architecture,
    shortest_length,
)
from enhancer_core.models.calibration import Platt, calibrated, fit_platt
from enhancer_core.models.cpu.learner import CpuLearner
from enhancer_core.models.device import resolve_device
from enhancer_core.models.model import Model, single_predictor
from enhancer_core.models.parameters import Member
from enhancer_core.models.regression import Regression, fit_gapped_k_mers, fit_k_mers
from enhancer_core.models.transfer import Planted, start_from
from enhancer_core.motifs.motif import Motif
from enhancer_core.prediction.sequences import log_odds, probabilities
from enhancer_core.training.config import TrainConfig, default_config
from enhancer_core.training.gpu import group_size, train_as_program
from enhancer_core.training.restart import (
    Checkpoint,
    Restart,
    RestartState,
    Task,
    is_finite,
    mini_batches,
    validate,
)
from enhancer_core.training.restart import Work as Work
from enhancer_core.training.stacking import EnsemblePart, Part, stack
from enhancer_core.training.warm_start import first_weights, known_motifs

_SHORT = 150  # bp; up to it a stack has the paper's network for one transcription factor
_COMPANIONS = 2  # restarts of the paper's network in a stack, at most


@dataclass(frozen=True, slots=True)
class Trained:
    """The model that was kept, and every restart's history."""

    model: Model
    restarts: list[Restart]
    members: list[int]  # places in the list of those kept, the best by validation AUC first
    calibration: Platt | None = None  # what was done to their log odds
    parts: Sequence[EnsemblePart] = ()  # of a stack, the networks first
    diverged: Sequence[int] = ()  # indices of restarts that diverged, whether they are kept or not

    @property
    def best(self) -> int:
        """Place in the list of the best restart by validation AUC."""
        return self.members[0]


def train(  # noqa: PLR0913
    data: SplitDataset,
    network: Architecture | str | None = None,
    config: TrainConfig | None = None,
    *,
    initial: Model | None = None,
    planted: Planted | None = None,
    motifs: Sequence[Motif] | None = None,
    seed: int = 0,
    threads: int = 1,
    device: str = "auto",
    folder: Path | None = None,
    progress: Callable[[int, Checkpoint], None] | None = None,
    warn: bool = True,
) -> Trained:
    """Train every restart on the training part, and keep the best one or few by validation AUC.

    Parameters
    ----------
    data
        Sequences with labels, in parts; the test part is not looked at.
    network
        Name of a network, or an architecture, whose length is the sequences'; None is that of
        `initial`, else "motif_cnn".
    config
        How it is trained; None is the default of the named network, else the paper's.
    initial
        Model to train further: its weights are the first ones.
    planted
        Weights that every restart begins with in the place of those that it draws; they are frozen
        for the first `config.freeze` epochs. None draws all.
    motifs
        Motifs to plant, as many as fit, those first that tell most. None is JASPAR's of vertebrates
        for the network "motif_cnn", unless it begins with other weights, and no motifs for others.
    seed
        Any whole number from 0; the same gives the same bytes on one machine's CPU.
    threads
        Restarts trained side by side, one core each; on a GPU, cores that prepare their steps.
    device
        "cpu", another torch device, or "auto", which takes a CUDA GPU if there is one. On other
        than "cpu", or where nothing can be compiled, all restarts are one program, in as few groups
        as its memory allows; they see the same sequences in the same order as on the CPU.
    folder
        An existing folder where each restart's state is saved at every checkpoint. States of the
        same run that are there already are continued.
    progress
        Called with a restart's index and the metrics at its newest checkpoint; None shows a bar in
        a notebook or an interactive session, and nothing in a script.
    warn
        Whether sequences to learn from and to choose on that are both positive and negative raise a
        warning that counts them.

    Returns
    -------
    Trained
        The model that was kept, and how each restart went.

    Raises
    ------
    DatasetError
        If the sequences are not of the network's length, or not longer than the shift, or
        nothing is planted that could be frozen.
    MotifError
        If a motif is flat.
    ModelFileError
        If no network has the name, `initial` has other convolutions than the network or comes with
        planted weights, or a saved state is damaged or belongs to another run.
    TrainingError
        If all restarts diverge; those that do are warned of, and left out, if others do not.
    DeviceError
        If the device is not there.
    """
    learned = data.dataset.take(data.parts != TEST)
    if warn and (conflicts := describe_conflicts(learned)):
        warnings.warn(conflicts, stacklevel=2)
    name, network = _named(network, initial, data.dataset.codes.shape[1])
    if config is None:
        config = default_config(name, drawn=data.sampler is not None)
    config = config.for_data(len(data.train))
    if motifs is None and name == DEFAULT_NETWORK and initial is None and planted is None:
        motifs = known_motifs()
    if sum((initial is not None, planted is not None, bool(motifs))) > 1:
        raise ModelFileError("initial, planted weights and motifs exclude each other; give one")
    if initial is not None:
        planted = start_from(initial, network)
    elif motifs:
        network, start = first_weights(network, motifs=motifs, data=data)
        planted = None if start is None else start.planted
    with progress_bar("epochs trained", config.restarts * config.epochs) as advance:
        epochs = dict.fromkeys(range(config.restarts), 0)

        def show(restart: int, checkpoint: Checkpoint) -> None:
            advance(int(checkpoint.epoch) - epochs[restart], f"validation AUC {checkpoint.auc:.3f}")
            epochs[restart] = int(checkpoint.epoch)

        work = Work(data, planted=planted, folder=folder, progress=progress or show)
        (trained,) = train_all(
            [work], network, config, seed=seed, threads=threads, device=resolve_device(device)
        )
    # A calibrated model's probabilities hold among the positives of the part it was calibrated on.
    part = VALIDATION if config.calibrate else TRAIN
    prevalence = float(data.dataset.labels[data.parts == part].mean())
    metadata = {
        "network": name, "seed": seed, "config": config.to_dict(), "prevalence": prevalence
    }  # fmt: skip
    return replace(trained, model=replace(trained.model, metadata=metadata))


def _named(
    network: Architecture | str | None, initial: Model | None, length: int
) -> tuple[str, Architecture]:
    """Return a network's name, "network" if it has none, and its architecture."""
    if isinstance(network, Architecture):
        return "network", network
    if network is None and initial is not None:
        name = initial.metadata.get("network", "network")
        return name, replace(initial.architecture, length=length)
    name = DEFAULT_NETWORK if network is None else network
    return name, named_architecture(name, length=length)


def train_all(
    works: Sequence[Work],
    architecture: Architecture,
    config: TrainConfig,
    *,
    seed: int = 0,
    threads: int = 1,
    device: str = "cpu",
) -> list[Trained]:
    """Train on several data sets, all restarts of all of them side by side.

    The results are those of `train` on each alone, on a GPU to within rounding; so are arguments
    and errors.
    """
    for work in works:
        check_run(work.data, architecture, config, planted=work.planted)
    tasks, companions = [], []
    for work in works:
        task = Task(work, architecture, config.for_data(len(work.data.train)), seed=seed)
        tasks.append(task)
        companions.append(_companion(task) if config.stack else None)
    groups = [tasks, [each for each in companions if each is not None]]
    with ThreadPoolExecutor(threads) as pool:
        try:
            states = []
            fits = [_fit_simple(work, pool) if config.stack else [] for work in works]
            if device == "cpu" and OBSTACLE is None:
                futures = [
                    pool.submit(_train_restart, task, index)
                    for group in groups
                    for task in group
                    for index in range(task.config.restarts)
                ]
                states = [future.result() for future in futures]
            else:
                for group in groups:
                    states += _train_as_programs(group, pool, device=device)
            simple = [[fit.result() for fit in futures] for futures in fits]
        except BaseException:  # an interrupt too must not wait for what no one will read
            for task in chain(*groups):
                task.stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    of_task = {id(task): [each for each in states if each.task is task] for task in chain(*groups)}
    return [
        _select(of_task[id(task)], of_task.get(id(companion), []), fitted, threads=threads)
        for task, companion, fitted in zip(tasks, companions, simple, strict=True)
    ]


def _companion(task: Task) -> Task | None:
    """Return the task of the paper's network in a stack, which sees where in a sequence a site is.

    It is the smaller one for sequences as short as ChIP-seq peaks; None for shorter ones.
    """
    length, config = task.architecture.length, task.config
    name = "enhancer" if length >= _SHORT else "tf"
    architecture = replace(NETWORKS[name], length=length)
    if length < shortest_length(architecture) or architecture == task.architecture:
        return None
    work = replace(task.work, planted=None, progress=None)
    restarts = min(config.restarts, _COMPANIONS)
    shift = 0 if task.work.data.sampler is None else config.shift  # of windows with real flanks
    config = TrainConfig(restarts=restarts, ensemble=restarts, epochs=config.epochs, shift=shift)
    return Task(work, architecture, config, seed=task.seed, states="companion")


def _fit_simple(work: Work, pool: ThreadPoolExecutor) -> list[Future[Regression]]:
    """Fit the simple models of a stack beside the networks."""
    fits = [pool.submit(fit_k_mers, work.data)]
    if work.data.dataset.codes.shape[1] >= gapped_kmers.WIDTH:
        fits.append(pool.submit(fit_gapped_k_mers, work.data))
    return fits


def _train_as_programs(
    tasks: Sequence[Task], pool: ThreadPoolExecutor, *, device: str
) -> list[RestartState]:
    """Train the restarts of tasks of one architecture as programs, as few as memory allows."""
    if not tasks:
        return []
    states = [RestartState(task, i) for task in tasks for i in range(task.config.restarts)]
    sets = [task.work.data.dataset.codes for task in tasks]
    size = group_size(tasks[0].architecture, tasks[0].config, sets, device=device)
    left = [state for state in states if not state.done]
    for first in range(0, len(left), size):
        train_as_program(left[first : first + size], pool, device=device)
    return states


def check_run(
    data: SplitDataset, architecture: Architecture, config: TrainConfig, *, planted: Planted | None
) -> None:
    """Check that data, network, configuration and planted weights go together.

    Raises
    ------
    DatasetError
        As `train`.
    """
    length = data.dataset.codes.shape[1]
    if length != architecture.length:
        raise DatasetError(f"sequences of {length} bp; the network reads {architecture.length} bp")
    if config.shift >= length:
        raise DatasetError(
            f"shift of {config.shift} bp is not allowed; at most {length - 1} for {length} bp"
        )
    if config.freeze and planted is None:
        raise DatasetError(f"freeze of {config.freeze} epochs needs something that is planted")


def _train_restart(task: Task, index: int) -> RestartState:
    """Train a restart on one core, from its saved state if there is one."""
    state, config = RestartState(task, index), task.config
    if state.done:
        return state
    options = {"weight_decay": config.weight_decay, "average": config.ema}
    learner = CpuLearner(task.architecture, state.arrays["parameters"], **options)
    learner.restore(state.arrays, steps=state.steps)
    while not state.done:
        losses: list[float] = []
        number = len(state.checkpoints)
        frozen, sequences = task.frozen(number), task.sequences(index, number)
        for batch in chain.from_iterable(mini_batches(state, number)):
            if task.stop.is_set():
                raise InterruptedError("another restart failed, or the run was interrupted")
            codes = augment(sequences[batch.rows], batch.moves, batch.turned, batch.letters)
            labels = task.labels[batch.rows]
            losses.append(
                learner.step(codes, labels, rate=batch.rate, mask=batch.mask, frozen=frozen)
            )
            if losses[-1] < config.stop_below_loss or not np.isfinite(losses[-1]):
                break
        predictor = single_predictor(Member(task.architecture, learner.prediction_weights()))
        predicted = probabilities(predictor, task.validation.codes)
        loss, arrays = float(np.mean(losses)), learner.state()
        if not is_finite(loss, predicted, arrays):
            state.diverge()
            return state
        checkpoint = validate(task, number, loss=loss, probabilities=predicted)
        ended = losses[-1] < config.stop_below_loss
        state.add(checkpoint, arrays, steps=learner.steps, ended=ended)
        task.report(state.index, checkpoint)
    return state


def _select(
    states: list[RestartState],
    companions: list[RestartState],
    simple: Sequence[Regression],
    *,
    threads: int,
) -> Trained:
    """Select the restarts to keep on one data set; stack or calibrate them."""
    task = states[0].task
    config, validation = task.config, task.validation
    diverged = [state.index for state in states if state.diverged]
    states = [state for state in states if state.checkpoints]
    restarts = [Restart(state.index, state.checkpoints, state.kept) for state in states]
    members, kept = _best(states, config.ensemble, diverged, threads=threads)
    if diverged:
        _tell_diverged(sorted(diverged), config, left=len(kept))
    model = Model(tuple(kept))
    if config.stack:
        stacked = [Part(_networks(len(kept), "network"), kept, network=True)]
        _, others = _best([each for each in companions if each.checkpoints], len(companions), [])
        if others:
            name = _networks(len(others), "network of the paper")
            stacked.append(Part(name, others, network=True))
        stacked += [Part(fit.name, fit.members) for fit in simple]
        together, parts = stack(stacked, validation.codes, validation.labels, threads=threads)
        return Trained(Model(tuple(together)), restarts, members, None, parts, diverged)
    if not config.calibrate:
        return Trained(model, restarts, members, diverged=diverged)
    odds = log_odds(model.predictor(), validation.codes, threads=threads)
    platt = fit_platt(validation.labels, odds)
    model = Model(tuple(calibrated(member, platt) for member in kept))
    return Trained(model, restarts, members, platt, diverged=diverged)


def _best(
    states: Sequence[RestartState], most: int, diverged: list[int], *, threads: int = 1
) -> tuple[list[int], list[Member]]:
    """Return the places of the best restarts by validation AUC, and their networks.

    Those whose log odds are not finite are left out, and their indices added to `diverged`.
    """
    ranked = sorted(range(len(states)), key=lambda place: -_auc(states[place]))  # stable
    places: list[int] = []
    kept: list[Member] = []
    for place in ranked[: None if most else 0]:
        state = states[place]
        member = Member(state.task.architecture, state.kept_parameters)
        # Probabilities of 0 and 1 can hide log odds that are not finite.
        codes = state.task.validation.codes
        odds = log_odds(Model((member,)).predictor(), codes, threads=threads)
        if np.isfinite(odds).all():
            places.append(place)
            kept.append(member)
        elif state.index not in diverged:
            diverged.append(state.index)
        if len(kept) == most:
            break
    return places, kept


def _auc(state: RestartState) -> float:
    return state.checkpoints[state.kept].auc


def _networks(count: int, name: str) -> str:
    return name if count == 1 else f"{count} {name.replace('network', 'networks', 1)}"


def _tell_diverged(diverged: Sequence[int], config: TrainConfig, *, left: int) -> None:
    """Warn of restarts that diverged; raise if none is left."""
    numbers = ", ".join(str(index + 1) for index in diverged)
    what = (
        f"{len(diverged)} of {config.restarts} restarts diverged ({numbers}): the loss or the"
        " weights are no longer finite"
    )
    lower = f"lower --learning-rate, which is {config.learning_rate:g}"
    if not left:
        raise TrainingError(f"{what}; {lower}")
    warnings.warn(f"{what}; their earlier checkpoints, if any, count; {lower}", stacklevel=2)
