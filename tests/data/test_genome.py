"""A genome split by chromosomes: windows of peaks, and windows off the peaks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from enhancer_core.data.dataset import PARTS, TEST, TRAIN, VALIDATION, SplitDataset
from enhancer_core.data.genome import split_genome, split_genome_folds
from enhancer_core.dna.intervals import Intervals, from_names, from_rows
from enhancer_core.errors import DatasetError, IntervalError
from enhancer_core.io.genome import open_genome

BP = 4_000
# Peaks of chr1 to chr5: 4, 3, 2, 1 and 1.
PEAKS = [
    (f"chr{c}", 410 + 800 * i, 590 + 800 * i) for c in range(1, 6) for i in range(max(5 - c, 1))
]
LENGTH = 100


@pytest.fixture
def genome(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    chroms = {f"chr{c}": "".join(rng.choice(list("ACGT"), BP)) for c in range(1, 7)}
    (tmp_path / "genome.fa").write_text("".join(f">{n}\n{s}\n" for n, s in chroms.items()))
    return tmp_path / "genome.fa"


@pytest.fixture
def peaks(genome: Path) -> Path:
    path = genome.parent / "peaks.bed"
    path.write_text("".join(f"{chrom}\t{start}\t{end}\n" for chrom, start, end in PEAKS))
    return path


def windows_of(split: SplitDataset, part: int, *, positive: bool) -> Intervals:
    names = split.dataset.names[(split.parts == part) & (split.dataset.labels == positive)]
    windows = from_names(names.tolist())
    assert windows is not None
    return windows


def test_positives_are_windows_around_peaks_and_negatives_are_some_for_each(
    genome: Path, peaks: Path
) -> None:
    split = split_genome(genome, peaks, length=LENGTH, negatives_per_positive=3, test=["chr2"],
                         validation=["chr3"])  # fmt: skip
    for part, count in ((TRAIN, 6), (VALIDATION, 2), (TEST, 3)):
        assert len(windows_of(split, part, positive=True)) == count
        assert len(windows_of(split, part, positive=False)) == 3 * count
    assert windows_of(split, TEST, positive=True).names() == [
        *("chr2:450-550", "chr2:1250-1350", "chr2:2050-2150")
    ]
    assert set(split.dataset.files[split.dataset.labels]) == {"peaks.bed"}
    assert set(split.dataset.files[~split.dataset.labels]) == {"genome.fa"}
    with open_genome(genome) as opened:
        windows = from_names(split.dataset.names.tolist())
        assert windows is not None
        assert np.array_equal(opened.windows(windows), split.dataset.codes)


def test_chromosomes_stay_whole_and_those_without_peaks_are_trained_on(
    genome: Path, peaks: Path
) -> None:
    split = split_genome(genome, peaks, length=LENGTH, negatives_per_positive=40, test=["2"],
                         validation=["chr3"])  # fmt: skip
    chroms = [set(windows_of(split, part, positive=False).chroms.tolist()) for part in range(3)]
    assert chroms == [{"chr1", "chr4", "chr5", "chr6"}, {"chr3"}, {"chr2"}]
    assert split.sampler is not None
    assert [set(split.sampler.regions_of(part).chroms.tolist()) for part in range(3)] == chroms


def test_negatives_overlap_no_peak_and_lie_in_the_regions(genome: Path, peaks: Path) -> None:
    regions = from_rows(
        [("chr1", 0, 1500), ("chr1", 1400, 3000), *((f"chr{c}", 0, BP) for c in (2, 3))]
    )
    split = split_genome(genome, peaks, regions=regions, length=LENGTH, negatives_per_positive=200,
                         test=["chr2"], validation=["chr3"])  # fmt: skip
    for part in range(3):
        for chrom, start, end in windows_of(split, part, positive=False).rows():
            assert chrom in {"chr1", "chr2", "chr3"}
            assert end <= (3000 if chrom == "chr1" else BP)
            assert not any(chrom == c and start < e and end > s for c, s, e in PEAKS)


def test_chromosomes_are_drawn_so_that_each_part_has_some_peaks(genome: Path, peaks: Path) -> None:
    kept_out = set()
    for seed in range(20):
        split = split_genome(genome, peaks, length=LENGTH, rng=seed)
        sizes = [len(windows_of(split, part, positive=True)) for part in range(3)]
        assert sizes[TRAIN] >= 7
        assert min(sizes) >= 1
        kept_out.add(tuple(sorted(set(windows_of(split, TEST, positive=True).chroms.tolist()))))
    assert len(kept_out) > 1


def test_the_same_seed_splits_alike_and_draws_the_same_negatives(genome: Path, peaks: Path) -> None:
    one, same, other = (split_genome(genome, peaks, length=LENGTH, rng=s) for s in (3, 3, 4))
    assert one.dataset.names.tolist() == same.dataset.names.tolist()
    assert one.dataset.names.tolist() != other.dataset.names.tolist()


def test_broad_peaks_are_cut_into_windows_and_others_if_asked_for(
    genome: Path, peaks: Path
) -> None:
    tiles = [*("chr3:410-500", "chr3:500-590", "chr3:1210-1300", "chr3:1300-1390")]
    told = "peaks are broad, 180 bp at the median: each is cut into windows"
    for tile, length, expected in (
        (None, 90, tiles),  # as wide as two windows
        (None, 91, ["chr3:455-546", "chr3:1255-1346"]),
        (False, 90, ["chr3:455-545", "chr3:1255-1345"]),
        (True, 90, tiles),
    ):
        notes: list[str] = []
        split = split_genome(genome, peaks, length=length, tile=tile, test=["chr2"],
                             validation=["chr3"], note=notes.append)  # fmt: skip
        assert windows_of(split, VALIDATION, positive=True).names() == expected
        assert (told in notes) == (tile is None and length == 90)


def test_broad_peaks_with_summits_are_not_cut(genome: Path, peaks: Path) -> None:
    lines = [f"{line}\tp\t1\t.\t1\t1\t1\t30" for line in peaks.read_text().splitlines()]
    peaks.write_text("".join(f"{line}\n" for line in lines))
    split = split_genome(genome, peaks, length=90, test=["chr2"], validation=["chr3"])
    assert windows_of(split, VALIDATION, positive=True).names() == [
        *("chr3:395-485", "chr3:1195-1285")
    ]


def test_windows_outside_the_regions_and_windows_mostly_n_are_left_out_and_counted(
    genome: Path, peaks: Path
) -> None:
    letters = genome.read_text().split("\n")
    letters[7] = letters[7][:440] + "N" * 80 + letters[7][520:]  # chr4's only peak
    genome.write_text("\n".join(letters))
    regions = from_rows([("chr1", 500, BP), *((f"chr{c}", 0, BP) for c in range(2, 7))])
    notes: list[str] = []
    split = split_genome(genome, peaks, regions=regions, length=LENGTH, rng=1, note=notes.append)
    assert notes == [
        "1 of 11 windows have N and are kept",
        "1 of 11 windows are not inside a region and are left out",
        "1 of 11 windows are mostly N and are left out",
    ]
    assert split.dataset.labels.sum() == 9


def test_peaks_are_found_by_the_rule_chr1_is_1(genome: Path, peaks: Path) -> None:
    peaks.write_text(peaks.read_text().replace("chr", ""))
    split = split_genome(genome, peaks, length=LENGTH, test=["2"], validation=["chr3"])
    assert windows_of(split, VALIDATION, positive=True).names()[0] == "chr3:450-550"


def test_what_cannot_be_split_is_refused(genome: Path, peaks: Path) -> None:
    with pytest.raises(
        DatasetError, match=r"^chromosome 'chrX' is not among the regions, which are on chr1, chr2"
    ):
        split_genome(genome, peaks, length=LENGTH, test=["chrX"])
    with pytest.raises(DatasetError, match="'chr2' is named for both test and validation"):
        split_genome(genome, peaks, length=LENGTH, test=["chr2"], validation=["chr2"])
    for options in ({"test": ["chr6"]}, {"regions": from_rows([("chr1", 0, BP), ("chr2", 0, BP)])}):
        with pytest.raises(DatasetError, match="part without a positive; peaks on three"):
            split_genome(genome, peaks, length=LENGTH, **options)
    with pytest.raises(IntervalError, match=r"peaks\.bed: no window of 100 bp is left$"):
        split_genome(genome, peaks, regions=from_rows([("chr6", 0, BP)]), length=LENGTH)


def test_folds_test_each_positive_once_by_whole_chromosomes(genome: Path, peaks: Path) -> None:
    splits = split_genome_folds(genome, peaks, folds=3, length=LENGTH)
    tested = [set(windows_of(split, TEST, positive=True).names()) for split in splits]
    assert sorted(map(len, tested)) == [3, 4, 4]
    assert len(set.union(*tested)) == len(PEAKS)
    for split in splits:
        one, two, three = (
            set(windows_of(split, p, positive=True).chroms.tolist()) for p in range(len(PARTS))
        )
        assert len(one | two | three) == len(one) + len(two) + len(three)


def test_there_are_no_more_folds_than_chromosomes_with_peaks(genome: Path, peaks: Path) -> None:
    for folds in (1, 6):
        with pytest.raises(
            DatasetError,
            match=f"^folds of {folds} is not allowed; from 2 to the 5 chromosomes with",
        ):
            split_genome_folds(genome, peaks, folds=folds, length=LENGTH)
    two = from_rows([("chr1", 0, BP), ("chr2", 0, BP)])
    with pytest.raises(DatasetError, match=r"leave the (train|validation) part without a positive"):
        split_genome_folds(genome, peaks, regions=two, folds=2, length=LENGTH)
