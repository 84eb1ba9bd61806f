"""The command that makes a model a row of a Kipoi source: publish."""

from __future__ import annotations

from pathlib import Path

from enhancer_core import kipoi
from enhancer_core.cli import options as opt
from enhancer_core.cli.common import Console


def _given(**facts: str | None) -> dict[str, str]:
    return {name: value for name, value in facts.items() if value is not None}


@opt.command()
@opt.model
@opt.option("--group", metavar="NAME", required=True, help="Folder of the group in the source.")
@opt.option("--name", metavar="NAME", required=True, help="The model's name in the group.")
@opt.gathered(
    "facts",
    _given,
    opt.option("--species", metavar="TEXT", help="Species, by its Latin name."),
    opt.option("--assembly", metavar="TEXT", help="Assembly of the genome."),
    opt.option("--positives", metavar="TEXT", help="What the positives are."),
    opt.option("--negatives", metavar="TEXT", help="What the negatives are."),
    opt.option("--held-out", metavar="TEXT", help="What the network has not seen in training."),
    opt.option(
        "--kind",
        metavar="TEXT",
        help="Kind of network, for example per-species, pooled or k-shuffle.",
    ),
    opt.option("--recipe", metavar="TEXT", help="How to train it again."),
)
@opt.quiet
@opt.output("Folder of the Kipoi source, for example kipoi_models.")
def publish(
    model: Path, group: str, name: str, facts: dict[str, str], console: Console, output: Path
) -> None:
    """Make a trained model a row of a Kipoi source.

    The row gets the weights and their checksum, the test AUC and the baseline's from the training
    record, and the probabilities that are expected of the example. A row of the same name is
    replaced; facts that are not given again stay.

    \b
      enhancer-core publish model --group EnhancerCNN --name mouse_liver \\
          --species "Mus musculus" --assembly mm10 -o kipoi_models
    """
    row = kipoi.publish(model, source=output, group=group, name=name, facts=facts)
    missing = [key for key in kipoi.FACTS if row[key] == kipoi.NOT_STATED]
    if missing:
        options = ", ".join(f"--{key.replace('_', '-')}" for key in missing)
        console.info(f"the row does not say all that a user needs; add {options}")
    console.info(f"test AUC {row['auc']}, baseline {row['baseline_auc']}: {output / group} {name}")
