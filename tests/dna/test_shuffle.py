"""k-shuffles: every count kept, every arrangement as likely, and the same bytes for any threads."""

from __future__ import annotations

import gzip
import math
import random
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise, permutations, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chisquare, ks_2samp

from enhancer_core.dna import euler, klets
from enhancer_core.dna.codes import decode, encode
from enhancer_core.dna.shuffle import k_shuffle, k_shuffle_ragged
from enhancer_core.errors import SequenceError

# Every random check here allows a deviation that chance alone exceeds once in a million.
CHANCE = 1e-6
SIGMAS = 4.9

dna = st.text("ACGT", min_size=1, max_size=80)
dna_with_n = st.text("ACGT" * 5 + "N", min_size=1, max_size=80)
seeds = st.integers(0, 2**32 - 1)


# Oracles, in plain Python


def lets(sequence: str, k: int) -> Counter[str]:
    return Counter(sequence[i : i + k] for i in range(len(sequence) - k + 1))


def arrangements(sequence: str, k: int) -> Iterator[str]:
    """Spell every sequence with the same start and the same k-lets, letter by letter."""
    left = lets(sequence, k)

    def extend(start: str) -> Iterator[str]:
        if len(start) == len(sequence):
            yield start
        for letter in "ACGT":
            added = (start + letter)[len(start) + 1 - k :]
            if left[added]:
                left[added] -= 1
                yield from extend(start + letter)
                left[added] += 1

    return extend(sequence[: k - 1])


def log_number_of_arrangements(sequence: str, k: int) -> float:
    """Count by the BEST theorem: trees into the end, times orders of the other edges.

    Equal edges are exchangeable, so each arrangement is counted once for each of their orders.
    """
    words = [sequence[i : i + k - 1] for i in range(len(sequence) - k + 2)]
    index = {word: i for i, word in enumerate(dict.fromkeys(words))}
    edges = Counter(pairwise(words))
    laplacian = np.zeros((len(index), len(index)))
    for (source, target), count in edges.items():
        laplacian[index[source], index[source]] += count
        laplacian[index[source], index[target]] -= count
    end = index[words[-1]]
    inner = np.delete(np.delete(laplacian, end, 0), end, 1)
    left = Counter(words[:-1])
    orders = sum(math.lgamma(left[word] + (word == words[-1])) for word in left)
    repeats = sum(math.lgamma(count + 1) for count in edges.values())
    return float(np.linalg.slogdet(inner).logabsdet) + orders - repeats


def textbook_shuffle(sequence: str, k: int, chance: random.Random) -> str:
    """Altschul and Erickson (1985): try last edges until they make a tree."""
    words = [sequence[i : i + k - 1] for i in range(len(sequence) - k + 2)]
    following: dict[str, list[str]] = {}
    for word, after in pairwise(words):
        following.setdefault(word, []).append(after)
    while True:
        for nexts in following.values():
            chance.shuffle(nexts)
        last = {word: nexts[-1] for word, nexts in following.items() if word != words[-1]}
        if all(reaches(word, words[-1], last) for word in last):
            break
    word, spelled = words[0], words[0]
    places = {word: iter(nexts) for word, nexts in following.items()}
    for _ in words[1:]:
        word = next(places[word])
        spelled += word[-1]
    return spelled


def reaches(word: str, end: str, last: dict[str, str]) -> bool:
    for _ in last:
        word = last.get(word, word)
    return word == end


def shuffled(sequence: str, k: int, *, n: int = 1, seed: int = 0) -> list[str]:
    codes = np.tile(encode([sequence]), (n, 1))
    return decode(k_shuffle(codes, k=k, rng=np.random.default_rng(seed)))


@pytest.fixture(scope="module")
def enhancers(real_data: Path) -> list[str]:
    """The first 300 human liver enhancers, of 500 bp."""
    with gzip.open(real_data / "human_liver_h3k27ac" / "enhancers.fa.gz", "rt") as lines:
        return [line.strip().upper() for line in lines if not line.startswith(">")][:300]


@pytest.mark.parametrize("sequence", ["ACGTACG", "AACCAAC", "ACACACA", "AAAAA", "ACCA", "GATTACA"])
def test_the_oracle_lists_what_has_the_same_counts_of_k_lets_and_shorter_words(
    sequence: str,
) -> None:
    for k in range(1, len(sequence) + 1):
        same = {
            "".join(letters)
            for letters in set(permutations(sequence))
            if all(lets("".join(letters), j) == lets(sequence, j) for j in range(1, k + 1))
        }
        assert set(arrangements(sequence, k)) == same
        if k > 1:
            assert math.exp(log_number_of_arrangements(sequence, k)) == pytest.approx(len(same))


# Counts


@given(dna, st.data(), seeds)
def test_k_shuffle_keeps_every_k_let_count(sequence: str, data: st.DataObject, seed: int) -> None:
    k = data.draw(st.integers(1, len(sequence)))
    (result,) = shuffled(sequence, k, seed=seed)
    for j in range(1, k + 1):
        assert lets(result, j) == lets(sequence, j)
    assert result[: k - 1] == sequence[: k - 1]
    assert result[len(result) - k + 1 :] == sequence[len(sequence) - k + 1 :]


@given(dna_with_n, st.data(), seeds)
def test_n_stays_in_place_and_the_k_lets_with_n_are_kept_too(
    sequence: str, data: st.DataObject, seed: int
) -> None:
    k = data.draw(st.integers(1, len(sequence)))
    (result,) = shuffled(sequence, k, seed=seed)
    assert lets(result, k) == lets(sequence, k)
    for before, after in zip(sequence.split("N"), result.split("N"), strict=True):
        assert len(before) == len(after)
        assert lets(before, k) == lets(after, k)
        assert len(before) > k or before == after


@pytest.mark.parametrize("k", [*range(1, 10), 12, 20, 40])
def test_k_let_counts_of_real_dna_are_kept(enhancers: list[str], k: int) -> None:
    results = decode(k_shuffle(encode(enhancers), k=k, rng=np.random.default_rng(k)))
    for before, after in zip(enhancers, results, strict=True):
        assert lets(before, k) == lets(after, k)
    assert k > 7 or all(before != after for before, after in zip(enhancers, results, strict=True))


@pytest.mark.parametrize(("length", "k"), [(1_000_000, 12), (70_000, 1), (70_000, 2), (70_000, 6)])
def test_long_sequences_keep_their_counts(length: int, k: int, rng: np.random.Generator) -> None:
    codes = rng.integers(0, 4, (1, length), dtype=np.uint8)
    result = k_shuffle(codes, k=k, rng=rng)
    assert not np.array_equal(result, codes)
    before, after = (
        np.sort(sum(row[i : length - k + 1 + i].astype(np.int64) << 2 * i for i in range(k)))
        for row in (codes[0], result[0])
    )
    assert np.array_equal(before, after)


def test_a_word_of_more_letters_than_a_machine_word_holds_is_still_one_vertex() -> None:
    chance = random.Random(0)
    repeat = "".join(chance.choices("ACGT", k=60))
    between = ["".join(chance.choices("ACGT", k=n)) for n in (25_000, 30_000, 45_000)]
    sequence = repeat.join(["", *between, ""])
    orders = {repeat.join(["", *order, ""]) for order in permutations(between)}
    for k in (32, 33, 40, 61):
        assert set(shuffled(sequence, k, n=90)) == orders  # 6 * (5 / 6) ** 90 < CHANCE
    assert set(shuffled(sequence, 62, n=2)) == {sequence}


@pytest.mark.parametrize("sequence", ["A", "ACGT", "AAAAAAAA", "ACACACAC", "ANNNC", "NNNN"])
def test_what_has_one_arrangement_stays(sequence: str) -> None:
    for k in range(2, len(sequence) + 1):
        assert shuffled(sequence, k) == [sequence]


# Chances


CASES = [
    ("AC", 1),
    ("AACAGATA", 1),
    ("AACGT", 1),
    ("AAAAACCCCC", 1),
    # Peers reach 48 of the 624, 6 of the 36, 54 of the 108 and 3 of the 63 of the next four.
    ("ACGTACAGTCATGAC", 2),
    ("ACCGTTACGACTA", 2),  # starts and ends in A
    ("AACCGGTTAACCGGTA", 2),  # A again, and a loop at each letter
    ("ACTGACTGACCAGT", 2),
    ("GCAGTGCTA", 2),  # A is left once and is the end, so that CA or TA may be last
    ("ACACACAGAGAGATAT", 2),  # every other letter is A: parallel edges
    ("AAAACAAAGAAAT", 2),
    ("AAAACAAAGAAAT", 3),  # AA has a loop, and is left six times
    ("AACGAACTAACGTAACTG", 3),
    ("AACAAAGAACAATAAC", 3),
    ("ACGACTACGTACA", 3),
    ("AACAACGAACAACTAACAACG", 4),
    ("AAACAAAGAAACAAATAAAC", 4),
    ("ACGTTACGTGACGTCACGTA", 5),  # four visits of ACGT, none of a word that is left once
]


@pytest.mark.parametrize(("sequence", "k"), CASES)
def test_every_arrangement_is_equally_likely(sequence: str, k: int) -> None:
    expected = list(arrangements(sequence, k))
    assert len(expected) > 1
    counts = Counter(shuffled(sequence, k, n=50 * len(expected), seed=k))
    assert counts.keys() <= set(expected)
    assert chisquare([counts[word] for word in expected]).pvalue > CHANCE


def test_runs_between_n_are_shuffled_apart_and_independently() -> None:
    runs = ["ACCGTTACGACTA", "", "AAC", "TCTGTATC", "G"]
    expected = ["N".join(choice) for choice in product(*(list(arrangements(r, 2)) for r in runs))]
    assert len(expected) == 36 * 6
    counts = Counter(shuffled("N".join(runs), 2, n=50 * len(expected)))
    assert counts.keys() <= set(expected)
    assert chisquare([counts[word] for word in expected]).pvalue > CHANCE


def test_sequences_are_shuffled_independently_of_their_neighbours() -> None:
    expected = list(arrangements("ACGACTACGTACA", 3))
    counts = Counter(pairwise(shuffled("ACGACTACGTACA", 3, n=50 * len(expected) ** 2)))
    pairs = [counts[first, second] for first, second in product(expected, expected)]
    assert len(pairs) == 36
    assert chisquare(pairs).pvalue > CHANCE


@pytest.mark.parametrize("k", [2, 3])
def test_shuffles_of_longer_dna_look_like_the_textbook_s(k: int) -> None:
    chance = random.Random(k)
    sequence = "".join(chance.choices("ACGT", [4, 3, 2, 1], k=200))

    def kept(results: list[str]) -> list[int]:
        return [sum(a == b for a, b in zip(sequence, result, strict=True)) for result in results]

    textbook = [textbook_shuffle(sequence, k, chance) for _ in range(400)]
    assert ks_2samp(kept(textbook), kept(shuffled(sequence, k, n=4000))).pvalue > CHANCE


@pytest.mark.parametrize("k", [8, 9, 10])
def test_real_dna_stays_as_it_is_as_often_as_its_number_of_arrangements_says(
    enhancers: list[str], k: int
) -> None:
    enhancers, times = enhancers[:40], 100
    chances = np.exp([-log_number_of_arrangements(sequence, k) for sequence in enhancers])
    codes = np.repeat(encode(enhancers), times, axis=0)
    stayed = (k_shuffle(codes, k=k, rng=np.random.default_rng(k)) == codes).all(axis=1)
    assert stayed.reshape(-1, times)[np.isclose(chances, 1)].all()
    deviation = math.sqrt(times * (chances * (1 - chances)).sum())
    assert abs(stayed.sum() - times * chances.sum()) < SIGMAS * deviation


def test_draws_below_a_large_bound_are_not_biased() -> None:
    # Of 2**32 numbers scaled to 3 * 2**29 without rejection, multiples of 3 get 3 in 8.
    state, drawn = np.uint64(0), []
    for _ in range(10_000):
        state, number = euler._draw(np.uint64(state), np.uint64(7), np.uint64(7 + 3 * 2**29))
        drawn.append(int(number) - 7)
    assert 0 <= min(drawn) < max(drawn) < 3 * 2**29
    assert chisquare(np.bincount(np.array(drawn) % 3)).pvalue > CHANCE


def redrawn(chances: NDArray[np.uint64], words: list[int], *, state: int) -> NDArray[np.uint64]:
    """Return what `_redraw_rejected` makes of draws for steps that leave words, one list each."""
    steps, work = len(words), klets.make_workspace(len(words), 1)
    sizes = np.bincount(words)
    work.words[:steps], work.chances[:steps] = words, chances
    work.first[: len(sizes) + 1] = np.concatenate([[0], np.cumsum(sizes)])
    euler._redraw_rejected(steps, len(sizes), np.uint64(state), work)
    return work.chances[:steps].copy()


def test_only_draws_that_are_rejected_are_drawn_again() -> None:
    # Step i, counted from the end, draws one of `size` places; 0 is rejected unless size divides
    # 2**32, and a product of 2**32 % size is the least that is not.
    words = [0] * 7 + [1] * 3
    sizes = np.array([7, 6, 5, 4, 3, 2, 1, 3, 2, 1])
    again = redrawn(np.zeros(10, np.uint64), words, state=0)
    assert ((again != 0) == ((1 << 32) % sizes != 0)).all()
    assert (again * sizes.astype(np.uint64) % (1 << 32) >= (1 << 32) % sizes).all()
    assert len(set(again[again != 0].tolist())) == 5  # of 7, 6, 5, 3 and 3 places: all differ
    fair = np.full(10, 1 << 31, np.uint64)  # an odd size's rest is 2**31, an even one's 0
    fair[sizes % 2 == 0] += np.uint64(1 << 20)
    assert np.array_equal(redrawn(fair, words, state=0), fair)


@pytest.mark.parametrize(
    ("sequence", "k"), [("AACGT", 1), ("ACCGTTACGACTA", 2), ("AACGAACTAACGT", 3)]
)
def test_arrangements_are_equally_likely_where_every_draw_had_to_be_drawn_again(
    sequence: str, k: int
) -> None:
    # As `_prepare` does; that the draws before are rejected is what a long run has by chance.
    expected = list(arrangements(sequence, k))
    counts: Counter[str] = Counter()
    work = klets.make_workspace(len(sequence), k)
    for seed in range(200 * len(expected)):
        run = encode([sequence])[0]
        state = np.uint64(seed * 0x9E3779B97F4A7C15 * 1001 % 2**64)
        steps, count = klets.spell(run, k - 1, work)
        root = work.words[steps]
        euler._begin_lists(count, root, work)
        work.chances[:steps] = 0
        at, fair = euler._list_segments(run, steps, count, work)
        assert not fair
        state = np.uint64(euler._redraw_rejected(steps, count, state, work))
        # Sizes that divide 2**32 reject nothing: these draws are made as at first.
        kept = np.flatnonzero(work.chances[:steps] == 0)
        fresh = work.chances[:steps].copy()
        state = np.uint64(euler._fill_chances(steps, state, work))
        fresh[kept] = work.chances[kept]
        work.chances[:steps] = fresh
        at, _ = euler._list_segments(run, steps, count, work)
        euler._grow_tree(count, root, state, work)
        work.heads[:count] = work.segments[work.first[:count]]
        fork, place = work.words[at], np.uint64(at + k - 1)
        while place < len(run):
            fork, place = euler._follow(run, np.uint64(fork), np.uint64(place), work)
        counts.update(decode(run[np.newaxis]))
    assert counts.keys() <= set(expected)
    assert chisquare([counts[word] for word in expected]).pvalue > CHANCE


def low_complexity(kind: str, length: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(1)
    if kind == "random":
        return rng.integers(0, 4, length, dtype=np.uint8)
    if kind == "mixed":  # repeats of 1 to 40 bp between unique DNA, each of thousands of letters
        units = [rng.integers(0, 4, rng.integers(1, 40), dtype=np.uint8) for _ in range(40)]
        pieces = [np.resize(unit, 12_000) for unit in units]
        pieces += [rng.integers(0, 4, 12_000, dtype=np.uint8) for _ in range(40)]
        order = rng.permutation(len(pieces))
        return np.resize(np.concatenate([pieces[i] for i in order]), length)
    return np.resize(encode([kind])[0], length)


@pytest.mark.parametrize("kind", ["random", "AT", "A", "mixed"])
@pytest.mark.parametrize("k", [1, 2, 4, 9])
def test_runs_of_a_million_letters_come_to_an_end_with_their_counts(kind: str, k: int) -> None:
    # At any of these the first draw of some step is rejected: all but surely from 200,000 letters
    # in one list on.
    codes = low_complexity(kind, 1_500_000)[np.newaxis]
    result = k_shuffle(codes, k=k, rng=np.random.default_rng(k))
    before, after = (
        np.bincount(sum(row[i : row.size - k + 1 + i].astype(np.int64) << 2 * i for i in range(k)))
        for row in (codes[0], result[0])
    )
    assert np.array_equal(before, after)
    assert kind in ("A", "AT") or not np.array_equal(result, codes)


@pytest.mark.parametrize("end", ["C", "GA", "TTC"])
def test_a_homopolymer_that_one_step_leaves_comes_to_an_end(end: str) -> None:
    codes = encode(["A" * 600_000 + end])
    for k in (2, 4):
        result = k_shuffle(codes, k=k, rng=np.random.default_rng(k))
        assert np.bincount(result[0]).tolist() == np.bincount(codes[0]).tolist()


# The same bytes


def test_a_seed_gives_these_shuffles_in_every_release() -> None:
    sequence = "ACGTACAGTCATGACNTTGACCATAGA"
    assert {k: shuffled(sequence, k, seed=1)[0] for k in (1, 2, 3)} == {
        1: "ACGCTGGATACAATCNGATACCTAAGT",
        2: "AGACGTGTATCACACNTTATGACCAGA",
        3: "ACAGTCATGACGTACNTTGACCATAGA",
    }


def test_a_long_run_gives_the_same_bytes_beside_others_for_any_threads() -> None:
    codes = np.random.default_rng(2).integers(0, 4, 1_501_000, dtype=np.uint8)
    lengths = [400, 1_500_000, 600]
    alone, beside = (
        k_shuffle_ragged(codes, lengths, k=2, rng=np.random.default_rng(0), threads=threads)
        for threads in (1, 3)
    )
    assert alone.tobytes() == beside.tobytes()


def test_a_seed_stands_for_its_generator_and_0_for_none() -> None:
    codes = encode(["ACGTACAGTCATGACNTTGACCATAGA"])
    drawn = {s: k_shuffle(codes, k=2, rng=np.random.default_rng(s)).tolist() for s in (0, 1)}
    assert k_shuffle(codes, k=2, rng=1).tolist() == drawn[1]
    assert k_shuffle(codes, k=2).tolist() == drawn[0] != drawn[1]


@given(st.lists(dna_with_n, min_size=1, max_size=12), st.integers(1, 4), seeds, st.data())
def test_neither_threads_nor_chunks_change_a_shuffle(
    sequences: list[str], k: int, seed: int, data: st.DataObject
) -> None:
    sequences = [sequence.ljust(k, "A") for sequence in sequences]
    cut = data.draw(st.integers(0, len(sequences)))
    threads = data.draw(st.integers(2, 5))

    def shuffle_together(*chunks: list[str], threads: int = 1) -> bytes:
        rng = np.random.default_rng(seed)
        return b"".join(
            k_shuffle_ragged(
                encode(["".join(chunk)])[0], list(map(len, chunk)), k=k, rng=rng, threads=threads
            ).tobytes()
            for chunk in chunks
            if chunk
        )

    whole = shuffle_together(sequences)
    assert shuffle_together(sequences, threads=threads) == whole
    assert shuffle_together(sequences[:cut], sequences[cut:]) == whole
    assert shuffle_together(*([sequence] for sequence in sequences)) == whole


def test_sequences_of_one_length_are_shuffled_as_those_of_mixed_ones(
    rng: np.random.Generator,
) -> None:
    codes = rng.integers(0, 5, (40, 30), dtype=np.uint8)
    rows = k_shuffle(codes, k=1, rng=np.random.default_rng(5), threads=2)
    flat = k_shuffle_ragged(codes.ravel(), [30] * 40, k=1, rng=np.random.default_rng(5))
    assert rows.tobytes() == flat.tobytes()
    assert rows.dtype == np.uint8
    assert rows.shape == codes.shape


def test_the_input_is_left_as_it_was_and_may_be_read_only_or_strided(
    rng: np.random.Generator,
) -> None:
    codes = rng.integers(0, 4, (30, 20), dtype=np.uint8)
    before = codes.copy()
    codes.setflags(write=False)
    for view in (codes, codes[:, ::-1], codes.T, codes[::3, 2:]):
        result = k_shuffle(view, k=2, rng=np.random.default_rng(0))
        assert (
            result.tobytes() == k_shuffle(view.copy(), k=2, rng=np.random.default_rng(0)).tobytes()
        )
        assert not np.array_equal(result, view)
    assert np.array_equal(codes, before)


def test_no_sequences_are_no_error(rng: np.random.Generator) -> None:
    assert k_shuffle(np.empty((0, 500), np.uint8), k=4, rng=rng).shape == (0, 500)


# Errors


@pytest.mark.parametrize("k", [0, -3])
def test_k_below_1_is_refused(k: int, rng: np.random.Generator) -> None:
    with pytest.raises(SequenceError, match=rf"^k of {k} is not allowed; allowed are 1 to the sho"):
        k_shuffle(encode(["ACGT"]), k=k, rng=rng)


def test_k_above_a_length_is_refused_with_the_sequence(rng: np.random.Generator) -> None:
    with pytest.raises(SequenceError, match=r"^sequence 2: k of 4 is not allowed for 3 bp; allow"):
        k_shuffle_ragged(encode(["ACGTACGTACGACGT"])[0], [4, 4, 3, 4], k=4, rng=rng)
    with pytest.raises(SequenceError, match=r"^sequence 0: k of 5 is not allowed for 4 bp; allow"):
        k_shuffle(encode(["ACGT"]), k=5, rng=rng)


def test_a_code_that_is_no_base_is_refused_with_its_place(rng: np.random.Generator) -> None:
    codes = encode(["ACGTN", "ACGTA", "ACGTC"])
    codes[1, 3] = 7
    with pytest.raises(SequenceError, match=r"^sequence 1: code 7 at 3 is not a base; allowed are"):
        k_shuffle(codes, k=2, rng=rng)


def test_lengths_that_do_not_add_up_are_refused(rng: np.random.Generator) -> None:
    with pytest.raises(SequenceError, match=r"^8 codes for lengths that sum to 7; both must be th"):
        k_shuffle_ragged(encode(["ACGTACGT"])[0], [4, 3], k=2, rng=rng)


def test_a_sequence_too_long_for_its_positions_is_refused(rng: np.random.Generator) -> None:
    with pytest.raises(SequenceError, match=r"^sequence 1: 2147483648 bp are too many; allowed ar"):
        k_shuffle_ragged(encode(["ACGT"])[0], [4, 2**31], k=2, rng=rng)
