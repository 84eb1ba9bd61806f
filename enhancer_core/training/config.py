"""How networks are trained: every option declared once, and what follows from them alone."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, TypeVar

from enhancer_core.errors import DatasetError
from enhancer_core.models.architecture import DEFAULT_NETWORK

T = TypeVar("T")

# Keys in model files where they are not the fields' names: older files are read, and models that
# are trained again have the same checksum.
FILE_KEYS = {"batch_size": "batch", "ema": "average", "learning_rate_schedule": "schedule"}
# In every model file; the others only where they differ from their defaults, so that a new option
# changes no file that does without it.
_ALWAYS_RECORDED = {
    *("restarts", "epochs", "batch_size", "learning_rate", "stop_below_loss", "checks_per_epoch"),
    *("keep", "mixed_precision"),
}


@dataclass(frozen=True, slots=True)
class TrainOption:
    """What a field of `TrainConfig` means, which values it takes, and where help shows it."""

    help: str  # empty: not on the command line
    section: str  # of the command line's help
    advanced: bool  # whether `--help` only names it, and `--help-all` explains it
    metavar: str
    at_least: float | None
    above: float | None
    below: float | None
    choices: tuple[str, ...]

    def problem(self, name: str, value: Any) -> str:  # noqa: ANN401
        """Return what is wrong with a value; empty if it is allowed."""
        if self.choices:
            if value in self.choices:
                return ""
            return f"{name} '{value}' is not known; allowed are {' and '.join(self.choices)}"
        if value is None or (
            (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        ):
            return ""
        allowed = f"at least {self.at_least}" if self.above is None else f"above {self.above}"
        if self.below is not None:
            allowed = f"from {self.at_least} to below {self.below}"
        return f"{name} of {value} is not allowed; {allowed}"


def _option(  # noqa: PLR0913
    help: str = "",  # noqa: A002
    *,
    default: T,
    section: str = "Training",
    advanced: bool = False,
    metavar: str = "N",
    at_least: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: tuple[str, ...] = (),
) -> T:
    """Declare a field; for type checkers it is its default."""
    option = TrainOption(help, section, advanced, metavar, at_least, above, below, choices)
    return field(default=default, metadata={"option": option})


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """How networks are trained; defaults are Cohn et al. 2018, section 3.1.2.

    To add an option, add a field with a help text: it is then an option of `train` and a key of
    recipes, checked in both, and stands in reports and model files where it is used.

    Raises
    ------
    DatasetError
        If a value is not allowed, or two do not go together.
    """

    restarts: int = _option(
        "Random initialisations; the best by validation AUC is kept.", default=50, at_least=1
    )
    epochs: int = _option("Passes over the training part, at most.", default=20, at_least=1)
    batch_size: int = _option("Sequences in a mini-batch.", default=50, advanced=True, at_least=1)
    learning_rate: float = _option(  # betas 0.9 and 0.999, epsilon 1e-8
        "Learning rate of Adam.", default=1e-3, advanced=True, metavar="RATE", above=0
    )
    stop_below_loss: float = _option(
        "End a restart when a mini-batch's mean cross-entropy, in nats, falls below this.",
        default=2e-4, advanced=True, metavar="LOSS", at_least=0,
    )  # fmt: skip
    # None: 1, or 4 from 100,000 training sequences
    checks_per_epoch: int | None = _option(default=None, at_least=1)
    keep: str = _option(
        "Checkpoint of a restart to keep: the best by validation AUC, or the last, as the published"
        " code does.",
        default="best", advanced=True, choices=("best", "last"),
    )  # fmt: skip
    mixed_precision: bool = _option(default=True)  # bfloat16 where it is safe, on CUDA only
    # Not in the paper; all of them off by default.
    shift: int = _option(
        "Shift a training sequence by up to this many bp, either way, whenever it is read.",
        default=0, section="Augmentation", advanced=True, metavar="BP", at_least=0,
    )  # fmt: skip
    flip: bool = _option(
        "Read a random strand of a training sequence each time.",
        default=False, section="Augmentation", advanced=True,
    )  # fmt: skip
    mutate: float = _option(
        "Replace this share of a training sequence's letters by random bases each time.",
        default=0.0, section="Augmentation", advanced=True, metavar="SHARE", at_least=0, below=1,
    )  # fmt: skip
    weight_decay: float = _option(  # of weights, not biases (Loshchilov and Hutter 2019)
        "Decoupled weight decay, as in AdamW.",
        default=0.0, advanced=True, metavar="DECAY", at_least=0,
    )  # fmt: skip
    ema: float = _option(
        "Use an exponential moving average of the weights with this decay, such as 0.995, in place"
        " of the weights.",
        default=0.0, advanced=True, metavar="DECAY", at_least=0, below=1,
    )  # fmt: skip
    learning_rate_schedule: str = _option(  # cosine over all steps (Loshchilov and Hutter 2017)
        "Learning rate over time; cosine anneals it to 0.",
        default="constant", advanced=True, choices=("constant", "cosine"),
    )  # fmt: skip
    freeze: int = _option(
        "Epochs for which planted or initial weights are frozen.",
        default=0, section="Transfer", advanced=True, metavar="EPOCHS", at_least=0,
    )  # fmt: skip
    ensemble: int = _option(
        "Keep the N best restarts in one model, which predicts with their mean log odds.",
        default=1, section="Ensemble", at_least=1,
    )  # fmt: skip
    calibrate: bool = _option(
        "Calibrate probabilities on the validation part (Platt scaling); the ranking stays.",
        default=False, section="Ensemble", advanced=True,
    )  # fmt: skip
    stack: bool = _option(
        "Stack the networks with simple models: the paper's network, and logistic regressions on"
        " 5-mers and gapped k-mers, with weights that are fitted on the validation part; what does"
        " not help is left out.",
        default=False, section="Ensemble",
    )  # fmt: skip
    most_updates: int | None = _option(
        "Mini-batches of a restart, at most: fewer epochs for more data.",
        default=None, advanced=True, at_least=1,
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Check the values at the door."""
        if not 1 <= self.ensemble <= self.restarts and self.restarts >= 1:
            raise DatasetError(
                f"ensemble of {self.ensemble} is not allowed; from 1 to the {self.restarts}"
                " restarts"
            )
        for option in fields(self):
            name = option.name
            if problem := option.metadata["option"].problem(name, getattr(self, name)):
                raise DatasetError(problem)

    def changes(self) -> dict[str, Any]:
        """Return the fields that differ from their defaults."""
        defaults = {option.name: option.default for option in fields(self)}
        return {name: value for name, value in asdict(self).items() if value != defaults[name]}

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as model files have them: plain values, for JSON."""
        names = _ALWAYS_RECORDED | self.changes().keys()
        recorded = {name: value for name, value in asdict(self).items() if name in names}
        return {FILE_KEYS.get(name, name): value for name, value in recorded.items()}

    def for_data(self, sequences: int) -> TrainConfig:
        """Return the configuration for this many training sequences: with `most_updates` kept.

        Examples
        --------
        >>> TrainConfig(epochs=20, most_updates=1_000).for_data(10_000).epochs
        5
        """
        if self.most_updates is None:
            return self
        per_epoch = -(-sequences // self.batch_size)
        return replace(self, epochs=min(self.epochs, max(1, self.most_updates // per_epoch)))

    def rate(self, step: int, *, total: int) -> float:
        """Return the learning rate at a step, counted from 0, of at most `total` steps."""
        if self.learning_rate_schedule == "constant":
            return self.learning_rate
        return self.learning_rate * (0.5 + 0.5 * math.cos(math.pi * step / total))


# Not the paper's: chosen by the mean AUC of stacks on ChIP-seq peaks, enhancers, promoters, open
# chromatin and simulated sequences; training/defaults.py says how well it does.
_MOTIF_CNN = TrainConfig(
    restarts=2,
    epochs=20,
    learning_rate=3e-3,
    shift=20,
    flip=True,
    weight_decay=0.01,
    ema=0.995,
    learning_rate_schedule="cosine",
    ensemble=2,
    stack=True,
    most_updates=6_000,
)


def default_config(network: str, *, drawn: bool = False) -> TrainConfig:
    """Return how a named network is trained by default: as in the paper, or as `motif_cnn` is.

    Windows that are drawn from a genome, `drawn`, are shifted in any case: their flanks are known.
    """
    config = _MOTIF_CNN if network == DEFAULT_NETWORK else TrainConfig()
    return replace(config, shift=_MOTIF_CNN.shift) if drawn else config
