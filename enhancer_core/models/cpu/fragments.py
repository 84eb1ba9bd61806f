"""The kernels of `sharing`: the fragments that windows share, and the windows from there on."""

from __future__ import annotations

from enhancer_core.dna._numba import compiled
from enhancer_core.dna.codes import Codes
from enhancer_core.models.architecture import CLASSES
from enhancer_core.models.cpu.forward import convolve, dense, pool, read, read_dna, read_on, spell
from enhancer_core.models.cpu.layout import LANES, Field, Floats, Fragments, Layers, Net
from enhancer_core.models.cpu.sharing import Numbers
from enhancer_core.models.cpu.simd import load, store


@compiled
def compute_fragments(codes: Codes, unpooled: Layers, fragments: Fragments, *fields: Field) -> None:
    """Compute fragments: those of one source pool the same scores, each from its phase on."""
    net = Net(*fields)
    if len(fragments):
        spell(codes, net.layers[0], net.words)
    end = 0
    while end < len(fragments):
        first, end = end, end + 1
        one = fragments[first]
        while end < len(fragments) and fragments[end].source == one.source:
            end += 1
        layer = net.layers[one.layer]
        step = layer.outputs_at_once
        for start in range(0, one.outputs, step):
            stop = min(start + step, one.outputs)
            after = stop + 1  # since the last phase ends later than the first, by less than a pool
            if one.layer == 0:
                begin, row = start * layer.pool, layer.filters
                read_dna(
                    net.words, unpooled[0], begin, after * layer.pool, net.packed, net.scores,
                    -begin * row, None,
                )  # fmt: skip
            else:
                convolve(layer, start, after, net, one.source)
            for i in range(first, end):
                phase, place = fragments[i].phase * layer.columns, fragments[i].place
                pool(layer, start, stop, net.scores[phase:], net.memory, place, None)


@compiled
def compute_windows(
    codes: Codes,
    starts: Numbers,
    places: Numbers,
    shared: int,
    sequences: int,
    length: int,
    logits: Floats,
    *fields: Field,
) -> None:
    """Compute the logits of windows, each from the last layer that they share."""
    net = Net(*fields)
    top, last, memory = net.layers[net.convolutions - 1], net.layers[-1], net.memory
    size = top.outputs * top.filters
    first = 0
    while first < len(starts):  # not a range, which fails at steps of 0
        n = min(sequences, len(starts) - first)
        for i in range(n):
            start, place = starts[first + i], places[first + i]
            if shared == 0:
                read(codes[start : start + length], i, net, None)
            elif shared < net.convolutions:
                read_on(shared, i, net, place, None)
            else:
                output = top.output + i * top.stride
                for f in range(0, size, LANES):
                    store(memory, output + f, load(memory, place + f))
        for index in range(net.convolutions, len(net.layers)):
            dense(n, index, net)
        for i in range(n):
            place = last.output + i * last.stride
            for j in range(CLASSES):  # not a slice, which could fail
                logits[first + i, j] = memory[place + j]
        first += n
