"""Options for labelled sequences and their split, which train, baseline and pssm share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import click

from enhancer_core import data
from enhancer_core.cli import options as opt
from enhancer_core.cli.common import Job


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

    def read(self, job: Job) -> data.Dataset:
        """Read the sequences."""
        return read_labelled(self.positives, self.negatives, job, length=self.length)

    def split(self, dataset: data.Dataset, job: Job) -> data.SplitDataset:
        """Split by an earlier table, by groups, or by linked records."""
        split = self._split(dataset, job)
        if conflicts := data.describe_conflicts(dataset):
            job.info(f"warning: {conflicts}")
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
            reason = "their sequence, or one of the same name, stands in an earlier group too"
        if split.left_out is not None:
            job.info(
                f"{len(split.left_out):,} of {len(dataset):,} sequences are left out: {reason}"
            )
        if torn := data.torn_overlaps(split.dataset.names, split.parts):
            job.info(
                f"note: {torn:,} sequences overlap one in another part, by their names, which"
                " flatters all figures; groups of neighbours, or --groups chromosome, keep them"
                " together"
            )
        return split

    def _split_by_group(self, dataset: data.Dataset, groups: str, job: Job) -> data.SplitDataset:
        """Split whole groups; leave out what two of them share."""
        if groups == "chromosome":
            group_of = data.chromosome_groups(dataset.names)
        else:
            group_of = data.read_groups(Path(groups), dataset)
        kept = data.without_shared_sequences(dataset, group_of)
        split = data.split_by_group(
            dataset.take(kept), group_of[kept],
            rng=job.rng(), test=self.test_group, validation=self.validation_group,
        )  # fmt: skip
        return split if kept.all() else replace(split, left_out=dataset.take(~kept))


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


data_options = opt.gathered(
    "source",
    DataSource,
    opt.positives,
    opt.negatives,
    opt.length,
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
