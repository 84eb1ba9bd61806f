"""The command that makes a model a row of a Kipoi source: publish."""

from __future__ import annotations

from pathlib import Path

from enhancer_core import kipoi
from enhancer_core.cli import options as opt
from enhancer_core.cli.common import Job


@opt.command()
@opt.model
@opt.option("--group", "Folder of the group in the source.", metavar="NAME", required=True)
@opt.option("--name", "The model's name in the group.", metavar="NAME", required=True)
@opt.gathered(
    "facts",
    lambda **facts: {name: fact for name, fact in facts.items() if fact is not None},
    *(
        opt.option(f"--{name}", text, metavar="TEXT")
        for name, text in (
            ("species", "Species, by its Latin name."),
            ("assembly", "Assembly of the genome."),
            ("positives", "What the positives are."),
            ("negatives", "What the negatives are."),
            ("held-out", "What the network has not seen in training."),
            ("kind", "Kind of network, for example per-species, pooled or k-shuffle."),
            ("recipe", "How to train it again."),
        )
    ),
)
@opt.job("Folder of the Kipoi source, for example kipoi_models.")
def publish(model: Path, group: str, name: str, facts: dict[str, str], job: Job) -> None:
    """Make a trained model a row of a Kipoi source.

    The row gets the weights and their checksum, the test AUC and the baseline's from the training
    record, and the probabilities that are expected of the example. A row of the same name is
    replaced only with --force; facts that are not given again stay.

    \b
      enhancer-core publish model --group EnhancerCNN --name mouse_liver \\
          --species "Mus musculus" --assembly mm10 -o kipoi_models
    """
    row = kipoi.publish(
        model, source=job.output, group=group, name=name, facts=facts, force=job.force
    )
    missing = [key for key in kipoi.FACTS if row[key] == kipoi.NOT_STATED]
    if missing:
        options = ", ".join(f"--{key.replace('_', '-')}" for key in missing)
        job.info(f"the row does not say all that a user needs; add {options}")
    job.info(f"test AUC {row['auc']}, baseline {row['baseline_auc']}: {job.output / group} {name}")
