"""Groups of records that must share a part: identical, of one name, or overlapping."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from enhancer_core.data.dataset import PARTS, Dataset
from enhancer_core.dna.codes import Codes, reverse_complement
from enhancer_core.errors import DatasetError

# chrom:start-end, or what `bedtools getfasta` makes of it with -name (name::) and -s (the strand)
_COORDINATES = re.compile(r"(?:.*::)?(?P<chrom>.+):(?P<start>\d+)-(?P<end>\d+)(?:\([-+.]\))?")


def linked_sets(dataset: Dataset) -> NDArray[np.int64]:
    """Find the sets of records that must share a part: int64 (n,), the set of each, from 0."""
    n = len(dataset)
    sequences, names = sequence_sets(dataset.codes), _number(dataset.names.tolist())
    one, other = _overlapping(dataset.names)
    left = np.concatenate([np.tile(np.arange(n), 2), one])
    right = np.concatenate([n + sequences, 2 * n + names, other])
    return connected_sets(3 * n, left, right)[:n]


def connected_sets(n: int, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find the connected components of n nodes, int64 (n,), from 0 in order of appearance.

    Edge i connects nodes left[i] and right[i].
    """
    graph = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(n, n))
    components: NDArray[np.int64] = connected_components(graph, directed=False)[1].astype(np.int64)
    return components


def sequence_sets(codes: Codes) -> NDArray[np.int64]:
    """Find the sets of equal sequences: int64 (n,), the set of each, from 0 in order of appearance.

    Reverse complements count as equal.
    """
    # Digests of 128 bits stand for the sequences, which would fill memory a second time.
    return _number(
        blake2b(min(row.tobytes(), other.tobytes()), digest_size=16).digest()
        for row, other in zip(codes, reverse_complement(codes), strict=True)
    )


def without_shared_sequences(dataset: Dataset, groups: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Return which records to keep so that no sequence, on either strand, is in two groups.

    It is bool (n,): False for a record whose sequence stands earlier in another group, and for all
    records of its name, its shuffles.
    """
    sets = sequence_sets(dataset.codes)
    _, first = np.unique(sets, return_index=True)
    repeated = groups != groups[first[sets]]
    return ~np.isin(dataset.names, dataset.names[repeated])


def chromosome_groups(names: NDArray[np.str_]) -> NDArray[np.str_]:
    """Return each record's chromosome, from its name `chrom:start-end`.

    What `bedtools getfasta` adds with `-name` and `-s` may stand around it.

    Raises
    ------
    DatasetError
        If a name is not of that form.
    """
    matches = [_COORDINATES.fullmatch(name) for name in names.tolist()]
    for name, match in zip(names.tolist(), matches, strict=True):
        if match is None:
            raise DatasetError(
                f"record '{name}' does not name its chromosome; 'chrom:start-end' is needed"
            )
    return np.array([match["chrom"] for match in matches if match], dtype=np.str_)


def torn_overlaps(names: NDArray[np.str_], parts: NDArray[np.int64]) -> int:
    """Count the records that overlap one of another part, where names give coordinates."""
    found = placed(names)
    if not found:
        return 0
    chroms, starts, ends, rows = (np.array(column) for column in zip(*found, strict=True))
    # Ranks of positions, so that chromosomes can be laid end to end, however long they are.
    _, ranks = np.unique(np.concatenate([starts, ends]), return_inverse=True)
    first = np.unique(chroms, return_inverse=True)[1] * len(ranks)
    starts, ends = first + ranks[: len(rows)], first + ranks[len(rows) :]
    torn = 0
    for part in range(len(PARTS)):
        mine = parts[rows] == part
        # What begins before an interval's end, less what is over at its start, overlaps it.
        begun = np.searchsorted(np.sort(starts[~mine]), ends[mine], side="left")
        over = np.searchsorted(np.sort(ends[~mine]), starts[mine], side="right")
        torn += int((begun > over).sum())
    return torn


def placed(names: NDArray[np.str_]) -> list[tuple[str, int, int, int]]:
    """Read (chrom, start, end, row) of the names that say where their records lie."""
    return [
        (match["chrom"], start, end, row)
        for row, name in enumerate(names.tolist())
        if (match := _COORDINATES.fullmatch(name))
        and (start := int(match["start"])) < (end := int(match["end"]))
    ]


def _overlapping(names: NDArray[np.str_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pair the rows whose coordinates overlap: neighbours in order of start are enough."""
    pairs, reach = [], ("", 0, -1)
    for chrom, start, end, row in sorted(placed(names)):
        if chrom == reach[0] and start < reach[1]:
            pairs.append((reach[2], row))
        if chrom != reach[0] or end > reach[1]:
            reach = (chrom, end, row)
    left, right = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return left, right


def _number(keys: Iterable[object]) -> NDArray[np.int64]:
    ids: dict[object, int] = {}
    return np.array([ids.setdefault(key, len(ids)) for key in keys], dtype=np.int64)
