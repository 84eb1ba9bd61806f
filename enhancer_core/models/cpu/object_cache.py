"""Compile the kernels that Python calls, and keep their machine code for later processes.

Importing numba and loading a kernel through its own cache takes .8 s of CPU time, as long as 40,000
predictions; LLVM alone links a file in 35 ms. A file's name has a digest of the source, versions
and processor, so that stale code is never found. Since its code is run as it is, the file and its
folder must be the user's or root's, and not writable by others. Kernels take a row of integers: of
each array the fields that numba passes for it.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from struct import pack
from typing import Any

import numpy as np
from llvmlite import __version__ as llvmlite_version  # type: ignore[import-untyped]
from llvmlite import binding
from numpy.typing import NDArray

from enhancer_core import __version__
from enhancer_core.errors import FileError
from enhancer_core.io.files import open_output, read_chunks
from enhancer_core.models.cpu.layout import INTEGER, SIGNATURES


@cache
def available() -> bool:
    """Return whether the compiled engine runs here: its code is kept, or numba can compile it."""
    if os.environ.get("NUMBA_DISABLE_JIT", "0") == "0" and all(map(_read, ("pack", "predict"))):
        return True
    from enhancer_core.dna._numba import OBSTACLE  # here, to do without numba where code is kept

    return OBSTACLE is None


def load_kernel(name: str, *last: NDArray[Any] | int) -> Callable[..., None]:
    """Return a kernel, bound to its last arguments; it raises as `marshal` does."""
    function, n = _function(name), len(SIGNATURES[name])
    bound = marshal(name, last, n - len(last))

    def call(*first: NDArray[Any] | int) -> None:
        if len(first) + len(last) != n:  # both keep the arrays alive whose addresses are passed
            raise TypeError(f"{name}: {len(first) + len(last)} arguments; allowed are {n}")
        if function(marshal(name, first) + bound):
            raise RuntimeError(f"kernel '{name}' failed")

    return call


def marshal(name: str, arguments: Sequence[NDArray[Any] | int], first: int = 0) -> bytes:
    """Flatten a kernel's arguments, from number `first` on, into a row.

    Raises
    ------
    TypeError
        If one is not of the kind in `SIGNATURES`.
    """
    numbers: list[int] = []
    for i, argument in enumerate(arguments, first):
        kind = INTEGER
        if isinstance(argument, np.ndarray):
            kind = argument.dtype, argument.ndim, argument.flags.c_contiguous
            numbers += 0, 0, argument.size, argument.itemsize
            numbers += argument.__array_interface__["data"][0], *argument.shape, *argument.strides
        else:
            numbers.append(argument)
        if kind != SIGNATURES[name][i]:
            raise TypeError(f"{name}, argument {i + 1}: {kind}; allowed is {SIGNATURES[name][i]}")
    return pack("q" * len(numbers), *numbers)


@cache
def _function(name: str) -> Callable[[bytes], int]:
    if (code := _read(name)) is None:
        code = compile_kernel(name)
        _write(name, code)
    linker = binding.create_lljit_compiler(_target_machine())
    builder = binding.JITLibraryBuilder().add_object_img(code).add_current_process()
    library = builder.export_symbol(name).link(linker, name)
    function = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)(library[name])
    function.owners = linker, library  # type: ignore[attr-defined] # without them it dies
    return function


def compile_kernel(name: str) -> bytes:
    """Compile a kernel to an object file that exports it by its name and needs no other code."""
    import numba  # here, as in `available`

    # Here too.
    from enhancer_core.models.cpu import forward, fragments, packing, sliding, substitutions, words

    modules = (forward, fragments, packing, sliding, substitutions, words)
    kernels = {name: kernel for module in modules for name, kernel in vars(module).items()}
    # Anew, since numba has no LLVM code of what it loads from its own cache.
    dispatcher = numba.njit(error_model="numpy")(kernels[name.partition(".")[0]].py_func)
    signature = tuple(
        numba.intp if dtype is None else numba.types.Array(numba.from_dtype(dtype), ndim, "C")
        for dtype, ndim, _ in SIGNATURES[name]
    )
    dispatcher.get_call_template(signature, {})  # compiles
    compiled: Any = next(iter(dispatcher.overloads.values()))
    module = binding.parse_assembly(compiled.library.get_llvm_str())
    module.link_in(binding.parse_assembly(_entry_point(name, compiled.fndesc.llvm_func_name)))
    for symbol in (*module.functions, *module.global_variables):
        if not symbol.is_declaration and symbol.name != name:
            symbol.linkage = "internal"
    # Now that arrays are known to have no owner, what counts references to them goes.
    passes, machine = binding.create_new_module_pass_manager(), _target_machine()
    passes.add_ipsccp_pass()
    passes.add_global_dead_code_eliminate_pass()
    options = binding.create_pipeline_tuning_options()
    passes.run(module, binding.create_pass_builder(machine, options))
    needed = {symbol.name for symbol in module.functions if symbol.is_declaration}
    if foreign := [symbol for symbol in sorted(needed) if not symbol.startswith("llvm.")]:
        raise RuntimeError(f"machine code of '{name}' needs {', '.join(foreign)}")
    return bytes(machine.emit_object(module))


def _entry_point(name: str, kernel: str) -> str:
    """Write, in LLVM's language, a function of a row that calls a kernel as numba does."""
    kinds = ["ptr %result", "ptr %error"]
    for dtype, ndim, _ in SIGNATURES[name]:  # an array's owner and Python object are null
        item = "i64" if dtype is None else f"i64 {dtype.itemsize}"
        array = ["ptr null", "ptr null", "i64", item, "ptr", *["i64"] * (2 * ndim - 1), item]
        kinds += [item] if dtype is None else array
    arguments = [kind if " " in kind else f"{kind} %n{i}" for i, kind in enumerate(kinds, -2)]
    loads = [
        f"%p{i} = getelementptr i64, ptr %row, i64 {i} %n{i} = load {kind}, ptr %p{i}"
        for i, kind in enumerate(kinds, -2)
        if " " not in kind
    ]
    return (
        f"declare i32 @{kernel}({', '.join(kind.split()[0] for kind in kinds)})"
        f" define i32 @{name}(ptr %row) {{ %result = alloca ptr %error = alloca ptr"
        f" {' '.join(loads)} %s = call i32 @{kernel}({', '.join(arguments)}) ret i32 %s }}"
    )


def _target_machine() -> Any:  # noqa: ANN401 -- llvmlite has no types
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    cpu, features = _processor()
    target = binding.Target.from_default_triple()
    return target.create_target_machine(cpu=cpu, features=features, opt=3, jit=True)


def _processor() -> tuple[str, str]:
    """Return LLVM's names of the processor and its features, or those that numba is told."""
    name = os.environ.get("NUMBA_CPU_NAME") or str(binding.get_host_cpu_name())
    features = os.environ.get("NUMBA_CPU_FEATURES", "" if name == "generic" else None)
    return name, str(binding.get_host_cpu_features().flatten()) if features is None else features


def _read(name: str) -> bytes | None:
    for path in _paths(name):
        with suppress(FileError, OSError):
            if _is_own(path.parent) and _is_own(path):
                content = b"".join(read_chunks(path))
                if hashlib.sha256(content[32:]).digest() == content[:32]:
                    return content[32:]
    return None


def _write(name: str, code: bytes) -> None:
    for path in _paths(name):
        with suppress(FileError, OSError):
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            if _is_own(path.parent):
                with open_output(path) as stream:
                    stream.write(hashlib.sha256(code).digest() + code)
                path.chmod(0o644)
                return


def _is_own(path: Path) -> bool:
    status = path.stat()
    return status.st_uid in (0, os.getuid()) and not status.st_mode & 0o022


def _paths(name: str) -> Iterator[Path]:
    """Yield where code may be kept: as with numba, in the folder that is set, or either of two."""
    folder = os.environ.get("NUMBA_CACHE_DIR")
    if not folder:
        yield Path(__file__).parent / "__pycache__" / f"{name}-{_key()}.o"
        folder = os.environ.get("XDG_CACHE_HOME") or f"{os.environ.get('HOME', '')}/.cache"
    yield Path(folder) / "enhancer_core" / f"{name}-{_key()}.o"


@cache
def _key() -> str:
    """Digest what machine code depends on."""
    versions = "\n".join((__version__, llvmlite_version, *_processor())).encode()
    sources = [b"".join(read_chunks(p)) for p in sorted(Path(__file__).parent.glob("*.py"))]
    return hashlib.sha256(versions + b"".join(sources)).hexdigest()[:16]
