"""Compose the report of a training run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from enhancer_core.metrics import Estimate, calibration
from enhancer_core.motifs.motif import information_content
from enhancer_core.report import plots, text
from enhancer_core.report.content import Composition, Filter, ReportContent
from enhancer_core.report.page import Figure, Highlight, Page, Section, Table

_CLASS_KEY = ((plots.POSITIVES, "positives"), (plots.NEGATIVES, "negatives"))


def report_page(content: ReportContent) -> Page:
    """Compose the report of a training run.

    Parameters
    ----------
    content
        What was done and what came of it.

    Returns
    -------
    Page
        It holds no date, so the same content gives the same page.
    """
    network, baseline = content.network, content.baseline
    difference = content.auc_difference
    return Page(
        title=content.title,
        lead=text.headline(network, baseline, difference),
        highlights=(
            Highlight(
                label="Network, test AUC",
                value=f"{network.test.auc.value:.3f}",
                note=text.interval(network.test.auc),
                colour=plots.NETWORK,
            ),
            Highlight(
                label=f"{baseline.name}, test AUC",
                value=f"{baseline.test.auc.value:.3f}",
                note=text.interval(baseline.test.auc),
                colour=plots.BASELINE,
            ),
            Highlight(
                label="Difference, paired",
                value=text.signed(difference.value),
                note=text.signed_interval(difference),
            ),
        ),
        sections=(
            _results(content),
            _scores(content),
            _training(content),
            _composition(content.composition, content.network.test.auc),
            *_filters(content.filters),
            *content.sections,
            Section(
                title="What this does not tell you",
                text=text.limits(
                    content.test_labels, content.test_probabilities, split_by=content.split_by
                ),
            ),
            _data(content),
            _run(content),
        ),
    )


def _results(content: ReportContent) -> Section:
    network, baseline = content.network, content.baseline
    rows = [
        (
            part,
            model.name,
            _two_lines(figures.auc),
            _two_lines(figures.average_precision),
            _two_lines(figures.accuracy),
        )
        for part, model, figures in (
            ("validation", network, network.validation),
            ("validation", baseline, baseline.validation),
            ("test", network, network.test),
            ("test", baseline, baseline.test),
        )
    ]
    test = network.test
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
        key=((plots.NETWORK, network.name), (plots.BASELINE, baseline.name)),
        figures=[
            Figure(
                svg=plots.roc(network.curves.roc, baseline.curves.roc),
                alt=f"ROC curves: AUC {test.auc.value:.3f} for {network.name},"
                f" {baseline.test.auc.value:.3f} for {baseline.name}",
                caption="ROC curves on the test part, with pointwise bands. Dashed: guessing.",
            ),
            Figure(
                svg=plots.precision_recall(
                    network.curves.precision_recall,
                    baseline.curves.precision_recall,
                    share_positive=test.n_positive / (test.n_positive + test.n_negative),
                ),
                alt=f"Precision-recall curves: average precision"
                f" {test.average_precision.value:.3f} for {network.name},"
                f" {baseline.test.average_precision.value:.3f} for {baseline.name}",
                caption="Precision and recall on the test part. Dashed: guessing.",
            ),
        ],
    )


def _scores(content: ReportContent) -> Section:
    labels, probabilities = content.test_labels, content.test_probabilities
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
                    calibration(labels, probabilities, bins=min(10, labels.size))
                ),
                alt="Share of positives against the probability given, in ten bins",
                caption="As many sequences at each point, with a 95 % Wilson interval. Dashed:"
                " probabilities that mean what they say.",
            ),
        ],
    )


def _training(content: ReportContent) -> Section:
    restarts, kept = content.restarts, content.kept_restarts
    best, what = kept[0], "best restart" if len(kept) > 1 else "restart kept"
    return Section(
        title="Training",
        text=[
            text.training(restarts, kept=kept),
            *([text.ensemble(content.ensemble)] if content.ensemble else []),
        ],
        key=((plots.NETWORK, f"{what}; the dot is the epoch kept"), (plots.GUIDE, "others")),
        figures=[
            Figure(
                svg=plots.training_losses(restarts, best=best),
                alt="Training loss of every restart by epoch",
                caption="Mean cross-entropy of training batches. Dashed: guessing, 0.693.",
            ),
            Figure(
                svg=plots.validation_aucs(restarts, best=best),
                alt="Validation AUC of every restart by epoch",
                caption="AUC on the validation part. Dashed: guessing, 0.5.",
            ),
        ],
    )


def _composition(composition: Composition, network_auc: Estimate) -> Section:
    rows = [*composition.aucs.items(), ("network, for comparison", network_auc)]
    notes = [text.composition(composition.aucs, network_auc)]
    varying = []
    for each in composition.features:
        values = np.concatenate([each.positives, each.negatives])
        if (values == values[0]).all():
            notes.append(f"{each.name}: {values[0]:g} in every sequence.")
        else:
            varying.append(each)
    features = [
        Figure(
            svg=plots.distributions(each.positives, each.negatives, name=f"feature-{index}"),
            alt=f"Histograms of {each.name} for positives and negatives",
            caption=each.name,
        )
        for index, each in enumerate(varying)
    ]
    enrichments = Figure(
        svg=plots.enrichments(
            composition.kmers, composition.positive_frequencies, composition.negative_frequencies
        ),
        alt="How many times as frequent each short k-mer is in positives as in negatives",
        caption="Frequency in positives over frequency in negatives, on a logarithmic scale.",
    )
    return Section(
        title="Composition",
        text=notes,
        tables=[
            Table(
                head=("Model", "Test AUC", "Interval"),
                rows=[(name, f"{auc.value:.3f}", text.interval(auc)) for name, auc in rows],
            )
        ],
        key=_CLASS_KEY,
        figures=[*features, enrichments],
    )


def _filters(filters: Sequence[Filter]) -> Sequence[Section]:
    """Return one section, or none for a network without a first layer of filters."""
    if not filters:
        return ()
    bits = [float(information_content(each.ppm).sum()) for each in filters]
    order = sorted(range(len(filters)), key=lambda index: -bits[index])
    return (
        Section(
            title="First-layer filters",
            text=[
                f"The {len(filters)} motifs that activate the filters, those of most information"
                " first. A letter is as high as its share of the position's information; the full"
                " height is 2 bits."
            ],
            figures=[_logo(filters[index], bits[index]) for index in order],
            small_figures=True,
        ),
    )


def _logo(each: Filter, bits: float) -> Figure:
    consensus = "".join("ACGT"[base] for base in each.ppm.argmax(axis=0))
    caption = Markup("<b>{}</b> {:.1f} bits").format(each.name, bits)
    if each.note:
        caption += Markup("<br>{}").format(each.note)
    return Figure(
        svg=plots.logo(each.ppm), alt=f"Logo of {each.name}, consensus {consensus}", caption=caption
    )


def _data(content: ReportContent) -> Section:
    return Section(
        title="Data",
        tables=[
            Table(
                head=("Part", "Positives", "Negatives", "Positives, %"),
                rows=[
                    (
                        part.name,
                        f"{part.positives:,}",
                        f"{part.negatives:,}",
                        f"{100 * part.positives / max(1, part.positives + part.negatives):.1f}",
                    )
                    for part in content.parts
                ],
            ),
            Table(
                head=("File", "Class", "SHA-256", "Sequences"),
                rows=[
                    (
                        each.name,
                        each.label,
                        Markup("<code>{}</code>").format(each.sha256),
                        f"{each.sequences:,}",
                    )
                    for each in content.inputs
                ],
                text_columns=3,
            ),
        ],
    )


def _run(content: ReportContent) -> Section:
    return Section(
        title="Run",
        tables=[
            Table(
                head=(kind, "Value"),
                rows=[(name, str(value)) for name, value in values.items()],
                text_columns=2,
            )
            for kind, values in (("Setting", content.configuration), ("Version", content.versions))
        ],
    )


def _two_lines(estimate: Estimate) -> Markup:
    return Markup("{:.3f}<br><small>{}</small>").format(estimate.value, text.interval(estimate))
