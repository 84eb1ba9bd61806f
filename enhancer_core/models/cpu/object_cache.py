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

from llvmlite import __version__ as llvmlite_version  # type: ignore[import-untyped]
from llvmlite import binding

from enhancer_core import __version__
from enhancer_core.errors import FileError
from enhancer_core.io.files import open_output, read_chunks
from enhancer_core.models.cpu import target
from enhancer_core.models.cpu.signatures import SIGNATURES, Argument, spell

Entry = Callable[..., None]

_HERE = Path(__file__).parent
_DIGEST = 2 * hashlib.sha256().digest_size  # a file is a digest and the code it is of


@cache
def available() -> bool:
    """Say whether networks run here: by code that was kept, or since numba can compile."""
    if _may_keep() and all(_find(name) is not None for name in ("pack", "forward")):
        return True
    from enhancer_core.dna._numba import OBSTACLE

    return OBSTACLE is None


def entry(name: str, *last: Argument) -> Entry:
    """Give machine code as a function of what `signatures` says; it lets go of Python's lock.

    Its last arguments may be given here, once for many calls. It raises TypeError where `spell`
    does, or if the number of arguments is another.
    """
    function, wanted = _function(name), len(SIGNATURES[name])
    same = spell(name, last, wanted - len(last))

    def call(*first: Argument) -> None:
        given = len(first) + len(last)  # what is named here lives as long as the addresses of it
        if given != wanted:
            raise TypeError(f"{name}: {given} arguments; allowed are {wanted}")
        spelled = spell(name, first) + same
        function((ctypes.c_ssize_t * len(spelled))(*spelled))

    return call


@cache
def _function(name: str) -> Callable[[object], None]:
    code = _find(name) if _may_keep() else None
    if code is None:
        from enhancer_core.models.cpu.aot import machine_code

        code = machine_code(name)
        if _may_keep():
            _keep(name, code)
    return _linked(name, code)


def _may_keep() -> bool:
    return os.environ.get("NUMBA_DISABLE_JIT", "0") == "0"


def _linked(name: str, code: bytes) -> Callable[[object], None]:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    target = binding.Target.from_default_triple().create_target_machine(jit=True)
    linker = binding.create_lljit_compiler(target)
    library = binding.JITLibraryBuilder().add_object_img(code).add_current_process()
    made = library.export_symbol(name).link(linker, name)
    _LIVE.append((linker, made))
    return ctypes.CFUNCTYPE(None, ctypes.c_void_p)(made[name])


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
            with open_output(path) as stream:
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
    for each in (__version__, llvmlite_version, target.name(), target.features()):
        digest.update(f"{each}\n".encode())
    return digest.hexdigest()[:16]
