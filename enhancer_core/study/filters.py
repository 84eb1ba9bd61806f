"""Read a network's filters: which is most like a motif, and what each is most like."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from enhancer_core.data.species import MOTIFS
from enhancer_core.dna.codes import Codes
from enhancer_core.interpretation.filters import filter_pfms
from enhancer_core.io.motifs import read_motif, read_motifs
from enhancer_core.models.model import Model
from enhancer_core.motifs.match import Match, best_matches, nearest_query
from enhancer_core.motifs.motif import Motif, similarity

_READ = 2000  # positives that filters are read on; more change a motif's counts by a few percent


def read_filters(
    model: Model, positives: Codes, specs: Sequence[str], folder: Path, *, seed: int
) -> dict[str, Any]:
    """Find the filter most like each motif that is looked for, and what each filter is like.

    Parameters
    ----------
    model
        A trained network.
    positives
        uint8, shape (n, L): what it learned from.
    specs
        Motifs of the synthetic world, CEBPA, HNF4A, or FILE:NAME.
    folder
        Where the files are.
    seed
        Of which positives are read, where there are many.

    Returns
    -------
    dict
        `motifs`, by spec: `similarity`, `strand`, `pfm` of the filter, `motif`; of one
        from a file also `p` and `q` among the file's motifs, and `best`, what the filter is most
        like in the file. `filters`, if there is a file, the first: each one's `pfm` and `match`.
    """
    if not specs:
        return {"motifs": {}}
    fresh = np.unique(positives, axis=0)  # each once, though copied
    chosen = np.random.default_rng(seed).permutation(len(fresh))[:_READ]
    pfms = filter_pfms(model, fresh[np.sort(chosen)])
    queries = [Motif("filter", pfm) for pfm in pfms if pfm.any()]
    found: dict[str, dict[str, Any]] = {}
    filters: list[dict[str, Any]] = []
    for spec in specs:
        if not queries:
            found[spec] = {"similarity": 0.0}
        elif ":" not in spec or spec in MOTIFS:
            motif = MOTIFS[spec] if spec in MOTIFS else read_motif(spec)
            alike = similarity(queries, [motif])
            row = int(alike.scores[:, 0].argmax())
            found[spec] = {
                "similarity": float(alike.scores[row, 0]),
                "strand": int(alike.strands[row, 0]),
                "pfm": queries[row].pfm.tolist(),
                "motif": motif.pfm.tolist(),
            }
        else:
            file = spec.partition(":")[0]
            name = read_motif(f"{folder / spec}").name
            targets = read_motifs(folder / file)
            index = next(i for i, target in enumerate(targets) if target.name == name)
            row, match = nearest_query(queries, targets, index=index)
            matches = best_matches(queries, targets)
            found[spec] = {
                "pfm": queries[row].pfm.tolist(),
                "motif": match.target.pfm.tolist(),
                **_told(match),
                "best": _told(best) if (best := matches[row]) else None,
            }
            filters = filters or [
                {"pfm": query.pfm.tolist(), "match": _told(best) if best else None}
                for query, best in zip(queries, matches, strict=True)
            ]
    return {"motifs": found} | ({"filters": filters} if filters else {})


def _told(match: Match) -> dict[str, Any]:
    """Give a match as plain values, p and q as None where they are not known."""
    return {
        "name": match.target.name,
        "alias": match.target.alias,
        "target": match.target.pfm.tolist(),
        "similarity": match.similarity,
        "offset": match.offset,
        "strand": match.strand,
        "p": match.p if isfinite(match.p) else None,
        "q": match.q if isfinite(match.q) else None,
    }
