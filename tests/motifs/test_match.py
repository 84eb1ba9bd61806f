"""Matches with a database, and what chance matches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from enhancer_core.errors import MotifError
from enhancer_core.io.motifs import read_motifs
from enhancer_core.motifs.homer import similarity
from enhancer_core.motifs.match import FLAT, best_matches, nearest_query
from enhancer_core.motifs.motif import BUILTIN, Motif, information_content
from enhancer_core.motifs.tomtom import FEWEST, p_values
from tests.motifs.test_tomtom import random_motifs


def test_q_values_are_of_benjamini_and_hochberg(rng: np.random.Generator) -> None:
    targets = random_motifs(30, (6, 8), rng)
    query = Motif("query", targets[4].pfm)
    match = best_matches([query], targets)[0]
    assert match is not None
    found = np.sort(p_values([query], targets)[0])
    ranks = np.arange(1, 31)
    expected = min(
        float(p * 30 / rank) for p, rank in zip(found, ranks, strict=True) if p >= match.p
    )
    assert match.q == pytest.approx(expected)


def test_flat_motifs_match_nothing(rng: np.random.Generator) -> None:
    # Long targets with flat columns, as databases have them, are what such a motif is nearest to.
    targets = random_motifs(40, (6, 12), rng)
    for width in range(15, 35):
        pfm = np.full((4, width), 0.25) + 0.1 * rng.random((4, width))
        pfm[:, 5:8] = np.eye(4)[:, :3]
        targets.append(Motif(f"long {width}", pfm))
    made = [np.full((4, 9), 0.25), np.full((4, 9), 0.25) + 1e-9 * rng.random((4, 9))]
    for composition in ([1, 1, 1, 1], [2, 3, 3, 2], [3, 2, 2, 3]):
        for concentration in (1e6, 100, 20, 8):
            weights = np.array(composition) / sum(composition) * 4 * concentration
            made += [rng.dirichlet(weights, 9).T for _ in range(20)]
    motifs = [Motif(str(i), pfm) for i, pfm in enumerate(made)]
    assert max(information_content(pfm).sum() for pfm in made) < FLAT
    significant = (p_values(motifs, targets) < 0.001).any(axis=1)
    assert significant.mean() > 0.5  # what this rule is for
    assert best_matches(motifs, targets) == [None] * len(motifs)


def test_a_motif_is_flat_below_two_bits() -> None:
    targets = random_motifs(3, (6, 6), np.random.default_rng(0))
    one_base = np.full((4, 5), 0.25)
    one_base[:, 2] = [1, 0, 0, 0]  # 2 bits
    nearly = one_base.copy()
    nearly[:, 2] = [0.99, 0.01, 0, 0]
    whole, less = best_matches([Motif("2 bits", one_base), Motif("1.9 bits", nearly)], targets)
    assert whole is not None
    assert less is None


@pytest.mark.parametrize("name", ["JASPAR2022_vertebrates.pfm", "H12CORE_meme_format.meme"])
def test_random_motifs_seldom_match_in_public_databases(
    real_data: Path, name: str, rng: np.random.Generator
) -> None:
    database = read_motifs(real_data / "motifs" / name)
    motifs = [
        motif
        for concentration in (2, 1, 0.5, 0.2)  # 2 to 10 bits
        for motif in random_motifs(20, (9, 9), rng, concentration=concentration)
    ]
    false = sum(match is not None and match.q < 0.05 for match in best_matches(motifs, database))
    assert false <= 13  # of 80 with a chance of .05 each, more come 4 times in 100,000


def test_known_motifs_match_their_families_in_a_public_database(real_data: Path) -> None:
    database = read_motifs(real_data / "motifs" / "H12CORE_meme_format.meme")
    # PPARD binds direct repeats of AGGTCA one base apart, as HNF4A does.
    families = ("CEBP", "PPARD")
    for name, match in zip(families, best_matches(list(BUILTIN.values()), database), strict=True):
        assert match is not None
        assert match.target.name.startswith(name), match
        assert match.similarity > 0.9
        assert match.q < 0.01


def test_a_small_database_gives_matches_without_p_values(rng: np.random.Generator) -> None:
    targets = random_motifs(FEWEST - 1, (6, 8), rng)
    match = best_matches(targets[3:4], targets)[0]
    assert match is not None
    assert match.target is targets[3]
    assert np.isnan([match.p, match.q]).all()
    with pytest.raises(MotifError, match=f"{FEWEST - 1} targets; p-values need at least {FEWEST}"):
        p_values(targets[3:4], targets)


def test_the_lowest_p_value_chooses_and_similarity_stands_beside_it(
    rng: np.random.Generator,
) -> None:
    queries, targets = random_motifs(30, (9, 9), rng), random_motifs(60, (6, 12), rng)
    scores, p = similarity(queries, targets).scores, p_values(queries, targets)
    differ = 0
    for row, match in enumerate(best_matches(queries, targets)):
        assert match is not None
        column = targets.index(match.target)
        assert match.p == p[row].min() == p[row, column]
        assert match.similarity == scores[row, column]
        assert match.p <= match.q <= match.p * len(targets)
        differ += column != scores[row].argmax()
    assert differ > 5  # the most similar motif is often another


@pytest.mark.parametrize("n", [10, 40])
def test_of_equal_targets_the_more_similar_and_then_the_first_by_name_is_the_match(
    rng: np.random.Generator, n: int
) -> None:
    others = random_motifs(n, (6, 6), rng)
    query = Motif("query", others[0].pfm)
    # Nearer to the query than any other, all alike to TOMTOM's whole steps, which the last is not.
    alike = [Motif(name, others[0].pfm) for name in "cba"]
    slightly = Motif("A", others[0].pfm + np.array([[1e-5], [0], [0], [0]]))
    targets = [slightly, *alike, *others[1:]]
    p = p_values([query], targets)[0] if n >= FEWEST else np.zeros(4)
    assert len(set(p[:4].tolist())) == 1
    match = best_matches([query], targets)[0]
    assert match is not None
    assert match.target.name == "a"


def test_the_query_nearest_to_a_target_is_judged_as_it_is_beside_all_targets(
    rng: np.random.Generator,
) -> None:
    targets = random_motifs(40, (8, 12), rng)
    queries = [*random_motifs(3, (9, 9), rng), targets[7], targets[30]]
    row, match = nearest_query(queries, targets, index=7)
    assert (row, match.target, match.offset, match.strand) == (3, targets[7], 0, 1)
    assert match.similarity == pytest.approx(1)
    best = best_matches(queries, targets)[3]
    assert best is not None
    assert (match.p, match.q) == (best.p, best.q)
    other = nearest_query(queries[:1], targets, index=7)[1]  # not what it is most like
    assert other.target is targets[7]
    assert other.p == pytest.approx(p_values(queries[:1], targets)[0, 7])
    assert other.q >= other.p


def test_motifs_are_needed_on_both_sides() -> None:
    with pytest.raises(MotifError, match="at least one query and one target"):
        best_matches([], [BUILTIN["CEBPA"]])
    with pytest.raises(MotifError, match="at least one query and one target"):
        best_matches([BUILTIN["CEBPA"]], [])
