"""Draw a report's figures as SVG to embed in a page.

Text stays text and takes the page's typeface. No figure holds text from the user: that goes into
captions and keys, where HTML escapes and wraps it. Axes have fixed positions, not ones fitted to
measured text, so the same data give the same bytes whatever fonts a machine has.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from enhancer_core.metrics import Curve
from enhancer_core.motifs.motif import information_content
from enhancer_core.training.restart import Restart

# Two pairs that colour-blind readers can distinguish, blue and orange, green and violet.
NETWORK, BASELINE = "#1f6fb2", "#cc7a29"
POSITIVES, NEGATIVES = "#0b6e5a", "#a07cc5"
GUIDE = "#9aa2aa"
INK = "#1c2127"
CHANGES = LinearSegmentedColormap.from_list("changes", [NETWORK, "#ffffff", BASELINE], N=33)

_STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GUIDE,
    "axes.linewidth": 0.8,
    "xtick.color": GUIDE,
    "ytick.color": GUIDE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
}
DASHED: dict[str, Any] = {"color": GUIDE, "linewidth": 1, "dashes": (4, 3)}
_PLACED: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "color": INK}
_WIDTH, _HEIGHT = 440, 330  # of a figure, in points; a page two figures wide shows one as a pixel
_CURVE_AXES = {
    "roc": ("false-positive rate", "true-positive rate"),
    "precision-recall": ("recall", "precision"),
}
_FOLD = 4.0  # enrichments are clipped here
_FOLD_TICKS = (0.25, 0.33, 0.5, 0.67, 1, 1.5, 2, 3, 4)

# The letters of a logo in the unit square, y downwards, in the colours of every motif database.
LETTERS = (
    ("#109648", "M0 1 .38 0H.62L1 1H.79L.71.77H.29L.21 1ZM.35.59H.65L.5.17Z"),
    ("#255c99", "M1 .179A.57.5 0 1 0 1 .821L.853.712A.37.33 0 1 1 .853.288Z"),
    ("#f7b32b", "M1 .179A.57.5 0 1 0 1 .821V.46H.58V.62H.8V.758A.37.33 0 1 1 .853.288Z"),
    ("#d62839", "M0 0H1V.18H.6V1H.4V.18H0Z"),
)
LETTER_WIDTH, LOGO_HEIGHT = 20, 60
_SHORTEST = 0.02  # bits: half a point; lower letters are left out

# Over matplotlib's own defaults, never a user's settings, which would show in the bytes.
styled = style.context(["default", _STYLE])


@styled
def curve_pair(
    network: Curve,
    baseline: Curve,
    *,
    name: Literal["roc", "precision-recall"],
    chance: tuple[float, float],
) -> Markup:
    """Draw two curves with their bands; dashed is chance, its y at x = 0 and at x = 1."""
    x, y = _CURVE_AXES[name]
    figure, axes = new_axes(x=x, y=y, height=_WIDTH)
    axes.plot([0, 1], chance, **DASHED)
    for curve, colour in ((baseline, BASELINE), (network, NETWORK)):
        axes.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0)
        axes.plot(curve.x, curve.y, color=colour, linewidth=2)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    return as_svg(figure, name=name)


@styled
def training_curves(
    restarts: Sequence[Restart], *, best: int, measure: Literal["loss", "auc"]
) -> Markup:
    """Draw every restart's training loss or validation AUC, the best bold, dashed chance."""
    y, chance = (
        ("training loss (nats)", np.log(2)) if measure == "loss" else ("validation AUC", 0.5)
    )
    figure, axes = new_axes(x="epoch", y=y)
    axes.axhline(chance, **DASHED)
    lines = [
        (
            [checkpoint.epoch for checkpoint in restart.checkpoints],
            [getattr(c, measure) for c in restart.checkpoints],
        )
        for restart in restarts
    ]
    for line in lines:
        axes.plot(*line, color=GUIDE, linewidth=0.7, alpha=0.7)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.plot(
        *lines[best], "-o", color=NETWORK, linewidth=2, markersize=8, markeredgecolor="white",
        markevery=[restarts[best].kept],
    )  # fmt: skip
    if measure == "loss":
        axes.set_ylim(bottom=0)
    return as_svg(figure, name=measure)


@styled
def distributions(
    positives: NDArray[np.float64],
    negatives: NDArray[np.float64],
    *,
    name: str,
    x: str = "",
    span: tuple[float, float] | None = None,
) -> Markup:
    """Draw histograms of a number among positives and among negatives, in shares of each class."""
    figure, axes = new_axes(x=x, y="share of class")
    edges = np.histogram_bin_edges(np.concatenate([positives, negatives]), bins=40, range=span)
    for values, colour in ((negatives, NEGATIVES), (positives, POSITIVES)):
        share = np.histogram(values, edges)[0] / values.size
        axes.stairs(share, edges, fill=True, color=colour, alpha=0.25, linewidth=0)
        axes.stairs(share, edges, color=colour, linewidth=1.5)
    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.3g} %")
    return as_svg(figure, name=name)


@styled
def calibration(observed: Curve) -> Markup:
    """Draw the share of positives at each mean predicted probability; the diagonal is ideal."""
    figure, axes = new_axes(x="mean probability", y="share of positives")
    axes.plot([0, 1], [0, 1], **DASHED)
    axes.vlines(observed.x, observed.low, observed.high, color=NETWORK, linewidth=1.5)
    axes.plot(observed.x, observed.y, "o", color=NETWORK, markersize=6)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    return as_svg(figure, name="calibration")


@styled
def enrichments(
    kmers: Sequence[str], positives: NDArray[np.float64], negatives: NDArray[np.float64]
) -> Markup:
    """Draw the fold enrichment of each k-mer in positives over negatives, highest first."""
    height = max(_HEIGHT, 70 + 19 * len(kmers))
    figure, axes = new_axes(x="fold enrichment in positives", y="", height=height)
    absent = 1e-9  # makes the ratio finite where one class lacks a k-mer
    folds = np.clip((positives + absent) / (negatives + absent), 1 / _FOLD, _FOLD)
    order = np.argsort(folds, kind="stable")
    folds, rows = folds[order], np.arange(order.size)
    colours = [POSITIVES if fold >= 1 else NEGATIVES for fold in folds]
    axes.hlines(rows, 1, folds, colors=colours, linewidth=2.5)
    axes.scatter(folds, rows, c=colours, s=36, zorder=3)
    axes.axvline(1, color=GUIDE, linewidth=1)
    axes.set_xscale("log")
    reach = max(1.25, 1.08 * folds[-1], 1.08 / folds[0])
    axes.set_xlim(1 / reach, reach)
    ticks = [tick for tick in _FOLD_TICKS if 1 / reach <= tick <= reach]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_yticks(rows, [kmers[row] for row in order])
    axes.spines.left.set_visible(False)
    return as_svg(figure, name="enrichments")


def logo(ppm: NDArray[np.float64]) -> Markup:
    """Draw a motif as a sequence logo, letters as high as their share of the position's bits.

    `ppm` is float64, shape (4, W), each position summing to 1; the full height is 2 bits. Written
    as SVG by hand: logomaker takes 80 ms and 11 kB for 9 positions, this 0.2 ms and 4 kB, and a
    report has up to 80 logos.
    """
    width = LETTER_WIDTH * ppm.shape[1]
    drawn = [f'<path d="M0 {LOGO_HEIGHT + 0.5}H{width}" stroke="{GUIDE}"/>']
    for position, heights in enumerate((ppm * information_content(ppm)).T):
        top = 0.0
        for base in np.argsort(heights, kind="stable"):
            top += heights[base]
            if heights[base] >= _SHORTEST:
                colour, outline = LETTERS[base]
                place = f"{position * LETTER_WIDTH} {LOGO_HEIGHT * (1 - top / 2):.2f}"
                scale = f"{LETTER_WIDTH} {LOGO_HEIGHT * heights[base] / 2:.2f}"
                drawn.append(
                    f'<path transform="translate({place})scale({scale})" fill="{colour}"'
                    f' fill-rule="evenodd" d="{outline}"/>'
                )
    box = f"0 0 {width} {LOGO_HEIGHT + 1}"
    return Markup(f'<svg viewBox="{box}" xmlns="http://www.w3.org/2000/svg">{"".join(drawn)}</svg>')


def new_axes(
    *, x: str, y: str, height: float = _HEIGHT, width: float = _WIDTH, left: float = 46
) -> tuple[Figure, Axes]:
    """Return a new figure and its axes, sizes in points, with the same margins at any height."""
    figure = Figure(figsize=(width / 72, height / 72))
    right, below, above = 14, 46 if x else 26, 34 if y else 14
    size = (width - left - right) / width, (height - below - above) / height
    axes = figure.add_axes((left / width, below / height, *size))
    axes.tick_params(length=0, pad=6)
    axes.annotate(x, (1, 0), (0, -40), ha="right", **_PLACED)
    axes.annotate(y, (0, 1), (-40, 16), **_PLACED)
    return figure, axes


def as_svg(figure: Figure, *, name: str) -> Markup:
    """Return a figure's SVG without size, dates and versions; `name` makes ids unique in a page."""
    for artist in figure.findobj():
        artist.set_clip_on(False)
    file, metadata = io.StringIO(), dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(file, format="svg", transparent=True, metadata=metadata)
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :].replace("\n", " ")
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r' (?:width|height)="[^"]*pt"', "", svg)  # the page decides
    # A hundredth of a point is as fine as anyone sees; matplotlib writes six digits.
    return Markup(re.sub(r'="[^"]*"', lambda value: re.sub(r"(\.\d\d)\d+", r"\1", value[0]), svg))
