"""The main job on real data, by command, as a user would run it."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from enhancer_core.cli import main
from enhancer_core.io.tables import read_table
from enhancer_core.study.data import files_of
from enhancer_core.study.recipe import Study
from enhancer_core.study.toml import read_study


def run(*arguments: object) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    assert stopped.value.code == 0


def test_peaks_of_a_real_genome_become_a_track_over_a_region_that_was_held_out(
    real_data: Path, tmp_path: Path
) -> None:
    folder = real_data / "human_regions"
    genome = folder / "genome.fa.gz"
    peaks = folder / "liver_h3k27ac_peaks.hg19.bed"
    genes = folder / "protein_coding_genes.hg19.bed"
    labelled = [
        (row["name"], int(row["length"]))
        for _, row in read_table(folder / "regions.tsv", ["name", "hg19_start0", "length"])
        if row["hg19_start0"].isdigit()
    ]
    assert len(labelled) == 9
    regions = tmp_path / "regions.bed"
    regions.write_text("".join(f"{name}\t0\t{length}\n" for name, length in labelled))
    held_out, validation = "chr20_hg19_1000000", "chr7_hg38_116170466"

    run("extract", genome, peaks, "--tile", "-o", tmp_path / "enhancers.fa")
    n = (tmp_path / "enhancers.fa").read_text().count(">")
    run(
        *("background", genome, "--exclude", peaks, "--genes", genes, "--regions", regions),
        *("-n", n, "--match", tmp_path / "enhancers.fa"),
        *("-o", tmp_path / "background.bed", "--fasta", tmp_path / "background.fa"),
    )
    run(
        *("train", "--positives", tmp_path / "enhancers.fa"),
        *("--negatives", tmp_path / "background.fa", "--groups", "chromosome"),
        *("--test-group", held_out, "--validation-group", validation),
        *("--restarts", 2, "--epochs", 4, "-o", tmp_path / "model"),
    )
    locus = tmp_path / "locus.bed"
    locus.write_text(f"{held_out}\t120000\t200000\n")
    run(
        *("predict", tmp_path / "model", "--genome", genome, "--regions", locus),
        *("-o", tmp_path / "track.bedgraph"),
    )

    for _, row in read_table(tmp_path / "model/split.tsv", ["name", "part"]):
        chrom = row["name"].split(":")[0]
        part = {held_out: "test", validation: "validation"}.get(chrom, "train")
        assert row["part"] == part
    with (tmp_path / "track.bedgraph").open() as file:
        rows = list(csv.reader(file, delimiter="\t"))
    assert {row[0] for row in rows} == {held_out}
    starts, ends = (np.array([int(row[column]) for row in rows]) for column in (1, 2))
    assert starts[0] == 120_000
    assert ends[-1] == 200_000
    assert np.array_equal(starts[1:], ends[:-1])
    assert all(0 <= float(row[3]) <= 1 for row in rows)
    figures = json.loads((tmp_path / "model/metrics.json").read_text())
    auc = figures["test"]["auc"]
    assert 0 <= auc["low"] <= auc["value"] <= auc["high"] <= 1
    assert figures["baseline"]["test"]["positives"] == figures["test"]["positives"] > 0
    assert "<svg" in (tmp_path / "model/report.html").read_text()


def test_the_readme_says_which_recipes_read_each_folder_of_data() -> None:
    training = Path(__file__).parents[2] / "training"
    found: dict[str, set[str]] = {}
    for recipe in read_study(training / "recipes" / "paper.toml").recipes:
        for file in files_of(Study(title="", recipes=(recipe,))):
            found.setdefault(file.partition("/")[0], set()).add(recipe.name)
    readme = (training / "README.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| [^|]* \| ([^|]*) \| [^|]* \|$", readme, flags=re.MULTILINE)
    told = {folder: set(re.findall(r"`(\w+)`", readers)) for folder, readers in rows}
    assert {folder: readers for folder, readers in told.items() if readers} == found


@pytest.mark.slow
@pytest.mark.parametrize(("network", "most"), [("enhancer", 1.5), ("motif_cnn", 2.8)])
def test_the_memory_of_training_on_28_000_sequences_has_a_bound(
    tmp_path: Path, network: str, most: float
) -> None:
    run("simulate", "--motif", "CEBPA", "-n", 14_000, "-o", tmp_path / "data")
    arguments = [
        *("train", "--positives", tmp_path / "data/positives.fa"),
        *("--negatives", tmp_path / "data/background.fa"),
        *("--network", network),
        *("--restarts", 2, "--epochs", 1, "--threads", 2, "-o", tmp_path / "model"),
    ]
    script = (
        "import resource, sys\n"
        "from enhancer_core.cli import main\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        "finally:\n"
        "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    peak = int(done.stdout) * 1024 / 1e9  # GB, of KiB
    print(f"peak memory {peak:.2f} GB")
    assert peak < most


@pytest.mark.slow
def test_human_liver_enhancers_are_judged_beside_the_baseline_on_one_split(
    real_data: Path, tmp_path: Path
) -> None:
    folder = real_data / "human_liver_h3k27ac"
    run(
        *("train", "--positives", folder / "enhancers.fa.gz"),
        *("--negatives", folder / "background.fa.gz"),
        *("--network", "enhancer", "--restarts", 4, "--epochs", 12, "-o", tmp_path / "model"),
    )
    figures = json.loads((tmp_path / "model/metrics.json").read_text())
    network, baseline = figures["test"], figures["baseline"]["test"]
    print(f"network {network['auc']}, baseline {baseline['auc']}")
    assert network["positives"] == baseline["positives"] == 275
    assert network["negatives"] == baseline["negatives"] == 278
    # On another split of these data 5-mers reached .775 and the paper's network .735; the interval
    # of 553 sequences is about .04 to either side.
    assert baseline["auc"]["low"] < 0.775 < baseline["auc"]["high"]
    assert network["auc"]["low"] < 0.735 < network["auc"]["high"]
