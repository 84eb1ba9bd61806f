"""Interpret a network's filters: which is most like a motif, and what each matches best."""

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
from enhancer_core.motifs.homer import similarity
from enhancer_core.motifs.match import Match, best_matches, nearest_query
from enhancer_core.motifs.motif import Motif

_MOST = 2000  # positives to count sites in; more change a motif's counts by a few percent


def read_filters(
    model: Model, positives: Codes, specs: Sequence[str], folder: Path, *, seed: int
) -> dict[str, Any]:
    """Find the filter most like each of some motifs, and the motif that each filter matches best.

    `positives`, uint8 (n, L), are what the network learned from; `specs` motifs of the synthetic
    world, CEBPA, HNF4A, or FILE:NAME, of a file in `folder`. Returned are `motifs`, by spec:
    `similarity`, `strand`, `pfm` of the filter, `motif`; of one from a file also `p` and `q` among
    the file's motifs, and `best`, the match of that filter in the file; and of the first file, if
    there is any, `filters`: each one's `pfm` and `match`.

    Raises
    ------
    FileError, MotifError
        If a file cannot be read, or has no such motif.
    """
    if not specs:
        return {"motifs": {}}
    distinct = np.unique(positives, axis=0)
    drawn = np.random.default_rng(seed).permutation(len(distinct))[:_MOST]
    pfms = filter_pfms(model, distinct[np.sort(drawn)])
    queries = [Motif("filter", pfm) for pfm in pfms if pfm.any()]
    motifs: dict[str, dict[str, Any]] = {}
    filters: list[dict[str, Any]] = []
    for spec in specs:
        if not queries:
            motifs[spec] = {"similarity": 0.0}
        elif ":" not in spec or spec in MOTIFS:
            motif = MOTIFS[spec] if spec in MOTIFS else read_motif(spec)
            similarities = similarity(queries, [motif])
            scores, strands = similarities.scores[:, 0], similarities.strands[:, 0]
            row = int(scores.argmax())
            pair = {"pfm": queries[row].pfm.tolist(), "motif": motif.pfm.tolist()}
            motifs[spec] = {"similarity": float(scores[row]), "strand": int(strands[row]), **pair}
        else:
            targets = read_motifs(folder / spec.partition(":")[0])
            name = read_motif(f"{folder / spec}").name
            index = [target.name for target in targets].index(name)
            row, match = nearest_query(queries, targets, index=index)
            matches = [best and _plain(best) for best in best_matches(queries, targets)]
            pair = {"pfm": queries[row].pfm.tolist(), "motif": match.target.pfm.tolist()}
            motifs[spec] = {**pair, **_plain(match), "best": matches[row]}
            pairs = zip(queries, matches, strict=True)
            filters = filters or [{"pfm": q.pfm.tolist(), "match": best} for q, best in pairs]
    return {"motifs": motifs} | ({"filters": filters} if filters else {})


def _plain(match: Match) -> dict[str, Any]:
    """Return a match as plain values, p and q as None where they are unknown."""
    target = match.target
    return {
        "name": target.name,
        "alias": target.alias,
        "target": target.pfm.tolist(),
        **{name: getattr(match, name) for name in ("similarity", "offset", "strand")},
        **{name: p if isfinite(p := getattr(match, name)) else None for name in ("p", "q")},
    }
