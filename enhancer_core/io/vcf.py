"""Variants in VCF files: the columns that scoring needs, and all else kept to the letter.

VCF is read and written as text. htslib would spell numbers anew (AF=0.10 as 0.1, QUAL 50.00 as 50),
add header lines, and stop or warn at INFO keys that the header does not define. It is used, through
pysam, for what is binary: BCF input, bgzip and the index.
"""

from __future__ import annotations

import re
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, starmap
from pathlib import Path
from types import ModuleType
from typing import IO, cast

from enhancer_core.errors import FileError
from enhancer_core.io.bgzf import check_complete, import_pysam, is_bgzip
from enhancer_core.io.files import StrPath, open_input, open_output, temporary_beside
from enhancer_core.io.outputs import VCF, format_of

_COLUMNS = b"#CHROM POS ID REF ALT QUAL FILTER INFO".split()
_INFO = 7
_FORMAT = b"##fileformat=VCF"
_BCF = b"BCF"
_MARK = b"\xef\xbb\xbf"  # of byte order
_DIGITS = 18  # of a position, at most
_SHOWN = 20  # letters of an allele in a message
_NOT_BASE = re.compile("[^ACGTN]")
# Lists of variants: what their columns may be called, and the columns of those without names.
_NAMES = {
    b"CHROM": 0, b"CHR": 0, b"CHROMOSOME": 0, b"POS": 1, b"POSITION": 1, b"ID": 2, b"RSID": 2,
    b"REF": 3, b"REFERENCE": 3, b"ALT": 4, b"ALTERNATIVE": 4, b"ALTERNATE": 4,
}  # fmt: skip
_LISTS = {4: (0, 1, 3, 4), 5: (0, 1, 2, 3, 4)}
_CONTIG = re.compile(rb"##contig=<(?=.*\bID=([^,>]+))(?=.*\blength=([0-9]+))")
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

    `position` is 0-based; -1 is POS 0, before the first base. Alleles are in upper case; whether
    they spell sequences is for `why_bad` and `why_unscorable` to say.
    """

    where: str  # file and line, for messages
    columns: Sequence[bytes]
    chrom: str
    position: int
    reference: str
    alternatives: Sequence[str]  # none if ALT is "."


@dataclass(frozen=True, slots=True)
class Vcf:
    """An open VCF: its header lines, #CHROM the last, and its records, to be read once.

    `note` says how it was read if it was no whole VCF.
    """

    header: Sequence[bytes]
    records: Iterator[VcfRecord]
    note: str = ""

    def contigs(self) -> dict[str, int]:
        """Return the lengths of chromosomes, in bp, that the header has."""
        found = filter(None, map(_CONTIG.match, self.header))
        return {match[1].decode(errors="replace"): int(match[2]) for match in found}


@contextmanager
def open_vcf(path: StrPath) -> Iterator[Vcf]:
    """Open a VCF, plain, gzip or bgzip, LF or CRLF, or a BCF; the content tells which.

    So is a list of variants: chromosome, position, ID, REF and ALT, the ID perhaps not, in this
    order or under a line of their names, separated by tabs. A BCF has its numbers as htslib spells
    them, and needs pysam; other input does not. The file may be a pipe.

    Raises
    ------
    EnhancerError
        If the file is a BCF and pysam is not installed.
    FileError
        If the file is neither VCF nor a list. While records are read: as `parse_record`.
    """
    path = Path(path)
    with open_input(path) as stream:
        start = stream.readline().removeprefix(_MARK)
        content = chain([start], stream) if start else iter(())
        if start.startswith(_BCF):
            lines, unit = _bcf_lines(path, content), "record"
        else:
            lines, unit = enumerate(_text_lines(path, content), start=1), "line"
        header: list[bytes] = []
        for number, line in lines:
            if number == 1 and not line.startswith(_FORMAT):
                yield _list_of_variants(path, line, lines)
                return
            if not line.startswith(b"#"):
                raise FileError(f"{path} {unit} {number}: a record before the header line #CHROM")
            header.append(line)
            if not line.startswith(b"##"):
                break
        if not header:
            raise FileError(f"{path}: empty; a VCF header is needed")
        columns = header[-1].split(b"\t")
        if columns[: len(_COLUMNS)] != _COLUMNS[: len(columns)] or len(columns) < len(_LISTS[5]):
            blanks = header[-1].split()[:5] == _COLUMNS[:5]
            wanted = b" ".join(_COLUMNS).decode()
            raise FileError(
                f"{path}: the line {wanted} is not separated by tabs"
                if blanks
                else f"{path}: the header lacks its last line, {wanted}"
            )
        first = len(header) if unit == "record" else 0  # a BCF's records count from 1
        rest: Iterator[tuple[str, bytes]] = (
            (f"{path} {unit} {number - first}", line) for number, line in lines if line
        )
        if len(columns) < len(_COLUMNS):
            header[-1] = b"\t".join(_COLUMNS)
            rest = _completed(rest, range(len(columns)))
        yield Vcf(header, starmap(parse_record, rest))


def _text_lines(path: Path, content: Iterable[bytes]) -> Iterator[bytes]:
    for line in content:
        yield line.rstrip(b"\r\n")
    # A bgzip file cut between two blocks reads as a whole gzip file; only its end mark is missing.
    if path.is_file() and is_bgzip(path):
        check_complete(path)


def _bcf_lines(path: Path, content: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    pysam = import_pysam(f"{path} is BCF, which")
    with tempfile.NamedTemporaryFile(prefix="enhancer-core-", suffix=".bcf") as copy:
        if not path.is_file():  # htslib opens a pipe by its name, of which some is read already
            copy.writelines(content)
            copy.flush()
        try:
            with pysam.VariantFile(str(path) if path.is_file() else copy.name) as source:
                header = str(source.header).splitlines()
                lines = chain(header, (str(record).rstrip("\n") for record in source))
                yield from enumerate((line.encode() for line in lines), start=1)
        except (OSError, ValueError) as error:
            raise FileError(f"{path}: the BCF data is cut or damaged ({error})") from error


def _list_of_variants(path: Path, line: bytes, lines: Iterator[tuple[int, bytes]]) -> Vcf:
    columns = line.split(b"\t")
    names = [_NAMES.get(name.strip().upper()) for name in line.lstrip(b"#").split(b"\t")]
    if {0, 1, 3, 4} <= set(names) and len(columns) < len(_COLUMNS):
        places: Sequence[int | None] = names
    elif len(columns) in _LISTS and columns[1].isdigit():
        places, lines = _LISTS[len(columns)], chain([(1, line)], lines)
    else:
        fields = line.split()
        blanks = len(columns) < len(fields) and fields[1].isdigit()
        allowed = f"the header must begin {_FORMAT.decode()}"
        raise FileError(
            f"{path} line 1: not VCF; {'columns must be separated by tabs' if blanks else allowed}"
        )
    rest = ((f"{path} line {number}", line) for number, line in lines if line)
    header = [_FORMAT + b"v4.2", b"\t".join(_COLUMNS)]
    order = ", ".join(_COLUMNS[place].decode().lstrip("#") for place in places if place is not None)
    records = starmap(parse_record, _completed(rest, places))
    return Vcf(header, records, f"{path}: read as a list of variants: {order}")


def _completed(
    rows: Iterable[tuple[str, bytes]], places: Sequence[int | None]
) -> Iterator[tuple[str, bytes]]:
    """Put the columns of a list at their places in VCF, and fill the others with dots."""
    for where, line in rows:
        values = line.split(b"\t")
        if len(values) < len(places):
            raise FileError(
                f"{where}: {len(values)} columns, separated by tabs; {len(places)} are needed"
            )
        columns = [b"."] * len(_COLUMNS)
        for place, value in zip(places, values, strict=False):
            if place is not None:
                columns[place] = value
        yield where, b"\t".join(columns)


def parse_record(where: str, line: bytes) -> VcfRecord:
    """Read a line of a VCF; `where` names it in messages.

    Raises
    ------
    FileError
        If a column is missing, or a position malformed.
    """
    columns = line.split(b"\t", _INFO + 1)
    if len(columns) <= _INFO:
        raise FileError(f"{where}: {len(columns)} columns; VCF has at least 8, separated by tabs")
    head = b"\t".join(columns[:5]).decode("utf-8", "replace")  # at once: half the time
    chrom, position, _, reference, alternatives = head.split("\t")
    if not (columns[1].isdigit() and len(columns[1]) <= _DIGITS):
        raise FileError(f"{where}: position '{position}' is not a whole number of at least 0")
    listed = () if alternatives == "." else tuple(alternatives.upper().split(","))
    return VcfRecord(where, columns, chrom, int(position) - 1, reference.upper(), listed)


@lru_cache  # most alleles are one of four
def why_bad(allele: str) -> str | None:
    """Return why an allele, in upper case, is no sequence; None if it is."""
    bad = _NOT_BASE.search(allele)
    if allele and not bad:
        return None
    what = f"'{short(allele)}' has the letter '{bad[0]}'" if bad else "is empty"
    return f"{what}; allowed are A C G T N"


def short(allele: str) -> str:
    """Shorten an allele for a message."""
    return allele if len(allele) <= _SHOWN else f"{allele[:_SHOWN]}... ({len(allele)} bp)"


@lru_cache
def why_unscorable(alternative: str) -> str | None:
    """Return why an ALT spells no sequence; None if it should."""
    if alternative == "*":
        return "spanning_deletion"
    if alternative.startswith("<") and alternative.endswith(">"):
        return "symbolic"
    if "[" in alternative or "]" in alternative:
        return "breakend"
    if alternative != "." and "." in (alternative[:1], alternative[-1:]):  # a single one
        return "breakend"
    return None


def header_with(
    header: Sequence[bytes], prefix: str, fields: Iterable[Field], source: bytes = b""
) -> list[bytes]:
    """Define INFO fields in a header, before its #CHROM line, and say what they come from.

    `source` is a line for this. What an earlier run left there, of these fields or with the ID of
    `source`, is replaced.
    """
    ours = tuple(f"##INFO=<ID={prefix}{field.id},".encode() for field in fields)
    ours += (source.split(b",")[0] + b",",) if source else ()
    others = [line for line in header[:-1] if not line.startswith(ours)]
    added = [
        f"##INFO=<ID={prefix}{field.id},Number={field.number},Type={field.type},"
        f'Description="{field.description}">'.encode()
        for field in fields
    ]
    return [*others, *filter(None, [source]), *added, header[-1]]


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
def open_vcf_output(path: StrPath) -> Iterator[Callable[[bytes], object]]:
    """Write a VCF; yields a function that writes bytes.

    A path that ends in .gz or .bgz is compressed with bgzip and indexed, which needs pysam. The
    index has .tbi added to the name; or .csi, if a position is beyond the 2**29 bp of .tbi. Where
    neither can be made, a warning says so, and the VCF stays.

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
    with temporary_beside(path) as now:
        with cast("IO[bytes]", pysam.BGZFile(str(now), "w")) as stream:
            yield stream.write
        _index(path, now, pysam)


def _index(path: Path, now: Path, pysam: ModuleType) -> None:
    """Index a VCF that stands under another name for now; an older index of it is deleted."""
    reason: Exception | None = None
    for suffix in (".tbi", ".csi"):
        index = path.with_name(path.name + suffix)
        index.unlink(missing_ok=True)
        if suffix == ".csi" and reason is None:
            continue
        try:
            with temporary_beside(index) as index_now:
                pysam.tabix_index(
                    str(now), preset="vcf", index=str(index_now), csi=suffix == ".csi",
                    force=True, keep_original=True,
                )  # fmt: skip
            reason = None
        except (OSError, ValueError, FileError) as error:
            reason = error
    if reason is not None:
        warnings.warn(f"{path} is written without an index ({reason})", stacklevel=2)


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
