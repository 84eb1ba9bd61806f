"""Cut a study down to some of its runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from enhancer_core.study.recipe import Recipe, ReportSection, Study, spelled, split_test
from enhancer_core.study.schema import RecipeError


def only_runs(study: Study, names: Sequence[str]) -> Study:
    """Keep some runs of a study, and those that they build on.

    What is kept gives the same bytes as in the whole study: data that are split together stay
    together. A section of the report stays where all its runs do; one of models also with two or
    more, then without what the recipe asks of the whole. Recipes without a run go.

    Parameters
    ----------
    study
        The recipes.
    names
        Runs, searches, or the one name of runs that were given `over` something; at least one.

    Raises
    ------
    RecipeError
        If no recipe has a run of a name.
    """
    known = dict.fromkeys(each.name for recipe in study.recipes for each in recipe.steps)
    for name in names:
        if not any(recipe.members(name) for recipe in study.recipes):
            raise RecipeError(f"no run '{name}'; there are {spelled(list(known))}")
    cut = (_cut(recipe, names) for recipe in study.recipes)
    return replace(study, recipes=tuple(recipe for recipe in cut if recipe.steps))


def _cut(recipe: Recipe, names: Sequence[str]) -> Recipe:
    kept = {member for name in names for member in recipe.members(name)}
    for run in reversed(recipe.runs):  # what a run needs stands before it
        if run.name in kept:
            kept |= set(run.needs)
    runs = tuple(
        replace(run, control_of=run.control_of if run.control_of in kept else "")
        for run in recipe.runs
        if run.name in kept
    )
    searches = tuple(each for each in recipe.searches if each.name in kept)
    cut = replace(recipe, runs=runs, searches=searches)
    used = {name for each in cut.steps for name in each.data}
    used |= {split_test(test)[0] for run in runs for test in run.tests}
    sets = {each.set_name for each in recipe.data if each.name in used}
    sections = (_section(part, recipe, kept) for part in recipe.sections)
    return replace(
        cut,
        data=tuple(each for each in recipe.data if each.set_name in sets),
        sections=tuple(part for part in sections if part is not None),
    )


def _section(part: ReportSection, recipe: Recipe, kept: set[str]) -> ReportSection | None:
    """Give what is left of a section, if anything is."""
    named = [one for name in part.runs for one in recipe.members(name)]
    if kept.issuperset(named):
        return part
    left = tuple(name for name in named if name in kept)
    if part.kind != "models" or len(left) < 2:
        return None
    beside = part.beside if part.beside in kept else ""
    return replace(part, runs=left, beside=beside, headline="", within=None, least=None)
