from __future__ import annotations

import numpy as np
import pytest

from enhancer_core.data.species import MOTIFS, NEWICK, SPECIES, draw_species
from enhancer_core.errors import DatasetError
from enhancer_core.motifs.motif import ppm, pwm
from enhancer_core.motifs.pssm import best_hits
from enhancer_core.study.newick import read_newick


def test_the_tree_has_the_species() -> None:
    assert sorted(read_newick(NEWICK)) == sorted(SPECIES)


@pytest.mark.parametrize("motif", list(MOTIFS))
def test_enhancers_hold_the_motifs_more_often_than_the_background(motif: str) -> None:
    enhancers, background = draw_species("human", number=500, length=250, seed=0)
    log_odds = pwm(ppm(MOTIFS[motif].pfm, pseudocount=0.01))
    ours, theirs = (best_hits(codes, log_odds).scores for codes in (enhancers, background))
    # Two samples of 500: their means differ by chance by sd * sqrt(2 / 500); five of those.
    chance = 5 * float(np.concatenate([ours, theirs]).std()) * (2 / 500) ** 0.5
    assert ours.mean() - theirs.mean() > chance


def test_a_species_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    one, again, other = (draw_species("rat", number=3, length=60, seed=s)[0] for s in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one, draw_species("dog", number=3, length=60, seed=1)[0])


def test_what_the_world_lacks_is_told() -> None:
    with pytest.raises(DatasetError, match="species 'cat' is not known; allowed are human"):
        draw_species("cat", number=1, length=60, seed=0)
    with pytest.raises(DatasetError, match="1 sequences of 30 bp"):
        draw_species("dog", number=1, length=30, seed=0)
