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
from enhancer_core.training.restart import RestartState, is_finite, mini_batches, validate


def train_as_program(states: list[RestartState], pool: ThreadPoolExecutor, *, device: str) -> None:
    """Train restarts to their ends as one program.

    The device is hardly ever waited for: while it takes steps, the CPU draws the next mini-batches,
    and computes and saves the checkpoints before.
    """
    # Streams, graphs and kernels are made on the current GPU, which need not be this one.
    place = torch.device(device)
    with torch.cuda.device(place) if place.type == "cuda" else nullcontext():
        _train(states, pool, device=device)


def _train(states: list[RestartState], pool: ThreadPoolExecutor, *, device: str) -> None:
    program, firsts = _program(states, device=device)
    rows = _validation_rows(states, firsts)
    numbers = [len(state.checkpoints) for state in states]  # of the checkpoints that are begun
    previous: tuple[CheckpointMetrics, list[int]] | None = None
    while active := [i for i, state in enumerate(states) if not state.done_at(numbers[i])]:
        _draw_sequences(program, [(states[i], firsts[i], numbers[i]) for i in active], pool)
        sources: list[Iterator[MiniBatches]] = [iter(())] * len(states)
        for i in active:
            most = program.most_steps
            sources[i] = mini_batches(states[i], numbers[i], most=most, first=firsts[i])
        if states[0].task.config.freeze:
            program.learner.freeze(_frozen(states, numbers))
        while any(batches := list(pool.map(lambda source: next(source, None), sources))):
            program.run(program.stack(batches))
        current = program.evaluate(rows), active
        if previous is not None:
            _add_checkpoints(program, states, *previous, pool)
        previous = current
        for i in active:
            numbers[i] += 1
    if previous is not None:
        _add_checkpoints(program, states, *previous, pool)


def _draw_sequences(
    program: Program, places: Sequence[tuple[RestartState, int, int]], pool: ThreadPoolExecutor
) -> None:
    """Bring what restarts read until their next checkpoints, where that is drawn for each epoch."""
    drawn = [each for each in places if each[0].task.work.data.sampler is not None]
    codes = pool.map(lambda each: each[0].task.sequences(each[0].index, each[2]), drawn)
    for (_, first, _), sequences in zip(drawn, codes, strict=True):
        program.replace(first, sequences)


def _add_checkpoints(
    program: Program,
    states: list[RestartState],
    metrics: CheckpointMetrics,
    active: list[int],
    pool: ThreadPoolExecutor,
) -> None:
    """Compute, save and report a checkpoint of the restarts that took steps."""
    arrays, names = metrics.wait(), list(program.learner.state())

    def add(i: int) -> None:
        state = states[i]
        loss = float(arrays["sum"][i] / arrays["count"][i])
        probabilities = arrays["probabilities"][i, : len(state.task.validation.labels)]
        own = {name: arrays[name][i].copy() for name in names}
        if not is_finite(loss, probabilities, own):
            state.diverge()
            return
        state.add(
            validate(state.task, len(state.checkpoints), loss=loss, probabilities=probabilities),
            own,
            steps=int(arrays["steps"][i]),
            ended=bool(arrays["ended"][i]),
        )

    # That a restart has ended is known a checkpoint later.
    unended = [i for i in active if not states[i].ended]
    for i, _ in zip(unended, pool.map(add, unended), strict=True):
        if not states[i].diverged:
            states[i].task.report(states[i].index, states[i].checkpoints[-1])


def _program(states: list[RestartState], *, device: str) -> tuple[Program, list[int]]:
    """Bring restarts and sequences to a device; return the first row of each restart's data."""
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
    firsts: dict[tuple[str, int], int] = {}
    for key, task in {_block(state): state.task for state in states}.items():
        firsts[key] = sum(map(len, labels))
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
    return program, [firsts[_block(state)] for state in states]


def _block(state: RestartState) -> tuple[str, int]:
    """Return which block of sequences a restart reads: its data's, or its own if it draws them."""
    return state.task.fingerprint, 0 if state.task.work.data.sampler is None else state.index


def _frozen(states: list[RestartState], numbers: list[int]) -> NDArray[np.bool_]:
    """Return which weights are frozen, (R, p), until the checkpoints of these numbers."""
    none = np.zeros_like(states[0].kept_parameters, np.bool_)
    frozen = (state.task.frozen(number) for state, number in zip(states, numbers, strict=True))
    return np.stack([none if weights is None else weights for weights in frozen])


def _validation_rows(states: list[RestartState], firsts: list[int]) -> NDArray[np.int64]:
    """Return the rows of each restart's validation part, (R, m), the shorter filled with 0."""
    sizes = [len(state.task.validation.labels) for state in states]
    rows = np.zeros((len(states), max(sizes)), np.int64)
    for row, state, first, size in zip(rows, states, firsts, sizes, strict=True):
        row[:size] = first + len(state.task.labels) + np.arange(size)
    return rows


def _dtype(config: TrainConfig, device: str) -> torch.dtype:
    """Choose what convolutions compute in."""
    cuda = torch.device(device).type == "cuda"
    half = config.mixed_precision and cuda and torch.cuda.is_bf16_supported()
    return torch.bfloat16 if half else torch.float32


def arrangement(
    architecture: Architecture, config: TrainConfig, *, sets: Sequence[Codes], device: str
) -> str:
    """Describe in a line how restarts on sets of sequences are laid out on other than "cpu".

    Examples
    --------
    >>> from enhancer_core.models.architecture import NETWORKS
    >>> sets = [np.zeros((9, 500), np.uint8)] * 2
    >>> arrangement(NETWORKS["tf"], TrainConfig(restarts=50), sets=sets, device="cpu:0")
    '100 restarts as one program, float32'
    """
    restarts = config.restarts * len(sets)
    size = group_size(architecture, config, sets, device=device)
    groups = "as one program" if size == restarts else f"in programs of {size}"
    dtype, place = _dtype(config, device), torch.device(device)
    line = f"{restarts} restarts {groups}, {str(dtype).removeprefix('torch.')}"
    if place.type != "cuda":
        return line
    line += f", recorded as a CUDA graph on {torch.cuda.get_device_name(place)}"
    missing = missing_requirement(place) if dtype == torch.bfloat16 else None
    return line if missing is None else f"{line}, without kernels of its own ({missing})"


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
