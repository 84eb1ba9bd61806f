"""Every reader and writer takes a path as a string too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from enhancer_core.data.dataset import make_dataset, read_dataset
from enhancer_core.data.splits import split
from enhancer_core.data.tables import read_split, write_split
from enhancer_core.dna.intervals import from_rows
from enhancer_core.io.bed import read_bed, read_genes, write_bed
from enhancer_core.io.fasta import read_fasta, read_records, write_fasta
from enhancer_core.io.genome import open_genome
from enhancer_core.io.motifs import read_motifs, write_meme
from enhancer_core.io.safetensors import read_arrays, write_arrays
from enhancer_core.io.tables import read_table, write_table
from enhancer_core.io.tracks import write_track
from enhancer_core.io.vcf import open_vcf, open_vcf_output
from enhancer_core.motifs.motif import BUILTIN

CODES = np.random.default_rng(0).integers(0, 4, (20, 30), dtype=np.uint8)
NAMES = [f"chr{row}" for row in range(20)]
VCF = b"##fileformat=VCFv4.2\n#CHROM POS ID REF ALT QUAL FILTER INFO\nchr1 1 . A C . . .\n"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(tmp_path)
    yield
    os.chdir(before)


def test_sequences_genomes_and_data_sets() -> None:
    for name in ("a.fa", "b.fa.gz"):
        write_fasta(name, NAMES, CODES if name == "a.fa" else 3 - CODES)
    assert read_fasta("a.fa").names == [record.name for record in read_records("a.fa")] == NAMES
    with open_genome("a.fa") as genome:
        assert (genome.codes("chr3") == CODES[3]).all()
    data = read_dataset("a.fa", ["b.fa.gz"])
    assert set(data.files.tolist()) == {"a.fa", "b.fa.gz"}
    names = [f"n{row}" for row in range(20)]
    data = make_dataset([("a.fa", NAMES, CODES)], [("b.fa", names, (CODES + 1) % 4)])
    parts = split(data, rng=np.random.default_rng(0))
    write_split("split.tsv", parts)
    assert (read_split("split.tsv", data).parts == parts.parts).all()


def test_intervals_tracks_and_variants() -> None:
    write_bed("a.bed", from_rows([("chr1", 0, 5)]))
    assert read_bed("a.bed").names() == read_genes("a.bed").names() == ["chr1:0-5"]
    block = ("chr1", np.array([0]), np.array([5]), np.array([1], np.float32))
    for name in ("a.bedgraph", "a.bw"):
        write_track(name, [block], {"chr1": 9})
        assert Path(name).stat().st_size
    for name in ("a.vcf", "a.vcf.gz"):
        with open_vcf_output(name) as write:
            write(VCF.replace(b" ", b"\t"))
        with open_vcf(name) as vcf:
            assert [record.chrom for record in vcf.records] == ["chr1"]


def test_motifs_tables_and_arrays() -> None:
    write_meme("a.meme", [BUILTIN["CEBPA"]])
    assert read_motifs("a.meme")[0].name == "MA0102.2"
    write_table("a.tsv", ["x"], [[1]])
    assert read_table("a.tsv", ["x"]) == [(2, {"x": "1"})]
    write_arrays("a.safetensors", {"x": np.ones(2, np.float32)}, kind="test", record={})
    assert read_arrays("a.safetensors", kind="test")[0]["x"].tolist() == [1, 1]
