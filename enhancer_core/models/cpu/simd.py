"""Eight or sixteen float32 side by side, and tiles of them, as values in numba code.

LLVM turns scalar loops over arrays into vector code, but keeps sums in memory, and for loops of
some 30 steps the way in and out costs more than the work. Here the vectors are explicit: a tile of
6 rows is summed in twelve registers, the most that AVX2 can hold. They hold 16 columns, and 32
where registers are twice as long, with AVX-512. LLVM splits the vectors for processors with shorter
ones, so that the code runs everywhere; sums are always taken in the same order.

Nothing here checks bounds: arrays are flat, and padded to whole vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Any, TypeAlias, cast

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic, models, register_model

from enhancer_core.models.cpu.layout import COLUMNS, LANES, ROWS, STRIP

Value: TypeAlias = Any  # of numba's and llvmlite's, which have no types
Vector: TypeAlias = Any  # known to numba only
Tile: TypeAlias = Any
Function: TypeAlias = Callable[..., Any]

_, _, _features = cpu_target.target_context.codegen().magic_tuple()
DOUBLE_TILES = "+avx512f" in _features.split(",")

_LANES, _WIDE = (ir.VectorType(ir.FloatType(), lanes) for lanes in (LANES, COLUMNS))


class _Kind(types.Type):
    """A numba type: some vectors."""

    def __init__(self, vectors: int, lanes: Value) -> None:
        self.vectors, self.lanes = vectors, lanes
        super().__init__(name=f"{vectors} vectors of {lanes.count} float32")


@register_model(_Kind)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Value, kind: _Kind) -> None:
        super().__init__(manager, kind, ir.ArrayType(kind.lanes, kind.vectors))  # type: ignore[no-untyped-call]


_VECTOR, _STRIP = _Kind(1, _LANES), _Kind(STRIP // LANES, _LANES)
_WIDE_VECTOR = _Kind(1, _WIDE)
_TILE, _DOUBLE_TILE = _Kind(ROWS, _WIDE), _Kind(2 * ROWS, _WIDE)
_INDEX, _NUMBER = types.intp, types.float32


class _Code:
    """Writes the LLVM code of one operation; its arguments are referred to by their places."""

    def __init__(self, context: Value, builder: Value, signature: Value, args: Value) -> None:
        self.context, self.builder, self.kinds, self.args = context, builder, signature.args, args

    def place(self, array: int, index: Value) -> Value:
        make = self.context.make_array(self.kinds[array])
        return self.builder.gep(make(self.context, self.builder, self.args[array]).data, [index])

    def load(self, array: int, index: Value, lanes: Value = _LANES) -> Value:
        place = self.builder.bitcast(self.place(array, index), lanes.as_pointer())
        return self.builder.load(place, align=4)

    def store(self, vector: Value, array: int, index: Value) -> None:
        place = self.builder.bitcast(self.place(array, index), vector.type.as_pointer())
        self.builder.store(vector, place, align=4)

    def load_rows(self, index: Value, stride: Value, across: int) -> list[Value]:
        """Read `across` wide vectors of each row of a tile."""
        starts = [self.after(index, row, stride) for row in range(ROWS)]
        steps = range(0, across * COLUMNS, COLUMNS)
        return [self.load(0, self.after(start, i), _WIDE) for start in starts for i in steps]

    def after(self, index: Value, steps: int, stride: Value = None) -> Value:
        """Compute index + steps * stride."""
        count = ir.Constant(index.type, steps)
        by = count if stride is None else self.builder.mul(stride, count)
        return self.builder.add(index, by)

    def spread(self, number: Value, lanes: Value = _LANES) -> Value:
        nothing = ir.Constant(lanes, ir.Undefined)
        first = self.builder.insert_element(nothing, number, ir.Constant(ir.IntType(32), 0))
        return self.choose(first, [0] * lanes.count)

    def choose(self, vector: Value, which: list[int]) -> Value:
        """Make a vector of some numbers of another."""
        mask = ir.Constant(ir.VectorType(ir.IntType(32), len(which)), which)
        return self.builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), mask)

    def greater(self, x: Value, y: Value, a: Value, b: Value) -> Value:
        return self.builder.select(self.builder.fcmp_ordered(">", x, y), a, b)

    def multiply_add(self, x: Value, y: Value, z: Value) -> Value:
        kind = ir.FunctionType(x.type, [x.type] * 3)
        name = f"llvm.fmuladd.v{x.type.count}f32"
        function = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
            self.builder.module, kind, name
        )
        return self.builder.call(function, [x, y, z])

    def unpack(self, argument: int) -> list[Value]:
        block = self.args[argument]
        return [self.builder.extract_value(block, i) for i in range(self.kinds[argument].vectors)]

    def pack(self, vectors: list[Value]) -> Value:
        block = ir.Constant(ir.ArrayType(vectors[0].type, len(vectors)), ir.Undefined)
        for i, vector in enumerate(vectors):
            block = self.builder.insert_value(block, vector, i)
        return block


def _operation(result: Value, *arguments: Value) -> Callable[[Function], Function]:
    """Make a numba intrinsic of a function that writes code.

    `arguments` are types, None for an array or vectors of either kind; a result of None is of the
    first argument's.
    """

    def decorate(write: Function) -> Function:
        def build(context: Value, builder: Value, signature: Value, args: Value) -> Value:
            value = write(_Code(context, builder, signature, args), *args)
            return context.get_dummy_value() if value is None else value

        def typed(_context: Value, *given: Value) -> Value:
            kinds = [g if a is None else a for g, a in zip(given, arguments, strict=True)]
            return (kinds[0] if result is None else result)(*kinds), build

        names = ["_context", *(f"argument_{i}" for i in range(len(arguments)))]
        typed.__name__, typed.__doc__ = write.__name__, write.__doc__
        typed.__signature__ = Signature(  # type: ignore[attr-defined]
            [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in names]
        )
        return cast("Function", intrinsic(typed))

    return decorate


@_operation(_VECTOR, None, _INDEX)
def load(code: _Code, _: Value, index: Value) -> Value:
    """Read a vector: array, index."""
    return code.pack([code.load(0, index)])


@_operation(_INDEX, None, _INDEX)
def whole(code: _Code, _: Value, index: Value) -> Value:
    """Read an int64 without a check for negative indices: array, index."""
    return code.builder.load(code.place(0, index))


@_operation(_NUMBER, None, _INDEX)
def number(code: _Code, _: Value, index: Value) -> Value:
    """Read a float32 without a check for negative indices: array, index."""
    return code.builder.load(code.place(0, index))


@_operation(types.none, None, _INDEX, _VECTOR)
def store(code: _Code, _: Value, index: Value, __: Value) -> None:
    """Write a vector: array, index, vector."""
    code.store(code.unpack(2)[0], 0, index)


@_operation(_VECTOR, _NUMBER)
def spread(code: _Code, number: Value) -> Value:
    """Broadcast a number to a vector."""
    return code.pack([code.spread(number)])


@_operation(_WIDE_VECTOR, None, _INDEX)
def load_wide(code: _Code, _: Value, index: Value) -> Value:
    """Read a wide vector: array, index."""
    return code.pack([code.load(0, index, _WIDE)])


@_operation(_WIDE_VECTOR, _NUMBER)
def spread_wide(code: _Code, number: Value) -> Value:
    """Broadcast a number to a wide vector."""
    return code.pack([code.spread(number, _WIDE)])


@_operation(_VECTOR, _WIDE_VECTOR)
def greater_half(code: _Code, _: Value) -> Value:
    """Return the larger half of a wide vector, lane by lane."""
    (wide,) = code.unpack(0)
    low, high = (code.choose(wide, list(range(i, i + LANES))) for i in (0, LANES))
    return code.pack([code.greater(high, low, high, low)])


@_operation(None, None, None)
def add(code: _Code, _: Value, __: Value) -> Value:
    """Sum two vectors."""
    return code.pack([code.builder.fadd(code.unpack(0)[0], code.unpack(1)[0])])


@_operation(None, None, None, None, None)
def where_greater(code: _Code, *_: Value) -> Value:
    """Choose lane by lane: x > y ? a : b."""
    return code.pack([code.greater(*(code.unpack(i)[0] for i in range(4)))])


@_operation(None, None, None)
def larger(code: _Code, *_: Value) -> Value:
    """Choose lane by lane: x > y ? x : y."""
    x, y = code.unpack(0)[0], code.unpack(1)[0]
    return code.pack([code.greater(x, y, x, y)])


@_operation(_VECTOR, _VECTOR)
def relu(code: _Code, _: Value) -> Value:
    """Choose lane by lane: x > 0 ? x : 0."""
    (x,) = code.unpack(0)
    zeros = ir.Constant(x.type, [0.0] * LANES)
    return code.pack([code.greater(x, zeros, x, zeros)])


@_operation(_VECTOR, _VECTOR, _VECTOR, _VECTOR, _VECTOR)
def where_equal(code: _Code, *_: Value) -> Value:
    """Choose lane by lane: x == y ? a : b."""
    x, y, a, b = (code.unpack(i)[0] for i in range(4))
    return code.pack([code.builder.select(code.builder.fcmp_ordered("==", x, y), a, b)])


@_operation(_STRIP, None, _INDEX)
def load_strip(code: _Code, _: Value, index: Value) -> Value:
    """Read a strip: array, index."""
    return code.pack([code.load(0, code.after(index, i)) for i in range(0, STRIP, LANES)])


@_operation(types.none, None, _INDEX, _STRIP)
def store_strip(code: _Code, _: Value, index: Value, __: Value) -> None:
    """Write a strip: array, index, strip."""
    for i, vector in enumerate(code.unpack(2)):
        code.store(vector, 0, code.after(index, i * LANES))


@_operation(_STRIP, _STRIP, _NUMBER, None, _INDEX)
def add_scaled(code: _Code, _: Value, number: Value, __: Value, index: Value) -> Value:
    """Add part of an array, times a number, to a strip: strip, number, array, index."""
    by = code.spread(number)
    read = [code.load(2, code.after(index, i)) for i in range(0, STRIP, LANES)]
    return code.pack(
        [code.multiply_add(by, x, y) for x, y in zip(read, code.unpack(0), strict=True)]
    )


@_operation(_TILE, None, _INDEX, _INDEX)
def load_tile(code: _Code, _: Value, index: Value, stride: Value) -> Value:
    """Read a tile: array, index, stride of the rows (0: every row is the first)."""
    return code.pack(code.load_rows(index, stride, 1))


@_operation(_DOUBLE_TILE, None, _INDEX, _INDEX)
def load_double_tile(code: _Code, _: Value, index: Value, stride: Value) -> Value:
    """Read a tile of twice as many columns: as `load_tile`."""
    return code.pack(code.load_rows(index, stride, 2))


@_operation(types.none, None, _INDEX, _INDEX, None)
def store_tile(code: _Code, _: Value, index: Value, stride: Value, __: Value) -> None:
    """Write a tile of either kind: array, index, stride of the rows, tile."""
    tile = code.unpack(3)
    across = len(tile) // ROWS
    for i, vector in enumerate(tile):
        row = code.after(index, i // across, stride)
        code.store(vector, 0, code.after(row, i % across * COLUMNS))


@_operation(None, None, None, _INDEX, _INDEX, None, _INDEX)
def outer_add(code: _Code, *args: Value) -> Value:
    """Add an outer product to a tile: tile, x, index and stride of a column, w, index of a row."""
    _, _, index, stride, _, columns = args
    tile = code.unpack(0)
    across = len(tile) // ROWS
    w = [code.load(4, code.after(columns, i * COLUMNS), _WIDE) for i in range(across)]
    for row in range(ROWS):
        number = code.builder.load(code.place(1, code.after(index, row, stride)))
        x = code.spread(number, _WIDE)
        for i in range(across):
            place = across * row + i
            tile[place] = code.multiply_add(x, w[i], tile[place])
    return code.pack(tile)
