"""The SNVs of a VCF for kipoi-veff, and its scores put back into the records they came from.

kipoi-veff reads and writes VCF through htslib and PyVCF, which spell records anew, and it scores
the first ALT of a record, whatever that is. So it is handed a file of SNVs alone, one ALT a
record and numbered, and what it finds is added to the lines of the input.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from enhancer_core.dna.codes import decode
from enhancer_core.errors import IntervalError
from enhancer_core.io.genome import Genome
from enhancer_core.io.vcf import (
    Field,
    VcfRecord,
    header_with,
    in_order,
    is_indexed,
    line_with,
    open_vcf,
    open_vcf_output,
    why_unscorable,
)

NUMBER = "ALLELE"  # INFO field of the SNVs: which ALT of the input, all counted from 0
_COLUMNS = b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"


def write_snvs(source: Path, target: Path, genome: Genome | None) -> Counter[str]:
    """Write the SNVs of a VCF, one ALT a record and sorted, as bgzip with an index.

    Parameters
    ----------
    source
        VCF, plain, gzip or bgzip, or BCF, in any order.
    target
        Name that ends in .vcf.gz.
    genome
        If given, records that do not fit it are left out.

    Returns
    -------
    Counter of str
        ALTs of the input by the reason why they are left out; those written under "".

    Raises
    ------
    FileError
        If a record is malformed.
    """
    counts: Counter[str] = Counter()
    chroms: dict[str, int] = {}  # in the order of the file
    snvs: list[tuple[int, int, bytes]] = []
    number = 0
    with open_vcf(source) as opened:
        for record in opened.records:
            for alternative in record.alternatives or ["."]:
                reason = _why_not(record, alternative, genome)
                counts[reason] += 1
                if not reason:
                    place = chroms.setdefault(record.chrom, len(chroms)), record.position
                    chrom, position, name = record.columns[:3]
                    alleles = record.reference.encode(), alternative.encode()
                    info = f"{NUMBER}={number}".encode()
                    columns = (chrom, position, name, *alleles, b".", b".", info)
                    snvs.append((*place, b"\t".join(columns)))
                number += 1
    snvs.sort(key=lambda snv: snv[:2])
    with open_vcf_output(target) as write:
        contigs = [f"##contig=<ID={chrom}>".encode() for chrom in chroms]
        number_field = f'##INFO=<ID={NUMBER},Number=1,Type=Integer,Description="ALT">'.encode()
        header = [b"##fileformat=VCFv4.2", *contigs, number_field, _COLUMNS]
        write(b"".join(line + b"\n" for line in [*header, *(line for _, _, line in snvs)]))
    return counts


def _why_not(record: VcfRecord, alternative: str, genome: Genome | None) -> str:
    """Return why kipoi-veff cannot score an ALT; nothing if it can."""
    reference = record.reference
    if alternative == ".":
        return "no_alt"
    if reason := why_unscorable(alternative):
        return reason
    if alternative == reference:
        return "alt_is_ref"
    if len(reference) != 1 or len(alternative) != 1:
        return "not_an_snv"
    if reference not in "ACGT" or alternative not in "ACGT":
        return "not_acgt"
    if record.position < 0:
        return "outside_chromosome"
    if genome is None:
        return ""
    try:
        chrom = genome.name_of(record.chrom, record.where)
    except IntervalError:
        return "unknown_chromosome"
    if record.position >= genome.lengths[chrom]:
        return "outside_chromosome"
    there = genome.codes(chrom, record.position, record.position + 1)
    return "" if decode(there[None])[0] == reference else "ref_mismatch"


def add_scores(
    source: Path,
    target: Path,
    prefix: str,
    fields: Sequence[Field],
    scores: Mapping[int, Mapping[str, str]],
    *,
    rename: bool = False,
) -> None:
    """Write a VCF with the scores of its ALTs added to INFO; all else stays, byte for byte.

    Parameters
    ----------
    source, target
        VCF to read, and to write; .vcf.gz is compressed with bgzip and indexed.
    prefix, fields
        INFO fields to define, as `enhancer_core.io.vcf.header_with` takes them; with none of them
        the header stays as it is.
    scores
        By the number of an ALT, all counted from 0, the values of its fields.
    rename
        Whether the ID of a record that has scores becomes CHROM:POS:REF:['ALT', ...].

    Raises
    ------
    FileError
        If a record is malformed, or `target` gets an index and the records are not sorted.
    """
    number = 0
    with open_vcf(source) as opened, open_vcf_output(target) as write:
        header = header_with(opened.header, prefix, fields) if fields else opened.header
        write(b"\n".join(header) + b"\n")
        for record in in_order(opened.records) if is_indexed(target) else opened.records:
            count = len(record.alternatives) or 1
            found = [scores.get(each, {}) for each in range(number, number + count)]
            number += count
            write(_line(record, prefix, fields, found, rename=rename) + b"\n")


def _line(
    record: VcfRecord,
    prefix: str,
    fields: Sequence[Field],
    found: Sequence[Mapping[str, str]],
    *,
    rename: bool,
) -> bytes:
    if not any(found):
        return b"\t".join(record.columns)
    values = {field.id: ",".join(each.get(field.id, ".") for each in found) for field in fields}
    line = line_with(record, prefix, values, fields)
    if rename:
        chrom, position, _, rest = line.split(b"\t", 3)
        name = f":{record.reference}:{list(record.alternatives)}".encode()
        line = b"\t".join([chrom, position, chrom + b":" + position + name, rest])
    return line
