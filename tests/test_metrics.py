"""metrics: figures against scikit-learn, intervals against what they promise."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
)

from enhancer_core import metrics as metrics_module
from enhancer_core.errors import EnhancerError
from enhancer_core.metrics import (
    Estimate,
    Labels,
    ScoreError,
    auc_difference,
    block_bootstrap,
    calibration,
    curves,
    evaluate,
    mean_over_folds,
    ranking,
    roc_auc,
)

Case: TypeAlias = tuple[Labels, NDArray[np.float64]]

FOUR_LABELS = np.array([True, False, True, False])
FOUR_SCORES = np.array([0.9, 0.6, 0.4, 0.1])


@st.composite
def scored(draw: st.DrawFn) -> Case:
    """Draw labels of both classes with scores on a coarse grid, so that ties are common."""
    rest = draw(st.lists(st.booleans(), min_size=2, max_size=40))
    labels = np.array([True, True, False, False, *rest])
    steps = draw(st.lists(st.integers(0, 8), min_size=labels.size, max_size=labels.size))
    return labels, np.array(steps) / 8


def binormal(rng: np.random.Generator, n_positive: int, n_negative: int, shift: float) -> Case:
    """Draw normal scores, positives higher by `shift`: the true AUC is Phi(shift / sqrt 2)."""
    labels = np.arange(n_positive + n_negative) < n_positive
    return labels, rng.normal(size=labels.size) + shift * labels


def test_figures_of_four_sequences_match_a_hand_computation() -> None:
    figures = evaluate(FOUR_LABELS, FOUR_SCORES, rng=np.random.default_rng(0))
    # Of 4 pairs only (0.4, 0.6) is the wrong way round; precision is 1/1 and 2/3 at the positives;
    # 0.9 and 0.1 are on their own side of 0.5.
    assert figures.auc.value == 3 / 4
    assert figures.average_precision.value == pytest.approx((1 + 2 / 3) / 2)
    assert figures.accuracy.value == 2 / 4
    assert (figures.n_positive, figures.n_negative) == (2, 2)


def test_a_probability_of_a_half_counts_as_called_positive() -> None:
    accuracy = evaluate(np.array([True, False]), [0.5, 0.49], rng=np.random.default_rng(0)).accuracy
    assert accuracy.value == 1


def test_metrics_are_json_with_the_contract_s_keys() -> None:
    figures = evaluate(FOUR_LABELS, FOUR_SCORES, rng=np.random.default_rng(0), resamples=10)
    written = json.loads(json.dumps(figures.to_dict()))
    assert written["auc"] == {"value": 0.75, "low": figures.auc.low, "high": figures.auc.high}
    assert list(written) == [
        "auc",
        "average_precision",
        "accuracy",
        "positives",
        "negatives",
        "confidence",
        "resamples",
    ]
    assert (written["positives"], written["confidence"], written["resamples"]) == (2, 0.95, 10)


def test_a_figure_is_one_function_and_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    def prevalence(labels: Labels, _: NDArray[np.float64]) -> float:
        return float(labels.mean())

    def resampled(counts: metrics_module._Counts) -> NDArray[np.float64]:
        share: NDArray[np.float64] = counts.n_positive / (counts.n_positive + counts.n_negative)
        return share

    entry = {"prevalence": (prevalence, resampled)}
    monkeypatch.setattr(metrics_module, "FIGURES", {**metrics_module.FIGURES, **entry})
    figures = evaluate(FOUR_LABELS, FOUR_SCORES, rng=np.random.default_rng(0), resamples=10)
    assert figures.figures["prevalence"] == Estimate(0.5, 0.5, 0.5)
    assert list(figures.to_dict())[:4] == ["auc", "average_precision", "accuracy", "prevalence"]


@given(scored())
def test_roc_auc_equals_scikit_learn_with_ties(case: Case) -> None:
    labels, scores = case
    assert roc_auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


@given(scored())
def test_reversing_scores_mirrors_the_auc(case: Case) -> None:
    labels, scores = case
    assert roc_auc(labels, -scores) == pytest.approx(1 - roc_auc(labels, scores), abs=1e-12)


@given(scored())
def test_auc_only_depends_on_the_order_of_scores(case: Case) -> None:
    labels, scores = case
    assert roc_auc(labels, np.exp(3 * scores)) == roc_auc(labels, scores)


@given(scored(), st.integers(0, 2**32 - 1))
def test_figures_of_a_resample_equal_scikit_learn_with_sample_weights(
    case: Case, seed: int
) -> None:
    labels, scores = case
    rng = np.random.default_rng(seed)
    weights = np.zeros(labels.size, dtype=np.int64)
    for of_class in (labels, ~labels):
        drawn = rng.choice(np.flatnonzero(of_class), size=of_class.sum())
        weights += np.bincount(drawn, minlength=labels.size)
    distinct = np.unique(scores)[::-1]
    positives, negatives = (
        np.array([[weights[of_class & (scores == each)].sum() for each in distinct]])
        for of_class in (labels, ~labels)
    )
    figures = metrics_module._figures(positives, negatives, int((distinct >= 0.5).sum()))
    expected = [
        roc_auc_score(labels, scores, sample_weight=weights),
        average_precision_score(labels, scores, sample_weight=weights),
        accuracy_score(labels, scores >= 0.5, sample_weight=weights),
    ]
    np.testing.assert_allclose(figures[:, 0], expected, atol=1e-12)


def test_a_resample_keeps_class_sizes_and_draws_sequences_alike() -> None:
    counts = np.array([1, 0, 3, 6])
    size = 20_000
    drawn = metrics_module._draw(counts, rng=np.random.default_rng(1), size=size)
    assert (drawn.sum(axis=1) == 10).all()
    # Multinomial of 10 draws: mean and variance of each count; 5 standard errors of the mean.
    share = counts / 10
    standard_error = np.sqrt(10 * share * (1 - share) / size)
    assert (np.abs(drawn.mean(axis=0) - counts) <= 5 * standard_error).all()
    np.testing.assert_allclose(drawn.var(axis=0), 10 * share * (1 - share), rtol=0.1)


def test_blocks_cover_every_resample_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_module, "RESAMPLED_AT_ONCE", 12)
    counts = np.array([1, 1, 1, 1])
    blocks = metrics_module._resample(counts, counts, rng=np.random.default_rng(0), resamples=10)
    assert [(len(positives), len(negatives)) for positives, negatives in blocks] == [
        (3, 3),
        (3, 3),
        (3, 3),
        (1, 1),
    ]


@given(scored(), st.integers(0, 2**32 - 1))
def test_intervals_lie_between_0_and_1_and_repeat_with_the_seed(case: Case, seed: int) -> None:
    labels, scores = case
    figures, again = (
        evaluate(labels, scores, rng=np.random.default_rng(seed), resamples=20) for _ in range(2)
    )
    assert figures == again
    for estimate in (figures.auc, figures.average_precision, figures.accuracy):
        assert 0 <= estimate.low <= estimate.high <= 1


def test_perfect_scores_leave_no_doubt() -> None:
    figures = evaluate(FOUR_LABELS, FOUR_LABELS, rng=np.random.default_rng(0))
    assert figures.auc == figures.average_precision == figures.accuracy == Estimate(1, 1, 1)


def test_intervals_cover_the_true_auc_as_often_as_they_say() -> None:
    rng = np.random.default_rng(7)
    true_auc = norm.cdf(1 / 2**0.5)
    studies = 300
    covered = 0
    for _ in range(studies):
        interval = evaluate(*binormal(rng, 80, 120, 1.0), rng=rng, resamples=200).auc
        covered += interval.low <= true_auc <= interval.high
    # 200 resamples of 200 sequences cover a little less than the nominal 0.95; 0.93 less, and 0.95
    # plus, 4 binomial standard errors sqrt(p (1 - p) / 300): 0.871 and 1.
    assert 0.93 - 4 * (0.93 * 0.07 / studies) ** 0.5 <= covered / studies <= 1


def test_an_interval_of_the_auc_has_the_width_of_hanley_and_mcneil() -> None:
    labels, scores = binormal(np.random.default_rng(3), 2000, 3000, 1.0)
    figures = evaluate(labels, scores, rng=np.random.default_rng(0))
    auc = figures.auc.value
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = (auc * (1 - auc) + 1999 * (q1 - auc**2) + 2999 * (q2 - auc**2)) / (2000 * 3000)
    width = 2 * norm.ppf(0.975) * variance**0.5
    # The formula assumes exponential scores (2 % off here); the ends of 1000 resamples wobble 4 %.
    assert figures.auc.high - figures.auc.low == pytest.approx(width, rel=0.15)


def test_more_confidence_is_a_wider_interval() -> None:
    labels, scores = binormal(np.random.default_rng(3), 50, 50, 1.0)
    narrow, wide = (
        evaluate(labels, scores, rng=np.random.default_rng(0), confidence=confidence).auc
        for confidence in (0.5, 0.99)
    )
    assert wide.low < narrow.low < narrow.high < wide.high


def test_auc_difference_matches_a_hand_computation() -> None:
    labels = np.array([True, True, False, False])
    # Ours ranks every pair right. Theirs gives the positives 1 and 0 of the negatives below,
    # the negatives 1/2 each of positives above: differences (0, 1) and (1/2, 1/2), so the variance
    # is (1/2) / 2 + 0 = 1/4.
    difference = auc_difference(labels, [4, 3, 2, 1], [4, 1, 3, 2])
    half_width = norm.ppf(0.975) / 2
    assert difference.value == 0.5
    assert difference.low == pytest.approx(0.5 - half_width)
    assert difference.high == pytest.approx(0.5 + half_width)


@given(scored())
def test_auc_difference_is_the_difference_of_aucs_and_changes_sign(case: Case) -> None:
    labels, scores = case
    other = scores[::-1].copy()
    difference = auc_difference(labels, scores, other)
    mirrored = auc_difference(labels, other, scores)
    assert difference.value == pytest.approx(roc_auc(labels, scores) - roc_auc(labels, other))
    assert mirrored.value == pytest.approx(-difference.value)
    assert mirrored.low == pytest.approx(-difference.high)


def test_a_model_does_not_differ_from_itself() -> None:
    assert auc_difference(FOUR_LABELS, FOUR_SCORES, 2 * FOUR_SCORES) == Estimate(0, 0, 0)


def test_paired_intervals_cover_a_true_difference_of_zero() -> None:
    rng = np.random.default_rng(11)
    studies = 300
    covered = 0
    for _ in range(studies):
        labels, shared = binormal(rng, 80, 120, 1.0)
        ours, theirs = (shared + 0.5 * rng.normal(size=labels.size) for _ in range(2))
        difference = auc_difference(labels, ours, theirs)
        covered += difference.low <= 0 <= difference.high
    # Nominal 0.95 give or take 4 binomial standard errors of 300 studies, 0.05.
    assert 0.90 <= covered / studies <= 1


@given(scored())
def test_curves_pass_through_scikit_learn_s_points(case: Case) -> None:
    labels, scores = case
    traced = curves(labels, scores, rng=np.random.default_rng(0), resamples=5)
    precision, recall, _ = precision_recall_curve(labels, scores)
    for x, y in zip(traced.precision_recall.x, traced.precision_recall.y, strict=True):
        reached = np.flatnonzero(recall >= x - 1e-9)[-1]  # the highest threshold comes last
        assert y == pytest.approx(precision[reached])
    for curve in (traced.roc, traced.precision_recall):
        assert curve.x.shape == curve.y.shape == curve.low.shape == curve.high.shape == (200,)
        assert ((curve.low >= 0) & (curve.low <= curve.high) & (curve.high <= 1)).all()
    assert (np.diff(traced.roc.y) >= 0).all()


def test_the_area_under_the_traced_roc_curve_is_the_auc() -> None:
    labels, scores = binormal(np.random.default_rng(5), 300, 199, 1.0)
    traced = curves(labels, scores, rng=np.random.default_rng(0), resamples=5).roc
    steps = (traced.y[1:] + traced.y[:-1]) / 2 * np.diff(traced.x)
    # The grid stops at every one of the 199 negatives, so a step up hidden by linear interpolation
    # between two of them is within one negative's share of the area.
    assert steps.sum() == pytest.approx(roc_auc(labels, scores), abs=1 / 199)


def test_curve_bands_hold_the_curve_of_a_large_sample() -> None:
    labels, scores = binormal(np.random.default_rng(5), 500, 500, 1.0)
    traced = curves(labels, scores, rng=np.random.default_rng(0), resamples=300)
    inside = (traced.roc.low <= traced.roc.y) & (traced.roc.y <= traced.roc.high)
    assert inside.all()
    true_rate = norm.cdf(norm.ppf(traced.roc.x) + 1)
    # Pointwise bands: 95 % of points in expectation, but they move together; half is far from luck.
    within = (traced.roc.low <= true_rate) & (true_rate <= traced.roc.high)
    assert within.mean() > 0.5


def test_calibration_of_two_bins_matches_a_hand_computation() -> None:
    labels = np.array([True, False, True, True])
    observed = calibration(labels, [0.9, 0.1, 0.3, 0.8], bins=2)
    np.testing.assert_allclose(observed.x, [0.2, 0.85])
    np.testing.assert_allclose(observed.y, [0.5, 1.0])
    # Wilson: with z^2 = 3.8415, (1/2 + z^2/4) / (1 + z^2/2) = 1/2 and 2 of 2 leaves 1 as the end.
    z2 = norm.ppf(0.975) ** 2
    half_width = (z2 / 8 + z2**2 / 16) ** 0.5 / (1 + z2 / 2)
    np.testing.assert_allclose(
        [observed.low[0], observed.high[0]], [0.5 - half_width, 0.5 + half_width]
    )
    np.testing.assert_allclose([observed.low[1], observed.high[1]], [1 / (1 + z2 / 2), 1])


def test_calibration_intervals_hold_true_probabilities_as_often_as_they_say() -> None:
    rng = np.random.default_rng(2)
    probabilities = rng.random(50_000)
    observed = calibration(rng.random(50_000) < probabilities, probabilities, bins=200)
    held = ((observed.low <= observed.x) & (observed.x <= observed.high)).mean()
    # 200 bins at 0.95, 4 binomial standard errors of 0.0154.
    assert 0.95 - 4 * (0.95 * 0.05 / 200) ** 0.5 <= held <= 1


@given(scored(), st.integers(1, 4))
def test_calibration_bins_hold_every_sequence_once(case: Case, bins: int) -> None:
    labels, probabilities = case
    observed = calibration(labels, probabilities, bins=bins)
    sizes = np.array([each.size for each in np.array_split(labels, bins)])
    assert (observed.x * sizes).sum() == pytest.approx(probabilities.sum())
    assert (observed.y * sizes).sum() == pytest.approx(labels.sum())
    assert (np.diff(observed.x) >= 0).all()


@pytest.mark.parametrize(
    "measure", [roc_auc, lambda *both: evaluate(*both, rng=np.random.default_rng(0))]
)
@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        (np.array([True, True]), [1, 2], r"all 2 labels are positive; both classes"),
        (np.array([False, False]), [1, 2], r"all 2 labels are negative; both classes"),
        (np.array([True, False]), [1, 2, 3], r"scores have shape \(3,\), labels \(2,\)"),
        (np.array([True, False]), [1, np.nan], r"scores\[1\] is nan; every score must be finite"),
        (np.array([True, False]), [-np.inf, 1], r"scores\[0\] is -inf; every score"),
        (np.array([1, 0]), [1, 2], r"labels are int64 of shape \(2,\); allowed is bool"),
        (np.array([[True, False]]), [[1, 2]], r"of shape \(1, 2\); allowed is bool of shape \(n,"),
    ],
)
def test_bad_labels_and_scores_are_refused(
    measure: Callable[[Labels, ArrayLike], object], labels: Labels, scores: ArrayLike, message: str
) -> None:
    with pytest.raises(ScoreError, match=message):
        measure(labels, scores)


def test_bad_settings_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ScoreError, match="resamples is 0; allowed is 1 or more"):
        evaluate(FOUR_LABELS, FOUR_SCORES, rng=rng, resamples=0)
    with pytest.raises(ScoreError, match="confidence is 95; allowed is between 0 and 1"):
        evaluate(FOUR_LABELS, FOUR_SCORES, rng=rng, confidence=95)
    with pytest.raises(ScoreError, match="resamples is -1; allowed is 1 or more"):
        curves(FOUR_LABELS, FOUR_SCORES, rng=rng, resamples=-1)
    with pytest.raises(ScoreError, match="hold one of the positives; a paired interval needs two"):
        auc_difference(np.array([True, False, False]), [3, 2, 1], [1, 2, 3])
    with pytest.raises(ScoreError, match=r"reach from -0\.5 to 2; allowed are 0 to 1"):
        calibration(FOUR_LABELS, [2, 0.5, 0, -0.5], bins=2)
    with pytest.raises(ScoreError, match="bins is 10; allowed are 1 to 4, the number of labels"):
        calibration(FOUR_LABELS, FOUR_SCORES)
    assert issubclass(ScoreError, EnhancerError)


# Along a genome


@given(scored())
def test_a_ranking_has_scikit_learns_figures(case: Case) -> None:
    labels, scores = case
    auc, average_precision = ranking(labels, scores.astype(np.float32))
    assert auc == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert average_precision == pytest.approx(average_precision_score(labels, scores), abs=1e-12)


def test_a_ranking_needs_both_classes() -> None:
    with pytest.raises(ScoreError, match="all 2 labels are positive; both classes are needed"):
        ranking(np.array([True, True]), np.array([1.0, 2.0]))


def test_an_interval_over_blocks_is_that_of_the_mean_of_blocks(rng: np.random.Generator) -> None:
    blocks = rng.normal(5, 1, size=(400, 1)).astype(np.float32)
    sums = np.concatenate([blocks, np.ones_like(blocks)], axis=1)
    value, low, high = block_bootstrap(
        sums, lambda total: total[:, :1] / total[:, 1:], rng=rng, resamples=4000
    )
    half_width = norm.ppf(0.975) * blocks.std() / np.sqrt(400)
    assert value[0] == pytest.approx(blocks.mean(), abs=1e-5)
    assert high[0] - low[0] == pytest.approx(2 * half_width, rel=0.08)
    assert low[0] < value[0] < high[0]


def test_resamples_without_a_figure_do_not_count(rng: np.random.Generator) -> None:
    sums = np.array([[1, 1], [0, 0], [0, 0]], np.float32)  # a third of resamples and more are 0 / 0

    def share(total: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(invalid="ignore"):
            ratio: NDArray[np.float64] = total[:, :1] / total[:, 1:]
        return ratio

    value, low, high = block_bootstrap(sums, share, rng=rng)
    assert (value[0], low[0], high[0]) == (1, 1, 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"resamples": 0}, "resamples is 0"), ({"confidence": 1.0}, "confidence is 1.0")],
)
def test_a_bootstrap_over_blocks_refuses_what_evaluate_refuses(
    settings: dict[str, float], message: str, rng: np.random.Generator
) -> None:
    with pytest.raises(ScoreError, match=message):
        block_bootstrap(np.ones((2, 1), np.float32), lambda total: total, rng=rng, **settings)  # type: ignore[arg-type]


def test_a_mean_over_folds_has_students_interval() -> None:
    mean = mean_over_folds([0.7, 0.8, 0.9])
    # t of 2 degrees of freedom is 4.303 at 97.5 %; the standard error is 0.1 / sqrt(3).
    assert mean.value == pytest.approx(0.8)
    assert mean.high - mean.value == pytest.approx(4.3027 * 0.1 / 3**0.5, rel=1e-4)
    assert mean.value - mean.low == pytest.approx(mean.high - mean.value)


def test_one_fold_has_no_interval() -> None:
    with pytest.raises(ScoreError, match=r"^1 folds; an interval needs two or more$"):
        mean_over_folds([0.7])
