"""Rank pairs of first-layer filters by how strongly the second layer's weights combine them.

A unit of the second layer reads the pooled outputs of the first at a few positions. Two filters
that it weighs positively, at positions t and t', form a pair at a distance of t' - t pools. The
strength of the pair is the product of what each adds when its best site is there, summed over
units and positions, each unit weighted by the norm of the next layer's weights for it: so no
rescaling counts that a ReLU lets pass from one layer to the next.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from enhancer_core.dna.codes import N_CODE, Codes
from enhancer_core.errors import ModelFileError
from enhancer_core.models.architecture import Architecture
from enhancer_core.models.parameters import Member
from enhancer_core.motifs.motif import information_content, ppm

Floats: TypeAlias = NDArray[np.float64]

# Bits of a position from which its base is planted. With half a bit, filters of a network trained
# on planted pairs were not activated by their own consensus: the weak letters add up.
INFORMATIVE = 0.1


@dataclass(frozen=True, slots=True)
class FilterPair:
    """Two first-layer filters that the second layer combines."""

    first: int  # filters, by index; first <= second
    second: int
    strength: float  # at the distance of the largest
    pools: int  # that distance, 0 or more: positions of the pooled first layer between their starts


def second_layer_index(architecture: Architecture) -> int:
    """Return the index of the convolution that reads the first one and counts in the output.

    Raises
    ------
    ModelFileError
        If the network has one convolution only, or the second reads one position only.
    """
    if len(architecture.convolutions) < 2:
        raise ModelFileError("the network has one convolution; no second one joins its motifs")
    index = 1 if architecture.chained else len(architecture.convolutions) - 1
    if architecture.convolutions[index].width * architecture.convolutions[0].pool == 1:  # of k-mers
        raise ModelFileError("the network's second convolution reads one position; it joins none")
    return index


def max_distance(architecture: Architecture) -> int:
    """Return the largest distance, bp between starts, at which a second-layer unit reads two sites.

    It raises as `second_layer_index` does.
    """
    width = architecture.convolutions[second_layer_index(architecture)].width
    return width * architecture.convolutions[0].pool - 1


def consensus_sites(pfms: ArrayLike) -> Codes:
    """Return the most frequent base of each informative position, uint8 (F, W).

    `pfms`, shape (F, 4, W), are counts or probabilities, as of `filter_pfms`. N, where planting
    changes nothing, stands at positions of less than 0.1 bit and in filters without counts.
    """
    counts = np.asarray(pfms, dtype=np.float64)
    sites = np.full((len(counts), counts.shape[2]), N_CODE, dtype=np.uint8)
    for site, pfm in zip(sites, counts, strict=True):
        if pfm.any():
            informative = information_content(ppm(pfm)) >= INFORMATIVE
            site[informative] = pfm.argmax(axis=0)[informative]
    return sites


def rank_pairs(members: Sequence[Member], sites: Codes) -> list[FilterPair]:
    """Rank the pairs of first-layer filters by how strongly the second layer combines them.

    Parameters
    ----------
    members
        m networks of one architecture.
    sites
        uint8, shape (m F, W): of each member's filters, one member after another, as of
        `consensus_sites`. Filters whose site is all N are left out.

    Returns
    -------
    list of FilterPair
        The strongest first; pairs of strength 0 are left out. A filter may pair with itself.

    Raises
    ------
    ModelFileError
        As `second_layer_index`.
    """
    architecture = members[0].architecture
    size = architecture.convolutions[0].filters
    pairs = [
        replace(pair, first=pair.first + start, second=pair.second + start)
        for start, member in zip(itertools.count(step=size), members, strict=False)
        for pair in _joints(architecture, member.weights(), sites[start : start + size])
    ]
    return sorted(pairs, key=lambda pair: -pair.strength)


def _joints(
    architecture: Architecture, weights: Mapping[str, NDArray[np.float32]], sites: Codes
) -> list[FilterPair]:
    """Rank the pairs of one network."""
    index = second_layer_index(architecture)
    names = list(weights)
    following = weights[names[names.index(f"convolutions.{index}.bias") + 1]]
    units = architecture.convolutions[index].filters
    importance = np.sqrt((following.reshape(len(following), units, -1) ** 2.0).sum(axis=(0, 2)))
    effects = np.maximum(weights[f"convolutions.{index}.weight"], 0.0)  # (units, F, K)
    effects = effects * _activations(weights, sites)[:, np.newaxis]
    width = effects.shape[2]
    strengths = np.stack(
        [
            np.einsum("u,uat,ubt->ab", importance, effects[:, :, : width - d], effects[:, :, d:])
            for d in range(width)
        ]
    )  # (K, F, F): b is d pools behind a
    firsts, seconds = np.triu_indices(strengths.shape[1])
    # The other strand reads the same pair in the other order.
    pairs = strengths[:, firsts, seconds] + strengths[:, seconds, firsts]
    pairs[0] /= 2  # at no distance, and of a filter with itself, that is the same order
    pairs[1:, firsts == seconds] /= 2
    pairs[0, firsts == seconds] = 0  # one output is no pair
    best = pairs.argmax(axis=0)
    order = np.argsort(-pairs.max(axis=0), kind="stable")
    return [
        FilterPair(int(firsts[i]), int(seconds[i]), float(pairs[best[i], i]), int(best[i]))
        for i in order.tolist()
        if pairs[best[i], i] > 0
    ]


def _activations(weights: Mapping[str, NDArray[np.float32]], sites: Codes) -> Floats:
    """Compute each filter's activation by its own site, after the ReLU; 0 if that is all N."""
    filters = weights["convolutions.0.weight"].astype(np.float64)  # (F, 4, W)
    padded = np.concatenate([filters, filters.mean(axis=1, keepdims=True)], axis=1)  # N is 0.25
    scores = np.take_along_axis(padded, sites[:, np.newaxis].astype(np.int64), axis=1)
    sums = scores.sum(axis=(1, 2)) + weights["convolutions.0.bias"]
    activations: Floats = np.where((sites == N_CODE).all(axis=1), 0.0, np.maximum(sums, 0.0))
    return activations
