"""The command that runs whole studies: study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from enhancer_core import io, models, report
from enhancer_core import study as studies
from enhancer_core.cli import options as opt
from enhancer_core.cli.common import Job

if TYPE_CHECKING:
    from enhancer_core.study.results import Result

_RUNS = "runs"  # the folder in the output folder where each run leaves its result
_RESULTS = f"{_RUNS}/*/result.json"


@opt.command("study")
@opt.path_argument("recipe", metavar="RECIPE.toml")
@opt.path(
    "--data data_folder",
    "Folder that the recipe's files are in.",
    envvar="ENHANCER_DATA",
    show_default="ENHANCER_DATA, else the recipe's folder",
)
@opt.option("--only", "Do these runs and what they build on.", metavar="RUN...", multiple=True)
@opt.switch("--quick", "Do with fewer sequences, restarts and epochs, as the recipe says.")
@opt.switch("--resume", "Continue; runs that the recipe still asks for stay.")
@opt.job(
    "Folder for report.html, and for each run's result and model.",
    *opt.compute,
    files=("report.html",),
)
def run_recipe(
    recipe: Path,
    data_folder: Path | None,
    only: tuple[str, ...],
    quick: bool,
    resume: bool,
    job: Job,
) -> None:
    """Run a study: all runs of a recipe, and a report beside the paper's figures.

    A recipe says which data, what each run learns from, which controls stand beside it, and what
    the report shows; training/recipes holds the paper's. Each data set is split once, before
    anything is copied, shuffled or pooled. A study that was interrupted goes on with --resume;
    runs that are finished stay. Those that another recipe, other data or another seed would change
    are refused, and done again with --force.

    \b
      enhancer-core study training/recipes/simulated.toml -o simulated
      enhancer-core study training/recipes/paper.toml --data data -o paper
      enhancer-core study training/recipes/planted.toml --data data \\
          --only liver_planted -o planted
    """
    study = studies.read_study(recipe, quick=quick)
    if only:
        study = studies.only_runs(study, only)
    output = job.output
    finished = {path: path.stat().st_mtime_ns for path in output.glob(_RESULTS)}
    if any((output / _RUNS).glob("*")) and not resume and not job.force:
        raise click.UsageError(
            f"{output} holds a study; --resume goes on with it, --force does all runs again"
        )
    job.can_resume()
    device = models.resolve_device(job.device)
    total = sum(len(chapter.steps) for chapter in study.recipes)
    with io.output_folder(output), job.progress("runs done", total) as advance:

        def progress(name: str, result: Result) -> None:
            aucs = [test["auc"]["value"] for test in result["tests"].values()]
            advance(1, f"{name}: test AUC {sum(aucs) / len(aucs):.3f}")

        results = studies.run_study(
            study, output,
            data_folder=data_folder or recipe.parent,
            seed=job.seed, threads=job.threads, device=device, progress=progress,
            note=job.info, resume=resume, force=job.force,
        )  # fmt: skip
    if finished and finished == {path: path.stat().st_mtime_ns for path in output.glob(_RESULTS)}:
        job.info(f"{output}: all runs were finished already; nothing was left to do")
    job.write_report(report.study_page(study, results))
    job.info(f"report: {output / 'report.html'}")
