"""Motifs as matrices (4, W), rows A C G T: probabilities, log odds, information, site positions.

`pfm` is counts, `ppm` probabilities that sum to 1 at each position, `pwm` log2 odds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from enhancer_core.errors import MotifError

Matrix: TypeAlias = NDArray[np.float64]  # (4, W), rows A C G T
Prior: TypeAlias = NDArray[np.float64]  # (L - W + 1,), one probability a start

UNIFORM = 0.25


@dataclass(frozen=True, eq=False)
class Motif:
    """A named motif: `pfm`, counts or probabilities, is kept as a read-only copy.

    Raises
    ------
    MotifError
        If `pfm` is not (4, W) with W >= 1, or a position has a negative or infinite value or
        nothing but zeros.
    """

    name: str  # for example a JASPAR accession
    pfm: Matrix
    alias: str = ""  # a second name, for example the transcription factor's

    def __post_init__(self) -> None:
        """Copy the matrix and check it."""
        pfm = np.array(self.pfm, dtype=np.float64)
        try:
            _check_pfm(pfm)
        except MotifError as error:
            raise MotifError(f"motif '{self.name}': {error}") from error
        pfm.flags.writeable = False
        object.__setattr__(self, "pfm", pfm)

    @property
    def width(self) -> int:
        """Number of positions W, bp."""
        return int(self.pfm.shape[1])


def _check_pfm(pfm: Matrix) -> None:
    if pfm.ndim != 2 or pfm.shape[0] != 4 or pfm.shape[1] < 1:
        raise MotifError(f"matrix of shape {pfm.shape}; allowed is (4, W), rows A C G T, W >= 1")
    allowed = (np.isfinite(pfm) & (pfm >= 0)).all(axis=0) & pfm.any(axis=0)
    if not allowed.all():
        position = int(np.argmin(allowed))
        raise MotifError(
            f"position {position + 1} is {pfm[:, position].tolist()} (A C G T);"
            " allowed are finite values >= 0, not all of them 0"
        )


def ppm(pfm: ArrayLike, *, pseudocount: float = 0.0) -> Matrix:
    """Convert counts to probabilities.

    Parameters
    ----------
    pfm
        Shape (4, W), rows A C G T: counts or probabilities.
    pseudocount
        Added to each frequency (not to each count), after which positions are normalised again,
        as in Cohn et al. 2018, section 3.1.4.

    Returns
    -------
    float64, shape (4, W)
        Each position sums to 1.

    Raises
    ------
    MotifError
        If `pfm` is malformed (see `Motif`) or `pseudocount` is negative or not finite.

    Examples
    --------
    >>> ppm([[8], [2], [0], [0]], pseudocount=0.25).ravel().tolist()
    [0.525, 0.225, 0.125, 0.125]
    """
    counts = np.asarray(pfm, dtype=np.float64)
    _check_pfm(counts)
    if not 0 <= pseudocount < np.inf:
        raise MotifError(f"pseudocount {pseudocount}; allowed are finite values >= 0")
    smoothed: Matrix = counts / counts.sum(axis=0) + pseudocount
    probabilities: Matrix = smoothed / smoothed.sum(axis=0)
    return probabilities


def pwm(ppm: Matrix, *, background: ArrayLike = UNIFORM) -> Matrix:
    """Convert probabilities to log2 odds against a background.

    Parameters
    ----------
    ppm
        float64, shape (4, W), each position summing to 1.
    background
        Probability of every base, or of each: shape (4,), order A C G T.

    Returns
    -------
    float64, shape (4, W)
        Bits; -inf where the probability is 0.

    Raises
    ------
    MotifError
        If `background` has another shape, or a value that is not above 0.
    """
    base = np.asarray(background, dtype=np.float64)
    if base.shape not in {(), (4,)} or not (base > 0).all():
        raise MotifError(
            f"background {base.tolist()}; allowed is one probability above 0, or four (A C G T)"
        )
    with np.errstate(divide="ignore"):  # log2(0) is the -inf that is meant
        return np.log2(ppm / base.reshape(-1, 1))


def information_content(ppm: Matrix) -> NDArray[np.float64]:
    """Compute the information of each position of a PPM, against uniform bases: float64 (W,).

    It is in bits, 0 (uniform) to 2 (one base only): 2 plus the sum of p log2 p.
    """
    logs = np.log2(ppm, out=np.zeros_like(ppm), where=ppm > 0)  # 0 log 0 is 0
    bits: NDArray[np.float64] = 2.0 + (ppm * logs).sum(axis=0)
    return bits


def reverse_complement(matrix: Matrix) -> Matrix:
    """Return a matrix (..., 4, W) on the other strand: a view, both axes reversed.

    That complements too, as rows are in the order A C G T.
    """
    return matrix[..., ::-1, ::-1]


def site_prior(*, length: int, width: int, sd: float, mean: float | None = None) -> Prior:
    """Compute the probability of each start of a site whose centre is normally distributed.

    The normal density of the site's centre, start + W // 2, is taken at each start for which the
    whole site fits, and normalised: nothing falls outside, nothing piles up at the ends.
    The distribution is that of Cohn et al. 2018, section 3.1.4; that it is the centre of the site,
    not its start, follows the authors' code ("motif centers").

    Parameters
    ----------
    length, width
        L bp of the sequence and W bp of the motif, 1 <= W <= L.
    sd
        Standard deviation of the centre, bp, above 0; `inf` makes all places equal.
    mean
        Mean of the centre, 0-based, 0 to L; None is the window's centre, L // 2.

    Returns
    -------
    float64, shape (L - W + 1,)
        Sums to 1.

    Raises
    ------
    MotifError
        If the motif does not fit, or `sd` or `mean` is not allowed.

    Examples
    --------
    >>> site_prior(length=6, width=3, sd=1).round(3).tolist()
    [0.058, 0.258, 0.426, 0.258]
    """
    if not 1 <= width <= length:
        raise MotifError(f"a motif of {width} bp does not fit sequences of {length} bp")
    if not sd > 0:
        raise MotifError(f"standard deviation {sd} of site positions; allowed are values above 0")
    middle = length // 2 if mean is None else mean
    if not 0 <= middle <= length:
        raise MotifError(f"mean {mean} of site positions; allowed are 0 to {length} bp")
    centres = np.arange(length - width + 1) + width // 2
    squares = (centres - middle) ** 2.0
    with np.errstate(over="ignore"):  # a tiny sd leaves only the places nearest to the mean
        density = np.exp(-(squares - squares.min()) / sd / sd / 2)
    prior: Prior = density / density.sum()
    return prior


# Counts from JASPAR; the two transcription factors of the paper's simulated data (section 3.1.4).
_CEBPA = [
    [3, 1, 4, 2, 4, 2, 18, 18, 0],
    [0, 1, 1, 9, 2, 15, 0, 0, 6],
    [0, 4, 6, 2, 10, 0, 0, 0, 2],
    [15, 12, 7, 5, 2, 1, 0, 0, 10],
]
_HNF4A = [
    [28, 2, 12, 5, 3, 59, 53, 56, 4, 6, 3, 4, 42],
    [7, 2, 4, 23, 51, 1, 2, 1, 4, 2, 22, 49, 7],
    [27, 56, 35, 20, 4, 3, 10, 8, 58, 33, 11, 5, 10],
    [5, 7, 16, 19, 9, 4, 2, 2, 1, 26, 31, 9, 8],
]
BUILTIN: Mapping[str, Motif] = {
    "CEBPA": Motif("MA0102.2", np.array(_CEBPA), alias="CEBPA"),
    "HNF4A": Motif("MA0114.1", np.array(_HNF4A), alias="HNF4A"),
}
