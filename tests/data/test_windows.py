"""Windows around peaks: their summits or middles."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from enhancer_core.data.windows import extract, sample_background, target_composition
from enhancer_core.errors import IntervalError, SequenceError
from enhancer_core.io.bed import read_bed
from enhancer_core.io.genome import open_genome

# Two summits of one peak, one of another, and a peak without; middles 300, 300, 650, 850.
PEAKS = (
    "chr1\t200\t400\ta\t9\t.\t5.5\t2\t1\t20\nchr1\t200\t400\tb\t9\t.\t5.5\t2\t1\t180\n"
    "chr1\t600\t700\tc\t9\t.\t5.5\t2\t1\t0\nchr1\t800\t900\td\t9\t.\t5.5\t2\t1\t-1\n"
)
SUMMITS = ["chr1:170-270", "chr1:330-430", "chr1:550-650", "chr1:800-900"]
MIDDLES = ["chr1:250-350", "chr1:600-700", "chr1:800-900"]


@pytest.fixture
def genome(tmp_path: Path) -> Path:
    bases = np.random.default_rng(1).choice(list("ACGT"), 1000)
    (tmp_path / "genome.fa").write_text(f">chr1\n{''.join(bases)}\n")
    return tmp_path / "genome.fa"


@pytest.fixture
def peaks(tmp_path: Path) -> Path:
    (tmp_path / "peaks.bed").write_text(PEAKS)
    return tmp_path / "peaks.bed"


@pytest.mark.parametrize("center", ["auto", "summit"])
def test_windows_of_narrowpeak_are_centred_on_summits_and_it_is_told(
    genome: Path, peaks: Path, center: Literal["auto", "summit"]
) -> None:
    for given in (peaks, read_bed(peaks)):
        windows = extract(genome, given, length=100, center=center)
        assert windows.names == SUMMITS
        assert windows.notes == [
            f"{peaks} is narrowPeak: windows are centred on the summits of peaks; 1 of 4 have none,"
            " and their middles are taken"
        ]


def test_the_middles_of_narrowpeak_are_taken_if_asked_for(genome: Path, peaks: Path) -> None:
    windows = extract(genome, peaks, length=100, center="middle")
    assert windows.names == MIDDLES
    assert windows.notes == [
        f"{peaks} is narrowPeak: windows are centred on the middles of peaks; summits are not used",
        "1 of 4 windows repeat an earlier one and are left out",
    ]


def test_tiles_lie_around_the_middle_of_narrowpeak(genome: Path, peaks: Path) -> None:
    windows = extract(genome, peaks, length=200, tile=True)
    assert windows.names == ["chr1:200-400", "chr1:550-750", "chr1:750-950"]
    assert windows.notes[0] == (
        f"{peaks} is narrowPeak: tiles lie around the middles of peaks; summits are not used"
    )


def test_peaks_that_all_lack_a_summit_are_centred_on_middles(genome: Path, peaks: Path) -> None:
    peaks.write_text("".join(PEAKS.splitlines(keepends=True)[3:]))
    windows = extract(genome, peaks, length=100)
    assert windows.names == ["chr1:800-900"]
    assert windows.notes == [
        f"{peaks} is narrowPeak: windows are centred on the middles of peaks; none has a summit"
    ]
    with pytest.raises(IntervalError, match="no summits to centre on"):
        extract(genome, peaks, center="summit")


def test_plain_bed_has_no_summits_to_centre_on(genome: Path, peaks: Path) -> None:
    peaks.write_text("".join(f"{line[:12]}\n" for line in PEAKS.splitlines()))
    windows = extract(genome, peaks, length=100)
    assert windows.names == MIDDLES
    assert windows.notes == ["1 of 4 windows repeat an earlier one and are left out"]
    assert extract(genome, peaks, length=100, center="middle").notes[0] == (
        "windows are centred on the middles of peaks"
    )
    with pytest.raises(
        IntervalError,
        match=r"peaks\.bed: no summits to centre on; they are in column 10 of narrowPeak$",
    ):
        extract(genome, peaks, center="summit")


def test_a_centre_of_tiles_or_of_another_kind_is_refused(genome: Path, peaks: Path) -> None:
    with pytest.raises(IntervalError, match="so tile and center exclude each other"):
        extract(genome, peaks, tile=True, center="middle")
    with pytest.raises(
        IntervalError, match="center of 'start'; allowed are auto, summit and middle"
    ):
        extract(genome, peaks, center="start")  # type: ignore[arg-type]


def test_background_says_which_genes_it_read(genome: Path, tmp_path: Path) -> None:
    text = "##gff-version 3\n"
    for row in ("ncRNA_gene\t101\t200", "pseudogene\t401\t500", "region\t1\t1000"):
        text += f"chr1\tx\t{row}\t.\t+\t.\tID={row[0]}\n"
    (tmp_path / "genes.gff3").write_text(text)
    windows = sample_background(
        genome, 8, length=10, genes=tmp_path / "genes.gff3", gene_distance=20
    )
    assert windows.notes[0] == (
        f"{tmp_path / 'genes.gff3'}: 2 genes read (ncRNA_gene 1, pseudogene 1); left out: region 1"
    )
    for _, start, end in windows.intervals.rows():
        assert end <= 80 or start >= 220
        assert end <= 380 or start >= 520


# What a background matches


def test_sequences_to_match_may_have_any_lengths(tmp_path: Path) -> None:
    (tmp_path / "genome.fa").write_text(">chr1\nAACCggttAC\n")
    (tmp_path / "match.fa").write_text(">chr1:2-8\nCCGGTT\n>chr1:0-4\nAACC\n")
    (tmp_path / "other.fa").write_text(">a\nCCGN\n>b\nAA\n")
    with open_genome(tmp_path / "genome.fa") as genome:
        windows = target_composition(genome, tmp_path / "match.fa")
        assert windows.gc.tolist() == [4 / 6, 0.5]
        assert windows.repeat is not None
        assert windows.repeat.tolist() == [4 / 6, 0]
        for match in (tmp_path / "other.fa", ["CCGN", "AA"]):
            other = target_composition(genome, match)
            assert (other.gc.tolist(), other.repeat) == ([1, 0], None)
        with pytest.raises(SequenceError, match="record 2 has no base but N, so no GC content"):
            target_composition(genome, ["ACG", "N"])
