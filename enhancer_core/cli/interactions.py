"""The command that tests which motifs a network combines: wiring."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from enhancer_core import dna, interpretation, io, models, report
from enhancer_core import motifs as motif_matching
from enhancer_core.cli import options as opt
from enhancer_core.cli.common import (
    Console,
    note_other_filters,
    random_generator,
    write_report,
)
from enhancer_core.cli.motifs import read_activating_sites

if TYPE_CHECKING:
    from enhancer_core.interpretation.interactions import Interactions

_COLUMNS = (
    "first", "second", "strength", "pools", "spacing", "strand", "interaction", "low", "high",
    "first_alone", "second_alone",
)  # fmt: skip
_SHUFFLED_K = 2


@opt.command(short_help="Test which motifs a network combines, and their arrangement.")
@opt.model
@opt.path(
    "--sequences",
    required=True,
    help="FASTA to read the filters' motifs from, normally the positives; sites are planted in"
    " shuffles of it.",
)
@opt.path(
    "--database", help="Known motifs to name filters by, in MEME, JASPAR, HOMER or .pfm form."
)
@opt.count(
    "--pairs",
    default=10,
    help="Pairs of filters to test, those that the weights connect most strongly.",
)
@opt.count(
    "--spacing", metavar="BP", default=30, help="Largest distance between the starts of two sites."
)
@opt.option(
    "--backgrounds",
    type=click.IntRange(min=4),
    metavar="N",
    default=100,
    help="Shuffled sequences to plant in.",
)
@opt.markdown()
@opt.seed
@opt.threads
@opt.device
@opt.quiet
@opt.output("Folder for wiring.tsv and report.html.")
def wiring(
    model: Path,
    sequences: Path,
    database: Path | None,
    pairs: int,
    spacing: int,
    backgrounds: int,
    markdown: bool,
    seed: int,
    threads: int,
    device: str,
    console: Console,
    output: Path,
) -> None:
    """Test which pairs of first-layer motifs a network combines, and how they are arranged.

    MODEL is a model.safetensors file or its folder. The weights of the second layer say which pairs
    to test. Their sites are planted in shuffles of the sequences, together and each alone, at every
    spacing and on both strands; the interaction is what both together add to the log odds beyond
    the sum of each alone. wiring.tsv has it for each spacing, from the first site's leftmost base
    to the second's on the first one's strand, with a 95 % interval. The report says what holds:
    half of the shuffles choose a pair's best arrangement, the other half judge it.

    \b
      enhancer-core wiring model --sequences enhancers.fa \\
          --database JASPAR.meme -o wiring
    """
    import numpy as np

    loaded = models.load_model(model)
    architecture, members = loaded.architecture, loaded.filter_members
    reach = interpretation.max_distance(architecture)
    note_other_filters(console, loaded)
    targets = io.read_motifs(database) if database is not None else []
    codes, pfms = read_activating_sites(sequences, loaded, model=model, threads=threads)
    filters = motif_matching.match_filters(pfms, targets, counted=True)
    sites = interpretation.consensus_sites(pfms)
    ranked = interpretation.rank_pairs(members, sites)[:pairs]

    rng = random_generator(seed)
    rows = rng.choice(len(codes), size=backgrounds, replace=backgrounds > len(codes))
    shuffled = dna.k_shuffle(codes[rows], k=_SHUFFLED_K, rng=rng, threads=threads)
    starts = interpretation.draw_anchors(backgrounds, architecture, spacing=spacing, rng=rng)
    predictor = loaded.predictor(device)
    spacings = np.arange(-spacing, spacing + 1)
    tested = []
    with console.progress("pairs tested", len(ranked)) as advance:
        for pair in ranked:
            tested.append(
                interpretation.measure_interactions(
                    predictor, pair, sites, shuffled, starts, spacings=spacings, threads=threads
                )
            )
            advance(1)
    findings = interpretation.best_arrangements(tested)
    io.make_folder(output)
    io.write_table(output / "wiring.tsv", _COLUMNS, (row for pair in tested for row in _rows(pair)))
    page = report.interaction_page(filters, sites, tested, findings, model=model.name, reach=reach)
    write_report(output, page, markdown=markdown)
    console.info(f"{page.lead[:-1]}: {output}")


def _rows(tested: Interactions) -> Iterator[tuple[object, ...]]:
    """Return a pair's rows of the table, for all arrangements that are possible."""
    pair = tested.pair
    names = f"filter_{pair.first + 1}", f"filter_{pair.second + 1}"
    for row, spacing in enumerate(tested.spacings.tolist()):
        for column, strand in enumerate(("same", "opposite")):
            values = tested.values[:, row, column]
            if values[0] == values[0]:  # NaN: the sites would overlap
                alone = tested.first.mean(), tested.second[:, row, column].mean()
                interval = interpretation.mean_interval(values)
                yield (*names, pair.strength, pair.pools, spacing, strand, *interval, *alone)
