"""Train networks: many restarts side by side, each at its best epoch, the best of them kept.

The protocol is Cohn et al. 2018, section 3.1.2, with what was measured since: PyTorch's initial
weights, dropout that is active, the whole validation set at every check, and each restart's best
check kept rather than its last. All chance comes from (seed, restart, epoch), so that an
interrupted run continues with the same numbers, and the number of threads changes nothing.
"""

from enhancer_core.train.parts import Part, weighed
from enhancer_core.train.restart import Check, Restart, discard_states
from enhancer_core.train.run import Trained, Work, check_run, train, train_all
from enhancer_core.train.together import arrangement

__all__ = [
    "Check",
    "Part",
    "Restart",
    "Trained",
    "Work",
    "arrangement",
    "check_run",
    "discard_states",
    "train",
    "train_all",
    "weighed",
]
