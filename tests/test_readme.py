from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
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


def test_the_python_section_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    starts = np.arange(2_000, 118_000, 1_000)
    letters = rng.choice(list("ACGT"), 120_000)
    for start in starts:
        letters[start + 200 : start + 216] = list("GATTACAGATTACAGA")
    (tmp_path / "genome.fa").write_text(f">chr1\n{''.join(letters)}\n>chr2\n{'ACGT' * 5_000}\n")
    peaks = "".join(f"chr1\t{start}\t{start + 500}\n" for start in starts)
    (tmp_path / "peaks.bed").write_text(peaks)
    (tmp_path / "genes.bed").write_text("chr1\t0\t10\n")
    weights = Path(__file__).parents[1] / "kipoi_models" / "EnhancerCNN" / "weights"
    (published,) = weights.glob("human_liver_background-*.safetensors")
    shutil.copy(published, tmp_path / "human_liver_background.safetensors")
    monkeypatch.chdir(tmp_path)
    section = README.partition("## From Python")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```python\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert names["finetuned"].predict(names["enhancers"].sequences).shape == (len(starts),)
    assert (tmp_path / "finetuned.safetensors").exists()


@pytest.mark.parametrize("target", ["demo", "test", "install"])
def test_each_make_target_in_the_readme_exists(target: str) -> None:
    makefile = (Path(__file__).parents[1] / "Makefile").read_text()
    assert f"make {target}" in README
    assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)
