"""The motif as a model: its best place and all its places, against plain Python and the paper."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.special import logsumexp

from enhancer_core.data.simulation import DEFINITIONS, simulate
from enhancer_core.dna.codes import Codes, encode, reverse_complement
from enhancer_core.errors import MotifError, SequenceError
from enhancer_core.metrics import roc_auc
from enhancer_core.motifs.motif import BUILTIN, Matrix, ppm, pwm, site_prior
from enhancer_core.motifs.pssm import IMPOSSIBLE, best_hits, best_threshold, log_likelihood_ratios

STEP = 2.0**-14

BASES = st.integers(0, 4)
# Log odds on the grid that scores are rounded to, so that plain sums must agree to the last bit.
LOG_ODDS = st.integers(-(2**17), 2**15).map(lambda steps: steps * STEP) | st.just(-np.inf)


class Problem(NamedTuple):
    """Sequences with N, log odds, whether to read both strands, and perhaps a prior."""

    codes: Codes
    log_odds: Matrix
    both_strands: bool
    prior: NDArray[np.float64] | None


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    width, spare = draw(st.integers(1, 10)), draw(st.integers(0, 12))
    codes = draw(arrays(np.uint8, (draw(st.integers(1, 4)), width + spare), elements=BASES))
    weights = draw(st.none() | arrays(np.int64, spare + 1, elements=st.integers(0, 9)))
    prior = None if weights is None or not weights.any() else weights / weights.sum()
    log_odds = draw(arrays(np.float64, (4, width), elements=LOG_ODDS))
    return Problem(codes, log_odds, draw(st.booleans()), prior)


def place_scores(codes: Codes, log_odds: Matrix, *, both_strands: bool) -> NDArray[np.float64]:
    """Score every place letter by letter: (n, strands, places), the reverse strand by reading it.

    Its places are turned around, so that they count on the forward strand.
    """
    letters = np.vstack([np.maximum(log_odds, IMPOSSIBLE), np.zeros(log_odds.shape[1])])
    strands = [codes, reverse_complement(codes)] if both_strands else [codes]
    width, places = log_odds.shape[1], codes.shape[1] - log_odds.shape[1] + 1
    scores = np.zeros((len(codes), len(strands), places))
    for strand, read in enumerate(strands):
        for position in range(width):
            scores[:, strand] += letters[read[:, position : position + places], position]
    scores[:, 1:] = scores[:, 1:, ::-1]
    return scores


# The best place


def test_a_site_is_found_where_it_stands_on_either_strand() -> None:
    log_odds = pwm(ppm(np.eye(4)[:, encode(["GATTACA"])[0]]))
    hits = best_hits(encode(["CCGATTACAC", "CTGTAATCCC", "GATTACAGGG"]), log_odds)
    assert hits.scores.tolist() == [14, 14, 14]
    assert hits.starts.tolist() == [2, 1, 0]
    assert hits.strands.tolist() == [1, -1, 1]
    forward = best_hits(encode(["CTGTAATCCC"]), log_odds, both_strands=False)
    assert forward.strands.tolist() == [1]
    assert forward.scores[0] < 0


def test_scores_by_hand() -> None:
    # Position 1: A 1/2, C 1/4, G 1/4, T never; position 2: C. Odds of AC: 2 x 4.
    log_odds = pwm(ppm([[2, 0], [1, 1], [1, 0], [0, 0]]))
    hits = best_hits(encode(["AC", "CC", "TC", "NC", "CN", "NN"]), log_odds, both_strands=False)
    assert hits.scores.tolist() == [3, 2, IMPOSSIBLE + 2, 2, 0, 0]


def test_a_prior_moves_the_best_place_and_a_uniform_one_changes_nothing() -> None:
    log_odds = pwm(ppm([[1], [0], [0], [0]]))
    codes = encode(["ACACA"])
    assert best_hits(codes, log_odds).starts.tolist() == [0]
    prior = np.array([1, 1, 2, 0, 4]) / 8
    hits = best_hits(codes, log_odds, both_strands=False, prior=prior)
    assert hits.starts.tolist() == [4]
    assert hits.scores.tolist() == pytest.approx([2 + np.log2(5 / 2)])  # 5 places, chance 1/2
    uniform = best_hits(codes, log_odds, prior=np.full(5, 1 / 5))
    assert uniform.scores.tolist() == [2]
    nowhere_else = best_hits(codes, log_odds, both_strands=False, prior=np.eye(5)[3])
    assert nowhere_else.starts.tolist() == [3]  # a place of chance 0 is no place, however it scores
    assert nowhere_else.scores.tolist() == pytest.approx([IMPOSSIBLE + np.log2(5)])


@given(problems())
def test_the_best_place_is_that_of_plain_sums(problem: Problem) -> None:
    codes, log_odds, both_strands, prior = problem
    scores = place_scores(codes, log_odds, both_strands=both_strands)
    if prior is not None:
        with np.errstate(divide="ignore"):
            bonus = np.log2(len(prior) * prior).astype(np.float32)
        scores = (scores.astype(np.float32) + bonus).astype(np.float64)
    hits = best_hits(codes, log_odds, both_strands=both_strands, prior=prior)
    best = scores.max(axis=1)
    assert hits.scores.dtype == np.float32
    assert hits.scores.tolist() == best.max(axis=1).tolist()
    assert hits.starts.tolist() == best.argmax(axis=1).tolist()
    rows = np.arange(len(codes))
    strands = np.where(scores[rows, :, hits.starts].argmax(axis=1), -1, 1)
    assert hits.strands.tolist() == strands.tolist()


@given(problems())
def test_the_other_strand_scores_the_same(problem: Problem) -> None:
    codes, log_odds, _, prior = problem
    turned = None if prior is None else prior[::-1].copy()
    here = best_hits(codes, log_odds, prior=prior)
    there = best_hits(reverse_complement(codes), log_odds, prior=turned)
    assert here.scores.tolist() == there.scores.tolist()


def test_scores_are_rounded_to_the_grid() -> None:
    log_odds = pwm(ppm(BUILTIN["HNF4A"].pfm, pseudocount=0.01))
    codes = np.random.default_rng(0).integers(0, 4, (200, 60), dtype=np.uint8)
    scores = best_hits(codes, log_odds).scores
    assert (scores % STEP == 0).all()
    exact = place_scores(codes, log_odds, both_strands=True).max(axis=(1, 2))
    assert np.abs(scores - exact).max() <= 13 * STEP / 2  # half a step a position


def test_sequences_are_left_as_they_were_and_may_be_views() -> None:
    codes = np.random.default_rng(0).integers(0, 5, (6, 40), dtype=np.uint8)
    before = codes.copy()
    log_odds = pwm(ppm(BUILTIN["CEBPA"].pfm))
    whole = best_hits(codes, log_odds).scores
    assert best_hits(codes[::2], log_odds).scores.tolist() == whole[::2].tolist()
    assert np.array_equal(codes, before)


def test_no_sequences_have_no_hits() -> None:
    none = np.zeros((0, 20), dtype=np.uint8)
    log_odds = pwm(ppm(BUILTIN["CEBPA"].pfm))
    assert best_hits(none, log_odds).scores.shape == (0,)
    assert log_likelihood_ratios(none, log_odds).shape == (0,)


# All places


def test_all_places_by_hand() -> None:
    # A is 4 times as likely in a site. ACCC: (4 + 0 + 0 + 0) / 4 places; the reverse strand adds T.
    log_odds = pwm(ppm([[1], [0], [0], [0]]))
    codes = encode(["ACCC", "AACC", "TACC", "NNNN"])
    one = log_likelihood_ratios(codes, log_odds, both_strands=False)
    np.testing.assert_allclose(one, [0, 1, 0, 0], atol=1e-9)
    both = log_likelihood_ratios(codes, log_odds)
    np.testing.assert_allclose(both, [-1, 0, 0, 0], atol=1e-9)
    skewed = log_likelihood_ratios(
        codes, log_odds, both_strands=False, prior=np.array([3, 1, 0, 0]) / 4
    )
    np.testing.assert_allclose(skewed, np.log2([3, 4, 1, 1]), atol=1e-6)


@given(problems())
def test_all_places_are_the_sum_of_plain_odds(problem: Problem) -> None:
    codes, log_odds, both_strands, prior = problem
    scores = place_scores(codes, log_odds, both_strands=both_strands)
    strands, places = scores.shape[1:]
    chances = np.full(places, 1 / places) if prior is None else prior
    expected = logsumexp(scores * np.log(2), axis=(1, 2), b=chances / strands) / np.log(2)
    found = log_likelihood_ratios(codes, log_odds, both_strands=both_strands, prior=prior)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("both_strands", [False, True])
@given(width=st.integers(1, 6), seed=st.integers(0, 2**32 - 1))
def test_all_sequences_together_are_as_likely_with_a_site_as_without(
    *, both_strands: bool, width: int, seed: int
) -> None:
    # The ratio of two distributions, averaged over the second, is 1.
    rng = np.random.default_rng(seed)
    log_odds = pwm(ppm(rng.dirichlet(np.ones(4), width).T))
    codes = np.indices((4,) * 6).reshape(6, -1).T.astype(np.uint8)  # every sequence of 6 bp
    prior = rng.dirichlet(np.ones(7 - width))
    ratios = log_likelihood_ratios(codes, log_odds, both_strands=both_strands, prior=prior)
    assert (2**ratios).mean() == pytest.approx(1, abs=1e-3)


def test_what_cannot_stand_anywhere_has_a_finite_score() -> None:
    log_odds = pwm(ppm(np.eye(4)[:, [1] * 30]))  # C thirty times
    codes = encode(["A" * 40])
    assert best_hits(codes, log_odds, both_strands=False).scores.tolist() == [30 * IMPOSSIBLE]
    ratios = log_likelihood_ratios(codes, log_odds, both_strands=False)
    assert ratios.tolist() == pytest.approx([30 * IMPOSSIBLE])


# The threshold


def test_the_threshold_calls_most_sequences_rightly() -> None:
    labels = np.array([True, False, True, True, False, False])
    scores = np.array([5.0, 4.0, 3.0, 2.0, 1.0, 0.0])
    assert best_threshold(labels, scores) == 2  # five of six right
    assert best_threshold(~labels, scores) == 4  # calls 1 of 3 positives and 1 of 3 negatives
    tied = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    assert best_threshold(labels, tied) == 1


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1))
def test_no_other_threshold_is_better(rows: list[tuple[bool, int]]) -> None:
    labels = np.array([label for label, _ in rows])
    scores = np.array([score for _, score in rows], dtype=float)

    def right(threshold: float) -> int:
        return int(((scores >= threshold) == labels).sum())

    best = max(right(score) for score in scores)
    equal = [score for score in scores if right(score) == best]
    assert best_threshold(labels, scores) == max(equal)


# What is refused


def test_input_that_cannot_be_is_refused() -> None:
    log_odds = pwm(ppm(BUILTIN["CEBPA"].pfm))
    codes = np.zeros((2, 12), dtype=np.uint8)
    for score in (best_hits, log_likelihood_ratios):
        with pytest.raises(MotifError, match="a motif of 9 bp does not fit sequences of 8 bp"):
            score(codes[:, :8], log_odds)
        with pytest.raises(MotifError, match=r"prior of shape \(12,\); allowed is \(4,\)"):
            score(codes, log_odds, prior=np.full(12, 1 / 12))
        for prior in ([0.5, 0.5, 0.5, -0.5], [0.5, 0.5, 0.5, 0.5], [np.nan, 1, 0, 0]):
            with pytest.raises(MotifError, match=r"prior from .* with sum .*; allowed are"):
                score(codes, log_odds, prior=np.array(prior))
        with pytest.raises(SequenceError, match="code 5 at"):
            score(codes + 5, log_odds)


# The paper's data


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "definition", "exact", "with_prior", "without"),
    [
        ("CEBPA", "figure2", 0.9015, 0.900, 0.791),
        ("CEBPA", "literal", 0.842, 0.838, 0.753),
        ("HNF4A", "figure2", 0.9175, 0.915, 0.849),
        ("HNF4A", "literal", 0.878, 0.875, 0.815),
    ],
)
def test_the_oracles_reach_the_aucs_known_for_simulated_data(
    name: str, definition: str, exact: float, with_prior: float, without: float
) -> None:
    """Compare with an independent implementation's figures of 100,000 + 100,000 sequences.

    An AUC of 100,000 + 100,000 has a standard error of at most .001 here; two of them, and half of
    the last digit given, allow .0055 at four standard errors of the difference.
    """
    motif, rule = BUILTIN[name], DEFINITIONS[definition]
    rng = np.random.default_rng(0)
    made = simulate(motif, n=100_000, definition=definition, rng=rng)
    codes = np.concatenate([made.positives, made.background])
    labels = np.arange(len(codes)) < len(made.positives)
    log_odds = pwm(ppm(motif.pfm, pseudocount=rule.pseudocount))
    prior = site_prior(length=500, width=motif.width, sd=rule.sd)
    aucs = [
        roc_auc(labels, scores)
        for scores in (
            log_likelihood_ratios(codes, log_odds, both_strands=False, prior=prior),
            best_hits(codes, log_odds, both_strands=False, prior=prior).scores,
            best_hits(codes, log_odds, both_strands=False).scores,
        )
    ]
    print(
        f"{name} {definition}: exact Bayes {aucs[0]:.4f} ({exact}), MLLR with prior"
        f" {aucs[1]:.4f} ({with_prior}), without {aucs[2]:.4f} ({without})"
    )
    np.testing.assert_allclose(aucs, [exact, with_prior, without], atol=0.0055)
