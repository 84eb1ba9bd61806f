"""Progress in a notebook or an interactive session; silence in a script."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(what: str, total: int | None) -> Iterator[Callable[..., None]]:
    """Show a progress bar where a person works interactively, and nothing elsewhere.

    Yields a function to call with the amount done since its last call, and perhaps a note.
    """
    if hasattr(sys, "ps1") or "ipykernel" in sys.modules:
        with rich_bar(what, total) as advance:
            yield advance
    else:
        yield lambda amount, note="": None


@contextmanager
def rich_bar(what: str, total: int | None) -> Iterator[Callable[..., None]]:
    """Show a progress bar on stderr, or as a widget in a notebook; see `progress_bar`."""
    from rich import console, progress  # only where a bar is shown

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
