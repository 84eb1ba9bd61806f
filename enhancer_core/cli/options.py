"""The options of commands, in sections of the help, and what is shared of them."""

from __future__ import annotations

import functools
import math
import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, cast

import click

from enhancer_core import io, models
from enhancer_core.cli.common import Job
from enhancer_core.errors import EnhancerError, FileError, ModelFileError

Decorator: TypeAlias = Callable[[Any], Any]  # of a command, whatever its parameters

# The help's headings, in order; options of no section stand under `Options`.
SECTIONS = (
    *("Data", "Split", "Network", "Training", "Transfer", "Augmentation", "Ensemble", "Options"),
    *("Compute", "Output", "Help"),
)
REPORT_FILES = ("report.html", "report.md")
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
    """An option in a section of the help; `--help` names advanced ones, without their text.

    An output in `formats` has a name whose ending must fit one of them; with `files`, patterns of
    names, it is a folder, and these are what the command writes there. Of both the folder is
    written where the parameter `folder_with` is given.
    """

    def __init__(  # click's own parameters pass through
        self,
        *args: Any,  # noqa: ANN401
        section: str = "Options",
        advanced: bool = False,
        formats: tuple[io.Format, ...] = (),
        files: tuple[str, ...] = (),
        folder_with: str = "",
        **settings: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(*args, **settings)
        self.section, self.advanced, self.formats, self.files = section, advanced, formats, files
        self.folder_with = folder_with

    def files_of(self, ctx: click.Context) -> tuple[str, ...]:
        """Return the files of the folder that is written; none where a file is."""
        folder = not self.formats or ctx.params.get(self.folder_with) is not None
        return self.files if folder else ()


def option(names: str, text: str, **settings: Any) -> Decorator:  # noqa: ANN401
    """Make an option from its names, as click takes them, and its help."""
    return click.option(*names.split(), cls=SectionOption, help=text, **settings)


def number(
    names: str, text: str, low: float = 0, high: float | None = None, *, above: bool = False,
    below: bool = False,
    **settings: Any,  # noqa: ANN401
) -> Decorator:  # fmt: skip
    """Make an option for a finite number between limits, or above the lower, below the upper."""
    limits = FiniteRange(low, high, min_open=above, max_open=below)
    return option(names, text, type=limits, **settings)


def count(
    names: str, text: str, low: int = 1, high: int | None = None, metavar: str = "N",
    **settings: Any,  # noqa: ANN401
) -> Decorator:  # fmt: skip
    """Make an option for a whole number between limits."""
    return option(names, text, type=click.IntRange(low, high), metavar=metavar, **settings)


def choice(names: str, text: str, *choices: str, **settings: Any) -> Decorator:  # noqa: ANN401
    """Make an option for one of some words, the first by default."""
    return option(names, text, type=click.Choice(choices), default=choices[0], **settings)


# Existence is checked where the file is opened, in one way.
path = functools.partial(option, type=click.Path(path_type=Path), section="Data")
paths = functools.partial(path, metavar="FILE...", multiple=True)
switch = functools.partial(option, is_flag=True)


def _version(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_ino, status.st_mtime_ns


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
    """A command with options in sections; `--positives a b` repeats the option for each value.

    Before it runs, its outputs are checked: what a name's ending says, that none of them is read
    too, and that nothing is there already, unless `--force` replaces it or `--resume` goes on.
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

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401
        """Run the command; what it was forced to replace, and did not write anew, is deleted."""
        earlier = {file: _version(file) for file in self._check_outputs(ctx)}
        result = super().invoke(ctx)
        for file, version in earlier.items():
            if file.exists() and _version(file) == version:
                file.unlink()
        return result

    def _check_outputs(self, ctx: click.Context) -> list[Path]:
        """Check the outputs; return the files of an earlier run in output folders."""
        outputs: list[tuple[SectionOption, Path]] = []
        inputs: list[Path] = []
        for param in self.params:
            value = ctx.params.get(param.name or "")
            if isinstance(param, SectionOption) and (param.formats or param.files):
                outputs += [(param, value)] if value is not None else []
            else:
                values = value if isinstance(value, tuple) else (value,)
                inputs += [one for one in values if isinstance(one, Path)]
        inputs += [folder / io.MODEL_FILE for folder in inputs if folder.is_dir()]
        in_folders: list[Path] = []
        for option, path in outputs:
            names = option.files_of(ctx)
            if not names:
                io.format_of(path, *option.formats)
            io.check_output(path, folder=bool(names))
            if names:
                io.check_folder_name(path)
            files = io.earlier_files(path, names)
            io.check_not_read(path, files or [path], inputs)
            if files and not ctx.params.get("resume"):
                if not ctx.params["force"]:
                    raise FileError(f"{files[0]} is there already; --force replaces it")
                in_folders += files if names else []
        return in_folders

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the parameters, with `--help-all`."""
        return [*super().get_params(ctx), _HELP_ALL]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options by their sections."""
        rows: dict[str, list[tuple[str, str]]] = {}
        params = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        advanced = [param for param in params if getattr(param, "advanced", False)]
        hidden = [] if ctx.meta.get(_ALL) else advanced
        for param in params if advanced else params[:-1]:
            if param not in hidden and (record := param.get_help_record(ctx)):
                rows.setdefault(getattr(param, "section", "Help"), []).append(record)
        for section in sorted(rows, key=SECTIONS.index):
            with formatter.section(section):
                formatter.write_dl(rows[section])
        if hidden:
            with formatter.section("More, explained by --help-all"):
                flags = ", ".join(param.opts[0] for param in hidden)
                lines = textwrap.wrap(flags, formatter.width - 4, break_on_hyphens=False)
                formatter.write_text("\n".join(("\b", *lines)))


command = functools.partial(click.command, cls=Command)


def gathered(argument: str, kind: Callable[..., object], *options: Decorator) -> Decorator:
    """Add options to a command that takes their values as one argument, made by `kind`."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        before = len(getattr(function, "__click_params__", []))

        @functools.wraps(function)
        def gather(**values: object) -> object:
            own = {name: values.pop(name) for name in names}
            return function(**{argument: kind(**own)}, **values)

        for add_option in reversed(options):
            add_option(gather)
        names = [param.name for param in vars(gather)["__click_params__"][before:]]
        return gather

    return decorate


def path_argument(name: str, *, metavar: str | None = None, required: bool = True) -> Decorator:
    """Make an argument that is a file or folder."""
    return click.argument(name, type=click.Path(path_type=Path), metavar=metavar, required=required)


def job(
    what: str,
    *options: Decorator,
    formats: tuple[io.Format, ...] = (),
    files: tuple[str, ...] = (),
    folder_with: str = "",
) -> Decorator:
    """Gather `-o`, for what the text says, and some of the options below as a `Job`.

    The output is a file in one of the formats, or a folder that gets the files; of both, the folder
    where the parameter `folder_with` is given.
    """
    output = path(
        "-o --output", what, required=True, section="Output",
        formats=formats, files=files, folder_with=folder_with,
    )  # fmt: skip
    return gathered("job", Job, *options, quiet, force, output)


def markdown(
    text: str = "Write the report as Markdown too: report.md, with its images in figures/.",
) -> Decorator:
    """Make the option `--markdown`."""
    return switch("--markdown", text, section="Output")


def model(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument MODEL; if not it but another file is a model, ask if they are swapped."""

    @functools.wraps(function)
    def checked(**values: Any) -> object:  # noqa: ANN401
        try:
            return function(**values)
        except ModelFileError as error:
            given = values["model"]
            what = io.kind_of(given) if given.is_file() else None
            for value in values.values():
                for other in value if isinstance(value, tuple) else (value,):
                    if what and isinstance(other, Path) and other != given and _is_model(other):
                        raise ModelFileError(
                            f"{given} is {what}, {other} is a model: are the two swapped?"
                        ) from error
            raise

    return cast("Callable[..., Any]", path_argument("model")(checked))


def _is_model(path: Path) -> bool:
    try:
        models.load_model(path)
    except EnhancerError:
        return False
    return True


positives = paths("--positives", "FASTA files of positives.", required=True)
negatives = paths("--negatives", "FASTA files of negatives.", required=True)
length = count(
    "--length",
    "Cut each sequence around its middle, or pad it with N, to this length. What is mostly N then"
    " is left out. Without, all sequences need one length.",
    metavar="BP",
    section="Data",
)
model_length = count(
    "--length",
    "Cut each sequence around its middle, or pad it with N, to the length that the model reads, or"
    " any if the model pools over the whole sequence. What is mostly N then is left out, or has no"
    " score.",
    metavar="BP",
    section="Data",
)
MOTIF_FORMS = "MEME, JASPAR, TRANSFAC, HOMER, CIS-BP, UniPROBE or .pfm"
_motif_help = (
    f"CEBPA or HNF4A, a file with one motif, or FILE:NAME for one of several ({MOTIF_FORMS})."
)
motif = functools.partial(option, "--motif", _motif_help, metavar="MOTIF")
seed = count(
    "--seed", "Random seed; the same gives the same bytes.", 0, default=0, section="Compute"
)
skip_missing = switch(
    "--skip-missing", "Leave out intervals on chromosomes that the genome lacks.", section="Data"
)
step = count("--step", "Length of a bin, which has one window around it.", metavar="BP", default=50)
both_strands = switch("--both-strands", "Average each probability with its reverse complement's.")
prevalence = number(
    "--prevalence",
    "Share of windows that are positives, from 0 to 1, where probabilities are to hold; by default"
    " as in training.",
    0, 1, above=True, below=True, metavar="SHARE",
)  # fmt: skip
threads = count(
    "--threads",
    "Cores to use; the output does not depend on it.",
    default=cores,
    show_default="GALAXY_SLOTS, else the cores available",
    section="Compute",
)
_device_help = "Where networks run; auto takes a CUDA GPU if there is one."
device = choice("--device", _device_help, "auto", "cpu", "cuda", section="Compute")
compute = (seed, threads, device)
force = switch("--force", "Replace an output that is there already.", section="Output")
quiet = switch("-q --quiet", "Print nothing but errors.", section="Output")
