"""Match motifs with those of a database: the most similar one, and how surprising that is.

The match is chosen by HOMER's similarity (`motif.similarity`) and judged by TOMTOM's p-value (Gupta
et al. 2007, complete scores as in Tanaka et al. 2011): the chance that motifs made of the
database's columns, drawn at random, lie as near to the query in their best alignment. Neither does
alone. A similarity has no scale of chance; and the smallest p-value of a query that is nearly flat
is that of a long motif with flat columns, significant however little the two have in common. Of
2,400 random motifs of 0 to 11 bits, against JASPAR 2022 and HOCOMOCO 12, nine had a match at
q < 0.05 so chosen, none of them below 4 bits; by p-value alone, 64 to 100 % of those below 1.3.
Since a database of mostly flat motifs could still mislead, what tells less than one certain base,
2 bits, is not matched at all.

References
----------
Benjamini Y., Hochberg Y. (1995). Journal of the Royal Statistical Society B 57:289-300.
Gupta S., Stamatoyannopoulos J., Bailey T., Noble W. (2007). Genome Biology 8:R24.
Heinz S. et al. (2010). Molecular Cell 38:576-589.
Tanaka E., Bailey T., Grant C., Noble W., Keich U. (2011). Bioinformatics 27:1603-1609.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.stats import false_discovery_control

from enhancer_core.errors import MotifError
from enhancer_core.motifs.motif import (
    Matrix,
    Motif,
    Similarity,
    information_content,
    ppm,
    reverse_complement,
    similarity,
)

FLAT = 2.0  # bits in all; a motif of less has no match
FEWEST = 25  # targets; the columns of fewer are no sample to draw p-values from

_STEPS = 100  # whole numbers from a column's median score to the farthest, as in TOMTOM
_NEVER = -700.0  # log of a chance that is 0 in float64


@dataclass(frozen=True, slots=True)
class Match:
    """The motif of a database that a query is most similar to."""

    target: Motif
    similarity: float  # -1 to 1, as `motif.similarity`
    offset: int  # as in `motif.Similarity`
    strand: int  # likewise
    p: float  # TOMTOM's, of this pair; nan where the database is too small
    q: float  # false discovery rate among the query's p-values; nan likewise


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FilterMotif:
    """What is known of one first-layer filter."""

    name: str
    motif: Motif | None  # None where nothing activates the filter
    sites: int | None = None  # that the motif was counted from; None where it was not counted
    match: Match | None = None

    @property
    def bits(self) -> float:
        """Information content of the motif, all positions together."""
        return 0.0 if self.motif is None else float(information_content(ppm(self.motif.pfm)).sum())


def match_filters(
    pfms: NDArray[np.integer] | NDArray[np.floating], targets: Sequence[Motif], *, counted: bool
) -> list[FilterMotif]:
    """Name the motifs of filters, and find the most similar target of each.

    Parameters
    ----------
    pfms
        Shape (F, 4, W), as `interpret.filter_pfms` or `interpret.weight_ppms` gives; a filter of
        zeros alone has no motif.
    targets
        As `best_matches`; none where filters are to be named only.
    counted
        Whether `pfms` are counts of sites.

    Returns
    -------
    list of FilterMotif
        filter_1 to filter_F.

    Raises
    ------
    MotifError
        If no filter has a motif.

    Examples
    --------
    >>> from enhancer_core.motifs.motif import BUILTIN
    >>> hnf4a = BUILTIN["HNF4A"]
    >>> pfms = np.stack([hnf4a.pfm, np.zeros((4, 13))]).astype(int)
    >>> first, second = match_filters(pfms, [hnf4a], counted=True)
    >>> first.name, first.sites, first.match.target.alias, second.motif
    ('filter_1', 67, 'HNF4A', None)
    """
    names = [f"filter_{index + 1}" for index in range(len(pfms))]
    motifs = {name: Motif(name, pfm) for name, pfm in zip(names, pfms, strict=True) if pfm.any()}
    if not motifs:
        raise MotifError("no filter has a motif; at least one is needed")
    found = best_matches(list(motifs.values()), targets) if targets else [None] * len(motifs)
    matches = dict(zip(motifs, found, strict=True))
    return [
        FilterMotif(
            name=name,
            motif=motifs.get(name),
            sites=int(pfm[:, 0].sum()) if counted else None,
            match=matches.get(name),
        )
        for name, pfm in zip(names, pfms, strict=True)
    ]


def best_matches(queries: Sequence[Motif], targets: Sequence[Motif]) -> list[Match | None]:
    """Find the most similar target of each query, with its p-value and false discovery rate.

    Parameters
    ----------
    queries, targets
        Motifs of any widths; p-values need at least 25 targets.

    Returns
    -------
    list of Match or None
        None for a query of less than 2 bits in all. Of equally similar targets the first.

    Raises
    ------
    MotifError
        If a list is empty.

    Examples
    --------
    >>> from enhancer_core.motifs.motif import BUILTIN
    >>> cebpa, hnf4a = BUILTIN["CEBPA"], BUILTIN["HNF4A"]
    >>> match = best_matches([Motif("half", cebpa.pfm[:, 4:])], [hnf4a, cebpa])[0]
    >>> match.target.alias, round(match.similarity, 2), match.offset, match.p
    ('CEBPA', 0.85, 4, nan)
    """
    alike = similarity(queries, targets)
    match = _judged(queries, targets, alike)
    return [
        None if information_content(ppm(query.pfm)).sum() < FLAT else match(row, column)
        for row, (query, column) in enumerate(
            zip(queries, alike.scores.argmax(axis=1).tolist(), strict=True)
        )
    ]


def nearest_query(
    queries: Sequence[Motif], targets: Sequence[Motif], *, index: int
) -> tuple[int, Match]:
    """Find the query most similar to one target, and judge it among all targets.

    Parameters
    ----------
    queries, targets
        As `best_matches`.
    index
        Of the target.

    Returns
    -------
    int, Match
        Index of the query, the first of equally similar ones, and its match with the target; q
        does not allow for the choice among the queries.

    Raises
    ------
    MotifError
        If a list is empty.

    Examples
    --------
    >>> from enhancer_core.motifs.motif import BUILTIN
    >>> cebpa, hnf4a = BUILTIN["CEBPA"], BUILTIN["HNF4A"]
    >>> query, match = nearest_query([hnf4a, cebpa], [cebpa, hnf4a], index=0)
    >>> query, match.target.alias, round(match.similarity, 2)
    (1, 'CEBPA', 1.0)
    """
    row = int(similarity(queries, [targets[index]]).scores[:, 0].argmax())
    nearest = [queries[row]]
    return row, _judged(nearest, targets, similarity(nearest, targets))(0, index)


def _judged(
    queries: Sequence[Motif], targets: Sequence[Motif], alike: Similarity
) -> Callable[[int, int], Match]:
    """Judge how alike queries and targets are; what is given makes the match of a pair."""
    if len(targets) < FEWEST:
        p = q = np.full(alike.scores.shape, np.nan)
    else:
        p = p_values(queries, targets)
        q = false_discovery_control(p, axis=1)

    def match(row: int, column: int) -> Match:
        place = row, column
        return Match(
            target=targets[column],
            similarity=float(alike.scores[place]),
            offset=int(alike.offsets[place]),
            strand=int(alike.strands[place]),
            p=float(p[place]),
            q=float(q[place]),
        )

    return match


def p_values(queries: Sequence[Motif], targets: Sequence[Motif]) -> NDArray[np.float64]:
    """Give the chance of each target to lie as near to a query, as TOMTOM does.

    Columns are compared by Euclidean distance; a column of the query beyond the target counts as
    its median column. The null distribution of an alignment is that of as many columns drawn from
    all targets on both strands, and a pair's p-value is that of its best alignment among all, taken
    to be independent. Scores are in steps of a hundredth of the widest range of the query's
    columns.

    Parameters
    ----------
    queries, targets
        n and m motifs of any widths.

    Returns
    -------
    float64, shape (n, m)
        0 to 1.

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
    chances = np.array(
        [
            np.bincount(steps[[i, -1 - i]].ravel() + _STEPS, minlength=2 * _STEPS + 1)
            for i in range(width)
        ]
    )
    null = _log_chances_below(chances / (2 * len(columns)))
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
    """Sum scores (2, W, M) over each alignment with each target; give the best of both strands."""
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
    """Give the log chance that columns first to last, drawn at random, sum to less than a score.

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
