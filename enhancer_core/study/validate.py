"""Check that what a recipe names is there and fits together: now, not after hours of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from enhancer_core.study.lacks import lack
from enhancer_core.study.recipe import ORACLES, Recipe, Run, Search, settings, spelled, split_test
from enhancer_core.study.schema import RecipeError


def check_shared(path: Path, recipes: Sequence[Recipe]) -> None:
    """Check that runs of one name in several recipes are one run, which is then done once.

    Parameters
    ----------
    path
        File that includes the recipes.
    recipes
        Those that it includes.

    Raises
    ------
    RecipeError
        If two such runs differ, or data that are split together with theirs.
    """
    known: dict[str, object] = {}
    for recipe in recipes:
        sets: dict[str, list[object]] = {}
        for data in recipe.data:
            sets.setdefault(data.set_name, []).append((data.name, settings(data)))
        set_of = {data.name: data.set_name for data in recipe.data}
        for each in recipe.steps:
            set_name = set_of[each.data[0]]
            what = (settings(each), set_name, sets[set_name])
            if known.setdefault(each.name, what) != what:
                raise RecipeError(
                    f"{path}: two runs that differ have the name '{each.name}', in settings or in"
                    " the data of their set"
                )


def check_recipe(path: Path, recipe: Recipe) -> None:
    """Check that each name stands for one thing that is there, and that none leaks a test part.

    Parameters
    ----------
    path
        The recipe's file.
    recipe
        What was read of it.

    Raises
    ------
    RecipeError
        If a name stands for two things or for none, or a run or section asks for what those that
        it names do not have.
    """
    for kind, things in (("data", recipe.data), ("runs", recipe.steps)):
        names = [each.name for each in things]
        for name in names:
            if names.count(name) > 1:
                raise RecipeError(f"{path}: two {kind} have the name '{name}'")
    sets = {each.name: each.set_name for each in recipe.data}
    before: dict[str, Run] = {}
    for each in recipe.steps:
        where = f"{path}: run '{each.name}'"
        _check_data(where, each, sets)
        if isinstance(each, Run):
            _check_others(where, each, sets, before)
            _check_oracle(where, each, recipe)
            before[each.name] = each
    _check_folds_and_tables(path, recipe)
    for section in recipe.sections:
        where = f"{path}: section '{section.title}'"
        for name in section.runs:
            if not recipe.members(name):
                raise RecipeError(f"{where}: no run '{name}'")
        if said := lack(section, recipe):
            raise RecipeError(f"{where}: {said}")


def _check_data(where: str, run: Run | Search, sets: Mapping[str, str]) -> None:
    tests = run.tests if isinstance(run, Run) else ()
    try:
        named = [*run.data, *(split_test(test)[0] for test in tests)]
    except RecipeError as error:
        raise RecipeError(f"{where}: {error}") from error
    for name in named:
        if name not in sets:
            raise RecipeError(f"{where}: data '{name}' is not there; there are {spelled(sets)}")
    if len({sets[name] for name in named}) > 1:
        raise RecipeError(f"{where}: data and tests of several sets; allowed are those of one")


def _check_others(where: str, run: Run, sets: Mapping[str, str], before: Mapping[str, Run]) -> None:
    """Check the runs that a run builds on or is compared with."""
    for name in filter(None, (*run.needs, run.control_of)):
        if name not in before:
            raise RecipeError(f"{where}: run '{name}' does not stand before it")
    own = sets[run.data[0]]
    for name in filter(None, (*run.plant, run.initial)):
        # Only what was split together keeps its test part out of what the other has learned.
        if (other := sets[before[name].data[0]]) != own:
            raise RecipeError(
                f"{where}: run '{name}' learns from the set '{other}', and may have seen what is"
                f" tested here; allowed are runs on the set '{own}'"
            )
    for name in filter(None, (*run.plant, run.initial, run.updates_of)):
        if before[name].model != "network":
            raise RecipeError(f"{where}: run '{name}' is of {before[name].model}, not a network")
    if run.control_of and not set(run.tests) & set(before[run.control_of].tests):
        raise RecipeError(f"{where}: control of '{run.control_of}', with no test in common")
    if run.baseline:
        # They are to stand in one row of published models.
        baseline = before[run.baseline]
        kinds = (run.model, baseline.model)
        if kinds != ("network", "5-mers") or run.tests[0] not in baseline.tests:
            raise RecipeError(
                f"{where}: baseline '{run.baseline}'; allowed is a run of 5-mers with the test"
                f" '{run.tests[0]}', beside a network"
            )


def _check_oracle(where: str, run: Run, recipe: Recipe) -> None:
    """Check that an oracle knows what its data were made of."""
    made = {(data.simulate, data.definition) for data in recipe.data if data.name in run.data}
    if run.model in ORACLES and (len(made) > 1 or not all(motif for motif, _ in made)):
        raise RecipeError(
            f"{where}: model '{run.model}' on {spelled(run.data)}; allowed are data that 'simulate'"
            " one motif by one definition"
        )


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
