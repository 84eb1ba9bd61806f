"""Training windows of a genome, drawn anew for each epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna.codes import Codes, mostly_n
from enhancer_core.dna.intervals import Intervals
from enhancer_core.errors import DatasetError

Places: TypeAlias = NDArray[np.int64]

_TRIES = 1_000  # draws of windows that are mostly N, after which there seem to be no others
_BLOCK = 1 << 16  # windows looked at once for N


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class GenomeSampler:
    """Draws the training windows of an epoch: positives moved, negatives anew.

    A place is an index into `codes`, where a window of `length` bp begins.
    """

    codes: Codes  # (G,): of all regions, one after the other, those kept out too
    checksum: bytes  # SHA-256 of the codes, which takes seconds for a genome
    regions: Intervals  # (R,)
    parts: NDArray[np.int64]  # (R,): part of each region
    length: int
    positives: Places  # (P,)
    bounds: Places  # (P, 2): the least and the greatest place that a positive may be moved to
    free: Places  # (F, 2): ranges of places, half-open, whose windows lie off the peaks
    negatives: int  # of an epoch
    hard: Places  # (H,): negatives that a model called falsely

    def draw(self, *, shift: int, rng: np.random.Generator) -> Codes:
        """Draw the windows of an epoch, uint8 (P + negatives, L), positives first.

        Positives are moved by up to `shift` bp either way, as far as their region goes, and keep
        the DNA that flanks them. Hard negatives come first among the negatives, half of these at
        most; the rest lies anywhere off the peaks.
        """
        moves = rng.integers(-shift, shift, len(self.positives), endpoint=True)
        positives = np.clip(self.positives + moves, *self.bounds.T)
        hard = self.draw_hard(rng=rng)
        others = self.draw_negatives(self.negatives - len(hard), rng=rng)
        return self.windows(np.concatenate([positives, hard, others]))

    def draw_hard(self, *, rng: np.random.Generator) -> Places:
        """Draw the hard negatives of an epoch: all of them, or half of the negatives."""
        return rng.permutation(self.hard)[: self.negatives // 2]

    def draw_negatives(self, n: int, *, rng: np.random.Generator) -> Places:
        """Draw places uniformly: windows off the peaks, none mostly N; they may overlap.

        Raises
        ------
        DatasetError
            If there are none.
        """
        ends = np.cumsum(self.free[:, 1] - self.free[:, 0])
        places = np.zeros(n, np.int64)
        missing = np.arange(n)
        for _ in range(_TRIES if len(ends) else 0):
            drawn = rng.integers(ends[-1], size=len(missing))
            ranges = np.searchsorted(ends, drawn, "right")
            places[missing] = self.free[ranges, 1] - ends[ranges] + drawn
            missing = missing[self.mostly_n(places[missing])]
            if not len(missing):
                return places
        raise DatasetError(
            f"the regions have no window of {self.length} bp off the peaks that is not mostly N"
        )

    def windows(self, places: Places) -> Codes:
        """Cut the windows at these places: uint8 (n, L)."""
        return np.lib.stride_tricks.sliding_window_view(self.codes, self.length)[places]

    def mostly_n(self, places: Places) -> NDArray[np.bool_]:
        """Return which windows are more than half N: bool (n,)."""
        blocks = (places[i : i + _BLOCK] for i in range(0, len(places), _BLOCK))
        found = [mostly_n(self.windows(block)) for block in blocks]
        return np.concatenate([np.zeros(0, np.bool_), *found])

    def arrays(self) -> Iterator[NDArray[np.uint8] | Places]:
        """Yield what determines all that is drawn; the codes by their checksum."""
        yield np.frombuffer(self.checksum, np.uint8)
        yield from (self.positives, self.bounds, self.free, self.hard)
        yield np.array([self.length, self.negatives])

    def intervals(self, places: Places) -> Intervals:
        """Return where in the genome windows lie."""
        firsts = first_places(self.regions)
        region = np.searchsorted(firsts, places, "right") - 1
        starts = places - firsts[region] + self.regions.starts[region]
        return Intervals(self.regions.chroms[region], starts, starts + self.length)

    def regions_of(self, part: int) -> Intervals:
        """Return the regions of a part."""
        return self.regions.take(self.parts == part)


def first_places(regions: Intervals) -> Places:
    """Return the place at which each region begins, and where all end: (R + 1,)."""
    return np.concatenate([[0], np.cumsum(regions.ends - regions.starts)])
