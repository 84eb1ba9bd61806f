"""The command that tests which motifs a network combines: wiring."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from enhancer_core import dna, interpretation, io, report
from enhancer_core import motifs as motif_matching
from enhancer_core.cli import options as opt
from enhancer_core.cli.common import Job
from enhancer_core.cli.motifs import load_with_filters, read_activating_sites

if TYPE_CHECKING:
    from enhancer_core.interpretation.interactions import Interactions

_COLUMNS = (
    "first", "second", "strength", "pools", "spacing", "strand", "interaction", "low", "high",
    "first_alone", "second_alone", "kind",
)  # fmt: skip
_SHUFFLED_K = 2


@opt.command()
@opt.model
@opt.path("--sequences", "FASTA for motifs and shuffles, normally the positives.", required=True)
@opt.model_length
@opt.path("--database", f"Known motifs to name filters by: {opt.MOTIF_FORMS}.")
@opt.count("--pairs", "Pairs to test, those that the weights connect most strongly.", default=10)
@opt.count("--spacing", "Largest distance of two sites' starts.", metavar="BP", default=30)
@opt.count("--backgrounds", "Shuffled sequences to plant in.", 4, default=100)
@opt.markdown()
@opt.job(
    "Folder for wiring.tsv and report.html.", *opt.compute, files=("wiring.tsv", *opt.REPORT_FILES)
)
def wiring(
    model: Path,
    sequences: Path,
    length: int | None,
    database: Path | None,
    pairs: int,
    spacing: int,
    backgrounds: int,
    markdown: bool,
    job: Job,
) -> None:
    """Test which pairs of first-layer motifs a network combines, and how they are arranged.

    MODEL is a model.safetensors file or its folder. The weights of the second layer say which pairs
    to test. Their sites are planted in shuffles of the sequences, together and each alone, at every
    spacing and on both strands; the interaction is what both together add to the log odds beyond
    the sum of each alone. wiring.tsv has it for each spacing, from the first site's leftmost base
    to the second's on the first one's strand, with a 95 % interval; what each site adds alone; and
    the pair's kind. Half of the shuffles choose a pair's best arrangement, the other half judge it:
    spacing-specific if its interaction is above the mean of all others, at any distance if that
    mean is half of it or more, unclear, or not confirmed if it is no interaction.

    \b
      enhancer-core wiring model --sequences enhancers.fa \\
          --database JASPAR.meme -o wiring
    """
    import numpy as np  # which help does without

    loaded, output, threads = load_with_filters(model, length, job), job.output, job.threads
    architecture, members = loaded.architecture, loaded.filter_members
    reach = interpretation.max_distance(architecture)
    targets = io.read_motifs(database) if database is not None else []
    codes, pfms = read_activating_sites(sequences, loaded, length, job, model=model)
    filters = motif_matching.match_filters(pfms, targets, counted=True)
    sites = interpretation.consensus_sites(pfms)
    ranked = interpretation.rank_pairs(members, sites)[:pairs]
    rng = job.rng()
    drawn = rng.choice(len(codes), size=backgrounds, replace=backgrounds > len(codes))
    shuffled = dna.k_shuffle(codes[drawn], k=_SHUFFLED_K, rng=rng, threads=threads)
    starts = interpretation.draw_anchors(backgrounds, architecture, spacing=spacing, rng=rng)
    predictor = loaded.predictor(job.device)
    spacings = np.arange(-spacing, spacing + 1)
    tested = []
    with job.progress("pairs tested", len(ranked)) as advance:
        for pair in ranked:
            tested.append(
                interpretation.measure_interactions(
                    predictor, pair, sites, shuffled, starts, spacings=spacings, threads=threads
                )
            )
            advance(1)
    findings = interpretation.best_arrangements(tested)
    kinds = {finding.pair: finding.kind for finding in findings if finding.confirmed}
    rows = (row for each in tested for row in _rows(each, kinds.get(each.pair, "not confirmed")))
    io.make_folder(output)
    io.write_table(output / "wiring.tsv", _COLUMNS, rows)
    page = report.interaction_page(filters, sites, tested, findings, model=model.name, reach=reach)
    job.write_report(page, markdown=markdown)
    job.info(f"{page.lead[:-1]}: {output}")


def _rows(tested: Interactions, kind: str) -> Iterator[tuple[object, ...]]:
    """Return a pair's rows of the table, for all arrangements that are possible."""
    pair = tested.pair
    names = f"filter_{pair.first + 1}", f"filter_{pair.second + 1}"
    for row, spacing in enumerate(tested.spacings.tolist()):
        for column, strand in enumerate(("same", "opposite")):
            values = tested.values[:, row, column]
            if values[0] == values[0]:  # NaN: the sites would overlap
                alone = tested.first.mean(), tested.second[:, row, column].mean()
                interval = interpretation.mean_interval(values)
                yield (*names, pair.strength, pair.pools, spacing, strand, *interval, *alone, kind)
