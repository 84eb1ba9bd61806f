"""The commands about motifs: what they give, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from enhancer_core.dna.codes import Codes, encode, reverse_complement
from enhancer_core.io.fasta import read_fasta, write_fasta
from enhancer_core.io.motifs import read_motifs, write_meme
from enhancer_core.io.outputs import MODEL_FILE
from enhancer_core.io.tables import read_table
from enhancer_core.models.architecture import Architecture, Convolution
from enhancer_core.models.model import save_model
from enhancer_core.models.network import Network
from enhancer_core.motifs.homer import similarity
from enhancer_core.motifs.motif import BUILTIN, Motif, ppm, pwm, site_prior
from enhancer_core.motifs.pssm import best_hits
from tests.conftest import Ran
from tests.predictors import model_of

Run = Callable[..., Ran]


@pytest.fixture(scope="module")
def simulated(cli: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 300 positives and 300 negatives of 200 bp, CEBPA sites near the middle."""
    folder = tmp_path_factory.mktemp("simulated") / "data"
    ran = cli("simulate", "--motif", "CEBPA", "-n", 300, "--length", 200, "-q", "-o", folder)
    assert ran == Ran(0, "", "")
    return folder


def data(folder: Path) -> list[object]:
    return ["--positives", folder / "positives.fa", "--negatives", folder / "background.fa"]


# pssm


def test_pssm_judges_the_motif_with_and_without_its_place(
    cli: Run, simulated: Path, tmp_path: Path
) -> None:
    path = tmp_path / "oracle.json"
    args = ["pssm", "--motif", "CEBPA", *data(simulated), "--strands", "one", "--pseudocount", 0]
    ran = cli(*args, "--position-sd", 30, "-o", path)
    assert (ran.status, ran.out) == (0, "")
    assert "mllr_with_position: test AUC 0." in ran.err
    found = json.loads(path.read_text())
    assert found["motif"] == "MA0102.2"
    assert (found["strands"], found["position_sd"], found["pseudocount"]) == ("one", 30, 0)
    aucs = {
        name: found[name]["train"]["auc"]["value"]
        for name in ("mllr", "llr", "mllr_with_position", "llr_with_position")
    }
    # The prior and the sum over places each add what they tell; 240 + 240 sequences are enough to
    # see the first.
    assert aucs["mllr_with_position"] > aucs["mllr"] > 0.7
    assert aucs["llr_with_position"] > aucs["llr"] > 0.7

    # The threshold is one that the training part's calls are counted with.
    both = [read_fasta(simulated / f"{kind}.fa").codes for kind in ("positives", "background")]
    prior = site_prior(length=200, width=9, sd=30)
    scores = best_hits(
        np.concatenate(both), pwm(ppm(BUILTIN["CEBPA"].pfm)), both_strands=False, prior=prior
    ).scores
    judged = found["mllr_with_position"]
    right = ((scores >= judged["threshold"]) == (np.arange(600) < 300)).sum()
    counted = [
        judged[part]["accuracy"]["value"] * (judged[part]["positives"] + judged[part]["negatives"])
        for part in ("train", "test")
    ]
    assert [judged[part]["positives"] for part in ("train", "test")] == [240, 30]
    assert 0 <= right - sum(counted) <= 60  # the rest are the validation part's
    assert cli(*args, "--position-sd", 30, "-q", "-o", tmp_path / "again.json").err == ""
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_pssm_without_a_prior_reads_both_strands_of_a_motif_in_a_file(
    cli: Run, inputs: Path, tmp_path: Path
) -> None:
    (tmp_path / "gc.pfm").write_text(">gc\n0 1 1 0\n0 1 1 0\n0 1 1 0\n")
    args = ["--positives", inputs / "positives.fa", "--negatives", inputs / "negatives.fa"]
    path = tmp_path / "gc.json"
    assert cli("pssm", "--motif", tmp_path / "gc.pfm", *args, "-q", "-o", path).status == 0
    found = json.loads(path.read_text())
    assert found.keys() == {"motif", "position_sd", "strands", "pseudocount", "mllr", "llr"}
    assert found["position_sd"] is None
    assert found["llr"]["train"]["auc"]["value"] > 0.95  # positives have 70 % GC, negatives 40 %


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (["--motif", "GATA9"], "motif 'GATA9': no such file, and not built in"),
        (["--motif", "LONG"], "a motif of 201 bp does not fit sequences of 200 bp"),
        (["--motif", "CEBPA", "--position-sd", 0], "'--position-sd': 0.0 is not in the range x>0"),
        (["--motif", "CEBPA", "--pseudocount", -1], "'--pseudocount': -1.0 is not in the range"),
        ([], "give either --motif MOTIF or --de-novo FILE"),
        (["--motif", "CEBPA", "--de-novo", "found.meme"], "give either --motif MOTIF or"),
        (["--de-novo", "found.meme", "--width", 201], "width of 201 bp; allowed are 6 to 200"),
        (["--de-novo", "found.fa"], "allowed are .meme, .txt for MEME"),
    ],
)
def test_pssm_refuses_what_cannot_be(
    cli: Run, simulated: Path, tmp_path: Path, options: list[object], match: str
) -> None:
    (tmp_path / "long.pfm").write_text(">long\n" + "1 0 0 0\n" * 201)
    given = [tmp_path / "long.pfm" if option == "LONG" else option for option in options]
    ran = cli("pssm", *given, *data(simulated), "-o", tmp_path / "out.json")
    assert (ran.status, ran.out) == (2, "")
    assert match in ran.err
    assert ran.err.count("\n") == 1
    assert not (tmp_path / "out.json").exists()


def test_pssm_finds_a_motif_in_the_training_part_and_writes_it(
    cli: Run, simulated: Path, tmp_path: Path
) -> None:
    args = ["pssm", "--de-novo", tmp_path / "found.meme", *data(simulated), "--strands", "one"]
    ran = cli(*args, "--width", 9, "--threads", 1, "-o", tmp_path / "out.json")
    assert (ran.status, ran.out) == (0, "")
    assert "motif of 9 bp found, from the word " in ran.err
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["motif"] == "de_novo"
    (motif,) = read_motifs(tmp_path / "found.meme")
    assert motif.width == 9
    assert similarity([motif], [BUILTIN["CEBPA"]]).scores[0, 0] > 0.8

    # What is written is what was judged, but for the digits of a MEME file.
    again = tmp_path / "again.json"
    args = ["pssm", "--motif", tmp_path / "found.meme", *data(simulated), "--strands", "one"]
    assert cli(*args, "-q", "-o", again).status == 0
    judged = json.loads(again.read_text())
    for part in ("train", "test"):
        aucs = [each["llr"][part]["auc"]["value"] for each in (found, judged)]
        assert aucs[0] == pytest.approx(aucs[1], abs=0.01)


# motifs

WORDS = ("GATTACA", "CCGTGAC", "AAAAAAA", "CCCCCCC")  # what the filters below look for


def word_pfm(word: str) -> np.ndarray:
    return np.eye(4)[:, encode([word])[0]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose four filters read WORDS, sequences with two of these, and a database.

    The third filter is flat: its bias lets all sites pass. Nothing activates the fourth. The
    database has 30 random motifs, and the first two words in longer motifs, the second reversed.
    """
    folder, rng = tmp_path_factory.mktemp("motifs"), np.random.default_rng(3)
    architecture = Architecture(convolutions=(Convolution(4, 7, 2),), dense=(), length=60)
    network = Network(architecture, generator=torch.Generator().manual_seed(0))
    pfms = np.stack([word_pfm(word) for word in WORDS])
    with torch.no_grad():
        network.first_layer.weight.copy_(torch.from_numpy(pfms))
        network.first_layer.weight[2] *= 1e-3
        bias = network.state_dict()["convolutions.0.bias"]
        bias.copy_(torch.tensor([-5.0, -5.0, 1.0, -20.0]))
    save_model(model_of(network, {}), folder / MODEL_FILE)
    codes: Codes = rng.integers(0, 4, (40, 60), dtype=np.uint8)
    codes[:20, 10:17] = encode(["GATTACA"])[0]
    codes[20:, 30:37] = reverse_complement(encode(["CCGTGAC"]))[0]
    write_fasta(folder / "sequences.fa", [f"s{i}" for i in range(40)], codes)
    known = [Motif(f"M{i}", rng.dirichlet([0.2] * 4, 8).T) for i in range(30)]
    known.append(Motif("first", word_pfm("CGATTACA"), alias="FIRST"))
    known.append(Motif("second", word_pfm("GTCACGGTT")))
    write_meme(folder / "database.meme", known)
    return folder


def command(folder: Path) -> list[object]:
    sequences, database = folder / "sequences.fa", folder / "database.meme"
    return ["motifs", folder, "--sequences", sequences, "--database", database]


def test_motifs_shows_what_filters_look_for_and_what_they_match(
    cli: Run, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ran = cli(*command(folder), "--threads", 1, "-o", out)
    assert (ran.status, ran.out) == (0, "")
    assert "2 of 4 first-layer filters match a motif of database.meme" in ran.err
    assert {path.relative_to(out).as_posix() for path in out.rglob("*.*")} == {
        *("matches.tsv", "motifs.meme", "report.html"),
        *(f"logos/filter_{i}.svg" for i in (1, 2, 3)),
    }
    rows = [row for _, row in read_table(out / "matches.tsv", ["filter"])]
    assert [row["filter"] for row in rows] == [f"filter_{i}" for i in (1, 2, 3, 4)]
    assert [row["match"] for row in rows] == ["first", "second", "NA", "NA"]
    assert [row["alias"] for row in rows] == ["FIRST", "NA", "NA", "NA"]
    # GATTACA is on CGATTACA at 1; GTCACGG is on GTCACGGTT at 0, as read on the other strand.
    assert [(row["offset"], row["strand"]) for row in rows[:2]] == [("1", "1"), ("0", "-1")]
    for row in rows[:2]:
        assert float(row["similarity"]) > 0.85
        assert float(row["p"]) <= float(row["q"]) < 0.001
        assert 10 < float(row["information_content"]) <= 14
        assert 20 <= int(row["sites"]) < 40
    assert float(rows[2]["information_content"]) < 1
    assert int(rows[2]["sites"]) > 1000
    assert [rows[3][name] for name in ("q", "information_content", "sites")] == ["NA", "NA", "0"]

    found = read_motifs(out / "motifs.meme")
    assert [motif.name for motif in found] == ["filter_1", "filter_2", "filter_3"]
    consensus = ["".join("ACGT"[base] for base in motif.pfm.argmax(axis=0)) for motif in found[:2]]
    assert consensus == ["GATTACA", "CCGTGAC"]
    assert (out / "logos" / "filter_1.svg").read_text().startswith("<svg ")
    report = (out / "report.html").read_text()
    for said in ("first FIRST", "nothing activates it", "flat", "TOMTOM"):
        assert said in report

    again = tmp_path / "again"
    assert cli(*command(folder), "--threads", 2, "--markdown", "-q", "-o", again).err == ""
    for path in out.rglob("*.*"):
        assert (again / path.relative_to(out)).read_bytes() == path.read_bytes()
    assert "![Logos of filter" in (again / "report.md").read_text()


def test_motifs_reads_weights_without_sequences(cli: Run, folder: Path, tmp_path: Path) -> None:
    args = ["motifs", folder, "--from-weights", "--database", folder / "database.meme", "-q"]
    assert cli(*args, "-o", tmp_path / "out") == Ran(0, "", "")
    rows = [row for _, row in read_table(tmp_path / "out" / "matches.tsv", ["filter"])]
    assert {row["sites"] for row in rows} == {"NA"}
    # Weights of 1 and 0 are odds of e: .2 bits a position, too flat to match.
    assert {row["match"] for row in rows} == {"NA"}
    weights = read_motifs(tmp_path / "out" / "motifs.meme")[0].pfm
    np.testing.assert_allclose(weights.max(axis=0), np.e / (np.e + 3), atol=1e-6)


def test_motifs_of_a_small_database_come_without_p_values(
    cli: Run, folder: Path, tmp_path: Path
) -> None:
    args = ["motifs", folder, "--sequences", folder / "sequences.fa"]
    (tmp_path / "few.pfm").write_text(">GATTA\n0 0 1 0\n1 0 0 0\n0 0 0 1\n0 0 0 1\n1 0 0 0\n")
    ran = cli(*args, "--database", tmp_path / "few.pfm", "-o", tmp_path / "out")
    assert (ran.status, ran.err.count("first-layer filters respond")) == (0, 1)
    rows = [row for _, row in read_table(tmp_path / "out" / "matches.tsv", ["filter"])]
    assert [row["match"] for row in rows[:2]] == ["GATTA", "GATTA"]
    assert {(row["p"], row["q"]) for row in rows} == {("NA", "NA")}
    assert "need 25" in (tmp_path / "out" / "report.html").read_text()


def test_motifs_takes_the_lowest_p_value_of_a_database_in_transfac_form(
    cli: Run, folder: Path, tmp_path: Path
) -> None:
    known = read_motifs(folder / "database.meme")
    records = []
    for motif in known:
        rows = [
            f"{i:02d}\t" + "\t".join(map(str, row)) for i, row in enumerate(motif.pfm.T.tolist(), 1)
        ]
        name = f"AC {motif.name}\nID {motif.alias}\n" if motif.alias else f"AC {motif.name}\n"
        records.append(name + "PO\tA\tC\tG\tT\n" + "\n".join(rows) + "\nXX\n//\n")
    path = tmp_path / "known.transfac"
    path.write_text("".join(records) + "AC none\n//\n")
    args = ["motifs", folder, "--sequences", folder / "sequences.fa"]
    with pytest.warns(UserWarning, match=r"left out, without a matrix: 1 \(none\)"):
        assert cli(*args, "--database", path, "-q", "-o", tmp_path / "out").status == 0
    assert cli(*command(folder), "-q", "-o", tmp_path / "meme") == Ran(0, "", "")
    tables = [(tmp_path / name / "matches.tsv").read_text() for name in ("out", "meme")]
    assert tables[0] == tables[1]


def test_motifs_refuses_what_cannot_be(cli: Run, folder: Path, tmp_path: Path) -> None:
    silent = tmp_path / "silent.fa"
    write_fasta(silent, ["a"], np.full((1, 60), 4, dtype=np.uint8))
    short = tmp_path / "short.fa"
    write_fasta(short, ["a"], np.zeros((1, 59), dtype=np.uint8))
    database = ["--database", folder / "database.meme"]
    for options, match in (
        (database, "give either --sequences FASTA or --from-weights"),
        ([*database, "--from-weights", "--sequences", silent], "give either --sequences FASTA"),
        ([*database, "--sequences", silent], "nothing in it activates a filter"),
        ([*database, "--sequences", short], "has 59 bp; the model reads 60"),
        (["--database", short, "--sequences", silent], "allowed are numbers"),
    ):
        ran = cli("motifs", folder, *options, "-o", tmp_path / "out")
        assert (ran.status, ran.out, ran.err.count("\n")) == (2, "", 1)
        assert match in ran.err
        assert not (tmp_path / "out").exists()
