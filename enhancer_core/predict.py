"""Probabilities for sequences, and tracks along a genome."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from enhancer_core.architecture import Architecture
from enhancer_core.dna import N_CODE, Codes
from enhancer_core.errors import SequenceError

BATCH = 256  # sequences predicted at once
_TRACK_BLOCK = 4096  # windows laid out at once
_MOST_N = 0.5  # share of a window


class Predictor(Protocol):
    """Computes logits, positives second; threads may call it side by side."""

    def logits(self, codes: Codes) -> NDArray[np.float32]:
        """Compute the logits of sequences: uint8 (n, L) -> float32 (n, 2)."""

    def substituted_logits(
        self, codes: Codes, rows: ArrayLike, positions: ArrayLike, bases: ArrayLike
    ) -> NDArray[np.float32]:
        """Compute the logits of sequences with one base changed: float32 (m, 2)."""


class Scorer(Protocol):
    """What can predict: a model as it was loaded, or a PyTorch network on any device."""

    @property
    def architecture(self) -> Architecture:
        """What it is made of."""

    def predictor(self) -> Predictor:
        """Lay out the weights for prediction."""


def probabilities(
    network: Scorer,
    codes: Codes,
    *,
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> NDArray[np.float32]:
    """Predict the probability that each sequence is an enhancer.

    Parameters
    ----------
    network
        A `checkpoint.Model`, or a `model.Network` on any device. The compiled engine computes what
        is on the CPU, PyTorch the rest.
    codes
        uint8, shape (n, L), values 0-4, with the length L that the network reads.
    threads
        Batches predicted side by side; the result does not depend on it.
    progress
        Called with the number of sequences done since the last call.

    Returns
    -------
    float32, shape (n,)
        0 to 1: the softmax of the two logits.

    Raises
    ------
    SequenceError
        If L is not the network's.
    """
    odds = log_odds(network, codes, threads=threads, progress=progress)
    found: NDArray[np.float32] = expit(odds)
    return found


def log_odds(
    network: Scorer,
    codes: Codes,
    *,
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> NDArray[np.float32]:
    """Predict natural log odds, which are finer than probabilities near 0 and 1.

    Arguments and errors are those of `probabilities`.

    Returns
    -------
    float32, shape (n,)
        The second logit less the first.
    """
    wanted = network.architecture.length
    if codes.shape[1] != wanted:
        raise SequenceError(f"sequences of {codes.shape[1]} bp; the model reads {wanted} bp")
    predictor = network.predictor()

    def one_batch(start: int) -> NDArray[np.float32]:
        found = predictor.logits(codes[start : start + BATCH])
        if progress is not None:
            progress(len(found))
        difference: NDArray[np.float32] = found[:, 1] - found[:, 0]
        return difference

    with ThreadPoolExecutor(threads) as pool:
        batches = pool.map(one_batch, range(0, len(codes), BATCH))
        return np.concatenate([np.zeros(0, np.float32), *batches])


def substituted_log_odds(
    network: Scorer,
    codes: Codes,
    rows: NDArray[np.int64],
    positions: NDArray[np.int64],
    bases: Codes,
    *,
    threads: int = 1,
) -> NDArray[np.float32]:
    """Predict natural log odds of sequences with one base changed.

    On the CPU only what a change can reach is computed again, to the same bits.

    Parameters
    ----------
    network, threads
        As `probabilities`.
    codes
        uint8, shape (n, L), values 0-4.
    rows, positions, bases
        Shape (m,): the sequence, the position from 0, and the base code that it gets. Changes of
        one sequence are best next to each other.

    Returns
    -------
    float32, shape (m,)
        The second logit less the first.

    Raises
    ------
    SequenceError
        If L is not the network's.
    """
    predictor = network.predictor()

    def one_batch(start: int) -> NDArray[np.float32]:
        some = slice(start, start + BATCH)
        found = predictor.substituted_logits(codes, rows[some], positions[some], bases[some])
        difference: NDArray[np.float32] = found[:, 1] - found[:, 0]
        return difference

    with ThreadPoolExecutor(threads) as pool:
        batches = pool.map(one_batch, range(0, len(rows), BATCH))
        return np.concatenate([np.zeros(0, np.float32), *batches])


def track(
    network: Scorer,
    codes: Codes,
    *,
    start: int,
    end: int,
    step: int,
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Predict along a stretch of a chromosome.

    The stretch is cut into bins of `step` bp, the last perhaps shorter. A bin's value is the
    probability of the window around its middle, (start + end) // 2. Beyond the chromosome's ends a
    window holds N, as the Kipoi data loader pads; bins whose window is more than half N have no
    value.

    Parameters
    ----------
    network
        As `probabilities`.
    codes
        uint8, shape (C,): the whole chromosome.
    start, end
        The stretch, 0-based and half-open, inside the chromosome.
    step
        Bin, in bp, at least 1.

    Yields
    ------
    tuple of int64 (m,) and float32 (m,)
        Starts of the bins that have a value, and the values, a block at a time in order.
    """
    length = network.architecture.length
    bins = np.arange(start, end, step)
    for some in np.split(bins, range(_TRACK_BLOCK, len(bins), _TRACK_BLOCK)):
        firsts = (some + np.minimum(some + step, end)) // 2 - length // 2
        stretch = _padded(codes, int(firsts[0]), int(firsts[-1]) + length)
        windows = np.lib.stride_tricks.sliding_window_view(stretch, length)[firsts - firsts[0]]
        known = (windows == N_CODE).mean(axis=1) <= _MOST_N
        found = probabilities(network, np.ascontiguousarray(windows[known]), threads=threads)
        if progress is not None:
            progress(len(some))
        if len(found):
            yield some[known], found


def _padded(codes: Codes, start: int, end: int) -> Codes:
    """Cut a stretch out of a chromosome, with N where it reaches over an end."""
    stretch = np.full(end - start, N_CODE, dtype=np.uint8)
    inside = codes[max(start, 0) : end]
    offset = max(-start, 0)
    stretch[offset : offset + len(inside)] = inside
    return stretch
