"""Machine code that is kept: found by later processes, and only where it fits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from enhancer_core.architecture import Architecture, Convolution
from enhancer_core.checkpoint import save_model
from enhancer_core.dna import Codes
from enhancer_core.engine import entries, kept
from enhancer_core.engine.odds import expit
from enhancer_core.io.fasta import write_fasta
from enhancer_core.model import Network

NAMES = ("pack", "forward", "substitute", "fragments", "windows", "expit32", "expit64")


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    codes: Codes = np.random.default_rng(0).integers(0, 5, (50, 60), dtype=np.uint8)
    write_fasta(tmp_path / "some.fa", [str(i) for i in range(50)], codes)
    wanted = Architecture(convolutions=(Convolution(4, 7, 4),), dense=(8,), length=60)
    save_model(tmp_path / "model.safetensors", Network(wanted), {})
    return tmp_path


def predict(folder: Path, **environment: str) -> tuple[bytes, set[str]]:
    """Predict in a new process: give the table, and the top modules that it imported."""
    args = ["predict", "model.safetensors", "some.fa", "--device", "cpu", "-q", "-o", "out.tsv"]
    code = "import atexit, sys; atexit.register(lambda: print(*sys.modules));"
    done = subprocess.run(
        [sys.executable, "-c", f"{code} from enhancer_core.cli import main; main({args})"],
        cwd=folder,
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    return (folder / "out.tsv").read_bytes(), loaded


def test_prediction_imports_numba_once_and_then_never(inputs: Path) -> None:
    first, compiling = predict(inputs, NUMBA_CACHE_DIR="kept")
    again, loaded = predict(inputs, NUMBA_CACHE_DIR="kept")
    assert "numba" in compiling
    assert not loaded & {"numba", "scipy", "torch"}
    assert first == again


def test_code_that_is_damaged_is_made_again(inputs: Path) -> None:
    first, _ = predict(inputs, NUMBA_CACHE_DIR="kept")
    files = sorted((inputs / "kept" / "enhancer_core").glob("*.o"))
    assert len(files) == 3
    for path, content in zip(files, (b"", b"\x1f\x8b\x08", b"0" * 5000), strict=True):
        path.write_bytes(content)
    again, compiling = predict(inputs, NUMBA_CACHE_DIR="kept")
    assert "numba" in compiling
    assert first == again
    assert "numba" not in predict(inputs, NUMBA_CACHE_DIR="kept")[1]


def test_without_a_place_to_keep_code_all_is_the_same(inputs: Path) -> None:
    (inputs / "file").write_text("")
    first, _ = predict(inputs)
    again, compiling = predict(inputs, NUMBA_CACHE_DIR=str(inputs / "file"))
    assert "numba" in compiling
    assert first == again


def test_code_for_another_processor_has_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", "here")
    key = kept._key.__wrapped__  # what it is cached from
    here = key()
    monkeypatch.setenv("NUMBA_CPU_NAME", "generic")
    assert key() != here
    assert key() == key()


@pytest.mark.parametrize("name", NAMES)
def test_machine_code_needs_nothing_of_python(name: str) -> None:
    assert entries.machine_code(name)  # else it raises


def test_what_would_need_python_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(found: entries.Value, n: int) -> None:
        if n < 0:
            raise ValueError("negative")
        found[0] = n

    entry = fails, entries._FLOATS
    monkeypatch.setitem(entries._ENTRIES, "fails", entry)
    with pytest.raises(RuntimeError, match="machine code of 'fails' needs "):
        entries.machine_code("fails")


def test_arrays_are_spelled_as_addresses_and_sizes() -> None:
    array = np.zeros((2, 3), np.float32)
    assert kept.flat(array, 5, array[0]) == [array.ctypes.data, 2, 3, 5, array.ctypes.data, 3]


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1))
def test_probabilities_of_float32_are_those_of_scipy_to_the_bit(values: list[float]) -> None:
    log_odds = np.array(values, np.float32)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(expit(log_odds), special.expit(log_odds))


@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_probabilities_of_float64_are_those_of_scipy_to_the_bit(values: list[float]) -> None:
    log_odds = np.array(values)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(expit(log_odds), special.expit(log_odds))


def test_probabilities_have_the_shape_of_what_they_are_of() -> None:
    log_odds = np.arange(6, dtype=np.float64).reshape(2, 3)
    assert expit(log_odds[:, ::2]).tolist() == special.expit(log_odds[:, ::2]).tolist()
