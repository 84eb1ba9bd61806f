"""Predict single-base changes, and compute only what a change can reach.

A base reaches the filters that cover it, their pools, the filters that cover those, and so on: in
the paper's network at most 4 of 164, 3 of 40 and 2 of 9 positions, and then all dense units. The
rest is taken from the unchanged sequence.
"""

from __future__ import annotations

from enhancer_core.dna._numba import compiled
from enhancer_core.dna.codes import Codes
from enhancer_core.models.cpu import forward
from enhancer_core.models.cpu.layout import LANES, Changes, Field, Floats, Layer, Net
from enhancer_core.models.cpu.sliding import slide_changes


@compiled
def substitute(codes: Codes, changes: Changes, original: Floats, *fields: Field) -> None:
    """Compute every layer's output for changes to another base; `original` is workspace."""
    net = Net(*fields)
    layers, convolutions, memory, words = net.layers, net.convolutions, net.memory, net.words
    if layers[0].slides:
        slide_changes(codes, changes, net)
        for index in range(convolutions, len(layers)):
            forward.dense(len(changes), index, net)
        return
    last, row = layers[convolutions - 1], layers[0].row
    same = last.outputs  # leading outputs of the last convolution that no change so far reaches
    for i in range(len(changes)):
        place = last.output + i * last.stride
        sequence, position, base = changes[i, 0], changes[i, 1], changes[i, 2]
        if i == 0 or sequence != changes[i - 1, 0]:
            forward.read(codes[sequence], i, net, None)
            _copy(memory, 0, original, 0, last.output)
            _copy(memory, place, original, last.output, last.stride)
        _copy(original, last.output, memory, place, last.stride)
        change = (base - codes[sequence, position]) * row
        forward.respell(words, position, change)
        near = _read_near(position, i, net, original)
        forward.respell(words, position, -change)
        _restore(position, net, original)
        same = min(same, near if sequence == changes[0, 0] else 0)
    _dense(len(changes), same, net, original)


@compiled
def _copy(source: Floats, begin: int, target: Floats, place: int, count: int) -> None:
    """Copy numbers; a slice could fail, for which machine code would need Python."""
    for i in range(count):
        target[place + i] = source[begin + i]


@compiled
def _dense(n: int, same: int, net: Net, original: Floats) -> None:
    """Compute the dense layers; what all read alike at the beginning, the first sums once."""
    layer, source = net.layers[net.convolutions], net.layers[net.convolutions - 1]
    known = same * source.filters
    forward.multiply(
        net.memory, source.output, source.stride, 1, known,
        net.packed, layer.packed, layer.columns, layer.columns,
        net.packed, layer.packed_bias, 0,
        original, layer.output, layer.stride, 1,
    )  # fmt: skip
    forward.dense_from(known, original, layer.output, n, net.convolutions, net)
    for index in range(net.convolutions + 1, len(net.layers)):
        forward.dense(n, index, net)


@compiled
def _read_near(position: int, i: int, net: Net, original: Floats) -> int:
    """Compute what the position of change i reaches; return the first output it may reach."""
    start, stop, source = position, position + 1, 0
    for index in range(net.convolutions):
        layer = net.layers[index]
        start, stop = _reach(layer, start, stop)
        if start >= stop:  # the pools end before the sequence does
            return int(net.layers[net.convolutions - 1].outputs)
        place = layer.output + i * layer.stride
        if index == 0:
            forward.read_dna(net.words, layer, start, stop, net.packed, net.memory, place, None)
        else:
            forward.convolve(layer, start, stop, net, source)
            forward.pool(layer, start, stop, net.scores, net.memory, place, None)
        # The last vector reached into the next output.
        end = stop * layer.filters
        _copy(original, layer.output + end, net.memory, place + end, LANES)
        source = place
    return start


@compiled
def _restore(position: int, net: Net, original: Floats) -> None:
    """Undo what `_read_near` wrote where the next change would read it."""
    start, stop = position, position + 1
    for index in range(net.convolutions - 1):
        layer = net.layers[index]
        start, stop = _reach(layer, start, stop)
        begin = layer.output + start * layer.filters
        _copy(original, begin, net.memory, begin, (stop - start) * layer.filters)


@compiled
def _reach(layer: Layer, start: int, stop: int) -> tuple[int, int]:
    """Return the outputs that read positions start to stop; none if the pools end before."""
    first = max(start - layer.width + 1, 0) // layer.pool
    return first, min((stop - 1) // layer.pool + 1, layer.outputs)
