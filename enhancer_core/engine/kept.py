"""Machine code of the entries, kept in files: a process that finds it does without numba.

To import numba and to load one kernel by it takes half a second, as long as 50,000 predictions.
LLVM alone takes 35 ms. Code is kept where numba keeps its own, under a name that tells the source
and the processor, so that no other is ever found under it.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import __version__ as llvmlite_version  # type: ignore[import-untyped]
from llvmlite import binding
from numpy.typing import NDArray

from enhancer_core import __version__
from enhancer_core.engine import processor
from enhancer_core.errors import FileError
from enhancer_core.io.files import read_chunks, writing

Entry = Callable[..., None]  # takes what `flat` gives

_HERE = Path(__file__).parent
_DIGEST = 2 * hashlib.sha256().digest_size  # a file is a digest and the code it is of


@cache
def available() -> bool:
    """Say whether networks run here: by code that was kept, or since numba can compile."""
    if _may_keep() and all(_find(name) is not None for name in ("pack", "forward")):
        return True
    from enhancer_core.compiled import OBSTACLE

    return OBSTACLE is None


@cache
def entry(name: str) -> Entry:
    """Give an entry of `entries` as a function; it lets go of Python's lock."""
    code = _find(name) if _may_keep() else None
    if code is None:
        from enhancer_core.engine.entries import machine_code

        code = machine_code(name)
        if _may_keep():
            _keep(name, code)
    return _linked(name, code)


def flat(*arguments: NDArray[Any] | int) -> list[int]:
    """Spell arguments of an entry: of an array its address and its sizes, a number as it is.

    Arrays must be contiguous, of the type that the entry takes, and outlive the call.
    """
    spelled: list[int] = []
    for each in arguments:
        if isinstance(each, np.ndarray):
            spelled += (each.__array_interface__["data"][0], *each.shape)
        else:
            spelled.append(each)
    return spelled


def _may_keep() -> bool:
    return os.environ.get("NUMBA_DISABLE_JIT", "0") == "0"


def _linked(name: str, code: bytes) -> Entry:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    target = binding.Target.from_default_triple().create_target_machine(jit=True)
    linker = binding.create_lljit_compiler(target)
    library = binding.JITLibraryBuilder().add_object_img(code).add_current_process()
    made = library.export_symbol(name).link(linker, name)
    function = ctypes.CFUNCTYPE(None)(made[name])

    def call(*arguments: int) -> None:
        function(*map(ctypes.c_ssize_t, arguments))

    _LIVE.append((linker, made))
    return call


_LIVE: list[object] = []  # machine code is gone with what has linked it


def _find(name: str) -> bytes | None:
    for path in _paths(name):
        try:
            content = b"".join(read_chunks(path))
        except FileError:
            continue
        code = content[_DIGEST:]
        if _digest(code) == content[:_DIGEST]:
            return code
    return None


def _keep(name: str, code: bytes) -> None:
    for path in _paths(name):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with writing(path) as stream:
                stream.write(_digest(code) + code)
        except (FileError, OSError):
            continue
        return


def _digest(code: bytes) -> bytes:
    return hashlib.sha256(code).hexdigest().encode()


def _paths(name: str) -> Iterator[Path]:
    """Give where an entry's code may be: as with numba, one place that is set, or either of two."""
    file = f"{name}-{_key()}.o"
    if folder := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(folder) / "enhancer_core" / file
        return
    yield _HERE / "__pycache__" / file
    home = os.environ.get("HOME")
    if caches := os.environ.get("XDG_CACHE_HOME") or (home and f"{home}/.cache"):
        yield Path(caches) / "enhancer_core" / file


@cache
def _key() -> str:
    """Digest what machine code depends on."""
    digest = hashlib.sha256(
        b"".join(b"".join(read_chunks(path)) for path in sorted(_HERE.glob("*.py")))
    )
    for each in (__version__, llvmlite_version, processor.name(), processor.features()):
        digest.update(f"{each}\n".encode())
    return digest.hexdigest()[:16]
