"""Draw background windows, evenly or so that their composition follows other sequences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enhancer_core.data.background.candidates import Candidates
from enhancer_core.data.background.composition import Composition
from enhancer_core.dna.intervals import Intervals
from enhancer_core.errors import DatasetError

# Bins of a match. The GC share of 500 random bases has a standard deviation of 2.2 %, so finer
# steps would follow chance; repeat shares pile up at 0 and at 1, and an Alu is 60 % of a window.
GC_STEPS = 50
REPEAT_STEPS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class CompositionMatch:
    """How well a background follows its target."""

    gc_distance: float  # largest difference of the two cumulative distributions (two-sample KS)
    repeat_distance: float | None  # likewise; None if it was not known on both sides: GC alone
    filled: int  # windows taken from the nearest bins, since their own had none left


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Background:
    """Windows drawn, in genome order, their composition, and the match if one was asked for."""

    windows: Intervals
    composition: Composition
    match: CompositionMatch | None


def draw_background(
    candidates: Candidates, n: int, *, rng: np.random.Generator, target: Composition | None = None
) -> Background:
    """Draw n background windows without replacement, evenly or so that they follow a target.

    Without a target each candidate has the same chance, so windows spread over the genome by the
    length that is allowed. With one, say the positives, GC (in steps of 2 %) and repeats (in steps
    of 10 %) follow its joint distribution: each bin gets its share of n, rounded by largest
    remainder. A bin with too few candidates takes what is missing from the nearest bins that have
    some left, nearest pair of bins first, one step of either kind counting the same. Where repeats
    are not known on both sides, GC alone is followed.

    Raises
    ------
    DatasetError
        If n is below 1 or above the number of candidates, or the target is empty.
    """
    if n < 1:
        raise DatasetError(f"{n} background windows asked for; allowed is 1 or more")
    if n > len(candidates):
        lost = ", ".join(f"{bp} {reason}" for reason, bp in candidates.lost.items())
        raise DatasetError(
            f"{n} background windows of {candidates.length} bp asked for; the genome can supply"
            f" {len(candidates)} that do not overlap: of its {candidates.total} bp, {lost}"
        )
    match = None
    if target is None:
        rows = rng.choice(len(candidates), n, replace=False, shuffle=False)
    else:
        rows, match = _follow(target, candidates.composition, n, rng=rng)
    rows = np.sort(rows)
    composition = candidates.composition.take(rows)
    return Background(windows=candidates.windows(rows), composition=composition, match=match)


def _follow(
    target: Composition, ours: Composition, n: int, *, rng: np.random.Generator
) -> tuple[NDArray[np.int64], CompositionMatch]:
    """Draw n rows of `ours` that follow the target, and measure how well they do."""
    if not len(target):
        raise DatasetError("no sequence to match the background to; at least one is needed")
    if ours.repeat is None or target.repeat is None:
        ours, target = Composition(ours.gc, None), Composition(target.gc, None)
    bins = _bins(ours)
    supply = np.bincount(bins, minlength=GC_STEPS * REPEAT_STEPS)
    quotas = _share_out(n, np.bincount(_bins(target), minlength=len(supply)))
    taken = _fill(quotas, supply)
    members = np.split(np.argsort(bins, kind="stable"), np.cumsum(supply)[:-1])
    rows = np.concatenate(
        [
            rng.choice(members[bin_], taken[bin_], replace=False, shuffle=False)
            for bin_ in np.flatnonzero(taken)
        ]
    )
    drawn = ours.take(rows)
    return rows, CompositionMatch(
        gc_distance=_distance(drawn.gc, target.gc),
        repeat_distance=None
        if drawn.repeat is None or target.repeat is None
        else _distance(drawn.repeat, target.repeat),
        filled=int(np.maximum(taken - quotas, 0).sum()),
    )


def _bins(composition: Composition) -> NDArray[np.int64]:
    """Find the bin of each sequence; repeats that are not known fall in the first step."""
    bins = _step(composition.gc, GC_STEPS) * REPEAT_STEPS
    return bins if composition.repeat is None else bins + _step(composition.repeat, REPEAT_STEPS)


def _step(shares: NDArray[np.float64], steps: int) -> NDArray[np.int64]:
    # 0.58 * 50 is 28.999...: a share at the lower end of a step belongs to it. 1 is in the last.
    return np.minimum((shares * steps + 1e-9).astype(np.int64), steps - 1)


def _share_out(n: int, counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Split n in proportion to counts, by largest remainder; the first of equal ones wins."""
    quotas, remainders = np.divmod(counts * n, counts.sum())
    quotas[np.argsort(-remainders, kind="stable")[: n - quotas.sum()]] += 1
    return quotas


def _fill(quotas: NDArray[np.int64], supply: NDArray[np.int64]) -> NDArray[np.int64]:
    """Fill the quotas, from the nearest bins with windows to spare where a bin has too few."""
    taken = np.minimum(quotas, supply)
    short, spare = np.flatnonzero(quotas > supply), np.flatnonzero(supply > quotas)
    missing, left = (quotas - supply)[short], (supply - quotas)[spare]
    steps = np.stack(np.divmod(np.arange(len(supply)), REPEAT_STEPS))
    apart = ((steps[:, short, np.newaxis] - steps[:, np.newaxis, spare]) ** 2).sum(axis=0)
    for pair in np.argsort(apart, axis=None, kind="stable"):
        needs, gives = divmod(int(pair), len(spare))
        moved = min(missing[needs], left[gives])
        missing[needs] -= moved
        left[gives] -= moved
        taken[spare[gives]] += moved
    return taken


def _distance(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    at = np.concatenate([ours, theirs])
    below = [np.searchsorted(np.sort(x), at, side="right") / len(x) for x in (ours, theirs)]
    return float(np.abs(below[0] - below[1]).max())
