from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from enhancer_core import dna
from enhancer_core.dna.intervals import from_rows
from enhancer_core.errors import EnhancerError, SequenceError
from enhancer_core.io.fasta import write_fasta
from enhancer_core.io.genome import Genome
from enhancer_core.io.tracks import Stretch
from enhancer_core.models.architecture import Architecture, Convolution
from enhancer_core.models.model import save_model
from enhancer_core.models.network import Network, one_hot
from enhancer_core.prediction.sequences import (
    BATCH,
    in_order,
    log_odds,
    mean_log_odds,
    mean_probability,
    prior_shift,
    probabilities,
    substituted_log_odds,
)
from enhancer_core.prediction.tracks import scan, score_regions, track
from tests.predictors import model_of, predictor_of

SMALL = Architecture(convolutions=(Convolution(4, 5, 3),), dense=(6,), dropout=0.5, length=40)


@pytest.fixture
def network() -> Network:
    network = Network(SMALL, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        network.output.weight.mul_(20)  # so that probabilities differ between sequences
    return network


def random_codes(*shape: int) -> dna.Codes:
    return np.random.default_rng(0).integers(0, 4, shape, dtype=np.uint8)


def one_by_one(network: Network, codes: dna.Codes) -> NDArray[np.float32]:
    network.eval()
    with torch.no_grad():
        rows = [network(one_hot(torch.from_numpy(row[np.newaxis]))) for row in codes]
    found: NDArray[np.float32] = torch.cat(rows).softmax(1)[:, 1].numpy()
    return found


def test_probabilities_are_the_softmax_of_each_sequence_alone(network: Network) -> None:
    codes = random_codes(2 * BATCH + 3, 40)
    found = probabilities(predictor_of(network), codes)
    np.testing.assert_allclose(found, one_by_one(network, codes), rtol=1e-5)
    assert found.std() > 0.01


def test_on_both_strands_a_sequence_and_its_reverse_complement_are_one(network: Network) -> None:
    codes = random_codes(300, 40)
    other = dna.reverse_complement(codes)
    found = probabilities(predictor_of(network), codes, both_strands=True)
    mean = (
        probabilities(predictor_of(network), codes) + probabilities(predictor_of(network), other)
    ) / 2
    np.testing.assert_allclose(found, mean, rtol=1e-6)
    assert np.array_equal(found, probabilities(predictor_of(network), other, both_strands=True))
    assert not np.array_equal(found, probabilities(predictor_of(network), codes))


def test_the_command_averages_strands_where_it_is_asked_to(
    cli: Callable[..., Any], network: Network, tmp_path: Path
) -> None:
    codes = random_codes(20, 40)
    save_model(model_of(network, {}), tmp_path / "model.safetensors")
    write_fasta(tmp_path / "a.fa", [f"s{i}" for i in range(20)], codes)
    write_fasta(tmp_path / "genome.fa", ["a"], random_codes(1, 400))
    args = ["predict", tmp_path, tmp_path / "a.fa", "--both-strands", "-o", tmp_path / "a.tsv"]
    assert cli(*args).status == 0
    table = [line.split("\t") for line in (tmp_path / "a.tsv").read_text().splitlines()[1:]]
    architecture = probabilities(predictor_of(network), codes, both_strands=True)
    assert [float(value) for _, value in table] == pytest.approx(architecture.tolist(), rel=1e-5)
    args = ["predict", tmp_path, "--genome", tmp_path / "genome.fa", "--step", 10, "--both-strands"]
    assert cli(*args, "-o", tmp_path / "a.bedgraph").status == 0
    track = [line.split("\t") for line in (tmp_path / "a.bedgraph").read_text().splitlines()]
    found = stretches(network, {"a": random_codes(1, 400)[0]}, step=10, both_strands=True)
    assert [float(row[3]) for row in track] == pytest.approx(values_of(found).tolist(), rel=1e-5)


def test_threads_do_not_change_a_bit(network: Network) -> None:
    codes = random_codes(5 * BATCH + 1, 40)
    assert np.array_equal(
        probabilities(predictor_of(network), codes, threads=1),
        probabilities(predictor_of(network), codes, threads=3),
    )


def test_no_sequences_give_no_probabilities(network: Network) -> None:
    assert probabilities(predictor_of(network), random_codes(0, 40)).shape == (0,)


def test_progress_adds_up_to_the_number_of_sequences(network: Network) -> None:
    done: list[int] = []
    probabilities(predictor_of(network), random_codes(BATCH + 10, 40), progress=done.append)
    assert sum(done) == BATCH + 10


def test_sequences_of_another_length_are_refused(network: Network) -> None:
    with pytest.raises(SequenceError, match="sequences of 41 bp; the model reads 40 bp"):
        probabilities(predictor_of(network), random_codes(2, 41))


@dataclass
class Chromosomes:
    """Stands for a genome: codes by name."""

    codes_of: dict[str, dna.Codes]

    @property
    def lengths(self) -> dict[str, int]:
        return {name: len(codes) for name, codes in self.codes_of.items()}

    def codes(self, chrom: str, start: int, end: int) -> dna.Codes:
        assert 0 <= start <= end <= len(self.codes_of[chrom])
        return self.codes_of[chrom][start:end]


def stretches(
    network: Network,
    chromosomes: dict[str, dna.Codes],
    *regions: tuple[str, int, int],
    step: int,
    both_strands: bool = False,
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> list[Stretch]:
    """Predict along regions, or all chromosomes."""
    rows = regions or [(name, 0, len(codes)) for name, codes in chromosomes.items()]
    genome = cast("Genome", Chromosomes(chromosomes))
    found = track(
        predictor_of(network), genome, from_rows(rows),
        step=step, both_strands=both_strands, threads=threads, progress=progress,
    )  # fmt: skip
    return list(found)


def starts_of(found: list[Stretch]) -> list[int]:
    return [start for stretch in found for start in stretch[1].tolist()]


def values_of(found: list[Stretch]) -> NDArray[np.float32]:
    return np.concatenate([np.zeros(0, np.float32), *(stretch[3] for stretch in found)])


def test_a_track_gives_each_bin_the_window_around_its_middle(network: Network) -> None:
    chromosome = random_codes(300)
    ((chrom, starts, ends, values),) = stretches(
        network, {"a": chromosome}, ("a", 100, 133), step=10
    )
    assert (chrom, starts.tolist(), ends.tolist()) == (
        "a",
        [100, 110, 120, 130],
        [110, 120, 130, 133],
    )
    # bin 100-110 has its middle at 105, and its window is 85-125; the last bin is 130-133
    windows = np.stack([chromosome[middle - 20 : middle + 20] for middle in (105, 115, 125, 131)])
    np.testing.assert_allclose(values, one_by_one(network, windows), rtol=1e-5)


def test_a_track_has_the_probabilities_of_its_windows_to_the_last_bit(network: Network) -> None:
    chromosome = random_codes(700)
    windows = np.stack([chromosome[start : start + 40] for start in range(60, 600, 7)])
    for both_strands in (False, True):
        # the first bin, 77-84, has its middle at 80
        found = stretches(
            network, {"a": chromosome}, ("a", 77, 616), step=7, both_strands=both_strands
        )
        architecture = probabilities(
            predictor_of(network), windows[: len(values_of(found))], both_strands=both_strands
        )
        assert np.array_equal(values_of(found), architecture)


def test_regions_come_one_after_another_each_from_its_chromosome(network: Network) -> None:
    chromosomes = {"b": random_codes(200), "a": random_codes(90)[::-1]}
    regions = [("b", 10, 30), ("b", 150, 200), ("a", 0, 90)]
    found = stretches(network, chromosomes, *regions, step=20)
    assert [(chrom, starts.tolist()) for chrom, starts, _, _ in found] == [
        ("b", [10]), ("b", [150, 170, 190]), ("a", [0, 20, 40, 60, 80]),
    ]  # fmt: skip
    for stretch, region in zip(found, regions, strict=True):
        (alone,) = stretches(network, chromosomes, region, step=20)
        assert np.array_equal(stretch[3], alone[3])


def test_beyond_the_ends_of_a_chromosome_a_window_holds_n(network: Network) -> None:
    chromosome = random_codes(60)
    values = values_of(stretches(network, {"a": chromosome}, step=10))
    n = np.full(20, dna.N_CODE, dtype=np.uint8)
    padded = np.concatenate([n, chromosome, n])
    windows = np.stack([padded[start : start + 40] for start in range(5, 60, 10)])
    np.testing.assert_allclose(values, one_by_one(network, windows), rtol=1e-5)


def test_a_chromosome_shorter_than_a_window_has_a_track(network: Network) -> None:
    # The windows of 40 around 5, 15 and 25 hold 25, 30 and 25 bases of it.
    assert starts_of(stretches(network, {"a": random_codes(30)}, step=10)) == [0, 10, 20]
    assert stretches(network, {"a": random_codes(19)}, step=10) == []


def test_bins_whose_window_is_mostly_n_have_no_value(network: Network) -> None:
    chromosome = random_codes(200)
    chromosome[60:140] = dna.N_CODE
    starts = starts_of(stretches(network, {"a": chromosome}, step=10))
    # a window m-20 to m+20 has over 20 N of its 40 if its middle m is above 60 and below 140
    assert starts == [start for start in range(0, 200, 10) if not 60 < start + 5 < 140]


def test_a_long_track_in_blocks_equals_one_in_pieces(network: Network) -> None:
    chromosomes = {"a": random_codes(9000)}
    pieces = [("a", start, start + 1000) for start in range(0, 9000, 1000)]
    for both_strands in (False, True):
        whole = stretches(network, chromosomes, step=2, both_strands=both_strands)
        apart = stretches(network, chromosomes, *pieces, step=2, both_strands=both_strands)
        assert (len(whole), len(apart)) == (2, 9)
        assert starts_of(whole) == starts_of(apart) == list(range(0, 9000, 2))
        assert np.array_equal(values_of(whole), values_of(apart))


def test_threads_do_not_change_a_bit_of_a_track(network: Network) -> None:
    done: list[int] = []
    one, three = (
        stretches(
            network, {"a": random_codes(20_000)},
            step=2, both_strands=True, threads=threads, progress=done.append,
        )
        for threads in (1, 3)
    )  # fmt: skip
    assert starts_of(one) == starts_of(three) == list(range(0, 20_000, 2))
    assert values_of(one).tobytes() == values_of(three).tobytes()
    assert sum(done) == 20_000


@settings(max_examples=20)
@given(st.integers(1, 60), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_the_other_strands_track_is_the_same_read_backwards(
    bins: int, half: int, seed: int
) -> None:
    # Bins mirror where they divide the chromosome, and their windows where the step is even.
    network, step = Network(SMALL, generator=torch.Generator().manual_seed(0)), 2 * half
    codes = np.random.default_rng(seed).integers(0, 5, bins * step, dtype=np.uint8)
    ours, others = (
        stretches(network, {"a": each}, step=step, both_strands=True)
        for each in (codes, dna.reverse_complement(codes))
    )
    assert starts_of(ours) == [len(codes) - step - start for start in starts_of(others)][::-1]
    assert np.array_equal(values_of(ours), values_of(others)[::-1])


def test_a_stretch_of_n_alone_gives_nothing(network: Network) -> None:
    chromosome = np.full(100, dna.N_CODE, dtype=np.uint8)
    assert stretches(network, {"a": chromosome}, step=10) == []


def test_a_genome_is_read_a_little_ahead(network: Network) -> None:
    read: list[int] = []

    class Watched(Chromosomes):
        def codes(self, chrom: str, start: int, end: int) -> dna.Codes:
            read.append(end)
            return super().codes(chrom, start, end)

    genome = cast("Genome", Watched({"a": random_codes(100_000)}))
    found = track(predictor_of(network), genome, from_rows([("a", 0, 100_000)]), step=1, threads=2)
    next(found)
    # the block that is given, and two for each thread
    assert len(read) == 5
    assert read[-1] < 25_000


def test_results_come_in_order_and_an_error_where_it_was() -> None:
    assert list(in_order(str, range(100), threads=3)) == [str(i) for i in range(100)]
    inverses = in_order(lambda x: 6 // x, [3, 2, 0, 1], threads=2)
    assert [next(inverses), next(inverses)] == [2, 3]
    with pytest.raises(ZeroDivisionError, match="by zero"):
        next(inverses)


def test_changed_bases_give_what_the_changed_sequences_give(network: Network) -> None:
    codes = random_codes(3, 40)
    rows = np.repeat(np.arange(3), 40)
    positions = np.tile(np.arange(40), 3)
    bases = (codes[rows, positions] + 1) % 4
    changed = codes[rows]
    changed[np.arange(120), positions] = bases
    found = substituted_log_odds(predictor_of(network), codes, rows, positions, bases, threads=2)
    assert np.array_equal(found, log_odds(predictor_of(network), changed))


# Another prevalence


def test_a_shift_adds_to_the_log_odds_of_the_mean_of_both_strands(network: Network) -> None:
    codes = random_codes(30, 40)
    for both_strands in (False, True):
        plain, shifted = (
            probabilities(predictor_of(network), codes, both_strands=both_strands, shift=shift)
            for shift in (0.0, -2.0)
        )
        odds = plain / (1 - plain) * np.exp(-2)
        np.testing.assert_allclose(shifted, odds / (1 + odds), rtol=1e-4)


def test_log_odds_of_a_mean_are_those_of_the_mean_probability() -> None:
    rng = np.random.default_rng(1)
    strands = [rng.normal(size=(50, 2)).astype(np.float32) for _ in range(2)]
    mean = mean_probability(strands).astype(float)
    np.testing.assert_allclose(mean_log_odds(strands), np.log(mean / (1 - mean)), atol=1e-5)
    alone = mean_log_odds(strands[:1])
    assert np.array_equal(alone, strands[0][:, 1] - strands[0][:, 0])


def test_a_prevalence_is_turned_to_from_that_of_training(network: Network) -> None:
    # Among 1 in 4, odds are a third of those among as many; among 1 in 2 three times those again.
    assert prior_shift(model_of(network, {"prevalence": 0.5}), 0.25) == pytest.approx(-np.log(3))
    assert prior_shift(model_of(network, {"prevalence": 0.25}), 0.25) == 0
    assert prior_shift(model_of(network, {"prevalence": 0.25}), 0.5) == pytest.approx(np.log(3))
    assert prior_shift(model_of(network, {"prevalence": 0.25}), None) == 0


@pytest.mark.parametrize("stated", [{}, {"prevalence": "half"}, {"prevalence": 0.0}])
def test_a_model_that_states_no_share_has_learned_from_as_many_of_both(
    network: Network, stated: dict[str, Any]
) -> None:
    assert model_of(network, stated).prevalence is None
    assert prior_shift(model_of(network, stated), 0.25) == pytest.approx(-np.log(3))


@pytest.mark.parametrize("prevalence", [0.0, 1.0, -0.1, 2.0, float("nan")])
def test_a_prevalence_is_between_0_and_1(network: Network, prevalence: float) -> None:
    with pytest.raises(EnhancerError, match=r"prevalence is .*; allowed is above 0 and below 1"):
        prior_shift(model_of(network), prevalence)


# Bins and regions


def test_bins_in_memory_are_the_track_with_gaps_where_it_has_none(network: Network) -> None:
    chromosomes = {"b": random_codes(200), "a": random_codes(300)[::-1].copy()}
    chromosomes["a"][60:140] = dna.N_CODE
    regions = from_rows([("b", 0, 95), ("b", 120, 200), ("a", 0, 300)])
    genome = cast("Genome", Chromosomes(chromosomes))
    bins = scan(predictor_of(network), genome, regions, step=10, both_strands=True)
    found = stretches(network, chromosomes, *regions.rows(), step=10, both_strands=True)
    known = np.flatnonzero(~np.isnan(bins.log_odds))
    region, starts, ends = bins.spans(known)
    assert regions.chroms[region].tolist() == [chrom for chrom, starts, *_ in found for _ in starts]
    assert starts.tolist() == starts_of(found)
    assert ends.tolist() == [end for stretch in found for end in stretch[2].tolist()]
    expected = 1 / (1 + np.exp(-bins.log_odds[known].astype(float)))
    np.testing.assert_allclose(expected, values_of(found), atol=1e-6)
    assert len(bins.log_odds) == 10 + 8 + 30


def test_a_region_has_the_highest_and_the_mean_value_of_its_part_of_the_track(
    network: Network,
) -> None:
    chromosomes = {"a": random_codes(900), "n": np.full(100, dna.N_CODE, np.uint8)}
    rows = [("a", 300, 455), ("n", 0, 100), ("a", 0, 7), ("a", 400, 900), ("a", 300, 455)]
    genome = cast("Genome", Chromosomes(chromosomes))
    done: list[int] = []
    highest, mean = score_regions(
        predictor_of(network), genome, from_rows(rows), step=10, progress=done.append, threads=2
    )
    for place, row in enumerate(rows):
        values = values_of(stretches(network, chromosomes, row, step=10))
        if row[0] == "n":
            assert np.isnan(highest[place])
            assert np.isnan(mean[place])
        else:
            assert highest[place] == values.max()
            assert mean[place] == pytest.approx(values.mean(), rel=1e-6)
    assert sum(done) == 16 + 10 + 1 + 50 + 16


def test_a_region_longer_than_a_block_is_one_row(network: Network) -> None:
    chromosomes = {"a": random_codes(9000)}
    genome = cast("Genome", Chromosomes(chromosomes))
    highest, mean = score_regions(
        predictor_of(network), genome, from_rows([("a", 0, 9000)]), step=2
    )
    values = values_of(stretches(network, chromosomes, step=2))
    assert highest.tolist() == [values.max()]
    assert mean[0] == pytest.approx(values.mean(), rel=1e-5)
