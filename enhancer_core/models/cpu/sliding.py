"""The best of a filter in all of a sequence, where sequences have most of it in common.

A network of one convolution may have one pool as wide as what it reads. Its windows along DNA then
share all scores. Positions fall into blocks of a pool each; a window begins in one and ends in the
next, so its best is the better of two: the best from its start to its block's end, and the best of
what it has of the next one (van Herk 1992, Pattern Recognition Letters 13:517-521; Gil and Werman
1993, IEEE PAMI 15:504-507). That is a few steps a position, whatever the pool; maxima are exact.
And of a sequence with one base changed only the positions that read it are scored again, between
the best before and the best behind.
"""

from __future__ import annotations

import numpy as np

from enhancer_core.dna._numba import compiled
from enhancer_core.dna.codes import Codes
from enhancer_core.models.cpu.forward import best_scores, respell, spell
from enhancer_core.models.cpu.layout import LANES, WORDS, Changes, Field, Net
from enhancer_core.models.cpu.sharing import Numbers
from enhancer_core.models.cpu.simd import add, larger, load, relu, spread, store


@compiled
def slide(codes: Codes, starts: Numbers, place: int, *fields: Field) -> None:
    """Compute the first layer's one output for windows of codes whose starts ascend, the first 0.

    That of window i goes to memory at `place` and i strides of the layer. The workspace of scores
    must have `sliding_workspace` numbers.
    """
    net = Net(*fields)
    layer, words, best = net.layers[0], net.words, net.scores
    packed, memory = net.packed, net.memory
    spell(codes, layer, words)
    size, stride = layer.pool, layer.stride
    n_tables, table = layer.tables, WORDS * layer.row
    end = starts[len(starts) - 1] + size
    for f in range(0, layer.filters, LANES):
        base, bias = layer.packed + 2 * f, load(packed, layer.packed_bias + f)
        i = begin = 0
        while begin <= end:  # not a range, which fails at steps of 0
            here = spread(-np.inf)
            for p in range(min(size, end + 1 - begin)):
                while i < len(starts) and starts[i] + size == begin + p:
                    # The window that has come to its end began at this place of the block before.
                    pooled = add(larger(load(best, p * LANES), here), bias)
                    store(memory, place + i * stride + f, relu(pooled))
                    i += 1
                if begin + p < end:
                    score = best_scores(words, begin + p, 1, n_tables, packed, base, table)
                    here = larger(here, score)
                    store(best, p * LANES, score)
            # From each place to the block's end, for the windows that begin there.
            for p in range((min(size, end - begin) - 2) * LANES, -1, -LANES):
                store(best, p, larger(load(best, p), load(best, p + LANES)))
            begin += size


@compiled
def slide_changes(codes: Codes, changes: Changes, net: Net) -> None:
    """Compute the first layer's one output for changes to another base; see `slide`."""
    layer, words, best = net.layers[0], net.words, net.scores
    packed, memory = net.packed, net.memory
    size, width, row = layer.pool, layer.width, layer.row
    n_tables, table, behind = layer.tables, WORDS * row, size * LANES
    end = 0
    while end < len(changes):
        begin, sequence = end, changes[end, 0]
        while end < len(changes) and changes[end, 0] == sequence:
            end += 1
        spell(codes[sequence], layer, words)
        for f in range(0, layer.filters, LANES):
            base, bias = layer.packed + 2 * f, load(packed, layer.packed_bias + f)
            here = spread(-np.inf)
            for p in range(size):
                score = best_scores(words, p, 1, n_tables, packed, base, table)
                here = larger(here, score)
                store(best, p * LANES, here)  # up to each place
                store(best, behind + p * LANES, score)
            for p in range(behind + (size - 2) * LANES, behind - 1, -LANES):  # from each place on
                store(best, p, larger(load(best, p), load(best, p + LANES)))
            for i in range(begin, end):
                position = changes[i, 1]
                first = min(max(position - width + 1, 0), size)
                stop = min(position + 1, size)
                here = load(best, (first - 1) * LANES) if first > 0 else spread(-np.inf)
                if stop < size:
                    here = larger(here, load(best, behind + stop * LANES))
                change = (changes[i, 2] - codes[sequence, position]) * row
                respell(words, position, change)
                near = best_scores(words, first, stop - first, n_tables, packed, base, table)
                here = larger(here, near)
                respell(words, position, -change)
                place = layer.output + i * layer.stride + f
                store(memory, place, relu(add(here, bias)))
