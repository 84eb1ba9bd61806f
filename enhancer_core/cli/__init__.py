"""The command line, `enhancer-core`.

Commands import the package's wings, which load what is used when it is used, so that help is shown
at once; NumPy and other libraries they import where they run.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Sequence
from importlib import import_module
from types import FrameType

import click

from enhancer_core import __version__, io
from enhancer_core.cli.common import Job
from enhancer_core.errors import EnhancerError

BAD_INPUT = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells have it
_GRACE = 0.3  # seconds from a signal on in which the main thread may tidy up
_ENDING = threading.Lock()
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

# Our threads each compute on one core; a library's own pool on top would break --threads, and
# sums that depend on its size would break "the same seed gives the same bytes".
_POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")

# Each command's module and summary, in the order of use. The list of commands is shown from here,
# since importing all of them takes longer than everything else.
_COMMANDS = {
    "simulate": ("data", "Plant one motif in random DNA."),
    "extract": ("data", "Extract windows around peaks from a genome."),
    "background": ("data", "Draw windows of a genome that are not known to be enhancers."),
    "shuffle": ("data", "Shuffle each sequence, preserving its count of every k-let."),
    "train": ("train", "Train a network on positives and negatives, and test it."),
    "evaluate": ("evaluate", "Evaluate a network on other sequences, or along a genome."),
    "baseline": ("evaluate", "Train and test a simple model, which a network has to beat."),
    "pssm": ("motifs", "Test how well one motif separates positives from negatives."),
    "predict": ("predict", "Predict probabilities for sequences, or a track along a genome."),
    "call": ("call", "Call enhancers along a genome, ranked, with their precision."),
    "variants": ("variants", "Score the variants of a VCF: SNVs, indels, every ALT."),
    "mutagenesis": ("variants", "Score every single-base change of sequences, and draw it."),
    "motifs": ("motifs", "Show what a network's filters look for, beside known motifs."),
    "wiring": ("interactions", "Test which motifs a network combines, and their arrangement."),
    "publish": ("publish", "Make a trained model a row of a Kipoi source."),
    "study": ("study", "Do all runs of a recipe, and report them."),
}


class LazyCommands(click.Group):
    """Commands in the order in which they are used, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names, in that order."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; all of them if none has this name, from which click suggests one."""
        names = [cmd_name] if cmd_name in _COMMANDS else _COMMANDS
        for module in {_COMMANDS[name][0] for name in names}:
            for value in vars(import_module(f"{__name__}.{module}")).values():
                if isinstance(value, click.Command):
                    self.add_command(value)
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the names and summaries."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _COMMANDS.items()])


@click.group(
    cls=LazyCommands,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        "show_default": True,
    },
)
@click.version_option(__version__, prog_name="enhancer-core")
def commands() -> None:
    """Find enhancers in DNA sequence, and see what the networks learned.

    From a genome and peaks to a trained network and a track:

    \b
      enhancer-core extract genome.fa peaks.bed -o enhancers.fa
      enhancer-core background genome.fa --exclude peaks.bed --genes genes.bed \\
          -n 5000 -o background.bed --fasta background.fa
      enhancer-core train --positives enhancers.fa --negatives background.fa \\
          -o model
      enhancer-core predict model --genome genome.fa --regions region.bed \\
          -o track.bw
    """


def main(args: Sequence[str] | None = None) -> None:
    """Run a command and exit: with 0, or with 2 and one line on stderr if the input is bad.

    SIGINT and SIGTERM end it with 130, and where it is all of a process, `args` being None, within
    a second, whatever is computed.
    """
    whole_process = args is None
    if whole_process:
        _end_on_signals()
    args = list(sys.argv[1:] if args is None else args) or ["--help"]
    for pool in _POOLS:
        os.environ[pool] = "1"
    warnings.formatwarning = _one_line  # type: ignore[assignment]
    try:
        status = _run(args)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        hint = f" (see {context.command_path} --help)" if context else ""
        _stop(f"{error.format_message().rstrip('.')}{hint}", BAD_INPUT)
    except EnhancerError as error:
        _stop(str(error), BAD_INPUT)
    except OSError as error:  # outputs name their file; what is left are temporary ones
        if error.errno not in _NO_ROOM:
            raise
        import tempfile  # here, since it takes 5 ms

        _stop(f"{tempfile.gettempdir()} (TMPDIR): {error.strerror}", BAD_INPUT)
    except (click.Abort, KeyboardInterrupt):
        if whole_process:
            _end_interrupted()
        click.echo(Job.how_to_go_on(), err=True, nl=False)
        _stop("interrupted", INTERRUPTED)
    sys.exit(status if isinstance(status, int) else 0)


def _run(args: list[str]) -> object:
    """Run a command, and return its status; raise KeyboardInterrupt if it fails after a signal.

    A callback, as of LLVM while it compiles, cannot raise: what it leaves undone is what fails.
    """
    signalled = threading.Event()
    Job.resumable = None

    def interrupt(number: int, frame: FrameType | None) -> None:
        signalled.set()
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGTERM, interrupt)  # a scheduler's kill tidies up too
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # as a shell's background jobs have it
        signal.signal(signal.SIGINT, interrupt)
    try:
        return commands.main(args=args, prog_name="enhancer-core", standalone_mode=False)
    except Exception:
        if signalled.is_set():
            raise KeyboardInterrupt from None
        raise


def _end_on_signals() -> None:
    """End this process soon after a signal, if the main thread does not.

    It cannot while it runs compiled code, since Python handles signals between its own
    instructions, and will not while it waits for threads that do.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def end() -> None:
        while os.read(reading, 1)[0] not in (signal.SIGINT, signal.SIGTERM):
            pass
        time.sleep(_GRACE)
        _end_interrupted()

    def ignore_interrupts(raised: sys.UnraisableHookArgs) -> None:
        # A callback that a signal came to, as of a weak reference, cannot pass it on.
        if not isinstance(raised.exc_value, KeyboardInterrupt):
            sys.__unraisablehook__(raised)

    sys.unraisablehook = ignore_interrupts
    threading.Thread(target=end, daemon=True).start()


def _end_interrupted() -> None:
    """End this process without waiting for its threads, and leave no partial file.

    Not by `sys.exit`: Python dies of SIGINT once that has interrupted an `exec`, as in an import.
    """
    _ENDING.acquire()  # never released: only one of the two threads that may come here goes on
    io.remove_unfinished()
    show_cursor = "\x1b[?25h" if sys.stderr.isatty() else ""  # which a bar hides
    try:
        lines = f"{Job.how_to_go_on()}enhancer-core: error: interrupted"
        click.echo(f"{show_cursor}{lines}", err=True)
    finally:
        os._exit(INTERRUPTED)


def _one_line(message: Warning | str, *_: object) -> str:
    return f"enhancer-core: warning: {' '.join(str(message).split())}\n"


def _stop(message: str, status: int) -> None:
    click.echo(f"enhancer-core: error: {' '.join(message.split())}", err=True)
    sys.exit(status)
