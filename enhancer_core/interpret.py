"""Read what a network learned: its first-layer filters as motifs."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from enhancer_core.dna import N_CODE, Codes, reverse_complement
from enhancer_core.model import BASES, Network, one_hot
from enhancer_core.predict import BATCH, one_core_each

ACTIVE = 0.5  # share of a filter's strongest activation from which a site counts, as in Basset


def filter_pfms(network: Network, codes: Codes, *, threads: int = 1) -> NDArray[np.int64]:
    """Count the bases of the sub-sequences that activate each first-layer filter.

    A site counts if its activation, after the ReLU, is at least half of the filter's strongest on
    these sequences (Kelley et al. 2016, Basset); a site on the reverse strand is read there.

    Parameters
    ----------
    network
        F filters of W bp.
    codes
        uint8, shape (n, L): the sequences to read, by custom the positives learned from.
    threads
        Batches read side by side; the result does not depend on it.

    Returns
    -------
    int64, shape (F, 4, W)
        A filter that nothing activates has only zeros.
    """
    layer = network.first_layer
    weight, bias = layer.weight.detach(), cast(torch.Tensor, layer.bias).detach()
    both = torch.cat([weight, weight.flip(1, 2)])  # the reverse strand as F more filters
    n_filters, _, width = weight.shape

    def activations(start: int) -> torch.Tensor:
        batch = torch.from_numpy(codes[start : start + BATCH]).to(weight.device)
        return functional.relu(functional.conv1d(one_hot(batch), both) + bias.repeat(2)[:, None])

    def strongest(start: int) -> NDArray[np.float32]:
        found: NDArray[np.float32] = activations(start).amax(dim=(0, 2)).cpu().numpy()
        return found

    starts = range(0, len(codes), BATCH)
    with one_core_each(threads) as pool:
        peaks = np.max(list(pool.map(strongest, starts)), axis=0).reshape(2, n_filters).max(axis=0)
        least = torch.from_numpy(np.tile(np.where(peaks > 0, peaks * ACTIVE, np.inf), 2))

        def count(start: int) -> NDArray[np.int64]:
            active = activations(start).cpu() >= least[:, None]
            counts = np.zeros((n_filters, BASES, width), dtype=np.int64)
            rows, channels, positions = (
                index.numpy() for index in torch.nonzero(active, as_tuple=True)
            )
            windows = np.lib.stride_tricks.sliding_window_view(
                codes[start : start + BATCH], width, axis=1
            )
            sites = windows[rows, positions]
            reverse = channels >= n_filters
            sites[reverse] = reverse_complement(sites[reverse])
            clean = (sites != N_CODE).all(axis=1)
            filters = np.repeat(channels[clean] % n_filters, width)
            columns = np.tile(np.arange(width), int(clean.sum()))
            np.add.at(counts, (filters, sites[clean].ravel(), columns), 1)
            return counts

        found: NDArray[np.int64] = np.sum(list(pool.map(count, starts)), axis=0)
    return found
