"""A training option is declared once: a field with its help text."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from enhancer_core import training

FIELD = """
    warm_up: int = _option("Steps of a linear warm-up.", default=0, metavar="STEPS", at_least=0)
    ensemble: int ="""
TRAIN = ("-m", "enhancer_core", "train")
RECIPE = """
[[data]]
name = "a"
world = "dog"
number = 40
[[run]]
name = "r"
data = ["a"]
warm_up = {}
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the package that has one option more."""
    folder = tmp_path_factory.mktemp("copy")
    package = Path(training.__file__).parents[1]
    shutil.copytree(package, folder / "enhancer_core", ignore=shutil.ignore_patterns("__pycache__"))
    config = folder / "enhancer_core" / "training" / "config.py"
    text = config.read_text()
    assert text.count("\n    ensemble: int =") == 1
    config.write_text(text.replace("\n    ensemble: int =", FIELD))
    return folder


def run(copy: Path, *args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, args)],
        check=False, capture_output=True, text=True, cwd=copy, timeout=300,
        env={"PYTHONPATH": str(copy), "COLUMNS": "100", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip


def test_one_field_is_an_option_with_its_help_and_limits(copy: Path) -> None:
    shown = run(copy, *TRAIN, "--help").stdout
    assert "  --warm-up STEPS  Steps of a linear warm-up.  [default: 0; x>=0]\n" in re.sub(
        " {2,}", "  ", shown
    )
    refused = run(copy, *TRAIN, "--warm-up", -1)
    assert "Invalid value for '--warm-up': -1 is not in the range x>=0" in refused.stderr


def test_one_field_is_a_key_of_recipes_with_its_limits(copy: Path) -> None:
    code = "import pathlib; from enhancer_core.study.toml import read_study;"
    code += "config = read_study(pathlib.Path('r.toml')).recipes[0].runs[0].config;"
    code += "print(config.warm_up, config.to_dict()['warm_up'])"
    for value, said in ((7, "7 7\n"), (-1, "'r': warm_up of -1 is not allowed; at least 0\n")):
        (copy / "r.toml").write_text(RECIPE.format(value))
        done = run(copy, "-c", code)
        assert (done.stdout + done.stderr).endswith(said)


@pytest.mark.slow  # the copy's machine code is compiled for it
def test_one_field_stands_in_the_report_of_a_run_that_uses_it(copy: Path, inputs: Path) -> None:
    data = ["--positives", inputs / "positives.fa", "--negatives", inputs / "negatives.fa"]
    small = ["--network", "tf", "--restarts", 1, "--epochs", 1, "--warm-up", 7, "--markdown"]
    done = run(copy, *TRAIN, *data, *small, "-q", "-o", copy / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert "| warm up | 7 |" in (copy / "out" / "report.md").read_text()
