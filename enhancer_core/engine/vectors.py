"""Eight float32 side by side, and tiles of twelve such vectors, as values in numba code.

LLVM turns scalar loops over arrays into vector code, but keeps sums in memory, and for loops of
some 30 steps the way in and out costs more than the work. Here the vectors are explicit: a tile
of 6 rows and 16 columns is summed in twelve registers, the most that AVX2 has room for. LLVM
splits the vectors for processors with shorter ones, so that the code runs everywhere, and a sum is
always taken in one order.

Nothing here checks bounds: arrays are flat, and their owners leave room for the last vector.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]  # flat
Vector: TypeAlias = Any  # known to numba only
Tile: TypeAlias = Any
F = TypeVar("F", bound=Callable[..., Any])

LANES = 8  # of a vector
ROWS = 6  # of a tile
COLUMNS = 2 * LANES

_FLOAT, _LANES = ir.FloatType(), ir.VectorType(ir.FloatType(), LANES)




def padded(columns: int) -> int:
    """Round up to whole tiles."""
    return -(-columns // COLUMNS) * COLUMNS


def compiled(function: F) -> F:
    """Compile; keep the machine code for later processes where there is a place to write."""
    try:
        return cast("F", njit(nogil=True, cache=True)(function))
    except RuntimeError:  # neither NUMBA_CACHE_DIR, this folder nor the user's cache can be written
        return cast("F", njit(nogil=True)(function))


class _Kind(types.Type):  # type: ignore[misc]
    """A numba type: some vectors."""

    def __init__(self, vectors: int) -> None:
        self.vectors = vectors
        super().__init__(name=f"{vectors} vectors of {LANES} float32")


@register_model(_Kind)
class _Model(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: _Kind) -> None:
        super().__init__(manager, kind, ir.ArrayType(_LANES, kind.vectors))


_VECTOR, _TILE = _Kind(1), _Kind(2 * ROWS)
_INDEX, _NUMBER = types.intp, types.float32


class _Code:
    """Writes the LLVM code of one operation; its arguments are referred to by their places."""

    def __init__(self, context: Any, builder: Any, signature: Any, args: Any) -> None:
        self.context, self.builder, self.kinds, self.args = context, builder, signature.args, args

    def place(self, array: int, index: Any) -> Any:
        found = self.context.make_array(self.kinds[array])(
            self.context, self.builder, self.args[array]
        )
        return self.builder.gep(found.data, [index])

    def load(self, array: int, index: Any) -> Any:
        place = self.builder.bitcast(self.place(array, index), _LANES.as_pointer())
        return self.builder.load(place, align=4)

    def store(self, lanes: Any, array: int, index: Any) -> None:
        place = self.builder.bitcast(self.place(array, index), _LANES.as_pointer())
        self.builder.store(lanes, place, align=4)

    def after(self, index: Any, steps: int, stride: Any = None) -> Any:
        """Give index + steps * stride."""
        count = ir.Constant(index.type, steps)
        by = count if stride is None else self.builder.mul(stride, count)
        return self.builder.add(index, by)

    def spread(self, number: Any) -> Any:
        nothing = ir.Constant(_LANES, ir.Undefined)
        first = self.builder.insert_element(nothing, number, ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return self.builder.shuffle_vector(first, nothing, zeros)

    def multiply_add(self, x: Any, y: Any, z: Any) -> Any:
        kind = ir.FunctionType(_LANES, [_LANES] * 3)
        name = f"llvm.fmuladd.v{LANES}f32"
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, [x, y, z])

    def unpack(self, argument: int) -> list[Any]:
        block = self.args[argument]
        return [self.builder.extract_value(block, i) for i in range(self.kinds[argument].vectors)]

    def pack(self, vectors: list[Any]) -> Any:
        block = ir.Constant(ir.ArrayType(_LANES, len(vectors)), ir.Undefined)
        for i, vector in enumerate(vectors):
            block = self.builder.insert_value(block, vector, i)
        return block


def _operation(result: Any, *arguments: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a numba function of one that writes code; `arguments` are types, None for an array."""

    def decorate(write: Callable[..., Any]) -> Callable[..., Any]:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            made = write(_Code(context, builder, signature, args), *args)
            return context.get_dummy_value() if made is None else made

        def typed(_context: Any, *given: Any) -> Any:
            kinds = (g if a is None else a for g, a in zip(given, arguments, strict=True))
            return result(*kinds), build

        names = ["_context", *(f"argument_{i}" for i in range(len(arguments)))]
        typed.__name__, typed.__doc__ = write.__name__, write.__doc__
        typed.__signature__ = Signature(  # type: ignore[attr-defined]
            [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in names]
        )
        return cast("Callable[..., Any]", intrinsic(typed))

    return decorate


@_operation(_VECTOR, None, _INDEX)
def load(code: _Code, _: Any, index: Any) -> Any:
    """Read a vector: array, index."""
    return code.pack([code.load(0, index)])


@_operation(types.none, None, _INDEX, _VECTOR)
def store(code: _Code, _: Any, index: Any, __: Any) -> None:
    """Write a vector: array, index, vector."""
    code.store(code.unpack(2)[0], 0, index)


@_operation(_VECTOR, _NUMBER)
def spread(code: _Code, number: Any) -> Any:
    """Fill a vector with one number."""
    return code.pack([code.spread(number)])


@_operation(_VECTOR, _VECTOR, _VECTOR)
def add(code: _Code, _: Any, __: Any) -> Any:
    """Sum two vectors."""
    return code.pack([code.builder.fadd(code.unpack(0)[0], code.unpack(1)[0])])


@_operation(_VECTOR, _VECTOR, _VECTOR, _VECTOR)
def multiply_add(code: _Code, *_: Any) -> Any:
    """Give x * y + z, rounded once where the processor can."""
    return code.pack([code.multiply_add(*(code.unpack(i)[0] for i in range(3)))])


@_operation(_VECTOR, _VECTOR, _VECTOR, _VECTOR, _VECTOR)
def where_greater(code: _Code, *_: Any) -> Any:
    """Choose lane by lane: x > y ? a : b."""
    x, y, a, b = (code.unpack(i)[0] for i in range(4))
    return code.pack([code.builder.select(code.builder.fcmp_ordered(">", x, y), a, b)])


@_operation(_TILE, None, _INDEX, _INDEX)
def load_tile(code: _Code, _: Any, index: Any, stride: Any) -> Any:
    """Read a tile: array, index, stride of the rows (0: every row is the first)."""
    rows = [code.after(index, row, stride) for row in range(ROWS)]
    return code.pack([code.load(0, code.after(row, i)) for row in rows for i in (0, LANES)])


@_operation(types.none, None, _INDEX, _INDEX, _TILE)
def store_tile(code: _Code, _: Any, index: Any, stride: Any, __: Any) -> None:
    """Write a tile: array, index, stride of the rows, tile."""
    vectors = code.unpack(3)
    for i, vector in enumerate(vectors):
        code.store(vector, 0, code.after(code.after(index, i // 2, stride), i % 2 * LANES))


@_operation(_TILE, _TILE, None, _INDEX, _INDEX, None, _INDEX)
def outer_add(code: _Code, *args: Any) -> Any:
    """Add an outer product to a tile: tile, x, index and stride of 6 numbers, w, index of 16."""
    _, _, index, stride, _, columns = args
    tile = code.unpack(0)
    w = [code.load(4, code.after(columns, i)) for i in (0, LANES)]
    for row in range(ROWS):
        number = code.builder.load(code.place(1, code.after(index, row, stride)))
        x = code.spread(number)
        for half in (0, 1):
            i = 2 * row + half
            tile[i] = code.multiply_add(x, w[half], tile[i])
    return code.pack(tile)
