from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import pairwise

import click
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enhancer_core.errors import ModelFileError, SequenceError
from enhancer_core.models.architecture import (
    NETWORKS,
    Architecture,
    Convolution,
    architecture_from_dict,
    named_architecture,
    shortest_length,
    widened,
)
from enhancer_core.models.parameters import cut, dropout_mask, flatten, shapes, tied_weights
from tests.command_line import COMMANDS

SMALL = Architecture(
    convolutions=(Convolution(3, 4, 2), Convolution(5, 3, 2)), dense=(6, 4), dropout=0.5, length=30
)

layers = st.builds(Convolution, st.integers(1, 4), st.integers(1, 6), st.integers(1, 4))
architectures = st.builds(
    Architecture,
    convolutions=st.lists(layers, min_size=1, max_size=3).map(tuple),
    dense=st.lists(st.integers(1, 5), max_size=2).map(tuple),
    dropout=st.just(0.0),
    chained=st.booleans(),
    length=st.just(1),
).map(lambda architecture: replace(architecture, length=shortest_length(architecture)))

# One convolution with one pool over all places but the last few.
sliding = st.builds(
    lambda layer, dense, share: Architecture(
        convolutions=(layer,),
        dense=tuple(dense),
        length=layer.width - 1 + layer.pool + int(share * layer.pool),
    ),
    st.builds(Convolution, st.integers(1, 20), st.integers(1, 9), st.integers(1, 50)),
    st.lists(st.integers(1, 5), max_size=1),
    st.sampled_from([0, 0.4, 0.9]),
)


def test_dropout_keeps_its_share_of_the_last_units() -> None:
    mask = dropout_mask(SMALL, 1000, rng=np.random.default_rng(0))
    assert mask is not None
    assert mask.shape == (1000, 4)
    assert set(mask.flatten().tolist()) == {0.0, 2.0}  # what is kept is scaled by 1 / 0.5
    # 4,000 draws with probability 1/2: 5 standard errors of the mean
    assert (mask > 0).mean() == pytest.approx(0.5, abs=5 * 0.5 / 4000**0.5)
    assert dropout_mask(replace(SMALL, dropout=0), 5, rng=np.random.default_rng(0)) is None


@given(architectures)
def test_the_shortest_length_works_and_one_less_does_not(architecture: Architecture) -> None:
    assert min(architecture.pooled_lengths()) >= 1
    with pytest.raises(SequenceError, match=f"too short .* needs {architecture.length} bp"):
        replace(architecture, length=architecture.length - 1).pooled_lengths()


def test_a_network_for_shorter_sequences_is_refused_below_its_shortest_length() -> None:
    assert named_architecture("enhancer", length=101).pooled_lengths() == [31, 6, 1]
    with pytest.raises(SequenceError, match=r"91 bp are too short .* needs 92 bp"):
        named_architecture("enhancer", length=91)


def test_a_widened_network_has_so_many_times_the_filters_and_the_same_rest() -> None:
    wide = widened(NETWORKS["enhancer"], 4 / 3)
    assert [layer.filters for layer in wide.convolutions] == [27, 40, 54]
    assert replace(wide, convolutions=NETWORKS["enhancer"].convolutions) == NETWORKS["enhancer"]
    assert widened(NETWORKS["tf"], 1) == NETWORKS["tf"]
    motifs = widened(NETWORKS["enhancer"], 2, first=500)
    assert [layer.filters for layer in motifs.convolutions] == [500, 60, 80]


def test_the_filters_of_the_first_convolution_alone_can_be_made_longer() -> None:
    longer = widened(NETWORKS["tf"], 1, width=15)
    assert longer.convolutions == (Convolution(7, 15, 3), Convolution(50, 2, 3))
    with pytest.raises(ModelFileError, match="sequences of 101 bp are too short"):
        widened(replace(NETWORKS["tf"], length=101), 1, width=99)


def test_a_network_is_not_narrowed_nor_made_wider_than_any_may_be() -> None:
    with pytest.raises(
        ModelFileError, match="convolution 1 cannot have 10 filters; allowed are 20 to"
    ):
        widened(NETWORKS["enhancer"], 0.5)
    with pytest.raises(
        ModelFileError, match="convolution 1 cannot have 19 filters; allowed are 20 to"
    ):
        widened(NETWORKS["enhancer"], 1, first=19)
    for times, filters in ((1e6, "20,000,000"), (math.inf, "inf"), (math.nan, "nan")):
        said = f"convolution 1 cannot have {filters} filters; allowed are 20 to 1,048,576$"
        with pytest.raises(ModelFileError, match=said):
            widened(NETWORKS["enhancer"], times)


def test_an_unknown_network_is_refused_with_those_known() -> None:
    with pytest.raises(ModelFileError, match="network 'resnet' is not known; known are enhancer, "):
        named_architecture("resnet")


@given(architectures)
def test_an_architecture_survives_json(architecture: Architecture) -> None:
    assert architecture_from_dict(json.loads(json.dumps(architecture.to_dict()))) == architecture


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("length", 10, "too short"),
        ("length", 1 << 40, "size is not"),
        ("length", True, "size is not"),
        ("dense", [0], "size is not"),
        ("dense", 3, "cannot be read"),
        ("keep", 0.0, "keep 0.0"),
        ("keep", "0.5", "keep 0.5"),
        ("convolutions", [], "size is not"),
        ("convolutions", [{"filters": 1}], "cannot be read"),
        ("unknown", 1, "unexpected keyword argument 'unknown'"),
    ],
)
def test_an_architecture_with_a_wrong_field_is_refused(
    field: str, value: object, message: str
) -> None:
    with pytest.raises(ModelFileError, match=message):
        architecture_from_dict({**SMALL.to_dict(), field: value})


def test_layers_shrink_from_input_to_output() -> None:
    for architecture in (NETWORKS["enhancer"], NETWORKS["tf"]):
        assert all(a > b for a, b in pairwise(architecture.pooled_lengths()))


def test_the_command_line_offers_each_published_network() -> None:
    (option,) = (each for each in COMMANDS["train"].params if each.name == "network")
    assert isinstance(option.type, click.Choice)
    assert list(option.type.choices) == list(NETWORKS)


@given(architectures)
def test_flat_parameters_are_cut_into_arrays_of_the_shapes_and_back(
    architecture: Architecture,
) -> None:
    sizes = {name: int(np.prod(shape)) for name, shape in shapes(architecture).items()}
    parameters = np.arange(sum(sizes.values()), dtype=np.float32)
    pieces = cut(architecture, parameters)
    assert {name: array.shape for name, array in pieces.items()} == shapes(architecture)
    np.testing.assert_array_equal(flatten(pieces), parameters)


def test_tied_weights_are_those_behind_the_convolutions() -> None:
    plain = replace(SMALL, tied=True)
    found = tied_weights(plain)
    assert found is not None
    where, shape = found
    assert shape == (6, 5, plain.pooled_lengths()[-1])
    numbers = np.arange(sum(np.prod(shape) for shape in shapes(plain).values()), dtype=np.float32)
    np.testing.assert_array_equal(
        numbers[where].reshape(6, -1), cut(plain, numbers)["dense.0.weight"]
    )
    assert tied_weights(SMALL) is None


def test_a_file_says_tied_only_where_weights_are() -> None:
    assert "tied" not in SMALL.to_dict()  # so that older files keep their bytes
    tied = replace(SMALL, tied=True)
    assert architecture_from_dict(json.loads(json.dumps(tied.to_dict()))) == tied
