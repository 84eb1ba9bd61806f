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
from pathlib import Path
from typing import Any

from turns import RECORD, machine

HERE = Path(__file__).parent
SCRIPTS = (
    "training.py", "prediction.py", "scanning.py", "mutagenesis.py", "shuffle.py", "extraction.py",
    "motifs.py", "restarts.py", "growth.py", "gpu.py",
)  # fmt: skip
KIPOI = HERE.parent / ".venv-kipoi" / "bin" / "python"  # of `make kipoi`
PACKAGES = (
    "numpy", "numba", "torch", "tensorflow_cpu", "onnxruntime", "seqpro", "tangermeme", "memelite",
)  # fmt: skip


def main() -> None:
    """Run the benchmarks one after another, and write the page."""
    runs = [(sys.executable, script) for script in SCRIPTS]
    if KIPOI.exists():
        runs.append((str(KIPOI), "kipoi_tools.py"))
    else:
        print("kipoi-veff, kipoi predict: not measured; `make kipoi` installs them")
    with tempfile.TemporaryDirectory(prefix="enhancer-core-") as folder:
        found = Path(folder) / "results.jsonl"
        for python, script in runs:
            print(f"== {script}", flush=True)
            environment = {**os.environ, RECORD: str(found)}
            subprocess.run([python, str(HERE / script)], check=True, env=environment)
        lines = [json.loads(line) for line in found.read_text().splitlines()]
    results = [each for line in lines for each in line.get("results", [])]
    growth = [line["growth"] for line in lines if "growth" in line]
    gpu = [row for line in lines for row in line.get("gpu", [])]
    (HERE / "RESULTS.md").write_text(page(results, growth, gpu))
    below = [each for each in results if each["bar"] is not None and each["ratio"] < each["bar"]]
    print(f"{len(results)} comparisons, {len(below)} below the bar: benchmarks/RESULTS.md")


def page(
    results: list[dict[str, Any]], growth: list[dict[str, Any]], gpu: list[tuple[str, str]]
) -> str:
    """Lay out what was measured as Markdown."""
    rows = [
        f"| {each['task']} | {each['ours']:.3g} {each['unit']} | {each['peer']}"
        f" | {each['peers']:.3g} {each['unit']} | **{each['ratio']:.2f}**"
        f" | {each['lowest']:.2f} to {each['highest']:.2f} | {verdict(each)} |"
        for each in results
    ]
    grown = [f"| {each['task']} | {each['exponent']:.2f} | {each['shown']} |" for each in growth]
    on_gpu = ["Not measured: no CUDA GPU was at hand."]
    if gpu:
        on_gpu = ["| | |", "|---|---|", *(f"| {task} | {figure} |" for task, figure in gpu)]
    return "\n".join(
        [
            "# How fast, beside the peers",
            "",
            "Written by `make bench`. One core, contenders in turns in one run; CPU time, medians",
            "of turns. The ratio is the peer's time over ours, turn by turn: median and spread. A",
            "benchmark stops if a peer's result differs from ours where both are exact.",
            "",
            machine(PACKAGES) + ".",
            "",
            "| task | ours | peer | its time | ratio | spread | bar |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
            "## Growth",
            "",
            "The exponent of a power fitted to the times at four sizes; 1 is linear.",
            "",
            "| task | exponent | times |",
            "|---|---|---|",
            *grown,
            "",
            "## On a GPU",
            "",
            *on_gpu,
            "",
        ]
    )


def verdict(result: dict[str, Any]) -> str:
    """Say whether a promise is kept."""
    if result["bar"] is None:
        return ""
    return f"{result['bar']:g}, {'met' if result['ratio'] >= result['bar'] else 'not met'}"


if __name__ == "__main__":
    main()
