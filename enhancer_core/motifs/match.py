"""Match motifs with those of a database: the most similar one, and how surprising that is.

The match is chosen by HOMER's similarity and judged by TOMTOM's p-value: the chance that motifs
made of the database's columns, drawn at random, lie as near to the query in their best alignment.
Neither does alone. A similarity has no scale of chance; and the smallest p-value of a query that is
nearly flat is that of a long motif with flat columns, significant however little the two have in
common. Of 2,400 random motifs of 0 to 11 bits, against JASPAR 2022 and HOCOMOCO 12, nine had a
match at q < 0.05 so chosen, none of them below 4 bits; by p-value alone, 64 to 100 % of those below
1.3. Since a database of mostly flat motifs could still mislead, what tells less than one certain
base, 2 bits, is not matched at all.

References
----------
Benjamini Y., Hochberg Y. (1995). Journal of the Royal Statistical Society B 57:289-300.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from enhancer_core.errors import MotifError
from enhancer_core.motifs.homer import Similarity, similarity
from enhancer_core.motifs.motif import Motif, information_content, ppm
from enhancer_core.motifs.tomtom import FEWEST, p_values

FLAT = 2.0  # bits in all; a motif of less has no match


@dataclass(frozen=True, slots=True)
class Match:
    """The motif of a database that a query is most similar to."""

    target: Motif
    similarity: float  # -1 to 1, as `homer.similarity`
    offset: int  # as in `homer.Similarity`
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
    """Name the motifs of filters filter_1 to filter_F, and find the most similar target of each.

    Parameters
    ----------
    pfms
        Shape (F, 4, W), as from `interpretation.filters`; a filter of zeros has no motif.
    targets
        As `best_matches`; none where filters are to be named only.
    counted
        Whether `pfms` are counts of sites.

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
    named = {f"filter_{number}": pfm for number, pfm in enumerate(pfms, start=1)}
    motifs = {name: Motif(name, pfm) for name, pfm in named.items() if pfm.any()}
    if not motifs:
        raise MotifError("no filter has a motif; at least one is needed")
    best = best_matches(list(motifs.values()), targets) if targets else [None] * len(motifs)
    matches = dict(zip(motifs, best, strict=True))
    return [
        FilterMotif(
            name=name,
            motif=motifs.get(name),
            sites=int(pfm[:, 0].sum()) if counted else None,
            match=matches.get(name),
        )
        for name, pfm in named.items()
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
    alignments = similarity(queries, targets)
    matches = _matches(queries, targets, alignments, alignments.scores.argmax(axis=1))
    return [
        None if information_content(ppm(query.pfm)).sum() < FLAT else match
        for query, match in zip(queries, matches, strict=True)
    ]


def nearest_query(
    queries: Sequence[Motif], targets: Sequence[Motif], *, index: int
) -> tuple[int, Match]:
    """Find the query most similar to the target of an index, and its p-value among all targets.

    Parameters and errors are those of `best_matches`.

    Returns
    -------
    int, Match
        Index of the query, the first of equally similar ones, and its match with the target; q
        does not allow for the choice among the queries.
    """
    row = int(similarity(queries, [targets[index]]).scores[:, 0].argmax())
    nearest = [queries[row]]
    alignments = similarity(nearest, targets)
    return row, _matches(nearest, targets, alignments, np.array([index]))[0]


def _matches(
    queries: Sequence[Motif],
    targets: Sequence[Motif],
    alignments: Similarity,
    columns: NDArray[np.int64],
) -> list[Match]:
    """Make the match of each query with the target in its column."""
    p = q = np.full(alignments.scores.shape, np.nan)
    if len(targets) >= FEWEST:
        p = p_values(queries, targets)
        q = false_discovery_control(p, axis=1)
    tables = alignments.scores, alignments.offsets, alignments.strands, p, q
    return [
        Match(targets[column], *(table[row, column].item() for table in tables))
        for row, column in enumerate(columns.tolist())
    ]
