"""Find the motif that tells positives from negatives best: a discriminative search, de novo.

The model is that of `pssm.log_likelihood_ratios`: one site a sequence, anywhere, all else uniform.
Its log odds for being positive are the likelihood ratio, over all places, and a constant; the
matrix that makes the labels most likely is found by L-BFGS from several starts. Starts are the
words of six letters that are in most more positives than negatives, by a test of two shares, as in
DREME (Bailey 2011). On data simulated with one motif the best matrix is that motif.

No maintained library for this is on the Python registry: MEME, STREME and HOMER are programs of
their own, gimmemotifs calls them, and memelite scans and compares but does not discover.

References
----------
Bailey T. (2011). Bioinformatics 27:1653-1659.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from enhancer_core.dna._numba import compiled
from enhancer_core.dna.codes import N_CODE, Codes, decode, encode, reverse_complement
from enhancer_core.dna.kmers import k_mer_numbers, reverse_complement_numbers, spell_k_mers
from enhancer_core.errors import DatasetError, MotifError
from enhancer_core.motifs.motif import UNIFORM, Motif, Prior
from enhancer_core.motifs.scan import Scores, site_score, strand_scores

Floats: TypeAlias = NDArray[np.float64]

WIDTH = 14  # bp; HNF4A, the wider of the paper's two motifs, has 13
SEED = 6  # letters of a start

_STARTS = 5
_SAMPLE = 2000  # sequences that choose among the starts
_TRIES, _STEPS = 20, 200  # of L-BFGS: from each start, and from the best
_ENOUGH = 1e-6  # change of the loss, as a share of it, that ends a search
_SEED_ODDS = 1.5  # nats of a start's letters
_SPREAD = 3.0  # nats: standard deviation of a normal prior of the matrix, so that none is infinite
_BLOCK = 500  # sequences whose slopes one thread sums up
_LEAST = 1e-6  # share of a site in its sequence that changes a slope


@dataclass(frozen=True, slots=True, eq=False)
class Discovery:
    """The motif found, and the word that the search began with."""

    motif: Motif  # probabilities, (4, W)
    seed: str


def discover(
    codes: Codes,
    labels: NDArray[np.bool_],
    *,
    width: int = WIDTH,
    both_strands: bool = True,
    prior: Prior | None = None,
    threads: int = 1,
) -> Discovery:
    """Search for the motif that tells positives from negatives best.

    Parameters
    ----------
    codes
        uint8, shape (n, L), values 0-4: of the training part alone.
    labels
        bool, shape (n,): True for a positive.
    width
        W bp of the motif, 6 to L.
    both_strands
        Whether sites may be on the reverse strand too.
    prior
        As in `pssm.best_hits`.
    threads
        Blocks of sequences side by side; the result does not depend on it.

    Returns
    -------
    Discovery
        The motif is named de_novo.

    Raises
    ------
    DatasetError
        If there are no positives, or no negatives.
    MotifError
        If the width is not allowed, or no word is in more positives than negatives.

    Examples
    --------
    >>> codes = np.random.default_rng(0).integers(4, size=(400, 40), dtype=np.uint8)
    >>> codes[:200, 20:28] = encode(["GATTACAG"])[0]
    >>> discovery = discover(codes, np.arange(400) < 200, width=8)
    >>> discovery.seed in ("GATTAC", "ATTACA", "TTACAG", "CTGTAA", "TGTAAT", "GTAATC")
    True
    """
    if not SEED <= width <= codes.shape[1]:
        raise MotifError(f"width of {width} bp; allowed are {SEED} to {codes.shape[1]}")
    if not 0 < labels.sum() < len(labels):
        raise DatasetError(
            f"{labels.sum()} positives and {(~labels).sum()} negatives; at least one of each"
        )
    log_prior = np.zeros(codes.shape[1] - width + 1)
    if prior is not None:
        log_prior = np.log(np.maximum(prior * len(prior), np.finfo(float).tiny))
    seeds = enriched_words(codes, labels, both_strands=both_strands)[:_STARTS]
    if not seeds:
        raise MotifError(f"no word of {SEED} letters is in more positives than negatives")
    sample = np.linspace(0, len(codes), min(_SAMPLE, len(codes)), endpoint=False).astype(int)
    strands = 2 if both_strands else 1
    with ThreadPoolExecutor(threads) as pool:
        few = _Task(codes[sample], labels[sample], log_prior, strands, pool)
        tries = [(few.fit(_start(seed, width), _TRIES), seed) for seed in seeds]
        (_, parameters), seed = min(tries, key=lambda attempt: attempt[0][0])
        _, parameters = _Task(codes, labels, log_prior, strands, pool).fit(parameters, _STEPS)
    # A constant in a column only moves the model's, so each may be scaled to sum to 1.
    odds = np.exp(parameters[:-1].reshape(width, 4).T)
    return Discovery(Motif("de_novo", odds / odds.sum(axis=0)), seed)


def enriched_words(codes: Codes, labels: NDArray[np.bool_], *, both_strands: bool) -> list[str]:
    """Rank words of six letters by how surely more positives than negatives have them.

    The surest come first; what shares five letters in a row with a surer one is left out, and what
    is not in more positives. Parameters are those of `discover`; on both strands a word stands for
    its reverse complement too.
    """
    shares = np.zeros((2, 4**SEED))
    for label, of_class in enumerate((codes[~labels], codes[labels])):
        for start in range(0, len(of_class), _BLOCK):
            numbers, known = k_mer_numbers(of_class[start : start + _BLOCK], SEED)
            rows, words = np.nonzero(known)[0], numbers[known]
            has = np.zeros((len(numbers), 4**SEED), bool)
            has[rows, words] = True
            if both_strands:
                has[rows, reverse_complement_numbers(words, SEED)] = True
            shares[label] += has.sum(axis=0)
    sizes = np.array([(~labels).sum(), labels.sum()])
    pooled = (shares.sum(axis=0) + 1) / (sizes.sum() + 2)  # never 0 or 1
    difference = shares[1] / sizes[1] - shares[0] / sizes[0]
    z = difference / np.sqrt(pooled * (1 - pooled) * (1 / sizes).sum())
    spelled = decode(spell_k_mers(np.arange(4**SEED), SEED))
    kept: list[str] = []
    seen: set[str] = set()
    for number in np.argsort(-z, kind="stable")[: (z > 0).sum()].tolist():
        word = spelled[number]
        parts = {word[:-1], word[1:]}
        if not parts & seen:
            kept.append(word)
            seen |= parts
            if both_strands:
                seen |= set(decode(reverse_complement(encode(sorted(parts)))))
    return kept


def _start(seed: str, width: int) -> Floats:
    """Put a word in the middle of a flat matrix; return the parameters (4 W + 1,)."""
    matrix = np.zeros((width, 4))
    first = (width - SEED) // 2
    matrix[np.arange(first, first + SEED), encode([seed])[0]] = _SEED_ODDS
    return np.append(matrix.ravel(), 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """A data set to fit to."""

    codes: Codes
    labels: NDArray[np.bool_]
    log_prior: Floats
    strands: int
    pool: ThreadPoolExecutor

    def fit(self, parameters: Floats, steps: int) -> tuple[float, Floats]:
        """Minimise the loss; return it, and the parameters there."""
        options = {"maxiter": steps, "ftol": _ENOUGH}
        result = minimize(self._loss, parameters, jac=True, method="L-BFGS-B", options=options)
        return float(result.fun), result.x

    def _loss(self, parameters: Floats) -> tuple[float, Floats]:
        """Compute the mean cross-entropy, with the matrix's prior, and its slopes."""
        n = len(self.codes)
        free = parameters[:-1].reshape(-1, 4)
        # Odds that average 1 over uniform letters: the scale of a likelihood ratio.
        odds = free - np.log(np.exp(free).mean(axis=1, keepdims=True))
        matrix = strand_scores(np.pad(odds, ((0, 0), (0, 1))))  # N adds nothing

        def one(start: int) -> tuple[Floats, Floats]:
            codes, labels = self.codes[start : start + _BLOCK], self.labels[start : start + _BLOCK]
            slopes = np.zeros((self.strands, *matrix.shape))
            sums = _add_slopes(codes, labels, matrix, self.log_prior, parameters[-1], slopes)
            return sums, slopes

        parts = list(self.pool.map(one, range(0, n, _BLOCK)))
        loss, residual = np.sum([sums for sums, _ in parts], axis=0) / n
        slopes = np.sum([part for _, part in parts], axis=0)[:, :, :N_CODE] / n
        slope = slopes[0] + slopes[1, ::-1, ::-1] if self.strands == 2 else slopes[0]
        slope -= UNIFORM * np.exp(odds) * slope.sum(axis=1, keepdims=True)
        penalty = 1 / (_SPREAD**2 * n)
        loss += penalty * (free**2).sum() / 2
        return float(loss), np.append((slope + penalty * free).ravel(), residual)


@compiled
def _add_slopes(
    codes: Codes,
    labels: NDArray[np.bool_],
    matrix: Scores,
    log_prior: Floats,
    constant: float,
    slopes: Floats,
) -> Floats:
    """Add to the slopes (strands, W, 5); return the sums of the losses and of the residuals."""
    strands, width = slopes.shape[:2]
    odds = np.empty((strands, len(log_prior)))
    sums = np.zeros(2)
    for i in range(len(codes)):
        best = -np.inf
        for start in range(len(log_prior)):
            prior = complex(log_prior[start], log_prior[start])
            both = site_score(matrix, codes[i], start, 1, prior)
            odds[-1, start] = both.imag
            odds[0, start] = both.real  # after the other, which is not there on one strand
            best = max(best, float(both.real), float(both.imag) if strands == 2 else best)
        odds[:] = np.exp(odds - best)
        total = odds.sum()
        z = best + np.log(total / odds.size) + constant
        label = 1.0 if labels[i] else 0.0
        residual = 1 / (1 + np.exp(-z)) - label
        sums[0] += max(z, 0.0) - z * label + np.log1p(np.exp(-abs(z)))
        sums[1] += residual
        for strand in range(strands):
            for start in range(len(log_prior)):
                share = odds[strand, start] / total
                if share > _LEAST:
                    for w in range(width):
                        slopes[strand, w, codes[i, start + w]] += share * residual
    return sums
