"""Augment training sequences, labels unchanged: shift, reverse-complement, mutate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna.codes import N_CODE, Codes, reverse_complement


def draw_moves(
    n: int, *, shift: int, flip: bool, rng: np.random.Generator
) -> tuple[NDArray[np.int64] | None, NDArray[np.bool_] | None]:
    """Draw how n sequences are shifted, then which of them are reverse-complemented.

    Shifts of -shift to shift bp, int64 (n,), are how much further on a sequence is read. With
    `flip` each is reverse-complemented with probability 1/2: bool (n,). What is off is None and
    draws nothing.
    """
    moves = rng.integers(0, 2 * shift + 1, n) - shift if shift else None
    return moves, rng.integers(0, 2, n, dtype=np.bool_) if flip else None


def draw_letters(
    n: int, length: int, *, mutate: float, rng: np.random.Generator
) -> NDArray[np.uint8] | None:
    """Draw mutations, against memorising sequences (Lee et al. 2023, Genome Biology 24:105).

    With probability `mutate` a letter becomes one of the four bases at random; so a quarter of them
    stay. Return uint8 (n, length): 0 where a letter stays, else 1 + the code of its new base. If
    `mutate` is 0, return None and draw nothing.
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
    """Augment sequences, uint8 (n, L), by the draws of `draw_moves`, then of `draw_letters`.

    N comes in at the end that a shift opens. Where all draws are None, return `codes` itself.

    Examples
    --------
    >>> from enhancer_core.dna.codes import decode, encode
    >>> codes = encode(["AACCG"] * 3)
    >>> moves, flipped = np.array([-1, 1, 1]), np.array([False, False, True])
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
