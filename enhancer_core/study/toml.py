"""Read recipes: TOML into checked values, and one run of a recipe into those it stands for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from enhancer_core.errors import EnhancerError
from enhancer_core.study import recipe as parts
from enhancer_core.study.newick import Tree, read_newick
from enhancer_core.study.recipe import Data, Recipe, ReportSection, Run, Search, Study
from enhancer_core.study.schema import RecipeError, parse_table, read_toml
from enhancer_core.study.validate import check_recipe, check_shared
from enhancer_core.training.config import TrainConfig, default_config

T = TypeVar("T", Data, Run, Search, ReportSection)
C = TypeVar("C", Data, Search, TrainConfig)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")  # also a folder's name


@dataclass(frozen=True, kw_only=True, slots=True)
class Quick:
    """Upper limits for a quick trial of a recipe."""

    number: int = 300  # sequences of each class
    restarts: int = 1
    epochs: int = 2
    updates: int = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class _Head:
    """Keys of a recipe beside its tables."""

    title: str = ""  # the file's name if empty
    text: str = ""  # on its data, for the report
    tree: str = ""  # Newick
    data_of: tuple[str, ...] = ()  # files whose [[data]] it takes


_HEAD = ("title", "text", "tree", "data_of")
_LISTS: Mapping[type, str] = {Data: "data", Run: "run", Search: "search", ReportSection: "section"}
_KEYS = (*_HEAD, "include", "defaults", "quick", *_LISTS.values())


def read_study(path: Path, *, quick: bool = False) -> Study:
    """Read a recipe, and those that it includes; `quick` cuts them to their table `quick`.

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
    head = parse_table(_Head, {key: table[key] for key in table if key in _HEAD}, str(path))
    limits = parse_table(Quick, table.get("quick", {}), f"{path} [quick]")
    defaults = table.get("defaults", {})
    if not isinstance(defaults, dict):
        raise RecipeError(f"{path}: defaults is {defaults!r}; allowed is a table")
    data = _rows(path, table, Data)
    for name in head.data_of:
        shared = path.parent / name
        data += _rows(shared, read_toml(shared), Data)
    runs = _rows(path, table, Run, defaults)
    searches = _rows(path, table, Search)
    if quick:
        try:
            data, runs, searches = _cut(limits, data, runs, searches)
        except EnhancerError as error:
            raise RecipeError(f"{path} [quick]: {error}") from error
    try:
        runs = list(chain.from_iterable(_expanded(run, head.tree) for run in runs))
    except EnhancerError as error:
        raise RecipeError(f"{path}: {error}") from error
    recipe = Recipe(
        name=path.name.removesuffix(".toml"), title=head.title or path.stem, text=head.text,
        data=tuple(data), runs=tuple(runs), searches=tuple(searches), tree=head.tree,
        sections=tuple(_rows(path, table, ReportSection)),
    )  # fmt: skip
    check_recipe(path, recipe)
    return recipe


def _rows(
    path: Path, table: Mapping[str, Any], kind: type[T], defaults: Mapping[str, Any] | None = None
) -> list[T]:
    key = _LISTS[kind]
    rows = table.get(key, [])
    if not isinstance(rows, list):
        raise RecipeError(f"{path}: {key} is one table; write [[{key}]], once for each")
    parsed = []
    for number, row in enumerate(rows, start=1):
        where = f"{path} [[{key}]] {number}"
        if not isinstance(row, dict):
            raise RecipeError(f"{where}: {row!r} is not a table")
        where += f" '{row['name']}'" if "name" in row else ""
        if "group" in row:
            raise RecipeError(f"{where}: 'group' is not to be given")
        values = {**(defaults or {}), **row}
        if kind is Run:
            own = default_config(values.get("network", ""))
            values = {**(parts.STUDY_CONFIG if own == TrainConfig() else own).changes(), **values}
        parsed.append(parse_table(kind, values, where))
        if "name" in row and not _NAME.fullmatch(row["name"]):
            raise RecipeError(f"{where}: a name has letters, digits, '.', '_' and '-' only")
    return parsed


def _cut(
    quick: Quick, data: Sequence[Data], runs: Sequence[Run], searches: Sequence[Search]
) -> tuple[list[Data], list[Run], list[Search]]:
    def cut(thing: C, **limits: int) -> C:
        values: dict[str, Any] = {k: min(getattr(thing, k) or n, n) for k, n in limits.items()}
        return replace(thing, **values)

    once = {"restarts": quick.restarts, "ensemble": quick.restarts, "epochs": quick.epochs}
    few = {"restarts": quick.restarts, "updates": quick.updates}
    return (
        [cut(definition, number=quick.number) for definition in data],
        [replace(run, config=cut(run.config, **once)) for run in runs],
        [replace(cut(search, **few), ks=search.ks[:3]) for search in searches],
    )


def _expanded(run: Run, tree: str) -> Iterator[Run]:
    """Return the runs that one run of a recipe stands for."""
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
        chosen = [member] if run.over == "each" else [name for name in run.data if name != member]
        if run.over == "nearest":
            chosen = _nearest(member, chosen, read_newick(tree))[: run.nearest]
        own = replace(run, over="")
        yield replace(
            own, name=f"{run.name}.{member}", group=run.name, data=tuple(chosen),
            title=f"{run.shown}: {member}", tests=run.tests or _own_tests(own),
        )  # fmt: skip


def _nearest(name: str, others: Sequence[str], tree: Tree) -> list[str]:
    """Sort data by the distance of their leaf from another's."""
    for leaf in (name, *others):
        if leaf not in tree:
            raise RecipeError(f"'{leaf}' is not in the tree; its leaves are {', '.join(tree)}")
    return sorted(others, key=tree[name].__getitem__)


def _own_tests(run: Run) -> tuple[str, ...]:
    """Return the tests of a run that names none: its own task, on each of its data."""
    if run.model in parts.ORACLES or (run.background and run.positive == "positives"):
        return run.data
    return tuple(f"{name}/{k}" for name in run.data for k in run.shuffles)
