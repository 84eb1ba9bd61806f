"""Start training from trained networks or from motifs instead of random weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from enhancer_core.data.dataset import SplitDataset, file_names
from enhancer_core.errors import ModelFileError, MotifError
from enhancer_core.io.files import check_regular, sha256
from enhancer_core.io.motifs import read_motifs
from enhancer_core.models import transfer
from enhancer_core.models.architecture import Architecture
from enhancer_core.models.model import load_model, model_file
from enhancer_core.models.regression import weightiest
from enhancer_core.models.transfer import SHARE, Planted
from enhancer_core.motifs.motif import Motif

# Of vertebrates, not redundant, written by training/jaspar.py.
JASPAR = Path(__file__).parents[1] / "motifs" / "JASPAR2026_vertebrates.pfm.gz"


@cache
def known_motifs() -> tuple[Motif, ...]:
    """Return the motifs that come with the package: JASPAR's of vertebrates."""
    return tuple(read_motifs(JASPAR))


@dataclass(frozen=True, slots=True)
class Start:
    """Weights that every restart begins with, and where they are from."""

    kind: str  # networks planted, motifs planted, or start from
    files: Sequence[Path]
    planted: Planted
    motifs: int = 0  # in the file
    chosen: int | None = None  # how many of them are planted, if not all
    digests: Sequence[str] = field(init=False)  # SHA-256 of the files

    def __post_init__(self) -> None:
        """Compute the checksums at once: training takes hours, in which files change."""
        object.__setattr__(self, "digests", [sha256(path) for path in self.files])

    def names(self) -> list[str]:
        """Return the files' names as reports show them."""
        names = file_names(self.files)
        return [names[path] for path in self.files]

    def to_dict(self) -> dict[str, Any]:
        """Return the start as a training record has it."""
        files = zip(self.names(), self.digests, strict=True)
        record = {
            "kind": self.kind,
            "files": [{"name": name, "sha256": digest} for name, digest in files],
            "parameters": int(self.planted.planted.sum()),
        }
        return record if self.chosen is None else {**record, "chosen": self.chosen}


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
    networks
        Model files or their folders, planted side by side; of an ensemble the members made as its
        first.
    motifs
        A file, or motifs that were read already: these have no file in a record.
    initial
        A model file or its folder, to train it further.
    share
        As in `transfer.widen_for` and `transfer.plant_motifs`.
    data
        If not all motifs fit, it chooses those that are planted: those that weigh most in the
        regression on best hits, fitted on the training part. Without, more than fit are an error.

    Returns
    -------
    tuple of Architecture and (Start or None)
        The network, which planted networks may widen, and its first weights if not all are random.

    Raises
    ------
    FileError
        If a file cannot be read, or a file of motifs is a pipe.
    ModelFileError
        If one is no model, or has other convolutions than `architecture`.
    MotifError
        As `transfer.plant_motifs`, or if a motif is flat.
    """
    if networks:
        donors = [load_model(path) for path in networks]
        for path, donor in zip(networks, donors, strict=True):
            with _naming(path):
                transfer.check_donor(donor, architecture)
        architecture = transfer.widen_for(donors, architecture, share=share)
        files = [model_file(path) for path in networks]
        planted = transfer.plant(donors, architecture)
        return architecture, Start("networks planted", files, planted)
    if isinstance(motifs, Path):
        check_regular(motifs)
        known = read_motifs(motifs)
        with _naming(motifs):
            return architecture, _plant_motifs(known, architecture, [motifs], share, data)
    if motifs:
        return architecture, _plant_motifs(motifs, architecture, [], share, data)
    if initial is None:
        return architecture, None
    model = load_model(initial)
    with _naming(initial):
        planted = transfer.start_from(model, architecture)
    return architecture, Start("start from", [model_file(initial)], planted)


def _plant_motifs(
    motifs: Sequence[Motif],
    architecture: Architecture,
    files: Sequence[Path],
    share: float,
    data: SplitDataset | None,
) -> Start:
    room = transfer.motif_capacity(architecture, share=share)
    chosen = None if data is None or len(motifs) <= room else room
    selected = motifs if data is None or chosen is None else weightiest(data, motifs, chosen)
    planted = transfer.plant_motifs(selected, architecture, share=share)
    return Start("motifs planted", files, planted, len(motifs), chosen)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name a file in errors on what it holds."""
    try:
        yield
    except (ModelFileError, MotifError) as error:
        raise type(error)(f"{path}: {error}") from error
