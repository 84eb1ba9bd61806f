"""Find enhancers in DNA sequence: k-shuffles, convolutional networks, motifs and variant effects.

    import enhancer_core as ec

The names below are loaded when they are first used, so that importing the package costs nothing.
The wings (`ec.dna`, `ec.motifs`, `ec.io`, `ec.data`, `ec.models`, `ec.prediction`,
`ec.interpretation`, `ec.training`, `ec.study`, `ec.report`, `ec.kipoi`) hold the rest.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
