"""Draw a study's figures, in the style of the other reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.colors import LinearSegmentedColormap
from numpy.typing import NDArray

from enhancer_core.metrics import Estimate
from enhancer_core.report.plots import (
    BASELINE,
    DASHED,
    GUIDE,
    NEGATIVES,
    NETWORK,
    POSITIVES,
    as_svg,
    new_axes,
    styled,
)

COLOURS = (NETWORK, BASELINE, POSITIVES, NEGATIVES, "#8a8f98", "#b0413e", "#4f9bc8", "#6b5b2e")
_WIDE, _HALF = 900, 440  # of a figure as wide as the page, and half of it, in points
_PALE = LinearSegmentedColormap.from_list("auc", ["#ffffff", "#b9d4ea", NETWORK])
_DARK = 0.6  # share of the colours from which letters on them are white


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """One line of `compared`: a name, a figure with its interval, and the paper's."""

    name: str
    value: Estimate
    paper: float | None = None
    colour: str = NETWORK


@styled
def compared(bars: Sequence[Bar], *, x: str, name: str, wide: bool) -> Markup:
    """Draw figures one under another, each with its interval; a diamond is the paper's.

    `wide` is as wide as the page, else half of it.
    """
    width, left, most = (_WIDE, 300, 44) if wide else (_HALF, 190, 30)
    height = 64 + (30 if wide else 40) * len(bars)
    figure, axes = new_axes(x=x, y="", height=height, width=width, left=left)
    rows = np.arange(len(bars))[::-1]
    for row, bar in zip(rows.tolist(), bars, strict=True):
        axes.plot([0, 1], [row, row], color=GUIDE, alpha=0.25, linewidth=0.8, zorder=0)
        axes.plot(
            [bar.value.low, bar.value.high], [row, row], color=bar.colour, linewidth=3, alpha=0.45
        )
        axes.plot(bar.value.value, row, "o", color=bar.colour, markersize=9)
        if bar.paper is not None:
            axes.plot(
                bar.paper, row, "D", markersize=8, markerfacecolor="white",
                markeredgecolor="#1c2127",
            )  # fmt: skip
    reach = [edge for bar in bars for edge in (bar.value.low, bar.value.high)]
    reach += [bar.paper for bar in bars if bar.paper is not None]
    room = 0.06 * (max(reach) - min(reach)) + 0.005
    axes.set_xlim(min(reach) - room, max(reach) + room)
    axes.set_ylim(-0.6, len(bars) - 0.4)
    axes.set_yticks(rows, [_short(bar.name, most) for bar in bars])
    axes.spines.left.set_visible(False)
    return as_svg(figure, name=name)


@styled
def heatmap(
    values: NDArray[np.float64], rows: Sequence[str], columns: Sequence[str], *, name: str
) -> Markup:
    """Draw a matrix of AUCs (rows, columns) with its numbers; rows learn, columns are tested."""
    figure, axes = new_axes(
        x="tested on", y="trained on", height=96 + 34 * len(rows), width=_WIDE, left=240
    )
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    span = max(high - low, 0.02)
    axes.pcolormesh(
        np.arange(len(columns) + 1), np.arange(len(rows) + 1), values[::-1], cmap=_PALE,
        vmin=low - 0.1 * span, vmax=high, edgecolors="white", linewidth=1.5,
    )  # fmt: skip
    for (row, column), value in np.ndenumerate(values[::-1]):
        if np.isfinite(value):
            ink = "white" if (value - low) / span > _DARK else "#1c2127"
            axes.text(column + 0.5, row + 0.5, f"{value:.3f}".lstrip("0"), ha="center",
                      va="center", color=ink, fontsize=12)  # fmt: skip
    room = max(6, 90 // len(columns))
    axes.set_xticks(np.arange(len(columns)) + 0.5, [_short(each, room) for each in columns])
    axes.set_yticks(np.arange(len(rows)) + 0.5, [_short(each, 34) for each in rows[::-1]])
    for spine in axes.spines.values():
        spine.set_visible(False)
    return as_svg(figure, name=name)


@styled
def along_k(
    lines: Mapping[str, Mapping[int, Estimate]], *, guide: float, chosen: int | None, name: str
) -> Markup:
    """Draw AUC along k, a line for each, with bars for intervals; dashed is the rule's limit."""
    figure, axes = new_axes(x="k", y="test AUC", height=380, width=_WIDE, left=60)
    axes.axhline(guide, **DASHED)
    axes.axhline(0.5, color=GUIDE, linewidth=0.8)
    if chosen is not None:
        axes.axvspan(chosen - 0.25, chosen + 0.25, color=GUIDE, alpha=0.18, linewidth=0)
    for place, (line, colour) in enumerate(zip(lines.values(), COLOURS, strict=False)):
        ks = np.array(sorted(line))
        values = np.array([line[k].value for k in ks.tolist()])
        shift = 0.05 * (place - (len(lines) - 1) / 2)  # bars of two lines stay apart
        for k in ks.tolist():
            axes.plot([k + shift] * 2, [line[k].low, line[k].high], color=colour, linewidth=2,
                      alpha=0.5)  # fmt: skip
        axes.plot(ks + shift, values, "-o", color=colour, linewidth=2, markersize=7)
    every = sorted({k for line in lines.values() for k in line})
    axes.set_xticks(every)
    axes.set_ylim(min(0.42, *(e.low for line in lines.values() for e in line.values())), 1)
    return as_svg(figure, name=name)


@styled
def rocs(curves: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]], *, name: str) -> Markup:
    """Draw ROC curves, each (false-positive rates, true-positive rates), in `COLOURS`."""
    figure, axes = new_axes(x="false-positive rate", y="true-positive rate", height=440)
    axes.plot([0, 1], [0, 1], **DASHED)
    for (x, y), colour in zip(curves, COLOURS, strict=False):
        axes.plot(x, y, color=colour, linewidth=2)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    return as_svg(figure, name=name)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
