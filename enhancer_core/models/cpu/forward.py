"""The forward pass: convolutions sequence by sequence, in the cache; dense layers as a batch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna._numba import compiled
from enhancer_core.dna.codes import Codes
from enhancer_core.models.cpu import layout, simd
from enhancer_core.models.cpu.layout import Field, Floats, Layer, Net, Words


@compiled
def predict(codes: Codes, *fields: Field) -> None:
    """Compute every layer's output for sequences (n, L)."""
    forward_pass(codes, Net(*fields), None, None)


@compiled
def forward_pass(codes: Codes, net: Net, chosen: Floats | None, mask: Floats | None) -> None:
    """Compute every layer's output for sequences (n, L).

    In training `chosen`, laid out as memory, receives the argmax of each pool, and `mask`
    (n, units) multiplies what the last layer reads, in PyTorch's order; else both are None.
    """
    for i in range(len(codes)):
        read(codes[i], i, net, chosen)
    for index in range(net.convolutions, len(net.layers)):
        if mask is not None and index == len(net.layers) - 1:
            drop(mask, net.layers[index - 1], net.memory)
        dense(len(codes), index, net)


@compiled
def read(codes: Codes, i: int, net: Net, chosen: Floats | None) -> None:
    """Compute the convolutions of one sequence (L,), as number i in memory."""
    layer = net.layers[0]
    spell(codes, layer, net.words)
    place = layer.output + i * layer.stride
    read_dna(net.words, layer, 0, layer.outputs, net.packed, net.memory, place, chosen)
    read_on(1, i, net, place, chosen)


@compiled
def read_on(first: int, i: int, net: Net, place: int, chosen: Floats | None) -> None:
    """Compute the convolutions of sequence i from number `first` on, which reads at `place`."""
    for index in range(first, net.convolutions):
        layer = net.layers[index]
        convolve(layer, 0, layer.outputs, net, place)
        place = layer.output + i * layer.stride
        pool(layer, 0, layer.outputs, net.scores, net.memory, place, chosen)


@compiled
def spell(codes: Codes, layer: Layer, words: Words) -> None:
    """Find each position's word; letters beyond the end are read as A, and count nowhere."""
    last, row = len(codes) - 1, layer.row
    for p in range(last - 1):  # a letter does not wait for the one before
        words[p] = (codes[p] * 25 + codes[p + 1] * 5 + codes[p + 2]) * row
    if last > 0:
        words[last - 1] = (codes[last - 1] * 25 + codes[last] * 5) * row
    words[last] = codes[last] * 25 * row


@compiled
def respell(words: Words, position: int, change: int) -> None:
    """Change the words that a base is in, as their first, second or third letter."""
    words[position] += 25 * change
    if position >= 1:
        words[position - 1] += 5 * change
    if position >= 2:
        words[position - 2] += change


@compiled
def read_dna(
    words: Words,
    layer: Layer,
    start: int,
    stop: int,
    packed: Floats,
    memory: Floats,
    place: int,
    chosen: Floats | None,
) -> None:
    """Compute outputs start to stop of the first layer, each pool on its better strand.

    `chosen` receives the first of the best: twice the position in the pool, 1 more on the reverse
    strand.
    """
    # Local, since LLVM must take it that a store to memory changes what a record holds.
    filters, size, n_tables = layer.filters, layer.pool, layer.tables
    base, bias, table = layer.packed, layer.packed_bias, layout.WORDS * layer.row
    # Filters outside, so that the tables of eight stay in the nearest cache; the last first, since
    # a vector that is not full reaches into the next output.
    for f in range((filters - 1) // layout.LANES * layout.LANES, -1, -layout.LANES):
        for q in range(start, stop):
            if chosen is None:
                # Numbers that are known when it is compiled spare it half the time.
                at = packed, base + 2 * f, table
                if n_tables == 3 and size == 3:
                    best = best_scores(words, q * 3, 3, 3, *at)
                elif n_tables == 3:
                    best = best_scores(words, q * size, size, 3, *at)
                else:
                    best = best_scores(words, q * size, size, n_tables, *at)
            else:
                best, which = simd.spread(-np.inf), simd.spread(0.0)
                for p in range(size):
                    position = q * size + p
                    row = base + simd.whole(words, position) + 2 * f
                    forward, reverse = simd.load(packed, row), simd.load(packed, row + layout.LANES)
                    for t in range(1, n_tables):
                        row = (
                            base
                            + t * table
                            + simd.whole(words, position + t * layout.LETTERS)
                            + 2 * f
                        )
                        forward = simd.add(forward, simd.load(packed, row))
                        reverse = simd.add(reverse, simd.load(packed, row + layout.LANES))
                    which = simd.where_greater(forward, best, simd.spread(2 * p), which)
                    best = simd.larger(forward, best)
                    which = simd.where_greater(reverse, best, simd.spread(2 * p + 1), which)
                    best = simd.larger(reverse, best)
            best = simd.add(best, simd.load(packed, bias + f))
            output = place + q * filters + f
            simd.store(memory, output, simd.relu(best))
            if chosen is not None:
                simd.store(chosen, output, which)


@compiled
def best_scores(
    words: Words, start: int, size: int, n_tables: int, packed: Floats, place: int, table: int
) -> simd.Vector:
    """Return the best scores of eight filters in a pool, on the better strand."""
    both = simd.spread_wide(-np.inf)
    for position in range(start, start + size):
        scores = simd.load_wide(packed, place + simd.whole(words, position))
        for t in range(1, n_tables):
            row = place + t * table + simd.whole(words, position + t * layout.LETTERS)
            scores = simd.add(scores, simd.load_wide(packed, row))
        both = simd.larger(scores, both)
    return simd.greater_half(both)


@compiled
def convolve(layer: Layer, start: int, stop: int, net: Net, source: int) -> None:
    """Score the positions of outputs start to stop, from the activations at `source`."""
    multiply(
        net.memory, source + start * layer.pool * layer.channels, layer.channels, 1, layer.depth,
        net.packed, layer.packed, layer.columns, layer.columns,
        net.packed, layer.packed_bias, 0,
        net.scores, 0, layer.columns, (stop - start) * layer.pool,
    )  # fmt: skip


@compiled
def pool(
    layer: Layer,
    start: int,
    stop: int,
    scores: Floats,
    memory: Floats,
    place: int,
    chosen: Floats | None,
) -> None:
    """Pool scores into outputs start to stop; `chosen` receives the first best of each pool."""
    filters, size, columns = layer.filters, layer.pool, layer.columns  # local, as in `read_dna`
    for q in range(start, stop):
        row = (q - start) * size * columns
        for f in range(0, filters, layout.LANES):
            best, which = simd.load(scores, row + f), simd.spread(0.0)
            for p in range(1, size):
                score = simd.load(scores, row + p * columns + f)
                if chosen is not None:
                    which = simd.where_greater(score, best, simd.spread(p), which)
                best = simd.larger(score, best)
            output = place + q * filters + f
            simd.store(memory, output, simd.relu(best))
            if chosen is not None:
                simd.store(chosen, output, which)


@compiled
def dense(n: int, index: int, net: Net) -> None:
    """Compute a dense layer for n sequences; its ReLU too, unless it is the last."""
    dense_from(0, net.packed, net.layers[index].packed_bias, n, index, net)


@compiled
def dense_from(known: int, sums: Floats, place: int, n: int, index: int, net: Net) -> None:
    """Compute a dense layer from the sums over its first `known` inputs, the same for all."""
    layer, source, memory = net.layers[index], net.layers[index - 1], net.memory
    multiply(
        memory, source.output + known, source.stride, 1, layer.depth - known,
        net.packed, layer.packed + known * layer.columns, layer.columns, layer.columns,
        sums, place, 0,
        memory, layer.output, layer.stride, n,
    )  # fmt: skip
    for i in range(n if index < len(net.layers) - 1 else 0):
        place = layer.output + i * layer.stride
        for f in range(place, place + layer.filters, layout.LANES):
            values = simd.load(memory, f)
            simd.store(memory, f, simd.relu(values))


@compiled
def drop(mask: Floats, layer: Layer, values: Floats) -> None:
    """Multiply a layer's output, or its slopes, by the mask of dropout."""
    for i in range(len(mask)):
        place = layer.output + i * layer.stride
        for f in range(layer.filters):
            for q in range(layer.outputs):
                values[place + q * layer.filters + f] *= mask[i, f * layer.outputs + q]


@compiled
def multiply(  # noqa: PLR0913 -- three matrices, each an array, a place and strides
    x: Floats,
    x_place: int,
    x_row: int,
    x_step: int,
    depth: int,
    w: Floats,
    w_place: int,
    w_row: int,
    columns: int,
    add_to: Floats,
    add_place: int,
    add_row: int,
    out: Floats,
    out_place: int,
    out_row: int,
    rows: int,
) -> None:
    """Write out = add_to + x w, for x (rows, depth) and w (depth, columns).

    Columns are a whole number of tiles; rows are taken up to one, so that `x` must have something
    to read there, and `out` space to write.
    """
    # Rows inside, so that a column of tiles of w, which may be large, comes near once.
    column = 0
    while simd.DOUBLE_TILES and column + 2 * layout.COLUMNS <= columns:
        for row in range(0, rows, layout.ROWS):
            double = simd.load_double_tile(add_to, add_place + row * add_row + column, add_row)
            double = _add_products(
                double, x, x_place + row * x_row, x_row, x_step, depth, w, w_place + column, w_row
            )
            simd.store_tile(out, out_place + row * out_row + column, out_row, double)
        column += 2 * layout.COLUMNS
    while column < columns:
        for row in range(0, rows, layout.ROWS):
            tile = simd.load_tile(add_to, add_place + row * add_row + column, add_row)
            tile = _add_products(
                tile, x, x_place + row * x_row, x_row, x_step, depth, w, w_place + column, w_row
            )
            simd.store_tile(out, out_place + row * out_row + column, out_row, tile)
        column += layout.COLUMNS


@compiled
def _add_products(  # noqa: PLR0913
    tile: simd.Tile,
    x: Floats,
    x_index: int,
    x_row: int,
    x_step: int,
    depth: int,
    w: Floats,
    w_index: int,
    w_row: int,
) -> simd.Tile:
    """Add a product of matrices to a tile of either kind."""
    for _ in range(depth):
        tile = simd.outer_add(tile, x, x_index, x_row, w, w_index)
        x_index += x_step
        w_index += w_row
    return tile


@compiled
def logistic(log_odds: NDArray[Any], probabilities: NDArray[Any]) -> None:
    """Write 1 / (1 + exp(-x)) of each number, in its own precision."""
    one = log_odds.dtype.type(1)
    for i in range(len(log_odds)):
        probabilities[i] = one / (one + math.exp(-log_odds[i]))
