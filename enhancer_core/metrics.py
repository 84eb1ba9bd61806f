"""How well scores tell positives from negatives, each figure with a bootstrap interval.

Point values are scikit-learn's. Resampling with its functions would take seconds to minutes, so
the bootstrap works on counts instead: sequences are sorted once, a resample is how often each
distinct score was drawn in either class, and every figure follows from running sums of those.

Resamples are stratified: as many positives and as many negatives as there were. Their numbers were
chosen by whoever built the data set, and average precision and accuracy depend on them, so letting
them vary would widen the intervals with a chance that the model has no part in.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata
from scipy.stats import t as t_distribution
from sklearn.metrics import accuracy_score, average_precision_score, roc_auc_score

from enhancer_core.errors import EnhancerError

Labels: TypeAlias = NDArray[np.bool_]  # (n,): True for a positive
Floats: TypeAlias = NDArray[np.float64]
Counts: TypeAlias = NDArray[np.int64]  # (G,) or (B, G): how often each of G distinct scores occurs

# Counts drawn at a time, B x G. Arrays of 2 MB stay in the cache (n = 7,000 takes 0.16 s; with
# 32 MB, 0.8 s) and bound the memory for any n. The order of draws, so every interval, rests on it.
RESAMPLED_AT_ONCE = 2**18

THRESHOLD = 0.5  # a probability from here up is a call
CURVE_POINTS = 200


class ScoreError(EnhancerError):
    """Labels and scores do not allow the figure asked for."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and the ends of its confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Metrics:
    """Figures of one set of scores, and how their intervals were made."""

    figures: Mapping[str, Estimate]  # as in FIGURES
    n_positive: int
    n_negative: int
    confidence: float
    resamples: int

    @property
    def auc(self) -> Estimate:
        """Area under the ROC curve."""
        return self.figures["auc"]

    @property
    def average_precision(self) -> Estimate:
        """Average precision."""
        return self.figures["average_precision"]

    @property
    def accuracy(self) -> Estimate:
        """Share of sequences on their own side of 0.5."""
        return self.figures["accuracy"]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as they stand in a metrics.json, each with `value`, `low`, `high`."""
        return {
            **{name: asdict(estimate) for name, estimate in self.figures.items()},
            "positives": self.n_positive,
            "negatives": self.n_negative,
            "confidence": self.confidence,
            "resamples": self.resamples,
        }


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Curve:
    """A curve and its pointwise confidence band, four arrays of one length."""

    x: Floats
    y: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Curves:
    """The two curves of one set of scores."""

    roc: Curve  # true-positive rate over false-positive rate
    precision_recall: Curve  # precision over recall


def evaluate(
    labels: Labels,
    scores: ArrayLike,
    *,
    rng: np.random.Generator,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> Metrics:
    """Measure how well scores tell positives from negatives: AUC, average precision, accuracy.

    Intervals are percentiles of a bootstrap stratified by class (Efron and Tibshirani 1993,
    chapter 13).

    Parameters
    ----------
    labels
        bool, shape (n,): True for a positive.
    scores
        float, shape (n,), finite: the higher, the more likely positive. The accuracy counts 0.5 and
        more as called positive; where scores are not probabilities only the other two have a sense.
    rng, resamples
        Source of the resamples, and how many to draw.
    confidence
        Share of resamples inside an interval, between 0 and 1.

    Raises
    ------
    ScoreError
        If labels are not bool or all of one class, lengths differ, a score is not finite,
        `resamples` is not positive or `confidence` is not between 0 and 1.
    """
    scores = _checked(labels, scores)
    tails = _tails(confidence)
    distinct, positives, negatives = _tied_counts(labels, scores)
    n_called = int((distinct >= THRESHOLD).sum())
    blocks = _resample(positives, negatives, rng=rng, resamples=resamples)
    drawn = np.concatenate([_figures(*block, n_called) for block in blocks], axis=1)
    lows, highs = np.quantile(drawn, tails, axis=1)
    return Metrics(
        figures={
            name: Estimate(float(value(labels, scores)), float(low), float(high))
            for (name, (value, _)), low, high in zip(FIGURES.items(), lows, highs, strict=True)
        },
        n_positive=int(positives.sum()),
        n_negative=int(negatives.sum()),
        confidence=confidence,
        resamples=resamples,
    )


def roc_auc(labels: Labels, scores: ArrayLike) -> float:
    """Return the area under the ROC curve, fast enough for every epoch.

    It is the chance that a random positive scores above a random negative, ties counting half
    (Hanley and McNeil 1982). scikit-learn's function takes about ten times as long at n = 7,000.
    Parameters and errors are those of `evaluate`.
    """
    _, positives, negatives = _tied_counts(labels, _checked(labels, scores))
    return float(_auc(_Counts(positives[None], negatives[None]))[0])


def auc_difference(
    labels: Labels, scores: ArrayLike, other_scores: ArrayLike, *, confidence: float = 0.95
) -> Estimate:
    """Estimate by how much one model's AUC exceeds another's on the same sequences.

    Two intervals may overlap although one model is reliably better, because both saw the same easy
    and hard sequences. Pairing the scores removes that shared chance: DeLong, DeLong and
    Clarke-Pearson 1988, in the rank form of Sun and Xu 2014. Parameters are those of `evaluate`.
    The result is the AUC of `scores` less that of `other_scores`, with a normal interval.

    Raises
    ------
    ScoreError
        As `evaluate`, and if a class has fewer than two sequences.
    """
    placements = [_placements(labels, _checked(labels, s)) for s in (scores, other_scores)]
    of_positives, of_negatives = (ours - theirs for ours, theirs in zip(*placements, strict=True))
    for name, values in (("positives", of_positives), ("negatives", of_negatives)):
        if values.size < 2:
            raise ScoreError(f"the labels hold one of the {name}; a paired interval needs two")
    variance = sum(values.var(ddof=1) / values.size for values in (of_positives, of_negatives))
    half_width = NormalDist().inv_cdf(_tails(confidence)[1]) * float(variance) ** 0.5
    value = float(of_positives.mean())
    return Estimate(value, value - half_width, value + half_width)


def mean_over_folds(values: Sequence[float], *, confidence: float = 0.95) -> Estimate:
    """Estimate a mean over folds, with Student's interval.

    Models of different folds learn from some of the same data, so that the interval is a little
    too narrow (Bengio and Grandvalet 2004).

    Raises
    ------
    ScoreError
        If there are fewer than two values.

    Examples
    --------
    >>> mean = mean_over_folds([0.7, 0.8, 0.9])
    >>> round(mean.value, 3), round(mean.low, 3), round(mean.high, 3)
    (0.8, 0.552, 1.048)
    """
    if len(values) < 2:
        raise ScoreError(f"{len(values)} folds; an interval needs two or more")
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1)) / len(values) ** 0.5
    reach = float(t_distribution.ppf((1 + confidence) / 2, len(values) - 1)) * error
    return Estimate(mean, mean - reach, mean + reach)


def curves(
    labels: Labels,
    scores: ArrayLike,
    *,
    rng: np.random.Generator,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> Curves:
    """Trace the ROC and precision-recall curves with pointwise bootstrap bands.

    The ROC curve is interpolated linearly between thresholds. Precision is not, since a straight
    line there is optimistic (Davis and Goadrich 2006): at each recall it is that of the highest
    threshold that reaches it. Curves have 200 points, evenly spaced in false-positive rate (from 0)
    or recall (above 0). Parameters and errors are those of `evaluate`; `confidence` is the share of
    resamples inside the band at any one point.
    """
    scores = _checked(labels, scores)
    tails = _tails(confidence)
    _, positives, negatives = _tied_counts(labels, scores)
    false_rate = np.linspace(0, 1, CURVE_POINTS)
    recall = np.linspace(0, 1, CURVE_POINTS + 1)[1:]
    value = _trace(positives, negatives, false_rate, recall)
    drawn = np.array(
        [
            _trace(*resample, false_rate, recall)
            for block in _resample(positives, negatives, rng=rng, resamples=resamples)
            for resample in zip(*block, strict=True)
        ]
    )
    low, high = np.quantile(drawn, tails, axis=0)
    return Curves(
        roc=Curve(x=false_rate, y=value[0], low=low[0], high=high[0]),
        precision_recall=Curve(x=recall, y=value[1], low=low[1], high=high[1]),
    )


def block_bootstrap(
    sums: NDArray[np.float32],
    statistics: Callable[[Floats], Floats],
    *,
    rng: np.random.Generator,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> tuple[Floats, Floats, Floats]:
    """Estimate statistics of sums over blocks, whose members are not independent of each other.

    Intervals are percentiles of a bootstrap of whole blocks (Davison and Hinkley 1997, section
    8.2.3), as neighbours along a genome ask for: windows overlap, and a peak has many.

    Parameters
    ----------
    sums
        float32, shape (B, K): K sums over each of B blocks, such as counts.
    statistics
        Makes S figures, (n, S), of the sums over all blocks, float64 (n, K); NaN where there are
        none. It is called with several resamples at once.
    rng, resamples, confidence
        As in `evaluate`.

    Returns
    -------
    three arrays, float64 (S,)
        The figures, and the ends of their intervals.

    Raises
    ------
    ScoreError
        If `resamples` is not positive or `confidence` is not between 0 and 1.

    Examples
    --------
    >>> counts = np.array([[4, 1], [6, 9]], np.float32)
    >>> value, *_ = block_bootstrap(
    ...     counts, lambda sums: sums[:, :1] / sums.sum(1)[:, None], rng=np.random.default_rng(0)
    ... )
    >>> value.tolist()
    [0.5]
    """
    tails = _tails(confidence)
    if resamples < 1:
        raise ScoreError(f"resamples is {resamples}; allowed is 1 or more")
    blocks = len(sums)
    at_once = max(1, RESAMPLED_AT_ONCE // max(sums.shape))
    drawn = []
    for first in range(0, resamples, at_once):
        size = min(at_once, resamples - first)
        weights = rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=size)
        drawn.append(statistics((weights.astype(np.float32) @ sums).astype(np.float64)))
    (value,) = statistics(sums.sum(axis=0, dtype=np.float64)[np.newaxis])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        low, high = np.nanquantile(np.concatenate(drawn), tails, axis=0)
    return value, low, high


def ranking(labels: Labels, scores: ArrayLike) -> tuple[float, float]:
    """Return the AUC and the average precision of scores of any number, float (n,).

    They are those of `evaluate`; it takes the memory of a copy of the scores.

    Raises
    ------
    ScoreError
        If all labels are of one class.

    Examples
    --------
    >>> ranking(np.array([True, False, False]), np.array([0.9, 0.6, 0.9]))
    (0.75, 0.5)
    """
    _check_classes(labels)
    values = np.asarray(scores)
    positives, negatives = np.sort(values[labels]), np.sort(values[~labels])
    below, up_to = (np.searchsorted(negatives, positives, side) for side in ("left", "right"))
    true = len(positives) - np.searchsorted(positives, positives, "left")
    precision = true / (true + len(negatives) - below)
    return float((below + up_to).mean() / (2 * len(negatives))), float(precision.mean())


def calibration(
    labels: Labels, probabilities: ArrayLike, *, bins: int = 10, confidence: float = 0.95
) -> Curve:
    """Compare probabilities with what happened, in bins of (nearly) equal size.

    The curve has for each bin, the lowest probabilities first, their mean (x) and the share of
    positives (y), with the Wilson interval (Wilson 1927) of that. Other parameters are those of
    `evaluate`.

    Raises
    ------
    ScoreError
        As `evaluate`, and if a probability is not 0-1 or `bins` is not 1 to n.
    """
    values = _checked(labels, probabilities)
    if values.min() < 0 or values.max() > 1:
        raise ScoreError(
            f"probabilities reach from {values.min():g} to {values.max():g}; allowed are 0 to 1"
        )
    if not 1 <= bins <= labels.size:
        raise ScoreError(f"bins is {bins}; allowed are 1 to {labels.size}, the number of labels")
    rows = np.array_split(np.argsort(values, kind="stable"), bins)
    size = np.array([row.size for row in rows])
    share = np.array([labels[row].mean() for row in rows])
    z2 = NormalDist().inv_cdf(_tails(confidence)[1]) ** 2
    middle = (share + z2 / (2 * size)) / (1 + z2 / size)
    half = np.sqrt(z2 * share * (1 - share) / size + (z2 / (2 * size)) ** 2) / (1 + z2 / size)
    mean = np.array([values[row].mean() for row in rows])
    return Curve(x=mean, y=share, low=middle - half, high=middle + half)


def _checked(labels: Labels, scores: ArrayLike) -> Floats:
    """Return the scores as float64 if figures can be computed from them."""
    if labels.dtype != np.bool_ or labels.ndim != 1:
        raise ScoreError(
            f"labels are {labels.dtype} of shape {labels.shape}; allowed is bool of shape (n,)"
        )
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != labels.shape:
        raise ScoreError(
            f"scores have shape {values.shape}, labels {labels.shape}; both must agree"
        )
    _check_classes(labels)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise ScoreError(f"scores[{bad[0]}] is {values[bad[0]]}; every score must be finite")
    return values


def _check_classes(labels: Labels) -> None:
    if labels.all() or not labels.any():
        which = "positive" if labels.any() else "negative"
        raise ScoreError(f"all {labels.size} labels are {which}; both classes are needed")


def _tails(confidence: float) -> tuple[float, float]:
    """Return the two quantiles between which `confidence` of a distribution lies."""
    if not 0 < confidence < 1:
        raise ScoreError(f"confidence is {confidence}; allowed is between 0 and 1, both excluded")
    return (1 - confidence) / 2, (1 + confidence) / 2


def _tied_counts(labels: Labels, scores: Floats) -> tuple[Floats, Counts, Counts]:
    """Return the G distinct scores, highest first, with the positives and negatives at each."""
    negated, place = np.unique(-scores, return_inverse=True)
    positives = np.bincount(place[labels], minlength=negated.size)
    negatives = np.bincount(place[~labels], minlength=negated.size)
    return -negated, positives, negatives


def _resample(
    positives: Counts, negatives: Counts, *, rng: np.random.Generator, resamples: int
) -> Iterator[tuple[Counts, Counts]]:
    """Yield resamples of both classes in blocks, counts (B, G), B small enough for any G."""
    if resamples < 1:
        raise ScoreError(f"resamples is {resamples}; allowed is 1 or more")
    block = max(1, RESAMPLED_AT_ONCE // positives.size)
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        yield _draw(positives, rng=rng, size=size), _draw(negatives, rng=rng, size=size)


def _draw(counts: Counts, *, rng: np.random.Generator, size: int) -> Counts:
    """Draw with replacement from counts (G,), `size` times: counts (size, G).

    The distribution is `rng.multinomial`'s, at a tenth of its time.
    """
    place = np.repeat(np.arange(counts.size), counts)
    drawn = place[rng.integers(place.size, size=(size, place.size))]
    drawn += np.arange(size)[:, None] * counts.size
    return np.bincount(drawn.ravel(), minlength=size * counts.size).reshape(size, counts.size)


class _Counts:
    """Counts (B, G) of positives and negatives at each score, highest first, and running sums."""

    def __init__(self, positives: Counts, negatives: Counts, n_called: int = 0) -> None:
        self.positives, self.negatives, self.n_called = positives, negatives, n_called
        self.true, self.false = positives.cumsum(axis=1), negatives.cumsum(axis=1)
        self.n_positive, self.n_negative = self.true[:, -1], self.false[:, -1]


def _auc(counts: _Counts) -> Floats:
    ranked = counts.negatives * (counts.true - counts.positives / 2)
    auc: Floats = ranked.sum(axis=1) / (counts.n_positive * counts.n_negative)
    return auc


def _average_precision(counts: _Counts) -> Floats:
    precision = counts.true / np.maximum(counts.true + counts.false, 1)  # 0 / 0 above the first
    average: Floats = (counts.positives * precision).sum(axis=1) / counts.n_positive
    return average


def _accuracy(counts: _Counts) -> Floats:
    called = slice(counts.n_called)
    right = counts.positives[:, called].sum(axis=1) - counts.negatives[:, called].sum(axis=1)
    share: Floats = (right + counts.n_negative) / (counts.n_positive + counts.n_negative)
    return share


# Each figure: scikit-learn's value, from labels and scores, and that of B resamples, from counts.
FIGURES: Mapping[str, tuple[Callable[[Labels, Floats], float], Callable[[_Counts], Floats]]] = {
    "auc": (roc_auc_score, _auc),
    "average_precision": (average_precision_score, _average_precision),
    "accuracy": (lambda labels, p: accuracy_score(labels, p >= THRESHOLD), _accuracy),
}


def _figures(positives: Counts, negatives: Counts, n_called: int) -> Floats:
    """Compute each of FIGURES (F, B) from counts (B, G); the first `n_called` scores are calls."""
    counts = _Counts(positives, negatives, n_called)
    return np.stack([resampled(counts) for _, resampled in FIGURES.values()])


def _trace(positives: Counts, negatives: Counts, false_rate: Floats, recall: Floats) -> Floats:
    """Return true-positive rates at `false_rate` and precisions at `recall`, (2, points)."""
    true = np.concatenate([[0], positives.cumsum()])
    false = np.concatenate([[0], negatives.cumsum()])
    sensitivity = np.interp(false_rate * false[-1], false, true / true[-1])
    needed = np.ceil(recall * true[-1] - 1e-9)  # a rounding error must not ask for one more
    first = np.searchsorted(true, needed)
    return np.stack([sensitivity, true[first] / (true[first] + false[first])])


def _placements(labels: Labels, scores: Floats) -> tuple[Floats, Floats]:
    """Return each positive's share of negatives below it, each negative's of positives above."""
    ranks = rankdata(scores)
    n_positive, n_negative = int(labels.sum()), int((~labels).sum())
    below = (ranks[labels] - rankdata(scores[labels])) / n_negative
    above = 1 - (ranks[~labels] - rankdata(scores[~labels])) / n_positive
    return below, above
