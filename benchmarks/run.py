"""Run every benchmark, and write benchmarks/RESULTS.md from what they measured.

    make bench

A benchmark that fails, because a peer's result differs from ours, stops the run. Peers that are
not installed are said to be "not measured".
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from turns import RECORD, machine

HERE = Path(__file__).parent
SCRIPTS = (
    "training.py", "prediction.py", "scanning.py", "mutagenesis.py", "shuffle.py", "extraction.py",
    "motifs.py", "restarts.py", "growth.py",
)  # fmt: skip
KIPOI = HERE.parent / ".venv-kipoi" / "bin" / "python"  # of `make kipoi`
PACKAGES = (
    "numpy", "numba", "torch", "tensorflow_cpu", "onnxruntime", "seqpro", "tangermeme", "memelite",
)  # fmt: skip


def main() -> None:
    """Run the benchmarks one after another, and write the page."""
    began = time.monotonic()
    runs = [(sys.executable, script) for script in SCRIPTS]
    if KIPOI.exists():
        runs.append((str(KIPOI), "kipoi_tools.py"))
    else:
        print("kipoi-veff, kipoi predict: not measured; `make kipoi` installs them")
    lines: list[dict[str, Any]] = []
    for number, (python, script) in enumerate(runs, start=1):
        minutes = (time.monotonic() - began) / 60
        print(f"== {script} ({number} of {len(runs)}, {minutes:.1f} min so far)", flush=True)
        lines += run(python, script)
    results = [each for line in lines for each in line.get("results", [])]
    growth = [line["growth"] for line in lines if "growth" in line]
    limits = [line["limit"] for line in lines if "limit" in line]
    (HERE / "RESULTS.md").write_text(page(results, growth, limits))
    below = [each for each in results if verdict(each).endswith("not met")]
    minutes = (time.monotonic() - began) / 60
    print(
        f"{len(results)} comparisons, {len(below)} below the bar, {minutes:.0f} min:"
        " benchmarks/RESULTS.md"
    )


def run(python: str, script: str) -> list[dict[str, Any]]:
    """Run a benchmark, and give what it recorded."""
    with tempfile.TemporaryDirectory(prefix="enhancer-core-") as folder:
        found = Path(folder) / "results.jsonl"
        found.touch()
        environment = {**os.environ, RECORD: str(found), "PYTHONUNBUFFERED": "1"}
        subprocess.run([python, str(HERE / script)], check=True, env=environment)
        return [json.loads(line) for line in found.read_text().splitlines()]


def page(
    results: list[dict[str, Any]], growth: list[dict[str, Any]], limits: list[dict[str, Any]]
) -> str:
    """Lay out what was measured as Markdown."""
    grown = [
        f"| {each['task']} | {each['exponent']:.2f} | {each['times']} | {each['memory']} |"
        for each in growth
    ]
    return "\n".join(
        [
            "# How fast, beside the peers",
            "",
            "Written by `make bench`. One core and CPU time, but for restarts (two cores beside",
            "one, wall-clock); contenders in turns in one run, medians of turns. The ratio is the",
            "peer's time over ours, turn by turn: median and spread. A ratio above 1 means that",
            "we are faster. `bar` is the least ratio that the project promises; empty where none",
            "is. A benchmark stops if a peer's result differs from ours where both are exact.",
            "",
            machine(PACKAGES) + ".",
            "",
            *table(results),
            "",
            "## Growth",
            "",
            "The exponent of a power fitted to the CPU times at four sizes (1 is linear), and a",
            "line fitted to the memory held at most, what is always there included.",
            "",
            "| task | exponent | times | memory |",
            "|---|---|---|---|",
            *grown,
            "",
            "## Limits",
            "",
            "What one core could do in float32 if nothing but the arithmetic took time.",
            "",
            "| task | limit |",
            "|---|---|",
            *(f"| {each['task']} | {each['shown']} |" for each in limits),
            "",
            "`python benchmarks/gpu.py` measures a GPU, and writes GPU.md.",
            "",
        ]
    )


def table(results: list[dict[str, Any]]) -> list[str]:
    """Lay out comparisons, a row each."""
    return [
        "| task | ours | peer | its time | ratio | spread | bar |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {each['task']} | {each['ours']:.3g} {each['unit']} | {each['peer']}"
            f" | {each['peers']:.3g} {each['unit']} | **{each['ratio']:.2f}**"
            f" | {each['lowest']:.2f} to {each['highest']:.2f} | {verdict(each)} |"
            for each in results
        ),
    ]


def verdict(result: dict[str, Any]) -> str:
    """Say whether a promise is kept."""
    if result["bar"] is None:
        return ""
    return f"{result['bar']:g}, {'met' if result['ratio'] >= result['bar'] else 'not met'}"


if __name__ == "__main__":
    main()
