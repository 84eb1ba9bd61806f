"""Read off the weights which pairs of first-layer filters the second layer joins."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from enhancer_core.dna.codes import N_CODE, Codes
from enhancer_core.errors import ModelFileError
from enhancer_core.models.architecture import Architecture, Member
from enhancer_core.motifs.motif import information_content, ppm

Floats: TypeAlias = NDArray[np.float64]

# Bits of a position from which its base is planted. Half a bit, and filters of a network trained on
# planted pairs no longer knew their own consensus: the weak letters add up.
INFORMATIVE = 0.1


@dataclass(frozen=True, slots=True)
class Joint:
    """Two first-layer filters that the second layer joins."""

    first: int  # filters, by index; first <= second
    second: int
    strength: float  # of the distance at which they are joined most strongly
    pools: int  # that distance, 0 or more: places of the pooled first layer between their starts


def second_layer(architecture: Architecture) -> int:
    """Give the index of the convolution that reads the first one and counts in the output.

    Raises
    ------
    ModelFileError
        If the network has one convolution only, or the second reads one position only.

    Examples
    --------
    >>> from enhancer_core.models.architecture import NETWORKS
    >>> second_layer(NETWORKS["enhancer"]), second_layer(NETWORKS["original_code"])
    (1, 2)
    """
    if len(architecture.convolutions) < 2:
        raise ModelFileError("the network has one convolution; no second one joins its motifs")
    found = 1 if architecture.chained else len(architecture.convolutions) - 1
    if (
        architecture.convolutions[found].width * architecture.convolutions[0].pool == 1
    ):  # as of k-mers
        raise ModelFileError("the network's second convolution reads one position; it joins none")
    return found


def reach(architecture: Architecture) -> int:
    """Give the largest distance, bp between starts, at which the second layer joins two sites.

    Raises
    ------
    ModelFileError
        If the network has one convolution only.

    Examples
    --------
    >>> from enhancer_core.models.architecture import NETWORKS
    >>> reach(NETWORKS["enhancer"])  # 5 places of 3 bp
    14
    """
    return (
        architecture.convolutions[second_layer(architecture)].width
        * architecture.convolutions[0].pool
        - 1
    )


def consensus_sites(pfms: ArrayLike) -> Codes:
    """Spell the most frequent base of each position that tells something.

    Parameters
    ----------
    pfms
        Shape (F, 4, W): counts or probabilities, as `interpret.filter_pfms` gives.

    Returns
    -------
    uint8, shape (F, W)
        Base codes; N, which planting leaves as it was, where a position tells less than a tenth of
        a bit. A filter whose counts are all 0 has N alone.

    Examples
    --------
    >>> pfm = [[9, 0, 1], [0, 9, 1], [0, 0, 1], [0, 0, 1]]
    >>> consensus_sites([pfm, [[0] * 3] * 4]).tolist()
    [[0, 1, 4], [4, 4, 4]]
    """
    counts = np.asarray(pfms, dtype=np.float64)
    sites = np.full((len(counts), counts.shape[2]), N_CODE, dtype=np.uint8)
    for site, pfm in zip(sites, counts, strict=True):
        if pfm.any():
            tells = information_content(ppm(pfm)) >= INFORMATIVE
            site[tells] = pfm.argmax(axis=0)[tells]
    return sites


def joints(members: Sequence[Member], sites: Codes) -> list[Joint]:
    """Rank the pairs of first-layer filters by how strongly the second layer joins them.

    Parameters
    ----------
    members
        m networks of one architecture.
    sites
        uint8, shape (m F, W): the best sites of each member's filters, one member after another, as
        `consensus_sites` gives. A filter whose site is N alone takes no part.

    Returns
    -------
    list of Joint
        The strongest first; pairs of strength 0 are left out. A filter may be joined to itself.

    Raises
    ------
    ModelFileError
        If the network has one convolution only.

    Examples
    --------
    >>> from enhancer_core.models.architecture import Convolution, flatten, shapes
    >>> architecture = Architecture(
    ...     convolutions=(Convolution(2, 2, 2), Convolution(1, 2, 2)), dense=(), length=8
    ... )
    >>> sizes = shapes(architecture).items()
    >>> weights = {name: np.zeros(shape, np.float32) for name, shape in sizes}
    >>> weights["convolutions.0.weight"][:] = np.eye(4, 2)  # both look for AC
    >>> weights["convolutions.1.weight"][0] = np.eye(2)  # the first, and a pool on the second
    >>> weights["output.weight"][1] = 1
    >>> joints([Member(architecture, flatten(weights))], np.array([[0, 1], [0, 1]], np.uint8))
    [Joint(first=0, second=1, strength=4.0, pools=1)]
    """
    architecture = members[0].architecture
    size = architecture.convolutions[0].filters
    found = [
        replace(joint, first=joint.first + start, second=joint.second + start)
        for start, member in zip(itertools.count(step=size), members, strict=False)
        for joint in _joints(architecture, member.weights(), sites[start : start + size])
    ]
    return sorted(found, key=lambda joint: -joint.strength)


def _joints(
    architecture: Architecture, weights: Mapping[str, NDArray[np.float32]], sites: Codes
) -> list[Joint]:
    """Find the pairs that one network joins, the strongest first."""
    index = second_layer(architecture)
    names = list(weights)
    following = weights[names[names.index(f"convolutions.{index}.bias") + 1]]
    units = architecture.convolutions[index].filters
    count = np.sqrt((following.reshape(len(following), units, -1) ** 2.0).sum(axis=(0, 2)))
    found = np.maximum(weights[f"convolutions.{index}.weight"], 0.0)  # (units, F, K)
    found = found * _activations(weights, sites)[:, np.newaxis]
    width = found.shape[2]
    strengths = np.stack(
        [
            np.einsum("u,uat,ubt->ab", count, found[:, :, : width - d], found[:, :, d:])
            for d in range(width)
        ]
    )  # (K, F, F): b stands d pools behind a
    firsts, seconds = np.triu_indices(strengths.shape[1])
    # The other strand reads the same pair in the other order.
    pairs = strengths[:, firsts, seconds] + strengths[:, seconds, firsts]
    pairs[0] /= 2  # at no distance, and of a filter with itself, that is the same order
    pairs[1:, firsts == seconds] /= 2
    pairs[0, firsts == seconds] = 0  # one output is no pair
    best = pairs.argmax(axis=0)
    order = np.argsort(-pairs.max(axis=0), kind="stable")
    return [
        Joint(int(firsts[i]), int(seconds[i]), float(pairs[best[i], i]), int(best[i]))
        for i in order.tolist()
        if pairs[best[i], i] > 0
    ]


def _activations(weights: Mapping[str, NDArray[np.float32]], sites: Codes) -> Floats:
    """Give what each filter makes of its site, after the ReLU; 0 for a site of N alone."""
    filters = weights["convolutions.0.weight"].astype(np.float64)  # (F, 4, W)
    padded = np.concatenate([filters, filters.mean(axis=1, keepdims=True)], axis=1)  # N is 0.25
    scores = np.take_along_axis(padded, sites[:, np.newaxis].astype(np.int64), axis=1)
    sums = scores.sum(axis=(1, 2)) + weights["convolutions.0.bias"]
    found: Floats = np.where((sites == N_CODE).all(axis=1), 0.0, np.maximum(sums, 0.0))
    return found
