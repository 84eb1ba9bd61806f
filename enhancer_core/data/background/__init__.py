"""Background windows of a genome: no N, far from genes, off excluded intervals and off each other.

What is allowed is cut into windows once, and windows are drawn from those. So nothing is tried and
thrown away: the time is linear in the genome, the number that a genome can supply is known, and no
two windows can overlap.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
