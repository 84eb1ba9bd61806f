"""Data sets split at random, in folds, or by groups."""

from __future__ import annotations

from collections.abc import Collection
from itertools import product
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from enhancer_core.data.dataset import (
    CLASSES,
    PARTS,
    TEST,
    TRAIN,
    VALIDATION,
    Dataset,
    SplitDataset,
)
from enhancer_core.data.groups import linked_sets
from enhancer_core.errors import DatasetError

Strata: TypeAlias = NDArray[np.int64] | NDArray[np.bool_]  # (n,): what a record is, from 0
FRACTIONS = (0.8, 0.1, 0.1)  # Cohn et al. 2018, section 3.1.2


def split(
    dataset: Dataset,
    *,
    rng: np.random.Generator | int = 0,
    fractions: tuple[float, float, float] = FRACTIONS,
) -> SplitDataset:
    """Split by linked records: identical sequences, shared names, overlapping windows.

    The linked sets are drawn in random order. The test part takes a set if that brings it nearer to
    its share of each class in the set; else the validation part, likewise; else it is for training.
    A part that would get none of a class takes the smallest set that has some. Sets of one record
    split each class exactly.

    Parameters
    ----------
    dataset
        n records.
    rng
        Generator that draws the order, or the seed of one.
    fractions
        Shares of train, validation and test; they add up to 1.

    Returns
    -------
    SplitDataset
        The data set, and the part of each record.

    Raises
    ------
    DatasetError
        If a part would hold no positive or no negative, or the shares are not allowed.
    """
    rng = np.random.default_rng(rng)
    parts = split_strata(dataset.labels, linked_sets(dataset), rng=rng, fractions=fractions)
    check_parts(dataset.labels, parts, f"{len(dataset)} sequences")
    return SplitDataset(dataset, parts)


def split_folds(
    dataset: Dataset,
    *,
    folds: int,
    rng: np.random.Generator,
    groups: NDArray[np.str_] | None = None,
) -> list[SplitDataset]:
    """Split for cross-validation: every record is tested once, in one of several splits.

    Linked records (see `split`) stay together. Their sets are dealt out, the largest first and
    those of one size in random order, each to the fold that keeps the folds' shares of both classes
    most alike; sets of one record split each class as evenly as can be. A fold is the test part of
    one split; a tenth of all records, drawn from the others as `split` draws, is its validation
    part, and the rest is for training.

    Parameters
    ----------
    dataset, rng
        As in `split`.
    folds
        How many splits, 2 or more.
    groups
        Shape (n,): groups that stay together instead; None keeps linked records together.

    Raises
    ------
    DatasetError
        If there are too few folds, or a part would hold no positive or no negative.
    """
    if folds < 2:
        raise DatasetError(f"folds of {folds} is not allowed; at least 2")
    labels = dataset.labels
    sets = linked_sets(dataset) if groups is None else np.unique(groups, return_inverse=True)[1]
    fold_of = deal(labels, sets, folds=folds, rng=rng)
    splits = []
    for fold in range(folds):
        parts = np.full(len(dataset), TEST)
        rest = fold_of != fold
        share = FRACTIONS[VALIDATION] * len(dataset) / max(rest.sum(), 1)
        fractions = (1 - share, share, 0.0)
        ids = np.unique(sets[rest], return_inverse=True)[1]
        parts[rest] = split_strata(labels[rest], ids, rng=rng, fractions=fractions)
        check_parts(labels, parts, f"{folds} folds of {len(dataset)} sequences")
        splits.append(SplitDataset(dataset, parts))
    return splits


def split_by_group(
    dataset: Dataset,
    groups: NDArray[np.str_],
    *,
    rng: np.random.Generator,
    test: Collection[str] = (),
    validation: Collection[str] = (),
    fractions: tuple[float, float, float] = FRACTIONS,
) -> SplitDataset:
    """Split whole groups, drawn at random or named.

    Parameters
    ----------
    dataset, rng, fractions
        As in `split`, but without sequences that two groups share (see `without_shared_sequences`).
    groups
        Group of each record, shape (n,).
    test, validation
        Groups for these parts; where given, the other groups do not enter that part.

    Raises
    ------
    DatasetError
        If a named group does not exist or is named twice, a part would lack a class, or the shares
        are not allowed.
    """
    known = set(groups.tolist())
    for name in (*test, *validation):
        if name not in known:
            names = ", ".join(sorted(known)[:5]) + ", ..." * (len(known) > 5)
            raise DatasetError(f"group '{name}' is not in the data; groups are {names}")
    parts = part_of_groups(
        dataset.labels, groups, rng=rng, test=test, validation=validation, fractions=fractions
    )
    check_parts(dataset.labels, parts, f"{len(known)} groups")
    return SplitDataset(dataset, parts)


def part_of_groups(
    strata: Strata,
    groups: NDArray[np.str_],
    *,
    rng: np.random.Generator,
    test: Collection[str] = (),
    validation: Collection[str] = (),
    fractions: tuple[float, float, float] = FRACTIONS,
) -> NDArray[np.int64]:
    """Split whole groups as `split_by_group` does: int64 (n,), the part of each record.

    `strata` are as in `split_strata`.

    Raises
    ------
    DatasetError
        If a group is named twice, or the shares are not allowed.
    """
    if both := set(test) & set(validation):
        raise DatasetError(f"group '{min(both)}' is named for both test and validation")
    parts = np.full(len(groups), TRAIN)
    parts[np.isin(groups, list(test))] = TEST
    parts[np.isin(groups, list(validation))] = VALIDATION
    free = parts == TRAIN
    train, *others = fractions
    drawn = [0.0 if named else f for f, named in zip(others, (validation, test), strict=True)]
    rest = train + drawn[0] + drawn[1]
    fractions = (train / rest, drawn[0] / rest, drawn[1] / rest)
    ids = np.unique(groups[free], return_inverse=True)[1]
    parts[free] = split_strata(strata[free], ids, rng=rng, fractions=fractions)
    return parts


def split_strata(
    strata: Strata,
    sets: NDArray[np.int64],
    *,
    rng: np.random.Generator,
    fractions: tuple[float, float, float] = FRACTIONS,
) -> NDArray[np.int64]:
    """Split sets of records, in the same proportions of each stratum: int64 (n,), the part of each.

    A stratum is a class, or a species and class. The records of one set, int64 (n,), from 0, stay
    together. `rng` and `fractions` are as in `split`.

    Raises
    ------
    DatasetError
        If the shares are not allowed.
    """
    if min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-9:
        raise DatasetError(f"shares of {fractions}; allowed are three of 0 to 1 that add up to 1")
    kinds = int(strata.max(initial=0)) + 1
    sizes = _sizes(strata, sets, kinds=kinds)
    shares = {part: np.rint(sizes.sum(axis=0) * fractions[part]) for part in (TEST, VALIDATION)}
    missing = {part: share.copy() for part, share in shares.items()}
    part_of_set = np.full(len(sizes), TRAIN)
    order = rng.permutation(len(sizes))
    for index in order:
        size = sizes[index]
        for part, counts in missing.items():
            if ((size < 2 * counts) | (size == 0)).all():
                counts -= size
                part_of_set[index] = part
                break
        if not any((counts > 0).any() for counts in missing.values()):
            break
    for part, kind in product(missing, range(kinds)):
        if shares[part][kind] and not sizes[part_of_set == part, kind].any():
            left = order[(part_of_set[order] == TRAIN) & (sizes[order, kind] > 0)]
            if left.size:
                part_of_set[left[sizes[left].sum(axis=1).argmin()]] = part
    return part_of_set[sets]


def deal(
    labels: NDArray[np.bool_], sets: NDArray[np.int64], *, folds: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Deal records to folds so that the sum of squared class shares over folds grows least."""
    sizes = _sizes(labels, sets, kinds=len(CLASSES))
    weights = 1 / np.maximum(sizes.sum(axis=0), 1.0) ** 2
    counts = np.zeros((folds, len(CLASSES)))
    fold_of_set = np.zeros(len(sizes), np.int64)
    order = rng.permutation(len(sizes))
    for index in order[np.argsort(-sizes[order].sum(axis=1), kind="stable")]:
        fold = (counts @ (weights * sizes[index])).argmin()
        counts[fold] += sizes[index]
        fold_of_set[index] = fold
    return fold_of_set[sets]


def _sizes(strata: Strata, sets: NDArray[np.int64], *, kinds: int) -> NDArray[np.int64]:
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
