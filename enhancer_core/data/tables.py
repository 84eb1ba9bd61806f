"""Splits and groups that tables give, by the names of records."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from enhancer_core.data.dataset import CLASSES, LEFT_OUT, PARTS, Dataset, SplitDataset
from enhancer_core.data.groups import sequence_sets
from enhancer_core.data.splits import check_parts
from enhancer_core.errors import DatasetError
from enhancer_core.io.files import StrPath
from enhancer_core.io.tables import read_table, write_table

_PLACES = (*PARTS, LEFT_OUT)


def read_split(path: StrPath, dataset: Dataset) -> SplitDataset:
    """Split as an earlier run did, from its split.tsv: by record name.

    A shuffle, which has its parent's name, goes where its parent goes, in a table of parents too.
    What the table has as left out stays out, and so do its shuffles.

    Raises
    ------
    FileError
        If the table cannot be read.
    DatasetError
        If a row is not understood, a record is missing or of the other class, or identical
        sequences would be in two parts.
    """
    part_of_name: dict[str, str] = {}
    # By name, and by name and file: a sequence and its shuffle have one name, in two files.
    labels_of: dict[tuple[str, ...], set[str]] = {}
    for number, row in read_table(path, ["name", "label", "part"]):
        name, label, part = row["name"], row["label"], row["part"]
        for what, value, allowed in (("part", part, _PLACES), ("label", label, CLASSES)):
            if value not in allowed:
                raise DatasetError(
                    f"{path} line {number}: {what} '{value}' is not known; allowed are"
                    f" {', '.join(allowed)}"
                )
        if part_of_name.setdefault(name, part) != part:
            raise DatasetError(f"{path} line {number}: record '{name}' is in two parts")
        for key in ((name,), (name, row.get("file", ""))):
            labels_of.setdefault(key, set()).add(label)
    records = [
        (name, file, CLASSES[positive])
        for name, file, positive in zip(
            dataset.names.tolist(), dataset.files.tolist(), dataset.labels.tolist(), strict=True
        )
    ]
    given = {(name, label) for name, _, label in records}
    for name, file, label in records:
        known = labels_of.get((name,), {label})
        # Of a name given as both classes, one is the parent that the table has, one its shuffle.
        fitting = {label} if any((name, each) in given for each in known) else known
        if label not in labels_of.get((name, file), fitting):
            raise DatasetError(
                f"{path}: record '{name}' is given as {label} but was not one in this split; are"
                " positives and negatives swapped?"
            )
    try:
        return split_by_name(dataset, part_of_name)
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from error


def read_groups(path: StrPath, dataset: Dataset) -> NDArray[np.str_]:
    """Read each record's group from a table with the columns name and group.

    Raises
    ------
    FileError
        If the table cannot be read.
    DatasetError
        If a record is missing, or in two groups.
    """
    group_of: dict[str, str] = {}
    for number, row in read_table(path, ["name", "group"]):
        if group_of.setdefault(row["name"], row["group"]) != row["group"]:
            raise DatasetError(f"{path} line {number}: record '{row['name']}' is in two groups")
    for name in dataset.names.tolist():
        if name not in group_of:
            raise DatasetError(f"{path}: record '{name}' has no group in this table")
    return np.array([group_of[name] for name in dataset.names.tolist()], dtype=np.str_)


def split_by_name(dataset: Dataset, part_of_name: Mapping[str, str]) -> SplitDataset:
    """Split by record name, given each name's part: train, validation, test or left_out.

    Raises
    ------
    DatasetError
        If a name is missing from the table, or identical sequences would be in two parts.
    """
    missing = [name for name in dataset.names.tolist() if name not in part_of_name]
    if missing:
        raise DatasetError(
            f"{len(missing)} of {len(dataset)} records are not in the split table; the first is"
            f" '{missing[0]}'"
        )
    parts = np.array([_PLACES.index(part_of_name[name]) for name in dataset.names.tolist()])
    left_out, in_part = None, parts < len(PARTS)
    if not in_part.all():
        left_out, dataset = dataset.take(~in_part), dataset.take(in_part)
        parts = parts[in_part]
    sets = sequence_sets(dataset.codes)
    order = np.argsort(sets, kind="stable")
    same = sets[order][1:] == sets[order][:-1]
    torn = np.flatnonzero(same & (parts[order][1:] != parts[order][:-1]))
    if torn.size:
        one, other = order[torn[0]], order[torn[0] + 1]
        raise DatasetError(
            f"the split table puts '{dataset.names[one]}' in {PARTS[parts[one]]} and"
            f" '{dataset.names[other]}' in {PARTS[parts[other]]}, but their sequences are identical"
        )
    check_parts(dataset.labels, parts, "the rows of the split table")
    return SplitDataset(dataset, parts, left_out)


def write_split(path: StrPath, data: SplitDataset) -> None:
    """Write the part of each record as a table, which `read_split` reads.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    named = [(data.dataset, [PARTS[part] for part in data.parts.tolist()])]
    if data.left_out is not None:
        named.append((data.left_out, [LEFT_OUT] * len(data.left_out)))
    rows = (
        (name, CLASSES[int(label)], file, part)
        for dataset, parts in named
        for name, label, file, part in zip(
            dataset.names, dataset.labels, dataset.files, parts, strict=True
        )
    )
    write_table(path, ["name", "label", "file", "part"], rows)
