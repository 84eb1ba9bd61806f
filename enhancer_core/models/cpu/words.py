"""The kernels of k-mer weights: one look into the table a position, whole numbers throughout.

Sums of the words up to each letter are kept, so that a window's is the difference of two, whatever
windows share, and a change's takes the k words that have its base.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna._numba import compiled
from enhancer_core.dna.codes import N_CODE, Codes
from enhancer_core.models.cpu.layout import Changes

Table = NDArray[np.int32]  # (4**k,)
Sums = NDArray[np.int64]


@compiled
def sum_words(
    codes: Codes, starts: Sums, length: int, k: int, table: Table, before: Sums, sums: Sums
) -> None:
    """Sum the words' weights in windows of codes (C,), whose starts ascend.

    `before`, of at least a letter more than windows that overlap span, is workspace: the sum of the
    words that end before each letter from the first of them.
    """
    mask = len(table) - 1
    origin, read, word, known = 0, 0, 0, 0
    for i in range(len(starts)):
        start = starts[i]
        if i == 0 or start >= read:  # it shares nothing with the one before
            origin, read, word, known = start, start, 0, 0
            before[0] = 0
        for p in range(read, start + length):
            code = codes[p]
            word = (word << 2 | code & 3) & mask
            known = 0 if code == N_CODE else known + 1
            weight = table[word] if known >= k else 0
            before[p + 1 - origin] = before[p - origin] + weight
        read = start + length
        sums[i] = before[read - origin] - before[start + k - 1 - origin]


@compiled
def sum_changed_words(
    codes: Codes, changes: Changes, k: int, table: Table, before: Sums, sums: Sums
) -> None:
    """Sum the words' weights in sequences (n, L) with one base changed; `before` is as above."""
    mask, length, last = len(table) - 1, codes.shape[1], -1
    for i in range(len(changes)):
        row, position, base = changes[i, 0], changes[i, 1], changes[i, 2]
        word, known, changed = 0, 0, 0
        if row != last:
            last = row
            before[0] = 0
            for p in range(length):
                code = codes[row, p]
                word = (word << 2 | code & 3) & mask
                known = 0 if code == N_CODE else known + 1
                before[p + 1] = before[p] + (table[word] if known >= k else 0)
            word, known = 0, 0
        first, end = max(position - k + 1, 0), min(position + k, length)
        for p in range(first, end):
            code = base if p == position else codes[row, p]
            word = (word << 2 | code & 3) & mask
            known = 0 if code == N_CODE else known + 1
            if known >= k:
                changed += table[word]
        sums[i] = before[length] - before[end] + before[first + k - 1] + changed
