"""Compilation, where machine code can be kept and where it cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from llvmlite.binding import get_host_cpu_features  # type: ignore[import-untyped]
from numpy.typing import NDArray

from enhancer_core.data.dataset import make_dataset
from enhancer_core.data.splits import split
from enhancer_core.dna import _numba
from enhancer_core.dna.codes import Codes, encode
from enhancer_core.dna.shuffle import k_shuffle
from enhancer_core.metrics import evaluate, roc_auc
from enhancer_core.models.architecture import Architecture, Convolution
from enhancer_core.models.cpu.learner import CpuLearner
from enhancer_core.models.network import Network
from enhancer_core.motifs.motif import BUILTIN, ppm, pwm
from enhancer_core.motifs.pssm import best_hits, log_likelihood_ratios
from enhancer_core.prediction.sequences import probabilities
from enhancer_core.training.config import TrainConfig
from enhancer_core.training.trainer import train
from tests.predictors import predictor_of

Arrays: TypeAlias = dict[str, NDArray[Any]]


def test_a_compiled_function_gives_what_python_gives() -> None:
    def double(number: int) -> int:
        return 2 * number

    assert _numba.compiled(double)(21) == double(21)


def test_a_place_for_compiled_code_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    def njit(*_: object, **options: object) -> Callable[[Any], Any]:
        if "cache" in options:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr(_numba, "njit", njit)

    def double(number: int) -> int:
        return 2 * number

    assert _numba.compiled(double) is double


def test_a_change_of_what_a_function_calls_is_noticed(tmp_path: Path) -> None:
    head = "from enhancer_core.dna._numba import compiled\n"
    (tmp_path / "outer.py").write_text(
        f"{head}from inner import inner\n@compiled\ndef outer(x: int) -> int:\n  return inner(x)\n"
    )
    found = []
    for number in (1, 20):
        (tmp_path / "inner.py").write_text(
            f"{head}@compiled\ndef inner(x: int) -> int:\n  return x + {number}\n"
        )
        command = [sys.executable, "-c", "from outer import outer; print(outer(100))"]
        done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
        found.append(int(done.stdout))
    assert found == [101, 120]


def random_codes(n: int, length: int) -> Codes:
    return np.random.default_rng(0).integers(0, 5, (n, length), dtype=np.uint8)


def computed() -> Arrays:
    """Run everything that is compiled, where it can be."""
    codes = random_codes(2, 120)
    found: Arrays = {}
    for k in (1, 2, 4, 6, 11, 40):
        found[f"{k}-shuffle"] = k_shuffle(codes, k=k, rng=np.random.default_rng(k))
    cebpa = pwm(ppm(BUILTIN["CEBPA"].pfm, pseudocount=0.01))
    hits = best_hits(codes, cebpa)
    found["scores"], found["starts"], found["strands"] = hits.scores, hits.starts, hits.strands
    found["likelihoods"] = log_likelihood_ratios(codes, cebpa)

    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (800, 60), dtype=np.uint8)
    codes[:280, 20:25] = encode(["GATTA"])[0]  # the others look like negatives
    names = [str(i) for i in range(800)]
    data = split(
        make_dataset([("p", names[:400], codes[:400])], [("n", names[400:], codes[400:])]), rng=rng
    )
    architecture = Architecture(
        convolutions=(Convolution(4, 7, 4),), dense=(8,), dropout=0.2, length=60
    )
    config = TrainConfig(restarts=1, epochs=4, batch_size=40, learning_rate=1e-2)
    model = train(data, architecture, config).model
    found["labels"] = data.test.labels
    found["probabilities"] = probabilities(model.predictor(), data.test.codes)
    first = Network(architecture, generator=torch.Generator().manual_seed(0)).eval()
    found["logits"] = predictor_of(first).logits(codes)
    if _numba.OBSTACLE is None:
        learner = CpuLearner(architecture, first.flat_parameters())
        found["gradients"] = learner.loss_and_gradients(codes, (np.arange(800) < 400) + 0)[1]
    return found


def compute_elsewhere(folder: Path, **settings: str) -> Arrays:
    """Compute the same in another process, as on another machine."""
    script = (
        "import sys, numpy as np; sys.path.insert(0, sys.argv[1]);"
        " from tests.dna.test_numba import computed; np.savez(sys.argv[2], **computed())"
    )
    path = folder / "found.npz"
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        script,
        str(Path(__file__).parents[2]),
        str(path),
    ]
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder), **settings}
    subprocess.run(command, env=environment, check=True)
    with np.load(path) as found:
        return dict(found)


@pytest.fixture(scope="module")
def uncompiled(tmp_path_factory: pytest.TempPathFactory) -> Arrays:
    return compute_elsewhere(tmp_path_factory.mktemp("uncompiled"), NUMBA_DISABLE_JIT="1")


@pytest.fixture(scope="module")
def here() -> Arrays:
    return computed()


def assert_same(found: Arrays, here: Arrays) -> None:
    """Compare: whole numbers and sums that are exact to the bit, the others to their rounding."""
    for name, array in found.items():
        if name in ("logits", "likelihoods"):
            np.testing.assert_allclose(array, here[name], rtol=1e-5, atol=1e-6, err_msg=name)
        elif name == "gradients":
            largest = np.abs(here[name]).max()
            np.testing.assert_allclose(array, here[name], rtol=1e-5, atol=1e-5 * largest)
        elif name != "probabilities":  # of networks that were trained apart
            np.testing.assert_array_equal(array, here[name], err_msg=name)


def test_all_gives_the_same_where_nothing_can_be_compiled(here: Arrays, uncompiled: Arrays) -> None:
    assert_same(uncompiled, here)


PROCESSORS = ["generic"]  # the least that an architecture has: of x86-64, vectors of SSE2
if get_host_cpu_features().get("avx2"):
    PROCESSORS.append("x86-64-v3")  # AVX2, without AVX-512


@pytest.mark.slow
@pytest.mark.parametrize("name", PROCESSORS)
def test_processors_with_shorter_vectors_give_the_same(
    name: str, tmp_path: Path, here: Arrays
) -> None:
    found = compute_elsewhere(tmp_path, NUMBA_CPU_NAME=name, NUMBA_CPU_FEATURES="")
    assert found.keys() == here.keys()
    assert_same(found, here)


def test_training_on_either_path_reaches_the_same_auc_within_its_interval(
    here: Arrays, uncompiled: Arrays
) -> None:
    labels = here["labels"]
    auc = evaluate(labels, here["probabilities"], rng=np.random.default_rng(0)).auc
    assert auc.low <= roc_auc(labels, uncompiled["probabilities"]) <= auc.high


def test_one_line_says_that_nothing_can_be_compiled(tmp_path: Path) -> None:
    (tmp_path / "some.fa").write_text(">a\nACGTACGTAACCGGTT\n")
    done = subprocess.run(
        [sys.executable, "-m", "enhancer_core", "shuffle", "some.fa", "-k", "2", "-o", "new.fa"],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = (line for line in done.stderr.splitlines() if "warning" in line)
    assert line == (
        "enhancer-core: warning: numba cannot compile here (NUMBA_DISABLE_JIT is set); networks run"
        " in PyTorch, and shuffles and motif scans as plain Python, many times slower"
    )


def test_why_nothing_can_be_compiled_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def njit(*_: object, **__: object) -> Callable[[Any], Any]:
        raise OSError("cannot allocate\nmemory that can be run")

    monkeypatch.setattr(_numba, "njit", njit)
    assert _numba._obstacle() == "OSError: cannot allocate memory that can be run"
