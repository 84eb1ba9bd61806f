"""Compile Python to machine code with numba, once for all processes where that can be kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile; keep the machine code for later processes where there is a place to write."""
    # numpy's error model: no check of each divisor.
    try:
        made = njit(nogil=True, error_model="numpy", cache=True)(function)
    except RuntimeError:  # neither NUMBA_CACHE_DIR, this folder nor the user's cache can be written
        made = njit(nogil=True, error_model="numpy")(function)
    return cast("F", made)
