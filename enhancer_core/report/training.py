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
    labels = experiment.data.test.labels
    predicted = network.probabilities[experiment.data.parts == TEST]
    return Page(
        title=f"Network '{experiment.network}' on {experiment.inputs[0].name}",
        lead=text.headline(network, baseline, difference),
        highlights=[
            Highlight(
                label=f"{name}, test AUC",
                value=f"{model.test.auc.value:.3f}",
                note=text.interval(model.test.auc),
                colour=colour,
            )
            for name, model, colour in (
                ("Network", network, plots.NETWORK),
                (baseline.name, baseline, plots.BASELINE),
            )
        ]
        + [
            Highlight(
                label="Difference, paired",
                value=text.signed(difference.value),
                note=text.signed_interval(difference),
            )
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


def _results(experiment: Experiment, outcome: Outcome) -> Section:
    data, models = experiment.data, (outcome.network, outcome.baseline)
    test = outcome.network.test
    share_positive = test.n_positive / (test.n_positive + test.n_negative)
    aucs = [f"{m.test.auc.value:.3f} for {m.name}" for m in models]
    precisions = [f"{m.test.average_precision.value:.3f} for {m.name}" for m in models]
    curves = [
        metrics.curves(
            data.test.labels,
            model.probabilities[data.parts == TEST],
            rng=np.random.default_rng(experiment.seed),
        )
        for model in models
    ]
    rows = [
        (part, model.name, *map(_two_lines, (each.auc, each.average_precision, each.accuracy)))
        for part in ("validation", "test")
        for model in models
        for each in [model.validation if part == "validation" else model.test]
    ]
    return Section(
        title="Results",
        tables=[
            Table(
                head=("Part", "Model", "AUC", "Average precision", "Accuracy"),
                rows=rows,
                caption=f"With each figure its {100 * test.confidence:g} % interval"
                f" ({test.resamples:,} bootstrap resamples, stratified by class).",
                text_columns=2,
            )
        ],
        key=((plots.NETWORK, models[0].name), (plots.BASELINE, models[1].name)),
        figures=[
            Figure(
                svg=plots.curve_pair(
                    *(each.roc for each in curves),
                    x="false-positive rate",
                    y="true-positive rate",
                    chance=(0, 1),
                    name="roc",
                ),
                alt=f"ROC curves: AUC {', '.join(aucs)}",
                caption="ROC curves on the test part, with pointwise bands. Dashed: chance.",
            ),
            Figure(
                svg=plots.curve_pair(
                    *(each.precision_recall for each in curves),
                    x="recall",
                    y="precision",
                    chance=(share_positive,) * 2,
                    name="precision-recall",
                ),
                alt=f"Precision-recall curves: average precision {', '.join(precisions)}",
                caption="Precision and recall on the test part. Dashed: chance.",
            ),
        ],
    )


def _scores(labels: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> Section:
    return Section(
        title="Scores",
        text=[text.calls(labels, probabilities)],
        key=_CLASS_KEY,
        figures=[
            Figure(
                svg=plots.distributions(
                    probabilities[labels],
                    probabilities[~labels],
                    x="probability of being positive",
                    name="scores",
                    span=(0, 1),
                ),
                alt="Histograms of the network's probabilities for positives and negatives",
                caption="The network's probabilities on the test part.",
            ),
            Figure(
                svg=plots.calibration(
                    metrics.calibration(labels, probabilities, bins=min(10, labels.size))
                ),
                alt="Share of positives against mean predicted probability, in ten bins",
                caption="Calibration in bins of equally many sequences, with 95 % Wilson"
                " intervals. Dashed: perfect calibration.",
            ),
        ],
    )


def _training(trained: Trained) -> Section:
    restarts, kept = trained.restarts, trained.members
    selected = "best restart" if len(kept) > 1 else "selected restart"
    return Section(
        title="Training",
        text=[
            text.training(restarts, kept=kept),
            *([text.ensemble(trained.parts)] if trained.parts else []),
        ],
        key=(
            (plots.NETWORK, f"{selected}; the dot is the selected epoch"),
            (plots.GUIDE, "others"),
        ),
        figures=[
            Figure(
                svg=plots.training_curves(restarts, best=trained.best, measure="loss"),
                alt="Training loss of every restart by epoch",
                caption="Mean cross-entropy of mini-batches. Dashed: chance, 0.693.",
            ),
            Figure(
                svg=plots.training_curves(restarts, best=trained.best, measure="auc"),
                alt="Validation AUC of every restart by epoch",
                caption="AUC on the validation part. Dashed: chance, 0.5.",
            ),
        ],
    )


def _composition(experiment: Experiment, outcome: Outcome) -> Section:
    """Compare the classes' GC content and dinucleotides over the whole data set."""
    dataset = experiment.data.dataset
    aucs = {name: model.test.auc for name, model in outcome.composition.items()}
    network_auc = outcome.network.test.auc
    gc = gc_content(dataset.codes) * 100
    known = ~np.isnan(gc)
    figures = []
    if known[dataset.labels].any() and known[~dataset.labels].any():
        caption = "GC content, %"
        if not known.all():
            caption += f" (of {known.sum():,} of {gc.size:,} sequences; the others hold N alone)"
        figures.append(
            Figure(
                svg=plots.distributions(
                    gc[known & dataset.labels], gc[known & ~dataset.labels], name="gc"
                ),
                alt="Histograms of GC content for positives and negatives",
                caption=caption,
            )
        )
    frequencies = kmers.k_mer_frequencies(dataset.codes, 2)
    enrichments = plots.enrichments(
        kmers.k_mer_names(2),
        frequencies[dataset.labels].mean(axis=0, dtype=np.float64),
        frequencies[~dataset.labels].mean(axis=0, dtype=np.float64),
    )
    figures.append(
        Figure(
            svg=enrichments,
            alt="Fold enrichment of each dinucleotide in positives over negatives",
            caption="Frequency in positives over frequency in negatives, on a logarithmic scale.",
        )
    )
    rows = [*aucs.items(), ("network, for comparison", network_auc)]
    return Section(
        title="Composition",
        text=[text.composition(aucs, network_auc)],
        tables=[
            Table(
                head=("Model", "Test AUC", "Interval"),
                rows=[(name, f"{auc.value:.3f}", text.interval(auc)) for name, auc in rows],
            )
        ],
        key=_CLASS_KEY,
        figures=figures,
    )


def _filters(pfms: NDArray[np.int64]) -> list[Section]:
    """Return one section, or none where no filter is active."""
    names = [f"filter_{index}" for index in range(1, len(pfms) + 1)]
    filters = [
        FilterMotif(name=name, motif=Motif(name, pfm))
        for name, pfm in zip(names, pfms, strict=True)
        if pfm.any()
    ]
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
    parts = [
        (
            name,
            f"{part.sum():,}",
            f"{(~part).sum():,}",
            f"{100 * part.sum() / max(1, part.size):.1f}",
        )
        for name, part in labels.items()
    ]
    files = [
        (
            each.name,
            each.label,
            Markup("<code>{}</code>").format(each.sha256),
            f"{each.sequences:,}",
        )
        for each in experiment.inputs
    ]
    return Section(
        title="Data",
        tables=[
            Table(head=("Part", "Positives", "Negatives", "Positives, %"), rows=parts),
            Table(head=("File", "Class", "SHA-256", "Sequences"), rows=files, text_columns=3),
        ],
    )


def _run(experiment: Experiment) -> Section:
    settings: dict[str, object] = {
        "network": experiment.network,
        "length, bp": experiment.architecture.length,
    }
    layers, named = experiment.architecture.convolutions, NETWORKS.get(experiment.network)
    if named is not None and layers != named.convolutions:  # widened
        settings["filters"] = ", ".join(str(layer.filters) for layer in layers)
    if experiment.start is not None:
        settings[experiment.start.kind] = ", ".join(experiment.start.names())
    for name, value in experiment.config.to_dict().items():
        settings[name.replace("_", " ")] = value
    settings["seed"] = experiment.seed
    versions = {
        "enhancer_core": __version__,
        "Python": platform.python_version(),
        **{name: version(name) for name in ("torch", "numpy", "scikit-learn")},
    }
    return Section(
        title="Run",
        tables=[
            Table(
                head=(kind, "Value"),
                rows=[(name, str(value)) for name, value in values.items()],
                text_columns=2,
            )
            for kind, values in (("Setting", settings), ("Version", versions))
        ],
    )


def _two_lines(estimate: metrics.Estimate) -> Markup:
    return Markup("{:.3f}<br><small>{}</small>").format(estimate.value, text.interval(estimate))
