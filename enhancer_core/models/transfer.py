"""Transfer: filters of trained networks or of motifs planted in a larger network, and fine-tuning.

Cohn et al. 2018, section 2.4.4.2: networks trained against k-shuffles give three quarters of the
filters of a wider one, and the rest is random. Here filters and biases are copied exactly, and in
the later convolutions a donor's filters read its own channels only, with zeros elsewhere; so each
donor goes on computing what it computed, until training changes it. Dense layers stay random.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from enhancer_core.errors import ModelFileError, MotifError
from enhancer_core.models.architecture import SCORE_SD, Architecture, checked, first_bias
from enhancer_core.models.model import Model
from enhancer_core.models.parameters import Member, at_length, flatten, shapes
from enhancer_core.motifs.motif import Motif, information_content, ppm, pwm

SHARE = 0.75  # of each convolution's filters that are planted, as in the published code
PSEUDOCOUNT = 0.01  # added to each frequency of a motif; a base never seen costs 4.7 bits

Arrays: TypeAlias = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, eq=False, slots=True)
class Planted:
    """Initial weights of a network, and which of them are given; the others are to be drawn."""

    parameters: NDArray[np.float32]  # (p,), as `parameters.flatten` lays them out
    planted: NDArray[np.bool_]  # (p,), True where they are given

    def into(self, drawn: NDArray[np.float32]) -> NDArray[np.float32]:
        """Replace drawn weights, float32 (p,), by those that are given: a new array."""
        return np.where(self.planted, self.parameters, drawn)


def widen_for(
    donors: Sequence[Model], architecture: Architecture, *, share: float = SHARE
) -> Architecture:
    """Widen a network until the donors' filters are a share, 0 to 1, of each convolution's.

    Of an ensemble all members of the first one's architecture count. No convolution gets narrower.

    Raises
    ------
    ModelFileError
        If a donor has other convolutions than `architecture`, or the share is not allowed.
    """
    if not 0 < share <= 1:
        raise ModelFileError(f"planted share of {share} is not allowed; above 0, at most 1")
    members = _members(donors, architecture)
    layers = []
    for index, layer in enumerate(architecture.convolutions):
        filters = sum(member.architecture.convolutions[index].filters for member in members)
        least = math.ceil(filters / share - 1e-9)  # 60 / .6 is a little over 100 in binary
        layers.append(replace(layer, filters=max(layer.filters, least)))
    return checked(replace(architecture, convolutions=tuple(layers)))


def plant(donors: Sequence[Model], architecture: Architecture) -> Planted:
    """Lay the convolutions of trained networks side by side in a wider one.

    Parameters
    ----------
    donors
        Trained models; each member of an ensemble that has the first one's architecture counts.
    architecture
        It has the donors' widths and pools, and at least as many filters as all of them.

    Returns
    -------
    Planted
        The donors' filters of every convolution and their biases, in order, with zeros where they
        would read other donors' channels.

    Raises
    ------
    ModelFileError
        If a donor has other convolutions than `architecture`, or there are too few filters.
    """
    members = _members(donors, architecture)
    for index, layer in enumerate(architecture.convolutions):
        filters = sum(member.architecture.convolutions[index].filters for member in members)
        if filters > layer.filters:
            raise ModelFileError(
                f"convolution {index + 1}: {filters} filters to plant; the network has"
                f" {layer.filters}"
            )
    values, planted = _empty(architecture)
    ends = [0] * len(architecture.convolutions)  # filters planted so far
    for member in members:
        weights, starts = member.weights(), ends.copy()
        for index, layer in enumerate(member.architecture.convolutions):
            ends[index] += layer.filters
            rows = slice(starts[index], ends[index])
            name, bias = (f"convolutions.{index}.{kind}" for kind in ("weight", "bias"))
            before = 0 if not architecture.chained else index - 1  # the layer that this one reads
            channels = slice(starts[before], ends[before]) if index else slice(None)
            values[name][rows, channels] = weights[name]
            values[bias][rows] = weights[bias]
            planted[name][rows], planted[bias][rows] = True, True
    return _planted(values, planted)


def motif_capacity(architecture: Architecture, *, share: float = SHARE) -> int:
    """Count the motifs that fit into a share of a network's first layer."""
    return math.floor(architecture.convolutions[0].filters * share + 1e-9)


def plant_motifs(
    motifs: Sequence[Motif], architecture: Architecture, *, share: float = SHARE
) -> Planted:
    """Make motifs the first filters of a network's first layer.

    A filter holds the motif's log odds against uniform bases, with a pseudo-count of 0.01 on each
    frequency, less their mean at each position, so that random DNA scores 0 on average. Of a motif
    wider than the filter the most informative stretch is taken; a narrower one stands in the
    middle, between zeros. The whole is scaled so that the score's standard deviation over random
    DNA is 0.25, whatever the width. That is what PyTorch's random filters have
    on average: 4 W weights uniform within 1 / sqrt(4 W) give random DNA's score a variance of W
    times 3/4 of 1 / (12 W), which is 1/16. So a motif's filter is on about as often as a random
    one, learns from the start, and the bias that suits it is found in training.

    Parameters
    ----------
    motifs
        At least one; which strand they are of does not matter, since filters read both.
    architecture
        The network.
    share
        Of the first layer's filters that may be planted, above 0, at most 1.

    Returns
    -------
    Planted
        The motifs' filters and biases, in order.

    Raises
    ------
    MotifError
        If there are no motifs, more than fit, or one is flat.

    Examples
    --------
    >>> from enhancer_core.models.architecture import NETWORKS
    >>> from enhancer_core.motifs.motif import BUILTIN
    >>> planted = plant_motifs([BUILTIN["CEBPA"]], NETWORKS["enhancer"])
    >>> int(planted.planted.sum())  # one filter of 4 x 9 weights, and its bias
    37
    """
    first, capacity = architecture.convolutions[0], motif_capacity(architecture, share=share)
    if not 0 < len(motifs) <= capacity:
        needed = math.ceil(len(motifs) / share - 1e-9)
        raise MotifError(
            f"{len(motifs)} motifs to plant; 1 to {capacity} fit into {share:g} of the first"
            f" layer's {first.filters} filters (all of them into {share:g} of {needed})"
        )
    values, planted = _empty(architecture)
    for row, motif in enumerate(motifs):
        values["convolutions.0.weight"][row] = motif_filter(motif, first.width)
        planted["convolutions.0.weight"][row] = True
        values["convolutions.0.bias"][row] = first_bias(architecture) if architecture.tied else 0
        planted["convolutions.0.bias"][row] = True
    return _planted(values, planted)


def motif_filter(motif: Motif, width: int) -> NDArray[np.float64]:
    """Turn a motif into a filter, (4, width), as `plant_motifs` describes.

    Raises
    ------
    MotifError
        If the stretch that is taken tells nothing.
    """
    shares = ppm(motif.pfm, pseudocount=PSEUDOCOUNT)
    if motif.width > width:
        bits = np.lib.stride_tricks.sliding_window_view(information_content(shares), width)
        start = int(bits.sum(axis=1).argmax())
        shares = shares[:, start : start + width]
    odds = pwm(shares)
    odds -= odds.mean(axis=0)
    spread = math.sqrt((odds**2).mean(axis=0).sum())  # of the score, over random DNA
    if spread < 1e-9:
        raise MotifError(f"motif '{motif.name}' is flat where it is to be planted")
    before = (width - odds.shape[1]) // 2
    after = width - odds.shape[1] - before
    return np.pad(odds * (SCORE_SD / spread), ((0, 0), (before, after)))


def start_from(model: Model, architecture: Architecture) -> Planted:
    """Take the weights of a trained network as initial weights, to train it further.

    Parameters
    ----------
    model
        A trained model; of an ensemble, its first network, the best.
    architecture
        The network to train.

    Returns
    -------
    Planted
        All weights, laid out for another length if they can be; those of the convolutions alone
        where else the lengths of sequences or the dense layers differ.

    Raises
    ------
    ModelFileError
        If their convolutions differ, or the model has none.
    """
    made = model.architecture
    if (made.convolutions, made.chained) != (architecture.convolutions, architecture.chained):
        got, allowed = (
            ", ".join(f"{f.filters} of {f.width} with pool {f.pool}" for f in each.convolutions)
            for each in (made, architecture)
        )
        raise ModelFileError(f"convolutions are {got}; to start from they must be {allowed}")
    member = model.filter_members[0]
    if made.length != architecture.length:
        with suppress(ModelFileError):
            member = at_length(member, architecture.length)
    given = member.weights()
    same = shapes(member.architecture) == shapes(architecture)
    values, planted = _empty(architecture)
    for name in values:
        if same or name.startswith("convolutions."):
            values[name], planted[name][:] = given[name], True
    return _planted(values, planted)


def check_donor(donor: Model, architecture: Architecture) -> None:
    """Check that a donor has the widths, pools and chaining of a network's convolutions.

    Raises
    ------
    ModelFileError
        If it does not.
    """
    got, allowed = (_describe(made) for made in (donor.architecture, architecture))
    if got != allowed:
        raise ModelFileError(f"convolutions are {got}; to be planted they must be {allowed}")


def _members(donors: Sequence[Model], architecture: Architecture) -> list[Member]:
    """Check the donors; list their members, as `Model.filter_members`."""
    if not donors:
        raise ModelFileError("no networks to plant; at least one is needed")
    for number, donor in enumerate(donors, start=1):
        try:
            check_donor(donor, architecture)
        except ModelFileError as error:
            raise ModelFileError(f"donor {number}: {error}") from error
    return [member for donor in donors for member in donor.filter_members]


def _describe(made: Architecture) -> str:
    layers = ", ".join(f"{each.width} wide with pool {each.pool}" for each in made.convolutions)
    return layers if made.chained else f"{layers}, not chained"


def _empty(architecture: Architecture) -> tuple[Arrays, dict[str, NDArray[np.bool_]]]:
    sizes = shapes(architecture)
    values = {name: np.zeros(shape, np.float32) for name, shape in sizes.items()}
    return values, {name: np.zeros(shape, np.bool_) for name, shape in sizes.items()}


def _planted(values: Arrays, planted: dict[str, NDArray[np.bool_]]) -> Planted:
    where = np.concatenate([mask.ravel() for mask in planted.values()])
    return Planted(flatten(values), where)
