"""A restart: the mini-batches it reads, its validation, and its state on disk."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from enhancer_core import metrics
from enhancer_core.data.augmentation import draw_letters, draw_moves
from enhancer_core.data.dataset import SplitDataset
from enhancer_core.dna.codes import Codes
from enhancer_core.errors import ModelFileError
from enhancer_core.io.safetensors import read_arrays, write_arrays
from enhancer_core.models.architecture import Architecture
from enhancer_core.models.gpu.batches import MiniBatches
from enhancer_core.models.network import Network
from enhancer_core.models.parameters import dropout_mask
from enhancer_core.models.transfer import Planted
from enhancer_core.training.config import TrainConfig

SETTINGS_FILE = "run.json"  # beside the states: what a run was started with
_LARGE = 100_000  # training sequences from which an epoch is checked more than once
_STATE_KIND = "restart"
_MASKS = 1 << 17  # numbers of dropout masks drawn at once
_INIT, _ORDER, _DROPOUT, _AUGMENT, _WINDOWS = 1, 2, 3, 4, 5  # independent streams of random numbers


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Validation metrics at a checkpoint."""

    epoch: float  # epochs done
    loss: float  # mean training cross-entropy since the checkpoint before, nats
    auc: float  # of the whole validation set
    accuracy: float


@dataclass(frozen=True, slots=True)
class Restart:
    """The history of one random initialisation; `kept` is the index of the checkpoint kept."""

    index: int
    checkpoints: list[Checkpoint]
    kept: int

    @property
    def auc(self) -> float:
        """Validation AUC of the checkpoint that is kept."""
        return self.checkpoints[self.kept].auc


@dataclass(frozen=True, slots=True)
class Work:
    """One of several data sets to train on; the fields are `train`'s."""

    data: SplitDataset
    planted: Planted | None = None
    folder: Path | None = None
    progress: Callable[[int, Checkpoint], None] | None = None


class Task:
    """What all restarts on one data set share."""

    def __init__(
        self,
        work: Work,
        architecture: Architecture,
        config: TrainConfig,
        *,
        seed: int,
        states: str = "restart",
    ) -> None:
        self.work, self.architecture, self.config, self.seed = work, architecture, config, seed
        self.states = states  # how the files of their states begin
        train = work.data.train
        self.codes: Codes = train.codes
        self.labels: NDArray[np.int64] = train.labels.astype(np.int64)
        self.validation = work.data.validation
        self.fingerprint = _fingerprint(self)
        self.stop = threading.Event()

    @property
    def batches(self) -> int:
        """Mini-batches of an epoch."""
        return -(-len(self.labels) // self.config.batch_size)

    @property
    def checks_per_epoch(self) -> int:
        """Checkpoints of an epoch: one after each mini-batch at most."""
        default = 4 if len(self.labels) >= _LARGE else 1
        return min(self.config.checks_per_epoch or default, self.batches)

    @property
    def checkpoints(self) -> int:
        """Checkpoints of a restart that does not end early."""
        return self.config.epochs * self.checks_per_epoch

    def sequences(self, index: int, number: int) -> Codes:
        """Return the training sequences that a restart reads until checkpoint `number` ends.

        They are the same for all, or those that the data's sampler draws for the epoch.
        """
        sampler = self.work.data.sampler
        if sampler is None:
            return self.codes
        epoch = number // self.checks_per_epoch
        rng = np.random.default_rng(_seed(_WINDOWS, self.seed, index, epoch))
        return sampler.draw(shift=self.config.shift, rng=rng)

    def frozen(self, number: int) -> NDArray[np.bool_] | None:
        """Return the weights frozen until checkpoint `number`, bool (p,); None if none is."""
        planted = self.work.planted
        if planted is None or number // self.checks_per_epoch >= self.config.freeze:
            return None
        return planted.planted

    def report(self, index: int, checkpoint: Checkpoint) -> None:
        """Report the checkpoint of a restart to `progress`."""
        if self.work.progress is not None:
            self.work.progress(index, checkpoint)


def _fingerprint(task: Task) -> str:
    """Compute the SHA-256 of all that determines a run's numbers, in hexadecimal."""
    data, planted = task.work.data, task.work.planted
    settings = {"architecture": task.architecture.to_dict(), "seed": task.seed}
    settings |= task.config.to_dict()
    for name in ("restarts", "ensemble", "calibrate", "stack"):  # no restart depends on them
        settings.pop(name, None)
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    start = () if planted is None else (planted.parameters, planted.planted)
    drawn = () if data.sampler is None else data.sampler.arrays()
    for array in (data.dataset.codes, data.dataset.labels, data.parts, *drawn, *start):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


class RestartState:
    """An unfinished restart: its history, its best weights, and its learner's state.

    It begins where a saved state left it. The learner's state goes when it is done. One that
    diverges ends there, and has a checkpoint to keep only if one came before.
    """

    def __init__(self, task: Task, index: int) -> None:
        self.task, self.index = task, index
        folder = task.work.folder
        self._path = None if folder is None else folder / f"{task.states}-{index:04d}.safetensors"
        generator = torch.Generator().manual_seed(_seed(_INIT, task.seed, index))
        first = Network(task.architecture, generator=generator).flat_parameters()
        if task.work.planted is not None:
            first = task.work.planted.into(first)
        zeros = np.zeros_like(first)
        self.arrays = {"parameters": first, "mean": zeros, "square": zeros}
        if task.config.ema:
            self.arrays["averaged"] = first
        self.steps, self.kept, self.ended, self.diverged = 0, 0, False, False
        self.checkpoints: list[Checkpoint] = []
        self.kept_parameters = first
        self._restore()

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self.done_at(len(self.checkpoints))

    def done_at(self, number: int) -> bool:
        """Return whether nothing is left to do after `number` checkpoints."""
        return self.ended or number == self.task.checkpoints

    def add(
        self,
        checkpoint: Checkpoint,
        arrays: dict[str, NDArray[np.float32]],
        *,
        steps: int,
        ended: bool,
    ) -> None:
        """Add a checkpoint and the learner's state at it, and save them."""
        self.steps, self.ended = steps, ended
        self.checkpoints.append(checkpoint)
        self.arrays = {} if self.done else arrays
        better = checkpoint.auc > self.checkpoints[self.kept].auc or len(self.checkpoints) == 1
        if better or self.task.config.keep == "last":
            self.kept = len(self.checkpoints) - 1
            self.kept_parameters = arrays.get("averaged", arrays["parameters"])
        self._save(arrays)

    def diverge(self) -> None:
        """End, since the loss or the weights are no longer finite, and save that."""
        self.ended, self.diverged, self.arrays = True, True, {}
        self._save({})

    def _save(self, arrays: Mapping[str, NDArray[np.float32]]) -> None:
        if self._path is None:
            return
        record = {
            "fingerprint": self.task.fingerprint,
            "checks": [asdict(checkpoint) for checkpoint in self.checkpoints],
            "kept": self.kept,
            "ended": self.done,
            "diverged": self.diverged,
            "steps": self.steps,
        }
        kept = {"kept": self.kept_parameters}
        write_arrays(self._path, {**arrays, **kept}, kind=_STATE_KIND, record=record)

    def _restore(self) -> None:
        if self._path is None or not self._path.exists():
            return
        arrays, record = read_arrays(self._path, kind=_STATE_KIND)
        if record["fingerprint"] != self.task.fingerprint:
            raise ModelFileError(
                f"{self._path}: saved by a run with other data or settings; give back the same"
                " ones, or choose another output folder"
            )
        self.kept_parameters = arrays.pop("kept")
        self.steps, self.kept, self.ended = record["steps"], record["kept"], record["ended"]
        self.diverged = record.get("diverged", False)
        self.checkpoints = [Checkpoint(**values) for values in record["checks"]]
        self.arrays = {} if self.done else arrays
        for checkpoint in self.checkpoints:
            self.task.report(self.index, checkpoint)


def discard_states(folder: Path) -> None:
    """Delete the states of a run that is done, and the folder unless it holds other things."""
    for round_folder in folder.glob("round-*"):
        discard_states(round_folder)
    for state in (*folder.glob("*-[0-9][0-9][0-9][0-9].safetensors"), *folder.glob(SETTINGS_FILE)):
        state.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()


def mini_batches(
    state: RestartState, number: int, *, most: int | None = None, first: int = 0
) -> Iterator[MiniBatches]:
    """Draw the mini-batches between `number` checkpoints and the next.

    At most `most` come at once, which changes no number; None is as many as `_MASKS` allows.
    `first` is the row of the data's first sequence.
    """
    task, config = state.task, state.task.config
    epoch, piece = divmod(number, task.checks_per_epoch)
    ordering = np.random.default_rng(_seed(_ORDER, task.seed, state.index, epoch))
    order = ordering.permutation(len(task.labels))
    batches = task.batches
    all_steps = np.array_split(np.arange(batches), task.checks_per_epoch)[piece]
    dropout, augmenting = (
        np.random.default_rng(_seed(stream, task.seed, state.index, epoch, piece))
        for stream in (_DROPOUT, _AUGMENT)
    )
    if most is None:
        most = max(_MASKS // (task.architecture.last_units * config.batch_size), 1)
    for steps in np.split(all_steps, range(most, len(all_steps), most)):
        begin = int(steps[0]) * config.batch_size
        rows = order[begin : begin + len(steps) * config.batch_size]
        rates = [
            config.rate(epoch * batches + step, total=config.epochs * batches)
            for step in steps.tolist()
        ]
        yield MiniBatches(
            batch=config.batch_size,
            rates=np.array(rates),
            rows=rows + first,
            mask=dropout_mask(task.architecture, len(rows), rng=dropout),
            **_changes(task, len(rows), augmenting),
        )


def _changes(task: Task, n: int, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Draw the augmentation of n sequences, mini-batch by mini-batch."""
    config, length = task.config, task.architecture.length
    # A sampler shifts by itself, and its windows keep their flanks.
    shift = config.shift if task.work.data.sampler is None else 0
    drawn: dict[str, list[NDArray[Any]]] = {"moves": [], "turned": [], "letters": []}
    for begin in range(0, n, config.batch_size):
        size = min(config.batch_size, n - begin)
        moves, turned = draw_moves(size, shift=shift, flip=config.flip, rng=rng)
        letters = draw_letters(size, length, mutate=config.mutate, rng=rng)
        for values, change in zip(drawn.values(), (moves, turned, letters), strict=True):
            if change is not None:
                values.append(change)
    return {name: np.concatenate(values) for name, values in drawn.items() if values}


def is_finite(
    loss: float, probabilities: NDArray[np.float32], arrays: Mapping[str, NDArray[np.float32]]
) -> bool:
    """Return whether a restart has not diverged, by its loss, predictions and weights."""
    weights = (arrays[name] for name in ("parameters", "averaged") if name in arrays)
    return bool(np.isfinite(loss)) and all(np.isfinite(v).all() for v in (probabilities, *weights))


def validate(
    task: Task, number: int, *, loss: float, probabilities: NDArray[np.float32]
) -> Checkpoint:
    """Compute the metrics of checkpoint `number`, from 0, of the validation set's probabilities."""
    labels, (epoch, piece) = task.validation.labels, divmod(number, task.checks_per_epoch)
    return Checkpoint(
        epoch=epoch + (piece + 1) / task.checks_per_epoch,
        loss=loss,
        auc=metrics.roc_auc(labels, probabilities),
        accuracy=float(np.mean((probabilities >= 0.5) == labels)),
    )


def _seed(stream: int, *counters: int) -> int:
    """Derive a seed; the stream comes first, since trailing zeros do not change a SeedSequence."""
    return int(np.random.SeedSequence((stream, *counters)).generate_state(1, np.uint64)[0])
