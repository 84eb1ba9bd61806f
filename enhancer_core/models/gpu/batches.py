"""The mini-batches of several networks, stacked for a device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sequences:
    rows: NDArray[np.int64]  # (n,): the sequences, as rows of the data
    mask: NDArray[np.float32] | None = None  # (n, units): `parameters.dropout_mask`'s
    moves: NDArray[np.int64] | None = None  # (n,): shifts, in bp downstream
    turned: NDArray[np.bool_] | None = None  # (n,): which are then reverse complemented
    letters: NDArray[np.uint8] | None = None  # (n, L): `augmentation.draw_letters`'s


@dataclass(frozen=True, kw_only=True, slots=True)
class MiniBatch(_Sequences):
    """One mini-batch of one network, of n sequences."""

    rate: float  # learning rate


@dataclass(frozen=True, kw_only=True, slots=True)
class MiniBatches(_Sequences):
    """S mini-batches of one network, concatenated: of `batch` sequences, the last maybe of fewer.

    All but the rates are of n sequences, (S - 1) * batch < n <= S * batch.

    Examples
    --------
    >>> batches = MiniBatches(batch=2, rates=np.array([0.1, 0.2]), rows=np.array([4, 2, 3]))
    >>> [(batch.rows.tolist(), batch.rate) for batch in batches]
    [([4, 2], 0.1), ([3], 0.2)]
    """

    batch: int
    rates: NDArray[np.float64]  # (S,)

    def __len__(self) -> int:
        """Count the mini-batches."""
        return len(self.rates)

    def __iter__(self) -> Iterator[MiniBatch]:
        """Yield one after the other."""
        arrays = {field.name: getattr(self, field.name) for field in fields(_Sequences)}
        arrays = {name: array for name, array in arrays.items() if array is not None}
        for step, rate in enumerate(self.rates.tolist()):
            block = slice(step * self.batch, (step + 1) * self.batch)
            yield MiniBatch(rate=rate, **{name: array[block] for name, array in arrays.items()})


@dataclass(frozen=True, kw_only=True)
class Steps:
    """T mini-batches of R networks, each of up to B sequences, padded with 0."""

    rows: NDArray[np.int64]  # (T, R, B)
    shares: NDArray[np.float32]  # (T, R, B): weight of each sequence in the mean loss
    rates: NDArray[np.float64]  # (T, R)
    kept: NDArray[np.bool_]  # (T, R, B, units): kept by dropout; no units without dropout
    moves: NDArray[np.int32]  # (T, R, B)
    turned: NDArray[np.bool_]  # (T, R, B)
    letters: NDArray[np.uint8]  # (T, R, B, L); L is 0 without mutations

    def __len__(self) -> int:
        """Count the steps."""
        return len(self.rows)


def stack(
    batches: Sequence[MiniBatches | None], *, batch: int, units: int, length: int = 0
) -> Steps:
    """Stack the mini-batches of networks, of up to `batch` sequences, and pad the shorter.

    Examples
    --------
    >>> batches = MiniBatches(batch=2, rates=np.array([0.1, 0.1]), rows=np.array([4, 2, 3]))
    >>> steps = stack([batches, None], batch=2, units=0)
    >>> steps.rows.tolist(), steps.shares[1].tolist()
    ([[[4, 2], [0, 0]], [[3, 0], [0, 0]]], [[1.0, 0.0], [0.0, 0.0]])
    """
    size = max(len(each) for each in batches if each is not None), len(batches)
    steps = Steps(
        rows=np.zeros((*size, batch), np.int64),
        shares=np.zeros((*size, batch), np.float32),
        rates=np.zeros(size),
        kept=np.zeros((*size, batch, units), np.bool_),
        moves=np.zeros((*size, batch), np.int32),
        turned=np.zeros((*size, batch), np.bool_),
        letters=np.zeros((*size, batch, length), np.uint8),
    )
    for restart, visits in enumerate(batches):
        if visits is None:
            continue
        steps.rates[: len(visits), restart] = visits.rates
        sizes = np.full(len(visits), visits.batch)
        sizes[-1] += len(visits.rows) - sizes.sum()
        arrays = {field.name: getattr(visits, field.name) for field in fields(_Sequences)}
        mask = arrays.pop("mask")
        arrays["kept"] = None if mask is None else mask > 0
        arrays["shares"] = np.repeat(1 / sizes, sizes)
        full = len(visits.rows) // visits.batch
        end = full * visits.batch
        for name, array in arrays.items():
            if array is not None:
                target, shape = getattr(steps, name)[:, restart], (full, visits.batch)
                target[:full, : visits.batch] = array[:end].reshape(*shape, *array.shape[1:])
                target[full : len(visits), : len(array) - end] = array[end:]
    return steps
