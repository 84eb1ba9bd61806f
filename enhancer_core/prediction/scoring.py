"""Effects of variants: alternative windows scored against reference windows, on both strands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna.codes import Codes, reverse_complement
from enhancer_core.models.cpu.predictor import expit
from enhancer_core.models.ensemble import Predictor
from enhancer_core.prediction.sequences import log_odds, substituted_log_odds


@dataclass(frozen=True, slots=True)
class Effects:
    """Effects of n variants, each float64 (n,), by the mean log odds of both strands.

    `reference` and `alternative` are the probabilities of these, `logit` is their difference.
    """

    reference: NDArray[np.float64]
    alternative: NDArray[np.float64]
    logit: NDArray[np.float64]

    @property
    def difference(self) -> NDArray[np.float64]:
        """Alternative minus reference, in probability; its sign is that of `logit`."""
        return self.alternative - self.reference


def effects(
    predictor: Predictor,
    references: Codes,
    alternatives: Codes,
    rows: Sequence[int] | NDArray[np.int64],
    *,
    threads: int = 1,
) -> Effects:
    """Score alternative windows (n, L) against reference windows (m, L), on both strands.

    Windows are codes, uint8, values 0-4; `rows` (n,) is the row of each alternative's reference,
    which several may share. `predictor` and `threads` as in `probabilities`.

    Raises
    ------
    SequenceError
        If L is not the model's.
    """
    own = np.asarray(rows, dtype=np.int64)
    changed = alternatives != references[own]
    single = np.count_nonzero(changed, axis=1) == 1
    places = changed[single].argmax(axis=1)
    bases = alternatives[single, places]
    before, after = np.empty((2, len(references))), np.empty((2, len(own)))
    strands = (
        (references, places, bases, alternatives[~single]),
        (
            reverse_complement(references),
            references.shape[1] - 1 - places,
            reverse_complement(bases[:, np.newaxis])[:, 0],
            reverse_complement(alternatives[~single]),
        ),
    )
    for strand, (windows, positions, letters, others) in enumerate(strands):
        before[strand], after[strand, single] = _substituted(
            predictor, windows, own[single], positions, letters, threads=threads
        )
        if len(others):
            after[strand, ~single] = log_odds(predictor, others, threads=threads)
    reference, logit = before.mean(axis=0)[own], (after - before[:, own]).mean(axis=0)
    return Effects(expit(reference), expit(reference + logit), logit)


def _substituted(
    predictor: Predictor,
    references: Codes,
    rows: NDArray[np.int64],
    positions: NDArray[np.int64],
    bases: Codes,
    *,
    threads: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Compute log odds of references (m,), and of references with one base changed (n,).

    A reference itself is computed as a change of a base to what it is, so that it is read once.
    """
    m = len(references)
    sequences = np.concatenate([np.arange(m), rows])
    order = np.argsort(sequences, kind="stable")  # changes of one reference next to each other
    odds = np.empty(len(sequences), dtype=np.float32)
    odds[order] = substituted_log_odds(
        predictor,
        references,
        sequences[order],
        np.concatenate([np.zeros(m, np.int64), positions])[order],
        np.concatenate([references[:, 0], bases])[order],
        threads=threads,
    )
    return odds[:m], odds[m:]
