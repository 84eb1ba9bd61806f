"""Where training starts from other than chance: files of models or motifs, read and planted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enhancer_core.architecture import Architecture
from enhancer_core.checkpoint import load_model, model_file
from enhancer_core.dataset import file_names
from enhancer_core.errors import EnhancerError, ModelFileError, MotifError
from enhancer_core.io.files import sha256
from enhancer_core.io.motifs import read_motifs
from enhancer_core.motif import Motif
from enhancer_core.plant import (
    SHARE,
    Planted,
    check_donor,
    motif_room,
    plant,
    plant_motifs,
    plant_nothing,
    room_for,
    start_from,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """Weights that every restart begins with, and where they are from."""

    kind: str  # networks planted, motifs planted, motifs read, or start from
    files: Sequence[Path]
    planted: Planted
    motifs: Sequence[Motif] = ()  # all of the file's

    def names(self) -> list[str]:
        """Name the files as reports do."""
        names = file_names(self.files)
        return [names[path] for path in self.files]

    def to_dict(self) -> dict[str, Any]:
        """Give what a training record says of it."""
        files = zip(self.names(), self.files, strict=True)
        return {
            "kind": self.kind,
            "files": [{"name": name, "sha256": sha256(path)} for name, path in files],
            "parameters": int(self.planted.planted.sum()),
        }


def from_networks(
    models: Sequence[Path], wanted: Architecture, *, share: float = SHARE
) -> tuple[Architecture, Start]:
    """Plant trained networks side by side, and give the network made wide enough for them.

    Parameters
    ----------
    models
        Model files or their folders; of an ensemble the members made as its first.
    wanted, share
        As in `plant.room_for`.

    Raises
    ------
    FileError
        If a file cannot be read.
    ModelFileError
        If one is no model, or has other convolutions than `wanted`.
    """
    donors = [load_model(path) for path in models]
    for path, donor in zip(models, donors, strict=True):
        try:
            check_donor(donor, wanted)
        except ModelFileError as error:
            raise _said_of(path, error) from error
    wanted = room_for(donors, wanted, share=share)
    files = [model_file(path) for path in models]
    return wanted, Start(kind="networks planted", files=files, planted=plant(donors, wanted))


def from_motifs(
    path: Path, wanted: Architecture, *, share: float = SHARE, regressions: bool = False
) -> Start:
    """Plant all motifs of a file as filters of the first layer.

    Parameters
    ----------
    path
        The file.
    wanted, share
        As in `plant.plant_motifs`.
    regressions
        Whether a regression reads the motifs too. It has room for all; then more than fit into the
        network are no error, but none is planted.

    Raises
    ------
    FileError, MotifError
        If the file cannot be read, or as `plant.plant_motifs`.
    """
    motifs = read_motifs(path)
    if regressions and len(motifs) > motif_room(wanted, share=share):
        nothing = plant_nothing(wanted)
        return Start(kind="motifs read", files=[path], planted=nothing, motifs=motifs)
    try:
        planted = plant_motifs(motifs, wanted, share=share)
    except MotifError as error:
        raise _said_of(path, error) from error
    return Start(kind="motifs planted", files=[path], planted=planted, motifs=motifs)


def from_model(path: Path, wanted: Architecture) -> Start:
    """Start from a trained network, to train it further.

    Raises
    ------
    FileError, ModelFileError
        If the file cannot be read, or as `plant.start_from`.
    """
    model = load_model(path)
    try:
        planted = start_from(model, wanted)
    except ModelFileError as error:
        raise _said_of(path, error) from error
    return Start(kind="start from", files=[model_file(path)], planted=planted)


def _said_of(path: Path, error: EnhancerError) -> EnhancerError:
    return type(error)(f"{path}: {error}")
