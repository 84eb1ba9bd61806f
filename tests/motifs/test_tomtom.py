"""TOMTOM's p-values against enumeration."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enhancer_core.motifs.homer import similarity
from enhancer_core.motifs.match import best_matches
from enhancer_core.motifs.motif import Motif, ppm, reverse_complement
from enhancer_core.motifs.tomtom import FEWEST, p_values

STEPS = 100  # from a column's median score to the farthest


def random_motifs(
    n: int, widths: tuple[int, int], rng: np.random.Generator, *, concentration: float = 0.3
) -> list[Motif]:
    """Draw columns from a Dirichlet distribution, the flatter the higher its concentration."""
    lengths = rng.integers(*widths, n, endpoint=True)
    return [
        Motif(str(i), rng.dirichlet([concentration] * 4, width).T)
        for i, width in enumerate(lengths.tolist())
    ]


def enumerated_p_values(query: Motif, targets: list[Motif]) -> list[float]:
    """Follow the definition: score alignments one by one, against every draw of columns."""
    drawn = np.concatenate([motif.pfm for motif in targets], axis=1)
    drawn = np.concatenate([drawn, drawn[::-1]], axis=1)  # a column on the other strand
    medians, widest = [], 0.0
    for column in ppm(query.pfm).T:
        scores = -np.linalg.norm(drawn.T - column, axis=1)
        medians.append(float(np.median(scores)))
        widest = max(widest, float(np.abs(scores - medians[-1]).max()))

    def score(position: int, column: np.ndarray) -> int:
        distance = float(np.linalg.norm(query.pfm[:, position] - column))
        return round((-distance - medians[position]) / widest * STEPS)

    def chance_below(first: int, last: int, reached: int) -> float:
        """Draw columns for positions first to last in every way."""
        each = [[score(i, column) for column in drawn.T] for i in range(first, last)]
        sums = [sum(draw) for draw in product(*each)]
        return sum(total < reached for total in sums) / len(sums)

    found = []
    for target in targets:
        spans, best = [], -(10**9)
        for matrix in (target.pfm, reverse_complement(target.pfm)):
            for offset in range(1 - query.width, target.width):
                first, last = max(0, -offset), min(query.width, target.width - offset)
                spans.append((first, last))
                total = sum(score(i, matrix[:, i + offset]) for i in range(first, last))
                best = max(best, total)
        found.append(1 - float(np.prod([chance_below(*span, best) for span in spans])))
    return found


@pytest.mark.parametrize("width", [1, 2])
@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_p_values_are_those_of_every_draw_of_columns(width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Whole fifths, so that columns and their distances coincide now and then.
    targets = [
        Motif(str(i), rng.multinomial(5, [0.25] * 4, rng.integers(1, 3)).T / 5)
        for i in range(FEWEST)
    ]
    query = Motif("query", rng.dirichlet([0.5] * 4, width).T)
    expected = enumerated_p_values(query, targets)
    # Scores half way between two steps may round either way, a step in a hundred.
    np.testing.assert_allclose(p_values([query], targets)[0], expected, atol=0.02)
    assert np.median(np.abs(p_values([query], targets)[0] - expected)) < 1e-9


def test_p_values_do_not_depend_on_the_strand(rng: np.random.Generator) -> None:
    targets = random_motifs(40, (5, 12), rng)
    queries = random_motifs(5, (4, 14), rng)
    flipped = [Motif(motif.name, reverse_complement(motif.pfm)) for motif in queries]
    np.testing.assert_allclose(p_values(queries, targets), p_values(flipped, targets))
    turned = [Motif(motif.name, reverse_complement(motif.pfm)) for motif in targets]
    np.testing.assert_allclose(p_values(queries, targets), p_values(queries, turned))


def test_a_motif_is_nearest_to_itself_however_it_is_cut(rng: np.random.Generator) -> None:
    targets = random_motifs(60, (10, 14), rng)
    for index in range(5):
        part = Motif("part", reverse_complement(targets[index].pfm[:, 2:9]))
        found = p_values([part], targets)[0]
        assert found.argmin() == index
        assert found[index] < 1e-4
        match = best_matches([part], targets)[0]
        assert match is not None
        assert match.target is targets[index]
        assert match.similarity == pytest.approx(similarity([part], [targets[index]]).scores[0, 0])
        # The query's reverse complement starts at position 2.
        assert (match.offset, match.strand) == (2, -1)
        assert match.p == found[index]


def test_p_values_of_unrelated_motifs_are_spread_evenly(rng: np.random.Generator) -> None:
    targets = random_motifs(200, (6, 12), rng)
    found = p_values(random_motifs(40, (9, 9), rng), targets)
    # Not quite even: alignments of one pair share columns, and scores are whole steps. 8,000 pairs,
    # 40 of them independent, have shares within .1 of what they should be.
    for share in (0.01, 0.1, 0.5):
        assert abs((found < share).mean() - share) < 0.1 * np.sqrt(share)
