"""Compose the report of an evaluation along a genome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from enhancer_core import __version__
from enhancer_core.dna.intervals import Intervals
from enhancer_core.models.cpu.predictor import expit
from enhancer_core.prediction.accuracy import TOP, GenomeEvaluation, ThresholdRow
from enhancer_core.prediction.calls import overlapping
from enhancer_core.report import plots, text
from enhancer_core.report.page import Figure, Highlight, Page, Section, Table

_WIDE = 900  # points, of a figure as wide as the page
_WINDOWS = 200  # of the model, in the stretch that is drawn
_POINTS = 900  # of the track there, at most
_ROWS = 9  # of the table of thresholds, at most
_RIGHT, _FALSE = plots.NETWORK, plots.BASELINE


def genome_page(
    found: GenomeEvaluation,
    *,
    model: str,
    inputs: Mapping[str, str | None],
    prevalence: float | None,
    trained: float | None,
) -> Page:
    """Compose the report of an evaluation along a genome.

    Parameters
    ----------
    found
        What `evaluate_genome` returned.
    model, inputs
        The names of the model's file, and of those of `genome`, `peaks` and `regions`.
    prevalence, trained
        Shares of positives: the one asked for, and the model's own; None where there is none.

    Returns
    -------
    Page
        It holds no date, so the same values give the same page.
    """
    top, base = found.top_precision, found.base_rate
    return Page(
        title=f"Model '{model}' along {inputs['genome']}",
        lead=_lead(found),
        highlights=[
            Highlight(
                f"{found.average_precision.value:.3f}", "Average precision of bins",
                f"{text.interval(found.average_precision)}; by chance {base:.3f}", plots.NETWORK,
            ),
            Highlight(
                _percent(top.value), "Right among the highest 1 %",
                f"{_percent(top.low)}–{_percent(top.high)};"
                f" {found.enrichment.value:.2g} times base",
                plots.NETWORK,
            ),
            Highlight(_percent(base), "Base rate", "share of bins in peaks", plots.GUIDE),
            Highlight(
                f"{found.auc.value:.3f}", "AUC of bins", text.interval(found.auc), plots.GUIDE
            ),
        ],
        sections=[
            _precision(found),
            _calibration(found, prevalence, trained),
            *_stretch(found),
            Section(title="What this does not tell you", text=_limits(found)),
            _data(found, model, inputs, prevalence),
        ],
    )  # fmt: skip


def _lead(found: GenomeEvaluation) -> str:
    top, base = found.top_precision, found.base_rate
    verdict = "may be no better than chance"
    if found.enrichment.low > 1:
        verdict = f"is {found.enrichment.value:.2g} times what chance would have"
    elif found.enrichment.high < 1:
        verdict = "is less than chance would have"
    return (
        f"Of {found.scored:,} bins of {found.bins.step} bp {_percent(base)} lie in peaks. Of the"
        f" {_percent(TOP)} that the model puts highest {_percent(top.value)} do, which {verdict}."
    )


def _precision(found: GenomeEvaluation) -> Section:
    rows = found.precision_rows()
    shown = sorted({*np.linspace(0, len(rows) - 1, _ROWS).round().astype(int).tolist()})
    table = Table(
        (
            *("From probability", "Calls", "Right", "Precision", "Interval", "By chance"),
            *("Peaks found", "Recall"),
        ),
        [
            (
                f"{row.threshold:.3g}", f"{row.calls:,}", f"{row.right:,}",
                _percent(row.precision),
                f"{_percent(row.precision_low)}–{_percent(row.precision_high)}",
                _percent(row.by_chance), f"{row.peaks_found:,}", _percent(row.recall),
            )
            for row in (rows[place] for place in shown)
        ],
        "Calls at some of the thresholds of precision.tsv; the interval is Wilson's, as if calls"
        " were independent. By chance: calls of these lengths that lie anywhere.",
        text_columns=0,
    )  # fmt: skip
    return Section(
        title="Precision and recall",
        text=[
            "Two ways of counting. A bin is right if its middle lies in a peak. A call is a run of"
            " bins that reach a threshold, as the command call makes them, and is right if it"
            " overlaps a peak by 1 bp or more; long calls and long peaks make that easier."
        ],
        tables=[table],
        figures=[
            Figure(
                _bin_plot(found),
                f"Precision against recall of bins: average precision"
                f" {found.average_precision.value:.3f}, base rate {found.base_rate:.3f}",
                f"Bins: precision and recall, with the {100 * found.confidence:g} % interval at"
                f" each threshold. Dashed: the base rate, {_percent(found.base_rate)}.",
            ),
            Figure(
                _call_plot(rows),
                "Precision of calls against the share of peaks found",
                "Calls: the share that is right, and the share of peaks that some call overlaps,"
                " with Wilson intervals. Dashed: calls of the same lengths anywhere.",
            ),
        ],
    )


def _calibration(
    found: GenomeEvaluation, prevalence: float | None, trained: float | None
) -> Section:
    asked = f"a prevalence of {prevalence:g}" if prevalence is not None else "that of training"
    if prevalence is None and trained is not None:
        asked += f", {trained:.3g}"
    above = [
        f"Probabilities are stated for {asked}. {_percent(found.share_above_half)} of bins are"
        f" above .5, where {_percent(found.base_rate)} are in peaks."
    ]
    if prevalence is None:
        base, prior = found.base_rate, trained or 0.5
        least = np.log(prior / (1 - prior)) - np.log(base / (1 - base))
        share = np.count_nonzero(found.bins.log_odds >= least) / found.scored
        above.append(
            "Where that is far apart, the option --prevalence turns them to the share of positives"
            f" that there is: at {base:.3g}, {_percent(share)} of bins are above .5. It adds one"
            " number to all log odds, so it changes no order."
        )
    return Section(
        title="Calibration",
        text=above,
        tables=[
            Table(
                ("Probability", "Bins", "Mean probability", "In peaks", "Interval"),
                [
                    (
                        f"{each.low:.1f}–{each.high:.1f}", f"{each.bins:,}",
                        f"{each.probability:.3f}", _percent(each.share.value),
                        f"{_percent(each.share.low)}–{_percent(each.share.high)}",
                    )
                    for each in found.calibration
                ],
            )
        ],
        figures=[
            Figure(
                _reliability_plot(found),
                "Share of bins in peaks against their mean probability, in tenths of probability",
                "Dashed: perfect calibration.",
            )
        ],
    )  # fmt: skip


def _stretch(found: GenomeEvaluation) -> list[Section]:
    """Show the track, its calls and the peaks where most kinds of right and wrong are together."""
    rows = [row for row in found.precision_rows() if row.right]
    if not rows:
        return []
    best = max(rows, key=lambda row: 1 / (1 / row.precision + 1 / row.recall))  # harmonic mean
    calls, right = found.calls(best.log_odds)
    chrom, start, end = _place(found, calls.intervals, right)
    spans = [
        [
            (first, last, good)
            for (name, first, last), good in zip(each.rows(), marks, strict=True)
            if name == chrom and first < end and last > start
        ]
        for each, marks in (
            (calls.intervals, right.tolist()), (found.peaks, [True] * len(found.peaks))
        )
    ]  # fmt: skip
    false = sum(not good for *_, good in spans[0])
    caption = (
        f"{chrom}, {start:,} to {end:,}: {len(spans[1])} peaks, and {len(spans[0])} calls, of which"
        f" {false} are false."
    )
    return [
        Section(
            title="A stretch of it",
            text=[
                f"Calls from a probability of {best.threshold:.3g} up, where precision"
                f" ({_percent(best.precision)}) and recall ({_percent(best.recall)}) balance best:"
                f" along all, {best.calls - best.right:,} of {best.calls:,} are false. The stretch"
                " was chosen for having right and false calls and missed peaks, as far as there are"
                " such; it is not typical."
            ],
            key=(
                (plots.POSITIVES, "peaks"), (_RIGHT, "track, and right calls below it"),
                (_FALSE, "false calls"),
            ),
            figures=[Figure(_track_plot(found, (chrom, start, end), *spans), caption, caption)],
            wide_figures=True,
        )
    ]  # fmt: skip


def _place(
    found: GenomeEvaluation, calls: Intervals, right: NDArray[np.bool_]
) -> tuple[str, int, int]:
    """Choose the stretch: with most of right calls, false calls and missed peaks, then most."""
    width = _WINDOWS * found.bins.length
    missed = ~overlapping(found.peaks, calls)
    kinds = calls.take(right), calls.take(~right), found.peaks.take(missed)
    counts: dict[tuple[str, int], list[int]] = {}
    for kind, intervals in enumerate(kinds):
        for chrom, start, end in intervals.rows():
            half = (start + end) // width  # of the stretches that begin at each half of a width
            for place in (half - 1, half):
                counts.setdefault((chrom, max(place, 0)), [0, 0, 0])[kind] += 1
    (chrom, place), _ = max(
        counts.items(), key=lambda item: (sum(n > 0 for n in item[1]), min(item[1][:2]))
    )
    regions = found.bins.regions
    own = regions.take(regions.chroms == chrom)
    low, high = int(own.starts.min()), int(own.ends.max())
    start = max(min(place * width // 2, high - width), low)
    return chrom, start, min(start + width, high)


def _limits(found: GenomeEvaluation) -> list[str]:
    return [
        "A model has an edge on what it was trained on, and on peaks like those that it was chosen"
        " by. This page cannot know what that was: only regions that were kept out count.",
        f"Peaks are what one experiment saw. The {len(found.peaks):,} here make precision; a bin"
        " outside them may be an enhancer of another cell, and one inside of them none.",
        f"Intervals are of a bootstrap over {found.blocks:,} blocks of"
        f" {found.block_bp:,} bp, since neighbours are not independent. They do not cover another"
        " genome, tissue or choice of peaks, where positives may be rarer: precision follows the"
        " base rate.",
    ]


def _data(
    found: GenomeEvaluation, model: str, inputs: Mapping[str, str | None], prevalence: float | None
) -> Section:
    bins = found.bins
    unknown = len(found.labels) - found.scored
    rows = [
        ("Model", f"{model}, reads {bins.length:,} bp"),
        ("Genome", str(inputs["genome"])),
        ("Regions", f"{inputs['regions'] or 'whole chromosomes'}: {len(bins.regions):,} regions of"
         f" {found.bp:,} bp"),
        ("Peaks", f"{inputs['peaks']}: {len(found.peaks):,} in the regions, joined where they"
         " overlap or touch"),
        ("Bins", f"{found.scored:,} of {bins.step} bp with a value; {unknown:,} without, where the"
         " window is mostly N"),
        ("Strands", "both, averaged" if bins.both_strands else "the one that is written"),
        ("Prevalence", "as in training" if prevalence is None else f"{prevalence:g}"),
        ("Bootstrap", f"{found.resamples:,} resamples of {found.blocks:,} blocks"),
        ("enhancer_core", __version__),
    ]  # fmt: skip
    return Section(title="Data", tables=[Table(("What", "Which"), rows, text_columns=2)])


@plots.styled
def _bin_plot(found: GenomeEvaluation) -> Markup:
    figure, axes = plots.new_axes(x="recall", y="precision", height=440)
    curve = found.curve
    axes.axhline(found.base_rate, **plots.DASHED)
    axes.fill_between(curve.x, curve.low, curve.high, color=plots.NETWORK, alpha=0.18, linewidth=0)
    axes.plot(curve.x, curve.y, color=plots.NETWORK, linewidth=2)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    return plots.as_svg(figure, name="bins")


@plots.styled
def _call_plot(rows: Sequence[ThresholdRow]) -> Markup:
    figure, axes = plots.new_axes(x="share of peaks found", y="precision of calls", height=440)
    recall, chance, precision, low, high = np.array([
        (row.recall, row.by_chance, row.precision, row.precision_low, row.precision_high)
        for row in rows
    ]).T  # fmt: skip
    axes.plot(recall, chance, **plots.DASHED)
    axes.fill_between(recall, low, high, color=plots.NETWORK, alpha=0.18, linewidth=0)
    axes.plot(recall, precision, color=plots.NETWORK, linewidth=2)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    return plots.as_svg(figure, name="calls")


@plots.styled
def _reliability_plot(found: GenomeEvaluation) -> Markup:
    figure, axes = plots.new_axes(x="mean probability", y="share in peaks")
    axes.plot([0, 1], [0, 1], **plots.DASHED)
    x, y, low, high = np.array([
        (each.probability, each.share.value, each.share.low, each.share.high)
        for each in found.calibration
    ]).T  # fmt: skip
    axes.vlines(x, low, high, color=plots.NETWORK, linewidth=1.5)
    axes.plot(x, y, "o", color=plots.NETWORK, markersize=6)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    return plots.as_svg(figure, name="reliability")


@plots.styled
def _track_plot(
    found: GenomeEvaluation,
    place: tuple[str, int, int],
    calls: Sequence[tuple[int, int, bool]],
    peaks: Sequence[tuple[int, int, bool]],
) -> Markup:
    """Draw the track above its calls; peaks are shaded through both."""
    _, low, high = place
    figure, axes = plots.new_axes(x="position, kb", y="probability", height=260, width=_WIDE)
    for start, end, _ in peaks:
        axes.axvspan(
            max(start, low), min(end, high), color=plots.POSITIVES, alpha=0.22, linewidth=0
        )
    axes.fill_between(*_line(found, place), color=plots.NETWORK, alpha=0.75, linewidth=0)
    for start, end, good in calls:
        axes.fill_between(
            [max(start, low), min(end, high)], -0.14, -0.05, color=_RIGHT if good else _FALSE,
            linewidth=0,
        )  # fmt: skip
    axes.set(xlim=(low, high), ylim=(-0.16, 1))
    axes.set_yticks([0, 0.5, 1])
    axes.xaxis.set_major_formatter(lambda position, _: f"{position / 1000:,.5g}")
    return plots.as_svg(figure, name="stretch")


def _line(
    found: GenomeEvaluation, place: tuple[str, int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return positions and probabilities, the highest of neighbours where bins are many."""
    bins, (chrom, low, high) = found.bins, place
    firsts = bins.firsts
    positions, values = [np.zeros(0)], [np.zeros(0)]
    for region in np.flatnonzero(bins.regions.chroms == chrom).tolist():
        own = np.arange(firsts[region], firsts[region + 1])
        _, starts, ends = bins.spans(own)
        inside = (ends > low) & (starts < high)
        if inside.any():
            odds = bins.log_odds[own[inside]].astype(np.float64)
            positions += [(starts[inside] + ends[inside]) / 2, np.array([ends[inside][-1]])]
            values += [expit(odds + found.shift), np.array([np.nan])]
    x, y = np.concatenate(positions), np.concatenate(values)
    each = -(-len(x) // _POINTS)
    rows = np.arange(0, len(x), each)
    return x[rows], np.fmax.reduceat(y, rows) if each > 1 else y


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
