"""Match motifs with those of a database: the least likely by chance, and how alike the two are.

TOMTOM's p-value chooses: the chance that motifs made of the database's columns, drawn at random,
lie as near to the query in their best alignment. HOMER's similarity stands beside it, and chooses
among equal p-values, and where a database is too small to have any; then the name decides.

The smallest p-value of a query that is nearly flat is that of a long motif with flat columns,
significant however little the two have in common: of random motifs below 1.3 bits, 64 to 100 % had
such a match in JASPAR 2022 and HOCOMOCO 12. So what tells less than one certain base, 2 bits, is
not matched at all. Of random motifs of 2 to 3 bits 30 % still have a match at q < 0.05 there, of 3
to 4 bits 20 %, of more 2 %: a match below 4 bits is reported, but not called significant.

A pair's similarity is that of its most similar alignment, whose offset and strand are reported; its
p-value is that of its nearest one. Of 98 significant matches of 9 bp out of JASPAR 2022 motifs with
HOCOMOCO 12 the two differ in 4; of the weak ones of filters of few bits, in a third.

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
SURE = 4.0  # bits from which q-values hold
SIGNIFICANT = 0.05  # false discovery rate below which a match is called one


@dataclass(frozen=True, slots=True)
class Match:
    """The motif of a database that a query matches best."""

    target: Motif
    similarity: float  # -1 to 1, as `homer.similarity`
    offset: int  # of the most similar alignment, as in `homer.Similarity`
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

    @property
    def matched(self) -> bool:
        """Whether the match is significant: q below 0.05, of a motif of at least 4 bits."""
        return self.match is not None and self.match.q < SIGNIFICANT and self.bits >= SURE


def match_filters(
    pfms: NDArray[np.integer] | NDArray[np.floating], targets: Sequence[Motif], *, counted: bool
) -> list[FilterMotif]:
    """Name the motifs of filters filter_1 to filter_F, and find the best match of each.

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
    """Find the target of lowest p-value of each query, with its false discovery rate.

    Parameters
    ----------
    queries, targets
        Motifs of any widths. With fewer than 25 targets there are no p-values, and the most similar
        one is found.

    Returns
    -------
    list of Match or None
        None for a query of less than 2 bits in all. Of targets of one p-value the most similar one,
        and of equally similar ones the first by name.

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
    matches = _matches(queries, targets, similarity(queries, targets))
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
    return row, _matches(nearest, targets, alignments, index=index)[0]


def _matches(
    queries: Sequence[Motif],
    targets: Sequence[Motif],
    alignments: Similarity,
    *,
    index: int | None = None,
) -> list[Match]:
    """Make the match of each query with its best target, or with that of an index."""
    p = q = np.full(alignments.scores.shape, np.nan)
    if len(targets) >= FEWEST:
        p = p_values(queries, targets)
        q = false_discovery_control(p, axis=1)
    # Rounded, so that the name chooses among targets whose similarities differ by rounding alone.
    distances = -alignments.scores.round(12)
    tables = alignments.scores, alignments.offsets, alignments.strands, p, q
    matches = []
    names = np.argsort(np.argsort([target.name for target in targets], kind="stable"))
    for row, chances in enumerate(np.nan_to_num(p)):
        lowest = np.flatnonzero(chances == chances.min())
        best = lowest[np.lexsort((names[lowest], distances[row, lowest]))[0]]
        column = best if index is None else index
        matches.append(Match(targets[column], *(table[row, column].item() for table in tables)))
    return matches
