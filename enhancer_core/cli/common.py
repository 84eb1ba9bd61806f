"""What commands share: options, grouped help, and progress on stderr."""

from __future__ import annotations

import ctypes
import functools
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import click

from enhancer_core import io, models, report

if TYPE_CHECKING:
    import numpy as np

    from enhancer_core.models.architecture import Weighted
    from enhancer_core.prediction.sequences import Scorer


class Advance(Protocol):
    """Tell how much has been done since the last call; any thread may."""

    def __call__(self, amount: int, note: str = "") -> None:
        """Add to what is done."""


Decorator: TypeAlias = Callable[[Any], Any]  # of a command, whatever its parameters

PATH = click.Path(path_type=Path)  # existence is checked where the file is opened, in one way
COUNT = click.IntRange(min=1)
# The help's headings, in order; options of no section stand under `Options`.
SECTIONS = (
    *("Data", "Split", "Network", "Training", "Transfer", "Augmentation", "Ensemble", "Options"),
    *("Compute", "Output", "Help"),
)
_LINE_EVERY = 10.0  # seconds between progress lines where there is no terminal
_ALL = "enhancer_core.help_all"  # in a context: whether advanced options are explained


class FiniteRange(click.FloatRange):
    """A range of numbers, infinity and nan, which Python reads as numbers too, not among them."""

    def convert(
        self, value: float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read a number."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return number


def cores() -> int:
    """Count the cores to use: Galaxy's slots, else those available to this process."""
    slots = os.environ.get("GALAXY_SLOTS", "")
    if slots.isdigit() and int(slots):
        return int(slots)
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(affinity(0)) if affinity else os.cpu_count() or 1


class SectionOption(click.Option):
    """An option in a section of the help; `--help` names advanced ones, without their text."""

    def __init__(  # click's own parameters pass through
        self,
        *args: Any,  # noqa: ANN401
        section: str = "Options",
        advanced: bool = False,
        **settings: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(*args, **settings)
        self.section, self.advanced = section, advanced


option = functools.partial(click.option, cls=SectionOption)


def _explain_all(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        ctx.meta[_ALL] = True
        click.echo(ctx.get_help(), color=ctx.color)
        ctx.exit()


_HELP_ALL = SectionOption(
    ["--help-all"], is_flag=True, is_eager=True, expose_value=False, callback=_explain_all,
    section="Help", help="Show this message with all options explained, and exit.",
)  # fmt: skip


class Command(click.Command):
    """A command with options in sections, of which those that repeat take several values at once.

    `--positives a.fa b.fa` is read as `--positives a.fa --positives b.fa`.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat the flag before each further value, which is what click reads."""
        flags = {
            flag
            for parameter in self.params
            if isinstance(parameter, click.Option) and parameter.multiple
            for flag in parameter.opts
        }
        spelled: list[str] = []
        flag, values = "", 0
        for position, arg in enumerate(args):
            if arg == "--":
                spelled += args[position:]
                break
            if arg.startswith("-") and arg != "-":
                flag, values = (arg if arg in flags else ""), 0
            elif flag:
                spelled += [flag] * (values > 0)
                values += 1
            spelled.append(arg)
        return super().parse_args(ctx, spelled)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the parameters, and `--help-all` where there are advanced ones."""
        params = super().get_params(ctx)
        if any(getattr(param, "advanced", False) for param in params):
            params.append(_HELP_ALL)
        return params

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options by their sections."""
        rows: dict[str, list[tuple[str, str]]] = {}
        named: list[str] = []
        for param in self.get_params(ctx):
            if getattr(param, "advanced", False) and not ctx.meta.get(_ALL):
                named.append(param.opts[0])
            elif record := param.get_help_record(ctx):
                rows.setdefault(getattr(param, "section", "Help"), []).append(record)
        for section in sorted(rows, key=SECTIONS.index):
            with formatter.section(section):
                formatter.write_dl(rows[section])
        if named:
            with formatter.section("More, explained by --help-all"):
                formatter.write_text(", ".join(named))


def gathered(argument: str, kind: Callable[..., object], *options: Decorator) -> Decorator:
    """Add options to a command that takes their values as one argument, made by `kind`."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        before = len(getattr(function, "__click_params__", []))

        @functools.wraps(function)
        def command(**values: object) -> object:
            own = {name: values.pop(name) for name in names}
            return function(**{argument: kind(**own)}, **values)

        for add_option in reversed(options):
            add_option(command)
        names = [param.name for param in vars(command)["__click_params__"][before:]]
        return command

    return decorate


model_argument = click.argument("model", type=PATH)
seed_option = option(
    "--seed",
    type=click.IntRange(min=0),
    metavar="N",
    default=0,
    section="Compute",
    help="Random seed; the same seed gives the same bytes.",
)
threads_option = option(
    "--threads",
    type=COUNT,
    metavar="N",
    default=cores,
    show_default="GALAXY_SLOTS, else the cores available",
    section="Compute",
    help="Cores to use; the output does not depend on it.",
)
device_option = option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    section="Compute",
    help="Where networks run; auto takes a CUDA GPU if there is one.",
)


def output_option(what: str) -> Decorator:
    """Make the option `-o` for a file or folder."""
    return option("-o", "--output", type=PATH, required=True, section="Output", help=what)


def markdown_option(
    what: str = "Write the report as Markdown too: report.md, with its images in figures/.",
) -> Decorator:
    """Make the option `--markdown`."""
    return option("--markdown", is_flag=True, section="Output", help=what)


def files_option(
    flag: str, what: str, *, required: bool = False, section: str = "Data"
) -> Decorator:
    """Make an option that takes one or more files: `--positives a.fa b.fa`, or repeated."""
    return option(
        flag, type=PATH, metavar="FILE...", multiple=True, required=required, section=section,
        help=what,
    )  # fmt: skip


positives_option = files_option("--positives", "FASTA files of positives.", required=True)
negatives_option = files_option("--negatives", "FASTA files of negatives.", required=True)


def random_generator(seed: int) -> np.random.Generator:
    """Make the generator that all chance of a command comes from."""
    import numpy as np  # which help does without: it takes 0.1 s

    return np.random.default_rng(seed)


def load_scorer(model: Path, device: str) -> Scorer:
    """Load a model to predict with, on the device that `--device` names."""
    loaded = models.load_model(model)
    resolved = resolve_device(device)
    return loaded if resolved == "cpu" else loaded.network.to(resolved)


def resolve_device(device: str) -> str:
    """Return the device to use: for `auto` CUDA if the machine has it.

    PyTorch, which takes seconds to import, is asked only where there is a driver to ask about.

    Raises
    ------
    click.UsageError
        If CUDA is asked for and is not there.
    """
    has_cuda = device != "cpu" and _has_driver() and _torch_has_cuda()
    if device == "cuda" and not has_cuda:
        raise click.UsageError("--device cuda: this machine has no CUDA GPU that PyTorch can use")
    return "cuda" if has_cuda else "cpu"


def _has_driver() -> bool:
    """Return whether NVIDIA's driver is installed."""
    try:
        ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
    except OSError:
        return False
    return True


def _torch_has_cuda() -> bool:
    import torch  # which takes seconds

    return torch.cuda.is_available()


class Console:
    """Lines and progress for the user, on stderr; silent with `-q`."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet

    def info(self, line: str) -> None:
        """Print a line at once."""
        if not self.quiet:
            click.echo(line, err=True)
            sys.stderr.flush()

    @contextmanager
    def progress(self, what: str, total: int | None) -> Iterator[Advance]:
        """Show how much of `total` is done: a bar on a terminal, else a line now and then.

        Yields a function to call with what has been done since its last call, and perhaps a note.
        A total that is not known beforehand is None.
        """
        if self.quiet:
            yield lambda amount, note="": None
        elif sys.stderr.isatty():
            with _bar(what, total) as advance:
                yield advance
        else:
            yield self._lines(what, total)

    def _lines(self, what: str, total: int | None) -> Advance:
        done, last, lock = 0, time.monotonic(), threading.Lock()

        def advance(amount: int, note: str = "") -> None:
            nonlocal done, last
            with lock:
                done += amount
                if time.monotonic() - last < _LINE_EVERY and done != total:
                    return
                last = time.monotonic()
                share = f" of {total:,} ({done / total:.0%})" if total else ""
                self.info(f"{what}: {done:,}{share}{note and f', {note}'}")

        return advance


quiet_option = option(
    "-q",
    "--quiet",
    "console",
    is_flag=True,
    callback=lambda _, __, quiet: Console(quiet),
    section="Output",
    help="Print nothing but errors.",
)


def write_report(folder: Path, page: report.Page, *, markdown: bool = False) -> None:
    """Write report.html, and report.md with its figures if asked for."""
    if markdown:
        io.write_files(folder, report.render_markdown(page))
    io.write_text(folder / "report.html", report.render_page(page))


def note_other_filters(console: Console, model: Weighted) -> None:
    """Note whose filters are shown, where not all members have filters of one kind."""
    members = model.member_networks()
    alike = len(models.alike(members))
    if alike < len(members):
        console.info(
            f"the filters are those of the first {alike} of {len(members)} networks; the others"
            " have another architecture"
        )


@contextmanager
def _bar(what: str, total: int | None) -> Iterator[Advance]:
    from rich import console, progress  # 0.1 s that is needed where there is a bar to draw

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
        progress.TextColumn("{task.fields[note]}"),
    )
    with progress.Progress(*columns, console=console.Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total, note="")

        def advance(amount: int, note: str = "") -> None:
            bar.update(task, advance=amount, note=note)

        yield advance
