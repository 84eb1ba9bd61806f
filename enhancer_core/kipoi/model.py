"""The model class that the rows of `kipoi_models/` name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from kipoi.model import BaseModel
from numpy.typing import NDArray

from enhancer_core.errors import ModelFileError, SequenceError
from enhancer_core.io.files import sha256 as digest
from enhancer_core.models.architecture import BASES
from enhancer_core.models.model import load_model


class ProbabilityModel(BaseModel):  # type: ignore[misc] # Kipoi has no types
    """A network that predicts probabilities, read from safetensors: nothing is executed.

    Parameters
    ----------
    weights
        A model file; Kipoi calls from the group's folder, so that a relative path is enough.
    sha256
        The digest of that file, 64 hexadecimal digits.

    Raises
    ------
    FileError
        If the file cannot be read.
    ModelFileError
        If the file is another than the table says, damaged, or foreign.
    """

    def __init__(self, weights: str, sha256: str) -> None:
        path = Path(weights)
        if (actual := digest(path)) != sha256:
            raise ModelFileError(f"{path}: SHA-256 is {actual}; models.tsv says {sha256}")
        model = load_model(path)
        self.network, self.length = model.to_torch(), model.length

    def predict_on_batch(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """Predict probabilities, float32 (n, 1), of one-hot sequences (n, 4, L) of any float type.

        Raises
        ------
        SequenceError
            If the shape is not what the network reads.
        """
        if x.shape[1:] != (BASES, self.length):
            raise SequenceError(f"batch of shape {x.shape}; the model reads (n, 4, {self.length})")
        batch = torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))
        with torch.inference_mode():
            probabilities: NDArray[np.float32] = self.network(batch).softmax(1)[:, 1:].numpy()
        return probabilities
