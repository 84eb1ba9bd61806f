"""The vertices of a run: its words, numbered."""

from __future__ import annotations

import numpy as np

from enhancer_core.dna._numba import compiled
from enhancer_core.dna.codes import Codes
from enhancer_core.dna.room import SPAN, Room

GOLDEN = 0x9E3779B97F4A7C15  # 2**64 / golden ratio: SplitMix64's increment, and a good multiplier


@compiled
def spell(run: Codes, width: int, room: Room) -> tuple[int, int]:
    """Give each word of `width` letters along a run its number, and count how often each is left.

    Returns
    -------
    steps
        From word to word.
    count
        All numbers are below it; how often number v is left is in `room.first[v]`.
    """
    words, first = room.words, room.first
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
    short = possible <= room.table.size
    count = _number(steps + 1, room) if short else _number_by_hash(steps + 1, room)
    while span < width:  # two words that touch or overlap make a longer one
        step = min(span, width - span)
        steps -= step
        for i in range(steps + 1):
            words[i] = words[i] << np.uint64(32) | words[i + step]
        count = _number_by_hash(steps + 1, room)
        span += step
    first[: count + 1] = 0
    for i in range(steps):
        first[words[i]] += np.uint64(1)
    return steps, count


@compiled
def _number(size: int, room: Room) -> int:
    """Replace words, in place, by numbers from 0 in order of appearance; return the count.

    The table has a place for each word. No branch, since it could not be foreseen.
    """
    words, table, word_of = room.words, room.table, room.segments
    count = 0
    for i in range(size):
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
def _number_by_hash(size: int, room: Room) -> int:
    """Do as `_number`, by open addressing."""
    words, table, word_of = room.words, room.table, room.segments
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
