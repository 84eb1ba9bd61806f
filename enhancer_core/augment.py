"""Change training sequences so that labels stay: shift, read the other strand, mutate a little."""

from __future__ import annotations

import numpy as np

from enhancer_core.dna import N_CODE, Codes, reverse_complement


def augment(
    codes: Codes, *, shift: int, flip: bool, mutate: float = 0.0, rng: np.random.Generator
) -> Codes:
    """Shift each sequence by a few bases at random, read a random strand of it, and mutate it.

    Parameters
    ----------
    codes
        uint8, shape (n, L), values 0-4.
    shift
        Each sequence moves by a whole number of bp drawn from -shift to shift, all equally likely;
        N comes in at the end that opens. 0 moves none.
    flip
        Whether each sequence is the other strand's with probability 1/2.
    mutate
        Chance of each letter to become one of the four bases, each as likely; so a quarter stay.
        A network that is to bear this cannot learn sequences by heart (Lee et al. 2023, Genome
        Biology 24:105).
    rng
        Draws the moves, then the strands, then the mutations; nothing is drawn for what is off.

    Returns
    -------
    uint8, shape (n, L)
        `codes` itself where all are off.

    Examples
    --------
    >>> from enhancer_core.dna import decode, encode
    >>> codes = encode(["AACCG"] * 4)
    >>> decode(augment(codes, shift=1, flip=True, rng=np.random.default_rng(2)))
    ['ACCGN', 'GGTTN', 'NAACC', 'NAACC']
    """
    n, length = codes.shape
    if shift:
        padded = np.pad(codes, ((0, 0), (shift, shift)), constant_values=N_CODE)
        windows = np.lib.stride_tricks.sliding_window_view(padded, length, axis=1)
        codes = windows[np.arange(n), rng.integers(0, 2 * shift + 1, n)]
    if flip:
        other = rng.random((n, 1)) < 0.5
        codes = np.where(other, reverse_complement(codes), codes)
    if mutate:
        hit = rng.random(codes.shape, dtype=np.float32) < mutate
        codes = np.where(hit, rng.integers(0, N_CODE, codes.shape, dtype=np.uint8), codes)
    return codes
