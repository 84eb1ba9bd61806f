"""What captum and tangermeme make of the PyTorch network: `make attribution` runs it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, cast

import pytest
import torch
from captum.attr import DeepLift, IntegratedGradients
from tangermeme.deep_lift_shap import deep_lift_shap
from tangermeme.marginalize import marginalize
from tangermeme.predict import predict
from tangermeme.saturation_mutagenesis import saturation_mutagenesis
from torch import Tensor, nn

from enhancer_core.dna.codes import encode
from enhancer_core.models.architecture import NETWORKS, KmerWeights
from enhancer_core.models.kmer_module import KmerModule
from enhancer_core.models.model import load_model
from enhancer_core.models.network import Ensemble, Network, one_hot
from enhancer_core.models.parameters import Member

MODELS = Path(__file__).parents[2] / "kipoi_models"
# A network of the paper, the networks of a stack, a network of one TF.
PUBLISHED = ("human_liver_4shuffle", "human_liver_best", "CTCFL_K562_2shuffle")
POSITIVE = 1  # of the two logits
DELTA = 1e-3  # allowed, of the difference in output
N = 6  # sequences

# What captum says at every call of DeepLift.
pytestmark = [
    pytest.mark.filterwarnings(r"ignore:\s*Setting forward, backward hooks"),
    pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients"),
]

every_model = pytest.mark.parametrize("name", [*NETWORKS, *PUBLISHED])
with_k_mers = pytest.mark.parametrize("name", [*NETWORKS, *PUBLISHED, "k-mers", "k-mers beside"])


class Case(NamedTuple):
    network: nn.Module
    x: Tensor  # (N, 4, L), random
    shuffled: Tensor  # the same, each row's positions permuted


class LogOdds(nn.Module):
    """Log odds, (n, 1), instead of two logits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        negative, positive = self.network(x).chunk(2, dim=1)
        difference: Tensor = positive - negative
        return difference


def case(name: str) -> Case:
    """Load a published model, or make a network with first weights, of which no pool divides L."""
    network: nn.Module
    length = 503
    if name in NETWORKS:
        architecture = replace(NETWORKS[name], length=length)
        network = Network(architecture, generator=torch.Generator().manual_seed(0)).eval()
    elif name.startswith("k-mers"):
        made = [KmerWeights(k=k, length=length) for k in (5, 10)]
        modules: list[Network | KmerModule] = [KmerModule(each) for each in made]
        torch.manual_seed(0)
        for weights in modules:
            nn.init.normal_(next(iter(weights.parameters())), std=0.1)
        beside = [cast("Network", case("tf").network)] if name == "k-mers beside" else []
        network = Ensemble([*beside, *modules]).eval()
    else:
        row, _, whole = name.partition(" ")
        (path,) = MODELS.glob(f"*/weights/{row}-*.safetensors")
        model = load_model(path)
        if not whole:  # of k-mer weights DeepLIFT has no rule; see `Model.to_torch`
            members = [each for each in model.members if isinstance(each, Member)]
            model = replace(model, members=tuple(members))
        network, length = model.to_torch(), model.length
    generator = torch.Generator().manual_seed(1)
    size = (N, length)
    x = one_hot(torch.randint(4, size, generator=generator, dtype=torch.uint8))
    rows = [row[:, torch.randperm(row.shape[1], generator=generator)] for row in x]
    return Case(network, x, torch.stack(rows))


def outputs(network: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        logits: Tensor = network(x)
    return logits


@every_model
@pytest.mark.parametrize("baseline", ["shuffled", "zeros", "quarters"])
def test_deeplift_of_captum_sums_to_the_difference_in_output(name: str, baseline: str) -> None:
    network, x, shuffled = case(name)
    baselines = {
        "shuffled": shuffled,
        "zeros": torch.zeros_like(x),
        "quarters": torch.full_like(x, 0.25),
    }[baseline]
    attributions, delta = DeepLift(network).attribute(
        x, baselines, target=POSITIVE, return_convergence_delta=True
    )
    difference = (outputs(network, x) - outputs(network, baselines))[:, POSITIVE]
    assert attributions.shape == x.shape
    assert (delta.abs() <= DELTA * difference.abs()).all(), (delta, difference)


@every_model
def test_deep_lift_shap_of_tangermeme_sums_to_the_difference_in_output(name: str) -> None:
    network, x, shuffled = case(name)
    multipliers = deep_lift_shap(
        network, x, target=POSITIVE, references=shuffled[:, None], raw_outputs=True, device="cpu"
    )[:, 0]
    difference = (outputs(network, x) - outputs(network, shuffled))[:, POSITIVE]
    delta = (multipliers * (x - shuffled)).sum(dim=(1, 2)) - difference
    assert (delta.abs() <= DELTA * difference.abs()).all(), (delta, difference)


@pytest.mark.parametrize("name", ["enhancer", *PUBLISHED])
def test_captum_and_tangermeme_agree_on_each_base(name: str) -> None:
    network, x, shuffled = case(name)
    # One sequence a call: captum's max-pool rule takes the gradient of the first sequence for all
    # of them wherever a pool's input does not change, and so moves attributions between bases
    # (captum#1276; in sum they are right).
    explainer = DeepLift(network)
    captum = torch.cat(
        [
            explainer.attribute(one, other, target=POSITIVE)
            for one, other in zip(x[:, None], shuffled[:, None], strict=True)
        ]
    )
    multipliers = deep_lift_shap(
        network, x, target=POSITIVE, references=shuffled[:, None], raw_outputs=True, device="cpu"
    )[:, 0]
    largest = captum.abs().max().item()
    torch.testing.assert_close(multipliers * (x - shuffled), captum, rtol=0, atol=DELTA * largest)


@pytest.mark.parametrize("name", ["enhancer", *PUBLISHED])
def test_the_log_odds_are_attributed_as_the_difference_of_the_two_targets(name: str) -> None:
    network, x, shuffled = case(name)
    negative, positive, log_odds = (
        deep_lift_shap(model, x, target=target, references=shuffled[:, None], device="cpu")
        for model, target in ((network, 0), (network, POSITIVE), (LogOdds(network), 0))
    )
    atol = DELTA * log_odds.abs().max().item()
    torch.testing.assert_close(positive - negative, log_odds, rtol=0, atol=atol)


# Without human_liver_best, whose networks take long; DeepLIFT is tested on them.
@pytest.mark.parametrize("name", ["enhancer", "tf", "motif_cnn", PUBLISHED[0], PUBLISHED[2]])
def test_integrated_gradients_sum_to_the_difference_in_output(name: str) -> None:
    network, x, _ = case(name)
    x, baselines = x[:1], torch.full_like(x[:1], 0.25)
    # The path has kinks, so that the quadrature converges slowly: 100 steps are off by .004.
    _, delta = IntegratedGradients(network).attribute(
        x, baselines, target=POSITIVE, n_steps=2000, return_convergence_delta=True,
        internal_batch_size=100,
    )  # fmt: skip
    difference = (outputs(network, x) - outputs(network, baselines))[:, POSITIVE]
    assert (delta.abs() <= DELTA * difference.abs()).all(), (delta, difference)


@pytest.mark.parametrize("name", ["k-mers", "k-mers beside", "human_liver_best whole"])
def test_where_one_base_differs_deeplift_sums_to_the_difference_with_k_mers_too(name: str) -> None:
    network, x, _ = case(name)
    other = x.clone()
    other[:, :, 250] = x[:, :, 250].roll(1, dims=1)
    difference = (outputs(network, x) - outputs(network, other))[:, POSITIVE]
    multipliers = deep_lift_shap(
        network, x, target=POSITIVE, references=other[:, None], raw_outputs=True, device="cpu"
    )[:, 0]
    found = (multipliers * (x - other)).sum(dim=(1, 2))
    torch.testing.assert_close(found, difference, rtol=DELTA, atol=1e-5)
    captum = DeepLift(network).attribute(x, other, target=POSITIVE).sum(dim=(1, 2))
    torch.testing.assert_close(captum, difference, rtol=DELTA, atol=1e-5)


@with_k_mers
def test_predict_and_marginalize_of_tangermeme_give_the_logits(name: str) -> None:
    network, x, _ = case(name)
    torch.testing.assert_close(predict(network, x, device="cpu"), outputs(network, x))
    planted = x.clone()
    planted[:, :, 40:47] = one_hot(torch.from_numpy(encode(["TGACTCA"])))
    found = marginalize(network, x, "TGACTCA", start=40, device="cpu")
    torch.testing.assert_close(found.y_before, outputs(network, x))
    torch.testing.assert_close(found.y_after, outputs(network, planted))


@with_k_mers
def test_saturation_mutagenesis_of_tangermeme_gives_the_logits_of_every_change(name: str) -> None:
    network, x, _ = case(name)
    start, end = 60, 72
    found = saturation_mutagenesis(
        network, x[:1], start=start, end=end, raw_outputs=True, device="cpu"
    )
    torch.testing.assert_close(found.y0, outputs(network, x[:1]))
    for base in range(4):
        changed = x[:1].repeat(end - start, 1, 1)
        rows = torch.arange(end - start)
        changed[rows, :, start + rows] = 0
        changed[rows, base, start + rows] = 1
        torch.testing.assert_close(found.y_hat[0, base], outputs(network, changed))
