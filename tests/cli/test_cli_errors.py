"""Bad input: one line on stderr, exit status 2, and nothing left behind."""

from __future__ import annotations

import gzip
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from enhancer_core import dna, report
from enhancer_core.io.outputs import MODEL_FILE
from enhancer_core.models.architecture import Architecture, Convolution
from enhancer_core.models.model import save_model
from enhancer_core.models.network import Network
from tests.conftest import Ran
from tests.predictors import model_of

Run = Callable[..., Ran]
Refuse = Callable[..., None]


def contents(folder: Path) -> Mapping[str, bytes | None]:
    """Everything below a folder: the bytes of files, None for folders."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def assert_refused(ran: Ran, match: str) -> None:
    assert ran.status == 2
    assert ran.out == ""
    (line,) = ran.err.splitlines()
    assert line.startswith("enhancer-core: error: ")
    assert re.search(match, line), line


@pytest.fixture
def refuse(cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Run a command in an empty folder; it must stop with a line that matches, and no trace."""
    monkeypatch.chdir(tmp_path)

    def run_and_check(*args: object, match: str) -> None:
        before = contents(tmp_path)
        assert_refused(cli(*args), match)
        assert contents(tmp_path) == before

    return run_and_check


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a tiny network for 120 bp, not trained."""
    path = tmp_path_factory.mktemp("model") / MODEL_FILE
    tiny = Architecture(convolutions=(Convolution(2, 9, 4),), dense=(3,), length=120)
    save_model(
        model_of(Network(tiny, generator=torch.Generator().manual_seed(0)), {"seed": 0}), path
    )
    return path


@contextmanager
def disk_with_room_for(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def data(inputs: Path) -> list[object]:
    return ["--positives", inputs / "positives.fa", "--negatives", inputs / "negatives.fa"]


def quick_training(inputs: Path, *more: object) -> list[object]:
    return [
        "train",
        *data(inputs),
        "--network",
        "tf",
        "--restarts",
        1,
        "--epochs",
        1,
        "-q",
        *more,
        "-o",
        "out",
    ]


# Files that are not what they should be

FASTA_READERS = {
    "shuffle": ["shuffle", "BAD", "-k", "2", "-o", "out.fa"],
    "train": ["train", "--positives", "BAD", "--negatives", "GOOD", "-o", "out"],
    "baseline": ["baseline", "--positives", "GOOD", "--negatives", "BAD", "-o", "out"],
    "evaluate": ["evaluate", "MODEL", "--positives", "BAD", "--negatives", "GOOD", "-o", "out"],
    "predict": ["predict", "MODEL", "BAD", "-o", "out.tsv"],
}
SEQUENCE = "ACGT" * 30
ZIPPED = gzip.compress(f">a\n{SEQUENCE}\n".encode())


@pytest.mark.parametrize("command", FASTA_READERS)
@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", r"bad\.fa: empty; a FASTA file with at least one record is needed"),
        (b"\n\n", r"bad\.fa: only blank lines"),
        (b"hello\n", r"bad\.fa line 1: not FASTA; the first line must be a header"),
        (b"\x00\xff\x01\n", r"bad\.fa line 1: not FASTA"),
        (b">a\n>b\nACGT\n", r"bad\.fa line 1: record 'a' has a header without sequence"),
        (b">\nACGT\n", r"bad\.fa line 1: header without a name"),
        (f">a\n{SEQUENCE}\n>a\n{SEQUENCE}\n".encode(), r"bad\.fa line 3: name 'a' is already on"),
        (b">a\nAC\nACRT\n", r"bad\.fa line 3: record 'a': letter 'R' at position 3 is an IUPAC"),
        (b">a\nEFIL\n", r"bad\.fa line 2: record 'a': letter 'E' at position 1 is not DNA"),
        (ZIPPED[:-12], r"bad\.fa: the gzip data ends too early; the file is cut"),
        (ZIPPED[:-8] + bytes(8), r"bad\.fa: the gzip data is damaged"),
    ],
    ids=[
        "empty", "blank", "text", "binary", "no sequence", "no name", "duplicate names", "IUPAC",
        "protein", "cut gzip", "damaged gzip",
    ],
)  # fmt: skip
def test_a_file_that_is_not_fasta_of_dna_is_refused(
    refuse: Refuse, command: str, content: bytes, match: str, inputs: Path, model: Path
) -> None:
    Path("bad.fa").write_bytes(content)
    given = {"BAD": "bad.fa", "GOOD": inputs / "negatives.fa", "MODEL": model}
    refuse(*(given.get(arg, arg) for arg in FASTA_READERS[command]), match=match)


@pytest.mark.parametrize("command", FASTA_READERS)
@pytest.mark.parametrize(
    ("bad", "reason"), [("none.fa", "No such file or directory"), (".", "Is a directory")]
)
def test_a_file_that_is_missing_or_a_folder_is_refused(
    refuse: Refuse, command: str, bad: str, reason: str, inputs: Path, model: Path
) -> None:
    given = {"BAD": bad, "GOOD": inputs / "negatives.fa", "MODEL": model}
    args = [given.get(arg, arg) for arg in FASTA_READERS[command]]
    refuse(*args, match=rf" {re.escape(bad)}: cannot be read \({reason}\)")


BED_READERS = {
    "extract": ["extract", "GENOME", "bad.bed", "-o", "out.fa"],
    "predict": ["predict", "MODEL", "--genome", "GENOME", "--regions", "bad.bed", "-o", "out.bw"],
    "by region": [
        *("predict", "MODEL", "--genome", "GENOME", "--regions", "bad.bed", "--per-region"),
        *("-o", "out.tsv"),
    ],
    "call": [
        *("call", "MODEL", "--genome", "GENOME", "--regions", "bad.bed", "--top", "9"),
        *("-o", "out.bed"),
    ],
    "evaluate": ["evaluate", "MODEL", "--genome", "GENOME", "--peaks", "bad.bed", "-o", "out"],
    "background": ["background", "GENOME", "--exclude", "bad.bed", "-n", "1", "-o", "out.bed"],
}


@pytest.mark.parametrize("command", BED_READERS)
@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", r"bad\.bed: no intervals; at least one is needed"),
        (b"chr1\t0\t9\nchr1\t50\t50\n", r"bad\.bed line 2: end 50 is not after start 50"),
        (b"chr1\t60\t50\n", r"bad\.bed line 1: end 50 is not after start 60"),
        (b"chr1\t-1\t50\n", r"bad\.bed line 1: start -1 is negative"),
        (b"chr1\t2900\t3001\n", r"bad\.bed line 1: end 3001 is beyond the end of chr1, 3000"),
        (b"chr1\t50\n", r"bad\.bed line 1: 2 columns; BED needs at least 3"),
        (b"chr1 50 60\n", r"bad\.bed line 1: columns are separated by spaces; BED needs tabs"),
        (b"chr1\t1e3\t2e3\n", r"bad\.bed line 1: start '1e3' and end '2e3' must be whole numbers"),
        (b"chr9\t5\t6\n", r"bad\.bed line 1: chromosome 'chr9' \(or '9'\) is not in .* has chr1"),
        (b"9\t5\t6\n", r"bad\.bed line 1: chromosome '9' \(or 'chr9'\) is not in .* has chr1"),
        (gzip.compress(b"chr1\t5\t6\n")[:-9], r"bad\.bed: the gzip data ends too early"),
    ],
    ids=[
        "empty", "start is end", "start after end", "negative", "beyond the chromosome",
        "2 columns", "spaces", "not numbers", "unknown chromosome", "unknown without chr",
        "cut gzip",
    ],
)  # fmt: skip
def test_a_bed_file_that_does_not_fit_the_genome_is_refused(
    refuse: Refuse, command: str, content: bytes, match: str, inputs: Path, model: Path
) -> None:
    Path("bad.bed").write_bytes(content)
    given = {"GENOME": inputs / "genome.fa", "MODEL": model}
    refuse(*(given.get(arg, arg) for arg in BED_READERS[command]), match=match)


@pytest.mark.parametrize("command", BED_READERS)
@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", r"bad\.genome: (not FASTA|empty)"),
        (b"hello\n", r"bad\.genome line 1: not FASTA"),
        (ZIPPED[:-12], r"bad\.genome: the gzip data ends too early"),
    ],
    ids=["empty", "text", "cut gzip"],
)
def test_a_genome_that_is_not_fasta_is_refused(
    refuse: Refuse, command: str, content: bytes, match: str, model: Path
) -> None:
    Path("bad.genome").write_bytes(content)
    Path("bad.bed").write_text("chr1\t100\t300\n")
    given = {"GENOME": "bad.genome", "MODEL": model}
    refuse(*(given.get(arg, arg) for arg in BED_READERS[command]), match=match)


def safetensors_of_another_program(path: Path, _: bytes) -> None:
    save_file({"weight": torch.zeros(2)}, path)


def pickle(path: Path, _: bytes) -> None:
    torch.save({"weight": torch.zeros(2)}, path)


def newer_format(path: Path, good: bytes) -> None:
    path.write_bytes(good.replace(rb"\"format_version\": 1", rb"\"format_version\": 9", 1))


def flipped(position: int) -> Callable[[Path, bytes], None]:
    def write(path: Path, good: bytes) -> None:
        damaged = bytearray(good)
        damaged[position] ^= 1
        path.write_bytes(damaged)

    return write


@pytest.mark.parametrize(
    ("write_bad", "match"),
    [
        (lambda path, _: path.write_text("hello, I am no model\n"), "not a model file but text;"),
        (lambda path, _: path.write_bytes(b""), "not a model file but an empty file; needed is"),
        (pickle, r"not a model file but a zip archive, as torch\.save writes; .* is not loaded"),
        (safetensors_of_another_program, "a safetensors file, but not one of enhancer_core"),
        (lambda path, good: path.write_bytes(good[:-1]), "not a model file, or one that is dama"),
        (lambda path, good: path.write_bytes(good[:50]), "not a model file, or one that is dama"),
        (flipped(0), "not a model file, or one that is damaged or cut"),
        (flipped(30), "not one of enhancer_core|damaged"),
        (flipped(-1), "damaged; the content does not match the header's digest"),
        (newer_format, "format version 9 is newer than this release reads"),
    ],
    ids=[
        "text", "empty", "torch.save", "safetensors of another program", "last byte cut", "cut",
        "first byte flipped", "header byte flipped", "last byte flipped", "newer format",
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_a_file_that_is_not_a_whole_model_of_ours_is_refused(
    refuse: Refuse,
    command: str,
    write_bad: Callable[[Path, bytes], None],
    match: str,
    inputs: Path,
    model: Path,
) -> None:
    write_bad(Path("bad.model"), model.read_bytes())
    source = [inputs / "positives.fa"] if command == "predict" else data(inputs)
    refuse(command, "bad.model", *source, "-o", "out", match=rf"bad\.model: .*({match})")


@pytest.mark.parametrize(
    "words",
    [
        ["predict", "one.fa", "MODEL"],
        ["mutagenesis", "one.fa", "MODEL"],
        ["evaluate", "one.fa", "--positives", "MODEL", "--negatives", "one.fa"],
        ["variants", "one.fa", "--genome", "MODEL", "--vcf", "one.fa"],
    ],
    ids=lambda words: words[0],
)
def test_a_model_and_another_file_that_are_swapped_are_recognised(
    refuse: Refuse, words: list[str], model: Path
) -> None:
    Path("one.fa").write_text(">one\nACGT\n")
    for given in (model, model.parent):
        spelled = [str(given) if word == "MODEL" else word for word in words]
        match = rf"one\.fa is FASTA, {re.escape(str(given))} is a model: are the two swapped\?"
        output = {"variants": "out.vcf", "evaluate": "out.json"}.get(words[0], "out")
        refuse(*spelled, "-o", output, match=match)


@pytest.mark.parametrize("command", ["predict", "train", "plant"])
def test_a_pipe_is_refused_where_a_file_is_read_twice(
    refuse: Refuse, command: str, inputs: Path
) -> None:
    os.mkfifo("pipe")
    good = inputs / "positives.fa"
    args = {
        "predict": ["predict", "pipe", good],
        "train": ["train", "--positives", good, "--negatives", "pipe"],
        "plant": ["train", *data(inputs), "--plant", "pipe"],
    }
    refuse(*args[command], "-o", "out", match=r"pipe: not a regular file; it is read twice, so sa")


def test_a_folder_without_a_model_is_refused(refuse: Refuse, inputs: Path) -> None:
    refuse(
        "predict", inputs, inputs / "positives.fa", "-o", "out",
        match=r"inputs.*/model\.safetensors: cannot be read \(No such file or directory\)",
    )  # fmt: skip


# Values and sequences that do not fit each other


@pytest.mark.parametrize("k", [0, -1, 121])
def test_a_shuffle_takes_k_from_1_to_the_length(refuse: Refuse, k: int, inputs: Path) -> None:
    refuse("shuffle", inputs / "positives.fa", "-k", k, "-o", "out.fa", match=rf"\bk of {k} is ")


@pytest.mark.parametrize("k", [0, 9])
def test_a_baseline_takes_k_from_1_to_8(refuse: Refuse, k: int, inputs: Path) -> None:
    refuse("baseline", *data(inputs), "-k", k, "-o", "out", match=rf"'-k': {k} is not in the range")


def test_a_baseline_of_k_over_the_length_is_refused(refuse: Refuse) -> None:
    for name, first in (("positives.fa", "A"), ("negatives.fa", "C")):
        bits = [f"{number:06b}".translate(str.maketrans("01", "GT")) for number in range(60)]
        Path(name).write_text("".join(f">{name}-{word}\n{first}{word}\n" for word in bits))
    refuse("baseline", *data(Path()), "-k", 8, "-o", "out", match="k of 8 .* allowed are 1 to 7")


@pytest.mark.parametrize("command", ["train", "baseline", "evaluate"])
def test_sequences_of_different_lengths_are_refused_where_one_is_needed(
    refuse: Refuse, command: str, inputs: Path, model: Path
) -> None:
    args = [command, model] if command == "evaluate" else [command]
    Path("short.fa").write_text(">a\nACGT\n")
    Path("mixed.fa").write_text(f">a\n{SEQUENCE}\n>b\nACGT\n")
    one = r"\(all must have one length; --length {} cuts or pads each\)$"
    other = r"short\.fa has sequences of 4 bp and positives\.fa of 120 bp; .* \(--length BP, or"
    because, way_out = "the first record has", one.format("BP")
    if command == "evaluate":
        because, way_out = "the model reads", one.format(120)
        other = rf"short\.fa line 1: record 'a' has 4 bp; {because} 120 {way_out}"
    for bad, match in (
        ("short.fa", other),
        ("mixed.fa", rf"mixed\.fa line 3: record 'b' has 4 bp; {because} 120 {way_out}"),
    ):
        given = ["--positives", inputs / "positives.fa", "--negatives", bad]
        refuse(*args, *given, "-o", "out", match=match)


def test_sequences_of_another_length_than_the_model_reads_are_refused(
    refuse: Refuse, model: Path
) -> None:
    for kind in ("positives", "negatives"):
        Path(f"{kind}.fa").write_text(">a\nACGT\n")
    refuse(
        "predict", model, "positives.fa", "-o", "out",
        match=r"positives\.fa line 1: record 'a' has 4 bp; the model reads 120",
    )  # fmt: skip
    refuse(
        "evaluate", model, *data(Path()), "-o", "out",
        match=r"positives\.fa line 1: record 'a' has 4 bp; the model reads 120",
    )  # fmt: skip


def test_a_model_that_weighs_places_is_not_laid_out_for_another_length(
    refuse: Refuse, inputs: Path, model: Path
) -> None:
    message = (
        r"model.*: the model weighs places, and so reads 120 bp alone; a length of 100 is not"
        r" allowed; --length 120 is$"
    )
    fitted = ["--length", 100, "-o", "out"]
    fasta = inputs / "positives.fa"
    refuse("predict", model, fasta, *fitted, match=message)
    refuse("mutagenesis", model, fasta, *fitted, match=message)
    refuse("evaluate", model, *data(inputs), *fitted, match=message)


def test_a_length_is_of_sequences_alone(refuse: Refuse, inputs: Path, model: Path) -> None:
    refuse(
        "predict", model, "--genome", inputs / "genome.fa", "--length", 120, "-o", "out.bw",
        match="--length is for IN.fa",
    )  # fmt: skip
    refuse(
        "motifs", model, "--from-weights", "--database", "none", "--length", 120, "-o", "out",
        match="--length needs --sequences",
    )  # fmt: skip


def test_sequences_that_are_all_mostly_n_are_refused(refuse: Refuse, model: Path) -> None:
    for kind in ("positives", "negatives"):
        Path(f"{kind}.fa").write_text(">a\nACGT\n")
    match = r"positives\.fa: all 1 sequences are mostly N at 120 bp$"
    refuse("mutagenesis", model, "positives.fa", "--length", 120, "-o", "out", match=match)
    refuse("evaluate", model, *data(Path()), "--length", 120, "-o", "out", match=match)
    refuse("train", *data(Path()), "--length", 120, "-o", "out", match=match)


def test_sequences_too_short_for_the_network_are_refused(refuse: Refuse) -> None:
    for kind, letter in (("positives", "G"), ("negatives", "T")):
        bits = [f"{number:06b}".translate(str.maketrans("01", "AC")) for number in range(60)]
        Path(f"{kind}.fa").write_text("".join(f">{kind}{w}\n{letter}{w}\n" for w in bits))
    refuse(*quick_training(Path()), match="sequences of 7 bp are too short for convolution 1")


def test_too_few_sequences_for_three_parts_are_refused(refuse: Refuse) -> None:
    for kind, letter in (("positives", "G"), ("negatives", "T")):
        Path(f"{kind}.fa").write_text(f">{kind}\n{letter * 120}\n")
    for command in ("train", "baseline"):
        refuse(
            command, *data(Path()), "-o", "out",
            match="2 sequences leave the .* part without a .*; each part needs both classes",
        )  # fmt: skip


def test_too_few_sequences_to_judge_a_network_are_refused_before_training(
    refuse: Refuse, inputs: Path
) -> None:
    for kind in ("positives.fa", "negatives.fa"):  # 12 of each, of which a tenth is one
        Path(kind).write_text("\n".join((inputs / kind).read_text().splitlines()[:24]))
    refuse(
        *quick_training(Path()),
        match="the test part would have 1 of the positives; to judge a network takes 2 or more",
    )


@pytest.mark.parametrize("command", ["train", "baseline", "evaluate"])
def test_one_file_as_both_classes_is_refused(
    refuse: Refuse, command: str, inputs: Path, model: Path
) -> None:
    args = [command, model] if command == "evaluate" else [command]
    same = inputs / "positives.fa"
    refuse(
        *args, "--positives", same, "--negatives", same, "-o", "out",
        match=r"positives\.fa: given as negatives and already as positives",
    )  # fmt: skip


@pytest.mark.parametrize("command", ["train", "baseline"])
def test_a_split_given_back_with_the_classes_swapped_is_refused(
    refuse: Refuse, command: str, cli: Run, inputs: Path
) -> None:
    assert cli("baseline", *data(inputs), "-o", "first").status == 0
    swapped = ["--positives", inputs / "negatives.fa", "--negatives", inputs / "positives.fa"]
    refuse(
        command, *swapped, "--split", "first/split.tsv", "-o", "out",
        match=r"first/split\.tsv: record .* is given as positive .* negatives swapped\?",
    )  # fmt: skip


@pytest.mark.parametrize("command", ["train", "baseline"])
@pytest.mark.parametrize(
    ("options", "match"),
    [
        (["--split", "table.tsv"], r"table\.tsv line 1: column 'label' is missing"),
        (["--split", "none.tsv"], r"none\.tsv: cannot be read"),
        (["--split", "table.tsv", "--groups", "chromosome"], "--split and --groups exclude each"),
        (["--test-group", "chr1"], "--test-group and --validation-group need --groups"),
        (["--groups", "chromosome", "--test-group", "chrX"], "group 'chrX' is not in the data; gr"),
        (["--groups", "table.tsv"], r"table\.tsv: record 'chr1:0-120' has no group in this table"),
        (["--groups", "none.tsv"], r"none\.tsv: cannot be read"),
    ],
    ids=["columns", "no split", "both", "no groups", "unknown", "no group", "no table"],
)
def test_a_split_that_cannot_be_made_is_refused(
    refuse: Refuse, command: str, options: list[str], match: str, inputs: Path
) -> None:
    Path("table.tsv").write_text("name\tgroup\nother\tone\n")
    refuse(command, *data(inputs), *options, "-o", "out", match=match)


def test_windows_that_all_reach_over_an_end_are_counted_in_the_one_line(
    refuse: Refuse, inputs: Path
) -> None:
    Path("peaks.bed").write_text("chr1\t0\t10\nchr2\t990\t1000\n")
    refuse(
        "extract", inputs / "genome.fa", "peaks.bed", "-o", "out.fa",
        match=r"peaks\.bed: no window of 500 bp is left \(2 of 2 windows reach over a chromosome's",
    )  # fmt: skip


def test_more_background_than_the_genome_holds_is_refused(refuse: Refuse, inputs: Path) -> None:
    args = ["background", inputs / "genome.fa", "-n", 1000, "--length", 100, "-q", "-o", "out.bed"]
    refuse(*args, match="1,?000 ")


def test_a_target_of_n_alone_is_refused_with_its_name(refuse: Refuse, inputs: Path) -> None:
    Path("target.fa").write_text(f">one\n{SEQUENCE}\n>two\n{'N' * len(SEQUENCE)}\n")
    refuse(
        "background", inputs / "genome.fa", "-n", 2, "--length", 100, "--match", "target.fa",
        "-o", "out.bed",
        match=r"target\.fa: record 'two' has no base but N, so no GC content to match",
    )  # fmt: skip


def test_a_motif_that_is_not_one_or_does_not_fit_is_refused(refuse: Refuse) -> None:
    refuse("simulate", "--motif", "NONE", "-o", "out", match="motif 'NONE': no such file, and not")
    refuse(
        "simulate", "--motif", "CEBPA", "--length", 5, "-o", "out",
        match="a motif of 9 bp does not fit sequences of 5 bp",
    )  # fmt: skip


# Options


@pytest.mark.parametrize(
    ("args", "match"),
    [
        (["nonsense"], r"No such command 'nonsense' \(see enhancer-core --help\)$"),
        (["trian"], r"No such command 'trian'.*'train'.*\(see enhancer-core --help\)$"),
        (["--nonsense"], r"No such option.*--nonsense.*\(see enhancer-core --help\)$"),
        (
            ["train", "--nonsense"],
            r"No such option.*--nonsense.*\(see enhancer-core train --help\)$",
        ),
        (["baseline"], r"Missing option '--positives' \(see enhancer-core baseline --help\)$"),
        (["predict", "m", "a.fa"], r"Missing option '-o' / '--output' \(see enhancer-core predict"),
        (["shuffle", "-k", "2", "-o", "x"], r"Missing argument 'IN.fa' \(see enhancer-core shuf"),
        (["shuffle", "a.fa", "b.fa", "-k", "2", "-o", "x"], r"unexpected extra argument \(b\.fa\)"),
        (["shuffle", "a.fa", "-k", "two", "-o", "x"], "'two' is not a valid integer"),
        (["simulate", "--motif", "CEBPA", "--seed", "-1", "-o", "x"], "'--seed': -1 is not in the"),
        (["simulate", "--motif", "CEBPA", "-n", "0", "-o", "x"], "'--number': 0 is not in the ra"),
        (["predict", "m", "a.fa", "--threads", "0", "-o", "x"], "'--threads': 0 is not in the ra"),
        (["predict", "m", "a.fa", "--device", "tpu", "-o", "x"], "'tpu' is not one of 'auto', 'cp"),
        (["train", "--widen", "inf"], "'--widen': inf is not a finite number"),
        (["train", "--learning-rate", "nan"], "'--learning-rate': nan is not a finite number"),
        (["pssm", "--position-sd", "inf"], "'--position-sd': inf is not a finite number"),
        (["predict", "m", "-o", "x"], "give either IN.fa or --genome GENOME"),
        (["predict", "m", "a.fa", "--genome", "g.fa", "-o", "x"], "give either IN.fa or --genome"),
        (["predict", "m", "a.fa", "--regions", "r.bed", "-o", "x"], "--regions needs --genome"),
    ],
)
def test_a_command_line_that_is_wrong_is_one_line_that_names_the_help(
    refuse: Refuse, args: list[str], match: str
) -> None:
    refuse(*args, match=match)


@pytest.mark.parametrize("command", ["train", "evaluate", "predict"])
def test_a_cuda_device_that_is_not_there_is_refused(
    refuse: Refuse, command: str, inputs: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    sources: dict[str, list[object]] = {
        "train": data(inputs),
        "evaluate": [model, *data(inputs)],
        "predict": [model, inputs / "positives.fa"],
    }
    args = [command, *sources[command], "--device", "cuda", "-o", "out"]
    refuse(*args, match="device cuda: this machine has no CUDA GPU that PyTorch can use")


# Places that cannot be written

FILE_WRITERS = {
    "shuffle": ["shuffle", "POSITIVES", "-k", "2"],
    "extract": ["extract", "GENOME", "peaks.bed", "--length", "120"],
    "background": ["background", "GENOME", "-n", "5", "--length", "100"],
    "predict": ["predict", "MODEL", "POSITIVES"],
    "track": ["predict", "MODEL", "--genome", "GENOME"],
    "evaluate": ["evaluate", "MODEL", "--positives", "POSITIVES", "--negatives", "NEGATIVES"],
}
FOLDER_WRITERS = {
    "simulate": ["simulate", "--motif", "CEBPA", "-n", "10"],
    "train": ["train", "--positives", "POSITIVES", "--negatives", "NEGATIVES"],
    "baseline": ["baseline", "--positives", "POSITIVES", "--negatives", "NEGATIVES"],
}


def open_output(args: list[str], inputs: Path, model: Path) -> list[object]:
    Path("peaks.bed").write_text("chr1\t100\t900\nchr1\t1000\t1200\n")
    given = {
        "POSITIVES": inputs / "positives.fa",
        "NEGATIVES": inputs / "negatives.fa",
        "GENOME": inputs / "genome.fa",
        "MODEL": model,
    }
    return [given.get(arg, arg) for arg in args]


@pytest.mark.parametrize("command", [*FILE_WRITERS, *FOLDER_WRITERS])
def test_an_output_in_what_is_no_folder_is_refused(
    refuse: Refuse, command: str, inputs: Path, model: Path
) -> None:
    args = open_output({**FILE_WRITERS, **FOLDER_WRITERS}[command], inputs, model)
    match = r"peaks\.bed/out: cannot be written \(peaks\.bed is not a folder\)"
    refuse(*args, "-q", "-o", "peaks.bed/out", match=match)


@pytest.mark.parametrize("command", FILE_WRITERS)
def test_an_output_file_that_is_a_folder_is_refused(
    refuse: Refuse, command: str, inputs: Path, model: Path
) -> None:
    args = open_output(FILE_WRITERS[command], inputs, model)
    refuse(*args, "-q", "-o", ".", match=r"\.: cannot be written \(it is a folder")


@pytest.mark.parametrize("command", FOLDER_WRITERS)
def test_an_output_folder_that_is_a_file_is_refused(
    refuse: Refuse, command: str, inputs: Path, model: Path
) -> None:
    args = open_output(FOLDER_WRITERS[command], inputs, model)
    refuse(*args, "-q", "-o", "peaks.bed", match=r"peaks\.bed: cannot be made \(it is no folder;")


@pytest.mark.parametrize("command", FILE_WRITERS)
def test_a_full_device_is_an_error(refuse: Refuse, command: str, inputs: Path, model: Path) -> None:
    args = open_output(FILE_WRITERS[command], inputs, model)
    refuse(*args, "-q", "-o", "/dev/full", match=r"/dev/full: cannot be written \(No space left")


@pytest.mark.parametrize("command", FILE_WRITERS)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_disk_that_fills_up_leaves_no_file(
    refuse: Refuse, command: str, suffix: str, inputs: Path, model: Path
) -> None:
    args = open_output(FILE_WRITERS[command], inputs, model)
    with disk_with_room_for(20):
        refuse(*args, "-q", "-o", f"out{suffix}", match=r"cannot be written|\(TMPDIR\): File too")


def test_a_disk_that_fills_up_leaves_no_bigwig(refuse: Refuse, inputs: Path, model: Path) -> None:
    args = open_output(FILE_WRITERS["track"], inputs, model)
    with disk_with_room_for(500):
        refuse(*args, "-q", "-o", "out.bw", match=r"out\.bw: cannot be written")


def test_a_disk_that_fills_up_in_training_leaves_a_run_to_resume(
    cli: Run, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cli(*quick_training(inputs))  # so that machine code is kept while there is room for it
    shutil.rmtree("out")
    with disk_with_room_for(2000):
        assert_refused(cli(*quick_training(inputs)), "restart-0000.* cannot be written")
    assert set(contents(tmp_path)) == {"out", "out/restarts", "out/restarts/run.json"}
    assert cli(*quick_training(inputs, "--resume")).status == 0


# Unfinished runs


@pytest.fixture
def unfinished(
    cli: Run, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[object]:
    """The arguments of a run that a scheduler ended just before it wrote its results."""

    def interrupt(*_: object, **__: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.chdir(tmp_path)
    args = quick_training(inputs)
    with monkeypatch.context() as patch:
        patch.setattr(report, "write_outcome", interrupt)
        assert cli(*args) == Ran(130, "", "\nenhancer-core: error: interrupted\n")
    states = sorted(path.name for path in (tmp_path / "out" / "restarts").iterdir())
    assert states == ["restart-0000.safetensors", "run.json"]
    return args


def test_an_interrupted_run_says_how_to_go_on(
    cli: Run, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(report, "write_outcome", interrupt)
    ran = cli(*(arg for arg in quick_training(inputs) if arg != "-q"))
    assert ran.status == 130
    assert ran.err.endswith(
        "out keeps what is done: the same command with --resume goes on\n"
        "enhancer-core: error: interrupted\n"
    )
    assert cli("shuffle", inputs / "positives.fa", "-k", 2, "-o", "a.fa").status == 0


def test_an_unfinished_run_is_not_begun_anew_without_resume(
    refuse: Refuse, unfinished: list[object]
) -> None:
    refuse(*unfinished, match="out holds an unfinished run; --resume goes on with it, --force")


def test_a_run_is_not_resumed_with_other_settings_or_data(
    refuse: Refuse, unfinished: list[object], inputs: Path
) -> None:
    Path("other.fa").write_text((inputs / "positives.fa").read_text().replace("ACG", "AAG"))
    other_data = ["other.fa" if arg == inputs / "positives.fa" else arg for arg in unfinished]
    for args, what in (
        ([*unfinished, "--epochs", 2], r"--epochs \(1 then, 2 now\)"),
        ([*unfinished, "--seed", 1], r"--seed \(0 then, 1 now\)"),
        ([*unfinished, "--network", "enhancer"], r"--network \(tf then, enhancer now\)"),
        (other_data, "--positives; "),
    ):
        refuse(*args, "--resume", match=f"out holds an unfinished run that differs: .*{what}")


def test_a_run_that_must_be_made_anew_is_so_by_force(
    cli: Run, unfinished: list[object], inputs: Path
) -> None:
    other = [*unfinished, "--epochs", 2, "--force"]
    assert cli(*other, "--resume").status == 0
    assert not Path("out/restarts").exists()
    first = Path("out/model.safetensors").read_bytes()
    assert cli(*unfinished, "--force").status == 0
    assert Path("out/model.safetensors").read_bytes() != first


def test_a_finished_run_is_resumed_by_doing_nothing(
    cli: Run, refuse: Refuse, unfinished: list[object], inputs: Path, tmp_path: Path
) -> None:
    assert cli(*unfinished, "--resume").status == 0
    before = contents(tmp_path)
    loud = [arg for arg in unfinished if arg != "-q"]
    ran = cli(*loud, "--resume")
    told = "out: finished already with these options and data; nothing is left to do\n"
    assert ran == Ran(0, "", told)
    assert contents(tmp_path) == before
    for more, what in (
        (["--restarts", 2], r"--restarts \(1 then, 2 now\)"),
        (["--epochs", 2], r"--epochs \(1 then, 2 now\)"),
        (["--batch-size", 9], r"--batch-size \(50 then, 9 now\)"),
    ):
        match = f"out holds a finished run that differs: .*{what}.*Give the same, or --force to"
        refuse(*unfinished, *more, "--resume", match=match)


@pytest.mark.parametrize(
    "options",
    [
        ["--learning-rate", "1e30"],
        ["--learning-rate", "1e30", "--learning-rate-schedule", "cosine", "--ema", "0.9"],
        ["--learning-rate", "1e30", "--network", "motif_cnn"],
    ],
)
def test_training_that_diverges_is_told_and_may_be_tried_again(
    cli: Run, refuse: Refuse, inputs: Path, options: list[str]
) -> None:
    args = [*quick_training(inputs), "--restarts", 2]
    match = r"2 of 2 restarts diverged \(1, 2\): the loss or the weights are no longer finite"
    refuse(*args, *options, match=f"{match}; lower --learning-rate, which is 1e")
    assert cli(*args, "--learning-rate", 0.001).status == 0


def test_a_saved_state_that_is_damaged_is_refused(refuse: Refuse, unfinished: list[object]) -> None:
    state = Path("out/restarts/restart-0000.safetensors")
    state.write_bytes(state.read_bytes()[:-1])
    refuse(*unfinished, "--resume", match=r"restart-0000\.safetensors: .* damaged or cut")


# As a process of its own


@pytest.mark.parametrize(
    ("args", "match"),
    [
        (["shuffle", "bad.fa", "-k", "2", "-o", "out.fa"], r"bad\.fa: empty"),
        (["extract"], r"Missing argument 'GENOME' \(see enhancer-core extract --help\)"),
    ],
    ids=["shuffle", "extract"],
)
def test_the_process_says_one_line_and_exits_with_2(
    args: list[str], match: str, tmp_path: Path
) -> None:
    (tmp_path / "bad.fa").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "enhancer_core", *args],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert_refused(Ran(done.returncode, done.stdout, done.stderr), match)
    assert contents(tmp_path) == {"bad.fa": b""}


def test_a_process_on_a_full_disk_leaves_nothing(inputs: Path, tmp_path: Path) -> None:
    (tmp_path / "peaks.bed").write_text("chr1\t100\t2900\n")
    before = contents(tmp_path)
    done = subprocess.run(
        [
            sys.executable, "-m", "enhancer_core", "extract", inputs / "genome.fa", "peaks.bed",
            "--tile", "--length", "100", "-o", "out.fa",
        ],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
    )  # fmt: skip
    assert_refused(
        Ran(done.returncode, done.stdout, done.stderr),
        r"out\.fa: cannot be written \(File too large\)",
    )
    assert contents(tmp_path) == before


def test_a_shuffle_of_a_sequence_over_the_limit_is_refused_with_its_line(
    refuse: Refuse, inputs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(dna, "LONGEST", 119)
    refuse(
        "shuffle", inputs / "positives.fa", "-k", 2, "-o", tmp_path / "out.fa",
        match=r"positives\.fa line 1: record 'chr1:0-120' has 120 bp; allowed are up to 119",
    )  # fmt: skip
