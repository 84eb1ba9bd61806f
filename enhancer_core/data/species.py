"""A synthetic world of six species, whose enhancers and their motifs are known.

Along a tree drift the letters of the background, each motif, and how often it is used. Enhancers of
every species hold the same motifs, in DNA a little richer in G and C; so what one species teaches
holds for the others in part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna.codes import Codes, reverse_complement
from enhancer_core.errors import DatasetError
from enhancer_core.motifs.motif import BUILTIN, Motif, ppm

Floats = NDArray[np.float64]

NEWICK = "(((human:0.2,macaque:0.25):0.3,(mouse:0.3,rat:0.35):0.6,dog:0.6):0.5,opossum:1.8);"
SPECIES = ("human", "macaque", "mouse", "rat", "dog", "opossum")

_CONTEXT = 16  # two letters before a letter
_PARENTS = {
    "human": (("eutheria", 0.5), ("primates", 0.3), ("human", 0.2)),
    "macaque": (("eutheria", 0.5), ("primates", 0.3), ("macaque", 0.25)),
    "mouse": (("eutheria", 0.5), ("rodents", 0.6), ("mouse", 0.3)),
    "rat": (("eutheria", 0.5), ("rodents", 0.6), ("rat", 0.35)),
    "dog": (("eutheria", 0.5), ("dog", 0.6)),
    "opossum": (("opossum", 1.8),),
}  # the branches from the root down, with their lengths
_SURE = 0.88  # probability of a consensus letter

_DRIFT_BACKGROUND = 0.12  # standard deviations of log weights over a branch of length 1
_DRIFT_MOTIF = 0.2
_DRIFT_GC = 0.10
_DRIFT_USE = 0.2
_GC_SD = 0.30  # between sequences of a species
_ENHANCER_GC = 0.15  # how much richer enhancers are, in log odds
_SITES = 3.0  # in an enhancer, on average, Poisson
_SPREAD = 60.0  # bp around the centre, standard deviation


def _consensus(letters: str) -> Floats:
    """Make probabilities (4, W) of a consensus in IUPAC letters."""
    columns = [
        [_SURE / len(bases) if base in bases else (1 - _SURE) / (4 - len(bases)) for base in "ACGT"]
        for bases in ({"W": "AT", "Y": "CT"}.get(letter, letter) for letter in letters)
    ]
    return np.array(columns).T


MOTIFS: Mapping[str, Motif] = {
    "CEBP": Motif("CEBP", _consensus("TTGCGCAA")),
    "HNF4A": BUILTIN["HNF4A"],
    "FOXA": Motif("FOXA", _consensus("TGTTTACWY")),
    "ONECUT": Motif("ONECUT", _consensus("TATTGATCW")),
}


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """What drifts: log weights of letters after two others, of motifs, of their use, and GC."""

    background: Floats  # (16, 4)
    motifs: Mapping[str, Floats]  # each (4, W)
    use: Floats  # (motifs,)
    gc: float


def draw_species(species: str, *, number: int, length: int, seed: int) -> tuple[Codes, Codes]:
    """Draw enhancers and background of one of `SPECIES`: uint8 (number, length) each.

    Species of one seed share their history.

    Raises
    ------
    DatasetError
        If there is no such species, `number` is below 1 or `length` below 40 bp.

    Examples
    --------
    >>> enhancers, background = draw_species("dog", number=2, length=100, seed=0)
    >>> enhancers.shape, background.shape
    ((2, 100), (2, 100))
    """
    if species not in SPECIES:
        raise DatasetError(f"species '{species}' is not known; allowed are {', '.join(SPECIES)}")
    if number < 1 or length < 40:
        raise DatasetError(
            f"{number} sequences of {length} bp; allowed are 1 or more, of 40 bp or more"
        )
    state = _state(species, seed)
    rng = np.random.default_rng((SPECIES.index(species) + 1, seed, 1))
    enhancers = _draw_dna(state, number, length, rng=rng, gc=_ENHANCER_GC)
    background = _draw_dna(state, number, length, rng=rng, gc=0.0)
    _plant(enhancers, state, rng=rng)
    return enhancers, background


def _state(species: str, seed: int) -> _State:
    """Draw the drift from the root to a species; species below one branch share its drift."""
    rng = np.random.default_rng((0, seed, 2))
    background = rng.normal(0, 0.15, (_CONTEXT, 4)) + np.log([0.29, 0.21, 0.21, 0.29])
    background[1::4, 2] -= 1.2  # G after C is rare, as in mammals
    motifs = {name: np.log(ppm(motif.pfm, pseudocount=0.01)) for name, motif in MOTIFS.items()}
    use, gc = np.zeros(len(MOTIFS)), 0.0
    branches = sorted({name for path in _PARENTS.values() for name, _ in path})
    for branch, bl in _PARENTS[species]:
        rng, sd = np.random.default_rng((branches.index(branch) + 1, seed, 3)), bl**0.5
        background += rng.normal(0, _DRIFT_BACKGROUND * sd, (_CONTEXT, 4))
        for weights in motifs.values():
            weights += rng.normal(0, _DRIFT_MOTIF * sd, weights.shape)
        use += rng.normal(0, _DRIFT_USE * sd, len(MOTIFS))
        gc += rng.normal(0, _DRIFT_GC * sd)
    return _State(background, motifs, use, gc)


def _draw_dna(state: _State, n: int, length: int, *, rng: np.random.Generator, gc: float) -> Codes:
    """Draw letters one after another, each from what the two before it allow."""
    shift = rng.normal(state.gc + gc, _GC_SD, n)
    strong = np.array([0.0, 1.0, 1.0, 0.0])
    weights = np.exp(state.background[np.newaxis] + shift[:, np.newaxis, np.newaxis] * strong)
    below = weights.cumsum(axis=2)
    below /= below[:, :, 3:]
    context = rng.integers(0, _CONTEXT, n)
    codes = np.empty((n, length), np.uint8)
    rows = np.arange(n)
    for position in range(length):
        letter = (rng.random((n, 1)) >= below[rows, context, :3]).sum(axis=1)
        codes[:, position] = letter
        context = (context * 4 + letter) % _CONTEXT
    return codes


def _plant(codes: Codes, state: _State, *, rng: np.random.Generator) -> None:
    """Write sites into enhancers, around the centre, on either strand."""
    length = codes.shape[1]
    chances = np.exp(state.use) / np.exp(state.use).sum()
    below = [np.exp(weights).cumsum(axis=0) for weights in state.motifs.values()]
    below = [sums / sums[3] for sums in below]
    for row, count in enumerate(rng.poisson(_SITES, len(codes)).tolist()):
        for motif in rng.choice(len(below), size=count, p=chances).tolist():
            sums = below[motif]
            width = sums.shape[1]
            site = (rng.random(width) >= sums[:3]).sum(axis=0).astype(np.uint8)
            if rng.random() < 0.5:
                site = reverse_complement(site)
            start = int(np.clip(rng.normal(length / 2, _SPREAD) - width / 2, 0, length - width))
            codes[row, start : start + width] = site
