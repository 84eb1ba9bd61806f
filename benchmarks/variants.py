"""Variant effects on one core: 5,000 SNVs beside kipoi-veff, then mutagenesis beside PyTorch.

    .venv-kipoi/bin/python benchmarks/variants.py [MODEL]

MODEL is a row of `kipoi_models/`; the environment is that of `make kipoi`. Genome and SNVs are
drawn from a seed. Both programs run as commands, in turns, and score both strands; their times are
CPU times, user and system, of all their processes. A run on one SNV, the time to start, is also
taken away. Mutagenesis of one 500 bp sequence runs in this process, beside all 1,500 mutants in
batches. Fails if effects differ: by 1e-5 from kipoi-veff's, by 1e-4 in log odds from PyTorch's.
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
import torch
from numpy.typing import NDArray
from turns import cpu_seconds, machine, one_core, report, take_turns

from enhancer_core.architecture import BASES
from enhancer_core.checkpoint import load_model
from enhancer_core.dna import ALPHABET, Codes, decode, reverse_complement
from enhancer_core.model import Network, one_hot
from enhancer_core.publish import read_rows, weights_path
from enhancer_core.variants import mutagenesis

SOURCE = Path(__file__).parents[1] / "kipoi_models"
CHROMOSOMES, LENGTH, SNVS = 4, 1_000_000, 5000
COMMAND_TURNS, TURNS, BATCH = 3, 9, 256
HEADER = "##fileformat=VCFv4.2\n{}#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Commands:
    """Both programs on the files of one folder, which is also their home."""

    folder: Path
    model: str
    weights: Path

    def ours(self, vcf: str) -> float:
        """Score with `enhancer-core variants`; give the seconds of CPU time."""
        return self._run(
            *("enhancer-core", "variants", str(self.weights), "--genome", "genome.fa"),
            *("--vcf", vcf, "--threads", "1", "--device", "cpu", "--quiet"),
            *("-o", f"ours_{vcf}"),
        )

    def theirs(self, vcf: str) -> float:
        """Score with kipoi-veff, in batches that suit it; give the seconds of CPU time."""
        return self._run(
            *("enhancer-core-veff", "score_variants", self.model, "--source", "enhancer"),
            *("--dataloader_args", '{"fasta_file": "genome.fa"}', "--batch_size", str(BATCH)),
            *("-i", vcf, "-o", f"theirs_{vcf}", "-s", "diff", "logit"),
        )

    def _run(self, program: str, *options: str) -> float:
        before = cpu_seconds()
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
        return cpu_seconds() - before


def main(model: str = "EnhancerCNN/human_liver_background") -> None:
    """Print the machine, the versions and both tables."""
    print(machine(("numpy", "numba", "torch", "kipoi", "kipoi_veff")))
    group, name = model.split("/")
    weights = weights_path(SOURCE / group, read_rows(SOURCE / group)[name])
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="enhancer-core-") as folder:
        commands = Commands(Path(folder), model, weights)
        make_inputs(commands.folder, np.random.default_rng(0))
        compare_commands(commands)
    compare_mutagenesis(load_model(weights).network, np.random.default_rng(1))


def make_inputs(folder: Path, rng: np.random.Generator) -> None:
    """Write a genome, a VCF of SNVs, its first one alone, and a home in which Kipoi has a source.

    The source is a copy, since Kipoi writes into it.
    """
    genome = rng.integers(0, 4, (CHROMOSOMES, LENGTH), dtype=np.uint8)
    names = [f"chr{number + 1}" for number in range(CHROMOSOMES)]
    records = zip(names, decode(genome), strict=True)
    (folder / "genome.fa").write_text("".join(f">{name}\n{bases}\n" for name, bases in records))
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


def compare_commands(commands: Commands) -> None:
    """Take turns on the SNVs and on one SNV; compare all effects, and print the times."""
    programs = {"enhancer_core": commands.ours, "kipoi-veff": commands.theirs}
    for program in programs.values():  # makes the genome's index, and the compiled code's cache
        program("one.vcf")
    whole, start = (
        take_turns({who: partial(run, vcf) for who, run in programs.items()}, turns=COMMAND_TURNS)
        for vcf in ("snvs.vcf", "one.vcf")
    )
    worst = 0.0
    for field in ("DIFF", "LOGIT"):
        ours, theirs = (
            read_info(commands.folder / f"{whose}_snvs.vcf", field) for whose in ("ours", "theirs")
        )
        worst = max(worst, float(np.abs(ours - theirs).max()))
    if len(ours) != SNVS or worst > 1e-5:
        sys.exit(f"effects of {len(ours):,} SNVs differ by {worst}")
    print(f"{SNVS:,} SNVs, effects equal to {worst:.0e}")
    report("5,000 SNVs, whole commands", whole)
    scoring = {who: whole[who] - np.median(start[who]) for who in whole}
    report("5,000 SNVs, less the start", scoring, bars={"kipoi-veff": 10})


def read_info(vcf: Path, field: str) -> Values:
    """Read a number of INFO from each record, whatever stands before its name."""
    records = [line for line in vcf.read_text().splitlines() if not line.startswith("#")]
    return np.array([float(line.split(f"{field}=")[1].split(";")[0]) for line in records])


def compare_mutagenesis(network: Network, rng: np.random.Generator) -> None:
    """Take turns on every change of a sequence; compare log odds, and print the times."""
    codes = rng.integers(0, 4, network.architecture.length, dtype=np.uint8)
    contenders: dict[str, Callable[[], Values]] = {
        "enhancer_core": lambda: mutagenesis(network, codes).effects.logit,
        "PyTorch": lambda: naive_mutagenesis(network, codes),
    }
    ours, theirs = (contender() for contender in contenders.values())  # warms up, too
    worst = np.abs(ours - theirs).max()
    if worst > 1e-4:
        sys.exit(f"log odds of mutants differ by {worst}")
    report("mutagenesis, naive", take_turns(contenders, turns=TURNS), bars={"PyTorch": 5})


def naive_mutagenesis(network: Network, codes: Codes) -> Values:
    """Predict the sequence and all its mutants whole, on both strands, in batches."""
    places, bases = np.arange(len(codes)), np.arange(BASES)
    changed = np.tile(codes, (len(codes), BASES, 1))
    changed[places, :, places] = bases
    sequences = np.concatenate([codes[np.newaxis], changed[bases != codes[:, np.newaxis]]])
    odds = np.zeros(len(sequences))
    with torch.inference_mode():
        for strand in (sequences, reverse_complement(sequences)):
            batches = torch.split(torch.from_numpy(np.ascontiguousarray(strand)), BATCH)
            logits = torch.cat([network(one_hot(batch)) for batch in batches]).numpy()
            odds += (logits[:, 1] - logits[:, 0]) / 2
    effects: Values = odds[1:] - odds[0]
    return effects


if __name__ == "__main__":
    one_core()
    main(*sys.argv[1:])
