from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn import functional

from enhancer_core.dna.codes import encode, one_hot
from enhancer_core.errors import ModelFileError, MotifError
from enhancer_core.models.architecture import NETWORKS, Architecture, Convolution, shortest_length
from enhancer_core.models.network import Ensemble, Network, torch_network
from enhancer_core.models.parameters import Member, cut, flatten, shapes
from enhancer_core.models.transfer import Planted, plant, plant_motifs, widen_for
from enhancer_core.motifs.motif import BUILTIN, Motif, information_content, ppm
from enhancer_core.motifs.motif import reverse_complement as other_strand
from tests.predictors import model_of, predictor_of

TF = NETWORKS["tf"]


def network(architecture: Architecture, seed: int = 0) -> Network:
    return Network(architecture, generator=torch.Generator().manual_seed(seed)).eval()


def whole_numbers(architecture: Architecture, seed: int) -> Network:
    """Make a network of small whole weights, whose sums are exact in any order."""
    rng = np.random.default_rng(seed)
    sizes = shapes(architecture).items()
    weights = {name: rng.integers(-2, 3, shape).astype(np.float32) for name, shape in sizes}
    return torch_network(Member(architecture, flatten(weights)))


def convolved(made: Network, codes: NDArray[np.uint8]) -> list[NDArray[np.float64]]:
    """Compute what each convolution gives, pooled and past its ReLU: (n, F, P) each."""
    x = torch.from_numpy(one_hot(codes)).double()
    found: list[torch.Tensor] = []
    with torch.inference_mode():
        for layer in made.double().convolutions:
            chained = made.architecture.chained
            source = x if not found else found[-1 if chained else 0]
            found.append(functional.relu(layer(source)))
    return [each.numpy() for each in found]


@st.composite
def gardens(draw: st.DrawFn) -> tuple[list[Network | Ensemble], Architecture]:
    """Draw donors, some of them ensembles, and a network wide enough for them."""
    layers = [
        (draw(st.integers(1, 4)), draw(st.integers(1, 3))) for _ in range(draw(st.integers(1, 3)))
    ]
    chained = draw(st.booleans())
    donors: list[Network | Ensemble] = []
    totals = [draw(st.integers(0, 3)) for _ in layers]  # filters that stay random
    for number in range(draw(st.integers(1, 3))):
        filters = [draw(st.integers(1, 3)) for _ in layers]
        convolutions = tuple(Convolution(f, *wp) for f, wp in zip(filters, layers, strict=True))
        made = Architecture(convolutions=convolutions, dense=(2,), chained=chained, length=1)
        made = replace(made, length=shortest_length(made) + 5)
        members = [whole_numbers(made, 10 * number + i) for i in range(draw(st.integers(1, 2)))]
        donors.append(members[0] if len(members) == 1 else Ensemble(members))
        totals = [t + f * len(members) for t, f in zip(totals, filters, strict=True)]
    wide = tuple(Convolution(t, *wp) for t, wp in zip(totals, layers, strict=True))
    architecture = Architecture(convolutions=wide, dense=(3,), chained=chained, length=made.length)
    return donors, architecture


def networks_in(donors: list[Network | Ensemble]) -> list[Network]:
    return [torch_network(each) for donor in donors for each in model_of(donor).filter_members]


@settings(max_examples=60)
@given(gardens(), st.sampled_from(["drawn", "zero"]), st.integers(0, 2**32 - 1))
def test_a_planted_network_computes_what_each_donor_computes(
    garden: tuple[list[Network | Ensemble], Architecture], rest: str, seed: int
) -> None:
    donors, architecture = garden
    found = plant([model_of(donor) for donor in donors], architecture)
    drawn = whole_numbers(architecture, seed).flat_parameters()
    grown = torch_network(Member(architecture, found.into(drawn if rest == "drawn" else 0 * drawn)))
    codes = np.random.default_rng(seed).integers(0, 4, (3, architecture.length), dtype=np.uint8)
    ours = convolved(grown, codes)
    starts = [0] * len(ours)
    for donor in networks_in(donors):
        for index, theirs in enumerate(convolved(donor, codes)):
            rows = slice(starts[index], starts[index] + theirs.shape[1])
            np.testing.assert_array_equal(ours[index][:, rows], theirs)
            starts[index] = rows.stop
    if rest == "zero":
        for start, outputs in zip(starts, ours, strict=True):
            assert not outputs[:, start:].any()


@given(gardens())
def test_what_is_not_of_a_donor_stays_as_it_was_drawn(
    garden: tuple[list[Network | Ensemble], Architecture],
) -> None:
    donors, architecture = garden
    found = plant([model_of(donor) for donor in donors], architecture)
    marked = cut(architecture, found.planted.astype(np.float32))
    members = [made.architecture.convolutions for made in networks_in(donors)]
    for index in range(len(architecture.convolutions)):
        filters = sum(layers[index].filters for layers in members)
        for kind in ("weight", "bias"):
            mask = marked[f"convolutions.{index}.{kind}"]
            assert mask[:filters].all()
            assert not mask[filters:].any()
    assert not any(m.any() for name, m in marked.items() if not name.startswith("convolutions"))
    drawn = np.full(len(found.planted), 7, np.float32)
    assert (found.into(drawn)[~found.planted] == 7).all()
    assert (drawn == 7).all()


def test_the_engine_computes_a_donor_alone_to_the_bit() -> None:
    """What is left when dense layers read the donor's units only is the donor itself."""
    donor = network(TF)
    architecture = widen_for([model_of(donor)], TF, share=0.5)
    assert [layer.filters for layer in architecture.convolutions] == [14, 100]
    weights = cut(architecture, plant([model_of(donor)], architecture).parameters.copy())
    given_weights = cut(TF, donor.flat_parameters())
    places = architecture.pooled_lengths()[-1]
    weights["dense.0.weight"][:, : 50 * places] = given_weights["dense.0.weight"]
    for name, array in given_weights.items():
        if name.startswith(("dense", "output")) and name != "dense.0.weight":
            weights[name][:] = array
    grown = torch_network(Member(architecture, flatten(weights)))
    codes = np.random.default_rng(0).integers(0, 5, (50, 500), dtype=np.uint8)
    ours, theirs = (predictor_of(each).logits(codes) for each in (grown, donor))
    np.testing.assert_array_equal(ours, theirs)


def test_three_donors_are_three_quarters_of_four_times_the_filters() -> None:
    donors = [network(NETWORKS["enhancer"], seed) for seed in range(3)]
    architecture = widen_for([model_of(donor) for donor in donors], NETWORKS["enhancer"])
    assert [layer.filters for layer in architecture.convolutions] == [80, 120, 160]
    assert architecture.dense == (90, 45)
    kept = cut(architecture, plant([model_of(donor) for donor in donors], architecture).planted)  # type: ignore[arg-type]
    assert kept["convolutions.1.weight"].sum() == 90 * 80 * 5
    assert widen_for([model_of(Ensemble(donors))], NETWORKS["enhancer"]) == architecture
    fewer = widen_for([model_of(donor) for donor in donors], NETWORKS["enhancer"], share=0.6)
    assert [layer.filters for layer in fewer.convolutions] == [100, 150, 200]


def test_a_network_that_is_wide_enough_stays_as_it_is() -> None:
    wide = replace(TF, convolutions=(Convolution(40, 9, 3), Convolution(80, 2, 3)))
    assert widen_for([model_of(network(TF))], wide) == wide


@pytest.mark.parametrize("call", [plant, widen_for])
def test_donors_of_other_convolutions_are_refused(call: object) -> None:
    assert callable(call)
    message = (
        "^donor 2: convolutions are 9 wide with pool 3, 5 wide with pool 4, 3 wide with pool 4; to"
        " be planted they must be 9 wide with pool 3, 2 wide with pool 3$"
    )
    with pytest.raises(ModelFileError, match=message):
        call([network(TF), network(NETWORKS["enhancer"])], TF)
    with pytest.raises(ModelFileError, match=r"donor 1: .*, not chained; to be planted they"):
        call([network(NETWORKS["original_code"])], NETWORKS["enhancer"])
    with pytest.raises(ModelFileError, match="no networks to plant; at least one is needed"):
        call([], TF)


def test_too_few_filters_for_the_donors_are_refused() -> None:
    with pytest.raises(
        ModelFileError, match="convolution 1: 14 filters to plant; the network has 7"
    ):
        plant([model_of(network(TF)), model_of(network(TF))], TF)
    for share in (0.0, 1.1):
        with pytest.raises(ModelFileError, match=f"planted share of {share} is not allowed; above"):
            widen_for([model_of(network(TF))], TF, share=share)


# Motifs


def filters_of(found: Planted, architecture: Architecture) -> NDArray[np.float32]:
    return cut(architecture, found.parameters)["convolutions.0.weight"]


def one_layer(filters: int, width: int) -> Architecture:
    return Architecture(convolutions=(Convolution(filters, width, 2),), dense=(), length=60)


def test_a_motif_becomes_the_filter_worked_out_by_hand() -> None:
    motif = Motif("A", np.array([[1.0], [0.0], [0.0], [0.0]]))
    # Frequencies (1.01, .01, .01, .01) / 1.04, so log odds a, b, b, b; less their mean that is
    # d (3, -1, -1, -1) / 4 with d = a - b. Its mean square is 3 d**2 / 16, which is scaled to 1/16.
    architecture = one_layer(2, 3)
    found = plant_motifs([motif], architecture)
    row = filters_of(found, architecture)[0]
    quarter = 0.25 / 3**0.5
    np.testing.assert_allclose(row[:, 1], [3 * quarter, -quarter, -quarter, -quarter], rtol=1e-6)
    assert not row[:, [0, 2]].any()
    assert found.planted.sum() == 4 * 3 + 1


def test_the_most_informative_stretch_of_a_wide_motif_is_taken() -> None:
    motif = BUILTIN["HNF4A"]  # 13 bp
    architecture = one_layer(8, 9)
    bits = information_content(ppm(motif.pfm, pseudocount=0.01))
    start = max(range(5), key=lambda i: bits[i : i + 9].sum())
    cut_out = Motif("part", motif.pfm[:, start : start + 9])
    both = filters_of(plant_motifs([motif, cut_out], architecture), architecture)
    np.testing.assert_allclose(both[0], both[1], rtol=1e-6)


random_motifs = st.builds(
    lambda width, sharpness, seed: Motif(
        "random", np.random.default_rng(seed).dirichlet([sharpness] * 4, width).T + 1e-3
    ),
    st.integers(4, 20),
    st.floats(0.05, 2),
    st.integers(0, 2**32 - 1),
)


@given(random_motifs, st.integers(3, 20))
def test_over_random_dna_a_motifs_filter_scores_0_with_standard_deviation_one_quarter(
    motif: Motif, width: int
) -> None:
    architecture = one_layer(2, width)
    row = filters_of(plant_motifs([motif], architecture), architecture)[0].astype(np.float64)
    assert row.mean(axis=0) == pytest.approx(0, abs=1e-6)
    assert (row**2).mean(axis=0).sum() == pytest.approx(1 / 16, rel=1e-4)


def test_random_filters_have_that_spread_on_average() -> None:
    for width in (5, 9, 15):
        architecture = one_layer(4000, width)
        rows = network(architecture).first_layer.weight.detach().double().numpy()
        variances = rows.var(axis=1).sum(axis=1)
        error = variances.std() / 4000**0.5
        assert variances.mean() == pytest.approx(1 / 16, abs=5 * error)


def share_on(made: Network, codes: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Measure at which share of pools each first-layer filter is on."""
    found: NDArray[np.float64] = (convolved(made, codes)[0] > 0).mean(axis=(0, 2))
    return found


def test_motifs_are_on_about_as_often_as_random_filters() -> None:
    rng = np.random.default_rng(0)
    random = [Motif(str(i), rng.dirichlet([0.3] * 4, 10).T + 1e-3) for i in range(46)]
    architecture = replace(NETWORKS["enhancer"], convolutions=(Convolution(64, 9, 3),), dense=())
    motifs = [*random, *BUILTIN.values()]
    codes = rng.integers(0, 4, (100, 500), dtype=np.uint8)
    drawn = network(architecture)
    planted = torch_network(
        Member(architecture, plant_motifs(motifs, architecture).into(drawn.flat_parameters()))
    )
    usual, ours = share_on(drawn, codes), share_on(planted, codes)[: len(motifs)]
    assert abs(ours.mean() - usual.mean()) < 0.1
    assert usual.min() < ours.min()  # no motif is an outlier among random filters
    assert ours.max() < usual.max()


def test_a_motif_and_its_other_strand_make_the_same_network() -> None:
    motif = BUILTIN["CEBPA"]
    flipped = Motif("flipped", other_strand(motif.pfm))
    architecture = one_layer(2, 9)
    codes = np.random.default_rng(0).integers(0, 4, (20, 60), dtype=np.uint8)
    one, two = (
        convolved(
            torch_network(Member(architecture, plant_motifs([each], architecture).parameters)),
            codes,
        )[0]
        for each in (motif, flipped)
    )
    np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)


def test_a_planted_motif_finds_its_site() -> None:
    architecture = Architecture(convolutions=(Convolution(2, 9, 1),), dense=(), length=60)
    made = torch_network(
        Member(architecture, plant_motifs([BUILTIN["CEBPA"]], architecture).parameters)
    )
    codes = np.random.default_rng(0).integers(0, 4, (1, 60), dtype=np.uint8)
    codes[0, 30:39] = encode(["TTTCGCAAT"])[0]  # the likeliest base at each position
    assert convolved(made, codes)[0][0, 0].argmax() == 30


def test_motifs_that_do_not_fit_are_refused_with_how_many_do() -> None:
    motifs = [BUILTIN["CEBPA"]] * 16
    plant_motifs(motifs[:15], NETWORKS["enhancer"])
    message = (
        r"16 motifs to plant; 1 to 15 fit into 0\.75 of the first layer's 20 filters \(all of them"
        r" into 0\.75 of 22\)"
    )
    with pytest.raises(MotifError, match=message):
        plant_motifs(motifs, NETWORKS["enhancer"])
    with pytest.raises(MotifError, match="0 motifs to plant; 1 to 15 fit"):
        plant_motifs([], NETWORKS["enhancer"])
    with pytest.raises(MotifError, match="motif 'flat' is flat where it is to be planted"):
        plant_motifs([Motif("flat", np.ones((4, 9)))], NETWORKS["enhancer"])
