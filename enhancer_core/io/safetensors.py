"""Arrays and a JSON header in one safetensors file: model files and interrupted runs.

Nothing loaded is executed. The header has one key, so that its bytes do not depend on the order of
a hash map, and holds a digest of the content, so that damage is noticed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from enhancer_core.errors import ModelFileError
from enhancer_core.io.files import (
    StrPath,
    check_regular,
    first_bytes,
    is_gzip,
    open_input,
    open_output,
)

# The newest read. Each is written only for what releases that read those before cannot: 1 for a
# network, 2 for an ensemble of one architecture, 3 for one of several, 4 with k-mer weights.
FORMAT_VERSION = 4

_KEY = "enhancer_core"
_HOLDS_CODE = "; it can hold code and is not loaded"
_ZIP = "a zip archive, as torch.save writes"
_KINDS = {
    b"PK\x03\x04": _ZIP,
    b"\x80": "a pickle",
    b"\x89HDF": "an HDF5 file",
    b"BCF\x02": "BCF",
    b">": "FASTA",
    b"@": "FASTQ or SAM",
    b"##fileformat=VCF": "VCF",
    b"MEME version": "motifs in MEME format",
    b"{": "JSON",
}
_BED = re.compile(rb"(#.*\n|track.*\n|browser.*\n)*\S+\t\d+\t\d+\s")
_NOT_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_LOOKED_AT = 4096  # bytes

Arrays = Mapping[str, NDArray[Any]]


def write_arrays(
    path: StrPath, arrays: Arrays, *, kind: str, record: Mapping[str, Any], version: int = 1
) -> None:
    """Write arrays under a header of `kind`, with a record of plain values.

    Releases whose newest format is below `version` refuse the file.
    """
    content = {"format_version": version, "kind": kind, "record": record}
    header = {**content, "sha256": _digest(arrays, content)}
    plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    text = json.dumps(header, sort_keys=True, allow_nan=False)
    with open_output(path) as stream:
        stream.write(save(plain, metadata={_KEY: text}))


def read_arrays(path: StrPath, *, kind: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read what `write_arrays` wrote: arrays and record.

    Raises
    ------
    FileError
        If the file is a pipe.
    ModelFileError
        If it is damaged, foreign, of a newer format, or of another kind.
    """
    check_regular(path, named=True)
    first_bytes(path)  # whether it can be read: safetensors tells it in its own words
    try:
        with safe_open(str(path), framework="np") as file:
            text = (file.metadata() or {}).get(_KEY)
            arrays = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except SafetensorError as error:
        what = kind_of(path)  # only now: a good file may begin with any byte
        why = ", or one that is damaged or cut" if what is None else f" but {what}"
        code = _HOLDS_CODE if what in (_ZIP, "a pickle") else ""
        raise ModelFileError(
            f"{path}: not a {kind} file{why}{code}; needed is a .safetensors file that"
            " enhancer-core wrote"
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


def kind_of(path: StrPath) -> str | None:
    """Return what a file that is no model looks like; None if it cannot be told, or is damaged."""
    with open_input(path) as stream:
        start = stream.read(_LOOKED_AT)
    if start[4:9] == b"\0\0\0\0{":  # as safetensors begins, after any four bytes
        return None
    zipped = " compressed by gzip" if is_gzip(path) else ""
    for magic, name in _KINDS.items():
        if start.startswith(magic):
            return name + zipped
    if zipped or _NOT_TEXT.search(start):
        return "a gzip file" if zipped else None
    return "an empty file" if not start else "BED" if _BED.match(start) else "text"


def _header(path: StrPath, text: str) -> dict[str, Any]:
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
