"""Compose a study's report: its sections, then the data and all runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from enhancer_core.data.dataset import PARTS
from enhancer_core.report import plots
from enhancer_core.report.page import Highlight, Page, Section, Table
from enhancer_core.report.study import text
from enhancer_core.report.study.models import gains_of
from enhancer_core.report.study.sections import section
from enhancer_core.report.text import interval, signed, signed_interval
from enhancer_core.study import results as numbers
from enhancer_core.study.recipe import Data, Recipe, ReportSection, Study, runs_of
from enhancer_core.study.results import ResultByRun
from enhancer_core.study.runner import Results

_LIMITS = (
    "The data of a recipe are split before anything else, 80 % for training, 10 % for validation"
    " and 10 % for testing, and copied, shuffled and pooled inside each part. Restarts and epochs"
    " are chosen on the validation part; no test part chose a network. A recommended k is read from"
    " the test parts of the runs along k.",
    "Intervals cover the sampling of test sequences, not the randomness of training: two runs of"
    " one recipe with other seeds may differ by more. Differences are paired, on the same test"
    " sequences. The paper's values are of its own data, so they can be compared with these, but"
    " not to the third digit.",
)


def study_page(study: Study, results: Results) -> Page:
    """Compose the report of a study.

    Parameters
    ----------
    study
        The recipes.
    results
        Of all their runs.

    Returns
    -------
    Page
        It holds no date, so the same results give the same page.
    """
    parts = [(part, recipe, results.runs) for recipe in study.recipes for part in recipe.sections]
    networks = [result for result in results.runs.values() if "restarts" in result]
    restarts = sum(len(result["restarts"]) for result in networks)
    updates = sum(len(result["restarts"]) * result["updates"] for result in networks)
    return Page(
        title=study.title,
        lead=f"{compare_with_controls(study, results.runs)}{len(results.runs)} runs,"
        f" {len(networks)} of them networks, trained in {restarts} restarts and {updates:,}"
        f" mini-batches, with seed {results.seed}.",
        highlights=[_highlight(*part) for part in parts if part[0].headline],
        sections=[
            *(section(*part) for part in parts),
            Section(title="How to read this", text=_LIMITS),
            _data(study, results),
            _runs(study, results),
        ],
    )


def _highlight(part: ReportSection, recipe: Recipe, results: ResultByRun) -> Highlight:
    """Return a section's main figure.

    Of a matrix it is the gain of its last runs over one alone; of motifs the lowest similarity; of
    networks each on its own test the lowest AUC; of other sections the AUC of the first run.
    """
    runs = runs_of(part, recipe)
    tests = numbers.tests_of(part, runs, results)
    if part.kind == "motifs":
        motifs = [results[run.name].get("motifs", {}) for run in runs]
        similarities = [match["similarity"] for by_spec in motifs for match in by_spec.values()]
        value, note = f"{min(similarities):.3f}", f"lowest of {len(similarities)}"
    elif part.kind == "each":
        networks = [run for run in runs if run.model == "network"]
        own = {run.name: numbers.test_of(part, run, results) for run in networks}
        aucs = [numbers.auc(results[name], test) for name, test in own.items()]
        lowest = min(aucs, key=lambda estimate: estimate.value)
        value, note = f"{lowest.value:.3f}", f"{interval(lowest)}, lowest of {len(aucs)}"
    elif part.kind == "matrix":
        gain = numbers.mean(list(gains_of(part, recipe, tests, results).values())[-1])
        value, note = signed(gain.value), signed_interval(gain)
    else:
        first = numbers.mean_auc(results[runs[0].name], tests)
        value, note = f"{first.value:.3f}", interval(first)
    return Highlight(label=part.headline, value=value, note=note, colour=plots.NETWORK)


def compare_with_controls(study: Study, results: ResultByRun) -> str:
    """State which strategies did better than all of their controls, on real and simulated data."""
    better: dict[str, dict[str, bool]] = {"real": {}, "simulated": {}}
    for recipe in study.recipes:
        shown = {run.name: run.shown for run in recipe.steps}
        simulated = {data.name for data in recipe.data if data.simulate or data.world}
        for run in recipe.runs:
            if run.control_of:
                strategy, control = results[run.control_of], results[run.name]
                common = [test for test in control["tests"] if test in strategy["tests"]]
                gain = numbers.mean_difference(strategy, control, common)
                where = better["real" if simulated.isdisjoint(run.data) else "simulated"]
                name = shown[run.control_of]
                where[name] = where.get(name, True) and gain.low > 0
    return "".join(f"{text.strategies(*item)} " for item in better.items() if item[1])


def _data(study: Study, results: Results) -> Section:
    head = ("Data", "Source", "bp", *(f"{part}, + and −" for part in PARTS))
    paragraphs, tables = [], []
    for recipe in study.recipes:
        if recipe.text:
            one = len(study.recipes) == 1
            paragraphs.append(recipe.text if one else f"{recipe.title}. {recipe.text.strip()}")
        rows = [_data_row(data, results.data[recipe.name]) for data in recipe.data]
        tables.append(Table(head=head, rows=rows, caption=recipe.title, text_columns=2))
    return Section(title="Data", text=paragraphs, tables=tables)


def _data_row(data: Data, sizes: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    first = sizes[data.splits[0]]
    windows = f"windows of {data.genome}" if data.genome else ""
    source = ", ".join(filter(None, (*data.positives, *data.background, data.table, windows)))
    if data.simulate:
        source = f"{data.simulate} sites in uniform DNA, definition '{data.definition}'"
    elif data.world:
        source = "six simulated species"
    return data.name, source, str(first["length"]), *(_pair(first[part]) for part in PARTS)


def _pair(counts: Sequence[int]) -> str:
    return f"{counts[0]:,} + {counts[1]:,}"


def _runs(study: Study, results: Results) -> Section:
    rows = []
    for run in (run for recipe in study.recipes for run in recipe.steps):
        result = results.runs[run.name]
        model = run.network if run.model == "network" else run.model
        trained = ("", "", "")
        if "restarts" in result:
            aucs = ", ".join(f"{value:.3f}".lstrip("0") for value in result["restarts"])
            trained = (str(result["epochs"]), f"{result['updates']:,}", aucs)
        rows.append((run.name, model, _pair(result["learned"]["train"]), *trained))
    learned = ("Training sequences, + and −", "Epochs", "Mini-batches")
    head = ("Run", "Model", *learned, "Validation AUC of each restart")
    return Section(title="Runs", tables=[Table(head=head, rows=rows, text_columns=2)])
