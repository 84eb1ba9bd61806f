"""Probabilities of log odds."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from enhancer_core.models.cpu.object_cache import available, entry

Floats = TypeVar("Floats", NDArray[np.float32], NDArray[np.float64])


def expit(log_odds: Floats) -> Floats:
    """Give 1 / (1 + exp(-x)) of each number: float32 or float64, any shape.

    The same bits as scipy's, which takes a fifth of a second to import.

    Examples
    --------
    >>> expit(np.array([[0.0, np.log(3.0)]])).tolist()
    [[0.5, 0.75]]
    """
    if not available():
        from scipy.special import expit as of_scipy

        found: Floats = of_scipy(log_odds)
        return found
    contiguous = np.ascontiguousarray(log_odds)
    found = np.empty_like(contiguous)
    entry(f"expit{8 * found.itemsize}")(contiguous.ravel(), found.ravel())
    return found
