"""Regressions written as members of a model say what the regressions say."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from enhancer_core import metrics
from enhancer_core.data.dataset import Dataset, SplitDataset
from enhancer_core.data.splits import split
from enhancer_core.dna.codes import N_CODE, Codes, encode, one_hot
from enhancer_core.dna.kmers import k_mer_columns, k_mer_frequencies, k_mer_names
from enhancer_core.errors import MotifError
from enhancer_core.io.motifs import write_meme
from enhancer_core.io.tables import read_table
from enhancer_core.models.architecture import KmerWeights
from enhancer_core.models.cpu.predictor import CpuPredictor
from enhancer_core.models.gapped_kmers import WIDTH, GappedBaseline, word_counts
from enhancer_core.models.gpu.predictor import GpuPredictor
from enhancer_core.models.kmers import Baseline, Linear
from enhancer_core.models.model import Model, load_model
from enhancer_core.models.network import one_hot as spread
from enhancer_core.models.regression import (
    best_hits,
    best_hits_networks,
    fit_best_hits,
    fit_gapped_k_mers,
    of_gapped_k_mers,
    of_k_mers,
    regressing,
)
from enhancer_core.models.transfer import motif_filter
from enhancer_core.motifs.motif import BUILTIN, Motif, reverse_complement
from enhancer_core.prediction.sequences import log_odds, probabilities
from tests.conftest import Ran
from tests.predictors import predictor_of

CEBPA, HNF4A = BUILTIN["CEBPA"], BUILTIN["HNF4A"]


def random_codes(n: int, length: int, *, seed: int = 0, letters: int = 4) -> Codes:
    return np.random.default_rng(seed).integers(0, letters, (n, length), dtype=np.uint8)


def random_motif(width: int, rng: np.random.Generator) -> Motif:
    return Motif(f"random_{width}", rng.dirichlet([0.3] * 4, size=width).T)


def with_sites(n: int, length: int = 60, *, seed: int = 0) -> SplitDataset:
    """Make positives that have TTGCGCAA at any place."""
    rng = np.random.default_rng(seed)
    codes, labels = random_codes(n, length, seed=seed), np.arange(n) % 2 == 0
    for row in np.flatnonzero(labels):
        place = rng.integers(0, length - 8)
        codes[row, place : place + 8] = encode(["TTGCGCAA"])[0]
    names = np.array([f"s{row}" for row in range(n)])
    files = np.full(n, "made.fa")
    return split(Dataset(names=names, codes=codes, labels=labels, files=files), rng=rng)


# k-mers


def random_baseline(k: int, *, seed: int) -> Baseline:
    """Make weights of the size that fitting gives, of the same k-mers' real spread."""
    rng = np.random.default_rng(seed)
    shares = k_mer_frequencies(random_codes(200, 100, seed=seed), k)
    scale = np.where(shares.std(axis=0) > 0, shares.std(axis=0), 1).astype(np.float32)
    weights = rng.normal(0, 0.1, len(scale)).astype(np.float32)
    return Baseline(
        k=k, mean=shares.mean(axis=0), scale=scale, weights=weights, bias=0.3, penalty=1.0
    )


def exact_log_odds(fitted: Baseline, codes: Codes) -> NDArray[np.float64]:
    """Work out the regression in float64."""
    shares = k_mer_frequencies(codes, fitted.k).astype(np.float64)
    terms = (shares - fitted.mean) / fitted.scale * fitted.weights
    found: NDArray[np.float64] = terms.sum(axis=1) + fitted.bias
    return found


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 6])
def test_k_mer_weights_have_the_probabilities_of_their_regression(k: int) -> None:
    fitted, codes = random_baseline(k, seed=k), random_codes(50, 100, seed=1)
    model = Model(of_k_mers(fitted, 100).members)
    np.testing.assert_allclose(
        log_odds(predictor_of(model), codes), exact_log_odds(fitted, codes), rtol=0, atol=2e-5
    )
    np.testing.assert_allclose(
        probabilities(predictor_of(model), codes), fitted.probabilities(codes), rtol=0, atol=1e-5
    )


def test_k_mer_weights_by_hand() -> None:
    # Of AAC and GTT, which are one 3-mer, the regression adds 6 times the share, less 1.
    column = k_mer_names(3).index("AAC")
    size = len(k_mer_names(3))
    weights = np.zeros(size, np.float32)
    weights[column] = 6
    ones = np.ones(size, np.float32)
    fitted = Baseline(k=3, mean=0 * ones, scale=ones, weights=weights, bias=-1.0, penalty=1.0)
    model = Model(of_k_mers(fitted, 8).members)
    # AACGTTAA: AAC, ACG, CGT, GTT, TTA, TAA: a third
    assert log_odds(predictor_of(model), encode(["AACGTTAA", "CCCCCCCC"])) == pytest.approx(
        [1, -1], abs=1e-6
    )


def test_k_mers_with_an_unknown_letter_count_nowhere() -> None:
    fitted, codes = random_baseline(4, seed=0), random_codes(20, 40, seed=2)
    codes[:, 10] = N_CODE
    shares = k_mer_frequencies(codes, 4).astype(np.float64) * 33 / 37  # of all 37 words
    exact = ((shares - fitted.mean) / fitted.scale * fitted.weights).sum(axis=1) + fitted.bias
    model = Model(of_k_mers(fitted, 40).members)
    np.testing.assert_allclose(log_odds(predictor_of(model), codes), exact, rtol=0, atol=2e-5)
    np.testing.assert_allclose(
        probabilities(predictor_of(model), codes), fitted.probabilities(codes), rtol=0, atol=1e-5
    )


def random_scores(*, seed: int) -> GappedBaseline:
    scores = np.random.default_rng(seed).normal(0, 1, len(k_mer_columns(WIDTH)[1]))
    return GappedBaseline(scores.astype(np.float32), -0.4, penalty=0.1, auc=0.8)


def test_weights_of_gapped_k_mers_have_the_probabilities_of_their_regression() -> None:
    fitted, codes = random_scores(seed=0), random_codes(50, 100, seed=1)
    found = of_gapped_k_mers(fitted, 100)
    assert (found.name, found.penalty, found.auc) == (
        "gapped 6-mer logistic regression", 0.1, 0.8,
    )  # fmt: skip
    (member,) = found.members
    assert member.architecture == KmerWeights(k=10, length=100)
    model = Model(found.members)
    exact = word_counts(codes).astype(np.float64) @ fitted.scores.astype(np.float64) + fitted.bias
    np.testing.assert_allclose(log_odds(predictor_of(model), codes), exact, rtol=0, atol=1e-5)
    np.testing.assert_allclose(
        probabilities(predictor_of(model), codes), fitted.probabilities(codes), rtol=0, atol=1e-5
    )


def test_gapped_k_mers_are_a_share_of_all_positions_where_some_are_unknown() -> None:
    fitted, codes = random_scores(seed=0), random_codes(20, 40, seed=2)
    codes[:, 15] = N_CODE
    counts = word_counts(codes)
    exact = counts @ fitted.scores + fitted.bias
    model = Model(of_gapped_k_mers(fitted, 40).members)
    np.testing.assert_allclose(log_odds(predictor_of(model), codes), exact, rtol=0, atol=1e-5)


def test_a_fit_of_gapped_k_mers_is_a_member() -> None:
    data = with_sites(300)
    found = fit_gapped_k_mers(data)
    odds = log_odds(predictor_of(Model(found.members)), data.validation.codes)
    assert metrics.roc_auc(data.validation.labels, odds) == pytest.approx(found.auc, abs=1e-6)
    assert found.auc > 0.8


# Best hits


def exact_best_hits(motifs: list[Motif], widths: list[int], codes: Codes) -> NDArray[np.float64]:
    """Score every place on both strands in float64, and keep the best."""
    x = one_hot(codes).astype(np.float64)
    found = []
    for motif, width in zip(motifs, widths, strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(x, width, axis=2)  # (n, 4, P, width)
        forward = motif_filter(motif, width)
        scores = [
            np.einsum("nbpw,bw->np", windows, each)
            for each in (forward, reverse_complement(forward))
        ]
        found.append(np.max(scores, axis=(0, 2)))
    return np.stack(found, axis=1)


@settings(max_examples=30)
@given(st.lists(st.integers(2, 20), min_size=1, max_size=8), st.integers(0, 2**32 - 1))
def test_networks_read_the_best_hits_of_motifs_of_any_widths(widths: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    motifs = [random_motif(width, rng) for width in widths]
    codes = random_codes(9, 30, seed=seed, letters=5)
    codes[0], codes[1] = 0, N_CODE  # the worst that can be, perhaps
    readers = best_hits_networks(motifs, 30)
    assert sorted(index for _, which in readers for index in which) == list(range(len(motifs)))
    filters = [0] * len(motifs)
    biases = np.zeros(len(motifs))
    for member, which in readers:
        (layer,) = member.architecture.convolutions
        assert layer.pool == 30 - layer.width + 1
        for row, index in enumerate(which):
            filters[index] = layer.width
            assert 0 <= layer.width - widths[index] <= 2
            biases[index] = member.weights()["convolutions.0.bias"][row]
    exact = exact_best_hits(motifs, filters, codes) + biases
    np.testing.assert_allclose(best_hits(readers, codes), exact, rtol=0, atol=1e-5)
    assert exact.min() > -1e-5  # so the ReLU takes nothing


def test_pytorch_reads_the_same_best_hits() -> None:
    ((member, _),) = best_hits_networks([HNF4A, reverse_motif(HNF4A)], 50)
    codes = random_codes(20, 50, letters=5)
    ours = CpuPredictor(member.architecture, member.parameters).pooled(codes)
    theirs = GpuPredictor(member.architecture, member.parameters).pooled(codes)
    assert ours.shape == theirs.shape == (20, 1, 2)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    assert ours[:, 0, 0] == pytest.approx(ours[:, 0, 1], abs=1e-5)  # either strand is read


def reverse_motif(motif: Motif) -> Motif:
    return Motif("reverse", reverse_complement(motif.pfm))


def test_a_regression_on_best_hits_is_the_mean_of_its_networks() -> None:
    rng = np.random.default_rng(0)
    motifs = [random_motif(width, rng) for width in (5, 6, 9, 14, 14, 20)]
    codes = random_codes(40, 80, seed=3)
    readers = best_hits_networks(motifs, 80)
    found = best_hits(readers, codes)
    weights = rng.normal(0, 0.3, 6).astype(np.float32)
    fitted = Linear(found.mean(axis=0), found.std(axis=0), weights, -0.4, 1.0)
    members = regressing(readers, fitted)
    assert len(members) == 4
    exact = (found.astype(np.float64) - fitted.mean) / fitted.scale @ weights - 0.4
    # Each of 4 logits is rounded near |weight| * score * 4 / scale, some 30, to 2e-6
    model = Model(members, {})
    np.testing.assert_allclose(log_odds(predictor_of(model), codes), exact, rtol=0, atol=2e-5)
    with torch.inference_mode():
        logits = model.to_torch().double()(spread(torch.from_numpy(codes)).double()).numpy()
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], exact, rtol=0, atol=2e-5)


def test_the_best_hits_of_a_planted_motif_tell_and_validation_chooses_the_penalty() -> None:
    data = with_sites(800)
    rng = np.random.default_rng(1)
    motifs = [random_motif(8, rng), CEBPA, random_motif(12, rng)]
    found = fit_best_hits(data, motifs)
    assert found.name == "logistic regression on the best hits of 3 motifs"
    model = Model(found.members, {})
    check, test = data.validation, data.test
    assert metrics.roc_auc(test.labels, log_odds(predictor_of(model), test.codes)) > 0.8
    chosen = metrics.roc_auc(check.labels, log_odds(predictor_of(model), check.codes))
    assert found.auc == pytest.approx(chosen, abs=1e-3)


def test_motifs_that_cannot_be_read_are_told() -> None:
    with pytest.raises(MotifError, match="no motifs to read; at least one is needed"):
        best_hits_networks([], 50)
    with pytest.raises(MotifError, match="motif 'flat' is flat"):
        best_hits_networks([Motif("flat", np.ones((4, 5)))], 50)


def test_a_motif_wider_than_the_sequences_is_read_where_it_tells_most() -> None:
    ((member, which),) = best_hits_networks([HNF4A], 9)
    assert which == [0]
    assert member.architecture.convolutions[0].width == 9
    assert member.weights()["convolutions.0.weight"].shape == (1, 4, 9)


# The command


def test_baseline_writes_its_regression_as_a_model_that_predicts_the_same(
    cli: Callable[..., Ran], inputs: Path, tmp_path: Path
) -> None:
    write_meme(tmp_path / "two.meme", [CEBPA, HNF4A, replace(BUILTIN["CEBPA"], name="again")])
    data = ["--positives", inputs / "positives.fa", "--negatives", inputs / "negatives.fa", "-q"]
    kinds = {"kmer": ["-k", 3], "motifs": ["--database", tmp_path / "two.meme"], "gkm": []}
    for kind, options in kinds.items():
        folder = tmp_path / kind
        assert cli("baseline", *data, "--kind", kind, *options, "-o", folder) == Ran(0, "", "")
        rows = read_table(folder / "test_predictions.tsv", ["name", "probability"])
        told = {row["name"]: float(row["probability"]) for _, row in rows}
        for name in ("positives", "negatives"):
            out = tmp_path / f"{kind}_{name}.tsv"
            assert cli("predict", folder, inputs / f"{name}.fa", "-q", "-o", out).status == 0
            for _, row in read_table(out, ["name", "probability"]):
                if row["name"] in told:
                    expected = pytest.approx(told.pop(row["name"]), abs=1e-5)
                    assert float(row["probability"]) == expected
        assert not told
        training = load_model(folder).metadata
        figures = json.loads((folder / "metrics.json").read_text())
        assert {name: training[name] for name in figures} == figures
    assert len(load_model(tmp_path / "motifs").members) == 2  # widths 9 and 13


def test_motifs_and_their_database_need_each_other(
    cli: Callable[..., Ran], inputs: Path, tmp_path: Path
) -> None:
    data = ["--positives", inputs / "positives.fa", "--negatives", inputs / "negatives.fa"]
    for options in (["--kind", "motifs"], ["--database", inputs / "genome.fa"]):
        ran = cli("baseline", *data, *options, "-o", tmp_path / "out")
        assert (ran.status, ran.out, ran.err.count("\n")) == (2, "", 1)
        assert "--kind motifs and --database need each other" in ran.err
        assert not (tmp_path / "out").exists()
