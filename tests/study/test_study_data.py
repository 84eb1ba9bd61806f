from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from enhancer_core.data.dataset import TEST
from enhancer_core.dna.codes import Codes, decode, reverse_complement
from enhancer_core.errors import DatasetError, EnhancerError
from enhancer_core.io.fasta import read_fasta, write_fasta
from enhancer_core.study.data import digest, load
from enhancer_core.study.recipe import Data


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two species of 60 + 60; ten of each class of b are those of a, the strand turned."""
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 4, (2, 120, 80), dtype=np.uint8)
    b[:10], b[60:70] = reverse_complement(a[:10]), reverse_complement(a[60:70])
    for name, codes in (("a", a), ("b", b)):
        write_fasta(tmp_path / f"{name}.p.fa", [f"r{i}" for i in range(60)], codes[:60])
        write_fasta(tmp_path / f"{name}.n.fa", [f"n{i}" for i in range(60)], codes[60:])
    return tmp_path


def data(name: str, **more: object) -> Data:
    fields = {"positives": (f"{name}.p.fa",), "background": (f"{name}.n.fa",), "set": "s"}
    return Data(name=name, **{**fields, **more})  # type: ignore[arg-type]


def test_each_class_of_each_species_is_split_80_10_10(folder: Path) -> None:
    for each in load([data("a"), data("b")], folder, seed=0).values():
        for label in (True, False):
            parts = each.parts[each.dataset.labels == label]
            assert np.bincount(parts).tolist() == [48, 6, 6]


@pytest.mark.parametrize("seed", range(5))
def test_a_sequence_that_two_species_share_is_in_one_part(folder: Path, seed: int) -> None:
    found = load([data("a"), data("b")], folder, seed=seed)
    for first, rows in ((0, "r"), (60, "n")):
        for i in range(10):
            assert found["a"].parts[first + i] == found["b"].parts[first + i], rows


def test_records_are_named_by_their_data_so_that_one_name_in_two_species_links_nothing(
    folder: Path,
) -> None:
    found = load([data("a"), data("b")], folder, seed=0)
    assert found["a"].dataset.names[:2].tolist() == ["a|r0", "a|r1"]
    assert found["b"].dataset.names[60] == "b|n0"
    assert not np.array_equal(found["a"].parts, found["b"].parts)


def test_what_is_read_does_not_depend_on_what_else_is_read(folder: Path) -> None:
    alone = load([data("a", set="")], folder, seed=3)["a"]
    beside = load([data("b", set="t"), data("a", set="")], folder, seed=3)["a"]
    assert digest(alone) == digest(beside)
    assert digest(alone) != digest(load([data("a", set="")], folder, seed=4)["a"])


def test_at_most_so_many_of_each_class_are_drawn_each_sequence_once(folder: Path) -> None:
    twice = data("a", positives=("a.p.fa", "b.p.fa"), number=40, numbered=True)
    found = load([twice], folder, seed=0)["a"]
    assert found.dataset.labels.sum() == 40
    assert len(found.dataset) == 80
    assert len(np.unique(found.dataset.codes, axis=0)) == 80


def test_numbered_records_may_share_a_name(folder: Path) -> None:
    text = (folder / "a.p.fa").read_text()
    (folder / "a.p.fa").write_text(text.replace(">r1\n", ">r0\n"))
    with pytest.raises(EnhancerError, match=r"data 'a': .*name 'r0' is already on line 1"):
        load([data("a")], folder, seed=0)
    found = load([data("a", numbered=True)], folder, seed=0)["a"]
    assert found.dataset.names[:2].tolist() == ["a|a.p.fa|1", "a|a.p.fa|2"]


def test_relatives_share_a_part_where_asked_for(folder: Path) -> None:
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 4, (60, 80), dtype=np.uint8)
    codes[30:, 10:70] = codes[:30, 10:70]
    write_fasta(folder / "a.p.fa", [f"r{i}" for i in range(60)], codes)
    found = load([data("a", relatives=True)], folder, seed=0)["a"]
    assert np.array_equal(found.parts[:30], found.parts[30:60])
    apart = load([data("a")], folder, seed=0)["a"]
    assert not np.array_equal(apart.parts[:30], apart.parts[30:60])


def write_table(path: Path, rows: list[tuple[str, str]]) -> None:
    path.write_text("sequence\tbound\n" + "".join(f"{one}\t{bound}\n" for one, bound in rows))


def own(**more: object) -> Data:
    return Data(name="own", set="s", table="own.tsv", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(5))
def test_a_table_and_all_that_is_linked_with_it_is_test_part(folder: Path, seed: int) -> None:
    rng = np.random.default_rng(1)
    a = read_fasta(folder / "a.p.fa").codes
    relative = rng.integers(0, 4, 80, dtype=np.uint8)
    relative[10:70] = a[5, 10:70]
    fresh = rng.integers(0, 4, (3, 80), dtype=np.uint8)
    bound = decode(np.stack([a[3], reverse_complement(a[4]), relative]))
    write_table(
        folder / "own.tsv", [*((one, "1") for one in bound), *((n, "0") for n in decode(fresh))]
    )
    found = load([data("a"), own(relatives=True)], folder, seed=seed)
    assert found["own"].parts.tolist() == [TEST] * 6
    assert found["own"].dataset.labels.tolist() == [True] * 3 + [False] * 3
    assert found["a"].parts[3:6].tolist() == [TEST] * 3
    # The rest is split as if the three were not there: a tenth of 57 is tested beside them.
    assert np.bincount(found["a"].parts[found["a"].dataset.labels]).tolist() == [45, 6, 6 + 3]
    learned = found["a"].dataset.codes[found["a"].parts != TEST]
    assert not on_first_strand(learned) & on_first_strand(found["own"].dataset.codes)


def on_first_strand(codes: Codes) -> set[bytes]:
    """Give sequences, each on the strand that comes first."""
    flipped = reverse_complement(codes)
    return {min(a.tobytes(), b.tobytes()) for a, b in zip(codes, flipped, strict=True)}


def test_a_split_without_a_table_is_as_it_was_beside_one_that_links_nothing(folder: Path) -> None:
    rng = np.random.default_rng(1)
    rows = decode(rng.integers(0, 4, (4, 80), dtype=np.uint8))
    write_table(folder / "own.tsv", list(zip(rows, "1100", strict=True)))
    beside = load([data("a"), own()], folder, seed=0)["a"]
    assert np.array_equal(beside.parts, load([data("a")], folder, seed=0)["a"].parts)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [("ACGT", "1"), ("ACGT", "2")],
            r"data 'own': .*own\.tsv line 3: bound is '2'; allowed are",
        ),
        ([("ACGT", "1")], r"own\.tsv: no row has bound 0; tests need both"),
        ([("ACGT", "1"), ("ACXT", "0")], r"own\.tsv line 3: .*'X'"),
    ],
)
def test_what_is_wrong_in_a_table_is_told(
    folder: Path, rows: list[tuple[str, str]], message: str
) -> None:
    write_table(folder / "own.tsv", rows)
    with pytest.raises(EnhancerError, match=message):
        load([data("a"), own()], folder, seed=0)


def test_a_table_of_another_length_is_told(folder: Path) -> None:
    write_table(folder / "own.tsv", [("ACGT", "1"), ("ACGT", "0")])
    with pytest.raises(DatasetError, match="sequences of 4 and 80 bp"):
        load([data("a"), own()], folder, seed=0)


@pytest.fixture
def genome(tmp_path: Path) -> Path:
    """6,000 bp, N from 1,000 to 1,100, repeats in lower case from 3,000 on."""
    letters = np.array(list("ACGT"))[np.random.default_rng(0).integers(0, 4, 6000)]
    letters[1000:1100] = "N"
    sequence = "".join(letters)
    (tmp_path / "g.fa").write_text(f">chr1\n{sequence[:3000]}{sequence[3000:].lower()}\n")
    return tmp_path


def test_windows_of_a_genome_are_background_without_n(genome: Path) -> None:
    expected = Data(name="g", genome="g.fa", number=40, length=100)
    found = load([expected], genome, seed=0)["g"].dataset
    assert found.codes.shape == (40, 100)
    assert not found.labels.any()
    assert found.codes.max() < 4
    assert found.names[0].startswith("g|chr1:")


@pytest.mark.parametrize(("number", "windows"), [(None, 30), (25, 25), (40, 30)])
def test_positives_can_have_windows_of_a_genome_as_background(
    genome: Path, number: int | None, windows: int
) -> None:
    codes = np.random.default_rng(1).integers(0, 4, (30, 70), dtype=np.uint8)
    write_fasta(genome / "p.fa", [f"r{i}" for i in range(30)], codes)
    expected = Data(name="g", positives=("p.fa",), genome="g.fa", number=number)
    found = load([expected], genome, seed=0)["g"].dataset
    assert found.codes.shape[1] == 70  # as the positives, whatever `length` says
    assert (~found.labels).sum() == windows
    assert all(name.startswith("g|chr1:") for name in found.names[~found.labels].tolist())


def test_windows_can_be_kept_off_repeats(genome: Path) -> None:
    expected = Data(name="g", genome="g.fa", number=25, length=100, repeats=0.1)
    names = load([expected], genome, seed=0)["g"].dataset.names.tolist()
    assert max(int(name.rpartition("-")[2]) for name in names) <= 3010
    with pytest.raises(DatasetError, match=r"data 'g': 50 windows asked for; g\.fa has 2"):
        load([Data(name="g", genome="g.fa", number=50, length=100, repeats=0.1)], genome, seed=0)


def test_a_genome_in_upper_case_tells_no_repeats(genome: Path) -> None:
    (genome / "g.fa").write_text((genome / "g.fa").read_text().upper().replace(">CHR1", ">chr1"))
    with pytest.raises(DatasetError, match="has no lower-case letters"):
        load([Data(name="g", genome="g.fa", number=20, length=100, repeats=0.1)], genome, seed=0)


def test_a_part_without_a_class_is_told(folder: Path) -> None:
    codes = np.tile(np.random.default_rng(0).integers(0, 4, (1, 80), dtype=np.uint8), (60, 1))
    write_fasta(folder / "a.p.fa", [f"r{i}" for i in range(60)], codes)
    with pytest.raises(DatasetError, match="data 'a': the train part has no positive"):
        load([data("a")], folder, seed=0)


def test_files_of_several_lengths_are_told(folder: Path) -> None:
    write_fasta(folder / "a.n.fa", ["x"], np.zeros((1, 30), np.uint8))
    with pytest.raises(DatasetError, match="data 'a': its files have sequences of several"):
        load([data("a")], folder, seed=0)
