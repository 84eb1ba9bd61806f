"""Labelled sequences, split into train, validation and test before anything else is done.

Records that must not be told apart stay in one part: identical sequences and reverse complements,
records of one name (a k-shuffle keeps its parent's name), and windows that overlap, where names
give coordinates. Where groups are given (chromosomes, a table), whole groups stay together instead,
and `without_shared_sequences` keeps identical sequences out of two groups: what it drops is written
down as left out, and stays so where the split is given back.
"""

from enhancer_core.dataset.links import (
    chromosome_groups,
    linked_sets,
    sequence_sets,
    torn_overlaps,
    without_shared_sequences,
)
from enhancer_core.dataset.records import (
    CLASSES,
    LEFT_OUT,
    PARTS,
    TEST,
    TRAIN,
    VALIDATION,
    Dataset,
    SplitDataset,
    file_names,
    make_dataset,
    read_dataset,
)
from enhancer_core.dataset.shares import FRACTIONS, split_strata
from enhancer_core.dataset.splits import split, split_by_group, split_folds
from enhancer_core.dataset.tables import read_groups, read_split, split_by_name

__all__ = [
    "CLASSES",
    "FRACTIONS",
    "LEFT_OUT",
    "PARTS",
    "TEST",
    "TRAIN",
    "VALIDATION",
    "Dataset",
    "SplitDataset",
    "chromosome_groups",
    "file_names",
    "linked_sets",
    "make_dataset",
    "read_dataset",
    "read_groups",
    "read_split",
    "sequence_sets",
    "split",
    "split_by_group",
    "split_by_name",
    "split_folds",
    "split_strata",
    "torn_overlaps",
    "without_shared_sequences",
]
