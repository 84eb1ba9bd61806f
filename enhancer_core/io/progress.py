"""Progress in a notebook or an interactive session; silence in a script."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(what: str, total: int | None) -> Iterator[Callable[..., None]]:
    """Show a progress bar where a person works interactively, and nothing elsewhere.

    Yields
    ------
    callable
        Call it with the amount done since the last call, and perhaps a note.

    Examples
    --------
    >>> with progress_bar("epochs", total=2) as advance:
    ...     advance(1, "validation AUC 0.9")
    """
    if not (hasattr(sys, "ps1") or "ipykernel" in sys.modules):
        yield lambda amount, note="": None
        return
    with rich_bar(what, total) as advance:
        yield advance


@contextmanager
def rich_bar(what: str, total: int | None) -> Iterator[Callable[..., None]]:
    """Show a progress bar on stderr, or as a widget in a notebook; see `progress_bar`."""
    from rich.console import Console  # only where a bar is shown
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
