"""The house rules of names and docstrings, read from the source."""

from __future__ import annotations

import ast
import builtins
import inspect
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import enhancer_core
from enhancer_core import errors

PACKAGE = Path(__file__).parents[1] / "enhancer_core"
TREES = {path: ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
NOT_IDIOMATIC = {"Give", "Say", "Tell"}

Function = ast.FunctionDef | ast.AsyncFunctionDef
each_module = pytest.mark.parametrize(
    "path", TREES, ids=lambda path: path.relative_to(PACKAGE).as_posix()
)
# A command's docstring is its help, and its file is named for it.
each_module_below_the_command_line = pytest.mark.parametrize(
    "path",
    [path for path in TREES if path.parent.name != "cli"],
    ids=lambda path: path.relative_to(PACKAGE).as_posix(),
)


def error_class(name: str) -> type[BaseException] | None:
    """Find an error that users may meet: one of the package's, ValueError or TypeError."""
    found = getattr(errors, name, None) or getattr(builtins, name, None)
    expected = (errors.EnhancerError, ValueError, TypeError)
    return found if inspect.isclass(found) and issubclass(found, expected) else None


def documented(docstring: str | None, section: str) -> list[str]:
    """List the names that a section of a numpydoc docstring describes."""
    lines = inspect.cleandoc(docstring or "").splitlines()
    names: list[str] = []
    for index in range(len(lines) - 1):
        if lines[index] == section and set(lines[index + 1]) == {"-"}:
            for line, following in zip(lines[index + 2 :], [*lines[index + 3 :], ""], strict=True):
                if following and set(following) == {"-"}:
                    break
                if line and not line.startswith(" "):
                    names += line.partition(" : ")[0].split(", ")
    return names


def public_functions(tree: ast.Module) -> Iterator[Function]:
    """List a module's public functions and the public methods of its public classes."""
    bodies = [tree.body]
    bodies += [
        node.body
        for node in tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]
    for node in (node for body in bodies for node in body):
        if isinstance(node, Function) and not node.name.startswith("_"):
            yield node


def own_nodes(function: Function) -> Iterator[ast.AST]:
    """Walk a function's body, functions defined in it left out."""
    stack: list[ast.AST] = list(function.body)
    while stack:
        node = stack.pop()
        if not isinstance(node, Function | ast.Lambda | ast.ClassDef):
            yield node
            stack.extend(ast.iter_child_nodes(node))


def raised(function: Function) -> Iterator[str]:
    """Name the errors for users that a function raises itself."""
    for node in own_nodes(function):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            name = ast.unparse(node.exc.func).rpartition(".")[2]
            if error_class(name):
                yield name


@each_module
def test_docstrings_begin_as_the_field_writes_them(path: Path) -> None:
    documentable = (ast.Module, ast.ClassDef, *Function.__args__)
    for node in ast.walk(TREES[path]):
        if isinstance(node, documentable) and (text := ast.get_docstring(node)):
            first = text.split(maxsplit=1)[0]
            line = getattr(node, "lineno", 1)
            assert first not in NOT_IDIOMATIC, f"{path} line {line}: {text.splitlines()[0]}"


def test_class_names_are_unique() -> None:
    count = Counter(
        node.name for tree in TREES.values() for node in tree.body if isinstance(node, ast.ClassDef)
    )
    assert [name for name, times in count.items() if times > 1] == []


@each_module_below_the_command_line
def test_public_functions_document_what_they_raise(path: Path) -> None:
    for function in public_functions(TREES[path]):
        names = documented(ast.get_docstring(function), "Raises")
        allowed = [error for name in names if (error := error_class(name))]
        for name in raised(function):
            error = error_class(name)
            assert error, name
            assert issubclass(error, tuple(allowed)), (
                f"{path} line {function.lineno}: {function.name} does not document {name}"
            )


@pytest.mark.parametrize("name", getattr(enhancer_core, "__all__", []))
def test_the_front_door_is_documented(name: str) -> None:
    value = getattr(enhancer_core, name)
    if not callable(value):
        return
    documentation = inspect.getdoc(value)
    assert documentation, name
    parameters = [
        parameter.name
        for parameter in inspect.signature(value).parameters.values()
        if parameter.name not in {"self", "cls"}
    ]
    if inspect.isclass(value):  # fields may be described where they are declared
        return
    named = {each.lstrip("*") for each in documented(documentation, "Parameters")}
    assert set(parameters) <= named, f"{name}: {sorted(set(parameters) - named)}"
    assert "\nRaises\n---" in documentation, name
    if inspect.signature(value).return_annotation not in {None, "None"}:
        assert "\nReturns\n---" in documentation or "\nYields\n---" in documentation, name


@each_module_below_the_command_line
def test_no_file_bears_the_name_of_a_function_in_it(path: Path) -> None:
    functions = {node.name for node in TREES[path].body if isinstance(node, Function)}
    name = path.parent.name if path.stem == "__init__" else path.stem
    assert name not in functions, path


@each_module
def test_imports_inside_functions_have_their_reason_in_a_comment(path: Path) -> None:
    lines = path.read_text().splitlines()
    for function in ast.walk(TREES[path]):
        if not isinstance(function, Function):
            continue
        block_before = 0  # the last line of the import before, whose comment serves a block
        for node in sorted(own_nodes(function), key=lambda node: getattr(node, "lineno", 0)):
            if isinstance(node, ast.Import | ast.ImportFrom):
                here = lines[node.lineno - 1 : node.end_lineno]
                commented = any("#" in line for line in here)
                commented |= lines[node.lineno - 2].lstrip().startswith("#")
                commented |= node.lineno == block_before + 1
                assert commented, f"{path} line {node.lineno}: {lines[node.lineno - 1].strip()}"
                block_before = node.end_lineno or node.lineno
