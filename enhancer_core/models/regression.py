"""Logistic regressions on k-mers, and on the best hits of known motifs, as members of a model.

One on k-mers is a weight for each word. A convolution, a max-pool and an output layer compute the
best hits of motifs and weigh them: so such a regression is an ensemble of networks of known
weights. All that works with networks works with either.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from enhancer_core.data.dataset import SplitDataset
from enhancer_core.dna.codes import Codes
from enhancer_core.errors import MotifError
from enhancer_core.models import gapped_kmers
from enhancer_core.models.architecture import Architecture, Convolution, KmerWeights
from enhancer_core.models.gapped_kmers import GappedBaseline
from enhancer_core.models.kmers import Baseline, Linear, fit, fit_features
from enhancer_core.models.model import single_predictor
from enhancer_core.models.parameters import AnyMember, KmerMember, Member, flatten, shapes
from enhancer_core.models.transfer import motif_filter
from enhancer_core.motifs.motif import Motif

_STEP = 3  # bp; motifs whose widths differ by less share a network
_BATCH = 256  # sequences read at once
_ENOUGH = 10_000  # sequences to choose motifs by
_SIDES = np.array([-0.5, 0.5])  # of log odds, the logits


@dataclass(frozen=True, slots=True)
class Regression:
    """A fitted regression as the members of a model."""

    name: str
    members: tuple[AnyMember, ...]
    penalty: float  # chosen on the validation part
    auc: float  # there


def fit_k_mers(data: SplitDataset, *, k: int = 5) -> Regression:
    """Fit a regression on k-mers; parameters and errors are those of `kmers.fit`."""
    return of_k_mers(fit(data, k=k), data.dataset.codes.shape[1])


def of_k_mers(fitted: Baseline, length: int) -> Regression:
    """Write a regression on k-mers as k-mer weights, for sequences of `length` bp.

    K-mers with N count nowhere, as in the regression; its shares are of those without, here they
    are of all positions, which differs where there is an N.
    """
    by_share = fitted.weights.astype(np.float64) / fitted.scale
    bias = fitted.bias - float(by_share @ fitted.mean)
    member = _k_mer_member(fitted.k, length, by_share / (length - fitted.k + 1), bias)
    name = f"{fitted.k}-mer logistic regression"
    return Regression(name, (member,), fitted.penalty, fitted.auc)


def fit_gapped_k_mers(data: SplitDataset) -> Regression:
    """Fit a regression on gapped k-mers; errors are those of `gapped_kmers.fit`."""
    return of_gapped_k_mers(gapped_kmers.fit(data), data.dataset.codes.shape[1])


def of_gapped_k_mers(fitted: GappedBaseline, length: int) -> Regression:
    """Write a regression on gapped k-mers as weights of words, for sequences of `length` bp.

    Words with N count nowhere, as in the regression; it divides by the root of the number of those
    without, here it is of all positions, which differs where there is an N.
    """
    k = gapped_kmers.WIDTH
    weights = fitted.scores.astype(np.float64) / math.sqrt(length - k + 1)
    member = _k_mer_member(k, length, weights, fitted.bias)
    return Regression(gapped_kmers.NAME, (member,), fitted.penalty, fitted.auc)


def _k_mer_member(k: int, length: int, weights: NDArray[np.float64], bias: float) -> KmerMember:
    arrays = {"output.weight": weights, "output.bias": _SIDES * bias}
    return KmerMember(KmerWeights(k=k, length=length), flatten(arrays))


def fit_best_hits(data: SplitDataset, motifs: Sequence[Motif]) -> Regression:
    """Fit a regression on motifs' best hits; errors are those of `best_hits_networks`."""
    readers = best_hits_networks(motifs, data.dataset.codes.shape[1])
    fitted = _fit(data, readers)
    name = f"logistic regression on the best hits of {len(motifs):,} motifs"
    return Regression(name, regressing(readers, fitted), fitted.penalty, fitted.auc)


def weightiest(data: SplitDataset, motifs: Sequence[Motif], count: int) -> list[Motif]:
    """Return the motifs of the largest weights in a regression on best hits, the largest first.

    It is that of `fit_best_hits`, but for sequences beyond some thousand, which are not needed.
    """
    step = -(-len(data.dataset) // _ENOUGH)
    few = SplitDataset(data.dataset.take(np.arange(0, len(data.dataset), step)), data.parts[::step])
    fitted = _fit(few, best_hits_networks(motifs, data.dataset.codes.shape[1]))
    order = np.argsort(-np.abs(fitted.weights), kind="stable")[:count]
    return [motifs[index] for index in order.tolist()]


def _fit(data: SplitDataset, readers: Sequence[tuple[Member, list[int]]]) -> Linear:
    learn, check = data.train, data.validation
    return fit_features(
        best_hits(readers, learn.codes), learn.labels, best_hits(readers, check.codes), check.labels
    )


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
    made = []
    for member, which in readers:
        bias = fitted.bias - len(readers) * centred[which].sum()
        output = {
            "output.weight": len(readers) * _SIDES[:, np.newaxis] * by_score[which],
            "output.bias": _SIDES * bias,
        }
        made.append(replace(member, parameters=flatten({**member.weights(), **output})))
    return tuple(made)


def _zeros(architecture: Architecture) -> dict[str, NDArray[np.float64]]:
    return {name: np.zeros(shape) for name, shape in shapes(architecture).items()}
