"""Small data: sequences in parts, and the [[data]] of recipes that take no time to run."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from enhancer_core.data.dataset import TRAIN, VALIDATION, Dataset, SplitDataset
from enhancer_core.dna.codes import Codes


def split_of(
    codes: Codes,
    labels: NDArray[np.bool_],
    check: Codes | None = None,
    check_labels: NDArray[np.bool_] | None = None,
) -> SplitDataset:
    """Make a data set with a training and a validation part; without the second, both alike."""
    if check is None or check_labels is None:
        check, check_labels = codes, labels
    names = np.array([str(i) for i in range(len(codes) + len(check))])
    dataset = Dataset(
        np.concatenate([codes, check]), np.concatenate([labels, check_labels]), names, names
    )
    return SplitDataset(dataset, np.repeat([TRAIN, VALIDATION], [len(codes), len(check)]))


def species(*names: str) -> str:
    """Species of the synthetic world, in one set."""
    return "".join(
        f'[[data]]\nname = "{name}"\nset = "world"\nworld = "{name}"\nnumber = 40\nlength = 60\n'
        for name in names
    )


CEBPA = '[[data]]\nname = "cebpa"\nsimulate = "CEBPA"\nnumber = 40\nlength = 60\n'
