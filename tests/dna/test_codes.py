"""Base codes, one-hot, strands: by hand, as properties, and every error."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from enhancer_core.dna.codes import (
    ALPHABET,
    CODE_OF_GENOME_LETTER,
    NOT_DNA,
    Codes,
    check_codes,
    decode,
    describe_bad_letter,
    describe_fit,
    encode,
    fit_length,
    gc_content,
    mostly_n,
    one_hot,
    reverse_complement,
)
from enhancer_core.dna.intervals import centred_windows, from_rows
from enhancer_core.errors import SequenceError

dna = st.text(ALPHABET, min_size=1, max_size=30)
codes_2d = st.tuples(st.integers(1, 5), st.integers(1, 20)).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 4))
)
AMBIGUOUS = "RYSWKMBDHVryswkmbdhv"  # IUPAC's letters for two or three bases
COMPLEMENT = dict(zip("ACGTN", "TGCAN", strict=True))


def test_letters_of_either_case_become_codes() -> None:
    codes = encode(["ACGTN", "acgtn"])
    assert codes.dtype == np.uint8
    assert codes.tolist() == [[0, 1, 2, 3, 4]] * 2


@given(
    st.integers(1, 20).flatmap(lambda n: st.lists(st.text("ACGTNacgtn", min_size=n, max_size=n)))
)
def test_decoding_gives_the_letters_back_in_upper_case(sequences: list[str]) -> None:
    if sequences:
        assert decode(encode(sequences)) == [sequence.upper() for sequence in sequences]


@given(codes_2d)
def test_encoding_gives_the_codes_back(codes: Codes) -> None:
    assert (encode(decode(codes)) == codes).all()


def test_decoding_takes_one_sequence_or_none() -> None:
    assert decode(np.array([0, 4, 3], dtype=np.uint8)) == ["ANT"]
    assert decode(np.zeros((0, 7), dtype=np.uint8)) == []


def test_no_sequences_cannot_be_encoded() -> None:
    with pytest.raises(SequenceError, match=r"^no sequences to encode; at least one is needed$"):
        encode([])


def test_sequences_of_two_lengths_cannot_be_encoded() -> None:
    with pytest.raises(
        SequenceError, match=r"^sequence 2: length 3 differs from the first's, 4; length"
    ):
        encode(["ACGT", "ACGT", "ACG"])


@pytest.mark.parametrize(
    ("sequence", "message"),
    [
        ("ACE", "letter 'E' at position 3 is not DNA; allowed are A C G T N"),
        ("U", "letter 'U' at position 1 is not DNA; allowed are A C G T N"),
        ("A-CE", "letter '-' at position 2 is not DNA; allowed are A C G T N"),
        ("A\tC", r"letter '\x09' at position 2 is not DNA; allowed are A C G T N"),
        ("Aé", r"letter '\xe9' at position 2 is not DNA; allowed are A C G T N"),
        ("ACr", "letter 'r' at position 3 is an IUPAC ambiguity code; allowed are A C G T N"),
    ],
)
def test_a_letter_that_is_not_dna_is_named_with_its_place(sequence: str, message: str) -> None:
    with pytest.raises(SequenceError) as caught:
        encode(["A" * len(sequence), sequence])
    assert str(caught.value).startswith(f"sequence 1: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("letter", AMBIGUOUS)
def test_an_iupac_letter_is_no_base_but_reads_as_n_in_a_genome(letter: str) -> None:
    letters = np.frombuffer(letter.encode(), dtype=np.uint8)
    assert "is an IUPAC ambiguity code" in describe_bad_letter(letters)
    assert CODE_OF_GENOME_LETTER[letters].tolist() == [4]


def test_every_other_byte_is_not_dna() -> None:
    others = list(set(range(256)) - set(f"ACGTNacgtn{AMBIGUOUS}".encode()))
    assert (CODE_OF_GENOME_LETTER[others] == NOT_DNA).all()


@pytest.mark.parametrize("use", [check_codes, decode, one_hot])
def test_a_code_above_four_is_named_with_its_place(use: object) -> None:
    codes = np.array([[0, 1, 2], [3, 9, 5]], dtype=np.uint8)
    message = r"^code 9 at \(1, 1\) is not a base; allowed are 0 to 4$"
    with pytest.raises(SequenceError, match=message):
        use(codes)  # type: ignore[operator]


def test_no_codes_are_fine() -> None:
    check_codes(np.zeros((0, 4), dtype=np.uint8))


def test_one_hot_has_channels_in_the_order_acgt_and_quarters_for_n() -> None:
    spread = one_hot(encode(["ACGTN"]))
    assert spread.dtype == np.float32
    assert spread.flags.c_contiguous
    rows = [[1, 0, 0, 0, 0.25], [0, 1, 0, 0, 0.25], [0, 0, 1, 0, 0.25], [0, 0, 0, 1, 0.25]]
    assert spread.tolist() == [rows]


@given(codes_2d)
def test_every_column_of_a_one_hot_adds_up_to_one(codes: Codes) -> None:
    assert (one_hot(codes).sum(axis=1) == 1).all()


@given(codes_2d)
def test_the_other_strand_of_a_one_hot_is_the_one_hot_flipped_both_ways(codes: Codes) -> None:
    assert (one_hot(reverse_complement(codes)) == one_hot(codes)[:, ::-1, ::-1]).all()


@given(dna)
def test_the_other_strand_is_read_backwards_with_complements(sequence: str) -> None:
    expected = "".join(COMPLEMENT[letter] for letter in reversed(sequence))
    assert decode(reverse_complement(encode([sequence]))) == [expected]
    assert decode(reverse_complement(encode([sequence])[0])) == [expected]


@given(codes_2d)
def test_the_other_strand_of_the_other_strand_is_the_sequence(codes: Codes) -> None:
    before = codes.copy()
    assert (reverse_complement(reverse_complement(codes)) == codes).all()
    assert (codes == before).all()


def test_gc_content_leaves_n_out() -> None:
    measured = gc_content(encode(["GCAT", "GNNN", "ANNT", "NNNN"]))
    assert measured.dtype == np.float64
    np.testing.assert_array_equal(measured, [0.5, 1, 0, np.nan])


@given(codes_2d)
def test_gc_content_is_the_same_on_both_strands(codes: Codes) -> None:
    np.testing.assert_array_equal(gc_content(codes), gc_content(reverse_complement(codes)))


# Lengths


@pytest.mark.parametrize(
    ("sequence", "length", "fitted"),
    [
        ("AACCG", 3, "ACC"),  # odd to odd: as much on both sides
        ("ACGTAC", 4, "CGTA"),  # even to even, too
        ("AACCG", 2, "AC"),  # what is left over of an odd length is cut off its end
        ("AACC", 3, "ACC"),  # and of an even length off its start
        ("ACG", 5, "NACGN"),
        ("AC", 6, "NNACNN"),
        ("ACG", 4, "NACG"),  # padded just where it would be cut
        ("AC", 5, "NACNN"),
        ("ACGT", 4, "ACGT"),
        ("", 3, "NNN"),
        ("ACGT", 1, "G"),
    ],
)
def test_sequences_are_cut_around_their_middle_or_padded_on_both_sides(
    sequence: str, length: int, fitted: str
) -> None:
    assert decode(encode([sequence], length=length)) == [fitted]


@given(dna, st.integers(1, 60))
def test_a_fitted_sequence_has_the_length_and_its_middle_where_it_was(
    sequence: str, length: int
) -> None:
    (found,) = decode(encode([sequence], length=length))
    assert len(found) == length
    assert found[length // 2] == sequence[len(sequence) // 2]
    if length <= len(sequence):
        assert found in sequence
        assert found.count("N") <= sequence.count("N")
    else:
        assert found.count("N") == sequence.count("N") + length - len(sequence)
        left = len(found) // 2 - len(sequence) // 2
        right = length - len(sequence) - left
        assert abs(left - right) <= 1


@given(dna, st.integers(0, 30))
def test_padded_and_cut_back_a_sequence_is_as_it_was(sequence: str, more: int) -> None:
    codes = encode([sequence])[0].tobytes()
    assert fit_length(fit_length(codes, len(codes) + more), len(codes)) == codes


@given(dna, st.integers(1, 30), st.integers(1, 30))
def test_cut_twice_is_cut_once(sequence: str, one: int, other: int) -> None:
    codes = encode([sequence])[0].tobytes()
    large, small = max(one, other), min(one, other)
    if large <= len(codes):
        assert fit_length(fit_length(codes, large), small) == fit_length(codes, small)


@given(st.integers(0, 99), st.integers(1, 99), st.integers(1, 99))
def test_what_is_cut_out_of_a_peak_is_the_window_around_it(
    start: int, length: int, shorter: int
) -> None:
    genome = np.arange(300, dtype=np.int64).astype(np.uint8)
    if shorter <= length:
        peak = from_rows([("chr1", 100 + start, 100 + start + length)])
        ((_, begin, end),) = centred_windows(peak, shorter).rows()
        cut = fit_length(genome[100 + start : 100 + start + length].tobytes(), shorter)
        assert cut == genome[begin:end].tobytes()


@given(st.lists(dna, min_size=1, max_size=6), st.integers(1, 40))
def test_what_was_done_is_counted(sequences: list[str], length: int) -> None:
    lengths = list(map(len, sequences))
    cut, padded = sum(n > length for n in lengths), sum(n < length for n in lengths)
    line = describe_fit("p.fa", lengths, length)
    n = len(lengths)
    told = f"p.fa: {cut} of {n} sequences cut to {length} bp, {padded} padded with N"
    assert line == (told if cut or padded else "")


def test_counts_are_spelled_with_commas() -> None:
    assert describe_fit("p.fa", [500] * 3120 + [20] * 1040, 200, left_out=1040) == (
        "p.fa: 3,120 of 4,160 sequences cut to 200 bp, 1,040 padded with N; 1,040 left out, since"
        " mostly N"
    )


def test_a_sequence_is_mostly_n_from_more_than_half() -> None:
    assert mostly_n(encode(["NNAC", "NNNA", "NNNN", "ACGT"])).tolist() == [False, True, True, False]


@pytest.mark.parametrize("length", [0, -3])
def test_a_length_below_one_is_refused(length: int) -> None:
    message = rf"^length of {length} bp is not allowed; allowed are 1 or more$"
    with pytest.raises(SequenceError, match=message):
        encode(["ACGT"], length=length)
