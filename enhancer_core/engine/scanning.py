"""Predict windows that overlap, and compute once what they share.

Windows whose starts differ by a multiple of the pools up to a layer, multiplied, read the same
outputs of that layer. So its outputs over a stretch of DNA fall into fragments, one for each
remainder of the starts: what the layers make of the stretch from there on, in which the outputs of
any window lie next to each other (Giusti et al. 2013, "Fast image scanning with deep max-pooling
convolutional neural networks"). A layer is shared where its fragments are less work than what each
window needs of it; all sums are the same, in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray

from enhancer_core.architecture import CLASSES
from enhancer_core.compiled import compiled
from enhancer_core.dna import Codes
from enhancer_core.engine.forward import (
    Words,
    convolve,
    dense,
    pool,
    read,
    read_dna,
    read_on,
    spell,
)
from enhancer_core.engine.plan import LETTERS, Layer, Layers, Plan, aligned, table_row, tables
from enhancer_core.engine.sliding import room, slide, slides
from enhancer_core.engine.vectors import COLUMNS, LANES, ROWS, Floats, load, padded, store

Numbers: TypeAlias = NDArray[np.int64]
Fragments: TypeAlias = NDArray[np.void]  # (m,) of FRAGMENT

_SPAN = 1 << 14  # bp between the first and the last start of a block, if not long windows ask more
_POSITIONS = 192  # scored at once, so that their scores stay near in the cache

FRAGMENT = np.dtype(
    [
        ("layer", np.int64),
        ("source", np.int64),  # in memory: the fragment of the layer before
        ("phase", np.int64),  # the first position of the source that is pooled
        ("outputs", np.int64),
        ("place", np.int64),  # in memory: (outputs, filters)
    ]
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sharing:
    """How the windows of a block share their first layers."""

    layers: int  # so many of them
    fragments: Fragments  # layer by layer, those of one source next to each other
    places: Numbers  # (n,): where in memory each window's part of the last shared layer begins
    memory: int


def scan(plan: Plan, packed: Floats, codes: Codes, starts: Numbers, length: int) -> Floats:
    """Compute the logits, float32 (n, 2), of windows of `length` bp of codes (C,), all inside.

    `starts` ascend.
    """
    layers = plan.layers.copy()
    layers["columns"][0] = layers["filters"][0]  # in scores, since `read_dna` leaves no room
    # The first layer as it scores single positions, of which the best is the pool's: its bias and
    # its ReLU change no order.
    unpooled = layers[:1].copy()
    unpooled["pool"] = 1
    positions = [padded((_outputs_at_once(each) + 1) * each["pool"], ROWS) for each in layers]
    size = max(plan.scores, room(layers), *positions * layers["columns"])
    scores = aligned(int(size) + LANES)
    span = max(_SPAN, 4 * length)
    words = np.zeros(span + 2 * length + LETTERS, np.int64)
    memory = aligned(plan.memory)
    found = np.empty((len(starts), CLASSES), np.float32)
    relative = np.zeros(0, np.int64)
    for block in _blocks(starts, span):
        first = starts[block.start]
        some = starts[block] - first
        if not np.array_equal(some, relative):  # blocks of windows at even distances are alike
            relative, sharing = some, share(plan, some)
            memory = memory if len(memory) >= sharing.memory else aligned(sharing.memory)
        stretch = codes[first : first + some[-1] + length]
        if sharing.layers and slides(layers, plan.convolutions):
            spell(stretch, layers[0], words)
            stride = int(layers[0]["stride"])
            slide(words, some, layers[0], packed, memory, plan.memory, stride, scores)
        _fragments(stretch, layers, unpooled, sharing.fragments, packed, memory, words, scores)
        _windows(
            stretch, some, sharing.places, sharing.layers, layers, plan.convolutions,
            plan.sequences, length, packed, memory, words, scores, found[block],
        )  # fmt: skip
    return found


def _blocks(starts: Numbers, span: int) -> Iterator[slice]:
    end = 0
    while end < len(starts):
        begin, end = end, int(np.searchsorted(starts, starts[end] + span, side="right"))
        yield slice(begin, end)


def share(plan: Plan, starts: Numbers) -> Sharing:
    """Plan the fragments for windows at `starts`, the first 0, in memory after the plan's own."""
    layers, last = plan.layers[: plan.convolutions], starts[-1]
    strides = np.cumprod([1, *layers["pool"]])  # bp from one output of a window to the next
    remainders = [np.unique(starts % stride) for stride in strides]
    outputs = last // strides[1:] + layers["outputs"]
    work = layers["pool"] * layers["depth"] * layers["columns"]
    work[0] = layers["pool"][0] * tables(layers[0]) * table_row(layers[0])
    together = [len(each) for each in remainders[:-1]] * outputs * work
    apart = len(starts) * layers["outputs"] * work
    shared = int(np.cumsum([0, *(apart - together)]).argmax())
    if shared and slides(layers, plan.convolutions):
        stride = int(layers[0]["stride"])
        return Sharing(
            layers=1,
            fragments=np.zeros(0, FRAGMENT),
            places=plan.memory + stride * np.arange(len(starts)),
            memory=plan.memory + stride * len(starts),
        )

    # What is read, one pool more in whole tiles, and written, in whole vectors, reaches beyond.
    rows = outputs + ROWS + np.append(layers["pool"][1:], 0)
    sizes = (rows * layers["filters"] + LANES + COLUMNS - 1) // COLUMNS * COLUMNS
    end, places, fragments = plan.memory, np.zeros(1, np.int64), [np.zeros(0, FRAGMENT)]
    for index in range(shared):
        these = remainders[index + 1]
        source = np.searchsorted(remainders[index], these % strides[index])
        made = np.zeros(len(these), FRAGMENT)
        made["layer"], made["outputs"] = index, outputs[index]
        made["source"], made["phase"] = places[source], these // strides[index]
        made["place"] = places = end + sizes[index] * np.arange(len(these))
        fragments.append(made[np.argsort(source, kind="stable")])
        end += sizes[index] * len(these)
    own = np.searchsorted(remainders[shared], starts % strides[shared])
    return Sharing(
        layers=shared,
        fragments=np.concatenate(fragments),
        places=places[own] + starts // strides[shared] * layers["filters"][shared - 1],
        memory=int(end),
    )


@register_jitable
def _outputs_at_once(layer: Layer) -> int:
    count: int = max(_POSITIONS // layer["pool"], 1)
    return count


@compiled
def _fragments(
    codes: Codes,
    layers: Layers,
    unpooled: Layers,
    fragments: Fragments,
    packed: Floats,
    memory: Floats,
    words: Words,
    scores: Floats,
) -> None:
    """Compute fragments: those of one source pool the same scores, each from its phase on."""
    if len(fragments):
        spell(codes, layers[0], words)
    end = 0
    while end < len(fragments):
        first, end = end, end + 1
        one = fragments[first]
        while end < len(fragments) and fragments[end].source == one.source:
            end += 1
        layer = layers[one.layer]
        step = _outputs_at_once(layer)
        for start in range(0, one.outputs, step):
            stop = min(start + step, one.outputs)
            after = stop + 1  # since the last phase ends later than the first, by less than a pool
            if one.layer == 0:
                begin, row = start * layer.pool, layer.filters
                read_dna(
                    words, unpooled[0], begin, after * layer.pool, packed, scores, -begin * row,
                    None,
                )  # fmt: skip
            else:
                convolve(layer, start, after, packed, memory, one.source, scores)
            for i in range(first, end):
                phase, place = fragments[i].phase * layer.columns, fragments[i].place
                pool(layer, start, stop, scores[phase:], memory, place, None)


@compiled
def _windows(  # noqa: PLR0913
    codes: Codes,
    starts: Numbers,
    places: Numbers,
    shared: int,
    layers: Layers,
    convolutions: int,
    sequences: int,
    length: int,
    packed: Floats,
    memory: Floats,
    words: Words,
    scores: Floats,
    found: Floats,
) -> None:
    """Compute the logits of windows, each from the last layer that they share."""
    top, last = layers[convolutions - 1], layers[-1]
    size = top.outputs * top.filters
    for first in range(0, len(starts), sequences):
        n = min(sequences, len(starts) - first)
        for i in range(n):
            start, place = starts[first + i], places[first + i]
            if shared == 0:
                window = codes[start : start + length]
                read(window, i, layers, convolutions, packed, memory, words, scores, None)
            elif shared < convolutions:
                read_on(shared, i, layers, convolutions, packed, memory, place, scores, None)
            else:
                output = top.output + i * top.stride
                for f in range(0, size, LANES):
                    store(memory, output + f, load(memory, place + f))
        for index in range(convolutions, len(layers)):
            dense(n, layers, index, packed, memory)
        for i in range(n):
            place = last.output + i * last.stride
            found[first + i] = memory[place : place + CLASSES]
