"""Predict single-base changes, and compute only what a change can reach.

A base reaches the filters that cover it, their pools, the filters that cover those, and so on: in
the paper's network at most 4 of 164, 3 of 40 and 2 of 9 positions, and then all dense units. The
rest is taken from the unchanged sequence.
"""

from __future__ import annotations

from enhancer_core.dna._numba import compiled
from enhancer_core.dna.codes import Codes
from enhancer_core.models.cpu.forward import (
    Words,
    convolve,
    dense,
    dense_from,
    multiply,
    pool,
    read,
    read_dna,
    respell,
)
from enhancer_core.models.cpu.layout import LANES, Changes, Floats, Layer, Layers, slides, table_row
from enhancer_core.models.cpu.sliding import slide_changes


@compiled
def substitute(  # noqa: PLR0913
    codes: Codes,
    changes: Changes,
    layers: Layers,
    convolutions: int,
    packed: Floats,
    memory: Floats,
    original: Floats,
    words: Words,
    scores: Floats,
) -> None:
    """Compute every layer's output for changes to another base; `original` is workspace."""
    if slides(layers, convolutions):
        slide_changes(codes, changes, layers[0], packed, memory, words, scores)
        for index in range(convolutions, len(layers)):
            dense(len(changes), layers, index, packed, memory)
        return
    last, row = layers[convolutions - 1], table_row(layers[0])
    same = last.outputs  # leading outputs of the last convolution that no change so far reaches
    for i in range(len(changes)):
        place = last.output + i * last.stride
        sequence, position, base = changes[i, 0], changes[i, 1], changes[i, 2]
        if i == 0 or sequence != changes[i - 1, 0]:
            read(codes[sequence], i, layers, convolutions, packed, memory, words, scores, None)
            _copy(memory, 0, original, 0, last.output)
            _copy(memory, place, original, last.output, last.stride)
        _copy(original, last.output, memory, place, last.stride)
        change = (base - codes[sequence, position]) * row
        respell(words, position, change)
        near = _read_near(
            position, i, layers, convolutions, packed, memory, original, words, scores
        )
        respell(words, position, -change)
        _restore(position, layers, convolutions, memory, original)
        same = min(same, near if sequence == changes[0, 0] else 0)
    _dense(len(changes), same, layers, convolutions, packed, memory, original)


@compiled
def _copy(source: Floats, begin: int, target: Floats, place: int, count: int) -> None:
    """Copy numbers; a slice could fail, for which machine code would need Python."""
    for i in range(count):
        target[place + i] = source[begin + i]


@compiled
def _dense(
    n: int,
    same: int,
    layers: Layers,
    convolutions: int,
    packed: Floats,
    memory: Floats,
    original: Floats,
) -> None:
    """Compute the dense layers; what all read alike at the beginning, the first sums once."""
    layer, source = layers[convolutions], layers[convolutions - 1]
    known = same * source.filters
    multiply(
        memory, source.output, source.stride, 1, known,
        packed, layer.packed, layer.columns, layer.columns,
        packed, layer.packed_bias, 0,
        original, layer.output, layer.stride, 1,
    )  # fmt: skip
    dense_from(known, original, layer.output, n, layers, convolutions, packed, memory)
    for index in range(convolutions + 1, len(layers)):
        dense(n, layers, index, packed, memory)


@compiled
def _read_near(  # noqa: PLR0913
    position: int,
    i: int,
    layers: Layers,
    convolutions: int,
    packed: Floats,
    memory: Floats,
    original: Floats,
    words: Words,
    scores: Floats,
) -> int:
    """Compute what the position of change i reaches; return the first output it may reach."""
    start, stop, source = position, position + 1, 0
    for index in range(convolutions):
        layer = layers[index]
        start, stop = _reach(layer, start, stop)
        if start >= stop:  # the pools end before the sequence does
            return int(layers[convolutions - 1].outputs)
        place = layer.output + i * layer.stride
        if index == 0:
            read_dna(words, layer, start, stop, packed, memory, place, None)
        else:
            convolve(layer, start, stop, packed, memory, source, scores)
            pool(layer, start, stop, scores, memory, place, None)
        # The last vector reached into the next output.
        end = stop * layer.filters
        _copy(original, layer.output + end, memory, place + end, LANES)
        source = place
    return start


@compiled
def _restore(
    position: int, layers: Layers, convolutions: int, memory: Floats, original: Floats
) -> None:
    """Undo what `_read_near` wrote where the next change would read it."""
    start, stop = position, position + 1
    for index in range(convolutions - 1):
        layer = layers[index]
        start, stop = _reach(layer, start, stop)
        begin, end = layer.output + start * layer.filters, layer.output + stop * layer.filters
        for place in range(begin, end):
            memory[place] = original[place]


@compiled
def _reach(layer: Layer, start: int, stop: int) -> tuple[int, int]:
    """Return the outputs that read positions start to stop; none if the pools end before."""
    first = max(start - layer.width + 1, 0) // layer.pool
    return first, min((stop - 1) // layer.pool + 1, layer.outputs)
