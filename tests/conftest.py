"""Fixtures that more than one test file uses."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import settings

from enhancer_core import cli as command_line

# No deadlines, since nothing here is timed, and the same examples in each run.
settings.register_profile("enhancer_core", deadline=None, derandomize=True)
settings.load_profile("enhancer_core")

# A job in a shell's background ignores interrupts, and so would the programs that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

if not torch.cuda.is_available():  # Triton reads this once, when it is imported
    os.environ["TRITON_INTERPRET"] = "1"


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data: ENHANCER_DATA, or shared/data beside the repository."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("ENHANCER_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"real data is not at {folder}; set ENHANCER_DATA to its folder")
    return folder


class Ran(NamedTuple):
    """What a command left behind: its exit status, and all it printed."""

    status: int
    out: str
    err: str


@pytest.fixture(scope="session")
def cli() -> Callable[..., Ran]:
    """Run the command line in this process: `cli("shuffle", path, "-k", 2, "-o", out)`."""

    def run(*args: object) -> Ran:
        out, err = io.StringIO(), io.StringIO()
        environment = dict(os.environ)
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            with pytest.raises(SystemExit) as stop, redirect_stdout(out), redirect_stderr(err):
                command_line.main([str(arg) for arg in args])
        finally:
            os.environ.clear()
            os.environ.update(environment)
            for number, handler in handlers.items():
                signal.signal(number, handler)
        return Ran(int(stop.value.code or 0), out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small inputs: 60 positives.fa and 60 negatives.fa of 120 bp, and genome.fa.

    Records are named as windows that do not overlap, on chromosomes chr1 to chr5; positives have
    more G and C, so that networks learn to tell them at once. The genome has
    chr1 (3,000 bp, the second half soft-masked), chr2 (1,000 bp) and chr3 (400 bp, 100-300 N).
    """
    rng = np.random.default_rng(20)
    folder = tmp_path_factory.mktemp("inputs")

    def dna(bp: int, gc: float = 0.5) -> str:
        return "".join(rng.choice(list("ACGT"), bp, p=np.array([1 - gc, gc, gc, 1 - gc]) / 2))

    for kind, offset, gc in (("positives", 0, 0.7), ("negatives", 500, 0.4)):
        starts = [1000 * i + offset for i in range(60)]
        records = [f">chr{start % 5000 // 1000 + 1}:{start}-{start + 120}" for start in starts]
        (folder / f"{kind}.fa").write_text("".join(f"{name}\n{dna(120, gc)}\n" for name in records))
    sequences = {
        "chr1": dna(1500) + dna(1500).lower(),
        "chr2": dna(1000),
        "chr3": dna(100) + "N" * 200 + dna(100),
    }
    with (folder / "genome.fa").open("w") as genome:
        for name, sequence in sequences.items():
            lines = [sequence[start : start + 50] for start in range(0, len(sequence), 50)]
            genome.write("\n".join([f">{name}", *lines, ""]))
    return folder
