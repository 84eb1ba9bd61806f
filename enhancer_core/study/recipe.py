"""Recipes: what a study is made of, as values that are checked at the door.

A recipe has data, runs and the sections of its report: all that its results depend on, except the
seed. `toml` reads recipes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

from enhancer_core.data.mixture import Mix
from enhancer_core.data.simulation import DEFINITIONS
from enhancer_core.models.architecture import DEFAULT_NETWORK, NETWORKS
from enhancer_core.study.schema import RecipeError
from enhancer_core.training.config import FILE_KEYS, TrainConfig, default_config

# What a run can be beside a network: models without training, and the k-mer model.
ORACLES = ("bayes", "mllr", "mllr-no-prior")
MODELS = ("network", "5-mers", *ORACLES)
SECTIONS = ("models", "each", "matrix", "k_choice", "motifs", "filters", "search")

# As in the paper, but for its 50 restarts and 20 epochs, which no chapter needs.
STUDY_CONFIG = TrainConfig(restarts=3, epochs=12)


@dataclass(frozen=True, kw_only=True, slots=True)
class Data:
    """One data set: a species, a factor or a simulation.

    It comes from files, from a simulation, from a genome (background alone, or as many windows as
    there are positives), from the synthetic world, or from a table, which is for tests alone. Data
    of one `set` are split together, and only they may be pooled.
    """

    name: str
    set: str = ""  # the data's own name if empty
    positives: tuple[str, ...] = ()  # FASTA files
    background: tuple[str, ...] = ()
    numbered: bool = False  # records are named by their number, where a file has a name twice
    simulate: str = ""  # a motif: CEBPA, HNF4A
    definition: str = "figure2"
    genome: str = ""  # FASTA; windows without N; alone, or the background of positives
    repeats: float = 1.0  # share of a genome's window that may be lower case, at most
    world: str = ""  # a species of the synthetic world
    table: str = ""  # columns sequence and bound (1 or 0): test part, with all that is linked to it
    number: int | None = None  # sequences of each class, at most; None takes all of a file
    length: int = 500  # bp, of what is not read from files
    folds: int = 0  # 2 or more: cross-validation; a run is then one on each fold
    relatives: bool = False  # whether the set's relatives (see `relatives`) share a part

    def __post_init__(self) -> None:
        files = self.positives or self.background
        genome = "" if self.positives and not self.background else self.genome
        sources = (files, self.simulate, genome, self.world, self.table)
        kinds = "positives and background, positives and genome, simulate, genome, world, or table"
        number = 20 if self.number is None and (files or self.table) else self.number
        is_alone = self.set in ("", self.name) and not self.table
        folds = "0, and 2 or more of data in no set with others, and of no table"
        _refuse(
            (sum(map(bool, sources)) != 1, f"one source is needed: {kinds}"),
            (number is None, "'number' is needed for what is not read from files"),
            ((number or 0) < 20, f"number is {number}; at least 20 of each class are needed"),
            (
                self.folds != 0 and (self.folds < 2 or not is_alone),
                f"folds is {self.folds} in the set '{self.set_name}'; allowed are {folds}",
            ),
            (not 0 <= self.repeats <= 1, f"repeats is {self.repeats}; allowed is 0 to 1"),
        )
        _check_choices(self, definition=DEFINITIONS)

    @property
    def set_name(self) -> str:
        """Name of the set."""
        return self.set or self.name

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of its splits: its own, or one of each fold."""
        return tuple(f"{self.name}@{i + 1}" for i in range(self.folds)) or (self.name,)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Step:
    name: str
    title: str = ""  # its name in the report; `name` if empty

    @property
    def shown(self) -> str:
        """Its name in the report."""
        return self.title or self.name


@dataclass(frozen=True, kw_only=True, slots=True)
class Run(_Step):
    """One model: what it learns from, how, and on what it is tested.

    In a recipe the fields of `config` are keys like the others; those that are not given are those
    of `STUDY_CONFIG`, or of the network's own protocol.
    """

    model: str = "network"
    data: tuple[str, ...]
    positive: str = "positives"  # or background: it is then told from its own shuffles
    background: int = 1  # copies among the negatives
    shuffles: tuple[int, ...] = ()  # k of each set of k-shuffles among the negatives
    share: float = 1.0  # of the training and validation parts
    over: str = ""  # one run for each of the data alone, left out, with the nearest, or for each k
    ks: tuple[int, ...] = ()  # with over = "k"
    nearest: int = 1  # with over = "nearest": how many others
    network: str = "enhancer"
    config: TrainConfig = STUDY_CONFIG
    widen: float = 1.0  # times the filters of each convolution
    filters: int | None = None  # of the first convolution, whatever `widen` says
    width: int | None = None  # bp of each of these; None: the network's own
    # Runs, on data of the same set, whose filters make up three quarters of a wider network's.
    plant: tuple[str, ...] = ()
    plant_motifs: tuple[str, ...] = ()  # FILE or FILE:NAME, as filters of the first convolution
    initial: str = ""  # a run, on data of the same set, whose weights are the first ones
    warm: bool = False  # with over = "k": each k starts from the weights of the one before
    updates_of: str = ""  # a run: as many mini-batches as it takes, in whole epochs
    control_of: str = ""  # the run whose gain this one checks
    baseline: str = ""  # a run of 5-mers; its AUC goes into the model's record, to be published
    # Data, or DATA/4: against 4-shuffles; with over = "k", DATA/k is each run's own k. Empty: the
    # run's own task.
    tests: tuple[str, ...] = ()
    motifs: tuple[str, ...] = ()  # looked for among the first layer's filters
    paper: float | None = None  # AUC that the paper gives
    group: str = ""  # the run of the recipe that this one came of; not to be given

    def __post_init__(self) -> None:
        over = ("", "each", "left_out", "nearest", "k")
        positive = ("positives", "background")
        _check_choices(self, model=MODELS, positive=positive, over=over, network=NETWORKS)
        starts = sum(map(bool, (self.plant, self.plant_motifs, self.initial)))
        _refuse(
            (not self.data, "'data' is empty; name at least one"),
            (not 0 < self.share <= 1, f"share is {self.share}; allowed is above 0, up to 1"),
            ((self.over == "k") != bool(self.ks), "'ks' and over = \"k\" need each other"),
            (self.warm and self.over != "k", "'warm' needs over = \"k\""),
            (starts > 1, "allowed is one of 'plant', 'plant_motifs' and 'initial'"),
        )
        if self.over != "k" and self.model not in ORACLES:
            self.mix()

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the runs that it builds on."""
        return tuple(filter(None, (*self.plant, self.initial, self.updates_of, self.baseline)))

    @property
    def motif_files(self) -> tuple[str, ...]:
        """Names of the files whose motifs it plants, or looks for among its filters."""
        specs = (*self.plant_motifs, *(spec for spec in self.motifs if ":" in spec))
        return tuple(dict.fromkeys(spec.partition(":")[0] for spec in specs))

    @property
    def plants_known(self) -> bool:
        """Whether it plants the package's motifs, as `train` does by default."""
        starts = self.plant or self.plant_motifs or self.initial
        return self.model == "network" and self.network == DEFAULT_NETWORK and not starts

    def mix(self) -> Mix:
        """Return the mix of negatives that its positives are told from."""
        copies = 0 if self.positive == "background" else self.background
        return Mix(background=copies, shuffles=self.shuffles)


@dataclass(frozen=True, kw_only=True, slots=True)
class Search(_Step):
    """The search for the best mix of negatives, by successive halving.

    Candidates are all sets of k with each number of copies of the background. In each round all
    that are left train with an equal share of the round's updates, by the paper's protocol; the
    better ones by validation AUC go on (Jamieson and Talwalkar 2016). The test part is looked at
    once, for the winner.
    """

    data: tuple[str, ...]
    ks: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8, 9)
    copies: tuple[int, ...] = (1, 2, 3)
    updates: int  # mini-batches in all
    keep_one_of: int = 4
    network: str = "enhancer"
    restarts: int = 3  # of the winner, and its epochs
    epochs: int = 12
    paper: float | None = None
    # What it has in common with runs.
    model: ClassVar[str] = "network"
    group: ClassVar[str] = ""
    control_of: ClassVar[str] = ""
    needs: ClassVar[tuple[str, ...]] = ()
    motifs: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        names = [name for name in NETWORKS if default_config(name) == TrainConfig()]
        allowed = f"{spelled(names)}, trained by the paper's protocol"
        is_empty = not self.data or min(self.copies, default=0) < 1
        _refuse(
            (self.network not in names, f"network '{self.network}'; allowed are {allowed}"),
            (self.keep_one_of < 2, f"keep_one_of is {self.keep_one_of}; at least 2"),
            (is_empty, "'data' and 'copies' need an entry each, copies of at least 1"),
        )
        TrainConfig(restarts=self.restarts, epochs=self.epochs)

    @property
    def tests(self) -> tuple[str, ...]:
        """What its winner is tested on."""
        return self.data


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportSection:
    """A section of the report."""

    kind: str
    title: str
    text: str = ""  # what is asked, and how
    paper: str = ""  # what the paper found
    runs: tuple[str, ...]  # or the runs that were given `over` something, by their one name
    tests: tuple[str, ...] = ()  # empty: all that the runs have in common
    beside: str = ""  # which of `runs` the others are compared with; the first if empty
    headline: str = ""  # what its main figure is called at the top of the page; empty: not there
    within: float | None = None  # of a section of models: how near the first is to come to `beside`
    least: float | None = None  # a figure that is to be reached; the report says whether it was
    most_q: float = 0.01  # of motifs and filters: false discovery rate below which one matches
    k: int | None = None  # of a choice of k: what the recipe goes on with, whatever is recommended

    def __post_init__(self) -> None:
        _check_choices(self, kind=SECTIONS)
        _refuse((not self.runs, "'runs' is empty; name at least one"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """One chapter of a study."""

    name: str
    title: str
    text: str
    data: tuple[Data, ...]
    runs: tuple[Run, ...]
    searches: tuple[Search, ...]
    sections: tuple[ReportSection, ...]
    tree: str = ""  # Newick, of the data

    @property
    def steps(self) -> list[Run | Search]:
        """What is to be done, in an order in which nothing needs what follows."""
        return [*self.runs, *self.searches]

    def members(self, name: str) -> tuple[str, ...]:
        """Return the names of the runs that a name stands for."""
        return tuple(s.name for s in self.steps if name in (s.name, s.group))


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """What one report is made of."""

    title: str
    recipes: tuple[Recipe, ...]


def split_test(test: str) -> tuple[str, int | None]:
    """Split the name of a test into its data and k, None where it is not against shuffles.

    Raises
    ------
    RecipeError
        If what follows the slash is not a whole number from 1.
    """
    name, slash, k = test.partition("/")
    if not slash:
        return name, None
    if not k.isdigit() or int(k) < 1:
        raise RecipeError(f"test '{test}'; allowed are DATA, and DATA/k with k from 1")
    return name, int(k)


def _refuse(*checks: tuple[bool, str]) -> None:
    """Raise the message of the first check that is true."""
    for is_wrong, message in checks:
        if is_wrong:
            raise RecipeError(message)


def _check_choices(thing: object, **choices: Mapping[str, object] | Sequence[str]) -> None:
    """Raise unless each of these fields is one of its choices."""
    for name, allowed in choices.items():
        if (value := getattr(thing, name)) not in allowed:
            raise RecipeError(f"{name} '{value}'; allowed are {spelled(allowed)}")


def spelled(names: Mapping[str, object] | Sequence[str]) -> str:
    """Format names for an error message: `'a', 'b'`."""
    return ", ".join(f"'{name}'" for name in names)


def settings(step: Data | Run | Search) -> dict[str, Any]:
    """Return what a step's numbers depend on: its fields, but for names and those of the report.

    Only values that differ from their defaults are in it, so that results stay valid when a later
    release adds a field; options of training have the keys of model files for the same reason.
    """
    shown = {"name", "title", "set", "group", "paper", "control_of", "config"}
    changes = {
        field.name: getattr(step, field.name)
        for field in fields(step)
        if field.name not in shown and getattr(step, field.name) != field.default
    }
    config = asdict(step.config) if isinstance(step, Run) else {}
    return changes | {
        FILE_KEYS.get(name, name): value
        for name, value in config.items()
        if value != getattr(STUDY_CONFIG, name)
    }


def runs_of(section: ReportSection, recipe: Recipe) -> list[Run | Search]:
    """Return the runs of a section, in its order."""
    by_name = {step.name: step for step in recipe.steps}
    names = dict.fromkeys(member for name in section.runs for member in recipe.members(name))
    return [by_name[name] for name in names]


def groups_of(runs: Sequence[Run | Search]) -> dict[str, list[Run]]:
    """Return runs, without searches, by the run of the recipe they came from."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        if isinstance(run, Run):
            groups.setdefault(run.group or run.name, []).append(run)
    return groups


def single_data_runs(runs: Sequence[Run]) -> dict[str, Run]:
    """Return the runs that learn from one data set only, by its name."""
    return {run.data[0]: run for run in runs if len(run.data) == 1}
