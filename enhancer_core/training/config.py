"""How networks are trained: the numbers of a protocol, and what follows from them alone."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from enhancer_core.errors import DatasetError

_CHOICES = {"keep": ("best", "last"), "schedule": ("constant", "cosine")}
# See `to_dict`.
_LATER = (
    *("shift", "flip", "mutate", "weight_decay", "average", "schedule", "freeze"),
    *("ensemble", "calibrate", "regressions"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """How networks are trained; defaults are Cohn et al. 2018, section 3.1.2."""

    restarts: int = 50  # random initialisations; the best by validation AUC is kept
    epochs: int = 20
    batch: int = 50  # sequences
    learning_rate: float = 1e-3  # of Adam with betas 0.9 and 0.999, epsilon 1e-8
    stop_below_loss: float = 2e-4  # mean cross-entropy of one mini-batch, nats
    checks_per_epoch: int | None = None  # None: 1, or 4 from 100,000 training sequences
    keep: str = "best"  # which check of a restart: best, or last as the published code
    mixed_precision: bool = True  # bfloat16 where it is safe; on CUDA only
    # Not in the paper; all of them off by default.
    shift: int = 0  # bp that a training sequence may move at each visit, either way
    flip: bool = False  # whether each visit reads a random strand
    mutate: float = 0.0  # chance of each letter to become a random base at each visit
    weight_decay: float = 0.0  # decoupled, of weights, not biases (Loshchilov and Hutter 2019)
    average: float = 0.0  # decay of a running mean of the weights, which is then what is kept
    schedule: str = "constant"  # or cosine: down to 0 over all steps (Loshchilov and Hutter 2017)
    freeze: int = 0  # epochs for which what is planted stays as it is
    ensemble: int = 1  # restarts kept, the best ones by validation AUC; their mean logits count
    calibrate: bool = False  # whether log odds are scaled and shifted on the validation set
    # Whether regressions on 5-mers, and on the best hits of motifs if there are, join the networks.
    regressions: bool = False

    def __post_init__(self) -> None:
        """Check the values at the door."""
        for name in ("restarts", "epochs", "batch"):
            if getattr(self, name) < 1:
                raise DatasetError(f"{name} of {getattr(self, name)} is not allowed; at least 1")
        if self.checks_per_epoch is not None and self.checks_per_epoch < 1:
            raise DatasetError(
                f"checks_per_epoch of {self.checks_per_epoch} is not allowed; at least 1"
            )
        for name in ("shift", "weight_decay", "freeze"):
            if not getattr(self, name) >= 0:
                raise DatasetError(f"{name} of {getattr(self, name)} is not allowed; at least 0")
        self._check_ensemble()
        for name in ("average", "mutate"):
            if not 0 <= getattr(self, name) < 1:
                raise DatasetError(
                    f"{name} of {getattr(self, name)} is not allowed; from 0 to below 1"
                )
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise DatasetError(
                    f"{name} '{getattr(self, name)}' is not known; allowed are"
                    f" {' and '.join(allowed)}"
                )

    def _check_ensemble(self) -> None:
        if not 1 <= self.ensemble <= self.restarts:
            raise DatasetError(
                f"ensemble of {self.ensemble} is not allowed; from 1 to the {self.restarts}"
                " restarts"
            )
        if self.regressions and not self.calibrate:
            raise DatasetError(
                "regressions need calibrate: what several kinds of models say together is no"
                " probability by itself"
            )

    def to_dict(self) -> dict[str, Any]:
        """Give the fields as plain values, for JSON.

        What came after the first models stands there only where it differs from its default, so
        that the records of runs that do without stay as they were, to the byte.
        """
        default = TrainConfig()
        return {
            name: value
            for name, value in asdict(self).items()
            if name not in _LATER or value != getattr(default, name)
        }

    def rate(self, step: int, *, total: int) -> float:
        """Give the learning rate of a step, counted from 0, of a run of so many steps at most.

        Examples
        --------
        >>> TrainConfig(learning_rate=0.5, schedule="cosine").rate(50, total=100)
        0.25
        """
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * (0.5 + 0.5 * math.cos(math.pi * step / total))


# Not the paper's: chosen by AUC on folds of the human liver data, most of it from one restart a
# setting, which differ by .005 by chance alone; training/best.py says how well it does. All
# restarts are kept: two that reached .793 and .798 reached .804 together. Regressions add more than
# more networks. Random letters (`mutate`) are not among it: with them networks learn nothing of
# sites as few as the demo's, and no more of the liver.
_BEST = TrainConfig(
    restarts=4,
    learning_rate=3e-3,
    keep="last",
    shift=20,
    flip=True,
    weight_decay=0.01,
    average=0.995,
    schedule="cosine",
    ensemble=4,
    calibrate=True,
    regressions=True,
)


def protocol(network: str) -> TrainConfig:
    """Give the protocol that a named network is trained by: the paper's, or that of `best`.

    Examples
    --------
    >>> protocol("enhancer") == TrainConfig(), protocol("best").schedule
    (True, 'cosine')
    """
    return _BEST if network == "best" else TrainConfig()
