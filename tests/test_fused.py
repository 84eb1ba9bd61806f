"""The kernels of a GPU, run by Triton's interpreter, compute what layers do one by one."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_batched import random_codes

from enhancer_core.architecture import Architecture, Convolution
from enhancer_core.batched import fused
from enhancer_core.batched.layers import pooled, spell

# See conftest.py.
pytestmark = pytest.mark.skipif(
    torch.cuda.is_available(), reason="kernels run for real here: test_batched.py"
)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.builds(Convolution, st.integers(1, 70), st.integers(1, 20), st.integers(1, 7)),
        min_size=1,
        max_size=2,
    ),
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(0, 60),
    st.integers(0, 99),
)
def test_kernels_give_the_same_outputs_and_slopes(
    layers: list[Convolution], networks: int, n: int, more: int, seed: int
) -> None:
    length = more
    for layer in reversed(layers):
        length = (length + 1) * layer.pool + layer.width - 1
    wanted = Architecture(convolutions=tuple(layers), dense=(), length=length)
    rng = torch.Generator().manual_seed(seed)
    codes = torch.from_numpy(random_codes(networks, n, length, seed=seed))
    weights: dict[str, torch.Tensor] = {}
    channels = 4
    for index, layer in enumerate(layers):
        shape = networks, layer.filters, channels, layer.width
        scale = (channels * layer.width) ** -0.5
        weights[f"convolutions.{index}.weight"] = scale * torch.randn(shape, generator=rng)
        weights[f"convolutions.{index}.bias"] = torch.randn(shape[:2], generator=rng)
        channels = layer.filters

    def one_by_one(weights: dict[str, torch.Tensor]) -> torch.Tensor:
        x = spell(codes, torch.float64)
        for index in range(len(layers)):
            x = pooled(wanted, weights, index, x)
        return x

    def kernels(weights: dict[str, torch.Tensor]) -> torch.Tensor:
        x = codes
        for index, layer in enumerate(layers):
            weight, bias = (weights[f"convolutions.{index}.{name}"] for name in ("weight", "bias"))
            x = fused.pooled(x, weight, bias, layer.pool, torch.float32)
        return x

    results = []
    for compute, dtype in ((one_by_one, torch.float64), (kernels, torch.float32)):
        given = {name: each.to(dtype).requires_grad_() for name, each in weights.items()}
        found = compute(given)
        slopes = torch.autograd.grad(found.sin().sum(), list(given.values()))
        results.append((found.detach(), *slopes))
    for theirs, ours in zip(*results, strict=True):
        assert (ours - theirs).norm() <= 1e-4 * theirs.norm()
