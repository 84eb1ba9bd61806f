"""What the second layer joins: by its weights, and by planting."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from enhancer_core.dna.codes import Codes, decode, encode, reverse_complement
from enhancer_core.dna.shuffle import k_shuffle
from enhancer_core.errors import ModelFileError, SequenceError
from enhancer_core.interpretation.filters import filter_pfms
from enhancer_core.interpretation.interactions import (
    Arrangement,
    Interactions,
    best_arrangements,
    draw_anchors,
    mean_interval,
    measure_interactions,
)
from enhancer_core.interpretation.second_layer import (
    FilterPair,
    consensus_sites,
    max_distance,
    rank_pairs,
    second_layer_index,
)
from enhancer_core.metrics import roc_auc
from enhancer_core.models.architecture import NETWORKS, Architecture, Convolution
from enhancer_core.models.cpu.learner import CpuLearner
from enhancer_core.models.model import Model
from enhancer_core.models.network import Network, torch_network
from enhancer_core.models.parameters import Member, flatten, shapes
from enhancer_core.prediction.sequences import log_odds, probabilities
from tests.predictors import model_of, predictor_of

WORDS = ("GATTACA", "CCGTGAC", "TTTGGGA")
LENGTH = 61
# 55 places of the first layer; 41 of the second, of which each unit keeps the best.
WANTED = Architecture(
    convolutions=(Convolution(3, 7, 1), Convolution(2, 15, 41)), dense=(), length=LENGTH
)
SITES = encode(WORDS)


def network(*, distance: int = 10) -> Model:
    """Make a network of which one unit needs word 0 and, `distance` after it, word 1.

    A filter gives 1 for its word, 0 for less. The unit gives 2 where it has both, 0 for one; the
    other unit gives 1 for word 2, and more than one such place counts as one.
    """
    weights = {name: np.zeros(shape, np.float32) for name, shape in shapes(WANTED).items()}
    for index, site in enumerate(SITES):
        weights["convolutions.0.weight"][index, site, np.arange(7)] = 1
    weights["convolutions.0.bias"][:] = -6
    joining = weights["convolutions.1.weight"]
    joining[0, 0, 0] = joining[0, 1, distance] = 2
    weights["convolutions.1.bias"][0] = -2
    joining[1, 2, 0] = 1
    weights["output.weight"][1] = 1
    return Model((Member(WANTED, flatten(weights)),), {})


def weights_of(model: Model) -> dict[str, NDArray[np.float32]]:
    """Return the only member's weights by name: views, that can be changed."""
    return model.members[0].weights()


def quiet_backgrounds(n: int) -> Codes:
    """Draw sequences of A and C, in which no word of the network is within reach."""
    rng = np.random.default_rng(0)
    return rng.integers(2, size=(n, LENGTH), dtype=np.uint8)


def test_a_site_has_the_base_of_each_position_that_tells_a_tenth_of_a_bit() -> None:
    pfm = np.array([[10, 20, 0, 5], [0, 20, 0, 5], [0, 20, 1, 0], [0, 35, 7, 0]])
    #               2 bits  .04    1.5      1
    assert decode(consensus_sites([pfm])) == ["ANTA"]


def test_the_second_layer_is_the_one_that_counts() -> None:
    assert second_layer_index(NETWORKS["tf"]) == 1
    assert second_layer_index(NETWORKS["original_code"]) == 2
    assert max_distance(NETWORKS["tf"]) == 5
    assert max_distance(WANTED) == 14
    with pytest.raises(ModelFileError, match="has one convolution; no second one joins"):
        second_layer_index(replace(WANTED, convolutions=(Convolution(1, 7, 2),)))
    with pytest.raises(ModelFileError, match="reads one position; it joins none"):
        second_layer_index(
            replace(WANTED, convolutions=(Convolution(512, 5, 1), Convolution(2, 1, 1)))
        )


def test_the_weights_join_the_pair_that_a_unit_reads_at_its_distance() -> None:
    found = rank_pairs(network().filter_members, SITES)
    assert found == [FilterPair(first=0, second=1, strength=4.0, pools=10)]  # 2 x 1 times 2 x 1


def test_joints_know_no_order_and_no_scale() -> None:
    model = network()
    expected = rank_pairs(model.filter_members, SITES)
    scaled = {name: array.copy() for name, array in weights_of(model).items()}
    scaled["convolutions.0.weight"][0] *= 4
    scaled["convolutions.0.bias"][0] *= 4
    scaled["convolutions.1.weight"][:, 0] /= 4
    scaled["convolutions.1.weight"][:, [0, 1]] = scaled["convolutions.1.weight"][:, [1, 0], ::-1]
    scaled["convolutions.0.weight"][[0, 1]] = scaled["convolutions.0.weight"][[1, 0]]
    scaled["convolutions.0.bias"][[0, 1]] = scaled["convolutions.0.bias"][[1, 0]]
    assert rank_pairs([Member(WANTED, flatten(scaled))], SITES[[1, 0, 2]]) == expected


def test_each_member_of_an_ensemble_joins_its_own_filters() -> None:
    weak, strong = network(), network(distance=4)
    weights_of(weak)["output.weight"] /= 2
    found = rank_pairs(
        (*weak.filter_members, *strong.filter_members), np.concatenate([SITES, SITES])
    )
    assert found == [
        FilterPair(first=3, second=4, strength=4.0, pools=4),
        FilterPair(first=0, second=1, strength=2.0, pools=10),
    ]


def test_a_filter_can_be_joined_to_itself_but_not_at_one_place() -> None:
    model = network()
    weights_of(model)["convolutions.1.weight"][1, 2, [0, 4]] = 1
    found = rank_pairs(model.filter_members, SITES)
    assert found[1] == FilterPair(first=2, second=2, strength=1.0, pools=4)


def test_a_filter_without_a_site_takes_no_part() -> None:
    sites = SITES.copy()
    sites[1] = 4
    assert rank_pairs(network().filter_members, sites) == []


def test_a_unit_that_reads_nothing_positively_joins_nothing() -> None:
    model = network()
    weights_of(model)["convolutions.1.weight"][0] *= -1
    assert rank_pairs(model.filter_members, SITES) == []


def test_planting_finds_the_spacing_and_all_four_orientations_that_a_network_reads() -> None:
    model, pair = network(), FilterPair(0, 1, 4.0, 10)
    spacings = np.arange(-14, 15)
    found = measure_interactions(
        predictor_of(model), pair, SITES, quiet_backgrounds(6), np.full(6, 27), spacings=spacings
    )
    means = dict(zip(spacings.tolist(), found.values.mean(axis=0).tolist(), strict=True))
    # The first layer reads both strands, so either orientation serves; on one of the two strands
    # that are averaged word 1 comes after word 0, whichever side it is on.
    for spacing in (-10, 10):
        assert means[spacing] == pytest.approx([1.0, 1.0])
    for spacing in (*range(-14, -10), *range(-9, -6), *range(7, 10), *range(11, 15)):
        assert means[spacing] == pytest.approx([0.0, 0.0])
    for spacing in range(-6, 7):
        assert np.isnan(means[spacing]).all()


def test_two_sites_that_say_the_same_take_away_from_each_other() -> None:
    model, pair = network(), FilterPair(2, 2, 1.0, 0)
    found = measure_interactions(
        predictor_of(model),
        pair,
        SITES,
        quiet_backgrounds(4),
        np.full(4, 27),
        spacings=np.array([8]),
    )
    assert found.values == pytest.approx(np.full((4, 1, 2), -1.0))  # 1 with one, 1 with both


def test_sites_may_interleave_where_their_letters_do_not_meet() -> None:
    sites = SITES.copy()
    sites[1, :3] = 4
    found = measure_interactions(
        predictor_of(network(distance=4)),
        FilterPair(0, 1, 1.0, 4),
        sites,
        quiet_backgrounds(4),
        np.full(4, 27),
        spacings=np.array([3, 4]),
    )
    assert np.isnan(found.values[:, :, 0]).all(axis=0).tolist() == [True, False]
    assert np.isnan(found.values[:, :, 1]).all()  # turned round its letters come first


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_an_interaction_is_that_of_sequences_planted_by_hand(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = {
        name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes(WANTED).items()
    }
    model = Model((Member(WANTED, flatten(weights)),), {})
    background = rng.integers(4, size=(1, LENGTH), dtype=np.uint8)
    start, spacing = 25, int(rng.choice([-12, 9]))
    one, two, both = (background.copy() for _ in range(3))
    opposite = reverse_complement(SITES[1])
    for codes in (one, both):
        codes[0, start : start + 7] = SITES[0]
    for codes in (two, both):
        codes[0, start + spacing : start + spacing + 7] = opposite
    odds = [
        sum(
            log_odds(predictor_of(model), strand).item()
            for strand in (each, reverse_complement(each))
        )
        / 2
        for each in (both, one, two, background)
    ]
    found = measure_interactions(
        predictor_of(model),
        FilterPair(0, 1, 1.0, 0),
        SITES,
        background,
        np.array([start]),
        spacings=np.array([spacing]),
    )
    expected = odds[0] - odds[1] - odds[2] + odds[3]
    assert found.values[0, 0, 1] == pytest.approx(expected, abs=1e-4)


def test_a_site_that_is_not_inside_is_refused() -> None:
    with pytest.raises(SequenceError, match="spacings of -30 to 9 bp do not fit sequences of 61"):
        measure_interactions(
            predictor_of(network()),
            FilterPair(0, 1, 1.0, 0),
            SITES,
            quiet_backgrounds(1),
            np.array([27]),
            spacings=np.array([-30, 9]),
        )


def test_anchors_come_in_every_phase_around_the_middle(rng: np.random.Generator) -> None:
    architecture = NETWORKS["enhancer"]
    found = draw_anchors(500, architecture, spacing=30, rng=rng)
    assert set(found.tolist()) == set(range(240, 252))  # 12 phases, sites of 9 bp in 500
    found = draw_anchors(500, architecture, spacing=244, rng=rng)
    assert set(found.tolist()) == set(range(244, 248))  # room for 4
    with pytest.raises(SequenceError, match="spacings of -246 to 246 bp do not fit sequences of"):
        draw_anchors(1, architecture, spacing=246, rng=rng)


def made(values: list[list[list[float]]]) -> Interactions:
    array = np.array(values)
    alone = np.zeros(len(array)), np.zeros_like(array)
    return Interactions(FilterPair(0, 1, 1.0, 3), np.arange(7, 7 + array.shape[1]), array, *alone)


def test_one_half_of_the_backgrounds_chooses_and_the_other_judges() -> None:
    choose, judge = [[1.0, 0.0], [3.0, 2.0]], [[9.0, 0.0], [1.0, 0.0]]
    (found,) = best_arrangements([made([choose, choose, judge, judge])])
    assert (found.spacing, found.same_strand) == (8, True)
    assert (found.interaction, found.low, found.high) == (1.0, 1.0, 1.0)
    assert (found.turned, found.elsewhere) == (0.0, 3.0)
    assert (found.excess, found.kind) == ((-2.0, -2.0, -2.0), "at any distance")
    assert np.isnan(found.swapped)


@pytest.mark.parametrize(
    ("best", "others", "kind"),
    [
        ([2.0, 2.1], [0.0, 0.1], "spacing-specific"),
        ([2.0, 2.01], [0.9, 0.9], "spacing-specific"),
        ([2.0, 2.1], [1.1, 1.1], "at any distance"),  # half of it or more
        ([2.0, 2.0], [2.0, 2.0], "at any distance"),
        ([0.1, 3.9], [0.5, 0.5], "unclear"),
        ([2.0, 2.1], [np.nan, np.nan], "unclear"),  # there is nothing to compare it with
    ],
)
def test_an_interaction_is_of_a_spacing_or_of_any_by_the_half_that_judges(
    best: list[float], others: list[float], kind: str
) -> None:
    choose = [[9.0, others[0]], [others[0]] * 2]
    judge = [[[b, o], [o, o]] for b, o in zip(best, others, strict=True)]
    (found,) = best_arrangements([made([choose, choose, *judge])])
    assert (found.spacing, found.same_strand, found.kind) == (7, True, kind)
    differences = np.subtract(best, others)
    if not np.isnan(differences).any():
        assert found.excess == pytest.approx(mean_interval(differences, shared_by=2))


def test_what_fits_nowhere_is_no_finding_and_few_backgrounds_are_refused() -> None:
    nowhere = [[np.nan, np.nan]]
    assert best_arrangements([made([nowhere] * 4)]) == []
    with pytest.raises(SequenceError, match="3 backgrounds; at least 4 are needed"):
        best_arrangements([made([nowhere] * 3)])


def test_intervals_hold_their_mean_as_often_as_they_say(rng: np.random.Generator) -> None:
    inside = 0
    for _ in range(2000):
        _, low, high = mean_interval(rng.normal(size=8))
        inside += low <= 0 <= high
    # 1,900 expected, with a standard deviation of 9.7; five of them
    assert 1851 <= inside <= 1949
    alone, shared = (mean_interval(np.arange(5.0), shared_by=n) for n in (1, 10))
    assert shared[1] < alone[1] < alone[2] < shared[2]


def general_network() -> Model:
    """Make a network of which one unit needs words 0 and 1 at any distance that it reads."""
    model = network()
    joining = weights_of(model)["convolutions.1.weight"]
    joining[0, :2] = 2
    return model


@pytest.mark.parametrize(
    ("model", "kind"),
    [(network(), "spacing-specific"), (general_network(), "at any distance")],
    ids=["one distance", "any"],
)
def test_a_network_that_needs_a_distance_is_told_from_one_that_takes_any(
    model: Model, kind: str
) -> None:
    tested = measure_interactions(
        predictor_of(model),
        FilterPair(0, 1, 4.0, 10),
        SITES,
        quiet_backgrounds(8),
        np.full(8, 27),
        spacings=np.arange(-14, 15),
    )
    (found,) = best_arrangements([tested])
    assert (found.confirmed, found.kind) == (True, kind)


# The truth: two words planted 16 bp apart, the second on the other strand.

GAP, SIZE = 16, 110
FIRST, SECOND = encode(["GATTACAG"])[0], encode(["TGCGTCCC"])[0]
READER = Architecture(
    convolutions=(Convolution(4, 8, 2), Convolution(8, 12, 4)), dense=(16,), length=SIZE
)


def learned(rng: np.random.Generator, *, fixed: bool) -> tuple[Network, Codes]:
    """Train a network, whose first two filters know the words already, to know pairs of them.

    Negatives have one of the two, or both with another gap, if the gap is to be learned.
    """
    n = 2000
    codes = rng.integers(4, size=(2 * n, SIZE), dtype=np.uint8)
    labels = np.arange(2 * n) < n
    other = rng.choice([gap for gap in range(8, 25) if gap != GAP], size=2 * n)
    starts = rng.integers(20, SIZE - 44, size=2 * n)
    kinds = np.where(labels, 0, rng.integers(0 if fixed else 1, 3, size=2 * n))
    for word, places, has in (
        (FIRST, starts, kinds < 2),
        (reverse_complement(SECOND), starts + np.where(labels & fixed, GAP, other), kinds != 1),
    ):
        rows = np.flatnonzero(has)[:, np.newaxis]
        codes[rows, places[has, np.newaxis] + np.arange(8)] = word
    first = Network(READER, generator=torch.Generator().manual_seed(int(rng.integers(100))))
    for filter_, word in enumerate((FIRST, SECOND)):
        with torch.no_grad():
            first.first_layer.weight[filter_] = torch.from_numpy(np.eye(4)[:, word] - 0.25)
            first.state_dict()["convolutions.0.bias"][filter_] = -3
    learner = CpuLearner(READER, first.flat_parameters())
    for _ in range(10):
        for rows in np.split(rng.permutation(2 * n), 80):
            learner.step(codes[rows], labels[rows].astype(np.int64), rate=2e-3)
    model = torch_network(Member(READER, learner.parameters))
    assert roc_auc(labels, probabilities(predictor_of(model), codes)) > 0.95
    return model, codes[:n]


def pair_of_words(
    model: Network, positives: Codes, rng: np.random.Generator
) -> tuple[int, Arrangement]:
    """Give the rank of the two words among the pairs that weights join, and the finding."""
    sites = consensus_sites(filter_pfms(model_of(model), positives))
    assert decode(sites[:2])[0][1:-1] == "ATTACA"
    ranked = rank_pairs(model_of(model).filter_members, sites)
    rank = [(each.first, each.second) for each in ranked].index((0, 1))
    backgrounds = k_shuffle(positives[:40], k=2, rng=rng)
    starts = draw_anchors(40, READER, spacing=24, rng=rng)
    tested = measure_interactions(
        predictor_of(model), ranked[rank], sites, backgrounds, starts, spacings=np.arange(-24, 25)
    )
    return rank, best_arrangements([tested])[0]


def test_a_network_trained_on_pairs_is_wired_as_they_were_planted(rng: np.random.Generator) -> None:
    rank, found = pair_of_words(*learned(rng, fixed=True), rng)
    assert rank < 3
    assert abs(abs(found.spacing) - GAP) < READER.convolutions[0].pool
    assert found.low > 1
    assert found.elsewhere < found.interaction / 3
    assert (found.confirmed, found.kind) == (True, "spacing-specific")
    # The first layer forgets strands: what is on which cannot matter.
    assert found.turned > found.interaction / 2


def test_a_network_trained_on_any_gap_joins_them_at_any(rng: np.random.Generator) -> None:
    _, found = pair_of_words(*learned(rng, fixed=False), rng)
    assert found.elsewhere > found.interaction / 3
    assert found.kind != "spacing-specific"
