"""Find what flatters or spoils a data set: sequences of both classes, unequal padding."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from enhancer_core.data.dataset import Dataset
from enhancer_core.data.groups import placed, sequence_sets
from enhancer_core.dna.codes import N_CODE, reverse_complement
from enhancer_core.metrics import roc_auc

Placed: TypeAlias = tuple[str, int, int, int]  # chromosome, start, end, row

_LEAST = 8  # bp: fewer are equal in shuffles too
_LEAST_DISTANCE = 0.05  # of an AUC from 0.5
_ALIKE = 0.9  # of the bases in an overlap: the genomes of two individuals differ in a few


def describe_conflicts(dataset: Dataset) -> str:
    """Return a line on the sequences that are in both classes; '' if there are none.

    A negative conflicts if its sequence is a positive's, on either strand, or if it overlaps a
    positive by its name, `chrom:start-end`. Not if it is a shuffle: one of a positive's name with
    the same count of each base. Where the bases in an overlap differ, this is said, since genomes
    may share the names of chromosomes.
    """
    labels, names, files = dataset.labels, dataset.names, dataset.files

    def example(one: int, other: int) -> str:
        return f" (as '{names[one]}' of {files[one]} and '{names[other]}' of {files[other]})"

    parts = []
    sets = sequence_sets(dataset.codes)
    both = np.intersect1d(sets[labels], sets[~labels])
    equal = np.isin(sets, both)
    if both.size:
        one, other = (int(np.flatnonzero((sets == both[0]) & (labels == k))[0]) for k in (1, 0))
        parts.append(
            f"{int((equal & labels).sum()):,} positives and {int((equal & ~labels).sum()):,}"
            f" negatives are the same sequences, on either strand{example(one, other)}"
        )
    overlaps = _overlaps(dataset, ~equal & ~_shuffles(dataset))
    for kind, which in (
        ("overlap positives", [pair for pair in overlaps if pair[2]]),
        (
            "overlap positives by their names, but have other bases there: of another genome?",
            [pair for pair in overlaps if not pair[2]],
        ),
    ):
        if which:
            parts.append(f"{len(which):,} negatives {kind}{example(which[0][0], which[0][1])}")
    return f"both positive and negative: {'; '.join(parts)}" if parts else ""


def describe_padding(dataset: Dataset) -> str:
    """Return a line if the count of N tells the classes apart, as padding may; else ''.

    Sequences of one class that are shorter on average, and so padded more, are told by that alone.
    """
    labels = dataset.labels
    unknown = (dataset.codes == N_CODE).sum(axis=1)
    distance = abs(roc_auc(labels, unknown.astype(np.float64)) - 0.5)
    deviation = math.sqrt((1 / labels.sum() + 1 / (~labels).sum()) / 12)  # of unrelated scores
    if distance <= max(_LEAST_DISTANCE, 3 * deviation):
        return ""
    shares = unknown / dataset.codes.shape[1]
    return (
        "padding alone tells positives from negatives with an AUC of"
        f" {0.5 + distance:.2f} ({shares[labels].mean():.0%} and {shares[~labels].mean():.0%} of"
        " their letters are N), which flatters all figures; a smaller --length pads less"
    )


def _shuffles(dataset: Dataset) -> NDArray[np.bool_]:
    """Return which negatives have the name of a positive and its count of each base."""
    rows: dict[str, list[int]] = {}
    for row in np.flatnonzero(dataset.labels).tolist():
        rows.setdefault(str(dataset.names[row]), []).append(row)
    counts = np.stack([(dataset.codes == base).sum(axis=1) for base in range(N_CODE + 1)], axis=1)
    bases = list(map(tuple, counts.tolist()))
    found = np.zeros(len(dataset), np.bool_)
    for row in np.flatnonzero(~dataset.labels).tolist():
        parents = rows.get(str(dataset.names[row]), [])
        found[row] = any(bases[row] == bases[parent] for parent in parents)
    return found


def _overlaps(dataset: Dataset, candidates: NDArray[np.bool_]) -> list[tuple[int, int, bool]]:
    """Pair negatives with positives that they overlap: (positive, negative, same bases there).

    Each negative that is a candidate comes once, with a positive of the same bases if there is one.
    """
    found: dict[int, tuple[int, int, bool]] = {}
    before: dict[bool, list[Placed]] = {True: [], False: []}  # by class, on this chromosome
    last = ""
    for here in sorted(placed(dataset.names)):
        chrom, start, _, row = here
        positive = bool(dataset.labels[row])
        if not positive and not candidates[row]:
            continue
        if chrom != last:
            last, before = chrom, {True: [], False: []}
        before = {kind: [one for one in spans if one[2] > start] for kind, spans in before.items()}
        for there in before[not positive]:
            one, other = (row, there[3]) if positive else (there[3], row)
            if other not in found or not found[other][2]:
                same = _same_bases(dataset, here, there)
                if same is not None and (same or other not in found):
                    found[other] = (one, other, same)
        before[positive].append(here)
    return [found[row] for row in sorted(found)]


def _same_bases(dataset: Dataset, here: Placed, there: Placed) -> bool | None:
    """Return whether windows have the same bases in their overlap; None if it is too short."""
    start, end = max(here[1], there[1]), min(here[2], there[2])
    if end - start < _LEAST:
        return None
    pieces = []
    for _, first, stop, row in (here, there):
        codes = dataset.codes[row]
        if len(codes) != stop - first:
            return True  # the name alone can tell
        if str(dataset.names[row]).endswith("(-)"):
            codes = reverse_complement(codes)
        pieces.append(codes[start - first : end - first])
    return bool((pieces[0] == pieces[1]).mean() >= _ALIKE)
