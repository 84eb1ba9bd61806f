"""Genes of GTF and GFF3 files, as each source of annotation writes them."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from enhancer_core.errors import FileError
from enhancer_core.io.bed import read_genes

ENSEMBL = """##gff-version 3
##sequence-region 21 1 46709983
21\tGRCh38\tchromosome\t1\t46709983\t.\t.\t.\tID=chromosome:21
21\t.\tbiological_region\t6\t9\t.\t.\t.\tlogic_name=cpg
###
21\thavana\tpseudogene\t11\t20\t.\t-\t.\tID=gene:P;gene_id=P
21\thavana\tpseudogenic_transcript\t11\t20\t.\t-\t.\tID=transcript:P1;Parent=gene:P
21\thavana\texon\t11\t20\t.\t-\t.\tParent=transcript:P1
21\thavana\tncRNA_gene\t31\t40\t.\t+\t.\tID=gene:N;gene_id=N
21\thavana\tlnc_RNA\t31\t40\t.\t+\t.\tID=transcript:N1;Parent=gene:N
21\thavana\tgene\t51\t90\t.\t+\t.\tID=gene:A;gene_id=A
21\thavana\tmRNA\t51\t90\t.\t+\t.\tID=transcript:A1;Parent=gene:A
21\thavana\tCDS\t61\t70\t.\t+\t0\tID=CDS:A1;Parent=transcript:A1
"""


def read(folder: Path, text: str) -> tuple[list[str], str]:
    path = folder / "genes"
    path.write_bytes(text.encode())
    notes: list[str] = []
    genes = read_genes(path, note=notes.append)
    (note,) = notes
    return genes.names(), note.removeprefix(f"{path}: ")


def rows(*listed: str, version: str = "##gff-version 3\n") -> str:
    """Write rows of `type start end attributes` on chromosome 1."""
    text = version
    for row in listed:
        kind, start, end, attributes = row.split(" ", 3)
        text += f"1\tx\t{kind}\t{start}\t{end}\t.\t+\t.\t{attributes}\n"
    return text


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_genes_of_every_type_are_read_from_ensembls_gff3_and_counted(
    tmp_path: Path, end: str
) -> None:
    names, note = read(tmp_path, ENSEMBL.replace("\n", end))
    assert names == ["21:10-20", "21:30-40", "21:50-90"]
    assert note == (
        "3 genes read (pseudogene 1, ncRNA_gene 1, gene 1); parts of genes: 5; left out:"
        " chromosome 1, biological_region 1"
    )
    (tmp_path / "genes.gz").write_bytes(gzip.compress(ENSEMBL.encode()))
    assert read_genes(tmp_path / "genes.gz").lines.tolist() == [6, 9, 11]


@pytest.mark.parametrize(
    "kind",
    [
        *("gene", "Gene", "ncRNA_gene", "pseudogene", "lincRNA_gene", "tRNA_gene", "snoRNA_gene"),
        *("transposable_element_gene", "protein_coding_gene", "processed_pseudogene"),
        *("telomerase_RNA_gene", "V_gene_segment", "blocked_reading_frame", "SO:0000704"),
        *("SO:0001263", "SO:0000336", "mRNA", "tRNA", "rRNA", "transcript", "SO:0000253"),
    ],
)
def test_a_row_without_a_parent_is_a_gene_if_its_type_is_a_genes_or_a_transcripts(
    tmp_path: Path, kind: str
) -> None:
    names, note = read(tmp_path, rows("region 1 999 ID=1", f"{kind} 11 20 ID=g"))
    assert (names, note) == (["1:10-20"], f"1 gene read ({kind} 1); left out: region 1")


@pytest.mark.parametrize(
    "kind",
    [
        *("chromosome", "supercontig", "biological_region", "repeat_region", "enhancer", "match"),
        *("transposable_element", "cDNA_match", "CDS", "exon", "intergenic_region", "region"),
    ],
)
def test_what_is_no_gene_is_left_out(tmp_path: Path, kind: str) -> None:
    text = rows(f"{kind} 11 20 ID=x", f"{kind} 31 40 ID=y")
    with pytest.raises(
        FileError,
        match=rf"genes: no row is a gene; its types are {kind} 2; needed are gene, pseudogene,"
        " ncRNA_gene and the like, or transcripts$",
    ):
        read(tmp_path, text)


def test_a_gene_of_an_operon_is_a_gene_and_a_segment_of_a_gene_is_a_part(tmp_path: Path) -> None:
    text = rows(
        "operon 1 99 ID=o", "gene 11 40 ID=a;Parent=o", "gene 51 90 ID=b",
        "V_gene_segment 51 60 ID=v;Parent=b",
    )  # fmt: skip
    names, note = read(tmp_path, text)
    assert names == ["1:10-40", "1:50-90"]
    assert note == "2 genes read (gene 2); parts of genes: 1; left out: operon 1"


def test_nested_genes_are_both_genes(tmp_path: Path) -> None:
    names, _ = read(tmp_path, rows("gene 11 90 ID=a", "ncRNA_gene 31 40 ID=b"))
    assert names == ["1:10-90", "1:30-40"]


def test_transcripts_whose_genes_are_not_in_the_file_are_genes(tmp_path: Path) -> None:
    text = rows(
        "gene 11 20 ID=a", "mRNA 11 20 ID=t;Parent=a", "mRNA 31 40 Parent=lost",
        "primary_transcript 61 90 ID=p", "miRNA 71 80 Derives_from=p",
    )  # fmt: skip
    names, note = read(tmp_path, text)
    assert names == ["1:10-20", "1:30-40", "1:60-90"]
    assert note == ("3 genes read (gene 1, mRNA 1, primary_transcript 1); parts of genes: 2")


@pytest.mark.parametrize("fasta", ["##FASTA\n>1\nACGT\n", ">1\nACGT\n", "##fasta\n>1\nAC\n"])
def test_sequences_end_gff3(tmp_path: Path, fasta: str) -> None:
    assert read(tmp_path, ENSEMBL + fasta) == read(tmp_path, ENSEMBL)


def test_names_of_chromosomes_may_be_escaped_in_gff3(tmp_path: Path) -> None:
    text = "##gff-version 3\nscaffold%2C1\t.\tgene\t11\t20\t.\t+\t.\tID=a\n"
    assert read(tmp_path, text)[0] == ["scaffold,1:10-20"]


def test_gtf_without_gene_rows_has_the_genes_of_its_transcripts(tmp_path: Path) -> None:
    """As UCSC's refGene.gtf: a gene_id may have copies far from each other."""
    text = rows(
        'transcript 11 50 gene_id "A"; transcript_id "A1";',
        'exon 11 20 gene_id "A"; transcript_id "A1"; exon_number "1";',
        'exon 31 60 transcript_id "A2"; gene_id "A";',
        'CDS 901 950 gene_id "A"; transcript_id "A1_dup1";',
        'exon 21 30 gene_id "B"; transcript_id "B1";',
        version="",
    )
    names, note = read(tmp_path, text)
    assert names == ["1:10-60", "1:900-950", "1:20-30"]
    assert note.startswith("3 genes read (from transcripts and exons of one gene_id 3)")


def test_a_gene_id_that_has_a_row_adds_none(tmp_path: Path) -> None:
    text = rows(
        'exon 11 60 gene_id "A"; transcript_id "A1";', 'gene 11 50 gene_id "A";',
        'exon 71 80 gene_id "C"; transcript_id "C1";', 'Selenocysteine 75 77 note "x"',
        version="",
    )  # fmt: skip
    names, note = read(tmp_path, text)
    assert names == ["1:10-50", "1:70-80"]
    assert note == (
        "2 genes read (gene 1, from transcripts and exons of one gene_id 1);"
        " parts of genes: 2; left out: Selenocysteine 1"
    )


def test_transcripts_of_augustus_lie_in_its_genes(tmp_path: Path) -> None:
    text = rows(
        "gene 11 90 g1",
        "transcript 11 90 g1.t1",
        'exon 11 40 transcript_id "g1.t1"; gene_id "g1";',
        version="",
    )  # fmt: skip
    assert read(tmp_path, text) == (["1:10-90"], "1 gene read (gene 1); parts of genes: 2")


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("1\tx\tgene\t11\t20\t.\t+\t.\n", "8 columns"),
        ('1\tx\tgene\t11\t20\t.\t+\t.\tgene_id "A";\tx\n', "10 columns"),
        ("##gff-version 3\n1\t11\t20\n", "3 columns"),
        ('1 x gene 11 20 . + . gene_id "A";\n', "1 column"),
    ],
)
def test_annotation_without_nine_columns_is_not_taken_for_bed(
    tmp_path: Path, text: str, got: str
) -> None:
    line = text.count("\n")
    with pytest.raises(
        FileError, match=rf"genes line {line}: {got}; GTF needs 9, separated by tabs$"
    ):
        read(tmp_path, text)


def test_rows_of_bed_are_counted_as_genes(tmp_path: Path) -> None:
    assert read(tmp_path, "1\t10\t20\tgene\n1\t30\t40\n") == (
        ["1:10-20", "1:30-40"],
        "2 genes read, the rows of BED",
    )


def test_types_beyond_eight_are_counted_together(tmp_path: Path) -> None:
    others = [f"kind{number} 1 9 ID={number}" for number in range(10)]
    _, note = read(tmp_path, rows("gene 1 9 ID=g", *others))
    assert note.endswith(
        "left out: " + ", ".join(f"kind{number} 1" for number in range(8)) + ", 2 other types 2"
    )
