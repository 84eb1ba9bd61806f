"""What machine code takes: the kinds of each entry's arguments, for its maker and its callers.

Arguments cross over as whole numbers in a row: of an array its address and its sizes, a number as
it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from enhancer_core.models.cpu.layout import FRAGMENT, LAYER


@dataclass(frozen=True, slots=True)
class Kind:
    """An array in C order, or a whole number if it has no dtype."""

    dtype: np.dtype[Any] | None
    dimensions: int = 1

    def __str__(self) -> str:
        if self.dtype is None:
            return "a whole number"
        return f"{_named(self.dtype)}, ndim {self.dimensions}, C order"


Argument: TypeAlias = NDArray[Any] | int

_WHOLE = Kind(None, 0)
_CODES, _ROWS = (Kind(np.dtype(np.uint8), dimensions) for dimensions in (1, 2))
_WHOLES, _CHANGES = (Kind(np.dtype(np.int64), dimensions) for dimensions in (1, 2))
_FLOATS, _LOGITS, _SUMS = (Kind(np.dtype(np.float32), dimensions) for dimensions in (1, 2, 3))
_DOUBLES, _LAYERS, _FRAGMENTS = map(Kind, (np.dtype(np.float64), LAYER, FRAGMENT))
_SPACE = (_FLOATS, _WHOLES, _FLOATS)  # memory, words and scores

SIGNATURES = {
    "pack": (_LAYERS, _FLOATS, _FLOATS, _SUMS),
    "forward": (_ROWS, _LAYERS, _WHOLE, _FLOATS, *_SPACE),
    "substitute": (_ROWS, _CHANGES, _LAYERS, _WHOLE, _FLOATS, _FLOATS, *_SPACE),
    "fragments": (_CODES, _LAYERS, _LAYERS, _FRAGMENTS, _FLOATS, *_SPACE),
    "slide": (_CODES, _WHOLES, _LAYERS, _WHOLE, _FLOATS, *_SPACE),
    "windows": (
        *(_CODES, _WHOLES, _WHOLES, _WHOLE, _LAYERS, _WHOLE, _WHOLE, _WHOLE),
        *(_FLOATS, *_SPACE, _LOGITS),
    ),
    "expit32": (_FLOATS, _FLOATS),
    "expit64": (_DOUBLES, _DOUBLES),
}


def spell(name: str, arguments: Sequence[Argument], first: int = 0) -> list[int]:
    """Spell arguments of an entry, from number `first` on; good while the arrays live.

    Raises
    ------
    TypeError
        If one is not of the kind that the entry takes there.

    Examples
    --------
    >>> spell("expit64", [np.zeros(3), np.zeros((3, 2))[:, 0]])
    Traceback (most recent call last):
    TypeError: expit64, argument 2: float64 (3,) not in C order; allowed is float64, ndim 1, C order
    """
    spelled: list[int] = []
    for i, each in enumerate(arguments, first):
        kind = SIGNATURES[name][i]
        if isinstance(each, np.ndarray):
            ordered = each.flags.c_contiguous
            if each.dtype != kind.dtype or each.ndim != kind.dimensions or not ordered:
                got = f"{_named(each.dtype)} {each.shape}{'' if ordered else ' not in C order'}"
                raise TypeError(f"{name}, argument {i + 1}: {got}; allowed is {kind}")
            spelled += (each.__array_interface__["data"][0], *each.shape)
        elif kind.dtype is None:
            spelled.append(each)
        else:
            raise TypeError(f"{name}, argument {i + 1}: {each}; allowed is {kind}")
    return spelled


def _named(dtype: np.dtype[Any]) -> str:
    return f"records of {', '.join(dtype.names)}" if dtype.names else str(dtype)
