"""Check that what a recipe names exists and fits together: now, not after hours of training."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from enhancer_core.study import recipe as parts
from enhancer_core.study.recipe import Data, Recipe, ReportSection, Run, Search, spelled, split_test
from enhancer_core.study.schema import RecipeError

_OF_FOLDS = ("models", "motifs", "filters")  # sections that can show what was done on folds
_OF_AUC = ("k_choice", "filters", "search")  # sections whose figure at the top is an AUC


def check_shared(path: Path, recipes: Sequence[Recipe]) -> None:
    """Check that runs of one name in several recipes are one run, which is then done once.

    Raises
    ------
    RecipeError
        If two such runs differ, or data that are split together with theirs.
    """
    known: dict[str, object] = {}
    for recipe in recipes:
        set_of = {data.name: data.set_name for data in recipe.data}
        for step in recipe.steps:
            set_name = set_of[step.data[0]]
            members = [(d.name, parts.settings(d)) for d in recipe.data if d.set_name == set_name]
            what = (parts.settings(step), set_name, members)
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
    if problem := next(_problems(recipe), None):
        raise RecipeError(f"{path}: {problem}")


def _problems(recipe: Recipe) -> Iterator[str]:
    """Name what is wrong; only the first is sure, as later checks rely on earlier ones."""
    for kind, things in (("data", recipe.data), ("runs", recipe.steps)):
        names = [thing.name for thing in things]
        yield from (f"two {kind} have the name '{name}'" for name in names if names.count(name) > 1)
    data = {definition.name: definition for definition in recipe.data}
    before: dict[str, Run] = {}
    for step in recipe.steps:
        problems = _data_problems(step, data)
        if isinstance(step, Run):
            problems = chain(problems, _run_problems(step, data, dict(before)))
            before[step.name] = step
        yield from (f"run '{step.name}': {problem}" for problem in problems)
    sets = [definition.set_name for definition in recipe.data]
    for name in (name for name in data if data[name].folds and sets.count(name) > 1):
        yield f"data '{name}' has folds, and others are in its set"
    for search in recipe.searches:
        if any(data[name].folds for name in search.data):
            yield f"search '{search.name}': its data have folds; allowed are none"
    for section in recipe.sections:
        missing = (f"no run '{name}'" for name in section.runs if not recipe.members(name))
        for problem in chain(missing, _section_problems(section, recipe, data)):
            yield f"section '{section.title}': {problem}"


def _data_problems(step: Run | Search, data: Mapping[str, Data]) -> Iterator[str]:
    try:
        named = [*step.data, *(split_test(test)[0] for test in step.tests)]
    except RecipeError as error:
        yield str(error)
        return
    for name in named:
        if name not in data:
            yield f"data '{name}' is not there; there are {spelled(data)}"
    if len({data[name].set_name for name in named}) > 1:
        yield "data and tests of several sets; allowed are those of one"
    for name in step.data:
        if data[name].table:
            yield f"data '{name}' is a table, and tested on alone; allowed is in 'tests'"
    if isinstance(step, Run) and step.model in parts.ORACLES:
        origins = {(data[name].simulate, data[name].definition) for name in step.data}
        if len(origins) > 1 or not all(motif for motif, _ in origins):
            allowed = "data that 'simulate' one motif by one definition"
            yield f"model '{step.model}' on {spelled(step.data)}; allowed are {allowed}"


def _run_problems(run: Run, data: Mapping[str, Data], before: Mapping[str, Run]) -> Iterator[str]:
    """Check the runs that a run builds on or is compared with."""
    for name in filter(None, (*run.needs, run.control_of)):
        if name not in before:
            yield f"run '{name}' does not stand before it"
    own = data[run.data[0]].set_name
    for name in filter(None, (*run.plant, run.initial)):
        # Only what was split together keeps its test part out of what the other has learned.
        if (other := data[before[name].data[0]].set_name) != own:
            yield (
                f"run '{name}' learns from the set '{other}', and may have seen what is tested"
                f" here; allowed are runs on the set '{own}'"
            )
    for name in filter(None, (*run.plant, run.initial, run.updates_of)):
        if before[name].model != "network":
            yield f"run '{name}' is of {before[name].model}, not a network"
    if run.control_of and not set(run.tests) & set(before[run.control_of].tests):
        yield f"control of '{run.control_of}', with no test in common"
    if run.baseline:
        # They are to stand in one row of published models.
        baseline, test = before[run.baseline], run.tests[0]
        if (run.model, baseline.model) != ("network", "5-mers") or test not in baseline.tests:
            yield (
                f"baseline '{run.baseline}'; allowed is a run of 5-mers with the test '{test}',"
                " beside a network"
            )


def _section_problems(
    section: ReportSection, recipe: Recipe, data: Mapping[str, Data]
) -> Iterator[str]:
    """Name what a section needs that its runs do not have."""
    runs = parts.runs_of(section, recipe)
    names = [run.name for run in runs]
    if section.beside and section.beside not in names:
        yield f"beside '{section.beside}'; allowed is one of its runs: {spelled(names)}"
    on_folds = any(data[name].folds for run in runs for name in run.data)
    if on_folds and (section.tests or section.kind not in _OF_FOLDS):
        allowed = f"sections of {spelled(_OF_FOLDS)}, without 'tests'"
        yield f"its runs are on folds; allowed are {allowed}"
    if section.kind in _KIND_PROBLEMS:
        yield from _KIND_PROBLEMS[section.kind](section, runs)
    if section.kind == "models" or (section.headline and section.kind in _OF_AUC):
        yield from _test_problems(section, runs)


def _common(section: ReportSection, runs: Sequence[Run | Search]) -> Collection[str]:
    return section.tests or set.intersection(*(set(run.tests) for run in runs))


def _test_problems(section: ReportSection, runs: Sequence[Run | Search]) -> Iterator[str]:
    for test in section.tests:
        if not all(test in run.tests for run in runs):
            yield f"not all of its runs have the test '{test}'"
    if not _common(section, runs):
        yield "its runs have no test in common"


def _each(section: ReportSection, runs: Sequence[Run | Search]) -> Iterator[str]:
    for run in runs:
        if section.tests and not set(section.tests) & set(run.tests):
            yield f"its run '{run.name}' has none of its tests"
    if section.headline and not any(run.model == "network" for run in runs):
        yield "none of its runs is a network, of which its headline is"


def _matrix(section: ReportSection, runs: Sequence[Run | Search]) -> Iterator[str]:
    yield from _test_problems(section, runs)
    groups = list(parts.groups_of(runs).values())
    if not groups:
        yield "its runs are searches alone"
    if section.headline or section.least is not None:
        own = parts.single_data_runs(groups[0])
        if len(groups) < 2 or not own.keys() >= set(_common(section, runs)):
            yield (
                "the gain for its 'headline' or 'least' needs a run on each test's data alone,"
                " first, and other runs after them"
            )


def _k_choice(_: ReportSection, runs: Sequence[Run | Search]) -> Iterator[str]:
    networks = [run for run in runs if isinstance(run, Run)]
    if not networks or any(len(run.shuffles) != 1 for run in networks):
        yield "not all of its runs are against the shuffles of one k"
    for run in networks:
        if not any(split_test(test)[1] == run.shuffles[0] for test in run.tests):
            yield f"its run '{run.name}' has no test against its own shuffles"


def _motifs(section: ReportSection, runs: Sequence[Run | Search]) -> Iterator[str]:
    specs = ["".join(run.motifs) if run.model == "network" else "" for run in runs]
    if section.kind == "motifs" and not any(specs):
        yield "none of its runs looks for motifs"
    if section.kind == "filters" and not all(":" in spec for spec in specs):
        yield "not all of its runs look for a motif FILE:NAME, with whose file filters are matched"


def _search(section: ReportSection, runs: Sequence[Run | Search]) -> Iterator[str]:
    searched = next((run.data[0] for run in runs if isinstance(run, Search)), None)
    if searched is None:
        yield "none of its runs is a search"
    for run in runs:
        if run.name == section.beside and searched not in run.tests:
            yield f"its run '{run.name}' has not the search's test '{searched}'"


_KIND_PROBLEMS: Mapping[str, Callable[..., Iterator[str]]] = {
    "each": _each, "matrix": _matrix, "k_choice": _k_choice, "motifs": _motifs,
    "filters": _motifs, "search": _search,
}  # fmt: skip
