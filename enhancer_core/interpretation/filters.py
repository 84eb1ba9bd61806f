"""Read what a network learned: its first-layer filters as motifs, and slopes by each base.

The slopes are PyTorch's own; those of captum 0.9 are the same to the bit. What captum and
tangermeme add is DeepLIFT. Its rules hang on layers that are modules, and none is for the better of
two strands: on five liver enhancers captum's attributions missed 2 to 21 % of what they must sum
to. What DeepLIFT approximates, `variants.mutagenesis` computes exactly, and fast.

References
----------
Kelley D., Snoek J., Rinn J. (2016). Genome Research 26:990-999.
Majdandzic A., Rajesh C., Koo P. (2023). Genome Biology 24:109.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from enhancer_core.dna.codes import N_CODE, Codes
from enhancer_core.models.architecture import BASES
from enhancer_core.models.cpu.predictor import check_length
from enhancer_core.models.model import Model
from enhancer_core.models.network import one_hot

_BATCH = 32  # sequences; all their sites are laid out at once
ACTIVE = 0.5  # share of a filter's strongest activation from which a site counts, as in Basset


def filter_pfms(model: Model, codes: Codes, *, threads: int = 1) -> NDArray[np.int64]:
    """Count the bases of the sub-sequences that activate each first-layer filter.

    A site counts if its activation, after the ReLU, is at least half of the filter's strongest on
    these sequences (Kelley et al. 2016, Basset); a site on the reverse strand is read there.

    Parameters
    ----------
    model
        F filters of W bp; those of an ensemble's members come one after another.
    codes
        uint8, shape (n, L): the sequences to read, normally the positives learned from.
    threads
        Batches read side by side; the result does not depend on it.

    Returns
    -------
    int64, shape (F, 4, W)
        A filter that nothing activates has only zeros.
    """
    weight, bias = map(torch.from_numpy, model.filters())
    n_filters, _, width = weight.shape
    both = torch.cat([weight, weight.flip(1, 2)]).flatten(1)  # the reverse strand as F more filters

    def sites_of(start: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Lay out the sites without N, (m, 4 W), and what each filter makes of them, (m, 2 F)."""
        batch = codes[start : start + _BATCH]
        known = np.lib.stride_tricks.sliding_window_view(batch != N_CODE, width, axis=1).all(axis=2)
        sites = one_hot(torch.from_numpy(batch)).unfold(2, width, 1).transpose(1, 2).flatten(2)
        sites = sites[torch.from_numpy(known)]
        return sites, functional.relu(functional.linear(sites, both, bias.repeat(2)))

    def strongest(start: int) -> NDArray[np.float32]:
        activations = functional.pad(sites_of(start)[1], (0, 0, 0, 1))  # a row, if all sites have N
        found: NDArray[np.float32] = activations.amax(0).numpy()
        return found

    def count(start: int) -> NDArray[np.int64]:
        sites, activations = sites_of(start)
        counts = (activations >= least).float().T @ sites  # whole numbers, exact below 2**24
        forward, reverse = counts.reshape(2 * n_filters, BASES, width).chunk(2)
        found: NDArray[np.int64] = (forward + reverse.flip(1, 2)).long().numpy()
        return found

    starts = range(0, len(codes), _BATCH)
    # One core each: sums are then the same for any `threads`.
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        peaks = np.max(list(pool.map(strongest, starts)), axis=0).reshape(2, n_filters).max(axis=0)
        least = torch.from_numpy(np.tile(np.where(peaks > 0, peaks * ACTIVE, np.inf), 2))
        found: NDArray[np.int64] = np.sum(list(pool.map(count, starts)), axis=0)
    return found


def weight_ppms(model: Model) -> NDArray[np.float64]:
    """Read the weights of first-layer filters as motifs, without sequences.

    A position's weights are taken for log odds in nats, up to a constant. That is what Cohn et al.
    2018 compared with databases; what a filter responds to, and how often, does not show in it.

    Returns
    -------
    float64, shape (F, 4, W)
        Each position sums to 1.
    """
    weights = torch.from_numpy(model.filters()[0]).double()
    found: NDArray[np.float64] = functional.softmax(weights, dim=1).numpy()
    return found


def input_gradients(model: Model, codes: Codes, *, device: str = "cpu") -> NDArray[np.float32]:
    """Differentiate the log odds by each base of sequences, mean of both strands.

    The mean over the four bases is subtracted at each position: DNA never leaves the plane where
    they sum to 1, so a slope across it is noise (Majdandzic et al. 2023).

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
        Log odds, rows A C G T. At the base that is there it is what the base adds to first order;
        N adds nothing, since the four sum to 0.

    Raises
    ------
    SequenceError
        If L is not the network's.

    Examples
    --------
    >>> from enhancer_core.models.architecture import Architecture, Convolution
    >>> from enhancer_core.models.network import Network
    >>> architecture = Architecture(convolutions=(Convolution(2, 3, 2),), dense=(), length=6)
    >>> found = input_gradients(Model.from_torch(Network(architecture)), np.zeros((1, 6), np.uint8))
    >>> found.shape, bool(np.allclose(found.sum(axis=1), 0, atol=1e-6))
    ((1, 4, 6), True)
    """
    check_length(codes, model.length)
    network = model.to_torch().to(device)
    found = [np.zeros((0, BASES, codes.shape[1]), np.float32)]
    for start in range(0, len(codes), _BATCH):
        x = one_hot(torch.from_numpy(codes[start : start + _BATCH]).to(device)).requires_grad_()
        logits = network(x) + network(x.flip(1, 2))
        (slopes,) = torch.autograd.grad((logits[:, 1] - logits[:, 0]).sum() / 2, x)
        found.append((slopes - slopes.mean(dim=1, keepdim=True)).cpu().numpy())
    return np.concatenate(found)
