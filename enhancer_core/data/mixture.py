"""What models learn from: species pooled, negatives expanded, inside each part of a split.

Data are split before any of this. Each function here keeps a record's part and name, and a copy
or shuffle has its parent's, so that nothing made from a test sequence can be learned from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from enhancer_core.data.dataset import TEST, TRAIN, Dataset, SplitDataset
from enhancer_core.dna.codes import Codes
from enhancer_core.dna.shuffle import k_shuffle
from enhancer_core.errors import DatasetError


@dataclass(frozen=True, kw_only=True, slots=True)
class Mix:
    """The negatives of training; copies of the positives keep the classes balanced.

    The best of Cohn et al. 2018, section 2.4.4.1, is `background` 2 with `shuffles` 2, 3, 4.
    """

    background: int = 1  # copies of the background
    shuffles: tuple[int, ...] = ()  # k of each set of k-shuffles of the positives

    def __post_init__(self) -> None:
        if self.background < 0 or (not self.background and not self.shuffles):
            raise DatasetError(
                f"negatives of {self.background} copies of the background and"
                f" {len(self.shuffles)} sets of shuffles; at least one of the two is needed"
            )
        if len(set(self.shuffles)) != len(self.shuffles):
            raise DatasetError(f"shuffles at k of {self.shuffles}; each k is given once")

    @property
    def copies(self) -> int:
        """How often a positive stands in training: once for each set of negatives."""
        return self.background + len(self.shuffles)


def concatenate(sets: Sequence[SplitDataset]) -> SplitDataset:
    """Concatenate split data sets of one length, in the order given.

    Raises
    ------
    DatasetError
        If there is none, or lengths differ.
    """
    if not sets:
        raise DatasetError("no data sets to pool; at least one is needed")
    lengths = sorted({data.dataset.codes.shape[1] for data in sets})
    if len(lengths) > 1:
        raise DatasetError(
            f"sequences of {lengths[0]} and {lengths[1]} bp to pool; allowed is one length"
        )
    columns = (
        np.concatenate([getattr(data.dataset, column.name) for data in sets])
        for column in fields(Dataset)
    )
    return SplitDataset(Dataset(*columns), np.concatenate([data.parts for data in sets]))


def take(data: SplitDataset, rows: NDArray[np.int64] | NDArray[np.bool_]) -> SplitDataset:
    """Select rows by index or mask, their parts with them."""
    return SplitDataset(data.dataset.take(rows), data.parts[rows])


def subset(data: SplitDataset, *, share: float, rng: np.random.Generator) -> SplitDataset:
    """Keep a share of each class in training and validation; the test part stays whole.

    Each class of each part keeps one record at least.

    Raises
    ------
    DatasetError
        If the share is not allowed.
    """
    if not 0 < share <= 1:
        raise DatasetError(f"share of {share}; allowed is above 0, up to 1")
    chosen = data.parts == TEST
    for part in range(TEST):
        for label in (False, True):
            rows = np.flatnonzero((data.parts == part) & (data.dataset.labels == label))
            if len(rows):
                size = max(1, round(share * len(rows)))
                chosen[rng.choice(rows, size=size, replace=False)] = True
    return take(data, chosen)


def background_as_positives(data: SplitDataset) -> SplitDataset:
    """Return the background as positives, to tell from its shuffles (Cohn et al., Figure 5)."""
    background = take(data, ~data.dataset.labels)
    positives = replace(background.dataset, labels=np.ones(len(background.dataset), dtype=bool))
    return SplitDataset(positives, background.parts)


def mix_negatives(data: SplitDataset, mix: Mix, *, seed: int, threads: int = 1) -> SplitDataset:
    """Combine positives with a mix of negatives, in each part by itself.

    In training, the background is copied and each k gives one shuffle of every positive, while
    positives are copied to the same number. In validation and test each sequence stands once, with
    the background where the mix has any, else with one shuffle at each k: networks are chosen by
    the task that they are meant for. Background is left out where the mix has none. The shuffles at
    one k are the same whatever else the mix holds.

    Raises
    ------
    DatasetError
        If there are no positives, or no background that the mix asks for.
    SequenceError
        If a k is not allowed.
    """
    labels, learned = data.dataset.labels, data.parts == TRAIN
    positives, background = take(data, labels), take(data, ~labels)
    if not len(positives.dataset):
        raise DatasetError("no positives to learn from; at least one is needed")
    if mix.background and not len(background.dataset):
        raise DatasetError(f"no background, of which {mix.background} copies are asked for")
    pieces = [positives, *[take(data, labels & learned)] * (mix.copies - 1)]
    if mix.background:
        pieces += [background, *[take(data, ~labels & learned)] * (mix.background - 1)]
    parents = take(data, labels & learned) if mix.background else positives
    pieces += [shuffle_dataset(parents, k=k, seed=seed, threads=threads) for k in mix.shuffles]
    return concatenate(pieces)


def shuffle_dataset(data: SplitDataset, *, k: int, seed: int, threads: int = 1) -> SplitDataset:
    """Shuffle every record, to a negative of its parent's name and part in `k-shuffle of FILE`.

    A record's shuffle depends on the seed, k, and the records before it.

    Raises
    ------
    SequenceError
        If k is not allowed.
    """
    dataset = data.dataset
    codes = k_shuffle(dataset.codes, k=k, rng=np.random.default_rng((k, seed)), threads=threads)
    files = np.array([f"{k}-shuffle of {file}" for file in dataset.files.tolist()], dtype=np.str_)
    negatives = np.zeros(len(dataset), dtype=bool)
    return SplitDataset(Dataset(codes, negatives, dataset.names, files), data.parts)


def share_unchanged(parents: Codes, shuffles: Codes) -> float:
    """Return the share of shuffles that equal their parents; both are uint8 (n, L)."""
    return float((parents == shuffles).all(axis=1).mean()) if len(parents) else 0.0
