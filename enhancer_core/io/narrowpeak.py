"""Summits of narrowPeak files, of which other BED files with ten columns are told apart."""

from __future__ import annotations

import re

from enhancer_core.errors import IntervalError
from enhancer_core.io.files import StrPath

_NUMBER = r"-?(?:[0-9]+\.?[0-9]*(?:[eE][-+]?[0-9]+)?|inf)"
# UCSC's format: BED6, then signal, -log10 p, -log10 q, and the summit's offset from the start.
_ROW = re.compile(
    rf"([^\t]+)\t[0-9]+\t[0-9]+\t[^\t]*\t{_NUMBER}\t[-+.]"
    rf"\t({_NUMBER})\t({_NUMBER})\t{_NUMBER}\t(-1|[0-9]{{1,18}})"
)
_COLUMNS = 10
_NAME = re.compile(r"\.narrowpeak(\.gz)?$", re.IGNORECASE)
_TRACK = re.compile(r"\btype=[\"']?narrowPeak\b", re.IGNORECASE)


class Summits:
    """The summits of a file's rows: there are some only if every row is narrowPeak.

    A file says that it is narrowPeak by its rows, its name or a `track` line. Where rows alone say
    it, columns 7 and 8 must not be thickStart and thickEnd, nor column 7 a chromosome, in all rows.
    """

    def __init__(self, path: StrPath) -> None:
        self.path = path
        self.declared = bool(_NAME.search(str(path)))
        self.misfit = ""  # the first row that is not narrowPeak, and why
        self.expected = self.declared  # whether a user may take it for narrowPeak
        self._other = True  # whether all rows could be of another format

    def read_track(self, line: str) -> None:
        """Read a `track` line, which may give the type."""
        if _TRACK.search(line):
            self.declared = self.expected = True

    def read_row(self, where: str, line: str, start: int, end: int) -> int:
        """Read the summit of a peak: its position, or -1 for none.

        Raises
        ------
        IntervalError
            If a file that calls itself narrowPeak has a summit outside a peak.
        """
        line = line.rstrip()
        columns = line.count("\t") + 1
        self.expected |= columns == _COLUMNS
        if self.misfit:
            return -1
        row = _ROW.fullmatch(line)
        if row is None:
            self.misfit = f"{where}: " + (
                "columns 5 to 10 are not those of narrowPeak"
                if columns == _COLUMNS
                else f"{columns} columns; narrowPeak has {_COLUMNS}"
            )
            return -1
        chrom, signal, p, offset = row.group(1), row.group(2), row.group(3), int(row.group(4))
        if offset >= end - start:
            problem = f"{where}: summit {offset} of a peak of {end - start} bp; allowed are 0 to"
            problem += f" {end - start - 1}, and -1 for none"
            if self.declared:
                raise IntervalError(problem)
            self.misfit = problem
            return -1
        thick = signal.isdigit() and p.isdigit() and start <= int(signal) <= int(p) <= end
        self._other &= thick or signal == chrom
        return -1 if offset < 0 else start + offset

    def problem(self) -> str:
        """Return why the rows that were read have no summits; '' if they have."""
        if not self.misfit and self._other and not self.declared:
            self.misfit = f"{self.path}: columns 7 to 9 could be of another format than narrowPeak"
        return self.misfit
