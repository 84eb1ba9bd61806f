"""Commands about motifs: pssm, motifs."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from enhancer_core import data, interpretation, io, report
from enhancer_core import motifs as motif_tools
from enhancer_core.cli import options as opt
from enhancer_core.cli.common import Job, load_model, with_interval
from enhancer_core.cli.dataset import DataSource, data_options
from enhancer_core.errors import ModelFileError, MotifError

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


@opt.command()
@data_options
@opt.motif()
@opt.path(
    "--de-novo",
    "Find a motif in the training part, and write it here (MEME).",
    section="Output",
    formats=(io.MEME,),
)
@opt.count("--width", "Width of the motif of --de-novo.", 6, metavar="BP", default=14)
@opt.number(
    "--position-sd",
    "Use a normal prior around the middle too, of this SD.",
    above=True,
    metavar="BP",
)
@opt.choice("--strands", "Strands of sites; simulate plants on one, forward.", "both", "one")
@opt.number(
    "--pseudocount", "Added to frequencies; 0 for figure2 data.", metavar="SHARE", default=0.01
)
@opt.job("JSON file for the figures.", opt.seed, opt.threads, formats=(io.JSON,))
def pssm(
    source: DataSource,
    motif: str | None,
    de_novo: Path | None,
    width: int,
    position_sd: float | None,
    strands: str,
    pseudocount: float,
    job: Job,
) -> None:
    """Test how well one motif separates positives from negatives: the paper's PSSM model.

    mllr scores a sequence by the best place for the motif, llr by all places together, in log2
    odds. With --position-sd the two are given with that prior of places too. On data simulated with
    this motif, llr with the true prior is the best that any model can do. The split is the one that
    train makes from the same files and seed; thresholds are chosen on its training part.

    With --de-novo the motif is the one whose llr best separates the training part's positives from
    its negatives, fitted by gradients from the most enriched 6-mers.

    \b
      enhancer-core pssm --motif CEBPA --positives simulated/positives.fa \\
          --negatives simulated/background.fa --position-sd 30 --strands one \\
          --pseudocount 0 -o oracle.json
      enhancer-core pssm --de-novo found.meme --positives enhancers.fa \\
          --negatives background.fa -o pssm.json
    """
    if (motif is None) == (de_novo is None):
        raise click.UsageError("give either --motif MOTIF or --de-novo FILE")
    scored_motif = io.read_motif(motif) if motif is not None else None
    split = source.split(source.read(job), job)
    codes, both_strands = split.dataset.codes, strands == "both"

    def prior(width: int) -> NDArray[np.float64] | None:
        if position_sd is None:
            return None
        return motif_tools.site_prior(length=codes.shape[1], width=width, sd=position_sd)

    if scored_motif is None:
        discovery = motif_tools.discover(
            split.train.codes, split.train.labels,
            width=width, both_strands=both_strands, prior=prior(width), threads=job.threads,
        )  # fmt: skip
        scored_motif = discovery.motif
        job.info(f"motif of {width} bp found, from the word {discovery.seed}")
    log_odds = motif_tools.pwm(motif_tools.ppm(scored_motif.pfm, pseudocount=pseudocount))
    priors: dict[str, NDArray[np.float64] | None] = {"": None}
    if position_sd is not None:
        priors["_with_position"] = prior(scored_motif.width)
    figures: dict[str, Any] = {
        "motif": scored_motif.name,
        "position_sd": position_sd,
        "strands": strands,
        "pseudocount": pseudocount,
    }
    lines = []
    for name, positions in priors.items():
        hits = motif_tools.best_hits(codes, log_odds, both_strands=both_strands, prior=positions)
        ratios = motif_tools.log_likelihood_ratios(
            codes, log_odds, both_strands=both_strands, prior=positions
        )
        for score, scores in (("mllr", hits.scores), ("llr", ratios)):
            figures[score + name], auc = _evaluate(split, scores.astype(float), job)
            lines.append(f"{score + name}: test AUC {with_interval(auc)}")
    if de_novo is not None:
        io.write_meme(de_novo, [scored_motif])
    io.write_json(job.output, figures)
    job.info("\n".join((*lines, f"figures: {job.output}")))


def _evaluate(
    split: data.SplitDataset, scores: NDArray[np.float64], job: Job
) -> tuple[dict[str, Any], Estimate]:
    """Evaluate both parts by a threshold chosen on the training part; return the test AUC too."""
    from enhancer_core import metrics  # which loads NumPy

    labels, parts = split.dataset.labels, split.parts
    train, test = parts == data.TRAIN, parts == data.TEST
    threshold = motif_tools.best_threshold(labels[train], scores[train])
    calls = scores - threshold + metrics.THRESHOLD  # to be called from there up, as probabilities
    on_train, on_test = (
        metrics.evaluate(labels[part], calls[part], rng=job.rng()) for part in (train, test)
    )
    figures = {"threshold": threshold, "train": on_train.to_dict(), "test": on_test.to_dict()}
    return figures, on_test.auc


@opt.command("motifs")
@opt.model
@opt.path("--sequences", "FASTA to read the filters' motifs from, normally the positives.")
@opt.model_length
@opt.path("--database", f"Known motifs: {opt.MOTIF_FORMS}.", required=True)
@opt.switch(
    "--from-weights", "Read motifs from the filters' weights, not sequences.", section="Data"
)
@opt.markdown()
@opt.job(
    "Folder for motifs.meme, matches.tsv, logos and report.html.",
    opt.threads,
    files=("matches.tsv", "motifs.meme", "logos/filter_*.svg", *opt.REPORT_FILES),
)
def show_motifs(
    model: Path,
    sequences: Path | None,
    length: int | None,
    database: Path,
    from_weights: bool,
    markdown: bool,
    job: Job,
) -> None:
    """Show what the first-layer filters of a network look for, beside known motifs.

    MODEL is a model.safetensors file or its folder. A filter's motif counts the sites that activate
    it at least half as strongly as the strongest does. matches.tsv has the motif of
    the database of lowest p for each filter, the more similar one of equals: p is TOMTOM's; q is
    the false discovery rate among a filter's p-values. Databases of fewer than 25 motifs have none,
    and similarity chooses. Offset is where, at the highest similarity, the filter's first position
    lies on it, or its reverse complement's where strand is -1. What is flat (below 2 bits) has no
    match, and below 4 bits q is often too low: such matches are not counted.

    \b
      enhancer-core motifs model --sequences enhancers.fa \\
          --database JASPAR.meme -o motifs
    """
    if (sequences is None) != from_weights:
        raise click.UsageError("give either --sequences FASTA or --from-weights")
    if from_weights and length is not None:
        raise click.UsageError("--length needs --sequences")
    loaded, output = load_with_filters(model, length, job), job.output
    targets = io.read_motifs(database)
    if sequences is None:
        pfms: NDArray[Any] = interpretation.weight_ppms(loaded)
    else:
        _, pfms = read_activating_sites(sequences, loaded, length, job, model=model)
    filters = motif_tools.match_filters(pfms, targets, counted=sequences is not None)
    motifs = [shown.motif for shown in filters if shown.motif is not None]
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
    job.write_report(page, markdown=markdown)
    job.info(f"{page.lead[:-1]}: {output}")


def load_with_filters(path: Path, length: int | None, job: Job) -> Model:
    """Load a model, and note whose filters are shown where members have them of several kinds.

    Raises
    ------
    ModelFileError
        If it is of k-mer weights alone, which have none.
    """
    loaded = load_model(path, length)
    try:
        members, alike = loaded.members, len(loaded.filter_members)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
    if alike < len(members):
        job.info(
            f"the filters are those of {alike} of {len(members)} members; the others are networks"
            " of another architecture, or k-mer weights"
        )
    return loaded


def read_activating_sites(
    path: Path, loaded: Model, length: int | None, job: Job, *, model: Path
) -> tuple[Codes, NDArray[np.int64]]:
    """Read sequences, and count the sites that activate each filter of a network."""
    codes = io.read_fasta(path, length=length, expected=loaded.length, note=job.info).codes
    pfms = interpretation.filter_pfms(loaded, codes, threads=job.threads)
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
