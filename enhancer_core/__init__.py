"""Find enhancers in DNA sequence: k-shuffles, convolutional networks, motifs and variant effects.

Import the module you need (`from enhancer_core import dna, shuffle, train`); this package itself
imports nothing, so that it costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

__version__ = "0.1.0"


def __getattr__(name: str) -> ModuleType:
    """Import `kipoi` when it is asked for: Kipoi imports this package, then reads attributes."""
    if name != "kipoi":
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return import_module(f"{__name__}.kipoi")
