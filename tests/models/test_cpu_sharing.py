"""Windows scanned together are the windows one by one, to the last bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from enhancer_core.dna.codes import N_CODE, Codes, encode
from enhancer_core.errors import SequenceError
from enhancer_core.models.architecture import (
    NETWORKS,
    Architecture,
    Convolution,
    named_architecture,
    shortest_length,
)
from enhancer_core.models.cpu.layout import plan
from enhancer_core.models.cpu.sharing import share
from enhancer_core.models.network import Network
from tests.models.test_architecture import sliding
from tests.predictors import predictor_of

layers = st.builds(Convolution, st.integers(1, 35), st.integers(1, 8), st.integers(1, 5))
architectures = st.builds(
    lambda convolutions, dense, chained, extra: (
        lambda architecture: replace(architecture, length=shortest_length(architecture) + extra)
    )(Architecture(convolutions=tuple(convolutions), dense=tuple(dense), chained=chained)),
    st.lists(layers, min_size=1, max_size=4),
    st.lists(st.integers(1, 40), max_size=3),
    st.booleans(),
    st.integers(0, 40),
)
architectures = st.one_of(architectures, sliding)


def network(architecture: Architecture, seed: int = 0) -> Network:
    return Network(architecture, generator=torch.Generator().manual_seed(seed)).eval()


def random_codes(length: int, seed: int = 0) -> Codes:
    return np.random.default_rng(seed).integers(0, 5, length, dtype=np.uint8)


def laid_out(codes: Codes, starts: NDArray[np.int64], length: int) -> Codes:
    return np.lib.stride_tricks.sliding_window_view(codes, length)[starts]


def test_logits_of_windows_are_those_worked_out_by_hand() -> None:
    architecture = Architecture(convolutions=(Convolution(1, 2, 2),), dense=(), length=5)
    made = network(architecture)
    with torch.no_grad():
        made.first_layer.weight.copy_(
            torch.tensor([[[1.0, 0.0], [0.0, 2.0], [0.0, 0.0], [0.0, 0.0]]])
        )
        made.first_layer.bias.fill_(-0.5)  # type: ignore[union-attr]
        made.output.weight.copy_(torch.tensor([[1.0, 0.0], [10.0, 100.0]]))
        made.output.bias.copy_(torch.tensor([0.25, 0.0]))
    # The filter reads AC as 3 and, on the other strand, GT as 3. Its scores along ACAGTTTA are
    # AC 3, CA 0, AG 1, GT 3, TT 1, TT 1, TA 1: the pools of the windows ACAGT, CAGTT, AGTTT and
    # GTTTA are 3 3, 1 3, 3 1 and 3 1, less the bias of 0.5.
    found = predictor_of(made).scanned_logits(encode(["ACAGTTTA"])[0], [0, 1, 2, 3])
    assert found.tolist() == [[2.75, 275.0], [0.75, 255.0], [2.75, 75.0], [2.75, 75.0]]


@settings(max_examples=60)
@given(
    architectures,
    st.integers(1, 60),
    st.integers(0, 30),
    st.lists(st.tuples(st.integers(0, 600), st.integers(1, 200)), max_size=3),
    st.integers(0, 2**32 - 1),
)
def test_windows_at_even_distances_have_the_logits_of_each_alone(
    architecture: Architecture, step: int, offset: int, runs: list[tuple[int, int]], seed: int
) -> None:
    codes = random_codes(offset + architecture.length + 600, seed)
    for start, size in runs:
        codes[start : start + size] = N_CODE
    starts = np.arange(offset, len(codes) - architecture.length + 1, step)
    predictor = predictor_of(network(architecture, seed))
    found = predictor.scanned_logits(codes, starts)
    assert np.array_equal(found, predictor.logits(laid_out(codes, starts, architecture.length)))


@settings(max_examples=60)
@given(architectures, st.lists(st.integers(0, 700), max_size=80), st.integers(0, 2**32 - 1))
def test_windows_anywhere_have_the_logits_of_each_alone(
    architecture: Architecture, places: list[int], seed: int
) -> None:
    codes, starts = (
        random_codes(architecture.length + 700, seed),
        np.sort(np.array(places, np.int64)),
    )
    predictor = predictor_of(network(architecture, seed))
    found = predictor.scanned_logits(codes, starts)
    assert np.array_equal(found, predictor.logits(laid_out(codes, starts, architecture.length)))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("step", [1, 7, 48, 50, 333, 1200])
def test_many_blocks_have_the_logits_of_each_window_alone(name: str, step: int) -> None:
    codes = random_codes(60_000)
    starts = np.arange(3, 59_500, step)
    some = np.random.default_rng(0).permutation(len(starts))[:300]
    predictor = predictor_of(network(named_architecture(name)))
    found = predictor.scanned_logits(codes, starts)[some]
    assert np.array_equal(found, predictor.logits(laid_out(codes, starts[some], 500)))


def test_windows_alone_have_the_logits_that_they_have_together() -> None:
    codes, starts = random_codes(9000), np.arange(0, 8500, 50)
    predictor = predictor_of(network(named_architecture("enhancer")))
    together = predictor.scanned_logits(codes, starts)
    apart = [predictor.scanned_logits(codes, starts[i : i + 1]) for i in range(len(starts))]
    assert together.tobytes() == np.concatenate(apart).tobytes()


@pytest.mark.parametrize(
    ("step", "shared", "fragments"),
    [
        # The pools are 3, 4 and 4. At a step of 50 windows begin at all 3 remainders modulo 3, but
        # at 6 of 12 and 24 of 48; at one of 48 at a single one; at 1200 they do not overlap.
        (50, 3, 3 + 6 + 24),
        (48, 3, 3),
        (1, 3, 3 + 12 + 48),
        (1200, 0, 0),
        # Convolution 2 scores 160 positions for a window, fewer than there are up to the next.
        (200, 1, 3),
    ],
)
def test_layers_are_shared_where_that_is_less_work(step: int, shared: int, fragments: int) -> None:
    laid = plan(named_architecture("enhancer"), sequences=48, training=False)
    found = share(laid, np.arange(0, 16_000, step))
    assert (found.layers, len(found.fragments)) == (shared, fragments)


@pytest.mark.parametrize(
    ("starts", "message"),
    [
        ([0, 5, 4], "starts of windows must ascend"),
        ([-1, 5], "window -1-499 is not inside the 600 bp"),
        ([0, 101], "window 101-601 is not inside the 600 bp"),
    ],
)
def test_windows_that_do_not_fit_are_refused(starts: list[int], message: str) -> None:
    predictor = predictor_of(network(named_architecture("enhancer")))
    with pytest.raises(SequenceError, match=message):
        predictor.scanned_logits(random_codes(600), starts)
    with pytest.raises(SequenceError, match=r"code 5 at \(7,\) is not a base"):
        predictor.scanned_logits(np.where(np.arange(600) == 7, 5, 0).astype(np.uint8), [0])
