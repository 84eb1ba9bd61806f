"""Pack weights in the order in which the kernels read them."""

from __future__ import annotations

from enhancer_core.dna._numba import compiled
from enhancer_core.models.architecture import BASES
from enhancer_core.models.cpu import simd  # noqa: F401 -- makes `table_row` known to numba
from enhancer_core.models.cpu.layout import (
    LANES,
    WORDS,
    Floats,
    Layer,
    Layers,
    Sums,
    table_row,
    tables,
)


@compiled
def pack(layers: Layers, parameters: Floats, packed: Floats, sums: Sums) -> None:
    """Write the weights as the kernels read them; the padding stays zero.

    `sums` is workspace of zeros, of `sums_shape`.
    """
    for index in range(len(layers)):
        layer = layers[index]
        for f in range(layer.filters):
            packed[layer.packed_bias + f] = parameters[layer.bias + f]
        if index > 0:
            _pack_weights(layer, parameters, packed)
    _pack_tables(layers[0], parameters, packed, sums)


@compiled
def _pack_weights(layer: Layer, parameters: Floats, packed: Floats) -> None:
    """Write the weights of a layer in both orders, a vector's filters side by side.

    Filter by filter, each number of a column would come from another line of the cache.
    """
    width, channels, filters = layer.width, layer.channels, layer.filters
    weight, place, columns = layer.weight, layer.packed, layer.columns
    depth, transposed, padded_depth = layer.depth, layer.transposed, layer.padded_depth
    for first in range(0, filters, LANES):
        last = min(first + LANES, filters)
        for c in range(channels):
            for t in range(width):
                row = place + (t * channels + c) * columns
                for f in range(first, last):
                    packed[row + f] = parameters[weight + f * depth + c * width + t]
    for f in range(filters):
        for c in range(channels):
            for t in range(width):
                number = parameters[weight + f * depth + c * width + t]
                packed[transposed + f * padded_depth + t * channels + c] = number


@compiled
def _pack_tables(layer: Layer, parameters: Floats, packed: Floats, scores: Sums) -> None:
    """Sum the scores of each word at each place of a filter; `scores` as in `pack`."""
    width, n_tables, row = layer.width, tables(layer), table_row(layer)
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
