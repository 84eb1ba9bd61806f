"""Compose a study's report: a chapter a recipe, then what each run learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from enhancer_core.data.dataset import PARTS
from enhancer_core.report.page import Page, Section, Table
from enhancer_core.report.study.headlines import controlled, highlight
from enhancer_core.report.study.sections import section
from enhancer_core.study.recipe import Data, Recipe, Run, Search, Study
from enhancer_core.study.runner import Results


def study_page(study: Study, results: Results) -> Page:
    """Compose the report of a study.

    Parameters
    ----------
    study
        The recipes.
    results
        What came of them.

    Returns
    -------
    Page
        It holds no date, so the same results give the same page.
    """
    sections = [
        section(part, recipe, results.runs) for recipe in study.recipes for part in recipe.sections
    ]
    limits = Section(
        title="How to read this",
        text=[
            "The data of a recipe are split before anything else, 80 % to learn from, 10 % to"
            " choose the network and 10 % to test it, and copied, shuffled and pooled inside each"
            " part. Restarts and epochs are chosen on the validation part; no test part chose a"
            " network. A k that is recommended is read from the test parts of the runs along k.",
            "Intervals cover the luck of which sequences were tested, not the luck of training: two"
            " runs of one recipe with other seeds may differ by more. Differences are of the same"
            " test sequences, paired. The paper's figures are of its own data, so they can be set"
            " beside these but not compared to the third digit.",
        ],
    )
    runs = {run.name: run for recipe in study.recipes for run in recipe.steps}
    return Page(
        title=study.title,
        lead=_lead(study, results),
        highlights=[
            highlight(part, recipe, results.runs)
            for recipe in study.recipes
            for part in recipe.sections
            if part.headline
        ],
        sections=[
            *sections,
            limits,
            _data(study, results),
            _run_table(list(runs.values()), results),
        ],
    )


def _lead(study: Study, results: Results) -> str:
    networks = sum("restarts" in result for result in results.runs.values())
    trained = sum(len(result.get("restarts", ())) for result in results.runs.values())
    updates = sum(
        result.get("updates", 0) * len(result.get("restarts", ()))
        for result in results.runs.values()
    )
    return (
        controlled(study, results.runs)
        + f"{len(results.runs)} runs, {networks} of them networks, trained in {trained} restarts"
        f" and {updates:,} mini-batches; every figure below follows from them, with seed"
        f" {results.seed}."
    )


def _data(study: Study, results: Results) -> Section:
    return Section(
        title="Data",
        text=[
            f"{recipe.title}. {recipe.text.strip()}" if len(study.recipes) > 1 else recipe.text
            for recipe in study.recipes
            if recipe.text
        ],
        tables=[
            Table(
                head=("Data", "Source", "bp", *(f"{part}, + and −" for part in PARTS)),
                rows=_data_rows(recipe, results),
                caption=recipe.title,
                text_columns=2,
            )
            for recipe in study.recipes
        ],
    )


def _data_rows(recipe: Recipe, results: Results) -> list[tuple[str, ...]]:
    sizes = results.data[recipe.name]
    return [
        (each.name, _source(each), str(sizes[each.splits[0]]["length"]),
         *(_pair(sizes[each.splits[0]][part]) for part in PARTS))
        for each in recipe.data
    ]  # fmt: skip


def _source(data: Data) -> str:
    if data.simulate:
        return f"{data.simulate} planted in uniform DNA, definition '{data.definition}'"
    if data.world:
        return "the synthetic world of six species"
    files = [*data.positives, *data.background, *filter(None, [data.table])]
    return ", ".join([*files, *([f"windows of {data.genome}"] if data.genome else [])])


def _pair(counts: Sequence[int]) -> str:
    return f"{counts[0]:,} + {counts[1]:,}"


def _run_table(runs: Sequence[Run | Search], results: Results) -> Section:
    rows = []
    for run in runs:
        result: Mapping[str, Any] = results.runs[run.name]
        network = "restarts" in result
        rows.append(
            (
                run.name,
                run.model if isinstance(run, Run) and run.model != "network" else run.network,
                _pair(result["learned"]["train"]),
                str(result["epochs"]) if network else "",
                f"{result['updates']:,}" if network else "",
                ", ".join(f"{value:.3f}".lstrip("0") for value in result.get("restarts", ())),
            )
        )
    return Section(
        title="Runs",
        tables=[
            Table(
                head=("Run", "Model", "Learned from, + and −", "Epochs", "Mini-batches",
                      "Validation AUC of each restart"),
                rows=rows,
                text_columns=2,
            )
        ],
    )  # fmt: skip
