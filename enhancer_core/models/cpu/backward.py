"""The backward pass: sparse, since most gradients are zero.

A pool passes its slope (the gradient of the loss with respect to an activation) to one position,
and the ReLU zeroes about half of them: of each convolution's products a small share is left.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna._numba import compiled
from enhancer_core.dna.codes import Codes
from enhancer_core.models.cpu import layout, simd
from enhancer_core.models.cpu.forward import drop, multiply, spell
from enhancer_core.models.cpu.layout import Floats, Layer, Net, Words

Labels: TypeAlias = NDArray[np.int64]
_BETAS, _EPSILON = (0.9, 0.999), 1e-8  # of Adam


@compiled
def backward_pass(  # noqa: PLR0913
    codes: Codes,
    labels: Labels,
    share: float,
    net: Net,
    chosen: Floats,
    mask: Floats,
    slopes: Floats,
    gradients: Floats,
    live: NDArray[np.int64],
    nothing: Floats,
) -> float:
    """Add the gradients of some sequences to `gradients`, and return the sum of their losses.

    Memory and `chosen` hold the activations of the same sequences, from `forward_pass`.

    `slopes` and `chosen` are laid out as memory, `gradients` as the packed weights, with those of
    convolutions in the place of their transposed weights; `share` is the weight of a sequence in
    the mean. `live` is workspace, and `nothing` holds zeros.
    """
    layers, convolutions, memory = net.layers, net.convolutions, net.memory
    n, last = len(codes), len(layers) - 1
    loss = _cross_entropy(labels, share, layers[last], memory, slopes)
    for index in range(last, convolutions - 1, -1):
        source = layers[index - 1]
        _dense(n, layers[index], source, net, slopes, gradients, nothing)
        if index == last:
            drop(mask, source, slopes)
        for i in range(n):
            place = source.output + i * source.stride
            _relu_backward(source, memory, place, slopes, place)

    for i in range(n):
        for index in range(convolutions - 1, -1, -1):
            layer = layers[index]
            place = layer.output + i * layer.stride
            # One place serves the slopes of all sequences, so that it stays near in the cache; but
            # those of the last convolution came from the dense layers, all together.
            top = place if index == convolutions - 1 else layer.output
            if index == 0:
                spell(codes[i], layer, net.words)
                _first(layer, net.words, place, top, chosen, slopes, gradients)
                break
            source = layers[index - 1]
            below, bottom = source.output + i * source.stride, source.output
            slopes[bottom : bottom + source.stride] = 0
            _convolution(layer, place, top, below, bottom, net, chosen, slopes, gradients, live)
            _relu_backward(source, memory, below, slopes, bottom)
    return loss


@compiled
def _cross_entropy(
    labels: Labels, share: float, layer: Layer, memory: Floats, slopes: Floats
) -> float:
    """Return the sum of the losses, and write the slopes of the two logits."""
    loss = 0.0
    for i in range(len(labels)):
        place = layer.output + i * layer.stride
        difference = np.float64(memory[place + 1]) - memory[place]
        if labels[i] == 0:
            difference = -difference
        loss += max(-difference, 0.0) + math.log1p(math.exp(-abs(difference)))
        slope = share / (1 + math.exp(min(difference, 700.0)))
        slopes[place : place + layer.columns] = 0
        slopes[place + labels[i]] = -slope
        slopes[place + 1 - labels[i]] = slope
    return loss


@compiled
def _dense(
    n: int,
    layer: Layer,
    source: Layer,
    net: Net,
    slopes: Floats,
    gradients: Floats,
    nothing: Floats,
) -> None:
    for i in range(n):
        place = layer.output + i * layer.stride
        for f in range(layer.filters):
            gradients[layer.packed_bias + f] += slopes[place + f]
    multiply(
        net.memory, source.output, 1, source.stride, n,
        slopes, layer.output, layer.stride, layer.columns,
        gradients, layer.packed, layer.columns,
        gradients, layer.packed, layer.columns, layer.depth,
    )  # fmt: skip
    multiply(
        slopes, layer.output, layer.stride, 1, layer.filters,
        net.packed, layer.transposed, layer.padded_depth, layer.padded_depth,
        nothing, 0, 0,
        slopes, source.output, source.stride, n,
    )  # fmt: skip


@compiled
def _relu_backward(layer: Layer, memory: Floats, place: int, slopes: Floats, top: int) -> None:
    """Zero slopes where the ReLU was zero."""
    none = simd.spread(0.0)
    for i in range(0, layer.outputs * layer.filters, layout.LANES):
        output, slope = simd.load(memory, place + i), simd.load(slopes, top + i)
        simd.store(slopes, top + i, simd.where_greater(output, none, slope, none))


@compiled
def _convolution(  # noqa: PLR0913
    layer: Layer,
    place: int,
    top: int,
    below: int,
    bottom: int,
    net: Net,
    chosen: Floats,
    slopes: Floats,
    gradients: Floats,
    live: NDArray[np.int64],
) -> None:
    """Pass the slopes at `top` back to `bottom`, whose activations are at `below`."""
    filters, size, channels, depth = layer.filters, layer.pool, layer.channels, layer.depth
    transposed, padded_depth, bias = layer.transposed, layer.padded_depth, layer.packed_bias
    for f in range(filters):
        for j in range(0, depth, layout.STRIP):
            gradient = simd.load_strip(gradients, transposed + f * padded_depth + j)
            total = np.float32(0)
            for q in range(layer.outputs):
                slope = simd.number(slopes, top + q * filters + f)
                position = q * size + int(simd.number(chosen, place + q * filters + f))
                read = below + position * channels + j
                gradient = simd.add_scaled(gradient, slope, net.memory, read)
                total += slope
            simd.store_strip(gradients, transposed + f * padded_depth + j, gradient)
            if j == 0:
                gradients[bias + f] += total
    for q in range(layer.outputs):
        row, count = q * filters, 0
        for f in range(filters):  # no branch, since it could not be foreseen
            live[count] = f
            count += simd.number(slopes, top + row + f) != 0
        for i in range(count):
            f = simd.whole(live, i)
            slope = simd.number(slopes, top + row + f)
            position = q * size + int(simd.number(chosen, place + row + f))
            for j in range(0, depth, layout.STRIP):
                target = bottom + position * channels + j
                reached = simd.load_strip(slopes, target)
                weight = transposed + f * padded_depth + j
                reached = simd.add_scaled(reached, slope, net.packed, weight)
                simd.store_strip(slopes, target, reached)


@compiled
def _first(
    layer: Layer,
    words: Words,
    place: int,
    top: int,
    chosen: Floats,
    slopes: Floats,
    gradients: Floats,
) -> None:
    """Add each slope to the words that its filter read, where it read best."""
    filters, size, n_tables = layer.filters, layer.pool, layer.tables
    base, bias, table = layer.packed, layer.packed_bias, layout.WORDS * layer.row
    none = simd.spread(0.0)
    for q in range(layer.outputs):
        for f in range(0, filters, layout.LANES):
            slope = simd.load(slopes, top + q * filters + f)
            which = simd.load(chosen, place + q * filters + f)
            simd.store(gradients, bias + f, simd.add(slope, simd.load(gradients, bias + f)))
            for p in range(size):
                forward = simd.where_equal(which, simd.spread(2 * p), slope, none)
                reverse = simd.where_equal(which, simd.spread(2 * p + 1), slope, none)
                for t in range(n_tables):
                    word = simd.whole(words, q * size + p + t * layout.LETTERS)
                    row = base + t * table + word + 2 * f
                    simd.store(gradients, row, simd.add(forward, simd.load(gradients, row)))
                    row += layout.LANES
                    simd.store(gradients, row, simd.add(reverse, simd.load(gradients, row)))


@compiled
def adam(
    parameters: Floats, gradients: Floats, mean: Floats, square: Floats, rate: float, steps: int
) -> None:
    """Take Adam's step number `steps`, from 1 (Kingma and Ba 2015, algorithm 1)."""
    b1, b2 = np.float32(_BETAS[0]), np.float32(_BETAS[1])
    one = np.float32(1)
    step = np.float32(rate / (1 - _BETAS[0] ** steps))
    scale = np.float32(1 / math.sqrt(1 - _BETAS[1] ** steps))
    epsilon = np.float32(_EPSILON)
    for i in range(len(parameters)):
        g = gradients[i]
        mean[i] += (one - b1) * (g - mean[i])
        square[i] = b2 * square[i] + (one - b2) * g * g
        parameters[i] -= step * mean[i] / (np.sqrt(square[i]) * scale + epsilon)
