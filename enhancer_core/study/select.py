"""Cut a study down to some of its runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from enhancer_core.study.recipe import Recipe, ReportSection, Study, spelled, split_test
from enhancer_core.study.schema import RecipeError


def only_runs(study: Study, names: Sequence[str]) -> Study:
    """Select some runs of a study, and those that they build on.

    They have the same results as in the whole study: data that are split together stay together. A
    section of the report stays if all its runs do; one of models also with two or more, then
    without the recipe's thresholds, which are for all. Recipes without a run are left out.

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
    for name in names:
        if not any(recipe.members(name) for recipe in study.recipes):
            known = [step.name for recipe in study.recipes for step in recipe.steps]
            raise RecipeError(f"no run '{name}'; there are {spelled(list(dict.fromkeys(known)))}")
    cut = (_cut(recipe, names) for recipe in study.recipes)
    return replace(study, recipes=tuple(recipe for recipe in cut if recipe.steps))


def _cut(recipe: Recipe, names: Sequence[str]) -> Recipe:
    selected = {member for name in names for member in recipe.members(name)}
    for run in reversed(recipe.runs):  # a run follows those that it needs
        if run.name in selected:
            selected |= set(run.needs)
    chosen = [run for run in recipe.runs if run.name in selected]
    runs = tuple(
        run if run.control_of in selected else replace(run, control_of="") for run in chosen
    )
    searches = tuple(search for search in recipe.searches if search.name in selected)
    cut = replace(recipe, runs=runs, searches=searches)
    used = {split_test(name)[0] for step in cut.steps for name in (*step.data, *step.tests)}
    sets = {data.set_name for data in recipe.data if data.name in used}
    sections = (_section(section, recipe, selected) for section in recipe.sections)
    return replace(
        cut,
        data=tuple(data for data in recipe.data if data.set_name in sets),
        sections=tuple(section for section in sections if section is not None),
    )


def _section(section: ReportSection, recipe: Recipe, selected: set[str]) -> ReportSection | None:
    members = [member for name in section.runs for member in recipe.members(name)]
    if selected.issuperset(members):
        return section
    runs = tuple(name for name in members if name in selected)
    if section.kind != "models" or len(runs) < 2:
        return None
    beside = section.beside if section.beside in selected else ""
    return replace(section, runs=runs, beside=beside, headline="", within=None, least=None)
