"""Commands that are interrupted while compiled code runs: they end at once and leave nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from enhancer_core.dna.codes import Codes, encode
from enhancer_core.io.fasta import write_fasta
from enhancer_core.models.architecture import named_architecture
from enhancer_core.models.model import Model, save_model
from enhancer_core.models.network import Network

GENEROUS = 30  # seconds to end in, of which an idle machine needs one
SIGNALS = [signal.SIGINT, signal.SIGTERM]
DNA = {
    "random": np.random.default_rng(0).integers(0, 4, 30_000_000, dtype=np.uint8),
    "AT": np.resize(encode(["AT"])[0], 30_000_000),
    "poly-A": np.append(np.zeros(30_000_000, np.uint8), np.uint8(1)),
}


def interrupt(
    folder: Path, number: signal.Signals, *args: object, begun: str, after: float
) -> None:
    """Send a signal to a command some time after a file appears in `folder`; check how it ends."""
    before = set(folder.rglob("*"))
    process = subprocess.Popen(
        [sys.executable, "-m", "enhancer_core", *map(str, args)],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not list(folder.rglob(begun)):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    time.sleep(after)
    process.send_signal(number)
    out, err = process.communicate(timeout=GENEROUS)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "enhancer-core: error: interrupted"
    assert err.count("interrupted") == 1
    assert "Traceback" not in err
    assert not list(folder.rglob("*.partial"))
    left = {path.name for path in set(folder.rglob("*")) - before if path.is_file()}
    # Training continues from its restarts' states; an index is whole and serves later commands.
    kept = ("run.json", ".fai")
    assert all(name.endswith(kept) or name.startswith("restart-") for name in left), left


def write_genome(path: Path, codes: Codes) -> None:
    write_fasta(path, ["chr1"], codes[np.newaxis])


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize(("kind", "k"), [("random", 2), ("AT", 1), ("poly-A", 4)])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_shuffle_of_one_long_run_ends_on_a_signal(
    kind: str, k: int, threads: int, number: signal.Signals, tmp_path: Path
) -> None:
    write_genome(tmp_path / "in.fa", DNA[kind])
    interrupt(
        tmp_path, number, "shuffle", "in.fa", "-k", k, "--threads", threads, "-o", "out.fa",
        begun=".out.fa.*.partial", after=0.5,
    )  # fmt: skip


@pytest.mark.parametrize(("error", "told"), [("KeyboardInterrupt", 0), ("ValueError", 1)])
def test_a_signal_that_comes_to_a_callback_is_told_once_and_without_its_traceback(
    error: str, told: int
) -> None:
    script = (
        "import weakref, enhancer_core.cli as cli\n"
        "cli._end_on_signals()\n"
        f"def raising(_):\n    raise {error}\n"
        "thing = type('Thing', (), {})()\n"
        "reference = weakref.ref(thing, raising)\n"
        "del thing\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stderr.count("Traceback") == told


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("threads", [1, 2])
def test_a_track_ends_on_a_signal(threads: int, number: signal.Signals, tmp_path: Path) -> None:
    network = Network(named_architecture("enhancer", length=500))
    save_model(Model.from_torch(network), tmp_path / "model.safetensors")
    write_genome(tmp_path / "genome.fa", DNA["random"][:5_000_000])
    interrupt(
        tmp_path, number, "predict", "model.safetensors", "--genome", "genome.fa", "--step", 1,
        "--threads", threads, "-o", "out.bw", begun=".out.bw.*.partial", after=0.5,
    )  # fmt: skip


@pytest.mark.parametrize("number", SIGNALS)
def test_training_ends_on_a_signal(number: signal.Signals, inputs: Path, tmp_path: Path) -> None:
    interrupt(
        tmp_path, number, "train", "--positives", inputs / "positives.fa",
        "--negatives", inputs / "negatives.fa", "--network", "tf", "--restarts", 1000,
        "--epochs", 60, "--threads", 2, "-o", "out", begun="restart-*.safetensors", after=0.2,
    )  # fmt: skip
