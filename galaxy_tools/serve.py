"""Run a Galaxy with these tools on this machine: for `make galaxy`, and for the tests.

    python galaxy_tools/serve.py FOLDER [--port N] [--slots N] [--genome NAME=FASTA]...

Run by the Python that Galaxy is installed for (requirements.txt). The server listens on 127.0.0.1
alone, keeps all its data in one folder, fetches nothing, and leaves no process behind.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from configuration import tool_files, write_configuration

COMMAND = Path(__file__).resolve().parents[1] / ".venv" / "bin" / "enhancer-core"

HOST = "127.0.0.1"
PATIENCE = 300  # seconds a server may take to start
GRACE = 10  # seconds its processes may take to end
GREETING = """
Galaxy {version} with {tools} tools of enhancer_core:

    {server.url}

Open it in a browser of this machine. It asks for no password: whoever can log in to this machine is
its user, and its admin. Data are kept in {server.root}. Ctrl-C stops it."""
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Server:
    """A running Galaxy: its address, its admin's API key, and the folder of its data."""

    url: str
    key: str
    root: Path


@contextmanager
def serving(
    root: Path,
    *,
    command: Path = COMMAND,
    port: int = 0,
    single_user: bool = False,
    jobs: int = 2,
    slots: int = 1,
    genomes: Sequence[tuple[str, Path]] = (),
    tables: Sequence[Path] = (),
) -> Iterator[Server]:
    """Run a Galaxy with every tool of this folder for as long as the `with` block lasts.

    Parameters
    ----------
    root
        Where its data go; what an earlier server left there is there again.
    command
        The program `enhancer-core` that jobs run.
    port
        Of 127.0.0.1; 0 is any that is free.
    single_user
        Whoever reaches the port is its one user, and its admin.
    jobs
        How many jobs run at once.
    slots
        GALAXY_SLOTS of each job.
    genomes
        Names and FASTA files to offer beside those in a history.
    tables
        Configurations of data tables whose rows are offered beside the published models.

    Raises
    ------
    RuntimeError
        If another server has these data or the port, or this one does not start; the message then
        ends with the end of its log.
    """
    root, key = root.resolve(), secrets.token_hex(16)
    root.mkdir(parents=True, exist_ok=True)
    address = f"{HOST}:{free_port(port)}"
    url = f"http://{address}"
    with alone_in(root), ending() as started:
        config = write_configuration(
            root,
            command=command,
            key=key,
            single_user=single_user,
            jobs=jobs,
            slots=slots,
            genomes=genomes,
            tables=tables,
        )
        started.append(web := start("galaxy-web", "--bind", address, config=config))
        wait(lambda: version(url) is not None, web)
        # After the web server, which makes the database.
        worker = start(
            *("celery", "--app", "galaxy.celery", "worker", "--pool", "threads"),
            *("--queues", "celery,galaxy.internal,galaxy.external"),
            *("--concurrency", str(jobs), "--loglevel", "INFO"),
            config=config,
        )
        started.append(worker)
        wait(lambda: " ready." in worker.said(), worker)
        yield Server(url, key, root)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other servers out of a folder."""
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(f"a server runs in {folder} already") from None
        yield


@dataclass(frozen=True, slots=True)
class Program:
    """A program that was started at the head of a session of its own."""

    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        """Give what it has printed until now."""
        return self.log.read_text(errors="replace")


def start(program: str, *options: str, config: Path) -> Program:
    """Start a program of Galaxy."""
    programs = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(programs), os.environ["PATH"]]),
        "GALAXY_CONFIG_FILE": str(config),
    }
    log = config.parents[1] / "log" / f"{program}.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("wb") as out:
        process = subprocess.Popen(
            [programs / program, *options],
            cwd=log.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Program(process, log)


def wait(ready: Callable[[], bool], program: Program) -> None:
    """Wait until it is ready; raise RuntimeError if the program ends or the time is up."""
    late = time.monotonic() + PATIENCE
    while not ready():
        if program.process.poll() is not None or time.monotonic() > late:
            raise RuntimeError(f"{program.log.stem} did not start:\n{program.said()[-4000:]}")
        time.sleep(0.5)


@contextmanager
def ending() -> Iterator[list[Program]]:
    """Give a list, and end the programs in it, with all of their sessions."""
    programs: list[Program] = []
    try:
        yield programs
    finally:
        held = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # a second Ctrl-C must wait
        leaders = [program.process for program in programs]
        for leader in leaders:
            leader.terminate()
        late = time.monotonic() + GRACE
        while time.monotonic() < late and any(leader.poll() is None for leader in leaders):
            time.sleep(0.1)
        # Galaxy's jobs have process groups of their own, but its session.
        while left := members({leader.pid for leader in leaders}):
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)
        for leader in leaders:
            leader.wait()
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


def members(sessions: Container[int]) -> list[int]:
    """List the living processes of some sessions."""
    found = []
    for process in psutil.process_iter(["status"]):
        with suppress(ProcessLookupError):
            if os.getsid(process.pid) in sessions and process.info["status"] != "zombie":
                found.append(process.pid)
    return found


def free_port(port: int) -> int:
    """Give a port of this machine that nothing listens to: this one, or any if it is 0."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            raise RuntimeError(f"port {port}: {error.strerror}") from None
        found: int = listener.getsockname()[1]
        return found


def version(url: str) -> str | None:
    """Ask a server for its version: None as long as it does not answer."""
    with suppress(OSError), urllib.request.urlopen(f"{url}/api/version", timeout=5) as answer:
        told = json.load(answer)
        return f"{told['version_major']}.{told['version_minor']}"
    return None


def name_and_file(text: str) -> tuple[str, Path]:
    """Read NAME=FASTA."""
    name, equals, file = text.partition("=")
    if not (name and equals and Path(file).is_file()):
        raise argparse.ArgumentTypeError(f"not NAME=FASTA with a file that exists: {text}")
    return name, Path(file)


def say(text: str) -> None:
    """Print now."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Serve one user until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Run a Galaxy with the tools of enhancer_core.")
    parser.add_argument("folder", type=Path, help="where its data are kept")
    parser.add_argument("--port", type=int, default=0, help="any that is free if not given")
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--slots", type=int, default=max(1, cores // 2), help="cores of a job")
    parser.add_argument("--command", type=Path, default=COMMAND, help="the enhancer-core to run")
    parser.add_argument(
        "--genome",
        dest="genomes",
        metavar="NAME=FASTA",
        type=name_and_file,
        action="append",
        default=[],
        help="to offer beside those in a history; repeat for more",
    )
    options = vars(parser.parse_args())
    for number in STOPS:
        signal.signal(number, signal.default_int_handler)
    say("Galaxy starts, which takes half a minute.")
    try:
        with serving(options.pop("folder"), single_user=True, **options) as server:
            tools = len(tool_files())
            say(GREETING.format(server=server, version=version(server.url), tools=tools))
            signal.pause()
    except KeyboardInterrupt:
        pass
    except RuntimeError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
