"""Read recipes: TOML into checked values, one run of a recipe into those that it stands for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from enhancer_core.errors import EnhancerError
from enhancer_core.protocol import TrainConfig, protocol
from enhancer_core.study.fields import RecipeError, made, read_toml
from enhancer_core.study.lacks import lack
from enhancer_core.study.newick import read_newick
from enhancer_core.study.recipe import (
    ORACLES,
    PROTOCOL,
    Data,
    Part,
    Recipe,
    Run,
    Search,
    Study,
    settings,
    spelled,
    split_test,
)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")  # also a folder's name


@dataclass(frozen=True, kw_only=True, slots=True)
class Quick:
    """What is cut for a quick look: the most of each."""

    number: int = 300  # sequences of each class
    restarts: int = 1
    epochs: int = 2
    updates: int = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class _Head:
    """What a recipe says beside its tables."""

    title: str = ""  # the file's name if empty
    text: str = ""  # on its data, for the report
    tree: str = ""  # Newick
    data_of: tuple[str, ...] = ()  # files whose [[data]] it takes


_HEAD = ("title", "text", "tree", "data_of")
_LISTS: Mapping[str, type] = {"data": Data, "run": Run, "search": Search, "section": Part}
_KEYS = (*_HEAD, "include", "defaults", "quick", *_LISTS)


def read_study(path: Path, *, quick: bool = False) -> Study:
    """Read a recipe, and those that it includes.

    Parameters
    ----------
    path
        TOML file.
    quick
        Whether to cut sequences, restarts and epochs to what the recipe's table `quick` says.

    Raises
    ------
    FileError
        If a file cannot be read.
    RecipeError
        If a key or value is not allowed, or a name is not known.
    """
    table = read_toml(path)
    if "include" not in table:
        recipe = _recipe(path, table, quick=quick)
        return Study(title=recipe.title, recipes=(recipe,))
    for key in table:
        if key not in ("title", "include"):
            raise RecipeError(f"{path}: '{key}' beside 'include'; allowed is 'title' alone")
    title, names = table.get("title", path.stem), table["include"]
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise RecipeError(f"{path}: include is {names!r}; allowed is a list of recipes' file names")
    recipes = tuple(
        _recipe(path.parent / name, read_toml(path.parent / name), quick=quick) for name in names
    )
    _check_shared(path, recipes)
    return Study(title=str(title), recipes=recipes)


def _check_shared(path: Path, recipes: Sequence[Recipe]) -> None:
    """Check that runs of one name in several recipes are one run, which is then done once."""
    known: dict[str, object] = {}
    for recipe in recipes:
        data = {each.name: (each.set_name, settings(each)) for each in recipe.data}
        for each in recipe.steps:
            what = (settings(each), [data[name] for name in each.data])
            if known.setdefault(each.name, what) != what:
                raise RecipeError(f"{path}: two runs that differ have the name '{each.name}'")


def _recipe(path: Path, table: Mapping[str, Any], *, quick: bool) -> Recipe:
    for key in table:
        if key not in _KEYS:
            raise RecipeError(f"{path}: '{key}' is not known; allowed are {', '.join(_KEYS)}")
    head = made(_Head, {key: table[key] for key in table if key in _HEAD}, str(path))
    cut = made(Quick, table.get("quick", {}), f"{path} [quick]")
    defaults = table.get("defaults", {})
    if not isinstance(defaults, dict):
        raise RecipeError(f"{path}: defaults is {defaults!r}; allowed is a table")
    data: tuple[Data, ...] = tuple(_each(path, table, "data", {}))
    for name in head.data_of:
        shared = path.parent / name
        data += tuple(_each(shared, read_toml(shared), "data", {}))
    runs: tuple[Run, ...] = tuple(_each(path, table, "run", defaults))
    searches: tuple[Search, ...] = tuple(_each(path, table, "search", {}))
    if quick:
        data, runs, searches = _cut(cut, data, runs, searches)
    try:
        runs = tuple(each for run in runs for each in _expanded(run, head.tree))
    except EnhancerError as error:
        raise RecipeError(f"{path}: {error}") from error
    recipe = Recipe(
        name=path.name.removesuffix(".toml"),
        title=head.title or path.stem,
        text=head.text,
        data=data,
        runs=runs,
        searches=searches,
        sections=tuple(_each(path, table, "section", {})),
        tree=head.tree,
    )
    _check_names(path, recipe)
    return recipe


def _each(
    path: Path, table: Mapping[str, Any], key: str, defaults: Mapping[str, Any]
) -> Iterator[Any]:
    rows = table.get(key, [])
    if not isinstance(rows, list):
        raise RecipeError(f"{path}: {key} is one table; write [[{key}]], once for each")
    for number, row in enumerate(rows, start=1):
        where = f"{path} [[{key}]] {number}"
        if not isinstance(row, dict):
            raise RecipeError(f"{where}: {row!r} is not a table")
        where += f" '{row['name']}'" if "name" in row else ""
        if "group" in row:
            raise RecipeError(f"{where}: 'group' is not to be given")
        said = {**defaults, **row}
        own = _own_protocol(said.get("network")) if key == "run" else {}
        one: Any = made(_LISTS[key], {**own, **said}, where)
        if hasattr(one, "name") and not _NAME.fullmatch(one.name):
            raise RecipeError(f"{where}: a name has letters, digits, '.', '_' and '-' only")
        yield one


def _own_protocol(network: object) -> dict[str, Any]:
    """Give how a network is trained that is not trained as the paper's are."""
    own = protocol(network) if isinstance(network, str) else TrainConfig()
    return {} if own == TrainConfig() else {name: getattr(own, name) for name in PROTOCOL}


def _cut(
    quick: Quick, data: Sequence[Data], runs: Sequence[Run], searches: Sequence[Search]
) -> tuple[tuple[Data, ...], tuple[Run, ...], tuple[Search, ...]]:
    restarts = quick.restarts
    return (
        tuple(replace(e, number=min(e.number or quick.number, quick.number)) for e in data),
        tuple(
            replace(
                run,
                restarts=min(run.restarts, restarts),
                ensemble=min(run.ensemble, restarts),
                epochs=min(run.epochs, quick.epochs),
            )
            for run in runs
        ),
        tuple(
            replace(
                search,
                updates=min(search.updates, quick.updates),
                restarts=min(search.restarts, restarts),
                ks=search.ks[:3],
            )
            for search in searches
        ),
    )


def _expanded(run: Run, tree: str) -> Iterator[Run]:
    """Give the runs that one run of a recipe stands for."""
    if not run.over:
        yield replace(run, tests=run.tests or _own_tests(run))
        return
    if run.over == "k":
        before = ""
        for k in run.ks:
            one = replace(
                run, name=f"{run.name}.{k}", group=run.name, title=f"{run.shown}, k = {k}",
                over="", ks=(), shuffles=(k,), background=0, warm=False,
                initial=before or run.initial,
            )  # fmt: skip
            tests = tuple(f"{t[:-1]}{k}" if t.endswith("/k") else t for t in run.tests)
            yield replace(one, tests=tests or _own_tests(one))
            before = one.name if run.warm else ""
        return
    if len(run.data) < 2:
        raise RecipeError(f"run '{run.name}': over = \"{run.over}\" needs two data or more")
    if run.over == "nearest" and not tree:
        raise RecipeError(f"run '{run.name}': over = \"nearest\" needs the recipe's 'tree'")
    for member in run.data:
        others = [each for each in run.data if each != member]
        if run.over == "each":
            chosen = [member]
        elif run.over == "left_out":
            chosen = others
        else:
            chosen = read_newick(tree).nearest(member, others)[: run.nearest]
        own = replace(run, data=run.data, over="")
        yield replace(
            own, name=f"{run.name}.{member}", group=run.name, data=tuple(chosen),
            title=f"{run.shown}: {member}", tests=run.tests or _own_tests(own),
        )  # fmt: skip


def _own_tests(run: Run) -> tuple[str, ...]:
    """Give the tests of a run that names none: its own task, on each of its data."""
    if run.model in ORACLES or (run.background and run.positive == "positives"):
        return run.data
    return tuple(f"{name}/{k}" for name in run.data for k in run.shuffles)


def _check_names(path: Path, recipe: Recipe) -> None:
    """Check that each name stands for one thing, and that it is there."""
    for kind in ("data", "runs"):
        names = [each.name for each in getattr(recipe, kind)]
        for name in names:
            if names.count(name) > 1:
                raise RecipeError(f"{path}: two {kind} have the name '{name}'")
    sets = {each.name: each.set_name for each in recipe.data}
    before: set[str] = set()
    for run in recipe.steps:
        _check_run(f"{path}: run '{run.name}'", run, sets, before)
        before |= {run.name}
    for run in recipe.runs:
        _check_baseline(f"{path}: run '{run.name}'", run, recipe)
    _check_folds_and_tables(path, recipe)
    _check_sections(path, recipe)


def _check_folds_and_tables(path: Path, recipe: Recipe) -> None:
    """Check that no fold stands beside other data, and that nothing learns from a table."""
    sets = [each.set_name for each in recipe.data]
    folded = {each.name for each in recipe.data if each.folds}
    for name in folded:
        if sets.count(name) > 1:
            raise RecipeError(f"{path}: data '{name}' has folds, and others are in its set")
    tables = {each.name for each in recipe.data if each.table}
    for run in recipe.steps:
        for name in tables.intersection(run.data):
            raise RecipeError(
                f"{path}: run '{run.name}': data '{name}' is a table, and tested on alone;"
                " allowed is in 'tests'"
            )
    for search in recipe.searches:
        if folded & set(search.data):
            raise RecipeError(
                f"{path}: search '{search.name}': its data have folds; allowed are none"
            )


def _check_baseline(where: str, run: Run, recipe: Recipe) -> None:
    """Check that a run and its baseline can stand in one row of published models."""
    for other in recipe.runs:
        if other.name == run.baseline and (
            (run.model, other.model) != ("network", "5-mers") or run.tests[0] not in other.tests
        ):
            raise RecipeError(
                f"{where}: baseline '{other.name}'; allowed is a run of 5-mers with the test"
                f" '{run.tests[0]}', beside a network"
            )


def _check_sections(path: Path, recipe: Recipe) -> None:
    for section in recipe.sections:
        for name in (*section.runs, *filter(None, [section.beside])):
            if not recipe.members(name):
                raise RecipeError(f"{path}: section '{section.title}': no run '{name}'")
        if said := lack(section, recipe):
            raise RecipeError(f"{path}: section '{section.title}': {said}")


def _check_run(where: str, run: Run | Search, sets: Mapping[str, str], before: set[str]) -> None:
    tests = run.tests if isinstance(run, Run) else ()
    named = [*run.data, *(split_test(test)[0] for test in tests)]
    for name in named:
        if name not in sets:
            raise RecipeError(f"{where}: data '{name}' is not there; there are {spelled(sets)}")
    if len({sets[name] for name in named}) > 1:
        raise RecipeError(f"{where}: data and tests of several sets; allowed are those of one")
    if isinstance(run, Run):
        for other in filter(None, (*run.needs, run.control_of)):
            if other not in before:
                raise RecipeError(f"{where}: run '{other}' does not stand before it")
