"""Compose the report of a training run."""

from __future__ import annotations

import platform
from importlib.metadata import version

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from enhancer_core import __version__, metrics
from enhancer_core.data.dataset import PARTS, TEST
from enhancer_core.dna import kmers
from enhancer_core.dna.codes import gc_content
from enhancer_core.models.architecture import NETWORKS
from enhancer_core.motifs.match import FilterMotif
from enhancer_core.motifs.motif import Motif
from enhancer_core.report import plots, text
from enhancer_core.report.motifs import filter_figure
from enhancer_core.report.page import Figure, Highlight, Page, Section, Table
from enhancer_core.training.config import FILE_KEYS
from enhancer_core.training.evaluation import Evaluation
from enhancer_core.training.experiment import Experiment, Outcome
from enhancer_core.training.trainer import Trained

_CLASS_KEY = ((plots.POSITIVES, "positives"), (plots.NEGATIVES, "negatives"))


def training_page(experiment: Experiment, outcome: Outcome, pfms: NDArray[np.int64]) -> Page:
    """Compose the report of a training run.

    Parameters
    ----------
    experiment, outcome
        An experiment, and what `experiment.run` returned for it.
    pfms
        int64, shape (F, 4, W): base counts of the sites that activate each first-layer filter, as
        `filter_pfms` returns them. Filters without sites are left out.

    Returns
    -------
    Page
        It holds no date, so the same values give the same page.
    """
    network, baseline = outcome.network, outcome.baseline
    difference = outcome.difference(experiment.data)
    between = text.signed_interval(difference)
    labels = experiment.data.test.labels
    predicted = network.probabilities[experiment.data.parts == TEST]
    return Page(
        title=f"Network '{experiment.network}' on {experiment.inputs[0].name}",
        lead=text.headline(network, baseline, difference),
        highlights=[
            _highlight("Network", network, plots.NETWORK),
            _highlight(baseline.name, baseline, plots.BASELINE),
            Highlight(text.signed(difference.value), "Difference, paired", between),
        ],
        sections=[
            _results(experiment, outcome),
            _scores(labels, predicted.astype(np.float64)),
            _training(outcome.trained),
            _composition(experiment, outcome),
            *_filters(pfms),
            Section(
                title="What this does not tell you",
                text=text.limits(labels, predicted, split_by=experiment.split_by),
            ),
            _data(experiment),
            _run(experiment),
        ],
    )


def _highlight(name: str, model: Evaluation, colour: str) -> Highlight:
    auc = model.test.auc
    return Highlight(f"{auc.value:.3f}", f"{name}, test AUC", text.interval(auc), colour)


def _results(experiment: Experiment, outcome: Outcome) -> Section:
    data, models = experiment.data, (outcome.network, outcome.baseline)
    labels, test = data.test.labels, outcome.network.test
    aucs = [f"{m.test.auc.value:.3f} for {m.name}" for m in models]
    precisions = [f"{m.test.average_precision.value:.3f} for {m.name}" for m in models]
    predicted = [model.probabilities[data.parts == TEST] for model in models]
    curves = [
        metrics.curves(labels, probabilities, rng=np.random.default_rng(experiment.seed))
        for probabilities in predicted
    ]
    rows = [
        (part, model.name, *map(_two_lines, (m.auc, m.average_precision, m.accuracy)))
        for part in ("validation", "test")
        for model in models
        for m in [model.validation if part == "validation" else model.test]
    ]
    return Section(
        title="Results",
        tables=[
            Table(
                ("Part", "Model", "AUC", "Average precision", "Accuracy"),
                rows,
                f"With each figure its {100 * test.confidence:g} % interval"
                f" ({test.resamples:,} bootstrap resamples, stratified by class).",
                text_columns=2,
            )
        ],
        key=((plots.NETWORK, models[0].name), (plots.BASELINE, models[1].name)),
        figures=[
            Figure(
                plots.curve_pair(*(curve.roc for curve in curves), name="roc", chance=(0, 1)),
                f"ROC curves: AUC {', '.join(aucs)}",
                "ROC curves on the test part, with pointwise bands. Dashed: chance.",
            ),
            Figure(
                plots.curve_pair(
                    *(curve.precision_recall for curve in curves),
                    name="precision-recall",
                    chance=(float(labels.mean()),) * 2,
                ),
                f"Precision-recall curves: average precision {', '.join(precisions)}",
                "Precision and recall on the test part. Dashed: chance.",
            ),
        ],
    )


def _scores(labels: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> Section:
    classes = probabilities[labels], probabilities[~labels]
    bins = metrics.calibration(labels, probabilities, bins=min(10, labels.size))
    return Section(
        title="Scores",
        text=[text.calls(labels, probabilities)],
        key=_CLASS_KEY,
        figures=[
            Figure(
                plots.distributions(
                    *classes, x="probability of being positive", name="scores", span=(0, 1)
                ),
                "Histograms of the network's probabilities for positives and negatives",
                "The network's probabilities on the test part.",
            ),
            Figure(
                plots.calibration(bins),
                "Share of positives against mean predicted probability, in ten bins",
                "Calibration in bins of equally many sequences, with 95 % Wilson intervals. Dashed:"
                " perfect calibration.",
            ),
        ],
    )


def _training(trained: Trained) -> Section:
    restarts, kept = trained.restarts, trained.members
    selected = f"{'best' if len(kept) > 1 else 'selected'} restart; the dot is the selected epoch"
    paragraphs, tables = [text.training(restarts, kept=kept)], []
    if trained.parts:
        paragraphs.append(text.stack(trained.parts))
        tables.append(
            Table(
                ("Part", "Validation AUC, alone", "Weight"),
                [(p.name, f"{p.validation_auc:.3f}", f"{p.weight:.2f}") for p in trained.parts],
                "Weights are shares of their sum, of log odds in units of their standard deviation"
                " within the classes.",
            )
        )
    if trained.diverged:
        numbers = ", ".join(str(index + 1) for index in sorted(trained.diverged))
        paragraphs.append(f"Restarts that diverged, and of which no more is shown: {numbers}.")
    return Section(
        title="Training",
        text=paragraphs,
        tables=tables,
        key=((plots.NETWORK, selected), (plots.GUIDE, "others")),
        figures=[
            Figure(
                plots.training_curves(restarts, best=trained.best, measure="loss"),
                "Training loss of every restart by epoch",
                "Mean cross-entropy of mini-batches. Dashed: chance, 0.693.",
            ),
            Figure(
                plots.training_curves(restarts, best=trained.best, measure="auc"),
                "Validation AUC of every restart by epoch",
                "AUC on the validation part. Dashed: chance, 0.5.",
            ),
        ],
    )


def _composition(experiment: Experiment, outcome: Outcome) -> Section:
    """Compare the classes' GC content and dinucleotides over the whole data set."""
    dataset, network_auc = experiment.data.dataset, outcome.network.test.auc
    aucs = {name: model.test.auc for name, model in outcome.composition.items()}
    gc = gc_content(dataset.codes) * 100
    known = ~np.isnan(gc)
    figures = []
    classes = dataset.labels, ~dataset.labels
    by_class = [gc[known & labels] for labels in classes]
    if all(values.size for values in by_class):
        caption = "GC content, %"
        if not known.all():
            caption += f" (of {known.sum():,} of {gc.size:,} sequences; the others hold N alone)"
        drawn = plots.distributions(*by_class, name="gc")
        alt = "Histograms of GC content for positives and negatives"
        figures.append(Figure(drawn, alt, caption))
    frequencies = kmers.k_mer_frequencies(dataset.codes, 2)
    means = (frequencies[labels].mean(axis=0, dtype=np.float64) for labels in classes)
    figures.append(
        Figure(
            plots.enrichments(kmers.k_mer_names(2), *means),
            "Fold enrichment of each dinucleotide in positives over negatives",
            "Frequency in positives over frequency in negatives, on a logarithmic scale.",
        )
    )
    aucs_of_all = {**aucs, "network, for comparison": network_auc}.items()
    rows = [(name, f"{auc.value:.3f}", text.interval(auc)) for name, auc in aucs_of_all]
    return Section(
        title="Composition",
        text=[text.composition(aucs, network_auc)],
        tables=[Table(("Model", "Test AUC", "Interval"), rows)],
        key=_CLASS_KEY,
        figures=figures,
    )


def _filters(pfms: NDArray[np.int64]) -> list[Section]:
    """Return one section, or none where no filter is active."""
    named = {f"filter_{number}": pfm for number, pfm in enumerate(pfms, 1) if pfm.any()}
    filters = [FilterMotif(name=name, motif=Motif(name, pfm)) for name, pfm in named.items()]
    if not filters:
        return []
    return [
        Section(
            title="First-layer filters",
            text=[
                f"The {len(filters)} motifs that activate the filters, by falling information"
                " content. The height of a letter is its share of the position's information; the"
                " full height is 2 bits."
            ],
            figures=[filter_figure(each) for each in sorted(filters, key=lambda each: -each.bits)],
            small_figures=True,
        )
    ]


def _data(experiment: Experiment) -> Section:
    data = experiment.data
    labels = {name: data.dataset.labels[data.parts == part] for part, name in enumerate(PARTS)}
    if data.left_out is not None:
        labels["left out"] = data.left_out.labels
    parts = []
    for name, part in labels.items():
        share = 100 * part.sum() / max(1, part.size)
        parts.append((name, f"{part.sum():,}", f"{(~part).sum():,}", f"{share:.1f}"))
    files = []
    for file in experiment.inputs:
        digest = Markup("<code>{}</code>").format(file.sha256)
        files.append((file.name, file.label, digest, f"{file.sequences:,}"))
    tables = [
        Table(("Part", "Positives", "Negatives", "Positives, %"), parts),
        Table(("File", "Class", "SHA-256", "Sequences"), files, text_columns=3),
    ]
    return Section(title="Data", tables=tables)


def _run(experiment: Experiment) -> Section:
    length = experiment.architecture.length
    settings: dict[str, object] = {"network": experiment.network, "length, bp": length}
    layers, named = experiment.architecture.convolutions, NETWORKS.get(experiment.network)
    if named is not None and layers != named.convolutions:  # widened
        settings["filters"] = ", ".join(str(layer.filters) for layer in layers)
    if experiment.start is not None:
        settings[experiment.start.kind] = ", ".join(experiment.start.names())
    names = {key: name for name, key in FILE_KEYS.items()}
    for key, value in experiment.config.to_dict().items():
        settings[names.get(key, key).replace("_", " ")] = value
    settings["seed"] = experiment.seed
    versions = {"enhancer_core": __version__, "Python": platform.python_version()}
    versions |= {name: version(name) for name in ("torch", "numpy", "scikit-learn")}
    tables = []
    for kind, values in (("Setting", settings), ("Version", versions)):
        rows = [(name, str(value)) for name, value in values.items()]
        tables.append(Table((kind, "Value"), rows, text_columns=2))
    return Section(title="Run", tables=tables)


def _two_lines(estimate: metrics.Estimate) -> Markup:
    return Markup("{:.3f}<br><small>{}</small>").format(estimate.value, text.interval(estimate))
