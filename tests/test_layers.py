"""The house rules: import downward, open files in `io`, print in `cli`, and start fast."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import click
import pytest

from tests.command_line import COMMANDS

PACKAGE = Path(__file__).parents[1] / "enhancer_core"
MODULES = sorted(PACKAGE.rglob("*.py"))

# From the ground up: each imports only those before it. A wing is a folder with a face.
GROUND = ("__init__", "errors", "metrics")
WINGS = (
    *("dna", "motifs", "io", "data", "models", "prediction", "interpretation", "training"),
    *("study", "report", "kipoi", "cli"),
)
LEVEL = {name: level for level, name in enumerate((*GROUND, *WINGS, "__main__"))}

# As `used` spells them: a leading dot is for a method or attribute, whatever it is of.
OPENING = {
    *("open", ".open", ".fdopen", ".memmap", ".fromfile", ".tofile"),
    *(".read_text", ".read_bytes", ".write_text", ".write_bytes"),
    *("np.load", ".loadtxt", ".genfromtxt", "np.save", ".savez", ".savetxt"),
    *("torch.load", "torch.save", "safe_open", "load_file", "save_file"),
}
PRINTING = {"print", ".echo", ".secho", ".stdout", ".stderr"}
# What opens files outside `io`, and why it may.
EXCEPTIONS: dict[tuple[str, str], str] = {}

HEAVY = {
    *("matplotlib", "numba", "numpy", "pandas", "pybedtools", "pyBigWig"),
    *("rich", "scipy", "sklearn", "torch"),
}

each_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)


def relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def module_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text()))


def dotted(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


NAMES = {dotted(path) for path in MODULES}


def imported(path: Path) -> Iterator[str]:
    """Name the modules of this package that a file imports, inside functions too."""
    for node in nodes(path):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{relative(path)} line {node.lineno}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for package, _, name in (name.partition(".") for name in names):
            if package == "enhancer_core":
                module = name if name in NAMES else name.rpartition(".")[0]
                yield module or "__init__"


def used(path: Path) -> Iterator[str]:
    """Spell the functions that a file calls and the attributes that it reads."""
    for node in nodes(path):
        if isinstance(node, ast.Attribute):
            # Not those of our own wing, and of click's help.
            if not ast.unparse(node).startswith(("io.read_", "io.write_", "formatter.write_")):
                yield f".{node.attr}"
            yield ast.unparse(node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id


def loaded_by(code: str) -> set[str]:
    """Name the top modules that Python holds after running code that may exit."""
    listing = f"import atexit, sys; atexit.register(lambda: print('loaded', *sys.modules)); {code}"
    done = subprocess.run(
        [sys.executable, "-c", listing], check=True, capture_output=True, text=True, timeout=60
    )
    return {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}


def test_every_file_is_in_a_wing() -> None:
    assert {module_of(path) for path in MODULES} == set(LEVEL)
    for wing in WINGS:
        face = (PACKAGE / wing / "__init__.py").read_text()
        assert ast.get_docstring(ast.parse(face)), f"{wing}/__init__.py does not say what it is for"


@each_module
def test_a_module_imports_only_from_lower_wings(path: Path) -> None:
    module = module_of(path)
    for other in imported(path):
        wing = other.split(".")[0]
        assert wing == module or LEVEL[wing] < LEVEL[module], f"{relative(path)}: {other}"


def test_no_imports_go_in_a_circle() -> None:
    sorter = TopologicalSorter({dotted(path): set(imported(path)) for path in MODULES})
    sorter.prepare()  # raises CycleError, which names the circle


@each_module
def test_only_io_opens_files(path: Path) -> None:
    assert module_of(path) == "io" or not OPENING & set(used(path)), relative(path)


@each_module
def test_only_the_command_line_prints(path: Path) -> None:
    if module_of(path) not in {"cli", "__main__"}:
        assert not PRINTING & set(used(path)), relative(path)
        for node in nodes(path):
            if isinstance(node, ast.Import):
                assert not {alias.name for alias in node.names} & {"click", "rich"}, relative(path)


def test_the_package_imports_nothing() -> None:
    loaded = loaded_by("import enhancer_core")
    assert "enhancer_core" in loaded
    assert not loaded & {*HEAVY, "click"}


def test_the_command_line_starts_without_what_its_commands_need() -> None:
    loaded = loaded_by("import enhancer_core.cli")
    assert "click" in loaded
    assert not loaded & HEAVY


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_shown_without_what_the_command_needs(command: str) -> None:
    args = [*command.split(), "--help"]
    assert not loaded_by(f"from enhancer_core.cli import main; main({args})") & HEAVY


def test_every_command_says_what_it_does() -> None:
    for name, command in COMMANDS.items():
        assert isinstance(command, click.Command)
        assert command.help, name
        assert f"enhancer-core {name}" in command.help, f"{name} has no example"


def test_prediction_on_a_cpu_does_without_pytorch() -> None:
    needed = "enhancer_core.models.model, enhancer_core.prediction.vcf"
    assert "torch" not in loaded_by(f"import {needed}")
