from __future__ import annotations

import pytest
from sklearn.metrics import roc_curve

from enhancer_core.metrics import Estimate
from enhancer_core.report.study import text
from enhancer_core.report.study.page import compare_with_controls
from enhancer_core.study.recipe import Data, Recipe, Run, Study
from enhancer_core.study.results import (
    Result,
    auc,
    difference,
    mean,
    rank_correlation,
    recommended_k,
    roc_points,
)

RESULT = {
    "tests": {
        "t": {
            "auc": {"value": 0.75, "low": 0.5, "high": 1.0},
            "positives": [4.0, 2.0],
            "negatives": [3.0, 1.0],
        }
    }
}


def test_a_figure_is_that_of_its_test() -> None:
    assert auc(RESULT, "t") == Estimate(0.75, 0.5, 1.0)


def test_a_run_differs_from_itself_by_nothing() -> None:
    assert difference(RESULT, RESULT, "t") == Estimate(0, 0, 0)
    one = {"tests": {"t": {"positives": [4, 3], "negatives": [2, 1]}}}
    other = {"tests": {"t": {"positives": [4, 1], "negatives": [3, 2]}}}
    assert difference(one, other, "t").value == 0.5


def test_the_roc_curve_is_scikit_learns() -> None:
    x, y = roc_points(RESULT, "t")
    rates, hits, _ = roc_curve([1, 1, 0, 0], [4, 2, 3, 1])
    assert (rates.tolist(), hits.tolist()) == ([0, 0, 0.5, 0.5, 1], [0, 0.5, 0.5, 1, 1])
    assert (y[0], y[-1]) == (0.5, 1)
    assert y[x < 0.5].max() == 0.5
    assert y[x > 0.5].min() == 1


def test_a_mean_of_n_tests_has_an_interval_the_root_of_n_narrower() -> None:
    found = mean([Estimate(0.7, 0.6, 0.8)] * 4)
    assert found.value == pytest.approx(0.7)
    assert found.high - found.low == pytest.approx(0.1)


def test_the_smallest_k_that_fulfils_the_rule_is_recommended() -> None:
    background = {1: Estimate(0.7, 0.68, 0.72), 2: Estimate(0.55, 0.53, 0.57)}
    background |= {3: Estimate(0.52, 0.5, 0.54), 4: Estimate(0.5, 0.48, 0.52)}
    positives = dict.fromkeys((1, 2, 4), Estimate(0.9, 0.89, 0.91))
    positives[3] = Estimate(0.9, 0.89, 0.91)
    assert recommended_k(background, positives) == 2
    positives[2] = Estimate(0.6, 0.56, 0.64)  # its interval reaches into the background's
    assert recommended_k(background, positives) == 3
    assert recommended_k({1: background[1]}, positives) is None


def test_a_rank_correlation_has_the_interval_of_fieller() -> None:
    rho = rank_correlation([1, 2, 3, 4, 5], [2, 1, 3, 5, 4])
    assert (rho.value, rho.low, rho.high) == pytest.approx((0.8, -0.317, 0.987), abs=1e-3)


@pytest.mark.parametrize(
    ("over", "said"),
    [
        (Estimate(0.02, 0.01, 0.03), "0.030); the strategy itself contributes."),
        (Estimate(-0.02, -0.03, -0.01), "the control does better"),
        (Estimate(0.0, -0.01, 0.01), "does not show that the strategy itself contributes"),
    ],
)
def test_a_strategys_control_decides_what_is_said_of_it(over: Estimate, said: str) -> None:
    gain = Estimate(0.05, 0.04, 0.06)
    sentence = text.with_control("planted", "base", gain, "wide", over)
    assert sentence.startswith("Planted is better than base: +0.050")
    assert said in sentence


def test_the_papers_figure_is_set_beside_ours() -> None:
    inside = text.beside_paper("network", Estimate(0.8, 0.78, 0.82), 0.81)
    assert inside == ("Network: 0.800 (0.780–0.820); paper 0.81, the interval contains it.")
    assert "0.090 above it" in text.beside_paper("n", Estimate(0.9, 0.88, 0.92), 0.81)


def test_what_was_asked_for_is_said_to_be_reached_or_not() -> None:
    gain = Estimate(0.03, 0.01, 0.05)
    assert "Gain meets the recipe's threshold of 0.03: 0.030" in text.reached("gain", gain, 0.03)
    assert "Gain does not meet the recipe's threshold of 0.04: 0.030" in text.reached(
        "gain", gain, 0.04
    )


def test_strategies_on_real_and_on_simulated_data_are_counted_apart() -> None:
    def recipe(name: str, data: Data) -> Recipe:
        first = Run(name=name, title=f"{name} strategy", data=("d",))
        control = Run(name=f"{name}_control", data=("d",), control_of=name)
        return Recipe(
            name=name, title="", text="", data=(data,), runs=(first, control), searches=(),
            sections=(),
        )  # fmt: skip

    def scored(*positives: float) -> Result:
        return {"tests": {"d": {"positives": positives * 20, "negatives": (1.0, 2.0) * 20}}}

    study = Study(
        title="",
        recipes=(
            recipe("liver", Data(name="d", positives=("p.fa",), background=("b.fa",))),
            recipe("windows", Data(name="d", genome="g.fa", number=100)),
            recipe("world", Data(name="d", world="human", number=100)),
            recipe("planted", Data(name="d", simulate="CEBPA", number=100)),
        ),
    )
    good, poor = scored(3.0, 4.0), scored(0.0, 3.0)
    results = {
        name: result
        for strategy in ("liver", "windows", "world", "planted")
        for name, result in (
            (strategy, good if strategy == "world" else poor),
            (f"{strategy}_control", poor),
        )
    }
    assert compare_with_controls(study, results) == (
        "Significantly better than their controls on real data: none of liver strategy and windows"
        " strategy. Significantly better than their controls on simulated data: world strategy, but"
        " not planted strategy. "
    )


def test_the_k_that_is_recommended_is_told_with_its_figures() -> None:
    background, positives = Estimate(0.52, 0.5, 0.54), Estimate(0.8, 0.78, 0.82)
    assert text.k_choice("peaks", 4, background, positives) == (
        "Peaks: k = 4 is recommended; AUC 0.520 (0.500–0.540) of the background, 0.800"
        " (0.780–0.820) of the positives."
    )


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (text.change(Estimate(0.02, -0.01, 0.05)), "+0.020 (−0.010 to +0.050)"),
        (
            text.versus("planted", "base", Estimate(0.02, 0.01, 0.03)),
            "Planted is better than base: +0.020 (+0.010 to +0.030).",
        ),
        (
            text.versus("planted", "base", Estimate(-0.02, -0.03, -0.01)),
            "Planted is worse than base: −0.020 (−0.030 to −0.010).",
        ),
        (
            text.strategies("real", {"copies": False, "planting": False}),
            "Significantly better than their controls on real data: none of copies and planting.",
        ),
        (
            text.strategies("simulated", {"pooling": True}),
            "Significantly better than their controls on simulated data: pooling.",
        ),
        (
            text.strategies("real", {"pooling": True, "copies": False}),
            "Significantly better than their controls on real data: pooling, but not copies.",
        ),
        (
            text.k_used(3, {"a": 4, "b": None}),
            "This recipe uses k = 3; recommended: k = 4 for a and none for b.",
        ),
        (
            text.near("network", "the oracle", Estimate(-0.01, -0.014, -0.006), 0.015),
            "Network is within 0.015 of the oracle, the recipe's margin: −0.010 (−0.014 to"
            " −0.006).",
        ),
        (text.k_choice("peaks", None, None, None), "Peaks: no k tried fulfils the rule."),
        (text.k_used(3, {"a": 3, "b": 3}), "This recipe uses k = 3, as recommended."),
        (
            text.beside_chance("repeats", 4, Estimate(0.8, 0.78, 0.82), 0.55),
            "'repeats' at k = 4: 0.800 (0.780–0.820), above the paper's limit of 0.55.",
        ),
        (
            text.beside_chance("dna", 4, Estimate(0.56, 0.54, 0.58), 0.55),
            "'dna' at k = 4: 0.560 (0.540–0.580), not significantly different from the paper's"
            " limit of 0.55.",
        ),
        (
            text.beside_chance("dna", 4, Estimate(0.51, 0.49, 0.53), 0.55),
            "'dna' at k = 4: 0.510 (0.490–0.530), below the paper's limit of 0.55.",
        ),
        (text.sentence("all but human"), "All but human"),
        (text.listed(["a", "b", "c"]), "a, b and c"),
    ],
)
def test_a_sentence_states_what_the_numbers_show(written: str, expected: str) -> None:
    assert written == expected
