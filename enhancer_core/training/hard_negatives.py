"""Hard negatives: windows off the peaks that a trained model takes for peaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from enhancer_core.data.dataset import TRAIN, SplitDataset
from enhancer_core.data.sampler import GenomeSampler, Places
from enhancer_core.errors import DatasetError
from enhancer_core.models.model import Model
from enhancer_core.prediction.sequences import in_order, log_odds

_STEP = 100  # bp between windows that are looked at, at least
_MOST = 1_000_000  # windows that are looked at, about: a genome takes minutes, not hours


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class HardNegatives:
    """Places of hard negatives, and of how many windows they were chosen."""

    places: Places  # (H,), ascending
    scanned: int
    above: int  # windows that score above the median positive
    step: int  # bp between windows


def find_hard_negatives(
    sampler: GenomeSampler,
    model: Model,
    *,
    device: str = "auto",
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> HardNegatives:
    """Scan where training negatives may lie, and choose those that a model calls falsely.

    These score above the median positive of the training part. Of each L bp the best window counts,
    so that no place is chosen many times over; of these, at most as many as there are positives,
    the best first. Windows that are mostly N do not count.

    Parameters
    ----------
    sampler
        Of the training part.
    model
        What scans, on the forward strand.
    device, threads
        As in `predict`.
    progress
        Called with the number of windows scored since the last call.

    Raises
    ------
    DeviceError
        If the device is not there.
    """
    predictor = model.predictor(device)
    least = np.median(log_odds(predictor, sampler.windows(sampler.positives), threads=threads))
    bp = int((sampler.free[:, 1] - sampler.free[:, 0]).sum())
    step = max(_STEP, -(-bp // _MOST))
    reach = step * predictor.windows_per_call

    def blocks() -> Iterator[Places]:
        for begin, end in sampler.free.tolist():
            for first in range(begin, end, reach):
                yield np.arange(first, min(first + reach, end), step)

    def score(places: Places) -> tuple[Places, NDArray[np.float32], int]:
        codes = sampler.codes[places[0] : places[-1] + sampler.length]
        logits = predictor.scanned_logits(codes, places - places[0])
        scores = logits[:, 1] - logits[:, 0]
        high = scores > least
        return places[high], scores[high], len(places)

    places, scores = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
    scanned = 0
    for found, found_scores, count in in_order(score, blocks(), threads=threads):
        places.append(found)
        scores.append(found_scores)
        scanned += count
        if progress is not None:
            progress(count)
    above, height = np.concatenate(places), np.concatenate(scores)
    known = ~sampler.mostly_n(above)
    above, height = above[known], height[known]
    order = np.argsort(-height, kind="stable")
    _, first = np.unique(above[order] // sampler.length, return_index=True)
    best = above[order[np.sort(first)[: len(sampler.positives)]]]
    return HardNegatives(places=np.sort(best), scanned=scanned, above=len(above), step=step)


def add_hard_negatives(
    data: SplitDataset, model: Model, *, seed: int = 0, device: str = "auto", threads: int = 1
) -> SplitDataset:
    """Find hard negatives and add them to those that training draws: see `find_hard_negatives`.

    Up to half of the training part's negatives are then hard ones: of those drawn for each epoch,
    and of its records, from which simple models learn.

    Parameters
    ----------
    data
        A split of a genome, as `split_genome` returns it.
    model
        Trained on it.
    seed
        Chooses which hard negatives are records, if not all.
    device, threads
        As in `predict`.

    Returns
    -------
    SplitDataset
        To train on from then on.

    Raises
    ------
    DatasetError
        If the data are no split of a genome.
    DeviceError
        If the device is not there.
    """
    found = find_hard_negatives(sampler_of(data), model, device=device, threads=threads)
    return with_hard_negatives(data, found.places, seed=seed)


def with_hard_negatives(data: SplitDataset, places: Places, *, seed: int = 0) -> SplitDataset:
    """Add hard negatives at places that are known; else as `add_hard_negatives`."""
    before = sampler_of(data)
    sampler = replace(before, hard=np.union1d(before.hard, places))
    rows = np.flatnonzero((data.parts == TRAIN) & ~data.dataset.labels)
    chosen = sampler.draw_hard(rng=np.random.default_rng(seed))
    rows = rows[: len(chosen)]
    codes, names = data.dataset.codes.copy(), data.dataset.names.tolist()
    codes[rows] = sampler.windows(chosen)
    for row, name in zip(rows.tolist(), sampler.intervals(chosen).names(), strict=True):
        names[row] = name
    dataset = replace(data.dataset, codes=codes, names=np.array(names, np.str_))
    return replace(data, dataset=dataset, sampler=sampler)


def sampler_of(data: SplitDataset) -> GenomeSampler:
    """Return what draws the training part anew for each epoch.

    Raises
    ------
    DatasetError
        If nothing does.
    """
    if data.sampler is None:
        raise DatasetError("hard negatives need a split of a genome, which draws windows anew")
    return data.sampler
