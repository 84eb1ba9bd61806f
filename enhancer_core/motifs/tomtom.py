"""TOMTOM's p-values: the chance that a motif of a database lies as near to a query.

Gupta et al. 2007, complete scores as in Tanaka et al. 2011.

References
----------
Gupta S., Stamatoyannopoulos J., Bailey T., Noble W. (2007). Genome Biology 8:R24.
Tanaka E., Bailey T., Grant C., Noble W., Keich U. (2011). Bioinformatics 27:1603-1609.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from enhancer_core.errors import MotifError
from enhancer_core.motifs.motif import Matrix, Motif, ppm, reverse_complement

FEWEST = 25  # targets; the columns of fewer are no sample to draw p-values from

_STEPS = 100  # whole numbers from a column's median score to the farthest, as in TOMTOM
_NEVER = -700.0  # log of a chance that is 0 in float64


def p_values(queries: Sequence[Motif], targets: Sequence[Motif]) -> NDArray[np.float64]:
    """Compute the chance of each of m targets to lie as near to each of n queries: float64 (n, m).

    Columns are compared by Euclidean distance; a column of the query beyond the target counts as
    its median column. The null distribution of an alignment is that of as many columns drawn from
    all targets on both strands, and a pair's p-value is that of its best alignment among all, taken
    to be independent. Scores are in steps of a hundredth of the widest range of the query's
    columns.

    Raises
    ------
    MotifError
        If there are fewer than 25 targets.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> targets = [Motif(str(i), rng.dirichlet([0.3] * 4, 8).T) for i in range(50)]
    >>> p = p_values([targets[3]], targets)[0]
    >>> int(p.argmin()), bool(p[3] < 1e-6), bool(np.sort(p)[1] > 1e-3)
    (3, True, True)
    """
    if len(targets) < FEWEST:
        raise MotifError(f"{len(targets)} targets; p-values need at least {FEWEST}")
    columns = np.concatenate([ppm(target.pfm) for target in targets], axis=1).T
    widths = np.array([target.width for target in targets])
    return np.array([_p_values(ppm(query.pfm), columns, widths) for query in queries])


def _p_values(
    query: Matrix, columns: NDArray[np.float64], widths: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Compare one query with all targets, whose columns (M, 4) lie end to end."""
    width = query.shape[1]
    strands = np.concatenate([query, reverse_complement(query)], axis=1).T
    scores = -cdist(strands, columns)  # (2 W, M): column i is also column -1 - i, complemented
    medians = np.median(np.concatenate([scores[:width], scores[: width - 1 : -1]], axis=1), axis=1)
    scores -= np.concatenate([medians, medians[::-1]])[:, np.newaxis]
    largest = np.abs(scores).max()
    steps = np.rint(scores * (_STEPS / largest if largest else 0)).astype(np.int32)
    best = _best_sums(steps.reshape(2, width, -1), widths)
    pairs = [steps[[i, -1 - i]].ravel() + _STEPS for i in range(width)]
    counts = np.array([np.bincount(pair, minlength=2 * _STEPS + 1) for pair in pairs])
    null = _log_chances_below(counts / (2 * len(columns)))
    p = np.empty(len(widths))
    for target_width in np.unique(widths):
        # Where the query's column 0 stands, and which of its columns then lie on the target.
        offsets = np.arange(1 - width, target_width)
        first, last = np.maximum(0, -offsets), np.minimum(width, target_width - offsets)
        below = 2 * null[first, last].sum(axis=0)  # reversed, the same spans occur again
        chosen = widths == target_width
        p[chosen] = 0.0 - np.expm1(below[best[chosen] + width * _STEPS])  # never -0
    return p


def _best_sums(steps: NDArray[np.int32], widths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the best sum of scores (2, W, M) among all alignments with each target."""
    width, widest = steps.shape[1], int(widths.max())
    edge = width - 1
    places = np.arange(-edge, widest + edge)
    inside = (places >= 0) & (places < widths[:, np.newaxis])
    padded = np.zeros((2, width, *inside.shape), np.int32)  # beyond a target: the median, 0
    padded[:, :, inside] = steps
    offsets = widest + edge
    sums = np.sum([padded[:, i, :, i : i + offsets] for i in range(width)], axis=0)
    common = places[:offsets] < widths[:, np.newaxis]
    best: NDArray[np.int64] = sums.max(axis=(0, 2), where=common, initial=-width * _STEPS)
    return best


def _log_chances_below(chances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the log chance that columns first to last, drawn at random, sum to less than a score.

    From chances (W, 2 x 100 + 1) of each column's scores, -100 to 100: (W, W + 1, 2 x 100 W + 1).
    """
    width = len(chances)
    middle = width * _STEPS
    logs = np.zeros((width, width + 1, 2 * middle + 1))
    for first in range(width):
        sums = np.ones(1)
        for last in range(first + 1, width + 1):
            sums = np.convolve(sums, chances[last - 1])
            reach = (last - first) * _STEPS
            # Summed from the top, where a chance may be 1e-20, and never as 1 less the rest.
            reached = np.minimum(np.cumsum(sums[::-1])[::-1], 1)
            with np.errstate(divide="ignore"):
                below = np.maximum(np.log1p(-reached), _NEVER)
            logs[first, last, : middle - reach] = _NEVER
            logs[first, last, middle - reach : middle + reach + 1] = below
    return logs
