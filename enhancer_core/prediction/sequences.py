"""Probabilities and log odds of sequences."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna.codes import Codes, SequencesLike, as_codes, mostly_n, reverse_complement
from enhancer_core.errors import EnhancerError, SequenceError
from enhancer_core.models.cpu.predictor import expit
from enhancer_core.models.ensemble import Predictor
from enhancer_core.models.model import Model

Floats: TypeAlias = NDArray[np.float32]
Item = TypeVar("Item")
Result = TypeVar("Result")

BATCH = 256  # sequences predicted at once
_CHANGES = 4096  # changes predicted at once: each is a fraction of a sequence's work


def predict(
    model: Model,
    sequences: SequencesLike,
    *,
    length: int | None = None,
    both_strands: bool = False,
    prevalence: float | None = None,
    device: str = "auto",
    threads: int = 1,
) -> Floats:
    """Predict the probability that each sequence is an enhancer.

    Parameters
    ----------
    model
        A trained model.
    sequences
        n strings of the model's length (list, tuple, array or Series), or codes, uint8 (n, L).
    length
        bp to which each sequence is cut around its middle, or padded with N: the model's length, or
        one for which `Model.at_length` can lay it out. Without, all need the model's length.
    both_strands
        Average a sequence's probability with its reverse complement's.
    prevalence
        Share of positives among which the probabilities hold; None is that of training, as in
        `prior_shift`.
    device
        "cpu", "cuda", or "auto", which takes a CUDA GPU if there is one.
    threads
        Batches predicted side by side on the CPU; the result does not depend on it.

    Returns
    -------
    float32, shape (n,)
        0 to 1, among as large a share of positives as in training, or as `prevalence` says; NaN for
        what `length` made mostly N.

    Raises
    ------
    SequenceError
        If a sequence is not DNA, or of another length than the model reads.
    ModelFileError
        If the model cannot be laid out for `length`.
    EnhancerError
        If `prevalence` is not between 0 and 1.
    DeviceError
        If the device is not there.

    Examples
    --------
    >>> from enhancer_core.models.architecture import NETWORKS
    >>> from enhancer_core.models.network import Network
    >>> predict(Model.from_torch(Network(NETWORKS["tf"])), ["ACGT" * 125] * 3).shape
    (3,)
    """
    shift = prior_shift(model, prevalence)
    predictor = model.at_length(length).predictor(device)
    codes = as_codes(sequences, length=length)
    predicted = probabilities(
        predictor, codes, both_strands=both_strands, shift=shift, threads=threads
    )
    return predicted if length is None else without_unknown(predicted, codes)


def without_unknown(predicted: Floats, codes: Codes) -> Floats:
    """Replace predictions, float32 (n,), by NaN for sequences (n, L) that are mostly N."""
    return np.where(mostly_n(codes), np.float32(np.nan), predicted)


def prior_shift(model: Model, prevalence: float | None) -> float:
    """Return what is added to a model's log odds, in nats, so that they hold at a prevalence.

    It is logit(prevalence) less the logit of the share of positives in training (Saerens, Latinne
    and Decaestecker 2002, equation 2.4), which is taken as .5 where the model does not state it;
    and 0 for None.

    Raises
    ------
    EnhancerError
        If the prevalence is not between 0 and 1.

    Examples
    --------
    >>> from enhancer_core.models.architecture import NETWORKS
    >>> from enhancer_core.models.network import Network
    >>> model = Model.from_torch(Network(NETWORKS["tf"]), {"prevalence": 0.75})
    >>> round(prior_shift(model, 0.5), 4), prior_shift(model, None)  # log(1 / 3)
    (-1.0986, 0.0)
    """
    if prevalence is None:
        return 0.0
    if not 0 < prevalence < 1:
        raise EnhancerError(f"prevalence is {prevalence:g}; allowed is above 0 and below 1")
    trained = 0.5 if model.prevalence is None else model.prevalence
    return math.log(prevalence / (1 - prevalence)) - math.log(trained / (1 - trained))


def probabilities(
    predictor: Predictor,
    codes: Codes,
    *,
    both_strands: bool = False,
    shift: float = 0.0,
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Floats:
    """Predict the probability that each sequence is an enhancer: float32 (n,), softmax of logits.

    As `predict`, but for a predictor and codes, uint8 (n, L), values 0-4; `shift` is added to the
    log odds. `progress` is called with the number of sequences done since the last call.

    Raises
    ------
    SequenceError
        If L is not the length that the model reads.
    """

    def predict_batch(batch: Codes) -> Floats:
        strands = (batch, reverse_complement(batch)) if both_strands else (batch,)
        return mean_probability([predictor.logits(strand) for strand in strands], shift=shift)

    return _in_batches(predict_batch, predictor, codes, threads, progress)


def log_odds(
    predictor: Predictor,
    codes: Codes,
    *,
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Floats:
    """Predict natural log odds, finer than probabilities near 0 and 1; else as `probabilities`.

    Raises
    ------
    SequenceError
        As `probabilities`.
    """
    return _in_batches(
        lambda batch: _difference(predictor.logits(batch)), predictor, codes, threads, progress
    )


def _in_batches(
    predict_batch: Callable[[Codes], Floats],
    predictor: Predictor,
    codes: Codes,
    threads: int,
    progress: Callable[[int], None] | None,
) -> Floats:
    if codes.shape[1] != predictor.length:
        raise SequenceError(
            f"sequences of {codes.shape[1]} bp; the model reads {predictor.length} bp"
            f" (length={predictor.length} cuts or pads each)"
        )
    batches = (codes[start : start + BATCH] for start in range(0, len(codes), BATCH))
    results = [np.zeros(0, np.float32)]
    for result in in_order(predict_batch, batches, threads=threads):
        results.append(result)
        if progress is not None:
            progress(len(result))
    return np.concatenate(results)


def _difference(logits: Floats) -> Floats:
    difference: Floats = logits[:, 1] - logits[:, 0]
    return difference


def mean_probability(strands: Sequence[Floats], *, shift: float = 0.0) -> Floats:
    """Average the probabilities of strands, whose logits are float32 (n, 2) each: (n,).

    `shift`, in nats, is added to the log odds of that mean.
    """
    if shift:
        return expit(mean_log_odds(strands) + np.float32(shift))
    mean: Floats = np.mean([expit(_difference(logits)) for logits in strands], axis=0)
    return mean


def mean_log_odds(strands: Sequence[Floats]) -> Floats:
    """Compute the log odds, float32 (n,), of `mean_probability`, as fine near 0 and 1 as between.

    Examples
    --------
    >>> logits = [np.array([[0, odds]], np.float32) for odds in (40, 42)]
    >>> round(float(mean_log_odds(logits)[0]), 2), mean_probability(logits).tolist()
    (40.57, [1.0])
    """
    if len(strands) == 1:
        return _difference(strands[0])
    odds = np.array([_difference(logits) for logits in strands], np.float64)
    shares = (-np.logaddexp(0, sign * odds) for sign in (-1, 1))  # log p, log(1 - p)
    positive, negative = (np.logaddexp.reduce(share, axis=0) for share in shares)
    mean: Floats = (positive - negative).astype(np.float32)
    return mean


def substituted_log_odds(
    predictor: Predictor,
    codes: Codes,
    rows: NDArray[np.int64],
    positions: NDArray[np.int64],
    bases: Codes,
    *,
    threads: int = 1,
) -> NDArray[np.float32]:
    """Predict natural log odds, float32 (m,), of sequences (n, L) with one base changed.

    Change i gives row `rows[i]` the base `bases[i]` at `positions[i]`, from 0. On the CPU only what
    a change can reach is computed again, to the same bits. Changes of one sequence are best next to
    each other.

    Raises
    ------
    SequenceError
        If L is not the model's, or a row, a position or a base does not exist.
    """

    def predict_batch(start: int) -> Floats:
        batch = slice(start, start + _CHANGES)
        return _difference(
            predictor.substituted_logits(codes, rows[batch], positions[batch], bases[batch])
        )

    batches = in_order(predict_batch, range(0, len(rows), _CHANGES), threads=threads)
    return np.concatenate([np.zeros(0, np.float32), *batches])


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int
) -> Iterator[Result]:
    """Apply a function to items side by side, and yield the results in order.

    Items are taken ahead, but no more than two for each thread, so that memory is bounded.
    """
    if threads == 1:  # all in this thread: another would take a second core
        yield from map(function, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Result]] = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
