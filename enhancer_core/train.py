"""Train networks: many restarts side by side, each at its best epoch, the best one or few kept.

The protocol is Cohn et al. 2018, section 3.1.2, with what was measured since: PyTorch's initial
weights, dropout that is active, the whole validation set at every check, and each restart's best
check kept rather than its last. All chance comes from (seed, restart, epoch), so that an
interrupted run continues with the same numbers, and the number of threads changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from enhancer_core import metrics
from enhancer_core.architecture import Architecture, dropout_mask
from enhancer_core.augment import augment
from enhancer_core.calibration import Platt, calibrated, fit_platt
from enhancer_core.checkpoint import read_arrays, write_arrays
from enhancer_core.dataset import Dataset, SplitDataset
from enhancer_core.dna import Codes
from enhancer_core.engine import Learner
from enhancer_core.errors import DatasetError, ModelFileError
from enhancer_core.learner import TorchLearner
from enhancer_core.model import Ensemble, Network, network_of, network_of_members
from enhancer_core.plant import Planted
from enhancer_core.predict import log_odds, probabilities
from enhancer_core.protocol import TrainConfig

_LARGE = 100_000  # training sequences from which an epoch is checked more than once
_STATE_KIND = "restart"
_INIT, _ORDER, _DROPOUT, _AUGMENT = 1, 2, 3, 4  # independent streams of random numbers


@dataclass(frozen=True, slots=True)
class Check:
    """One look at the validation set."""

    epoch: float  # epochs done
    loss: float  # mean training cross-entropy since the check before, nats
    auc: float  # of the whole validation set
    accuracy: float


@dataclass(frozen=True, slots=True)
class Restart:
    """What became of one random initialisation; `kept` is the index of the check kept."""

    index: int
    checks: list[Check]
    kept: int

    @property
    def auc(self) -> float:
        """Validation AUC of the check that is kept."""
        return self.checks[self.kept].auc


@dataclass(frozen=True, slots=True)
class Trained:
    """What is kept, and every restart's history."""

    network: Network | Ensemble
    restarts: list[Restart]
    members: list[int]  # indices of the restarts kept, the best by validation AUC first
    calibration: Platt | None = None  # what was done to their log odds

    @property
    def best(self) -> int:
        """Index of the best restart by validation AUC."""
        return self.members[0]


@dataclass(frozen=True, slots=True)
class _Task:
    """What all restarts share."""

    codes: Codes  # training sequences, uint8 (n, L)
    labels: NDArray[np.int64]  # (n,)
    validation: Dataset
    wanted: Architecture
    config: TrainConfig
    planted: Planted | None
    seed: int
    device: str
    fingerprint: str
    folder: Path | None
    stop: threading.Event

    @property
    def checks_per_epoch(self) -> int:
        large = 4 if len(self.labels) >= _LARGE else 1
        return large if self.config.checks_per_epoch is None else self.config.checks_per_epoch


def train(  # noqa: PLR0913
    data: SplitDataset,
    wanted: Architecture,
    config: TrainConfig,
    *,
    planted: Planted | None = None,
    seed: int = 0,
    threads: int = 1,
    device: str = "cpu",
    folder: Path | None = None,
    progress: Callable[[int, Check], None] | None = None,
) -> Trained:
    """Train every restart on the training part, and keep the best one or few by validation AUC.

    Parameters
    ----------
    data
        Sequences with labels, in parts; the test part is not looked at.
    wanted
        The architecture; its length is the sequences'.
    config
        The protocol.
    planted
        Weights that every restart begins with in the place of those that it draws; they stay as
        they are for the first `config.freeze` epochs. None draws all.
    seed
        Any whole number from 0; the same gives the same bytes on one machine's CPU.
    threads
        Restarts trained side by side, one core each.
    device
        A torch device; on other than the CPU restarts run one after another.
    folder
        An existing folder where each restart's state is saved at every check. States of the same
        run that are there already are continued.
    progress
        Called with a restart's index and its newest check.

    Returns
    -------
    Trained
        The network is on the CPU, in evaluation mode.

    Raises
    ------
    DatasetError
        If the sequences are not of the network's length, or not longer than the shift, or
        nothing is planted that could be frozen.
    ModelFileError
        If a saved state is damaged, or belongs to another run.
    """
    check_run(data, wanted, config, planted=planted)
    learn = data.train
    task = _Task(
        codes=learn.codes,
        labels=learn.labels.astype(np.int64),
        validation=data.validation,
        wanted=wanted,
        config=config,
        planted=planted,
        seed=seed,
        device=device,
        fingerprint=fingerprint(data, wanted, config, planted=planted, seed=seed),
        folder=folder,
        stop=threading.Event(),
    )
    workers = threads if device == "cpu" else 1
    with ThreadPoolExecutor(workers) as pool:
        done = _run_all(task, pool, progress)
    restarts = [restart for restart, _ in done]
    ranked = sorted(restarts, key=lambda restart: -restart.auc)  # the earlier one, of equals
    members = [restart.index for restart in ranked[: config.ensemble]]
    kept = [done[index][1] for index in members]
    network = network_of_members(wanted, kept)
    if not config.calibrate:
        return Trained(network, restarts, members)
    check = data.validation
    by = fit_platt(check.labels, log_odds(network, check.codes, threads=threads))
    network = network_of_members(wanted, [calibrated(wanted, each, by) for each in kept])
    return Trained(network, restarts, members, by)


def check_run(
    data: SplitDataset, wanted: Architecture, config: TrainConfig, *, planted: Planted | None
) -> None:
    """Raise unless data, network, protocol and what is planted go together.

    Raises
    ------
    DatasetError
        As `train`.
    """
    length = data.dataset.codes.shape[1]
    if length != wanted.length:
        raise DatasetError(f"sequences of {length} bp; the network reads {wanted.length} bp")
    if config.shift >= length:
        raise DatasetError(
            f"shift of {config.shift} bp is not allowed; at most {length - 1} for {length} bp"
        )
    if config.freeze and planted is None:
        raise DatasetError(f"freeze of {config.freeze} epochs needs something that is planted")


def _run_all(
    task: _Task, pool: ThreadPoolExecutor, progress: Callable[[int, Check], None] | None
) -> list[tuple[Restart, NDArray[np.float32]]]:
    futures = [
        pool.submit(_train_restart, task, index, progress) for index in range(task.config.restarts)
    ]
    try:
        return [future.result() for future in futures]
    except BaseException:  # an interrupt too must not wait for restarts that no one will read
        task.stop.set()
        pool.shutdown(cancel_futures=True)
        raise


def fingerprint(
    data: SplitDataset,
    wanted: Architecture,
    config: TrainConfig,
    *,
    planted: Planted | None,
    seed: int,
) -> str:
    """Digest all that determines a run's numbers, as 64 hexadecimal digits."""
    settings = {"architecture": wanted.to_dict(), "seed": seed, **config.to_dict()}
    for name in ("restarts", "ensemble", "calibrate"):  # no restart depends on them
        settings.pop(name, None)
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    start = () if planted is None else (planted.parameters, planted.planted)
    for array in (data.dataset.codes, data.dataset.labels, data.parts, *start):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


class _State:
    """A restart under way: its learner, its history and the weights of its best check."""

    def __init__(self, task: _Task, index: int) -> None:
        self.index = index
        generator = torch.Generator().manual_seed(_seed(_INIT, task.seed, index))
        first = Network(task.wanted, generator=generator).flat_parameters()
        if task.planted is not None:
            first = task.planted.into(first)
        config = task.config
        self.learner = (
            Learner(task.wanted, first, weight_decay=config.weight_decay, average=config.average)
            if task.device == "cpu"
            else TorchLearner(
                task.wanted,
                first,
                device=task.device,
                mixed_precision=config.mixed_precision,
                weight_decay=config.weight_decay,
                average=config.average,
            )
        )
        self.checks: list[Check] = []
        self.kept = 0
        self.kept_parameters = first
        self.ended = False

    def path(self, folder: Path) -> Path:
        return folder / f"restart-{self.index:04d}.safetensors"

    def save(self, task: _Task) -> None:
        if task.folder is None:
            return
        arrays = self.learner.state()
        record = {
            "fingerprint": task.fingerprint,
            "checks": [asdict(check) for check in self.checks],
            "kept": self.kept,
            "ended": self.ended,
            "steps": self.learner.steps,
        }
        arrays["kept"] = self.kept_parameters
        write_arrays(self.path(task.folder), arrays, kind=_STATE_KIND, record=record)

    def restore(self, task: _Task) -> None:
        if task.folder is None or not self.path(task.folder).exists():
            return
        path = self.path(task.folder)
        arrays, record = read_arrays(path, kind=_STATE_KIND)
        if record["fingerprint"] != task.fingerprint:
            raise ModelFileError(
                f"{path}: saved by a run with other data or settings; give back the same ones, or"
                " choose another output folder"
            )
        self.kept_parameters = arrays.pop("kept")
        self.learner.restore(arrays, steps=record["steps"])
        self.checks = [Check(**check) for check in record["checks"]]
        self.kept, self.ended = record["kept"], record["ended"]


def discard_states(folder: Path) -> None:
    """Delete the states of a run that is done, and the folder unless it holds other things."""
    for state in folder.glob("restart-*.safetensors"):
        state.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()


def _train_restart(
    task: _Task, index: int, progress: Callable[[int, Check], None] | None
) -> tuple[Restart, NDArray[np.float32]]:
    state = _State(task, index)
    state.restore(task)
    if progress is not None:
        for check in state.checks:
            progress(index, check)
    total = task.config.epochs * task.checks_per_epoch
    while len(state.checks) < total and not state.ended:
        check = _advance(task, state)
        state.checks.append(check)
        state.ended |= len(state.checks) == total
        better = check.auc > state.checks[state.kept].auc or len(state.checks) == 1
        if better or task.config.keep == "last":
            state.kept = len(state.checks) - 1
            state.kept_parameters = state.learner.learned()
        state.save(task)
        if progress is not None:
            progress(index, check)
    return Restart(index, state.checks, state.kept), state.kept_parameters


def _advance(task: _Task, state: _State) -> Check:
    """Learn up to the next check, and look at the validation set."""
    epoch, piece = divmod(len(state.checks), task.checks_per_epoch)
    order = np.random.default_rng(_seed(_ORDER, task.seed, state.index, epoch)).permutation(
        len(task.labels)
    )
    batches = np.split(order, range(task.config.batch, len(order), task.config.batch))
    mine = np.array_split(np.arange(len(batches)), task.checks_per_epoch)[piece]
    dropout, augmenting = (
        np.random.default_rng(_seed(stream, task.seed, state.index, epoch, piece))
        for stream in (_DROPOUT, _AUGMENT)
    )
    config, total = task.config, task.config.epochs * len(batches)
    held = task.planted.planted if task.planted is not None and epoch < config.freeze else None
    losses = []
    for number in mine:
        if task.stop.is_set():
            raise InterruptedError("another restart failed, or the run was interrupted")
        rows = batches[number]
        codes = augment(
            task.codes[rows],
            shift=config.shift,
            flip=config.flip,
            mutate=config.mutate,
            rng=augmenting,
        )
        loss = state.learner.step(
            codes,
            task.labels[rows],
            rate=config.rate(state.learner.steps, total=total),
            mask=dropout_mask(task.wanted, len(rows), rng=dropout),
            held=held,
        )
        losses.append(loss)
        if loss < config.stop_below_loss:
            state.ended = True
            break
    network = network_of(task.wanted, state.learner.learned()).to(task.device)
    found = probabilities(network, task.validation.codes)
    return Check(
        epoch=epoch + (piece + 1) / task.checks_per_epoch,
        loss=float(np.mean(losses)),
        auc=metrics.roc_auc(task.validation.labels, found),
        accuracy=float(np.mean((found >= 0.5) == task.validation.labels)),
    )


def _seed(stream: int, *counters: int) -> int:
    """Derive a seed; the stream comes first, since trailing zeros do not change a SeedSequence."""
    return int(np.random.SeedSequence((stream, *counters)).generate_state(1, np.uint64)[0])
