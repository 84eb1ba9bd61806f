"""Models: what networks are made of, the one `Model` and its file, and simple models beside them.

`cpu` computes with networks on a CPU core, compiled; `gpu` with many at once, in PyTorch; `network`
is the PyTorch network, the reference. Regressions on k-mers are k-mer weights, which are members
too; those on motifs are written as networks.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
