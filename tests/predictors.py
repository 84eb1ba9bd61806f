"""What tests predict with: PyTorch networks and models alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from enhancer_core.models.ensemble import Predictor
from enhancer_core.models.model import Model
from enhancer_core.models.network import Ensemble, Network


def model_of(
    network: Network | Ensemble | Model, metadata: Mapping[str, Any] | None = None
) -> Model:
    """Make a model of a PyTorch network; a model that has the metadata already stays as it is."""
    if isinstance(network, Model):
        return network if metadata is None else Model(network.members, metadata)
    return Model.from_torch(network, metadata)


def predictor_of(network: Network | Ensemble | Model, device: str = "cpu") -> Predictor:
    """Lay out the weights as they are now."""
    return model_of(network).predictor(device)
