"""The kernels of a GPU compute what layers do one by one, as Triton's interpreter runs them."""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from enhancer_core.models.architecture import Architecture, Convolution
from enhancer_core.models.gpu import fused
from enhancer_core.models.gpu.layers import one_hot, pooled
from tests.models.test_gpu import random_codes

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("triton") is None, reason="Triton is there for Linux only"
    ),
    # Elsewhere its interpreter runs them: see conftest.py.
    pytest.mark.skipif(
        torch.cuda.is_available(), reason="kernels run for real here: test_batched.py"
    ),
]


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
    architecture = Architecture(convolutions=tuple(layers), dense=(), length=length)
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
        x = one_hot(codes, torch.float64)
        for index in range(len(layers)):
            x = pooled(architecture, weights, index, x)
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


def test_an_error_of_the_kernels_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    device = torch.device("cpu")
    assert fused._compile_error(device) is None
    kernels = importlib.import_module("enhancer_core.models.gpu.kernels")
    monkeypatch.setattr(kernels, "forward", {})  # no kernel can be launched
    assert fused._compile_error(device) == "KeyError: (1, 1)"


COMPILE = """
import sys
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from enhancer_core.models.gpu import kernels

half = "*bf16"
arrays = dict(weights=half, bias="*fp32", best=half, places="*i8", slopes=half)
arrays |= dict(sums="*fp32", biases="*fp32", found=half)
known = dict(POOL=6, ROWS=64, BF=64, BK=64, BC=64)
for letters, channels in ((True, 4), (False, 256)):
    arrays["x"] = "*u8" if letters else half
    for kernel in (kernels.forward, kernels.to_filters, kernels.to_inputs):
        values = known | dict(LETTERS=letters, C=channels)
        names = kernel.arg_names
        values = {name: value for name, value in values.items() if name in names}
        types = {name: "constexpr" if name in values else arrays.get(name, "i32") for name in names}
        values = {(names.index(name),): value for name, value in values.items()}
        source = ASTSource(fn=kernel, signature=types, constexprs=values)
        target = GPUTarget("cuda", int(sys.argv[1]), 32)
        print(triton.compile(source, target=target).metadata.shared)
"""


@pytest.mark.parametrize(("capability", "shared"), [(80, 163), (89, 99), (90, 227)])  # KiB a block
def test_kernels_compile_for_gpus_and_fit_their_memory(capability: int, shared: int) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", COMPILE, str(capability)],
        env={**os.environ, "TRITON_INTERPRET": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    sizes = list(map(int, ran.stdout.split()))
    assert len(sizes) == 6
    assert max(sizes) <= shared << 10
