"""A convolution, its max-pool and its ReLU in one kernel of a GPU.

`layers.pooled` writes down the score of every filter at every place, in the first layer some 40 KB
a sequence, and reads it again to find the best. Here scores never leave the registers: a program of
the GPU multiplies its windows with the filters for one place of the pool after the other, and keeps
the best and the place it is at. Base codes are spelled only there. Slopes go back to that place
alone: one kernel sums what reaches the filters, another what reaches each number that was read.
The order of all sums is fixed, so that the same run gives the same bytes.

The kernels are Triton's (Tillet et al. 2019), which comes with PyTorch for CUDA. They are for
bfloat16, and sum in float32; float32, as three products of 11 bits, took 1.6 times as long as by
`layers` on an H200. They stay since they beat the matrix products of `layers` there: a step of 50
restarts takes 1.11 ms instead of 1.36, one of 10 restarts of 256 filters .99 instead of 1.54 ms.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from enhancer_core.models.architecture import Convolution

_ROWS = 64  # windows that a program reads at once
_LEAST, _MOST = 16, 64  # numbers a side, of what it multiplies
_PROGRAMS = 1024  # that sum slopes, or a few more: several for each multiprocessor
_SHOWN = 200  # letters of an error
_CAPABILITY = 8, 0  # from which on GPUs multiply bfloat16
_PLACES = 127  # that can be told apart in 8 bits


def supports(layer: Convolution, device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether the kernels support a layer on a device.

    They are for bfloat16, and for pools of up to 63 positions: the place of the best, on either
    strand, is a byte.
    """
    small = 2 * layer.pool <= _PLACES
    return small and dtype == torch.bfloat16 and missing_requirement(device) is None


@cache
def missing_requirement(device: torch.device) -> str | None:
    """Return in a line what kernels lack to run on a device; None if they run.

    They need an NVIDIA GPU of 2020 or later, Triton, and the C compiler and the Python headers that
    it compiles with.

    Examples
    --------
    >>> missing_requirement(torch.device("cpu"))
    'no CUDA GPU'
    """
    if device.type != "cuda":
        return "no CUDA GPU"
    if torch.cuda.get_device_capability(device) < _CAPABILITY:
        return "the GPU multiplies no bfloat16"
    if importlib.util.find_spec("triton") is None:
        return "Triton is not installed"
    with torch.cuda.device(device):
        return _compile_error(device)


def _compile_error(device: torch.device) -> str | None:
    """Run a kernel on one base, and return the error, if any, in a line."""
    codes = torch.zeros(1, 1, 1, dtype=torch.uint8, device=device)
    weight, bias = (torch.zeros(1, 1, *size, device=device) for size in ((4, 1), ()))
    try:
        pooled(codes, weight, bias, 1, torch.bfloat16)
    except Exception as error:  # noqa: BLE001 # of Triton, a C compiler or the driver: see above
        return f"{type(error).__name__}: {' '.join(str(error).split())}"[:_SHOWN]
    return None


def pooled(x: Tensor, weight: Tensor, bias: Tensor, pool: int, dtype: torch.dtype) -> Tensor:
    """Compute a convolution, its max-pool and ReLU, as `layers.pooled` does: (R, n, outputs * F).

    `x` holds base codes, uint8 (R, n, L), which are scored on both strands, or the output of the
    layer before, (R, n, P * C). `weight` and `bias` are float32 (R, F, C, W) and (R, F). Factors
    and output are of `dtype`.
    """
    outputs: Tensor = _Pooled.apply(x, weight, bias, pool, dtype)  # type: ignore[no-untyped-call]
    return outputs


@dataclass(frozen=True, slots=True)
class _Sizes:
    """What a layer computes."""

    networks: int
    filters: int
    channels: int
    width: int
    pool: int
    outputs: int  # of a sequence


def _kernels() -> ModuleType:
    from enhancer_core.models.gpu import kernels  # here, since Triton comes with CUDA only

    return kernels


class _Pooled(torch.autograd.Function):
    """The kernels, as PyTorch calls them."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        pool: int,
        dtype: torch.dtype,
    ) -> Tensor:
        networks, filters, channels, width = weight.shape
        letters = x.dtype == torch.uint8
        positions = x.shape[2] if letters else x.shape[2] // channels
        sizes = _Sizes(networks, filters, channels, width, pool, (positions - width + 1) // pool)
        windows, size = x.shape[1] * sizes.outputs, width * channels
        rows = weight.transpose(2, 3).flatten(2)  # position by position, as x lies
        strands = [rows, rows.flip(2)] if letters else [rows]
        weights = torch.stack(strands, dim=1).to(dtype)
        x = x.contiguous()
        best = torch.empty(networks, windows, filters, dtype=dtype, device=x.device)
        places = torch.empty(best.shape, dtype=torch.int8, device=x.device)
        block = _block(filters)
        _kernels().forward[networks * _blocks(windows, _ROWS), _blocks(filters, block)](
            *(x, weights, bias.contiguous(), best, places),
            *(windows, sizes.outputs, x.shape[2], filters, size),
            C=channels,
            POOL=pool,
            LETTERS=letters,
            ROWS=_ROWS,
            BF=block,
            BK=_block(size),
        )
        ctx.save_for_backward(x, weights, places)
        ctx.sizes = sizes
        return best.view(networks, x.shape[1], sizes.outputs * filters)

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        x, weights, places = ctx.saved_tensors
        slopes = slopes.contiguous()
        weight, bias = _to_filters(ctx.sizes, x, slopes, places)
        if not ctx.needs_input_grad[0]:
            return None, weight, bias, None, None
        return _to_inputs(ctx.sizes, x, weights, slopes, places), weight, bias, None, None


def _to_filters(sizes: _Sizes, x: Tensor, slopes: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the slopes of weights (R, F, C, W) and biases (R, F)."""
    networks, filters, size = sizes.networks, sizes.filters, sizes.width * sizes.channels
    letters, windows = x.dtype == torch.uint8, x.shape[1] * sizes.outputs
    block, numbers = _block(filters), _block(size)
    grid = _blocks(filters, block), _blocks(size, numbers)
    blocks = _blocks(windows, _ROWS)
    together = _blocks(blocks, _blocks(_PROGRAMS, networks * grid[0] * grid[1]))
    parts = _blocks(blocks, together)
    strands = 2 if letters else 1
    sums = torch.empty(networks, parts, strands, filters, size, device=x.device)
    biases = torch.empty(networks, parts, filters, device=x.device)
    _kernels().to_filters[networks * parts, *grid](
        *(x, slopes, places, sums, biases),
        *(windows, sizes.outputs, x.shape[2], filters, size, parts, together),
        C=sizes.channels,
        POOL=sizes.pool,
        LETTERS=letters,
        ROWS=_ROWS,
        BF=block,
        BK=numbers,
    )
    ahead, *behind = sums.sum(1).unbind(1)
    rows = ahead + behind[0].flip(2) if letters else ahead
    weight = rows.view(networks, filters, sizes.width, sizes.channels).transpose(2, 3)
    return weight, biases.sum(1)


def _to_inputs(sizes: _Sizes, x: Tensor, weights: Tensor, slopes: Tensor, places: Tensor) -> Tensor:
    """Compute the slopes of what was read, (R, n, P * C)."""
    length, block = x.shape[2] // sizes.channels, _block(sizes.channels)
    positions, reached = x.shape[1] * length, torch.empty_like(x)
    _kernels().to_inputs[
        sizes.networks * _blocks(positions, _ROWS), _blocks(sizes.channels, block)
    ](
        *(weights, slopes, places, reached),
        *(positions, sizes.outputs, sizes.width, sizes.filters, length),
        C=sizes.channels,
        POOL=sizes.pool,
        ROWS=_ROWS,
        BF=_block(sizes.filters),
        BC=block,
    )
    return reached


def _block(count: int) -> int:
    """Choose how many are multiplied at once: a power of two."""
    return min(max(1 << (count - 1).bit_length(), _LEAST), _MOST)


def _blocks(count: int, size: int) -> int:
    return -(-count // size)
