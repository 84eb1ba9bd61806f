"""The command that does whole studies: study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from enhancer_core.cli.common import (
    PATH,
    ListCommand,
    Talk,
    device_option,
    output_option,
    quiet_option,
    seed_option,
    threads_option,
)

if TYPE_CHECKING:
    from enhancer_core.study.runner import Result

_RUNS = "runs"  # the folder in the output folder where each run leaves its result


@click.command(cls=ListCommand, short_help="Do all runs of a recipe, and report them.")
@click.argument("recipe", metavar="RECIPE.toml", type=PATH)
@click.option(
    "--data",
    "data_folder",
    type=PATH,
    envvar="ENHANCER_DATA",
    show_default="ENHANCER_DATA, else the recipe's folder",
    help="Folder that the recipe's files are in.",
)
@click.option(
    "--only",
    metavar="RUN...",
    multiple=True,
    help="Do these runs and those that they build on; the report has what is left of its sections.",
)
@click.option(
    "--quick",
    is_flag=True,
    help="Fewer sequences, restarts and epochs, as the recipe says: a look at the whole path.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on in an output folder that has runs; those that the recipe still asks for are kept.",
)
@seed_option
@threads_option
@device_option
@quiet_option
@output_option("Folder for report.html, and for each run's result and model.")
def study(
    recipe: Path,
    data_folder: Path | None,
    only: tuple[str, ...],
    quick: bool,
    resume: bool,
    seed: int,
    threads: int,
    device: str,
    quiet: bool,
    output: Path,
) -> None:
    """Do a study: all runs of a recipe, and a report beside the paper's figures.

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
    from enhancer_core.io.files import output_folder, write_text
    from enhancer_core.models.device import resolve_device
    from enhancer_core.report.page import render_page
    from enhancer_core.report.study.page import study_page
    from enhancer_core.study.runner import run_study
    from enhancer_core.study.select import only_runs
    from enhancer_core.study.toml import read_study

    talk = Talk(quiet)
    asked = read_study(recipe, quick=quick)
    if only:
        asked = only_runs(asked, only)
    if any((output / _RUNS).glob("*")) and not resume:
        raise click.UsageError(
            f"{output} holds a study; continue it with --resume, or choose another folder"
        )
    device = resolve_device(device)
    total = sum(len(each.runs) + len(each.searches) for each in asked.recipes)
    with output_folder(output), talk.progress("runs done", total) as advance:

        def progress(name: str, result: Result) -> None:
            aucs = [test["auc"]["value"] for test in result["tests"].values()]
            advance(1, f"{name}: test AUC {sum(aucs) / len(aucs):.3f}")

        results = run_study(
            asked,
            output,
            data_folder=data_folder or recipe.parent,
            seed=seed,
            threads=threads,
            device=device,
            progress=progress,
        )
    write_text(output / "report.html", render_page(study_page(asked, results)))
    talk.say(f"report: {output / 'report.html'}")
