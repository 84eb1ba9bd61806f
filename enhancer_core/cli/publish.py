"""The command that makes a model a row of a Kipoi source: publish."""

from __future__ import annotations

from pathlib import Path

import click

from enhancer_core.cli.common import PATH, Talk, output_option, quiet_option


@click.command()
@click.argument("model", type=PATH)
@click.option("--group", metavar="NAME", required=True, help="Folder of the group in the source.")
@click.option("--name", metavar="NAME", required=True, help="The model's name in the group.")
@click.option("--species", metavar="TEXT", help="Species, by its Latin name.")
@click.option("--assembly", metavar="TEXT", help="Assembly of the genome.")
@click.option("--positives", metavar="TEXT", help="What the positives are.")
@click.option("--negatives", metavar="TEXT", help="What the negatives are.")
@click.option("--held-out", metavar="TEXT", help="What the network has not seen in training.")
@click.option(
    "--kind", metavar="TEXT", help="Kind of network, for example per-species, pooled or k-shuffle."
)
@click.option("--recipe", metavar="TEXT", help="How to train it again.")
@quiet_option
@output_option("Folder of the Kipoi source, for example kipoi_models.")
def publish(
    model: Path,
    group: str,
    name: str,
    species: str | None,
    assembly: str | None,
    positives: str | None,
    negatives: str | None,
    held_out: str | None,
    kind: str | None,
    recipe: str | None,
    quiet: bool,
    output: Path,
) -> None:
    """Make a trained model a row of a Kipoi source.

    The row gets the weights and their checksum, the test AUC and the baseline's from the training
    record, and the probabilities that are expected of the example. A row of the same name is
    replaced; what is not said anew about it stays.

    \b
      enhancer-core publish model --group EnhancerCNN --name mouse_liver \\
          --species "Mus musculus" --assembly mm10 -o kipoi_models
    """
    from enhancer_core.kipoi import publishing as publishing

    said = {
        "species": species,
        "assembly": assembly,
        "positives": positives,
        "negatives": negatives,
        "held_out": held_out,
        "kind": kind,
        "recipe": recipe,
    }
    row = publishing.publish(
        model,
        source=output,
        group=group,
        name=name,
        facts={key: value for key, value in said.items() if value is not None},
    )
    talk = Talk(quiet)
    missing = [key for key in publishing.FACTS if row[key] == publishing.NOT_STATED]
    if missing:
        options = ", ".join(f"--{key.replace('_', '-')}" for key in missing)
        talk.say(f"the row does not say all that a user needs; add {options}")
    talk.say(f"test AUC {row['auc']}, baseline {row['baseline_auc']}: {output / group} {name}")
