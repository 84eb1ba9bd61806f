"""Sequences that are positive and negative at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from enhancer_core import TrainConfig, split, train
from enhancer_core.data.conflicts import describe_conflicts, describe_padding
from enhancer_core.data.dataset import Dataset, make_dataset
from enhancer_core.dna.codes import Codes, decode, encode, reverse_complement
from enhancer_core.dna.shuffle import k_shuffle

RNG = np.random.default_rng(7)
GENOME: Codes = RNG.integers(0, 4, 4000).astype(np.uint8)
OTHER_GENOME: Codes = RNG.integers(0, 4, 4000).astype(np.uint8)
START = "both positive and negative: "


def window(start: int, *, genome: Codes = GENOME, length: int = 100) -> tuple[str, str]:
    return f"chr1:{start}-{start + length}", decode(genome[np.newaxis, start : start + length])[0]


def told(positives: Sequence[tuple[str, str]], negatives: Sequence[tuple[str, str]]) -> str:
    return describe_conflicts(made(positives, negatives))


def made(positives: Sequence[tuple[str, str]], negatives: Sequence[tuple[str, str]]) -> Dataset:
    (p, one), (n, other) = zip(*positives, strict=True), zip(*negatives, strict=True)
    return make_dataset([("p.fa", p, encode(one))], [("n.fa", n, encode(other))])


def flipped(sequence: str) -> str:
    return decode(reverse_complement(encode([sequence])))[0]


def shuffles(records: Sequence[tuple[str, str]], k: int) -> list[tuple[str, str]]:
    names, sequences = zip(*records, strict=True)
    return list(zip(names, decode(k_shuffle(encode(sequences), k=k, rng=RNG)), strict=True))


def test_classes_of_other_places_say_nothing() -> None:
    assert told([window(0), window(100)], [window(200), window(3000)]) == ""


@pytest.mark.parametrize("name", ["a", "other"])
@pytest.mark.parametrize("strand", [str, flipped])
def test_a_sequence_of_both_classes_is_counted_whatever_its_name_and_strand(
    name: str, strand: type[str]
) -> None:
    positives = [("a", window(0)[1]), ("b", window(0)[1]), ("c", window(100)[1])]
    negatives = [("x", window(200)[1]), (name, strand(window(0)[1]))]
    assert told(positives, negatives) == (
        f"{START}2 positives and 1 negatives are the same sequences, on either strand (as 'a' of"
        f" p.fa and '{name}' of n.fa)"
    )


def test_a_window_of_one_class_that_overlaps_the_others_is_counted_once() -> None:
    positives, negatives = [window(0), window(60), window(500)], [window(30), window(590)]
    assert told(positives, negatives) == (
        f"{START}2 negatives overlap positives (as 'chr1:0-100' of p.fa and 'chr1:30-130' of n.fa)"
    )


def test_windows_of_the_other_strand_overlap_too() -> None:
    name, sequence = window(30)
    assert told([window(0)], [(f"{name}(-)", flipped(sequence))]) == (
        f"{START}1 negatives overlap positives (as 'chr1:0-100' of p.fa and 'chr1:30-130(-)' of"
        " n.fa)"
    )


@pytest.mark.parametrize("k", [1, 2, 3])
def test_shuffles_are_no_conflict_nor_where_their_parents_overlap(k: int) -> None:
    positives = [window(start) for start in range(0, 1000, 50)]
    assert told(positives, shuffles(positives, k)) == ""


def test_a_shuffle_that_equals_its_parent_is_one() -> None:
    record = ("chr1:0-8", "AAAAAAAA")
    assert told([record], shuffles([record], 2)).startswith(f"{START}1 positives and 1 negatives")


def test_windows_of_another_genome_with_the_same_names_are_told_apart() -> None:
    assert told([window(0), window(200)], [window(30, genome=OTHER_GENOME), window(250)]) == (
        f"{START}1 negatives overlap positives (as 'chr1:200-300' of p.fa and 'chr1:250-350' of"
        " n.fa); 1 negatives overlap positives by their names, but have other bases there: of"
        " another genome? (as 'chr1:0-100' of p.fa and 'chr1:30-130' of n.fa)"
    )


def test_an_overlap_of_a_few_bases_and_touching_windows_are_none() -> None:
    assert told([window(0)], [window(95), window(100)]) == ""


def test_a_window_of_both_genomes_is_told_by_the_bases_that_agree() -> None:
    text = told([window(0, genome=OTHER_GENOME), window(0)], [window(30)])
    assert text.startswith(f"{START}1 negatives overlap positives (as 'chr1:0-100' of p.fa")
    assert "by their names" not in text


def test_training_in_python_warns() -> None:
    positives = [window(start) for start in range(0, 2000, 100)]
    negatives = [window(start) for start in range(2000, 4000, 100)]
    data = split(made(positives, [*negatives, ("again", positives[3][1])]))
    config = TrainConfig(restarts=1, epochs=1)
    with pytest.warns(UserWarning, match="^both positive and negative: 1 positives and 1 negati"):
        train(data, "tf", config, device="cpu")
    train(split(made(positives, negatives)), "tf", config, device="cpu")


# Padding


def padded(positives: Sequence[int], negatives: Sequence[int]) -> Dataset:
    """Make sequences of these lengths, as of 100 bp."""
    classes = (
        ["".join(RNG.choice(list("ACGT"), n)) for n in each] for each in (positives, negatives)
    )
    return Dataset.from_sequences(*classes, length=100)


def test_padding_of_one_class_alone_is_told() -> None:
    assert describe_padding(padded([60, 90] * 50, [100] * 100)) == (
        "padding alone tells positives from negatives with an AUC of 1.00 (25% and 0% of their"
        " letters are N), which flatters all figures; a smaller --length pads less"
    )
    assert "AUC of 1.00 (0% and 20% of" in describe_padding(padded([150] * 50, [80] * 50))


def test_padding_of_both_classes_alike_or_none_is_not_told() -> None:
    assert describe_padding(padded([60, 90, 100] * 50, [100, 60, 90] * 50)) == ""
    assert describe_padding(padded([100] * 9, [300] * 9)) == ""
    assert describe_padding(padded([100] * 4, [100] * 3 + [99])) == ""  # as chance may have it
