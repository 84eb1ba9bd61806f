"""What every command shares: options, errors in one line, and progress on stderr."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

if TYPE_CHECKING:
    from enhancer_core.models.ensemble import Predictor
    from enhancer_core.models.model import Model


class Advance(Protocol):
    """Tell how much has been done since the last call; any thread may."""

    def __call__(self, amount: int, note: str = "") -> None:
        """Add to what is done."""


Function = TypeVar("Function", bound=Callable[..., Any])

PATH = click.Path(path_type=Path)  # existence is checked where the file is opened, in one way
_LINE_EVERY = 10.0  # seconds between progress lines where there is no terminal


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


seed_option = click.option(
    "--seed",
    type=click.IntRange(min=0),
    metavar="N",
    default=0,
    show_default=True,
    help="Number that all chance comes from; the same seed gives the same bytes.",
)
threads_option = click.option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    default=cores,
    show_default="GALAXY_SLOTS, else the cores available",
    help="Cores to use; the output does not depend on it.",
)
device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where networks run; auto takes a CUDA GPU if there is one.",
)
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")


def output_option(what: str) -> Callable[[Function], Function]:
    """Make the option `-o` for a file or folder."""
    return click.option("-o", "--output", type=PATH, required=True, help=what)


def list_option(flag: str, what: str, *, required: bool = False) -> Callable[[Function], Function]:
    """Make an option that takes one or more files: `--positives a.fa b.fa`, or repeated."""
    return click.option(
        flag, type=PATH, metavar="FILE...", multiple=True, required=required, help=what
    )


class ListCommand(click.Command):
    """A command whose repeatable options take several values at once: `--positives a.fa b.fa`."""

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


def load_predictor(model: Path, device: str) -> Predictor:
    """Load a model to predict with, on the device that `--device` says."""
    from enhancer_core.models.model import load_model

    return load_model(model).predictor(device)


class Talk:
    """Lines and progress for the user, on stderr; silent with `-q`."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet

    def say(self, line: str) -> None:
        """Print a line at once."""
        if not self.quiet:
            click.echo(line, err=True)
            sys.stderr.flush()

    @contextmanager
    def progress(self, what: str, total: int | None) -> Iterator[Advance]:
        """Show how much of `total` is done: a bar on a terminal, else a line now and then.

        Gives a function to call with what has been done since its last call, and perhaps a note
        on how it goes. A total that is not known beforehand is None.
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
                self.say(f"{what}: {done:,}{share}{note and f', {note}'}")

        return advance


def say_alike(talk: Talk, model: Model) -> None:
    """Say whose filters are shown, where not all members have filters of one kind."""
    members = model.members
    same = len(model.filter_members)
    if same < len(members):
        talk.say(
            f"the filters are those of the first {same} of {len(members)} networks; the others are"
            " made otherwise"
        )


@contextmanager
def _bar(what: str, total: int | None) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(
        *columns, TimeRemainingColumn(), TextColumn("{task.fields[note]}"), console=console
    ) as bar:
        task = bar.add_task(what, total=total, note="")

        def advance(amount: int, note: str = "") -> None:
            bar.update(task, advance=amount, note=note)

        yield advance
