"""Simulated enhancers: one binding site planted in random DNA, and random DNA without one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna.codes import Codes
from enhancer_core.errors import DatasetError
from enhancer_core.motifs.motif import Motif, ppm, site_prior


@dataclass(frozen=True, kw_only=True)
class Definition:
    """How sites are drawn; `DEFINITIONS` holds the two that are named."""

    pseudocount: float  # added to each frequency of the motif, as in `motif.ppm`
    sd: float  # standard deviation of the site's centre, bp, as in `motif.site_prior`
    mean: float | None = None  # of the site's centre, 0-based; None is the window's, length // 2


DEFINITIONS: Mapping[str, Definition] = {
    # What gives the AUCs of Fig. 2: the authors' code scores with sd 30, and its pseudo-count,
    # 1/100 in integer division, is 0.
    "figure2": Definition(pseudocount=0.0, sd=30.0),
    # What Cohn et al. 2018, section 3.1.4, says.
    "literal": Definition(pseudocount=0.01, sd=40.0),
}


@dataclass(frozen=True, eq=False)
class Simulation:
    """Sequences with one site each, and as many without; sites are on the forward strand."""

    positives: Codes  # (n, L), without N, as are all
    background: Codes  # (n, L)
    starts: NDArray[np.int64]  # (n,): 0-based first position of the site in each positive
    sites: Codes  # (n, W)


def simulate(
    motif: Motif,
    *,
    n: int,
    length: int = 500,
    definition: str | Definition = "figure2",
    rng: np.random.Generator,
) -> Simulation:
    """Draw n sequences with one site each and n without (Cohn et al. 2018, section 3.1.4).

    All DNA is uniform. A site is drawn base by base from the motif's probabilities and replaces
    what stood at its place; its centre, start + W // 2, is normal around the window's centre. Only
    starts for which the whole site fits occur (see `motif.site_prior`).

    Parameters
    ----------
    motif
        What to plant, W <= `length`.
    n, length
        Number of sequences of each kind, and bp of each.
    definition
        "figure2", "literal" or a `Definition`.
    rng
        Source of all chance.

    Raises
    ------
    DatasetError
        If `n` is below 1 or there is no such definition.
    MotifError
        If the motif is longer than the sequences, or `definition` has a value that is not allowed.

    Examples
    --------
    >>> from enhancer_core.motifs.motif import BUILTIN
    >>> data = simulate(BUILTIN["CEBPA"], n=2, rng=np.random.default_rng(0))
    >>> data.positives.shape, data.background.shape, data.sites.shape
    ((2, 500), (2, 500), (2, 9))
    """
    if n < 1:
        raise DatasetError(f"{n} sequences asked for; at least 1 is needed")
    if isinstance(definition, str):
        if definition not in DEFINITIONS:
            raise DatasetError(
                f"definition '{definition}' is not known; allowed are {', '.join(DEFINITIONS)}"
            )
        definition = DEFINITIONS[definition]
    prior = site_prior(length=length, width=motif.width, sd=definition.sd, mean=definition.mean)
    positives = rng.integers(4, size=(n, length), dtype=np.uint8)
    background = rng.integers(4, size=(n, length), dtype=np.uint8)
    starts = rng.choice(len(prior), size=n, p=prior)
    # A base is how many cumulative probabilities, of A C G, are at or below a uniform. That one is
    # scaled by the last sum, which rounding may leave off 1: a base of probability 0 never occurs.
    below = ppm(motif.pfm, pseudocount=definition.pseudocount).cumsum(axis=0)
    uniform = rng.random((n, 1, motif.width)) * below[3]
    sites: Codes = (uniform >= below[:3]).sum(axis=1, dtype=np.uint8)
    np.put_along_axis(positives, starts[:, np.newaxis] + np.arange(motif.width), sites, axis=1)
    return Simulation(positives, background, starts, sites)
