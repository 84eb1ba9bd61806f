from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.command_line import COMMANDS

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_readme_names_each_command_and_no_other() -> None:
    table = re.findall(r"^\| `([a-z]+)` \|", README, flags=re.MULTILINE)
    assert sorted(table) == sorted(COMMANDS)


def test_each_command_line_in_the_readme_has_options_that_exist() -> None:
    text = README.replace("\\\n", " ")
    lines = re.findall(r"^enhancer-core ([a-z]+) (.*)$", text, flags=re.MULTILINE)
    assert len(lines) >= 4
    for name, arguments in lines:
        known = {flag for option in COMMANDS[name].params for flag in option.opts}
        assert set(re.findall(r"(?<= )--?[a-z][a-z-]*", f" {arguments}")) <= known, name


@pytest.mark.parametrize("target", ["demo", "test", "install"])
def test_each_make_target_in_the_readme_exists(target: str) -> None:
    makefile = (Path(__file__).parents[1] / "Makefile").read_text()
    assert f"make {target}" in README
    assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)
