"""The networks in PyTorch, layer by layer: they draw first weights, and are the engines' reference.

Each nonlinearity is a module of its own, of a kind that has a rule in the DeepLIFT of captum and
tangermeme: a function has none, and attributions then miss the difference in output in silence.
Give captum 0.9 one sequence at a time (captum#1276).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from enhancer_core.models.architecture import (
    BASES,
    CLASSES,
    Architecture,
    Convolution,
    Member,
    cut,
    flatten,
)
from enhancer_core.models.cpu.object_cache import available
from enhancer_core.models.cpu.predictor import Predictor
from enhancer_core.models.ensemble import MeanPredictor
from enhancer_core.models.gpu.predictor import Predictor as BatchedPredictor


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

    In captum and tangermeme `target=1` is the logit of positives. The log odds, whose logistic
    function is the probability, are the logit of positives less the other's, and their attribution
    that of target 1 less that of target 0.
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

    @property
    def first_layer(self) -> ReverseComplementConvolution:
        """The convolution that reads DNA, whose filters are motifs."""
        return cast("ReverseComplementConvolution", self.convolutions[0])

    def filters(self) -> tuple[Tensor, Tensor]:
        """Return the first layer's filters (F, 4, W) and their biases (F,)."""
        return self.first_layer.weight.detach(), cast("Tensor", self.first_layer.bias).detach()

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
        """Compute the logits of one-hot sequences.

        `mask`, float32 (n, units), multiplies the units that the last layer reads: dropout, which
        the caller draws.
        """
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

    def member_networks(self) -> list[Member]:
        """Give itself, as the one member that an ensemble has several of."""
        return [Member(self.architecture, self.flat_parameters())]

    def predictor(self) -> Predictor | BatchedPredictor:
        """Make what predicts with the weights as they are: the engine on a CPU, else PyTorch.

        PyTorch too where the engine cannot be compiled.
        """
        device, parameters = self.output.weight.device, self.flat_parameters()
        if device.type == "cpu" and available():
            return Predictor(self.architecture, parameters)
        return BatchedPredictor(self.architecture, parameters, device=str(device))


class Ensemble(nn.Module):
    """Networks that read one length as one; the logits are the mean of theirs."""

    def __init__(self, members: Sequence[Network]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    @property
    def architecture(self) -> Architecture:
        """What the first member is made of."""
        return self._networks()[0].architecture

    def forward(self, x: Tensor) -> Tensor:
        """Give the logits of one-hot sequences: float32 (n, 4, L) -> (n, 2)."""
        return torch.stack([member(x) for member in self.members]).mean(dim=0)

    def filters(self) -> tuple[Tensor, Tensor]:
        """Give the first layers' filters and biases of the members made as the first, in order."""
        same = [each for each in self._networks() if each.architecture == self.architecture]
        weights, biases = zip(*(member.filters() for member in same), strict=True)
        return torch.cat(weights), torch.cat(biases)

    def member_networks(self) -> list[Member]:
        """List the members, with copies of their weights."""
        return [each for member in self._networks() for each in member.member_networks()]

    def predictor(self) -> MeanPredictor:
        """Make what predicts with the weights as they are, as `Network.predictor`."""
        return MeanPredictor([member.predictor() for member in self._networks()])

    def _networks(self) -> list[Network]:
        return cast("list[Network]", list(self.members))


def network_of_members(members: Sequence[Member]) -> Network | Ensemble:
    """Make a network of one member, or an ensemble of several."""
    networks = [network_of(each.architecture, each.parameters) for each in members]
    return networks[0] if len(networks) == 1 else Ensemble(networks).eval()


def network_of(architecture: Architecture, parameters: NDArray[np.float32]) -> Network:
    """Make a network of flat parameters, float32 (p,), in evaluation mode on the CPU."""
    network = Network(architecture)
    weights = cut(architecture, parameters).items()
    network.load_state_dict({name: torch.tensor(array) for name, array in weights})
    return network.eval()


def one_hot(codes: Tensor) -> Tensor:
    """Spread base codes over four channels on their own device.

    uint8 (n, L) -> float32 (n, 4, L), N 0.25 in all four, as `dna.one_hot`.
    """
    rows = torch.cat([torch.eye(BASES), torch.full((1, BASES), 0.25)]).to(codes.device)
    return rows[codes.long()].transpose(1, 2).contiguous()
