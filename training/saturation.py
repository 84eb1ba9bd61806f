"""Compare predicted effects with measured ones, on saturation mutagenesis of 20 human elements.

    python training/saturation.py DATA MODEL... -o saturation.html

The page has a row an experiment (Kircher et al. 2019) for each model, beside a k-mer baseline and
the floor that chance sets; the table beside it, saturation.tsv, has every number. The same files
give the same bytes.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from itertools import combinations
from pathlib import Path

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray
from scipy.stats import rankdata

from enhancer_core.data.dataset import read_dataset
from enhancer_core.data.splits import split
from enhancer_core.dna.codes import ALPHABET, N_CODE, Codes
from enhancer_core.dna.kmers import k_mer_frequencies
from enhancer_core.errors import EnhancerError, FileError
from enhancer_core.io.fasta import read_records
from enhancer_core.io.files import check_output, read_lines, write_text
from enhancer_core.io.tables import read_table, write_table
from enhancer_core.metrics import Estimate, Floats
from enhancer_core.models import kmers
from enhancer_core.models.architecture import BASES
from enhancer_core.models.model import load_model
from enhancer_core.prediction.alleles import Edit, normalise, windows
from enhancer_core.prediction.scoring import effects
from enhancer_core.report.page import Figure, Highlight, Page, Section, Table, render_page
from enhancer_core.report.plots import BASELINE, GUIDE, NETWORK

FOLDER = "saturation_mutagenesis"
TRAINED_ON = {  # what the baseline learns from, by the length of a model's windows
    500: (
        "liver enhancers",
        "human_liver_h3k27ac/enhancers.fa.gz",
        "human_liver_h3k27ac/background.fa.gz",
    ),
    251: (
        "promoters",
        "promoters_251bp/human_promoters.fa.gz",
        "promoters_251bp/human_background.fa.gz",
    ),
}
BARCODES = 10  # a change that fewer barcodes carried was measured too poorly to count
K = 5
RESAMPLES, PERMUTATIONS = 1000, 200
TAILS = (0.025, 0.975)
KINDS = {"deletion": slice(0, 1), "snv": slice(1, BASES)}  # columns of measured and of predicted


@dataclass(frozen=True, slots=True)
class Experiment:
    """One element, codes (P,), and what was measured: log2 effects (P, 4), NaN where nothing was.

    Column 0 is the deletion of the base; column s is the base s further in A C G T A C G, so
    that 2 is always the transition.
    """

    name: str
    region: str
    codes: Codes
    measured: Floats


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """How well two predictors follow what was measured in one experiment, by one kind of change."""

    variants: int
    positions: int
    pearson: Estimate
    baseline_pearson: Estimate
    difference: Estimate  # of the two, over the same resamples
    floor: Estimate  # Pearson: mean and 95 % range with the model's effects moved about
    spearman: Estimate
    baseline_spearman: Estimate
    size_spearman: Estimate  # of sizes, signs aside
    baseline_size_spearman: Estimate


def read_experiments(folder: Path) -> tuple[list[Experiment], Counter[str]]:
    """Read the measured effects, and count the rows left out by reason."""
    path = folder / "reference.GRCh38.fa"
    regions = [line[1:].split()[1] for _, line in read_lines(path) if line.startswith(">")]
    experiments = {
        record.name: Experiment(
            record.name, region, record.codes, np.full((len(record.codes), BASES), np.nan)
        )
        for record, region in zip(read_records(path), regions, strict=True)
    }
    left_out: Counter[str] = Counter()
    path = folder / "variants.GRCh38.tsv.gz"
    columns = ("Pos", "Ref", "Alt", "Barcodes", "Coefficient", "Element")
    for line, row in read_table(path, columns):
        if row["Pos"] == "NA":
            left_out["have no position"] += 1
            continue
        if int(row["Barcodes"]) < BARCODES:
            left_out[f"rest on fewer than {BARCODES} barcodes"] += 1
            continue
        experiment = experiments[row["Element"]]
        first = int(re.split("[:-]", experiment.region)[1])
        position, base = int(row["Pos"]) - first, ALPHABET.index(row["Ref"])
        if not 0 <= position < len(experiment.codes) or experiment.codes[position] != base:
            raise FileError(f"{path} line {line}: {row['Ref']} is not what the reference has there")
        column = 0 if row["Alt"] == "-" else (ALPHABET.index(row["Alt"]) - base) % BASES
        experiment.measured[position, column] = float(row["Coefficient"])
    return list(experiments.values()), left_out


def cut(codes: Codes, length: int) -> tuple[Codes, Codes, NDArray[np.int64]]:
    """Cut the windows of every change of an element (P,): what `effects` takes.

    References (P, L), alternatives (4 P, L) in the order of `Experiment.measured`, rows (4 P,).
    Beyond the element windows hold N, since what flanks it in a genome was not in the experiment.
    """
    padded = np.pad(codes, length, constant_values=N_CODE)

    def fetch(start: int, end: int) -> Codes:
        return padded[start + length : end + length]

    references = np.empty((len(codes), length), dtype=np.uint8)
    alternatives = np.empty((len(codes) * BASES, length), dtype=np.uint8)
    rows = np.empty(len(alternatives), dtype=np.int64)
    for row in range(len(alternatives)):
        position, step = divmod(row, BASES)
        base = codes[position : position + 1]
        edit = normalise(Edit(position, base, (base + step) % BASES if step else base[:0]), fetch)
        rows[row] = edit.start
        references[edit.start], alternatives[row] = windows(edit, length, fetch)
    return references, alternatives, rows


def k_mer_effects(
    fitted: kmers.Baseline, references: Codes, alternatives: Codes, rows: NDArray[np.int64]
) -> Floats:
    """Give what each change adds to the baseline's log odds."""
    weights = fitted.weights.astype(np.float64) / fitted.scale
    before, after = (
        k_mer_frequencies(codes, fitted.k) @ weights for codes in (references, alternatives)
    )
    difference: Floats = after - before[rows]
    return difference


def correlations(x: Floats, y: Floats, counts: NDArray[np.int64]) -> Floats:
    """Correlate x and y (P, C) as Pearson did, with each position as often as counts (B, P) say.

    Where y is NaN the pair does not count. Gives (B,).
    """
    known = ~np.isnan(y)
    x, y = (np.where(known, each - each[known].mean(), 0) for each in (x, y))
    sums = np.stack([known, x, y, x * x, y * y, x * y]).sum(axis=2)
    n, x, y, xx, yy, xy = sums @ counts.T
    found: Floats = (n * xy - x * y) / np.sqrt((n * xx - x * x) * (n * yy - y * y))
    return found


def ranks(values: Floats, known: NDArray[np.bool_]) -> Floats:
    """Rank the values that are known, ties sharing the mean rank; the others are NaN."""
    ranked = np.full(values.shape, np.nan)
    ranked[known] = rankdata(values[known])
    return ranked


def compare(
    measured: Floats, model: Floats, simple: Floats, *, rng: np.random.Generator
) -> Comparison:
    """Compare two predictors with what was measured, each (P, C), NaN where nothing was.

    Positions are resampled, and permuted for the floor, whole: the changes of one base are not
    independent. Spearman's intervals resample ranks rather than rank resamples.
    """
    there = ~np.isnan(measured).all(axis=1)
    measured, model, simple = measured[there], model[there], simple[there]
    n, known = len(measured), ~np.isnan(measured)
    once = np.ones((1, n), dtype=np.int64)
    counts = np.concatenate([once, rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES)])
    linear, monotone, sizes = (
        [correlations(view(each), view(measured), counts) for each in (model, simple)]
        for view in (
            lambda values: values,
            lambda values: ranks(values, known),
            lambda values: ranks(np.abs(values), known),
        )
    )
    moved = [
        correlations(model[rng.permutation(n)], measured, once).item() for _ in range(PERMUTATIONS)
    ]
    return Comparison(
        variants=int(known.sum()),
        positions=n,
        pearson=_estimate(linear[0]),
        baseline_pearson=_estimate(linear[1]),
        difference=_estimate(linear[0] - linear[1]),
        floor=Estimate(float(np.mean(moved)), *np.quantile(moved, TAILS).tolist()),
        spearman=_estimate(monotone[0]),
        baseline_spearman=_estimate(monotone[1]),
        size_spearman=_estimate(sizes[0]),
        baseline_size_spearman=_estimate(sizes[1]),
    )


def _estimate(values: Floats) -> Estimate:
    """Take the first value as the figure, the others as its resamples."""
    return Estimate(float(values[0]), *np.quantile(values[1:], TAILS).tolist())


Results = Mapping[str, Comparison]  # by experiment


def verdict(results: Results) -> str:
    """Say where a model follows the measurements better than the baseline, and where not."""
    better = [name for name, each in results.items() if each.difference.low > 0]
    worse = [name for name, each in results.items() if each.difference.high < 0]
    alike = [name for name in results if name not in {*better, *worse}]
    lost = [name for name, each in results.items() if not _beats_floor(each)]
    empty = [name for name in better if name in lost]
    but = f", of which {len(empty)} ({', '.join(empty)}) no better than the floor" if empty else ""
    n = len(results)
    return (
        f"Of {n} experiments the model's Pearson correlation exceeds the baseline's, with a paired"
        f" 95 % interval that excludes 0, in {_listed(better, n)}{but}. It is no better than the"
        f" baseline in {_listed([*worse, *alike], n, named=False)}: as surely below it in"
        f" {_listed(worse, n)}, not told apart from it in {_listed(alike, n)}. It is no better"
        f" than the floor in {_listed(lost, n)}."
    )


def _beats_floor(each: Comparison) -> bool:
    return each.pearson.value > each.floor.high


def _beats_both(each: Comparison) -> bool:
    return each.difference.low > 0 and _beats_floor(each)


def _listed(names: Sequence[str], n: int, *, named: bool = True) -> str:
    if len(names) in {0, n}:
        return f"all {n}" if names else "none"
    return f"{len(names)} ({', '.join(names)})" if named else f"{len(names)}"


def medians(results: Results) -> str:
    """Say where the middle of the experiments lies, for the model and the baseline."""
    ours, theirs = (
        np.median([each.value for each in some])
        for some in (
            [each.pearson for each in results.values()],
            [each.baseline_pearson for each in results.values()],
        )
    )
    return f"{_signed(ours)} (baseline {_signed(theirs)})"


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0.0:+.2f}".replace("-", "−")  # + 0.0 makes -0.0 positive


def agreement(experiments: Sequence[Experiment]) -> str:
    """Say how well experiments on one region agree, which bounds what a predictor can reach."""
    found = []
    for one, other in combinations(experiments, 2):
        if one.region == other.region:
            x, y = one.measured[:, KINDS["snv"]], other.measured[:, KINDS["snv"]]
            once = np.ones((1, len(x)), dtype=np.int64)
            r = correlations(np.nan_to_num(x), np.where(np.isnan(x), np.nan, y), once).item()
            found.append(f"{one.name} and {other.name} {_signed(r)}")
    return f"Experiments on one region correlate with one another: {', '.join(found)}."


_WIDTH, _ROW, _TOP, _BOTTOM = 440, 24, 30, 44  # of the figure, in points
_LEFT, _RIGHT = 112, 58
_MUTED = "#5d6670"


def dot_plot(results: Results, low: float, high: float) -> Markup:
    """Draw each experiment's correlations with their intervals, before the floor's range."""
    height = _TOP + _ROW * len(results) + _BOTTOM

    def x(value: float) -> float:
        return round(_LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT), 2)

    def rows() -> Iterator[str]:
        for index, (name, each) in enumerate(results.items()):
            y = _TOP + _ROW * (index + 0.5)
            floor = each.floor
            yield (
                f'<rect x="{x(floor.low)}" y="{y - 10}" width="{x(floor.high) - x(floor.low):.2f}"'
                f' height="20" fill="{GUIDE}" opacity="0.3"/>'
                f'<text x="{_LEFT - 12}" y="{y + 4}" text-anchor="end">{escape(name)}</text>'
            )
            for one, colour, down in (
                (each.pearson, NETWORK, -4),
                (each.baseline_pearson, BASELINE, 4),
            ):
                yield (
                    f'<path d="M{x(one.low)} {y + down}H{x(one.high)}" stroke="{colour}"'
                    f' stroke-width="1.5"/>'
                    f'<circle cx="{x(one.value)}" cy="{y + down}" r="3.4" fill="{colour}"/>'
                )
            sure = not each.difference.low <= 0 <= each.difference.high
            colour = (NETWORK if each.difference.value > 0 else BASELINE) if sure else _MUTED
            yield (
                f'<text x="{_WIDTH}" y="{y + 4}" text-anchor="end" fill="{colour}"'
                f' font-weight="{600 if sure else 400}">{_signed(each.difference.value)}</text>'
            )

    def scale() -> Iterator[str]:
        bottom = height - _BOTTOM
        for tenths in range(math.ceil(low * 10), math.floor(high * 10) + 1):
            tick = tenths / 10
            shade = ' opacity="0.3"' if tenths else ""
            yield (
                f'<path d="M{x(tick)} {_TOP}V{bottom}" stroke="{GUIDE}"{shade}/>'
                f'<text x="{x(tick)}" y="{bottom + 17}" text-anchor="middle">'
                f"{f'{tick:.1f}'.replace('-', '−')}</text>"
            )
        yield (
            f'<text x="{_WIDTH - _RIGHT}" y="{bottom + 36}" text-anchor="end">Pearson correlation'
            f' with measured effects</text><text x="{_WIDTH}" y="{_TOP - 12}" text-anchor="end">'
            "difference</text>"
        )

    return Markup(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-size="12"'
        f' fill="#1c2127">{"".join((*scale(), *rows()))}</svg>'
    )


def page(
    experiments: Sequence[Experiment],
    found: Mapping[str, Mapping[str, Results]],
    learned: Mapping[str, str],
    left_out: Mapping[str, int],
) -> str:
    """Write the page of all models: results by model and kind of change, `learned` by model."""
    snvs = {model: results["snv"] for model, results in found.items()}
    shown = [
        end
        for results in snvs.values()
        for each in results.values()
        for one in (each.pearson, each.baseline_pearson, each.floor)
        for end in (one.low, one.high)
    ]
    regions = len({each.region for each in experiments})
    page = Page(
        title="Measured effects of single-base changes",
        lead=f"{len(experiments)} experiments measured what single-base changes do to {regions}"
        " human regulatory elements. Median Pearson correlation of the predicted with the measured"
        " effects: "
        + "; ".join(f"{model} {medians(results)}" for model, results in snvs.items())
        + ".",
        highlights=[
            Highlight(
                label=model,
                value=f"{sum(each.difference.low > 0 for each in results.values())}"
                f" of {len(results)}",
                note="better than the baseline; than the floor"
                f" {sum(map(_beats_floor, results.values()))}; than both"
                f" {sum(map(_beats_both, results.values()))}",
                colour=NETWORK,
            )
            for model, results in snvs.items()
        ],
        sections=[
            Section(
                title="Correlations",
                key=[
                    (NETWORK, "model"),
                    (BASELINE, f"{K}-mer baseline"),
                    (f"{GUIDE}4d", "floor: the model's effects permuted over positions"),
                ],
                figures=[
                    Figure(
                        svg=dot_plot(results, min(*shown, 0), max(*shown, 0.2)),
                        alt=f"Pearson correlations of {model} and its baseline, by experiment",
                        caption=Markup(
                            "<b>{}</b>. Baseline learned from {}. Lines: 95 % intervals."
                            " The difference, model less baseline, is in the colour of the better"
                            " where its paired interval excludes 0."
                        ).format(model, learned[model]),
                    )
                    for model, results in snvs.items()
                ],
            ),
            *(
                Section(
                    title=model,
                    text=[
                        f"Single-base substitutions. {verdict(results['snv'])}",
                        "Deletions of one base. Median Pearson correlation"
                        f" {medians(results['deletion'])}. {verdict(results['deletion'])}",
                    ],
                    tables=_tables(results["snv"]),
                )
                for model, results in found.items()
            ),
            _method(experiments, left_out),
        ],
    )
    return render_page(page)


def _tables(results: Results) -> list[Table]:
    return [
        Table(
            head=("Experiment", "SNVs", "Pearson, model", "baseline", "difference", "floor"),
            rows=[
                (
                    name,
                    f"{each.variants:,}",
                    *map(
                        _two_lines,
                        (each.pearson, each.baseline_pearson, each.difference, each.floor),
                    ),
                )
                for name, each in results.items()
            ],
            caption="Below each figure its 95 % interval; below the floor's mean its 95 % range.",
        ),
        Table(
            head=("Experiment", "Spearman, model", "baseline", "sizes: model", "baseline"),
            rows=[
                (
                    name,
                    *map(
                        _two_lines,
                        (
                            each.spearman,
                            each.baseline_spearman,
                            each.size_spearman,
                            each.baseline_size_spearman,
                        ),
                    ),
                )
                for name, each in results.items()
            ],
            caption="Sizes: Spearman correlation of |predicted| with |measured|.",
        ),
    ]


def _two_lines(estimate: Estimate) -> Markup:
    return Markup("{}<br><small>{} to {}</small>").format(
        *map(_signed, (estimate.value, estimate.low, estimate.high))
    )


def _method(experiments: Sequence[Experiment], left_out: Mapping[str, int]) -> Section:
    def count(each: Experiment, kind: str) -> str:
        return f"{int((~np.isnan(each.measured[:, KINDS[kind]])).sum()):,}"

    return Section(
        title="How it was compared",
        text=[
            "Predicted is the log odds of the window with the change less those of the window"
            " without, mean of both strands. A window is centred on the change and has the model's"
            " length; beyond the element it holds N, since the experiments took the element out of"
            " its genome. Measured is the log2 change of expression.",
            f"The baseline is a logistic regression on {K}-mers; its effects come from the same"
            " windows. It learns from the data named at its figure, split at random with seed 0.",
            f"Intervals are of {RESAMPLES:,} resamples of positions, the changes of a position kept"
            f" together. The floor is of {PERMUTATIONS} permutations of the model's effects over"
            " positions, kept together likewise, a transition for a transition; a model that knows"
            " nothing passes its upper end in 1 experiment of 40. Neighbouring positions are not"
            " independent, so intervals and floor are somewhat too narrow.",
            "Models and baseline learned to tell elements from what is none, never effects. The"
            f" data do not name the cells of an experiment. {agreement(experiments)}",
            "Left out: "
            + "; ".join(f"{count:,} rows that {why}" for why, count in left_out.items())
            + ".",
        ],
        tables=[
            Table(
                head=("Experiment", "Region (GRCh38)", "bp", "SNVs", "Deletions"),
                rows=[
                    (
                        each.name,
                        each.region,
                        str(len(each.codes)),
                        count(each, "snv"),
                        count(each, "deletion"),
                    )
                    for each in experiments
                ],
                text_columns=2,
            )
        ],
    )


def table_rows(found: Mapping[str, Mapping[str, Results]]) -> Iterator[list[object]]:
    """Give the rows of the table: model, kind of change, experiment, then every number."""
    for model, by_kind in found.items():
        for kind, results in by_kind.items():
            for name, each in results.items():
                yield [model, kind, name, *_numbers(each)]


def _numbers(each: Comparison) -> Iterator[object]:
    for field in fields(each):
        value = getattr(each, field.name)
        yield from astuple(value) if isinstance(value, Estimate) else (value,)


def table_head() -> list[str]:
    """Name the columns of `table_rows`."""
    head = ["model", "change", "experiment"]
    for field in fields(Comparison):
        ends = ("", "_low", "_high") if field.type == "Estimate" else ("",)
        head += [f"{field.name}{end}" for end in ends]
    return head


def fit_baseline(data: Path, length: int) -> kmers.Baseline:
    """Fit the k-mer baseline on the data of this length, split as `train` splits with seed 0."""
    _, positives, negatives = TRAINED_ON[length]
    dataset = read_dataset([data / positives], [data / negatives])
    return kmers.fit(split(dataset, rng=np.random.default_rng(0)), k=K)


def score(
    data: Path, model: Path, experiments: Sequence[Experiment], *, threads: int
) -> dict[str, Results]:
    """Compare a model and its baseline with every experiment, by kind of change."""
    loaded = load_model(model)
    length, predictor = loaded.length, loaded.predictor()
    if length not in TRAINED_ON:
        allowed = " and ".join(f"{each}" for each in TRAINED_ON)
        raise EnhancerError(
            f"{model}: reads {length} bp; there are data for the baseline at {allowed} bp"
        )
    fitted = fit_baseline(data, length)
    found: dict[str, dict[str, Comparison]] = {kind: {} for kind in reversed(KINDS)}
    for each in experiments:
        cuts = cut(each.codes, length)
        ours = effects(predictor, *cuts, threads=threads).logit.reshape(-1, BASES)
        theirs = k_mer_effects(fitted, *cuts).reshape(-1, BASES)
        for kind, results in found.items():
            of_kind = (values[:, KINDS[kind]] for values in (each.measured, ours, theirs))
            results[each.name] = compare(*of_kind, rng=np.random.default_rng(0))
    return dict(found)


def run(data: Path, models: Sequence[Path], output: Path, *, threads: int) -> None:
    """Score every experiment with every model, write page and table, say what was found."""
    table = output.with_suffix(".tsv")
    for path in (output, table):
        check_output(path)
    experiments, left_out = read_experiments(data / FOLDER)
    found, learned = {}, {}
    for path in models:
        name = re.sub(r"-[0-9a-f]{12}$", "", path.stem)  # a published file's name has its digest
        found[name] = score(data, path, experiments, threads=threads)
        learned[name] = TRAINED_ON[load_model(path).length][0]
        sys.stdout.write(
            f"{name}: median Pearson {medians(found[name]['snv'])}. {verdict(found[name]['snv'])}\n"
        )
    write_table(table, table_head(), table_rows(found))
    write_text(output, page(experiments, found, learned, left_out))


def main() -> None:
    """Read the arguments; bad input ends in one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path, help="folder of the data")
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL", help="trained models")
    parser.add_argument("-o", "--output", type=Path, required=True, help="page; .tsv beside it")
    parser.add_argument("--threads", type=int, default=1, help="cores to use")
    options = parser.parse_args()
    try:
        run(options.data, options.models, options.output, threads=options.threads)
    except EnhancerError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
