"""The two windows of a variant: around its reference allele, and around its alternative allele.

A variant is normalised first: bases shared by both alleles are trimmed at the end, then at the
start, and an insertion or deletion is moved as far left as the genome allows, so that all spellings
of one variant are one (Tan et al. 2015). N is no base to move over.

The reference window is centred on the reference allele in the genome, and the alternative window
on the alternative allele in the genome edited. The centre of an allele [start, end) is
(start + end + 1) // 2, so of L bp an SNV has L // 2 - 1 before it: the window that kipoi-veff
takes. Beyond a chromosome's ends a window holds N.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from enhancer_core.dna.codes import N_CODE, Codes
from enhancer_core.io.genome import Genome

Fetch = Callable[[int, int], Codes]  # codes of [start, end) of a chromosome, N beyond its ends

_REACH = 64  # bp read at first to move an indel left, then ever more
_NO_BASE = 255  # a code that equals none


@dataclass(frozen=True, slots=True)
class Edit:
    """Bases from `start`, 0-based, replaced by others: codes uint8 (r,) and (a,), maybe empty."""

    start: int
    reference: Codes
    alternative: Codes


def padded_codes(genome: Genome, chrom: str, start: int, end: int) -> Codes:
    """Fetch the codes of [start, end) of a chromosome, N beyond its ends: uint8 (end - start,)."""
    limit = genome.lengths[chrom]
    if 0 <= start <= end <= limit:
        return genome.codes(chrom, start, end)
    inside = genome.codes(chrom, min(max(start, 0), limit), min(max(end, 0), limit))
    return np.pad(inside, (max(-start, 0), max(end - limit, 0)), constant_values=N_CODE)


def normalise(edit: Edit, fetch: Fetch) -> Edit:
    """Trim the bases that both alleles share, and move an insertion or deletion left.

    The edit's reference bases are those that `fetch` reads; alleles that are equal come back empty.
    """
    reference, alternative = edit.reference, edit.alternative
    if len(reference) == len(alternative) == 1 and reference[0] != alternative[0]:
        return edit
    suffix = _shared(reference[::-1], alternative[::-1])
    reference = reference[: len(reference) - suffix]
    alternative = alternative[: len(alternative) - suffix]
    prefix = _shared(reference, alternative)
    start, reference, alternative = edit.start + prefix, reference[prefix:], alternative[prefix:]
    if bool(len(reference)) == bool(len(alternative)):
        return Edit(start, reference, alternative)
    # Each step left puts the allele's last base before its first, so its bases repeat on the way.
    allele = reference if len(reference) else alternative
    moved = reach = 0
    while moved == reach:
        reach = 2 * reach + _REACH
        before = fetch(max(start - reach, 0), start)[::-1]
        repeats = np.resize(allele[::-1], len(before))
        moved = _shared(before, np.where(before == N_CODE, _NO_BASE, repeats))
    allele = np.roll(allele, moved)
    empty = allele[:0]
    start -= moved
    return Edit(start, allele, empty) if len(reference) else Edit(start, empty, allele)


def _shared(one: Codes, other: Codes) -> int:
    """Count the leading bases that are equal."""
    length = min(len(one), len(other))
    if not length or one[0] != other[0]:
        return 0
    differ = one[:length] != other[:length]
    return int(differ.argmax()) if differ.any() else length


def window_start(start: int, size: int, length: int) -> int:
    """Return the start of the window of `length` bp around an allele of `size` bp."""
    return (2 * start + size + 1) // 2 - length // 2


def windows(edit: Edit, length: int, fetch: Fetch) -> tuple[Codes, Codes]:
    """Cut the reference window and the alternative window of an edit, as the module says.

    The edit is normalised, so that spellings do not matter. Of alleles longer than `length` bp the
    window is the middle.
    """
    first = window_start(edit.start, len(edit.reference), length)
    if len(edit.reference) == len(edit.alternative) < length:  # most variants, at half the time
        window = fetch(first, first + length)
        edited = window.copy()
        edited[edit.start - first :][: len(edit.alternative)] = edit.alternative
        return window, edited
    end = edit.start + len(edit.reference)
    first_edited = window_start(edit.start, len(edit.alternative), length)
    # What the edited window needs on the right, in positions of the genome before the edit.
    last = first_edited + length + len(edit.reference) - len(edit.alternative)
    low, high = min(first, first_edited, edit.start), max(first + length, last, end)
    around = fetch(low, high)
    edited = np.concatenate([around[: edit.start - low], edit.alternative, around[end - low :]])
    return (
        around[first - low : first - low + length],
        edited[first_edited - low : first_edited - low + length],
    )
