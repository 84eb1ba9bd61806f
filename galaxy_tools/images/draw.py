"""Draw the pictures of the tools' help anew: `python draw.py`, where enhancer_core is installed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from enhancer_core.dna.codes import decode, encode
from enhancer_core.dna.shuffle import k_shuffle
from enhancer_core.io.fasta import read_fasta
from enhancer_core.models.model import load_model
from enhancer_core.motifs.motif import BUILTIN, ppm
from enhancer_core.prediction.saturation import mutate
from enhancer_core.report.markdown import png
from enhancer_core.report.mutagenesis import mutation_plot
from enhancer_core.report.plots import BASELINE, GUIDE, LETTERS, NEGATIVES, NETWORK, POSITIVES, logo

HERE = Path(__file__).parent
DATA = HERE.parent / "test-data"
WIDTH = 640
INK, PALE = "#1c2127", "#e6e9ec"
CHANCE = np.random.default_rng(3)


def box(x: float, y: float, width: float, height: float, colour: str) -> str:
    """Draw a filled box."""
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="2" fill="{colour}"/>'


def text(x: float, y: float, words: str, *, anchor: str = "start", colour: str = INK) -> str:
    """Write words."""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{colour}">{words}</text>'


def line(*points: tuple[float, float], colour: str = GUIDE, width: float = 1.5) -> str:
    """Draw a line through points."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>'


def arrow(x: float, y: float, end: float) -> str:
    """Draw an arrow to the right."""
    head = f'<path d="M{end} {y}l-8 -4v8z" fill="{GUIDE}"/>'
    return line((x, y), (end - 6, y)) + head


def card(x: float, y: float, width: float, colour: str, *words: str) -> str:
    """Draw a box with words in it."""
    lines = (
        text(x + width / 2, y + 19 + 15 * row, each, anchor="middle", colour="white")
        for row, each in enumerate(words)
    )
    return box(x, y, width, 13 + 15 * len(words), colour) + "".join(lines)


def letters(x: float, y: float, sequence: str, *, step: float = 15) -> str:
    """Write bases in their colours."""
    colours = dict(zip("ACGT", (colour for colour, _ in LETTERS), strict=True))
    return "".join(
        f'<text x="{x + step * at}" y="{y}" font-weight="bold" font-size="15"'
        f' fill="{colours[base]}">{base}</text>'
        for at, base in enumerate(sequence)
    )


def simulate() -> list[str]:
    """Draw positives with a site near the centre, and background without."""
    drawn = []
    for row in range(6):
        y = 14 + 20 * row + 14 * (row > 2)
        drawn.append(box(130, y, 480, 10, PALE))
        if row < 3:
            drawn.append(box(350 + int(CHANCE.integers(-40, 40)), y, 36, 10, POSITIVES))
    return [*drawn, text(20, 44, "positives"), text(20, 118, "background")]


def extract() -> list[str]:
    """Draw peaks of many lengths; windows of one length at their centres, or side by side."""
    drawn = [text(20, 25, "peaks"), text(20, 75, "windows"), text(20, 125, "tiled")]
    drawn.append(line((130, 21), (610, 21)))
    for start, width in ((160, 90), (320, 60), (450, 130)):
        drawn.append(box(start, 14, width, 14, POSITIVES))
        drawn.append(box(start + width / 2 - 25, 64, 50, 14, NETWORK))
        count = width // 50
        left = start + (width - 50 * count) / 2
        drawn += (box(left + 50 * at, 114, 48, 14, NETWORK) for at in range(count))
    return drawn


def background() -> list[str]:
    """Draw windows off peaks and N, far from genes."""
    drawn = [line((130, 65), (610, 65)), text(20, 69, "genome")]
    drawn += (box(start, 58, 26, 14, POSITIVES) for start in (160, 420, 560))
    drawn.append(box(270, 58, 60, 14, INK))
    drawn.append(box(480, 58, 40, 14, GUIDE))
    for start, end in ((210, 270), (330, 390)):
        drawn.append(line((start, 84), (start, 92), (end, 92), (end, 84)))
    drawn += (
        text((start + end) / 2, 108, "15 kb", anchor="middle")
        for start, end in ((210, 270), (330, 390))
    )
    drawn += (box(start, 30, 12, 14, NEGATIVES) for start in (135, 193, 400, 452, 530, 592))
    drawn.append(text(20, 41, "drawn", colour=NEGATIVES))
    for x, colour, name in ((130, POSITIVES, "excluded"), (240, INK, "gene"), (330, GUIDE, "N")):
        drawn += (box(x, 130, 14, 10, colour), text(x + 20, 140, name))
    return drawn


def shuffle() -> list[str]:
    """Draw a sequence and a shuffle of it at k = 2."""
    codes = encode(["GATTACACATTGCGCAATCGTATTGACA"])
    shuffled = k_shuffle(codes, k=2, rng=np.random.default_rng(1))
    return [
        text(20, 34, "sequence"),
        letters(150, 35, decode(codes)[0]),
        text(20, 74, "shuffle, k = 2"),
        letters(150, 75, decode(shuffled)[0]),
        text(150, 108, "in another order, with as many AA, AC, AG, ..., TT as before"),
    ]


def train() -> list[str]:
    """Draw the way from sequences over a split and restarts to a model and a report."""
    return [
        card(10, 20, 110, POSITIVES, "positives"),
        card(10, 70, 110, NEGATIVES, "negatives"),
        arrow(124, 59, 156),
        card(160, 10, 120, GUIDE, "80 % to learn"),
        card(160, 46, 120, GUIDE, "10 % to choose"),
        card(160, 82, 120, GUIDE, "10 % to test"),
        arrow(284, 24, 316),
        card(320, 10, 120, NETWORK, "restarts"),
        arrow(284, 60, 316),
        card(320, 46, 120, NETWORK, "the best one"),
        arrow(284, 96, 316),
        card(320, 82, 120, BASELINE, "beside 5-mers"),
        arrow(444, 60, 476),
        arrow(444, 96, 476),
        card(480, 46, 140, INK, "model"),
        card(480, 82, 140, INK, "report, metrics"),
    ]


def judged(name: str, colour: str, given: Sequence[str]) -> list[str]:
    """Draw what is judged, and its ROC curve."""
    x = np.linspace(0, 1, 40)
    curve = [(440 + 100 * at, 115 - 100 * at**0.3) for at in x]
    return [
        card(10, 20, 130, POSITIVES, "positives"),
        card(10, 70, 130, NEGATIVES, "negatives"),
        arrow(146, 59, 186),
        card(190, 38 if len(given) == 1 else 30, 160, colour, *given),
        arrow(356, 59, 396),
        line((440, 15), (440, 115), (540, 115)),
        line((440, 115), (540, 15), width=0.8),
        line(*curve, colour=colour, width=2.5),
        text(552, 60, name, colour=colour),
    ]


def predict() -> list[str]:
    """Draw a table for sequences, a track for a genome."""
    x = np.linspace(0, 1, 160)
    peaks = ((0.2, 1.0), (0.55, 0.6), (0.8, 0.9))
    heights = [sum(tall * np.exp(-(((at - to) / 0.02) ** 2)) for to, tall in peaks) for at in x]
    track = [(330 + 290 * at, 112 - 70 * high) for at, high in zip(x, heights, strict=True)]
    rows = (("name", "probability"), ("chr1:600-700", "0.97"), ("chr1:900-1000", "0.08"))
    table = [
        text(x, 45 + 22 * row, words, anchor=anchor)
        for row, pair in enumerate(rows)
        for x, words, anchor in ((20, pair[0], "start"), (230, pair[1], "end"))
    ]
    return [
        text(20, 20, "sequences", colour=NETWORK),
        *table,
        line((20, 52), (230, 52)),
        text(330, 20, "genome", colour=NETWORK),
        line((330, 114), (620, 114)),
        line(*track, colour=NETWORK, width=2),
    ]


def call() -> list[str]:
    """Draw a track, a threshold through it, and the calls with their ranks."""
    x = np.linspace(0, 1, 240)
    peaks = ((0.15, 0.72), (0.34, 1.0), (0.385, 0.8), (0.62, 0.4), (0.83, 0.88))
    heights = [sum(tall * np.exp(-(((at - to) / 0.015) ** 2)) for to, tall in peaks) for at in x]
    track = [(20 + 590 * at, 95 - 70 * high) for at, high in zip(x, heights, strict=True)]
    drawn = [line((20, 97), (610, 97)), line((20, 58), (610, 58), colour=BASELINE)]
    drawn.append(line(*track, colour=NETWORK, width=2))
    for low, high, name in ((0.142, 0.158, "3"), (0.326, 0.397, "1"), (0.817, 0.843, "2")):
        start, end = 20 + 590 * low, 20 + 590 * high
        drawn.append(box(start, 106, end - start, 10, NETWORK))
        drawn.append(text((start + end) / 2, 134, f"call_{name}", anchor="middle"))
    return [*drawn, text(612, 54, "threshold", anchor="end", colour=BASELINE)]


def variants() -> list[str]:
    """Draw two windows, one with the other allele, and their probabilities."""
    drawn = [box(171, 14, 18, 78, PALE)]
    for y, sequence, name, value in (
        (35, "GATTGCACAATCA", "EC_REF", "0.81"),
        (82, "GATTGTACAATCA", "EC_ALT", "0.34"),
    ):
        drawn += (
            letters(97, y, sequence),
            arrow(304, y - 5, 340),
            card(344, y - 19, 90, NETWORK, "network"),
            arrow(438, y - 5, 474),
            text(484, y, f"{name} = {value}"),
        )
    drawn += (text(20, 35, "REF"), text(20, 82, "ALT"))
    drawn.append(text(484, 122, "EC_DIFF = −0.47", colour=BASELINE))
    return drawn


def motifs() -> list[str]:
    """Draw a filter's motif above a known one."""
    known = BUILTIN["CEBPA"]
    drawn = [text(20, 52, "filter"), text(20, 122, "best match")]
    blurred = 0.75 * ppm(known.pfm)[:, 1:10] + 0.25 / 4
    for x, y, matrix in ((180.0, 10, blurred), (150.0, 80, ppm(known.pfm))):
        size = f'width="{30 * matrix.shape[1]}" height="61" preserveAspectRatio="none"'
        drawn.append(f'<svg x="{x}" y="{y}" {size}{logo(matrix).removeprefix("<svg")}')
    drawn.append(text(445, 132, known.alias, colour=NETWORK))
    return drawn


def wiring() -> list[str]:
    """Draw two sites in background, at several spacings, and what both add beyond each alone."""
    drawn = [text(20, 41, "planted"), text(340, 20, "log odds of both, beyond each alone")]
    for row, gap in enumerate((20, 40, 60, 80)):
        y = 32 + 24 * row
        drawn.append(box(90, y, 200, 10, PALE))
        drawn.append(box(120, y, 36, 10, NETWORK))
        drawn.append(box(156 + gap, y, 36, 10, BASELINE))
        high = (30, 230, 24, 12)[row]
        drawn.append(box(340, y, high, 10, POSITIVES))
    return drawn


def mutated() -> str:
    """Draw a sequence of the tests by its model."""
    record = read_fasta(DATA / "three.fa")
    found = mutate(load_model(DATA / "model.safetensors").predictor(), record.codes[0])
    return str(mutation_plot("chr1:600-700", record.codes[0], found))


def picture(drawn: Sequence[str], height: int) -> str:
    """Put shapes into a picture."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"'
        f' font-size="13">{"".join(drawn)}</svg>'
    )


def main() -> None:
    """Write every picture."""
    drawings = {
        "simulate": picture(simulate(), 150),
        "extract": picture(extract(), 145),
        "background": picture(background(), 152),
        "shuffle": picture(shuffle(), 125),
        "train": picture(train(), 120),
        "evaluate": picture(judged("AUC", NETWORK, ["model"]), 130),
        "baseline": picture(judged("AUC", BASELINE, ["counts of 5-mers,", "weighed"]), 130),
        "pssm": picture(judged("AUC", INK, ["best place for", "the motif"]), 130),
        "motifs": picture(motifs(), 150),
        "wiring": picture(wiring(), 125),
        "predict": picture(predict(), 130),
        "call": picture(call(), 145),
        "variants": picture(variants(), 135),
        "mutagenesis": mutated(),
    }
    for name, svg in drawings.items():
        (HERE / f"{name}.png").write_bytes(png(svg))


if __name__ == "__main__":
    main()
