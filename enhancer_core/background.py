"""Background windows of a genome: no N, far from genes, off excluded intervals and off each other.

What is allowed is cut into windows once, and windows are drawn from those. So nothing is tried and
thrown away: the time is linear in the genome, the number that a genome can supply is known, and no
two windows can overlap.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enhancer_core.dna import Letters
from enhancer_core.errors import DatasetError, IntervalError
from enhancer_core.intervals import Intervals, complement, concatenate, slop, tiled_windows

# Bins of a match. The GC share of 500 random bases has a standard deviation of 2.2 %, so finer
# steps would follow chance; repeat shares pile up at 0 and at 1, and an Alu is 60 % of a window.
GC_STEPS = 50
REPEAT_STEPS = 10

_BASE_RUN = re.compile(rb"[ACGTacgt]+")
_LETTERS_AT_ONCE = 2**17  # read for their composition: 128 KB stays in the cache
_UPPER = 0xDF  # clears the bit that makes an ASCII letter lower case


@dataclass(frozen=True, kw_only=True, slots=True)
class BackgroundRules:
    """Where a background window may lie; defaults are Cohn et al. 2018, section 2.3.1.

    Genes and excluded intervals carry the genome's chromosome names. The distance between a window
    and a gene is the number of bp between them, 0 if they touch: a window closer than
    `gene_distance` is one that `bedtools window -w` finds (`bedtools closest -d` counts one more).
    """

    length: int = 500  # of a window, bp
    excluded: Sequence[Intervals] = ()  # a window overlaps none of these
    genes: Intervals | None = None
    gene_distance: int = 15_000  # bp at least between a window and a gene

    def __post_init__(self) -> None:
        if self.length < 1:
            raise IntervalError(f"length of {self.length} bp is not allowed; allowed is 1 or more")
        if self.gene_distance < 0:
            raise IntervalError(
                f"gene distance of {self.gene_distance} bp is not allowed; allowed is 0 or more"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Composition:
    """GC and repeat content of n sequences, the two things that a match follows.

    Raises
    ------
    DatasetError
        If the two differ in length, or a share is not within 0 to 1.
    """

    gc: NDArray[np.float64]  # (n,): share of G and C among A, C, G and T
    repeat: NDArray[np.float64] | None  # (n,): share of lower-case letters; None if not known

    def __post_init__(self) -> None:
        for name, shares in (("GC", self.gc), ("repeat", self.repeat)):
            if shares is None:
                continue
            if shares.shape != (len(self.gc),):
                raise DatasetError(
                    f"{name} shares have shape {shares.shape}; allowed is {(len(self.gc),)}"
                )
            bad = np.flatnonzero(~((shares >= 0) & (shares <= 1)))
            if bad.size:
                raise DatasetError(
                    f"sequence {bad[0]}: {name} share is {shares[bad[0]]}; allowed is 0 to 1"
                )

    def __len__(self) -> int:
        return len(self.gc)

    def take(self, rows: NDArray[np.int64]) -> Composition:
        """Select sequences by index."""
        return Composition(self.gc[rows], None if self.repeat is None else self.repeat[rows])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Candidates:
    """All m windows that a background can be drawn from, in genome order, none overlapping."""

    names: Sequence[str]  # of the genome's chromosomes
    chroms: NDArray[np.int32]  # (m,): index into `names`
    starts: NDArray[np.int64]  # (m,)
    length: int  # bp of each
    composition: Composition  # its `repeat` is None if the genome is not soft-masked
    lost: Mapping[str, int]  # reason -> bp of the genome that no candidate covers because of it
    total: int  # bp of the genome

    def __len__(self) -> int:
        return len(self.starts)

    def windows(self, rows: NDArray[np.int64]) -> Intervals:
        """Select windows by index."""
        starts = self.starts[rows]
        chroms = np.array(self.names, dtype=np.str_)[self.chroms[rows]]
        return Intervals(chroms, starts, starts + self.length, "background")


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """How well a background follows its target."""

    gc_distance: float  # largest difference of the two cumulative distributions (two-sample KS)
    repeat_distance: float | None  # likewise; None if it was not known on both sides: GC alone
    filled: int  # windows taken from the nearest bins, since their own had none left


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Background:
    """Windows drawn, in genome order, their composition, and the match if one was asked for."""

    windows: Intervals
    composition: Composition
    match: Match | None


def measure_composition(letters: Letters) -> Composition:
    """Measure GC and repeat content of soft-masked sequences.

    Parameters
    ----------
    letters
        uint8, shape (n, L): ASCII letters in either case, each row with one of A, C, G, T at least.

    Returns
    -------
    Composition
        n shares of GC, and n of lower-case letters.

    Raises
    ------
    DatasetError
        If a row has none of A, C, G and T.

    Examples
    --------
    >>> measured = measure_composition(np.frombuffer(b"ACgtGGNn", dtype=np.uint8).reshape(2, 4))
    >>> measured.gc.tolist(), measured.repeat.tolist()
    ([0.5, 1.0], [0.5, 0.25])
    """
    upper = letters & _UPPER
    strong = _count((upper == ord("C")) | (upper == ord("G")))
    weak = _count((upper == ord("A")) | (upper == ord("T")))
    with np.errstate(invalid="ignore"):  # 0 / 0: `Composition` says which sequence
        return Composition(strong / (strong + weak), _count(letters >= ord("a")) / letters.shape[1])


def _count(mask: NDArray[np.bool_]) -> NDArray[np.uint32]:
    counts: NDArray[np.uint32] = mask.sum(axis=1, dtype=np.uint32)
    return counts


def candidate_windows(
    letters_of: Callable[[str], Letters],
    lengths: Mapping[str, int],
    rules: BackgroundRules,
    *,
    rng: np.random.Generator,
    progress: Callable[[int, int], None] | None = None,
) -> Candidates:
    """Cut all that the rules allow of a genome into windows that touch and do not overlap.

    Each allowed stretch of S bp gives floor(S / length) windows, the most there can be. What is
    left over is split at random between its two ends. Chromosomes are read one at a time.

    Parameters
    ----------
    letters_of
        Gives the ASCII letters of a chromosome, uint8 (L,), as `Genome.letters` does; windows have
        no letter but A, C, G and T in either case.
    lengths
        bp of each chromosome, in genome order.
    rules
        Where windows may lie.
    rng
        Source of the split.
    progress
        Called after each chromosome with the bp done, and in all.

    Returns
    -------
    Candidates
        Windows in the order of `lengths`; there may be none.

    Raises
    ------
    EnhancerError
        If bedtools is not installed.
    IntervalError
        If a gene or excluded interval is not inside one of the chromosomes, or a chromosome has
        not the length that `lengths` says.

    Examples
    --------
    >>> from enhancer_core.intervals import from_rows
    >>> genome = {"chr1": np.frombuffer(b"ACGTNACGTACGT", dtype=np.uint8)}
    >>> rules = BackgroundRules(length=4, excluded=[from_rows([("chr1", 0, 1)])])
    >>> found = candidate_windows(
    ...     genome.__getitem__, {"chr1": 13}, rules, rng=np.random.default_rng(0)
    ... )
    >>> found.windows(np.arange(2)).names()
    ['chr1:5-9', 'chr1:9-13']
    >>> list(found.lost.values())
    [0, 1, 1, 3]
    """
    near_genes = concatenate([])
    if rules.genes is not None:
        near_genes = slop(rules.genes, lengths, rules.gene_distance)
    off_genes = complement(near_genes, lengths)
    free = complement(concatenate([near_genes, *rules.excluded]), lengths)
    stretches = defaultdict(list)
    for chrom, start, end in zip(
        free.chroms.tolist(), free.starts.tolist(), free.ends.tolist(), strict=True
    ):
        stretches[chrom].append((start, end))

    starts: list[NDArray[np.int64]] = []
    compositions: list[Composition] = []
    done = base_bp = 0
    total = sum(lengths.values())
    for chrom, bp in lengths.items():
        letters = letters_of(chrom)
        if len(letters) != bp:
            raise IntervalError(f"{chrom}: {len(letters)} letters were read; its length is {bp}")
        runs = _base_runs(letters, stretches[chrom])
        base_bp += sum(end - start for start, end in runs)
        starts.append(_tile_starts(chrom, runs, rules.length, rng=rng))
        compositions.extend(_compositions(letters, starts[-1], rules.length))
        del letters  # before the next are read: two chromosomes at once take twice the memory
        done += bp
        if progress is not None:
            progress(done, total)

    counts = [len(part) for part in starts]
    return Candidates(
        names=tuple(lengths),
        chroms=np.repeat(np.arange(len(counts), dtype=np.int32), counts),
        starts=np.concatenate(starts),
        length=rules.length,
        composition=_join(compositions),
        lost={
            f"closer than {rules.gene_distance} bp to a gene": total - _bp(off_genes),
            "in excluded intervals": _bp(off_genes) - _bp(free),
            "not A, C, G or T": _bp(free) - base_bp,
            "left over beside whole windows": base_bp - sum(counts) * rules.length,
        },
        total=total,
    )


def _bp(intervals: Intervals) -> int:
    return int((intervals.ends - intervals.starts).sum())


def _base_runs(letters: Letters, stretches: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Find the runs of A, C, G and T inside stretches, without an array as long as `letters`."""
    return [
        run.span()
        for start, end in stretches
        for run in _BASE_RUN.finditer(letters.data, start, end)
    ]


def _tile_starts(
    chrom: str, runs: Sequence[tuple[int, int]], length: int, *, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Start as many windows in each run as fit, touching, the first of them moved at random."""
    bounds = np.array(runs, dtype=np.int64).reshape(-1, 2)
    bounds = bounds[bounds[:, 1] - bounds[:, 0] >= length]
    left_over = (bounds[:, 1] - bounds[:, 0]) % length
    shift = rng.integers(left_over, endpoint=True)
    whole = Intervals(
        np.full(len(bounds), chrom), bounds[:, 0] + shift, bounds[:, 1] - left_over + shift
    )
    return tiled_windows(whole, length).starts


def _compositions(
    letters: Letters, starts: NDArray[np.int64], length: int
) -> Iterator[Composition]:
    step = max(1, _LETTERS_AT_ONCE // length)
    for first in range(0, len(starts), step):
        windows = np.lib.stride_tricks.sliding_window_view(letters, length)
        yield measure_composition(windows[starts[first : first + step]])


def _join(parts: Sequence[Composition]) -> Composition:
    """Put compositions together; if all letters have one case, repeats are not known."""
    gc = np.concatenate([np.zeros(0), *(part.gc for part in parts)])
    known = (part.repeat for part in parts if part.repeat is not None)
    repeat = np.concatenate([np.zeros(0), *known])
    soft_masked = repeat.size > 0 and 0 < repeat.mean() < 1
    return Composition(gc, repeat if soft_masked else None)


def draw_background(
    candidates: Candidates,
    n: int,
    *,
    rng: np.random.Generator,
    target: Composition | None = None,
) -> Background:
    """Draw background windows without replacement, evenly or so that they follow a target.

    Without a target each candidate has the same chance, so windows spread over the genome by the
    length that is allowed. With one, GC (in steps of 2 %) and repeats (in steps of 10 %) follow
    the target's joint distribution: each bin gets its share of n, rounded by largest remainder.
    A bin with too few candidates takes what is missing from the nearest bins that have some left,
    nearest pair of bins first, one step of either kind counting the same. Where repeats are not
    known on both sides, GC alone is followed.

    Parameters
    ----------
    candidates
        What `candidate_windows` found.
    n
        Windows to draw, at least 1.
    rng
        Source of the draw.
    target
        Composition of, say, the positives.

    Returns
    -------
    Background
        n windows in genome order.

    Raises
    ------
    DatasetError
        If n is below 1 or above the number of candidates, or the target is empty.

    Examples
    --------
    >>> genome = {"chr1": np.frombuffer(b"AAAANCCCCNACGT", dtype=np.uint8)}
    >>> rng = np.random.default_rng(0)
    >>> found = candidate_windows(
    ...     genome.__getitem__, {"chr1": 14}, BackgroundRules(length=4), rng=rng
    ... )
    >>> target = Composition(np.array([0.5]), None)
    >>> draw_background(found, 1, rng=rng, target=target).windows.names()
    ['chr1:10-14']
    """
    if n < 1:
        raise DatasetError(f"{n} background windows asked for; allowed is 1 or more")
    if n > len(candidates):
        lost = ", ".join(f"{bp} {reason}" for reason, bp in candidates.lost.items())
        raise DatasetError(
            f"{n} background windows of {candidates.length} bp asked for; the genome can supply"
            f" {len(candidates)} that do not overlap: of its {candidates.total} bp, {lost}"
        )
    match = None
    if target is None:
        rows = rng.choice(len(candidates), n, replace=False, shuffle=False)
    else:
        rows, match = _follow(target, candidates.composition, n, rng=rng)
    rows = np.sort(rows)
    return Background(
        windows=candidates.windows(rows),
        composition=candidates.composition.take(rows),
        match=match,
    )


def _follow(
    target: Composition, ours: Composition, n: int, *, rng: np.random.Generator
) -> tuple[NDArray[np.int64], Match]:
    """Draw n rows of `ours` so that they follow the target, and say how well they do."""
    if not len(target):
        raise DatasetError("no sequence to match the background to; at least one is needed")
    if ours.repeat is None or target.repeat is None:
        ours, target = Composition(ours.gc, None), Composition(target.gc, None)
    bins = _bins(ours)
    supply = np.bincount(bins, minlength=GC_STEPS * REPEAT_STEPS)
    quotas = _share_out(n, np.bincount(_bins(target), minlength=len(supply)))
    taken = _fill(quotas, supply)
    members = np.split(np.argsort(bins, kind="stable"), np.cumsum(supply)[:-1])
    rows = np.concatenate(
        [
            rng.choice(members[bin_], taken[bin_], replace=False, shuffle=False)
            for bin_ in np.flatnonzero(taken)
        ]
    )
    drawn = ours.take(rows)
    return rows, Match(
        gc_distance=_distance(drawn.gc, target.gc),
        repeat_distance=None
        if drawn.repeat is None or target.repeat is None
        else _distance(drawn.repeat, target.repeat),
        filled=int(np.maximum(taken - quotas, 0).sum()),
    )


def _bins(composition: Composition) -> NDArray[np.int64]:
    """Find the bin of each sequence; repeats that are not known fall in the first step."""
    bins = _step(composition.gc, GC_STEPS) * REPEAT_STEPS
    return bins if composition.repeat is None else bins + _step(composition.repeat, REPEAT_STEPS)


def _step(shares: NDArray[np.float64], steps: int) -> NDArray[np.int64]:
    # 0.58 * 50 is 28.999...: a share at the lower end of a step belongs to it. 1 is in the last.
    return np.minimum((shares * steps + 1e-9).astype(np.int64), steps - 1)


def _share_out(n: int, counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Split n in proportion to counts, by largest remainder; the first of equal ones wins."""
    quotas, remainders = np.divmod(counts * n, counts.sum())
    quotas[np.argsort(-remainders, kind="stable")[: n - quotas.sum()]] += 1
    return quotas


def _fill(quotas: NDArray[np.int64], supply: NDArray[np.int64]) -> NDArray[np.int64]:
    """Take the quotas, and what a bin is short of from the nearest bins with windows to spare."""
    taken = np.minimum(quotas, supply)
    short, spare = np.flatnonzero(quotas > supply), np.flatnonzero(supply > quotas)
    missing, left = (quotas - supply)[short], (supply - quotas)[spare]
    steps = np.stack(np.divmod(np.arange(len(supply)), REPEAT_STEPS))
    apart = ((steps[:, short, np.newaxis] - steps[:, np.newaxis, spare]) ** 2).sum(axis=0)
    for pair in np.argsort(apart, axis=None, kind="stable"):
        needs, gives = divmod(int(pair), len(spare))
        moved = min(missing[needs], left[gives])
        missing[needs] -= moved
        left[gives] -= moved
        taken[spare[gives]] += moved
    return taken


def _distance(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    at = np.concatenate([ours, theirs])
    below = [
        np.searchsorted(np.sort(each), at, side="right") / len(each) for each in (ours, theirs)
    ]
    return float(np.abs(below[0] - below[1]).max())
