"""Compilation, where machine code can be kept and where it cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from enhancer_core import compiled


def test_a_compiled_function_gives_what_python_gives() -> None:
    def double(number: int) -> int:
        return 2 * number

    assert compiled.compiled(double)(21) == double(21)


def test_a_place_for_compiled_code_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    def njit(**options: object) -> Callable[[Any], Any]:
        if "cache" in options:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr(compiled, "njit", njit)

    def double(number: int) -> int:
        return 2 * number

    assert compiled.compiled(double) is double
