"""Networks and regressions together: each part of an ensemble counts the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from enhancer_core.architecture import Member
from enhancer_core.calibration import Platt, calibrated
from enhancer_core.checkpoint import Model
from enhancer_core.dna import Codes
from enhancer_core.predict import log_odds


@dataclass(frozen=True, slots=True)
class Part:
    """What counts as one in an ensemble: networks trained alike, or a regression."""

    name: str
    members: int  # networks that it is written as
    validation_auc: float


def balanced(parts: Sequence[Sequence[Member]], codes: Codes, *, threads: int = 1) -> list[Member]:
    """Scale the parts of an ensemble so that each counts the same, in their output weights.

    Parameters
    ----------
    parts
        At least one; the log odds of each are the mean of its members'.
    codes
        uint8, shape (n, L): sequences that no part learned from. What each part says is divided by
        the standard deviation of its log odds on these.
    threads
        Cores to use; the result does not depend on it.

    Returns
    -------
    list of Member
        The members of all parts, in order, whose mean log odds are the mean of the scaled parts'.
        They are no probabilities of any kind yet: see `calibration`.
    """
    count = sum(len(part) for part in parts)
    found = []
    for part in parts:
        spread = float(log_odds(Model(tuple(part), {}), codes, threads=threads).std())
        share = count / len(parts) / len(part)  # of the ensemble's mean, for one of its members
        scale = share / (spread or 1.0)  # what says the same of all adds nothing
        found += [calibrated(member, Platt(scale, 0.0)) for member in part]
    return found
