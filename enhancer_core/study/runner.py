"""Run a study: each run once, its results in a folder of its own, whole or not there.

Runs go side by side, each on one core; a run waits for those that it builds on. A finished run
leaves `runs/NAME/result.json`, and a network its model. It is taken as it is when the study is run
again with the same recipe, data, motif files and seed; a run that was interrupted goes on from its
last check.
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

import numpy as np

from enhancer_core import __version__
from enhancer_core.data.dataset import PARTS, SplitDataset
from enhancer_core.io.files import make_folder, read_lines, remove_partial, sha256, write_json
from enhancer_core.study.data import check_files, digest, load
from enhancer_core.study.execute import Context, execute
from enhancer_core.study.recipe import Run, Search, Study, settings
from enhancer_core.study.search import search

RESULT_FILE = "result.json"
Result = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Results:
    """What came of a study: each run's result, and what each data set holds, by name."""

    runs: Mapping[str, Result]
    data: Mapping[str, Mapping[str, Any]]  # recipe -> data -> sequences by part and class
    seed: int


def run_study(
    study: Study,
    folder: Path,
    *,
    data_folder: Path,
    seed: int = 0,
    threads: int = 1,
    device: str = "cpu",
    progress: Callable[[str, Result], None] | None = None,
) -> Results:
    """Do what a study's recipes say, and leave every run's result in a folder.

    Parameters
    ----------
    study
        The recipes.
    folder
        An existing folder; results of the same runs that are there already are taken.
    data_folder
        Where the recipes' files are.
    seed
        All chance comes from it.
    threads
        Runs, and what searches train, side by side, a core each; the results do not depend on it.
    device
        A torch device; on other than the CPU runs go one after another.
    progress
        Called with each finished run's name and result, in the order of the recipes.

    Raises
    ------
    EnhancerError
        If data are not what they should be, or a file cannot be written.
    """
    check_files(study, data_folder)
    runs = folder / "runs"
    found: dict[str, Result] = {}
    sizes: dict[str, dict[str, Any]] = {}
    workers = threads if device == "cpu" else 1
    for recipe in study.recipes:
        data = load(recipe.data, data_folder, seed=seed)
        make_folder(runs)
        sizes[recipe.name] = {name: _sizes(each) for name, each in data.items()}
        context = Context(
            recipe=recipe, data=data, data_folder=data_folder, seed=seed, device=device,
            threads=workers, cores=threading.Semaphore(workers), runs=runs, folder=runs, key="",
            needed={}, stop=threading.Event(),
        )  # fmt: skip
        found |= _run_recipe(context, progress)
    return Results(found, sizes, seed)


def _run_recipe(
    context: Context, progress: Callable[[str, Result], None] | None
) -> dict[str, Result]:
    """Do a recipe's runs side by side."""
    digests = {name: digest(each) for name, each in context.data.items()}
    futures: dict[str, Future[Result]] = {}
    found: dict[str, Result] = {}

    def do(each: Run | Search) -> Result:
        needed = {name: futures[name].result() for name in _needs(each)}
        return _once(
            each, replace(context, folder=context.runs / each.name, needed=needed), digests
        )

    # In the order of the recipe, in which what a run needs stands before it: so the first of those
    # that are not done never waits, and the pool never locks.
    with ThreadPoolExecutor(context.threads) as pool:
        try:
            for each in context.recipe.steps:
                futures[each.name] = pool.submit(do, each)
            for name, future in futures.items():
                found[name] = future.result()
                if progress is not None:
                    progress(name, found[name])
        except BaseException:  # an interrupt too must not wait for runs that no one will read
            context.stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return found


def _needs(each: Run | Search) -> tuple[str, ...]:
    return each.needs if isinstance(each, Run) else ()


def _once(each: Run | Search, context: Context, digests: Mapping[str, str]) -> Result:
    """Take a run's result if it is there, or make it."""
    path = context.folder / RESULT_FILE
    key = _fingerprint(each, context, digests)
    if path.exists():
        kept: Result = json.loads("\n".join(line for _, line in read_lines(path)))
        if kept.get("fingerprint") == key:
            return kept
    make_folder(context.folder)
    remove_partial(context.folder)
    path.unlink(missing_ok=True)  # an old result must not outlive the model that stands beside it
    context = replace(context, key=key)
    made = search(each, context) if isinstance(each, Search) else execute(each, context)
    result = {"fingerprint": key, **made}
    write_json(path, result)
    return result


def _fingerprint(each: Run | Search, context: Context, digests: Mapping[str, str]) -> str:
    """Digest all that a result depends on."""
    tests = getattr(each, "tests", ())
    used = sorted({*each.data, *(test.partition("/")[0] for test in tests)})
    definitions = {d.name: d for d in context.recipe.data if d.name in used}
    said = {
        "version": __version__,
        "seed": context.seed,
        "settings": settings(each),
        "data": {
            split: [digests[split], settings(each)]
            for each in definitions.values()
            for split in each.splits
        },
        "needed": {name: result["fingerprint"] for name, result in context.needed.items()},
    }
    if isinstance(each, Run) and each.motif_files:  # others keep the fingerprints that they had
        said["files"] = {file: sha256(context.data_folder / file) for file in each.motif_files}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _sizes(data: SplitDataset) -> dict[str, Any]:
    labels = data.dataset.labels
    return {
        "length": int(data.dataset.codes.shape[1]),
        **{
            name: [
                int(np.sum((data.parts == part) & labels)),
                int(np.sum((data.parts == part) & ~labels)),
            ]
            for part, name in enumerate(PARTS)
        },
    }
