"""What a study's report says of peaks, shuffles, background and motifs, whichever way it falls."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from enhancer_core.data.simulation import simulate
from enhancer_core.io.fasta import write_fasta
from enhancer_core.io.motifs import write_meme
from enhancer_core.models.model import load_model
from enhancer_core.motifs.motif import BUILTIN, Motif
from enhancer_core.report.page import render_page
from enhancer_core.report.study.page import study_page
from enhancer_core.report.study.sections import section
from enhancer_core.study.recipe import Recipe, ReportSection, Run, Search
from enhancer_core.study.runner import Results, run_study
from enhancer_core.study.toml import read_study

HNF4A = BUILTIN["HNF4A"]

CHIP = """
title = "A factor"
[defaults]
data = ["peaks"]
network = "tf"
restarts = 1
epochs = 1
[[data]]
name = "peaks"
positives = ["peaks.fa"]
genome = "genome.fa"
[[data]]
name = "own"
set = "peaks"
table = "own.tsv"
[[data]]
name = "windows"
genome = "genome.fa"
number = 40
length = 60
[[run]]
name = "k_windows"
title = "windows"
data = ["windows"]
positive = "background"
over = "k"
ks = [1, 4]
[[run]]
name = "k"
title = "peaks"
over = "k"
ks = [1, 4]
tests = ["own", "peaks/k"]
[[run]]
name = "planted"
title = "against windows"
plant_motifs = ["known.meme:HNF4A_NAME"]
filters = 9
width = 13
mutate = 0.05
learning_rate = 0.002
calibrate = true
tests = ["own", "peaks"]
motifs = ["known.meme:HNF4A_NAME"]
[[section]]
kind = "k_choice"
title = "Choice of k"
runs = ["k_windows", "k"]
k = 4
[[section]]
kind = "each"
title = "Own file"
headline = "Own tests"
tests = ["own"]
runs = ["k.4", "planted"]
least = 0.4
[[section]]
kind = "motifs"
title = "Motifs"
runs = ["planted"]
least = 0.9
[[section]]
kind = "filters"
title = "Filters"
runs = ["planted"]
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, str, Path]:
    """Peaks with a site of HNF4A, their own tests, a genome, and 30 known motifs with HNF4A."""
    folder, rng = tmp_path_factory.mktemp("chip"), np.random.default_rng(0)
    made = simulate(HNF4A, n=90, length=60, definition="figure2", rng=rng)
    write_fasta(folder / "peaks.fa", [f"p{i}" for i in range(60)], made.positives[:60])
    write_fasta(folder / "genome.fa", ["chr1"], rng.integers(0, 4, (1, 20000), dtype=np.uint8))
    letters = np.array(list("ACGT"))
    rows = [
        "".join(letters[codes]) + f"\t{bound}"
        for bound, each in (("1", made.positives[60:]), ("0", made.background[60:]))
        for codes in each
    ]
    (folder / "own.tsv").write_text("\n".join(["sequence\tbound", *rows, ""]))
    motifs = [Motif(f"m{i}", rng.dirichlet([0.3] * 4, 8).T) for i in range(29)]
    write_meme(folder / "known.meme", [*motifs, HNF4A])
    (folder / "chip.toml").write_text(CHIP.replace("HNF4A_NAME", HNF4A.name))
    study = read_study(folder / "chip.toml")
    (folder / "out").mkdir()
    results = run_study(study, folder / "out", data_folder=folder)
    return results, render_page(study_page(study, results)), folder / "out" / "runs"


def test_a_test_file_of_its_own_is_tested_on_whole_and_beside_the_peaks(
    done: tuple[Results, str, Path],
) -> None:
    for run in ("k.1", "k.4", "planted"):
        tests = done[0].runs[run]["tests"]
        assert len(tests["own"]["positives"]) == len(tests["own"]["negatives"]) == 30
    assert list(done[0].runs["k.4"]["tests"]) == ["own", "peaks/4"]
    assert done[0].data["chip"]["own"]["train"] == [0, 0]
    assert done[0].data["chip"]["peaks"]["train"] == [48, 48]


def test_the_table_of_data_names_every_source(done: tuple[Results, str, Path]) -> None:
    table = done[1][done[1].index("<h2>Data</h2>") :].partition("</table>")[0]
    cells = [re.sub("<[^>]*>", "", cell) for cell in re.findall(r"<td.*?</td>", table, re.DOTALL)]
    sources = dict(zip(cells[::6], cells[1::6], strict=True))
    assert sources == {
        "peaks": "peaks.fa, windows of genome.fa",
        "own": "own.tsv",
        "windows": "windows of genome.fa",
    }


def test_the_filter_most_like_a_motif_is_judged_among_all_motifs_of_its_file(
    done: tuple[Results, str, Path],
) -> None:
    (found,) = done[0].runs["planted"]["motifs"].values()
    assert found["similarity"] > 0.9
    assert found["q"] < 1e-4
    assert 0 < found["p"] <= found["q"]
    assert found["best"]["name"] == HNF4A.name
    filters = done[0].runs["planted"]["filters"]
    assert len(filters) <= 9
    assert found["pfm"] in [each["pfm"] for each in filters]


def test_a_page_shows_the_own_file_the_motif_and_what_filters_match(
    done: tuple[Results, str, Path],
) -> None:
    page = done[1]
    assert "1 of 1 reach a similarity of 0.9 and a q below 0.01 (against windows); the" in page
    assert "Of all motifs of the database, 1 of 1 match the motif of interest best." in page
    filters = done[0].runs["planted"]["filters"]
    matched = [e["match"]["name"] for e in filters if e["match"] and e["match"]["q"] < 0.01]
    assert matched
    told = f"Against windows: {len(matched)} of {len(filters)} filters match a motif at q below"
    assert told in page
    # The pair of the motif looked for, and the surest filter of each motif, of four at most.
    assert page.count("<b>against windows</b>") == 1 + min(4, len(set(matched)))
    value = done[0].runs["planted"]["tests"]["own"]["auc"]["value"]
    verb = "meets" if value >= 0.4 else "does not meet"
    assert f"Against windows {verb} the recipe&#39;s threshold of 0.4: {value:.3f}" in page
    assert "This recipe uses k = 4" in page
    aucs = [done[0].runs[run]["tests"]["own"]["auc"]["value"] for run in ("k.4", "planted")]
    highlight = page[page.index("<dt>Own tests</dt>") :][:300]
    assert f"{min(aucs):.3f}" in highlight
    assert "lowest of 2" in highlight


def test_a_network_is_made_and_trained_as_its_run_says(done: tuple[Results, str, Path]) -> None:
    model = load_model(done[2] / "planted")
    first = model.architecture.convolutions[0]
    assert (first.filters, first.width) == (9, 13)
    config = model.metadata["config"]
    assert (config["mutate"], config["learning_rate"], config["calibrate"]) == (0.05, 0.002, True)


def made(runs: list[Run], part: ReportSection, results: Mapping[str, Any]) -> str:
    """Give the text of a section."""
    recipe = Recipe(
        name="r", title="", text="", data=(), runs=tuple(runs), searches=(), sections=(part,)
    )
    return " ".join(section(part, recipe, results).text)


def test_a_matrix_of_one_test_does_not_speak_of_another() -> None:
    runs = [Run(name=name, data=("a",), tests=("a",)) for name in "rq"]
    auc = {"value": 0.75, "low": 0.5, "high": 1.0}
    test = {"auc": auc, "positives": [4.0, 2.0], "negatives": [3.0, 1.0]}
    results = {name: {"tests": {"a": test}} for name in "rq"}
    text = made(runs, ReportSection(kind="matrix", title="t", runs=("r", "q")), results)
    assert "tested on the same: 0.750 (0.500–1.000) on average. Q is not significantly" in text


def k_runs(name: str, positive: str, aucs: Mapping[int, float]) -> tuple[list[Run], dict[str, Any]]:
    runs = [
        Run(
            name=f"{name}.{k}", title=f"{name}, k = {k}", group=name, data=(name,),
            positive=positive, background=0, shuffles=(k,), tests=("own", f"{name}/{k}"),
        )
        for k in aucs
    ]  # fmt: skip
    own = {"auc": {"value": 0.99, "low": 0.98, "high": 1.0}}
    results = {
        f"{name}.{k}": {
            "tests": {
                "own": own,
                f"{name}/{k}": {"auc": {"value": auc, "low": auc - 0.02, "high": auc + 0.02}},
            },
            "unchanged": {str(k): 0.0},
        }
        for k, auc in aucs.items()
    }
    return runs, results


def test_a_background_that_is_told_from_its_shuffles_at_the_papers_k_is_said_to_be() -> None:
    few, few_results = k_runs("few repeats", "background", {2: 0.7, 3: 0.53, 4: 0.51})
    peaks, peaks_results = k_runs("peaks", "positives", {2: 0.95, 3: 0.92, 4: 0.84})
    all_, all_results = k_runs("all windows", "background", {2: 0.9, 3: 0.85, 4: 0.8})
    runs, results = [*few, *peaks, *all_], few_results | peaks_results | all_results
    part = ReportSection(
        kind="k_choice", title="t", runs=("few repeats", "peaks", "all windows"), k=3
    )
    text = made(runs, part, results)
    # Each figure is against own shuffles, not on the other test, whose AUC is .99.
    assert "Peaks: k = 3 is recommended; AUC 0.530" in text
    assert "This recipe uses k = 3, as recommended." in text
    assert "'few repeats' at k = 4: 0.510 (0.490–0.530), below the paper's limit of 0.55." in text
    above = "'all windows' at k = 4: 0.800 (0.780–0.820), above the paper's limit of 0.55."
    assert above in text
    assert "With 'all windows' as background, recommended: none for peaks." in text
    other = ReportSection(kind="k_choice", title="t", runs=part.runs, k=4)
    assert "uses k = 4; recommended: k = 3 for peaks." in made(runs, other, results)


def found(similarity: float, q: float, best: str) -> dict[str, Any]:
    pfm, other = HNF4A.pfm.tolist(), BUILTIN["CEBPA"].pfm.tolist()
    match = {
        "name": best, "alias": "", "target": pfm if best == "x.HNF4A" else other, "offset": 0,
        "similarity": 0.97, "strand": 1, "p": q / 2, "q": q,
    }  # fmt: skip
    return match | {"similarity": similarity, "pfm": pfm, "motif": pfm, "best": match}


@pytest.mark.parametrize(
    ("similarity", "q", "enough"), [(0.95, 0.001, 2), (0.95, 0.02, 1), (0.85, 0.001, 1)]
)
def test_a_motif_is_found_by_similarity_and_q_together(
    similarity: float, q: float, enough: int
) -> None:
    runs = [Run(name=name, data=("d",), motifs=("f:x.HNF4A",)) for name in "ab"]
    results = {
        "a": {"motifs": {"f:x.HNF4A": found(0.96, 1e-5, "x.HNF4A")}},
        "b": {"motifs": {"f:x.HNF4A": found(similarity, q, "y.CEBPA")}},
    }
    text = made(runs, ReportSection(kind="motifs", title="t", runs=("a", "b"), least=0.9), results)
    assert f"{enough} of 2 reach a similarity of 0.9 and a q below 0.01" in text
    assert (
        "Of all motifs of the database, 1 of 2 match the motif of interest best; that of b matches"
        " CEBPA, p " in text
    )


def test_a_filter_that_is_flat_or_has_no_q_is_not_counted_as_a_match() -> None:
    runs = [Run(name=name, data=("d",), motifs=("f:x.HNF4A",)) for name in "ab"]
    part = ReportSection(kind="motifs", title="t", runs=("a", "b"), least=0.9)
    sure, flat = found(0.96, 1e-5, "x.HNF4A"), found(0.96, 1e-5, "x.HNF4A") | {"best": None}
    results = {name: {"motifs": {"f:x.HNF4A": each}} for name, each in (("a", sure), ("b", flat))}
    assert "database, 1 of 2 match the motif of interest best." in made(runs, part, results)
    unknown = sure | {"q": None, "p": None}  # too small a database
    results["b"]["motifs"]["f:x.HNF4A"] = unknown
    assert "1 of 2 reach a similarity of 0.9 and a q below 0.01" in made(runs, part, results)
    results["a"]["motifs"]["f:x.HNF4A"] = unknown
    text = made(runs, part, results)
    assert "2 of 2 reach a similarity of 0.9 (a; b); the lowest" in text
    assert "database" not in text


def test_a_search_says_whether_a_round_ranked_its_mixes_as_the_next_did() -> None:
    rng = np.random.default_rng(0)
    n = 60
    sets = [[2 + int(b) for b in np.flatnonzero([i & 1 << j for j in range(6)])] for i in range(n)]
    aucs = rng.random((3, n))
    aucs[2] = aucs[1] + 0.1 * rng.random(n)
    rounds: list[dict[str, Any]] = [
        {"updates": 10, "candidates": [[1, s, auc] for s, auc in zip(sets, each, strict=True)]}
        for each in aucs.tolist()
    ]
    text = text_of_search(rounds)
    change = r"[+−]0\.\d{3} \([+−]0\.\d{3} to [+−]\d\.\d{3}\)"
    correlations = re.findall(rf"({change}) between rounds (\d) and (\d) \(60 mixes\)", text)
    assert [pair for _, *pair in correlations] == [["1", "2"], ["2", "3"]]
    first, second = (written for written, *_ in correlations)
    assert re.search(r"\(−0\.\d{3} to \+0", first)  # chance
    assert second.startswith("+0.9")
    few = [{**entry, "candidates": entry["candidates"][:9]} for entry in rounds]
    assert "Rank correlation" not in text_of_search(few)


def text_of_search(rounds: list[dict[str, Any]]) -> str:
    part = ReportSection(kind="search", title="t", runs=("s",))
    search = Search(name="s", data=("d",), updates=1)
    recipe = Recipe(
        name="r", title="", text="", data=(), runs=(), searches=(search,), sections=(part,)
    )
    test = {"auc": {"value": 0.8, "low": 0.7, "high": 0.9}}
    result = {"rounds": rounds, "winner": {"background": 1, "shuffles": [2]}, "tests": {"d": test}}
    return " ".join(section(part, recipe, {"s": result}).text)
