"""Along a genome: evaluate, call, and a table by region, on a genome with planted sites."""

from __future__ import annotations

import gzip
import json
import math
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from enhancer_core.io.tables import read_table
from enhancer_core.models.model import load_model
from tests import planted
from tests.conftest import Ran

Run = Callable[..., Ran]
STEP = ("--step", 20)
HEADER = "#chrom\tstart\tend\tname\tscore\tstrand\tprobability\tprecision\tsummit"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, cli: Run) -> Path:
    """A folder with a genome, its peaks, a model, and the same with thresholds of chr2."""
    folder = tmp_path_factory.mktemp("genome")
    planted.write_genome(folder, chromosomes=3, bp=150_000, every=1000, sites=2)
    for number in (1, 2, 3):
        (folder / f"chr{number}.bed").write_text(f"chr{number}\t0\t150000\n")
    planted.train_network(folder, chromosome="chr1").save(folder / "model.safetensors")
    ran = cli(*evaluation(folder), "--regions", folder / "chr2.bed", "--store-thresholds",
              "--markdown", "-o", folder / "measured")  # fmt: skip
    assert ran.status == 0, ran.err
    return folder


def evaluation(folder: Path) -> list[object]:
    model, genome, peaks = (folder / n for n in ("model.safetensors", "genome.fa", "peaks.bed"))
    return ["evaluate", model, "--genome", genome, "--peaks", peaks, *STEP]


def calling(folder: Path, model: str = "measured") -> list[object]:
    regions = folder / "chr3.bed"
    return ["call", folder / model, "--genome", folder / "genome.fa", "--regions", regions, *STEP]


def read_calls(path: Path) -> list[list[str]]:
    text = path.read_text()
    assert text.splitlines()[0] == HEADER
    return [line.split("\t") for line in text.splitlines()[1:]]


def error(ran: Ran) -> str:
    assert (ran.status, ran.out, ran.err.count("\n")) == (2, "", 1), ran
    return ran.err.removeprefix("enhancer-core: error: ").rstrip("\n")


# evaluate --genome


def test_an_evaluation_writes_figures_a_table_a_report_and_the_model(here: Path) -> None:
    measured = here / "measured"
    assert sorted(path.name for path in measured.iterdir()) == [
        *("figures", "metrics.json", "model.safetensors", "precision.tsv"),
        *("report.html", "report.md"),
    ]
    figures = json.loads((measured / "metrics.json").read_text())
    assert (figures["bins"], figures["peaks"], figures["regions"]) == (7500, 150, 1)
    assert figures["base_rate"] == pytest.approx(0.2, abs=0.01)
    assert figures["average_precision"]["low"] > figures["base_rate"]
    assert figures["inputs"] == {
        "genome": "genome.fa", "peaks": "peaks.bed", "regions": "chr2.bed",
    }  # fmt: skip
    assert figures["prevalence"] is None
    assert sum(row["bins"] for row in figures["calibration"]) == 7500


def test_each_row_of_the_table_says_what_share_of_calls_is_right(here: Path) -> None:
    rows = [row for _, row in read_table(here / "measured" / "precision.tsv", ["threshold"])]
    assert list(rows[0]) == [
        *("threshold", "log_odds", "calls", "right", "precision", "precision_low"),
        *("precision_high", "expected_precision", "by_chance", "peaks_found", "recall"),
    ]
    for row in rows:
        share = int(row["right"]) / int(row["calls"])
        assert float(row["precision"]) == pytest.approx(share, abs=1e-5)
        assert float(row["precision_low"]) <= share + 1e-6 <= float(row["precision_high"]) + 2e-6
    assert float(rows[-1]["recall"]) > 0.8
    assert float(rows[0]["threshold"]) > float(rows[-1]["threshold"])


def test_the_stored_model_predicts_the_same_and_has_the_thresholds(here: Path) -> None:
    before, after = load_model(here), load_model(here / "measured")
    table = after.metadata["precision"]
    assert set(table[0]) == {"threshold", "calls", "right"}
    assert after.metadata["precision_measured"] == {"step": 20, "both_strands": False}
    assert {k: v for k, v in after.metadata.items() if not k.startswith("precision")} == (
        before.metadata
    )
    sequence = ["ACGT" * 15]
    assert before.predict(sequence).tobytes() == after.predict(sequence).tobytes()


def test_the_report_shows_plots_and_says_what_is_false_too(here: Path) -> None:
    html = (here / "measured" / "report.html").read_text()
    for title in ("Precision and recall", "Calibration", "A stretch of it"):
        assert f">{title}</h2>" in html
    assert html.count("<figure>") == 4
    assert re.search(r"\d+ of \d+ are false", html)
    assert "of which" in html
    assert "What this does not tell you" in html
    assert "figures/a-stretch-of-it.png" in (here / "measured" / "report.md").read_text()


def test_without_the_option_no_model_is_written(cli: Run, here: Path, tmp_path: Path) -> None:
    args = [*evaluation(here), "--regions", here / "chr3.bed", "-o", tmp_path / "out"]
    ran = cli(*args, "--prevalence", 0.2)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "metrics.json", "precision.tsv", "report.html",
    ]  # fmt: skip
    assert "probabilities hold at a prevalence of 0.2 (0.5 in training)" in ran.err
    assert re.search(
        r"average precision 0\.\d{3} \(95% interval .*\), base rate 0\.200; of the highest 1 %"
        rf" \d+\.\d% are right: {tmp_path}/out\n$",
        ran.err,
    )
    assert error(cli(*args)) == f"{tmp_path}/out/metrics.json is there already; --force replaces it"
    before = (tmp_path / "out" / "report.html").read_bytes()
    assert cli(*args, "--prevalence", 0.2, "--force", "-q") == Ran(0, "", "")
    assert (tmp_path / "out" / "report.html").read_bytes() == before


def test_sequences_are_evaluated_into_one_file_as_before(
    cli: Run, here: Path, inputs: Path, tmp_path: Path
) -> None:
    sequences = tmp_path / "a.fa"
    sequences.write_text(f">a\n{'ACGT' * 15}\n")
    other = tmp_path / "b.fa"
    other.write_text(f">b\n{'AAGT' * 15}\n")
    args = ["evaluate", here, "--positives", sequences, "--negatives", other]
    assert cli(*args, "-o", tmp_path / "figures.json").status == 0
    assert json.loads((tmp_path / "figures.json").read_text())["positives"] == 1
    told = error(cli(*args, "-o", tmp_path / "figures.tsv"))
    assert "the ending does not fit what is written; allowed are .json for JSON" in told


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "give --positives and --negatives, or --genome and --peaks"),
        (["--positives", "a.fa"], "give --positives and --negatives, or --genome and --peaks"),
        (["--genome", "g.fa"], "--genome needs --peaks, and no --positives or --negatives"),
        (["--genome", "g.fa", "--peaks", "p.bed", "--positives", "a.fa"], "--genome needs --peaks"),
        (
            ["--positives", "a.fa", "--negatives", "b.fa", "--store-thresholds"],
            "--peaks, --regions, --store-thresholds and --markdown need --genome",
        ),
        (["--genome", "g.fa", "--peaks", "p.bed", "--prevalence", 1], "1.0 is not in the range"),
    ],
)
def test_options_of_the_two_forms_are_not_mixed(
    cli: Run, here: Path, tmp_path: Path, args: list[object], message: str
) -> None:
    assert message in error(cli("evaluate", here, *args, "-o", tmp_path / "out"))


def test_a_folder_for_figures_along_a_genome_is_not_named_as_a_file(cli: Run, here: Path) -> None:
    told = error(cli(*evaluation(here), "-o", here / "out.json"))
    assert told.endswith("a folder is written, so its name must not end in .json")


def test_the_folder_of_the_model_is_not_written_into(cli: Run, here: Path) -> None:
    model, before = here / "model.safetensors", (here / "model.safetensors").read_bytes()
    told = error(cli(*evaluation(here), "--store-thresholds", "--force", "-o", here))
    assert told == f"{here}: {model} is an input too ({model}); write elsewhere"
    assert model.read_bytes() == before


def test_peaks_elsewhere_are_refused(cli: Run, here: Path, tmp_path: Path) -> None:
    (tmp_path / "far.bed").write_text("chr3\t10\t20\n")
    args = [*evaluation(here), "--regions", here / "chr2.bed"]
    args[args.index("--peaks") + 1] = tmp_path / "far.bed"
    told = cli(*args, "-o", tmp_path / "out").err.splitlines()[-1]
    assert told.endswith("far.bed: none of 1 peaks overlaps the regions")
    assert not (tmp_path / "out").exists()


def test_too_few_calls_for_a_precision_are_refused(cli: Run, here: Path, tmp_path: Path) -> None:
    (tmp_path / "short.bed").write_text("chr2\t0\t1000\n")
    args = [*evaluation(here), "--regions", tmp_path / "short.bed"]
    ran = cli(*args, "--store-thresholds", "-o", tmp_path / "out")
    assert ran.status == 2
    assert re.search("no more than [1-9] calls; a precision takes 10", ran.err)
    assert not (tmp_path / "out").exists()
    assert cli(*args, "-o", tmp_path / "out").status == 0


# call


def test_calls_with_a_precision_have_it_on_another_chromosome(
    cli: Run, here: Path, tmp_path: Path
) -> None:
    ran = cli(*calling(here), "--precision", 0.75, "-o", tmp_path / "calls.bed")
    rows = read_calls(tmp_path / "calls.bed")
    assert ran.err.endswith(f"{len(rows)} calls: {tmp_path}/calls.bed\n")
    assert len(rows) > 20
    peaks = [line.split("\t") for line in (here / "peaks.bed").read_text().splitlines()]
    spans = [(int(start), int(end)) for chrom, start, end in peaks if chrom == "chr3"]
    right = [any(int(row[1]) < end and start < int(row[2]) for start, end in spans) for row in rows]
    share, n = sum(right) / len(rows), len(rows)
    # Four standard errors of the difference, as many calls having been measured.
    assert abs(share - 0.75) < 4 * math.sqrt(2 * 0.75 * 0.25 / n)
    assert all(0.75 <= float(row[7]) <= 1 for row in rows)


def test_calls_are_sorted_by_position_and_named_by_rank(
    cli: Run, here: Path, tmp_path: Path
) -> None:
    assert cli(*calling(here), "--top", 40, "-o", tmp_path / "calls.bed").status == 0
    rows = read_calls(tmp_path / "calls.bed")
    assert len(rows) == 40
    starts = [int(row[1]) for row in rows]
    assert starts == sorted(starts)
    ranked = sorted(rows, key=lambda row: int(row[3].removeprefix("call_")))
    assert [row[3] for row in ranked] == [f"call_{rank}" for rank in range(1, 41)]
    values = [float(row[6]) for row in ranked]
    assert values == sorted(values, reverse=True)
    for chrom, start, end, _, score, strand, probability, _, summit in rows:
        assert (chrom, strand) == ("chr3", ".")
        assert int(start) <= int(summit) < int(end)
        assert int(score) == round(1000 * float(probability))


def test_a_threshold_makes_calls_of_the_bins_of_the_track(
    cli: Run, here: Path, tmp_path: Path
) -> None:
    for strands in ([], ["--both-strands"]):
        out = ["--force", "-o", tmp_path / "calls.bed"]
        assert cli(*calling(here, ""), "--threshold", 0.9, *strands, *out).status == 0
        rows = read_calls(tmp_path / "calls.bed")
        args = ["predict", here, *calling(here, "")[2:], *strands]
        assert cli(*args, "--force", "-o", tmp_path / "t.bedgraph").status == 0
        track = [line.split("\t") for line in (tmp_path / "t.bedgraph").read_text().splitlines()]
        high = [(int(start), int(end)) for _, start, end, value in track if float(value) >= 0.9]
        inside = [
            sum(int(row[1]) <= start and end <= int(row[2]) for row in rows) for start, end in high
        ]
        assert set(inside) == {1}
        assert {row[7] for row in rows} == {"NA"}  # this model has no thresholds
        summits = {(int(start) + int(end)) // 2: float(value) for _, start, end, value in track}
        for row in rows:
            assert float(row[6]) == pytest.approx(summits[int(row[8])], abs=1e-5)


def test_calls_may_be_compressed_and_bedtools_reads_them(
    cli: Run, here: Path, tmp_path: Path
) -> None:
    plain, packed = tmp_path / "calls.bed", tmp_path / "calls.bed.gz"
    for path in (plain, packed):
        assert cli(*calling(here), "--top", 30, "-o", path).status == 0
    assert gzip.decompress(packed.read_bytes()) == plain.read_bytes()
    ran = subprocess.run(
        ["bedtools", "intersect", "-sorted", "-u", "-a", packed, "-b", here / "peaks.bed"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert 0 < len(ran.stdout.splitlines()) <= 30
    window = ["extract", here / "genome.fa", plain, "--length", 60, "-o", tmp_path / "calls.fa"]
    assert cli(*window).status == 0


def test_threads_do_not_change_a_call(cli: Run, here: Path, tmp_path: Path) -> None:
    for threads in (1, 3):
        out = tmp_path / f"{threads}.bed"
        assert cli(*calling(here), "--top", 50, "--threads", threads, "-o", out).status == 0
    assert (tmp_path / "1.bed").read_bytes() == (tmp_path / "3.bed").read_bytes()


def test_a_whole_genome_is_called_without_regions(cli: Run, here: Path, tmp_path: Path) -> None:
    args = ["call", here / "measured", "--genome", here / "genome.fa", *STEP, "--top", 60]
    assert cli(*args, "-o", tmp_path / "calls.bed").status == 0
    assert {row[0] for row in read_calls(tmp_path / "calls.bed")} == {"chr1", "chr2", "chr3"}


def test_a_prevalence_lowers_the_probabilities_of_calls_and_no_precision(
    cli: Run, here: Path, tmp_path: Path
) -> None:
    for name, more in (("a", []), ("b", ["--prevalence", 0.05])):
        out = tmp_path / f"{name}.bed"
        assert cli(*calling(here), "--precision", 0.7, *more, "-o", out).status == 0
    plain, rare = (read_calls(tmp_path / f"{name}.bed") for name in "ab")
    assert [row[:4] + row[7:] for row in plain] == [row[:4] + row[7:] for row in rare]
    assert all(float(a[6]) > float(b[6]) for a, b in zip(plain, rare, strict=True))


def test_a_threshold_that_no_bin_reaches_gives_the_header_alone(
    cli: Run, here: Path, tmp_path: Path
) -> None:
    ran = cli(*calling(here), "--threshold", 1, "-o", tmp_path / "calls.bed")
    assert (tmp_path / "calls.bed").read_text() == f"{HEADER}\n"
    assert f"0 calls: {tmp_path}/calls.bed" in ran.err


def test_more_calls_than_there_can_be_are_told(cli: Run, here: Path, tmp_path: Path) -> None:
    ran = cli(*calling(here), "--top", 100_000, "-o", tmp_path / "calls.bed")
    assert "no threshold makes 100,000 calls; these are the most\n" in ran.err
    assert len(read_calls(tmp_path / "calls.bed")) > 100


def test_a_model_without_thresholds_states_no_precision(
    cli: Run, here: Path, tmp_path: Path
) -> None:
    told = error(cli(*calling(here, ""), "--precision", 0.8, "-o", tmp_path / "calls.bed"))
    assert told.startswith("the model has no thresholds for a precision; measure them on regions")
    assert "evaluate MODEL --genome G --peaks BED --regions BED --store-thresholds -o DIR" in told
    assert not (tmp_path / "calls.bed").exists()


def test_a_precision_that_was_not_reached_is_refused(cli: Run, here: Path, tmp_path: Path) -> None:
    told = error(cli(*calling(here), "--precision", 1, "-o", tmp_path / "calls.bed"))
    assert re.fullmatch(
        r"a precision of 1 was not reached where the model's thresholds were measured; the highest"
        r" is 0\.\d{3}",
        told,
    )


def test_another_step_than_the_thresholds_is_refused_or_told(
    cli: Run, here: Path, tmp_path: Path
) -> None:
    args = [*calling(here), "--step", 50, "-o", tmp_path / "calls.bed"]
    told = error(cli(*args, "--precision", 0.5))
    assert told == (
        "the model's thresholds were measured at a step of 20 bp on one strand, not of 50 bp on one"
        " strand; a precision holds for the same only"
    )
    ran = cli(*args, "--top", 5)
    assert "not of 50 bp on one strand: no precision is stated\n" in ran.err
    assert {row[7] for row in read_calls(tmp_path / "calls.bed")} == {"NA"}


@pytest.mark.parametrize(
    "choice", [[], ["--top", 5, "--precision", 0.5], ["--threshold", 0.5, "--top", 5]]
)
def test_one_of_three_ways_to_choose_is_needed(
    cli: Run, here: Path, tmp_path: Path, choice: list[object]
) -> None:
    told = error(cli(*calling(here), *choice, "-o", tmp_path / "calls.bed"))
    assert told.startswith("give one of --precision, --top and --threshold")


def test_calls_are_written_as_bed_alone(cli: Run, here: Path, tmp_path: Path) -> None:
    told = error(cli(*calling(here), "--top", 5, "-o", tmp_path / "calls.tsv"))
    assert "allowed are .bed for BED, or with .gz after it" in told


# predict --per-region and --prevalence


def test_a_table_has_a_row_for_each_region_in_the_order_given(
    cli: Run, here: Path, tmp_path: Path
) -> None:
    regions = tmp_path / "regions.bed"
    regions.write_text(
        "chr2\t500\t700\tsecond\n1\t100\t160\t.\nchr1\t130\t300\nchr2\t500\t700\tsecond\n"
    )
    args = ["predict", here, "--genome", here / "genome.fa", *STEP, "--regions"]
    ran = cli(*args, regions, "--per-region", "-o", tmp_path / "table.tsv")
    assert f"4 regions predicted: {tmp_path}/table.tsv\n" in ran.err
    assert "chromosome names matched by the rule chr1 = 1: 1 is chr1" in ran.err
    rows = [line.split("\t") for line in (tmp_path / "table.tsv").read_text().splitlines()]
    assert rows[0] == ["name", "chrom", "start", "end", "probability", "mean"]
    assert [row[:4] for row in rows[1:]] == [
        ["second", "chr2", "500", "700"], ["1:100-160", "chr1", "100", "160"],
        ["chr1:130-300", "chr1", "130", "300"], ["second", "chr2", "500", "700"],
    ]  # fmt: skip
    for place, row in enumerate(rows[1:]):
        alone = tmp_path / f"{place}.bed"
        alone.write_text("\t".join(row[1:4]) + "\n")
        assert cli(*args, alone, "-o", tmp_path / f"{place}.bedgraph").status == 0
        track = (tmp_path / f"{place}.bedgraph").read_text().splitlines()
        values = [float(line.split("\t")[3]) for line in track]
        assert float(row[4]) == max(values)
        assert float(row[5]) == pytest.approx(sum(values) / len(values), rel=1e-4)


def test_a_region_of_n_has_no_value_and_one_that_is_missing_may_be_skipped(
    cli: Run, inputs: Path, here: Path, tmp_path: Path
) -> None:
    (tmp_path / "regions.bed").write_text("chr3\t190\t210\tn\nchr9\t0\t9\tno\nchr2\t0\t60\tyes\n")
    args = [
        "predict",
        here,
        "--genome",
        inputs / "genome.fa",
        "--regions",
        tmp_path / "regions.bed",
    ]
    args += ["--per-region", "-o", tmp_path / "table.tsv"]
    assert "regions.bed line 2: chromosome 'chr9'" in error(cli(*args))
    ran = cli(*args, "--skip-missing")
    lines = (tmp_path / "table.tsv").read_text().splitlines()
    assert lines[1] == "n\tchr3\t190\t210\tNA\tNA"
    assert lines[2].startswith("yes\tchr2\t0\t60\t0.")
    assert "1 regions have no value: their windows are mostly N\n" in ran.err
    assert "1 intervals are left out" in ran.err


def test_a_table_by_region_needs_regions_and_the_name_of_a_table(
    cli: Run, here: Path, tmp_path: Path
) -> None:
    args = ["predict", here, "--genome", here / "genome.fa", "--per-region"]
    assert "--per-region needs --regions" in error(cli(*args, "-o", tmp_path / "t.tsv"))
    told = error(cli(*args, "--regions", here / "chr2.bed", "-o", tmp_path / "t.bw"))
    assert "allowed are .tsv, .tab, .txt for a table" in told


def test_probabilities_are_turned_to_a_prevalence_everywhere(
    cli: Run, here: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.fa").write_text(f">a\n{'ACGT' * 15}\n>b\n{'ATTGCACAAT' * 6}\n")
    (tmp_path / "r.bed").write_text("chr2\t500\t700\tone\n")
    along = ["--genome", here / "genome.fa", "--regions", tmp_path / "r.bed"]

    def last_column(*args: object) -> list[float]:
        assert cli("predict", here, *args, "--force", "-o", tmp_path / "out").status == 0
        lines = (tmp_path / "out").read_text().splitlines()
        cells = [line.split("\t")[-1] for line in lines]
        return [float(cell) for cell in cells if cell[0].isdigit()]

    for args in ([tmp_path / "a.fa"], [tmp_path / "a.fa", "--both-strands"], along):
        plain, rare = last_column(*args), last_column(*args, "--prevalence", 0.01)
        assert len(plain) == len(rare) > 1
        for before, after in zip(plain, rare, strict=True):
            odds = before / (1 - before) / 99  # from 1 in 2 to 1 in 100
            assert after == pytest.approx(odds / (1 + odds), rel=2e-3)


def test_a_model_that_does_not_state_its_share_is_said_to_be_taken_as_half(
    cli: Run, here: Path, tmp_path: Path
) -> None:
    model = load_model(here)
    assert model.prevalence == 0.5
    type(model)(model.members, {"seed": 0}).save(tmp_path / "old.safetensors")
    (tmp_path / "a.fa").write_text(f">a\n{'ACGT' * 15}\n")
    args = ["predict", tmp_path / "old.safetensors", tmp_path / "a.fa", "--prevalence", 0.1]
    ran = cli(*args, "-o", tmp_path / "out.tsv")
    assert (
        "probabilities hold at a prevalence of 0.1 (0.5 in training, which is assumed: the model"
        " does not state it)\n" in ran.err
    )
