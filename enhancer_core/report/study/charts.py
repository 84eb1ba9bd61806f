"""Draw a study's figures, in the style of the other reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.colors import LinearSegmentedColormap
from numpy.typing import NDArray

from enhancer_core.metrics import Estimate
from enhancer_core.report import plots
from enhancer_core.report.plots import GUIDE, as_svg, new_axes, styled
from enhancer_core.study.recipe import Recipe, ReportSection

COLOURS = (
    *(plots.NETWORK, plots.BASELINE, plots.POSITIVES, plots.NEGATIVES),
    *("#8a8f98", "#b0413e", "#4f9bc8", "#6b5b2e"),
)
_WIDE, _HALF = 900, 440  # of a figure as wide as the page, and half of it, in points
_INK = "#1c2127"
_PALE = LinearSegmentedColormap.from_list("auc", ["#ffffff", "#b9d4ea", plots.NETWORK])
_DARK = 0.6  # share of the colours from which letters on them are white


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model in a comparison."""

    name: str
    auc: Estimate
    gain: Estimate | None = None  # over the model that it is compared with
    paper: float | None = None  # AUC
    colour: str = plots.NETWORK


def figure_id(recipe: Recipe, part: ReportSection) -> str:
    """Return the name of a section's figure, unique in the page."""
    return f"{recipe.name}-{recipe.sections.index(part)}"


@styled
def compared(models: Sequence[ModelRow], *, name: str, wide: bool) -> Markup:
    """Draw AUCs and intervals as wide as the page, or half; a diamond is the paper's value."""
    width, left, most = (_WIDE, 300, 44) if wide else (_HALF, 190, 30)
    height = 64 + (30 if wide else 40) * len(models)
    figure, axes = new_axes(x="test AUC", y="", height=height, width=width, left=left)
    rows = np.arange(len(models))[::-1]
    values, lows, highs = _values([model.auc for model in models])
    papers = np.array([np.nan if model.paper is None else model.paper for model in models])
    colours = [model.colour for model in models]
    across = axes.get_yaxis_transform()  # x in shares of the width
    axes.hlines(rows, 0, 1, transform=across, color=GUIDE, alpha=0.25, linewidth=0.8, zorder=0)
    axes.hlines(rows, lows, highs, colors=colours, linewidth=3, alpha=0.45)
    axes.scatter(values, rows, c=colours, s=81, zorder=3)
    axes.scatter(papers, rows, marker="D", c="white", edgecolors=_INK, s=64, zorder=4)
    low, high = (edge([*lows, *highs, *papers]) for edge in (np.nanmin, np.nanmax))
    margin = 0.06 * (high - low) + 0.005
    axes.set(xlim=(low - margin, high + margin), ylim=(-0.6, len(models) - 0.4))
    axes.set_yticks(rows, [_short(model.name, most) for model in models])
    axes.spines.left.set_visible(False)
    return as_svg(figure, name=name)


@styled
def heatmap(
    values: NDArray[np.float64], rows: Sequence[str], columns: Sequence[str], *, name: str
) -> Markup:
    """Draw a matrix of AUCs with its numbers; each row is a training set, each column a test."""
    height = 96 + 34 * len(rows)
    figure, axes = new_axes(x="tested on", y="trained on", height=height, width=_WIDE, left=240)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    span = max(high - low, 0.02)
    axes.pcolormesh(
        np.arange(len(columns) + 1), np.arange(len(rows) + 1), values[::-1], cmap=_PALE,
        vmin=low - 0.1 * span, vmax=high, edgecolors="white", linewidth=1.5,
    )  # fmt: skip
    for (row, column), value in np.ndenumerate(values[::-1]):
        if np.isfinite(value):
            ink = "white" if (value - low) / span > _DARK else _INK
            axes.text(column + 0.5, row + 0.5, f"{value:.3f}".lstrip("0"), ha="center",
                      va="center", color=ink, fontsize=12)  # fmt: skip
    most = max(6, 90 // len(columns))
    axes.set_xticks(np.arange(len(columns)) + 0.5, [_short(column, most) for column in columns])
    axes.set_yticks(np.arange(len(rows)) + 0.5, [_short(row, 34) for row in rows[::-1]])
    axes.spines[:].set_visible(False)
    return as_svg(figure, name=name)


@styled
def along_k(
    lines: Mapping[str, Mapping[int, Estimate]], *, guide: float, chosen: int | None, name: str
) -> Markup:
    """Draw AUC along k with intervals, one line a data set; dashed is the rule's limit."""
    figure, axes = new_axes(x="k", y="test AUC", height=380, width=_WIDE, left=60)
    axes.axhline(guide, **plots.DASHED)
    axes.axhline(0.5, color=GUIDE, linewidth=0.8)
    if chosen is not None:
        axes.axvspan(chosen - 0.25, chosen + 0.25, color=GUIDE, alpha=0.18, linewidth=0)
    lowest = 0.42
    for place, (line, colour) in enumerate(zip(lines.values(), COLOURS, strict=False)):
        ks = np.array(sorted(line))
        values, lows, highs = _values([line[k] for k in ks.tolist()])
        shifted = ks + 0.05 * (place - (len(lines) - 1) / 2)  # intervals of two lines stay apart
        axes.vlines(shifted, lows, highs, color=colour, linewidth=2, alpha=0.5)
        axes.plot(shifted, values, "-o", color=colour, linewidth=2, markersize=7)
        lowest = min(lowest, lows.min())
    axes.set_xticks(sorted(set().union(*lines.values())))
    axes.set_ylim(lowest, 1)
    return as_svg(figure, name=name)


@styled
def rocs(curves: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]], *, name: str) -> Markup:
    """Draw ROC curves, each (false-positive rates, true-positive rates), in `COLOURS`."""
    figure, axes = new_axes(x="false-positive rate", y="true-positive rate", height=440)
    axes.plot([0, 1], [0, 1], **plots.DASHED)
    for (x, y), colour in zip(curves, COLOURS, strict=False):
        axes.plot(x, y, color=colour, linewidth=2)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    return as_svg(figure, name=name)


def _values(estimates: Sequence[Estimate]) -> NDArray[np.float64]:
    return np.array([(aucs.value, aucs.low, aucs.high) for aucs in estimates]).T


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
