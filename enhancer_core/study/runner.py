"""Run a study: each run once, its result complete in a folder of its own, or absent.

Runs go side by side, each on one core; a run waits for those that it builds on. A finished run
leaves `runs/NAME/result.json`, and a network its model. Both are reused when the study is run again
with the same recipe, data, motif files and seed; an interrupted run resumes from its last
checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from enhancer_core import __version__
from enhancer_core.data.conflicts import describe_conflicts
from enhancer_core.data.dataset import PARTS, SplitDataset
from enhancer_core.errors import FileError
from enhancer_core.io import files
from enhancer_core.study.data import digest, files_of, load
from enhancer_core.study.execute import Context, execute_run
from enhancer_core.study.recipe import Run, Search, Study, settings
from enhancer_core.study.results import Result, ResultByRun
from enhancer_core.study.search import execute_search
from enhancer_core.study.tasks import class_counts
from enhancer_core.training.warm_start import JASPAR

RESULT_FILE = "result.json"


@dataclass(frozen=True, slots=True)
class Results:
    """Each run's result, and the size of each data set."""

    runs: ResultByRun
    data: Mapping[str, Mapping[str, Any]]  # recipe -> data -> sequences by part and class
    seed: int


def run_study(  # noqa: PLR0913
    study: Study,
    folder: Path,
    *,
    data_folder: Path,
    seed: int = 0,
    threads: int = 1,
    device: str = "cpu",
    progress: Callable[[str, Result], None] | None = None,
    note: Callable[[str], None] | None = None,
    resume: bool = True,
    force: bool = False,
) -> Results:
    """Carry out all runs of a study, and leave each result in a folder.

    Parameters
    ----------
    study
        The recipes.
    folder
        An existing folder; results of the same runs that are there already are reused.
    data_folder
        Where the recipes' files are.
    seed
        Of all random numbers.
    threads
        Runs, and candidates of searches, side by side, a core each; results do not depend on it.
    device
        A torch device; on other than the CPU runs go one after another.
    progress
        Called with each finished run's name and result, in the order of the recipes.
    resume
        Whether results that are there already, of the same settings, data and seed, are taken.
    force
        Whether results of others are replaced.
    note
        Called with a line for each data set with sequences that are positive and negative.

    Raises
    ------
    EnhancerError
        If a file is missing or malformed, data do not allow a run, a file cannot be written, or
        a result has other settings and `force` is not given.
    """
    for file in files_of(study):  # a missing one is reported now, not after hours of training
        files.first_bytes(data_folder / file)
    runs = folder / "runs"
    results: dict[str, Result] = {}
    sizes: dict[str, dict[str, Any]] = {}
    workers = threads if device == "cpu" else 1
    for recipe in study.recipes:
        data = load(recipe.data, data_folder, seed=seed)
        for definition in recipe.data if note is not None else ():
            split = data[definition.splits[0]]  # all folds have the same sequences
            if note is not None and (conflicts := describe_conflicts(split.dataset)):
                note(f"warning: data '{definition.name}': {conflicts}")
        files.make_folder(runs)
        sizes[recipe.name] = {name: _sizes(split) for name, split in data.items()}
        context = Context(
            recipe=recipe, data=data, data_folder=data_folder, seed=seed, device=device,
            threads=workers, cores=threading.Semaphore(workers), runs=runs, folder=runs, key="",
            needed={}, stop=threading.Event(), force=force,
        )  # fmt: skip
        results |= _run_recipe(context, progress, resume=resume)
    return Results(results, sizes, seed)


def _run_recipe(
    context: Context, progress: Callable[[str, Result], None] | None, *, resume: bool
) -> dict[str, Result]:
    """Carry out a recipe's runs side by side."""
    digests = {name: digest(split) for name, split in context.data.items()}
    futures: dict[str, Future[Result]] = {}
    results: dict[str, Result] = {}

    def run(step: Run | Search) -> Result:
        needed = {name: futures[name].result() for name in step.needs}
        folder = context.runs / step.name
        context_of_run = replace(context, folder=folder, needed=needed)
        return _load_or_run(step, context_of_run, digests, resume=resume)

    # In the order of the recipe, where a run follows those that it needs: so the first unfinished
    # run never waits, and the pool cannot deadlock.
    with ThreadPoolExecutor(context.threads) as pool:
        try:
            for step in context.recipe.steps:
                futures[step.name] = pool.submit(run, step)
            for name, future in futures.items():
                results[name] = future.result()
                if progress is not None:
                    progress(name, results[name])
        except BaseException:  # an interrupt too must not wait for runs that no one will read
            context.stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return results


def _load_or_run(
    step: Run | Search, context: Context, digests: Mapping[str, str], *, resume: bool
) -> Result:
    path = context.folder / RESULT_FILE
    inputs = _inputs(step, context, digests)
    key = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
    if path.exists() and resume:
        earlier: Result = files.read_json(path)
        if earlier.get("fingerprint") == key:
            return earlier
        if not context.force:
            raise FileError(
                f"{path}: made with other {_differences(earlier.get('inputs', {}), inputs)};"
                " --force replaces it"
            )
    files.make_folder(context.folder)
    files.remove_partial(context.folder)
    path.unlink(missing_ok=True)  # an old result must not outlive the model that stands beside it
    context = replace(context, key=key)
    outcome = (
        execute_search(step, context) if isinstance(step, Search) else execute_run(step, context)
    )
    result = {"fingerprint": key, "inputs": inputs, **outcome}
    files.write_json(path, result)
    return result


def _differences(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Name what differs of two runs' inputs: each setting, and kinds of other things."""
    before, after = (inputs.get("settings", {}) for inputs in (earlier, now))
    found = [
        f"{key} ({before.get(key)} then, {after.get(key)} now)"
        for key in dict.fromkeys((*before, *after))
        if before.get(key) != after.get(key)
    ]
    found += [key for key in now if key != "settings" and earlier.get(key) != now[key]]
    return ", ".join(found if before else ["settings, data or version"])


def _inputs(step: Run | Search, context: Context, digests: Mapping[str, str]) -> dict[str, Any]:
    """Return all that a result depends on, as plain values."""
    used = {*step.data, *(test.partition("/")[0] for test in step.tests)}
    splits = [(split, d) for d in context.recipe.data if d.name in used for split in d.splits]
    inputs = {
        "version": __version__,
        "seed": context.seed,
        "settings": settings(step),
        "data": {split: [digests[split], settings(data)] for split, data in splits},
        "needed": {name: result["fingerprint"] for name, result in context.needed.items()},
    }
    if isinstance(step, Run):
        read = {file: context.data_folder / file for file in step.motif_files}
        if step.plants_known:
            read[JASPAR.name] = JASPAR
        if read:  # others keep the fingerprints that they had
            inputs["files"] = {file: files.sha256(path) for file, path in read.items()}
    plain: dict[str, Any] = json.loads(json.dumps(inputs))
    return plain


def _sizes(data: SplitDataset) -> dict[str, Any]:
    labels = data.dataset.labels
    counts = {name: class_counts(labels[data.parts == part]) for part, name in enumerate(PARTS)}
    return {"length": int(data.dataset.codes.shape[1]), **counts}
