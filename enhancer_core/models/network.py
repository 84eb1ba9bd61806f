"""The networks in PyTorch, layer by layer: they draw first weights, and are the engines' reference.

Each nonlinearity is a module of its own, of a kind that has a rule in the DeepLIFT of captum and
tangermeme: a function has none, and attributions then miss the difference in output in silence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from enhancer_core.models.architecture import BASES, CLASSES, Architecture, Convolution, first_bias
from enhancer_core.models.kmer_module import KmerModule
from enhancer_core.models.parameters import AnyMember, KmerMember, Member, flatten

M = TypeVar("M", bound=nn.Module)


class ReverseComplementConvolution(nn.Conv1d):
    """First layer: each filter reads both strands and keeps the better match of every pool.

    x (n, 4, L) -> (n, F, (L - W + 1) // pool) for F filters of W bp. In the order A C G T the
    reverse complement of a filter is the filter flipped on both axes (Cohn et al. 2018, section
    3.1). Maxima commute, so each strand is pooled before the two are compared, and the bias, the
    same on both strands, is added last: a third of the memory traffic, the same numbers. The
    better strand is a max-pool over pairs, for DeepLIFT (a 2D pool takes three times as long).
    """

    def __init__(self, layer: Convolution) -> None:
        super().__init__(BASES, layer.filters, layer.width)
        self.pool = nn.MaxPool1d(layer.pool)
        self.better_strand = nn.MaxPool1d(2)

    def forward(self, x: Tensor) -> Tensor:
        """Score every pool on its better strand, bias included."""
        scores = functional.conv1d(x, torch.cat([self.weight, self.weight.flip(1, 2)]))
        forward, reverse = self.pool(scores).chunk(2, dim=1)
        # In both orders, so that where the two are equal each gets half of the gradient.
        pairs = torch.stack([forward, reverse, reverse, forward], dim=-1).flatten(2)
        best: Tensor = self.better_strand(pairs).unflatten(2, (-1, 2)).mean(dim=3)
        return best + cast("Tensor", self.bias)[:, None]


class PooledConvolution(nn.Conv1d):
    """A later layer: x (n, C, P) -> (n, F, (P - W + 1) // pool)."""

    def __init__(self, channels: int, layer: Convolution) -> None:
        super().__init__(channels, layer.filters, layer.width)
        self.pool = nn.MaxPool1d(layer.pool)

    def forward(self, x: Tensor) -> Tensor:
        """Score every pool."""
        scores: Tensor = self.pool(super().forward(x))
        return scores.view_as(scores)  # captum's hooks on a pool's very output fail (captum#1104)


class Network(nn.Module):
    """A network for one architecture: x float32 (n, 4, L) -> logits (n, 2), positives second.

    `generator` draws the initial weights; without one they are PyTorch's.
    """

    def __init__(
        self, architecture: Architecture, *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.architecture = architecture
        lengths = architecture.pooled_lengths()
        self.convolutions = nn.ModuleList()
        channels = BASES
        for index, layer in enumerate(architecture.convolutions):
            self.convolutions.append(
                PooledConvolution(channels, layer) if index else ReverseComplementConvolution(layer)
            )
            channels = (
                layer.filters if architecture.chained else architecture.convolutions[0].filters
            )
        units = architecture.convolutions[-1].filters * lengths[-1]
        self.dense = nn.ModuleList()
        for size in architecture.dense:
            self.dense.append(nn.Linear(units, size))
            units = size
        self.activations = nn.ModuleList(nn.ReLU() for _ in (*self.convolutions, *self.dense))
        self.output = nn.Linear(units, CLASSES)
        if generator is not None:
            self._draw_weights(generator)
        if architecture.tied:
            with torch.no_grad():
                first = cast("nn.Linear", self.dense[0]) if self.dense else self.output
                weight = first.weight.view(first.out_features, -1, lengths[-1])
                weight.copy_(weight[:, :, :1].clone().expand_as(weight))
                cast("Tensor", self.first_layer.bias).fill_(first_bias(architecture))

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
        """Compute logits; `mask` (n, units) is `parameters.dropout_mask`, drawn by the caller."""
        activations = iter(self.activations)
        first: Tensor | None = None
        for layer in self.convolutions:
            source = x if self.architecture.chained or first is None else first
            x = next(activations)(layer(source))
            first = x if first is None else first
        x = x.flatten(1)
        for layer in self.dense:
            x = next(activations)(layer(x))
        logits: Tensor = self.output(x if mask is None else x * mask)
        return logits

    def flat_parameters(self) -> NDArray[np.float32]:
        """Copy the weights, float32 (p,), end to end in the order of the `state_dict`."""
        weights = self.state_dict().items()
        return flatten({name: tensor.detach().cpu().numpy() for name, tensor in weights})

    def networks(self) -> list[Network]:
        """Return itself, as the one network that an `Ensemble` has several of."""
        return [self]


class Ensemble(nn.Module):
    """Networks and k-mer weights that read one length as one; the logits are the mean of theirs."""

    def __init__(self, members: Sequence[Network | KmerModule]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def networks(self) -> list[Network | KmerModule]:
        """Return the members."""
        return cast("list[Network | KmerModule]", list(self.members))

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of one-hot sequences: float32 (n, 4, L) -> (n, 2)."""
        return torch.stack([member(x) for member in self.members]).mean(dim=0)


def torch_module(members: Sequence[AnyMember]) -> Network | KmerModule | Ensemble:
    """Make the PyTorch module of a model's members, in evaluation mode on the CPU."""
    modules = [
        _with_weights(KmerModule(member.architecture), member)
        if isinstance(member, KmerMember)
        else torch_network(member)
        for member in members
    ]
    return modules[0] if len(modules) == 1 else Ensemble(modules).eval()


def torch_network(member: Member) -> Network:
    """Make the PyTorch network of one member, in evaluation mode on the CPU."""
    return _with_weights(Network(member.architecture), member)


def _with_weights(module: M, member: AnyMember) -> M:
    weights = member.weights().items()
    module.load_state_dict({name: torch.tensor(array) for name, array in weights})
    return module.eval()


def one_hot(codes: Tensor) -> Tensor:
    """Compute `dna.one_hot` on the codes' own device: uint8 (n, L) -> float32 (n, 4, L)."""
    rows = torch.cat([torch.eye(BASES), torch.full((1, BASES), 0.25)]).to(codes.device)
    return rows[codes.long()].transpose(1, 2).contiguous()
