"""What is not a model file is refused, and nothing in it runs."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from live import Dataset, History, of_history


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


@pytest.fixture(scope="module")
def sequences(history: History, inputs: Path) -> Dataset:
    """Sequences in the history."""
    return history.upload(inputs / "positives.fa")


def test_a_pickle_that_is_passed_off_as_a_model_is_refused_and_not_run(
    history: History, sequences: Dataset, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    pickled = tmp_path / "model.safetensors"
    pickled.write_bytes(pickle.dumps(Payload(ran)))
    model = history.upload(pickled, name="network.pkl")
    error = history.error(
        "predict",
        model_source=of_history("model", model),
        input={"kind": "sequences", "sequences": sequences},
    )
    assert error.startswith("enhancer-core: error: model/network.pkl")
    assert not ran.exists()
    pickle.loads(pickled.read_bytes())  # the payload would have told
    assert ran.exists()
