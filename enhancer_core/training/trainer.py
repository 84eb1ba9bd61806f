"""Runs: data sets and a protocol to the networks that are kept."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
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
from enhancer_core.metrics import roc_auc
from enhancer_core.models.architecture import Architecture, named_architecture
from enhancer_core.models.calibration import Platt, calibrated, fit_platt
from enhancer_core.models.cpu.learner import CpuLearner
from enhancer_core.models.device import resolve_device
from enhancer_core.models.model import Model, single_predictor
from enhancer_core.models.parameters import Member
from enhancer_core.models.regression import Regression, fit_best_hits, fit_k_mers
from enhancer_core.models.transfer import Planted, start_from
from enhancer_core.motifs.motif import Motif
from enhancer_core.prediction.sequences import log_odds, probabilities
from enhancer_core.training.config import TrainConfig, default_config
from enhancer_core.training.ensemble import EnsemblePart, weight_parts
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


@dataclass(frozen=True, slots=True)
class Trained:
    """The model that was kept, and every restart's history."""

    model: Model
    restarts: list[Restart]
    members: list[int]  # places in the list of those kept, the best by validation AUC first
    calibration: Platt | None = None  # what was done to their log odds
    parts: Sequence[EnsemblePart] = ()  # the networks first, where there are regressions
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
    motifs: Sequence[Motif] = (),
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
        `initial`, else "enhancer".
    config
        How it is trained; None is the default of the named network, else the paper's.
    initial
        Model to train further: its weights are the first ones.
    planted
        Weights that every restart begins with in the place of those that it draws; they are frozen
        for the first `config.freeze` epochs. None draws all.
    motifs
        What the regression on best hits reads, if `config.regressions`; there is none without.
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
    length = data.dataset.codes.shape[1]
    name = network if isinstance(network, str) else "network"
    if network is None and initial is not None:
        name = initial.metadata.get("network", name)
        network = replace(initial.architecture, length=length)
    elif network is None:
        name = network = "enhancer"
    if isinstance(network, str):
        network = named_architecture(network, length=length)
    if initial is not None:
        if planted is not None:
            raise ModelFileError("initial and planted weights exclude each other; give one")
        planted = start_from(initial, network)
    if config is None:
        config = default_config(name)
    with progress_bar("epochs trained", config.restarts * config.epochs) as advance:
        epochs = dict.fromkeys(range(config.restarts), 0)

        def show(restart: int, checkpoint: Checkpoint) -> None:
            advance(int(checkpoint.epoch) - epochs[restart], f"validation AUC {checkpoint.auc:.3f}")
            epochs[restart] = int(checkpoint.epoch)

        work = Work(data, planted=planted, motifs=motifs, folder=folder, progress=progress or show)
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
    tasks = [Task(work, architecture, config, seed=seed) for work in works]
    # First, since in seconds they raise on input that they cannot read.
    regressions = [_regressions(work) if config.regressions else [] for work in works]
    with ThreadPoolExecutor(threads) as pool:
        restarts = [(task, index) for task in tasks for index in range(config.restarts)]
        try:
            if device == "cpu" and OBSTACLE is None:
                futures = [pool.submit(_train_restart, *restart) for restart in restarts]
                states = [future.result() for future in futures]
            else:
                states = [RestartState(task, index) for task, index in restarts]
                sets = [work.data.dataset.codes for work in works]
                size = group_size(architecture, config, sets, device=device)
                left = [state for state in states if not state.done]
                for first in range(0, len(left), size):
                    train_as_program(left[first : first + size], pool, device=device)
        except BaseException:  # an interrupt too must not wait for what no one will read
            for task in tasks:
                task.stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return [
        _select([state for state in states if state.task is task], fitted, threads=threads)
        for task, fitted in zip(tasks, regressions, strict=True)
    ]


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
        frozen = task.frozen(number)
        for batch in chain.from_iterable(mini_batches(state, number)):
            if task.stop.is_set():
                raise InterruptedError("another restart failed, or the run was interrupted")
            codes = augment(task.codes[batch.rows], batch.moves, batch.turned, batch.letters)
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


def _regressions(work: Work) -> list[Regression]:
    data, motifs = work.data, work.motifs
    return [fit_k_mers(data), *([fit_best_hits(data, motifs)] if motifs else [])]


def _select(
    states: list[RestartState], regressions: Sequence[Regression], *, threads: int
) -> Trained:
    """Select the restarts to keep on one data set, and join, weight and calibrate them."""
    task = states[0].task
    architecture, config, validation = task.architecture, task.config, task.validation
    diverged = [state.index for state in states if state.diverged]
    states = [state for state in states if state.checkpoints]
    restarts = [Restart(state.index, state.checkpoints, state.kept) for state in states]
    ranked = sorted(range(len(states)), key=lambda place: -restarts[place].auc)  # stable
    members: list[int] = []
    kept: list[Member] = []
    for place in ranked:
        member = Member(architecture, states[place].kept_parameters)
        # Probabilities of 0 and 1 can hide log odds that are not finite.
        odds = log_odds(Model((member,)).predictor(), validation.codes, threads=threads)
        if np.isfinite(odds).all():
            members.append(place)
            kept.append(member)
        elif restarts[place].index not in diverged:
            diverged.append(restarts[place].index)
        if len(kept) == config.ensemble:
            break
    if diverged:
        _tell_diverged(sorted(diverged), config, left=len(kept))
    model = Model(tuple(kept))
    if not config.calibrate:
        return Trained(model, restarts, members, diverged=diverged)
    odds = log_odds(model.predictor(), validation.codes, threads=threads)
    parts: list[EnsemblePart] = []
    if regressions:
        name = f"{len(kept)} networks" if len(kept) > 1 else "network"
        parts.append(EnsemblePart(name, len(kept), roc_auc(validation.labels, odds)))
        parts += [EnsemblePart(fit.name, len(fit.members), fit.auc) for fit in regressions]
        groups = [kept, *(fit.members for fit in regressions)]
        kept = weight_parts(groups, validation.codes, validation.labels, threads=threads)
        odds = log_odds(Model(tuple(kept)).predictor(), validation.codes, threads=threads)
    platt = fit_platt(validation.labels, odds)
    model = Model(tuple(calibrated(member, platt) for member in kept))
    return Trained(model, restarts, members, platt, parts, diverged)


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
