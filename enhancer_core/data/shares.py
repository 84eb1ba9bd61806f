"""Sets of records shared out: to parts, or to folds."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from enhancer_core.data.dataset import CLASSES, PARTS, TEST, TRAIN, VALIDATION
from enhancer_core.errors import DatasetError

FRACTIONS = (0.8, 0.1, 0.1)  # Cohn et al. 2018, section 3.1.2


def split_strata(
    strata: NDArray[np.int64],
    sets: NDArray[np.int64],
    *,
    rng: np.random.Generator,
    fractions: tuple[float, float, float] = FRACTIONS,
) -> NDArray[np.int64]:
    """Share sets of records out to the parts, in the same proportions of each stratum.

    Parameters
    ----------
    strata
        int64, shape (n,): what a record is, from 0: its class, or its species and class.
    sets
        int64, shape (n,): the records of one number, from 0, stay together.
    rng, fractions
        As `split`.

    Returns
    -------
    int64, shape (n,)
        The part of each record: 0 train, 1 validation, 2 test.

    Raises
    ------
    DatasetError
        If the shares are not allowed.

    Examples
    --------
    >>> strata, sets = np.repeat([0, 1], 10), np.arange(20)
    >>> parts = split_strata(strata, sets, rng=np.random.default_rng(0))
    >>> np.bincount(parts[:10]).tolist(), np.bincount(parts[10:]).tolist()
    ([8, 1, 1], [8, 1, 1])
    """
    if min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-9:
        raise DatasetError(f"shares of {fractions}; allowed are three of 0 to 1 that add up to 1")
    kinds = int(strata.max(initial=0)) + 1
    sizes = _sizes(strata, sets, kinds=kinds)
    shares = {part: np.rint(sizes.sum(axis=0) * fractions[part]) for part in (TEST, VALIDATION)}
    rooms = {part: share.copy() for part, share in shares.items()}
    part_of_set = np.full(len(sizes), TRAIN)
    order = rng.permutation(len(sizes))
    for index in order:
        size = sizes[index]
        for part, room in rooms.items():
            if ((size < 2 * room) | (size == 0)).all():
                room -= size
                part_of_set[index] = part
                break
        if not any((room > 0).any() for room in rooms.values()):
            break
    for part, kind in product(rooms, range(kinds)):
        if shares[part][kind] and not sizes[part_of_set == part, kind].any():
            left = order[(part_of_set[order] == TRAIN) & (sizes[order, kind] > 0)]
            if left.size:
                part_of_set[left[sizes[left].sum(axis=1).argmin()]] = part
    return part_of_set[sets]


def deal(
    labels: NDArray[np.bool_], sets: NDArray[np.int64], *, folds: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Give each record a fold: the sum of the folds' squared shares of each class grows least."""
    sizes = _sizes(labels.astype(np.int64), sets, kinds=len(CLASSES))
    weights = 1 / np.maximum(sizes.sum(axis=0), 1.0) ** 2
    counts = np.zeros((folds, len(CLASSES)))
    fold_of_set = np.zeros(len(sizes), np.int64)
    order = rng.permutation(len(sizes))
    for index in order[np.argsort(-sizes[order].sum(axis=1), kind="stable")]:
        fold = (counts @ (weights * sizes[index])).argmin()
        counts[fold] += sizes[index]
        fold_of_set[index] = fold
    return fold_of_set[sets]


def _sizes(strata: NDArray[np.int64], sets: NDArray[np.int64], *, kinds: int) -> NDArray[np.int64]:
    """Count each set's records of each kind: int64 (sets, kinds)."""
    n_sets = int(sets.max(initial=-1)) + 1
    return np.stack(
        [np.bincount(sets[strata == kind], minlength=n_sets) for kind in range(kinds)], axis=1
    )


def check_parts(labels: NDArray[np.bool_], parts: NDArray[np.int64], what: str) -> None:
    """Raise unless each part has both classes; `what` begins the message.

    Raises
    ------
    DatasetError
        If one lacks a class.
    """
    for part, name in enumerate(PARTS):
        for label, kind in ((True, "positive"), (False, "negative")):
            if not ((parts == part) & (labels == label)).any():
                raise DatasetError(
                    f"{what} leave the {name} part without a {kind}; each part needs both classes"
                )
