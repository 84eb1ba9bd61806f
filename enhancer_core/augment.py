"""Change training sequences in ways that leave their labels: shift them, read the other strand."""

from __future__ import annotations

import numpy as np

from enhancer_core.dna import N_CODE, Codes, reverse_complement


def augment(codes: Codes, *, shift: int, flip: bool, rng: np.random.Generator) -> Codes:
    """Shift each sequence by a few bases at random, and read a random strand of it.

    Parameters
    ----------
    codes
        uint8, shape (n, L), values 0-4.
    shift
        Each sequence moves by a whole number of bp drawn from -shift to shift, all equally likely;
        N comes in at the end that opens. 0 moves none.
    flip
        Whether each sequence is the other strand's with probability 1/2.
    rng
        Draws the moves, then the strands; nothing is drawn for what is off.

    Returns
    -------
    uint8, shape (n, L)
        `codes` itself where both are off.

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
    return codes
