"""The processor that machine code is made for: this one, unless numba is told another."""

from __future__ import annotations

import os

from llvmlite import binding  # type: ignore[import-untyped]


def name() -> str:
    """Give LLVM's name of it, or NUMBA_CPU_NAME."""
    return os.environ.get("NUMBA_CPU_NAME") or str(binding.get_host_cpu_name())


def features() -> str:
    """Give what it can do, as LLVM spells it, or NUMBA_CPU_FEATURES."""
    given = "" if name() == "generic" else None
    given = os.environ.get("NUMBA_CPU_FEATURES", given)
    return str(binding.get_host_cpu_features().flatten()) if given is None else given
