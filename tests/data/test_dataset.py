"""Labelled sequences and their split: nothing that belongs together crosses parts."""

from __future__ import annotations

import gzip
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from enhancer_core.data import tables
from enhancer_core.data.dataset import (
    PARTS,
    TEST,
    TRAIN,
    VALIDATION,
    Dataset,
    SplitDataset,
    make_dataset,
    read_dataset,
)
from enhancer_core.data.groups import (
    chromosome_groups,
    linked_sets,
    sequence_sets,
    torn_overlaps,
    without_shared_sequences,
)
from enhancer_core.data.splits import split, split_by_group, split_folds
from enhancer_core.data.tables import read_groups, read_split, split_by_name
from enhancer_core.dna.codes import Codes, decode, encode, reverse_complement
from enhancer_core.errors import DatasetError, FileError, SequenceError
from enhancer_core.io.tables import write_table

COMPLEMENT = str.maketrans("ACGTN", "TGCAN")

Record = tuple[str, str]  # name, sequence
Span = tuple[str, int, int]  # chromosome, start, end


def made(positives: Sequence[Record], negatives: Sequence[Record]) -> Dataset:
    return make_dataset(
        [("p.fa", [name for name, _ in positives], encode([bases for _, bases in positives]))],
        [("n.fa", [name for name, _ in negatives], encode([bases for _, bases in negatives]))],
    )


def singles(n_positive: int, n_negative: int, *, length: int = 40) -> Dataset:
    """Make records that nothing links."""
    codes = np.random.default_rng(1).integers(0, 4, (n_positive + n_negative, length))
    rows = decode(codes.astype(np.uint8))
    names = [f"record{index}" for index in range(len(rows))]
    records = list(zip(names, rows, strict=True))
    return made(records[:n_positive], records[n_positive:])


def counts(data: SplitDataset) -> list[tuple[int, int]]:
    """Count positives and negatives of train, validation and test."""
    return [
        (int(part.labels.sum()), int((~part.labels).sum()))
        for part in (data.train, data.validation, data.test)
    ]


def canonical(sequence: str) -> str:
    return min(sequence, sequence.translate(COMPLEMENT)[::-1])


def span(name: str) -> Span | None:
    chrom, colon, positions = name.rpartition(":")
    start, _, end = positions.partition("-")
    return (chrom, int(start), int(end)) if colon else None


def linked(one: Record, other: Record) -> bool:
    """Tell in plain words what must not be told apart."""
    return (
        one[0] == other[0]
        or canonical(one[1]) == canonical(other[1])
        or overlap(span(one[0]), span(other[0]))
    )


def overlap(here: Span | None, there: Span | None) -> bool:
    return (
        here is not None
        and there is not None
        and here[0] == there[0]
        and max(here[1], there[1]) < min(here[2], there[2])
    )


def records_of(dataset: Dataset) -> list[Record]:
    return list(zip(dataset.names.tolist(), decode(dataset.codes), strict=True))


plain_names = st.sampled_from([f"record{index}" for index in range(30)])
placed_names = st.builds(
    lambda chrom, start, length: f"{chrom}:{start}-{start + length}",
    st.sampled_from(["chr1", "chr2"]),
    st.integers(0, 300),
    st.integers(1, 8),
)
classes = st.dictionaries(
    plain_names | placed_names, st.text("ACGT", min_size=5, max_size=5), min_size=4, max_size=20
).map(lambda records: list(records.items()))
datasets = st.builds(made, classes, classes)
seeds = st.integers(0, 2**32 - 1)


# Making


def test_positives_come_first_in_the_order_given() -> None:
    dataset = make_dataset(
        [("b.fa", ["x", "y"], encode(["AC", "GT"])), ("a.fa", ["z"], encode(["NN"]))],
        [("c.fa", ["x"], encode(["TT"]))],
    )
    assert len(dataset) == 4
    assert decode(dataset.codes) == ["AC", "GT", "NN", "TT"]
    assert dataset.labels.tolist() == [True, True, True, False]
    assert dataset.names.tolist() == ["x", "y", "z", "x"]
    assert dataset.files.tolist() == ["b.fa", "b.fa", "a.fa", "c.fa"]
    assert dataset.labels.dtype == np.bool_
    assert dataset.codes.dtype == np.uint8


def test_rows_are_taken_by_index_and_by_mask() -> None:
    dataset = made([("x", "AC"), ("y", "GT")], [("z", "TT")])
    for rows in (np.array([2, 0]), np.array([True, False, True])):
        taken = dataset.take(rows)
        assert sorted(taken.names.tolist()) == ["x", "z"]
        assert sorted(decode(taken.codes)) == ["AC", "TT"]
        assert len(taken) == 2
    assert dataset.take(np.array([2, 0])).labels.tolist() == [False, True]


def test_a_class_without_sequences_is_refused() -> None:
    some = [("a.fa", ["a"], encode(["ACGT"]))]
    empty: list[tuple[str, list[str], Codes]] = [("b.fa", [], np.zeros((0, 4), dtype=np.uint8))]
    with pytest.raises(DatasetError, match=r"^no positives; both classes need at least one sequen"):
        make_dataset([], some)
    with pytest.raises(DatasetError, match=r"^no negatives; both classes need at least one sequen"):
        make_dataset(some, empty)


def test_files_of_two_lengths_are_refused() -> None:
    message = (
        r"^n.fa has sequences of 3 bp and p.fa of 4 bp; allowed is one length \(--length BP, or"
        r" length=, cuts or pads all\)$"
    )
    with pytest.raises(DatasetError, match=message):
        made([("a", "ACGT")], [("b", "ACG")])


def fasta(path: Path, *records: Record) -> Path:
    text = "".join(f">{name}\n{bases}\n" for name, bases in records).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def test_files_are_read_and_known_by_their_base_names(tmp_path: Path) -> None:
    one = fasta(tmp_path / "one.fa", ("x", "acgt"))
    two = fasta(tmp_path / "two.fa.gz", ("y", "GGGG"), ("z", "NNNN"))
    other = fasta(tmp_path / "other.fa", ("x", "TTTT"))
    dataset = read_dataset([two, one], [other])
    assert dataset.names.tolist() == ["y", "z", "x", "x"]
    assert dataset.files.tolist() == ["two.fa.gz", "two.fa.gz", "one.fa", "other.fa"]
    assert dataset.labels.tolist() == [True, True, True, False]
    assert decode(dataset.codes) == ["GGGG", "NNNN", "ACGT", "TTTT"]


def test_a_file_given_twice_is_refused(tmp_path: Path) -> None:
    one = fasta(tmp_path / "one.fa", ("x", "ACGT"))
    again = tmp_path / "again.fa"
    again.symlink_to(one)
    with pytest.raises(
        DatasetError, match=r"one\.fa: given as negatives and already as positives;"
    ):
        read_dataset([one], [tmp_path / "." / "one.fa"])
    with pytest.raises(
        DatasetError, match=r"again\.fa: given as positives and already as positive"
    ):
        read_dataset([one, again], [])


def test_what_is_wrong_with_a_file_is_told(tmp_path: Path) -> None:
    one = fasta(tmp_path / "one.fa", ("x", "ACGT"))
    with pytest.raises(FileError, match=r"none\.fa: cannot be read"):
        read_dataset([one], [tmp_path / "none.fa"])
    with pytest.raises(SequenceError, match=r"bad\.fa line 2: record 'y': letter 'E'"):
        read_dataset([one], [fasta(tmp_path / "bad.fa", ("y", "ACGE"))])
    with pytest.raises(DatasetError, match=r"^short\.fa has sequences of 2 bp and one\.fa of 4 bp"):
        read_dataset([one], [fasta(tmp_path / "short.fa", ("y", "AC"))])


def test_files_of_unequal_lengths_are_read_at_one_and_counted_each(tmp_path: Path) -> None:
    one = fasta(tmp_path / "one.fa", ("x", "AACCG"), ("y", "TTT"), ("z", "C"))
    other = fasta(tmp_path / "other.fa", ("x", "GGGG"), ("y", "AAC"))
    notes: list[str] = []
    dataset = read_dataset([one], [other], length=4, note=notes.append)
    assert dataset.names.tolist() == ["x", "y", "x", "y"]
    assert decode(dataset.codes) == ["AACC", "NTTT", "GGGG", "NAAC"]
    assert dataset.labels.tolist() == [True, True, False, False]
    assert notes == [
        f"{one}: 1 of 3 sequences cut to 4 bp, 2 padded with N; 1 left out, since mostly N",
        f"{other}: 0 of 2 sequences cut to 4 bp, 1 padded with N",
    ]


def test_strings_and_codes_of_unequal_lengths_make_a_data_set() -> None:
    notes: list[str] = []
    negatives = encode(["AACCGT", "NNAACC"])
    dataset = Dataset.from_sequences(
        ["ACGT", "A", "AACCGGTT"], negatives, length=4, note=notes.append
    )
    assert decode(dataset.codes) == ["ACGT", "CCGG", "ACCG", "NAAC"]
    assert dataset.names.tolist() == ["positives_0", "positives_2", "negatives_0", "negatives_1"]
    assert dataset.labels.tolist() == [True, True, False, False]
    assert notes == [
        "positives: 1 of 3 sequences cut to 4 bp, 1 padded with N; 1 left out, since mostly N",
        "negatives: 2 of 2 sequences cut to 4 bp, 0 padded with N",
    ]
    with pytest.warns(UserWarning, match=r"^positives: .*; 1 left out, since mostly N$"):
        Dataset.from_sequences(iter(["ACGT", "A"]), ["ACGT"], length=4)
    with pytest.raises(SequenceError, match=r"^positives: all 1 sequences are mostly N at 4 bp$"):
        Dataset.from_sequences(["A"], ["ACGT"], length=4)


# What is linked


def test_a_sequence_and_its_reverse_complement_are_one_set() -> None:
    codes = encode(["AACG", "CGTT", "AACG", "ACGT", "NACG", "CGTN"])
    assert sequence_sets(codes).tolist() == [0, 0, 0, 1, 2, 2]


@given(st.lists(st.text("ACGTN", min_size=4, max_size=4), min_size=1, max_size=30))
def test_sets_of_sequences_are_those_of_plain_strings(sequences: list[str]) -> None:
    sets = sequence_sets(encode(sequences)).tolist()
    for (one, here), (other, there) in combinations(zip(sequences, sets, strict=True), 2):
        assert (here == there) == (canonical(one) == canonical(other))
    assert set(sets) == set(range(max(sets) + 1))


@pytest.mark.parametrize(
    ("one", "other", "are_linked"),
    [
        (("a", "AACG"), ("b", "AACG"), True),
        (("a", "AACG"), ("b", "CGTT"), True),
        (("a", "AACG"), ("a", "TTTT"), True),
        (("a", "AACG"), ("b", "TTTT"), False),
        (("chr1:10-14", "AACG"), ("chr1:13-17", "TTTT"), True),
        (("chr1:10-14", "AACG"), ("chr1:14-18", "TTTT"), False),
        (("chr1:10-14", "AACG"), ("chr2:10-14", "TTTT"), False),
        (("chr1:10-14", "AACG"), ("chr1:2-90", "TTTT"), True),
        (("chr1:10-14(+)", "AACG"), ("chr1:13-17(-)", "TTTT"), True),
        (("peak1::chr1:10-14", "AACG"), ("peak2::chr1:13-17(+)", "TTTT"), True),
        (("hg38:chr1:10-14", "AACG"), ("mm10:chr1:10-14", "TTTT"), False),
    ],
)
def test_pairs_are_linked_by_sequence_name_or_place(
    one: Record,
    other: Record,
    are_linked: bool,  # noqa: FBT001
) -> None:
    sets = linked_sets(made([one], [other]))
    assert (sets[0] == sets[1]) == are_linked


def test_links_reach_through_other_records() -> None:
    chain = [
        ("chr1:10-14", "AACG"),
        ("chr1:13-17", "GGCC"),
        ("shuffle", "GGCC"),
        ("shuffle", "TTTT"),
        ("z", "AAAA"),
    ]
    dataset = make_dataset(
        [("p.fa", [name for name, _ in chain[:3]], encode([bases for _, bases in chain[:3]]))],
        [("n.fa", [name for name, _ in chain[3:]], encode([bases for _, bases in chain[3:]]))],
    )
    assert linked_sets(dataset).tolist() == [0, 0, 0, 0, 0]
    assert linked_sets(dataset.take(np.array([0, 1, 3]))).tolist() == [0, 0, 1]


@given(datasets)
def test_linked_sets_are_the_connected_parts_of_the_pairs(dataset: Dataset) -> None:
    records = records_of(dataset)
    expected = list(range(len(records)))
    for (i, one), (j, other) in combinations(enumerate(records), 2):
        if linked(one, other):
            old, new = expected[j], expected[i]
            expected = [new if each == old else each for each in expected]
    sets = linked_sets(dataset)
    assert len(set(zip(expected, sets.tolist(), strict=True))) == len(set(expected))
    assert set(sets.tolist()) == set(range(len(set(expected))))


# Splitting


@pytest.mark.parametrize(
    ("n_positive", "n_negative", "expected"),
    [
        (100, 60, [(80, 48), (10, 6), (10, 6)]),
        (37, 14, [(29, 12), (4, 1), (4, 1)]),  # a tenth of 37 rounds to 4, of 14 to 1
        (10, 1000, [(8, 800), (1, 100), (1, 100)]),
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_records_that_nothing_links_split_each_class_exactly(
    n_positive: int, n_negative: int, expected: list[tuple[int, int]], seed: int
) -> None:
    data = split(singles(n_positive, n_negative), rng=np.random.default_rng(seed))
    assert counts(data) == expected


def test_other_shares_can_be_asked_for(rng: np.random.Generator) -> None:
    data = split(singles(40, 20), rng=rng, fractions=(0.5, 0.25, 0.25))
    assert counts(data) == [(20, 10), (10, 5), (10, 5)]


@given(datasets, seeds)
def test_nothing_linked_crosses_parts(dataset: Dataset, seed: int) -> None:
    try:
        data = split(dataset, rng=np.random.default_rng(seed), fractions=(0.4, 0.3, 0.3))
    except DatasetError as error:
        assert "sequences leave the " in str(error)  # noqa: PT017
        return
    records = records_of(dataset)
    for (i, one), (j, other) in combinations(enumerate(records), 2):
        if linked(one, other):
            assert data.parts[i] == data.parts[j]
    assert all(positives and negatives for positives, negatives in counts(data))
    assert sum(len(part) for part in (data.train, data.validation, data.test)) == len(dataset)


@given(seeds)
def test_a_shuffle_stays_with_its_parent(seed: int) -> None:
    parents = singles(30, 1).take(np.arange(30))
    shuffles = np.random.default_rng(seed).permuted(parents.codes, axis=1)
    names = parents.names.tolist()
    dataset = make_dataset([("p.fa", names, parents.codes)], [("n.fa", names, shuffles)])
    data = split(dataset, rng=np.random.default_rng(seed))
    assert (data.parts[:30] == data.parts[30:]).all()
    assert counts(data) == [(24, 24), (3, 3), (3, 3)]


def test_the_same_seed_gives_the_same_split_and_another_seed_another() -> None:
    dataset = singles(50, 50)
    one, again, other = (
        split(dataset, rng=np.random.default_rng(seed)).parts for seed in (0, 0, 1)
    )
    assert (one == again).all()
    assert (one != other).any()


def test_each_record_is_as_likely_to_be_tested_as_any_other() -> None:
    dataset = singles(10, 10)
    rng = np.random.default_rng(0)
    drawn = sum(split(dataset, rng=rng).parts == TEST for _ in range(400))
    # Binomial(400, 0.1): mean 40, sd 6; the largest of 20 stays within 4 sd but once in 800 runs
    assert isinstance(drawn, np.ndarray)
    assert abs(drawn - 40).max() < 24


@pytest.mark.parametrize("seed", range(30))
def test_a_set_of_half_the_data_is_for_training(seed: int) -> None:
    dataset = singles(100, 100)
    names = dataset.names.copy()
    names[50:150] = "one name"
    dataset = Dataset(dataset.codes, dataset.labels, names, dataset.files)
    data = split(dataset, rng=np.random.default_rng(seed))
    assert counts(data) == [(80, 80), (10, 10), (10, 10)]
    assert (data.parts[50:150] == TRAIN).all()


@pytest.mark.parametrize(
    ("n_positive", "n_negative", "kind"),
    [(4, 40, "positive"), (40, 4, "negative"), (2, 2, "positive")],
)
def test_too_few_records_for_three_parts_are_told(
    rng: np.random.Generator, n_positive: int, n_negative: int, kind: str
) -> None:
    message = (
        rf"^{n_positive + n_negative} sequences leave the validation part without a {kind};"
        " each part needs both classes$"
    )
    with pytest.raises(DatasetError, match=message):
        split(singles(n_positive, n_negative), rng=rng)


@pytest.mark.parametrize("fractions", [(0.8, 0.1, 0.2), (1.2, -0.1, -0.1), (0.5, 0.1, 0.1)])
def test_shares_must_add_up_to_one(
    rng: np.random.Generator, fractions: tuple[float, float, float]
) -> None:
    message = r"^shares of \(.+\); allowed are three of 0 to 1 that add up to 1$"
    with pytest.raises(DatasetError, match=message):
        split(singles(20, 20), rng=rng, fractions=fractions)


# Folds


def fold_counts(splits: Sequence[SplitDataset]) -> list[tuple[int, int]]:
    """Count positives and negatives of each test part."""
    return [counts(each)[TEST] for each in splits]


@given(st.integers(8, 40), st.integers(8, 40), st.integers(2, 8), seeds)
def test_folds_of_records_that_nothing_links_hold_as_many_of_each_class(
    n_positive: int, n_negative: int, folds: int, seed: int
) -> None:
    dataset = singles(n_positive, n_negative)
    splits = split_folds(dataset, folds=folds, rng=np.random.default_rng(seed))
    assert len(splits) == folds
    for each in zip(*fold_counts(splits), strict=True):
        assert max(each) - min(each) <= 1
    assert np.sum(fold_counts(splits), axis=0).tolist() == [n_positive, n_negative]
    for data in splits:
        assert data.dataset is dataset
        for label in (0, 1):
            in_all = (n_positive, n_negative)[label]
            # A tenth of all, from the n - t of the class outside its fold: rounding the share and
            # the folds' sizes may move it by one each.
            assert counts(data)[VALIDATION][label] == pytest.approx(in_all / 10, abs=1.5)


@given(datasets, st.integers(2, 4), seeds)
def test_in_folds_nothing_linked_crosses_parts_and_every_record_is_tested_once(
    dataset: Dataset, folds: int, seed: int
) -> None:
    try:
        splits = split_folds(dataset, folds=folds, rng=np.random.default_rng(seed))
    except DatasetError as error:
        assert "each part needs both classes" in str(error)  # noqa: PT017
        return
    tested = np.sum([data.parts == TEST for data in splits], axis=0)
    assert tested.tolist() == [1] * len(dataset)
    records = records_of(dataset)
    for data in splits:
        for i, j in combinations(range(len(dataset)), 2):
            if linked(records[i], records[j]):
                assert data.parts[i] == data.parts[j]
        assert all(min(each) >= 1 for each in counts(data))


def test_a_shuffle_is_tested_in_the_fold_of_its_parent(rng: np.random.Generator) -> None:
    names = [f"e{index}" for index in range(25)]
    codes = rng.integers(0, 4, (50, 30), dtype=np.uint8)
    dataset = make_dataset([("p.fa", names, codes[:25])], [("k4.fa", names, codes[25:])])
    splits = split_folds(dataset, folds=5, rng=rng)
    assert fold_counts(splits) == [(5, 5)] * 5
    for data in splits:
        assert np.array_equal(data.parts[:25], data.parts[25:])


def test_groups_stay_whole_in_folds(rng: np.random.Generator) -> None:
    dataset = singles(60, 60)
    groups = np.array([f"g{index % 12}" for index in range(120)], dtype=np.str_)
    splits = split_folds(dataset, folds=4, rng=rng, groups=groups)
    assert fold_counts(splits) == [(15, 15)] * 4  # 3 of 12 groups, each of 5 and 5
    for data in splits:
        for group in np.unique(groups):
            assert len(set(data.parts[groups == group].tolist())) == 1


def test_the_same_seed_gives_the_same_folds_and_another_seed_others() -> None:
    dataset = singles(30, 30)
    one, again, other = (
        [data.parts.tolist() for data in split_folds(dataset, folds=5, rng=rng)]
        for rng in map(np.random.default_rng, (0, 0, 1))
    )
    assert one == again
    assert one != other


def test_each_record_is_as_likely_to_be_in_one_fold_as_in_another() -> None:
    dataset, runs = singles(8, 8), 600
    hits = np.zeros((16, 4))
    for seed in range(runs):
        splits = split_folds(dataset, folds=4, rng=np.random.default_rng(seed))
        hits += np.stack([data.parts == TEST for data in splits], axis=1)
    # 64 shares, each of 600 draws with probability 1/4: 5 standard errors
    assert hits / runs == pytest.approx(np.full((16, 4), 0.25), abs=5 * (3 / 16 / runs) ** 0.5)


def test_folds_that_cannot_be_made_are_refused(rng: np.random.Generator) -> None:
    with pytest.raises(DatasetError, match="folds of 1 is not allowed; at least 2"):
        split_folds(singles(5, 5), folds=1, rng=rng)
    message = "16 folds of 30 sequences leave the test part without a positive; each part needs"
    with pytest.raises(DatasetError, match=message):
        split_folds(singles(15, 15), folds=16, rng=rng)


# Splitting whole groups


def in_groups(*sizes: tuple[int, int]) -> tuple[Dataset, NDArray[np.str_]]:
    """Make groups a, b, ... of so many positives and negatives."""
    positives = [chr(ord("a") + i) for i, (n, _) in enumerate(sizes) for _ in range(n)]
    negatives = [chr(ord("a") + i) for i, (_, n) in enumerate(sizes) for _ in range(n)]
    return singles(len(positives), len(negatives)), np.array([*positives, *negatives])


def parts_of(groups: NDArray[np.str_], data: SplitDataset) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for group, part in zip(groups.tolist(), data.parts.tolist(), strict=True):
        found[PARTS[part]].add(group)
    return dict(found)


def test_named_groups_are_the_parts(rng: np.random.Generator) -> None:
    dataset, groups = in_groups((5, 5), (2, 3), (3, 2), (9, 9))
    data = split_by_group(dataset, groups, rng=rng, test=["b"], validation=["c"])
    assert parts_of(groups, data) == {"train": {"a", "d"}, "validation": {"c"}, "test": {"b"}}
    assert counts(data) == [(14, 14), (3, 2), (2, 3)]
    assert data.dataset is dataset


@pytest.mark.parametrize("seed", range(10))
def test_what_is_not_named_is_drawn_from_the_other_groups(seed: int) -> None:
    dataset, groups = in_groups(*[(2, 2)] * 19)
    rng = np.random.default_rng(seed)
    data = split_by_group(dataset, groups, rng=rng, test=["a"])
    # without test, validation has 0.1 / 0.9 of the 18 other groups, which is 2
    assert parts_of(groups, data)["test"] == {"a"}
    assert len(parts_of(groups, data)["validation"]) == 2
    data = split_by_group(dataset, groups, rng=rng, validation=["a", "b"])
    assert parts_of(groups, data)["validation"] == {"a", "b"}
    assert len(parts_of(groups, data)["test"]) == 2  # 0.1 / 0.9 of 17 groups is 1.9


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=8).filter(
        lambda sizes: all(map(sum, zip(*sizes, strict=True)))
    ),
    seeds,
)
def test_groups_stay_whole_and_no_part_is_left_empty_in_silence(
    sizes: list[tuple[int, int]], seed: int
) -> None:
    dataset, groups = in_groups(*sizes)
    try:
        data = split_by_group(dataset, groups, rng=np.random.default_rng(seed))
    except DatasetError as error:
        assert "groups leave the " in str(error)  # noqa: PT017
        return
    found = parts_of(groups, data)
    assert sum(map(len, found.values())) == len(set(groups.tolist()))
    assert all(positives and negatives for positives, negatives in counts(data))


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("n_groups", [3, 4, 5, 10])
def test_a_few_large_groups_fill_every_part(n_groups: int, seed: int) -> None:
    dataset, groups = in_groups(*[(20, 30)] * n_groups)
    found = parts_of(groups, split_by_group(dataset, groups, rng=np.random.default_rng(seed)))
    assert {part: len(names) for part, names in found.items()} == {
        "train": n_groups - 2,
        "validation": 1,
        "test": 1,
    }


@pytest.mark.parametrize("seed", range(10))
def test_where_no_group_is_near_the_share_the_smallest_are_taken(seed: int) -> None:
    dataset, groups = in_groups((20, 20), (60, 60), (25, 25))
    data = split_by_group(dataset, groups, rng=np.random.default_rng(seed))
    assert parts_of(groups, data) == {"train": {"b"}, "validation": {"c"}, "test": {"a"}}


@pytest.mark.parametrize("seed", range(20))
def test_a_random_part_is_near_its_share(seed: int) -> None:
    sizes = [(30, 30), (20, 20), (10, 10), *[(2, 2)] * 20]  # 100 and 100
    dataset, groups = in_groups(*sizes)
    data = split_by_group(dataset, groups, rng=np.random.default_rng(seed))
    for positives, negatives in counts(data)[1:]:
        # a part takes what brings it nearer, so it ends within half of the last group it took
        assert 5 <= positives == negatives <= 15


def test_groups_that_cannot_fill_the_parts_are_told(rng: np.random.Generator) -> None:
    dataset, groups = in_groups((5, 5), (5, 5))
    message = r"^2 groups leave the train part without a positive; each part needs both classes$"
    with pytest.raises(DatasetError, match=message):
        split_by_group(dataset, groups, rng=rng)
    with pytest.raises(DatasetError, match=message):
        split_by_group(dataset, groups, rng=rng, test=["a"], validation=["b"])
    dataset, groups = in_groups((5, 5), (5, 5), (0, 3))
    with pytest.raises(DatasetError, match=r"^3 groups leave the test part without a positive"):
        split_by_group(dataset, groups, rng=rng, test=["c"])


def test_a_group_that_is_not_there_or_named_twice_is_told(rng: np.random.Generator) -> None:
    dataset, groups = in_groups(*[(1, 1)] * 7)
    message = r"^group 'z' is not in the data; groups are a, b, c, d, e, \.\.\.$"
    with pytest.raises(DatasetError, match=message):
        split_by_group(dataset, groups, rng=rng, test=["z"])
    with pytest.raises(DatasetError, match=r"^group 'b' is named for both test and validation$"):
        split_by_group(dataset, groups, rng=rng, test=["a", "b"], validation=["c", "b"])


@pytest.mark.parametrize("name", ["chr2:1-5", "chr2:1-5(-)", "peak7::chr2:1-5", "a::chr2:1-5(+)"])
def test_the_group_may_be_the_chromosome_in_the_name(name: str) -> None:
    assert chromosome_groups(np.array([name, "hg38:X:0-9"])).tolist() == ["chr2", "hg38:X"]


@pytest.mark.parametrize("name", ["chr1", "chr1:5", "chr1:-5-9", ":1-5", "chr1:1-5:x", "chr1 1 5"])
def test_a_name_without_a_place_is_told(name: str) -> None:
    with pytest.raises(DatasetError) as caught:
        chromosome_groups(np.array(["chr1:1-5", name]))
    message = f"record '{name}' does not name its chromosome; 'chrom:start-end' is needed"
    assert str(caught.value) == message


def test_groups_are_read_by_name(tmp_path: Path) -> None:
    path = tmp_path / "groups.tsv"
    dataset = made([("x", "AC"), ("y", "AA")], [("x", "AG"), ("z", "CC")])
    write_table(path, ["name", "group"], [("z", "two"), ("x", "one"), ("y", "two"), ("x", "one")])
    assert read_groups(path, dataset).tolist() == ["one", "two", "one", "two"]
    write_table(path, ["name", "group"], [("z", "two"), ("x", "one")])
    with pytest.raises(DatasetError, match=r"groups\.tsv: record 'y' has no group in this table$"):
        read_groups(path, dataset)
    write_table(path, ["name", "group"], [("z", "two"), ("x", "one"), ("x", "two")])
    with pytest.raises(DatasetError, match=r"groups\.tsv line 4: record 'x' is in two groups$"):
        read_groups(path, dataset)
    write_table(path, ["name", "cluster"], [("z", "two")])
    with pytest.raises(FileError, match=r"groups\.tsv line 1: column 'group' is missing"):
        read_groups(path, dataset)


def test_a_sequence_stays_in_the_first_of_its_groups() -> None:
    rows = [("a", "AACG"), ("b", "CGTT"), ("c", "AACG"), ("d", "GGGG"), ("e", "CCCC")]
    dataset = made(rows[:3], rows[3:])
    groups = np.array(["one", "two", "one", "two", "two"])
    assert without_shared_sequences(dataset, groups).tolist() == [True, False, True, True, True]


def test_the_shuffles_of_a_sequence_that_is_left_out_are_left_out_too() -> None:
    rows = [("a", "AACG"), ("b", "CGTT"), ("a", "ACAG"), ("b", "CTGT"), ("c", "GGGG")]
    dataset = make_dataset(
        [("p.fa", ["a", "b"], encode([bases for _, bases in rows[:2]]))],
        [("k1.fa", ["a", "b", "c"], encode([bases for _, bases in rows[2:]]))],
    )
    kept = without_shared_sequences(dataset, np.array(["one", "two", "one", "two", "two"]))
    assert kept.tolist() == [True, False, True, False, True]


@given(datasets, st.data())
def test_overlaps_of_two_parts_are_those_of_plain_pairs(
    dataset: Dataset, data: st.DataObject
) -> None:
    n = len(dataset)
    parts = np.array(data.draw(st.lists(st.sampled_from(range(3)), min_size=n, max_size=n)))
    spans = [span(name) for name in dataset.names.tolist()]
    torn = {
        row
        for pair in combinations(range(n), 2)
        if parts[pair[0]] != parts[pair[1]] and overlap(spans[pair[0]], spans[pair[1]])
        for row in pair
    }
    assert torn_overlaps(dataset.names, parts) == len(torn)


def test_a_place_may_be_beyond_what_an_integer_of_a_machine_holds() -> None:
    names = np.array([f"chr1:{10**30}-{10**30 + 60}", f"chr1:{10**30 + 10}-{10**30 + 70}"])
    assert torn_overlaps(names, np.array([0, 2])) == 2


@given(datasets, st.data())
def test_no_sequence_is_left_in_two_groups(dataset: Dataset, data: st.DataObject) -> None:
    names = data.draw(
        st.lists(st.sampled_from("abc"), min_size=len(dataset), max_size=len(dataset))
    )
    groups = np.array(names)
    kept = without_shared_sequences(dataset, groups)
    group_of: dict[str, str] = {}
    repeated = {
        name
        for (name, sequence), group in zip(records_of(dataset), names, strict=True)
        if group_of.setdefault(canonical(sequence), group) != group
    }
    assert kept.tolist() == [name not in repeated for name in dataset.names.tolist()]


# Splitting as before


def write_split(path: Path, data: SplitDataset, *, columns: int = 4) -> Path:
    dataset = data.dataset
    rows = [
        (name, "positive" if label else "negative", PARTS[part], file)
        for name, label, file, part in zip(
            dataset.names.tolist(),
            dataset.labels.tolist(),
            dataset.files.tolist(),
            data.parts.tolist(),
            strict=True,
        )
    ]
    header = ["name", "label", "part", "file"][:columns]
    write_table(path, header, [row[:columns] for row in rows])
    return path


@pytest.mark.parametrize("columns", [3, 4])
def test_a_split_is_made_again_from_its_table(
    tmp_path: Path, rng: np.random.Generator, columns: int
) -> None:
    dataset = singles(20, 30)
    data = split(dataset, rng=rng)
    path = write_split(tmp_path / "split.tsv", data, columns=columns)
    again = read_split(path, dataset)
    assert (again.parts == data.parts).all()
    assert again.dataset is dataset
    backwards = dataset.take(np.arange(50)[::-1])
    assert (read_split(path, backwards).parts == data.parts[::-1]).all()


def with_shuffles() -> tuple[Dataset, Dataset]:
    """Make positives with their shuffles, and the same files the wrong way round."""
    parents, shuffles = singles(20, 20).codes[:20], singles(20, 20).codes[20:]
    names = [f"record{index}" for index in range(20)]
    one, other = ("p.fa", names, parents), ("n.fa", names, shuffles)
    return make_dataset([one], [other]), make_dataset([other], [one])


def test_what_a_table_has_as_left_out_stays_out_with_its_shuffles(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    first = singles(20, 20)
    data, out = split(first, rng=rng), np.isin(first.names, ["record3", "record30"])
    kept = SplitDataset(first.take(~out), data.parts[~out], first.take(out))
    tables.write_split(tmp_path / "split.tsv", kept)
    again = read_split(tmp_path / "split.tsv", first)
    assert again.dataset.names.tolist() == first.names[~out].tolist()
    assert (again.parts == kept.parts).all()
    shuffled = make_dataset(
        [("p.fa", first.names[:20].tolist(), first.codes[:20])],
        [("k2.fa", first.names[:20].tolist(), rng.permuted(first.codes[:20], axis=1))],
    )
    again = read_split(tmp_path / "split.tsv", shuffled)
    assert again.left_out is not None
    assert again.left_out.names.tolist() == ["record3", "record3"]
    assert len(again.dataset) == 38
    assert "record3" not in again.dataset.names


def test_swapped_classes_are_found(tmp_path: Path, rng: np.random.Generator) -> None:
    dataset = singles(20, 20)
    swapped = Dataset(dataset.codes, ~dataset.labels, dataset.names, dataset.files)
    path = write_split(tmp_path / "split.tsv", split(dataset, rng=rng))
    message = (
        r"split\.tsv: record 'record0' is given as negative but was not one in this split; are"
        r" positives and negatives swapped\?$"
    )
    with pytest.raises(DatasetError, match=message):
        read_split(path, swapped)


@pytest.mark.parametrize("parents_are", ["positives", "negatives"])
def test_a_shuffle_goes_where_a_table_without_shuffles_puts_its_parent(
    tmp_path: Path, rng: np.random.Generator, parents_are: str
) -> None:
    first = singles(20, 20)
    data = split(first, rng=rng)
    path = write_split(tmp_path / "split.tsv", data)
    rows = np.flatnonzero(first.labels == (parents_are == "positives"))
    names, parents = first.names[rows].tolist(), first.codes[rows]
    shuffles = rng.permuted(parents, axis=1)
    # As the paper has it, too: background as positives, against its own shuffles.
    again = make_dataset([("some.fa", names, parents)], [("k2.fa", names, shuffles)])
    parts = read_split(path, again).parts
    assert (parts == np.tile(data.parts[rows], 2)).all()


def test_swapped_classes_are_found_even_if_both_have_the_same_names(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    dataset, swapped = with_shuffles()
    data = split(dataset, rng=rng)
    path = write_split(tmp_path / "split.tsv", data)
    assert (read_split(path, dataset).parts == data.parts).all()
    with pytest.raises(DatasetError, match=r"record 'record0' is given as positive but was not"):
        read_split(path, swapped)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [("a", "positive", "dev")],
            " line 2: part 'dev' is not known; allowed are train, validation, test, left_out",
        ),
        ([("a", "1", "train")], " line 2: label '1' is not known; allowed are negative, positive"),
        (
            [("a", "positive", "train"), ("b", "negative", "test"), ("a", "negative", "test")],
            " line 4: record 'a' is in two parts",
        ),
        (
            [("a", "positive", "train"), ("b", "positive", "test")],
            ": 2 of 4 records are not in the split table; the first is 'c'",
        ),
        (
            [
                ("a", "positive", "train"),
                ("b", "positive", "test"),
                ("c", "negative", "validation"),
                ("d", "negative", "test"),
            ],
            ": the split table puts 'a' in train and 'c' in validation, but their sequences are"
            " identical",
        ),
        (
            [(name, "positive" if name in "ab" else "negative", "train") for name in "abcd"],
            ": the rows of the split table leave the validation part without a positive; each",
        ),
    ],
)
def test_a_bad_split_table_is_told(
    tmp_path: Path, rows: list[tuple[str, str, str]], message: str
) -> None:
    dataset = made([("a", "AACG"), ("b", "GGGG")], [("c", "CGTT"), ("d", "ATAT")])
    path = tmp_path / "split.tsv"
    write_table(path, ["name", "label", "part"], rows)
    with pytest.raises(DatasetError) as caught:
        read_split(path, dataset)
    assert str(caught.value).startswith(f"{path}{message}")


def test_names_can_be_split_by_a_mapping() -> None:
    dataset = singles(3, 3)
    parts = [TRAIN, VALIDATION, TEST] * 2
    part_of_name = {
        name: PARTS[part] for name, part in zip(dataset.names.tolist(), parts, strict=True)
    }
    assert split_by_name(dataset, part_of_name).parts.tolist() == parts
    del part_of_name["record4"]
    message = r"^1 of 6 records are not in the split table; the first is 'record4'$"
    with pytest.raises(DatasetError, match=message):
        split_by_name(dataset, part_of_name)


def test_arguments_are_left_as_they_were(rng: np.random.Generator) -> None:
    dataset, groups = in_groups(*[(3, 3)] * 10)
    before: Codes = dataset.codes.copy()
    labels, names = dataset.labels.copy(), dataset.names.copy()
    split(dataset, rng=rng)
    split_by_group(dataset, groups, rng=rng)
    reverse_complement(dataset.codes)
    assert (dataset.codes == before).all()
    assert (dataset.labels == labels).all()
    assert (dataset.names == names).all()


def test_real_peaks_split_without_a_link_across_parts(
    real_data: Path, rng: np.random.Generator
) -> None:
    folder = real_data / "human_liver_h3k27ac"
    dataset = read_dataset([folder / "enhancers.fa.gz"], [folder / "background.fa.gz"])
    data = split(dataset, rng=rng)
    sets = sequence_sets(dataset.codes)
    part_of: dict[object, int] = {}
    for key, part in zip(
        [*sets.tolist(), *dataset.names.tolist()], data.parts.tolist() * 2, strict=True
    ):
        assert part_of.setdefault(key, part) == part
    for label in (True, False):
        tested = (data.parts[dataset.labels == label] == TEST).mean()
        assert tested == pytest.approx(0.1, abs=0.001)
