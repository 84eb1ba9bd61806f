"""Train the models of `models.toml` from their recipes, and publish each as a row.

    python training/models.py DATA kipoi_models [--only NAME...] [--threads N]

Every step is a command of enhancer-core. On one machine the same data give the same rows and
weights, byte for byte.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from enhancer_core.io.files import read_lines

RECIPES = Path(__file__).with_name("models.toml")
HELD_OUT = "10 % of the sequences to choose the network and 10 % to test it, at random"


def run(*arguments: object) -> None:
    """Show a command, and run it."""
    words = [str(argument) for argument in arguments]
    sys.stderr.write(f"\n$ enhancer-core {' '.join(words)}\n")
    subprocess.run([sys.executable, "-m", "enhancer_core", *words], check=True)


def renumbered(source: Path, target: Path) -> Path:
    """Copy a FASTA file with its records named by its own name and their number."""
    stem = source.name.removesuffix(".gz").removesuffix(".fa")
    number = 0
    lines = []
    for _, line in read_lines(source):
        if line.startswith(">"):
            number += 1
            line = f">{stem}_{number:06d}"
        lines.append(line)
    target.write_text("\n".join([*lines, ""]))
    return target


def inputs(
    recipe: Mapping[str, Any], data: Path, work: Path
) -> tuple[Sequence[Path], Sequence[Path]]:
    """Find or make the positives and negatives of a recipe."""
    if "simulate" in recipe:
        made = recipe["simulate"]
        folder = work / "simulated"
        run(
            *("simulate", "--motif", made["motif"], "-n", made["number"]),
            *("--seed", recipe["seed"], "-q", "-o", folder),
        )
        return [folder / "positives.fa"], [folder / "background.fa"]
    positives = [data / name for name in recipe["positives"]]
    negatives = [data / name for name in recipe.get("negatives", ())]
    if recipe.get("renumber", False):
        positives = [renumbered(path, work / path.name.removesuffix(".gz")) for path in positives]
        negatives = [renumbered(path, work / path.name.removesuffix(".gz")) for path in negatives]
    if "k" in recipe:
        negatives = [work / f"shuffled_{path.name.removesuffix('.gz')}" for path in positives]
        for source, target in zip(positives, negatives, strict=True):
            run("shuffle", source, "-k", recipe["k"], "--seed", recipe["seed"], "-q", "-o", target)
    return positives, negatives


def trained(recipe: Mapping[str, Any], data: Path, work: Path, *, threads: int | None) -> Path:
    """Train one model, by `train` or as a run of a study, and give its folder."""
    cores = () if threads is None else ("--threads", threads)
    if "study" in recipe:
        run(
            *("study", RECIPES.parent / recipe["study"], "--only", recipe["run"], "--data", data),
            *("--seed", recipe["seed"], *cores, "-o", work / "study"),
        )
        return work / "study" / "runs" / str(recipe["run"])
    positives, negatives = inputs(recipe, data, work)
    run(
        *("train", "--positives", *positives, "--negatives", *negatives),
        *("--network", recipe["network"], "--seed", recipe["seed"]),
        *(
            word
            for name in ("restarts", "epochs")  # else as the network's protocol has them
            if name in recipe
            for word in (f"--{name}", recipe[name])
        ),
        *(*cores, "-o", work / "model"),
    )
    return work / "model"


def publish(
    recipe: Mapping[str, Any], data: Path, source: Path, work: Path, *, threads: int | None
) -> None:
    """Train one model and make it a row of the source."""
    model = trained(recipe, data, work, threads=threads)
    about_negatives = recipe.get("about_negatives", "")
    if "k" in recipe:
        about_negatives = f"each positive shuffled, the counts of its {recipe['k']}-mers kept"
    run(
        *("publish", model, "--group", recipe["group"], "--name", recipe["name"]),
        *("--species", recipe["species"], "--assembly", recipe["assembly"]),
        *("--positives", recipe["about_positives"], "--negatives", about_negatives),
        *("--held-out", recipe.get("held_out", HELD_OUT), "--kind", recipe["kind"]),
        *("--recipe", f"python training/models.py DATA kipoi_models --only {recipe['name']}"),
        *("-o", source, "--force"),
    )


def main() -> None:
    """Train and publish all models, or those asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path, help="folder of the data")
    parser.add_argument("source", type=Path, help="the Kipoi source, kipoi_models")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="train these only")
    parser.add_argument("--threads", type=int, help="cores to use")
    options = parser.parse_args()
    recipes = {recipe["name"]: recipe for recipe in tomllib.loads(RECIPES.read_text())["model"]}
    names = options.only or list(recipes)
    for name in names:
        if name not in recipes:
            parser.error(f"no model '{name}'; there are {', '.join(recipes)}")
    for name in names:
        with tempfile.TemporaryDirectory(prefix="enhancer-core-") as work:
            publish(
                recipes[name], options.data, options.source, Path(work), threads=options.threads
            )


if __name__ == "__main__":
    main()
