"""Commands about motifs: pssm, motifs."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from enhancer_core import data, interpretation, io, models, report
from enhancer_core import motifs as motif_tools
from enhancer_core.cli import options as opt
from enhancer_core.cli.common import Console, note_other_filters, random_generator, write_report
from enhancer_core.cli.dataset import DataSource, data_options, with_interval
from enhancer_core.errors import MotifError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from enhancer_core.dna.codes import Codes
    from enhancer_core.metrics import Estimate
    from enhancer_core.models.model import Model

_COLUMNS = (
    "filter", "match", "alias", "similarity", "offset", "strand", "p", "q", "information_content",
    "sites",
)  # fmt: skip


@opt.command(short_help="Test how well one motif separates positives from negatives.")
@data_options
@opt.motif()
@opt.path(
    "--de-novo",
    metavar="FILE",
    section="Output",
    help="Search for a motif in the training part instead, and write it here, in MEME's form.",
)
@opt.option(
    "--width",
    type=click.IntRange(min=6),
    metavar="BP",
    default=14,
    help="Width of the motif that --de-novo searches for.",
)
@opt.option(
    "--position-sd",
    type=opt.FiniteRange(min=0, min_open=True),
    metavar="BP",
    help="Score positions with a prior too, normal around the middle with this deviation.",
)
@opt.option(
    "--strands",
    type=click.Choice(["both", "one"]),
    default="both",
    help="Strands that sites may be on; simulate plants them on the forward strand only.",
)
@opt.option(
    "--pseudocount",
    type=opt.FiniteRange(min=0),
    metavar="SHARE",
    default=0.01,
    help="Added to each frequency of the motif; 0 for data simulated as figure2.",
)
@opt.seed
@opt.threads
@opt.quiet
@opt.output("JSON file for the figures.")
def pssm(
    source: DataSource,
    motif: str | None,
    de_novo: Path | None,
    width: int,
    position_sd: float | None,
    strands: str,
    pseudocount: float,
    seed: int,
    threads: int,
    console: Console,
    output: Path,
) -> None:
    """Test how well one motif separates positives from negatives: the paper's PSSM model.

    mllr scores a sequence by the best place for the motif, llr by all places together, in log2
    odds. With --position-sd the two are given with that prior of places too. On data simulated with
    this motif, llr with the true prior is the best that any model can do. The split is the one that
    train makes from the same files and seed; thresholds are chosen on its training part.

    With --de-novo the motif is the one whose llr best separates the training part's positives from
    its negatives, fitted by gradients from the most enriched 6-mers.

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
    for path in filter(None, (output, de_novo)):
        io.check_output(path)
    scored_motif = io.read_motif(motif) if motif is not None else None
    split = source.split(source.read(), seed=seed, console=console)
    codes, both_strands = split.dataset.codes, strands == "both"

    if scored_motif is None:
        learn = split.train
        discovery = motif_tools.discover(
            learn.codes,
            learn.labels,
            width=width,
            both_strands=both_strands,
            prior=_prior(codes, width, position_sd),
            threads=threads,
        )
        scored_motif = discovery.motif
        console.info(f"motif of {width} bp found, from the word {discovery.seed}")
    log_odds = motif_tools.pwm(motif_tools.ppm(scored_motif.pfm, pseudocount=pseudocount))
    priors: dict[str, NDArray[np.float64] | None] = {"": None}
    if position_sd is not None:
        priors["_with_position"] = _prior(codes, scored_motif.width, position_sd)
    figures: dict[str, dict[str, Any]] = {}
    lines = []
    for name, prior in priors.items():
        hits = motif_tools.best_hits(codes, log_odds, both_strands=both_strands, prior=prior)
        ratios = motif_tools.log_likelihood_ratios(
            codes, log_odds, both_strands=both_strands, prior=prior
        )
        for score, scores in (("mllr", hits.scores), ("llr", ratios)):
            figures[score + name], auc = _evaluate(split, scores.astype(float), seed=seed)
            lines.append(f"{score + name}: test AUC {with_interval(auc)}")
    settings = {
        "motif": scored_motif.name,
        "position_sd": position_sd,
        "strands": strands,
        "pseudocount": pseudocount,
    }
    if de_novo is not None:
        io.write_meme(de_novo, [scored_motif])
    io.write_json(output, {**settings, **figures})
    for line in lines:
        console.info(line)
    console.info(f"figures: {output}")


def _prior(codes: Codes, width: int, sd: float | None) -> NDArray[np.float64] | None:
    """Return the prior of a site's start, normal around the middle; None for a uniform one."""
    if sd is None:
        return None
    return motif_tools.site_prior(length=codes.shape[1], width=width, sd=sd)


def _evaluate(
    split: data.SplitDataset, scores: NDArray[np.float64], *, seed: int
) -> tuple[dict[str, Any], Estimate]:
    """Choose a threshold on the training part, and evaluate both parts by it.

    Returns
    -------
    dict, Estimate
        The figures as they stand in the JSON file, and the AUC on the test part.
    """
    from enhancer_core import metrics  # which loads NumPy

    labels, parts = split.dataset.labels, split.parts
    train, test = parts == data.TRAIN, parts == data.TEST
    threshold = motif_tools.best_threshold(labels[train], scores[train])
    calls = scores - threshold + metrics.THRESHOLD  # to be called from there up, as probabilities
    on_train, on_test = (
        metrics.evaluate(labels[part], calls[part], rng=random_generator(seed))
        for part in (train, test)
    )
    figures = {"threshold": threshold, "train": on_train.to_dict(), "test": on_test.to_dict()}
    return figures, on_test.auc


@click.command(
    "motifs",
    cls=opt.Command,
    short_help="Show what a network's filters look for, beside known motifs.",
)
@opt.model
@opt.path("--sequences", help="FASTA to read the filters' motifs from, normally the positives.")
@opt.path("--database", required=True, help="Known motifs, in MEME, JASPAR, HOMER or .pfm form.")
@opt.switch(
    "--from-weights",
    section="Data",
    help="Read the motifs from the filters' weights, not from sequences.",
)
@opt.markdown()
@opt.threads
@opt.quiet
@opt.output("Folder for motifs.meme, matches.tsv, logos and report.html.")
def show_motifs(
    model: Path,
    sequences: Path | None,
    database: Path,
    from_weights: bool,
    markdown: bool,
    threads: int,
    console: Console,
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
    loaded = models.load_model(model)
    note_other_filters(console, loaded)
    targets = io.read_motifs(database)
    if sequences is None:
        pfms: NDArray[Any] = interpretation.weight_ppms(loaded)
    else:
        _, pfms = read_activating_sites(sequences, loaded, model=model, threads=threads)
    filters = motif_tools.match_filters(pfms, targets, counted=sequences is not None)
    motifs = [each.motif for each in filters if each.motif is not None]
    io.make_folder(output)
    io.write_meme(output / "motifs.meme", motifs)
    io.write_table(output / "matches.tsv", _COLUMNS, map(_row, filters))
    logos = {
        f"logos/{motif.name}.svg": report.logo(motif_tools.ppm(motif.pfm)).encode()
        for motif in motifs
    }
    io.write_files(output, logos)
    page = report.motif_page(
        filters, model=model.name, database=database.name, targets=len(targets)
    )
    write_report(output, page, markdown=markdown)
    console.info(f"{page.lead[:-1]}: {output}")


def read_activating_sites(
    path: Path, loaded: Model, *, model: Path, threads: int
) -> tuple[Codes, NDArray[np.int64]]:
    """Read sequences, and count the sites that activate each filter of a network.

    Raises
    ------
    MotifError
        If no filter is activated.
    """
    codes = io.read_fasta(path, length=loaded.length).codes
    pfms = interpretation.filter_pfms(loaded, codes, threads=threads)
    if not pfms.any():
        raise MotifError(f"{path}: nothing in it activates a filter of {model}")
    return codes, pfms


def _row(filtered: motif_tools.FilterMotif) -> tuple[object, ...]:
    """Return a filter's row of the table; NA for what there is not."""
    match, sites = filtered.match, "NA" if filtered.sites is None else filtered.sites
    bits = filtered.bits if filtered.motif else "NA"
    if match is None:
        return (filtered.name, *["NA"] * 7, bits, sites)
    chances = ("NA" if isnan(value) else value for value in (match.p, match.q))
    target = match.target.name, match.target.alias or "NA"
    place = match.similarity, match.offset, match.strand
    return (filtered.name, *target, *place, *chances, bits, sites)
