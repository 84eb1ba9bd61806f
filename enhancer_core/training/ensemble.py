"""Networks and regressions together, each weighted by how well it separates the classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna.codes import Codes
from enhancer_core.models.calibration import Platt, calibrated
from enhancer_core.models.model import Model
from enhancer_core.models.parameters import AnyMember
from enhancer_core.prediction.sequences import log_odds


@dataclass(frozen=True, slots=True)
class EnsemblePart:
    """A part of an ensemble, with one weight: networks trained alike, or a regression."""

    name: str
    members: int  # of the model that it is written as
    validation_auc: float


def weight_parts(
    parts: Sequence[Sequence[AnyMember]],
    codes: Codes,
    labels: NDArray[np.bool_],
    *,
    threads: int = 1,
) -> list[AnyMember]:
    """Weight the parts of an ensemble by how well each separates the classes.

    A part's log odds, the mean of its members', are divided by their standard deviation within the
    classes and multiplied by the distance between the classes in these units, the sensitivity index
    d' (Green and Swets 1966): the best weights of parts that err independently. A part no better
    than chance gets 0. The sequences are of both classes; no part was trained on them.

    Returns
    -------
    list of Member or KmerMember
        The members of all parts, in order, with scaled output weights: the mean of their log odds
        is the mean of the weighted parts'. It is not calibrated: see `calibration`.
    """
    scores = [log_odds(Model(tuple(part)).predictor(), codes, threads=threads) for part in parts]
    weights = np.array([_weight(part_scores.astype(np.float64), labels) for part_scores in scores])
    if not weights.any():  # all parts are no better than chance
        weights[:] = 1.0
    count = sum(len(part) for part in parts)
    shares = weights * count / len(parts)  # of a part, in the mean over all members
    return [
        calibrated(member, Platt(float(share) / len(part), 0.0))
        for part, share in zip(parts, shares, strict=True)
        for member in part
    ]


def _weight(log_odds: NDArray[np.float64], labels: NDArray[np.bool_]) -> float:
    """Return d' over the standard deviation within the classes, 0 if either is not positive."""
    positives, negatives = log_odds[labels], log_odds[~labels]
    variance = float(positives.var() + negatives.var()) / 2
    distance = float(positives.mean() - negatives.mean())
    return distance / variance if variance > 0 and distance > 0 else 0.0
