"""Where a run is shuffled: arrays made once for many runs."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna._numba import compiled
from enhancer_core.dna.codes import Codes

Positions: TypeAlias = NDArray[np.int64]
Numbers: TypeAlias = NDArray[np.uint64]
Flags: TypeAlias = NDArray[np.bool_]

SPAN = 31  # letters that fit in 62 bits
_TABLED = 8  # letters of a word at most, for a table of all words


class Room(NamedTuple):
    """What the shuffles of runs are made in, one after another: made once, since that takes time.

    Vertices are numbers from 0; each has a list of the segments that leave it, all in one array.
    """

    words: Numbers  # (positions,): the vertex at each
    first: Numbers  # (vertices + 1,): where the list of each begins; the walk moves it on
    heads: Numbers  # (vertices,): something about each list, as the step under way needs it
    settled: Flags  # (vertices,): no choice, or none that is left
    segments: Numbers  # the lists: fork led to (upper half), position begun at (lower half);
    # before that, (vertices + 1,): the word that has each number
    letters: Codes  # (steps,): the letter that each adds, plus _FORK if it leads to a fork
    chances: Numbers  # (steps,): 32 random bits each
    unfair: Numbers  # (longest list + 1,): `2**32 % size`, by size
    table: NDArray[np.uint32]  # from a word or its hash to its number + 1; zeros between uses


@compiled
def make_room(longest: int, k: int) -> Room:
    """Make room for runs of up to `longest` letters."""
    size = 1 << 2 * min(k - 1, _TABLED)
    while size < 4 * longest:
        size *= 2
    unfair = np.zeros(longest + 1, np.uint64)
    for count in range(1, longest + 1):
        unfair[count] = (1 << 32) % count
    more = longest + 2  # numbers end one beyond the vertices, and the walk looks one ahead
    return Room(
        words=np.empty(more, np.uint64),
        first=np.empty(more, np.uint64),
        heads=np.empty(more, np.uint64),
        settled=np.empty(more, np.bool_),
        segments=np.empty(more, np.uint64),
        letters=np.empty(more, np.uint8),
        chances=np.empty(more, np.uint64),
        unfair=unfair,
        table=np.zeros(size, np.uint32),
    )
