"""The parameters of a network: flat, float32 (p,), or an array for each layer; and one member.

End to end in the order of PyTorch's `state_dict`, so that the engines, PyTorch and files agree.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from enhancer_core.errors import ModelFileError, SequenceError
from enhancer_core.models.architecture import BASES, CLASSES, Architecture, KmerWeights


@dataclass(frozen=True, eq=False, slots=True)
class Member:
    """One network of a `Model`: its architecture, and its weights end to end, float32 (p,)."""

    architecture: Architecture
    parameters: NDArray[np.float32]

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Return the arrays of `shapes`, as views."""
        return cut(self.architecture, self.parameters)


@dataclass(frozen=True, eq=False, slots=True)
class KmerMember:
    """K-mer weights in a `Model`: log odds of each word, and the bias of the two logits."""

    architecture: KmerWeights
    parameters: NDArray[np.float32]

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Return the arrays of `shapes`, as views."""
        return cut(self.architecture, self.parameters)


AnyMember: TypeAlias = Member | KmerMember


def member_of(
    architecture: Architecture | KmerWeights, parameters: NDArray[np.float32]
) -> AnyMember:
    """Make the member of an architecture of either kind."""
    if isinstance(architecture, KmerWeights):
        return KmerMember(architecture, parameters)
    return Member(architecture, parameters)


def shapes(architecture: Architecture | KmerWeights) -> dict[str, tuple[int, ...]]:
    """Return the shape of each array of weights by name, in the order of PyTorch's `state_dict`.

    K-mer weights have one for a word and its reverse complement, as `k_mer_frequencies` columns.

    Examples
    --------
    >>> from enhancer_core.models.architecture import Convolution
    >>> shapes(Architecture(convolutions=(Convolution(2, 3, 2),), dense=(), length=6))
    ... # doctest: +NORMALIZE_WHITESPACE
    {'convolutions.0.weight': (2, 4, 3), 'convolutions.0.bias': (2,),
     'output.weight': (2, 4), 'output.bias': (2,)}
    >>> shapes(KmerWeights(k=10, length=500))
    {'output.weight': (524800,), 'output.bias': (2,)}
    """
    if isinstance(architecture, KmerWeights):
        k = architecture.k
        words = (4**k + (2**k if k % 2 == 0 else 0)) // 2  # palindromes are their own pairs
        return {"output.weight": (words,), "output.bias": (CLASSES,)}
    shape_of: dict[str, tuple[int, ...]] = {}
    channels = BASES
    for index, layer in enumerate(architecture.convolutions):
        shape_of[f"convolutions.{index}.weight"] = (layer.filters, channels, layer.width)
        shape_of[f"convolutions.{index}.bias"] = (layer.filters,)
        channels = architecture.convolutions[index if architecture.chained else 0].filters
    units = architecture.convolutions[-1].filters * architecture.pooled_lengths()[-1]
    names = [f"dense.{index}" for index in range(len(architecture.dense))]
    for name, size in zip([*names, "output"], [*architecture.dense, CLASSES], strict=True):
        shape_of[f"{name}.weight"], shape_of[f"{name}.bias"] = (size, units), (size,)
        units = size
    return shape_of


def tied_weights(architecture: Architecture) -> tuple[slice, tuple[int, int, int]] | None:
    """Locate the weights that training ties, the same at all positions; None where none are.

    Returns where they lie in the flat parameters, and their shape (units, filters, positions).
    """
    if not architecture.tied:
        return None
    sizes = [math.prod(shape) for shape in shapes(architecture).values()]
    first = 2 * len(architecture.convolutions)  # each has weights and biases
    start, count = sum(sizes[:first]), sizes[first]
    filters, positions = architecture.convolutions[-1].filters, architecture.pooled_lengths()[-1]
    units = count // (filters * positions)
    return slice(start, start + count), (units, filters, positions)


@overload
def at_length(member: Member, length: int) -> Member: ...
@overload
def at_length(member: AnyMember, length: int) -> AnyMember: ...
def at_length(member: AnyMember, length: int) -> AnyMember:
    """Lay out a member that pools over the whole sequence for sequences of another length.

    Weights that are the same at all positions read a mean: they are repeated for as many positions
    as there are then, and scaled, so that it stays one. A maximum over all positions is taken over
    all that there are then. The sum of k-mer weights is scaled as a mean.

    Raises
    ------
    ModelFileError
        If the weights differ between positions.
    SequenceError
        If the length is too short for the network.
    """
    if isinstance(member, KmerMember):
        return _k_mers_at_length(member, length)
    made, weights = member.architecture, member.weights()
    name = "dense.0.weight" if made.dense else "output.weight"
    by_position = weights[name].reshape(len(weights[name]), made.convolutions[-1].filters, -1)
    if made.tied and np.allclose(by_position, by_position[:, :, :1]):
        resized = replace(made, length=length)
    elif _unpooled(made) == made.convolutions[-1].pool:
        last = replace(made.convolutions[-1], pool=_unpooled(replace(made, length=length)))
        resized = replace(made, length=length, convolutions=(*made.convolutions[:-1], last))
    else:
        raise ModelFileError(
            f"the model weighs places, and so reads {made.length} bp alone; a length of {length} is"
            " not allowed"
        )
    before, after = by_position.shape[2], resized.pooled_lengths()[-1]
    mean = by_position.mean(axis=2, keepdims=True) * (before / after)
    weights[name] = np.repeat(mean, after, axis=2).reshape(len(mean), -1)
    return Member(resized, flatten(weights))


def _k_mers_at_length(member: KmerMember, length: int) -> KmerMember:
    k, weights = member.architecture.k, member.weights()
    if length < k:
        raise SequenceError(f"sequences of {length} bp are too short for {k}-mers")
    scaled = weights["output.weight"] * ((member.architecture.length - k + 1) / (length - k + 1))
    parameters = flatten({**weights, "output.weight": scaled})
    return KmerMember(KmerWeights(k=k, length=length), parameters)


def _unpooled(architecture: Architecture) -> int:
    """Return the number of positions after the last convolution, before its pool."""
    *others, last = architecture.convolutions
    layers = (*others, replace(last, pool=1))
    return replace(architecture, convolutions=layers).pooled_lengths()[-1]


def flatten(weights: Mapping[str, NDArray[np.floating]]) -> NDArray[np.float32]:
    """Copy arrays of weights end to end, float32 (p,); `cut` takes them apart again."""
    return np.concatenate([np.asarray(array, np.float32).ravel() for array in weights.values()])


def cut(
    architecture: Architecture | KmerWeights, parameters: NDArray[np.float32]
) -> dict[str, NDArray[np.float32]]:
    """Cut a network's flat parameters, float32 (p,), into the arrays of `shapes`: views."""
    sizes = shapes(architecture)
    ends = np.cumsum([math.prod(shape) for shape in sizes.values()])
    pieces = np.split(parameters, ends[:-1])
    return {
        name: piece.reshape(shape)
        for (name, shape), piece in zip(sizes.items(), pieces, strict=True)
    }


def weight_mask(architecture: Architecture) -> NDArray[np.bool_]:
    """Return which flat parameters are weights, not biases: bool (p,).

    Examples
    --------
    >>> from enhancer_core.models.architecture import Convolution
    >>> architecture = Architecture(convolutions=(Convolution(1, 3, 2),), dense=(), length=4)
    >>> weight_mask(architecture).astype(int)
    array([1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 0, 0])
    """
    sizes = shapes(architecture)
    counts = [math.prod(shape) for shape in sizes.values()]
    return np.repeat([name.endswith(".weight") for name in sizes], counts)


def dropout_mask(
    architecture: Architecture, n: int, *, rng: np.random.Generator
) -> NDArray[np.float32] | None:
    """Draw the dropout mask of n sequences, which multiplies the units that the last layer reads.

    float32 (n, units): 0 with the probability of dropout, else 1 / (1 - dropout); None without.
    """
    if not architecture.dropout:
        return None
    share = 1 - architecture.dropout
    kept = rng.random((n, architecture.last_units), dtype=np.float32) < share
    return kept.astype(np.float32) / np.float32(share)
