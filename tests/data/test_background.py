"""Background windows: tiny genomes counted by hand, a brute-force oracle, bedtools, and chance."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pybedtools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chi2, chisquare, ks_2samp, kstest

from enhancer_core.data.background.candidates import BackgroundRules, Candidates, candidate_windows
from enhancer_core.data.background.composition import Composition, measure_composition
from enhancer_core.data.background.sampling import Background, CompositionMatch, draw_background
from enhancer_core.dna.codes import Letters
from enhancer_core.dna.intervals import Intervals, from_rows, tiled_windows
from enhancer_core.errors import DatasetError, EnhancerError, IntervalError
from enhancer_core.io.bed import read_bed, read_genes
from enhancer_core.io.genome import Genome, open_genome

RARE = 1e-6  # a sound sampler fails a test of chance this often, over all seeds
Spans = list[tuple[str, int, int]]


def letters(text: str) -> Letters:
    return np.frombuffer(text.encode(), dtype=np.uint8)


def find(genome: Mapping[str, str], rules: BackgroundRules, seed: int = 0) -> Candidates:
    return candidate_windows(
        lambda chrom: letters(genome[chrom]),
        {chrom: len(text) for chrom, text in genome.items()},
        rules,
        rng=np.random.default_rng(seed),
    )


def names(candidates: Candidates) -> list[str]:
    return candidates.windows(np.arange(len(candidates))).names()


# Where windows may lie


def test_each_stretch_gives_as_many_windows_as_fit_and_the_loss_is_accounted_for() -> None:
    genome = {"chr2": "ACGTACGTNNACGT", "chr1": "ACGTACGTACGT"}
    rules = BackgroundRules(
        length=3,
        genes=from_rows([("chr1", 4, 5)]),
        gene_distance=2,  # chr1 2-7
        excluded=[from_rows([("chr2", 0, 1), ("chr1", 6, 9)]), from_rows([("chr2", 0, 2)])],
    )
    # Left: chr2 2-8 (2 windows), chr2 10-14 (1 and 1 bp), chr1 0-2 (none), chr1 9-12 (1).
    found = find(genome, rules)
    assert names(found) in [
        ["chr2:2-5", "chr2:5-8", f"chr2:{start}-{start + 3}", "chr1:9-12"] for start in (10, 11)
    ]
    assert found.total == 26
    assert dict(found.lost) == {
        "closer than 2 bp to a gene": 5,
        "in excluded intervals": 4,
        "not A, C, G or T": 2,
        "left over beside whole windows": 3,
    }


@pytest.mark.parametrize(
    ("distance", "allowed"), [(15, ["chr1:0-10", "chr1:45-55"]), (16, []), (14, ["left", "right"])]
)
def test_a_window_at_the_gene_distance_is_allowed_and_one_bp_closer_is_not(
    distance: int, allowed: list[str]
) -> None:
    # 10 + 15 bp, a gene of 5, 15 + 10 bp: one place on each side has exactly 15 bp in between.
    rules = BackgroundRules(length=10, genes=from_rows([("chr1", 25, 30)]), gene_distance=distance)
    found = find({"chr1": "A" * 55}, rules)
    assert len(found) == len(allowed)
    if distance == 15:
        assert names(found) == allowed
        windows = pybedtools.BedTool("chr1 0 10\nchr1 45 55", from_string=True)
        gene = pybedtools.BedTool("chr1 25 30", from_string=True)
        assert windows.window(gene, w=15).count() == 0
        assert windows.window(gene, w=16).count() == 2
        pybedtools.cleanup()


def test_at_gene_distance_zero_a_window_may_touch_a_gene() -> None:
    rules = BackgroundRules(length=5, genes=from_rows([("chr1", 5, 8)]), gene_distance=0)
    assert names(find({"chr1": "A" * 13}, rules)) == ["chr1:0-5", "chr1:8-13"]


def test_a_window_may_touch_an_excluded_interval_but_not_overlap_it() -> None:
    rules = BackgroundRules(length=5, excluded=[from_rows([("chr1", 5, 6)])])
    assert names(find({"chr1": "A" * 10}, rules)) == ["chr1:0-5"]
    assert names(find({"chr1": "A" * 11}, rules)) == ["chr1:0-5", "chr1:6-11"]


@pytest.mark.parametrize("letter", "NnRykX*-")
def test_no_window_has_a_letter_other_than_the_four_bases(letter: str) -> None:
    assert names(find({"chr1": f"acGT{letter}TgCa"}, BackgroundRules(length=4))) == [
        "chr1:0-4", "chr1:5-9",
    ]  # fmt: skip
    assert not len(find({"chr1": f"acG{letter}Tgc"}, BackgroundRules(length=4)))


def test_a_genome_of_short_or_empty_stretches_gives_no_window() -> None:
    found = find({"chr1": "ACG", "chr2": "N" * 9}, BackgroundRules(length=4))
    assert len(found) == 0
    assert list(found.lost.values()) == [0, 0, 9, 3]


@st.composite
def tiny_cases(draw: st.DrawFn) -> tuple[dict[str, str], Spans, Spans, int, int, int]:
    texts = draw(
        st.lists(st.text("ACGTacgtACGTacgtNR", min_size=1, max_size=40), min_size=1, max_size=3)
    )
    genome = {f"chr{3 - index}": text for index, text in enumerate(texts)}
    span = st.sampled_from(sorted(genome)).flatmap(
        lambda chrom: st.tuples(
            st.just(chrom), st.integers(0, len(genome[chrom]) - 1), st.integers(1, 6)
        ).map(lambda row: (row[0], row[1], min(row[1] + row[2], len(genome[chrom]))))
    )
    spans = st.lists(span, max_size=2)
    small = st.integers(0, 5)
    return genome, draw(spans), draw(spans), draw(small), draw(small) + 1, draw(small)


@given(tiny_cases())
@settings(deadline=None, max_examples=40)  # each example runs the bedtools program
def test_windows_obey_every_rule_and_no_more_could_be_had(
    case: tuple[dict[str, str], Spans, Spans, int, int, int],
) -> None:
    genome, genes, excluded, distance, length, seed = case

    def allowed(chrom: str, start: int) -> bool:
        end = start + length
        return (
            set(genome[chrom][start:end].upper()) <= set("ACGT")
            and all(chrom != other or end <= low or high <= start for other, low, high in excluded)
            and all(
                chrom != other or max(low - end, start - high) >= distance
                for other, low, high in genes
            )
        )

    most = 0  # taking the first place that is free, from the left, is the best there is
    for chrom, text in genome.items():
        start = 0
        while start + length <= len(text):
            fits = allowed(chrom, start)
            most += fits
            start += length if fits else 1

    rules = BackgroundRules(
        length=length,
        genes=from_rows(genes),
        gene_distance=distance,
        excluded=[from_rows(excluded)],
    )
    found = find(genome, rules, seed)
    windows = found.windows(np.arange(len(found)))
    places = list(zip(windows.chroms.tolist(), windows.starts.tolist(), strict=True))
    assert len(found) == most
    assert all(allowed(*place) for place in places)
    order = list(genome)
    assert places == sorted(places, key=lambda place: (order.index(place[0]), place[1]))
    assert all(
        one != other or end <= start
        for one, end, other, start in zip(
            windows.chroms, windows.ends, windows.chroms[1:], windows.starts[1:], strict=False
        )
    )
    assert sum(found.lost.values()) + len(found) * length == found.total


def test_what_is_left_over_is_split_evenly_between_all_its_places() -> None:
    found = find({"chr1": "ACGTACGN" * 8000}, BackgroundRules(length=4))  # 7 bp: 1 window, 3 over
    assert len(found) == 8000
    assert chisquare(np.bincount(found.starts % 8, minlength=4)).pvalue > RARE


def test_chromosomes_are_read_once_each_in_order_with_progress_after_each() -> None:
    events: list[object] = []

    def letters_of(chrom: str) -> Letters:
        events.append(chrom)
        return letters("A" * 10)

    candidate_windows(
        letters_of,
        {"chr2": 10, "chr1": 10},
        BackgroundRules(length=5),
        rng=np.random.default_rng(0),
        progress=lambda done, total: events.append((done, total)),
    )
    assert events == ["chr2", (10, 20), "chr1", (20, 20)]


def test_windows_longer_than_what_is_read_at_once_are_measured() -> None:
    found = find({"chr1": "ACGG" * 100_000}, BackgroundRules(length=200_000))
    assert found.composition.gc.tolist() == [0.75, 0.75]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (
            lambda: BackgroundRules(length=0),
            r"^length of 0 bp is not allowed; allowed is 1 or more$",
        ),
        (
            lambda: BackgroundRules(gene_distance=-1),
            r"^gene distance of -1 bp is not allowed; allowed is 0 or more$",
        ),
    ],
)
def test_rules_that_make_no_sense_are_refused(
    rules: Callable[[], BackgroundRules], message: str
) -> None:
    with pytest.raises(IntervalError, match=message):
        rules()


def test_genes_of_another_genome_are_refused() -> None:
    genes = from_rows([("1", 0, 5)])
    with pytest.raises(IntervalError, match=r"^intervals: chromosome '1' is not among"):
        find({"chr1": "ACGT" * 5}, BackgroundRules(length=4, genes=genes))
    with pytest.raises(IntervalError, match=r"^intervals: end 5 is beyond the end of 1, 4$"):
        find({"1": "ACGT"}, BackgroundRules(length=4, excluded=[genes]))


def test_a_chromosome_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(IntervalError, match=r"^chr1: 4 letters were read; its length is 9$"):
        candidate_windows(
            lambda _: letters("ACGT"), {"chr1": 9}, BackgroundRules(), rng=np.random.default_rng(0)
        )


def test_a_missing_bedtools_is_said_before_a_chromosome_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(chrom: str) -> Letters:
        raise AssertionError(chrom)

    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnhancerError, match=r"^the program 'bedtools' is not on the PATH; install"):
        candidate_windows(never, {"chr1": 9}, BackgroundRules(), rng=np.random.default_rng(0))


# Drawing


def test_a_draw_has_no_window_twice_and_can_take_them_all() -> None:
    found = find({"chr1": "ACGT" * 50, "chr2": "ACGTN" * 20}, BackgroundRules(length=4))
    assert len(found) == 70
    for n in (1, 35, 70):
        drawn = draw_background(found, n, rng=np.random.default_rng(0)).windows.names()
        assert len(set(drawn)) == n
        assert drawn == [name for name in names(found) if name in set(drawn)]  # genome order


def test_the_seed_decides_the_draw() -> None:
    def drawn(seed: int) -> list[str]:
        rng = np.random.default_rng(seed)
        found = candidate_windows(
            lambda _: letters("ACGTACGNcc" * 100),
            {"chr1": 1000},
            BackgroundRules(length=3),
            rng=rng,
        )
        target = Composition(np.array([0.2, 0.7]), None)
        plain, matched = (
            draw_background(found, 20, rng=rng),
            draw_background(found, 20, rng=rng, target=target),
        )
        return plain.windows.names() + matched.windows.names()

    assert drawn(0) == drawn(0)
    assert drawn(0) != drawn(1)


def test_each_candidate_is_drawn_equally_often() -> None:
    found = find({"chr1": "ACGT" * 10, "chr2": "ACGTN" * 5}, BackgroundRules(length=4))
    rng = np.random.default_rng(0)
    counts: dict[str, int] = dict.fromkeys(names(found), 0)
    for _ in range(3000):
        for name in draw_background(found, 5, rng=rng).windows.names():
            counts[name] += 1
    # Five of 15 without replacement vary less than five draws with it: by (15 - 5) / (15 - 1).
    expected = 3000 * 5 / 15
    statistic = sum((count - expected) ** 2 / expected for count in counts.values()) * 14 / 10
    assert statistic < chi2.ppf(1 - RARE, df=14)


def test_asking_for_more_than_there_is_says_how_many_and_why() -> None:
    rules = BackgroundRules(
        length=4,
        genes=from_rows([("chr1", 0, 1)]),
        gene_distance=3,
        excluded=[from_rows([("chr1", 2, 6)])],
    )
    found = find({"chr1": "ACGTACNACGTACGTAC"}, rules)
    with pytest.raises(
        DatasetError,
        match=r"^3 background windows of 4 bp asked for; the genome can supply 2 that do not"
        r" overlap: of its 17 bp, 4 closer than 3 bp to a gene, 2 in excluded intervals,"
        r" 1 not A, C, G or T, 2 left over beside whole windows$",
    ):
        draw_background(found, 3, rng=np.random.default_rng(0))


@pytest.mark.parametrize("n", [0, -5])
def test_drawing_no_window_is_refused(n: int) -> None:
    found = find({"chr1": "ACGT"}, BackgroundRules(length=4))
    with pytest.raises(
        DatasetError, match=rf"^{n} background windows asked for; allowed is 1 or more$"
    ):
        draw_background(found, n, rng=np.random.default_rng(0))


# Following a target


def test_composition_counts_bases_in_either_case_and_n_apart() -> None:
    measured = measure_composition(
        np.stack([letters(t) for t in ("ACGTacgt", "GgcNnnnA", "TTTTTTTT")])
    )
    assert measured.gc.tolist() == [0.5, 0.75, 0.0]
    assert measured.repeat is not None
    assert measured.repeat.tolist() == [0.5, 0.625, 0.0]


@given(st.lists(st.text("ACGTacgt", min_size=12, max_size=12), min_size=1, max_size=5))
def test_composition_is_the_share_of_letters(rows: list[str]) -> None:
    measured = measure_composition(np.stack([letters(row) for row in rows]))
    assert measured.gc.tolist() == [sum(map(row.upper().count, "GC")) / 12 for row in rows]
    assert measured.repeat is not None
    assert measured.repeat.tolist() == [sum(map(str.islower, row)) / 12 for row in rows]


@pytest.mark.parametrize(
    ("gc", "repeat", "message"),
    [
        ([0.5, 1.5], None, r"^sequence 1: GC share is 1\.5; allowed is 0 to 1$"),
        ([0.5], [-0.1], r"^sequence 0: repeat share is -0\.1; allowed is 0 to 1$"),
        ([np.nan], None, r"^sequence 0: GC share is nan; allowed is 0 to 1$"),
        ([0.5], [0.1, 0.2], r"^repeat shares have shape \(2,\); allowed is \(1,\)$"),
        ([[0.5]], None, r"^GC shares have shape \(1, 1\); allowed is \(1,\)$"),
    ],
)
def test_a_composition_that_is_none_is_refused(
    gc: list[float], repeat: list[float] | None, message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        Composition(np.array(gc), None if repeat is None else np.array(repeat))


def test_a_sequence_of_n_alone_has_no_composition() -> None:
    with pytest.raises(DatasetError, match=r"^sequence 1: GC share is nan"):
        measure_composition(np.stack([letters("ACGT"), letters("NNNN")]))


def pool(*kinds: tuple[float, float, int]) -> Candidates:
    """Candidates of given GC and repeat shares, a count each."""
    counts = [count for _, _, count in kinds]
    m = sum(counts)
    return Candidates(
        names=("chr1",),
        chroms=np.zeros(m, dtype=np.int32),
        starts=np.arange(m) * 10,
        length=10,
        composition=Composition(
            np.repeat([gc for gc, _, _ in kinds], counts),
            np.repeat([repeat for _, repeat, _ in kinds], counts),
        ),
        lost={},
        total=10 * m,
    )


def drawn_kinds(background: Background) -> dict[tuple[float, float], int]:
    composition = background.composition
    assert composition.repeat is not None
    kinds, counts = np.unique(
        np.stack([composition.gc, composition.repeat], axis=1), axis=0, return_counts=True
    )
    return {
        (gc, repeat): n for (gc, repeat), n in zip(kinds.tolist(), counts.tolist(), strict=True)
    }


def target_of(*kinds: tuple[float, float]) -> Composition:
    return Composition(np.array([gc for gc, _ in kinds]), np.array([repeat for _, repeat in kinds]))


def test_quotas_follow_the_joint_distribution_and_not_each_alone(rng: np.random.Generator) -> None:
    found = pool((0.3, 0.0, 50), (0.3, 0.9, 50), (0.7, 0.0, 50), (0.7, 0.9, 50))
    target = target_of((0.3, 0.0), (0.3, 0.0), (0.3, 0.0), (0.7, 0.9))
    drawn = draw_background(found, 40, rng=rng, target=target)
    assert drawn_kinds(drawn) == {(0.3, 0.0): 30, (0.7, 0.9): 10}
    assert drawn.match is not None
    assert (drawn.match.gc_distance, drawn.match.repeat_distance) == (0.0, 0.0)
    assert drawn.match.filled == 0


def test_quotas_are_rounded_by_largest_remainder(rng: np.random.Generator) -> None:
    found = pool((0.1, 0.0, 9), (0.5, 0.0, 9), (0.9, 0.5, 9))
    target = target_of((0.1, 0.0), (0.5, 0.0), (0.5, 0.0), (0.9, 0.5), (0.9, 0.5), (0.9, 0.5))
    # Of 10: 1.67, 3.33 and 5. Of 3: 0.5, 1 and 1.5, and the first of the two equal ones wins.
    drawn = draw_background(found, 10, rng=rng, target=target)
    assert drawn_kinds(drawn) == {(0.1, 0.0): 2, (0.5, 0.0): 3, (0.9, 0.5): 5}
    drawn = draw_background(found, 3, rng=rng, target=target)
    assert drawn_kinds(drawn) == {(0.1, 0.0): 1, (0.5, 0.0): 1, (0.9, 0.5): 1}


def test_a_bin_short_of_windows_is_filled_from_the_nearest(rng: np.random.Generator) -> None:
    # From GC .50 and repeats .50: two steps of GC away, three steps of repeats, ten of GC.
    found = pool((0.50, 0.5, 2), (0.54, 0.5, 3), (0.50, 0.8, 4), (0.70, 0.5, 50))
    drawn = draw_background(found, 10, rng=rng, target=target_of((0.5, 0.5)))
    assert drawn_kinds(drawn) == {(0.5, 0.5): 2, (0.54, 0.5): 3, (0.5, 0.8): 4, (0.7, 0.5): 1}
    assert drawn.match is not None
    assert drawn.match.filled == 8
    assert drawn.match.gc_distance == pytest.approx(0.4)  # 3 + 1 of 10 lie above .50
    assert drawn.match.repeat_distance == pytest.approx(0.4)


def test_the_nearest_pair_of_bins_is_served_first(rng: np.random.Generator) -> None:
    # .40 and .46 lack 2 windows each; the 2 at .44 are nearer to .46, so .40 goes to .20.
    found = pool((0.44, 0.0, 2), (0.20, 0.5, 9))
    drawn = draw_background(found, 4, rng=rng, target=target_of((0.40, 0.0), (0.46, 0.0)))
    assert drawn_kinds(drawn) == {(0.44, 0.0): 2, (0.20, 0.5): 2}
    assert drawn.match is not None
    assert drawn.match.filled == 4


def test_a_match_can_take_every_candidate(rng: np.random.Generator) -> None:
    found = pool((0.0, 0.0, 3), (0.5, 0.5, 3), (1.0, 1.0, 3))
    drawn = draw_background(found, 9, rng=rng, target=target_of((1.0, 1.0)))
    assert len(set(drawn.windows.names())) == 9
    assert drawn.match is not None
    assert drawn.match.filled == 6


def test_a_share_at_the_lower_end_of_a_step_belongs_to_it(rng: np.random.Generator) -> None:
    # 0.58 * 50 is 28.999999999999996: cut off, it would fall into the step that begins at 0.56.
    found = pool((0.58, 0.0, 5), (0.56, 0.5, 5))
    drawn = draw_background(found, 5, rng=rng, target=target_of((0.59, 0.0)))
    assert drawn_kinds(drawn) == {(0.58, 0.0): 5}
    assert drawn.match is not None
    assert drawn.match.filled == 0


def test_inside_a_bin_each_window_has_the_same_chance() -> None:
    found = pool((0.3, 0.0, 4), (0.7, 0.0, 8))
    rng = np.random.default_rng(0)
    starts = np.concatenate(
        [
            draw_background(found, 2, rng=rng, target=target_of((0.3, 0), (0.7, 0))).windows.starts
            for _ in range(2000)
        ]
    )
    counts = np.bincount(starts // 10, minlength=12)
    assert counts[:4].sum() == counts[4:].sum() == 2000
    assert chisquare(counts[:4]).pvalue > RARE
    assert chisquare(counts[4:]).pvalue > RARE


@pytest.mark.parametrize("text", ["ACGTGGGGN", "acgtggggN"])
def test_without_soft_masking_gc_alone_is_followed_and_this_is_said(
    text: str, rng: np.random.Generator
) -> None:
    found = find({"chr1": text * 10}, BackgroundRules(length=4))
    assert found.composition.repeat is None
    drawn = draw_background(found, 6, rng=rng, target=target_of((1.0, 0.9)))
    assert drawn.composition.gc.tolist() == [1.0] * 6
    assert drawn.match is not None
    assert drawn.match.repeat_distance is None
    assert drawn.match.filled == 0


def test_a_target_of_unknown_repeats_is_followed_in_gc_alone(rng: np.random.Generator) -> None:
    found = find({"chr1": "ACGTggggN" * 10}, BackgroundRules(length=4))
    drawn = draw_background(found, 6, rng=rng, target=Composition(np.array([1.0]), None))
    assert drawn_kinds(drawn) == {(1.0, 1.0): 6}
    assert drawn.match is not None
    assert drawn.match.repeat_distance is None


def test_without_a_target_there_is_no_match(rng: np.random.Generator) -> None:
    assert draw_background(pool((0.5, 0.5, 3)), 2, rng=rng).match is None


def test_an_empty_target_is_refused(rng: np.random.Generator) -> None:
    with pytest.raises(
        DatasetError, match=r"^no sequence to match the background to; at least one"
    ):
        draw_background(pool((0.5, 0.5, 3)), 2, rng=rng, target=target_of())


# Real genomes


class Liver:
    """The regions of the real genome that have hg19 labels, and what a background must avoid."""

    def __init__(self, folder: Path, genome: Genome) -> None:
        with (folder / "regions.tsv").open() as stream:
            labelled = [
                row["name"]
                for row in csv.DictReader(stream, delimiter="\t")
                if row["hg19_start0"] != "None"
            ]
        self.letters = {chrom: genome.letters(chrom) for chrom in labelled}
        self.lengths = {chrom: genome.lengths[chrom] for chrom in labelled}
        self.genes = read_genes(folder / "protein_coding_genes.hg19.bed")
        self.peaks = read_bed(folder / "liver_h3k27ac_peaks.hg19.bed")
        rules = BackgroundRules(genes=self.genes, excluded=[self.peaks])
        self.candidates = candidate_windows(
            self.letters.__getitem__, self.lengths, rules, rng=np.random.default_rng(0)
        )

    def composition(self, windows: Intervals) -> Composition:
        return composition_of(windows, self.letters)


def composition_of(windows: Intervals, genome: Mapping[str, Letters]) -> Composition:
    rows = [
        genome[chrom][start:end]
        for chrom, start, end in zip(
            windows.chroms.tolist(), windows.starts.tolist(), windows.ends.tolist(), strict=True
        )
    ]
    return measure_composition(np.stack(rows))


@pytest.fixture(scope="module")
def liver(real_data: Path) -> Liver:
    folder = real_data / "human_regions"
    with open_genome(folder / "genome.fa.gz") as genome:
        return Liver(folder, genome)


def bed(intervals: Intervals) -> pybedtools.BedTool:
    text = "\n".join(name.replace(":", " ").replace("-", " ") for name in intervals.names())
    return pybedtools.BedTool(text, from_string=True)


def test_bedtools_finds_no_rule_broken_by_any_candidate_of_a_real_genome(liver: Liver) -> None:
    drawn = draw_background(
        liver.candidates, len(liver.candidates), rng=np.random.default_rng(0)
    ).windows
    windows, genes = bed(drawn).sort(), bed(liver.genes).sort()
    assert windows.count() == len(drawn) > 8000
    assert windows.intersect(bed(liver.peaks), u=True).count() == 0
    assert windows.window(genes, w=15_000).count() == 0
    nearest = [int(row.fields[-1]) for row in windows.closest(genes, d=True, t="first")]
    assert min(distance for distance in nearest if distance >= 0) >= 15_001  # it counts one more
    assert windows.merge(d=-1).count() == len(drawn)  # joins those that overlap by 1 bp or more
    pybedtools.cleanup()
    for chrom, start in zip(drawn.chroms.tolist(), drawn.starts.tolist(), strict=True):
        assert set(liver.letters[chrom][start : start + 500].tobytes().upper()) <= set(b"ACGT")


def test_windows_spread_over_a_real_genome_by_the_length_that_is_allowed(liver: Liver) -> None:
    n, m = 2000, len(liver.candidates)
    windows = draw_background(liver.candidates, n, rng=np.random.default_rng(0)).windows
    places, counts, sizes, before = [], [], [], 0
    for chrom, letters_here in liver.letters.items():
        allowed = np.isin(letters_here & 0xDF, list(b"ACGT"))
        for barred, distance in ((liver.genes, 15_000), (liver.peaks, 0)):
            here = barred.take(barred.chroms == chrom)
            for start, end in zip(here.starts.tolist(), here.ends.tolist(), strict=True):
                allowed[max(start - distance, 0) : end + distance] = False
        on_chrom = windows.starts[windows.chroms == chrom]
        places.append(before + np.cumsum(allowed)[on_chrom])
        counts.append(len(on_chrom))
        sizes.append(int(allowed.sum()))
        before += sizes[-1]
    expected = n * np.array(sizes) / before
    keep = expected > 0
    statistic = ((np.array(counts) - expected)[keep] ** 2 / expected[keep]).sum()
    statistic *= (m - 1) / (m - n)  # drawn without replacement
    assert statistic < chi2.ppf(1 - RARE, df=keep.sum() - 1)
    assert kstest(np.concatenate(places) / before, "uniform").pvalue > RARE


def edges(steps: int) -> NDArray[np.float64]:
    return np.append(np.arange(steps) / steps - 1e-9, 1)


def edge_distance(ours: NDArray[np.float64], theirs: NDArray[np.float64], steps: int) -> float:
    """Compare two distributions at the ends of their bins alone."""
    shares = [np.histogram(each, edges(steps))[0] / len(each) for each in (ours, theirs)]
    return float(np.abs(np.cumsum(shares[0] - shares[1])).max())


def bounds(target: Composition, match: CompositionMatch | None, n: int) -> tuple[float, float]:
    """Bound how far a match of n windows is from its target: at the ends of bins, in GC anywhere.

    At the end of a bin the distributions differ by less than one window for each bin that the
    target occupies, and by those filled from other bins; inside one by what it holds besides.
    """
    assert match is not None
    repeat = np.zeros(len(target)) if target.repeat is None else target.repeat
    grid, _, _ = np.histogram2d(target.gc, repeat, bins=(edges(50), edges(10)))
    at_ends = (np.count_nonzero(grid) + match.filled) / n
    return at_ends, at_ends + float(grid.sum(axis=1).max()) / len(target)


def test_a_match_follows_the_gc_of_real_enhancers(liver: Liver) -> None:
    target = liver.composition(tiled_windows(liver.peaks, 500))
    n = 2000
    plain = draw_background(liver.candidates, n, rng=np.random.default_rng(0))
    matched = draw_background(liver.candidates, n, rng=np.random.default_rng(0), target=target)
    assert matched.match is not None
    assert matched.match.filled < n // 100
    _, bound = bounds(target, matched.match, n)
    assert ks_2samp(plain.composition.gc, target.gc).statistic > 2 * bound
    reached = ks_2samp(matched.composition.gc, target.gc).statistic
    assert reached < bound
    assert matched.match.gc_distance == pytest.approx(reached)
    measured = liver.composition(matched.windows)
    assert measured.gc.tolist() == matched.composition.gc.tolist()


def test_a_match_follows_the_repeats_of_a_real_genome(real_data: Path) -> None:
    # Enhancers of ENm001 in the soft-masked sequence of that locus.
    peaks = read_bed(real_data / "human_regions" / "liver_h3k27ac_peaks.hg19.bed")
    peaks = peaks.take(peaks.chroms == "chr7_hg38_116170466")
    with open_genome(real_data / "orthologous_locus" / "human.fa.gz") as genome:
        (chrom,) = genome.lengths
        letters_of = {chrom: genome.letters(chrom)}
    peaks = from_rows(
        (chrom, *span) for span in zip(peaks.starts.tolist(), peaks.ends.tolist(), strict=True)
    )
    target = composition_of(tiled_windows(peaks, 200), letters_of)
    assert target.repeat is not None
    found = candidate_windows(
        letters_of.__getitem__,
        {chrom: len(letters_of[chrom])},
        BackgroundRules(length=200, excluded=[peaks]),
        rng=np.random.default_rng(0),
    )
    n = 1000
    plain = draw_background(found, n, rng=np.random.default_rng(0))
    matched = draw_background(found, n, rng=np.random.default_rng(0), target=target)
    assert plain.composition.repeat is not None
    assert matched.composition.repeat is not None
    assert matched.match is not None
    at_ends, in_gc = bounds(target, matched.match, n)
    assert edge_distance(plain.composition.repeat, target.repeat, 10) > 2 * at_ends
    assert edge_distance(matched.composition.repeat, target.repeat, 10) < at_ends
    reached = ks_2samp(matched.composition.repeat, target.repeat).statistic
    assert matched.match.repeat_distance == pytest.approx(reached)
    assert reached < ks_2samp(plain.composition.repeat, target.repeat).statistic
    assert matched.match.gc_distance < in_gc
