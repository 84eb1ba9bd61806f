"""The mini-batches of networks, laid side by side for a device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class Visit:
    """One mini-batch of one network, of n sequences."""

    rows: NDArray[np.int64]  # (n,): which
    rate: float  # learning rate
    mask: NDArray[np.float32] | None = None  # (n, units): `architecture.dropout_mask`'s
    moves: NDArray[np.int64] | None = None  # (n,): bp by which each is read further on
    turned: NDArray[np.bool_] | None = None  # (n,): which are then read on the other strand
    letters: NDArray[np.uint8] | None = None  # (n, L): `augment.draw_letters`'s


@dataclass(frozen=True, kw_only=True, slots=True)
class Visits:
    """S mini-batches of one network, end to end: of `batch` sequences, but the last may be shorter.

    All but the rates are of n sequences, (S - 1) * batch < n <= S * batch.

    Examples
    --------
    >>> visits = Visits(batch=2, rates=np.array([0.1, 0.2]), rows=np.array([4, 2, 3]))
    >>> [(visit.rows.tolist(), visit.rate) for visit in visits]
    [([4, 2], 0.1), ([3], 0.2)]
    """

    batch: int
    rates: NDArray[np.float64]  # (S,)
    rows: NDArray[np.int64]  # and the others as in `Visit`
    mask: NDArray[np.float32] | None = None
    moves: NDArray[np.int64] | None = None
    turned: NDArray[np.bool_] | None = None
    letters: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        """Count the mini-batches."""
        return len(self.rates)

    def __iter__(self) -> Iterator[Visit]:
        """Give one after the other."""
        names = ("rows", "mask", "moves", "turned", "letters")
        arrays = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        for step, rate in enumerate(self.rates.tolist()):
            some = slice(step * self.batch, (step + 1) * self.batch)
            yield Visit(rate=rate, **{name: array[some] for name, array in arrays.items()})


@dataclass(frozen=True, kw_only=True, slots=True)
class Steps:
    """T mini-batches of R networks, each of up to B sequences; 0 where filled up."""

    rows: NDArray[np.int64]  # (T, R, B)
    shares: NDArray[np.float32]  # (T, R, B): of each sequence in the mean loss
    rates: NDArray[np.float64]  # (T, R)
    kept: NDArray[np.bool_]  # (T, R, B, units); no units where there is no dropout
    moves: NDArray[np.int32]  # (T, R, B)
    turned: NDArray[np.bool_]  # (T, R, B)
    letters: NDArray[np.uint8]  # (T, R, B, L); no letters where none change

    def __len__(self) -> int:
        """Count the steps."""
        return len(self.rows)


def side_by_side(
    visits: Sequence[Visits | None], *, batch: int, units: int, length: int = 0
) -> Steps:
    """Lay out the mini-batches of each network, of up to `batch` sequences; fill up the shorter.

    Examples
    --------
    >>> visits = Visits(batch=2, rates=np.array([0.1, 0.1]), rows=np.array([4, 2, 3]))
    >>> steps = side_by_side([visits, None], batch=2, units=0)
    >>> steps.rows.tolist()
    [[[4, 2], [0, 0]], [[3, 0], [0, 0]]]
    >>> steps.shares.tolist()
    [[[0.5, 0.5], [0.0, 0.0]], [[1.0, 0.0], [0.0, 0.0]]]
    """
    size = max(len(each) for each in visits if each is not None), len(visits)
    steps = Steps(
        rows=np.zeros((*size, batch), np.int64),
        shares=np.zeros((*size, batch), np.float32),
        rates=np.zeros(size),
        kept=np.zeros((*size, batch, units), np.bool_),
        moves=np.zeros((*size, batch), np.int32),
        turned=np.zeros((*size, batch), np.bool_),
        letters=np.zeros((*size, batch, length), np.uint8),
    )
    for restart, each in enumerate(visits):
        if each is None:
            continue
        steps.rates[: len(each), restart] = each.rates
        sizes = np.full(len(each), each.batch)
        sizes[-1] += len(each.rows) - sizes.sum()
        _fill(steps.shares[:, restart], np.repeat(1 / sizes, sizes), each.batch)
        _fill(steps.rows[:, restart], each.rows, each.batch)
        if each.mask is not None:
            _fill(steps.kept[:, restart], each.mask > 0, each.batch)
        if each.moves is not None:
            _fill(steps.moves[:, restart], each.moves, each.batch)
        if each.turned is not None:
            _fill(steps.turned[:, restart], each.turned, each.batch)
        if each.letters is not None:
            _fill(steps.letters[:, restart], each.letters, each.batch)
    return steps


def _fill(room: NDArray[Any], array: NDArray[Any], batch: int) -> None:
    """Put sequences end to end (n, ...) into mini-batches (T, B, ...), `batch` into each."""
    whole = len(array) // batch
    room[:whole, :batch] = array[: whole * batch].reshape(whole, batch, *array.shape[1:])
    rest = array[whole * batch :]
    if len(rest):
        room[whole, : len(rest)] = rest
