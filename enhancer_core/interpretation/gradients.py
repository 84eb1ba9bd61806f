"""Gradients of the log odds by each base of a sequence.

They are PyTorch's own; captum's are the same to the bit. Effects of single-base changes are exact,
and fast, in `prediction.saturation`; DeepLIFT, which approximates them, is what captum and
tangermeme add (`tests/attribution`).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from enhancer_core.dna.codes import Codes
from enhancer_core.models.architecture import BASES
from enhancer_core.models.cpu.predictor import check_length
from enhancer_core.models.model import Model
from enhancer_core.models.network import one_hot

_BATCH = 32  # sequences


def input_gradients(model: Model, codes: Codes, *, device: str = "cpu") -> NDArray[np.float32]:
    """Differentiate the log odds by each base of sequences, mean of both strands.

    The mean over the four bases is subtracted at each position: one-hot DNA never leaves the plane
    where they sum to 1, so the gradient across it is noise (Majdandzic et al. 2023, Genome Biology
    24:109).

    Parameters
    ----------
    model
        A trained model.
    codes
        uint8, shape (n, L), values 0-4, L the length that the model reads.
    device
        "cpu" or "cuda".

    Returns
    -------
    float32, shape (n, 4, L)
        Log odds, rows A C G T: to first order, what a base adds. The four sum to 0.

    Raises
    ------
    SequenceError
        If L is not the model's.

    Examples
    --------
    >>> from enhancer_core.models.architecture import Architecture, Convolution
    >>> from enhancer_core.models.network import Network
    >>> architecture = Architecture(convolutions=(Convolution(2, 3, 2),), dense=(), length=6)
    >>> model = Model.from_torch(Network(architecture))
    >>> gradients = input_gradients(model, np.zeros((1, 6), np.uint8))
    >>> gradients.shape, bool(np.allclose(gradients.sum(axis=1), 0, atol=1e-6))
    ((1, 4, 6), True)
    """
    check_length(codes, model.length)
    network = model.to_torch().to(device)
    batches = [np.zeros((0, BASES, codes.shape[1]), np.float32)]
    for start in range(0, len(codes), _BATCH):
        x = one_hot(torch.from_numpy(codes[start : start + _BATCH]).to(device)).requires_grad_()
        logits = network(x) + network(x.flip(1, 2))
        (gradients,) = torch.autograd.grad((logits[:, 1] - logits[:, 0]).sum() / 2, x)
        batches.append((gradients - gradients.mean(dim=1, keepdim=True)).cpu().numpy())
    return np.concatenate(batches)
