"""What a network makes of an alternative window beside its reference window, on both strands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit

from enhancer_core.dna import Codes, reverse_complement
from enhancer_core.errors import SequenceError
from enhancer_core.model import Network, one_hot
from enhancer_core.predict import BATCH, one_core_each


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
    network: Network,
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
        On any device; its mode is left as it was.
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
    >>> from enhancer_core.model import Architecture, Convolution
    >>> network = Network(Architecture(convolutions=(Convolution(1, 2, 2),), dense=(), length=3))
    >>> found = effects(network, encode(["CAT"]), encode(["CAT", "GAT"]), [0, 0])
    >>> found.difference[0].item(), found.logit.shape
    (0.0, (2,))
    """
    codes = np.concatenate([references, alternatives])
    both = np.concatenate([codes, reverse_complement(codes)])
    odds = _log_odds(network, both, threads=threads).astype(np.float64).reshape(2, len(codes))
    chances, odds = expit(odds).mean(axis=0), odds.mean(axis=0)
    own = np.asarray(rows, dtype=np.int64)
    m = len(references)
    return Effects(chances[own], chances[m:], odds[m:] - odds[own])


def _log_odds(network: Network, codes: Codes, *, threads: int) -> NDArray[np.float32]:
    """Give the natural log odds of windows, float32 (n,).

    The difference of the two logits: taken from a float32 probability near 1 they would be coarse.
    """
    wanted = network.architecture.length
    if codes.shape[1] != wanted:
        raise SequenceError(f"sequences of {codes.shape[1]} bp; the model reads {wanted} bp")
    device = next(network.parameters()).device

    def one_batch(start: int) -> NDArray[np.float32]:
        batch = torch.from_numpy(codes[start : start + BATCH]).to(device)
        with torch.inference_mode():
            logits = network(one_hot(batch))
            found: NDArray[np.float32] = (logits[:, 1] - logits[:, 0]).cpu().numpy()
        return found

    training = network.training
    network.eval()
    try:
        with one_core_each(threads) as pool:
            batches = pool.map(one_batch, range(0, len(codes), BATCH))
            return np.concatenate([np.zeros(0, np.float32), *batches])
    finally:
        network.train(training)
