from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from enhancer_core.dna.codes import Codes, decode, encode, reverse_complement
from enhancer_core.errors import FileError, SequenceError
from enhancer_core.io.genome import open_genome
from enhancer_core.io.vcf import VcfRecord
from enhancer_core.models.architecture import Architecture, Convolution
from enhancer_core.models.network import Network
from enhancer_core.prediction.alleles import Edit, Fetch, normalise, windows
from enhancer_core.prediction.scoring import effects
from enhancer_core.prediction.sequences import probabilities
from enhancer_core.prediction.vcf import annotate
from tests.predictors import predictor_of

HIT, MISS = 1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))  # probabilities of log odds 1 and -1


def word_network(word: str, *, length: int) -> Network:
    """Log odds 1 if a window has the word on either strand, else -1."""
    layer = Convolution(1, len(word), length - len(word) + 1)
    network = Network(Architecture(convolutions=(layer,), dense=(), length=length))
    with torch.no_grad():
        network.first_layer.weight.zero_()
        network.first_layer.weight[0, encode([word])[0].tolist(), range(len(word))] = 1
        network.first_layer.bias.fill_(1 - len(word))  # type: ignore[union-attr]
        network.output.weight.copy_(torch.tensor([[0.0], [2.0]]))
        network.output.bias.copy_(torch.tensor([0.0, -1.0]))
    return network


def weak_base_network(weights: Sequence[float]) -> Network:
    """Log odds: the sum of the weights of the positions that have A or T (N counts a quarter)."""
    length = len(weights)
    network = Network(Architecture(convolutions=(Convolution(1, 1, 1),), dense=(), length=length))
    with torch.no_grad():
        network.first_layer.weight.copy_(torch.tensor([[[1.0], [0.0], [0.0], [0.0]]]))
        network.first_layer.bias.zero_()  # type: ignore[union-attr]
        network.output.weight.copy_(torch.tensor([[0.0] * length, list(weights)]))
        network.output.bias.zero_()
    return network


def along(chromosome: str) -> Fetch:
    """Read a chromosome with N beyond its ends."""
    padded = spelled("N" * 1000 + chromosome + "N" * 1000)

    def fetch(start: int, end: int) -> Codes:
        found: Codes = padded[start + 1000 : end + 1000]
        return found

    return fetch


def edit(start: int, reference: str, alternative: str) -> Edit:
    return Edit(start, spelled(reference), spelled(alternative))


def spelled(bases: str) -> Codes:
    codes: Codes = encode([bases])[0]
    return codes


def bases(codes: Codes) -> str:
    return decode(codes[np.newaxis])[0]


def parts(found: Edit) -> tuple[int, str, str]:
    return found.start, bases(found.reference), bases(found.alternative)


def windows_of(chromosome: str, change: Edit, length: int) -> list[str]:
    return decode(np.stack(windows(change, length, along(chromosome))))


# Spellings of a variant


@pytest.mark.parametrize(
    ("given_as", "expected"),
    [
        ((5, "A", "G"), (5, "A", "G")),
        ((4, "CAT", "CGT"), (5, "A", "G")),
        ((4, "CA", "GT"), (4, "CA", "GT")),
        ((4, "CAT", "GAA"), (4, "CAT", "GAA")),  # an MNV keeps what it shares inside
        ((5, "ATGG", "ATCGG"), (7, "", "C")),
        ((4, "CATGG", "C"), (5, "ATGG", "")),
        ((5, "A", "A"), (5, "", "")),
    ],
)  # fmt: skip
def test_what_both_alleles_share_at_their_ends_is_trimmed(
    given_as: tuple[int, str, str], expected: tuple[int, str, str]
) -> None:
    assert parts(normalise(edit(*given_as), along("TTTTCATGGGA"))) == expected


def test_a_deletion_in_a_repeat_moves_to_its_left_end() -> None:
    # GG CACACA TT: each of these deletes two bases of the repeat
    for start, deleted in ((2, "CA"), (3, "AC"), (4, "CA"), (5, "AC"), (6, "CA")):
        found = normalise(edit(start, deleted, ""), along("GGCACACATT"))
        assert parts(found) == (2, "CA", "")


def test_an_insertion_in_a_repeat_moves_to_its_left_end() -> None:
    for start, inserted in ((2, "CA"), (3, "AC"), (8, "CA")):
        found = normalise(edit(start, "", inserted), along("GGCACACATT"))
        assert parts(found) == (2, "", "CA")


def test_a_repeat_longer_than_what_is_read_at_once_is_followed_to_its_start() -> None:
    chromosome = "G" + "A" * 700 + "C"
    assert parts(normalise(edit(650, "AA", "A"), along(chromosome))) == (1, "A", "")


def test_a_repeat_that_begins_the_chromosome_ends_there() -> None:
    for run in (3, 63, 64, 65, 192):
        found = normalise(edit(run - 1, "A", ""), along("A" * run + "C"))
        assert parts(found) == (0, "A", "")


def test_an_indel_does_not_move_over_n() -> None:
    assert parts(normalise(edit(5, "N", ""), along("ACNNNNNGT"))) == (5, "N", "")
    assert parts(normalise(edit(5, "", "A"), along("ACNAAAGT"))) == (3, "", "A")


@given(
    st.text("AC", min_size=8, max_size=30),
    st.integers(0, 7),
    st.integers(0, 4),
    st.text("AC", max_size=4),
    st.integers(0, 3),
    st.integers(0, 3),
)
def test_spellings_of_one_variant_normalise_to_one(
    chromosome: str, start: int, deleted: int, inserted: str, before: int, after: int
) -> None:
    end = min(start + deleted, len(chromosome))
    first, last = max(start - before, 0), min(end + after, len(chromosome))
    edited = chromosome[:start] + inserted + chromosome[end:]
    assume(edited != chromosome)
    short = edit(start, chromosome[start:end], inserted)
    wide = edit(first, chromosome[first:last], edited[first : last + len(edited) - len(chromosome)])
    found = parts(normalise(short, along(chromosome)))
    assert parts(normalise(wide, along(chromosome))) == found
    at, reference, alternative = found  # and it is still the same variant
    assert chromosome[at:].startswith(reference)
    assert chromosome[:at] + alternative + chromosome[at + len(reference) :] == edited


@given(st.text("AC", min_size=6, max_size=40), st.data())
def test_deletions_that_leave_the_same_sequence_are_one(
    chromosome: str, data: st.DataObject
) -> None:
    size = data.draw(st.integers(1, 4))
    places = range(len(chromosome) - size + 1)
    start = data.draw(st.sampled_from(places))
    left = chromosome[:start] + chromosome[start + size :]
    same = [at for at in places if chromosome[:at] + chromosome[at + size :] == left]
    found = {
        parts(normalise(edit(at, chromosome[at : at + size], ""), along(chromosome))) for at in same
    }
    assert found == {(same[0], chromosome[same[0] : same[0] + size], "")}


# Windows


def test_an_snv_stands_where_kipoi_veff_puts_it() -> None:
    # SnvCenteredRg of kipoi-veff 0.3.1: BED start POS - L / 2 for even L, so L / 2 - 1 bases before
    chromosome = "AACCGTTGGA"
    assert windows_of(chromosome, edit(4, "G", "T"), 6) == ["CCGTTG", "CCTTTG"]
    assert windows_of(chromosome, edit(4, "G", "T"), 5) == ["CGTTG", "CTTTG"]


def test_windows_of_a_deletion_are_centred_on_it_before_and_after() -> None:
    chromosome = "AACCGTTGGA"
    assert windows_of(chromosome, edit(4, "GT", ""), 6) == ["CCGTTG", "ACCTGG"]
    assert windows_of(chromosome, edit(4, "G", ""), 4) == ["CGTT", "CCTT"]


def test_windows_of_an_insertion_are_centred_on_it_before_and_after() -> None:
    chromosome = "AACCGTTGGA"
    assert windows_of(chromosome, edit(4, "", "AA"), 6) == ["ACCGTT", "CCAAGT"]
    assert windows_of(chromosome, edit(4, "", "A"), 4) == ["CCGT", "CAGT"]


def test_windows_of_an_mnv_are_one_place() -> None:
    assert windows_of("AACCGTTGGA", edit(4, "GT", "CA"), 6) == ["CCGTTG", "CCCATG"]


def test_an_allele_longer_than_the_window_shows_its_middle() -> None:
    assert windows_of("AACCGTTGGA", edit(2, "", "TTTGCTTT"), 2)[1] == "GC"
    assert windows_of("AACCGTTGGA", edit(2, "CCGTTG", ""), 2) == ["GT", "AG"]


def test_windows_hold_n_beyond_the_ends_of_the_chromosome() -> None:
    assert windows_of("ACGT", edit(0, "A", "T"), 8) == ["NNNACGTN", "NNNTCGTN"]
    assert windows_of("ACGT", edit(3, "T", ""), 8) == ["ACGTNNNN", "NACGNNNN"]


@given(st.text("ACGT", min_size=1, max_size=30), st.integers(2, 12), st.data())
def test_windows_are_what_padding_and_cutting_whole_sequences_gives(
    chromosome: str, length: int, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(chromosome) - 1))
    end = data.draw(st.integers(start, len(chromosome)))
    inserted = data.draw(st.text("ACGT", max_size=20))

    def cut(sequence: str, stop: int) -> str:
        centre = (start + stop + 1) // 2 + 100
        padded = "N" * 100 + sequence + "N" * 100
        return padded[centre - length // 2 : centre - length // 2 + length]

    edited = chromosome[:start] + inserted + chromosome[end:]
    assert windows_of(chromosome, edit(start, chromosome[start:end], inserted), length) == [
        cut(chromosome, end),
        cut(edited, start + len(inserted)),
    ]


# Effects


def test_effects_are_of_the_mean_log_odds_of_both_strands() -> None:
    network = weak_base_network([0.1, 0.2, 0.3, 0.4])
    found = effects(predictor_of(network), encode(["CACC"]), encode(["CCCC", "CACT"]), [0, 0])
    # log odds: CACC 0.2, reverse 0.3; CCCC 0; CACT 0.6, reverse 0.4
    np.testing.assert_allclose(found.logit, [-0.25, 0.25], atol=1e-7)

    def mean(*odds: float) -> float:
        return float(1 / (1 + np.exp(-np.mean(odds))))

    np.testing.assert_allclose(found.reference, [mean(0.2, 0.3)] * 2, atol=1e-7)
    np.testing.assert_allclose(found.alternative, [0.5, mean(0.6, 0.4)], atol=1e-7)
    np.testing.assert_array_equal(found.difference, found.alternative - found.reference)


def test_differences_in_probability_and_in_log_odds_have_the_same_sign(
    rng: np.random.Generator,
) -> None:
    architecture = Architecture(convolutions=(Convolution(3, 4, 2),), dense=(3,), length=12)
    network = Network(architecture, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for weights in network.parameters():
            weights.mul_(20)  # so that the strands differ widely
    references, alternatives = rng.integers(0, 4, (2, 500, 12), dtype=np.uint8)
    predictor = predictor_of(network)
    found = effects(predictor, references, alternatives, range(500))
    # What the mean of the strands' probabilities would give: the other sign here and there.
    before, after = (
        probabilities(predictor, codes, both_strands=True) for codes in (references, alternatives)
    )
    assert ((after - before) * found.logit < 0).any()
    assert (found.difference * found.logit >= 0).all()


def test_effects_are_those_of_kipoi_veff(rng: np.random.Generator) -> None:
    architecture = Architecture(convolutions=(Convolution(3, 4, 2),), dense=(3,), length=12)
    network = Network(architecture, generator=torch.Generator().manual_seed(1))
    references, alternatives = rng.integers(0, 4, (2, 50, 12), dtype=np.uint8)
    found = effects(predictor_of(network), references, alternatives, range(50))
    # kipoi_veff.scores, version 0.3.1: Logit with rc_merging "mean"
    ref, alt, ref_rc, alt_rc = (
        probabilities(predictor_of(network), codes)
        for codes in (
            references,
            alternatives,
            reverse_complement(references),
            reverse_complement(alternatives),
        )
    )
    logit = np.mean(
        [
            np.log(alt / (1 - alt)) - np.log(ref / (1 - ref)),
            np.log(alt_rc / (1 - alt_rc)) - np.log(ref_rc / (1 - ref_rc)),
        ],
        axis=0,
    )
    np.testing.assert_allclose(found.logit, logit, atol=1e-5)


def test_each_alternative_is_set_against_its_own_reference() -> None:
    network = word_network("GATTA", length=8)
    references = encode(["CCCCCCCC", "CGATTACC"])
    found = effects(
        predictor_of(network), references, encode(["CGATTACC", "CCCCCCCC", "CGATTACC"]), [0, 1, 1]
    )
    np.testing.assert_allclose(found.logit, [2, -2, 0], atol=1e-6)
    np.testing.assert_allclose(found.reference, [MISS, HIT, HIT], atol=1e-7)


@given(st.lists(st.text("ACGTN", min_size=12, max_size=12), min_size=2, max_size=4))
def test_the_other_strand_has_the_same_effects(sequences: list[str]) -> None:
    architecture = Architecture(convolutions=(Convolution(3, 4, 2),), dense=(3,), length=12)
    network = Network(architecture, generator=torch.Generator().manual_seed(1))
    codes = encode(sequences)
    rows = [0] * (len(codes) - 1)
    one = effects(predictor_of(network), codes[:1], codes[1:], rows)
    other = effects(
        predictor_of(network), reverse_complement(codes[:1]), reverse_complement(codes[1:]), rows
    )
    np.testing.assert_allclose(one.logit, other.logit, atol=1e-6)
    np.testing.assert_allclose(one.difference, other.difference, atol=1e-6)


def test_log_odds_beyond_what_a_float_probability_can_say_are_kept() -> None:
    network = weak_base_network([30.0, 30.0])
    found = effects(predictor_of(network), encode(["AA"]), encode(["AC"]), [0])
    np.testing.assert_allclose(found.logit, [-30])


def test_no_variants_give_no_effects() -> None:
    none = np.zeros((0, 4), dtype=np.uint8)
    assert effects(predictor_of(weak_base_network([1, 1, 1, 1])), none, none, []).logit.shape == (
        0,
    )


def test_threads_and_mode_are_without_effect(rng: np.random.Generator) -> None:
    architecture = Architecture(
        convolutions=(Convolution(3, 4, 2),), dense=(3,), dropout=0.5, length=12
    )
    network = Network(architecture, generator=torch.Generator().manual_seed(1))
    codes = rng.integers(0, 4, (700, 12), dtype=np.uint8)
    network.train()
    one = effects(predictor_of(network), codes[:1], codes, [0] * 700)
    assert network.training
    two = effects(predictor_of(network.eval()), codes[:1], codes, [0] * 700, threads=3)
    assert np.array_equal(one.logit, two.logit)
    assert not network.training


def test_windows_of_another_length_are_refused() -> None:
    with pytest.raises(SequenceError, match="sequences of 3 bp; the model reads 4 bp"):
        effects(
            predictor_of(weak_base_network([1, 1, 1, 1])), encode(["AAA"]), encode(["AAA"]), [0]
        )


# Records

Annotate = Callable[..., list[dict[str, str]]]
CHROMOSOME = "CCCCCCCCCCGATTACCCCCCCCCCCCCCC"  # GATTA at 10, 30 bp


@pytest.fixture
def scored(tmp_path: Path) -> Annotate:
    """Annotate records `(chrom, POS, REF, ALTs)` of a genome with the word network, 20 bp."""

    def run(
        *rows: tuple[str, int, str, str], chromosome: str = CHROMOSOME, skip: bool = False
    ) -> list[dict[str, str]]:
        fasta = tmp_path / "genome.fa"
        fasta.write_text(f">chr1\n{chromosome}\n")
        records = [
            VcfRecord(
                f"a.vcf line {line}", [], chrom, pos - 1, ref, alts.split(",") if alts else []
            )
            for line, (chrom, pos, ref, alts) in enumerate(rows, start=3)
        ]
        with open_genome(fasta) as genome:
            network = word_network("GATTA", length=20)
            found = annotate(records, predictor_of(network), genome, skip_mismatch=skip)
            return [dict(info) for _, info in found]

    return run


LOST = {"REF": "0.731059", "ALT": "0.268941", "DIFF": "-0.462117", "LOGIT": "-2"}
KEPT = {"REF": "0.731059", "ALT": "0.731059", "DIFF": "0", "LOGIT": "0"}


@pytest.mark.parametrize(
    ("pos", "reference", "alternative", "expected"),
    [
        (12, "A", "C", LOST),
        (16, "C", "G", KEPT),
        (12, "AT", "GC", LOST),
        (11, "GATTA", "G", LOST),
        (13, "T", "TT", LOST),
        (16, "C", "CGGG", KEPT),
        (10, "C", "CT", KEPT),
        (16, "CCC", "C", KEPT),
    ],
)
def test_variants_of_each_kind_break_a_word_or_leave_it(
    scored: Annotate, pos: int, reference: str, alternative: str, expected: dict[str, str]
) -> None:
    assert scored(("chr1", pos, reference, alternative)) == [expected]


def test_variants_of_each_kind_make_a_word(scored: Annotate) -> None:
    bare = "C" * 10 + "GAT" + "C" * 17
    made = {"REF": "0.268941", "ALT": "0.731059", "DIFF": "0.462117", "LOGIT": "2"}
    found = scored(
        ("chr1", 13, "T", "TTA"), ("chr1", 14, "CC", "TA"), ("chr1", 5, "C", "CTAATC"),
        chromosome=bare,
    )  # fmt: skip
    assert found == [made, made, made]  # TAATC is GATTA on the other strand


def test_every_alt_has_a_value_and_those_without_one_a_reason(scored: Annotate) -> None:
    (found,) = scored(("chr1", 12, "A", "C,<DEL>,T,*,G[chr1:5[,A"))
    assert found["LOGIT"] == "-2,.,-2,.,.,."
    assert found["REF"] == "0.731059,.,0.731059,.,.,."
    assert found["SKIP"] == ".,symbolic,.,spanning_deletion,breakend,alt_is_ref"


def test_records_without_an_alt_to_score_are_not_held_against_the_genome(scored: Annotate) -> None:
    found = scored(("chrUn", 0, "T", "<DEL>"), ("chr1", 99, "T", ""), ("chr1", 5, "T", ".A"))
    assert found == [{"SKIP": "symbolic"}, {"SKIP": "no_alt"}, {"SKIP": "breakend"}]


def test_both_chromosome_namings_are_read(scored: Annotate) -> None:
    assert scored(("1", 12, "A", "C"), ("chr1", 12, "A", "C")) == [LOST, LOST]


def test_variants_at_the_ends_of_a_chromosome_are_scored(scored: Annotate) -> None:
    word_first = "GATTA" + "C" * 20
    found = scored(("chr1", 1, "G", "T"), ("chr1", 5, "AC", "A"), chromosome=word_first)
    assert found == [LOST, KEPT]
    word_last = "C" * 20 + "GATTA"
    found = scored(("chr1", 25, "A", "T"), ("chr1", 24, "TA", "T"), chromosome=word_last)
    # without its A the word ends in N, a quarter of a match: log odds 2 * 0.25 - 1
    cut = {"REF": "0.731059", "ALT": "0.377541", "DIFF": "-0.353518", "LOGIT": "-1.5"}
    assert found == [LOST, cut]


def test_a_reverse_complemented_genome_with_mirrored_variants_has_the_same_effects(
    scored: Annotate,
) -> None:
    here = [(12, "A", "C"), (11, "GA", "G"), (12, "AT", "CA"), (12, "A", "AGG"), (8, "C", "G")]

    def mirror(pos: int, ref: str, alt: str) -> tuple[str, int, str, str]:
        turned = (bases(reverse_complement(spelled(allele))) for allele in (ref, alt))
        return ("chr1", len(CHROMOSOME) - (pos - 1 + len(ref)) + 1, *turned)  # type: ignore[return-value]

    there = bases(reverse_complement(spelled(CHROMOSOME)))
    assert scored(*(("chr1", *row) for row in here)) == scored(
        *(mirror(*row) for row in here), chromosome=there
    )


@pytest.mark.parametrize(
    ("row", "message", "reason"),
    [
        (
            ("chr1", 12, "T", "C"),
            r"a\.vcf line 3: REF is T, but .*genome\.fa has A at chr1:12; is it the assembly",
            "ref_mismatch",
        ),
        (("chr2", 12, "T", "C"), "a.vcf line 3: chromosome 'chr2'", "unknown_chromosome"),
        (
            ("chr1", 0, "T", "C"),
            "position 0, REF of 1 bp, is not inside chr1",
            "outside_chromosome",
        ),
        (("chr1", 30, "CC", "C"), "allowed are 1 to 30", "outside_chromosome"),
        (("chr1", 12, "ATTACCCCCCCCCCCCCCT", "C"), "REF is ATTAC.*CT, but", "ref_mismatch"),
    ],
    ids=["REF", "chromosome", "position 0", "past the end", "long REF"],
)
def test_a_record_that_does_not_fit_the_genome_is_refused_or_skipped(
    scored: Annotate, row: tuple[str, int, str, str], message: str, reason: str
) -> None:
    with pytest.raises(FileError, match=message):
        scored(row)
    assert scored(row, skip=True) == [{"SKIP": reason}]


def test_long_alleles_are_cut_short_in_a_message(scored: Annotate) -> None:
    with pytest.raises(FileError, match=re.escape("REF is " + "T" * 20 + "... (25 bp), but")):
        scored(("chr1", 1, "T" * 25, "C"))


def test_blocks_and_progress_add_up(tmp_path: Path) -> None:
    fasta = tmp_path / "genome.fa"
    fasta.write_text(f">chr1\n{CHROMOSOME}\n")
    n = 5000  # more than two blocks
    records = (VcfRecord("a", [], "chr1", 11, "A", ["C"] * (i % 2)) for i in range(n))
    done: list[int] = []
    with open_genome(fasta) as genome:
        network = word_network("GATTA", length=20)
        found = [
            info
            for _, info in annotate(records, predictor_of(network), genome, progress=done.append)
        ]
    assert found == [{"SKIP": "no_alt"}, LOST] * (n // 2)
    assert sum(done) == n
    assert len(done) > 2
