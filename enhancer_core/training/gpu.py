"""Restarts as one program, as on a GPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np
import torch
from numpy.typing import NDArray

from enhancer_core.dna.codes import Codes
from enhancer_core.models.architecture import Architecture
from enhancer_core.models.gpu.batches import MiniBatches
from enhancer_core.models.gpu.fused import missing_requirement
from enhancer_core.models.gpu.learner import GpuLearner
from enhancer_core.models.gpu.program import CheckpointMetrics, Program, restarts_per_group
from enhancer_core.training.config import TrainConfig
from enhancer_core.training.restart import State, judged, visits


def train_together(states: list[State], pool: ThreadPoolExecutor, *, device: str) -> None:
    """Train restarts as one program, each from wherever it is to the end.

    The device is hardly ever waited for: while it takes steps, the next ones are drawn here, and
    what came of those before is judged and saved.
    """
    # Streams, graphs and kernels are made on the current GPU, which need not be this one.
    place = torch.device(device)
    with torch.cuda.device(place) if place.type == "cuda" else nullcontext():
        _train(states, pool, device=device)


def _train(states: list[State], pool: ThreadPoolExecutor, *, device: str) -> None:
    config = states[0].task.config
    program, firsts = _program(states, device=device)
    rows = _validation_rows(states, firsts)
    numbers = [len(state.checks) for state in states]  # of the checks that are begun
    before: tuple[CheckpointMetrics, list[int]] | None = None
    while turn := [i for i, state in enumerate(states) if not state.done_at(numbers[i])]:
        sources: list[Iterator[MiniBatches]] = [iter(())] * len(states)
        for i in turn:
            most = program.most_steps
            sources[i] = visits(states[i], numbers[i], most=most, first=firsts[i])
        if config.freeze:
            program.learner.freeze(_held(states, numbers))
        while any(some := list(pool.map(_next, sources))):
            program.run(program.stack(some))
        now = program.evaluate(rows), turn
        if before is not None:
            _judge(program, states, *before, pool)
        before = now
        for i in turn:
            numbers[i] += 1
    if before is not None:
        _judge(program, states, *before, pool)


def _next(visits: Iterator[MiniBatches]) -> MiniBatches | None:
    return next(visits, None)


def _judge(
    program: Program,
    states: list[State],
    look: CheckpointMetrics,
    turn: list[int],
    pool: ThreadPoolExecutor,
) -> None:
    """Note what came of the restarts that took steps."""
    found, names = look.wait(), list(program.learner.state())

    def judge(i: int) -> None:
        state = states[i]
        mean = float(found["sum"][i] / found["count"][i])
        probabilities = found["probabilities"][i, : len(state.task.validation.labels)]
        state.note(
            judged(state.task, len(state.checks), mean, probabilities),
            {name: found[name][i].copy() for name in names},
            steps=int(found["steps"][i]),
            ended=bool(found["ended"][i]),
        )

    going = [i for i in turn if not states[i].ended]  # that one has ended is known a check later
    for i, _ in zip(going, pool.map(judge, going), strict=True):
        states[i].task.tell(states[i].index, states[i].checks[-1])


def _program(states: list[State], *, device: str) -> tuple[Program, list[int]]:
    """Bring restarts and their sequences to a device; give the first row of each one's data."""
    config, architecture = states[0].task.config, states[0].task.architecture
    stacked = {
        name: np.stack([state.arrays[name] for state in states]) for name in states[0].arrays
    }
    learner = GpuLearner(
        architecture,
        stacked["parameters"],
        device=device,
        dtype=_dtype(config, device),
        stop_below_loss=config.stop_below_loss,
        weight_decay=config.weight_decay,
        average=config.ema,
    )
    if config.freeze:
        learner.freeze(np.zeros_like(stacked["parameters"], np.bool_))
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
        batch=config.batch_size,
        augmented=config.shift > 0 or config.flip,
        mutated=config.mutate > 0,
    )
    return program, [firsts[state.task.fingerprint] for state in states]


def _held(states: list[State], numbers: list[int]) -> NDArray[np.bool_]:
    """Say which weights stay as they are, (R, p), up to the checks of these numbers."""
    nothing = np.zeros_like(states[0].kept_parameters, np.bool_)
    held = (state.task.held(number) for state, number in zip(states, numbers, strict=True))
    return np.stack([nothing if each is None else each for each in held])


def _validation_rows(states: list[State], firsts: list[int]) -> NDArray[np.int64]:
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


def arrangement(
    architecture: Architecture, config: TrainConfig, *, sets: Sequence[Codes], device: str
) -> str:
    """Say in a line how restarts on some sets of sequences are laid out on other than "cpu".

    Examples
    --------
    >>> from enhancer_core.models.architecture import NETWORKS
    >>> sets = [np.zeros((9, 500), np.uint8)] * 2
    >>> arrangement(NETWORKS["tf"], TrainConfig(restarts=50), sets=sets, device="cpu:0")
    '100 restarts as one program, float32'
    """
    restarts, size = (
        config.restarts * len(sets),
        group_size(architecture, config, sets, device=device),
    )
    groups = "as one program" if size == restarts else f"in programs of {size}"
    dtype, place = _dtype(config, device), torch.device(device)
    line = f"{restarts} restarts {groups}, {str(dtype).removeprefix('torch.')}"
    if place.type != "cuda":
        return line
    line += f", recorded as a CUDA graph on {torch.cuda.get_device_name(place)}"
    why = missing_requirement(place) if dtype == torch.bfloat16 else None
    return line if why is None else f"{line}, without kernels of its own ({why})"


def group_size(
    architecture: Architecture, config: TrainConfig, sets: Sequence[Codes], *, device: str
) -> int:
    """Choose how many restarts are one program."""
    restarts, place = config.restarts * len(sets), torch.device(device)
    if place.type != "cuda":
        return restarts
    free, _ = torch.cuda.mem_get_info(place)
    free -= sum(codes.nbytes for codes in sets)
    half = _dtype(config, device) == torch.bfloat16
    return restarts_per_group(architecture, restarts, batch=config.batch_size, free=free, half=half)
