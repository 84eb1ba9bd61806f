from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from enhancer_core import dna
from enhancer_core.architecture import Architecture, Convolution
from enhancer_core.errors import SequenceError
from enhancer_core.model import Network, one_hot
from enhancer_core.predict import BATCH, log_odds, probabilities, substituted_log_odds, track

SMALL = Architecture(convolutions=(Convolution(4, 5, 3),), dense=(6,), keep=0.5, length=40)


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
    found = probabilities(network, codes)
    np.testing.assert_allclose(found, one_by_one(network, codes), rtol=1e-5)
    assert found.std() > 0.01


def test_threads_do_not_change_a_bit(network: Network) -> None:
    codes = random_codes(5 * BATCH + 1, 40)
    assert np.array_equal(
        probabilities(network, codes, threads=1), probabilities(network, codes, threads=3)
    )


def test_no_sequences_give_no_probabilities(network: Network) -> None:
    assert probabilities(network, random_codes(0, 40)).shape == (0,)


def test_progress_adds_up_to_the_number_of_sequences(network: Network) -> None:
    done: list[int] = []
    probabilities(network, random_codes(BATCH + 10, 40), progress=done.append)
    assert sum(done) == BATCH + 10


def test_sequences_of_another_length_are_refused(network: Network) -> None:
    with pytest.raises(SequenceError, match="sequences of 41 bp; the model reads 40 bp"):
        probabilities(network, random_codes(2, 41))


def test_a_track_gives_each_bin_the_window_around_its_middle(network: Network) -> None:
    chromosome = random_codes(300)
    blocks = list(track(network, chromosome, start=100, end=133, step=10))
    starts = np.concatenate([starts for starts, _ in blocks])
    values = np.concatenate([values for _, values in blocks])
    assert starts.tolist() == [100, 110, 120, 130]
    # bin 100-110 has its middle at 105, and its window is 85-125; the last bin is 130-133
    windows = np.stack([chromosome[middle - 20 : middle + 20] for middle in (105, 115, 125, 131)])
    np.testing.assert_allclose(values, one_by_one(network, windows), rtol=1e-5)


def test_beyond_the_ends_of_a_chromosome_a_window_holds_n(network: Network) -> None:
    chromosome = random_codes(60)
    (found,) = track(network, chromosome, start=0, end=60, step=10)
    n = np.full(20, dna.N_CODE, dtype=np.uint8)
    padded = np.concatenate([n, chromosome, n])
    windows = np.stack([padded[start : start + 40] for start in range(5, 60, 10)])
    np.testing.assert_allclose(found[1], one_by_one(network, windows), rtol=1e-5)


def test_bins_whose_window_is_mostly_n_have_no_value(network: Network) -> None:
    chromosome = random_codes(200)
    chromosome[60:140] = dna.N_CODE
    (found,) = track(network, chromosome, start=0, end=200, step=10)
    # a window m-20 to m+20 has over 20 N of its 40 if its middle m is above 60 and below 140
    assert found[0].tolist() == [start for start in range(0, 200, 10) if not 60 < start + 5 < 140]


def test_a_long_track_in_blocks_equals_one_in_pieces(network: Network) -> None:
    chromosome = random_codes(9000)
    whole = list(track(network, chromosome, start=0, end=9000, step=2))
    assert len(whole) > 1
    pieces = [
        piece
        for start in range(0, 9000, 1000)
        for piece in track(network, chromosome, start=start, end=start + 1000, step=2)
    ]
    for column in (0, 1):
        np.testing.assert_allclose(
            np.concatenate([block[column] for block in whole]),
            np.concatenate([piece[column] for piece in pieces]),
            rtol=1e-5,
        )


def test_a_stretch_of_n_alone_gives_nothing(network: Network) -> None:
    chromosome = np.full(100, dna.N_CODE, dtype=np.uint8)
    assert list(track(network, chromosome, start=0, end=100, step=10)) == []


def test_changed_bases_give_what_the_changed_sequences_give(network: Network) -> None:
    codes = random_codes(3, 40)
    rows = np.repeat(np.arange(3), 40)
    positions = np.tile(np.arange(40), 3)
    bases = (codes[rows, positions] + 1) % 4
    changed = codes[rows]
    changed[np.arange(120), positions] = bases
    found = substituted_log_odds(network, codes, rows, positions, bases, threads=2)
    assert np.array_equal(found, log_odds(network, changed))
