"""Functions that machine code begins at where Python calls it without numba.

Each takes a row of whole numbers, which spell its arguments as `signatures` says, and calls a
kernel, none of which allocates or fails.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import accumulate, count
from typing import Any

import numba
from llvmlite import binding  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array
from numpy.typing import NDArray

from enhancer_core.dna._numba import compiled
from enhancer_core.models.cpu import target
from enhancer_core.models.cpu.forward import forward
from enhancer_core.models.cpu.fragments import compute_fragments, compute_windows
from enhancer_core.models.cpu.packing import pack
from enhancer_core.models.cpu.signatures import SIGNATURES, Kind
from enhancer_core.models.cpu.sliding import slide
from enhancer_core.models.cpu.substitutions import substitute

Value = Any  # of numba's and llvmlite's, which have no types


def machine_code(name: str) -> bytes:
    """Compile an entry: an object file that has it under its name, and needs no other.

    Raises
    ------
    RuntimeError
        If a kernel needs anything of Python's or of numba's, as to raise an error does.
    """
    kernel, read = _KERNELS[name], _reader(SIGNATURES[name])

    def begin(numbers: Value) -> None:
        kernel(*read(numbers))

    made = numba.cfunc(types.void(types.CPointer(types.intp)))(begin)  # type: ignore[no-untyped-call]
    module = binding.parse_assembly(made.inspect_llvm())
    module.get_function(made.native_name).name = name
    for each in (*module.functions, *module.global_variables):
        if not each.is_declaration and each.name != name:
            each.linkage = "internal"
    machine = binding.Target.from_default_triple().create_target_machine(
        cpu=target.name(), features=target.features(), opt=3, jit=True
    )
    # What passes errors on goes, since it is seen now that no kernel has one.
    passes = binding.create_new_module_pass_manager()
    passes.add_ipsccp_pass()
    passes.add_global_dead_code_eliminate_pass()
    options = binding.create_pipeline_tuning_options()
    passes.run(module, binding.create_pass_builder(machine, options))
    needed = [each.name for each in module.functions if each.is_declaration]
    if foreign := [each for each in needed if not each.startswith("llvm.")]:
        raise RuntimeError(f"machine code of '{name}' needs {', '.join(foreign)}")
    return bytes(machine.emit_object(module))


@compiled
def _logistic(log_odds: NDArray[Any], found: NDArray[Any]) -> None:
    one = log_odds.dtype.type(1)
    for i in range(len(found)):
        found[i] = one / (one + math.exp(-log_odds[i]))


@compiled
def _predict(*arguments: Value) -> None:
    forward(*arguments, None, None)  # type: ignore[call-arg] # mypy counts them as any number


def _reader(kinds: Sequence[Kind]) -> Value:
    """Make a function of a row of numbers that gives the arguments that they spell."""
    made = types.Tuple([_type(kind) for kind in kinds])  # type: ignore[no-untyped-call]

    @intrinsic
    def read(_: Value, numbers: Value) -> Value:
        def build(context: Value, builder: Value, _: Value, given: Value) -> Value:
            places = map(cgutils.intp_t, count())

            def take() -> Value:
                return builder.load(builder.gep(given[0], [next(places)]))

            found = []
            for kind, each in zip(kinds, made, strict=True):
                if kind.dtype is None:
                    found.append(take())
                    continue
                array = make_array(each)(context, builder)  # type: ignore[no-untyped-call]
                data = builder.inttoptr(take(), array.data.type)
                shape = [take() for _ in range(kind.dimensions)]
                item = cgutils.intp_t(kind.dtype.itemsize)
                strides = [*accumulate([item, *shape[:0:-1]], builder.mul)][::-1]
                populate_array(array, data, shape, strides, item, meminfo=None)  # type: ignore[no-untyped-call]
                found.append(array._getvalue())
            return context.make_tuple(builder, made, found)

        return made(numbers), build

    return read


def _type(kind: Kind) -> Value:
    if kind.dtype is None:
        return types.intp
    return types.Array(numba.from_dtype(kind.dtype), kind.dimensions, "C")


_KERNELS: dict[str, Callable[..., None]] = {
    "pack": pack,
    "forward": _predict,
    "substitute": substitute,
    "fragments": compute_fragments,
    "slide": slide,
    "windows": compute_windows,
    "expit32": _logistic,
    "expit64": _logistic,
}
