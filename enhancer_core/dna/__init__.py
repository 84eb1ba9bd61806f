"""DNA as base codes: encoding, k-mers, intervals and k-shuffles, as pure functions of arrays.

Base codes are uint8, A=0 C=1 G=2 T=3 N=4; intervals are half-open and counted from 0.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
