"""Plant pairs of sites in background, and judge what both together add beyond each alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from enhancer_core.dna.codes import N_CODE, Codes, reverse_complement
from enhancer_core.errors import SequenceError
from enhancer_core.interpretation.second_layer import Floats, Joint, second_layer
from enhancer_core.models.architecture import Architecture
from enhancer_core.models.ensemble import Predictor
from enhancer_core.prediction.sequences import log_odds

CONFIDENCE = 0.95  # of all pairs' intervals together


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


def anchors(
    n: int, architecture: Architecture, *, spacing: int, rng: np.random.Generator
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
    >>> from enhancer_core.models.architecture import NETWORKS
    >>> anchors(3, NETWORKS["enhancer"], spacing=30, rng=np.random.default_rng(0)).tolist()
    [250, 247, 246]
    """
    last = architecture.length - architecture.convolutions[0].width
    room = last - 2 * spacing + 1
    if room < 1:
        raise SequenceError(
            f"spacings of -{spacing} to {spacing} bp do not fit sequences of"
            f" {architecture.length} bp"
        )
    pools = (
        architecture.convolutions[0].pool
        * architecture.convolutions[second_layer(architecture)].pool
    )
    phases = min(pools, room)
    return (last - phases + 1) // 2 + rng.integers(phases, size=n)


def interactions(
    predictor: Predictor,
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
    predictor
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
            log_odds(predictor, each, threads=threads) for each in (flat, reverse_complement(flat))
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
