"""Scores of variants, for use from Python."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from enhancer_core.errors import FileError
from enhancer_core.io.genome import open_genome
from enhancer_core.io.vcf import VcfRecord, open_vcf, parse_record
from enhancer_core.models.model import Model
from enhancer_core.prediction.vcf import score_records

_UNKNOWN = (float("nan"),) * 4


class VariantScore(NamedTuple):
    """The effect of one alternative allele; numbers are nan where it was not scored.

    `difference` is in probability, `logit` in natural log odds, both alternative minus reference.
    """

    chrom: str
    position: int  # 1-based, as in VCF
    reference: str
    alternative: str
    reference_probability: float
    alternative_probability: float
    difference: float
    logit: float
    skipped: str  # why it was not scored; empty if it was


def score_variants(
    model: Model,
    variants: str | Path | Iterable[str],
    genome: str | Path,
    *,
    skip_mismatch: bool = False,
    device: str = "auto",
    threads: int = 1,
) -> list[VariantScore]:
    """Score the effect of variants: SNVs, insertions and deletions, mean of both strands.

    Parameters
    ----------
    variants
        VCF or BCF file; or strings CHROM:POSITION:REF:ALT, positions from 1.
    genome
        FASTA file of the assembly of the variants, plain or compressed.
    skip_mismatch
        Skip variants that do not fit the genome, with the reason.
    model, device, threads
        As in `predict`.

    Returns
    -------
    list of VariantScore
        One for each alternative allele, in input order; `pandas.DataFrame` takes it.

    Raises
    ------
    FileError
        If a file cannot be read, a variant is malformed, or the genome has another base than REF.
    DeviceError
        If the device is not there.
    """
    predictor = model.predictor(device)
    scores: list[VariantScore] = []
    with open_genome(Path(genome)) as opened:
        scored = score_records(
            _records(variants), predictor, opened, skip_mismatch=skip_mismatch, threads=threads
        )
        for record, alternatives in scored:
            alleles = record.chrom, record.position + 1, record.reference
            for allele, result in zip(record.alternatives, alternatives, strict=False):
                numbers, reason = (_UNKNOWN, result) if isinstance(result, str) else (result, "")
                scores.append(VariantScore._make((*alleles, allele, *numbers, reason)))
    return scores


def _records(variants: str | Path | Iterable[str]) -> Iterator[VcfRecord]:
    if isinstance(variants, str | Path):
        with open_vcf(Path(variants)) as vcf:
            yield from vcf.records
        return
    for number, variant in enumerate(variants, start=1):
        where = f"variant {number}"
        fields = variant.rsplit(":", 3)  # a contig's name may have a colon
        if len(fields) != 4:
            raise FileError(f"{where}: '{variant}'; allowed is CHROM:POSITION:REF:ALT")
        chrom, position, reference, alternative = (field.encode() for field in fields)
        columns = (chrom, position, b".", reference, alternative, b".", b".", b".")
        yield parse_record(where, b"\t".join(columns))
