"""Effects of the variants of a VCF, as INFO fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice

import numpy as np

from enhancer_core.dna.codes import CODE_OF_LETTER, Codes, decode
from enhancer_core.errors import FileError, IntervalError
from enhancer_core.io.genome import Genome
from enhancer_core.io.vcf import Field, VcfRecord, why_unscorable
from enhancer_core.models.ensemble import Predictor
from enhancer_core.prediction.alleles import Edit, Fetch, normalise, padded_codes, windows
from enhancer_core.prediction.scoring import effects

PREFIX = "EC_"  # of the INFO fields
_PROBABILITY = (
    "Probability that the window around the {} allele is an enhancer, mean of both strands"
)
_ODDS = "Log odds (natural) of the alternative window minus those of the reference window, mean of"
_NUMBERS = {
    "REF": _PROBABILITY.format("reference"),
    "ALT": _PROBABILITY.format("alternative"),
    "DIFF": "EC_ALT - EC_REF",
    "LOGIT": f"{_ODDS} both strands",
}
_REASON = "Why an ALT was not scored, one reason an ALT; . for those that were"
FIELDS = (
    *(Field(id=name, number="A", type="Float", description=_NUMBERS[name]) for name in _NUMBERS),
    Field(id="SKIP", number=".", type="String", description=_REASON),
)
_spelled = "{:.6g}".format
_BLOCK = 2048  # records scored at once
_SHOWN = 20  # letters of an allele in a message


def annotate(
    records: Iterable[VcfRecord],
    predictor: Predictor,
    genome: Genome,
    *,
    skip_mismatch: bool = False,
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Iterator[tuple[VcfRecord, Mapping[str, str]]]:
    """Score every ALT of VCF records, and yield each record with the values of its INFO fields.

    As `score_records`, with values by the names in `FIELDS`: one an ALT, "." for none.
    """
    for record, alternatives in score_records(
        records, predictor, genome,
        skip_mismatch=skip_mismatch, threads=threads, progress=progress,
    ):  # fmt: skip
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
    a record that has no other is not checked against the genome.

    Records may be in any order, and are read a block at a time; chromosome names match exactly, or
    by the rule chr1 = 1. With `skip_mismatch` records that do not fit the genome pass, with the
    reason in the place of scores. `progress` is called with the number of records done since the
    last call.

    Yields
    ------
    tuple of VcfRecord and list
        For each ALT the probabilities of the reference and of the alternative window, their
        difference, and the difference of the log odds, means of both strands; or why it has none.

    Raises
    ------
    FileError
        If the genome lacks a record's chromosome or position, or has another base than REF.
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
    reasons = [
        "alt_is_ref" if alternative == record.reference else why_unscorable(alternative)
        for alternative in record.alternatives
    ]
    if None not in reasons:
        return [str(reason) for reason in reasons] or ["no_alt"]
    try:
        chrom = _chromosome(record, genome)
        end = record.position + len(record.reference)
        even = all(len(each) == len(record.reference) for each in record.alternatives)
        reach = length // 2 + 1 if even else length  # what a window of equal alleles needs
        fetch = _fetch(genome, chrom, record.position, end, reach)
        reference = _checked_reference(record, genome, fetch)
    except _MisfitError as misfit:
        if not skip_mismatch:
            raise
        return [reason or misfit.reason for reason in reasons]
    edits = (Edit(record.position, reference, _codes(allele)) for allele in record.alternatives)
    return [
        reason or windows(normalise(edit, fetch), length, fetch)
        for edit, reason in zip(edits, reasons, strict=True)
    ]


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


def _checked_reference(record: VcfRecord, genome: Genome, fetch: Fetch) -> Codes:
    """Return the codes of REF, which must be what the genome has."""
    reference = _codes(record.reference)
    there = fetch(record.position, record.position + len(reference))
    if there.tobytes() != reference.tobytes():  # a tenth of the time of array_equal
        raise _MisfitError(
            f"{record.where}: REF is {_short(record.reference)}, but {genome.path} has"
            f" {_short(decode(there[np.newaxis])[0])} at {record.chrom}:{record.position + 1}; is"
            " it the assembly of the variants? (--skip-mismatch passes such records through)",
            "ref_mismatch",
        )
    return reference


@lru_cache  # most alleles are one of four
def _codes(allele: str) -> Codes:
    return CODE_OF_LETTER[np.frombuffer(allele.encode(), dtype=np.uint8)]


def _short(allele: str) -> str:
    return allele if len(allele) <= _SHOWN else f"{allele[:_SHOWN]}... ({len(allele)} bp)"


def _fetch(genome: Genome, chrom: str, start: int, end: int, reach: int) -> Fetch:
    """Make a reader of a chromosome; `reach` bp around an interval are read once, beforehand."""
    low, high = start - reach, end + reach
    around = padded_codes(genome, chrom, low, high)

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
