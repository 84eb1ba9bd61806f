"""A restart: what its steps read, what it is judged by, and how it is saved and found again."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from enhancer_core import metrics
from enhancer_core.data.augmentation import draw_letters, draw_moves
from enhancer_core.data.dataset import Dataset, SplitDataset
from enhancer_core.dna.codes import Codes
from enhancer_core.errors import ModelFileError
from enhancer_core.io.safetensors import read_arrays, write_arrays
from enhancer_core.models.architecture import Architecture, dropout_mask
from enhancer_core.models.gpu.batches import MiniBatches
from enhancer_core.models.network import Network
from enhancer_core.models.transfer import Planted
from enhancer_core.training.config import TrainConfig

_LARGE = 100_000  # training sequences from which an epoch is checked more than once
_STATE_KIND = "restart"
_MASKS = 1 << 17  # numbers of dropout masks drawn at once
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
class Task:
    """What all restarts on one data set share."""

    codes: Codes  # training sequences, uint8 (n, L)
    labels: NDArray[np.int64]  # (n,)
    validation: Dataset
    architecture: Architecture
    config: TrainConfig
    planted: Planted | None
    seed: int
    fingerprint: str
    folder: Path | None
    progress: Callable[[int, Check], None] | None
    stop: threading.Event

    @property
    def batches(self) -> int:
        """How many mini-batches an epoch has."""
        return -(-len(self.labels) // self.config.batch_size)

    @property
    def checks_per_epoch(self) -> int:
        """How often an epoch is checked: after each mini-batch at most."""
        checks = self.config.checks_per_epoch
        if checks is None:
            checks = 4 if len(self.labels) >= _LARGE else 1
        return min(checks, self.batches)

    @property
    def checks(self) -> int:
        """How many there are, unless a restart ends before."""
        return self.config.epochs * self.checks_per_epoch

    def held(self, number: int) -> NDArray[np.bool_] | None:
        """Say which weights stay as they are up to the check of a number."""
        if self.planted is None or number // self.checks_per_epoch >= self.config.freeze:
            return None
        return self.planted.planted

    def tell(self, index: int, check: Check) -> None:
        """Pass a check on."""
        if self.progress is not None:
            self.progress(index, check)


def fingerprint(
    data: SplitDataset,
    architecture: Architecture,
    config: TrainConfig,
    *,
    planted: Planted | None,
    seed: int,
) -> str:
    """Digest all that determines a run's numbers, as 64 hexadecimal digits."""
    settings = {"architecture": architecture.to_dict(), "seed": seed, **config.to_dict()}
    for name in ("restarts", "ensemble", "calibrate", "regressions"):  # no restart depends on them
        settings.pop(name, None)
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    start = () if planted is None else (planted.parameters, planted.planted)
    for array in (data.dataset.codes, data.dataset.labels, data.parts, *start):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


class State:
    """A restart under way: its history, the weights of its best check, and its learner's state.

    It begins where a saved state left it. The learner's state goes when it is done.
    """

    def __init__(self, task: Task, index: int) -> None:
        self.task, self.index = task, index
        generator = torch.Generator().manual_seed(_seed(_INIT, task.seed, index))
        first = Network(task.architecture, generator=generator).flat_parameters()
        if task.planted is not None:
            first = task.planted.into(first)
        zeros = np.zeros_like(first)
        self.arrays = {"parameters": first, "mean": zeros, "square": zeros}
        if task.config.ema:
            self.arrays["averaged"] = first
        self.steps = 0
        self.checks: list[Check] = []
        self.kept = 0
        self.kept_parameters = first
        self.ended = False
        self._restore()

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self.done_at(len(self.checks))

    def done_at(self, number: int) -> bool:
        """Tell whether nothing is left to do once so many checks are done."""
        return self.ended or number == self.task.checks

    def note(
        self, check: Check, arrays: dict[str, NDArray[np.float32]], *, steps: int, ended: bool
    ) -> None:
        """Take in a check and the learner's state at it, and save them."""
        self.steps, self.ended = steps, ended
        self.checks.append(check)
        self.arrays = {} if self.done else arrays
        better = check.auc > self.checks[self.kept].auc or len(self.checks) == 1
        if better or self.task.config.keep == "last":
            self.kept = len(self.checks) - 1
            self.kept_parameters = arrays.get("averaged", arrays["parameters"])
        if self.task.folder is None:
            return
        record = {
            "fingerprint": self.task.fingerprint,
            "checks": [asdict(check) for check in self.checks],
            "kept": self.kept,
            "ended": self.done,
            "steps": steps,
        }
        kept = {"kept": self.kept_parameters}
        write_arrays(self._path(self.task.folder), arrays | kept, kind=_STATE_KIND, record=record)

    def _restore(self) -> None:
        folder = self.task.folder
        if folder is None or not self._path(folder).exists():
            return
        path = self._path(folder)
        arrays, record = read_arrays(path, kind=_STATE_KIND)
        if record["fingerprint"] != self.task.fingerprint:
            raise ModelFileError(
                f"{path}: saved by a run with other data or settings; give back the same ones, or"
                " choose another output folder"
            )
        self.kept_parameters = arrays.pop("kept")
        self.steps = record["steps"]
        self.checks = [Check(**check) for check in record["checks"]]
        self.kept, self.ended = record["kept"], record["ended"]
        self.arrays = {} if self.done else arrays
        for check in self.checks:
            self.task.tell(self.index, check)

    def _path(self, folder: Path) -> Path:
        return folder / f"restart-{self.index:04d}.safetensors"


def discard_states(folder: Path) -> None:
    """Delete the states of a run that is done, and the folder unless it holds other things."""
    for state in folder.glob("restart-*.safetensors"):
        state.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()


def visits(
    state: State, number: int, *, most: int | None = None, first: int = 0
) -> Iterator[MiniBatches]:
    """Draw the mini-batches up to the check of a number, from 0.

    Parameters
    ----------
    state, number
        The restart, and how many checks are done before.
    most
        Mini-batches that are given at once; None is as many as `_MASKS` says. It changes no number.
    first
        The row of the data's first sequence.
    """
    task, config = state.task, state.task.config
    epoch, piece = divmod(number, task.checks_per_epoch)
    order = np.random.default_rng(_seed(_ORDER, task.seed, state.index, epoch)).permutation(
        len(task.labels)
    )
    batches = task.batches
    mine = np.array_split(np.arange(batches), task.checks_per_epoch)[piece]
    dropout, augmenting = (
        np.random.default_rng(_seed(stream, task.seed, state.index, epoch, piece))
        for stream in (_DROPOUT, _AUGMENT)
    )
    if most is None:
        most = max(_MASKS // (task.architecture.last_units * config.batch_size), 1)
    for steps in np.split(mine, range(most, len(mine), most)):
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
    """Draw how n sequences are moved, turned and changed, mini-batch by mini-batch."""
    config, length = task.config, task.architecture.length
    drawn: dict[str, list[NDArray[Any]]] = {"moves": [], "turned": [], "letters": []}
    for begin in range(0, n, config.batch_size):
        size = min(config.batch_size, n - begin)
        moves, turned = draw_moves(size, shift=config.shift, flip=config.flip, rng=rng)
        letters = draw_letters(size, length, mutate=config.mutate, rng=rng)
        for some, each in zip(drawn.values(), (moves, turned, letters), strict=True):
            if each is not None:
                some.append(each)
    return {name: np.concatenate(some) for name, some in drawn.items() if some}


def judged(task: Task, number: int, loss: float, found: NDArray[np.float32]) -> Check:
    """Make the check of a number, from 0, of the loss and the validation set's probabilities."""
    labels, (epoch, piece) = task.validation.labels, divmod(number, task.checks_per_epoch)
    return Check(
        epoch=epoch + (piece + 1) / task.checks_per_epoch,
        loss=loss,
        auc=metrics.roc_auc(labels, found),
        accuracy=float(np.mean((found >= 0.5) == labels)),
    )


def _seed(stream: int, *counters: int) -> int:
    """Derive a seed; the stream comes first, since trailing zeros do not change a SeedSequence."""
    return int(np.random.SeedSequence((stream, *counters)).generate_state(1, np.uint64)[0])
