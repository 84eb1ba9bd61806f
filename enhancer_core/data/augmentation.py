"""Augment training sequences, labels unchanged: shift, reverse-complement, mutate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna.codes import N_CODE, Codes, reverse_complement


def draw_moves(
    n: int, *, shift: int, flip: bool, rng: np.random.Generator
) -> tuple[NDArray[np.int64] | None, NDArray[np.bool_] | None]:
    """Draw how n sequences are shifted and reverse-complemented.

    Parameters
    ----------
    n
        Number of sequences.
    shift
        Each sequence is shifted by -shift to shift bp, all equally likely; N comes in at the end
        that opens.
    flip
        Whether each sequence is reverse-complemented with probability 1/2.
    rng
        Draws the shifts, then the strands; nothing is drawn for what is off.

    Returns
    -------
    int64, shape (n,), or None
        How many bp further on each sequence is read.
    bool, shape (n,), or None
        Which of them are then reverse-complemented.

    Examples
    --------
    >>> moves, flipped = draw_moves(9, shift=1, flip=False, rng=np.random.default_rng(0))
    >>> moves, flipped
    (array([ 1,  0,  0, -1, -1, -1, -1, -1, -1]), None)
    """
    moves = rng.integers(0, 2 * shift + 1, n) - shift if shift else None
    return moves, rng.integers(0, 2, n, dtype=np.bool_) if flip else None


def draw_letters(
    n: int, length: int, *, mutate: float, rng: np.random.Generator
) -> NDArray[np.uint8] | None:
    """Draw mutations, against memorising sequences (Lee et al. 2023, Genome Biology 24:105).

    Parameters
    ----------
    n, length
        Number of sequences, and of letters in each.
    mutate
        Probability that a letter becomes one of the four bases at random; so a quarter stay.
    rng
        Draws where, then what; nothing if `mutate` is 0.

    Returns
    -------
    uint8, shape (n, length), or None
        0 where a letter stays, else 1 + the code of its new base.

    Examples
    --------
    >>> draw_letters(2, 9, mutate=0.2, rng=np.random.default_rng(0))
    array([[0, 0, 0, 0, 0, 4, 2, 4, 2],
           [0, 0, 0, 0, 0, 0, 0, 0, 0]], dtype=uint8)
    """
    if not mutate:
        return None
    hit = rng.random((n, length), dtype=np.float32) < mutate
    return hit * rng.integers(1, N_CODE + 1, (n, length), dtype=np.uint8)


def augment(
    codes: Codes,
    moves: NDArray[np.int64] | None,
    flipped: NDArray[np.bool_] | None,
    letters: NDArray[np.uint8] | None = None,
) -> Codes:
    """Augment sequences by the draws of `draw_moves`, then of `draw_letters`.

    Parameters
    ----------
    codes
        uint8, shape (n, L), values 0-4.
    moves, flipped
        Shape (n,), or None for none.
    letters
        Shape (n, L), or None for none.

    Returns
    -------
    uint8, shape (n, L)
        `codes` itself where all are None.

    Examples
    --------
    >>> from enhancer_core.dna.codes import decode, encode
    >>> codes = encode(["AACCG"] * 3)
    >>> moves, flipped = np.array([-1, 1, 1]), np.array([False, False, True])
    >>> decode(augment(codes, moves, flipped))
    ['NAACC', 'ACCGN', 'NCGGT']
    >>> decode(augment(codes, moves, flipped, np.array([[4, 0, 0, 0, 1]] * 3, np.uint8)))
    ['TAACA', 'TCCGA', 'TCGGA']
    """
    n, length = codes.shape
    if moves is not None:
        most = int(np.abs(moves).max(initial=0))
        padded = np.pad(codes, ((0, 0), (most, most)), constant_values=N_CODE)
        windows = np.lib.stride_tricks.sliding_window_view(padded, length, axis=1)
        codes = windows[np.arange(n), moves + most]
    if flipped is not None:
        codes = np.where(flipped[:, np.newaxis], reverse_complement(codes), codes)
    if letters is not None:
        codes = np.where(letters > 0, letters - np.uint8(1), codes)
    return codes
