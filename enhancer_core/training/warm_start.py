"""Where training starts from other than chance: files of models or motifs, read and planted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enhancer_core.data.dataset import SplitDataset, file_names
from enhancer_core.errors import EnhancerError, ModelFileError, MotifError
from enhancer_core.io.files import check_regular, sha256
from enhancer_core.io.motifs import read_motifs
from enhancer_core.models.architecture import Architecture
from enhancer_core.models.model import load_model, model_file
from enhancer_core.models.regression import weightiest
from enhancer_core.models.transfer import (
    SHARE,
    Planted,
    check_donor,
    motif_capacity,
    plant,
    plant_motifs,
    start_from,
    widen_for,
)
from enhancer_core.motifs.motif import Motif


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """Weights that every restart begins with, and where they are from."""

    kind: str  # networks planted, motifs planted, or start from
    files: Sequence[Path]
    digests: Sequence[str]  # SHA-256 of each, when it was read: training takes hours
    planted: Planted
    motifs: Sequence[Motif] = ()  # all of the file's
    chosen: int | None = None  # so many of them are planted, if not all

    def names(self) -> list[str]:
        """Name the files as reports do."""
        names = file_names(self.files)
        return [names[path] for path in self.files]

    def to_dict(self) -> dict[str, Any]:
        """Give what a training record says of it."""
        files = zip(self.names(), self.digests, strict=True)
        said = {
            "kind": self.kind,
            "files": [{"name": name, "sha256": digest} for name, digest in files],
            "parameters": int(self.planted.planted.sum()),
        }
        return said if self.chosen is None else {**said, "chosen": self.chosen}


def from_networks(
    models: Sequence[Path], architecture: Architecture, *, share: float = SHARE
) -> tuple[Architecture, Start]:
    """Plant trained networks side by side, and give the network made wide enough for them.

    Parameters
    ----------
    models
        Model files or their folders; of an ensemble the members made as its first.
    architecture, share
        As in `transfer.widen_for`.

    Raises
    ------
    FileError
        If a file cannot be read.
    ModelFileError
        If one is no model, or has other convolutions than `architecture`.
    """
    donors = [load_model(path) for path in models]
    for path, donor in zip(models, donors, strict=True):
        try:
            check_donor(donor, architecture)
        except ModelFileError as error:
            raise _said_of(path, error) from error
    architecture = widen_for(donors, architecture, share=share)
    files = [model_file(path) for path in models]
    return architecture, Start(
        kind="networks planted",
        files=files,
        digests=[sha256(path) for path in files],
        planted=plant(donors, architecture),
    )


def from_motifs(
    path: Path,
    architecture: Architecture,
    *,
    share: float = SHARE,
    data: SplitDataset | None = None,
) -> Start:
    """Plant the motifs of a file as filters of the first layer.

    Parameters
    ----------
    path
        The file.
    architecture, share
        As in `transfer.plant_motifs`.
    data
        What tells which motifs are planted, if not all fit: those that weigh most in the regression
        on best hits, fitted on the training part. Without, more than fit are an error.

    Raises
    ------
    FileError, MotifError
        If the file cannot be read or is a pipe, or as `transfer.plant_motifs`; or a motif is flat.
    """
    check_regular(path)
    motifs = read_motifs(path)
    try:
        planted, chosen = plant_most(motifs, architecture, share=share, data=data)
    except MotifError as error:
        raise _said_of(path, error) from error
    return Start(
        kind="motifs planted",
        files=[path],
        digests=[sha256(path)],
        planted=planted,
        motifs=motifs,
        chosen=chosen,
    )


def plant_most(
    motifs: Sequence[Motif],
    architecture: Architecture,
    *,
    share: float = SHARE,
    data: SplitDataset | None = None,
) -> tuple[Planted, int | None]:
    """Plant motifs, or those that `data` chooses, as `from_motifs` says.

    Returns
    -------
    tuple of Planted and (int or None)
        With how many were chosen, if not all are planted.

    Raises
    ------
    MotifError
        As `transfer.plant_motifs`; or a motif is flat.
    """
    capacity = motif_capacity(architecture, share=share)
    if data is None or len(motifs) <= capacity:
        return plant_motifs(motifs, architecture, share=share), None
    return plant_motifs(weightiest(data, motifs, capacity), architecture, share=share), capacity


def from_model(path: Path, architecture: Architecture) -> Start:
    """Start from a trained network, to train it further.

    Raises
    ------
    FileError, ModelFileError
        If the file cannot be read, or as `transfer.start_from`.
    """
    model = load_model(path)
    try:
        planted = start_from(model, architecture)
    except ModelFileError as error:
        raise _said_of(path, error) from error
    file = model_file(path)
    return Start(kind="start from", files=[file], digests=[sha256(file)], planted=planted)


def _said_of(path: Path, error: EnhancerError) -> EnhancerError:
    return type(error)(f"{path}: {error}")


def first_weights(
    architecture: Architecture,
    *,
    networks: Sequence[Path] = (),
    motifs: Path | Sequence[Motif] = (),
    initial: Path | None = None,
    share: float = SHARE,
    data: SplitDataset | None = None,
) -> tuple[Architecture, Start | None]:
    """Plant networks or motifs, or start from a model: the one of the three that is given.

    Parameters
    ----------
    architecture
        The network to train.
    networks, initial
        Model files or their folders, as in `from_networks` and `from_model`.
    motifs
        A file, or motifs that were read already: these have no file in a record.
    share, data
        As in `from_networks` and `from_motifs`.

    Returns
    -------
    tuple of Architecture and (Start or None)
        The network, which planted networks may widen, and its first weights if not all are random.

    Raises
    ------
    FileError, ModelFileError, MotifError
        As `from_networks`, `from_motifs` and `from_model`.
    """
    if networks:
        return from_networks(networks, architecture, share=share)
    if isinstance(motifs, Path):
        return architecture, from_motifs(motifs, architecture, share=share, data=data)
    if motifs:
        planted, chosen = plant_most(motifs, architecture, share=share, data=data)
        return architecture, Start(
            kind="motifs planted",
            files=(),
            digests=(),
            planted=planted,
            motifs=motifs,
            chosen=chosen,
        )
    return architecture, None if initial is None else from_model(initial, architecture)
