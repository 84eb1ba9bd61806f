"""Train networks: many restarts side by side, each at its best epoch, the best of them kept.

The protocol is Cohn et al. 2018, section 3.1.2, with what was measured since: PyTorch's initial
weights, dropout that is active, the whole validation set at every checkpoint, and each restart's
best one kept rather than its last. All chance comes from (seed, restart, epoch), so that an
interrupted run continues with the same numbers, and the number of threads changes nothing.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
