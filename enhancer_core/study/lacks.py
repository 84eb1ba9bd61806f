"""Say what a section asks for that its runs do not have: now, not after hours of training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeGuard

from enhancer_core.study.recipe import (
    Part,
    Recipe,
    Run,
    Search,
    groups_of,
    runs_of,
    single_data_runs,
    spelled,
    split_test,
)

_OF_FOLDS = ("models", "motifs", "filters")  # sections that can show what was done on folds


def lack(section: Part, recipe: Recipe) -> str:
    """Say what a section's runs lack; nothing if they have all."""
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
    lacking: Mapping[str, Callable[[Part, Recipe, Sequence[Run | Search]], str]] = {
        "models": _no_common_test,
        "each": _no_test,
        "matrix": _no_gain,
        "k_choice": _no_k,
        "motifs": _no_motifs,
        "filters": _no_filters,
        "search": _no_search,
    }
    said = lacking[section.kind](section, recipe, runs)
    if not said and section.headline and section.kind in ("k_choice", "filters", "search"):
        return _no_common_test(section, recipe, runs)  # the figure is an AUC
    return said


def _tests(run: Run | Search) -> tuple[str, ...]:
    return run.tests if isinstance(run, Run) else run.data


def _common(section: Part, runs: Sequence[Run | Search]) -> tuple[str, ...]:
    common = set.intersection(*(set(_tests(run)) for run in runs))
    return section.tests or tuple(common)


def _no_common_test(section: Part, _: Recipe, runs: Sequence[Run | Search]) -> str:
    for test in section.tests:
        if not all(test in _tests(run) for run in runs):
            return f"not all of its runs have the test '{test}'"
    return "" if _common(section, runs) else "its runs have no test in common"


def _no_test(section: Part, _: Recipe, runs: Sequence[Run | Search]) -> str:
    for run in runs:
        if section.tests and not set(section.tests) & set(_tests(run)):
            return f"its run '{run.name}' has none of its tests"
    if section.headline and not any(isinstance(run, Search) or _is_network(run) for run in runs):
        return "none of its runs is a network, of which its headline is"
    return ""


def _no_gain(section: Part, recipe: Recipe, runs: Sequence[Run | Search]) -> str:
    if said := _no_common_test(section, recipe, runs):
        return said
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


def _no_k(_: Part, __: Recipe, runs: Sequence[Run | Search]) -> str:
    networks = [run for run in runs if isinstance(run, Run)]
    if not networks or any(len(run.shuffles) != 1 for run in networks):
        return "not all of its runs are against the shuffles of one k"
    for run in networks:
        if not any(split_test(test)[1] == run.shuffles[0] for test in run.tests):
            return f"its run '{run.name}' has no test against its own shuffles"
    return ""


def _no_motifs(_: Part, __: Recipe, runs: Sequence[Run | Search]) -> str:
    if not any(_is_network(run) and run.motifs for run in runs):
        return "none of its runs looks for motifs"
    return ""


def _no_filters(_: Part, __: Recipe, runs: Sequence[Run | Search]) -> str:
    if not all(_is_network(run) and ":" in "".join(run.motifs) for run in runs):
        return "not all of its runs look for a motif FILE:NAME, with whose file filters are matched"
    return ""


def _no_search(section: Part, _: Recipe, runs: Sequence[Run | Search]) -> str:
    searched = next((run for run in runs if isinstance(run, Search)), None)
    if searched is None:
        return "none of its runs is a search"
    for run in runs:
        if run.name == section.beside and searched.data[0] not in _tests(run):
            return f"its run '{run.name}' has not the search's test '{searched.data[0]}'"
    return ""


def _is_network(run: Run | Search) -> TypeGuard[Run]:
    return isinstance(run, Run) and run.model == "network"
