"""Say what a section asks for that its runs do not have: now, not after hours of training."""

from __future__ import annotations

from collections.abc import Sequence

from enhancer_core.study.recipe import Part, Recipe, Run, Search, split_test


def lack(section: Part, recipe: Recipe) -> str:
    """Say what a section's runs lack; nothing if they have all."""
    names = {member for name in section.runs for member in recipe.members(name)}
    runs = [run for run in recipe.steps if run.name in names]
    networks = [run for run in runs if isinstance(run, Run)]
    if section.kind in ("models", "matrix"):
        return _no_common_test(section, runs)
    if section.kind == "each" and section.tests:
        return _no_test(section, runs)
    if section.kind == "k_choice":
        return _no_k(networks)
    if section.kind == "motifs" and not any(run.motifs for run in networks):
        return "none of its runs looks for motifs"
    if section.kind == "filters" and not all(":" in "".join(run.motifs) for run in networks):
        return "not all of its runs look for a motif FILE:NAME, with whose file filters are matched"
    if section.kind == "search" and len(networks) == len(runs):
        return "none of its runs is a search"
    return ""


def _tests(run: Run | Search) -> set[str]:
    return set(run.tests if isinstance(run, Run) else run.data)


def _no_common_test(section: Part, runs: Sequence[Run | Search]) -> str:
    tests = [_tests(run) for run in runs]
    for test in section.tests:
        if not all(test in each for each in tests):
            return f"not all of its runs have the test '{test}'"
    return "" if set.intersection(*tests) else "its runs have no test in common"


def _no_test(section: Part, runs: Sequence[Run | Search]) -> str:
    for run in runs:
        if not set(section.tests) & _tests(run):
            return f"its run '{run.name}' has none of its tests"
    return ""


def _no_k(runs: Sequence[Run]) -> str:
    if any(len(run.shuffles) != 1 for run in runs):
        return "not all of its runs are against the shuffles of one k"
    for run in runs:
        if not any(split_test(test)[1] == run.shuffles[0] for test in run.tests):
            return f"its run '{run.name}' has no test against its own shuffles"
    return ""
