"""Machine code that is kept: found by later processes, and only where it fits."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import special

from enhancer_core.dna._numba import compiled
from enhancer_core.dna.codes import Codes
from enhancer_core.io.fasta import write_fasta
from enhancer_core.models.architecture import Architecture, Convolution
from enhancer_core.models.cpu import forward, object_cache
from enhancer_core.models.cpu.layout import INTEGER, SIGNATURES, Floats, Kind
from enhancer_core.models.cpu.object_cache import compile_kernel, load_kernel, marshal
from enhancer_core.models.cpu.predictor import expit
from enhancer_core.models.model import save_model
from enhancer_core.models.network import Network
from tests.predictors import model_of

FLOAT32: Kind = (np.dtype(np.float32), 1, True)


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    codes: Codes = np.random.default_rng(0).integers(0, 5, (50, 60), dtype=np.uint8)
    write_fasta(tmp_path / "some.fa", [str(i) for i in range(50)], codes)
    wanted = Architecture(convolutions=(Convolution(4, 7, 4),), dense=(8,), length=60)
    save_model(model_of(Network(wanted), {}), tmp_path / "model.safetensors")
    return tmp_path


def predict(folder: Path, **environment: str) -> tuple[bytes, set[str]]:
    """Predict in a new process: give the table, and the top modules that it imported."""
    args = ["predict", "model.safetensors", "some.fa", "--device", "cpu", "-q", "--force"]
    args += ["-o", "out.tsv"]
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
    key = object_cache._key.__wrapped__  # what it is cached from
    here = key()
    monkeypatch.setenv("NUMBA_CPU_NAME", "generic")
    assert key() != here
    assert key() == key()


@pytest.mark.parametrize("mode", [0o020, 0o002])
def test_code_that_others_may_have_written_is_not_run(inputs: Path, mode: int) -> None:
    folder = inputs / "kept" / "enhancer_core"
    predict(inputs, NUMBA_CACHE_DIR="kept")
    (path,) = folder.glob("pack-*.o")
    assert path.stat().st_mode & 0o777 == 0o644
    path.chmod(0o644 | mode)
    assert "numba" in predict(inputs, NUMBA_CACHE_DIR="kept")[1]
    assert "numba" not in predict(inputs, NUMBA_CACHE_DIR="kept")[1]
    folder.chmod(0o755 | mode)
    assert "numba" in predict(inputs, NUMBA_CACHE_DIR="kept")[1]


def test_code_of_another_user_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    object_cache._write("pack", b"code")
    assert object_cache._read("pack") == b"code"
    (path,) = (tmp_path / "enhancer_core").iterdir()
    monkeypatch.setattr(os, "getuid", lambda: path.stat().st_uid + 1)
    assert (object_cache._read("pack") is None) == (path.stat().st_uid != 0)


@pytest.mark.parametrize("name", SIGNATURES)
def test_machine_code_needs_nothing_of_python(name: str) -> None:
    assert compile_kernel(name)  # else it raises


def test_what_would_need_python_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    @compiled
    def allocates(found: Floats, n: int) -> None:
        found[0] = np.zeros(n).sum()

    monkeypatch.setattr(forward, "allocates", allocates, raising=False)
    monkeypatch.setitem(SIGNATURES, "allocates", (FLOAT32, INTEGER))
    with pytest.raises(RuntimeError, match="machine code of 'allocates' needs NRT_"):
        compile_kernel("allocates")


def test_what_fails_raises(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    @compiled
    def fails(found: Floats, n: int) -> None:
        if n < 0:
            raise ValueError("negative")
        found[0] = n

    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(forward, "fails", fails, raising=False)
    monkeypatch.setitem(SIGNATURES, "fails", (FLOAT32, INTEGER))
    found = np.zeros(1, np.float32)
    load_kernel("fails")(found, 7)
    assert found == 7
    with pytest.raises(RuntimeError, match="kernel 'fails' failed"):
        load_kernel("fails")(found, -1)


def test_arrays_are_marshalled_as_numba_describes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    table = (np.dtype(np.float32), 2, True)
    monkeypatch.setitem(SIGNATURES, "some", (table, INTEGER, FLOAT32, FLOAT32))
    array = np.zeros((2, 3), np.float32)
    place = array.ctypes.data
    row = [*(0, 0, 6, 4, place, 2, 3, 12, 4), 5, *(0, 0, 3, 4, place + 12, 3, 4)]
    assert marshal("some", [array, 5, array[1]]) == np.array(row).tobytes()
    row = [0, 0, 2, 4, place, 2, 4]
    assert marshal("some", [array[0, :2]], first=3) == np.array(row).tobytes()


FLOATS, CODES = np.zeros(9, np.float32), np.zeros(9, np.uint8)


@pytest.mark.parametrize(
    ("name", "arguments", "number", "got", "allowed"),
    [
        (
            "logistic.float64",
            [np.zeros(3), FLOATS],
            2,
            "'float32'), 1, True",
            "'float64'), 1, True",
        ),
        ("logistic.float32", [FLOATS[::2]], 1, "'float32'), 1, False", "'float32'), 1, True"),
        ("predict", [CODES], 1, "'uint8'), 1, True", "'uint8'), 2, True"),
        ("logistic.float32", [7], 1, "None, 0, True", "'float32'), 1, True"),
        ("pack", [FLOATS], 1, "'float32'), 1, True", "[('channels', '<i8'), "),
        ("slide", [CODES, np.zeros(2, int), FLOATS], 3, "", "None, 0, True"),
    ],
)
def test_what_machine_code_would_misread_is_refused(
    name: str, arguments: list[NDArray[Any] | int], number: int, got: str, allowed: str
) -> None:
    kinds = f".*{re.escape(got)}.*; allowed is .*{re.escape(allowed)}"
    with pytest.raises(TypeError, match=f"^{name}, argument {number}: {kinds}"):
        marshal(name, arguments)


def test_what_would_be_misread_does_not_reach_machine_code() -> None:
    found = np.full(9, 5, np.float32)
    with pytest.raises(TypeError, match=r"^logistic.float32, argument 1: \(dtype\('float64'\)"):
        load_kernel("logistic.float32", found)(np.zeros(9))
    assert (found == 5).all()


def test_machine_code_is_not_called_with_too_few_arguments_or_too_many() -> None:
    one = np.zeros(1)
    with pytest.raises(TypeError, match=r"^logistic.float64: 1 arguments; allowed are 2$"):
        load_kernel("logistic.float64")(one)
    with pytest.raises(TypeError, match=r"^logistic.float64: 3 arguments; allowed are 2$"):
        load_kernel("logistic.float64", one)(one, one)


def test_arguments_given_first_are_those_of_each_call() -> None:
    found = np.empty(2)
    logistic = load_kernel("logistic.float64", found)
    for value in (0.0, 1.0):
        logistic(np.full(2, value))
        assert found.tolist() == special.expit([value, value]).tolist()


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
