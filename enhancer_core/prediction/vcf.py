"""Effects of the variants of a VCF, as INFO fields."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np

from enhancer_core import __version__
from enhancer_core.dna.codes import BASES_OF_IUPAC, CODE_OF_LETTER, Codes, is_mostly_n
from enhancer_core.errors import FileError, IntervalError
from enhancer_core.io.files import sha256
from enhancer_core.io.genome import Genome
from enhancer_core.io.vcf import Field, VcfRecord, short, why_bad, why_unscorable
from enhancer_core.models.ensemble import Predictor
from enhancer_core.models.model import model_file
from enhancer_core.prediction.alleles import Edit, Fetch, normalise, padded_codes, windows
from enhancer_core.prediction.scoring import effects

_PROBABILITY = (
    "Probability that the window around the {} allele is an enhancer, by the mean log odds of both"
    " strands"
)
_NUMBERS = {
    "REF": _PROBABILITY.format("reference"),
    "ALT": _PROBABILITY.format("alternative"),
    "DIFF": "Difference of these probabilities, alternative minus reference",
    "LOGIT": "Difference of their log odds (natural), alternative minus reference",
}
_KEY = re.compile("[A-Za-z_][0-9A-Za-z_.]*")  # what VCF allows for an INFO key
_REASON = "Why an ALT was not scored, one reason an ALT; . for those that were"
FIELDS = (
    *(Field(id=name, number="A", type="Float", description=_NUMBERS[name]) for name in _NUMBERS),
    Field(id="SKIP", number=".", type="String", description=_REASON),
)
_spelled = "{:.6g}".format
_BLOCK = 2048  # records scored at once
_HINT = "(--skip-mismatch passes such records through)"
_LEAST, _CHANCE = 4, 0.5  # REF alleles that do not fit: how many tell, and from which share


def check_prefix(prefix: str) -> None:
    """Raise unless a prefix of INFO fields may be one.

    Raises
    ------
    FileError
        If VCF does not allow it.
    """
    if not _KEY.fullmatch(prefix):
        raise FileError(
            f"prefix '{prefix}' is not allowed; allowed are letters, digits, _ and ., the first"
            " a letter or _"
        )


class Tally:
    """Counts ALTs as they are scored or skipped, for what a user is told at the end."""

    def __init__(self) -> None:
        self.alleles: Counter[str] = Counter()  # by the reason; "" for those that were scored
        self.checked = self.misfits = 0  # records whose REF was looked up, and differs

    def add(self, alternatives: Sequence[str | Sequence[float]]) -> None:
        """Count the ALTs of a record, and its REF."""
        if len(alternatives) == 1 and not isinstance(alternatives[0], str):  # most: half the time
            self.alleles[""] += 1
            self.checked += 1
            return
        reasons = [each if isinstance(each, str) else "" for each in alternatives]
        self.alleles.update(reason for reason in reasons if reason != "no_alt")
        self.checked += not {"", "ref_mismatch"}.isdisjoint(reasons)
        self.misfits += "ref_mismatch" in reasons

    def lines(self, name: str) -> Iterator[str]:
        """Describe what was not scored; `name` is the prefix of the INFO fields."""
        others = [(reason, n) for reason, n in self.alleles.most_common() if reason]
        if others:
            listed = ", ".join(f"{n:,} {reason}" for reason, n in others)
            yield f"ALTs that were not scored, by {name}_SKIP: {listed}"
        if self.checked >= _LEAST and self.misfits >= _CHANCE * self.checked:
            yield (
                f"warning: REF differs from the genome in {self.misfits:,} of {self.checked:,}"
                " records, as by chance: is it another assembly, or are positions not counted"
                " from 1?"
            )


def describe_model(prefix: str, path: Path) -> bytes:
    """Return the header line that says which model the fields of a prefix come from."""
    digest = sha256(model_file(path))
    values = f'ID={prefix},Model="{path.resolve().name}",SHA256={digest},Version={__version__}'
    return f"##enhancer_core=<{values}>".encode()


def describe_contigs(contigs: Mapping[str, int], genome: Genome) -> str:
    """Return a line on chromosomes that have another length in a VCF's header; "" for none."""
    found = [(genome.find(chrom), chrom, bp) for chrom, bp in contigs.items()]
    known = [(genome.lengths[ours], chrom, bp) for ours, chrom, bp in found if ours is not None]
    differ = [(bp, chrom, theirs) for bp, chrom, theirs in known if bp != theirs]
    if not differ:
        return ""
    bp, chrom, theirs = differ[0]
    return (
        f"warning: {len(differ):,} of {len(known):,} chromosomes have another length in the header"
        f" than in {genome.path} ({chrom} {theirs:,}, not {bp:,} bp): is it another assembly?"
    )


def annotate(
    records: Iterable[VcfRecord],
    predictor: Predictor,
    genome: Genome,
    *,
    skip_mismatch: bool = False,
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
    tally: Tally | None = None,
) -> Iterator[tuple[VcfRecord, Mapping[str, str]]]:
    """Score every ALT of VCF records, and yield each record with the values of its INFO fields.

    As `score_records`, with values by the names in `FIELDS`: one an ALT, "." for none. `tally`
    counts them.
    """
    for record, alternatives in score_records(
        records, predictor, genome,
        skip_mismatch=skip_mismatch, threads=threads, progress=progress,
    ):  # fmt: skip
        if tally is not None:
            tally.add(alternatives)
        yield record, _info(alternatives)


def score_records(
    records: Iterable[VcfRecord],
    predictor: Predictor,
    genome: Genome,
    *,
    skip_mismatch: bool = False,
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Iterator[tuple[VcfRecord, list[str | list[float]]]]:
    """Score every ALT of VCF records.

    ALTs that spell no sequence (symbolic, breakends, `*`) and those equal to REF are not scored;
    a record that has no other is not checked against the genome. Nor are ALTs of which a window
    would be mostly N, as `predict` has no value for one along a genome. Where the genome has an
    IUPAC ambiguity code, REF says which of its bases to read.

    Records may be in any order, and are read a block at a time; chromosome names match exactly, or
    by the rule chr1 = 1. With `skip_mismatch` records that do not fit the genome, and alleles that
    are no sequences, pass with the reason in the place of scores. `progress` is called with the
    number of records done since the last call.

    Yields
    ------
    tuple of VcfRecord and list
        For each ALT the probabilities of the reference and of the alternative window, by the mean
        log odds of both strands, their difference, and that of the log odds; or why it has none.

    Raises
    ------
    FileError
        If the genome lacks a record's chromosome or position, or has another base than REF; or an
        allele is no sequence.
    """
    length = predictor.length
    remaining = iter(records)
    while block := list(islice(remaining, _BLOCK)):
        plans = [_plan(record, genome, length, skip_mismatch=skip_mismatch) for record in block]
        pairs = [pair for plan in plans for pair in plan if not isinstance(pair, str)]
        shared: dict[bytes, int] = {}  # each reference window once, and its row
        rows = [shared.setdefault(pair[0].tobytes(), len(shared)) for pair in pairs]
        references, alternatives = (
            np.frombuffer(b"".join(windows), dtype=np.uint8).reshape(-1, length)
            for windows in (shared, (pair[1].tobytes() for pair in pairs))
        )
        scores = effects(predictor, references, alternatives, rows, threads=threads)
        columns = (scores.reference, scores.alternative, scores.difference, scores.logit)
        values = iter(np.stack(columns, axis=1).tolist())
        for record, plan in zip(block, plans, strict=True):
            yield record, [each if isinstance(each, str) else next(values) for each in plan]
        if progress is not None:
            progress(len(block))


def _plan(
    record: VcfRecord, genome: Genome, length: int, *, skip_mismatch: bool
) -> list[str | tuple[Codes, Codes]]:
    """Return for each ALT its two windows, or the reason why it has none."""
    reasons: list[str | None] = []
    try:
        reasons += _unreadable(record, skip_mismatch=skip_mismatch)
        if None not in reasons:
            return [str(reason) for reason in reasons] or ["no_alt"]
        reference = record.reference
        if why := why_bad(reference):
            raise _MisfitError(f"{record.where}: REF {why} {_HINT}", "bad_allele")
        chrom = _chromosome(record, genome)
        end = record.position + len(reference)
        even = all(len(each) == len(reference) for each in record.alternatives)
        reach = length // 2 + 1 if even else length  # what a window of equal alleles needs
        fetch = _fetch(genome, chrom, record.position, end, reach)
        codes = _codes(reference)
        if (
            fetch(record.position, end).tobytes() != codes.tobytes()
        ):  # a tenth of array_equal's time
            _check_ambiguous(record, genome, chrom)
            fetch = _fetch(genome, chrom, record.position, end, reach, codes)
    except _MisfitError as misfit:
        if not skip_mismatch:
            raise
        return [reason or misfit.reason for reason in reasons]
    plan: list[str | tuple[Codes, Codes]] = []
    for allele, reason in zip(record.alternatives, reasons, strict=True):
        if reason is None:
            edit = normalise(Edit(record.position, codes, _codes(allele)), fetch)
            pair = windows(edit, length, fetch)
            plan.append("mostly_n" if any(map(is_mostly_n, pair)) else pair)
        else:
            plan.append(reason)
    return plan


def _unreadable(record: VcfRecord, *, skip_mismatch: bool) -> Iterator[str | None]:
    """Yield for each ALT why it spells no other sequence than REF; None if it does."""
    for alternative in record.alternatives:
        if alternative == record.reference:
            yield "alt_is_ref"
        elif (reason := why_unscorable(alternative)) or not (why := why_bad(alternative)):
            yield reason
        elif skip_mismatch:
            yield "bad_allele"
        else:
            raise _MisfitError(f"{record.where}: ALT {why} {_HINT}", "bad_allele")


class _MisfitError(FileError):
    """A record that does not fit the genome, with the reason as SKIP has it."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


def _chromosome(record: VcfRecord, genome: Genome) -> str:
    """Find a record's chromosome, and check that the record is inside."""
    try:
        chrom = genome.name_of(record.chrom, record.where)
    except IntervalError as error:
        raise _MisfitError(str(error), "unknown_chromosome") from error
    start, end = record.position, record.position + len(record.reference)
    if not 0 <= start < end <= genome.lengths[chrom]:
        raise _MisfitError(
            f"{record.where}: position {start + 1}, REF of {end - start} bp, is not inside"
            f" {record.chrom}; allowed are 1 to {genome.lengths[chrom]}",
            "outside_chromosome",
        )
    return chrom


def _check_ambiguous(record: VcfRecord, genome: Genome, chrom: str) -> None:
    """Check a REF that differs from the genome: it may where the genome has an ambiguity code."""
    start = record.position
    letters = genome.letters(chrom, start, start + len(record.reference)).tobytes().decode().upper()
    for base, letter in zip(record.reference, letters, strict=True):
        if base not in (letter, *BASES_OF_IUPAC.get(letter, "")):
            raise _MisfitError(
                f"{record.where}: REF is {short(record.reference)}, but {genome.path} has"
                f" {short(letters)} at {record.chrom}:{start + 1}; is it the assembly of the"
                f" variants? {_HINT}",
                "ref_mismatch",
            )


@lru_cache  # most alleles are one of four
def _codes(allele: str) -> Codes:
    return CODE_OF_LETTER[np.frombuffer(allele.encode(), dtype=np.uint8)]


def _fetch(
    genome: Genome, chrom: str, start: int, end: int, reach: int, inside: Codes | None = None
) -> Fetch:
    """Make a reader of a chromosome; `reach` bp around an interval are read once, beforehand.

    `inside` takes the place of what the genome has in the interval.
    """
    low, high = start - reach, end + reach
    around = padded_codes(genome, chrom, low, high)
    if inside is not None:
        around = np.concatenate([around[:reach], inside, around[reach + end - start :]])

    def fetch(start: int, end: int) -> Codes:
        if low <= start and end <= high:
            return around[start - low : end - low]
        return padded_codes(genome, chrom, start, end)

    return fetch


def _info(alternatives: Sequence[str | Sequence[float]]) -> dict[str, str]:
    """Spell the INFO fields of a record, of scores or a reason for each ALT."""
    if len(alternatives) == 1 and not isinstance(alternatives[0], str):  # most: a third of the time
        return dict(zip(_NUMBERS, map(_spelled, alternatives[0]), strict=True))
    info: dict[str, str] = {}
    scored = [not isinstance(values, str) for values in alternatives]
    if any(scored):
        for column, name in enumerate(_NUMBERS):
            info[name] = ",".join(
                "." if isinstance(values, str) else _spelled(values[column])
                for values in alternatives
            )
    if not all(scored):
        info["SKIP"] = ",".join(
            values if isinstance(values, str) else "." for values in alternatives
        )
    return info
