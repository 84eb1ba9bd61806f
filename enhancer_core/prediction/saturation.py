"""Effects of every single-base change of a sequence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna.codes import N_CODE, Codes
from enhancer_core.models.architecture import BASES
from enhancer_core.prediction.scoring import Effects, effects
from enhancer_core.prediction.sequences import Scorer


@dataclass(frozen=True, slots=True)
class Mutations:
    """Every single-base change of one sequence, m of them, by position and then in order A C G T.

    `positions` int64 (m,), 0-based; `references` and `alternatives` are base codes, uint8 (m,).
    """

    positions: NDArray[np.int64]
    references: Codes
    alternatives: Codes
    effects: Effects


def mutagenesis(network: Scorer, codes: Codes, *, threads: int = 1) -> Mutations:
    """Change each base of a sequence to the three others, and score it on both strands.

    An SNV at this place of this window has the same effect in `annotate`.

    Parameters
    ----------
    network
        On any device.
    codes
        uint8, shape (L,), values 0-4, L the length that the network reads.
    threads
        Batches scored side by side; the result does not depend on it.

    Returns
    -------
    Mutations
        Three a base; none where the sequence has N.

    Raises
    ------
    SequenceError
        If L is not the network's.

    Examples
    --------
    >>> from enhancer_core.dna.codes import decode, encode
    >>> from enhancer_core.models.architecture import Architecture, Convolution
    >>> from enhancer_core.models.network import Network
    >>> network = Network(Architecture(convolutions=(Convolution(1, 2, 2),), dense=(), length=3))
    >>> found = mutagenesis(network, encode(["CNT"])[0])
    >>> found.positions.tolist(), decode(found.alternatives)
    ([0, 0, 0, 2, 2, 2], ['AGTACG'])
    """
    changed = np.arange(BASES) != codes[:, np.newaxis]
    changed[codes == N_CODE] = False
    positions, alternatives = np.nonzero(changed)
    mutants = np.repeat(codes[np.newaxis], len(positions), axis=0)
    mutants[np.arange(len(positions)), positions] = alternatives
    rows = np.zeros(len(positions), dtype=np.int64)
    found = effects(network, codes[np.newaxis], mutants, rows, threads=threads)
    return Mutations(positions, codes[positions], alternatives.astype(np.uint8), found)


def attributions(mutations: Mutations, length: int) -> NDArray[np.float64]:
    """Say how much each base of a sequence adds: minus the mean effect of losing it.

    Parameters
    ----------
    mutations
        As `mutagenesis` gives them.
    length
        Of the sequence, L bp.

    Returns
    -------
    float64, shape (L,)
        Log odds; above 0 where the base makes an enhancer more likely. 0 where it is N.

    Examples
    --------
    >>> bases = np.array([0, 1, 2, 3], dtype=np.uint8)
    >>> chances = np.full(3, 0.5)
    >>> found = Effects(chances, chances, logit=np.array([-1.0, -1.0, -4.0]))
    >>> mutations = Mutations(np.array([1, 1, 1]), bases[[0, 0, 0]], bases[1:], found)
    >>> attributions(mutations, 2).tolist()
    [0.0, 2.0]
    """
    losses = np.bincount(mutations.positions, -mutations.effects.logit, minlength=length)
    return losses / (BASES - 1)
