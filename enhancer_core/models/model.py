"""Model files: one network, or several of one length that predict together (an ensemble)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from enhancer_core.errors import ModelFileError
from enhancer_core.io.safetensors import Arrays, read_arrays, write_arrays
from enhancer_core.models.architecture import (
    Architecture,
    Member,
    Weighted,
    alike,
    architecture_from_dict,
    flatten,
    shapes,
)
from enhancer_core.models.cpu.object_cache import available
from enhancer_core.models.cpu.predictor import Predictor as Engine
from enhancer_core.models.ensemble import Predictor, together

if TYPE_CHECKING:
    from enhancer_core.models.network import Ensemble, Network

MODEL_FILE = "model.safetensors"

_MOST_MEMBERS = 1 << 10  # a damaged or hostile header must not ask for all time


@dataclass(frozen=True, slots=True)
class Model:
    """A trained network, or an ensemble, as its file has it; it predicts on the CPU."""

    members: tuple[Member, ...]  # at least one; all read one length
    training: Mapping[str, Any]  # its training record: plain values

    @property
    def architecture(self) -> Architecture:
        """What the first network is made of."""
        return self.members[0].architecture

    def member_networks(self) -> list[Member]:
        """List the networks, with copies of their weights."""
        return [replace(each, parameters=each.parameters.copy()) for each in self.members]

    def predictor(self) -> Predictor:
        """Lay the weights out for prediction, without PyTorch; several give their mean logits.

        Where the engine cannot be compiled, PyTorch takes its place.
        """
        if not available():
            return self.network.predictor()
        return together([Engine(each.architecture, each.parameters) for each in self.members])

    @property
    def network(self) -> Network | Ensemble:
        """Make the network in PyTorch, in evaluation mode on the CPU."""
        # Imported here, since PyTorch takes seconds to import.
        from enhancer_core.models.network import network_of_members

        return network_of_members(self.members)


def model_file(path: Path) -> Path:
    """Give the model file that a path means: itself, or `model.safetensors` in a folder."""
    return path / MODEL_FILE if path.is_dir() else path


def save_model(path: Path, network: Weighted, training: Mapping[str, Any]) -> None:
    """Write a model file, whole or not at all.

    Parameters
    ----------
    path
        The file, by custom `model.safetensors`.
    network
        Its weights are written as float32. An ensemble's tensors are named for their member,
        `member.0.output.bias`, and releases that know none refuse the file for its version.
    training
        How it was trained: plain values that JSON can hold.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    members = network.member_networks()
    record: dict[str, Any] = {"training": dict(training)}
    if len(alike(members)) < len(members):
        version, record["members"] = 3, [each.architecture.to_dict() for each in members]
    else:
        version, record["architecture"] = 1, network.architecture.to_dict()
        if len(members) > 1:
            version, record["members"] = 2, len(members)
    arrays = {
        prefix + name: array
        for prefix, each in zip(_prefixes(len(members)), members, strict=True)
        for name, array in each.weights().items()
    }
    write_arrays(path, arrays, kind="model", record=record, version=version)


def load_model(path: Path) -> Model:
    """Read a model file, or `model.safetensors` in a folder.

    Raises
    ------
    FileError
        If the file cannot be read.
    ModelFileError
        If it is damaged, foreign, or of a newer format.
    """
    path = model_file(path)
    arrays, record = read_arrays(path, kind="model")
    try:
        made, training = _architectures(record), record["training"]
    except KeyError as error:
        raise ModelFileError(f"{path}: the header lacks {error}") from error
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
    named = list(zip(_prefixes(len(made)), made, strict=True))
    allowed = {p + name: shape for p, each in named for name, shape in shapes(each).items()}
    _check_weights(path, allowed, arrays)
    return Model(
        tuple(Member(each, flatten({n: arrays[p + n] for n in shapes(each)})) for p, each in named),
        training,
    )


def _architectures(record: Mapping[str, Any]) -> list[Architecture]:
    """Read what each member is made of: a number of members made alike, or a list."""
    members = record.get("members", 1)
    count = len(members) if isinstance(members, list) else members
    if type(count) is not int or not 1 <= count <= _MOST_MEMBERS:
        raise ModelFileError(
            f"members of {count!r} cannot be read; allowed are 1 to {_MOST_MEMBERS}"
        )
    if not isinstance(members, list):
        return [architecture_from_dict(record["architecture"])] * count
    made = [architecture_from_dict(each) for each in members]
    lengths = sorted({each.length for each in made})
    if len(lengths) > 1:
        spelled = " and ".join(map(str, lengths))
        raise ModelFileError(f"members read {spelled} bp; allowed is one length for all")
    return made


def _prefixes(members: int) -> list[str]:
    """Give what the names of each member's tensors begin with: nothing for one alone."""
    return [""] if members == 1 else [f"member.{index}." for index in range(members)]


def _check_weights(path: Path, allowed: Mapping[str, tuple[int, ...]], arrays: Arrays) -> None:
    """Raise unless arrays have just the names and shapes of a model, and finite values."""
    if allowed.keys() != arrays.keys():
        odd = min(allowed.keys() ^ arrays.keys())
        what = "lacks" if odd in allowed else "has an unknown"
        raise ModelFileError(f"{path}: the file {what} tensor '{odd}'")
    for name, array in arrays.items():
        if array.shape != allowed[name] or array.dtype != np.float32:
            raise ModelFileError(
                f"{path}: tensor '{name}' is {array.dtype} {array.shape};"
                f" the architecture needs float32 {allowed[name]}"
            )
        if not np.isfinite(array).all():
            raise ModelFileError(f"{path}: tensor '{name}' has values that are not finite")
