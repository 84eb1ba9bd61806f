"""In-silico saturation mutagenesis: effects of every single-base change of a sequence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna.codes import N_CODE, Codes, SequencesLike, as_codes, is_mostly_n
from enhancer_core.models.architecture import BASES
from enhancer_core.models.ensemble import Predictor
from enhancer_core.models.model import Model
from enhancer_core.prediction.scoring import Effects, effects


def mutagenesis(
    model: Model,
    sequences: SequencesLike,
    *,
    length: int | None = None,
    device: str = "auto",
    threads: int = 1,
) -> NDArray[np.float32]:
    """Compute the effect of every single-base change of sequences, exactly.

    Parameters
    ----------
    model, length, device, threads
        As in `predict`.
    sequences
        n strings, or codes, uint8 (n, L).

    Returns
    -------
    float32, shape (n, 4, L)
        Change of the natural log odds by the base A, C, G or T at a position, mean of both strands:
        0 for the base that is there, NaN where the sequence has N, or is mostly N.

    Raises
    ------
    SequenceError, ModelFileError, DeviceError
        As in `predict`.
    """
    predictor = model.at_length(length).predictor(device)
    codes = as_codes(sequences, length=length)
    changes = np.full((len(codes), BASES, codes.shape[1]), np.nan, np.float32)
    for row, sequence in zip(changes, codes, strict=True):
        mutations = mutate(predictor, sequence, threads=threads)
        known = np.unique(mutations.positions)
        row[sequence[known], known] = 0
        row[mutations.alternatives, mutations.positions] = mutations.effects.logit
    return changes


@dataclass(frozen=True, slots=True)
class Mutations:
    """Every single-base change of one sequence, m of them, by position and then in order A C G T.

    `positions` int64 (m,), 0-based; `references` and `alternatives` are base codes, uint8 (m,).
    """

    positions: NDArray[np.int64]
    references: Codes
    alternatives: Codes
    effects: Effects


def mutate(predictor: Predictor, codes: Codes, *, threads: int = 1) -> Mutations:
    """Change each base of a sequence to the three others, and score it on both strands.

    As `mutagenesis`, for a predictor and the codes of one sequence, uint8 (L,), values 0-4; of one
    that is mostly N there are none. An SNV at this place of this window has the same effect in
    `annotate`.

    Raises
    ------
    SequenceError
        If L is not the model's.
    """
    changed = np.arange(BASES) != codes[:, np.newaxis]
    changed[(codes == N_CODE) | is_mostly_n(codes)] = False
    positions, alternatives = np.nonzero(changed)
    mutants = np.repeat(codes[np.newaxis], len(positions), axis=0)
    mutants[np.arange(len(positions)), positions] = alternatives
    rows = np.zeros(len(positions), dtype=np.int64)
    scores = effects(predictor, codes[np.newaxis], mutants, rows, threads=threads)
    return Mutations(positions, codes[positions], alternatives.astype(np.uint8), scores)


def attributions(mutations: Mutations, length: int) -> NDArray[np.float64]:
    """Compute what each base of L bp adds, float64 (L,): minus the mean effect of losing it.

    Log odds; above 0 where the base makes an enhancer more likely, 0 where it is N.
    """
    losses = np.bincount(mutations.positions, -mutations.effects.logit, minlength=length)
    return losses / (BASES - 1)
