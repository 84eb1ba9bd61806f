"""The command that runs whole studies: study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from enhancer_core import io, report
from enhancer_core import study as studies
from enhancer_core.cli.common import (
    PATH,
    Command,
    Console,
    device_option,
    option,
    output_option,
    quiet_option,
    resolve_device,
    seed_option,
    threads_option,
    write_report,
)

if TYPE_CHECKING:
    from enhancer_core.study.results import Result

_RUNS = "runs"  # the folder in the output folder where each run leaves its result


@click.command("study", cls=Command, short_help="Do all runs of a recipe, and report them.")
@click.argument("recipe", metavar="RECIPE.toml", type=PATH)
@option(
    "--data",
    "data_folder",
    type=PATH,
    envvar="ENHANCER_DATA",
    show_default="ENHANCER_DATA, else the recipe's folder",
    section="Data",
    help="Folder that the recipe's files are in.",
)
@option(
    "--only",
    metavar="RUN...",
    multiple=True,
    help="Do these runs and those that they build on; the report has what is left of its sections.",
)
@option(
    "--quick",
    is_flag=True,
    help="Try out the whole path: fewer sequences, restarts and epochs, as the recipe says.",
)
@option(
    "--resume",
    is_flag=True,
    help="Continue in an output folder that has runs; those that the recipe still asks for stay.",
)
@seed_option
@threads_option
@device_option
@quiet_option
@output_option("Folder for report.html, and for each run's result and model.")
def run_recipe(
    recipe: Path,
    data_folder: Path | None,
    only: tuple[str, ...],
    quick: bool,
    resume: bool,
    seed: int,
    threads: int,
    device: str,
    console: Console,
    output: Path,
) -> None:
    """Run a study: all runs of a recipe, and a report beside the paper's figures.

    A recipe says which data, what each run learns from, which controls stand beside it, and what
    the report shows; training/recipes holds the paper's. Each data set is split once, before
    anything is copied, shuffled or pooled. A study that was interrupted goes on with --resume, and
    does again only what another recipe, other data or another seed would change.

    \b
      enhancer-core study training/recipes/simulated.toml -o simulated
      enhancer-core study training/recipes/paper.toml --data data -o paper
      enhancer-core study training/recipes/planted.toml --data data \\
          --only liver_planted -o planted
    """
    study = studies.read_study(recipe, quick=quick)
    if only:
        study = studies.only_runs(study, only)
    if any((output / _RUNS).glob("*")) and not resume:
        raise click.UsageError(
            f"{output} holds a study; continue it with --resume, or choose another folder"
        )
    device = resolve_device(device)
    total = sum(len(chapter.steps) for chapter in study.recipes)
    with io.output_folder(output), console.progress("runs done", total) as advance:

        def progress(name: str, result: Result) -> None:
            aucs = [test["auc"]["value"] for test in result["tests"].values()]
            advance(1, f"{name}: test AUC {sum(aucs) / len(aucs):.3f}")

        results = studies.run_study(
            study,
            output,
            data_folder=data_folder or recipe.parent,
            seed=seed,
            threads=threads,
            device=device,
            progress=progress,
        )
    write_report(output, report.study_page(study, results))
    console.info(f"report: {output / 'report.html'}")
