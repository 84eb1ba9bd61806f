"""Motifs: matrices, their sites in sequences, their similarity, and motifs found de novo.

Known motifs come from `io.read_motifs`; the filters of a network as motifs are in `interpretation`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
