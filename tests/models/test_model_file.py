from __future__ import annotations

import gzip
import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from enhancer_core.errors import FileError, ModelFileError
from enhancer_core.io.outputs import MODEL_FILE
from enhancer_core.io.safetensors import FORMAT_VERSION, write_arrays
from enhancer_core.models.architecture import Architecture, Convolution
from enhancer_core.models.model import load_model, save_model
from enhancer_core.models.network import Ensemble, Network
from tests.predictors import model_of, predictor_of

SMALL = Architecture(convolutions=(Convolution(2, 3, 2),), dense=(3,), dropout=0.5, length=12)
OTHER = Architecture(convolutions=(Convolution(3, 5, 8),), dense=(), length=12)
RECORD = {"seed": 0, "note": "a < b"}


def network() -> Network:
    return Network(SMALL, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_model(model_of(network(), RECORD), path)
    return path


def our_header(path: Path) -> dict[str, Any]:
    """Read the header that we put inside the format's own."""
    raw = path.read_bytes()
    outer = json.loads(raw[8 : 8 + struct.unpack("<Q", raw[:8])[0]])
    found: dict[str, Any] = json.loads(outer["__metadata__"]["enhancer_core"])
    return found


def edit_header(path: Path, **changes: object) -> None:
    """Change fields of our header, and leave the rest of the file as it is."""
    raw = path.read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    outer = json.loads(raw[8 : 8 + size])
    inner = json.loads(outer["__metadata__"]["enhancer_core"])
    inner = {key: value for key, value in {**inner, **changes}.items() if value is not None}
    outer["__metadata__"]["enhancer_core"] = json.dumps(inner)
    text = json.dumps(outer).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + size :])


def test_a_model_comes_back_as_it_was_saved(saved: Path) -> None:
    for place in (saved, saved.parent):
        found = load_model(place)
        assert found.to_torch().architecture == SMALL
        assert found.metadata == RECORD
        assert not found.to_torch().training
        (member,) = model_of(found).members
        np.testing.assert_array_equal(member.parameters, network().flat_parameters())
        for name, tensor in network().state_dict().items():
            assert torch.equal(found.to_torch().state_dict()[name], tensor)


def test_the_same_model_gives_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    save_model(model_of(network(), RECORD), tmp_path / "again.safetensors")
    assert saved.read_bytes() == (tmp_path / "again.safetensors").read_bytes()


def test_a_cut_file_is_refused_wherever_it_is_cut(saved: Path) -> None:
    whole = saved.read_bytes()
    for size in range(7, len(whole), 7):
        saved.write_bytes(whole[:size])
        with pytest.raises(ModelFileError, match=r"model\.safetensors: not a model file, or one"):
            load_model(saved)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.data())
def test_no_flipped_bit_goes_unnoticed(saved: Path, data: st.DataObject) -> None:
    save_model(model_of(network(), RECORD), saved)
    whole = bytearray(saved.read_bytes())
    size = struct.unpack("<Q", whole[:8])[0]
    index = data.draw(st.integers(8 + size, len(whole) - 1))  # in the tensors
    whole[index] ^= 1 << data.draw(st.integers(0, 7))
    saved.write_bytes(whole)
    with pytest.raises(ModelFileError, match="the content does not match the header's digest"):
        load_model(saved)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.data())
def test_a_flipped_bit_in_the_header_is_told_or_changes_nothing(
    saved: Path, data: st.DataObject
) -> None:
    save_model(model_of(network(), RECORD), saved)
    whole = bytearray(saved.read_bytes())
    size = struct.unpack("<Q", whole[:8])[0]
    index = data.draw(st.integers(0, 7 + size))
    whole[index] ^= 1 << data.draw(st.integers(0, 7))
    saved.write_bytes(whole)
    try:
        found = load_model(saved)
    except ModelFileError as error:
        assert "\n" not in str(error)  # noqa: PT017  # a blank beside the JSON may change unseen
    else:
        assert found.metadata == RECORD
        assert found.to_torch().architecture == SMALL


def test_a_file_whose_header_is_as_long_as_a_pickle_begins_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    for padding in range(2000):
        save_model(model_of(network(), {"note": "x" * padding}), path)
        if path.read_bytes()[0] == 0x80:
            break
    assert path.read_bytes()[0] == 0x80
    assert load_model(path).metadata == {"note": "x" * padding}


@pytest.mark.parametrize("first", [0x80, ord(">"), ord("@"), ord("{")])
def test_a_cut_file_that_begins_as_others_do_is_told_as_cut(tmp_path: Path, first: int) -> None:
    path = tmp_path / "model.safetensors"
    for padding in range(2000):
        save_model(model_of(network(), {"note": "x" * padding}), path)
        if path.read_bytes()[0] == first:
            break
    else:  # the header is padded to a multiple of 8 bytes, so some never begin a whole file
        path.write_bytes(bytes([first]) + path.read_bytes()[1:])
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelFileError, match="not a model file, or one that is damaged or cut"):
        load_model(path)


def test_a_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    torch.save({"weight": torch.zeros(2)}, path)
    with pytest.raises(ModelFileError, match=r"not a model file but a zip archive, as torch\.save"):
        load_model(path)
    path.write_bytes(b"\x80\x04\x95rest of a pickle")
    with pytest.raises(ModelFileError, match="not a model file but a pickle; it can hold code"):
        load_model(path)


def test_other_files_are_refused_by_what_they_are(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    for content, what in (
        (b">one\nACGT\n", "FASTA"),
        (gzip.compress(b">one\nACGT\n"), "FASTA compressed by gzip"),
        (b"##fileformat=VCFv4.2\n", "VCF"),
        (b"#chrom\nchr1\t0\t100\n", "BED"),
        (b"just text\n", "text"),
        (b"", "an empty file"),
        (gzip.compress(b"\0\1"), "a gzip file"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    ):
        path.write_bytes(content)
        needed = "needed is a .safetensors file that enhancer-core wrote"
        with pytest.raises(ModelFileError, match=rf"not a model file but {what}; {needed}$"):
            load_model(path)
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(ModelFileError, match="a safetensors file, but not one of enhancer_core"):
        load_model(path)


def test_a_missing_file_or_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"none\.safetensors: cannot be read \(No such file"):
        load_model(tmp_path / "none.safetensors")
    with pytest.raises(FileError, match=r"model\.safetensors: cannot be read \(No such file"):
        load_model(tmp_path)


def test_a_newer_format_asks_for_an_upgrade(saved: Path) -> None:
    edit_header(saved, format_version=FORMAT_VERSION + 1)
    with pytest.raises(
        ModelFileError, match=r"format version 5 is newer than this release .*\(4\)"
    ):
        load_model(saved)


def ensemble(n: int = 3) -> Ensemble:
    seeds = (torch.Generator().manual_seed(seed) for seed in range(n))
    return Ensemble([Network(SMALL, generator=seed) for seed in seeds])


def test_an_ensemble_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    save_model(model_of(ensemble(), RECORD), tmp_path / MODEL_FILE)
    found = load_model(tmp_path)
    assert (found.architecture, found.metadata) == (SMALL, RECORD)
    for ours, theirs, made in zip(
        model_of(ensemble()).members,
        model_of(found).members,
        model_of(found.to_torch()).members,
        strict=True,
    ):
        assert len({each.parameters.tobytes() for each in (ours, theirs, made)}) == 1
    codes = np.random.default_rng(0).integers(0, 5, (9, 12), dtype=np.uint8)
    saved = predictor_of(ensemble()).logits(codes)
    assert predictor_of(found).logits(codes).tobytes() == saved.tobytes()
    assert predictor_of(found.to_torch()).logits(codes).tobytes() == saved.tobytes()
    save_model(model_of(found, found.metadata), tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / MODEL_FILE).read_bytes()


def test_only_an_ensemble_needs_the_newer_format(saved: Path, tmp_path: Path) -> None:
    save_model(model_of(ensemble(), RECORD), tmp_path / "several.safetensors")
    versions = {path: our_header(path)["format_version"] for path in tmp_path.iterdir()}
    assert versions == {saved: 1, tmp_path / "several.safetensors": 2}
    assert "members" not in our_header(saved)["record"]


def mixed() -> Ensemble:
    """Two of one architecture, and one of another, of one length."""
    other = Network(OTHER, generator=torch.Generator().manual_seed(7))
    return Ensemble([*ensemble(2).members, other]).eval()


def test_an_ensemble_of_several_architectures_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    save_model(model_of(mixed(), RECORD), tmp_path / MODEL_FILE)
    header = our_header(tmp_path / MODEL_FILE)
    assert header["format_version"] == 3
    assert [each["length"] for each in header["record"]["members"]] == [12] * 3
    found = load_model(tmp_path)
    assert [each.architecture for each in found.members] == [SMALL, SMALL, OTHER]
    assert (found.architecture, found.metadata) == (SMALL, RECORD)
    for ours, theirs in zip(model_of(mixed()).members, found.members, strict=True):
        assert ours.parameters.tobytes() == theirs.parameters.tobytes()
    save_model(model_of(found.to_torch(), found.metadata), tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / MODEL_FILE).read_bytes()


def test_members_that_read_other_lengths_are_refused(tmp_path: Path) -> None:
    longer = Network(replace(OTHER, length=14))
    save_model(model_of(Ensemble([network(), longer]), RECORD), tmp_path / MODEL_FILE)
    message = r"model\.safetensors: members read 12 and 14 bp; allowed is one length for all$"
    with pytest.raises(ModelFileError, match=message):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([], "members of 0 cannot be read; allowed are 1 to 1024"),
        ([{}] * 1025, "members of 1025 cannot be read; allowed are 1 to 1024"),
        ([3], "architecture cannot be read"),
        ([SMALL.to_dict(), {"dense": []}], "architecture cannot be read"),
        ([SMALL.to_dict()] * 2, r"the file lacks tensor 'member\.1\.convolutions\.0\.bias'"),
    ],
)
def test_a_list_of_members_that_does_not_fit_is_refused(
    tmp_path: Path, members: object, message: str
) -> None:
    (member,) = model_of(network()).members
    arrays = {f"member.0.{name}": array for name, array in member.weights().items()}
    record = {"training": {}, "members": members}
    write_arrays(tmp_path / MODEL_FILE, arrays, kind="model", record=record, version=3)
    with pytest.raises(ModelFileError, match=message):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (4, r"the file lacks tensor 'member\.3\.convolutions\.0\.bias'"),
        (2, r"the file has an unknown tensor 'member\.2\.convolutions\.0\.bias'"),
        (1, r"the file lacks tensor 'convolutions\.0\.bias'"),
        (0, "members of 0 cannot be read; allowed are 1 to 1024"),
        (True, "members of True cannot be read"),
        ("3", "members of '3' cannot be read"),
        (10**9, "members of 1000000000 cannot be read"),
    ],
)
def test_a_number_of_members_that_does_not_fit_is_refused(
    tmp_path: Path, members: object, message: str
) -> None:
    arrays = {
        f"member.{index}.{name}": array
        for index, each in enumerate(model_of(ensemble()).members)
        for name, array in each.weights().items()
    }
    record = {"architecture": SMALL.to_dict(), "training": {}, "members": members}
    write_arrays(tmp_path / MODEL_FILE, arrays, kind="model", record=record, version=2)
    with pytest.raises(ModelFileError, match=message):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": None}, "the header is damaged"),
        ({"format_version": "one"}, "the header is damaged"),
        ({"record": None}, "the header is damaged"),
        ({"record": []}, "the header is damaged"),
        ({"record": {"training": {}}}, "the content does not match the header's digest"),
        ({"sha256": None}, "the header is damaged"),
        ({"sha256": "0" * 64}, "the content does not match the header's digest"),
        ({"kind": "restart"}, "the file is of kind 'restart', not 'model'"),
    ],
)
def test_a_header_that_was_changed_is_refused(
    saved: Path, changes: dict[str, object], message: str
) -> None:
    edit_header(saved, **changes)
    with pytest.raises(ModelFileError, match=message):
        load_model(saved)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"training": {}}, "the header lacks 'architecture'"),
        ({"architecture": SMALL.to_dict()}, "the header lacks 'training'"),
        (
            {"architecture": {**SMALL.to_dict(), "dense": [4]}, "training": {}},
            r"tensor 'dense\.0\.bias' is float32 \(3,\); the architecture needs float32 \(4,\)",
        ),
        (
            {"architecture": {**SMALL.to_dict(), "dense": [3, 3]}, "training": {}},
            r"the file lacks tensor 'dense\.1\.bias'",
        ),
        (
            {"architecture": {**SMALL.to_dict(), "dense": []}, "training": {}},
            r"the file has an unknown tensor 'dense\.0\.bias'",
        ),
    ],
)
def test_a_record_that_does_not_fit_the_tensors_is_refused(
    tmp_path: Path, record: dict[str, object], message: str
) -> None:
    (member,) = model_of(network()).members
    weights = member.weights()
    write_arrays(tmp_path / MODEL_FILE, weights, kind="model", record=record)
    with pytest.raises(ModelFileError, match=message):
        load_model(tmp_path)


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    broken = network()
    with torch.no_grad():
        broken.output.bias[0] = np.nan
    save_model(model_of(broken, {}), tmp_path / "model.safetensors")
    with pytest.raises(ModelFileError, match=r"'output\.bias' has values that are not finite"):
        load_model(tmp_path)
