"""Which first-layer motifs a network's second layer joins, and whether planting them says so too.

A unit of the second layer reads the pooled outputs of the first at a few places. Two filters that
it weighs positively, at places t and t', are joined at a distance of t' - t pools. How strongly is
the product of what each adds when its best site is there, summed over all units and places, a unit
counting by how strongly the next layer reads it. So no scale counts that a ReLU lets pass from one
layer to the next.

The weights are a hint only: they know the distance to a pool's width, and nothing of what later
layers make of a unit. The test is to plant. Of two sites in background DNA the interaction is the
log odds with both, less those with either alone, plus those with none: 0 if what they tell just
adds up (Avsec et al. 2021, in silico motif interactions). Scores are means of both strands, so a
pair that is turned round as a whole is the same pair, and four things are told apart: on the strand
of the first site, the second may stand before or behind it, on the same strand or the opposite one.

That is what a genome may care about. A network of this kind can hardly: its first layer keeps the
better strand and forgets which it was, so sites far enough apart count alike on either, and with
both strands read, in either order. That its interaction is the same four times is a finding too.

References
----------
Avsec Z. et al. (2021). Nature Genetics 53:354-366.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t

from enhancer_core.architecture import Architecture
from enhancer_core.dna import N_CODE, Codes, reverse_complement
from enhancer_core.errors import ModelFileError, SequenceError
from enhancer_core.motif import information_content, ppm
from enhancer_core.predict import Scorer, log_odds

Floats: TypeAlias = NDArray[np.float64]

CONFIDENCE = 0.95  # of all pairs' intervals together
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


@dataclass(frozen=True, slots=True, eq=False)
class Interactions:
    """What planting two sites does, by spacing, orientation and background.

    Parameters
    ----------
    joint
        The pair.
    spacings
        int64, shape (S,), bp: from the leftmost base of the first site, which is on the forward
        strand, to the leftmost of the second; below 0 where the second stands before the first.
    values
        float64, shape (n, S, 2), log odds: what both sites together add beyond the sum of each
        alone, in n backgrounds, with the second site on the same strand and on the opposite one;
        nan where the two need one place.
    first
        float64, shape (n,), log odds: what the first site adds alone.
    second
        float64, shape (n, S, 2), log odds: what the second adds alone; nan as in `values`.
    """

    joint: Joint
    spacings: NDArray[np.int64]
    values: Floats
    first: Floats
    second: Floats


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """The arrangement that half of the backgrounds chose, and what the other half says of it."""

    joint: Joint
    spacing: int  # bp, as in `Interactions`
    same_strand: bool
    interaction: float  # log odds, mean of the other half
    low: float  # interval of the mean; those of all pairs hold together
    high: float
    turned: float  # mean of the other half, with the second site turned round in its place
    swapped: float  # likewise, as far on the other side of the first; nan where it does not fit
    elsewhere: float  # likewise, over all other spacings and orientations
    alone: tuple[float, float]  # log odds that each site adds alone, mean of the other half


def second_layer(wanted: Architecture) -> int:
    """Give the index of the convolution that reads the first one and counts in the output.

    Raises
    ------
    ModelFileError
        If the network has one convolution only.

    Examples
    --------
    >>> from enhancer_core.architecture import NETWORKS
    >>> second_layer(NETWORKS["enhancer"]), second_layer(NETWORKS["original_code"])
    (1, 2)
    """
    if len(wanted.convolutions) < 2:
        raise ModelFileError("the network has one convolution; no second one joins its motifs")
    return 1 if wanted.chained else len(wanted.convolutions) - 1


def reach(wanted: Architecture) -> int:
    """Give the largest distance, bp between starts, at which the second layer joins two sites.

    Raises
    ------
    ModelFileError
        If the network has one convolution only.

    Examples
    --------
    >>> from enhancer_core.architecture import NETWORKS
    >>> reach(NETWORKS["enhancer"])  # 5 places of 3 bp
    14
    """
    return wanted.convolutions[second_layer(wanted)].width * wanted.convolutions[0].pool - 1


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


def joints(
    wanted: Architecture, weights: Mapping[str, NDArray[np.float32]], sites: Codes
) -> list[Joint]:
    """Rank the pairs of first-layer filters by how strongly the second layer joins them.

    Parameters
    ----------
    wanted, weights
        A network, as `checkpoint.Model` has it.
    sites
        uint8, shape (F, W): the filters' best sites, as `consensus_sites` gives. A filter whose
        site is N alone takes no part.

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
    >>> from enhancer_core.architecture import Convolution, shapes
    >>> wanted = Architecture(
    ...     convolutions=(Convolution(2, 2, 2), Convolution(1, 2, 2)), dense=(), length=8
    ... )
    >>> weights = {name: np.zeros(shape, np.float32) for name, shape in shapes(wanted).items()}
    >>> weights["convolutions.0.weight"][:] = np.eye(4, 2)  # both look for AC
    >>> weights["convolutions.1.weight"][0] = np.eye(2)  # the first, and a pool on the second
    >>> weights["output.weight"][1] = 1
    >>> joints(wanted, weights, np.array([[0, 1], [0, 1]], np.uint8))
    [Joint(first=0, second=1, strength=4.0, pools=1)]
    """
    index = second_layer(wanted)
    names = list(weights)
    following = weights[names[names.index(f"convolutions.{index}.bias") + 1]]
    units = wanted.convolutions[index].filters
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


def anchors(
    n: int, wanted: Architecture, *, spacing: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw where the first site begins in each of n backgrounds: near the middle, in any phase.

    Pools read a site at one of their phases; over the pools of the first two layers all come up,
    as far as a second site `spacing` bp before or behind the first has room.

    Returns
    -------
    int64, shape (n,)
        bp from the start.

    Raises
    ------
    SequenceError
        If there is no room.

    Examples
    --------
    >>> from enhancer_core.architecture import NETWORKS
    >>> anchors(3, NETWORKS["enhancer"], spacing=30, rng=np.random.default_rng(0)).tolist()
    [250, 247, 246]
    """
    last = wanted.length - wanted.convolutions[0].width
    room = last - 2 * spacing + 1
    if room < 1:
        raise SequenceError(
            f"spacings of -{spacing} to {spacing} bp do not fit sequences of {wanted.length} bp"
        )
    pools = wanted.convolutions[0].pool * wanted.convolutions[second_layer(wanted)].pool
    phases = min(pools, room)
    return (last - phases + 1) // 2 + rng.integers(phases, size=n)


def interactions(
    network: Scorer,
    joint: Joint,
    sites: Codes,
    backgrounds: Codes,
    starts: NDArray[np.int64],
    *,
    spacings: NDArray[np.int64],
    threads: int = 1,
) -> Interactions:
    """Plant two sites in backgrounds, together and each alone, at every spacing and orientation.

    Parameters
    ----------
    network
        On any device.
    joint
        Whose sites to plant.
    sites
        uint8, shape (F, W): N leaves what is there.
    backgrounds
        uint8, shape (n, L), values 0-4, L the length that the network reads.
    starts
        int64, shape (n,): where the first site begins.
    spacings
        int64, shape (S,), bp, as in `Interactions`; the second site must be inside.
    threads
        Batches scored side by side; the result does not depend on it.

    Returns
    -------
    Interactions
        Of each background.

    Raises
    ------
    SequenceError
        If L is not the network's, or a site is not inside.
    """
    places = starts[:, np.newaxis] + spacings
    last = backgrounds.shape[1] - sites.shape[1]
    if min(places.min(), starts.min()) < 0 or max(places.max(), starts.max()) > last:
        raise SequenceError(
            f"spacings of {spacings.min()} to {spacings.max()} bp do not fit sequences of"
            f" {backgrounds.shape[1]} bp"
        )

    def score(codes: Codes) -> Floats:
        flat = codes.reshape(-1, codes.shape[-1])
        strands = [
            log_odds(network, each, threads=threads) for each in (flat, reverse_complement(flat))
        ]
        mean: Floats = np.stack(strands).mean(axis=0, dtype=np.float64)
        return mean.reshape(codes.shape[:-1])

    first, second = sites[joint.first], sites[joint.second]
    with_first = _planted(backgrounds, first, starts)
    none = score(backgrounds)
    adds = score(with_first) - none
    values, others = (np.full((*places.shape, 2), np.nan) for _ in range(2))
    for column, site in enumerate((second, reverse_complement(second))):
        fits = np.array([not _collide(first, site, spacing) for spacing in spacings.tolist()])
        at = places[:, fits]
        both, alone = (
            score(_planted(np.repeat(codes[:, np.newaxis], at.shape[1], axis=1), site, at))
            for codes in (with_first, backgrounds)
        )
        values[:, fits, column] = both - alone - adds[:, np.newaxis]
        others[:, fits, column] = alone - none[:, np.newaxis]
    return Interactions(joint, spacings, values, adds, others)


def _planted(codes: Codes, site: Codes, starts: NDArray[np.int64]) -> Codes:
    """Copy codes (..., L) with a site at starts (...)."""
    kept = np.flatnonzero(site != N_CODE)
    changed = codes.copy()
    values = np.broadcast_to(site[kept], (*starts.shape, len(kept)))
    np.put_along_axis(changed, starts[..., np.newaxis] + kept, values, axis=-1)
    return changed


def _collide(first: Codes, second: Codes, spacing: int) -> bool:
    """Say whether two sites would write on one place."""
    ones, others = (np.flatnonzero(site != N_CODE) for site in (first, second))
    return bool(np.isin(ones, others + spacing).any())


def findings(tested: Sequence[Interactions]) -> list[Finding]:
    """Choose each pair's best arrangement on half of the backgrounds, and judge it on the other.

    Parameters
    ----------
    tested
        Of one or more pairs, each in 4 backgrounds or more; those that nowhere fit are left out.

    Returns
    -------
    list of Finding
        In the same order. Intervals are Student's, at a confidence that lets all of them hold
        together with 95 % (Bonferroni).

    Raises
    ------
    SequenceError
        If there are fewer than 4 backgrounds.

    Examples
    --------
    >>> values = np.array([[[0.0, 1.0]], [[0.0, 3.0]], [[0.2, 1.9]], [[0.4, 2.1]]])
    >>> alone = np.zeros(4), np.zeros((4, 1, 2))
    >>> found = findings([Interactions(Joint(0, 1, 1.0, 3), np.array([9]), values, *alone)])[0]
    >>> found.spacing, found.same_strand, round(found.interaction, 2), round(found.elsewhere, 2)
    (9, False, 2.0, 0.3)
    """
    found = []
    for each in tested:
        half = len(each.values) // 2
        if half < 2:
            raise SequenceError(f"{len(each.values)} backgrounds; at least 4 are needed")
        choosing = each.values[:half].mean(axis=0)
        if np.isnan(choosing).all():
            continue
        row, column = divmod(int(np.nanargmax(choosing)), choosing.shape[1])
        judging = each.values[half:]
        mean, low, high = mean_interval(judging[:, row, column], shared_by=len(tested))
        means, spacing = judging.mean(axis=0), int(each.spacings[row])
        swapped = means[each.spacings == -spacing, column]
        others = np.delete(means.ravel(), row * means.shape[1] + column)
        others = others[~np.isnan(others)]
        alone = float(each.first[half:].mean()), float(each.second[half:, row, column].mean())
        found.append(
            Finding(
                joint=each.joint,
                spacing=spacing,
                same_strand=column == 0,
                interaction=mean,
                low=low,
                high=high,
                turned=float(means[row, 1 - column]),
                swapped=float(swapped[0]) if swapped.size else np.nan,
                elsewhere=float(others.mean()) if others.size else np.nan,
                alone=alone,
            )
        )
    return found


def mean_interval(values: Floats, *, shared_by: int = 1) -> tuple[float, float, float]:
    """Give a mean and its Student interval, at 95 % for all the `shared_by` intervals together.

    Parameters
    ----------
    values
        float64, shape (n,), n >= 2.

    Examples
    --------
    >>> mean, low, high = mean_interval(np.array([1.0, 2.0, 3.0]))
    >>> round(mean, 3), round(low, 3), round(high, 3)  # 2 and 4.303 times 1 / sqrt(3)
    (2.0, -0.484, 4.484)
    """
    mean = float(values.mean())
    error = float(values.std(ddof=1)) / np.sqrt(len(values))
    tail = (1 - CONFIDENCE) / shared_by / 2
    width = float(t.ppf(1 - tail, len(values) - 1)) * error
    return mean, float(mean - width), float(mean + width)
