"""Networks side by side are the networks one by one."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from enhancer_core.data.augmentation import augment
from enhancer_core.dna.codes import N_CODE, Codes
from enhancer_core.models.architecture import (
    NETWORKS,
    Architecture,
    Convolution,
    named_architecture,
)
from enhancer_core.models.cpu.learner import CpuLearner
from enhancer_core.models.gpu.batches import MiniBatches
from enhancer_core.models.gpu.fused import supports
from enhancer_core.models.gpu.layers import convolve, cut, logits
from enhancer_core.models.gpu.learner import Batch, GpuLearner
from enhancer_core.models.gpu.predictor import GpuPredictor
from enhancer_core.models.gpu.program import (
    Program,
    bytes_needed,
    restarts_per_group,
    shift_and_flip,
)
from enhancer_core.models.network import Network, one_hot
from enhancer_core.models.parameters import dropout_mask, shapes, tied_weights
from tests.models.test_architecture import architectures, sliding
from tests.predictors import predictor_of

SMALL = Architecture(
    convolutions=(Convolution(6, 7, 4), Convolution(5, 3, 2)), dense=(8,), dropout=0.5, length=60
)


def networks(architecture: Architecture, count: int, *, seed: int = 0) -> list[Network]:
    return [
        Network(architecture, generator=torch.Generator().manual_seed(seed + index)).eval()
        for index in range(count)
    ]


def flat(made: list[Network]) -> NDArray[np.float32]:
    return np.stack([each.flat_parameters() for each in made])


def random_codes(*shape: int, seed: int = 0) -> Codes:
    return np.random.default_rng(seed).integers(0, 5, shape, dtype=np.uint8)


@given(
    st.one_of(architectures, sliding),
    st.integers(1, 3),
    st.integers(0, 7),
    st.integers(0, 2**32 - 1),
)
def test_logits_and_slopes_are_those_of_each_network_alone(
    architecture: Architecture, count: int, more: int, seed: int
) -> None:
    architecture = replace(architecture, length=architecture.length + more)
    made = [each.double() for each in networks(architecture, count, seed=seed)]
    codes = torch.from_numpy(random_codes(count, 3, architecture.length, seed=seed))
    mask = torch.rand(count, 3, architecture.last_units, dtype=torch.float64)
    weights = [torch.cat([p.flatten() for p in each.state_dict().values()]) for each in made]
    parameters = torch.stack(weights).requires_grad_()
    found = logits(architecture, parameters, codes, mask=mask)
    (slopes,) = torch.autograd.grad(found.sin().sum(), parameters)
    for index, each in enumerate(made):
        alone = each(one_hot(codes[index]).double(), mask[index])
        torch.testing.assert_close(found[index], alone)
        pieces = torch.autograd.grad(
            alone.sin().sum(), list(each.parameters()), allow_unused=True, materialize_grads=True
        )
        # Where two places of a pool score the same, which of them slopes go to is free. N has
        # such places, and what the slopes sum to is the same.
        torch.testing.assert_close(slopes[index], torch.cat([p.flatten() for p in pieces]))


def visits(
    architecture: Architecture, counts: list[int], *, n: int, seed: int = 0
) -> list[MiniBatches | None]:
    """Make so many mini-batches for each network, of n rows of the first 40."""
    rng = np.random.default_rng(seed)

    def some(count: int) -> MiniBatches:
        rows = np.concatenate([rng.permutation(40)[:n] for _ in range(count)])
        mask = dropout_mask(architecture, n * count, rng=rng)
        return MiniBatches(batch=n, rates=np.full(count, 1e-3), rows=rows, mask=mask)

    return [some(count) if count else None for count in counts]


def program(
    count: int,
    *,
    architecture: Architecture = SMALL,
    stop_below_loss: float = 0.0,
    weight_decay: float = 0.0,
    average: float = 0.0,
) -> Program:
    learner = GpuLearner(
        architecture,
        flat(networks(architecture, count)),
        stop_below_loss=stop_below_loss,
        weight_decay=weight_decay,
        average=average,
    )
    labels = np.random.default_rng(1).integers(0, 2, 40)
    return Program(learner, random_codes(40, 60), labels, batch=12)


@pytest.mark.parametrize(
    ("small", "weight_decay", "average"),
    [
        (SMALL, 0, 0),
        (SMALL, 0.5, 0.6),
        (replace(SMALL, tied=True), 0.5, 0.6),
        (replace(SMALL, dense=(), tied=True), 0, 0),
    ],
)
def test_steps_are_those_of_the_compiled_engine_for_each_network_alone(
    small: Architecture, weight_decay: float, average: float
) -> None:
    codes, labels = random_codes(40, 60), np.random.default_rng(1).integers(0, 2, 40)
    together = program(3, architecture=small, weight_decay=weight_decay, average=average)
    architecture = visits(small, [10, 7, 0], n=10)
    together.run(together.stack(architecture))
    found = together.evaluate(np.zeros((3, 1), np.int64)).wait()
    assert found["steps"].tolist() == found["count"].tolist() == [10, 7, 0]
    for index, each in enumerate(architecture):
        first = networks(small, 3)[index].flat_parameters()
        alone = CpuLearner(small, first, weight_decay=weight_decay, average=average)
        losses = []
        for visit in each or ():
            rows = visit.rows
            losses.append(alone.step(codes[rows], labels[rows], rate=visit.rate, mask=visit.mask))
        assert found["sum"][index] == pytest.approx(sum(losses), rel=1e-4)
        for name, array in alone.state().items():
            np.testing.assert_allclose(found[name][index], array, rtol=1e-2, atol=1e-5)


def test_what_is_held_stays_to_the_bit_and_the_rest_moves() -> None:
    some = program(2, weight_decay=0.5)
    first = some.learner.parameters.detach().clone()
    held = np.random.default_rng(1).random(first.shape) < 0.5
    some.learner.freeze(held)
    some.run(some.stack(visits(SMALL, [5, 5], n=10)))
    still = some.learner.parameters.detach() == first
    assert still[torch.from_numpy(held)].all()
    assert still[torch.from_numpy(~held)].float().mean() < 0.1  # a unit never on has no slope
    some.learner.freeze(np.zeros_like(held))
    some.run(some.stack(visits(SMALL, [1, 0], n=10)))
    still = some.learner.parameters.detach() == first
    assert still[0, torch.from_numpy(held[0])].float().mean() < 0.1
    assert still[1, torch.from_numpy(held[1])].all()


def test_a_state_has_all_that_the_next_steps_need() -> None:
    whole, rest = (program(2, weight_decay=0.5, average=0.9) for _ in range(2))
    whole.run(whole.stack(visits(SMALL, [3, 2], n=10)))
    state = {name: each.detach().numpy() for name, each in whole.learner.state().items()}
    rest.learner.restore(state, steps=[3, 2])
    for each in (whole, rest):
        each.run(each.stack(visits(SMALL, [2, 2], n=10, seed=1)))
    for name, found in rest.learner.state().items():
        assert torch.equal(found, whole.learner.state()[name])


def test_a_network_learns_the_same_whoever_is_beside_it() -> None:
    architecture = visits(SMALL, [8, 8, 8, 8], n=10)
    together, alone = program(4), program(1)
    together.run(together.stack(architecture))
    alone.run(alone.stack(architecture[:1]))
    ours, theirs = (each.learner.parameters[0].detach() for each in (together, alone))
    torch.testing.assert_close(ours, theirs, rtol=1e-2, atol=1e-5)


def test_a_network_without_a_mini_batch_does_not_change_by_a_bit() -> None:
    some = program(2)
    some.run(some.stack(visits(SMALL, [3, 3], n=10)))
    names = ("parameters", "mean", "square", "steps")
    before = {name: getattr(some.learner, name)[1].clone() for name in names}
    some.run(some.stack(visits(SMALL, [5, 0], n=10)))
    for name in names:
        assert torch.equal(before[name], getattr(some.learner, name)[1])
    assert some.learner.steps.tolist() == [8, 3]


def test_a_low_loss_ends_a_network_after_that_step() -> None:
    some = program(2, stop_below_loss=10.0)
    some.run(some.stack(visits(SMALL, [4, 0], n=10)))
    found = some.evaluate(np.zeros((2, 1), np.int64)).wait()
    assert found["ended"].tolist() == [True, False]
    assert found["steps"].tolist() == found["count"].tolist() == [1, 0]


def test_a_look_gives_the_probabilities_of_each_network_and_starts_the_losses_anew() -> None:
    some = program(2)
    some.run(some.stack(visits(SMALL, [2, 2], n=10)))
    rows = np.random.default_rng(2).integers(0, 40, (2, 70))
    found = some.evaluate(rows).wait()
    for index in range(2):
        engine = GpuPredictor(SMALL, found["parameters"][index].astype(np.float32))
        odds = np.diff(engine.logits(random_codes(40, 60)[rows[index]]))[:, 0]
        np.testing.assert_allclose(found["probabilities"][index], 1 / (1 + np.exp(-odds)), 1e-5)
    assert not some.learner.losses.any()
    assert found["count"].tolist() == [2, 2]


def test_the_steps_sent_at_once_take_32_mib_at_most() -> None:
    some = program(2)
    one = some.stack(visits(SMALL, [1, 1], n=10))
    size = sum(getattr(one, field.name).nbytes for field in fields(one))
    assert some.most_steps == 2**25 // size


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_sequences_are_moved_and_turned_as_by_hand(seed: int, length: int) -> None:
    rng = np.random.default_rng(seed)
    codes = random_codes(5, length, seed=seed)
    moves, turned = rng.integers(-length - 1, length + 2, 5), rng.integers(0, 2, 5, dtype=bool)
    found = shift_and_flip(*map(torch.from_numpy, (codes, moves, turned))).numpy()
    for row, move, turn, ours in zip(codes, moves, turned, found, strict=True):
        architecture = [row[p + move] if 0 <= p + move < length else N_CODE for p in range(length)]
        if turn:
            architecture = [[3, 2, 1, 0, 4][base] for base in reversed(architecture)]
        assert ours.tolist() == architecture


def test_tied_weights_stay_the_same_at_all_positions() -> None:
    architecture = replace(SMALL, tied=True)
    where, shape = cast("tuple[slice, tuple[int, ...]]", tied_weights(architecture))
    some = program(2, architecture=architecture)
    first = some.learner.parameters.detach()[:, where].clone()
    some.run(some.stack(visits(architecture, [10, 10], n=10)))
    found = some.learner.parameters.detach()[:, where]
    assert (found != first).any(dim=1).all()
    each = found.view(-1, *shape)
    torch.testing.assert_close(each, each[..., :1].expand_as(each), rtol=1e-4, atol=1e-7)


def test_visits_that_move_turn_and_mutate_are_seen_so() -> None:
    codes, moves, turned = random_codes(40, 60), np.array([3, -2]), np.array([False, True])
    letters = random_codes(2, 60, seed=1)
    rows = np.array([5, 7])
    changed = augment(codes[rows], moves, turned, letters)
    learners = [GpuLearner(replace(SMALL, dropout=0), flat(networks(SMALL, 1))) for _ in range(2)]
    labels = np.array([0, 1] * 20)
    one = np.full(1, 1e-3)
    visit = MiniBatches(batch=2, rates=one, rows=rows, moves=moves, turned=turned, letters=letters)
    ours = Program(learners[0], codes, labels, batch=2, augmented=True, mutated=True)
    ours.run(ours.stack([visit]))
    theirs = Program(learners[1], changed, labels[rows], batch=2)
    theirs.run(theirs.stack([MiniBatches(batch=2, rates=one, rows=np.arange(2))]))
    assert torch.equal(learners[0].parameters, learners[1].parameters)


def test_half_precision_gives_nearly_the_same_loss_and_slopes() -> None:
    codes = torch.from_numpy(random_codes(2, 50, 60))
    labels, shares = torch.randint(0, 2, (2, 50)), torch.full((2, 50), 1 / 50)
    batch = Batch(codes=codes, labels=labels, shares=shares, rates=torch.zeros(2))
    made = [
        GpuLearner(SMALL, flat(networks(SMALL, 2)), dtype=d) for d in (torch.float32, torch.half)
    ]
    made.append(GpuLearner(SMALL, flat(networks(SMALL, 2)), dtype=torch.bfloat16))
    (loss, slopes), *halves = (each.loss_and_gradients(batch) for each in made)
    for half_loss, half_slopes in halves:
        torch.testing.assert_close(half_loss, loss, rtol=1e-2, atol=0)
        # Each of the numbers summed is rounded to 8 bits: 2 ** -9 of its size, three layers deep.
        assert (half_slopes - slopes).norm() < 0.1 * slopes.norm()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("step", [1, 7, 48, 50, 333, 1200])
def test_a_scan_gives_the_logits_of_the_engine(name: str, step: int) -> None:
    made = networks(named_architecture(name), 1)[0]
    codes, starts = random_codes(9000), np.arange(3, 8500, step)
    found = GpuPredictor(made.architecture, made.flat_parameters()).scanned_logits(codes, starts)
    architecture = predictor_of(made).scanned_logits(codes, starts)
    # Sums of at most 1,600 products in another order: some 1e-6 of the largest logit
    np.testing.assert_allclose(
        found, architecture, rtol=1e-4, atol=4e-6 * np.abs(architecture).max()
    )


@settings(max_examples=60)
@given(
    st.one_of(architectures, sliding),
    st.lists(st.integers(0, 700), max_size=80),
    st.integers(0, 7),
    st.integers(0, 99),
)
def test_windows_anywhere_have_the_logits_of_each_alone(
    architecture: Architecture, places: list[int], more: int, seed: int
) -> None:
    architecture = replace(architecture, length=architecture.length + more)
    codes, starts = random_codes(architecture.length + 700), np.sort(np.array(places, np.int64))
    made = networks(architecture, 1, seed=seed)[0]
    predictor = GpuPredictor(architecture, made.flat_parameters())
    windows = np.lib.stride_tricks.sliding_window_view(codes, architecture.length)[starts]
    found = predictor.scanned_logits(codes, starts)
    np.testing.assert_allclose(found, predictor.logits(windows), rtol=1e-4, atol=2e-6)
    np.testing.assert_allclose(found, predictor_of(made).logits(windows), rtol=1e-4, atol=2e-6)


def test_sequences_that_may_not_be_written_to_are_read() -> None:
    made, codes = networks(SMALL, 1)[0], random_codes(3, 60)
    codes.flags.writeable = False
    predictor = GpuPredictor(SMALL, made.flat_parameters())
    assert predictor.logits(codes).shape == (3, 2)
    assert predictor.scanned_logits(codes[0], [0]).shape == (1, 2)


def test_restarts_fall_into_even_groups_that_fit() -> None:
    architecture = NETWORKS["enhancer"]
    each = bytes_needed(architecture, batch=50, half=False)
    sizes = [
        restarts_per_group(architecture, 50, batch=50, free=free, half=False)
        for free in (0, each * 20, 1 << 40)
    ]
    # 16 fit in 80 % of 20 times what one needs, which is four groups, which are 13 at most
    assert sizes == [1, 13, 50]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_a_step_keeps_is_less_than_it_is_said_to_need(name: str, dtype: torch.dtype) -> None:
    architecture = NETWORKS[name]
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    learner = GpuLearner(architecture, flat(networks(architecture, 2)), dtype=dtype)
    shares, labels = torch.full((2, 5), 0.2), torch.zeros(2, 5, dtype=torch.int64)
    codes = torch.from_numpy(random_codes(2, 5, 500))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        learner.loss_and_gradients(
            Batch(codes=codes, labels=labels, shares=shares, rates=torch.zeros(2))
        )
    need = 2 * bytes_needed(architecture, batch=5, half=dtype == torch.bfloat16)
    assert sum(kept.values()) < need
    parameters = sum(int(np.prod(shape)) for shape in shapes(architecture).values())
    assert need < 8 * (sum(kept.values()) + 12 * 4 * 2 * parameters)  # nor several times as much


needs_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


@pytest.mark.gpu
@needs_a_gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_recorded_steps_are_the_steps_one_by_one(dtype: torch.dtype) -> None:
    codes, labels = random_codes(40, 60), np.random.default_rng(1).integers(0, 2, 40)
    learned = []
    for recorded in (False, True):
        learner = GpuLearner(
            SMALL, flat(networks(SMALL, 3)), device="cuda", dtype=dtype, average=0.9
        )
        some = Program(learner, codes, labels, batch=12, augmented=True, recorded=recorded)
        for seed in range(3):
            some.run(some.stack(visits(SMALL, [9, 5, 0], n=10, seed=seed)))
        learned.append(some.evaluate(np.zeros((3, 1), np.int64)).wait())
    for name, array in learned[0].items():
        np.testing.assert_allclose(array, learned[1][name], rtol=1e-5, atol=1e-7)
    assert learned[1]["steps"].tolist() == [27, 15, 0]


@pytest.mark.gpu
@needs_a_gpu
@pytest.mark.parametrize("name", NETWORKS)
def test_a_gpu_predicts_and_scans_as_the_engine_does(name: str) -> None:
    made = networks(named_architecture(name), 1)[0]
    codes, starts = random_codes(9000), np.arange(3, 8500, 50)
    architecture = predictor_of(made).scanned_logits(codes, starts)
    on_gpu = GpuPredictor(made.architecture, made.flat_parameters(), device="cuda")
    windows = np.lib.stride_tricks.sliding_window_view(codes, 500)[starts]
    for found in on_gpu.scanned_logits(codes, starts), on_gpu.logits(windows):
        np.testing.assert_allclose(
            found, architecture, rtol=1e-4, atol=4e-6 * np.abs(architecture).max()
        )


@pytest.mark.gpu
@needs_a_gpu
@pytest.mark.parametrize("name", NETWORKS)
# Rounded to 8 bits, scores of two places are often the same, of which one is chosen by rounding
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.bfloat16, 0.2)])
def test_a_gpu_computes_the_convolutions(name: str, dtype: torch.dtype, bound: float) -> None:
    architecture = NETWORKS[name]
    half, cuda = dtype == torch.bfloat16, torch.device("cuda")
    assert all(supports(layer, cuda, dtype) == half for layer in architecture.convolutions)
    codes = torch.from_numpy(random_codes(3, 50, 500))
    parameters = torch.from_numpy(flat(networks(architecture, 3)))
    found = []
    for device, kind in (("cpu", torch.float64), ("cuda", dtype)):
        given = parameters.to(device, torch.promote_types(kind, torch.float32)).requires_grad_()
        made = convolve(
            architecture, cut(architecture, given), codes.to(device), dtype=kind
        ).double()
        (slopes,) = torch.autograd.grad((made.sin() * made).sum(), given)
        found.append((made.detach().cpu(), slopes.double().cpu()))
    (theirs, their_slopes), (ours, our_slopes) = found
    assert (ours - theirs).norm() < min(bound, 1e-2) * theirs.norm()
    assert (our_slopes - their_slopes).norm() < bound * their_slopes.norm()
