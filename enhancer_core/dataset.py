"""Labelled sequences, split into train, validation and test before anything else is done.

Records that must not be told apart stay in one part: identical sequences and reverse complements,
records of one name (a k-shuffle keeps its parent's name), and windows that overlap, where names
give coordinates. Where groups are given (chromosomes, a table), whole groups stay together instead,
and `without_shared_sequences` keeps identical sequences out of two groups.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from enhancer_core.dna import Codes, reverse_complement
from enhancer_core.errors import DatasetError
from enhancer_core.io.fasta import read_sequences
from enhancer_core.io.tables import read_table

PARTS = ("train", "validation", "test")
CLASSES = ("negative", "positive")  # as a split table spells them: CLASSES[label]
TRAIN, VALIDATION, TEST = range(3)
FRACTIONS = (0.8, 0.1, 0.1)  # Cohn et al. 2018, section 3.1.2

# chrom:start-end, or what `bedtools getfasta` makes of it with -name (name::) and -s (the strand)
_COORDINATES = re.compile(r"(?:.*::)?(?P<chrom>.+):(?P<start>\d+)-(?P<end>\d+)(?:\([-+.]\))?")


@dataclass(frozen=True, slots=True)
class Dataset:
    """n labelled sequences of one length.

    `codes` uint8 (n, L); `labels` bool (n,), True for positives; `names` and `files` str (n,).
    """

    codes: Codes
    labels: NDArray[np.bool_]
    names: NDArray[np.str_]
    files: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Dataset:
        """Select rows by index or mask."""
        return Dataset(self.codes[rows], self.labels[rows], self.names[rows], self.files[rows])


@dataclass(frozen=True, slots=True)
class SplitDataset:
    """A data set and the part of each record: `parts` int64 (n,), 0 train, 1 validation, 2 test."""

    dataset: Dataset
    parts: NDArray[np.int64]

    @property
    def train(self) -> Dataset:
        """What models learn from."""
        return self.dataset.take(self.parts == TRAIN)

    @property
    def validation(self) -> Dataset:
        """What models are chosen on."""
        return self.dataset.take(self.parts == VALIDATION)

    @property
    def test(self) -> Dataset:
        """What models are reported on, once."""
        return self.dataset.take(self.parts == TEST)


def read_dataset(positives: Sequence[Path], negatives: Sequence[Path]) -> Dataset:
    """Read FASTA files of positives and negatives, all of one length.

    Parameters
    ----------
    positives, negatives
        At least one file each; `file_names` says how a record's file is called.

    Raises
    ------
    DatasetError
        If a file is given twice or is a pipe, or lengths differ between files.
    FileError, SequenceError
        If a file is not FASTA of one length.
    """
    given: dict[Path, str] = {}
    for kind, paths in (("positives", positives), ("negatives", negatives)):
        for path in paths:
            if path.is_fifo() or path.is_char_device():
                raise DatasetError(
                    f"{path}: not a regular file; it is read twice, for its checksum too, so save"
                    " it first"
                )
            if path.resolve() in given:
                raise DatasetError(
                    f"{path}: given as {kind} and already as {given[path.resolve()]}; each file"
                    " is given once"
                )
            given[path.resolve()] = kind
    read = {path: read_sequences(path) for path in (*positives, *negatives)}
    names = file_names([*positives, *negatives])
    return make_dataset(
        [(names[path], read[path].names, read[path].codes) for path in positives],
        [(names[path], read[path].names, read[path].codes) for path in negatives],
    )


def file_names(paths: Sequence[Path]) -> dict[Path, str]:
    """Name files by their base names, or as they were given where two share one.

    Examples
    --------
    >>> list(file_names([Path("human/p.fa"), Path("mouse/p.fa"), Path("mouse/n.fa")]).values())
    ['human/p.fa', 'mouse/p.fa', 'n.fa']
    """
    base_names = [path.name for path in paths]
    return {path: path.name if base_names.count(path.name) == 1 else str(path) for path in paths}


def make_dataset(
    positives: Sequence[tuple[str, Sequence[str], Codes]],
    negatives: Sequence[tuple[str, Sequence[str], Codes]],
) -> Dataset:
    """Put positives and negatives together.

    Parameters
    ----------
    positives, negatives
        One (file, names, codes uint8 (n, L)) a file.

    Returns
    -------
    Dataset
        Positives first, in the order given.

    Raises
    ------
    DatasetError
        If a class is empty, or lengths differ between files.

    Examples
    --------
    >>> from enhancer_core.dna import encode
    >>> codes = encode(["ACGT"])
    >>> make_dataset([("p.fa", ["a"], codes)], [("n.fa", ["b"], codes)]).labels
    array([ True, False])
    """
    for sources, kind in ((positives, "positives"), (negatives, "negatives")):
        if not any(len(names) for _, names, _ in sources):
            raise DatasetError(f"no {kind}; both classes need at least one sequence")
    sources = [*positives, *negatives]
    lengths = {codes.shape[1]: file for file, _, codes in sources}
    if len(lengths) > 1:
        (first, one), (second, other) = list(lengths.items())[:2]
        raise DatasetError(
            f"{other} has sequences of {second} bp and {one} of {first} bp; allowed is one length"
        )
    counts = [len(names) for _, names, _ in sources]
    is_positive = [True] * len(positives) + [False] * len(negatives)
    return Dataset(
        codes=np.concatenate([codes for _, _, codes in sources]),
        labels=np.repeat(np.array(is_positive), counts),
        names=np.array([name for _, names, _ in sources for name in names], dtype=np.str_),
        files=np.repeat(np.array([file for file, _, _ in sources], dtype=np.str_), counts),
    )


def split(
    dataset: Dataset,
    *,
    rng: np.random.Generator,
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
        Draws the order.
    fractions
        Shares of train, validation and test; they add up to 1.

    Raises
    ------
    DatasetError
        If a part would hold no positive or no negative, or the shares are not allowed.
    """
    parts = split_strata(
        dataset.labels.astype(np.int64), linked_sets(dataset), rng=rng, fractions=fractions
    )
    _check_parts(dataset.labels, parts, f"{len(dataset)} sequences")
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
    those of one size in random order, each to the fold that keeps the folds' shares of both
    classes most alike; sets of one record split each class as evenly as can be. A fold is the test
    part of one split; a tenth of all records, drawn from the others as `split` draws, is its
    validation part, and the rest is for training.

    Parameters
    ----------
    dataset
        n records.
    folds
        How many splits, 2 or more.
    rng
        Draws the order.
    groups
        Shape (n,): groups that stay together instead; None keeps linked records together.

    Raises
    ------
    DatasetError
        If there are too few folds, or a part would hold no positive or no negative.

    Examples
    --------
    >>> codes = np.random.default_rng(0).integers(0, 4, (40, 20), dtype=np.uint8)
    >>> names = [str(i) for i in range(40)]
    >>> data = make_dataset([("p.fa", names[:20], codes[:20])], [("n.fa", names[20:], codes[20:])])
    >>> splits = split_folds(data, folds=5, rng=np.random.default_rng(0))
    >>> [len(each.test) for each in splits], len(splits[0].validation), len(splits[0].train)
    ([8, 8, 8, 8, 8], 4, 28)
    """
    if folds < 2:
        raise DatasetError(f"folds of {folds} is not allowed; at least 2")
    labels = dataset.labels
    sets = linked_sets(dataset) if groups is None else np.unique(groups, return_inverse=True)[1]
    fold_of = _deal(labels, sets, folds=folds, rng=rng)
    splits = []
    for fold in range(folds):
        parts = np.full(len(dataset), TEST)
        rest = fold_of != fold
        share = FRACTIONS[VALIDATION] * len(dataset) / max(rest.sum(), 1)
        parts[rest] = split_strata(
            labels[rest].astype(np.int64),
            np.unique(sets[rest], return_inverse=True)[1],
            rng=rng,
            fractions=(1 - share, share, 0.0),
        )
        _check_parts(labels, parts, f"{folds} folds of {len(dataset)} sequences")
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
    dataset
        n records without sequences that two groups share (see `without_shared_sequences`).
    groups
        Group of each record, shape (n,).
    rng
        Draws the groups that are not named.
    test, validation
        Groups for these parts; where given, the other groups do not enter that part.
    fractions
        Shares of train, validation and test.

    Raises
    ------
    DatasetError
        If a named group does not exist or is named twice, a part would lack a class, or the shares
        are not allowed.
    """
    known = set(groups.tolist())
    for name in (*test, *validation):
        if name not in known:
            some = ", ".join(sorted(known)[:5]) + ", ..." * (len(known) > 5)
            raise DatasetError(f"group '{name}' is not in the data; groups are {some}")
    if both := set(test) & set(validation):
        raise DatasetError(f"group '{min(both)}' is named for both test and validation")
    parts = np.full(len(dataset), TRAIN)
    parts[np.isin(groups, list(test))] = TEST
    parts[np.isin(groups, list(validation))] = VALIDATION
    free = parts == TRAIN
    rest = sum(
        f for f, named in zip(fractions, (False, validation, test), strict=True) if not named
    )
    shares = (
        fractions[0] / rest,
        0.0 if validation else fractions[1] / rest,
        0.0 if test else fractions[2] / rest,
    )
    _, ids = np.unique(groups[free], return_inverse=True)
    strata = dataset.labels[free].astype(np.int64)
    parts[free] = split_strata(strata, ids, rng=rng, fractions=shares)
    _check_parts(dataset.labels, parts, f"{len(known)} groups")
    return SplitDataset(dataset, parts)


def read_split(path: Path, dataset: Dataset) -> SplitDataset:
    """Split as an earlier run did, from its split.tsv: by record name.

    A shuffle, which has its parent's name, goes where its parent goes, in a table of parents too.

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
        for what, value, allowed in (("part", part, PARTS), ("label", label, CLASSES)):
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


def read_groups(path: Path, dataset: Dataset) -> NDArray[np.str_]:
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
    """Split by record name, given each name's part: train, validation or test.

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
    parts = np.array([PARTS.index(part_of_name[name]) for name in dataset.names.tolist()])
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
    _check_parts(dataset.labels, parts, "the rows of the split table")
    return SplitDataset(dataset, parts)


def without_shared_sequences(dataset: Dataset, groups: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Mark the records to keep so that no sequence, on either strand, is in two groups.

    Returns
    -------
    bool, shape (n,)
        False for a record whose sequence stands earlier in another group.
    """
    sets = sequence_sets(dataset.codes)
    _, first = np.unique(sets, return_index=True)
    kept: NDArray[np.bool_] = groups == groups[first[sets]]
    return kept


def chromosome_groups(names: NDArray[np.str_]) -> NDArray[np.str_]:
    """Take each record's chromosome from its name, `chrom:start-end`.

    What `bedtools getfasta` adds with `-name` and `-s` may stand around it.

    Raises
    ------
    DatasetError
        If a name is not of that form.

    Examples
    --------
    >>> chromosome_groups(np.array(["chr2:100-600"])).tolist()
    ['chr2']
    """
    matches = [_COORDINATES.fullmatch(name) for name in names.tolist()]
    for name, match in zip(names.tolist(), matches, strict=True):
        if match is None:
            raise DatasetError(
                f"record '{name}' does not name its chromosome; 'chrom:start-end' is needed"
            )
    return np.array([match["chrom"] for match in matches if match], dtype=np.str_)


def sequence_sets(codes: Codes) -> NDArray[np.int64]:
    """Give each distinct sequence a number, which its reverse complement shares.

    Returns
    -------
    int64, shape (n,)
        Set of each row, from 0.

    Examples
    --------
    >>> from enhancer_core.dna import encode
    >>> sequence_sets(encode(["AACG", "CGTT", "AAAA"])).tolist()
    [0, 0, 1]
    """
    # Digests of 128 bits stand for the sequences, which would fill memory a second time.
    return _number(
        blake2b(min(row.tobytes(), other.tobytes()), digest_size=16).digest()
        for row, other in zip(codes, reverse_complement(codes), strict=True)
    )


def linked_sets(dataset: Dataset) -> NDArray[np.int64]:
    """Give each set of records that must share a part a number.

    Returns
    -------
    int64, shape (n,)
        Set of each record, from 0.

    Examples
    --------
    >>> from enhancer_core.dna import encode
    >>> rows = encode(["AAAA", "CCCC", "ACAC"])
    >>> names = ["chr1:10-14", "chr1:13-17", "chr1:17-21"]  # the first two share a base
    >>> linked_sets(make_dataset([("p.fa", names, rows)], [("n.fa", ["other"], rows[2:])])).tolist()
    [0, 0, 1, 1]
    """
    n = len(dataset)
    keys = [sequence_sets(dataset.codes), _number(dataset.names.tolist())]
    rows = [np.arange(n)] * len(keys)
    links = [key + offset for key, offset in zip(keys, (n, 2 * n), strict=True)]
    one, other = _overlapping(dataset.names)
    left, right = np.concatenate([*rows, one]), np.concatenate([*links, other])
    graph = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(3 * n, 3 * n))
    components = connected_components(graph, directed=False)[1][:n]
    return np.unique(components, return_inverse=True)[1].astype(np.int64)


def _overlapping(names: NDArray[np.str_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pair the rows whose coordinates overlap: neighbours in order of start are enough."""
    placed = [
        (match["chrom"], int(match["start"]), int(match["end"]), row)
        for row, name in enumerate(names.tolist())
        if (match := _COORDINATES.fullmatch(name))
    ]
    pairs, reach = [], ("", 0, -1)
    for chrom, start, end, row in sorted(placed):
        if chrom == reach[0] and start < reach[1]:
            pairs.append((reach[2], row))
        if chrom != reach[0] or end > reach[1]:
            reach = (chrom, end, row)
    left, right = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return left, right


def _number(keys: Iterable[object]) -> NDArray[np.int64]:
    ids: dict[object, int] = {}
    return np.array([ids.setdefault(key, len(ids)) for key in keys], dtype=np.int64)


def _deal(
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


def _check_parts(labels: NDArray[np.bool_], parts: NDArray[np.int64], what: str) -> None:
    for part, name in enumerate(PARTS):
        for label, kind in ((True, "positive"), (False, "negative")):
            if not ((parts == part) & (labels == label)).any():
                raise DatasetError(
                    f"{what} leave the {name} part without a {kind}; each part needs both classes"
                )
