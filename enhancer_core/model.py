"""The networks: convolutions on one-hot DNA, the first reading both strands, then dense layers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from enhancer_core.errors import ModelFileError, SequenceError

BASES = 4
CLASSES = 2
_MOST_UNITS = 1 << 20  # a damaged or hostile header must not ask for all memory


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
    keep: float = 1.0  # share of the last dense layer's units kept by dropout in training
    length: int = 500  # bp read
    # The two below reproduce bugs of the published code; see `original_code`.
    chained: bool = True  # False: each convolution reads the first one's output; the last counts
    kernel_width_in_init: bool = True  # False: weights drawn with std sqrt(2 / input channels)

    def pooled_lengths(self) -> list[int]:
        """Give the number of positions after each convolution and its pool.

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
        return (
            self.dense[-1]
            if self.dense
            else self.convolutions[-1].filters * self.pooled_lengths()[-1]
        )

    def to_dict(self) -> dict[str, Any]:
        """Give the fields as plain values, for JSON."""
        return asdict(self)


NETWORKS: dict[str, Architecture] = {
    # Cohn et al. 2018, Figure 1C; pool and dense sizes are from the published code.
    "enhancer": Architecture(
        convolutions=(Convolution(20, 9, 3), Convolution(30, 5, 4), Convolution(40, 3, 4)),
        dense=(90, 45),
        keep=0.85,
    ),
    # Cohn et al. 2018, section 3.1: the smaller network for one transcription factor.
    "tf": Architecture(
        convolutions=(Convolution(7, 9, 3), Convolution(50, 2, 3)), dense=(20, 20), keep=0.9
    ),
    # The published code as it runs: its layer loop discards convolution 2, dropout is never
    # active, and the initial weights ignore the kernel's width.
    "original_code": Architecture(
        convolutions=(Convolution(20, 9, 3), Convolution(30, 5, 4), Convolution(40, 3, 4)),
        dense=(90, 45),
        chained=False,
        kernel_width_in_init=False,
    ),
}


def architecture(name: str, *, length: int = 500) -> Architecture:
    """Look up a published network, for sequences of `length` bp.

    Raises
    ------
    SequenceError
        If the length is too short for the network.
    ModelFileError
        If no network has the name.

    Examples
    --------
    >>> architecture("enhancer").pooled_lengths()
    [164, 40, 9]
    """
    if name not in NETWORKS:
        raise ModelFileError(f"network '{name}' is not known; known are {', '.join(NETWORKS)}")
    found = replace(NETWORKS[name], length=length)
    found.pooled_lengths()
    return found


def shortest_length(wanted: Architecture) -> int:
    """Give the least length, in bp, that a network can read.

    Examples
    --------
    >>> shortest_length(NETWORKS["enhancer"])
    92
    """
    if wanted.chained:
        need = 1
        for layer in reversed(wanted.convolutions):
            need = need * layer.pool + layer.width - 1
        return need
    first, *others = wanted.convolutions
    need = max((layer.pool + layer.width - 1 for layer in others), default=1)
    return need * first.pool + first.width - 1


def architecture_from_dict(fields: Mapping[str, Any]) -> Architecture:
    """Read back `Architecture.to_dict`, checking every field.

    Raises
    ------
    ModelFileError
        If a field is missing, unknown, or has a value no network has.
    """
    try:
        layers = tuple(Convolution(**layer) for layer in fields["convolutions"])
        found = Architecture(**{**fields, "convolutions": layers, "dense": tuple(fields["dense"])})
    except (KeyError, TypeError) as error:
        raise ModelFileError(f"architecture cannot be read ({error})") from error
    sizes = [found.length, *found.dense]
    for layer in layers:
        sizes += [layer.filters, layer.width, layer.pool]
    if not layers or not all(type(s) is int and 0 < s <= _MOST_UNITS for s in sizes):
        raise ModelFileError("architecture cannot be read (a size is not a positive whole number)")
    if not (isinstance(found.keep, float) and 0 < found.keep <= 1):
        raise ModelFileError(f"architecture cannot be read (keep {found.keep} is not in 0 to 1)")
    try:
        found.pooled_lengths()
    except SequenceError as error:
        raise ModelFileError(f"architecture cannot be read ({error})") from error
    return found


class ReverseComplementConvolution(nn.Conv1d):
    """First layer: each filter reads both strands and keeps the better match of every pool.

    x (n, 4, L) -> (n, F, (L - W + 1) // pool) for F filters of W bp. In the order A C G T the
    reverse complement of a filter is the filter flipped on both axes (Cohn et al. 2018, section
    3.1). Maxima commute, so each strand is pooled before the two are compared, and the bias, the
    same on both strands, is added last: a third of the memory traffic, the same numbers.
    """

    def __init__(self, layer: Convolution) -> None:
        super().__init__(BASES, layer.filters, layer.width)
        self.pool = layer.pool

    def forward(self, x: Tensor) -> Tensor:
        """Score every pool on its better strand, bias included."""
        scores = functional.conv1d(x, torch.cat([self.weight, self.weight.flip(1, 2)]))
        forward, reverse = functional.max_pool1d(scores, self.pool).chunk(2, dim=1)
        bias = cast("Tensor", self.bias)
        return torch.maximum(forward, reverse) + bias[:, None]


class PooledConvolution(nn.Conv1d):
    """A later layer: x (n, C, P) -> (n, F, (P - W + 1) // pool)."""

    def __init__(self, channels: int, layer: Convolution) -> None:
        super().__init__(channels, layer.filters, layer.width)
        self.pool = layer.pool

    def forward(self, x: Tensor) -> Tensor:
        """Score every pool."""
        return functional.max_pool1d(super().forward(x), self.pool)


class Network(nn.Module):
    """A network for one architecture: x float32 (n, 4, L) -> logits (n, 2), positives second.

    `generator` draws the initial weights; without one they are PyTorch's.
    """

    def __init__(self, wanted: Architecture, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.architecture = wanted
        lengths = wanted.pooled_lengths()
        self.convolutions = nn.ModuleList()
        channels = BASES
        for index, layer in enumerate(wanted.convolutions):
            self.convolutions.append(
                PooledConvolution(channels, layer) if index else ReverseComplementConvolution(layer)
            )
            channels = layer.filters if wanted.chained else wanted.convolutions[0].filters
        units = wanted.convolutions[-1].filters * lengths[-1]
        self.dense = nn.ModuleList()
        for size in wanted.dense:
            self.dense.append(nn.Linear(units, size))
            units = size
        self.output = nn.Linear(units, CLASSES)
        if generator is not None:
            self._draw_weights(generator)

    @property
    def first_layer(self) -> ReverseComplementConvolution:
        """The convolution that reads DNA, whose filters are motifs."""
        return cast("ReverseComplementConvolution", self.convolutions[0])

    def _draw_weights(self, generator: torch.Generator) -> None:
        """Draw as PyTorch does by default: uniform within 1 / sqrt(fan in), biases too."""
        for layer in self.modules():
            if not isinstance(layer, nn.Conv1d | nn.Linear) or layer.bias is None:
                continue
            with torch.no_grad():
                if self.architecture.kernel_width_in_init:
                    bound = 1 / math.sqrt(layer.weight[0].numel())
                    layer.weight.uniform_(-bound, bound, generator=generator)
                    layer.bias.uniform_(-bound, bound, generator=generator)
                else:
                    std = math.sqrt(2 / layer.weight.shape[1])
                    layer.weight.normal_(0, std, generator=generator)
                    layer.bias.zero_()

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Give the logits of one-hot sequences.

        `mask`, float32 (n, units), multiplies the units that the last layer reads: dropout, whose
        chance is the caller's (see `dropout_mask`).
        """
        first: Tensor | None = None
        for layer in self.convolutions:
            source = x if self.architecture.chained or first is None else first
            x = functional.relu(layer(source))
            first = x if first is None else first
        x = x.flatten(1)
        for layer in self.dense:
            x = functional.relu(layer(x))
        logits: Tensor = self.output(x if mask is None else x * mask)
        return logits


def dropout_mask(
    wanted: Architecture, n: int, *, rng: np.random.Generator
) -> NDArray[np.float32] | None:
    """Draw what multiplies the last units of n sequences in training.

    Returns
    -------
    float32, shape (n, units), or None
        0, or 1 / keep with probability keep; None where all are kept.

    Examples
    --------
    >>> dropout_mask(NETWORKS["enhancer"], 2, rng=np.random.default_rng(0)).shape
    (2, 45)
    """
    if wanted.keep == 1:
        return None
    kept = rng.random((n, wanted.last_units), dtype=np.float32) < wanted.keep
    return kept.astype(np.float32) / np.float32(wanted.keep)


def one_hot(codes: Tensor) -> Tensor:
    """Spread base codes over four channels on their own device.

    uint8 (n, L) -> float32 (n, 4, L), N 0.25 in all four, as `dna.one_hot`.
    """
    rows = torch.cat([torch.eye(BASES), torch.full((1, BASES), 0.25)]).to(codes.device)
    return rows[codes.long()].transpose(1, 2).contiguous()
