"""A job uses no more than its GALAXY_SLOTS, and its user sees how far it is."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import psutil
from live import DATA, FEW, PATIENCE, History

NAME = "/enhancer-core"
ENOUGH = 5  # seconds of computation that the measure needs
ABOVE = 1.05  # cores: a process's clock and the wall's are not read at the same time


def seconds_of_jobs() -> dict[int, tuple[float, float]]:
    """Measure each process of our command in a job: what it computed, and since when it runs."""
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words, folder = process.cmdline(), process.cwd()
            if folder.startswith(str(DATA)) and any(word.endswith(NAME) for word in words):
                assert process.environ()["GALAXY_SLOTS"] == "1"
                used = process.cpu_times()
                lasted = time.time() - process.create_time()
                found[process.pid] = (used.user + used.system, lasted)
    return found


def test_one_slot_is_one_core_and_progress_is_seen_until_the_job_is_cancelled(
    history: History, inputs: Path
) -> None:
    job = history.start(
        "train",
        positives=[history.upload(inputs / "positives.fa")],
        negatives=[history.upload(inputs / "negatives.fa")],
        **FEW | {"restarts": 10_000, "epochs": 1000},
    )
    measured: dict[int, tuple[float, float]] = {}
    said = ""
    while "epochs trained: " not in said or used_most(measured) < ENOUGH:
        state = job.state
        assert state in {"new", "waiting", "queued", "running"}
        said = job.said() if state == "running" else ""
        measured |= seconds_of_jobs()
        time.sleep(0.2)
    assert all(used <= ABOVE * lasted for used, lasted in measured.values())
    job.galaxy.jobs.cancel_job(job.id)
    late = time.monotonic() + PATIENCE
    while measured.keys() & seconds_of_jobs().keys():
        assert time.monotonic() < late
        time.sleep(0.2)


def used_most(measured: dict[int, tuple[float, float]]) -> float:
    """Give the seconds that the process with most of them has computed."""
    return max((used for used, _ in measured.values()), default=0)
