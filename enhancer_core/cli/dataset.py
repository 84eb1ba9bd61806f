"""Options for labelled sequences and their split, which train, baseline and pssm share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from enhancer_core import data, io
from enhancer_core.cli import options as opt
from enhancer_core.cli.common import Job

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LENGTH = 500  # bp, of windows of a genome
_NEGATIVES = 8  # `data.NEGATIVES_PER_POSITIVE`, which help does without: it loads NumPy
_SHARED = "their sequence, or one of the same name, stands in an earlier group too"


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSource:
    """Which sequences to learn from, and how they are split, as the options say."""

    positives: tuple[Path, ...]
    negatives: tuple[Path, ...]
    length: int | None
    split_table: Path | None
    groups: str | None
    test_group: tuple[str, ...]
    validation_group: tuple[str, ...]
    genome: Path | None = None
    peaks: Path | None = None
    regions: Path | None = None
    tile: bool | None = None
    negatives_per_positive: int | None = None
    hard_negatives: int = 0
    skip_missing: bool = False
    folds: int | None = None

    def check(self) -> None:
        """Check which options go together.

        Raises
        ------
        UsageError
            If some do not.
        """
        sequences = bool(self.positives or self.negatives)
        if self.genome is None:
            if self.peaks is not None:
                raise click.UsageError("--peaks needs --genome")
            if not (self.positives and self.negatives):
                raise click.UsageError("give --positives and --negatives, or --genome and --peaks")
            for flag, value in (
                ("--regions", self.regions),
                ("--tile", self.tile is not None),
                ("--negatives-per-positive", self.negatives_per_positive),
                ("--hard-negatives", self.hard_negatives),
                ("--skip-missing", self.skip_missing),
            ):
                if value:
                    raise click.UsageError(f"{flag} needs --genome")
        elif self.peaks is None or sequences:
            raise click.UsageError("--genome needs --peaks, and no --positives or --negatives")
        elif self.split_table is not None or self.groups is not None:
            raise click.UsageError(
                "--genome keeps chromosomes in one part by itself; --split and --groups are for"
                " --positives and --negatives"
            )
        if self.folds is not None and (
            self.split_table is not None or self.test_group or self.validation_group
        ):
            raise click.UsageError(
                "--folds tests on everything in turn; --split, --test-group and --validation-group"
                " name one test part"
            )

    @property
    def files(self) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """The files of positives and of negatives: peaks, and the genome that they are in."""
        if self.genome is None or self.peaks is None:
            return self.positives, self.negatives
        return (self.peaks,), (self.genome,)

    def splits(self, job: Job) -> list[data.SplitDataset]:
        """Read and split the data: once, or in folds."""
        if self.genome is not None and self.peaks is not None:
            for path in (self.genome, self.peaks):
                io.check_regular(path)
            return self._along_genome(self.genome, self.peaks, job)
        dataset = self.read(job)
        if self.folds is None:
            return [self.split(dataset, job)]
        groups = None
        if self.groups is not None:
            groups = self._groups(dataset, self.groups)
            kept = data.without_shared_sequences(dataset, groups)
            if not kept.all():
                _tell_left_out(int((~kept).sum()), len(dataset), _SHARED, job)
            dataset, groups = dataset.take(kept), groups[kept]
        splits = data.split_folds(dataset, folds=self.folds, rng=job.rng(), groups=groups)
        _tell_conflicts(dataset, job)
        return splits

    def _along_genome(self, genome: Path, peaks: Path, job: Job) -> list[data.SplitDataset]:
        options: dict[str, Any] = {
            "regions": self.regions, "length": self.length or _LENGTH, "tile": self.tile,
            "negatives_per_positive": self.negatives_per_positive or data.NEGATIVES_PER_POSITIVE,
            "rng": job.rng(), "note": job.info,
        }  # fmt: skip
        if self.length is None:
            job.info(f"windows of {_LENGTH} bp; --length is for others")
        with io.open_genome(genome, note=job.info, skip_missing=self.skip_missing) as opened:
            if self.folds is not None:
                return data.split_genome_folds(opened, peaks, folds=self.folds, **options)
            split = data.split_genome(
                opened, peaks, test=self.test_group, validation=self.validation_group, **options
            )
        return [split]

    def read(self, job: Job) -> data.Dataset:
        """Read the sequences."""
        return read_labelled(self.positives, self.negatives, job, length=self.length)

    def split(self, dataset: data.Dataset, job: Job) -> data.SplitDataset:
        """Split by an earlier table, by groups, or by linked records."""
        split = self._split(dataset, job)
        _tell_conflicts(dataset, job)
        return split

    def _split(self, dataset: data.Dataset, job: Job) -> data.SplitDataset:
        if self.split_table is not None and self.groups is not None:
            raise click.UsageError("--split and --groups exclude each other")
        if (self.test_group or self.validation_group) and self.groups is None:
            raise click.UsageError("--test-group and --validation-group need --groups")
        if self.split_table is not None:
            split = data.read_split(self.split_table, dataset)
            reason = f"as in {self.split_table}"
        elif self.groups is None:
            return data.split(dataset, rng=job.rng())
        else:
            split = self._split_by_group(dataset, self.groups, job)
            reason = _SHARED
        if split.left_out is not None:
            _tell_left_out(len(split.left_out), len(dataset), reason, job)
        if torn := data.torn_overlaps(split.dataset.names, split.parts):
            job.info(
                f"note: {torn:,} sequences overlap one in another part, by their names, which"
                " flatters all figures; groups of neighbours, or --groups chromosome, keep them"
                " together"
            )
        return split

    def _split_by_group(self, dataset: data.Dataset, groups: str, job: Job) -> data.SplitDataset:
        """Split whole groups; leave out what two of them share."""
        group_of = self._groups(dataset, groups)
        kept = data.without_shared_sequences(dataset, group_of)
        split = data.split_by_group(
            dataset.take(kept), group_of[kept],
            rng=job.rng(), test=self.test_group, validation=self.validation_group,
        )  # fmt: skip
        return split if kept.all() else replace(split, left_out=dataset.take(~kept))

    @staticmethod
    def _groups(dataset: data.Dataset, groups: str) -> NDArray[np.str_]:
        if groups == "chromosome":
            return data.chromosome_groups(dataset.names)
        return data.read_groups(Path(groups), dataset)


def read_labelled(
    positives: tuple[Path, ...],
    negatives: tuple[Path, ...],
    job: Job,
    *,
    length: int | None,
    expected: int | None = None,
) -> data.Dataset:
    """Read labelled sequences, and note what was cut and padded."""
    dataset = data.read_dataset(
        positives, negatives, length=length, expected=expected, note=job.info
    )
    if length is not None and (padding := data.describe_padding(dataset)):
        job.info(f"warning: {padding}")
    return dataset


def _tell_left_out(count: int, total: int, reason: str, job: Job) -> None:
    job.info(f"{count:,} of {total:,} sequences are left out: {reason}")


def _tell_conflicts(dataset: data.Dataset, job: Job) -> None:
    if conflicts := data.describe_conflicts(dataset):
        job.info(f"warning: {conflicts}")


_split_options = (
    opt.path(
        "--split split_table", "split.tsv of an earlier run, for the same parts.", section="Split"
    ),
    opt.option(
        "--groups",
        "Keep groups in one part: chromosomes of chrom:start-end, or a table of name and group.",
        metavar="chromosome|TABLE",
        section="Split",
    ),
    *(
        opt.option(names, text, metavar="GROUP...", multiple=True, section="Split")
        for names, text in (
            ("--test-group", "Groups to test on."),
            ("--validation-group", "Groups to choose the network on."),
        )
    ),
)
data_options = opt.gathered(
    "source", DataSource, opt.positives, opt.negatives, opt.length, *_split_options
)
# Sequences, or a genome with peaks, from which windows are drawn anew for each epoch.
training_options = opt.gathered(
    "source",
    DataSource,
    opt.paths("--positives", "FASTA files of positives."),
    opt.paths("--negatives", "FASTA files of negatives."),
    opt.path("--genome", "FASTA to draw windows from instead, anew for each epoch."),
    opt.path("--peaks", "BED or narrowPeak; windows around them are the positives."),
    opt.path("--regions", "BED; learn, choose and test in these, not on whole chromosomes."),
    opt.count(
        "--length",
        f"Of windows of a genome, {_LENGTH} by default; sequences are cut around their middles, or"
        " padded with N, to it.",
        metavar="BP",
        section="Data",
    ),
    opt.option(
        "--tile/--no-tile",
        "Cut each peak into as many windows as fit, or take one. [default: cut them if they have no"
        " summits and half are two windows wide or more]",
        default=None,
        section="Data",
        advanced=True,
    ),
    opt.count(
        "--negatives-per-positive",
        "Windows off the peaks for each positive, in each part, from anywhere in the regions."
        f" [default: {_NEGATIVES}]",
        section="Data",
        advanced=True,
    ),
    opt.count(
        "--hard-negatives",
        "Rounds of training after which the windows off the peaks that score highest are added to"
        " the negatives.",
        low=0,
        default=0,
        metavar="ROUNDS",
        section="Data",
    ),
    opt.skip_missing,
    *_split_options,
    opt.count(
        "--folds",
        "Train K models, each tested on a share of the data (whole chromosomes of a genome) that it"
        " never saw, in folders fold_1 to fold_K.",
        low=2,
        metavar="K",
        section="Split",
    ),
)
