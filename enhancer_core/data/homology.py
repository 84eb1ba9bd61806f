"""Find homologous sequences: those that share many rare k-mers.

Orthologous windows of close species are nearly the same sequence. If one is learned from and the
other tested, memory passes for knowledge. Words of 24 letters hardly recur by chance, and 20 of
them in common are one match of 43 letters, or several shorter ones. Words that many records hold
are repeats of the genome, and no sign of a common place: Alus share some words of 24 letters by
their common origin alone, which would link a third of the windows of a mammal's genome.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from enhancer_core.data.groups import connected_sets
from enhancer_core.dna.codes import Codes
from enhancer_core.dna.kmers import k_mer_numbers, reverse_complement_numbers
from enhancer_core.errors import SequenceError

WORD = 24  # bp
LEAST = 20  # words in common
MOST = 10  # records that hold a rare word
LONGEST = 31  # bp: what fits in 64 bits


def link_homologs(
    codes: Codes, *, word: int = WORD, least: int = LEAST, most: int = MOST
) -> NDArray[np.int64]:
    """Group sequences, uint8 (n, L), into families of rare words in common: int64 (n,), from 0.

    A word has `word` letters, 1 to 31 and at most L; it and its reverse complement are one. Records
    that share `least` words are linked. A word that more than `most` records hold is a repeat, and
    does not count.

    Raises
    ------
    SequenceError
        If `word` is not allowed.
    """
    n, length = codes.shape
    if not 1 <= word <= min(LONGEST, length):
        raise SequenceError(
            f"words of {word} letters are not allowed; allowed are 1 to {min(LONGEST, length)}"
        )
    numbers, known = k_mer_numbers(codes, word)
    words = np.minimum(numbers, reverse_complement_numbers(numbers, word))[known]
    rows = np.nonzero(known)[0]
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
    """Join two groupings of n records, int64 (n,): records of one group in either are in one."""
    n, rows = len(sets), np.arange(len(sets))
    nodes = n + sets, n + int(sets.max(initial=-1)) + 1 + others
    size = int(nodes[1].max(initial=n)) + 1
    return connected_sets(size, np.tile(rows, 2), np.concatenate(nodes))[:n]
