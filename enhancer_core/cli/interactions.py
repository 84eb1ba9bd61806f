"""The command that tests which motifs a network joins: wiring."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from enhancer_core.cli.common import (
    PATH,
    Talk,
    device_option,
    output_option,
    quiet_option,
    say_alike,
    seed_option,
    threads_option,
)

if TYPE_CHECKING:
    from enhancer_core.interpretation.interactions import Interactions

_COLUMNS = (
    "first", "second", "strength", "pools", "spacing", "strand", "interaction", "low", "high",
    "first_alone", "second_alone",
)  # fmt: skip
_SHUFFLED_K = 2


@click.command(short_help="Test which pairs of motifs a network joins, and how they stand.")
@click.argument("model", type=PATH)
@click.option(
    "--sequences",
    type=PATH,
    required=True,
    help="FASTA to read the filters' motifs from, normally the positives; sites are planted in"
    " shuffles of it.",
)
@click.option(
    "--database",
    type=PATH,
    help="Known motifs to name filters by, in MEME, JASPAR, HOMER or .pfm form.",
)
@click.option(
    "--pairs",
    type=click.IntRange(min=1),
    metavar="N",
    default=10,
    show_default=True,
    help="Pairs of filters to test, those that the weights join most strongly.",
)
@click.option(
    "--spacing",
    type=click.IntRange(min=1),
    metavar="BP",
    default=30,
    show_default=True,
    help="Largest distance between the starts of two sites.",
)
@click.option(
    "--backgrounds",
    type=click.IntRange(min=4),
    metavar="N",
    default=100,
    show_default=True,
    help="Shuffled sequences to plant in.",
)
@click.option(
    "--markdown",
    is_flag=True,
    help="Write the report as Markdown too: report.md, with its images in the folder figures.",
)
@seed_option
@threads_option
@device_option
@quiet_option
@output_option("Folder for wiring.tsv and report.html.")
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
    quiet: bool,
    output: Path,
) -> None:
    """Test which pairs of first-layer motifs a network joins, at which spacing and orientation.

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

    from enhancer_core import interpretation as wired
    from enhancer_core.dna.shuffle import k_shuffle
    from enhancer_core.errors import MotifError
    from enhancer_core.interpretation.filters import filter_pfms
    from enhancer_core.io.fasta import read_fasta
    from enhancer_core.io.files import make_folder, write_files, write_text
    from enhancer_core.io.motifs import read_motifs
    from enhancer_core.io.tables import write_table
    from enhancer_core.models.model import load_model
    from enhancer_core.motifs.match import match_filters
    from enhancer_core.report.interactions import wiring_page
    from enhancer_core.report.markdown import render_markdown
    from enhancer_core.report.page import render_page

    talk = Talk(quiet)
    loaded = load_model(model)
    architecture, members = loaded.architecture, loaded.filter_members
    reach = wired.reach(architecture)
    say_alike(talk, loaded)
    targets = read_motifs(database) if database is not None else []
    codes = read_fasta(sequences, length=architecture.length).codes
    pfms = filter_pfms(loaded, codes, threads=threads)
    if not pfms.any():
        raise MotifError(f"{sequences}: nothing in it activates a filter of {model}")
    filters = match_filters(pfms, targets, counted=True)
    sites = wired.consensus_sites(pfms)
    chosen = wired.joints(members, sites)[:pairs]

    rng = np.random.default_rng(seed)
    rows = rng.choice(len(codes), size=backgrounds, replace=backgrounds > len(codes))
    shuffled = k_shuffle(codes[rows], k=_SHUFFLED_K, rng=rng, threads=threads)
    starts = wired.anchors(backgrounds, architecture, spacing=spacing, rng=rng)
    predictor = loaded.predictor(device)
    tested = []
    with talk.progress("pairs tested", len(chosen)) as advance:
        for joint in chosen:
            spacings = np.arange(-spacing, spacing + 1)
            tested.append(
                wired.interactions(
                    predictor, joint, sites, shuffled, starts, spacings=spacings, threads=threads
                )
            )
            advance(1)
    found = wired.findings(tested)
    make_folder(output)
    write_table(output / "wiring.tsv", _COLUMNS, (row for each in tested for row in _rows(each)))
    page = wiring_page(filters, sites, tested, found, model=model.name, reach=reach)
    if markdown:
        write_files(output, render_markdown(page))
    write_text(output / "report.html", render_page(page))
    talk.say(f"{page.lead[:-1]}: {output}")


def _rows(each: Interactions) -> Iterator[tuple[object, ...]]:
    """Give a pair's lines of the table, all arrangements that can be."""
    from enhancer_core.interpretation.interactions import mean_interval

    joint = each.joint
    pair = (f"filter_{joint.first + 1}", f"filter_{joint.second + 1}", joint.strength, joint.pools)
    for row, spacing in enumerate(each.spacings.tolist()):
        for column, strand in enumerate(("same", "opposite")):
            values = each.values[:, row, column]
            if values[0] == values[0]:
                alone = each.first.mean(), each.second[:, row, column].mean()
                yield (*pair, spacing, strand, *mean_interval(values), *alone)
