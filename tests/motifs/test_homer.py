"""HOMER's similarity, by hand and against alignments one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from enhancer_core.dna.codes import encode
from enhancer_core.errors import MotifError
from enhancer_core.motifs.homer import similarity
from enhancer_core.motifs.motif import (
    Motif,
    ppm,
    reverse_complement,
)
from tests.motifs.test_motif import motifs

A_ONLY = Motif("A", np.array([[1], [0], [0], [0]]))
C_ONLY = Motif("C", np.array([[0], [1], [0], [0]]))
T_ONLY = Motif("T", np.array([[0], [0], [0], [1]]))
A_THEN_C = Motif("AC", np.array([[1, 0], [0, 1], [0, 0], [0, 0]]))
A_THEN_T = Motif("AT", np.array([[1, 0], [0, 0], [0, 0], [0, 1]]))


def best_correlation(query: Motif, target: Motif) -> float:
    """Try alignments one by one, padding both motifs with 0.25 to the union of their places."""
    best = -np.inf
    for matrix in (ppm(query.pfm), ppm(reverse_complement(query.pfm))):
        for offset in range(1 - query.width, target.width):
            first, last = min(0, offset), max(target.width, offset + query.width)
            over, under = np.full((2, 4, last - first), 0.25)
            over[:, offset - first : offset - first + query.width] = matrix
            under[:, -first : -first + target.width] = ppm(target.pfm)
            if over.std() < 1e-9 or under.std() < 1e-9:
                return 0.0
            best = max(best, np.corrcoef(over.ravel(), under.ravel())[0, 1])
    return best


def test_similarity_of_small_motifs_is_what_a_hand_computes() -> None:
    # Deviations from 0.25: A (3, -1, -1, -1)/4, C (-1, 3, -1, -1)/4; squares sum to 12/16, products
    # of A and C to -4/16. A over AC: 12/16 of sqrt(12/16 * 24/16).
    result = similarity([A_ONLY], [A_ONLY, C_ONLY, T_ONLY, A_THEN_C])
    assert_allclose(result.scores, [[1, -1 / 3, 1, np.sqrt(1 / 2)]])
    assert result.offsets.tolist() == [[0, 0, 0, 0]]
    assert result.strands.tolist() == [[1, 1, -1, 1]]


def test_similarity_of_equal_alignments_takes_the_lowest_offset_then_the_forward_strand() -> None:
    result = similarity([A_ONLY, A_THEN_T], [A_THEN_T])  # AT is its own reverse complement
    assert result.offsets.tolist() == [[0], [0]]
    assert result.strands.tolist() == [[1], [1]]


@pytest.mark.parametrize("start", [0, 4, 7])
@pytest.mark.parametrize("strand", [1, -1])
def test_similarity_finds_where_a_part_comes_from(start: int, strand: int) -> None:
    whole = Motif("whole", np.eye(4)[:, encode(["GATTACACCTG"])[0]])  # no 4 letters occur twice
    part = whole.pfm[:, start : start + 4]
    query = Motif("part", part if strand == 1 else reverse_complement(part))
    result = similarity([query], [whole])
    assert (result.offsets[0, 0], result.strands[0, 0]) == (start, strand)
    swapped = similarity([whole], [query])  # now the whole hangs over
    overhang = start if strand == 1 else whole.width - start - 4
    assert (swapped.offsets[0, 0], swapped.strands[0, 0]) == (-overhang, strand)


@given(st.lists(motifs(), min_size=1, max_size=4), st.lists(motifs(), min_size=1, max_size=4))
def test_similarity_equals_trying_alignments_one_by_one(
    queries: list[Motif], targets: list[Motif]
) -> None:
    expected = [[best_correlation(query, target) for target in targets] for query in queries]
    assert_allclose(similarity(queries, targets).scores, expected, atol=1e-9)


@given(st.lists(motifs(), min_size=1, max_size=4), st.lists(motifs(), min_size=1, max_size=4))
def test_similarity_is_symmetric_and_a_correlation(
    queries: list[Motif], targets: list[Motif]
) -> None:
    scores = similarity(queries, targets).scores
    assert_allclose(scores, similarity(targets, queries).scores.T, atol=1e-9)
    assert np.abs(scores).max() <= 1 + 1e-9


@given(motifs())
def test_similarity_is_1_with_itself_on_either_strand_unless_uniform(motif: Motif) -> None:
    flipped = Motif("flipped", reverse_complement(motif.pfm))
    is_uniform = np.ptp(motif.pfm, axis=0).max() == 0
    assert_allclose(similarity([motif], [motif, flipped]).scores, 0 if is_uniform else 1)


def test_similarity_needs_motifs_on_both_sides() -> None:
    with pytest.raises(MotifError, match="at least one query and one target"):
        similarity([A_ONLY], [])
    with pytest.raises(MotifError, match="at least one query and one target"):
        similarity([], [A_ONLY])
