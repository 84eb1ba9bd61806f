"""k-mers of sequences: their numbers, the pairs of both strands, their names and frequencies.

The number of a k-mer is its codes read in base 4, so that numbers are in alphabetical order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna.codes import N_CODE, Codes, decode
from enhancer_core.errors import SequenceError

LONGEST = 8  # of k_mer_frequencies: 4**8 / 2 columns; beyond it the table outgrows memory and data

_BLOCK = 512  # sequences counted at once: 0.3 GB at k = 8


def k_mer_numbers(codes: Codes, k: int) -> tuple[NDArray[np.signedinteger], NDArray[np.bool_]]:
    """Return the number of the k-mer at each position, and whether it is free of N.

    Codes are uint8 (n, L), k is 1 to 31, not above L; N is read as A. Numbers are 0 to 4**k - 1,
    int32 up to k = 15, else int64, shape (n, L - k + 1); the second array is bool, likewise.

    Examples
    --------
    >>> from enhancer_core.dna.codes import encode
    >>> k_mer_numbers(encode(["ACTN"]), 2)[0].tolist()
    [[1, 7, 12]]
    """
    positions = codes.shape[1] - k + 1
    numbers = np.zeros((len(codes), positions), np.int32 if k <= 15 else np.int64)
    known = np.ones(numbers.shape, bool)
    for offset in range(k):
        letter = codes[:, offset : offset + positions]
        numbers <<= 2
        numbers |= letter & 3
        known &= letter != N_CODE
    return numbers, known


def reverse_complement_numbers(
    numbers: NDArray[np.signedinteger], k: int
) -> NDArray[np.signedinteger]:
    """Return the numbers of k-mers' reverse complements: same shape and dtype."""
    # Reverse the 32 letters of 64 bits: within pairs, within bytes, then the bytes.
    bits = ~numbers.astype(np.uint64)
    for shift, mask in ((2, 0x3333333333333333), (4, 0x0F0F0F0F0F0F0F0F)):
        by, low = np.uint64(shift), np.uint64(mask)
        bits = (bits >> by & low) | (bits & low) << by
    return (bits.byteswap() >> np.uint64(64 - 2 * k)).astype(numbers.dtype)


def spell_k_mers(numbers: NDArray[np.signedinteger], k: int) -> Codes:
    """Spell k-mers as codes, from their numbers: shape (m,) -> uint8 (m, k)."""
    return (numbers[:, np.newaxis] >> 2 * np.arange(k)[::-1] & 3).astype(np.uint8)


def k_mer_words(k: int) -> Codes:
    """Return the k-mers of the columns of `k_mer_frequencies`: uint8 (K, k)."""
    return spell_k_mers(k_mer_columns(k)[1], k)


def k_mer_names(k: int) -> list[str]:
    """Return the names of the columns of `k_mer_frequencies`.

    Examples
    --------
    >>> k_mer_names(1)
    ['A', 'C']
    """
    return decode(k_mer_words(k))


def k_mer_columns(k: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the column of each k-mer and its reverse complement, (4**k,), and each column's k-mer.

    Both are numbers, of the columns of `k_mer_frequencies`.
    """
    numbers = np.arange(4**k)
    smaller = np.minimum(numbers, reverse_complement_numbers(numbers, k))
    kept = smaller == numbers
    return (np.cumsum(kept) - 1)[smaller], np.flatnonzero(kept)


def k_mer_frequencies(codes: Codes, k: int, *, of_all: bool = False) -> NDArray[np.float32]:
    """Count k-mers on both strands, as shares of a sequence's k-mers.

    Parameters
    ----------
    codes
        uint8, shape (n, L), values 0-4; k-mers with N do not count.
    k
        1 to 8, not above L.
    of_all
        Whether shares are of all L - k + 1 places, those with N too; they add up to less then.

    Returns
    -------
    float32, shape (n, K)
        K = 4**k / 2 for odd k, (4**k + 4**(k / 2)) / 2 for even: one column for a k-mer and its
        reverse complement, in the order of the smaller of the two.

    Raises
    ------
    SequenceError
        If k is not allowed.

    Examples
    --------
    >>> from enhancer_core.dna.codes import encode
    >>> k_mer_frequencies(encode(["ACGT"]), 1).tolist()
    [[0.5, 0.5]]
    """
    most = min(LONGEST, codes.shape[1])
    if not 1 <= k <= most:
        raise SequenceError(f"k of {k} is not allowed for k-mers; allowed are 1 to {most}")
    column, kept = k_mer_columns(k)
    table = np.empty((len(codes), len(kept)), dtype=np.float32)
    for start in range(0, len(codes), _BLOCK):
        numbers, known = k_mer_numbers(codes[start : start + _BLOCK], k)
        rows = np.arange(len(numbers))[:, np.newaxis]
        cells = (column[numbers] + rows * len(kept))[known]
        counts = np.bincount(cells, minlength=rows.size * len(kept)).reshape(rows.size, -1)
        places = known.shape[1] if of_all else np.maximum(known.sum(axis=1, keepdims=True), 1)
        table[start : start + _BLOCK] = counts / places
    return table


def k_let_counts(codes: Codes, k: int) -> dict[str, int]:
    """Count the overlapping k-lets (words of k letters) of one sequence, on one strand.

    Parameters
    ----------
    codes
        uint8, shape (L,), values 0-4; k-lets with N count too.
    k
        Length of a k-let, 1 <= k <= L.

    Returns
    -------
    dict of str to int
        Counts of the k-lets that occur.

    Raises
    ------
    SequenceError
        If k is below 1 or above L.

    Examples
    --------
    >>> from enhancer_core.dna.codes import encode
    >>> k_let_counts(encode(["AACAA"])[0], 2)
    {'AA': 2, 'AC': 1, 'CA': 1}
    """
    if not 1 <= k <= len(codes):
        raise SequenceError(f"k of {k} is not allowed for {len(codes)} bp; allowed are 1 to length")
    words, counts = np.unique(
        np.lib.stride_tricks.sliding_window_view(codes, k), axis=0, return_counts=True
    )
    return dict(zip(decode(words), counts.tolist(), strict=True))
