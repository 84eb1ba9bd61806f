"""Probabilities for sequences, and tracks along a genome."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna.codes import N_CODE, Codes, reverse_complement
from enhancer_core.errors import SequenceError
from enhancer_core.models.architecture import Architecture
from enhancer_core.models.cpu.predictor import expit
from enhancer_core.models.ensemble import Predictor

if TYPE_CHECKING:  # what they need takes a tenth of a second to import
    from concurrent.futures import Future

    from enhancer_core.dna.intervals import Intervals
    from enhancer_core.io.genome import Genome
    from enhancer_core.io.tracks import Stretch

Floats: TypeAlias = NDArray[np.float32]
Starts: TypeAlias = NDArray[np.int64]
Item = TypeVar("Item")
Result = TypeVar("Result")

BATCH = 256  # sequences predicted at once
_CHANGES = 4096  # changes predicted at once: each is a fraction of a sequence's work
_REACH = 1 << 20  # bp of a track predicted at once, at most
_MOST_N = 0.5  # share of a window


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
    both_strands: bool = False,
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> NDArray[np.float32]:
    """Predict the probability that each sequence is an enhancer.

    Parameters
    ----------
    network
        A `checkpoint.Model`, or a `model.Network` or `model.Ensemble` on any device. The compiled
        engine computes what is on the CPU, PyTorch the rest.
    codes
        uint8, shape (n, L), values 0-4, with the length L that the network reads.
    both_strands
        Give the mean of a sequence's probability and its reverse complement's.
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
    predictor = network.predictor()

    def predict(some: Codes) -> Floats:
        strands = (some, reverse_complement(some)) if both_strands else (some,)
        return _mean_probability(predictor.logits(each) for each in strands)

    return _in_batches(predict, network, codes, threads, progress)


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
    predictor = network.predictor()
    return _in_batches(
        lambda some: _odds(predictor.logits(some)), network, codes, threads, progress
    )


def _in_batches(
    predict: Callable[[Codes], Floats],
    network: Scorer,
    codes: Codes,
    threads: int,
    progress: Callable[[int], None] | None,
) -> Floats:
    length = network.architecture.length
    if codes.shape[1] != length:
        raise SequenceError(f"sequences of {codes.shape[1]} bp; the model reads {length} bp")
    batches = (codes[start : start + BATCH] for start in range(0, len(codes), BATCH))
    found = [np.zeros(0, np.float32)]
    for some in in_order(predict, batches, threads=threads):
        found.append(some)
        if progress is not None:
            progress(len(some))
    return np.concatenate(found)


def _odds(logits: Floats) -> Floats:
    difference: Floats = logits[:, 1] - logits[:, 0]
    return difference


def _mean_probability(strands: Iterable[Floats]) -> Floats:
    """Average over strands, whose logits are (n, 2) each."""
    mean: Floats = np.mean([expit(_odds(logits)) for logits in strands], axis=0)
    return mean


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

    def predict(start: int) -> Floats:
        some = slice(start, start + _CHANGES)
        return _odds(predictor.substituted_logits(codes, rows[some], positions[some], bases[some]))

    batches = in_order(predict, range(0, len(rows), _CHANGES), threads=threads)
    return np.concatenate([np.zeros(0, np.float32), *batches])


def track(
    network: Scorer,
    genome: Genome,
    regions: Intervals,
    *,
    step: int,
    both_strands: bool = False,
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Stretch]:
    """Predict along regions of a genome.

    A region is cut into bins of `step` bp, the last perhaps shorter. A bin's value is the
    probability of the window around its middle, (start + end) // 2. Beyond the chromosome's ends a
    window holds N, as the Kipoi data loader pads; bins whose window is more than half N have no
    value.

    Parameters
    ----------
    network, both_strands, threads
        As `probabilities`.
    genome
        Read a stretch at a time, ahead of what is predicted.
    regions
        Inside the genome's chromosomes, in the genome's names.
    step
        Bin, in bp, at least 1.
    progress
        Called with the number of bins done since the last call.

    Yields
    ------
    tuple of str, int64 (m,), int64 (m,) and float32 (m,)
        Chromosome, and the starts, ends and values of the bins that have one, in order.
    """
    predictor, length = network.predictor(), network.architecture.length
    most = step * min(predictor.windows_per_call, max(_REACH // step, 1))

    def predict(block: _Block) -> tuple[int, Stretch]:
        chrom, bins, ends, windows, codes = block
        known = _known(codes, windows, length)
        strands = [predictor.scanned_logits(codes, windows[known])]
        if both_strands:
            starts = len(codes) - length - windows[known][::-1]
            strands.append(predictor.scanned_logits(reverse_complement(codes), starts)[::-1])
        return len(bins), (chrom, bins[known], ends[known], _mean_probability(strands))

    for done, stretch in in_order(
        predict, _read(genome, regions, most, step, length), threads=threads
    ):
        if progress is not None:
            progress(done)
        if len(stretch[-1]):
            yield stretch


def _known(codes: Codes, windows: Starts, length: int) -> NDArray[np.bool_]:
    """Tell which windows hold no more N than they may."""
    unknown = codes == N_CODE
    if not unknown.any():  # as nearly everywhere, and counting takes longer than looking
        return np.ones(len(windows), np.bool_)
    counted = np.cumsum(np.concatenate([[False], unknown]), dtype=np.int32)
    few: NDArray[np.bool_] = counted[windows + length] - counted[windows] <= _MOST_N * length
    return few


# Chromosome, starts and ends of bins, the codes that their windows read, and where each begins.
_Block: TypeAlias = tuple[str, Starts, Starts, Starts, Codes]


def _read(
    genome: Genome, regions: Intervals, most: int, step: int, length: int
) -> Iterator[_Block]:
    rows = zip(regions.chroms.tolist(), regions.starts.tolist(), regions.ends.tolist(), strict=True)
    for chrom, start, end in rows:
        for first in range(start, end, most):
            bins = np.arange(first, min(first + most, end), step)
            ends = np.minimum(bins + step, end)
            windows = (bins + ends) // 2 - length // 2
            begin, stop, limit = int(windows[0]), int(windows[-1]) + length, genome.lengths[chrom]
            inside = genome.codes(chrom, max(begin, 0), min(stop, limit))
            beyond = max(-begin, 0), max(stop - limit, 0)
            codes = np.pad(inside, beyond, constant_values=N_CODE)
            yield chrom, bins, ends, windows - begin, codes


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int
) -> Iterator[Result]:
    """Apply a function to items side by side, and give the results in order.

    Items are taken ahead, but no more than two for each thread: what makes them works while they
    are computed, and memory is bounded.

    Examples
    --------
    >>> list(in_order(lambda x: 2 * x, iter([1, 2, 3]), threads=2))
    [2, 4, 6]
    """
    if threads == 1:  # all in this thread: another would take a second core
        yield from map(function, items)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Result]] = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
