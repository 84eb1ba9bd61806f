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
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from enhancer_core import batched, metrics
from enhancer_core.architecture import Architecture, dropout_mask
from enhancer_core.augment import augment, draw_moves
from enhancer_core.batched import Look, Program, Visit, at_once
from enhancer_core.calibration import Platt, calibrated, fit_platt
from enhancer_core.checkpoint import read_arrays, write_arrays
from enhancer_core.dataset import Dataset, SplitDataset
from enhancer_core.dna import Codes
from enhancer_core.engine import Learner
from enhancer_core.errors import DatasetError, ModelFileError
from enhancer_core.model import Ensemble, Network, network_of, network_of_members
from enhancer_core.predict import log_odds, probabilities
from enhancer_core.protocol import TrainConfig

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
    """What all restarts on one data set share."""

    codes: Codes  # training sequences, uint8 (n, L)
    labels: NDArray[np.int64]  # (n,)
    validation: Dataset
    wanted: Architecture
    config: TrainConfig
    seed: int
    fingerprint: str
    folder: Path | None
    progress: Callable[[int, Check], None] | None
    stop: threading.Event

    @property
    def checks_per_epoch(self) -> int:
        large = 4 if len(self.labels) >= _LARGE else 1
        return large if self.config.checks_per_epoch is None else self.config.checks_per_epoch

    @property
    def checks(self) -> int:
        return self.config.epochs * self.checks_per_epoch

    def tell(self, index: int, check: Check) -> None:
        if self.progress is not None:
            self.progress(index, check)


def train(
    data: SplitDataset,
    wanted: Architecture,
    config: TrainConfig,
    *,
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
    seed
        Any whole number from 0; the same gives the same bytes on one machine's CPU.
    threads
        Restarts trained side by side, one core each; on a GPU, cores that prepare their steps.
    device
        A torch device. On other than "cpu" all restarts are one program, in as few groups as its
        memory allows; they see the same sequences in the same order as on the CPU.
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
        If the sequences are not of the network's length, or not longer than the shift.
    ModelFileError
        If a saved state is damaged, or belongs to another run.
    """
    work = [Work(data, folder=folder, progress=progress)]
    return train_all(work, wanted, config, seed=seed, threads=threads, device=device)[0]


@dataclass(frozen=True, slots=True)
class Work:
    """One of several data sets to train on; the fields are `train`'s."""

    data: SplitDataset
    folder: Path | None = None
    progress: Callable[[int, Check], None] | None = None


def train_all(
    works: Sequence[Work],
    wanted: Architecture,
    config: TrainConfig,
    *,
    seed: int = 0,
    threads: int = 1,
    device: str = "cpu",
) -> list[Trained]:
    """Train on several data sets, all restarts of all of them side by side.

    Each gives what `train` gives of it alone; on a GPU to within rounding. Arguments and errors are
    those of `train`.
    """
    tasks = [_task(work, wanted, config, seed=seed) for work in works]
    with ThreadPoolExecutor(threads) as pool:
        states = [_State(task, index) for task in tasks for index in range(task.config.restarts)]
        try:
            if device == "cpu":
                for future in [pool.submit(_train_restart, state) for state in states]:
                    future.result()
            else:
                sets = [work.data.dataset.codes for work in works]
                size = _group_size(wanted, config, sets, device=device)
                for first in range(0, len(states), size):
                    _train_group(states[first : first + size], pool, device=device)
        except BaseException:  # an interrupt too must not wait for what no one will read
            for task in tasks:
                task.stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    each = ([state for state in states if state.task is task] for task in tasks)
    return [_outcome(some, threads=threads) for some in each]


def arrangement(
    wanted: Architecture, config: TrainConfig, *, sets: Sequence[Codes], device: str
) -> str:
    """Say in a line how restarts on some sets of sequences are laid out on other than "cpu".

    Examples
    --------
    >>> from enhancer_core.architecture import NETWORKS
    >>> sets = [np.zeros((9, 500), np.uint8)] * 2
    >>> arrangement(NETWORKS["tf"], TrainConfig(restarts=50), sets=sets, device="cpu:0")
    '100 restarts as one program, float32'
    """
    restarts, size = config.restarts * len(sets), _group_size(wanted, config, sets, device=device)
    groups = "as one program" if size == restarts else f"in programs of {size}"
    line = f"{restarts} restarts {groups}, {str(_dtype(config, device)).removeprefix('torch.')}"
    place = torch.device(device)
    if place.type != "cuda":
        return line
    return f"{line}, recorded as a CUDA graph on {torch.cuda.get_device_name(place)}"


def _group_size(
    wanted: Architecture, config: TrainConfig, sets: Sequence[Codes], *, device: str
) -> int:
    """Choose how many restarts are one program."""
    restarts, place = config.restarts * len(sets), torch.device(device)
    if place.type != "cuda":
        return restarts
    free, _ = torch.cuda.mem_get_info(place)
    free -= sum(codes.nbytes for codes in sets)
    half = _dtype(config, device) == torch.bfloat16
    return at_once(wanted, restarts, batch=config.batch, free=free, half=half)


def _task(work: Work, wanted: Architecture, config: TrainConfig, *, seed: int) -> _Task:
    data = work.data
    length = data.dataset.codes.shape[1]
    if length != wanted.length:
        raise DatasetError(f"sequences of {length} bp; the network reads {wanted.length} bp")
    if config.shift >= length:
        raise DatasetError(
            f"shift of {config.shift} bp is not allowed; at most {length - 1} for {length} bp"
        )
    learn = data.train
    return _Task(
        codes=learn.codes,
        labels=learn.labels.astype(np.int64),
        validation=data.validation,
        wanted=wanted,
        config=config,
        seed=seed,
        fingerprint=fingerprint(data, wanted, config, seed),
        folder=work.folder,
        progress=work.progress,
        stop=threading.Event(),
    )


def _outcome(states: list[_State], *, threads: int) -> Trained:
    """Choose what is kept of the restarts on one data set."""
    task = states[0].task
    wanted, config, check = task.wanted, task.config, task.validation
    restarts = [Restart(state.index, state.checks, state.kept) for state in states]
    ranked = sorted(restarts, key=lambda restart: -restart.auc)  # the earlier one, of equals
    members = [restart.index for restart in ranked[: config.ensemble]]
    kept = [states[index].kept_parameters for index in members]
    network = network_of_members(wanted, kept)
    if not config.calibrate:
        return Trained(network, restarts, members)
    by = fit_platt(check.labels, log_odds(network, check.codes, threads=threads))
    network = network_of_members(wanted, [calibrated(wanted, each, by) for each in kept])
    return Trained(network, restarts, members, by)


def fingerprint(data: SplitDataset, wanted: Architecture, config: TrainConfig, seed: int) -> str:
    """Digest all that determines a run's numbers, as 64 hexadecimal digits."""
    settings = {"architecture": wanted.to_dict(), "seed": seed, **config.to_dict()}
    for name in ("restarts", "ensemble", "calibrate"):  # no restart depends on them
        settings.pop(name, None)
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for array in (data.dataset.codes, data.dataset.labels, data.parts):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


class _State:
    """A restart under way: its learner's state, its history and the weights of its best check."""

    def __init__(self, task: _Task, index: int) -> None:
        self.task, self.index = task, index
        generator = torch.Generator().manual_seed(_seed(_INIT, task.seed, index))
        first = Network(task.wanted, generator=generator).flat_parameters()
        zeros = np.zeros_like(first)
        self.arrays = {"parameters": first, "mean": zeros, "square": zeros}
        if task.config.average:
            self.arrays["averaged"] = first
        self.steps = 0
        self.checks: list[Check] = []
        self.kept = 0
        self.kept_parameters = first
        self.ended = False
        self._restore()

    @property
    def done(self) -> bool:
        return self.done_at(len(self.checks))

    def done_at(self, number: int) -> bool:
        """Tell whether nothing is left to do once so many checks are done."""
        return self.ended or number == self.task.checks

    def note(
        self, check: Check, arrays: dict[str, NDArray[np.float32]], *, steps: int, ended: bool
    ) -> None:
        """Take in a check and the learner's state at it, and save them."""
        self.arrays, self.steps, self.ended = arrays, steps, ended
        self.checks.append(check)
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
        self.arrays, self.steps = arrays, record["steps"]
        self.checks = [Check(**check) for check in record["checks"]]
        self.kept, self.ended = record["kept"], record["ended"]

    def _path(self, folder: Path) -> Path:
        return folder / f"restart-{self.index:04d}.safetensors"


def discard_states(folder: Path) -> None:
    """Delete the states of a run that is done, and the folder unless it holds other things."""
    for state in folder.glob("restart-*.safetensors"):
        state.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()


def _train_restart(state: _State) -> None:
    """Train a restart on one core, from wherever it is to the end."""
    task, config = state.task, state.task.config
    learner = Learner(
        task.wanted,
        state.arrays["parameters"],
        weight_decay=config.weight_decay,
        average=config.average,
    )
    learner.restore(state.arrays, steps=state.steps)
    for check in state.checks:
        task.tell(state.index, check)
    while not state.done:
        losses: list[float] = []
        for visit in _visits(state, len(state.checks)):
            if task.stop.is_set():
                raise InterruptedError("another restart failed, or the run was interrupted")
            codes = augment(task.codes[visit.rows], visit.moves, visit.turned)
            labels = task.labels[visit.rows]
            losses.append(learner.step(codes, labels, rate=visit.rate, mask=visit.mask))
            if losses[-1] < config.stop_below_loss:
                break
        found = probabilities(network_of(task.wanted, learner.learned()), task.validation.codes)
        check = _check(task, len(state.checks), float(np.mean(losses)), found)
        ended = losses[-1] < config.stop_below_loss
        state.note(check, learner.state(), steps=learner.steps, ended=ended)
        task.tell(state.index, check)


def _train_group(states: list[_State], pool: ThreadPoolExecutor, *, device: str) -> None:
    """Train restarts as one program, each from wherever it is to the end.

    The device is hardly ever waited for: while it takes steps, the next ones are drawn here, and
    what came of those before is judged and saved.
    """
    for state in states:
        for check in state.checks:
            state.task.tell(state.index, check)
    program, firsts = _program(states, device=device)
    rows = _validation_rows(states, firsts)
    numbers = [len(state.checks) for state in states]  # of the checks that are begun
    before: tuple[Look, list[int]] | None = None
    while turn := [i for i, state in enumerate(states) if not state.done_at(numbers[i])]:
        sources: list[Iterator[Visit]] = [iter(())] * len(states)
        for i in turn:
            sources[i] = _visits(states[i], numbers[i], first=firsts[i])
        while any(some := list(pool.map(partial(_take, program.most_steps), sources))):
            program.run(program.side_by_side(some))
        now = program.look(rows), turn
        if before is not None:
            _judge(states, *before, pool)
        before = now
        for i in turn:
            numbers[i] += 1
    if before is not None:
        _judge(states, *before, pool)


def _take(most: int, visits: Iterator[Visit]) -> list[Visit]:
    return list(islice(visits, most))


def _judge(states: list[_State], look: Look, turn: list[int], pool: ThreadPoolExecutor) -> None:
    """Note what came of the restarts that took steps."""
    found = look.wait()

    def judge(i: int) -> None:
        state = states[i]
        mean = float(found["sum"][i] / found["count"][i])
        probabilities = found["probabilities"][i, : len(state.task.validation.labels)]
        state.note(
            _check(state.task, len(state.checks), mean, probabilities),
            {name: found[name][i].copy() for name in state.arrays},
            steps=int(found["steps"][i]),
            ended=bool(found["ended"][i]),
        )

    going = [i for i in turn if not states[i].ended]  # that one has ended is known a check later
    for i, _ in zip(going, pool.map(judge, going), strict=True):
        states[i].task.tell(states[i].index, states[i].checks[-1])


def _program(states: list[_State], *, device: str) -> tuple[Program, list[int]]:
    """Bring restarts and their sequences to a device; give the first row of each one's data."""
    config, wanted = states[0].task.config, states[0].task.wanted
    stacked = {
        name: np.stack([state.arrays[name] for state in states]) for name in states[0].arrays
    }
    learner = batched.Learner(
        wanted,
        stacked["parameters"],
        device=device,
        dtype=_dtype(config, device),
        stop_below_loss=config.stop_below_loss,
        weight_decay=config.weight_decay,
        average=config.average,
    )
    learner.restore(stacked, steps=[state.steps for state in states])
    codes: list[Codes] = []
    labels: list[NDArray[np.int64]] = []
    firsts: dict[str, int] = {}
    for task in {state.task.fingerprint: state.task for state in states}.values():
        firsts[task.fingerprint] = sum(map(len, labels))
        codes += [task.codes, task.validation.codes]
        labels += [task.labels, task.validation.labels.astype(np.int64)]
    program = Program(
        learner,
        np.concatenate(codes),
        np.concatenate(labels),
        batch=config.batch,
        augmented=config.shift > 0 or config.flip,
    )
    return program, [firsts[state.task.fingerprint] for state in states]


def _validation_rows(states: list[_State], firsts: list[int]) -> NDArray[np.int64]:
    """Say where each restart's validation part lies, (R, m); fill up the shorter."""
    sizes = [len(state.task.validation.labels) for state in states]
    rows = np.zeros((len(states), max(sizes)), np.int64)
    for row, state, first, size in zip(rows, states, firsts, sizes, strict=True):
        row[:size] = first + len(state.task.labels) + np.arange(size)
    return rows


def _dtype(config: TrainConfig, device: str) -> torch.dtype:
    """Choose what convolutions compute in."""
    half = (
        config.mixed_precision
        and torch.device(device).type == "cuda"
        and torch.cuda.is_bf16_supported()
    )
    return torch.bfloat16 if half else torch.float32


def _visits(state: _State, number: int, *, first: int = 0) -> Iterator[Visit]:
    """Draw the mini-batches up to the check of a number, from 0; `first` is the row of the data."""
    task, config = state.task, state.task.config
    epoch, piece = divmod(number, task.checks_per_epoch)
    order = np.random.default_rng(_seed(_ORDER, task.seed, state.index, epoch)).permutation(
        len(task.labels)
    )
    batches = np.split(order + first, range(config.batch, len(order), config.batch))
    mine = np.array_split(np.arange(len(batches)), task.checks_per_epoch)[piece].tolist()
    dropout, augmenting = (
        np.random.default_rng(_seed(stream, task.seed, state.index, epoch, piece))
        for stream in (_DROPOUT, _AUGMENT)
    )
    masks = _masks(task, [len(batches[step]) for step in mine], dropout)
    for step, mask in zip(mine, masks, strict=True):
        rows = batches[step]
        moves, turned = draw_moves(len(rows), shift=config.shift, flip=config.flip, rng=augmenting)
        rate = config.rate(epoch * len(batches) + step, total=config.epochs * len(batches))
        yield Visit(rows=rows, rate=rate, mask=mask, moves=moves, turned=turned)


def _masks(
    task: _Task, sizes: list[int], rng: np.random.Generator
) -> Iterator[NDArray[np.float32] | None]:
    """Draw the dropout of mini-batches; many at once, which gives the same numbers sooner."""
    together = max(_MASKS // (task.wanted.last_units * task.config.batch), 1)
    for start in range(0, len(sizes), together):
        some = sizes[start : start + together]
        masks = dropout_mask(task.wanted, sum(some), rng=rng)
        ends = np.cumsum(some).tolist()
        for size, end in zip(some, ends, strict=True):
            yield None if masks is None else masks[end - size : end]


def _check(task: _Task, number: int, loss: float, found: NDArray[np.float32]) -> Check:
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
