"""Labelled sequences, and the part that each belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from enhancer_core.data.sampler import GenomeSampler
from enhancer_core.dna.codes import Codes, Note, SequencesLike, as_codes, leave_out_unknown
from enhancer_core.errors import DatasetError
from enhancer_core.io.fasta import read_fasta
from enhancer_core.io.files import StrPath, check_regular

PARTS = ("train", "validation", "test")
CLASSES = ("negative", "positive")  # as a split table spells them: CLASSES[label]
TRAIN, VALIDATION, TEST = range(3)
LEFT_OUT = "left_out"  # as a split table spells the part of a record that has none


@dataclass(frozen=True, slots=True)
class Dataset:
    """n labelled sequences of one length.

    `codes` uint8 (n, L); `labels` bool (n,), True for positives; `names` and `files` str (n,).
    """

    codes: Codes
    labels: NDArray[np.bool_]
    names: NDArray[np.str_]
    files: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def from_sequences(
        cls,
        positives: SequencesLike,
        negatives: SequencesLike,
        *,
        paired: bool = False,
        length: int | None = None,
        note: Note | None = None,
    ) -> Dataset:
        """Label sequences that are in memory.

        Parameters
        ----------
        positives, negatives
            Strings, or codes, uint8 (n, L).
        paired
            Whether negative i was made of positive i, as a k-shuffle is: a split keeps the two in
            one part.
        length
            bp to which each is cut around its middle, or padded with N; those that are mostly N
            then are left out. Without, all need one length.
        note
            As for `read_dataset`.

        Raises
        ------
        SequenceError
            If a sequence is not DNA, lengths differ, or all of a class are left out.
        DatasetError
            If a class is empty, or the two classes' lengths differ.

        Examples
        --------
        >>> Dataset.from_sequences(["ACGT", "CCGT"], ["TTAT"]).labels
        array([ True,  True, False])
        >>> Dataset.from_sequences(["ACGT", "CCG"], ["TTATA"], length=4).codes[1:].tolist()
        [[4, 1, 1, 2], [3, 3, 0, 3]]
        """
        sources = []
        for kind, given in (("positives", positives), ("negatives", negatives)):
            sequences = given if isinstance(given, str | np.ndarray) else list(given)
            codes = as_codes(sequences, length=length)
            rows = np.arange(len(codes))
            if length is not None:
                rows = leave_out_unknown(kind, codes, list(map(len, sequences)), note=note)
            name = "record" if paired else kind
            sources.append([(kind, [f"{name}_{i}" for i in rows.tolist()], codes[rows])])
        return make_dataset(*sources)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Dataset:
        """Select rows by index or mask."""
        return Dataset(self.codes[rows], self.labels[rows], self.names[rows], self.files[rows])


@dataclass(frozen=True, slots=True)
class SplitDataset:
    """A data set and the part of each record: `parts` int64 (n,), 0 train, 1 validation, 2 test."""

    dataset: Dataset
    parts: NDArray[np.int64]
    left_out: Dataset | None = None  # records of no part, which `dataset` does not hold
    sampler: GenomeSampler | None = None  # draws the training part anew for each epoch

    @property
    def train(self) -> Dataset:
        """The records that models learn from."""
        return self.dataset.take(self.parts == TRAIN)

    @property
    def validation(self) -> Dataset:
        """The records that models are chosen on."""
        return self.dataset.take(self.parts == VALIDATION)

    @property
    def test(self) -> Dataset:
        """The records that models are reported on, once."""
        return self.dataset.take(self.parts == TEST)


def read_dataset(
    positives: StrPath | Sequence[StrPath],
    negatives: StrPath | Sequence[StrPath],
    *,
    length: int | None = None,
    expected: int | None = None,
    note: Note | None = None,
) -> Dataset:
    """Read FASTA files of positives and negatives.

    Parameters
    ----------
    positives, negatives
        One file or more each; a record's file is named as by `file_names`.
    length
        bp to which each sequence is cut around its middle, or padded with N; those that are mostly
        N then are left out. Without, all need one length.
    expected
        That length, if it is not the first sequence's: what the model reads.
    note
        Called for each file with a line that counts what was cut, padded and left out, if anything
        was; without, there is a warning if sequences are left out.

    Returns
    -------
    Dataset
        Positives first, in the order of the files.

    Raises
    ------
    DatasetError
        If a file is given twice, or lengths differ between files.
    FileError, SequenceError
        If a file is a pipe, or not FASTA of one length, or all of it is left out.
    """
    classes = [
        [Path(path) for path in ([paths] if isinstance(paths, StrPath) else paths)]
        for paths in (positives, negatives)
    ]
    kind_of: dict[Path, str] = {}
    for kind, paths in zip(("positives", "negatives"), classes, strict=True):
        for path in paths:
            check_regular(path)
            if path.resolve() in kind_of:
                raise DatasetError(
                    f"{path}: given as {kind} and already as {kind_of[path.resolve()]}; each file"
                    " is given once"
                )
            kind_of[path.resolve()] = kind
    sources = {}
    for path, name in file_names([path for paths in classes for path in paths]).items():
        records = read_fasta(path, length=length, expected=expected, note=note)
        sources[path] = (name, records.names, records.codes)
    return make_dataset(*([sources[path] for path in paths] for paths in classes))


def file_names(paths: Sequence[Path]) -> dict[Path, str]:
    """Name files by their base names, or as they were given where two share one.

    Examples
    --------
    >>> list(file_names([Path("human/p.fa"), Path("mouse/p.fa"), Path("mouse/n.fa")]).values())
    ['human/p.fa', 'mouse/p.fa', 'n.fa']
    """
    base_names = [path.name for path in paths]
    return {path: path.name if base_names.count(path.name) == 1 else str(path) for path in paths}


def make_dataset(
    positives: Sequence[tuple[str, Sequence[str], Codes]],
    negatives: Sequence[tuple[str, Sequence[str], Codes]],
) -> Dataset:
    """Combine positives and negatives, one (file, names, codes uint8 (n, L)) a file, in this order.

    Raises
    ------
    DatasetError
        If a class is empty, or lengths differ between files.
    """
    for kind, files in (("positives", positives), ("negatives", negatives)):
        if not any(len(names) for _, names, _ in files):
            raise DatasetError(f"no {kind}; both classes need at least one sequence")
    sources = [*positives, *negatives]
    lengths = {codes.shape[1]: file for file, _, codes in sources}
    if len(lengths) > 1:
        (first, one), (second, other) = list(lengths.items())[:2]
        raise DatasetError(
            f"{other} has sequences of {second} bp and {one} of {first} bp; allowed is one length"
            " (--length BP, or length=, cuts or pads all)"
        )
    counts = [len(names) for _, names, _ in sources]
    is_positive = [True] * len(positives) + [False] * len(negatives)
    return Dataset(
        codes=np.concatenate([codes for _, _, codes in sources]),
        labels=np.repeat(np.array(is_positive), counts),
        names=np.array([name for _, names, _ in sources for name in names], dtype=np.str_),
        files=np.repeat(np.array([file for file, _, _ in sources], dtype=np.str_), counts),
    )
