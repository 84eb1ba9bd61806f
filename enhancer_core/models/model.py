"""Model files and interrupted runs: tensors and a JSON header in one safetensors file.

A file holds one network, or several of one length that predict together (an ensemble).

Nothing loaded is executed. The header has one key, so that its bytes do not depend on the order of
a hash map, and holds a digest of the content, so that damage is noticed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from enhancer_core.errors import ModelFileError
from enhancer_core.io.files import check_regular, first_bytes, writing
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
from enhancer_core.models.cpu.predictor import CpuPredictor
from enhancer_core.models.ensemble import Predictor, together

if TYPE_CHECKING:
    from enhancer_core.models.network import Ensemble, Network

# The newest read. Each is written only for what releases that read those before cannot: 1 for a
# network, 2 for an ensemble of one architecture, 3 for one of several.
FORMAT_VERSION = 3
MODEL_FILE = "model.safetensors"

_KEY = "enhancer_core"
_MOST_MEMBERS = 1 << 10  # a damaged or hostile header must not ask for all time
_WRONG_KIND = {
    b"PK\x03\x04": "a zip archive, as torch.save writes; it can hold code and is not loaded",
    b"\x80": "a pickle; it can hold code and is not loaded",
    b"\x89HDF": "an HDF5 file",
    b"\x1f\x8b": "a gzip file",
}

Arrays = Mapping[str, NDArray[Any]]


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
        return together([CpuPredictor(each.architecture, each.parameters) for each in self.members])

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


def write_arrays(
    path: Path,
    arrays: Arrays,
    *,
    kind: str,
    record: Mapping[str, Any],
    version: int = 1,
) -> None:
    """Write arrays under a header of `kind`, with a record of plain values.

    Releases whose newest format is below `version` refuse the file.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    content = {"format_version": version, "kind": kind, "record": record}
    header = {**content, "sha256": _digest(arrays, content)}
    plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    text = json.dumps(header, sort_keys=True, allow_nan=False)
    with writing(path) as stream:
        stream.write(save(plain, metadata={_KEY: text}))


def read_arrays(path: Path, *, kind: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read what `write_arrays` wrote: arrays and record.

    Raises
    ------
    FileError
        If the file cannot be read, or is a pipe.
    ModelFileError
        If it is damaged, foreign, of a newer format, or of another kind.
    """
    check_regular(path)
    start = first_bytes(path)
    try:
        with safe_open(str(path), framework="np") as file:
            text = (file.metadata() or {}).get(_KEY)
            arrays = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except SafetensorError as error:
        for magic, name in _WRONG_KIND.items():  # only now: a good file may begin with any byte
            if start.startswith(magic):
                raise ModelFileError(f"{path}: not a model file but {name}") from error
        raise ModelFileError(
            f"{path}: not a model file, or one that is damaged or cut ({error})"
        ) from error
    if text is None:
        raise ModelFileError(f"{path}: a safetensors file, but not one of enhancer_core")
    header = _header(path, text)
    if header["kind"] != kind:
        raise ModelFileError(f"{path}: the file is of kind '{header['kind']}', not '{kind}'")
    record: dict[str, Any] = header["record"]
    content = {key: header[key] for key in ("format_version", "kind", "record")}
    if header["sha256"] != _digest(arrays, content):
        raise ModelFileError(f"{path}: damaged; the content does not match the header's digest")
    return arrays, record


def _header(path: Path, text: str) -> dict[str, Any]:
    try:
        header: dict[str, Any] = json.loads(text)
        version = header["format_version"]
        if version > FORMAT_VERSION:
            raise ModelFileError(
                f"{path}: format version {version} is newer than this release reads"
                f" ({FORMAT_VERSION}); upgrade enhancer_core"
            )
        known = isinstance(header["record"], dict) and {"kind", "sha256"} <= header.keys()
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ModelFileError(f"{path}: the header is damaged ({error})") from error
    if not known:
        raise ModelFileError(f"{path}: the header is damaged (a field is missing)")
    return header


def _digest(arrays: Arrays, content: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        # The format spells types as PyTorch does.
        digest.update(f"{name} torch.{array.dtype} {tuple(array.shape)};".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
