"""Make the files of this folder anew: `python make.py`, with `enhancer-core` and bgzip on the PATH.

They are the same bytes each time, but for the model, whose last digits depend on the processor.
"""

from __future__ import annotations

import gzip
import os
import pickle
import random
import shutil
import subprocess
from pathlib import Path

import pysam

HERE = Path(__file__).parent
LENGTH = 20_000  # bp of each of three chromosomes
PEAKS = 20  # of each, 300 bp long, one every 1,000 bp
SITE = "ATTGCACAAT"

Row = tuple[object, ...]


def run(*words: object) -> None:
    """Run a command of enhancer-core here."""
    subprocess.run(["enhancer-core", *map(str, words)], cwd=HERE, check=True)


def write_gzip(name: str, text: str) -> None:
    """Compress without a time stamp."""
    (HERE / name).write_bytes(gzip.compress(text.encode(), mtime=0))


def lines(rows: list[Row]) -> str:
    """Spell rows as a table."""
    return "".join("\t".join(map(str, row)) + "\n" for row in rows)


def make_genome(chance: random.Random) -> tuple[str, dict[str, str], list[Row]]:
    """Draw chromosomes with a stretch of N, repeats in lower case, and sites in the peaks."""
    fasta, genome = "", {}
    peaks: list[Row] = []
    for number in (1, 2, 3):
        bases = chance.choices("ACGT", k=LENGTH)
        for start in range(600, 1000 * PEAKS, 1000):
            peaks.append((f"chr{number}", start, start + 300))
            for window in range(start, start + 300, 100):
                at = window + chance.randrange(20, 70)
                bases[at : at + len(SITE)] = SITE
        bases[10_000:10_200] = "N" * 200
        for start in range(0, LENGTH, 5000):
            bases[start : start + 400] = "".join(bases[start : start + 400]).lower()
        genome[f"chr{number}"] = "".join(bases)
        fasta += f">chr{number}\n"
        fasta += "".join(f"{''.join(bases[at : at + 80])}\n" for at in range(0, LENGTH, 80))
    return fasta, genome, peaks


def make_variants(genome: dict[str, str]) -> str:
    """Write an SNV, an insertion, a deletion, two ALTs, a symbolic ALT and a wrong REF."""

    def base(chrom: str, position: int, count: int = 1) -> str:
        return genome[chrom][position - 1 : position - 1 + count].upper()

    def other(found: str) -> str:
        return "ACGT"[("ACGT".index(found) + 1) % 4]

    rows: list[Row] = []
    for chrom, position, kind in (
        *(("chr1", 650, "snv"), ("chr1", 700, "insertion"), ("chr1", 1700, "symbolic")),
        *(("chr2", 1650, "deletion"), ("chr3", 2750, "two")),
    ):
        found = base(chrom, position)
        reference, alternative = {
            "snv": (found, other(found)),
            "insertion": (found, f"{found}ACCA"),
            "symbolic": (found, "<DEL>"),
            "deletion": (base(chrom, position, 4), found),
            "two": (found, f"{other(found)},{found}TT"),
        }[kind]
        info = f"END={position + 50}" if kind == "symbolic" else "."
        rows.append((chrom, position, kind, reference, alternative, ".", "PASS", info))
    head = '##fileformat=VCFv4.2\n##FILTER=<ID=PASS,Description="All filters passed">\n'
    head += "".join(f"##contig=<ID={chrom},length={LENGTH}>\n" for chrom in genome)
    head += '##ALT=<ID=DEL,Description="Deletion">\n'
    head += '##INFO=<ID=END,Number=1,Type=Integer,Description="End">\n'
    columns = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
    return head + lines([columns, *rows])


def main() -> None:
    """Write every file."""
    fasta, genome, peaks = make_genome(random.Random(0))
    (HERE / "genome.fa").write_text(fasta)
    write_gzip("genome.fa.gz", fasta)
    (HERE / "peaks.bed").write_text(lines(peaks))
    summits: list[Row] = [
        ("chr1", 600, 900, "a", 900, ".", 8.5, 12.25, 9.5, 20),
        ("chr2", 1600, 1900, "b", 500, ".", 3.5, 5.25, 4.5, -1),
    ]
    (HERE / "summits.bed").write_text(lines(summits))
    (HERE / "outside.bed").write_text(f"chr1\t600\t900\nchr2\t100\t{LENGTH + 1}\n")
    (HERE / "regions.bed").write_text("chr1\t500\t1000\n")
    (HERE / "chromosomes.bed").write_text(f"chr1\t0\t{LENGTH}\nchr2\t0\t{LENGTH}\n")
    gene = ("havana", "gene", 5001, 6000, ".", "+", ".")
    write_gzip("genes.gtf.gz", lines([(f"chr{n}", *gene, f'gene_id "g{n}";') for n in (1, 2, 3)]))

    extract = ("extract", "genome.fa", "peaks.bed", "--length", 100, "--tile")
    run(*extract, "-o", "enhancers.fa")
    run(*extract, "-o", "enhancers.fa.gz")
    background = ("background", "genome.fa", "--exclude", "peaks.bed", "--length", 100, "-n", 180)
    run(*background, "-o", "background.bed", "--fasta", "background.fa")
    run("shuffle", "enhancers.fa", "-k", 2, "-o", "shuffled_k2.fa")
    records = (HERE / "enhancers.fa").read_text().splitlines(keepends=True)
    (HERE / "three.fa").write_text("".join(records[:6]))
    (HERE / "ragged.fa").write_text("".join(records[:3]) + "ACGTACGT\n")
    names = [record[1:].split()[0] for record in records[::2]]
    names += [line.split()[0] for line in (HERE / "background.fa").read_text()[1:].split("\n>")]
    groups = [
        (name, "it's $(4) é" if at % 5 == 4 else f"plate {at % 5}") for at, name in enumerate(names)
    ]
    (HERE / "groups.tsv").write_text(lines([("name", "group"), *groups]))
    (HERE / "motifs.jaspar").write_text(
        ">M1 first\nA [ 9 0 0 1 ]\nC [ 0 9 0 1 ]\nG [ 0 0 9 1 ]\nT [ 0 0 0 6 ]\n"
        ">M2 second\nA [ 0 9 9 ]\nC [ 9 0 0 ]\nG [ 0 0 0 ]\nT [ 0 0 0 ]\n"
    )

    data = ("--positives", "enhancers.fa", "--negatives", "background.fa")
    run("baseline", *data, "-o", "made")
    Path(HERE / "made" / "split.tsv").rename(HERE / "split.tsv")
    run("train", *data, "--network", "tf", "--restarts", 4, "--epochs", 20, "-o", "made")
    where = ("--genome", "genome.fa", "--peaks", "peaks.bed", "--regions", "chromosomes.bed")
    run("evaluate", "made", *where, "--store-thresholds", "-o", "measured")
    Path(HERE / "measured" / "model.safetensors").rename(HERE / "model.safetensors")
    for folder in ("made", "measured"):
        shutil.rmtree(HERE / folder)
    (HERE / "genome.fa.fai").unlink()
    (HERE / "pickle.safetensors").write_bytes(pickle.dumps({"weights": [0.0]}, protocol=4))

    (HERE / "variants.vcf").write_text(make_variants(genome))
    wrong = make_variants(genome).replace("\tsnv\t", "\tsnv\tACGTACGT", 1)
    (HERE / "misfit.vcf").write_text(wrong)
    packed = subprocess.run(
        ["bgzip", "--stdout", "variants.vcf"], cwd=HERE, check=True, capture_output=True
    )
    (HERE / "variants.vcf.gz").write_bytes(packed.stdout)
    with (
        pysam.VariantFile(os.fspath(HERE / "variants.vcf")) as source,
        pysam.VariantFile(os.fspath(HERE / "variants.bcf"), "wb", header=source.header) as out,
    ):
        for record in source:
            out.write(record)
    (HERE / "enhancer_models.loc").write_text(
        lines([("small", "A small network (100 bp)", "${__HERE__}/model.safetensors")])
    )
    (HERE / "all_fasta.loc").write_text(
        lines([("small", "hg38", "A small genome", "${__HERE__}/genome.fa")])
    )


if __name__ == "__main__":
    main()
