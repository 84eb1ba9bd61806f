"""What tests predict with: PyTorch networks and models alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from enhancer_core.models.ensemble import Predictor
from enhancer_core.models.kmer_module import KmerModule
from enhancer_core.models.model import Model
from enhancer_core.models.network import Ensemble, Network

Module: TypeAlias = Network | KmerModule | Ensemble


def model_of(network: Module | Model, metadata: Mapping[str, Any] | None = None) -> Model:
    """Make a model of a PyTorch network; a model that has the metadata already stays as it is."""
    if isinstance(network, Model):
        return network if metadata is None else Model(network.members, metadata)
    return Model.from_torch(network, metadata)


def predictor_of(network: Module | Model, device: str = "cpu") -> Predictor:
    """Lay out the weights as they are now."""
    return model_of(network).predictor(device)
