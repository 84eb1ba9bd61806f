from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from enhancer_core.io.tables import read_table
from enhancer_core.study.newick import read_newick
from enhancer_core.study.recipe import Recipe, split_test
from enhancer_core.study.schema import RecipeError
from enhancer_core.study.toml import read_study
from enhancer_core.training.config import TrainConfig, default_config

DATA = """
[[data]]
name = "a"
set = "s"
world = "dog"
number = 40
[[data]]
name = "b"
set = "s"
world = "rat"
number = 400
[[data]]
name = "c"
simulate = "CEBPA"
number = 40
"""
RUN = '[[run]]\nname = "r"\ndata = ["a"]\n'
K_MERS = DATA + RUN.replace('"r"', '"k"') + "model = '5-mers'\n"


def read(tmp_path: Path, text: str, *, quick: bool = False) -> Recipe:
    path = tmp_path / "r.toml"
    path.write_text(text)
    return read_study(path, quick=quick).recipes[0]


def test_a_run_that_names_no_test_is_tested_on_its_own_task(tmp_path: Path) -> None:
    recipe = read(
        tmp_path,
        DATA
        + RUN
        + '[[run]]\nname = "k"\ndata = ["a", "b"]\nbackground = 0\nshuffles = [2, 3]\n'
        + '[[run]]\nname = "bg"\ndata = ["a"]\npositive = "background"\nshuffles = [4]\n',
    )
    assert [run.tests for run in recipe.runs] == [("a",), ("a/2", "a/3", "b/2", "b/3"), ("a/4",)]
    assert recipe.runs[2].mix().background == 0


@pytest.mark.parametrize(
    ("over", "data"),
    [
        ("each", {"r.a": ("a",), "r.b": ("b",)}),
        ("left_out", {"r.a": ("b",), "r.b": ("a",)}),
        ("nearest", {"r.a": ("b",), "r.b": ("a",)}),
    ],
)
def test_one_run_over_several_data_is_one_for_each(
    tmp_path: Path, over: str, data: dict[str, tuple[str, ...]]
) -> None:
    text = (
        'tree = "(a:1,b:2);"\n' + DATA + f'[[run]]\nname = "r"\ndata = ["a", "b"]\nover = "{over}"'
    )
    recipe = read(tmp_path, text)
    assert {run.name: run.data for run in recipe.runs} == data
    assert all(run.tests == ("a", "b") for run in recipe.runs)
    assert recipe.members("r") == ("r.a", "r.b")


def test_one_run_over_k_is_one_against_the_shuffles_of_each(tmp_path: Path) -> None:
    recipe = read(tmp_path, DATA + RUN + 'over = "k"\nks = [1, 3]')
    assert [(run.name, run.shuffles, run.background) for run in recipe.runs] == [
        ("r.1", (1,), 0),
        ("r.3", (3,), 0),
    ]
    assert [run.tests for run in recipe.runs] == [("a/1",), ("a/3",)]


def test_a_run_over_k_can_be_tested_against_its_own_k_beside_other_tests(tmp_path: Path) -> None:
    more = 'over = "k"\nks = [1, 3]\ntests = ["b", "a/k", "a/2"]'
    recipe = read(tmp_path, DATA + RUN + more)
    assert [run.tests for run in recipe.runs] == [("b", "a/1", "a/2"), ("b", "a/3", "a/2")]


def test_motif_cnn_is_trained_by_its_own_protocol_but_for_what_a_recipe_says(
    tmp_path: Path,
) -> None:
    run = RUN + 'network = "motif_cnn"\n'
    own = default_config("motif_cnn")
    assert read(tmp_path, DATA + run).runs[0].config == own
    said = "restarts = 2\nensemble = 1\nepochs = 3\nmutate = 0.1\nstack = false"
    asked = read(tmp_path, DATA + run + said).runs[0].config
    assert asked == replace(own, restarts=2, ensemble=1, epochs=3, mutate=0.1, stack=False)
    by_default = read(tmp_path, "[defaults]\nrestarts = 5\nflip = false\n" + DATA + run)
    assert by_default.runs[0].config == replace(own, restarts=5, flip=False)


def test_motif_cnn_has_the_packages_motifs_planted_where_nothing_else_is(tmp_path: Path) -> None:
    own = "network = 'motif_cnn'\n"
    others = ["plant_motifs = ['m.meme']", "initial = 'r'", "plant = ['r']", "model = '5-mers'"]
    runs = [
        RUN + own,
        *(f"[[run]]\nname = 'r{i}'\ndata = ['a']\n{own}{more}\n" for i, more in enumerate(others)),
        "[[run]]\nname = 'paper'\ndata = ['a']\n",
    ]
    found = read(tmp_path, DATA + "".join(runs)).runs
    assert [run.name for run in found if run.plants_known] == ["r"]


def test_other_networks_are_trained_as_the_papers_and_as_a_recipe_says(tmp_path: Path) -> None:
    paper = TrainConfig(restarts=3, epochs=12)
    assert read(tmp_path, DATA + RUN).runs[0].config == paper
    more = "mutate = 0.1\ncalibrate = true\nlearning_rate = 0.003"
    asked = read(tmp_path, DATA + RUN + more).runs[0].config
    assert asked == replace(paper, mutate=0.1, calibrate=True, learning_rate=0.003)


def test_a_quick_look_cuts_what_is_more_and_leaves_what_is_less(tmp_path: Path) -> None:
    text = "[quick]\nnumber = 50\nepochs = 1\n" + DATA + RUN + "restarts = 5\nensemble = 3"
    cut = read(tmp_path, text, quick=True)
    assert [each.number for each in cut.data] == [40, 50, 40]
    assert cut.runs[0].config == TrainConfig(restarts=1, epochs=1)
    assert read(tmp_path, text).runs[0].config.restarts == 5


def test_defaults_hold_where_a_run_says_nothing_else(tmp_path: Path) -> None:
    recipe = read(
        tmp_path, "[defaults]\nepochs = 7\n" + DATA + RUN + RUN.replace('"r"', '"q"') + "epochs = 3"
    )
    assert [run.config.epochs for run in recipe.runs] == [7, 3]


def test_a_recipe_can_include_others(tmp_path: Path) -> None:
    for name in "xy":
        (tmp_path / f"{name}.toml").write_text(DATA + RUN.replace('"r"', f'"{name}"'))
    (tmp_path / "all.toml").write_text('title = "All"\ninclude = ["x.toml", "y.toml"]')
    study = read_study(tmp_path / "all.toml")
    assert (study.title, [recipe.name for recipe in study.recipes]) == ("All", ["x", "y"])
    assert len(read_study(tmp_path / "all.toml").recipes[0].runs) == 1
    (tmp_path / "y.toml").write_text(DATA + RUN.replace('"r"', '"x"') + "epochs = 3")
    with pytest.raises(RecipeError, match="two runs that differ have the name 'x'"):
        read_study(tmp_path / "all.toml")
    fewer = DATA.replace("number = 400", "number = 300")  # of b, which is split together with a
    (tmp_path / "y.toml").write_text(fewer + RUN.replace('"r"', '"x"'))
    with pytest.raises(RecipeError, match="name 'x', in settings or in the data of their set"):
        read_study(tmp_path / "all.toml")
    (tmp_path / "all.toml").write_text('include = ["x.toml"]\ntree = "a"')
    with pytest.raises(RecipeError, match="'tree' beside 'include'; allowed is 'title'"):
        read_study(tmp_path / "all.toml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", r"r\.toml: 'x' is not known; allowed are title, text"),
        ("title = 3", r"r\.toml: title is 3; allowed is text"),
        ("defaults = 3", "defaults is 3; allowed is a table"),
        ("[quick]\nx = 3", r"r\.toml \[quick\]: 'x' is not known; allowed are number"),
        ("data = [", r"r\.toml: not TOML: "),
        ("[data]\nname = 'a'", r"data is one table; write \[\[data\]\]"),
        (DATA + RUN + "epoch = 2", r"\[\[run\]\] 1 'r': 'epoch' is not known; allowed are name"),
        (DATA + RUN + "epochs = 'x'", "epochs is 'x'; allowed is a whole number"),
        (DATA + RUN + "learning_rate = inf", "learning_rate is inf; allowed is a finite number"),
        (DATA + RUN + "epochs = 0", "epochs of 0 is not allowed"),
        (DATA + RUN + "shuffles = 3", "shuffles is 3; allowed is a list of a whole number"),
        (DATA + RUN + "background = 0", "at least one of the two is needed"),
        (DATA + RUN + "network = 'x'", "network 'x'; allowed are 'enhancer'"),
        (DATA + RUN + "ensemble = 4", "ensemble of 4 is not allowed; from 1 to the 3 restarts"),
        (DATA + RUN + "share = 2", "share is 2.0; allowed is above 0, up to 1"),
        (DATA + RUN + "ks = [1]", "'ks' and over = \"k\" need each other"),
        (DATA + RUN + "over = 'each'", "over = \"each\" needs two data or more"),
        (DATA + RUN + "updates_of = 'q'", "run 'q' does not stand before it"),
        (DATA + RUN + "plant = ['q']", "run 'q' does not stand before it"),
        (DATA + RUN + "baseline = 'q'", "run 'q' does not stand before it"),
        (K_MERS + RUN + "baseline = 'k'\ntests = ['b']", "baseline 'k'; .* with the test 'b'"),
        (K_MERS + RUN + "baseline = 'k'\nmodel = '5-mers'", "'k'; .* beside a network"),
        (K_MERS + RUN + RUN.replace('"r"', '"q"') + "baseline = 'r'", "allowed is a run of 5-mers"),
        (DATA + RUN + "warm = true", "'warm' needs over"),
        (DATA + RUN + "plant = ['r']\ninitial = 'q'", "allowed is one of 'plant'"),
        (DATA + RUN + "tests = ['d']", "data 'd' is not there; there are 'a', 'b', 'c'"),
        (DATA + RUN + "tests = ['c']", "data and tests of several sets"),
        (DATA + RUN + "tests = ['a/x']", r"r\.toml: run 'r': test 'a/x'; allowed are DATA, and"),
        (DATA + RUN + RUN, "two runs have the name 'r'"),
        (DATA + RUN.replace('"r"', '"a b"'), "a name has letters, digits"),
        (DATA + RUN + "group = 'g'", "'group' is not to be given"),
        ("[[run]]\nname = 'r'", "'data' is missing"),
        ("[[data]]\nname = 'a'", "one source is needed"),
        ("[[data]]\nname = 'a'\nbackground = ['b.fa']\ngenome = 'g.fa'", "one source is needed"),
        ("[[data]]\nname = 'a'\ntable = 't.tsv'\nfolds = 2", "folds is 2 .* and of no table"),
        (
            DATA.replace('world = "dog"\nnumber = 40', 'table = "t.tsv"') + RUN,
            "run 'r': data 'a' is a table, and tested on alone; allowed is in 'tests'",
        ),
        (
            DATA.replace('world = "dog"\nnumber = 40', 'table = "t.tsv"')
            + "[[search]]\nname = 's'\ndata = ['a']\nupdates = 9",
            "run 's': data 'a' is a table",
        ),
        ("[[data]]\nname = 'a'\nworld = 'dog'", "'number' is needed"),
        ("[[data]]\nname = 'a'\nworld = 'dog'\nnumber = 3", "number is 3; at least 20"),
        (
            DATA + RUN + "[[section]]\nkind = 'models'\ntitle = 't'\nruns = ['q']",
            "section 't': no run 'q'",
        ),
        (DATA + RUN + "[[section]]\nkind = 'x'\ntitle = 't'\nruns = ['r']", "kind 'x'; allowed"),
        *(
            (DATA + RUN + f"[[section]]\ntitle = 't'\nruns = ['r']\n{more}", f"section 't': {lack}")
            for more, lack in (
                ("kind = 'models'\ntests = ['b']", "not all of its runs have the test 'b'"),
                ("kind = 'k_choice'", "not all of its runs are against the shuffles of one k"),
                ("kind = 'motifs'", "none of its runs looks for motifs"),
                ("kind = 'filters'", "not all of its runs look for a motif FILE:NAME"),
                ("kind = 'each'\ntests = ['b']", "its run 'r' has none of its tests"),
                ("kind = 'search'", "none of its runs is a search"),
            )
        ),
        (
            DATA + RUN + "[[run]]\nname = 'q'\ndata = ['b']\n"
            "[[section]]\nkind = 'matrix'\ntitle = 't'\nruns = ['r', 'q']",
            "its runs have no test in common",
        ),
        (
            DATA + RUN + "over = 'k'\nks = [2]\ntests = ['a/3']\n"
            "[[section]]\nkind = 'k_choice'\ntitle = 't'\nruns = ['r']",
            r"its run 'r\.2' has no test against its own shuffles",
        ),
        (DATA + "[[run]]\nname = 'q'\ndata = ['a', 'b']\nover = 'nearest'", "needs the recipe's"),
        (DATA + "[[search]]\nname = 's'\ndata = ['a']\nupdates = 9\nkeep_one_of = 1", "at least 2"),
        *(
            (
                DATA + f"[[search]]\nname = 's'\ndata = ['a']\nupdates = 9\nnetwork = '{network}'",
                f"'s': network '{network}'; allowed are 'enhancer', 'tf', 'original_code', trained",
            )
            for network in ("motif_cnn", "nets")
        ),
        (DATA.replace("number = 400", "number = 40\nfolds = 2"), "folds is 2 in the set 's'"),
        (
            DATA.replace("simulate", "folds = 2\nsimulate")
            + "[[data]]\nname = 'd'\nset = 'c'\ntable = 't.tsv'",
            "data 'c' has folds, and others are in its set",
        ),
        (
            DATA.replace("simulate", "folds = 2\nsimulate")
            + "[[search]]\nname = 's'\ndata = ['c']\nupdates = 9",
            "search 's': its data have folds",
        ),
        ("tree = '(a,a);'\n" + DATA + '[[run]]\nname = "r"\ndata = ["a", "b"]\nover = "nearest"',
         "leaf 'a' is there twice"),
    ],
)  # fmt: skip
def test_what_a_recipe_may_not_say_is_told_with_its_place(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        ("number = 5", r"r\.toml \[quick\]: number is 5; at least 20"),
        ("restarts = 0", r"r\.toml \[quick\]: restarts of 0 is not allowed"),
    ],
)
def test_a_quick_look_that_cuts_too_much_is_told_with_its_place(
    tmp_path: Path, cut: str, message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        read(tmp_path, f"[quick]\n{cut}\n" + DATA + RUN, quick=True)


def test_recipes_can_share_data(tmp_path: Path) -> None:
    (tmp_path / "shared.toml").write_text(DATA)
    recipe = read(tmp_path, 'data_of = ["shared.toml"]\n' + RUN)
    assert [each.name for each in recipe.data] == ["a", "b", "c"]


def test_each_k_can_start_from_the_one_before(tmp_path: Path) -> None:
    recipe = read(tmp_path, DATA + RUN + 'over = "k"\nks = [2, 3, 5]\nwarm = true')
    assert [run.initial for run in recipe.runs] == ["", "r.2", "r.3"]
    assert [run.needs for run in recipe.runs] == [(), ("r.2",), ("r.3",)]


def test_a_test_is_data_or_data_against_shuffles() -> None:
    assert split_test("a") == ("a", None)
    assert split_test("a/12") == ("a", 12)


def test_a_tree_gives_its_leaves_in_order_and_their_distances() -> None:
    tree = read_newick("((human:1,chimp:2)apes:3,\n (mouse:4, rat:5):6):0.5;")
    assert list(tree) == ["human", "chimp", "mouse", "rat"]
    assert [list(row.values()) for row in tree.values()] == [
        [0, 3, 14, 15],
        [3, 0, 15, 16],
        [14, 15, 0, 9],
        [15, 16, 9, 0],
    ]


def test_the_nearest_data_are_those_of_the_tree(tmp_path: Path) -> None:
    tree = 'tree = "(c:1,(a:2,b:3):4);"\n'
    run = '[[run]]\nname = "r"\ndata = ["a", "b", "c"]\nover = "nearest"\nnearest = 2\n'
    data = DATA.replace('simulate = "CEBPA"', 'set = "s"\nworld = "mouse"')
    runs = read(tmp_path, tree + data + run).runs
    assert [run.data for run in runs] == [("b", "c"), ("a", "c"), ("a", "b")]
    with pytest.raises(RecipeError, match="'c' is not in the tree; its leaves are d, a, b"):
        read(tmp_path, tree.replace("c:1", "d:1") + data + run)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(a,b", "a '\\(' is not closed"),
        ("(a,b));", "stands where the tree should end"),
        ("(a:x,b);", "'x' is not a branch length"),
        ("(a,);", "a leaf has no name"),
        ("", "a leaf has no name"),
    ],
)
def test_what_is_no_tree_is_told(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        read_newick(text)


TRAINING = Path(__file__).parents[2] / "training"


def test_the_table_of_species_has_the_papers_and_invents_no_checksum() -> None:
    columns = ["data", "name", "assembly", "genome", "genome_sha256", "peaks", "peaks_sha256"]
    rows = [row for _, row in read_table(TRAINING / "species.tsv", columns)]
    assert sum(row["data"] == "H3K27ac" for row in rows) == 17
    assert sum(row["data"] == "CEBPA" for row in rows) == 5
    for row in rows:
        for name in columns[2:]:
            assert row[name]
        for name in ("genome_sha256", "peaks_sha256"):
            assert row[name] == "unknown" or len(row[name]) == 64


def test_the_papers_study_includes_every_recipe() -> None:
    paper = read_study(TRAINING / "recipes" / "paper.toml")
    others = {path.stem for path in (TRAINING / "recipes").glob("*.toml")} - {"paper"}
    assert {recipe.name for recipe in paper.recipes} == others
    quick = read_study(TRAINING / "recipes" / "paper.toml", quick=True)
    for recipe in quick.recipes:
        assert all(run.config.restarts == 1 and run.config.epochs <= 2 for run in recipe.runs)
