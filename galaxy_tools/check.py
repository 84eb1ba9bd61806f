"""Lint and test every Galaxy tool and workflow on a real server and in a browser, and count.

    python galaxy_tools/check.py RESULTS [--command PATH]

`make test-galaxy` makes the environment for it. What each step said, planemo's reports, the
server's logs and the browser's screenshots are kept in the folder of results.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

from bioblend.galaxy import GalaxyInstance
from configuration import TOOLS, tool_files
from serve import COMMAND, STOPS, Server, say, serving

WORKFLOWS = TOOLS / "workflows"
SERVER_TESTS = TOOLS.parent / "tests" / "galaxy"
TEST_TABLES = TOOLS / "tool_data_table_conf.xml.test"
PROGRAMS = Path(sys.executable).parent  # planemo's, beside Galaxy's

Found = tuple[int, list[str]]  # how many tests passed, and what is wrong


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step found, and the seconds that it took."""

    step: str
    passed: int
    problems: list[str]
    seconds: float


@dataclass(frozen=True, slots=True)
class Step:
    """A program that runs, beside others."""

    name: str
    process: subprocess.Popen[bytes]
    seconds: Future[float]
    log: Path

    def finish(self, read: Callable[..., Found] | None = None, *arguments: object) -> Outcome:
        """Wait for its end, read what it found, and show what it said if something is wrong."""
        seconds = self.seconds.result()
        passed, problems = read(*arguments) if read else (0, [])
        if self.process.returncode and not problems:
            problems.append(f"FAILED {self.name}: exit status {self.process.returncode}")
        if problems:
            say(self.log.read_text(errors="replace")[-20_000:])
        say("\n".join([f"== {self.name}: {passed} passed, {seconds:.0f} s", *problems]))
        return Outcome(self.name, passed, problems, seconds)


@dataclass(frozen=True, slots=True)
class Steps:
    """Starts steps; what they leave goes to a folder, and none outlives the stack."""

    results: Path
    stack: ExitStack
    pool: ThreadPoolExecutor

    def start(
        self,
        name: str,
        *words: object,
        folder: Path = TOOLS,
        environment: dict[str, str] | None = None,
    ) -> Step:
        """Start a program that is installed beside Galaxy."""
        log = self.results / f"{name}.log"
        path = os.pathsep.join([str(PROGRAMS), os.environ["PATH"]])
        started = time.monotonic()
        with log.open("wb") as out:
            process = subprocess.Popen(
                [PROGRAMS / str(words[0]), *map(str, words[1:])],
                cwd=folder,
                env={**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self.stack.callback(process.kill)

        def lasted() -> float:
            process.wait()
            return time.monotonic() - started

        return Step(name, process, self.pool.submit(lasted), log)


def check(steps: Steps, root: Path, command: Path) -> list[Outcome]:
    """Run every step; the tests beside each other, since much of a Galaxy test is waiting."""
    tools, workflows = tool_files(), sorted(WORKFLOWS.rglob("*.gxwf.yml"))
    lint = ("--fail_level", "warn")
    lints = [
        # bio.tools would be asked over the network.
        steps.start("lint of tools", "planemo", "lint", *lint, "--skip", "BioToolsValid", *tools),
        steps.start("lint of workflows", "planemo", "workflow_lint", *lint, "--iwc", WORKFLOWS),
    ]
    with serving(root, command=command, tables=[TEST_TABLES]) as server:
        say(f"== server at {server.url}")
        outcomes = [step.finish() for step in lints]
        planemo = {}
        for name, files in (("tool tests", tools), ("workflow tests", workflows)):
            report = steps.results / f"{name}.json"
            step = steps.start(
                *(name, "planemo", "test", "--engine", "external_galaxy", "--no_shed_install"),
                *("--galaxy_url", server.url, "--galaxy_admin_key", server.key),
                *("--galaxy_user_key", register(server, name.replace(" ", "-"))),
                *("--test_output", report.with_suffix(".html"), "--test_output_json", report),
                *files,
            )
            planemo[step] = (report, files)
        report = steps.results / "server tests.xml"
        step = steps.start(
            *("server tests", "python", "-m", "pytest", "--durations", 10, "--junitxml", report),
            folder=SERVER_TESTS,
            environment={
                "GALAXY_URL": server.url,
                "GALAXY_KEY": server.key,
                "GALAXY_DATA": str(server.root),
                "GALAXY_RESULTS": str(steps.results),
                "ENHANCER_CORE": str(command.absolute()),
            },
        )
        outcomes += [each.finish(read_planemo, *found) for each, found in planemo.items()]
        return [*outcomes, step.finish(read_pytest, report)]


def register(server: Server, name: str) -> str:
    """Register a user, and give its key: planemo's own user bears one planemo at a time."""
    users = GalaxyInstance(server.url, server.key).users
    user = users.create_local_user(name, f"{name}@example.org", secrets.token_hex(8))
    return str(users.create_user_apikey(user["id"]))


def read_planemo(report: Path, files: Sequence[Path]) -> Found:
    """Read what planemo found; a file without a test is wrong."""
    if not report.exists():
        return 0, ["planemo wrote no report"]
    passed, problems, tested = 0, [], set()
    for test in json.loads(report.read_text())["tests"]:
        tested.add(test["id"])
        if test["data"]["status"] == "success":
            passed += 1
        else:
            problems.append(f"FAILED {test['id']}\n{why(test['data'])}")
    for path in files:
        mark = Xml.parse(path).getroot().attrib["id"] if path.suffix == ".xml" else path.name
        if not any(mark in name for name in tested):
            problems.append(f"FAILED {path.name} has no test")
    return passed, problems


def why(data: dict[str, Any]) -> str:
    """Say what was wrong with a test: in planemo's words, and in the job's."""
    job = data.get("job") or {}
    told = [data.get("execution_problem"), *(data.get("output_problems") or [])]
    told += [job.get("command_line"), job.get("stderr")]
    return "\n".join(str(each)[:2000] for each in told if each)


def read_pytest(report: Path) -> Found:
    """Read what pytest found, which said why; a test that was skipped is wrong."""
    if not report.exists():
        return 0, ["pytest wrote no report"]
    cases = list(Xml.parse(report).getroot().iter("testcase"))
    bad = [case.attrib["name"] for case in cases if len(case.findall("properties")) < len(case)]
    return len(cases) - len(bad), [f"FAILED {name}" for name in bad]


def main() -> None:
    """Check everything, print a table and the counts, and exit with 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("results", type=Path, help="folder for what is kept to look at")
    parser.add_argument("--command", type=Path, default=COMMAND, help="the enhancer-core to test")
    options = parser.parse_args()
    results = options.results.resolve()
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir(parents=True)
    for number in STOPS:
        signal.signal(number, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="galaxy-") as folder, ExitStack() as stack:
        started = time.monotonic()
        stack.callback(shutil.copytree, Path(folder, "log"), results / "log")
        pool = stack.enter_context(ThreadPoolExecutor())
        outcomes = check(Steps(results, stack, pool), Path(folder), options.command)
    rows = [(each.step, each.seconds) for each in outcomes]
    for name, seconds in [*rows, ("together", time.monotonic() - started)]:
        say(f"{name:20}{seconds:6.0f} s")
    counts = ", ".join(f"{each.passed} {each.step}" for each in outcomes if each.passed)
    failed = sum(len(each.problems) for each in outcomes)
    say(f"galaxy: {counts or 'nothing'} passed, {failed} failed")
    sys.exit(failed > 0 or not counts)


if __name__ == "__main__":
    main()
