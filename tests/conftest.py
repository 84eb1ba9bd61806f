"""Fixtures that more than one test file uses."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# No deadlines, since nothing here is timed, and the same examples in each run.
settings.register_profile("enhancer_core", deadline=None, derandomize=True)
settings.load_profile("enhancer_core")


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data: ENHANCER_DATA, or shared/data beside the repository."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("ENHANCER_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"real data is not at {folder}; set ENHANCER_DATA to its folder")
    return folder
