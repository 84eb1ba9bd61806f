"""K-mer weights: the log odds of all words of a sequence, the same bits however they are summed."""

from __future__ import annotations

from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from enhancer_core.dna.codes import N_CODE, Codes, encode, reverse_complement
from enhancer_core.dna.kmers import k_mer_names
from enhancer_core.errors import ModelFileError, SequenceError
from enhancer_core.io.outputs import MODEL_FILE
from enhancer_core.io.safetensors import write_arrays
from enhancer_core.models.architecture import Architecture, Convolution, KmerWeights
from enhancer_core.models.calibration import Platt, calibrated
from enhancer_core.models.cpu.kmer_predictor import CpuKmerPredictor
from enhancer_core.models.ensemble import Predictor
from enhancer_core.models.gpu.kmer_predictor import GpuKmerPredictor
from enhancer_core.models.kmer_table import k_mer_table
from enhancer_core.models.model import Model, load_model
from enhancer_core.models.network import Network, one_hot
from enhancer_core.models.parameters import KmerMember, Member, shapes
from enhancer_core.prediction.sequences import log_odds
from tests.models.test_model_file import our_header

OPPOSITE = str.maketrans("ACGT", "TGCA")
NETWORK = Architecture(convolutions=(Convolution(3, 4, 2),), dense=(3,), length=12)

# k, the length of windows, the sequences' own, and a seed
sizes = st.tuples(st.integers(1, 6), st.integers(0, 20), st.integers(0, 40)).map(
    lambda drawn: (drawn[0], drawn[0] + drawn[1], drawn[0] + drawn[1] + drawn[2])
)
seeds = st.integers(0, 2**32 - 1)


def member(k: int, length: int, *, seed: int = 0, scale: float = 0.3) -> KmerMember:
    """Draw weights, some of them far smaller than others."""
    rng = np.random.default_rng(seed)
    made = KmerWeights(k=k, length=length)
    (count,) = shapes(made)["output.weight"]
    weights = rng.normal(0, scale, count) * 10.0 ** rng.integers(-4, 1, count)
    return KmerMember(made, np.append(weights, rng.normal(0, 1, 2)).astype(np.float32))


def random_codes(n: int, length: int, *, seed: int) -> Codes:
    """Draw sequences of which about one in two has an N."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (n, length), dtype=np.uint8)
    codes[rng.random(codes.shape) < 0.7 / length] = N_CODE
    return codes


def exact_logits(made: KmerMember, codes: Codes) -> NDArray[np.float64]:
    """Add up the words of each sequence in Python."""
    k = made.architecture.k
    weights = made.weights()
    by_word = dict(zip(k_mer_names(k), weights["output.weight"].tolist(), strict=True))
    logits = []
    for row in codes:
        sequence = "".join("ACGTN"[code] for code in row)
        words = [sequence[p : p + k] for p in range(len(sequence) - k + 1)]
        odds = sum(
            by_word[min(word, word[::-1].translate(OPPOSITE))] for word in words if "N" not in word
        )
        logits.append([-odds / 2, odds / 2])
    return np.array(logits) + weights["output.bias"].astype(np.float64)


def predictors(made: KmerMember) -> list[Predictor]:
    return [CpuKmerPredictor(made), GpuKmerPredictor(made)]


def test_logits_are_those_worked_out_by_hand() -> None:
    weights = dict.fromkeys(k_mer_names(2), 0.0) | {"AC": 3.0, "CA": -1.0, "TA": 8.0}
    values = [*weights.values(), -0.25, 0.5]
    made = KmerMember(KmerWeights(k=2, length=5), np.array(values, np.float32))
    # ACACA: AC CA AC CA.  TGTGT is its reverse complement.  AGTAN: AC as GT, TA; AN counts nothing.
    for predictor in predictors(made):
        logits = predictor.logits(encode(["ACACA", "TGTGT", "AGTAN", "NNNNN", "GGGGG"]))
        assert logits.tolist() == [
            [-2.25, 2.5], [-2.25, 2.5], [-5.75, 6.0], [-0.25, 0.5], [-0.25, 0.5],
        ]  # fmt: skip


@given(sizes, seeds)
def test_logits_are_the_bias_and_the_words_of_all_positions(
    size: tuple[int, int, int], seed: int
) -> None:
    k, length, _ = size
    made, codes = member(k, length, seed=seed), random_codes(5, length, seed=seed)
    for predictor in predictors(made):
        logits = predictor.logits(codes)
        assert logits.dtype == np.float32
        np.testing.assert_allclose(logits, exact_logits(made, codes), rtol=1e-6, atol=1e-6)


@given(sizes, seeds)
def test_both_strands_have_the_same_bits(size: tuple[int, int, int], seed: int) -> None:
    k, length, _ = size
    codes = random_codes(5, length, seed=seed)
    for predictor in predictors(member(k, length, seed=seed)):
        other = predictor.logits(reverse_complement(codes))
        assert other.tobytes() == predictor.logits(codes).tobytes()


@given(sizes, seeds, st.lists(st.integers(0, 40)))
def test_a_scan_has_the_bits_of_each_window_whatever_the_starts(
    size: tuple[int, int, int], seed: int, places: list[int]
) -> None:
    k, length, all_of_it = size
    codes = random_codes(1, all_of_it, seed=seed)[0]
    starts = sorted(place % (all_of_it - length + 1) for place in places)
    windows = np.array([codes[start : start + length] for start in starts]).reshape(-1, length)
    for predictor in predictors(member(k, length, seed=seed)):
        scanned = predictor.scanned_logits(codes, starts)
        assert scanned.tobytes() == predictor.logits(windows.astype(np.uint8)).tobytes()


def test_windows_far_apart_and_of_several_blocks_have_the_same_bits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("enhancer_core.models.gpu.kmer_predictor._LETTERS", 50)
    codes = random_codes(1, 1000, seed=3)[0]
    starts = np.sort(np.random.default_rng(0).integers(0, 981, 40))
    windows = np.lib.stride_tricks.sliding_window_view(codes, 20)[starts]
    here, there = predictors(member(4, 20))
    scanned = [each.scanned_logits(codes, starts).tobytes() for each in (here, there)]
    assert len({*scanned, here.logits(windows).tobytes(), there.logits(windows).tobytes()}) == 1


@given(sizes, seeds, st.lists(st.tuples(*[st.integers(0, 2**20)] * 3)))
def test_a_change_has_the_bits_of_the_changed_sequence(
    size: tuple[int, int, int], seed: int, drawn: list[tuple[int, int, int]]
) -> None:
    k, length, _ = size
    codes = random_codes(3, length, seed=seed)
    drawn = [(0, 0, N_CODE), (2, length - 1, 0), *drawn]
    rows, positions, bases = np.array(drawn).T % [[3], [length], [N_CODE + 1]]
    changed = codes[rows]
    changed[np.arange(len(rows)), positions] = bases
    for predictor in predictors(member(k, length, seed=seed)):
        logits = predictor.substituted_logits(codes, rows, positions, bases)
        assert logits.tobytes() == predictor.logits(changed).tobytes()


def test_pytorch_predicts_where_nothing_can_be_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    model, codes = Model((member(4, 30),)), random_codes(5, 30, seed=0)
    here = model.predictor()
    monkeypatch.setattr("enhancer_core.models.model.available", lambda: False)
    there = model.predictor()
    assert (type(here), type(there)) == (CpuKmerPredictor, GpuKmerPredictor)
    assert there.logits(codes).tobytes() == here.logits(codes).tobytes()


@given(seeds, st.floats(1e-30, 1e30))
def test_whole_numbers_lose_less_than_float32_does(seed: int, scale: float) -> None:
    made = member(5, 60, seed=seed, scale=scale)
    weights = made.weights()["output.weight"].astype(np.float64)
    table = k_mer_table(made)
    kept = np.unique(np.abs(table.weights * table.unit))
    largest = np.abs(weights).max()
    assert np.isin(np.abs(weights[np.abs(weights) > largest / 64]), kept).all()
    lost = np.abs(np.sort(np.abs(weights)) - np.interp(np.sort(np.abs(weights)), kept, kept))
    assert lost.max() <= largest * 2.0**-31


def test_weights_that_are_all_zero_leave_the_bias() -> None:
    values = np.array([0, 0, -0.5, 1], np.float32)
    made = KmerMember(KmerWeights(k=1, length=3), values)
    for predictor in predictors(made):
        assert predictor.logits(encode(["ACG"])).tolist() == [[-0.5, 1.0]]


def test_what_cannot_be_predicted_is_told() -> None:
    codes = encode(["ACGTACGT"])
    for predictor in predictors(member(3, 8)):
        assert predictor.logits(codes[:0]).shape == (0, 2)
        assert predictor.scanned_logits(codes[0], []).shape == (0, 2)
        with pytest.raises(SequenceError, match="sequences of 7 bp; the model reads 8 bp"):
            predictor.logits(codes[:, 1:])
        with pytest.raises(SequenceError, match="code 5"):
            predictor.logits(codes + 2)
        with pytest.raises(SequenceError, match="window 1-9 is not inside the 8 bp"):
            predictor.scanned_logits(codes[0], [0, 1])
        with pytest.raises(SequenceError, match="position 8 does not exist; allowed are 0 to 7"):
            predictor.substituted_logits(codes, [0], [8], [1])


# PyTorch


@given(sizes, seeds)
def test_the_pytorch_module_has_the_logits_of_the_predictor(
    size: tuple[int, int, int], seed: int
) -> None:
    k, length, _ = size
    model = Model((member(k, length, seed=seed),))
    codes = random_codes(4, length, seed=seed)
    with torch.inference_mode():
        logits = model.to_torch()(one_hot(torch.from_numpy(codes))).numpy()
    np.testing.assert_allclose(logits, model.predictor().logits(codes), rtol=1e-5, atol=1e-5)


@given(sizes, seeds)
def test_the_gradient_of_a_base_is_what_it_adds(size: tuple[int, int, int], seed: int) -> None:
    k, length, _ = size
    model = Model((member(k, length, seed=seed),))
    codes = random_codes(2, length, seed=seed)
    codes[codes == N_CODE] = 0
    codes[1, length // 2] = N_CODE  # there, a base adds what it has without one
    x = one_hot(torch.from_numpy(codes)).double().requires_grad_()
    logits = model.to_torch().double()(x)
    (gradient,) = torch.autograd.grad((logits[:, 1] - logits[:, 0]).sum(), x)
    cells = np.array(list(product(range(2), range(length), range(5))))
    changed = log_changes(model.predictor(), codes, cells).reshape(2, length, 5)
    added = np.moveaxis(changed[:, :, :4] - changed[:, :, 4:], 1, 2)  # beside N
    np.testing.assert_allclose(gradient.numpy(), added, rtol=0, atol=2e-5)


def log_changes(
    predictor: Predictor, codes: Codes, cells: NDArray[np.int64]
) -> NDArray[np.float32]:
    logits = predictor.substituted_logits(codes, *cells.T)
    odds: NDArray[np.float32] = logits[:, 1] - logits[:, 0]
    return odds


def test_a_position_between_bases_has_no_words() -> None:
    model = Model((member(3, 9),))
    x = one_hot(torch.from_numpy(encode(["ACGTACGTA"])))
    for between in (0.0, 0.25, 0.5):
        other = x.clone()
        other[0, :, 4] = between
        unknown = model.predictor().logits(encode(["ACGTNCGTA"]))
        assert model.to_torch()(other).detach().numpy() == pytest.approx(unknown, abs=1e-6)


def test_the_weights_can_be_trained_further() -> None:
    made = member(2, 12)
    module = Model((made,)).to_torch()
    codes = random_codes(3, 12, seed=1)
    loss = module(one_hot(torch.from_numpy(codes)))[:, 1].sum()
    loss.backward()
    counts = dict.fromkeys(k_mer_names(2), 0.0)
    for row in codes:
        for word in map("".join, pairwise("ACGTN"[code] for code in row)):
            if "N" not in word:
                counts[min(word, word[::-1].translate(OPPOSITE))] += 0.5
    by_name = dict(module.named_parameters())
    weight, bias = by_name["output.weight"].grad, by_name["output.bias"].grad
    assert weight is not None
    assert bias is not None
    assert weight.tolist() == list(counts.values())
    assert bias.tolist() == [0.0, 3.0]
    again = Model.from_torch(module).members
    assert [each.parameters.tobytes() for each in again] == [made.parameters.tobytes()]


# Models


def network_member(seed: int = 0) -> Member:
    made = Network(NETWORK, generator=torch.Generator().manual_seed(seed))
    return Member(NETWORK, made.flat_parameters())


def test_a_model_of_networks_and_k_mer_weights_has_their_mean_logits() -> None:
    members = (member(3, 12), network_member(), member(2, 12, seed=1), network_member(1))
    model, codes = Model(members), random_codes(6, 12, seed=0)
    each = [Model((one,)).predictor().logits(codes) for one in members]
    np.testing.assert_array_equal(model.predictor().logits(codes), np.mean(each, axis=0))
    with torch.inference_mode():
        found = model.to_torch()(one_hot(torch.from_numpy(codes))).numpy()
    np.testing.assert_allclose(found, np.mean(each, axis=0), rtol=0, atol=1e-5)
    assert model.architecture == NETWORK
    assert model.filter_members == [members[1], members[3]]
    assert model.filters()[0].shape == (6, 4, 4)
    assert repr(model) == (
        "Model: network, reads 12 bp\n"
        "  4 member(s), 242 weights; convolutions 3 x 4 bp; weights of 3-mers, 2-mers"
    )


def test_k_mer_weights_alone_have_no_filters() -> None:
    model = Model((member(5, 12), member(10, 12)), {"network": "k-mers"})
    assert model.length == 12
    message = "the model has k-mer weights alone; needed is one with a network"
    for asked in ("architecture", "filter_members"):
        with pytest.raises(ModelFileError, match=message):
            getattr(model, asked)
    assert repr(model).endswith("2 member(s), 525,316 weights; weights of 5-mers, 10-mers")


@given(seeds, st.floats(0.01, 10), st.floats(-3, 3))
def test_a_calibration_goes_into_the_weights(seed: int, scale: float, shift: float) -> None:
    made, codes = member(3, 12, seed=seed), random_codes(5, 12, seed=seed)
    before = log_odds(Model((made,)).predictor(), codes)
    after = log_odds(Model((calibrated(made, Platt(scale, shift)),)).predictor(), codes)
    np.testing.assert_allclose(after, scale * before + shift, rtol=1e-5, atol=1e-5)


# Files


def several() -> dict[str, tuple[Member | KmerMember, ...]]:
    return {
        "one": (member(5, 12),),
        "of one kind": (member(4, 12), member(4, 12, seed=1)),
        "of two kinds": (member(10, 12), member(5, 12)),
        "with networks": (network_member(), member(5, 12), network_member(1)),
    }


@pytest.mark.parametrize("which", several())
def test_k_mer_weights_come_back_as_they_were_saved(tmp_path: Path, which: str) -> None:
    members = several()[which]
    model = Model(members, {"network": which})
    model.save(tmp_path / MODEL_FILE)
    assert our_header(tmp_path / MODEL_FILE)["format_version"] == 4
    found = load_model(tmp_path)
    assert [each.architecture for each in found.members] == [each.architecture for each in members]
    assert found.metadata == model.metadata
    for ours, theirs in zip(members, found.members, strict=True):
        assert ours.parameters.tobytes() == theirs.parameters.tobytes()
    Model.from_torch(found.to_torch(), found.metadata).save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / MODEL_FILE).read_bytes()


def test_words_of_ten_letters_take_two_megabytes(tmp_path: Path) -> None:
    Model((member(10, 500),)).save(tmp_path)
    assert 2.09e6 < (tmp_path / MODEL_FILE).stat().st_size < 2.11e6


def test_networks_alone_keep_the_older_formats(tmp_path: Path) -> None:
    for members, version in (((network_member(),), 1), ((network_member(), network_member(1)), 2)):
        Model(members).save(tmp_path)
        assert our_header(tmp_path / MODEL_FILE)["format_version"] == version


GOOD = {"k": 3, "length": 12}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (GOOD | {"k": 0}, "k of 0 is not allowed for k-mer weights; allowed are 1 to 12"),
        (GOOD | {"k": 13}, "k of 13 is not allowed"),
        (GOOD | {"k": 10**9}, "k of 1000000000 is not allowed"),
        (GOOD | {"k": True}, "k of True is not allowed"),
        (GOOD | {"k": 3.0}, r"k of 3\.0 is not allowed"),
        (GOOD | {"k": "3"}, "k of '3' is not allowed"),
        (
            GOOD | {"length": 2},
            "length of 2 is not allowed for weights of 3-mers; allowed are 3 to 1,048,576",
        ),
        (GOOD | {"length": 10**12}, "length of 1000000000000 is not allowed"),
        (GOOD | {"length": None}, "length of None is not allowed"),
        ({"k": 3}, "architecture cannot be read .*'length'"),
        (GOOD | {"dense": [3]}, "architecture cannot be read .*'dense'"),
        (
            GOOD | {"k": 4},
            r"tensor 'output\.weight' is float32 \(32,\); the architecture needs float32 \(136,\)",
        ),
    ],
)
def test_a_header_that_fits_no_k_mer_weights_is_refused(
    tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    record = {"training": {}, "architecture": fields}
    weights = member(3, 12).weights()
    write_arrays(tmp_path / MODEL_FILE, weights, kind="model", record=record, version=4)
    with pytest.raises(ModelFileError, match=rf"model\.safetensors: {message}"):
        load_model(tmp_path)


def test_tensors_that_fit_no_k_mer_weights_are_refused(tmp_path: Path) -> None:
    record: dict[str, Any] = {"training": {}, "architecture": GOOD}
    weights = member(3, 12).weights()
    broken = {"output.weight": np.full(32, np.nan, np.float32)}
    for arrays, message in (
        ({**weights, "output.scale": weights["output.bias"]}, "unknown tensor 'output.scale'"),
        ({"output.weight": weights["output.weight"]}, "lacks tensor 'output.bias'"),
        ({**weights, **broken}, "'output.weight' has values that are not finite"),
    ):
        write_arrays(tmp_path / MODEL_FILE, arrays, kind="model", record=record, version=4)
        with pytest.raises(ModelFileError, match=message):
            load_model(tmp_path)


def test_members_that_read_other_lengths_are_refused(tmp_path: Path) -> None:
    Model((member(3, 14), network_member())).save(tmp_path)
    with pytest.raises(ModelFileError, match="members read 12 and 14 bp; allowed is one length"):
        load_model(tmp_path)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_has_the_bits_of_the_cpu() -> None:
    made, codes = member(10, 200), random_codes(1, 50_000, seed=0)[0]
    here, there = CpuKmerPredictor(made), GpuKmerPredictor(made, device="cuda")
    starts = np.arange(0, 49_800, 7)
    windows = np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(codes, 200)[starts])
    assert there.scanned_logits(codes, starts).tobytes() == here.logits(windows).tobytes()
    assert there.logits(windows).tobytes() == here.logits(windows).tobytes()
    module = Model((made,)).to_torch().cuda()
    x = one_hot(torch.from_numpy(windows[:9]).cuda()).requires_grad_()
    logits = module(x)
    np.testing.assert_allclose(logits.detach().cpu().numpy(), here.logits(windows[:9]), atol=1e-4)
    logits[:, 1].sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
