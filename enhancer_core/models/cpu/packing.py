"""Pack weights in the order in which the kernels read them, and unpack their gradients."""

from __future__ import annotations

import numpy as np

from enhancer_core.dna._numba import compiled
from enhancer_core.models.architecture import BASES
from enhancer_core.models.cpu.layout import LANES, LETTERS, WORDS, Floats, Layer, Layers, Sums


@compiled
def pack(layers: Layers, parameters: Floats, packed: Floats, sums: Sums) -> None:
    """Write the weights as the kernels read them; the padding stays zero.

    `sums` is workspace of zeros, from `word_sums`.
    """
    for index in range(len(layers)):
        layer = layers[index]
        for f in range(layer.filters):
            packed[layer.packed_bias + f] = parameters[layer.bias + f]
        if index > 0:
            place, transposed = layer.packed, layer.transposed
            _reorder(layer, parameters, packed, place, 1, layer.columns, 0)
            _reorder(layer, parameters, packed, transposed, layer.padded_depth, 1, 0)
    _pack_tables(layers[0], parameters, packed, sums)


@compiled
def unpack(layers: Layers, convolutions: int, gradients: Floats, flat: Floats) -> None:
    """Write gradients, laid out as `backward_pass` writes them, in the order of the parameters."""
    for index in range(len(layers)):
        layer = layers[index]
        for f in range(layer.filters):
            flat[layer.bias + f] = gradients[layer.packed_bias + f]
        if 0 < index < convolutions:
            _reorder(layer, flat, gradients, layer.transposed, layer.padded_depth, 1, 1)
        elif index > 0:
            _reorder(layer, flat, gradients, layer.packed, 1, layer.columns, 1)
    _unpack_tables(layers[0], gradients, flat)


@compiled
def _reorder(
    layer: Layer, flat: Floats, packed: Floats, place: int, step: int, row: int, unpacks: int
) -> None:
    """Copy weights to packed ones, `step` apart by filter and `row` by number read, or back.

    A vector's filters go side by side: filter by filter, each number of a column would come from
    another line of the cache.
    """
    width, channels, filters = layer.width, layer.channels, layer.filters
    weight, depth = layer.weight, layer.depth
    for first in range(0, filters, LANES):
        last = min(first + LANES, filters)
        for c in range(channels):
            for t in range(width):
                i, j = weight + c * width + t, place + (t * channels + c) * row
                for f in range(first, last):
                    if unpacks:
                        flat[i + f * depth] = packed[j + f * step]
                    else:
                        packed[j + f * step] = flat[i + f * depth]


@compiled
def _pack_tables(layer: Layer, parameters: Floats, packed: Floats, scores: Sums) -> None:
    """Sum the scores of each word at each place of a filter; `scores` as in `pack`."""
    width, n_tables, row = layer.width, layer.tables, layer.row
    for f in range(layer.filters):
        place = f // LANES * 2 * LANES + f % LANES
        for t in range(width):
            for base in range(BASES):
                number = parameters[layer.weight + (f * BASES + base) * width + t]
                other = width - 1 - t, BASES - 1 - base
                scores[t, base, place] = number
                scores[other[0], other[1], place + LANES] = number
                scores[t, BASES, place] += number / BASES
                scores[other[0], BASES, place + LANES] += number / BASES
    for table in range(n_tables):
        for word in range(WORDS):
            letters = word // 25, word // 5 % 5, word % 5
            place = layer.packed + (table * WORDS + word) * row
            for i in range(row):
                packed[place + i] = (
                    scores[3 * table, letters[0], i]
                    + scores[3 * table + 1, letters[1], i]
                    + scores[3 * table + 2, letters[2], i]
                )


@compiled
def _unpack_tables(layer: Layer, gradients: Floats, flat: Floats) -> None:
    """Add up, for each place of a filter and each base, the words that have it there."""
    width, n_tables, row = layer.width, layer.tables, layer.row
    sums = np.zeros((n_tables * LETTERS, BASES + 1, row), np.float32)
    for table in range(n_tables):
        for word in range(WORDS):
            place = layer.packed + (table * WORDS + word) * row
            for i in range(row):
                number = gradients[place + i]
                sums[3 * table, word // 25, i] += number
                sums[3 * table + 1, word // 5 % 5, i] += number
                sums[3 * table + 2, word % 5, i] += number
    for f in range(layer.filters):
        place = f // LANES * 2 * LANES + f % LANES
        for base in range(BASES):
            for t in range(width):
                u, other = width - 1 - t, BASES - 1 - base
                flat[layer.weight + (f * BASES + base) * width + t] = (
                    sums[t, base, place]
                    + sums[t, BASES, place] / BASES
                    + sums[u, other, place + LANES]
                    + sums[u, BASES, place + LANES] / BASES
                )
