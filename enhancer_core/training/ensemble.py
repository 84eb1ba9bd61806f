"""Networks and regressions together: each part of an ensemble counts for what it can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna.codes import Codes
from enhancer_core.models.architecture import Member
from enhancer_core.models.calibration import Platt, calibrated
from enhancer_core.models.model import Model
from enhancer_core.prediction.sequences import log_odds


@dataclass(frozen=True, slots=True)
class Part:
    """What counts as one in an ensemble: networks trained alike, or a regression."""

    name: str
    members: int  # networks that it is written as
    validation_auc: float


def weighed(
    parts: Sequence[Sequence[Member]],
    codes: Codes,
    labels: NDArray[np.bool_],
    *,
    threads: int = 1,
) -> list[Member]:
    """Scale the parts of an ensemble by how well each tells the classes, in their output weights.

    A part's log odds are divided by their standard deviation within the classes, and count in
    proportion to how many of these the classes are apart, the sensitivity index d' (Green and Swets
    1966): the best weights of parts that err independently. What tells nothing counts nothing.

    Parameters
    ----------
    parts
        At least one; the log odds of each are the mean of its members'.
    codes, labels
        uint8, shape (n, L), and bool, shape (n,): sequences of both classes that no part learned
        from.
    threads
        Cores to use; the result does not depend on it.

    Returns
    -------
    list of Member
        The members of all parts, in order, whose mean log odds are the mean of the scaled parts'.
        They are no probabilities of any kind yet: see `calibration`.
    """
    told = [log_odds(Model(tuple(p)).predictor(), codes, threads=threads) for p in parts]
    weights = np.array([_weight(odds.astype(np.float64), labels) for odds in told])
    if not weights.any():  # an ensemble of parts that tell nothing
        weights[:] = 1.0
    count = sum(len(part) for part in parts)
    shares = weights * count / len(parts)  # a part's, of the mean over all members
    return [
        calibrated(member, Platt(float(share) / len(part), 0.0))
        for part, share in zip(parts, shares, strict=True)
        for member in part
    ]


def _weight(log_odds: NDArray[np.float64], labels: NDArray[np.bool_]) -> float:
    """Give d' over the deviation within the classes, or 0 where either is not above 0."""
    positives, negatives = log_odds[labels], log_odds[~labels]
    variance = float(positives.var() + negatives.var()) / 2
    apart = float(positives.mean() - negatives.mean())
    return apart / variance if variance > 0 and apart > 0 else 0.0
