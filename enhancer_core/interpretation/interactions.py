"""Plant pairs of sites in background, and measure what both add beyond the sum of each alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from enhancer_core.dna.codes import N_CODE, Codes, reverse_complement
from enhancer_core.errors import SequenceError
from enhancer_core.interpretation.second_layer import FilterPair, Floats, second_layer_index
from enhancer_core.models.architecture import Architecture
from enhancer_core.models.ensemble import Predictor
from enhancer_core.prediction.sequences import log_odds

CONFIDENCE = 0.95  # of all pairs' intervals simultaneously
ALIKE = 0.5  # share of an interaction from which another arrangement's is like it
SPECIFIC, ANYWHERE, UNCLEAR = "spacing-specific", "at any distance", "unclear"
KINDS = (SPECIFIC, ANYWHERE, UNCLEAR)


@dataclass(frozen=True, slots=True, eq=False)
class Interactions:
    """Effects, in log odds, of planting a pair's sites in n backgrounds.

    Spacings are from the leftmost base of the first site, which is on the forward strand, to the
    leftmost of the second. The last axis is the second site on the same and the opposite strand.
    """

    pair: FilterPair
    spacings: NDArray[np.int64]  # (S,), bp; negative where the second site comes first
    values: Floats  # (n, S, 2): the interaction; nan where the two sites overlap
    first: Floats  # (n,): effect of the first site alone
    second: Floats  # (n, S, 2): effect of the second alone; nan as in `values`


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrangement:
    """Spacing and orientation chosen on half of the backgrounds, measured on the other half."""

    pair: FilterPair
    spacing: int  # bp, as in `Interactions`
    same_strand: bool
    interaction: float  # log odds, mean of the other half
    low: float  # interval of the mean, simultaneous for all pairs
    high: float
    turned: float  # mean of the other half, the second site reverse-complemented in place
    swapped: float  # likewise, as far on the other side of the first; nan where they overlap
    elsewhere: float  # likewise, over all other spacings and orientations
    alone: tuple[float, float]  # effects of each site alone, likewise
    # What the interaction is above `elsewhere`, background by background: mean, low and high of an
    # interval as that of `interaction`; nan where nothing else fits.
    excess: tuple[float, float, float] = (np.nan, np.nan, np.nan)

    @property
    def confirmed(self) -> bool:
        """Whether the two sites add more together than the sum of each alone."""
        return self.low > 0

    @property
    def kind(self) -> str:
        """Whether the interaction depends on the arrangement: one of `KINDS`.

        At any distance where the mean over all other spacings and orientations is half of it or
        more; spacing-specific where that is less, and the interval of the excess above 0.
        """
        if self.elsewhere >= ALIKE * self.interaction:
            return ANYWHERE
        return SPECIFIC if self.excess[1] > 0 else UNCLEAR


def draw_anchors(
    n: int, architecture: Architecture, *, spacing: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw the first site's starts in n backgrounds, int64 (n,): near the middle, in any phase.

    All phases of the pools of the first two layers come up, as far as a second site fits `spacing`
    bp before or behind the first.

    Raises
    ------
    SequenceError
        If none fits.

    Examples
    --------
    >>> from enhancer_core.models.architecture import NETWORKS
    >>> draw_anchors(3, NETWORKS["enhancer"], spacing=30, rng=np.random.default_rng(0)).tolist()
    [250, 247, 246]
    """
    last = architecture.length - architecture.convolutions[0].width
    places = last - 2 * spacing + 1
    if places < 1:
        raise SequenceError(
            f"spacings of -{spacing} to {spacing} bp do not fit sequences of"
            f" {architecture.length} bp"
        )
    second = architecture.convolutions[second_layer_index(architecture)]
    pools = architecture.convolutions[0].pool * second.pool
    phases = min(pools, places)
    return (last - phases + 1) // 2 + rng.integers(phases, size=n)


def measure_interactions(
    predictor: Predictor,
    pair: FilterPair,
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
    predictor, pair, threads
        Of any device; whose sites to plant; as in `prediction.sequences.log_odds`.
    sites, backgrounds
        uint8, shapes (F, W), where N leaves the background, and (n, L), L the network's length.
    starts, spacings
        int64, bp, shapes (n,) and (S,): where the first site begins; as in `Interactions`.

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
        strands = (flat, reverse_complement(flat))
        scores = np.stack([log_odds(predictor, strand, threads=threads) for strand in strands])
        mean: Floats = scores.mean(axis=0, dtype=np.float64)
        return mean.reshape(codes.shape[:-1])

    first, second = sites[pair.first], sites[pair.second]
    with_first = _planted(backgrounds, first, starts)
    none = score(backgrounds)
    first_alone = score(with_first) - none
    values, second_alone = (np.full((*places.shape, 2), np.nan) for _ in range(2))
    for column, site in enumerate((second, reverse_complement(second))):
        fits = np.array([not _overlap(first, site, spacing) for spacing in spacings.tolist()])
        at = places[:, fits]
        both, alone = (
            score(_planted(np.repeat(codes[:, np.newaxis], at.shape[1], axis=1), site, at))
            for codes in (with_first, backgrounds)
        )
        values[:, fits, column] = both - alone - first_alone[:, np.newaxis]
        second_alone[:, fits, column] = alone - none[:, np.newaxis]
    return Interactions(pair, spacings, values, first_alone, second_alone)


def _planted(codes: Codes, site: Codes, starts: NDArray[np.int64]) -> Codes:
    """Copy codes (..., L) with a site at starts (...)."""
    known = np.flatnonzero(site != N_CODE)
    changed = codes.copy()
    values = np.broadcast_to(site[known], (*starts.shape, len(known)))
    np.put_along_axis(changed, starts[..., np.newaxis] + known, values, axis=-1)
    return changed


def _overlap(first: Codes, second: Codes, spacing: int) -> bool:
    """Return whether two sites have a base other than N at one position."""
    ones, others = (np.flatnonzero(site != N_CODE) for site in (first, second))
    return bool(np.isin(ones, others + spacing).any())


def best_arrangements(tested: Sequence[Interactions]) -> list[Arrangement]:
    """Choose each pair's best arrangement on half of the backgrounds, and measure it on the other.

    Pairs that fit nowhere are left out. Intervals are Student's, two a pair, of the interaction and
    its excess over all other arrangements, simultaneous at 95 % (Bonferroni).

    Raises
    ------
    SequenceError
        If there are fewer than 4 backgrounds.
    """
    arrangements = []
    for result in tested:
        half = len(result.values) // 2
        if half < 2:
            raise SequenceError(f"{len(result.values)} backgrounds; at least 4 are needed")
        chosen_on = result.values[:half].mean(axis=0)
        if np.isnan(chosen_on).all():
            continue
        row, column = divmod(int(np.nanargmax(chosen_on)), chosen_on.shape[1])
        measured_on = result.values[half:]
        best, shared_by = measured_on[:, row, column], 2 * len(tested)
        mean, low, high = mean_interval(best, shared_by=shared_by)
        means, spacing = measured_on.mean(axis=0), int(result.spacings[row])
        swapped = means[result.spacings == -spacing, column]
        others = np.delete(
            measured_on.reshape(len(best), -1), row * means.shape[1] + column, axis=1
        )
        others = others[:, ~np.isnan(others[0])]
        excess = (np.nan, np.nan, np.nan)
        if others.size:
            excess = mean_interval(best - others.mean(axis=1), shared_by=shared_by)
        alone = float(result.first[half:].mean()), float(result.second[half:, row, column].mean())
        arrangements.append(
            Arrangement(
                pair=result.pair,
                spacing=spacing,
                same_strand=column == 0,
                interaction=mean,
                low=low,
                high=high,
                turned=float(means[row, 1 - column]),
                swapped=float(swapped[0]) if swapped.size else np.nan,
                elsewhere=float(others.mean()) if others.size else np.nan,
                alone=alone,
                excess=excess,
            )
        )
    return arrangements


def mean_interval(values: Floats, *, shared_by: int = 1) -> tuple[float, float, float]:
    """Compute the mean of 2 values or more and its Student interval, one of `shared_by` at 95 %.

    Examples
    --------
    >>> mean, low, high = mean_interval(np.array([1.0, 2.0, 3.0]))
    >>> round(mean, 3), round(low, 3), round(high, 3)  # 2 and 4.303 times 1 / sqrt(3)
    (2.0, -0.484, 4.484)
    """
    mean, tail = float(values.mean()), (1 - CONFIDENCE) / shared_by / 2
    error = float(values.std(ddof=1)) / np.sqrt(len(values))
    width = float(t.ppf(1 - tail, len(values) - 1)) * error
    return mean, float(mean - width), float(mean + width)
