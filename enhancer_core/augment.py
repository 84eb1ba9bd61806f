"""Change training sequences in ways that leave their labels: shift them, read the other strand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna import N_CODE, Codes, reverse_complement


def draw_moves(
    n: int, *, shift: int, flip: bool, rng: np.random.Generator
) -> tuple[NDArray[np.int64] | None, NDArray[np.bool_] | None]:
    """Draw how n sequences are changed.

    Parameters
    ----------
    n
        Number of sequences.
    shift
        Each sequence moves by a whole number of bp drawn from -shift to shift, all equally likely;
        N comes in at the end that opens. 0 moves none.
    flip
        Whether each sequence is the other strand's with probability 1/2.
    rng
        Draws the moves, then the strands; nothing is drawn for what is off.

    Returns
    -------
    int64, shape (n,), or None
        From how many bp further on each sequence is read.
    bool, shape (n,), or None
        Which of them are then read on the other strand.

    Examples
    --------
    >>> moves, turned = draw_moves(9, shift=1, flip=False, rng=np.random.default_rng(0))
    >>> moves, turned
    (array([ 1,  0,  0, -1, -1, -1, -1, -1, -1]), None)
    """
    moves = rng.integers(0, 2 * shift + 1, n) - shift if shift else None
    return moves, rng.integers(0, 2, n, dtype=np.bool_) if flip else None


def augment(
    codes: Codes, moves: NDArray[np.int64] | None, turned: NDArray[np.bool_] | None
) -> Codes:
    """Change sequences as `draw_moves` says.

    Parameters
    ----------
    codes
        uint8, shape (n, L), values 0-4.
    moves, turned
        Shape (n,), or None for none.

    Returns
    -------
    uint8, shape (n, L)
        `codes` itself where both are None.

    Examples
    --------
    >>> from enhancer_core.dna import decode, encode
    >>> codes = encode(["AACCG"] * 3)
    >>> decode(augment(codes, np.array([-1, 1, 1]), np.array([False, False, True])))
    ['NAACC', 'ACCGN', 'NCGGT']
    """
    n, length = codes.shape
    if moves is not None:
        most = int(np.abs(moves).max(initial=0))
        padded = np.pad(codes, ((0, 0), (most, most)), constant_values=N_CODE)
        windows = np.lib.stride_tricks.sliding_window_view(padded, length, axis=1)
        codes = windows[np.arange(n), moves + most]
    if turned is not None:
        codes = np.where(turned[:, np.newaxis], reverse_complement(codes), codes)
    return codes
