"""The device that networks run on."""

from __future__ import annotations

import ctypes
import os

from enhancer_core.errors import DeviceError


def resolve_device(device: str) -> str:
    """Turn "auto" into "cuda" where there is a CUDA GPU, else into "cpu".

    PyTorch, which takes seconds to import, is asked only where there is a driver to ask about.

    Raises
    ------
    DeviceError
        If CUDA is asked for and is not there.

    Examples
    --------
    >>> resolve_device("cpu")
    'cpu'
    """
    if device not in ("auto", "cuda"):
        return device
    there = _has_driver()
    if there:
        import torch  # takes seconds to import

        there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise DeviceError("device cuda: this machine has no CUDA GPU that PyTorch can use")
    return "cuda" if there else "cpu"


def _has_driver() -> bool:
    """Return whether NVIDIA's driver is installed."""
    try:
        ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
    except OSError:
        return False
    return True
