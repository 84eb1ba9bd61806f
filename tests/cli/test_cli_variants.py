from __future__ import annotations

import gzip
import hashlib
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pysam
import pytest
import torch

from enhancer_core.dna.codes import encode
from enhancer_core.io.motifs import write_meme
from enhancer_core.models.architecture import Architecture, Convolution
from enhancer_core.models.model import load_model, save_model
from enhancer_core.models.network import Network
from enhancer_core.motifs.motif import Motif
from enhancer_core.prediction.saturation import mutate
from tests.conftest import Ran
from tests.prediction.test_variants import word_network
from tests.predictors import model_of, predictor_of

Run = Callable[..., Ran]

HEADER = (
    "##fileformat=VCFv4.2",
    '##INFO=<ID=AF,Number=A,Type=Float,Description="Frequency">',
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ts1",
)
CHROMOSOME = "CCCCCCCCCCGATTACCCCCCCCCCCCCCC"  # GATTA at 10, 30 bp


def vcf(*rows: str) -> str:
    """Spell records `POS REF ALT INFO` of chr1."""
    lines = []
    for row in rows:
        pos, ref, alt, info = row.split()
        lines.append(f"chr1\t{pos}\trs{pos}\t{ref}\t{alt}\t50.00\tPASS\t{info}\tGT\t0|1")
    return "\n".join([*HEADER, *lines, ""])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in: genome.fa, its index, and a model that looks for GATTA in 20 bp."""
    monkeypatch.chdir(tmp_path)
    Path("genome.fa").write_text(f">chr1\n{CHROMOSOME}\n>chr2\nACGT\n")
    Path("genome.fa.fai").write_text("chr1\t30\t6\t30\t31\nchr2\t4\t43\t4\t5\n")
    save_model(model_of(word_network("GATTA", length=20), {"seed": 0}), Path("model.safetensors"))
    return tmp_path


@pytest.fixture
def score(here: Path, cli: Run) -> Callable[..., Ran]:
    """Run `variants` on the text of a VCF."""

    def run(text: str | bytes, *more: object, output: str = "out.vcf") -> Ran:
        (here / "in.vcf").write_bytes(text if isinstance(text, bytes) else text.encode())
        given = ["model.safetensors", "--genome", "genome.fa", "--vcf", "in.vcf", "-o", output]
        given.append("--force")
        return cli("variants", *given, *more)

    return run


def test_a_vcf_comes_back_with_effects_and_all_else_to_the_letter(
    score: Callable[..., Ran], here: Path
) -> None:
    ran = score(vcf("12 A C AF=0.10;XX", "12 a t,<DEL> AF=0.500", "16 C . ."))
    assert ran.status == 0
    assert ran.err == (
        "ALTs that were not scored, by EC_SKIP: 1 symbolic\n2 of 3 ALTs scored: out.vcf\n"
    )
    lines = (here / "out.vcf").read_text().splitlines()
    digest = hashlib.sha256(Path("model.safetensors").read_bytes()).hexdigest()
    origin = f'##enhancer_core=<ID=EC,Model="model.safetensors",SHA256={digest},Version='
    assert [line for line in lines if line.startswith(origin)]
    assert [line for line in lines if "EC" not in line] == list(HEADER)
    assert [line.split(",")[0] for line in lines if line.startswith("##INFO=<ID=EC_")] == [
        f"##INFO=<ID=EC_{name}" for name in ("REF", "ALT", "DIFF", "LOGIT", "SKIP")
    ]
    scored = "EC_REF=0.731059{0};EC_ALT=0.268941{0};EC_DIFF=-0.462117{0};EC_LOGIT=-2{0}"
    assert lines[-3:] == [
        f"chr1\t12\trs12\tA\tC\t50.00\tPASS\tAF=0.10;XX;{scored.format('')}\tGT\t0|1",
        "chr1\t12\trs12\ta\tt,<DEL>\t50.00\tPASS\tAF=0.500;"
        f"{scored.format(',.')};EC_SKIP=.,symbolic\tGT\t0|1",
        "chr1\t16\trs16\tC\t.\t50.00\tPASS\tEC_SKIP=no_alt\tGT\t0|1",
    ]


def test_a_name_that_ends_in_gz_gives_bgzip_and_an_index_and_the_same_lines(
    score: Callable[..., Ran], here: Path
) -> None:
    text = vcf("12 A C AF=0.10", "16 CC C .")
    assert score(text).status == 0
    assert score(text, "--threads", 2, "-q", output="out.vcf.gz") == Ran(0, "", "")
    packed = (here / "out.vcf.gz").read_bytes()
    assert gzip.decompress(packed) == (here / "out.vcf").read_bytes()
    assert (here / "out.vcf.gz.tbi").is_file()
    assert score(text, "--threads", 1, output="out.vcf.gz").status == 0
    assert (here / "out.vcf.gz").read_bytes() == packed
    again = score((here / "out.vcf").read_text(), output="again.vcf")
    assert again.status == 0
    assert (here / "again.vcf").read_bytes() == (here / "out.vcf").read_bytes()


def test_a_vcf_without_records_gives_one_without(score: Callable[..., Ran], here: Path) -> None:
    assert score(vcf()).status == 0
    assert (here / "out.vcf").read_text().splitlines()[-1] == HEADER[-1]


def test_skip_mismatch_lets_records_pass_with_their_reason(
    score: Callable[..., Ran], here: Path
) -> None:
    ran = score(vcf("12 G C .", "12 A C ."), "--skip-mismatch")
    assert ran.status == 0
    assert "ALTs that were not scored, by EC_SKIP: 1 ref_mismatch\n" in ran.err
    infos = [line.split("\t")[7] for line in (here / "out.vcf").read_text().splitlines()[-2:]]
    assert infos[0] == "EC_SKIP=ref_mismatch"
    assert infos[1].endswith("EC_LOGIT=-2")


def info(folder: Path, name: str = "out.vcf") -> list[str]:
    lines = (folder / name).read_text().splitlines()
    return [line.split("\t")[7] for line in lines if not line.startswith("#")]


def skips(folder: Path) -> list[str]:
    return [re.sub("EC_(?!SKIP)[^;]*;?", "", each).strip(";") for each in info(folder)]


def test_two_models_stand_side_by_side_by_their_prefixes(
    score: Callable[..., Ran], here: Path, cli: Run
) -> None:
    assert score(vcf("12 A C AF=0.10")).status == 0
    other = model_of(word_network("GCTTA", length=20), {"seed": 1})
    save_model(other, Path("other.safetensors"))
    args = ["--genome", "genome.fa", "--vcf", "out.vcf", "-o", "two.vcf"]
    ran = cli("variants", "other.safetensors", *args, "--prefix", "other")
    assert "replaced" not in ran.err
    (both,) = info(here, "two.vcf")
    assert both.startswith(f"{info(here)[0]};other_REF=0.268941;other_ALT=0.731059;other_DIFF=")
    header = Path("two.vcf").read_text()
    assert '##enhancer_core=<ID=EC,Model="model.safetensors",SHA256=' in header
    assert '##enhancer_core=<ID=other,Model="other.safetensors",SHA256=' in header
    ran = cli("variants", "other.safetensors", *args, "--force")
    assert "out.vcf has fields EC_* already, which are replaced; see --prefix\n" in ran.err
    assert info(here, "two.vcf")[0].startswith("AF=0.10;EC_REF=0.268941;")
    assert Path("two.vcf").read_text().count("##enhancer_core=") == 1
    with pysam.VariantFile("two.vcf") as read:  # which htslib reads
        assert next(iter(read)).info["EC_REF"] == pytest.approx((0.268941,))


@pytest.mark.parametrize("prefix", ["", "1A", "a b", "A=B", "A;B", "é"])
def test_a_prefix_that_vcf_does_not_allow_is_refused(
    score: Callable[..., Ran], prefix: str
) -> None:
    ran = score(vcf("12 A C ."), "--prefix", prefix)
    assert (ran.status, f"prefix '{prefix}' is not allowed; allowed are letters" in ran.err) == (
        2, True,
    )  # fmt: skip


ODD = (
    "12 . C .", "12 * C .", "12 - C .", "12 R C .", "12 A X .", "12 A I .", "12 A - .", "12 A U .",
    "12 A R .", "12 A C, .", "12 A ., .", "12 A <*> .", "12 A <NON_REF> .", "12 A C,R .",
    "12 N C .", "99 A C .", "12 <DEL> <DEL> .",
)  # fmt: skip
REASONS = (
    *["bad_allele"] * 9, ".,bad_allele", "bad_allele,bad_allele", "symbolic", "symbolic",
    ".,bad_allele", "ref_mismatch", "outside_chromosome", "alt_is_ref",
)  # fmt: skip


def test_odd_alleles_pass_through_with_a_reason_and_all_else_to_the_letter(
    score: Callable[..., Ran], here: Path
) -> None:
    text = vcf(*ODD)
    ran = score(text, "--skip-mismatch")
    assert ran.status == 0
    assert skips(here) == [f"EC_SKIP={reason}" for reason in REASONS]
    given = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    back = [line.split("\t") for line in Path("out.vcf").read_text().splitlines()]
    back = [columns for columns in back if not columns[0].startswith("#")]
    assert [c[:7] + c[8:] for c in back] == [c[:7] + c[8:] for c in given]
    assert ran.err == (
        "ALTs that were not scored, by EC_SKIP: 13 bad_allele, 2 symbolic, 1 ref_mismatch,"
        " 1 outside_chromosome, 1 alt_is_ref\n2 of 20 ALTs scored: out.vcf\n"
    )


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("12 . C .", r"REF '\.' has the letter '\.'"),
        ("12 A TUT .", "ALT 'TUT' has the letter 'U'"),
        ("12 A C, .", "ALT is empty"),
        (f"12 {'R' * 5000} C .", r"REF 'R{20}\.\.\. \(5000 bp\)' has the letter 'R'"),
    ],
)
def test_an_odd_allele_is_refused_in_one_short_line(
    score: Callable[..., Ran], row: str, what: str
) -> None:
    ran = score(vcf(row))
    assert ran.status == 2
    message = rf"in\.vcf line 4: {what}; allowed are A C G T N \(--skip-mismatch passes such"
    assert re.search(message, ran.err)
    assert len(ran.err) < 250


def test_an_ambiguity_code_in_the_genome_is_each_of_its_bases(
    score: Callable[..., Ran], here: Path
) -> None:
    assert score(vcf("12 A C .", "11 GAT G .")).status == 0
    plain = info(here)
    Path("genome.fa").write_text(f">chr1\n{CHROMOSOME.replace('GATTA', 'GRTTA')}\n>chr2\nACGT\n")
    assert score(vcf("12 A C .", "11 GAT G .")).status == 0  # R is A or G: REF says which
    assert info(here) == plain
    ran = score(vcf("12 C A ."))
    assert ran.err.startswith(
        "enhancer-core: error: in.vcf line 4: REF is C, but genome.fa has R at"
    )
    assert score(vcf("12 C A ."), "--skip-mismatch").status == 0
    assert skips(here) == ["EC_SKIP=ref_mismatch"]


def test_windows_that_are_mostly_n_have_no_score(score: Callable[..., Ran], here: Path) -> None:
    Path("genome.fa").write_text(">one\nA\n>nine\nCCCCACCCC\n>ten\nCCCCACCCCC\n")
    text = "\n".join([*HEADER, *(f"{c}\t{p}\t.\tA\tC\t.\t.\t.\tGT\t0" for c, p in (
        ("one", 1), ("nine", 5), ("ten", 5))), ""])  # fmt: skip
    ran = score(text)
    assert "ALTs that were not scored, by EC_SKIP: 2 mostly_n\n1 of 3 ALTs scored" in ran.err
    assert skips(here) == ["EC_SKIP=mostly_n", "EC_SKIP=mostly_n", ""]


def test_a_sequence_that_is_mostly_n_is_not_mutated(here: Path, cli: Run) -> None:
    Path("two.fa").write_text(f">half\n{'N' * 10}{'ACGTA' * 2}\n>most\n{'N' * 11}{'ACG' * 3}\n")
    ran = cli("mutagenesis", "model.safetensors", "two.fa", "-o", "out")
    assert "1 sequences scored: out; 1 are mostly N, and not scored\n" in ran.err
    rows = Path("out/effects.tsv").read_text().splitlines()[1:]
    assert [row.split("\t")[0] for row in rows] == ["half"] * 30


def test_a_wrong_assembly_is_warned_of(score: Callable[..., Ran], here: Path) -> None:
    header = list(HEADER)
    header.insert(1, "##contig=<ID=1,length=31>")
    header.insert(2, "##contig=<ID=chr2,length=4>")
    rows = [f"chr1\t{n}\t.\t{r}\tG\t.\t.\t.\tGT\t0" for n, r in enumerate("AATCC", 3)]
    ran = score("\n".join([*header, *rows, ""]), "--skip-mismatch")
    assert (
        "warning: 1 of 2 chromosomes have another length in the header than in genome.fa (1 31, not"
        " 30 bp): is it another assembly?\n"
    ) in ran.err
    assert (
        "warning: REF differs from the genome in 3 of 5 records, as by chance: is it another"
        " assembly, or are positions not counted from 1?\n"
    ) in ran.err
    assert "2 of 5 ALTs scored: out.vcf\n" in ran.err
    ran = score(vcf("3 A G .", "4 C G .", "5 C G .", "6 C G .", "7 C G ."), "--skip-mismatch")
    assert "warning" not in ran.err  # one of five


@pytest.mark.parametrize("theirs", ["MT", "M", "chrMT", "chrM"])
@pytest.mark.parametrize("ours", ["MT", "M", "chrMT", "chrM"])
def test_all_names_of_the_mitochondrion_are_one(
    score: Callable[..., Ran], here: Path, ours: str, theirs: str
) -> None:
    Path("genome.fa").write_text(f">{ours}\n{CHROMOSOME}\n")
    ran = score(vcf("12 A C .").replace("chr1", theirs))
    assert (ran.status, "1 of 1 ALTs scored" in ran.err) == (0, True)
    told = f"names matched by the rule chr1 = 1: {theirs} is {ours} in genome.fa"
    assert (told in ran.err) == (ours != theirs)


def test_contigs_that_the_genome_lacks_are_skipped_on_request(
    score: Callable[..., Ran], here: Path
) -> None:
    text = vcf("12 A C .", "16 C A .").replace("chr1\t16", "chrEBV\t16")
    assert "chromosome 'chrEBV' (or 'EBV') is not in genome.fa" in score(text).err
    ran = score(text, "--skip-mismatch")
    assert "by EC_SKIP: 1 unknown_chromosome\n" in ran.err
    assert skips(here) == ["", "EC_SKIP=unknown_chromosome"]


def test_a_list_of_variants_is_scored(score: Callable[..., Ran], here: Path) -> None:
    ran = score("chr1\t12\trs1\tA\tC\nchr1\t13\trs2\tT\tG\n")
    assert "in.vcf: read as a list of variants: CHROM, POS, ID, REF, ALT\n" in ran.err
    assert info(here)[0].startswith("EC_REF=0.731059;EC_ALT=0.268941")


def test_names_matched_by_rule_are_reported(score: Callable[..., Ran]) -> None:
    ran = score(vcf("12 A C .").replace("chr1", "1"))
    assert ran.status == 0
    assert "chromosome names matched by the rule chr1 = 1: 1 is chr1" in ran.err


@pytest.mark.parametrize("output", ["out.vcf", "out.vcf.gz"])
@pytest.mark.parametrize(
    ("text", "match"),
    [
        (vcf("12 A C .").split("\n", 3)[3], r"in\.vcf line 1: not VCF; the header must begin"),
        (vcf("12 A C .", "13 G C ."), r"in\.vcf line 5: REF is G, but genome\.fa has T at chr1:13"),
        (vcf("12 A C .").replace("chr1", "chr9"), r"in\.vcf line 4: chromosome 'chr9' \(or '9'\)"),
        (vcf("12 A R ."), r"in\.vcf line 4: ALT 'R' has the letter 'R'; allowed are A C G T N"),
        (vcf("0 A C ."), r"in\.vcf line 4: position 0, REF of 1 bp, is not inside chr1; allowed"),
        (vcf("31 A C ."), r"in\.vcf line 4: position 31, REF of 1 bp, is not inside chr1; allowed"),
        (gzip.compress(vcf("12 A C .").encode())[:-9], r"in\.vcf: the gzip data ends too early"),
        ("", r"in\.vcf: empty; a VCF header is needed"),
    ],
    ids=["no header", "REF", "chromosome", "letters", "position 0", "past the end", "cut", "empty"],
)
def test_a_bad_vcf_is_refused_in_one_line_and_leaves_nothing(
    score: Callable[..., Ran], here: Path, text: str | bytes, match: str, output: str
) -> None:
    ran = score(text, output=output)
    assert ran.status == 2
    (line,) = ran.err.splitlines()
    assert line.startswith("enhancer-core: error: ")
    assert re.search(match, line), line
    assert {path.name for path in here.iterdir()} == {
        "genome.fa", "genome.fa.fai", "model.safetensors", "in.vcf",
    }  # fmt: skip


def test_only_an_output_with_an_index_needs_sorted_input(score: Callable[..., Ran]) -> None:
    text = vcf("16 C G .", "12 A C .")
    assert score(text).status == 0
    ran = score(text, output="out.vcf.gz")
    assert ran.status == 2
    assert "in.vcf line 5: position 12 after 16; sort the file (bcftools sort), or" in ran.err


def test_without_pysam_only_compressed_output_stops(
    score: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pysam", None)
    assert score(vcf("12 A C .")).status == 0
    ran = score(vcf("12 A C ."), output="out.vcf.gz")
    assert ran.status == 2
    assert ran.err.endswith("needs pysam: pip install pysam\n")


# mutagenesis

SEQUENCES = ">chr1:0-20\nCCCGATTACCCCCCCCCCCC\n>a/b c\nccccccccccccccccccnn\n"


def test_mutagenesis_writes_a_table_of_every_change_and_a_plot_each(here: Path, cli: Run) -> None:
    (here / "in.fa").write_text(SEQUENCES)
    ran = cli("mutagenesis", "model.safetensors", "in.fa", "-o", "out")
    assert ran.status == 0
    assert {path.name for path in (here / "out").iterdir()} == {
        "effects.tsv", "0001_chr1:0-20.svg", "0002_a_b.svg",
    }  # fmt: skip
    head, *lines = (here / "out" / "effects.tsv").read_text().splitlines()
    assert head.split("\t") == [
        "name", "position", "reference", "alternative", "probability_reference",
        "probability_alternative", "difference", "logit_difference",
    ]  # fmt: skip
    assert len(lines) == 20 * 3 + 18 * 3
    assert lines[9] == "chr1:0-20\t3\tG\tA\t0.731059\t0.268941\t-0.462117\t-2"
    assert lines[0] == "chr1:0-20\t0\tC\tA\t0.731059\t0.731059\t0\t0"


def test_mutagenesis_adds_slopes_and_the_hits_of_known_motifs(here: Path, cli: Run) -> None:
    (here / "in.fa").write_text(SEQUENCES)
    words = np.stack([np.eye(4)[:, encode([word])[0]] for word in ("GATTA", "TAATC")])
    write_meme(here / "motifs.meme", [Motif("M1", words[0], alias="TF"), Motif("M2", words[1])])
    given = ["mutagenesis", "model.safetensors", "in.fa", "--markdown", "--threads", 1]
    options = ["--gradients", "--motifs", "motifs.meme", "--motif-p", 0.001]
    ran = cli(*given, *options, "-o", "out")
    assert ran.status == 0
    # 16 places, two strands, two words of one chance in 1,024, two sequences
    assert "2 hits of 2 motifs at p up to 0.001; uniform random DNA has about 0" in ran.err
    assert (here / "out" / "hits.tsv").read_text().splitlines() == [
        "name\tmotif\talias\tstart\tend\tstrand\tscore\tp\tattribution",
        "chr1:0-20\tM1\tTF\t3\t8\t+\t9.76562\t0.000976562\t10",
        "chr1:0-20\tM2\tNA\t3\t8\t-\t9.76562\t0.000976562\t10",
    ]
    head, *lines = (here / "out" / "gradients.tsv").read_text().splitlines()
    assert head == "name\tposition\treference\tcontribution\tA\tC\tG\tT"
    assert len(lines) == 2 * 20
    slopes = [float(value) for value in lines[4].split("\t")[3:]]
    assert lines[4].split("\t")[:3] == ["chr1:0-20", "4", "A"]
    assert slopes[0] == slopes[1] > 0 > slopes[2]
    assert sum(slopes[1:]) == pytest.approx(0, abs=1e-5)
    assert lines[-1].split("\t")[2:4] == ["N", "0"]
    plot = (here / "out" / "0001_chr1:0-20.svg").read_text()
    assert ">slope</text>" in plot
    assert "<title>M1 TF, p 0.00098</title>" in plot
    report = (here / "out" / "report.md").read_text()
    assert "In the second logo" in report
    assert "uniform random DNA has about 0" in report

    assert cli(*given, "-q", "-o", "plain") == Ran(0, "", "")
    assert not {"hits.tsv", "gradients.tsv"} & {path.name for path in (here / "plain").iterdir()}
    effects = [(here / name / "effects.tsv").read_bytes() for name in ("out", "plain")]
    assert effects[0] == effects[1]


def test_motifs_that_are_none_are_refused_before_there_is_output(here: Path, cli: Run) -> None:
    (here / "in.fa").write_text(SEQUENCES)
    given = ["mutagenesis", "model.safetensors", "in.fa", "-o", "out"]
    for options, match in (
        (["--motifs", "in.fa"], "in.fa line 2: "),
        (["--motif-p", 0], "'--motif-p': 0.0 is not in the range 0<x<=1"),
    ):
        ran = cli(*given, *options)
        assert (ran.status, ran.err.count("\n")) == (2, 1)
        assert match in ran.err
        assert not (here / "out").exists()


def test_plots_beyond_a_number_are_left_out_and_said_to_be(here: Path, cli: Run) -> None:
    (here / "in.fa").write_text(SEQUENCES)
    ran = cli("mutagenesis", "model.safetensors", "in.fa", "--plots", 1, "-o", "out")
    assert "1 of 2 sequences are drawn, the first; see --plots" in ran.err
    assert len(list((here / "out").glob("*.svg"))) == 1


def test_mutagenesis_does_not_depend_on_threads(here: Path, cli: Run) -> None:
    architecture = Architecture(convolutions=(Convolution(2, 9, 4),), dense=(3,), length=120)
    network = Network(architecture, generator=torch.Generator().manual_seed(0))
    save_model(model_of(network, {"seed": 0}), here / "random.safetensors")
    sequence = "".join(np.random.default_rng(0).choice(list("ACGT"), 120))
    (here / "in.fa").write_text(f">a\n{sequence}\n")
    for threads in (1, 2):
        given = ["random.safetensors", "in.fa", "--threads", threads, "-o", f"out{threads}"]
        assert cli("mutagenesis", *given, "-q") == Ran(0, "", "")
    for name in ("effects.tsv", "0001_a.svg"):
        assert (here / "out1" / name).read_bytes() == (here / "out2" / name).read_bytes()
    found = mutate(
        predictor_of(load_model(here / "random.safetensors").to_torch()), encode([sequence])[0]
    )
    lines = (here / "out1" / "effects.tsv").read_text().splitlines()[1:]
    written = [float(line.split("\t")[-1]) for line in lines]
    np.testing.assert_allclose(written, found.effects.logit, rtol=1e-5)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", r"in\.fa: empty"),
        (">a\nACGT\n", r"in\.fa line 1: record 'a' has 4 bp; the model reads 20"),
        (SEQUENCES + ">z\nCCCGATTACCCCCCCCCCCX\n", r"in\.fa line 6: record 'z': letter 'X'"),
    ],
)
def test_bad_sequences_are_refused_in_one_line_and_leave_nothing(
    here: Path, cli: Run, text: str, match: str
) -> None:
    (here / "in.fa").write_text(text)
    ran = cli("mutagenesis", "model.safetensors", "in.fa", "-o", "out")
    assert ran.status == 2
    (line,) = ran.err.splitlines()
    assert re.search(match, line), line
    assert not (here / "out").exists()
