"""The live server as tests use it; galaxy_tools/check.py starts it and says where it is."""

from __future__ import annotations

import io
import os
import secrets
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bioblend.galaxy import GalaxyInstance

URL = os.environ["GALAXY_URL"]
COMMAND = os.environ["ENHANCER_CORE"]
DATA = Path(os.environ["GALAXY_DATA"])  # the server's own
RESULTS = Path(os.environ["GALAXY_RESULTS"])  # what a person looks at after the tests
PATIENCE = 600  # seconds a job may take
FORMATS = {".fa": "fasta", ".bed": "bed", ".vcf": "vcf", ".safetensors": "safetensors"}

Dataset = dict[str, str]  # {"src": "hda", "id": ...}, as tools take it


@dataclass(frozen=True, slots=True)
class Person:
    """A registered user."""

    email: str
    password: str
    galaxy: GalaxyInstance


@dataclass(frozen=True, slots=True)
class Job:
    """A job, started."""

    galaxy: GalaxyInstance
    id: str

    def ended(self) -> Job:
        """Wait for its end."""
        self.galaxy.jobs.wait_for_job(self.id, maxwait=PATIENCE, interval=0.5, check=False)
        return self

    @property
    def details(self) -> dict[str, Any]:
        """What Galaxy keeps of it: state, exit code, what it printed, its outputs."""
        told: dict[str, Any] = self.galaxy.jobs.show_job(self.id, full_details=True)
        return told

    @property
    def state(self) -> str:
        """`queued`, `running`, `ok`, `error` or the like."""
        state: str = self.galaxy.jobs.get_state(self.id)
        return state

    def said(self) -> str:
        """What it has said on its standard error until now, as the job's page shows it."""
        window = {f"{name}_position": 0 for name in ("stdout", "stderr")}
        window |= {f"{name}_length": 100_000 for name in ("stdout", "stderr")}
        answer = self.galaxy.make_get_request(
            f"{self.galaxy.url}/jobs/{self.id}/console_output", params=window
        )
        return str(answer.json()["stderr"])

    def content(self, name: str) -> bytes:
        """The bytes of an output; Galaxy hands HTML out zipped."""
        dataset = self.details["outputs"][name]["id"]
        content: bytes = self.galaxy.datasets.download_dataset(dataset)
        if not content.startswith(b"PK"):
            return content
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            (member,) = archive.namelist()
            return archive.read(member)

    def elements(self, name: str) -> dict[str, bytes]:
        """The bytes of each dataset of an output that is a collection."""
        found = self.galaxy.dataset_collections.show_dataset_collection(
            self.details["output_collections"][name]["id"]
        )
        return {
            each["element_identifier"]: self.galaxy.datasets.download_dataset(each["object"]["id"])
            for each in found["elements"]
        }


@dataclass(frozen=True, slots=True)
class History:
    """A history of some user."""

    galaxy: GalaxyInstance
    id: str

    def upload(self, path: Path, *, name: str | None = None) -> Dataset:
        """Upload a file, under its own name or another; jobs wait until it is there."""
        done = self.galaxy.tools.upload_file(
            str(path), self.id, file_name=name or path.name, file_type=FORMATS[path.suffix]
        )
        return {"src": "hda", "id": done["outputs"][0]["id"]}

    def start(self, tool: str, **inputs: object) -> Job:
        """Start a tool."""
        started = self.galaxy.tools.run_tool(
            self.id, f"enhancer_core_{tool}", inputs, input_format="21.01"
        )
        return Job(self.galaxy, started["jobs"][0]["id"])

    def run(self, tool: str, **inputs: object) -> Job:
        """Run a tool, and see that it succeeds."""
        job = self.start(tool, **inputs).ended()
        assert job.details["state"] == "ok", job.details["stderr"]
        return job

    def error(self, tool: str, **inputs: object) -> str:
        """Run a tool, see that it fails for its input, and give the one line that says why."""
        job = self.start(tool, **inputs).ended()
        assert (job.details["state"], job.details["exit_code"]) == ("error", 2)
        (line,) = job.details["tool_stderr"].splitlines()
        return str(line)


def register(admin: GalaxyInstance, email: str) -> Person:
    """Register a user."""
    password = secrets.token_hex(8)
    user = admin.users.create_local_user(email.partition("@")[0], email, password)
    return Person(email, password, GalaxyInstance(URL, admin.users.create_user_apikey(user["id"])))


def of_history(kind: str, dataset: Dataset) -> dict[str, object]:
    """Take a model or a genome from the history, as the tools' forms ask for it."""
    return {"source": "history", kind: dataset}


def command_line(*words: object) -> None:
    """Run the command line as a user does."""
    done = subprocess.run([COMMAND, *map(str, words)], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def admin() -> GalaxyInstance:
    """The server, by the key that every right comes with, but no history."""
    return GalaxyInstance(URL, os.environ["GALAXY_KEY"])


@pytest.fixture(scope="session")
def person(admin: GalaxyInstance) -> Person:
    """A user."""
    return register(admin, f"user{secrets.token_hex(4)}@example.org")


@pytest.fixture(scope="module")
def history(person: Person, request: pytest.FixtureRequest) -> Iterator[History]:
    """A history of the user, for the tests of one file."""
    made = person.galaxy.histories.create_history(request.module.__name__)
    yield History(person.galaxy, made["id"])
    person.galaxy.histories.delete_history(made["id"], purge=True)


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small inputs in a folder: positives.fa, negatives.fa, genome.fa, variants.vcf.

    200 windows of 120 bp each, on five chromosomes, the positives with more G and C; a genome of
    two chromosomes of 3,000 bp; a variant every 100 bp of it.
    """
    rng = np.random.default_rng(20)
    folder = tmp_path_factory.mktemp("inputs")

    def dna(bp: int, gc: float = 0.5) -> str:
        return "".join(rng.choice(list("ACGT"), bp, p=np.array([1 - gc, gc, gc, 1 - gc]) / 2))

    def fasta(name: str, records: dict[str, str]) -> None:
        text = "".join(f">{record}\n{sequence}\n" for record, sequence in records.items())
        (folder / name).write_text(text)

    for kind, offset, gc in (("positives", 0, 0.7), ("negatives", 500, 0.4)):
        starts = range(offset, 200_000, 1000)
        names = [f"chr{start // 1000 % 5 + 1}:{start}-{start + 120}" for start in starts]
        fasta(f"{kind}.fa", {name: dna(120, gc) for name in names})
    genome = {name: dna(3000) for name in ("chr1", "chr2")}
    fasta("genome.fa", genome)
    rows = ["##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    for name, sequence in genome.items():
        for start in range(99, 3000, 100):
            reference = sequence[start]
            other = "ACGT"["TGCA".index(reference)]
            rows.append(f"{name}\t{start + 1}\t.\t{reference}\t{other}\t.\tPASS\t.")
    (folder / "variants.vcf").write_text("\n".join([*rows, ""]))
    return folder


@pytest.fixture(scope="session")
def trained(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a network that the command line trained on the small inputs with `FEW`."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    options = [word for name, value in FEW.items() for word in (f"--{name}", value)]
    command_line(
        *("train", "--positives", inputs / "positives.fa"),
        *("--negatives", inputs / "negatives.fa", *options, "-o", folder),
    )
    return folder


FEW = {"network": "tf", "restarts": 2, "epochs": 2, "seed": 7}  # so that training takes seconds
