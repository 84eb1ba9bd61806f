"""What the comparison in folds rests on."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from enhancer_core.dna.codes import N_CODE, reverse_complement


def script() -> ModuleType:
    path = Path(__file__).parents[2] / "training" / "best.py"
    spec = importlib.util.spec_from_file_location("best", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["best"] = module
    spec.loader.exec_module(module)
    return module


best = script()


def test_sequences_that_share_fifty_words_on_either_strand_are_near_duplicates() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (5, 200), dtype=np.uint8)
    codes[1, 100:179] = codes[0, :79]  # 79 - 30 + 1 = 50 words
    codes[2, 100:178] = codes[0, :78]  # 49
    codes[3, 121:] = reverse_complement(codes[1, :79][np.newaxis])[0]
    codes[4] = N_CODE
    groups = best.near_duplicates(codes).tolist()
    assert groups[0] == groups[1] == groups[3]
    assert len(set(groups)) == 3


def test_words_count_once_so_that_a_simple_repeat_is_no_duplication() -> None:
    repeat = np.tile(np.array([0, 1], np.uint8), (2, 100))
    assert len(set(best.near_duplicates(repeat).tolist())) == 2


def test_differences_are_means_over_folds_with_the_folds_errors() -> None:
    labels = np.array([True, True, False, False])
    ours, theirs = np.array([4.0, 3, 2, 1]), np.array([4.0, 1, 3, 2])
    value, half = best.mean_difference([labels] * 4, [ours] * 4, [theirs] * 4)
    one = best.mean_difference([labels], [ours], [theirs])
    assert value == one[0] == 0.5
    assert half == pytest.approx(one[1] / 2)  # four folds halve the error
