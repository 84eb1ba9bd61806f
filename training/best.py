"""Hold networks beside simple models on human liver enhancers, in five-fold cross-validation.

    python training/best.py DATA -o FOLDER [--models NAME...] [--threads N]

All models learn from the same sequences and are tested on the same ones, each sequence once. FOLDER
gets each model's scores of each fold, which a later call does not compute again, and table.tsv.
`best` is its networks and its regressions together; the networks alone are trained once, and stay
in FOLDER. The network and its protocol were chosen by their AUC on two fifths of these sequences,
dealt out otherwise, and what joins them, and that they read no random letters, on two and on one of
these folds; so its figures flatter it a little.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from enhancer_core import metrics
from enhancer_core.data.dataset import SplitDataset, read_dataset
from enhancer_core.data.homology import link_homologs
from enhancer_core.data.splits import split_folds
from enhancer_core.dna.codes import Codes
from enhancer_core.dna.kmers import k_mer_frequencies
from enhancer_core.io.files import make_folder
from enhancer_core.io.motifs import read_motifs
from enhancer_core.io.tables import read_table, write_table
from enhancer_core.models import gapped_kmers, kmers
from enhancer_core.models.architecture import named_architecture
from enhancer_core.models.model import Model, load_model, save_model
from enhancer_core.models.regression import fit_best_hits, fit_k_mers
from enhancer_core.prediction.sequences import log_odds
from enhancer_core.training.config import default_config
from enhancer_core.training.ensemble import weight_parts
from enhancer_core.training.trainer import train
from enhancer_core.training.warm_start import first_weights

FOLDS = 5
POSITIVES, NEGATIVES = (f"human_liver_h3k27ac/{name}.fa.gz" for name in ("enhancers", "background"))
MOTIFS = "motifs/H12CORE_meme_format.meme"
RESTARTS = 4  # at most, so that the paper's network, whose protocol has 50, takes no hours
PLAIN = "5-mers by default"
SIMPLE = (PLAIN, "5-mers", "gapped k-mers")  # beside which all others are put
_WORD, _SHARED = 30, 50  # near-duplicates have so many words of so many bp in common

Scores = NDArray[np.float64]


def near_duplicates(codes: Codes) -> NDArray[np.str_]:
    """Group sequences that have 50 words of 30 bp in common, on either strand, with any of a group.

    A repeat of 300 bp, of which thousands of copies differ, links few; a duplication does. Words
    count however many sequences hold them.
    """
    groups: NDArray[np.str_] = link_homologs(
        codes, word=_WORD, least=_SHARED, most=len(codes)
    ).astype(np.str_)
    return groups


def default_k_mers(data: SplitDataset, *, k: int) -> Scores:
    """Score the test part with scikit-learn's logistic regression as it comes, on counts of k-mers.

    It is what a lab tries first. `k_mers` chooses the penalty, and takes square roots of counts.
    """
    learn, places = data.train, data.dataset.codes.shape[1] - k + 1
    fitted = LogisticRegression(max_iter=5000)
    fitted.fit(places * k_mer_frequencies(learn.codes, k), learn.labels)
    scores: Scores = fitted.decision_function(places * k_mer_frequencies(data.test.codes, k))
    return scores.astype(np.float64)


def k_mers(data: SplitDataset, *, k: int) -> Scores:
    """Score the test part with the logistic regression on k-mers that `train` reports."""
    fitted = kmers.fit(data, k=k)
    return fitted.probabilities(data.test.codes).astype(np.float64)


def gapped_k_mers(data: SplitDataset) -> Scores:
    """Score the test part with gapped k-mers."""
    fitted = gapped_kmers.fit(data)
    return fitted.probabilities(data.test.codes).astype(np.float64)


def best_hits(data: SplitDataset, *, motifs: Path) -> Scores:
    """Score the test part with the regression on motifs' best hits."""
    return scores_of(Model(fit_best_hits(data, read_motifs(motifs)).members, {}), data)


def network(
    data: SplitDataset, *, name: str, file: Path, motifs: Path | None, threads: int
) -> Scores:
    """Score the test part with networks trained by their protocol, which stay in a file."""
    if not file.exists():
        config = replace(default_config(name), regressions=False)
        if config.restarts > RESTARTS:
            config = replace(config, restarts=RESTARTS)
        architecture = named_architecture(name, length=data.dataset.codes.shape[1])
        _, start = first_weights(architecture, motifs=motifs or (), data=data)
        planted = None if start is None else start.planted
        trained = train(data, architecture, config, planted=planted, threads=threads)
        save_model(trained.model, file)
    return scores_of(load_model(file), data, threads=threads)


def with_regressions(data: SplitDataset, *, file: Path, motifs: Path, threads: int) -> Scores:
    """Score the test part with the networks of `best` and its regressions, as `train` does."""
    network(data, name="best", file=file, motifs=motifs, threads=threads)
    regressions = [fit_k_mers(data), fit_best_hits(data, read_motifs(motifs))]
    parts = [load_model(file).members, *(each.members for each in regressions)]
    members = weight_parts(parts, data.validation.codes, data.validation.labels, threads=threads)
    return scores_of(Model(tuple(members), {}), data, threads=threads)


def scores_of(model: Model, data: SplitDataset, *, threads: int = 1) -> Scores:
    """Score the test part with a model; what calibrates it would change no order."""
    return log_odds(model.predictor(), data.test.codes, threads=threads).astype(np.float64)


def models(data: Path, stem: Path, threads: int) -> dict[str, Callable[[SplitDataset], Scores]]:
    """Name what is compared; `stem` is what a fold's files begin with."""
    motifs, file = data / MOTIFS, Path(f"{stem}.best.safetensors")
    return {
        "letters": partial(k_mers, k=1),
        PLAIN: partial(default_k_mers, k=5),
        "5-mers": partial(k_mers, k=5),
        "gapped k-mers": gapped_k_mers,
        "motif regression": partial(best_hits, motifs=motifs),
        "enhancer": partial(
            network,
            name="enhancer",
            file=Path(f"{stem}.enhancer.safetensors"),
            motifs=None,
            threads=threads,
        ),
        "best without regressions": partial(
            network, name="best", file=file, motifs=motifs, threads=threads
        ),
        "best": partial(with_regressions, file=file, motifs=motifs, threads=threads),
    }


def scored(path: Path, data: SplitDataset, model: Callable[[SplitDataset], Scores]) -> Scores:
    """Score a fold's test part, or read what an earlier call made of it."""
    if not path.exists():
        found = model(data)
        rows = zip(data.test.names, map(repr, found.tolist()), strict=True)
        write_table(path, ["name", "score"], rows)
    table = {row["name"]: float(row["score"]) for _, row in read_table(path, ["name", "score"])}
    return np.array([table[name] for name in data.test.names.tolist()])


def mean_difference(
    tests: list[NDArray[np.bool_]], ours: list[Scores], theirs: list[Scores]
) -> tuple[float, float]:
    """Give the mean over folds of the difference in AUC, and half its 95 % interval."""
    found = [
        metrics.auc_difference(labels, one, other)
        for labels, one, other in zip(tests, ours, theirs, strict=True)
    ]
    half = math.sqrt(sum(((each.high - each.low) / 2) ** 2 for each in found)) / len(found)
    return float(np.mean([each.value for each in found])), half


def main() -> None:
    """Train, test and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path, help="folder of the data")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the results")
    parser.add_argument("--models", nargs="+", metavar="NAME", help="compare these only")
    parser.add_argument("--folds", type=int, default=FOLDS, help="compare in the first folds only")
    parser.add_argument("--threads", type=int, default=1, help="cores to use")
    options = parser.parse_args()
    known = models(options.data, options.output, options.threads)
    names = list(dict.fromkeys([*SIMPLE, *(options.models or known)]))
    for name in names:
        if name not in known:
            parser.error(f"no model '{name}'; there are {', '.join(known)}")
    dataset = read_dataset([options.data / POSITIVES], [options.data / NEGATIVES])
    groups = near_duplicates(dataset.codes)
    sizes = np.unique(groups, return_counts=True)[1]
    sys.stderr.write(
        f"{len(dataset):,} sequences; {sizes[sizes > 1].sum()} are near-duplicates and stay"
        f" together, {sizes.max()} at most\n"
    )
    splits = split_folds(dataset, folds=FOLDS, rng=np.random.default_rng(0), groups=groups)
    splits = splits[: options.folds]
    make_folder(options.output)
    tests = [data.test.labels for data in splits]
    scores: dict[str, list[Scores]] = {name: [] for name in names}
    for fold, data in enumerate(splits):
        stem = options.output / f"fold_{fold}"
        known = models(options.data, stem, options.threads)
        for name in names:
            path = Path(f"{stem}.{name.replace(' ', '_')}.tsv")
            scores[name].append(scored(path, data, known[name]))
            auc = metrics.roc_auc(tests[fold], scores[name][-1])
            sys.stderr.write(f"fold {fold}: {name} {auc:.4f}\n")
    rows = []
    for name, each in scores.items():
        aucs = [metrics.roc_auc(labels, one) for labels, one in zip(tests, each, strict=True)]
        differences = []
        for simple in SIMPLE:
            value, half = mean_difference(tests, each, scores[simple])
            differences.append(f"{value:+.4f} ({value - half:+.4f} to {value + half:+.4f})")
        rows.append([name, f"{np.mean(aucs):.4f}", *differences])
    header = ["model", "auc", *(f"over_{name.replace(' ', '_')}" for name in SIMPLE)]
    write_table(options.output / "table.tsv", header, rows)
    sys.stdout.write("".join("\t".join(row) + "\n" for row in [header, *rows]))


if __name__ == "__main__":
    main()
