"""Compile Python to machine code with numba, once for all processes where that can be kept.

Where numba cannot compile, which a locked-down system or an odd processor may cause, networks run
in PyTorch and all else as plain Python: the same results, late.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit

F = TypeVar("F", bound=Callable[..., Any])


def _compile(function: F) -> F:
    # In the name of numba's cache file: numba checks the source of a function, but not of those
    # that it calls, whose old code it would reuse.
    function.__qualname__ += f"_{_state(Path(function.__code__.co_filename).parent)}"
    # numpy's error model: no check of each divisor.
    try:
        dispatcher = njit(nogil=True, error_model="numpy", cache=True)(function)
    except RuntimeError:  # neither NUMBA_CACHE_DIR, this folder nor the user's cache can be written
        dispatcher = njit(nogil=True, error_model="numpy")(function)
    return cast("F", dispatcher)


@cache
def _state(folder: Path) -> str:
    """Digest the state of a folder's modules, by sizes and times as numba does."""
    stats = [(path.name, path.stat()) for path in sorted(folder.glob("*.py"))]
    listed = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    return hashlib.sha256(repr(listed).encode()).hexdigest()[:8]


def _next(number: int) -> int:
    return number + 1


def _obstacle() -> str | None:
    """Return in a line why numba cannot compile here; None if it can."""
    try:
        compiled_next = _compile(_next)
        compiled_next(0)
    except Exception as error:  # noqa: BLE001 -- whatever numba, LLVM or the system say
        return " ".join(f"{type(error).__name__}: {error}".split())
    return "NUMBA_DISABLE_JIT is set" if compiled_next is _next else None


OBSTACLE = _obstacle()
if OBSTACLE is not None:
    warnings.warn(
        f"numba cannot compile here ({OBSTACLE}); networks run in PyTorch, and shuffles and motif"
        " scans as plain Python, many times slower",
        RuntimeWarning,
        stacklevel=2,
    )


def compiled(function: F) -> F:
    """Compile a function; keep the machine code for later processes where a folder can be written.

    Where numba cannot compile, return the function, its integers wrapping as in machine code.
    """
    return _compile(function) if OBSTACLE is None else np.errstate(over="ignore")(function)
