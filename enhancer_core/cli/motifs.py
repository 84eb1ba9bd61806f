"""Commands about motifs: pssm, motifs."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from enhancer_core.cli.common import (
    PATH,
    FiniteRange,
    ListCommand,
    Talk,
    output_option,
    quiet_option,
    say_alike,
    seed_option,
    threads_option,
)
from enhancer_core.cli.evaluate import data_options, interval, split_data

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from enhancer_core.data.dataset import SplitDataset
    from enhancer_core.dna.codes import Codes
    from enhancer_core.metrics import Metrics
    from enhancer_core.motifs.match import FilterMotif

_COLUMNS = (
    "filter", "match", "alias", "similarity", "offset", "strand", "p", "q", "information_content",
    "sites",
)  # fmt: skip


class Judged(NamedTuple):
    """A score's threshold, and its figures on the part that chose it and on the test part."""

    threshold: float
    train: Metrics
    test: Metrics

    def to_dict(self) -> dict[str, Any]:
        """Give the figures as they stand in the JSON file."""
        return {
            "threshold": self.threshold,
            "train": self.train.to_dict(),
            "test": self.test.to_dict(),
        }


@click.command(
    cls=ListCommand, short_help="Judge how well one motif tells positives from negatives."
)
@click.option(
    "--motif",
    metavar="MOTIF",
    help="CEBPA or HNF4A, a file with one motif, or FILE:NAME for one of several.",
)
@click.option(
    "--de-novo",
    type=PATH,
    metavar="FILE",
    help="Search for a motif in the training part instead, and write it here, in MEME's form.",
)
@click.option(
    "--width",
    type=click.IntRange(min=6),
    metavar="BP",
    default=14,
    show_default=True,
    help="Width of the motif that --de-novo searches for.",
)
@data_options
@click.option(
    "--position-sd",
    type=FiniteRange(min=0, min_open=True),
    metavar="BP",
    help="Score places by their distance from the middle too, normal with this deviation.",
)
@click.option(
    "--strands",
    type=click.Choice(["both", "one"]),
    default="both",
    show_default=True,
    help="Where sites may be; simulate plants them on the forward strand only.",
)
@click.option(
    "--pseudocount",
    type=FiniteRange(min=0),
    metavar="SHARE",
    default=0.01,
    show_default=True,
    help="Added to each frequency of the motif; 0 for data simulated as figure2.",
)
@seed_option
@threads_option
@quiet_option
@output_option("JSON file for the figures.")
def pssm(
    motif: str | None,
    de_novo: Path | None,
    width: int,
    positives: tuple[Path, ...],
    negatives: tuple[Path, ...],
    split_table: Path | None,
    groups: str | None,
    test_group: tuple[str, ...],
    validation_group: tuple[str, ...],
    position_sd: float | None,
    strands: str,
    pseudocount: float,
    seed: int,
    threads: int,
    quiet: bool,
    output: Path,
) -> None:
    """Judge how well one motif tells positives from negatives: the paper's PSSM model.

    mllr scores a sequence by the best place for the motif, llr by all places together, in log2
    odds. With --position-sd the two are given with that prior of places too. On data simulated with
    this motif, llr with the true prior is the best that any model can do. The split is the one that
    train makes from the same files and seed; thresholds are chosen on its training part.

    With --de-novo the motif is the one that tells the training part's positives from its negatives
    best by llr, found by its slopes from the words of six letters that are enriched most.

    \b
      enhancer-core simulate --motif CEBPA -o simulated
      enhancer-core pssm --motif CEBPA --positives simulated/positives.fa \\
          --negatives simulated/background.fa --position-sd 30 --strands one \\
          --pseudocount 0 -o oracle.json
      enhancer-core pssm --de-novo found.meme --positives enhancers.fa \\
          --negatives background.fa -o pssm.json
    """
    if (motif is None) == (de_novo is None):
        raise click.UsageError("give either --motif MOTIF or --de-novo FILE")
    from enhancer_core.data.dataset import read_dataset
    from enhancer_core.io.files import check_output, write_json
    from enhancer_core.io.motifs import read_motif, write_meme
    from enhancer_core.motifs.discovery import discover
    from enhancer_core.motifs.motif import ppm, pwm
    from enhancer_core.motifs.pssm import best_hits, log_likelihood_ratios

    talk = Talk(quiet)
    for path in filter(None, (output, de_novo)):
        check_output(path)
    chosen = read_motif(motif) if motif is not None else None
    data = split_data(
        read_dataset(positives, negatives),
        split_table=split_table,
        groups=groups,
        test=test_group,
        validation=validation_group,
        seed=seed,
        talk=talk,
    )
    codes, both_strands = data.dataset.codes, strands == "both"

    if chosen is None:
        prior = _prior(codes, width, position_sd)
        learned = data.train
        found = discover(
            learned.codes,
            learned.labels,
            width=width,
            both_strands=both_strands,
            prior=prior,
            threads=threads,
        )
        chosen = found.motif
        talk.say(f"motif of {width} bp found, from the word {found.seed}")
    log_odds = pwm(ppm(chosen.pfm, pseudocount=pseudocount))
    priors: dict[str, NDArray[np.float64] | None] = {"": None}
    if position_sd is not None:
        priors["_with_position"] = _prior(codes, chosen.width, position_sd)
    judged: dict[str, Judged] = {}
    for name, prior in priors.items():
        hits = best_hits(codes, log_odds, both_strands=both_strands, prior=prior)
        ratios = log_likelihood_ratios(codes, log_odds, both_strands=both_strands, prior=prior)
        for score, scores in (("mllr", hits.scores), ("llr", ratios)):
            judged[score + name] = _judge(data, scores.astype(float), seed=seed)
    settings = {
        "motif": chosen.name,
        "position_sd": position_sd,
        "strands": strands,
        "pseudocount": pseudocount,
    }
    if de_novo is not None:
        write_meme(de_novo, [chosen])
    write_json(output, {**settings, **{name: each.to_dict() for name, each in judged.items()}})
    for name, each in judged.items():
        talk.say(f"{name}: test AUC {interval(each.test.auc)}")
    talk.say(f"figures: {output}")


def _prior(codes: Codes, width: int, sd: float | None) -> NDArray[np.float64] | None:
    """Give the prior of a site's start, normal around the middle; None for a uniform one."""
    from enhancer_core.motifs.motif import site_prior

    return None if sd is None else site_prior(length=codes.shape[1], width=width, sd=sd)


def _judge(data: SplitDataset, scores: NDArray[np.float64], *, seed: int) -> Judged:
    """Choose a threshold on the training part, and judge both parts by it."""
    import numpy as np

    from enhancer_core import metrics
    from enhancer_core.data.dataset import TEST, TRAIN
    from enhancer_core.motifs.pssm import best_threshold

    labels, parts = data.dataset.labels, data.parts
    threshold = best_threshold(labels[parts == TRAIN], scores[parts == TRAIN])
    calls = scores - threshold + metrics.THRESHOLD  # to be called from there up, as probabilities
    learned, tested = (
        metrics.evaluate(labels[part], calls[part], rng=np.random.default_rng(seed))
        for part in (parts == TRAIN, parts == TEST)
    )
    return Judged(threshold, learned, tested)


@click.command(short_help="Show what a network's filters look for, beside known motifs.")
@click.argument("model", type=PATH)
@click.option(
    "--sequences",
    type=PATH,
    help="FASTA of what to read the filters' motifs from, normally the positives.",
)
@click.option(
    "--database",
    type=PATH,
    required=True,
    help="Known motifs, in MEME, JASPAR, HOMER or .pfm form.",
)
@click.option(
    "--from-weights",
    is_flag=True,
    help="Read the motifs from the filters' weights, not from sequences.",
)
@click.option(
    "--markdown",
    is_flag=True,
    help="Write the report as Markdown too: report.md, with its images in the folder figures.",
)
@threads_option
@quiet_option
@output_option("Folder for motifs.meme, matches.tsv, logos and report.html.")
def motifs(
    model: Path,
    sequences: Path | None,
    database: Path,
    from_weights: bool,
    markdown: bool,
    threads: int,
    quiet: bool,
    output: Path,
) -> None:
    """Show what the first-layer filters of a network look for, beside known motifs.

    MODEL is a model.safetensors file or its folder. A filter's motif counts the sites that activate
    it at least half as strongly as the strongest does. matches.tsv has the most similar motif of
    the database for each filter: offset is where the filter's first position lies on it, or its
    reverse complement's where strand is -1; p is TOMTOM's, for databases of 25 motifs or more; q is
    the false discovery rate among a filter's p-values. What is flat (below 2 bits) has no match.

    \b
      enhancer-core motifs model --sequences enhancers.fa \\
          --database JASPAR.meme -o motifs
    """
    if (sequences is None) != from_weights:
        raise click.UsageError("give either --sequences FASTA or --from-weights")
    from enhancer_core.errors import MotifError
    from enhancer_core.interpretation.filters import filter_pfms, weight_ppms
    from enhancer_core.io.fasta import read_fasta
    from enhancer_core.io.files import make_folder, write_files, write_text
    from enhancer_core.io.motifs import read_motifs, write_meme
    from enhancer_core.io.tables import write_table
    from enhancer_core.models.model import load_model
    from enhancer_core.motifs.match import match_filters
    from enhancer_core.motifs.motif import ppm
    from enhancer_core.report.markdown import render_markdown
    from enhancer_core.report.motifs import motif_page
    from enhancer_core.report.page import render_page
    from enhancer_core.report.plots import logo

    loaded, talk = load_model(model), Talk(quiet)
    say_alike(talk, loaded)
    targets = read_motifs(database)
    pfms: NDArray[Any] = weight_ppms(loaded)
    if sequences is not None:
        codes = read_fasta(sequences, length=loaded.length).codes
        pfms = filter_pfms(loaded, codes, threads=threads)
        if not pfms.any():
            raise MotifError(f"{sequences}: nothing in it activates a filter of {model}")
    filters = match_filters(pfms, targets, counted=sequences is not None)
    found = [each.motif for each in filters if each.motif is not None]
    make_folder(output)
    write_meme(output / "motifs.meme", found)
    write_table(output / "matches.tsv", _COLUMNS, map(_row, filters))
    logos = {f"logos/{motif.name}.svg": logo(ppm(motif.pfm)).encode() for motif in found}
    write_files(output, logos)
    page = motif_page(filters, model=model.name, database=database.name, targets=len(targets))
    if markdown:
        write_files(output, render_markdown(page))
    write_text(output / "report.html", render_page(page))
    talk.say(f"{page.lead[:-1]}: {output}")


def _row(each: FilterMotif) -> tuple[object, ...]:
    """Give a filter's line of the table; what there is not is NA."""
    match, sites = each.match, "NA" if each.sites is None else each.sites
    bits = each.bits if each.motif else "NA"
    if match is None:
        return (each.name, *["NA"] * 7, bits, sites)
    chances = ("NA" if isnan(value) else value for value in (match.p, match.q))
    target = match.target.name, match.target.alias or "NA"
    return (each.name, *target, match.similarity, match.offset, match.strand, *chances, bits, sites)
