"""Genes in GTF and GFF3 files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import NamedTuple
from urllib.parse import unquote

import numpy as np

from enhancer_core.dna.intervals import Intervals
from enhancer_core.errors import FileError, IntervalError
from enhancer_core.io.files import StrPath

WHOLE_NUMBER = re.compile("-?[0-9]{1,18}")  # int() would take '1_000' and '+5' too
_COLUMNS = 9
_STRANDS = ("+", "-", ".", "?")
# All that Sequence Ontology has under gene ends so; a blocked reading frame is SGD's pseudogene.
_GENES = re.compile(r".*gene(_segment)?|blocked_reading_frame", re.IGNORECASE)
_TRANSCRIPTS = re.compile(r".*(rna|transcript)", re.IGNORECASE)
_PARTS = re.compile(r".*(exon|cds|utr|codon|intron)", re.IGNORECASE)
_GENE_ID = re.compile(r"""(?:^|;)\s*gene(?:_id|ID)(?:=|\s+)"?([^";]*)""")
_TRANSCRIPT_ID = re.compile(r"""(?:^|;)\s*transcript_id(?:=|\s+)"?([^";]*)""")
_PART, _TRANSCRIPT, _GENE = 1, 2, 3  # what a row can be
_TRACK_WORDS = ("track", "browser")
_MOST_TYPES = 8  # that a line names
# Numbers of the Sequence Ontology that may stand for the types.
_GENE_NUMBERS = (
    *("0000704", "0000336", "0000111", "0000718", "0001217", "0001263", "0001265", "0001266"),
    *("0001267", "0001268", "0001269", "0001272", "0001637", "0001638", "0001639", "0001640"),
    *("0001641", "0001643", "0001741", "0001841", "0002127", "0002181", "0002182", "0002183"),
    *("0002184", "3000000"),
)
_TRANSCRIPT_NUMBERS = ("0000673", "0000185", "0000234", "0000252", "0000253", "0000655", "0001877")
_BY_GENE_ID = "from transcripts and exons of one gene_id"


class _Span(NamedTuple):
    chrom: str
    start: int
    end: int
    line: int
    kind: str
    part: bool = False  # names what it belongs to


def is_annotation(fields: Sequence[str]) -> bool:
    """Return whether columns are GTF's or GFF3's: BED's second and seventh are numbers."""
    if len(fields) < 5 or WHOLE_NUMBER.fullmatch(fields[1]):
        return False
    if len(fields) >= _COLUMNS and fields[6] in _STRANDS:
        return True
    numbers = all(WHOLE_NUMBER.fullmatch(field) for field in fields[3:5])
    return numbers and not fields[2][:1].isdigit()


def is_track(line: str) -> bool:
    """Return whether a line is a genome browser's, not an interval of a chromosome `track`."""
    if not line.startswith(_TRACK_WORDS):
        return False
    first, *others = line.split(None, 3)
    return first in _TRACK_WORDS and (
        line.startswith(f"{first} ") or len(others) < 2 or "=" in others[0]
    )


def parse_positions(where: str, start: str, end: str) -> tuple[int, int]:
    """Read a start and an end.

    Raises
    ------
    FileError
        If one is not a whole number.
    """
    if not (WHOLE_NUMBER.fullmatch(start) and WHOLE_NUMBER.fullmatch(end)):
        raise FileError(
            f"{where}: start '{start}' and end '{end}' must be whole numbers of digits alone"
        )
    return int(start), int(end)


def count_columns(fields: Sequence[str]) -> str:
    """Spell a number of columns."""
    return "1 column" if len(fields) == 1 else f"{len(fields)} columns"


def read_annotation(path: StrPath, lines: Iterable[tuple[int, str]]) -> tuple[Intervals, str]:
    """Read the genes of GTF or GFF3 lines, and describe in a line what was read and left out.

    Genes are the rows of every gene-like type that are not part of another; transcripts outside of
    them; and where rows have a gene_id of which there is no gene, the spans of its transcripts.

    Raises
    ------
    FileError, IntervalError
        If a row is malformed, or there is no gene.
    """
    genes: list[_Span] = []
    loose: list[_Span] = []
    with_gene: set[tuple[str, str]] = set()
    by_gene_id: dict[tuple[str, str, str], _Span] = {}
    kinds: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    for number, fields in _rows(path, lines):
        kind, attributes, where = fields[2], fields[8], f"{path} line {number}"
        kinds[kind] += 1
        part = "Parent=" in attributes or "Derives_from=" in attributes
        chrom = unquote(fields[0]) if "%" in fields[0] else fields[0]
        named = _GENE_ID.search(attributes)
        gene_id = named[1] if named else ""
        rank = _rank(kind)
        if rank == _GENE:
            with_gene.add((chrom, gene_id))
            span = _Span(chrom, *_positions(where, fields), number, kind, part)
            (loose if part else genes).append(span)
        elif gene_id and rank:
            if (chrom, gene_id) not in with_gene:
                start, end = _positions(where, fields)
                named = _TRANSCRIPT_ID.search(attributes)
                key = (chrom, gene_id, named[1] if named else "")
                known = by_gene_id.setdefault(key, _Span(chrom, start, end, number, _BY_GENE_ID))
                start, end = min(start, known.start), max(end, known.end)
                by_gene_id[key] = known._replace(start=start, end=end)
        elif rank == _TRANSCRIPT:
            loose.append(_Span(chrom, *_positions(where, fields), number, kind, part))
        elif not part:
            left_out[kind] += 1
    clusters = [
        span
        for key, span in _clusters(by_gene_id)
        if key not in with_gene  # whose row may come later
    ]
    genes += _outside(clusters, genes)
    # A part of what is there counts not, nor a transcript in a gene: some give no parent.
    genes += _outside([span for span in loose if not span.part], genes)
    genes += _outside([span for span in loose if span.part], genes)
    if not genes:
        raise FileError(
            f"{path}: no row is a gene; its types are {_counts(kinds) or 'none'}; needed are gene,"
            " pseudogene, ncRNA_gene and the like, or transcripts"
        )
    genes.sort(key=lambda span: span.line)
    by_kind = _counts(Counter(span.kind for span in genes))
    text = f"{path}: {len(genes):,} gene{'s' * (len(genes) > 1)} read ({by_kind})"
    if parts := kinds.total() - left_out.total() - sum(span.kind in kinds for span in genes):
        text += f"; parts of genes: {parts:,}"
    if left_out:
        text += f"; left out: {_counts(left_out)}"
    chroms, starts, ends, numbers, *_ = zip(*genes, strict=True)
    intervals = Intervals(
        np.array(chroms, np.str_), np.array(starts, np.int64), np.array(ends, np.int64),
        str(path), np.array(numbers, np.int64),
    )  # fmt: skip
    return intervals, text


@cache
def _rank(kind: str) -> int:
    """Return whether a type is a gene's, a transcript's or a part's; 0 is another's."""
    number = kind.upper().removeprefix("SO:")
    if _GENES.fullmatch(kind) or number in _GENE_NUMBERS:
        return _GENE
    if _TRANSCRIPTS.fullmatch(kind) or number in _TRANSCRIPT_NUMBERS:
        return _TRANSCRIPT
    return _PART if _PARTS.fullmatch(kind) else 0


def _rows(path: StrPath, lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, list[str]]]:
    """Split rows into columns, up to the sequences that a GFF3 file may end with."""
    for number, line in lines:
        if line.startswith(("#", ">")):
            if line.startswith(">") or line.upper().startswith("##FASTA"):
                return
            continue
        fields = line.split("\t")
        while len(fields) > _COLUMNS and not fields[-1].strip():
            fields.pop()
        if len(fields) != _COLUMNS:
            if not line.strip() or is_track(line):
                continue
            raise FileError(
                f"{path} line {number}: {count_columns(fields)}; GTF needs {_COLUMNS}, separated by"
                " tabs"
            )
        yield number, fields


def _positions(where: str, fields: Sequence[str]) -> tuple[int, int]:
    start, end = parse_positions(where, fields[3], fields[4])
    if not 1 <= start <= end:
        raise IntervalError(
            f"{where}: start {start} and end {end}; GTF counts from 1, and end is not below start"
        )
    return start - 1, end


def _clusters(spans: dict[tuple[str, str, str], _Span]) -> Iterator[tuple[tuple[str, str], _Span]]:
    """Join overlapping transcripts of one gene_id, which may have copies far from each other."""
    last: tuple[tuple[str, str], _Span] | None = None
    for (chrom, gene_id, _), span in sorted(
        spans.items(), key=lambda item: (item[0][:2], item[1].start)
    ):
        if last and last[0] == (chrom, gene_id) and span.start < last[1].end:
            joined = last[1]._replace(
                end=max(last[1].end, span.end), line=min(last[1].line, span.line)
            )
            last = last[0], joined
            continue
        if last:
            yield last
        last = (chrom, gene_id), span
    if last:
        yield last


def _outside(spans: Sequence[_Span], genes: Sequence[_Span]) -> list[_Span]:
    """Return the spans that no gene holds whole."""
    starts: dict[str, list[int]] = {}
    ends: dict[str, list[int]] = {}
    for gene in sorted(genes, key=lambda gene: gene.start):
        starts.setdefault(gene.chrom, []).append(gene.start)
        ends.setdefault(gene.chrom, []).append(gene.end)
    reach = {chrom: np.maximum.accumulate(values) for chrom, values in ends.items()}
    outside = []
    for span in spans:
        before = np.searchsorted(starts.get(span.chrom, []), span.start, side="right")
        if not before or reach[span.chrom][before - 1] < span.end:
            outside.append(span)
    return outside


def _counts(kinds: Counter[str]) -> str:
    listed = [f"{kind} {count:,}" for kind, count in kinds.most_common(_MOST_TYPES)]
    if others := kinds.most_common()[_MOST_TYPES:]:
        listed.append(f"{len(others)} other types {sum(count for _, count in others):,}")
    return ", ".join(listed)
