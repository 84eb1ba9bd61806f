"""The command that does studies: what it leaves, what it says, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Ran

RECIPE = """
title = "Two models"
[quick]
number = 30
[[data]]
name = "cebpa"
simulate = "CEBPA"
number = 60
length = 60
[[run]]
name = "oracle"
title = "best possible"
model = "bayes"
data = ["cebpa"]
[[run]]
name = "k_mers"
title = "5-mers & more"
model = "5-mers"
data = ["cebpa"]
[[section]]
kind = "models"
title = "Which is better?"
runs = ["oracle", "k_mers"]
"""

OF_A_FILE = RECIPE.replace('"bayes"', '"5-mers"').replace(
    'simulate = "CEBPA"', 'positives = ["p.fa"]'
)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "two.toml"
    path.write_text(RECIPE)
    return path


def test_a_study_leaves_a_report_and_goes_on_when_asked(
    cli: Callable[..., Ran], recipe: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ran = cli("study", recipe, "-o", out)
    assert ran.status == 0, ran.err
    assert "runs done: 2 of 2 (100%), k_mers: test AUC 0." in ran.err
    page = (out / "report.html").read_text()
    assert "<h2>Which is better?</h2>" in page
    assert "5-mers &amp; more" in page
    assert sorted(path.name for path in (out / "runs").iterdir()) == ["k_mers", "oracle"]

    again = cli("study", recipe, "-o", out)
    assert (again.status, again.err.count("\n")) == (2, 1)
    assert "is there already; --force replaces it" in again.err
    told = f"{out}: all runs were finished already; nothing was left to do\n"
    assert told in cli("study", recipe, "-o", out, "--resume").err
    (out / "report.html").unlink()
    again = cli("study", recipe, "-o", out)
    assert "out holds a study; --resume goes on with it, --force" in again.err
    assert cli("study", recipe, "-o", out, "--resume", "-q").err == ""
    assert (out / "report.html").read_text() == page


def test_a_quick_look_takes_fewer_sequences(
    cli: Callable[..., Ran], recipe: Path, tmp_path: Path
) -> None:
    assert cli("study", recipe, "--quick", "-o", tmp_path / "out").status == 0
    assert "24 + 24" in (tmp_path / "out" / "report.html").read_text()


def test_some_runs_can_be_done_alone_and_the_others_later(
    cli: Callable[..., Ran], recipe: Path, tmp_path: Path
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    cli("study", recipe, "-o", whole)
    ran = cli("study", recipe, "--only", "k_mers", "-o", out)
    assert (ran.status, "runs done: 1 of 1 (100%), k_mers" in ran.err) == (0, True)
    assert [path.name for path in (out / "runs").iterdir()] == ["k_mers"]
    assert "<h2>Which is better?</h2>" not in (out / "report.html").read_text()
    assert cli("study", recipe, "--only", "oracle", "k_mers", "-o", out, "--resume").status == 0
    assert (out / "report.html").read_bytes() == (whole / "report.html").read_bytes()


def test_a_run_that_the_recipe_has_not_is_refused_before_anything_is_done(
    cli: Callable[..., Ran], recipe: Path, tmp_path: Path
) -> None:
    ran = cli("study", recipe, "--only", "k_mer", "-o", tmp_path / "out")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err == "enhancer-core: error: no run 'k_mer'; there are 'oracle', 'k_mers'\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (RECIPE.replace("model =", "modle ="), "[[run]] 1 'oracle': 'modle' is not known"),
        (OF_A_FILE, "p.fa: cannot be read"),
        (
            RECIPE.replace('simulate = "CEBPA"', 'positives = ["p.fa"]'),
            "run 'oracle': model 'bayes' on 'cebpa'; allowed are data that 'simulate' one motif",
        ),
        ("title =", "not TOML"),
    ],
)
def test_a_bad_recipe_ends_in_one_line(
    cli: Callable[..., Ran], tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    ran = cli("study", path, "-o", tmp_path / "out")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert message in ran.err
    assert not (tmp_path / "out" / "report.html").exists()


def test_files_are_looked_for_in_the_folder_of_the_data(
    cli: Callable[..., Ran], tmp_path: Path, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe.write_text(OF_A_FILE)
    monkeypatch.setenv("ENHANCER_DATA", str(tmp_path / "there"))
    ran = cli("study", recipe, "-o", tmp_path / "out")
    assert f"{tmp_path / 'there' / 'p.fa'}: cannot be read" in ran.err


@pytest.mark.parametrize(
    "said",
    [
        'positives = ["p.fa"]',
        'genome = "g.fa"',
        'table = "t.tsv"\n[[data]]\nname = "c"\nset = "cebpa"\npositives = ["p.fa"]',
        'positives = ["bad.fa"]',  # there, but not FASTA
    ],
)
def test_a_study_without_its_data_leaves_nothing_behind(
    cli: Callable[..., Ran], tmp_path: Path, recipe: Path, said: str
) -> None:
    text = OF_A_FILE.replace('positives = ["p.fa"]', said)
    recipe.write_text(text.replace('data = ["cebpa"]', 'data = ["c"]') if "table" in said else text)
    (tmp_path / "bad.fa").write_text("no header")
    ran = cli("study", recipe, "-o", tmp_path / "out")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert not (tmp_path / "out").exists()


def test_what_a_later_recipe_lacks_is_told_before_anything_is_trained(
    cli: Callable[..., Ran], tmp_path: Path, recipe: Path
) -> None:
    later = RECIPE.replace("oracle", "o2").replace("k_mers", "k2")
    (tmp_path / "later.toml").write_text(later.replace('model = "5-mers"', 'motifs = ["m.meme:a"]'))
    (tmp_path / "both.toml").write_text('include = ["two.toml", "later.toml"]')
    ran = cli("study", tmp_path / "both.toml", "-o", tmp_path / "out")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "m.meme: cannot be read" in ran.err
    assert not (tmp_path / "out").exists()


def test_an_empty_folder_that_was_there_stays(
    cli: Callable[..., Ran], tmp_path: Path, recipe: Path
) -> None:
    recipe.write_text(OF_A_FILE)
    (tmp_path / "out").mkdir()
    assert cli("study", recipe, "-o", tmp_path / "out").status == 2
    assert list((tmp_path / "out").iterdir()) == []
