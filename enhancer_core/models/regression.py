"""Logistic regressions on k-mers, and on the best hits of known motifs, written as networks.

A convolution, a max-pool and an output layer compute such features and weigh them. So a fitted
regression becomes an ensemble of networks of known weights, and all that works with networks works
with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from enhancer_core.data.dataset import SplitDataset
from enhancer_core.dna.codes import Codes, one_hot
from enhancer_core.dna.kmers import k_mer_words
from enhancer_core.errors import MotifError
from enhancer_core.models.architecture import Architecture, Convolution
from enhancer_core.models.kmers import Baseline, Linear, fit, fit_features
from enhancer_core.models.model import single_predictor
from enhancer_core.models.parameters import Member, flatten, shapes
from enhancer_core.models.transfer import motif_filter
from enhancer_core.motifs.motif import Motif

_MATCH = 0.75  # activation of a k-mer's filter at the k-mer; 0 with an N
_STEP = 3  # bp; motifs whose widths differ by less share a network
_BATCH = 256  # sequences read at once


@dataclass(frozen=True, slots=True)
class Regression:
    """A fitted regression as the members of a model."""

    name: str
    members: tuple[Member, ...]
    penalty: float  # chosen on the validation part
    auc: float  # there


def fit_k_mers(data: SplitDataset, *, k: int = 5) -> Regression:
    """Fit a regression on k-mers; parameters and errors are those of `kmers.fit`."""
    return of_k_mers(fit(data, k=k), data.dataset.codes.shape[1])


def of_k_mers(fitted: Baseline, length: int) -> Regression:
    """Write a regression on k-mers as a network, for sequences of `length` bp."""
    name = f"{fitted.k}-mer logistic regression"
    return Regression(name, (k_mer_network(fitted, length),), fitted.penalty, fitted.auc)


def fit_best_hits(data: SplitDataset, motifs: Sequence[Motif]) -> Regression:
    """Fit a regression on motifs' best hits; errors are those of `best_hits_networks`."""
    readers = best_hits_networks(motifs, data.dataset.codes.shape[1])
    fitted = _fit(data, readers)
    name = f"logistic regression on the best hits of {len(motifs):,} motifs"
    return Regression(name, regressing(readers, fitted), fitted.penalty, fitted.auc)


def weightiest(data: SplitDataset, motifs: Sequence[Motif], count: int) -> list[Motif]:
    """Return the motifs of the largest weights in `fit_best_hits`, the largest first."""
    fitted = _fit(data, best_hits_networks(motifs, data.dataset.codes.shape[1]))
    order = np.argsort(-np.abs(fitted.weights), kind="stable")[:count]
    return [motifs[index] for index in order.tolist()]


def _fit(data: SplitDataset, readers: Sequence[tuple[Member, list[int]]]) -> Linear:
    learn, check = data.train, data.validation
    return fit_features(
        best_hits(readers, learn.codes), learn.labels, best_hits(readers, check.codes), check.labels
    )


def k_mer_network(fitted: Baseline, length: int) -> Member:
    """Write a regression on k-mers as one network, for sequences of `length` bp.

    The filter of a k-mer is active where it or its reverse complement is, and nowhere else. Two
    units hold what the k-mer at a position adds to the log odds, and what it takes away; the output
    layer sums them over all positions. K-mers with N count nowhere.
    """
    words = k_mer_words(fitted.k)
    by_share = fitted.weights.astype(np.float64) / fitted.scale
    layers = Convolution(len(words), fitted.k, 1), Convolution(2, 1, 1)
    architecture = Architecture(convolutions=layers, dense=(), length=length, tied=True)
    positions = architecture.pooled_lengths()[-1]
    weights = _zeros(architecture)
    weights["convolutions.0.weight"][:] = one_hot(words)
    weights["convolutions.0.bias"][:] = _MATCH - fitted.k
    added = by_share / positions / _MATCH
    weights["convolutions.1.weight"][:, :, 0] = np.maximum([added, -added], 0)
    weights["output.weight"][:] = np.repeat([[-0.5, 0.5], [0.5, -0.5]], positions, axis=1)
    weights["output.bias"][:] = np.array([-0.5, 0.5]) * (fitted.bias - by_share @ fitted.mean)
    return Member(architecture, flatten(weights))


def best_hits_networks(motifs: Sequence[Motif], length: int) -> list[tuple[Member, list[int]]]:
    """Make networks that score motifs' best hits on both strands, each with its motifs' indices.

    Filters hold motifs as `transfer.plant_motifs` makes them, and output weights are 0. Filters of
    a network are as wide as the widest motif there, which differs from the narrowest by 2 bp at
    most; so many letters, at the ends of a sequence, a narrower one may not reach. The bias is so
    high that the ReLU lets all scores pass.

    Raises
    ------
    MotifError
        If there are no motifs, or one is flat.
    """
    if not motifs:
        raise MotifError("no motifs to read; at least one is needed")
    steps = np.array([-(-min(motif.width, length) // _STEP) for motif in motifs])
    readers = []
    for step in np.unique(steps):
        which = np.flatnonzero(steps == step).tolist()
        width = min(max(motifs[index].width for index in which), length)
        layer = Convolution(len(which), width, length - width + 1)
        architecture = Architecture(convolutions=(layer,), dense=(), length=length)
        weights = _zeros(architecture)
        filters = np.stack([motif_filter(motifs[index], width) for index in which])
        weights["convolutions.0.weight"][:] = filters
        # The better strand scores at least their mean, which is least where each position's is.
        mean = (filters + filters[:, ::-1, ::-1]) / 2
        weights["convolutions.0.bias"][:] = -mean.min(axis=1).sum(axis=1)
        readers.append((Member(architecture, flatten(weights)), which))
    return readers


def best_hits(readers: Sequence[tuple[Member, list[int]]], codes: Codes) -> NDArray[np.float32]:
    """Score best hits, the filters' biases included: uint8 (n, L) -> float32 (n, F)."""
    scores = np.empty((len(codes), sum(len(which) for _, which in readers)), np.float32)
    for member, which in readers:
        predictor = single_predictor(member)
        for start in range(0, len(codes), _BATCH):
            batch = slice(start, start + _BATCH)
            scores[batch, which] = predictor.pooled(codes[batch])[:, 0]
    return scores


def regressing(readers: Sequence[tuple[Member, list[int]]], fitted: Linear) -> tuple[Member, ...]:
    """Write a regression on motifs' best hits into the networks' output weights."""
    by_score = fitted.weights.astype(np.float64) / fitted.scale
    centred = by_score * fitted.mean
    sides = np.array([-0.5, 0.5])
    made = []
    for member, which in readers:
        bias = fitted.bias - len(readers) * centred[which].sum()
        output = {
            "output.weight": len(readers) * sides[:, np.newaxis] * by_score[which],
            "output.bias": sides * bias,
        }
        made.append(replace(member, parameters=flatten({**member.weights(), **output})))
    return tuple(made)


def _zeros(architecture: Architecture) -> dict[str, NDArray[np.float64]]:
    return {name: np.zeros(shape) for name, shape in shapes(architecture).items()}
