"""Commands beside Kipoi's on one core: 100,000 sequences predicted, and 5,000 SNVs scored.

    .venv-kipoi/bin/python benchmarks/kipoi_tools.py [MODEL]

MODEL is a row of `kipoi_models/`; the environment is that of `make kipoi`. Genome, windows and SNVs
are drawn from a seed. Sequences are a FASTA file with a record for each, of which Kipoi gets the
intervals too, each a whole record; windows are the same ones of the genome, which `enhancer-core`
extracts first. All run as commands; their times are CPU times, user and system, of all their
processes. For SNVs the time to start, that of a run on one SNV, is also taken away. Below stands
what our network takes alone, the limit of each ratio. Fails if probabilities differ by 1e-6, or
effects, in log odds, by 1e-5.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from limits import report_limit
from numpy.typing import NDArray
from turns import Result, machine, one_core, record, report, take_turns

from enhancer_core.dna.codes import ALPHABET, decode
from enhancer_core.io.fasta import read_fasta
from enhancer_core.kipoi.publishing import read_rows, weights_path
from enhancer_core.models.model import load_model
from enhancer_core.prediction.scoring import effects
from enhancer_core.prediction.sequences import probabilities

SOURCE = Path(__file__).parents[1] / "kipoi_models"
CHROMOSOMES, LENGTH = 4, 1_000_000
WINDOWS, WIDTH, SNVS = 100_000, 500, 5000
COMMAND_TURNS, BATCH = 3, 256
HEADER = "##fileformat=VCFv4.2\n{}#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Commands:
    """Both programs on the files of one folder, which is also their home."""

    folder: Path
    model: str
    weights: Path

    def our_sequences(self) -> None:
        """Predict with `enhancer-core`."""
        self._run(
            *("enhancer-core", "predict", str(self.weights), "sequences.fa"),
            *("--threads", "1", "--device", "cpu", "-q", "--force", "-o", "our_predictions.tsv"),
        )

    def our_windows(self) -> None:
        """Extract and predict with `enhancer-core`."""
        genome, windows = ("genome.fa", "windows.bed")
        self._run(
            "enhancer-core", "extract", genome, windows, "-q", "--force", "-o", "sequences.fa"
        )
        self.our_sequences()

    def their_windows(self, genome: str, windows: str) -> None:
        """Predict with Kipoi, in batches that suit it."""
        files = {"fasta_file": genome, "intervals_file": windows}
        self._run(
            *("kipoi", "predict", self.model, "--source", "enhancer", "--batch_size", str(BATCH)),
            *("--dataloader_args", json.dumps(files), "-o", "their_predictions.tsv"),
        )

    def our_snvs(self, vcf: str) -> None:
        """Score with `enhancer-core variants`."""
        self._run(
            *("enhancer-core", "variants", str(self.weights), "--genome", "genome.fa"),
            *("--vcf", vcf, "--threads", "1", "--device", "cpu", "-q", "--force"),
            *("-o", f"our_{vcf}"),
        )

    def their_snvs(self, vcf: str) -> None:
        """Score with kipoi-veff, in batches that suit it."""
        self._run(
            *("enhancer-core-veff", "score_variants", self.model, "--source", "enhancer"),
            *("--dataloader_args", '{"fasta_file": "genome.fa"}', "--batch_size", str(BATCH)),
            *("-i", vcf, "-o", f"their_{vcf}", "-s", "diff", "logit"),
        )

    def _run(self, program: str, *options: str) -> None:
        done = subprocess.run(
            [str(Path(sys.executable).with_name(program)), *options],
            cwd=self.folder,
            env={**os.environ, "HOME": str(self.folder), "PYTHONWARNINGS": "ignore"},
            text=True,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"{program} failed\n{done.stdout}{done.stderr}")


def main(model: str = "EnhancerCNN/human_liver_background") -> None:
    """Print the machine, the versions and both tables."""
    print(machine(("numpy", "numba", "torch", "kipoi", "kipoi_veff")))
    group, name = model.split("/")
    weights = weights_path(SOURCE / group, read_rows(SOURCE / group)[name])
    with tempfile.TemporaryDirectory(prefix="enhancer-core-") as folder:
        commands = Commands(Path(folder), model, weights)
        make_inputs(commands.folder, np.random.default_rng(0))
        genome = partial(commands.their_windows, "genome.fa", "windows.bed")
        compare_predictions(
            "windows of a genome, whole commands", commands, commands.our_windows, genome
        )
        records = partial(commands.their_windows, "sequences.fa", "records.bed")
        compare_predictions(
            "sequences of a FASTA file, whole commands",
            commands,
            commands.our_sequences,
            records,
            bar=10,
        )
        compare_snvs(commands)


def make_inputs(folder: Path, rng: np.random.Generator) -> None:
    """Write a genome, windows, SNVs, the first one alone, and a home where Kipoi has a source.

    The source is a copy, since Kipoi writes into it.
    """
    genome = rng.integers(0, 4, (CHROMOSOMES, LENGTH), dtype=np.uint8)
    names = [f"chr{number + 1}" for number in range(CHROMOSOMES)]
    records = zip(names, decode(genome), strict=True)
    (folder / "genome.fa").write_text("".join(f">{name}\n{bases}\n" for name, bases in records))
    spaced = np.linspace(WIDTH, LENGTH - WIDTH, WINDOWS // CHROMOSOMES, dtype=np.int64)
    (folder / "windows.bed").write_text(
        "".join(
            f"{name}\t{centre - WIDTH // 2}\t{centre + WIDTH // 2}\n"
            for name in names
            for centre in spaced.tolist()
        )
    )
    (folder / "records.bed").write_text(
        "".join(
            f"{name}:{centre - WIDTH // 2}-{centre + WIDTH // 2}\t0\t{WIDTH}\n"
            for name in names
            for centre in spaced.tolist()
        )
    )
    places = np.sort(rng.choice(genome.size, SNVS, replace=False))
    references = genome.ravel()[places]
    alternatives = (references + rng.integers(1, 4, SNVS)) % 4
    lines = [
        f"{names[place // LENGTH]}\t{place % LENGTH + 1}\t.\t{ALPHABET[reference]}"
        f"\t{ALPHABET[alternative]}\t.\tPASS\t.\n"
        for place, reference, alternative in zip(places, references, alternatives, strict=True)
    ]
    header = HEADER.format("".join(f"##contig=<ID={name},length={LENGTH}>\n" for name in names))
    (folder / "snvs.vcf").write_text(header + "".join(lines))
    (folder / "one.vcf").write_text(header + lines[0])
    source = folder / "source"
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("downloaded"))
    (folder / ".kipoi").mkdir()
    sources = {"enhancer": {"type": "local", "local_path": str(source)}}
    (folder / ".kipoi" / "config.yaml").write_text(json.dumps({"model_sources": sources}))


def compare_predictions(
    task: str,
    commands: Commands,
    ours: Callable[[], None],
    theirs: Callable[[], None],
    bar: float | None = None,
) -> None:
    """Take turns, and compare all probabilities."""
    times = take_turns({"enhancer_core": ours, "kipoi predict": theirs}, turns=COMMAND_TURNS)
    found, expected = (
        read_last_column(commands.folder / f"{whose}_predictions.tsv") for whose in ("our", "their")
    )
    worst = np.abs(found - expected).max()
    if len(found) != WINDOWS or worst > 1e-6:
        sys.exit(f"probabilities of {len(found):,} windows differ by {worst}")
    (result,) = report(task, times, bars={} if bar is None else {"kipoi predict": bar})
    model = load_model(commands.weights)
    report_limit(result, model.architecture, sequences=WINDOWS)
    codes = read_fasta(commands.folder / "sequences.fa").codes
    report_network(result, partial(probabilities, model.predictor(), codes))


def report_network(result: Result, network: Callable[[], object]) -> None:
    """Print and record what a network takes alone, and the ratio if all else took no time."""
    network()  # compiles
    seconds = np.median(take_turns({"alone": network}, turns=COMMAND_TURNS)["alone"])
    shown = (
        f"the network alone takes {seconds:.3g} s of {result.ours:.3g} s;"
        f" if nothing else took time: {result.peers / seconds:.1f} x {result.peer}"
    )
    print(f"  limit: {shown}")
    record("limit", {"task": result.task, "shown": shown})


def compare_snvs(commands: Commands) -> None:
    """Take turns on the SNVs and on one SNV, and compare all effects."""
    programs = {"enhancer_core": commands.our_snvs, "kipoi-veff": commands.their_snvs}
    whole, start = (
        take_turns({who: partial(run, vcf) for who, run in programs.items()}, turns=COMMAND_TURNS)
        for vcf in ("snvs.vcf", "one.vcf")
    )
    # Not DIFF too, for which kipoi-veff averages probabilities, and we log odds as for LOGIT.
    ours, theirs = (
        read_info(commands.folder / f"{whose}_snvs.vcf", "LOGIT") for whose in ("our", "their")
    )
    worst = float(np.abs(ours - theirs).max())
    if len(ours) != SNVS or worst > 1e-5:
        sys.exit(f"effects of {len(ours):,} SNVs differ by {worst}")
    bars = {"kipoi-veff": 10.0}
    scoring = {who: whole[who] - np.median(start[who]) for who in whole}
    model = load_model(commands.weights)
    references = read_fasta(commands.folder / "sequences.fa").codes[:SNVS]
    alternatives = references.copy()
    alternatives[:, WIDTH // 2 - 1] ^= 1  # A and C change places, and G and T
    for task, times in (("SNVs, whole commands", whole), ("SNVs, less the start", scoring)):
        (result,) = report(task, times, bars=bars)
        report_network(
            result, partial(effects, model.predictor(), references, alternatives, range(SNVS))
        )


def read_last_column(table: Path) -> Values:
    """Read the last column of a table with a header."""
    return np.array([float(line.split("\t")[-1]) for line in table.read_text().splitlines()[1:]])


def read_info(vcf: Path, field: str) -> Values:
    """Read a number of INFO from each record, whatever stands before its name."""
    records = [line for line in vcf.read_text().splitlines() if not line.startswith("#")]
    return np.array([float(line.split(f"{field}=")[1].split(";")[0]) for line in records])


if __name__ == "__main__":
    one_core()
    main(*sys.argv[1:])
