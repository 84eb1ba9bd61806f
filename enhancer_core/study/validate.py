"""Check that what a recipe names exists and fits together: now, not after hours of training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeGuard

from enhancer_core.study.recipe import (
    ORACLES,
    Recipe,
    ReportSection,
    Run,
    Search,
    groups_of,
    runs_of,
    settings,
    single_data_runs,
    spelled,
    split_test,
)
from enhancer_core.study.schema import RecipeError

_OF_FOLDS = ("models", "motifs", "filters")  # sections that can show what was done on folds


def check_shared(path: Path, recipes: Sequence[Recipe]) -> None:
    """Check that runs of one name in several recipes are one run, which is then done once.

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
        for step in recipe.steps:
            set_name = set_of[step.data[0]]
            what = (settings(step), set_name, sets[set_name])
            if known.setdefault(step.name, what) != what:
                raise RecipeError(
                    f"{path}: two runs that differ have the name '{step.name}', in settings or in"
                    " the data of their set"
                )


def check_recipe(path: Path, recipe: Recipe) -> None:
    """Check that each name stands for one thing that is there, and that none leaks a test part.

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
    for step in recipe.steps:
        where = f"{path}: run '{step.name}'"
        _check_data(where, step, sets)
        if isinstance(step, Run):
            _check_others(where, step, sets, before)
            _check_oracle(where, step, recipe)
            before[step.name] = step
    _check_folds_and_tables(path, recipe)
    for section in recipe.sections:
        where = f"{path}: section '{section.title}'"
        for name in section.runs:
            if not recipe.members(name):
                raise RecipeError(f"{where}: no run '{name}'")
        if problem := _problem(section, recipe):
            raise RecipeError(f"{where}: {problem}")


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
    origins = {(data.simulate, data.definition) for data in recipe.data if data.name in run.data}
    if run.model in ORACLES and (len(origins) > 1 or not all(motif for motif, _ in origins)):
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


def _problem(section: ReportSection, recipe: Recipe) -> str:
    """Return what a section needs that its runs do not have; empty if they have all."""
    runs = runs_of(section, recipe)
    names = [run.name for run in runs]
    if section.beside and section.beside not in names:
        return f"beside '{section.beside}'; allowed is one of its runs: {spelled(names)}"
    folded = {data.name for data in recipe.data if data.folds}
    on_folds = any(folded.intersection(run.data) for run in runs)
    if on_folds and (section.tests or section.kind not in _OF_FOLDS):
        return (
            f"its runs are on folds; allowed are sections of {spelled(_OF_FOLDS)}, without 'tests'"
        )
    checks: Mapping[str, Callable[[ReportSection, Recipe, Sequence[Run | Search]], str]] = {
        "models": _no_common_test,
        "each": _no_test,
        "matrix": _no_gain,
        "k_choice": _no_k,
        "motifs": _no_motifs,
        "filters": _no_filters,
        "search": _no_search,
    }
    problem = checks[section.kind](section, recipe, runs)
    if not problem and section.headline and section.kind in ("k_choice", "filters", "search"):
        return _no_common_test(section, recipe, runs)  # the figure is an AUC
    return problem


def _tests(run: Run | Search) -> tuple[str, ...]:
    return run.tests if isinstance(run, Run) else run.data


def _common(section: ReportSection, runs: Sequence[Run | Search]) -> tuple[str, ...]:
    common = set.intersection(*(set(_tests(run)) for run in runs))
    return section.tests or tuple(common)


def _no_common_test(section: ReportSection, _: Recipe, runs: Sequence[Run | Search]) -> str:
    for test in section.tests:
        if not all(test in _tests(run) for run in runs):
            return f"not all of its runs have the test '{test}'"
    return "" if _common(section, runs) else "its runs have no test in common"


def _no_test(section: ReportSection, _: Recipe, runs: Sequence[Run | Search]) -> str:
    for run in runs:
        if section.tests and not set(section.tests) & set(_tests(run)):
            return f"its run '{run.name}' has none of its tests"
    if section.headline and not any(isinstance(run, Search) or _is_network(run) for run in runs):
        return "none of its runs is a network, of which its headline is"
    return ""


def _no_gain(section: ReportSection, recipe: Recipe, runs: Sequence[Run | Search]) -> str:
    if problem := _no_common_test(section, recipe, runs):
        return problem
    groups = list(groups_of(section, recipe).values())
    if not groups:
        return "its runs are searches alone"
    if section.headline or section.least is not None:
        own = single_data_runs(groups[0])
        missing = [test for test in _common(section, runs) if test not in own]
        if len(groups) < 2 or missing:
            return (
                "the gain for its 'headline' or 'least' needs a run on each test's data alone,"
                " first, and other runs after them"
            )
    return ""


def _no_k(_: ReportSection, __: Recipe, runs: Sequence[Run | Search]) -> str:
    networks = [run for run in runs if isinstance(run, Run)]
    if not networks or any(len(run.shuffles) != 1 for run in networks):
        return "not all of its runs are against the shuffles of one k"
    for run in networks:
        if not any(split_test(test)[1] == run.shuffles[0] for test in run.tests):
            return f"its run '{run.name}' has no test against its own shuffles"
    return ""


def _no_motifs(_: ReportSection, __: Recipe, runs: Sequence[Run | Search]) -> str:
    if not any(_is_network(run) and run.motifs for run in runs):
        return "none of its runs looks for motifs"
    return ""


def _no_filters(_: ReportSection, __: Recipe, runs: Sequence[Run | Search]) -> str:
    if not all(_is_network(run) and ":" in "".join(run.motifs) for run in runs):
        return "not all of its runs look for a motif FILE:NAME, with whose file filters are matched"
    return ""


def _no_search(section: ReportSection, _: Recipe, runs: Sequence[Run | Search]) -> str:
    searched = next((run for run in runs if isinstance(run, Search)), None)
    if searched is None:
        return "none of its runs is a search"
    for run in runs:
        if run.name == section.beside and searched.data[0] not in _tests(run):
            return f"its run '{run.name}' has not the search's test '{searched.data[0]}'"
    return ""


def _is_network(run: Run | Search) -> TypeGuard[Run]:
    return isinstance(run, Run) and run.model == "network"
