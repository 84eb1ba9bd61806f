"""A run as a graph, its words being numbered vertices; and the workspace for shuffles."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna._numba import compiled
from enhancer_core.dna.codes import Codes

Positions: TypeAlias = NDArray[np.int64]
Numbers: TypeAlias = NDArray[np.uint64]

GOLDEN = 0x9E3779B97F4A7C15  # 2**64 / golden ratio: SplitMix64's increment, and a good multiplier
SPAN = 31  # letters that fit in 62 bits
_TABLED = 8  # letters of a word at most, for a table of all words


class ShuffleWorkspace(NamedTuple):
    """Arrays for the shuffles of one run after another: made once, since that takes time.

    Vertices are numbers from 0; each has a list of the segments that leave it, all in one array.
    """

    words: Numbers  # (positions,): the vertex at each
    first: Numbers  # (vertices + 1,): where the list of each begins; advanced as it is used
    heads: Numbers  # (vertices,): something about each list, as the step under way needs it
    settled: NDArray[np.bool_]  # (vertices,): no choice, or none that is left
    segments: Numbers  # the lists: fork led to (upper half), position begun at (lower half);
    # before that, (vertices + 1,): the word that has each number
    letters: Codes  # (steps,): the letter that each adds, plus _FORK if it leads to a fork
    chances: Numbers  # (steps,): 32 random bits each
    table: NDArray[np.uint32]  # from a word or its hash to its number + 1; zeros between uses


@compiled
def make_workspace(longest: int, k: int) -> ShuffleWorkspace:
    """Make the workspace for runs of up to `longest` letters."""
    size = 1 << 2 * min(k - 1, _TABLED)
    while size < 4 * longest:
        size *= 2
    most = longest + 2  # numbers end one beyond the vertices, and the step after the last is read
    return ShuffleWorkspace(
        words=np.empty(most, np.uint64),
        first=np.empty(most, np.uint64),
        heads=np.empty(most, np.uint64),
        settled=np.empty(most, np.bool_),
        segments=np.empty(most, np.uint64),
        letters=np.empty(most, np.uint8),
        chances=np.empty(most, np.uint64),
        table=np.zeros(size, np.uint32),
    )


@compiled
def spell(run: Codes, width: int, work: ShuffleWorkspace) -> tuple[int, int]:
    """Replace the words of `width` letters along a run by numbers; count how often each is left.

    Return the number of steps from word to word, and a bound that all numbers are below. How often
    number v is left is in `work.first[v]`.
    """
    words, first = work.words, work.first
    span = min(width, SPAN)
    possible = 1 << 2 * span
    mask = np.uint64(possible - 1)
    steps = run.size - span
    word = np.uint64(0)
    for i in range(span):
        word = word << np.uint64(2) | np.uint64(run[i])
    if possible <= steps + 1:  # few words: their letters are number enough
        first[: possible + 1] = 0
        for i in range(steps):
            words[i] = word
            first[word] += np.uint64(1)
            word = (word << np.uint64(2) | np.uint64(run[i + span])) & mask
        words[steps] = word
        return steps, possible
    for i in range(steps):
        words[i] = word
        word = (word << np.uint64(2) | np.uint64(run[i + span])) & mask
    words[steps] = word
    short = possible <= work.table.size
    count = _number(steps + 1, work) if short else _number_by_hash(steps + 1, work)
    while span < width:  # two words that touch or overlap make a longer one
        step = min(span, width - span)
        steps -= step
        for i in range(steps + 1):
            words[i] = words[i] << np.uint64(32) | words[i + step]
        count = _number_by_hash(steps + 1, work)
        span += step
    first[: count + 1] = 0
    for i in range(steps):
        first[words[i]] += np.uint64(1)
    return steps, count


@compiled
def _number(size: int, work: ShuffleWorkspace) -> int:
    """Replace words, in place, by numbers from 0 in order of appearance; return the count."""
    words, table, word_of = work.words, work.table, work.segments  # the table: one place a word
    count = 0
    for i in range(size):  # without a branch, since none could predict it
        word = words[i]
        number = table[word]
        fresh = number == 0
        word_of[np.uint64(count)] = word
        count += fresh
        number = np.uint32(count) if fresh else number
        table[word] = number
        words[i] = np.uint64(number) - np.uint64(1)
    for number in range(count):
        table[word_of[number]] = 0
    return count


@compiled
def _number_by_hash(size: int, work: ShuffleWorkspace) -> int:
    """Replace words as `_number` does, by open addressing."""
    words, table, word_of = work.words, work.table, work.segments
    bits = 1
    while 1 << bits < 4 * size:
        bits += 1
    last, shift = np.uint64((1 << bits) - 1), np.uint64(64 - bits)
    count = 0
    for i in range(size):
        word = words[i]
        slot = word * np.uint64(GOLDEN) >> shift
        number = table[slot]
        while number and word_of[number] != word:
            slot = (slot + np.uint64(1)) & last
            number = table[slot]
        if not number:
            count += 1
            number = np.uint32(count)
            table[slot] = number
            word_of[number] = word
        words[i] = number - np.uint64(1)
    table[: 1 << bits] = 0
    return count
