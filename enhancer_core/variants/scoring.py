"""What a network makes of an alternative window beside its reference window, on both strands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna import Codes, reverse_complement
from enhancer_core.engine.odds import expit
from enhancer_core.predict import Scorer, log_odds, substituted_log_odds


@dataclass(frozen=True, slots=True)
class Effects:
    """What n variants change: each float64 (n,), a mean over both strands.

    `reference` and `alternative` are probabilities; `logit` is the difference of log odds.
    """

    reference: NDArray[np.float64]
    alternative: NDArray[np.float64]
    logit: NDArray[np.float64]

    @property
    def difference(self) -> NDArray[np.float64]:
        """Give alternative - reference."""
        return self.alternative - self.reference


def effects(
    network: Scorer,
    references: Codes,
    alternatives: Codes,
    rows: Sequence[int] | NDArray[np.int64],
    *,
    threads: int = 1,
) -> Effects:
    """Score alternative windows against reference windows, on both strands.

    Parameters
    ----------
    network
        On any device.
    references
        uint8, shape (m, L), values 0-4.
    alternatives
        uint8, shape (n, L), values 0-4.
    rows
        For each alternative, the row of its reference, which several may share: shape (n,).
    threads
        Batches scored side by side; the result does not depend on it.

    Returns
    -------
    Effects
        Of the n alternatives.

    Raises
    ------
    SequenceError
        If L is not the network's.

    Examples
    --------
    >>> from enhancer_core.dna import encode
    >>> from enhancer_core.architecture import Architecture, Convolution
    >>> from enhancer_core.model import Network
    >>> network = Network(Architecture(convolutions=(Convolution(1, 2, 2),), dense=(), length=3))
    >>> found = effects(network, encode(["CAT"]), encode(["CAT", "GAT"]), [0, 0])
    >>> found.difference[0].item(), found.logit.shape
    (0.0, (2,))
    """
    own = np.asarray(rows, dtype=np.int64)
    strands = [
        _odds(network, read(references), read(alternatives), own, threads=threads)
        for read in (np.asarray, reverse_complement)
    ]
    before, after = (np.stack(each) for each in zip(*strands, strict=True))
    logit = (after - before[:, own]).mean(axis=0)
    return Effects(expit(before).mean(axis=0)[own], expit(after).mean(axis=0), logit)


def _odds(
    network: Scorer,
    references: Codes,
    alternatives: Codes,
    rows: NDArray[np.int64],
    *,
    threads: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the log odds of references (m,) and alternatives (n,), read as they are.

    An alternative that differs at one base is computed from its reference, and so is the reference
    itself, as a change of a base to what it is: what both need is read once.
    """
    single = (alternatives != references[rows]).sum(axis=1) == 1
    near, own = alternatives[single], rows[single]
    positions = (near != references[own]).argmax(axis=1)
    m = len(references)
    sequences = np.concatenate([np.arange(m), own])
    order = np.argsort(sequences, kind="stable")  # changes of one reference next to each other
    found = np.empty(len(sequences), dtype=np.float64)
    found[order] = substituted_log_odds(
        network,
        references,
        sequences[order],
        np.concatenate([np.zeros(m, np.int64), positions])[order],
        np.concatenate([references[:, 0], near[np.arange(len(own)), positions]])[order],
        threads=threads,
    )
    after = np.empty(len(alternatives), dtype=np.float64)
    after[single] = found[m:]
    after[~single] = log_odds(network, alternatives[~single], threads=threads)
    return found[:m], after
