"""Variants in VCF files: the columns that scoring needs, and all else kept to the letter.

VCF is read and written as text. htslib would spell numbers anew (AF=0.10 as 0.1, QUAL 50.00 as 50),
add header lines, and stop or warn at INFO keys that the header does not define. It is used, through
pysam, for what is binary: BCF input, bgzip and the index.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, starmap
from pathlib import Path
from typing import IO, BinaryIO, cast

from enhancer_core.errors import FileError
from enhancer_core.io.bgzf import check_complete, import_pysam, is_bgzip
from enhancer_core.io.files import StrPath, open_input, open_output, temporary_beside
from enhancer_core.io.outputs import VCF, format_of

TBI_LIMIT = 1 << 29  # bp; a .tbi index cannot hold positions beyond, a .csi index can

_COLUMNS = b"#CHROM POS ID REF ALT QUAL FILTER INFO".split()
_INFO = 7
_BCF = b"BCF"
_DIGITS = 18  # of a position, at most
_NOT_BASE = re.compile("[^ACGTN]")
_SORT = "sort the file (bcftools sort), or write a plain .vcf, which has no index"


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """An INFO field to define in the header, `id` after the prefix that ours share."""

    id: str
    number: str
    type: str
    description: str


@dataclass(frozen=True, slots=True)
class VcfRecord:
    """One line of a VCF: the columns up to INFO, then the rest as it stands.

    `position` is 0-based; -1 is POS 0, before the first base. Alleles are in upper case.
    """

    where: str  # file and line, for messages
    columns: Sequence[bytes]
    chrom: str
    position: int
    reference: str
    alternatives: Sequence[str]  # none if ALT is "."


@dataclass(frozen=True, slots=True)
class Vcf:
    """An open VCF: its header lines, #CHROM the last, and its records, to be read once."""

    header: Sequence[bytes]
    records: Iterator[VcfRecord]


@contextmanager
def open_vcf(path: StrPath) -> Iterator[Vcf]:
    """Open a VCF, plain, gzip or bgzip, LF or CRLF, or a BCF; the content tells which.

    A BCF has its numbers as htslib spells them, and needs pysam; other input does not.

    Raises
    ------
    EnhancerError
        If the file is a BCF and pysam is not installed.
    FileError
        If the file has no VCF header. While records are read: as `parse_record`.
    """
    path = Path(path)
    with open_input(path) as stream:
        if stream.peek(3)[:3] == _BCF:  # type: ignore[attr-defined]  # plain and gzip have it
            lines, unit = _bcf_lines(path), "record"
        else:
            lines, unit = enumerate(_text_lines(path, stream), start=1), "line"
        header: list[bytes] = []
        for number, line in lines:
            if number == 1 and not line.startswith(b"##fileformat=VCF"):
                raise FileError(f"{path} line 1: not VCF; the header must begin ##fileformat=VCF")
            if not line.startswith(b"#"):
                raise FileError(f"{path} {unit} {number}: a record before the header line #CHROM")
            header.append(line)
            if not line.startswith(b"##"):
                break
        if not header:
            raise FileError(f"{path}: empty; a VCF header is needed")
        if header[-1].split(b"\t")[: len(_COLUMNS)] != _COLUMNS:
            columns = b" ".join(_COLUMNS).decode()
            raise FileError(f"{path}: the header lacks its last line, {columns}")
        first = len(header) if unit == "record" else 0  # a BCF's records count from 1
        rest = ((f"{path} {unit} {number - first}", line) for number, line in lines if line)
        yield Vcf(header, starmap(parse_record, rest))


def _text_lines(path: Path, stream: BinaryIO) -> Iterator[bytes]:
    for line in stream:
        yield line.rstrip(b"\r\n")
    # A bgzip file cut between two blocks reads as a whole gzip file; only its end mark is missing.
    if path.is_file() and is_bgzip(path):
        check_complete(path)


def _bcf_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    pysam = import_pysam(f"{path} is BCF, which")
    try:
        with pysam.VariantFile(str(path)) as source:
            header = str(source.header).splitlines()
            lines = chain(header, (str(record).rstrip("\n") for record in source))
            yield from enumerate((line.encode() for line in lines), start=1)
    except (OSError, ValueError) as error:
        raise FileError(f"{path}: the BCF data is cut or damaged ({error})") from error


def parse_record(where: str, line: bytes) -> VcfRecord:
    """Read a line of a VCF; `where` names it in messages.

    Raises
    ------
    FileError
        If a column is missing, or a position or an allele malformed.
    """
    columns = line.split(b"\t", _INFO + 1)
    if len(columns) <= _INFO:
        raise FileError(f"{where}: {len(columns)} columns; VCF has at least 8, separated by tabs")
    head = b"\t".join(columns[:5]).decode("utf-8", "replace")  # at once: half the time
    chrom, position, _, reference, alternatives = head.split("\t")
    if not (columns[1].isdigit() and len(columns[1]) <= _DIGITS):
        raise FileError(f"{where}: position '{position}' is not a whole number of at least 0")
    listed = () if alternatives == "." else tuple(alternatives.upper().split(","))
    if why := _why_bad(reference):
        raise FileError(f"{where}: REF {why}")
    for alternative in listed:
        if why_unscorable(alternative) is None and (why := _why_bad(alternative)):
            raise FileError(f"{where}: ALT {why}")
    return VcfRecord(where, columns, chrom, int(position) - 1, reference.upper(), listed)


@lru_cache  # most alleles are one of four
def _why_bad(allele: str) -> str | None:
    """Return why an allele, in either case, is no sequence; None if it is."""
    bad = _NOT_BASE.search(allele.upper())
    if allele and not bad:
        return None
    what = f"'{allele}' has the letter '{bad[0]}'" if bad else "is empty"
    return f"{what}; allowed are A C G T N"


@lru_cache
def why_unscorable(alternative: str) -> str | None:
    """Return why an ALT spells no sequence; None if it should."""
    if alternative == "*":
        return "spanning_deletion"
    if alternative.startswith("<") and alternative.endswith(">"):
        return "symbolic"
    if "[" in alternative or "]" in alternative or "." in (alternative[:1], alternative[-1:]):
        return "breakend"
    return None


def header_with(header: Sequence[bytes], prefix: str, fields: Iterable[Field]) -> list[bytes]:
    """Define INFO fields in a header, before its #CHROM line.

    Definitions that an earlier run left there, of these fields, are replaced.
    """
    ours = tuple(f"##INFO=<ID={prefix}{field.id},".encode() for field in fields)
    others = [line for line in header[:-1] if not line.startswith(ours)]
    added = [
        f"##INFO=<ID={prefix}{field.id},Number={field.number},Type={field.type},"
        f'Description="{field.description}">'.encode()
        for field in fields
    ]
    return [*others, *added, header[-1]]


def line_with(
    record: VcfRecord, prefix: str, values: Mapping[str, str], fields: Sequence[Field]
) -> bytes:
    """Return a record's line with INFO values added; all else stays, byte for byte.

    Values that an earlier run left there, of any of the fields, are replaced.
    """
    before = record.columns[_INFO]
    if prefix.encode() in before:
        ours = {f"{prefix}{field.id}".encode() for field in fields}
        others = (part for part in before.split(b";") if part.partition(b"=")[0] not in ours)
        before = b";".join(others)
    parts = [] if before in (b"", b".") else [before]
    parts += [f"{prefix}{key}={value}".encode() for key, value in values.items()]
    info = b";".join(parts) or b"."
    return b"\t".join([*record.columns[:_INFO], info, *record.columns[_INFO + 1 :]])


@contextmanager
def open_vcf_output(path: StrPath, *, longest: int) -> Iterator[Callable[[bytes], object]]:
    """Write a VCF; yields a function that writes bytes.

    A path that ends in .gz or .bgz is compressed with bgzip and indexed, which needs pysam. The
    index has .tbi added to the name; or .csi, if the longest chromosome has over 2**29 bp.

    Raises
    ------
    EnhancerError
        If pysam is needed and not installed.
    FileError
        If the ending is not VCF's, for example .bcf.
    """
    path = Path(path)
    format_of(path, VCF)
    if not is_indexed(path):
        with open_output(path) as stream:
            yield stream.write
        return
    pysam = import_pysam(f"{path} is to be bgzip with an index, which")
    csi = longest > TBI_LIMIT
    index = path.with_name(f"{path.name}{'.csi' if csi else '.tbi'}")
    with temporary_beside(index) as index_now, temporary_beside(path) as now:
        with cast("IO[bytes]", pysam.BGZFile(str(now), "w")) as stream:
            yield stream.write
        pysam.tabix_index(
            str(now), preset="vcf", index=str(index_now), csi=csi, force=True, keep_original=True
        )


def is_indexed(path: StrPath) -> bool:
    """Return whether a VCF is written as bgzip with an index, by its name."""
    return Path(path).suffix.lower() in VCF.packed


def in_order(records: Iterable[VcfRecord]) -> Iterator[VcfRecord]:
    """Pass records on as long as they are sorted, as an index needs them.

    Raises
    ------
    FileError
        At the first record that stands before its predecessor, or whose chromosome was left.
    """
    chrom, position = "", -1
    left: set[str] = set()
    for record in records:
        if record.chrom != chrom:
            if record.chrom in left:
                what = f"chromosome {record.chrom} again, after {chrom}"
                raise FileError(f"{record.where}: {what}; {_SORT}")
            left.add(chrom)
            chrom = record.chrom
        elif record.position < position:
            what = f"position {record.position + 1} after {position + 1}"
            raise FileError(f"{record.where}: {what}; {_SORT}")
        position = record.position
        yield record
