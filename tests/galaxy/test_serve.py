"""`make galaxy`: it says where it is, lets its user in without a password, and leaves nothing."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import requests
from live import COMMAND, PATIENCE

SERVE = Path(__file__).parents[2] / "galaxy_tools" / "serve.py"
LONG = {"number": 1_000_000, "length": 100}  # a simulation of many seconds


def processes_of(folder: Path) -> list[str]:
    """List the command lines of the processes that work in a folder, or are told of it."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            about = [*words, process.cwd(), *process.environ().values()]
            if any(str(folder) in each for each in about):
                found.append(" ".join(words))
    return found


def start_a_job(url: str) -> str:
    """Start a long job as whoever opens the page, and give that user's address."""
    with requests.Session() as browser:
        browser.get(url)
        user = browser.get(f"{url}/api/users/current").json()
        history = browser.post(f"{url}/api/histories", json={"name": "Cut short"}).json()
        job = {"history_id": history["id"], "tool_id": "enhancer_core_simulate", "inputs": LONG}
        browser.post(f"{url}/api/tools", json=job).raise_for_status()
        return str(user["email"])


def refusal(*options: str) -> str:
    """Start a server that cannot be, and give what it says of that."""
    command = [sys.executable, str(SERVE), *options, "--command", COMMAND]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    assert done.returncode == 1
    return done.stderr.strip()


def test_ctrl_c_ends_the_server_and_the_job_that_runs(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    command = [sys.executable, str(SERVE), str(folder), "--command", COMMAND]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        url = next(line.strip() for line in server.stdout if "http://" in line)
        port = url.removeprefix("http://127.0.0.1:")
        assert refusal(str(folder)) == f"a server runs in {folder} already"
        assert refusal(str(tmp_path / "other"), "--port", port).startswith(f"port {port}: ")
        assert start_a_job(url) == "you@localhost.local"
        late = time.monotonic() + PATIENCE
        while not any("simulate" in words for words in processes_of(folder)):
            assert time.monotonic() < late
            time.sleep(0.2)
        server.send_signal(signal.SIGINT)
        assert server.wait(PATIENCE) == 0
    assert processes_of(folder) == []
