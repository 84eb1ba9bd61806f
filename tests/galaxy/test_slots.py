"""A job uses no more than its GALAXY_SLOTS, and its user sees how far it is."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import psutil
from live import DATA, FEW, History

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


def test_one_slot_is_one_core_and_what_the_job_says_is_seen_while_it_runs(
    history: History, inputs: Path
) -> None:
    job = history.start(
        "train",
        positives=[history.upload(inputs / "positives.fa")],
        negatives=[history.upload(inputs / "negatives.fa")],
        **FEW | {"network": "enhancer", "restarts": 20, "epochs": 20},
    )
    measured: dict[int, tuple[float, float]] = {}
    said: set[str] = set()
    while (state := job.state) not in {"ok", "error"}:
        measured |= seconds_of_jobs()
        if state == "running":
            said.add(job.said())
        time.sleep(0.2)
    assert state == "ok"
    assert all(used <= ABOVE * lasted for used, lasted in measured.values())
    assert max(used for used, _ in measured.values()) > ENOUGH
    assert any("epochs trained: " in text and "model and report" not in text for text in said)
