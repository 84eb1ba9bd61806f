"""Model files and interrupted runs: tensors and a JSON header in one safetensors file.

Nothing loaded is executed. The header has one key, so that its bytes do not depend on the order of
a hash map, and holds a digest of the content, so that damage is noticed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from enhancer_core.errors import ModelFileError
from enhancer_core.io.files import first_bytes, writing
from enhancer_core.model import Network, architecture_from_dict

FORMAT_VERSION = 1
MODEL_FILE = "model.safetensors"

_KEY = "enhancer_core"
_WRONG_KIND = {
    b"PK\x03\x04": "a zip archive, as torch.save writes; it can hold code and is not loaded",
    b"\x80": "a pickle; it can hold code and is not loaded",
    b"\x89HDF": "an HDF5 file",
    b"\x1f\x8b": "a gzip file",
}


@dataclass(frozen=True, slots=True)
class Model:
    """A trained network with its training record: a mapping of plain values."""

    network: Network
    training: Mapping[str, Any]


def save_model(path: Path, network: Network, training: Mapping[str, Any]) -> None:
    """Write a model file, whole or not at all.

    Parameters
    ----------
    path
        The file, by custom `model.safetensors`.
    network
        Its weights are written as float32.
    training
        How it was trained: plain values that JSON can hold.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    write_tensors(
        path,
        {name: tensor.float() for name, tensor in network.state_dict().items()},
        kind="model",
        record={"architecture": network.architecture.to_dict(), "training": dict(training)},
    )


def load_model(path: Path) -> Model:
    """Read a model file, or `model.safetensors` in a folder. The network is in evaluation mode.

    Raises
    ------
    FileError
        If the file cannot be read.
    ModelFileError
        If it is damaged, foreign, or of a newer format.
    """
    if path.is_dir():
        path = path / MODEL_FILE
    tensors, record = read_tensors(path, kind="model")
    try:
        network = Network(architecture_from_dict(record["architecture"]))
        training = record["training"]
    except KeyError as error:
        raise ModelFileError(f"{path}: the header lacks {error}") from error
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
    load_weights(path, network, tensors)
    return Model(network.eval(), training)


def load_weights(path: Path, network: Network, tensors: Mapping[str, Tensor]) -> None:
    """Put tensors into a network, which must have just these names and shapes.

    Raises
    ------
    ModelFileError
        If a tensor is missing, foreign, of another shape, or not finite.
    """
    wanted = network.state_dict()
    if wanted.keys() != tensors.keys():
        odd = min(wanted.keys() ^ tensors.keys())
        what = "lacks" if odd in wanted else "has an unknown"
        raise ModelFileError(f"{path}: the file {what} tensor '{odd}'")
    for name, tensor in tensors.items():
        if tensor.shape != wanted[name].shape or tensor.dtype != wanted[name].dtype:
            raise ModelFileError(
                f"{path}: tensor '{name}' is {tensor.dtype} {tuple(tensor.shape)};"
                f" the architecture needs {wanted[name].dtype} {tuple(wanted[name].shape)}"
            )
        if not torch.isfinite(tensor).all():
            raise ModelFileError(f"{path}: tensor '{name}' has values that are not finite")
    network.load_state_dict(dict(tensors))


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], *, kind: str, record: Mapping[str, Any]
) -> None:
    """Write tensors under a header of `kind`, with a record of plain values.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = {
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "sha256": _digest(plain, kind, record),
        "record": record,
    }
    with writing(path) as stream:
        stream.write(save(plain, metadata={_KEY: json.dumps(header, sort_keys=True)}))


def read_tensors(path: Path, *, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_tensors` wrote: tensors and record.

    Raises
    ------
    FileError
        If the file cannot be read.
    ModelFileError
        If it is damaged, foreign, of a newer format, or of another kind.
    """
    start = first_bytes(path)
    try:
        with safe_open(str(path), framework="pt") as file:
            text = (file.metadata() or {}).get(_KEY)
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
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
    if header["sha256"] != _digest(tensors, kind, record):
        raise ModelFileError(f"{path}: damaged; the content does not match the header's digest")
    return tensors, record


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


def _digest(tensors: Mapping[str, Tensor], kind: str, record: Mapping[str, Any]) -> str:
    content = {"format_version": FORMAT_VERSION, "kind": kind, "record": record}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()
