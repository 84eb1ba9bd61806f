"""Hold what `train` does by default beside gapped k-mers, 5-mers and the paper's network.

    python training/defaults.py DATA -o FOLDER [--sets NAME...] [--peaks N] [--threads N]

All learn from the same sequences, choose on the same and are tested on the same. FOLDER gets the
scores of each model on each fold, which a later call with the same sequences and configuration does
not compute again (empty it when code has changed), and table.tsv: AUCs, what the default's exceeds
the others' by, with paired 95 % intervals, and CPU seconds of the default, to which compiling adds
some at first; all are means over folds. The default was chosen by its AUC on sets of these kinds,
which flatters it a little.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from enhancer_core import metrics
from enhancer_core.data.dataset import Dataset, SplitDataset, read_dataset
from enhancer_core.data.homology import link_homologs
from enhancer_core.data.simulation import simulate
from enhancer_core.data.splits import split, split_folds
from enhancer_core.data.tables import split_by_name
from enhancer_core.dna.codes import Codes, encode
from enhancer_core.dna.shuffle import k_shuffle
from enhancer_core.io.fasta import read_fasta
from enhancer_core.io.files import make_folder, read_json, write_json
from enhancer_core.io.tables import read_table, write_table
from enhancer_core.models.architecture import DEFAULT_NETWORK, NETWORKS
from enhancer_core.motifs.motif import BUILTIN
from enhancer_core.prediction.sequences import log_odds
from enhancer_core.training import default_config, fit_baseline, train

MODELS = ("default", "gapped_k-mers", "5-mers", "paper's_network")  # columns of the table
FACTORS = ("CTCFL_K562", "FOXA1_HepG2", "GABPA_GM12878", "REST_GM12878", "USF1_HepG2")
RESTARTS = 4  # of the paper's network, whose protocol has 50: those would take hours
FOLDS = 5
_WORD, _SHARED = 30, 50  # near-duplicates have so many words of so many bp in common

Floats: TypeAlias = NDArray[np.float64]


def near_duplicates(codes: Codes) -> NDArray[np.str_]:
    """Group sequences that have 50 words of 30 bp in common, on either strand, with any of a group.

    A repeat of 300 bp, of which thousands of copies differ, links few; a duplication does. Words
    count however many sequences hold them.
    """
    groups = link_homologs(codes, word=_WORD, least=_SHARED, most=len(codes))
    return np.array(groups, dtype=np.str_)


def peaks(data: Path, most: int, *, factor: str) -> list[SplitDataset]:
    """Read a factor's peaks, some if there are many, and shuffle them; pairs stay in one part."""
    rng = np.random.default_rng(0)
    codes = read_fasta(data / "chip_seq_101bp" / f"{factor}.peaks.fa.gz").codes
    codes = codes[np.sort(rng.permutation(len(codes))[:most])]
    return [split(Dataset.from_sequences(codes, k_shuffle(codes, k=2, rng=rng), paired=True))]


def promoters(data: Path, _: int) -> list[SplitDataset]:
    """Read human promoters and their background."""
    folder = data / "promoters_251bp"
    return [
        split(read_dataset(folder / "human_promoters.fa.gz", folder / "human_background.fa.gz"))
    ]


def liver(data: Path, _: int) -> list[SplitDataset]:
    """Read human liver enhancers and their background, in folds; near-duplicates are in one."""
    folder = data / "human_liver_h3k27ac"
    dataset = read_dataset(folder / "enhancers.fa.gz", folder / "background.fa.gz")
    groups = near_duplicates(dataset.codes)
    return split_folds(dataset, folds=FOLDS, rng=np.random.default_rng(0), groups=groups)


def open_chromatin(data: Path, _: int) -> list[SplitDataset]:
    """Read what is open in HepG2 or in K562 alone: chromosome 1 to test, 2 to choose."""
    path = data / "cell_specific_dhs_200bp" / "dhs.tsv.gz"
    rows = [row for _, row in read_table(path, ["name", "cell", "split", "sequence"])]
    parts = {row["name"]: row["split"].replace("training", "train") for row in rows}
    names, cells = np.array(list(parts)), np.array([row["cell"] for row in rows])
    codes = encode([row["sequence"] for row in rows])
    return [split_by_name(Dataset(codes, cells == "HepG2", names, cells), parts)]


def simulated(_: Path, __: int) -> list[SplitDataset]:
    """Plant sites of CEBPA in random DNA, as in Figure 2 of the paper."""
    drawn = simulate(BUILTIN["CEBPA"], n=10_000, rng=np.random.default_rng(0))
    return [split(Dataset.from_sequences(drawn.positives, drawn.background))]


# How each set is read, from DATA and the most peaks; and which network the paper has for it.
SETS: dict[str, tuple[Callable[[Path, int], list[SplitDataset]], str]] = {
    **{factor: (partial(peaks, factor=factor), "tf") for factor in FACTORS},
    "human_promoters": (promoters, "enhancer"),
    "human_liver": (liver, "enhancer"),
    "HepG2_against_K562": (open_chromatin, "enhancer"),
    "simulated_CEBPA": (simulated, "tf"),
}


class Figures(NamedTuple):
    """Figures of one split, or the means of several."""

    values: Floats  # (8,): the models' AUCs, differences of the first from the others, CPU seconds
    errors: Floats  # (3,): half the 95 % intervals of the differences

    def cells(self) -> list[str]:
        """Format the figures as the table has them."""
        aucs, apart, (seconds,) = np.split(self.values, [len(MODELS), -1])
        pairs = zip(apart, self.errors, strict=True)
        intervals = (f"{d:+.4f} ({d - half:+.4f} to {d + half:+.4f})" for d, half in pairs)
        return [*(f"{auc:.4f}" for auc in aucs), *intervals, f"{seconds:.0f}"]


def mean(figures: Sequence[Figures]) -> Figures:
    """Return the means, with the intervals that means of independent differences have."""
    errors = np.linalg.norm([each.errors for each in figures], axis=0) / len(figures)
    return Figures(np.mean([each.values for each in figures], axis=0), errors)


def scored(data: SplitDataset, model: str, stem: Path, threads: int) -> tuple[Floats, float]:
    """Score the test part with a network, "gkm" or "kmer", or read the scores that were kept.

    The CPU seconds are those of training and scoring.
    """
    config = default_config(model)
    if model != DEFAULT_NETWORK:
        config = replace(config, restarts=RESTARTS)
    said = f"{model} {NETWORKS.get(model)} {config}".encode()
    key = sha256(data.dataset.codes.tobytes() + data.parts.tobytes() + said).hexdigest()
    path = Path(f"{stem}.{model}.{key[:12]}.json")
    if not path.exists():
        start, codes = time.process_time(), data.test.codes
        if model in NETWORKS:
            trained = train(data, model, config, threads=threads, device="cpu").model
            scores = log_odds(trained.predictor(), codes, threads=threads)
        else:
            fitted = fit_baseline(data, kind="gkm" if model == "gkm" else "kmer")
            scores = fitted.probabilities(codes)
        seconds = time.process_time() - start
        write_json(path, {"cpu_seconds": seconds, "scores": scores.tolist()})
    kept = read_json(path)
    return np.array(kept["scores"]), kept["cpu_seconds"]


def compared(data: SplitDataset, paper: str, stem: Path, threads: int) -> Figures:
    """Train and test all models on one split."""
    found = [scored(data, each, stem, threads) for each in (DEFAULT_NETWORK, "gkm", "kmer", paper)]
    (first, seconds), *others = found
    aucs = [metrics.roc_auc(data.test.labels, scores) for scores, _ in found]
    apart = [metrics.auc_difference(data.test.labels, first, scores) for scores, _ in others]
    figures = Figures(
        np.array([*aucs, *(each.value for each in apart), seconds]),
        np.array([(each.high - each.low) / 2 for each in apart]),
    )
    sys.stderr.write("\t".join([stem.name, *figures.cells()]) + "\n")
    return figures


def main() -> None:
    """Train and test on each set, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path, help="folder of the data")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the results")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=[*SETS], metavar="NAME")
    parser.add_argument("--peaks", type=int, default=8_000, help="peaks of a factor, at most")
    parser.add_argument("--threads", type=int, default=1, help="cores to use")
    options = parser.parse_args()
    make_folder(options.output)
    over = [f"over_{name}" for name in MODELS[1:]]
    rows = [["set", "sequences", "folds", *MODELS, *over, "cpu_seconds"]]
    of_sets = []
    for name in options.sets:
        read, paper = SETS[name]
        splits = read(options.data, options.peaks)
        folds = [
            compared(data, paper, options.output / f"{name}.{fold}", options.threads)
            for fold, data in enumerate(splits)
        ]
        of_sets.append(mean(folds))
        rows.append([name, str(len(splits[0].dataset)), str(len(splits)), *of_sets[-1].cells()])
    rows.append(["mean", "", "", *mean(of_sets).cells()])
    write_table(options.output / "table.tsv", rows[0], rows[1:])
    sys.stdout.write("".join("\t".join(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
