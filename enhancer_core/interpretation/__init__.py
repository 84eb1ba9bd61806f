"""What a network learned: filters as motifs, gradients by base, and interactions of motifs.

The weights of the second layer suggest which first-layer filters interact, and at which distance to
within a pool (`second_layer`). They know nothing of what later layers make of it; the test is to
plant. Of two sites in background DNA the interaction is the log odds with both, less those with
either alone, plus those with none: 0 if their effects add up (Avsec et al. 2021, in silico motif
interactions). Scores are means of both strands, so a pair and its reverse complement are one pair,
and four arrangements remain: the second site before or behind the first, on its strand or opposite.

A network of this kind hardly tells the four apart: its first layer keeps the better strand and
forgets which it was, so that sites far enough apart count alike on either, and with both strands
averaged, in either order. That all four interactions are equal is a result too.

References
----------
Avsec Z. et al. (2021). Nature Genetics 53:354-366.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
