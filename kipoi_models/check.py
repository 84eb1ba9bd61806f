"""Run Kipoi's own commands over every row of this source, offline, and count what passes.

    python kipoi_models/check.py [MODEL...]

`make kipoi` makes the environment for it. Every row is described, tested and predicted with, and
its predictions are compared to those stated in its table, to the command line's on the same
windows, and to those through kipoiseq's own loader. The first row of each group also goes through
kipoi-veff and through what only our loader does.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import kipoi
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from enhancer_core.dna.codes import N_CODE, Codes, decode, one_hot, reverse_complement
from enhancer_core.io.genome import open_genome
from enhancer_core.kipoi import WindowDataset
from enhancer_core.kipoi.publishing import TEMPLATE, read_rows, weights_path
from enhancer_core.models.model import load_model
from enhancer_core.prediction.sequences import probabilities

SOURCE = Path(__file__).parent
NAME = "enhancer"  # of the source in Kipoi's configuration
TOLERANCE = 1e-6
# A stack weighs members whose log odds partly cancel: it was off by 1.1e-5 of 2.7, and a
# probability by a quarter of that at most.
TOLERANCES = {"motif_cnn": TOLERANCE + 0.3e-5}  # by network
STOCK_LOADER = "kipoiseq.dataloaders.SeqIntervalDl"


@dataclass(frozen=True, slots=True)
class Bench:
    """Where a check runs: a copy of the source, an example, and a home that names the source."""

    folder: Path
    environment: dict[str, str]

    def run(self, *command: object) -> str:
        """Run a command, and give what it printed; raise with that if it fails."""
        words = [str(word) for word in command]
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"{' '.join(words)}\n{done.stdout}")
        return done.stdout

    def kipoi(self, command: str, model: str, *options: object) -> str:
        """Run a command of Kipoi on a model of this source."""
        return self.run("kipoi", command, model, "--source", NAME, *options)

    def veff(self, command: str, model: str, *options: object) -> str:
        """Run a command of kipoi-veff on a model of this source."""
        return self.run("enhancer-core-veff", command, model, "--source", NAME, *options)

    def predict(self, model: str, *options: object, **loader: object) -> NDArray[np.float64]:
        """Predict through Kipoi, on the example unless `loader` says otherwise."""
        tsv, h5 = self.folder / "predicted.tsv", self.folder / "predicted.h5"
        h5.unlink(missing_ok=True)
        arguments = {"intervals_file": "example/intervals.bed", "fasta_file": "example/genome.fa"}
        self.kipoi(
            *("predict", model, "--dataloader_args", json.dumps(arguments | loader)),
            *(*options, "-o", tsv, h5),
        )
        found = pd.read_csv(tsv, sep="\t")["preds/0"].to_numpy()
        with h5py.File(h5) as file:
            same(file["preds"][:, 0], found, TOLERANCE)
        return found


def same(found: NDArray[np.floating], expected: NDArray[np.floating], tolerance: float) -> None:
    """Raise unless two arrays agree."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def describes(bench: Bench, model: str, row: dict[str, str]) -> None:
    """`kipoi info` says what the row says."""
    told = " ".join(bench.kipoi("info", model).split())
    species = "" if row["species"].startswith("none") else row["species"]
    recipe = row["recipe"].split()[-1]
    for what in (species, row["positives"], recipe, "10.1101/264200", "MIT"):
        assert what in told, f"{what!r} is not in {told}"


def gives_its_example(bench: Bench, model: str, _: dict[str, str]) -> None:
    """`kipoi get-example` brings two files."""
    bench.kipoi("get-example", model, "-o", "example")
    found = {path.name for path in (bench.folder / "example").iterdir()}
    assert {"genome.fa", "intervals.bed"} <= found, found


def tests_green(bench: Bench, model: str, _: dict[str, str]) -> None:
    """`kipoi test` passes."""
    assert "Successfully ran test_predict" in bench.kipoi("test", model)


def predicts(bench: Bench, model: str, row: dict[str, str]) -> None:
    """`kipoi predict` gives what the row expects, and `enhancer-core predict` on the windows."""
    found = bench.predict(model, "--num_workers", 2, "--batch_size", 3)
    tolerance = TOLERANCES.get(row["network"], TOLERANCE)
    same(found, np.array(row["expected"].split(), dtype=float), tolerance)
    bench.run(
        *("enhancer-core", "extract", "example/genome.fa", "example/intervals.bed"),
        *("--length", row["length"], "--force", "-o", "windows.fa"),
    )
    weights = weights_path(bench.folder / "source" / model.split("/")[0], row)
    bench.run("enhancer-core", "predict", weights, "windows.fa", "--force", "-o", "ours.tsv")
    ours = pd.read_csv(bench.folder / "ours.tsv", sep="\t")["probability"].to_numpy()
    same(found, ours, tolerance)


def takes_the_stock_loader(bench: Bench, model: str, row: dict[str, str]) -> None:
    """SeqIntervalDl of kipoiseq gives the same, away from ends and with the genome's own names."""
    found = bench.predict(
        model, "--dataloader", STOCK_LOADER, auto_resize_len=int(row["length"]), alphabet_axis=0
    )
    tolerance = TOLERANCES.get(row["network"], TOLERANCE)
    same(found, np.array(row["expected"].split(), dtype=float), tolerance)


def is_listed(bench: Bench, model: str, _: dict[str, str]) -> None:
    """`kipoi ls` lists the model's group."""
    assert model.split("/")[0] in bench.run("kipoi", "ls", "--source", NAME)


def loads_in_python(bench: Bench, model: str, row: dict[str, str]) -> None:
    """`kipoi.get_model` predicts over ends, in the other naming, and on both strands."""
    length = int(row["length"])
    bed = bench.folder / "odd.bed"
    bed.write_text("1\t0\t10\ta\t0\t+\n2\t2990\t3000\tb\t0\t-\n1\t1000\t1100\tc\t0\t-\n")
    with open_genome(bench.folder / "example/genome.fa") as genome:
        expected = np.stack(
            [
                padded(genome.codes("chr1"), 5 - length // 2, length),
                reverse_complement(padded(genome.codes("chr2"), 2995 - length // 2, length)),
                reverse_complement(padded(genome.codes("chr1"), 1050 - length // 2, length)),
            ]
        )
    loaded = kipoi.get_model(model, source=NAME)
    loader = loaded.default_dataloader(str(bed), "example/genome.fa", use_strand=True)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        loader[0]
    assert "1 is chr1 in " in str(told[0].message)
    batch = loader.load_all(num_workers=2)
    assert np.array_equal(batch["inputs"], one_hot(expected))
    assert batch["metadata"]["ranges"]["strand"].tolist() == ["+", "-", "-"]
    assert batch["metadata"]["ranges"]["start"].tolist()[0] == 5 - length // 2
    model = load_model(Path(loaded.source_dir) / loaded.args["weights"])
    found = loaded.predict_on_batch(batch["inputs"])
    tolerance = TOLERANCES.get(row["network"], TOLERANCE)
    same(found[:, 0], probabilities(model.predictor(), expected), tolerance)


def tiles_an_interval(bench: Bench, _: str, __: dict[str, str]) -> None:
    """Tiles touch, and stand in the middle of the interval."""
    bed = bench.folder / "long.bed"
    bed.write_text("chr1\t1000\t1350\n")
    tiles = WindowDataset(str(bed), str(bench.folder / "example/genome.fa"), length=100, tile=True)
    assert tiles.windows.names() == ["chr1:1025-1125", "chr1:1125-1225", "chr1:1225-1325"]


def scores_variants(bench: Bench, model: str, row: dict[str, str]) -> None:
    """`score_variants` gives what `enhancer-core variants` does, near ends and without chr too."""
    lines = ["##fileformat=VCFv4.2", "##contig=<ID=1>", "##contig=<ID=2>"]
    lines.append("\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"]))
    with open_genome(bench.folder / "example/genome.fa") as genome:
        for chrom, position in (("1", 9), ("1", 2999), ("1", 5995), ("2", 1499), ("2", 2990)):
            reference = genome.codes(f"chr{chrom}", position, position + 1)
            bases = decode(np.stack([reference, (reference + 1) % 4]))
            lines.append("\t".join([chrom, str(position + 1), ".", *bases, ".", "PASS", "."]))
    (bench.folder / "variants.vcf").write_text("\n".join([*lines, ""]))
    bench.veff(
        *("score_variants", model, "--dataloader_args", '{"fasta_file": "example/genome.fa"}'),
        *("-i", "variants.vcf", "-o", "theirs.vcf", "-s", "diff", "logit"),
    )
    weights = weights_path(bench.folder / "source" / model.split("/")[0], row)
    bench.run(
        *("enhancer-core", "variants", weights, "--genome", "example/genome.fa"),
        *("--vcf", "variants.vcf", "--force", "-o", "ours.vcf"),
    )
    # Not DIFF too, for which kipoi-veff averages probabilities, and we log odds as for LOGIT.
    ours, theirs = (values(bench.folder / file, "LOGIT") for file in ("ours.vcf", "theirs.vcf"))
    assert len(ours) == len(theirs) == 5
    same(ours, theirs, 1e-5)


def keeps_records(bench: Bench, model: str, _: dict[str, str]) -> None:
    """`score_variants` adds INFO to SNVs; all else of a VCF stays, and needs no SNV."""
    with open_genome(bench.folder / "example/genome.fa") as genome:
        base = decode(genome.codes("chr1", 2999, 3000)[np.newaxis])[0]
    other = "ACGT"["CATG".index(base)]
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", "one"]
    odd = [
        f"chr1 3000 . {base} {alt} 29.0 q10;s50 AF=0.10 GT:AD 0/1:3,4".replace(" ", "\t")
        for alt in ("<DEL>", "*", f"{base}A", f"{base}]chr1:9]", ".")
    ]
    scored = "\t".join(["chr1", "3000", "rs1", base, f"*,{other}", "1e1", ".", ".", "GT", "0/1"])
    for name, lines in (("odd", odd), ("empty", []), ("both", [scored, *odd])):
        text = "\n".join(["##fileformat=VCFv4.1", "\t".join(columns), *lines, ""])
        (bench.folder / f"{name}.vcf").write_text(text)
        bench.veff(
            *("score_variants", model, "--dataloader_args", '{"fasta_file": "example/genome.fa"}'),
            *("-i", f"{name}.vcf", "-o", "kept.vcf", "-s", "diff", "logit"),
        )
        kept = (bench.folder / "kept.vcf").read_text()
        added = re.sub("KV:[^\t]*", ".", re.sub("##INFO=<ID=KV:.*\n", "", kept))
        assert added == text, f"{kept} is not {text}"
        assert ("DIFF=.,0." in kept or "DIFF=.,-0." in kept) == (scored in lines), kept


def values(vcf: Path, field: str) -> NDArray[np.float64]:
    """Read a number of INFO from each record, whatever stands before its name."""
    records = [line for line in vcf.read_text().splitlines() if not line.startswith("#")]
    return np.array([float(line.split(f"{field}=")[1].split(";")[0]) for line in records])


def maps_mutations(bench: Bench, model: str, _: dict[str, str]) -> None:
    """`create_mutation_map` and `plot_mutation_map` write a file and a figure."""
    (bench.folder / "map.bed").write_text("chr1\t1000\t1002\n")
    bench.veff(
        *("create_mutation_map", model, "--dataloader_args", '{"fasta_file": "example/genome.fa"}'),
        *("-r", "map.bed", "-o", "map.h5", "-s", "diff", "--batch_size", 256),
    )
    bench.run(
        *("enhancer-core-veff", "plot_mutation_map", "-f", "map.h5", "-o", "map.png"),
        *("--input_entry", 0, "--model_seq_input", "seq", "--scoring_key", "diff"),
        *("--model_output", "probability", "--limit_region_genomic", 1000, 1020),
    )
    assert (bench.folder / "map.png").read_bytes().startswith(b"\x89PNG")


def padded(codes: Codes, start: int, length: int) -> Codes:
    """Cut a window by the plainest rule, base by base: N beyond the chromosome."""
    inside = range(len(codes))
    return np.array(
        [codes[i] if i in inside else N_CODE for i in range(start, start + length)], dtype=np.uint8
    )


Check = Callable[[Bench, str, dict[str, str]], None]
OF_EACH_ROW: tuple[Check, ...] = (
    describes,
    gives_its_example,
    tests_green,
    predicts,
    takes_the_stock_loader,
)
OF_EACH_GROUP: tuple[Check, ...] = (
    is_listed,
    loads_in_python,
    tiles_an_interval,
    scores_variants,
    keeps_records,
    maps_mutations,
)


def make_bench(folder: Path) -> Bench:
    """Copy the source, since Kipoi writes into it, and make a home that knows the copy alone."""
    shutil.copytree(SOURCE, folder / "source", ignore=shutil.ignore_patterns("downloaded"))
    (folder / ".kipoi").mkdir()
    source = {"type": "local", "local_path": str(folder / "source")}
    (folder / ".kipoi" / "config.yaml").write_text(json.dumps({"model_sources": {NAME: source}}))
    kipoi.config.add_source(NAME, source)
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    nowhere = "http://127.0.0.1:9"  # nothing listens: whatever asks the network fails
    return Bench(
        folder,
        {
            **os.environ,
            "HOME": str(folder),
            "PATH": programs,
            "PYTHONWARNINGS": "ignore",
            "OMP_NUM_THREADS": "1",  # small batches: more threads only wait for each other
            "http_proxy": nowhere,
            "https_proxy": nowhere,
        },
    )


def planned(asked: set[str]) -> Iterator[tuple[str, dict[str, str], Check]]:
    """List what to check: model, row and check; of all models, or of those asked for."""
    for group in sorted(path.parent for path in SOURCE.glob(f"*/{TEMPLATE}")):
        checks = OF_EACH_ROW + OF_EACH_GROUP
        for name, row in read_rows(group).items():
            model = f"{group.name}/{name}"
            if not asked or model in asked:
                yield from ((model, row, check) for check in checks)
                checks = OF_EACH_ROW


def main() -> None:
    """Run every check, say how each went, and exit with 1 if one failed."""
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="enhancer-core-") as name:
        bench = make_bench(Path(name))
        os.chdir(bench.folder)  # the Python API reads the example too
        for model, row, check in planned(set(sys.argv[1:])):
            started = time.monotonic()
            try:
                check(bench, model, row)
            except Exception as error:  # noqa: BLE001 -- a check may fail in any way
                failed += 1
                told = f"FAILED {model}: {check.__name__}\n{error}"
            else:
                passed += 1
                told = f"ok     {model}: {check.__name__} ({time.monotonic() - started:.0f} s)"
            sys.stdout.write(f"{told}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{passed} passed, {failed} failed\n")
    sys.exit(failed > 0 or passed == 0)


if __name__ == "__main__":
    main()
