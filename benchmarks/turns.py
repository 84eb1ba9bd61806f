"""Contenders take turns on one core; each is reported by its time over ours.

What a benchmark here imports. Times are CPU times, user and system, of this process and of those
that it waited for. Every ratio is of one turn, so that a busy machine slows both sides of it.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_CORE = "ENHANCER_CORE_ONE_CORE"  # set where the process is held to one
RECORD = "ENHANCER_CORE_BENCHMARKS"  # names the file that `run.py` gathers results in
POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")

Times = Mapping[str, NDArray[np.float64]]  # by contender, ours first: (turns,)


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """How a peer did beside us; a ratio above 1 says that we are faster."""

    task: str
    unit: str
    ours: float  # median
    peer: str
    peers: float  # median
    ratio: float  # median over turns
    lowest: float
    highest: float
    bar: float | None  # the least ratio that is promised


def one_core() -> None:
    """Start the script again, unless it is held to one core, and its libraries to one thread.

    Libraries read how many threads to make when they are imported, so it is too late to change it.
    """
    _start_again(**dict.fromkeys(POOLS, "1"), **{_CORE: "1"})


def one_thread_each() -> None:
    """Start the script again, unless its libraries are held to one thread; cores stay free."""
    _start_again(**dict.fromkeys(POOLS, "1"))


def _start_again(**settings: str) -> None:
    if _CORE in settings and hasattr(os, "sched_setaffinity"):  # Linux
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if not settings.items() <= os.environ.items():
        os.environ.update(settings)
        os.execv(sys.executable, [sys.executable, *sys.argv])


def machine(packages: Sequence[str]) -> str:
    """Name the processor, Python and the packages that are there, with their versions."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    named = [models[0] if models else platform.machine(), f"Python {platform.python_version()}"]
    for package in packages:
        try:
            named.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            named.append(f"{package} not installed")
    return ", ".join(named)


def cpu_seconds() -> float:
    """Give the CPU seconds of this process, and of the children that ended."""
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, whose))


def take_turns(
    contenders: Mapping[str, Callable[[], object]],
    *,
    turns: int = 9,
    clock: Callable[[], float] = cpu_seconds,
) -> Times:
    """Run the contenders in turns, after one turn that warms up; give seconds, (turns,) each."""
    times = np.empty((turns + 1, len(contenders)))
    for turn in times:
        for place, contender in enumerate(contenders.values()):
            start = clock()
            contender()
            turn[place] = clock() - start
    return dict(zip(contenders, times[1:].T, strict=True))


def report(
    task: str, times: Times, *, unit: str = "s", per: float = 1, bars: Mapping[str, float] = {}
) -> list[Result]:
    """Print a line for each peer, and record it where `run.py` asks for that.

    `per` turns seconds into the unit; `bars` has the ratio that is promised, by peer.
    """
    us, *others = times
    ours = times[us]
    print(f"{task}: {us} {np.median(ours) / per:.3g} {unit}")
    found = []
    for peer in others:
        ratios = times[peer] / ours
        result = Result(
            task=task,
            unit=unit,
            ours=float(np.median(ours) / per),
            peer=peer,
            peers=float(np.median(times[peer]) / per),
            ratio=float(np.median(ratios)),
            lowest=float(ratios.min()),
            highest=float(ratios.max()),
            bar=bars.get(peer),
        )
        promised = "" if result.bar is None else f", bar {result.bar:g}"
        print(
            f"  {peer} {result.peers:.3g} {unit}, {result.ratio:.2f} x"
            f" ({result.lowest:.2f} to {result.highest:.2f}{promised})"
        )
        found.append(result)
    record("results", [asdict(result) for result in found])
    return found


def record(kind: str, what: object) -> None:
    """Add a line to the file that `run.py` gathers results in, if it runs us."""
    if name := os.environ.get(RECORD):
        with Path(name).open("a") as file:
            file.write(json.dumps({kind: what}) + "\n")
