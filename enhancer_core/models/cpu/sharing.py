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
from numpy.typing import NDArray

from enhancer_core.dna.codes import Codes
from enhancer_core.models.architecture import CLASSES
from enhancer_core.models.cpu.layout import (
    COLUMNS,
    FRAGMENT,
    LANES,
    LETTERS,
    ROWS,
    Floats,
    Fragments,
    Layer,
    Plan,
    aligned,
    padded,
    slides,
    sliding_room,
    table_row,
    tables,
)
from enhancer_core.models.cpu.object_cache import entry

Numbers: TypeAlias = NDArray[np.int64]

_SPAN = 1 << 14  # bp between the first and the last start of a block, if not long windows ask more
_POSITIONS = 192  # scored at once, so that their scores stay near in the cache


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
    positions = [padded((outputs_at_once(each) + 1) * each["pool"], ROWS) for each in layers]
    size = max(plan.scores, sliding_room(layers), *positions * layers["columns"])
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
            entry("slide")(stretch, some, layers, plan.memory, packed, memory, words, scores)
        entry("fragments")(
            stretch, layers, unpooled, sharing.fragments, packed, memory, words, scores
        )
        entry("windows")(
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


def outputs_at_once(layer: Layer) -> int:
    """Count the outputs of a layer that are scored at once."""
    count: int = max(_POSITIONS // layer["pool"], 1)
    return count
