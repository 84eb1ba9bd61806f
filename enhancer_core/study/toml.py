"""Read recipes: TOML into checked values, one run of a recipe into those that it stands for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from enhancer_core.errors import EnhancerError
from enhancer_core.study.newick import read_newick
from enhancer_core.study.recipe import ORACLES, PROTOCOL, Data, Part, Recipe, Run, Search, Study
from enhancer_core.study.schema import RecipeError, made, read_toml
from enhancer_core.study.validate import check_recipe, check_shared
from enhancer_core.training.config import TrainConfig, protocol

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
    check_shared(path, recipes)
    return Study(title=str(title), recipes=recipes)


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
        try:
            data, runs, searches = _cut(cut, data, runs, searches)
        except EnhancerError as error:
            raise RecipeError(f"{path} [quick]: {error}") from error
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
    check_recipe(path, recipe)
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
