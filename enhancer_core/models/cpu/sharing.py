"""Predict windows that overlap, and compute once what they share.

Windows whose starts differ by a multiple of the pools up to a layer, multiplied, read the same
outputs of that layer. So its outputs over a stretch of DNA fall into fragments, one for each
remainder of the starts: what the layers make of the stretch from there on, in which the outputs of
any window lie next to each other (Giusti et al. 2013, "Fast image scanning with deep max-pooling
convolutional neural networks"). A layer is shared where its fragments are less work than what each
window needs of it; all sums are the same, in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from enhancer_core.models.cpu.layout import COLUMNS, FRAGMENT, LANES, ROWS, Fragments, Plan, padded

Numbers: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sharing:
    """How the windows of a block share their first layers."""

    layers: int  # how many
    fragments: Fragments  # layer by layer, those of one source next to each other
    places: Numbers  # (n,): where in memory each window's part of the last shared layer begins
    memory: int


def share(plan: Plan, starts: Numbers) -> Sharing:
    """Plan the fragments for windows at `starts`, the first 0, in memory after the plan's own."""
    layers, last = plan.layers[: plan.convolutions], starts[-1]
    strides = np.cumprod([1, *layers["pool"]])  # bp from one output of a window to the next
    remainders = [np.unique(starts % stride) for stride in strides]
    outputs = last // strides[1:] + layers["outputs"]
    work = layers["pool"] * layers["depth"] * layers["columns"]
    work[0] = layers["pool"][0] * layers["tables"][0] * layers["row"][0]
    together = [len(each) for each in remainders[:-1]] * outputs * work
    apart = len(starts) * layers["outputs"] * work
    shared = int(np.cumsum([0, *(apart - together)]).argmax())
    if shared and layers["slides"][0]:
        stride = int(layers[0]["stride"])
        return Sharing(
            layers=1,
            fragments=np.zeros(0, FRAGMENT),
            places=plan.memory + stride * np.arange(len(starts)),
            memory=plan.memory + stride * len(starts),
        )

    # What is read, one pool more in whole tiles, and written, in whole vectors, reaches beyond.
    lengths = outputs + ROWS + np.append(layers["pool"][1:], 0)
    sizes = padded(lengths * layers["filters"] + LANES, COLUMNS)
    end, places, fragments = plan.memory, np.zeros(1, np.int64), [np.zeros(0, FRAGMENT)]
    for index in range(shared):
        phases = remainders[index + 1]
        source = np.searchsorted(remainders[index], phases % strides[index])
        rows = np.zeros(len(phases), FRAGMENT)
        rows["layer"], rows["outputs"] = index, outputs[index]
        rows["source"], rows["phase"] = places[source], phases // strides[index]
        rows["place"] = places = end + sizes[index] * np.arange(len(phases))
        fragments.append(rows[np.argsort(source, kind="stable")])
        end += sizes[index] * len(phases)
    own = np.searchsorted(remainders[shared], starts % strides[shared])
    return Sharing(
        layers=shared,
        fragments=np.concatenate(fragments),
        places=places[own] + starts // strides[shared] * layers["filters"][shared - 1],
        memory=int(end),
    )
