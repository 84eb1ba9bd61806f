"""The settings that commands share, with progress on stderr and reports."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import click

from enhancer_core import io, models, prediction, report
from enhancer_core.errors import ModelFileError

if TYPE_CHECKING:
    import numpy as np

    from enhancer_core.dna.intervals import Intervals
    from enhancer_core.metrics import Estimate
    from enhancer_core.models.ensemble import Predictor
    from enhancer_core.models.model import Model

# Called with how much has been done since the last call, and perhaps a note; any thread may.
Advance: TypeAlias = Callable[..., None]

_LINE_EVERY = 10.0  # seconds between progress lines where there is no terminal


class Job:
    """Where a command writes, how it computes, and what it prints on stderr: nothing with `-q`."""

    resumable: ClassVar[Path | None] = None  # where the running command keeps what is done

    def can_resume(self) -> None:
        """Remember where work is kept, for the message of an interrupt."""
        Job.resumable = None if self.quiet else self.output

    @classmethod
    def how_to_go_on(cls) -> str:
        """Return a line on it, if something is kept."""
        if cls.resumable is None or not cls.resumable.exists():
            return ""
        return f"{cls.resumable} keeps what is done: the same command with --resume goes on\n"

    def __init__(
        self,
        *,
        output: Path,
        quiet: bool,
        force: bool,
        seed: int = 0,
        threads: int = 1,
        device: str = "auto",
    ) -> None:
        self.output, self.quiet, self.force = output, quiet, force
        self.seed, self.threads, self.device = seed, threads, device

    def info(self, line: str) -> None:
        """Print a line at once."""
        if not self.quiet:
            click.echo(line, err=True)
            sys.stderr.flush()

    @contextmanager
    def progress(self, what: str, total: int | None) -> Iterator[Advance]:
        """Show how much of `total` is done: a bar on a terminal, else a line now and then.

        A total that is not known beforehand is None.
        """
        if self.quiet:
            yield lambda amount, note="": None
        elif sys.stderr.isatty():
            with io.rich_bar(what, total) as advance:
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

    def rng(self) -> np.random.Generator:
        """Make the generator that all chance of a command comes from."""
        import numpy as np  # which help does without: it takes 0.1 s

        return np.random.default_rng(self.seed)

    def predictor(self, model: Path, length: int | None = None) -> Predictor:
        """Load a model to predict with."""
        return load_model(model, length).predictor(self.device)

    def shift(self, model: models.Model, prevalence: float | None) -> float:
        """Return what is added to a model's log odds at a prevalence, and print it."""
        shift = prediction.prior_shift(model, prevalence)
        if prevalence is not None:
            trained = f"{model.prevalence or 0.5:.3g} in training"
            if model.prevalence is None:
                trained = "0.5 in training, which is assumed: the model does not state it"
            self.info(f"probabilities hold at a prevalence of {prevalence:g} ({trained})")
        return shift

    def scan(
        self,
        predictor: Predictor,
        genome: io.Genome,
        regions: Intervals,
        *,
        step: int,
        both_strands: bool,
    ) -> prediction.Bins:
        """Compute the log odds of bins along regions, and print how many have none."""
        import numpy as np  # which help does without: it takes 0.1 s

        total = int((-(-(regions.ends - regions.starts) // step)).sum())
        with self.progress("bins predicted", total) as advance:
            bins = prediction.scan(
                predictor, genome, regions,
                step=step, both_strands=both_strands, threads=self.threads, progress=advance,
            )  # fmt: skip
        if unknown := int(np.isnan(bins.log_odds).sum()):
            self.info(f"{unknown:,} bins have no value: their window is mostly N")
        return bins

    def write_report(self, page: report.Page, *, markdown: bool = False) -> None:
        """Write report.html, and report.md with its figures if asked for."""
        if markdown:
            io.write_files(self.output, report.render_markdown(page))
        io.write_text(self.output / "report.html", report.render_page(page))


def load_model(path: Path, length: int | None = None) -> Model:
    """Load a model, laid out for sequences of this length; None is its own.

    Raises
    ------
    ModelFileError, SequenceError
        As `Model.at_length`.
    """
    loaded = models.load_model(path)
    try:
        return loaded.at_length(length)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}; --length {loaded.length} is") from error


def with_interval(estimate: Estimate) -> str:
    """Format a figure with its interval."""
    return f"{estimate.value:.3f} (95% interval {estimate.low:.3f} to {estimate.high:.3f})"


def or_na(value: object) -> object:
    """Return a value as a table has it: NA for a number that is not known."""
    return "NA" if value != value else value
