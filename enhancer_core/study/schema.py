"""Read the tables of a TOML file into dataclasses, checking every key and value."""

from __future__ import annotations

import math
import tomllib
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from enhancer_core.errors import EnhancerError
from enhancer_core.io.files import read_lines

T = TypeVar("T")

_SPELLED: Mapping[object, str] = {
    str: "text",
    int: "a whole number",
    float: "a finite number",
    bool: "true or false",
}


class RecipeError(EnhancerError):
    """A recipe has a key, a value or a name that is not allowed."""


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    FileError
        If the file cannot be read.
    RecipeError
        If it is not TOML.
    """
    text = "\n".join(line for _, line in read_lines(path))
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path}: not TOML: {error}") from error


def parse_table(kind: type[T], table: object, where: str) -> T:
    """Make a dataclass of a table: every key a field, every value of the field's type.

    A field that is a dataclass itself takes its keys from the same table. `where` is its place, for
    error messages.

    Raises
    ------
    RecipeError
        If a key is unknown or missing, or a value is of another type.
    """
    if not isinstance(table, Mapping):
        raise RecipeError(f"{where}: {table!r} is not a table")
    keys = _keys(kind)
    for key in table:
        if key not in keys:
            raise RecipeError(f"{where}: '{key}' is not known; allowed are {', '.join(keys)}")
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type]
        hint = hints[field.name]
        if isinstance(hint, type) and is_dataclass(hint):
            inner = {key: table[key] for key in _keys(hint) if key in table}
            if inner:
                values[field.name] = parse_table(hint, inner, where)
        elif field.name in table:
            values[field.name] = _value(hint, table[field.name], f"{where}: {field.name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise RecipeError(f"{where}: '{field.name}' is missing")
    try:
        return kind(**values)
    except EnhancerError as error:  # of the dataclass's own checks, which do not know the place
        raise RecipeError(f"{where}: {error}") from error


def _keys(kind: object) -> list[str]:
    """Return the keys that a dataclass's table may have."""
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    hints = [(name, get_type_hints(kind)[name]) for name in names]
    return [key for name, hint in hints for key in (_keys(hint) if is_dataclass(hint) else [name])]


def _value(hint: object, value: object, where: str) -> object:
    if isinstance(hint, types.UnionType):  # with None
        hint = next(kind for kind in get_args(hint) if kind is not type(None))
    if get_origin(hint) is tuple:
        element = get_args(hint)[0]
        if not isinstance(value, list):
            raise RecipeError(f"{where} is {value!r}; allowed is a list of {_SPELLED[element]}")
        return tuple(_value(element, entry, where) for entry in value)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint or (hint is float and not math.isfinite(cast("float", value))):
        raise RecipeError(f"{where} is {value!r}; allowed is {_SPELLED[hint]}")
    return value
