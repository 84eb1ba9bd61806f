"""Functions that machine code begins at where Python calls it without numba.

Each takes an array as a pointer and its sizes, so that nothing but addresses and whole numbers
crosses over, and calls a kernel, none of which allocates or fails.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
from llvmlite import binding  # type: ignore[import-untyped]
from numba import types
from numba.np.numpy_support import carray
from numpy.typing import NDArray

from enhancer_core.compiled import compiled
from enhancer_core.engine import processor
from enhancer_core.engine.forward import forward
from enhancer_core.engine.fragments import compute_fragments, compute_windows
from enhancer_core.engine.packing import pack
from enhancer_core.engine.plan import LAYER
from enhancer_core.engine.scanning import FRAGMENT
from enhancer_core.engine.sliding import slide
from enhancer_core.engine.substitutions import substitute

Value = Any  # of numba's and llvmlite's, which have no types

_WHOLE = types.intp


def machine_code(name: str) -> bytes:
    """Compile an entry: an object file that has it under its name, and needs no other.

    Raises
    ------
    RuntimeError
        If a kernel needs anything of Python's or of numba's, as to raise an error does.
    """
    function, arguments = _ENTRIES[name]
    made = numba.cfunc(types.void(*arguments))(function)
    module = binding.parse_assembly(made.inspect_llvm())
    module.get_function(made.native_name).name = name
    for each in (*module.functions, *module.global_variables):
        if not each.is_declaration and each.name != name:
            each.linkage = "internal"
    target = binding.Target.from_default_triple().create_target_machine(
        cpu=processor.name(), features=processor.features(), opt=3, jit=True
    )
    # What passes errors on goes, since it is seen now that no kernel has one.
    passes = binding.create_new_module_pass_manager()
    passes.add_ipsccp_pass()
    passes.add_global_dead_code_eliminate_pass()
    options = binding.create_pipeline_tuning_options()
    passes.run(module, binding.create_pass_builder(target, options))
    needed = [each.name for each in module.functions if each.is_declaration]
    if foreign := [each for each in needed if not each.startswith("llvm.")]:
        raise RuntimeError(f"machine code of '{name}' needs {', '.join(foreign)}")
    return bytes(target.emit_object(module))


@compiled
def _logistic(log_odds: NDArray[Any], found: NDArray[Any]) -> None:
    one = log_odds.dtype.type(1)
    for i in range(len(found)):
        found[i] = one / (one + math.exp(-log_odds[i]))


def _expit(log_odds: Value, n: int, found: Value, m: int) -> None:
    _logistic(carray(log_odds, n), carray(found, m))


def _forward(  # noqa: PLR0913
    codes: Value,
    n: int,
    length: int,
    layers: Value,
    count: int,
    convolutions: int,
    packed: Value,
    packed_size: int,
    memory: Value,
    memory_size: int,
    words: Value,
    words_size: int,
    scores: Value,
    scores_size: int,
) -> None:
    forward(
        carray(codes, (n, length)),
        carray(layers, count),
        convolutions,
        carray(packed, packed_size),
        carray(memory, memory_size),
        carray(words, words_size),
        carray(scores, scores_size),
        None,
        None,
    )


def _substitute(  # noqa: PLR0913
    codes: Value,
    n: int,
    length: int,
    changes: Value,
    m: int,
    columns: int,
    layers: Value,
    count: int,
    convolutions: int,
    packed: Value,
    packed_size: int,
    memory: Value,
    memory_size: int,
    original: Value,
    original_size: int,
    words: Value,
    words_size: int,
    scores: Value,
    scores_size: int,
) -> None:
    substitute(
        carray(codes, (n, length)),
        carray(changes, (m, columns)),
        carray(layers, count),
        convolutions,
        carray(packed, packed_size),
        carray(memory, memory_size),
        carray(original, original_size),
        carray(words, words_size),
        carray(scores, scores_size),
    )


def _pack(  # noqa: PLR0913
    layers: Value,
    count: int,
    parameters: Value,
    size: int,
    packed: Value,
    packed_size: int,
    sums: Value,
    positions: int,
    bases: int,
    row: int,
) -> None:
    pack(
        carray(layers, count),
        carray(parameters, size),
        carray(packed, packed_size),
        carray(sums, (positions, bases, row)),
    )


def _fragments(  # noqa: PLR0913
    codes: Value,
    n: int,
    layers: Value,
    count: int,
    unpooled: Value,
    one: int,
    fragments: Value,
    m: int,
    packed: Value,
    packed_size: int,
    memory: Value,
    memory_size: int,
    words: Value,
    words_size: int,
    scores: Value,
    scores_size: int,
) -> None:
    compute_fragments(
        carray(codes, n),
        carray(layers, count),
        carray(unpooled, one),
        carray(fragments, m),
        carray(packed, packed_size),
        carray(memory, memory_size),
        carray(words, words_size),
        carray(scores, scores_size),
    )


def _windows(  # noqa: PLR0913
    codes: Value,
    n: int,
    starts: Value,
    m: int,
    places: Value,
    places_size: int,
    shared: int,
    layers: Value,
    count: int,
    convolutions: int,
    sequences: int,
    length: int,
    packed: Value,
    packed_size: int,
    memory: Value,
    memory_size: int,
    words: Value,
    words_size: int,
    scores: Value,
    scores_size: int,
    found: Value,
    rows: int,
    columns: int,
) -> None:
    compute_windows(
        carray(codes, n),
        carray(starts, m),
        carray(places, places_size),
        shared,
        carray(layers, count),
        convolutions,
        sequences,
        length,
        carray(packed, packed_size),
        carray(memory, memory_size),
        carray(words, words_size),
        carray(scores, scores_size),
        carray(found, (rows, columns)),
    )


def _slide(  # noqa: PLR0913
    codes: Value,
    n: int,
    starts: Value,
    m: int,
    layers: Value,
    count: int,
    place: int,
    packed: Value,
    packed_size: int,
    memory: Value,
    memory_size: int,
    words: Value,
    words_size: int,
    scores: Value,
    scores_size: int,
) -> None:
    slide(
        carray(codes, n),
        carray(starts, m),
        carray(layers, count),
        place,
        carray(packed, packed_size),
        carray(memory, memory_size),
        carray(words, words_size),
        carray(scores, scores_size),
    )


def _array(kind: Value, dimensions: int = 1) -> list[Value]:
    pointer = types.CPointer(kind)  # type: ignore[no-untyped-call]
    return [pointer, *[_WHOLE] * dimensions]


_CODES, _WHOLES, _DOUBLES = map(_array, (types.uint8, types.int64, types.float64))
_LAYERS, _FRAGMENTS = (_array(numba.from_dtype(each)) for each in (LAYER, FRAGMENT))
_FLOATS = _array(types.float32)
_SPACE = [*_FLOATS, *_WHOLES, *_FLOATS]  # memory, words and scores
_ROWS = _array(types.uint8, 2)

_ENTRIES: dict[str, tuple[Callable[..., None], list[Value]]] = {
    "pack": (_pack, [*_LAYERS, *_FLOATS, *_FLOATS, *_array(types.float32, 3)]),
    "forward": (_forward, [*_ROWS, *_LAYERS, _WHOLE, *_FLOATS, *_SPACE]),
    "substitute": (
        _substitute,
        [*_ROWS, *_array(types.int64, 2), *_LAYERS, _WHOLE, *_FLOATS, *_FLOATS, *_SPACE],
    ),
    "fragments": (_fragments, [*_CODES, *_LAYERS, *_LAYERS, *_FRAGMENTS, *_FLOATS, *_SPACE]),
    "slide": (_slide, [*_CODES, *_WHOLES, *_LAYERS, _WHOLE, *_FLOATS, *_SPACE]),
    "windows": (
        _windows,
        [
            *(*_CODES, *_WHOLES, *_WHOLES, _WHOLE, *_LAYERS, _WHOLE, _WHOLE, _WHOLE),
            *(*_FLOATS, *_SPACE, *_array(types.float32, 2)),
        ],
    ),
    "expit32": (_expit, [*_FLOATS, *_FLOATS]),
    "expit64": (_expit, [*_DOUBLES, *_DOUBLES]),
}
