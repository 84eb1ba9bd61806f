"""K-mer weights in PyTorch: a look into a table, whose gradient is each base's exact effect."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from enhancer_core.dna.kmers import k_mer_columns
from enhancer_core.models.architecture import BASES, KmerWeights
from enhancer_core.models.parameters import flatten, shapes


class KmerModule(nn.Module):
    """A linear model of k-mers: x float32 (n, 4, L) -> logits (n, 2), positives second.

    A position that is not one base, as N, has no words. The gradient of a word's weight by base b
    of a letter is the weight of the word with b there: so the gradients of two bases at a position
    differ by just what the change of one into the other adds.
    """

    column: Tensor

    def __init__(self, architecture: KmerWeights) -> None:
        super().__init__()
        self.architecture = architecture
        self.output = nn.ParameterDict()  # filled in order: given a mapping, it sorts
        for name, shape in shapes(architecture).items():
            self.output[name.removeprefix("output.")] = torch.zeros(shape)
        column = torch.from_numpy(k_mer_columns(architecture.k)[0])
        self.register_buffer("column", column, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of one-hot sequences."""
        weights = _WordWeights.apply(  # type: ignore[no-untyped-call]
            x, self.output["weight"], self.column, self.architecture.k
        )
        half = cast("Tensor", weights).sum(dim=1, keepdim=True) / 2
        logits: Tensor = torch.cat([-half, half], dim=1) + self.output["bias"]
        return logits

    def flat_parameters(self) -> NDArray[np.float32]:
        """Copy the weights, float32 (p,), end to end in the order of the `state_dict`."""
        weights = self.state_dict().items()
        return flatten({name: tensor.detach().cpu().numpy() for name, tensor in weights})

    def networks(self) -> list[KmerModule]:
        """Return itself, as `Network.networks`."""
        return [self]


class _WordWeights(torch.autograd.Function):
    """The weight of the word at each position: (n, 4, L) -> (n, L - k + 1)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, column: Tensor, k: int) -> Tensor:  # noqa: ANN401
        known = ((x == 1).sum(dim=1) == 1) & ((x != 0).sum(dim=1) == 1)
        codes = x.argmax(dim=1) * known
        places = BASES ** torch.arange(k, device=x.device).flip(0)
        words = (codes.unfold(1, k, 1) * places).sum(dim=2)
        unknown = (~known).unfold(1, k, 1).sum(dim=2)
        ctx.save_for_backward(weight, column, codes, known, words, unknown)
        ctx.k = k
        return torch.where(unknown == 0, weight[column[words]], 0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor, Tensor, None, None]:  # noqa: ANN401
        weight, column, codes, known, words, unknown = ctx.saved_tensors
        n, positions = words.shape
        by_base = slopes.new_zeros(n, BASES, codes.shape[1])
        bases = torch.arange(BASES, device=codes.device)[:, None]
        for offset in range(ctx.k):
            here, place = slice(offset, offset + positions), BASES ** (ctx.k - 1 - offset)
            others_known = unknown == (~known[:, here]).int()
            changed = (words - codes[:, here] * place)[:, None] + bases * place  # (n, 4, P)
            by_base[:, :, here] += weight[column[changed]] * (slopes * others_known)[:, None]
        of_known = (slopes * (unknown == 0)).flatten()
        by_weight = torch.zeros_like(weight).index_add_(0, column[words].flatten(), of_known)
        return by_base, by_weight, None, None
