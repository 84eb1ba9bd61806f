from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from enhancer_core.data.dataset import SplitDataset, make_dataset
from enhancer_core.data.splits import split
from enhancer_core.dna.codes import encode
from enhancer_core.errors import FileError, ModelFileError, MotifError
from enhancer_core.io.motifs import write_meme
from enhancer_core.io.outputs import MODEL_FILE
from enhancer_core.models.architecture import NETWORKS, Architecture
from enhancer_core.models.model import save_model
from enhancer_core.models.network import Ensemble, Network
from enhancer_core.models.parameters import shapes
from enhancer_core.models.transfer import SHARE, motif_filter
from enhancer_core.motifs.motif import BUILTIN, Motif
from enhancer_core.training.warm_start import JASPAR, Start, first_weights, known_motifs
from tests.predictors import model_of

TF, ENHANCER = NETWORKS["tf"], NETWORKS["enhancer"]


def network(architecture: Architecture, seed: int) -> Network:
    return Network(architecture, generator=torch.Generator().manual_seed(seed))


def start_of(
    architecture: Architecture,
    *,
    motifs: Path | tuple[()] = (),
    initial: Path | None = None,
    networks: Sequence[Path] = (),
    share: float = SHARE,
    data: SplitDataset | None = None,
) -> Start:
    """Return the start alone, in place of the network's architecture too."""
    _, start = first_weights(
        architecture, networks=networks, motifs=motifs, initial=initial, share=share, data=data
    )
    assert start is not None
    return start


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    """A folder k2 with a network, and a file k34.safetensors with two."""
    (tmp_path / "k2").mkdir()
    save_model(model_of(network(TF, 2), {}), tmp_path / "k2" / MODEL_FILE)
    save_model(
        model_of(Ensemble([network(TF, 3), network(TF, 4)]), {}), tmp_path / "k34.safetensors"
    )
    return [tmp_path / "k2", tmp_path / "k34.safetensors"]


def test_models_are_planted_with_all_their_members_and_named_in_the_record(
    models: list[Path],
) -> None:
    architecture, start = first_weights(replace(TF, length=200), networks=models)
    assert start is not None
    assert [layer.filters for layer in architecture.convolutions] == [28, 200]
    assert architecture.length == 200
    first = start.planted.parameters[: 21 * 36].reshape(21, 4, 9)
    for place, seed in enumerate((2, 3, 4)):
        donor = network(TF, seed).first_layer.weight.detach().numpy()
        np.testing.assert_array_equal(first[7 * place : 7 * place + 7], donor)
    file = models[0] / MODEL_FILE
    assert start.names() == [MODEL_FILE, "k34.safetensors"]
    record = start.to_dict()
    assert record["kind"] == "networks planted"
    assert record["files"][0]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    # 21 filters of 4 * 9 weights, and 150 of 28 * 2, each with a bias
    assert record["parameters"] == 21 * 37 + 150 * 57


def test_without_files_all_weights_are_random() -> None:
    assert first_weights(TF) == (TF, None)


def test_of_motifs_that_do_not_all_fit_those_are_planted_that_tell_most(tmp_path: Path) -> None:
    rng, path = np.random.default_rng(0), tmp_path / "motifs.meme"
    codes = rng.integers(0, 4, (600, 60), dtype=np.uint8)
    codes[:300, 20:29] = encode(["TTTCGCAAT"])[0]  # CEBPA's best site
    names = [str(i) for i in range(600)]
    made = [("p.fa", names[:300], codes[:300])], [("n.fa", names[300:], codes[300:])]
    data = split(make_dataset(*made), rng=rng)
    others = [Motif(f"other_{i}", rng.dirichlet([0.5] * 4, 8).T) for i in range(5)]
    write_meme(path, [*others, BUILTIN["CEBPA"]])
    with pytest.raises(MotifError, match="6 motifs to plant; 1 to 5 fit"):  # into 7 filters
        first_weights(TF, motifs=path)
    start = start_of(TF, motifs=path, data=data)
    assert (start.kind, start.motifs, start.chosen) == ("motifs planted", 6, 5)
    assert start.to_dict()["chosen"] == 5
    assert start.to_dict()["parameters"] == 5 * (4 * 9 + 1)
    first = start.planted.parameters[:36].reshape(4, 9)
    np.testing.assert_allclose(first, motif_filter(BUILTIN["CEBPA"], 9), atol=1e-6)
    write_meme(path, others)
    start = start_of(TF, motifs=path, data=data)
    assert (start.motifs, start.chosen) == (5, None)
    undirected = start_of(TF, motifs=path)
    assert start.planted.parameters.tobytes() == undirected.planted.parameters.tobytes()


def test_a_donor_that_does_not_fit_is_named(models: list[Path]) -> None:
    message = f"^{re.escape(str(models[0]))}: convolutions are 9 wide .*; to be planted they must"
    with pytest.raises(ModelFileError, match=message):
        first_weights(ENHANCER, networks=models)
    with pytest.raises(FileError, match="none: cannot be read"):
        first_weights(ENHANCER, networks=[Path("none")])


def test_all_motifs_of_a_file_are_planted_or_the_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "known.meme"
    write_meme(path, [*BUILTIN.values()])
    assert start_of(ENHANCER, motifs=path).planted.planted.sum() == 2 * 37
    start = start_of(ENHANCER, motifs=path)
    read = hashlib.sha256(path.read_bytes()).hexdigest()
    path.unlink()  # training takes hours, in which files go
    assert start.to_dict()["files"] == [{"name": "known.meme", "sha256": read}]
    os.mkfifo(path)
    with pytest.raises(FileError, match=r"known\.meme: not a regular file; it is read twice"):
        first_weights(ENHANCER, motifs=path)
    path.unlink()
    write_meme(path, [*BUILTIN.values()])
    message = r"known\.meme: 2 motifs to plant; 1 to 1 fit into 0\.05 of the first layer's 20"
    with pytest.raises(MotifError, match=message):
        first_weights(ENHANCER, motifs=path, share=0.05)


def test_a_model_of_the_same_architecture_gives_all_its_weights(models: list[Path]) -> None:
    start = start_of(TF, initial=models[0])
    assert start.planted.planted.all()
    assert start.planted.parameters.tobytes() == network(TF, 2).flat_parameters().tobytes()
    best = start_of(TF, initial=models[1]).planted.parameters
    assert best.tobytes() == network(TF, 3).flat_parameters().tobytes()


@pytest.mark.parametrize(
    "architecture", [replace(TF, length=251), replace(TF, dense=(30,)), replace(TF, dense=())]
)
def test_a_model_of_another_length_or_other_dense_layers_gives_its_convolutions(
    models: list[Path], architecture: Architecture
) -> None:
    planted = start_of(architecture, initial=models[0]).planted
    sizes = {name: int(np.prod(shape)) for name, shape in shapes(architecture).items()}
    shared = sum(size for name, size in sizes.items() if name.startswith("convolutions."))
    assert planted.planted[:shared].all()
    assert not planted.planted[shared:].any()
    theirs = network(TF, 2).flat_parameters()[:shared]
    assert planted.parameters[:shared].tobytes() == theirs.tobytes()


def test_a_model_of_other_convolutions_is_no_start(models: list[Path]) -> None:
    message = (
        "k2: convolutions are 7 of 9 with pool 3, 50 of 2 with pool 3; to start from they must be"
        " 20 of 9 with pool 3, 30 of 5 with pool 4, 40 of 3 with pool 4$"
    )
    with pytest.raises(ModelFileError, match=message):
        first_weights(ENHANCER, initial=models[0])


def test_the_motifs_that_come_with_the_package_are_jaspars_of_vertebrates() -> None:
    motifs = {motif.name: motif for motif in known_motifs()}
    assert len(motifs) == 1019
    assert motifs["MA0139.2"].width == 15  # CTCF
    assert JASPAR.stat().st_size < 100_000
