"""Motif files: four formats told by content, and what is wrong with a bad one."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from enhancer_core.errors import EnhancerError, FileError, MotifError
from enhancer_core.io.motifs import read_motif, read_motifs, write_meme
from enhancer_core.motifs.motif import BUILTIN, Motif, ppm

# One motif of three positions in every format: counts A 1 2 3, C 4 5 6, G 7 8 9, T 8 5 2.
COUNTS = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9], [8, 5, 2]]) * 1.0
JASPAR = ">MA1.1\tTF1\nA  [ 1  2 3 ]\nC  [ 4 5 6 ]\nG  [ 7 8 9 ]\nT  [8 5 2]\n"
JASPAR_BARE = ">MA1.1 TF1\n1 2 3\n4 5 6\n7 8 9\n8 5 2\n"
PFM = "# a comment\n>MA1.1 TF1\n1.0 4.0 7.0 8.0\n2 5 8 5\n3 6 9 2\n"
HOMER = ">NNN\tTF1/made-up\t5.2\t-10.5\t0\n0.05\t0.20\t0.35\t0.40\n0.1 .25 .4 .25\n.15 .3 .45 .1\n"
MEME = """MEME version 4

ALPHABET= ACGT

strands: + -

Background letter frequencies
A 0.25 C 0.25 G 0.25 T 0.25

MOTIF MA1.1 TF1

letter-probability matrix: alength= 4 w= 3 nsites= 20 E= 0
 0.05 0.20 0.35 0.40
 0.10 0.25 0.40 0.25
 0.15 0.30 0.45 0.10
URL https://example.org
"""
FORMATS = {"JASPAR": JASPAR, "JASPAR bare": JASPAR_BARE, ".pfm": PFM, "HOMER": HOMER, "MEME": MEME}


def write(folder: Path, text: str, name: str = "motifs.txt") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("text", FORMATS.values(), ids=FORMATS)
def test_every_format_gives_the_same_motif(tmp_path: Path, text: str) -> None:
    (motif,) = read_motifs(write(tmp_path, text))
    names = ("TF1/made-up", "") if text == HOMER else ("MA1.1", "TF1")
    assert (motif.name, motif.alias) == names
    np.testing.assert_allclose(ppm(motif.pfm), COUNTS / 20)


@pytest.mark.parametrize("text", FORMATS.values(), ids=FORMATS)
def test_gzip_and_windows_line_ends_make_no_difference(tmp_path: Path, text: str) -> None:
    plain = read_motifs(write(tmp_path, text))
    path = tmp_path / "motifs.gz"
    path.write_bytes(gzip.compress(text.replace("\n", "\r\n").encode()))
    (zipped,) = read_motifs(path)
    assert (zipped.name, zipped.alias) == (plain[0].name, plain[0].alias)
    assert (zipped.pfm == plain[0].pfm).all()


@pytest.mark.parametrize("text", FORMATS.values(), ids=FORMATS)
def test_motifs_come_in_the_order_of_the_file(tmp_path: Path, text: str) -> None:
    second = text.replace("TF1", "TF2").replace("MA1.1", "MA2.1").replace("MEME version 4\n", "")
    motifs = read_motifs(write(tmp_path, text + second.replace("ALPHABET= ACGT\n", "")))
    names = ["TF1/made-up", "TF2/made-up"] if text == HOMER else ["MA1.1", "MA2.1"]
    assert [motif.name for motif in motifs] == names


def test_written_motifs_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "out.meme"
    motifs = [*BUILTIN.values(), Motif("no_alias", np.array([[3], [0], [0], [1]]))]
    write_meme(path, motifs)
    again = read_motifs(path)
    assert [(m.name, m.alias) for m in again] == [(m.name, m.alias) for m in motifs]
    for one, other in zip(motifs, again, strict=True):
        np.testing.assert_allclose(ppm(one.pfm), other.pfm, atol=2e-6)  # rounded, then summed to 1
    text = path.read_text()
    assert text.startswith("MEME version 4\n\nALPHABET= ACGT\n")
    assert "MOTIF MA0102.2 CEBPA\nletter-probability matrix: alength= 4 w= 9 nsites= 18\n" in text
    assert text.endswith("MOTIF no_alias\nletter-probability matrix: alength= 4 w= 1 nsites= 4\n"
                         " 0.750000 0.000000 0.000000 0.250000\n")  # fmt: skip


@pytest.mark.parametrize("rows", [JASPAR, JASPAR_BARE])
def test_a_jaspar_matrix_without_header_is_named_after_its_file(tmp_path: Path, rows: str) -> None:
    text = rows.split("\n", 1)[1]
    (motif,) = read_motifs(write(tmp_path, text, "MA0102.2.pfm"))
    assert motif.name == "MA0102.2"
    assert (motif.pfm == COUNTS).all()


@given(
    pfm=st.integers(1, 12).flatmap(
        lambda width: arrays(np.int64, (4, width), elements=st.integers(1, 999))
    ),
    by_position=st.booleans(),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, pfm: NDArray[np.int64], *, by_position: bool
) -> None:
    table = pfm.T if by_position else pfm
    labels = [""] * len(table) if by_position else ["A ", "C ", "G ", "T "]
    header = ">NNNN\tname\t1.0" if by_position else ">name"
    rows = [label + " ".join(map(str, row)) for label, row in zip(labels, table, strict=True)]
    path = write(tmp_path_factory.mktemp("written"), "\n".join([header, *rows]))
    (motif,) = read_motifs(path)
    assert motif.name == "name"
    assert (motif.pfm == pfm).all()


def test_a_four_by_four_matrix_is_read_as_the_rest_of_its_file(tmp_path: Path) -> None:
    square = ">S\n1 2 3 4\n5 6 7 8\n9 10 11 12\n13 14 15 16\n"
    _, by_base = read_motifs(write(tmp_path, JASPAR_BARE + square))
    assert by_base.pfm[0].tolist() == [1, 2, 3, 4]
    _, by_position = read_motifs(write(tmp_path, PFM + square))
    assert by_position.pfm[:, 0].tolist() == [1, 2, 3, 4]
    (homer,) = read_motifs(write(tmp_path, square.replace(">S", ">NNNN\tS\t1.0")))
    assert homer.pfm[:, 0].tolist() == [1, 2, 3, 4]
    with pytest.raises(
        FileError, match=r"line 1: rows of a 4 x 4 matrix can be bases or positions"
    ):
        read_motifs(write(tmp_path, square))


def test_meme_without_a_stated_width_is_read_to_its_last_row(tmp_path: Path) -> None:
    (motif,) = read_motifs(write(tmp_path, MEME.replace("w= 3 ", "")))
    assert motif.width == 3


DNA = """MEME version 5.5.5 (Release date: Thu Sep 14 08:48:04 2023 +1000)

ALPHABET "DNA" DNA-LIKE
A "Adenine" CC0000 ~ T "Thymine" 008000
C "Cytosine" 0000CC ~ G "Guanine" FFB300
N "Any base" = ACGT
U = T
END ALPHABET
"""


def test_the_alphabet_that_dreme_and_streme_print_for_plain_dna_is_dna(tmp_path: Path) -> None:
    for text in (DNA, DNA.replace('"DNA" DNA-LIKE', "DNA-LIKE"), DNA.replace("END ALPHABET\n", "")):
        (motif,) = read_motifs(
            write(tmp_path, MEME.replace("MEME version 4\n\nALPHABET= ACGT\n", text))
        )
        np.testing.assert_allclose(motif.pfm, COUNTS / 20)
    rna = DNA.replace("~ T", "~ U").replace("U = T", "T = U").replace('"DNA" DNA', '"RNA" RNA')
    with pytest.raises(FileError, match=r"line 3: 'ALPHABET \"RNA\" RNA-LIKE' of ACGU; allowed is"):
        read_motifs(write(tmp_path, MEME.replace("MEME version 4\n\nALPHABET= ACGT\n", rna)))
    methyl = DNA.replace("N ", 'm "5-Methylcytosine" ~ 1 "G:5mC"\nN ')
    with pytest.raises(FileError, match=r"line 3: .* of 1ACGTm; allowed is DNA"):
        read_motifs(write(tmp_path, MEME.replace("MEME version 4\n\nALPHABET= ACGT\n", methyl)))


def test_the_whole_text_output_of_meme_is_read(tmp_path: Path) -> None:
    text = """MEME version 5.0.1 (Release date: 2018)
ALPHABET= ACGT
MOTIF TATA MEME-1\twidth =   2  sites =  20  llr = 150  E-value = 1.0e-003
\tMotif TATA MEME-1 Description
Simplified        A  :a
MOTIFS come after this
\tMotif TATA MEME-1 position-specific scoring matrix
log-odds matrix: alength= 4 w= 2 n= 2000 bayes= 6.6 E= 1.0e-003
  -945   -945    200   -945
   150   -945   -945   -945
letter-probability matrix: alength= 4 w= 2 nsites= 20 E= 1.0e-003
 0.000000  0.000000  1.000000  0.000000
 1.000000  0.000000  0.000000  0.000000
Time  0.09 secs.
"""
    (motif,) = read_motifs(write(tmp_path, text))
    assert (motif.name, motif.alias) == ("TATA", "MEME-1")
    assert motif.pfm.T.tolist() == [[0, 0, 1, 0], [1, 0, 0, 0]]


@pytest.mark.parametrize(
    ("row", "first"),
    [
        ("0.333 0.333 0.333 0.000", 1 / 3),
        ("0.334 0.334 0.334 0.000", 1 / 3),
        ("0.33 0.33 0.33 0.03", 0.33 / 1.02),
        ("0.24 0.24 0.25 0.25", 0.24 / 0.98),
        ("0.3 0.3 0.3 0.0", 1 / 3),
        ("0.333 0.0123 0.321 0.333", 0.333 / 0.9993),  # three significant digits
    ],
)
def test_rounded_probabilities_are_made_to_sum_to_1(tmp_path: Path, row: str, first: float) -> None:
    text = f"MEME version 4\nMOTIF m\nletter-probability matrix:\n{row}\n"
    (motif,) = read_motifs(write(tmp_path, text))
    assert motif.pfm[0, 0] == pytest.approx(first, rel=1e-12)
    assert motif.pfm.sum() == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize(
    "row", ["0.333 0.333 0.330 0.000", "0.33 0.33 0.33 0.04", "0.4 0.3 0.3 0.3", "1 1 0 0"]
)
def test_probabilities_that_no_rounding_explains_are_refused(tmp_path: Path, row: str) -> None:
    text = f"MEME version 4\nMOTIF m\nletter-probability matrix:\n{row}\n"
    with pytest.raises(FileError, match=r"line 4: 4 probabilities that sum to .* by rounding$"):
        read_motifs(write(tmp_path, text))


TRANSFAC = """VV  TRANSFAC MATRIX TABLE, Release 3.2
XX
//
AC  M00001
XX
ID  V$ONE_01
XX
NA  One
XX
P0      A      C      G      T
01      1      4      7      8      N
02      2      5      8      5      S
03      3      6      9      2      S
XX
CC  no comment
//
"""
JASPAR_TRANSFAC = (
    "AC MA1.1\nXX\nID TF1\nXX\nDE MA1.1 TF1 ; From JASPAR\nPO\tA\tC\tG\tT\n"
    "01\t1.0\t4.0\t7.0\t8.0\n02\t2.0\t5.0\t8.0\t5.0\n03\t3.0\t6.0\t9.0\t2.0\nXX\n"
    "CC tax_group:vertebrates\nXX\n//\n"
)
CIS_BP = "Pos\tA\tC\tG\tT\n1\t.05\t.2\t.35\t.4\n2\t.1\t.25\t.4\t.25\n3\t.15\t.3\t.45\t.1\n"
CIS_BP_TF = f"TF\tT1_2.00\nTF Name\tAlx1\nGene\tENSG1\nMotif\tM1_2.00\nFamily\tHD\n{CIS_BP}\n\n"
UNIPROBE = (
    "Protein: Ascl2\tSeed k-mer: CAGC\tEnrichment Score: 0.5\n\n"
    "A:\t.05\t.1\t.15\nC:\t.2\t.25\t.3\nG:\t.35\t.4\t.45\nT:\t.4\t.25\t.1\n"
)
BY_COLUMN = {
    "TRANSFAC": (TRANSFAC, [("M00001", "One")]),
    "JASPAR's TRANSFAC": (JASPAR_TRANSFAC, [("MA1.1", "TF1")]),
    "several": (
        TRANSFAC + JASPAR_TRANSFAC.replace("AC MA1.1\n", ""),
        [("M00001", "One"), ("TF1", "")],
    ),
    "no end": (TRANSFAC.replace("//", "")[40:], [("M00001", "One")]),
    "letters": (TRANSFAC.replace("A      C", "a      c"), [("M00001", "One")]),
    "CIS-BP": (CIS_BP, [("M01234_2.00", "")]),
    "CIS-BP's export": (
        CIS_BP_TF + CIS_BP_TF.replace("1_2", "2_2"),
        [("M1_2.00", "Alx1"), ("M2_2.00", "Alx1")],
    ),
    "no positions": (
        ">M1 TF1\nA C G T\n" + "".join(f"{row[2:]}\n" for row in CIS_BP.split("\n")[1:4]),
        [("M1", "TF1")],
    ),
    "UniPROBE": (UNIPROBE, [("Ascl2", "Seed")]),
    "UniPROBEs": (
        UNIPROBE.replace("Protein: ", "") + UNIPROBE.lower().replace("ascl2", "B"),
        [("Ascl2", "Seed"), ("B", "seed")],
    ),
    "bars": (UNIPROBE.split("\n\n")[1].replace(":", " |"), [("M01234_2.00", "")]),
}


@pytest.mark.parametrize(("text", "names"), BY_COLUMN.values(), ids=BY_COLUMN)
@pytest.mark.parametrize("marks", [("", "\n"), ("\ufeff", "\r\n"), ("\n# a comment\n", "\n\n")])
def test_transfac_cis_bp_and_uniprobe_are_read(
    tmp_path: Path, text: str, names: list[tuple[str, str]], marks: tuple[str, str]
) -> None:
    path = write(tmp_path, marks[0] + text.replace("\n", marks[1]), "M01234_2.00.txt")
    motifs = read_motifs(path)
    assert [(motif.name, motif.alias) for motif in motifs] == names
    for motif in motifs:
        np.testing.assert_allclose(ppm(motif.pfm), COUNTS / 20)


def test_columns_and_rows_are_read_by_their_letters(tmp_path: Path) -> None:
    (motif,) = read_motifs(write(tmp_path, "AC X\nP0 T G C A\n1 8 7 4 1\n2 5 8 5 2\n"))
    assert (motif.pfm == COUNTS[:, :2]).all()
    rows = JASPAR.split("\n")
    (motif,) = read_motifs(write(tmp_path, "\n".join([rows[0], *rows[:0:-1]]).lower()))
    assert (motif.pfm == COUNTS).all()


def test_a_record_without_a_matrix_is_left_out_and_said(tmp_path: Path) -> None:
    empty = CIS_BP_TF.split("\n1\t")[0].replace("M1", "M9")
    path = write(tmp_path, f"{CIS_BP_TF}{empty}\n{empty.replace('M9', 'M8')}\n")
    with pytest.warns(
        UserWarning, match=r"motifs.txt: left out, without a matrix: 2 \(M9_2.00, M8_"
    ):
        assert [motif.name for motif in read_motifs(path)] == ["M1_2.00"]
    path = write(tmp_path, TRANSFAC + "AC  M00002\nNA  two\n//\n" + JASPAR_TRANSFAC + "AC M3\n//\n")
    with pytest.warns(UserWarning, match=r"left out, without a matrix: 2 \(M00002, M3\)"):
        assert [motif.name for motif in read_motifs(path)] == ["M00001", "MA1.1"]
    path = write(tmp_path, "Pos\tA\tC\tG\tT\n", "M7_2.00.txt")
    with pytest.raises(FileError, match=r"no motifs; a matrix is missing from M7_2\.00$"):
        read_motifs(path)


def test_names_that_several_motifs_bear_are_said(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"several motifs of one name: 1 \(MA1.1 TF1\)"):
        assert len(read_motifs(write(tmp_path, JASPAR + JASPAR))) == 2
    assert len(read_motifs(write(tmp_path, JASPAR + JASPAR.replace("TF1", "TF2")))) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"no motifs; allowed are MEME"),
        ("# only a comment\n", r"no motifs; allowed are MEME"),
        ("chr1\t10\t20\n", r"line 1: 'chr1\t10\t20' starts no motif; allowed are MEME"),
        (">seq\nACGT\n", r"line 2: 'ACGT'; allowed are numbers"),
        (PFM.replace("5", "x"), r"line 4: '2 x 8 x'; allowed are numbers"),
        (PFM.replace("2 5 8 5", "2 5 8"), r"line 4: 3 numbers; the motif's first row has 4"),
        (">m\n", r"line 1: 0 rows of 0 numbers; allowed are 4 rows"),
        (">m\n1 2 3\n1 2 3\n", r"line 1: 2 rows of 3 numbers; allowed are 4 rows"),
        (PFM.replace(">MA1.1 TF1", ">"), r"line 2: a motif without a name"),
        (HOMER.replace("TF1/made-up", ""), r"line 1: a motif without a name"),
        (JASPAR.replace("C ", "T "), r"line 1: rows A T G T; allowed are A C G T"),
        (JASPAR.replace("T  [8 5 2]\n", ""), r"line 1: rows A C G; allowed are A C G T"),
        (JASPAR.replace("C ", "c\n"), r"line 1: rows A \? \? G T; allowed are A C G T"),
        (JASPAR.replace("T ", "U "), r"line 1: rows A C G U; allowed are A C G T"),
        (
            MEME.replace("= ACGT", "= ACGU"),
            r"line 3: 'ALPHABET= ACGU' of ACGU; allowed is DNA, 'ALPHABET= ACGT'",
        ),
        (MEME.split("MOTIF", maxsplit=1)[0], r"MEME without motifs; at least one 'MOTIF name'"),
        (MEME.replace("MA1.1 TF1", " "), r"line 10: a motif without a name"),
        (MEME.replace("letter-probability", "log-odds"), r"line 10: a log-odds matrix alone"),
        (PFM.replace("2 5 8 5", "2 -5.5 8 5"), r"line 4: -5.5 is negative, as log odds are;"),
        (PFM.split(">")[0] + "1 2 3\n-1 0 1\n2 2 2\n1 1 1\n", r"line 3: -1 is negative"),
        (
            TRANSFAC.replace("      T\n", "      U\n"),
            r"line 10: columns A C G U; allowed are A C G T",
        ),
        (TRANSFAC.replace("\n02", "\n04"), r"line 12: position 04; 2 is next"),
        (
            TRANSFAC.replace("8      5      S", "8"),
            r"line 12: 3 numbers; the motif's first row has",
        ),
        (TRANSFAC.replace("8      5", "8      -5"), r"line 12: -5 is negative"),
        (CIS_BP.replace("\n2", "\nO2"), r"line 3: 'O2\t.1.*' is a row of no matrix"),
        (CIS_BP.replace("\n3", "\nO3"), r"line 4: 'O3\t.15.*' is a row of no matrix"),
        (CIS_BP + CIS_BP, r"line 1: a motif without a name"),
        (CIS_BP.replace(".35\t", ""), r"line 3: 4 numbers; the motif's first row has 3"),
        (UNIPROBE.replace("G:", "U:"), r"line 1: rows A C U T; allowed are A C G T"),
        (UNIPROBE + "Other\n", r"line 7: 'Other' starts no motif"),
        (MEME.replace("w= 3", "w= 4"), r"line 12: .* matrix of 4 rows is needed, 3 follow"),
        (MEME.replace("w= 3", "w= 0"), r"line 12: .* matrix of 1 rows is needed, 3 follow"),
        (MEME.replace("0.30 0.45", "0.30 0.55"), r"line 15: 4 probabilities that sum to 1.1;"),
        (
            MEME.replace(" 0.40\n", "\n")
            .replace(" 0.25\n 0.15", "\n 0.15")
            .replace(" 0.10\n", "\n"),
            r"line 13: 3 probabilities that sum to 0.6; allowed are 4",
        ),
    ],
)
def test_a_bad_file_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FileError, match=message) as caught:
        read_motifs(write(tmp_path, text))
    assert str(caught.value).startswith(f"{tmp_path / 'motifs.txt'}")


@pytest.mark.parametrize("row", ["0 0 0 0", "nan 5 8 5", "inf 5 8 5"])
def test_an_impossible_position_is_refused_with_its_motif(tmp_path: Path, row: str) -> None:
    path = write(tmp_path, PFM.replace("2 5 8 5", row))
    with pytest.raises(MotifError, match=r"motifs.txt line 2: motif 'MA1.1': position 2 is"):
        read_motifs(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"none\.meme: cannot be read"):
        read_motifs(tmp_path / "none.meme")


def test_read_motif_knows_built_in_names_and_files_with_one_motif(tmp_path: Path) -> None:
    assert read_motif("HNF4A") is BUILTIN["HNF4A"]
    assert read_motif(str(write(tmp_path, JASPAR))).name == "MA1.1"


def test_read_motif_chooses_one_of_several_by_name_or_alias(tmp_path: Path) -> None:
    second = JASPAR.replace("MA1.1", "MA2.1").replace("TF1", "A::B")
    path = write(tmp_path, JASPAR + second, "two:motifs.txt")
    assert read_motif(f"{path}:MA1.1").name == "MA1.1"
    assert read_motif(f"{path}:A::B").name == "MA2.1"


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("", r"6 motifs, exactly one is needed; choose one of M0, M1, M2, M3, M4, ... as .*:NAME"),
        (":M9", r"0 motifs named 'M9', exactly one is needed; choose one of M0, "),
        (":TF1", r"6 motifs named 'TF1', exactly one is needed"),
    ],
)
def test_read_motif_does_not_guess_which(tmp_path: Path, choice: str, message: str) -> None:
    text = "".join(JASPAR.replace("MA1.1", f"M{i}") for i in range(6))
    with pytest.raises(MotifError, match=message):
        read_motif(f"{write(tmp_path, text)}{choice}")


def test_read_motif_of_no_file_names_the_built_in_ones() -> None:
    with pytest.raises(
        MotifError, match=r"'cebpa': no such file, and not built in; .* CEBPA, HNF4A"
    ):
        read_motif("cebpa")


@pytest.mark.filterwarnings("ignore::UserWarning")  # of names that come twice
@given(st.text(st.sampled_from("ACGT>[]\t\n .01#MEMOTIFw=-:/P0"), max_size=60))
def test_any_text_gives_motifs_or_a_one_line_error(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = write(tmp_path_factory.mktemp("any"), text)
    try:
        assert read_motifs(path)
    except EnhancerError as error:
        assert "\n" not in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("name", "count", "first", "positions"),
    [
        ("JASPAR2022_vertebrates.pfm", 838, "MA0004.1_MA0004.1.Arnt", 10_451),
        ("H12CORE_meme_format.meme", 1443, "AHR.H12CORE.0.P.B", 21_845),
        ("jaspar_2024_consensus.meme", 182, "C001:HES_SREBF:bHLH", 1754),
    ],
)
def test_public_databases_are_read_whole(
    real_data: Path, name: str, count: int, first: str, positions: int
) -> None:
    motifs = read_motifs(real_data / "motifs" / name)
    assert len({motif.name for motif in motifs}) == len(motifs) == count
    assert motifs[0].name == first
    assert sum(motif.width for motif in motifs) == positions
