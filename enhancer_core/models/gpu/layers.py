"""The layers of R networks side by side, each as one batched matrix product.

An output of a convolution and its max-pool reads pool + width - 1 positions. Activations lie
position by position, so these are next to each other, and all scores of the pool are one product:
of what it reads with a matrix that holds each filter once for each place, and on the first layer
its reverse complement as well. That is up to twice the arithmetic of a convolution, on the shapes
that matrix units are made for, and a third of the memory traffic: what is read is laid out once a
pool, not once a position. In bfloat16 a GPU has kernels that do not store scores: see `fused`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from enhancer_core.models.architecture import BASES, Architecture
from enhancer_core.models.gpu import fused
from enhancer_core.models.parameters import shapes

_WIDE = 32  # positions; a matrix with a filter at each place of a wider pool is mostly zeros
_WHOLE = 8  # numbers; rows in such multiples are what the matrix units read at full speed


def cut(architecture: Architecture, parameters: Tensor) -> dict[str, Tensor]:
    """Cut flat weights (R, p) into tensors (R, *shape) by the names of `parameters.shapes`."""
    sizes = shapes(architecture)
    pieces = torch.split(parameters, [math.prod(shape) for shape in sizes.values()], dim=1)
    return {
        name: piece.reshape(-1, *shape)
        for (name, shape), piece in zip(sizes.items(), pieces, strict=True)
    }


def logits(
    architecture: Architecture,
    parameters: Tensor,
    codes: Tensor,
    *,
    mask: Tensor | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Compute the logits (R, n, 2) of R networks, each on sequences of its own.

    `parameters` (R, p) are as in `CpuPredictor`, `codes` uint8 (R, n, L), and `mask` (R, n, units)
    multiplies what the last layer reads. Convolutions compute in `dtype`, or the parameters' own,
    as all else does.
    """
    weights = cut(architecture, parameters)
    x = convolve(architecture, weights, codes, dtype=dtype or parameters.dtype)
    return dense(architecture, weights, join(architecture, x).to(parameters.dtype), mask)


def convolve(
    architecture: Architecture,
    weights: dict[str, Tensor],
    codes: Tensor,
    *,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Compute all convolutions: codes (R, n, L) -> (R, n, outputs * F) of the last one."""
    x = codes
    for index in used(architecture):
        layer, name = architecture.convolutions[index], f"convolutions.{index}"
        if fused.supports(layer, x.device, dtype):
            weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
            x = fused.pooled(x, weight, bias, layer.pool, dtype)
        else:
            x = pooled(architecture, weights, index, one_hot(x, dtype) if index == 0 else x)
    return x


def dense(
    architecture: Architecture,
    weights: dict[str, Tensor],
    units: Tensor,
    mask: Tensor | None = None,
) -> Tensor:
    """Compute logits (R, n, 2) from the output of the last convolution, `join`ed (R, n, units)."""
    for index in range(len(architecture.dense)):
        units = functional.relu(_dense(weights, f"dense.{index}", units))
    return _dense(weights, "output", units if mask is None else units * mask)


def used(architecture: Architecture) -> list[int]:
    """List the convolutions that reach the logits; each reads the output of the one before.

    Examples
    --------
    >>> from enhancer_core.models.architecture import NETWORKS
    >>> used(NETWORKS["enhancer"]), used(NETWORKS["original_code"])
    ([0, 1, 2], [0, 2])
    """
    last = len(architecture.convolutions) - 1
    return list(range(last + 1)) if architecture.chained else sorted({0, last})


def one_hot(codes: Tensor, dtype: torch.dtype) -> Tensor:
    """Encode codes (..., L) as one-hot, base by base: (..., L * 4); N is 0.25 in all four."""
    rows = torch.eye(BASES, dtype=dtype, device=codes.device)
    rows = torch.cat([rows, torch.full_like(rows[:1], 1 / BASES)])
    return functional.embedding(codes.int(), rows).flatten(-2)


def pooled(architecture: Architecture, weights: dict[str, Tensor], index: int, x: Tensor) -> Tensor:
    """Compute a convolution, its max-pool and ReLU: (R, n, P * C) -> (R, n, outputs * F)."""
    layer = architecture.convolutions[index]
    if layer.pool <= _WIDE:
        places = scores(weights, index, x, pool=layer.pool)
    else:
        places = scores(weights, index, x, pool=1)
        outputs = places.shape[2] // layer.pool
        places = places[:, :, : outputs * layer.pool].reshape(
            *places.shape[:2], outputs, -1, layer.filters
        )
    best = places.max(dim=3).values
    bias = weights[f"convolutions.{index}.bias"].to(x.dtype)
    return functional.relu(best + bias[:, None, None]).flatten(2)


def scores(weights: dict[str, Tensor], index: int, x: Tensor, *, pool: int) -> Tensor:
    """Score each filter at the places of each pool, without the bias.

    x (R, n, P * C) -> (R, n, outputs, places, F) of (P - W + 1) // pool outputs, and `pool` places
    on one strand, or as many on each strand for the first layer. In the order A C G T the reverse
    complement of a filter is the filter read backwards (Cohn et al. 2018, section 3.1).
    """
    weight = weights[f"convolutions.{index}.weight"]
    restarts, filters, channels, width = weight.shape
    rows = weight.transpose(2, 3).flatten(2)  # position by position, as activations lie
    strands = torch.stack([rows, rows.flip(2)] if index == 0 else [rows], dim=1)
    reach, step = (pool + width - 1) * channels, pool * channels
    outputs = (x.shape[2] - reach) // step + 1
    size = -(-reach // _WHOLE) * _WHOLE
    beyond = (outputs - 1) * step + size - x.shape[2]
    x = functional.pad(x, (0, beyond)) if beyond > 0 else x
    windows = x.unfold(2, size, step).reshape(restarts, -1, size)
    # Slopes of a filter are summed over its places in the precision of the weights.
    places = _at_each_place(strands, channels=channels, pool=pool, size=size).to(x.dtype)
    products = torch.bmm(windows, places.transpose(1, 2))
    return products.view(restarts, x.shape[1], outputs, -1, filters)


def _at_each_place(rows: Tensor, *, channels: int, pool: int, size: int) -> Tensor:
    """Copy filters (R, S, F, W * C) to each place of a pool: (R, S * pool * F, size).

    A row of size + C numbers, repeated end to end and cut again after every `size`, moves on by C
    each time: filter, zeros, filter, zeros.
    """
    padded = functional.pad(rows, (0, size + channels - rows.shape[3]))
    repeated = padded[:, :, :, None].expand(-1, -1, -1, pool, -1).flatten(3)
    moved = repeated[..., : pool * size].reshape(*rows.shape[:3], pool, size)
    return moved.transpose(2, 3).flatten(1, 3)


def join(architecture: Architecture, x: Tensor) -> Tensor:
    """Order the last convolution's output, (..., P * F), as the dense layers read it: F * P."""
    filters = architecture.convolutions[-1].filters
    return x.reshape(*x.shape[:-1], -1, filters).transpose(-1, -2).flatten(-2)


def _dense(weights: dict[str, Tensor], name: str, units: Tensor) -> Tensor:
    weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    return torch.baddbmm(bias[:, None], units, weight.transpose(1, 2))
