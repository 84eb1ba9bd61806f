"""What a recipe asks of its runs and they do not have is told when it is read, not at its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from enhancer_core.study.recipe import Recipe
from enhancer_core.study.schema import RecipeError
from enhancer_core.study.toml import read_study
from tests.small_data import CEBPA, species

DATA = species("human", "dog") + CEBPA
FOLDED = DATA + CEBPA.replace('"cebpa"', '"folded"') + "folds = 2\n"
SEARCH = '[[search]]\nname = "mix"\ndata = ["human"]\nupdates = 9\n'


def run(name: str, *more: str, data: str = "human") -> str:
    return "\n".join(["[[run]]", f"name = '{name}'", f"data = ['{data}']", *more, ""])


def section(kind: str, runs: str, *more: str) -> str:
    names = ", ".join(f"'{name}'" for name in runs.split())
    return "\n".join(
        ["[[section]]", "title = 't'", f"kind = '{kind}'", f"runs = [{names}]", *more, ""]
    )


K_MERS = run("k_mers", "model = '5-mers'", "motifs = ['CEBPA']")
ALL = "tests = ['human', 'dog']"
EACH = run("one", "over = 'each'", ALL).replace("['human']", "['human', 'dog']", 1)
ALONG_K = run("k", "over = 'k'", "ks = [1, 2]")
HEAD = "headline = 'h'"


def read(tmp_path: Path, text: str) -> Recipe:
    path = tmp_path / "r.toml"
    path.write_text(text)
    return read_study(path).recipes[0]


def refuse(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=rf"^\S*/r\.toml: {message}"):
        read(tmp_path, text)


@pytest.mark.parametrize("builds", ["plant = ['donor']", "initial = 'donor'"])
def test_a_run_builds_on_what_was_learned_from_data_that_are_split_with_its_own(
    tmp_path: Path, builds: str
) -> None:
    beside = DATA + run("donor", data="dog") + run("r", builds)
    assert read(tmp_path, beside).runs[1].needs == ("donor",)
    refuse(
        tmp_path,
        DATA + run("donor", data="cebpa") + run("r", builds),
        "run 'r': run 'donor' learns from the set 'cebpa', and .*; allowed are runs on the set 'wo",
    )


@pytest.mark.parametrize("builds", ["plant = ['k_mers']", "updates_of = 'k_mers'"])
def test_a_run_builds_on_networks_alone(tmp_path: Path, builds: str) -> None:
    refuse(tmp_path, DATA + K_MERS + run("r", builds), "run 'r': run 'k_mers' is of 5-mers, not a")


def test_a_control_has_a_test_in_common_with_its_strategy(tmp_path: Path) -> None:
    strategy, control = run("r"), run("q", "control_of = 'r'", data="dog")
    refuse(tmp_path, DATA + strategy + control, "run 'q': control of 'r', with no test in common")
    assert read(tmp_path, DATA + strategy + control + ALL).runs[1].control_of == "r"


def test_a_search_and_a_run_do_not_share_a_name(tmp_path: Path) -> None:
    refuse(tmp_path, DATA + run("mix") + SEARCH, "two runs have the name 'mix'")


def test_a_search_trains_its_winner_at_least_once(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"\[\[search\]\] 1 'mix': restarts of 0 is not allowed"):
        read(tmp_path, DATA + SEARCH + "restarts = 0")


def test_an_oracle_knows_the_one_motif_that_its_data_were_made_with(tmp_path: Path) -> None:
    allowed = "; allowed are data that 'simulate' one motif by one definition"
    bayes = run("r", "model = 'bayes'")
    refuse(tmp_path, DATA + bayes, f"run 'r': model 'bayes' on 'human'{allowed}")
    two = CEBPA.replace('"cebpa"', '"hnf4a"\nset = "cebpa"').replace('"CEBPA"', '"HNF4A"')
    both = bayes.replace("['human']", "['cebpa', 'hnf4a']")
    refuse(tmp_path, DATA + two + both, f"run 'r': model 'bayes' on 'cebpa', 'hnf4a'{allowed}")
    assert read(tmp_path, DATA + bayes.replace("human", "cebpa")).runs[0].tests == ("cebpa",)


@pytest.mark.parametrize(
    ("runs", "part", "message"),
    [
        (EACH, section("matrix", "one", HEAD), "the gain for its 'headline' or 'least' needs a"),
        (EACH, section("matrix", "one", "least = 0.1"), "the gain for its 'headline' or 'least'"),
        (run("r", ALL) + run("q", ALL), section("matrix", "r q", HEAD), "the gain for its 'headl"),
        (SEARCH, section("matrix", "mix"), "its runs are searches alone"),
        (K_MERS, section("each", "k_mers", HEAD), "none of its runs is a network, of which its"),
        (ALONG_K, section("k_choice", "k", HEAD), "its runs have no test in common"),
        (SEARCH, section("k_choice", "mix"), "not all of its runs are against the shuffles of on"),
        (K_MERS, section("motifs", "k_mers"), "none of its runs looks for motifs"),
        (
            run("r", data="dog") + SEARCH,
            section("search", "mix r", "beside = 'r'"),
            "its run 'r' has not the search's test 'human'",
        ),
    ],
)
def test_a_section_whose_figure_its_runs_do_not_give_is_refused(
    tmp_path: Path, runs: str, part: str, message: str
) -> None:
    assert read(tmp_path, DATA + runs).steps  # nothing is wrong with the runs
    refuse(tmp_path, DATA + runs + part, f"section 't': {message}")


@pytest.mark.parametrize(
    ("runs", "part"),
    [
        (EACH + run("r", ALL), section("matrix", "one r", HEAD, "least = 0.1")),
        (K_MERS + run("r"), section("each", "k_mers r", HEAD)),
        (SEARCH, section("each", "mix", HEAD)),
        (ALONG_K + "tests = ['human', 'human/k']", section("k_choice", "k", HEAD)),
        (K_MERS + run("r", "motifs = ['CEBPA']"), section("motifs", "k_mers r", HEAD)),
        (SEARCH + run("r"), section("search", "mix r", HEAD, "beside = 'r'")),
    ],
)
def test_a_section_whose_figure_its_runs_give_is_read(tmp_path: Path, runs: str, part: str) -> None:
    assert len(read(tmp_path, DATA + runs + "\n" + part).sections) == 1


@pytest.mark.parametrize("beside", ["elsewhere", "one"])
def test_a_section_compares_with_one_of_its_own_runs(tmp_path: Path, beside: str) -> None:
    text = DATA + EACH + run("r") + run("elsewhere") + section("models", "one.human r")
    refuse(
        tmp_path,
        text + f"beside = '{beside}'",
        f"section 't': beside '{beside}'; allowed is one of its runs: 'one.human', 'r'$",
    )
    assert read(tmp_path, text + "beside = 'r'").sections[0].beside == "r"


@pytest.mark.parametrize(
    "part",
    [
        section("models", "r", "tests = ['folded']"),
        section("each", "r"),
        section("matrix", "r"),
        section("k_choice", "r"),
    ],
)
def test_a_section_that_cannot_show_folds_is_refused(tmp_path: Path, part: str) -> None:
    text = FOLDED + run("r", "background = 0", "shuffles = [2]", data="folded")
    assert read(tmp_path, text + section("models", "r", HEAD)).sections[0].headline == "h"
    refuse(tmp_path, text + part, "section 't': its runs are on folds; allowed are sections of")
