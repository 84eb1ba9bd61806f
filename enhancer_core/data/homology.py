"""Find homologous sequences: those that share many rare k-mers.

Orthologous windows of close species are nearly the same sequence. If one is learned from and the
other tested, memory passes for knowledge. Words of 24 letters hardly recur by chance, and 20 of
them in common are a stretch of 43 letters, or several shorter ones. Words that many records hold
are repeats of the genome, and say nothing of a common place: Alus share some words of 24 letters by
their common origin alone, which would link a third of the windows of a mammal's genome.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from enhancer_core.data.groups import connected_sets
from enhancer_core.dna.codes import N_CODE, Codes
from enhancer_core.errors import SequenceError

WORD = 24  # bp
LEAST = 20  # words in common
MOST = 10  # records that hold a rare word
LONGEST = 31  # bp: what fits in 64 bits


def link_homologs(
    codes: Codes, *, word: int = WORD, least: int = LEAST, most: int = MOST
) -> NDArray[np.int64]:
    """Find the families of sequences that rare words in common link.

    Parameters
    ----------
    codes
        uint8, shape (n, L), values 0-4.
    word
        Letters of a word, 1 to 31 and at most L; a word and its reverse complement are one.
    least
        Words that two records must share to be linked, 1 or more.
    most
        Records that may hold a word for it to count; what more hold is a repeat.

    Returns
    -------
    int64, shape (n,)
        Family of each sequence, from 0.

    Raises
    ------
    SequenceError
        If `word` is not allowed.

    Examples
    --------
    >>> from enhancer_core.dna.codes import encode
    >>> link_homologs(encode(["AAGATTACA", "CTGTAATCC", "ACGTACGTA"]), word=7, least=1).tolist()
    [0, 0, 1]
    """
    n, length = codes.shape
    if not 1 <= word <= min(LONGEST, length):
        raise SequenceError(
            f"words of {word} letters are not allowed; allowed are 1 to {min(LONGEST, length)}"
        )
    words, rows = _words(codes, word)
    order = np.lexsort((rows, words))
    words, rows = words[order], rows[order]
    fresh = np.ones(len(words), dtype=bool)  # the first of each word in each record
    fresh[1:] = (words[1:] != words[:-1]) | (rows[1:] != rows[:-1])
    words, rows = words[fresh], rows[fresh]
    _, starts, counts = np.unique(words, return_index=True, return_counts=True)
    pairs = [np.empty((0, 2), np.int64)]
    for count in np.unique(counts[(counts > 1) & (counts <= most)]).tolist():
        holders = rows[starts[counts == count][:, np.newaxis] + np.arange(count)]
        one, other = np.triu_indices(count, 1)
        pairs.append(np.stack([holders[:, one].ravel(), holders[:, other].ravel()], axis=1))
    keys, shared = np.unique(np.concatenate(pairs) @ np.array([n, 1]), return_counts=True)
    linked = keys[shared >= least]
    return connected_sets(n, linked // n, linked % n)


def join_groupings(sets: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.int64]:
    """Join two groupings of n records, int64 (n,) each: records of one group in either are in one.

    Examples
    --------
    >>> join_groupings(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2])).tolist()
    [0, 0, 0, 1]
    """
    n, rows = len(sets), np.arange(len(sets))
    nodes = n + sets, n + int(sets.max(initial=-1)) + 1 + others
    size = int(nodes[1].max(initial=n)) + 1
    return connected_sets(size, np.tile(rows, 2), np.concatenate(nodes))[:n]


def _words(codes: Codes, word: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Write each record's words without N as numbers, on the strand where those are smaller."""
    n, length = codes.shape
    places = length - word + 1
    forward = np.zeros((n, places), np.uint64)
    reverse = np.zeros((n, places), np.uint64)
    known = np.ones((n, places), dtype=bool)
    for offset in range(word):
        letter = codes[:, offset : offset + places]
        known &= letter != N_CODE
        value = (letter & 3).astype(np.uint64)
        forward = forward << np.uint64(2) | value
        reverse |= (np.uint64(3) - value) << np.uint64(2 * offset)
    rows = np.broadcast_to(np.arange(n)[:, np.newaxis], known.shape)
    return np.minimum(forward, reverse)[known], rows[known]
