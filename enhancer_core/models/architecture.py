"""Architectures: convolutions on DNA, the first reading both strands, then dense layers; k-mers.

Sizes and names only: `cpu` and `gpu` compute with them; `network` is the reference in PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass, replace
from statistics import NormalDist
from typing import Any

from enhancer_core.errors import ModelFileError, SequenceError

BASES = 4
SCORE_SD = 0.25  # of a first-layer filter's scores over random DNA, before training
CLASSES = 2
_MOST_UNITS = 1 << 20  # a damaged or hostile header must not ask for all memory
LONGEST_WORD = 12  # of k-mer weights: a table of 4**12 numbers is 64 MB


@dataclass(frozen=True, slots=True)
class Convolution:
    """One convolution, ReLU and max-pool: F filters of `width` positions, pooled by `pool`."""

    filters: int
    width: int
    pool: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """What a network is made of; `NETWORKS` holds the published ones."""

    convolutions: tuple[Convolution, ...]
    dense: tuple[int, ...]  # units of each dense layer before the two logits
    dropout: float = 0.0  # probability of dropping each unit that the last layer reads, in training
    length: int = 500  # bp read
    # The two below reproduce bugs of the published code; see `original_code`.
    chained: bool = True  # False: each convolution reads the first one's output; the last counts
    kernel_width_in_init: bool = True  # False: weights drawn with std sqrt(2 / input channels)
    # True: what follows the convolutions has one weight a filter, the same at all its positions,
    # and so reads the filter's mean: how much there is of something, not where.
    tied: bool = False

    def pooled_lengths(self) -> list[int]:
        """Return the number of positions after each convolution and its pool.

        Raises
        ------
        SequenceError
            If `length` is too short for a layer.
        """
        lengths: list[int] = []
        for index, layer in enumerate(self.convolutions):
            before = self.length if not lengths else lengths[-1 if self.chained else 0]
            lengths.append((before - layer.width + 1) // layer.pool)
            if lengths[-1] < 1:
                raise SequenceError(
                    f"sequences of {self.length} bp are too short for convolution {index + 1} of"
                    f" the network, which needs {shortest_length(self)} bp"
                )
        return lengths

    @property
    def last_units(self) -> int:
        """Units that the last layer reads."""
        if self.dense:
            return self.dense[-1]
        return self.convolutions[-1].filters * self.pooled_lengths()[-1]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, as model files have them."""
        # The first release wrote the share of units that dropout keeps, and knew no tied weights.
        fields = asdict(self)
        fields["keep"] = round(1 - fields.pop("dropout"), 12)
        if not self.tied:
            del fields["tied"]
        return fields


@dataclass(frozen=True, kw_only=True, slots=True)
class KmerWeights:
    """What a linear model of k-mers is made of: a weight for each word, the same on both strands.

    The log odds are a bias and the weights of the words at all positions; words with N add nothing.
    """

    k: int  # letters of a word, 1 to 12
    length: int  # bp read

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, as model files have them."""
        return asdict(self)


_ENHANCER = (Convolution(20, 9, 3), Convolution(30, 5, 4), Convolution(40, 3, 4))
DEFAULT_NETWORK = "motif_cnn"
NETWORKS: dict[str, Architecture] = {
    # Cohn et al. 2018, Figure 1C; pool and dense sizes are from the published code.
    "enhancer": Architecture(convolutions=_ENHANCER, dense=(90, 45), dropout=0.15),
    # Cohn et al. 2018, section 3.1: the smaller network for one transcription factor.
    "tf": Architecture(
        convolutions=(Convolution(7, 9, 3), Convolution(50, 2, 3)), dense=(20, 20), dropout=0.1
    ),
    # The published code as it runs: its layer loop discards convolution 2, dropout is never
    # active, and the initial weights ignore the kernel's width.
    "original_code": Architecture(
        convolutions=_ENHANCER, dense=(90, 45), chained=False, kernel_width_in_init=False
    ),
    # Not the paper's, and the default: its first layer has room for 72 known motifs, and the
    # mean over positions says how much there is of something, which maxima do not. Pools of 5 and 5
    # lie alike in windows 50 bp apart, which so share their convolutions. It is stacked with simple
    # models; see `training.config`.
    DEFAULT_NETWORK: Architecture(
        convolutions=(Convolution(96, 19, 5), Convolution(32, 5, 5)),
        dense=(64,),
        dropout=0.5,
        tied=True,
    ),
}


def named_architecture(name: str, *, length: int = 500) -> Architecture:
    """Return the architecture of a name, for sequences of `length` bp.

    Raises
    ------
    SequenceError
        If the length is too short for the network.
    ModelFileError
        If no network has the name.

    Examples
    --------
    >>> named_architecture("enhancer").pooled_lengths()
    [164, 40, 9]
    """
    if name not in NETWORKS:
        raise ModelFileError(f"network '{name}' is not known; known are {', '.join(NETWORKS)}")
    architecture = replace(NETWORKS[name], length=length)
    try:
        architecture.pooled_lengths()
    except SequenceError as error:
        fit = [f"'{each}'" for each, made in NETWORKS.items() if shortest_length(made) <= length]
        raise SequenceError(f"{error}; networks for them are {', '.join(fit) or 'none'}") from error
    return architecture


def first_bias(architecture: Architecture) -> float:
    """Return the bias with which the first layer of a network of tied weights begins.

    It is minus the mean over random DNA of what is pooled, the best of 2 P scores of standard
    deviation 1/4 for a pool of P (Blom 1958, Statistical Estimates and Transformed Beta-Variables).
    So a filter is on where it fits better than by chance. With a bias near 0 all are on everywhere,
    the next layer reads little but their mean, and in half of the restarts its ReLU died.

    Examples
    --------
    >>> round(first_bias(NETWORKS["motif_cnn"]), 3)
    -0.387
    """
    scores = 2 * architecture.convolutions[0].pool
    return -SCORE_SD * NormalDist().inv_cdf((scores - 0.375) / (scores + 0.25))


def shortest_length(architecture: Architecture) -> int:
    """Return the shortest sequences, in bp, that a network can read."""
    if architecture.chained:
        need = 1
        for layer in reversed(architecture.convolutions):
            need = need * layer.pool + layer.width - 1
        return need
    first, *others = architecture.convolutions
    need = max((layer.pool + layer.width - 1 for layer in others), default=1)
    return need * first.pool + first.width - 1


def widened(
    architecture: Architecture, factor: float, *, first: int | None = None, width: int | None = None
) -> Architecture:
    """Multiply the number of filters in each convolution by a factor from 1, rounded up.

    Parameters
    ----------
    architecture, factor
        The network, and 1 or more.
    first
        Filters of the first convolution, whatever the factor; None leaves it to that.
    width
        bp of each filter of the first convolution; None leaves them as wide as they are.

    Raises
    ------
    ModelFileError
        If a convolution would lose filters, or have more than a network may.

    Examples
    --------
    >>> [layer.filters for layer in widened(NETWORKS["enhancer"], 4).convolutions]
    [80, 120, 160]
    """
    layers = []
    for index, layer in enumerate(architecture.convolutions):
        filters = layer.filters * factor - 1e-9  # 1.1 * 10 is a little over 11 in binary
        if index == 0 and first is not None:
            filters = first
        if not layer.filters - 1 < filters <= _MOST_UNITS:  # nan is neither
            raise ModelFileError(
                f"convolution {index + 1} cannot have {filters:,.0f} filters; allowed are"
                f" {layer.filters:,} to {_MOST_UNITS:,}"
            )
        bp = width if index == 0 and width is not None else layer.width
        layers.append(replace(layer, filters=math.ceil(filters), width=bp))
    return checked(replace(architecture, convolutions=tuple(layers)))


def architecture_from_dict(fields: Mapping[str, Any]) -> Architecture | KmerWeights:
    """Read what `Architecture.to_dict` or `KmerWeights.to_dict` returns.

    Raises
    ------
    ModelFileError
        If a field is missing, unknown, or has a value no network has.
    """
    try:
        if "k" in fields:
            return _checked_words(KmerWeights(**fields))
        kept = fields["keep"]
        if not (isinstance(kept, float) and 0 < kept <= 1):
            raise ModelFileError(f"architecture cannot be read (keep {kept} is not in 0 to 1)")
        values = {name: value for name, value in fields.items() if name != "keep"}
        values["convolutions"] = tuple(Convolution(**layer) for layer in fields["convolutions"])
        values["dense"] = tuple(fields["dense"])
        return checked(Architecture(**values, dropout=round(1 - kept, 12)))
    except (KeyError, TypeError) as error:
        raise ModelFileError(f"architecture cannot be read ({error})") from error


def checked(architecture: Architecture) -> Architecture:
    """Return an architecture whose sizes fit together.

    Raises
    ------
    ModelFileError
        If a size is not a whole number from 1, or too large, or the length too short for a layer.
    """
    layers = [size for layer in architecture.convolutions for size in astuple(layer)]
    sizes = [architecture.length, *architecture.dense, *layers]
    whole = all(type(size) is int and 0 < size <= _MOST_UNITS for size in sizes)
    if not (architecture.convolutions and whole):
        raise ModelFileError(
            f"architecture cannot be read (a size is not a whole number of 1 to {_MOST_UNITS:,})"
        )
    try:
        architecture.pooled_lengths()
    except SequenceError as error:
        raise ModelFileError(f"architecture cannot be read ({error})") from error
    return architecture


def _checked_words(made: KmerWeights) -> KmerWeights:
    if type(made.k) is not int or not 1 <= made.k <= LONGEST_WORD:
        raise ModelFileError(
            f"k of {made.k!r} is not allowed for k-mer weights; allowed are 1 to {LONGEST_WORD}"
        )
    if type(made.length) is not int or not made.k <= made.length <= _MOST_UNITS:
        raise ModelFileError(
            f"length of {made.length!r} is not allowed for weights of {made.k}-mers; allowed are"
            f" {made.k} to {_MOST_UNITS:,}"
        )
    return made
