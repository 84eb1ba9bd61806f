"""Read first-layer filters as motifs (Kelley, Snoek and Rinn 2016, Genome Res. 26:990)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from enhancer_core.dna.codes import N_CODE, Codes
from enhancer_core.models.architecture import BASES
from enhancer_core.models.model import Model
from enhancer_core.models.network import one_hot

_BATCH = 32  # sequences, of which all sites are in memory
ACTIVE = 0.5  # share of a filter's maximal activation from which a site counts, as in Basset


def filter_pfms(model: Model, codes: Codes, *, threads: int = 1) -> NDArray[np.int64]:
    """Count the bases of the sites that activate each first-layer filter, on either strand.

    A site counts if its activation, after the ReLU, is at least half of the filter's maximum on
    these sequences (Kelley et al. 2016, Basset).

    Parameters
    ----------
    model
        F filters of W bp; those of an ensemble's members come one after another.
    codes
        uint8, shape (n, L): normally the positives of the training part.
    threads
        Batches read in parallel; the result does not depend on it.

    Returns
    -------
    int64, shape (F, 4, W)
        A filter that nothing activates has only zeros.
    """
    weight, bias = map(torch.from_numpy, model.filters())
    n_filters, _, width = weight.shape
    both = torch.cat([weight, weight.flip(1, 2)]).flatten(1)  # the reverse strand as F more filters

    def sites_of(start: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the sites without N, one-hot (m, 4 W), and their activations (m, 2 F)."""
        batch = codes[start : start + _BATCH]
        known = np.lib.stride_tricks.sliding_window_view(batch != N_CODE, width, axis=1).all(axis=2)
        sites = one_hot(torch.from_numpy(batch)).unfold(2, width, 1).transpose(1, 2).flatten(2)
        sites = sites[torch.from_numpy(known)]
        return sites, functional.relu(functional.linear(sites, both, bias.repeat(2)))

    def strongest(start: int) -> NDArray[np.float32]:
        activations = functional.pad(sites_of(start)[1], (0, 0, 0, 1))  # a row, if all sites have N
        peaks: NDArray[np.float32] = activations.amax(0).numpy()
        return peaks

    def count(start: int) -> NDArray[np.int64]:
        sites, activations = sites_of(start)
        counts = (activations >= least).float().T @ sites  # whole numbers, exact below 2**24
        forward, reverse = counts.reshape(2 * n_filters, BASES, width).chunk(2)
        bases: NDArray[np.int64] = (forward + reverse.flip(1, 2)).long().numpy()
        return bases

    starts = range(0, len(codes), _BATCH)
    # One core each: sums are then the same for any `threads`.
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        peaks = np.max(list(pool.map(strongest, starts)), axis=0).reshape(2, n_filters).max(axis=0)
        least = torch.from_numpy(np.tile(np.where(peaks > 0, peaks * ACTIVE, np.inf), 2))
        pfms: NDArray[np.int64] = np.sum(list(pool.map(count, starts)), axis=0)
    return pfms


def weight_ppms(model: Model) -> NDArray[np.float64]:
    """Read the weights of first-layer filters as log odds in nats, up to a constant.

    Cohn et al. 2018 compared these with databases. They need no sequences, and do not show which
    sites activate a filter, or how often. float64, shape (F, 4, W); each position sums to 1.
    """
    weights = torch.from_numpy(model.filters()[0]).double()
    ppms: NDArray[np.float64] = functional.softmax(weights, dim=1).numpy()
    return ppms
