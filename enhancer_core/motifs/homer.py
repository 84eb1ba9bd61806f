"""HOMER's similarity of motifs: the correlation of base frequencies in the best alignment.

References
----------
Heinz S. et al. (2010). Molecular Cell 38:576-589.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enhancer_core.errors import MotifError
from enhancer_core.motifs.motif import UNIFORM, Matrix, Motif, ppm, reverse_complement

# Alignments this close are equal, so that rounding never decides which one is reported.
_TIE = 1e-12


@dataclass(frozen=True, eq=False)
class Similarity:
    """How alike n queries and m targets are, each pair in its best alignment: arrays (n, m)."""

    scores: NDArray[np.float64]  # Pearson correlation, -1 to 1
    # The target's position at which the first position of the query (of its reverse complement
    # where the strand is -1) stands; negative where it hangs over.
    offsets: NDArray[np.int64]
    strands: NDArray[np.int8]  # 1, or -1 where the query's reverse complement fits better


def similarity(queries: Sequence[Motif], targets: Sequence[Motif]) -> Similarity:
    """Compare every query with every target, as HOMER does.

    The score is the Pearson correlation of the base frequencies of two motifs laid over each other,
    where a position that hangs over is paired with 0.25. The best of both strands and all offsets
    with at least one common position counts (Heinz et al. 2010; Cohn et al. 2018, section 3.1.2).
    Of equally good alignments that of the lowest offset counts, and there the forward strand.

    A motif that is uniform at every position, for which no correlation is defined, scores 0.

    Raises
    ------
    MotifError
        If a list is empty.

    Examples
    --------
    >>> from enhancer_core.motifs.motif import BUILTIN
    >>> cebpa, hnf4a = BUILTIN["CEBPA"], BUILTIN["HNF4A"]
    >>> flipped = Motif("flipped", reverse_complement(cebpa.pfm))
    >>> similarity([cebpa, flipped], [cebpa, hnf4a]).scores.round(3).tolist()
    [[1.0, 0.371], [1.0, 0.371]]
    """
    if not queries or not targets:
        raise MotifError("no motifs to compare; at least one query and one target are needed")
    n, m = len(queries), len(targets)
    forward = _unit_deviations([query.pfm for query in queries])
    reverse = _unit_deviations([reverse_complement(query.pfm) for query in queries])
    strands = np.concatenate([forward, reverse]).reshape(2 * n, -1)
    others = _unit_deviations([target.pfm for target in targets])
    widest = forward.shape[1]
    padded = np.pad(others, ((0, 0), (widest - 1, widest - 1), (0, 0)))
    query_widths = np.array([query.width for query in queries])[:, np.newaxis]
    target_widths = np.array([target.width for target in targets])

    # The frequencies of any motif average 0.25, padding included. So the correlation at an offset
    # is the product sum of the overlap, of deviations from 0.25 scaled to length 1.
    best = Similarity(
        np.full((n, m), -np.inf), np.zeros((n, m), np.int64), np.ones((n, m), np.int8)
    )
    for offset in range(1 - widest, others.shape[1]):
        overlap = (query_widths + offset > 0) & (target_widths > offset)
        span = padded[:, offset + widest - 1 : offset + 2 * widest - 1].reshape(m, -1)
        for strand, scores in zip((1, -1), np.split(strands @ span.T, 2), strict=True):
            better = overlap & (scores > best.scores + _TIE)
            best.scores[better] = scores[better]
            best.offsets[better] = offset
            best.strands[better] = strand
    return best


def _unit_deviations(pfms: Sequence[Matrix]) -> NDArray[np.float64]:
    """Stack motifs as deviations from 0.25 of length 1, (n, widest, 4), zeros after their end."""
    widths = np.array([pfm.shape[1] for pfm in pfms])
    stack = np.zeros((len(pfms), widths.max(), 4))
    inside = np.arange(widths.max()) < widths[:, np.newaxis]
    stack[inside] = ppm(np.concatenate(pfms, axis=1)).T - UNIFORM
    lengths = np.sqrt((stack**2).sum(axis=(1, 2), keepdims=True))
    np.divide(stack, lengths, out=stack, where=lengths > _TIE)
    return stack
