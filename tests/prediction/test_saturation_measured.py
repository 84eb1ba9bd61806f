"""What the comparison with saturation mutagenesis rests on."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr

from enhancer_core.dna.codes import decode, encode
from enhancer_core.errors import FileError
from enhancer_core.io.tables import read_table
from enhancer_core.metrics import Estimate
from enhancer_core.models import kmers
from tests.conftest import Ran


def script() -> ModuleType:
    path = Path(__file__).parents[2] / "training" / "saturation.py"
    spec = importlib.util.spec_from_file_location("saturation", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["saturation"] = module  # where dataclasses look their annotations up
    spec.loader.exec_module(module)
    return module


saturation = script()
HEAD = "Pos\tRef\tAlt\tBarcodes\tCoefficient\tElement\n"


def written(folder: Path, rows: str) -> Path:
    (folder / "reference.GRCh38.fa").write_text(">one chr1:11-13 GRCh38\nACG\n")
    (folder / "variants.GRCh38.tsv.gz").write_text(HEAD + rows)
    return folder


def test_measurements_stand_at_their_position_and_kind_of_change(tmp_path: Path) -> None:
    rows = (
        "11\tA\t-\t10\t1\tone\n11\tA\tG\t10\t2\tone\n13\tG\tA\t10\t3\tone\n13\tG\tC\t10\t4\tone\n"
    )
    bad = "12\tC\tA\t9\t5\tone\nNA\tNA\tNA\t99\t6\tone\n"
    (experiment,), left_out = saturation.read_experiments(written(tmp_path, rows + bad))
    nan = np.nan
    expected = [[1, nan, 2, nan], [nan, nan, nan, nan], [nan, nan, 3, 4]]  # 2 is the transition
    np.testing.assert_array_equal(experiment.measured, expected)
    assert (experiment.name, experiment.region) == ("one", "chr1:11-13")
    assert left_out == {"rest on fewer than 10 barcodes": 1, "have no position": 1}


@pytest.mark.parametrize("row", ["12\tG\tA", "10\tA\tC", "14\tA\tC"])
def test_a_measurement_off_its_reference_is_refused(tmp_path: Path, row: str) -> None:
    folder = written(tmp_path, f"{row}\t10\t1\tone\n")
    with pytest.raises(FileError, match=r"line 2: [AG] is not what the reference has there"):
        saturation.read_experiments(folder)


def test_windows_are_centred_and_hold_n_beyond_the_element() -> None:
    references, alternatives, rows = saturation.cut(encode(["ACCG"])[0], 4)
    assert decode(references) == ["NACC", "ACCG", "CCGN", "CGNN"]
    assert decode(alternatives[:4]) == ["NNCC", "NCCC", "NGCC", "NTCC"]
    # Either C lost is one change, that of the first.
    assert decode(alternatives[[4, 8]]) == ["NACG", "NACG"]
    assert rows.tolist() == [0] * 4 + [1] * 4 + [1] + [2] * 3 + [3] * 4


def test_the_baseline_adds_up_the_weights_of_the_k_mers_that_change() -> None:
    ones = np.ones(2, dtype=np.float32)
    weights = np.array([1, 4], dtype=np.float32)  # of A or T, of C or G
    fitted = kmers.Baseline(k=1, mean=ones, scale=ones * 2, weights=weights, bias=7.0, penalty=1.0)
    found = saturation.k_mer_effects(
        fitted, encode(["AAAA", "CCCC"]), encode(["AACA", "CCCA", "CCCG"]), np.array([0, 1, 1])
    )
    np.testing.assert_allclose(found, [3 / 8, -3 / 8, 0], atol=1e-7)  # of 4 k-mers, scaled by 2


@given(st.integers(0, 2**32 - 1))
def test_correlations_are_scipys_on_positions_repeated_as_drawn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, 12, 3))
    y[rng.random(y.shape) < 0.2] = np.nan
    counts = rng.multinomial(12, np.full(12, 1 / 12), size=2)
    found = saturation.correlations(x, y, counts)
    for value, times in zip(found, counts, strict=True):
        known = ~np.isnan(np.repeat(y, times, axis=0))
        drawn = [np.repeat(each, times, axis=0)[known] for each in (x, y)]
        assert value == pytest.approx(pearsonr(*drawn)[0], abs=1e-9)


def test_ranks_leave_out_what_is_not_known() -> None:
    values, known = np.array([[5.0, 1.0], [9.0, 5.0]]), np.array([[True, True], [False, True]])
    np.testing.assert_array_equal(saturation.ranks(values, known), [[2.5, 1], [np.nan, 2.5]])


def test_a_model_that_knows_the_effects_beats_a_baseline_that_knows_none(
    rng: np.random.Generator,
) -> None:
    measured, noise, simple = rng.normal(size=(3, 200, 3))
    measured[0] = np.nan
    model = np.nan_to_num(measured) + noise
    found = saturation.compare(measured, model, simple, rng=rng)
    assert (found.positions, found.variants) == (199, 597)
    assert found.pearson.value == pytest.approx(
        pearsonr(model[1:].ravel(), measured[1:].ravel())[0]
    )
    assert found.spearman.value == pytest.approx(
        spearmanr(model[1:].ravel(), measured[1:].ravel())[0]
    )
    assert found.difference.low > 0
    assert found.baseline_pearson.low < 0 < found.baseline_pearson.high
    # r of noise has a standard deviation of 1 / sqrt(597) = 0.041, the mean of 200 a 14th of it
    assert abs(found.floor.value) < 5 * 0.041 / 14
    assert 0.05 < found.floor.high < 0.12


def test_the_interval_has_the_width_that_whole_positions_give_it(rng: np.random.Generator) -> None:
    x, y = np.repeat(rng.normal(size=(2, 400, 1)), 3, axis=2)  # three changes that are one
    found = saturation.compare(y, x, x + rng.normal(size=x.shape), rng=rng)
    # 400 independent pairs, not 1,200: 2 * 1.96 / sqrt(400); the quantiles of 1,000 err by 5 %
    assert found.pearson.high - found.pearson.low == pytest.approx(0.196, rel=0.2)


def result(difference: tuple[float, float], pearson: float) -> object:
    middle = Estimate(pearson, -1, 1)
    return saturation.Comparison(
        variants=3,
        positions=1,
        difference=Estimate(0, *difference),
        floor=Estimate(0, -0.1, 0.1),
        **dict.fromkeys(("pearson", "baseline_pearson", "spearman", "baseline_spearman"), middle),
        **dict.fromkeys(("size_spearman", "baseline_size_spearman"), middle),
    )


def test_the_verdict_names_where_the_model_is_no_better() -> None:
    found = {
        "a": result((0.1, 0.2), 0.3),
        "b": result((-0.2, -0.1), 0.05),
        "c": result((-0.1, 0.1), 0.3),
    }
    said = saturation.verdict(found)
    assert "excludes 0, in 1 (a)." in said
    assert "no better than the baseline in 2: as surely below it in 1 (b)," in said
    assert "not told apart from it in 1 (c). It is no better than the floor in 1 (b)." in said
    assert "excludes 0, in none. It is no better than the baseline in all 1" in saturation.verdict(
        {"b": found["b"]}
    )
    found["d"] = result((0.1, 0.2), 0.05)  # better than the baseline, inside the floor
    said = saturation.verdict(found)
    assert "excludes 0, in 2 (a, d), of which 1 (d) no better than the floor. It is" in said
    assert "no better than the floor in 2 (b, d)." in said


@pytest.mark.parametrize("name", ["variants", "mutagenesis"])
def test_the_helps_give_the_best_median_of_the_published_table(
    name: str, cli: Callable[..., Ran]
) -> None:
    root = Path(__file__).parents[2]
    found: dict[str, list[float]] = {}
    for _, row in read_table(root / "docs" / "saturation.tsv", ("model", "change", "pearson")):
        if row["change"] == "snv":
            found.setdefault(row["model"], []).append(float(row["pearson"]))
    said = f"(median correlation {max(map(np.median, found.values())):.2f} at best): do not rank"
    galaxy = (root / "galaxy_tools" / f"{name}.xml").read_text()
    for text in (galaxy, cli(name, "--help").out):
        assert said in " ".join(text.split())


def test_the_table_has_a_column_for_every_number() -> None:
    found = {"model": {"snv": {"a": result((0, 0), 0)}}}
    (row,) = saturation.table_rows(found)
    assert len(row) == len(saturation.table_head())
    assert row[:5] == ["model", "snv", "a", 3, 1]


def test_the_figure_escapes_names_and_draws_each_experiment() -> None:
    drawn = saturation.dot_plot({"a<b": result((0, 0), 0), "c": result((0, 0), 0)}, -1, 1)
    assert "a&lt;b" in drawn
    assert drawn.count("<circle") == 4
