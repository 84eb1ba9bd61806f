"""A genome of 300 MB goes through Galaxy without a copy of it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from bioblend.galaxy import GalaxyInstance
from live import DATA, Dataset, History, Job, of_history, register

ADMIN = "you@localhost.local"  # whom the server's settings name; only admins link files
CHROMOSOMES = 3
LINES = 1_250_000  # of 80 bp a chromosome
COPY = 100e6  # bytes, a third of the genome; other jobs of the server stay far below


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A FASTA file of 300 MB: three chromosomes of random bases."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("large") / "genome.fa"
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    lines = np.full((LINES, 81), ord("\n"), dtype=np.uint8)
    with path.open("wb") as file:
        for number in range(CHROMOSOMES):
            lines[:, :80] = letters[rng.integers(0, 4, (LINES, 80), dtype=np.uint8)]
            file.write(b">chr%d\n" % (number + 1))
            file.write(lines.tobytes())
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def admins_history(admin: GalaxyInstance) -> History:
    """A history of the admin, who may link files."""
    galaxy = register(admin, ADMIN).galaxy
    return History(galaxy, galaxy.histories.create_history("A large genome")["id"])


@pytest.fixture(scope="module")
def genome(admins_history: History, large: Path) -> Dataset:
    """The large genome in the history, linked."""
    element = {"src": "path", "path": str(large), "ext": "fasta", "link_data_only": True}
    target = {"destination": {"type": "hdas"}, "elements": [element | {"name": "genome"}]}
    galaxy = admins_history.galaxy
    done = galaxy.make_post_request(
        f"{galaxy.url}/tools/fetch", payload={"history_id": admins_history.id, "targets": [target]}
    )
    dataset = done["outputs"][0]["id"]
    galaxy.datasets.wait_for_dataset(dataset, maxwait=300, interval=0.5)
    assert galaxy.datasets.show_dataset(dataset)["file_name"] == str(large)
    return {"src": "hda", "id": dataset}


@pytest.fixture(scope="module")
def peaks(admins_history: History, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Ninety peaks a chromosome."""
    path = tmp_path_factory.mktemp("peaks") / "peaks.bed"
    rows = [
        f"chr{number + 1}\t{start}\t{start + 400}\n"
        for number in range(CHROMOSOMES)
        for start in range(5_000, 90_000_000, 1_000_000)
    ]
    path.write_text("".join(rows))
    return admins_history.upload(path)


def size(folder: Path) -> int:
    """Add up what the files of a folder take, links for themselves; in bytes."""
    total = 0
    for parent, _, names in os.walk(folder):  # passes over folders that go meanwhile
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += Path(parent, name).lstat().st_blocks * 512
    return total


def growth(job: Job) -> int:
    """Watch the server's data until a job has succeeded: by how much they were larger at most."""
    before = most = size(DATA)
    while (state := job.state) not in {"ok", "error"}:
        most = max(most, size(DATA))
        time.sleep(0.2)
    assert state == "ok", job.details["stderr"]
    return most - before


def test_extract_reads_a_large_genome_in_its_place(
    admins_history: History, genome: Dataset, peaks: Dataset
) -> None:
    job = admins_history.start("extract", genome_source=of_history("genome", genome), peaks=peaks)
    assert growth(job) < COPY
    assert job.content("windows").count(b">") == 90 * CHROMOSOMES


def test_background_reads_a_large_genome_in_its_place(
    admins_history: History, genome: Dataset, peaks: Dataset
) -> None:
    job = admins_history.start(
        "background", genome_source=of_history("genome", genome), exclude=[peaks], number=200
    )
    assert growth(job) < COPY
    assert job.content("windows").count(b"\n") == 200
