"""Draw another Eulerian path along a run: lists in random order, a random tree, and the path."""

from __future__ import annotations

import numpy as np

from enhancer_core.dna._numba import compiled
from enhancer_core.dna.codes import Codes
from enhancer_core.dna.klets import (
    GOLDEN,
    Numbers,
    Positions,
    ShuffleWorkspace,
    make_workspace,
    spell,
)

_LOW_HALF = 0xFFFFFFFF
_FORK = 4  # added to a letter (0-3) that leads to a fork
_LONG = 1 << 16  # letters of a run that is shuffled by itself, to save memory


@compiled
def shuffle_runs(codes: Codes, starts: Positions, stops: Positions, seeds: Numbers, k: int) -> None:
    """Shuffle each run codes[start:stop], of more than k letters without N, in place."""
    longest = 0
    for index in range(starts.size):
        longest = max(longest, stops[index] - starts[index])
    # Two runs side by side: a step waits for the one before, and a core has time for two.
    together = 2 if longest < _LONG else 1
    work = make_workspace(longest, k)
    other = make_workspace(longest if together == 2 else 0, k)
    for index in range(0, starts.size, together):
        run = codes[starts[index] : stops[index]]
        fork, at = _prepare(run, k, seeds[index], work)
        if index + 1 < starts.size and together == 2:
            neighbour = codes[starts[index + 1] : stops[index + 1]]
            its_fork, its_at = _prepare(neighbour, k, seeds[index + 1], other)
            while at < run.size and its_at < neighbour.size:
                fork, at = _follow(run, fork, at, work)
                its_fork, its_at = _follow(neighbour, its_fork, its_at, other)
            while its_at < neighbour.size:
                its_fork, its_at = _follow(neighbour, its_fork, its_at, other)
        while at < run.size:
            fork, at = _follow(run, fork, at, work)


@compiled
def _prepare(
    run: Codes, k: int, state: np.uint64, work: ShuffleWorkspace
) -> tuple[np.uint64, np.uint64]:
    """Make all choices for a run; return its first fork, and the position after its word."""
    steps, count = spell(run, k - 1, work)
    root = work.words[np.uint64(steps)]
    _begin_lists(count, root, work)
    state = _fill_chances(steps, state, work)
    at, fair = _list_segments(run, steps, count, work)
    if not fair:
        state = _redraw_rejected(steps, count, state, work)
        at, _ = _list_segments(run, steps, count, work)
    _grow_tree(count, root, state, work)
    for vertex in range(count):  # what a fork leads to next: one load a step, not two
        work.heads[vertex] = work.segments[work.first[vertex]]
    return work.words[np.uint64(at)], np.uint64(at + k - 1)


@compiled
def _begin_lists(count: int, root: np.uint64, work: ShuffleWorkspace) -> None:
    """Convert counts to where lists begin, and mark the vertices that have no choice."""
    first, settled = work.first, work.settled
    total = np.uint64(0)
    for vertex in range(count):
        size = first[vertex]
        settled[vertex] = size < 2
        first[vertex] = total
        total += size
    first[count] = total
    settled[root] = False  # the end is a fork too


@compiled
def _fill_chances(steps: int, state: np.uint64, work: ShuffleWorkspace) -> np.uint64:
    """Draw for all steps at once, in SIMD; return the generator's new state."""
    chances = work.chances
    for i in range(steps):
        chances[i] = _mixed(state + np.uint64(i + 1) * np.uint64(GOLDEN))
    return state + np.uint64(steps) * np.uint64(GOLDEN)


@compiled
def _list_segments(run: Codes, steps: int, count: int, work: ShuffleWorkspace) -> tuple[int, bool]:
    """List each fork's segments in random order; return the first fork's position, and fairness.

    A draw that may have to be rejected makes it unfair: one check at the end costs less than a
    branch a draw, and few runs are so long that it fails.
    """
    words, first, free, settled = work.words, work.first, work.heads, work.settled
    segments, letters, chances = work.segments, work.letters, work.chances
    free[:count] = first[:count]
    at, fair, flag = steps, True, np.uint8(_FORK)
    fork, shift = words[np.uint64(steps)], run.size - steps
    for i in range(steps - 1, -1, -1):
        letters[np.uint64(i)] = run[np.uint64(i + shift)] | flag
        vertex = words[np.uint64(i)]
        low, last = first[vertex], free[vertex]
        free[vertex] = last + np.uint64(1)
        size = last + np.uint64(1) - low
        product = chances[np.uint64(i)] * size
        fair &= product & np.uint64(_LOW_HALF) >= size
        other = low + (product >> np.uint64(32))
        segments[last] = segments[other]
        segments[other] = fork << np.uint64(32) | np.uint64(i)
        passed = settled[vertex]  # no branch here either
        fork = fork if passed else vertex
        at = at if passed else i
        flag = np.uint8(0) if passed else np.uint8(_FORK)
    return at, fair


@compiled
def _redraw_rejected(steps: int, count: int, state: np.uint64, work: ShuffleWorkspace) -> np.uint64:
    """Draw again for the steps whose draw is rejected; return the generator's new state."""
    first, free, chances = work.first, work.heads, work.chances
    free[:count] = first[:count]
    for i in range(steps - 1, -1, -1):
        vertex = work.words[np.uint64(i)]
        free[vertex] += np.uint64(1)
        size = free[vertex] - first[vertex]
        while _is_rejected(chances[i] * size, size):
            state += np.uint64(GOLDEN)
            chances[i] = _mixed(state)
    return state


@compiled
def _grow_tree(count: int, root: np.uint64, state: np.uint64, work: ShuffleWorkspace) -> None:
    """Move the segments of a random tree to the ends of their lists.

    Wilson's algorithm: from each fork walk at random until the tree is met, forgetting loops
    (`chosen` keeps the latest choice of a fork), and add the path that remains to the tree.
    """
    first, segments, settled, chosen = work.first, work.segments, work.settled, work.heads
    settled[root] = True
    for vertex in range(count):
        fork = np.uint64(vertex)
        while not settled[fork]:
            state, choice = _draw(state, first[fork], first[fork + np.uint64(1)])
            chosen[fork] = choice
            fork = segments[choice] >> np.uint64(32)
        fork = np.uint64(vertex)
        while not settled[fork]:
            settled[fork] = True
            choice = chosen[fork]
            last = first[fork + np.uint64(1)] - np.uint64(1)
            leaving = segments[choice]
            segments[choice] = segments[last]
            segments[last] = leaving
            fork = leaving >> np.uint64(32)


@compiled
def _draw(state: np.uint64, low: np.uint64, high: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Draw a whole number from low to high - 1; return the generator's new state, and it.

    A rejection keeps the draw free of bias (Lemire 2019).
    """
    size = high - low
    while True:
        state += np.uint64(GOLDEN)
        product = _mixed(state) * size
        if not _is_rejected(product, size):
            return state, low + (product >> np.uint64(32))


@compiled
def _is_rejected(product: np.uint64, size: np.uint64) -> bool:
    """Return whether a draw, 32 random bits times the size of its range, would favour some numbers.

    All are equally likely without those of less than 2**32 % size (Lemire 2019).
    """
    rest = product & np.uint64(_LOW_HALF)
    # The first is there to spare the division.
    return bool(rest < size and rest < np.uint64(1 << 32) % size)


@compiled
def _mixed(state: np.uint64) -> np.uint64:
    """Compute 32 random bits: SplitMix64 (Steele et al. 2014) without its last, needless shift."""
    mixed = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed >> np.uint64(32)


@compiled
def _follow(
    run: Codes, fork: np.uint64, at: np.uint64, work: ShuffleWorkspace
) -> tuple[np.uint64, np.uint64]:
    """Write the next segment of the path into run[at:]; return the next fork and position."""
    segment = work.heads[fork]
    following = work.first[fork] + np.uint64(1)
    work.first[fork] = following
    work.heads[fork] = work.segments[following]
    i = segment & np.uint64(_LOW_HALF)
    while True:
        letter = work.letters[i]
        run[at] = letter & np.uint8(3)
        at += np.uint64(1)
        i += np.uint64(1)
        if letter >= _FORK:
            return segment >> np.uint64(32), at
