"""Publish a trained model in a group of a Kipoi source: a weights file, a row of `models.tsv`.

The table is what counts: a weights file is named by its content and stands before the row does,
and a row that is replaced loses its old file last. So a reader never finds a row half made.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from enhancer_core.dna.codes import Codes
from enhancer_core.dna.intervals import centred_windows
from enhancer_core.errors import EnhancerError, FileError, ModelFileError, SequenceError
from enhancer_core.io.bed import read_bed
from enhancer_core.io.fasta import read_records
from enhancer_core.io.files import make_folder, sha256, temporary_beside
from enhancer_core.io.tables import read_table, write_table
from enhancer_core.models.model import load_model, model_file
from enhancer_core.prediction.sequences import probabilities

TABLE = "models.tsv"
TEMPLATE = "model-template.yaml"
WEIGHTS = "weights"
NOT_STATED = "not stated"
# What a user knows and a model file does not, or not in words.
FACTS = ("species", "assembly", "positives", "negatives", "held_out", "kind", "recipe")
FIGURES = ("auc", "auc_low", "auc_high", "baseline_auc", "baseline_low", "baseline_high")
COLUMNS = ("model", *FACTS, "network", "length", *FIGURES, "sha256", "expected")

_EXAMPLE = Path(__file__).parent / "example"
_LONGEST_NAME = 100  # with the rest of the weights' name it must fit a file name, 255 bytes
_LONGEST_SHOWN = 40  # letters in a message
_NAME = re.compile("[A-Za-z][A-Za-z0-9_.-]*")
# Kipoi reads the table with pandas, for which these are no text, and '#' begins a comment.
_NO_TEXT = {"", "na", "n/a", "nan", "null", "none", "inf", "infinity", "true", "false"}
_NOT_IN_CELL = re.compile(r'[\t\r\n"#]')


def publish(
    model: Path,
    *,
    source: Path,
    group: str,
    name: str,
    facts: Mapping[str, str],
    force: bool = False,
) -> dict[str, str]:
    """Make or replace a row of a group.

    Parameters
    ----------
    model
        A model file, or the folder that holds one.
    source, group
        The folder of the Kipoi source, and a folder in it with a `model-template.yaml`.
    name
        The row's name: up to 100 letters, digits, `_`, `.` and `-`, the first a letter.
    facts
        Some of `FACTS`. Of those left out, the row's own stay if it is there; else positives,
        negatives and what was held out are described from the training record, and the others
        are `not stated`.
    force
        Whether a row that is there already is replaced.

    Returns
    -------
    dict of str to str
        The row, by `COLUMNS`.

    Raises
    ------
    EnhancerError
        If the name or a fact is not fit for the table, the group is not there, or the row is and
        is not to be replaced.
    FileError
        If a file cannot be read or written.
    ModelFileError
        If the model is damaged, or its training record lacks the figures of a row.
    SequenceError
        If the model reads longer windows than the example has.
    """
    path = model_file(model)
    folder = _group(source, group)
    _check(name, facts)
    rows = read_rows(folder)
    if name in rows and not force:
        raise FileError(f"{folder / TABLE}: row {name} is there already; --force replaces it")
    loaded = load_model(path)
    digest = sha256(path)
    row = {
        "model": name,
        **{key: facts.get(key) or _known(rows.get(name), loaded.metadata, key) for key in FACTS},
        "network": str(loaded.metadata.get("network", NOT_STATED)),
        "length": str(loaded.length),
        **_figures(path, loaded.metadata),
        "sha256": digest,
        "expected": spell(probabilities(loaded.predictor(), example_windows(loaded.length))),
    }
    old = rows.get(name, row)
    rows[name] = row
    weights = weights_path(folder, row)
    fresh = not weights.exists()
    try:
        _copy(path, weights, digest)
        table = [[content[column] for column in COLUMNS] for _, content in sorted(rows.items())]
        write_table(folder / TABLE, COLUMNS, table)
    except BaseException:
        if fresh:
            weights.unlink(missing_ok=True)
        raise
    if old["sha256"] != digest:
        weights_path(folder, old).unlink(missing_ok=True)
    return row


def read_rows(group: Path) -> dict[str, dict[str, str]]:
    """Read the rows of a group by name; none if it has no table yet."""
    rows = read_table(group / TABLE, COLUMNS) if (group / TABLE).exists() else []
    return {row["model"]: dict(row) for _, row in rows}


def weights_path(group: Path, row: Mapping[str, str]) -> Path:
    """Return the path of a row's weights, as the group's template spells it."""
    return group / WEIGHTS / f"{row['model']}-{row['sha256'][:12]}.safetensors"


def example_windows(length: int) -> Codes:
    """Cut the example of every group, windows of `length` bp: uint8 (n, length).

    Raises
    ------
    SequenceError
        If windows of this length do not fit into the example's chromosomes.
    """
    chroms = {record.name: record.codes for record in read_records(_EXAMPLE / "genome.fa")}
    cut = centred_windows(read_bed(_EXAMPLE / "intervals.bed"), length)
    windows = [chroms[chrom][max(start, 0) : end] for chrom, start, end in cut.rows()]
    if any(len(window) != length for window in windows):
        raise SequenceError(f"windows of {length} bp do not fit into the example's chromosomes")
    return np.stack(windows)


def spell(expected: Iterable[float]) -> str:
    """Format probabilities with 6 significant digits, as `enhancer-core predict` does."""
    return " ".join(f"{value:.6g}" for value in expected)


def _copy(path: Path, target: Path, digest: str) -> None:
    make_folder(target.parent)
    with temporary_beside(target) as temporary:
        shutil.copyfile(path, temporary)
        if sha256(temporary) != digest:
            raise FileError(f"{path}: changed while it was published")


def _group(source: Path, group: str) -> Path:
    groups = sorted(path.parent.name for path in source.glob(f"*/{TEMPLATE}"))
    if group not in groups:
        raise FileError(
            f"{source}: no group {_shown(group)} (a folder with {TEMPLATE});"
            f" it has {', '.join(groups) or 'none'}"
        )
    return source / group


def _shown(text: str) -> str:
    """Spell a text for a message, in one line and not too long."""
    return repr(text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}...")


def _check(name: str, facts: Mapping[str, str]) -> None:
    """Raise if a name or a fact is not fit for the table."""
    if len(name) > _LONGEST_NAME:
        raise EnhancerError(
            f"name {_shown(name)} has {len(name)} letters; allowed are {_LONGEST_NAME}"
        )
    if not _NAME.fullmatch(name) or name.lower() in _NO_TEXT:
        raise EnhancerError(
            f"name {_shown(name)} is not allowed; allowed are letters, digits, '_', '.' and '-',"
            " the first a letter, and no word that a table takes for other than text"
        )
    for key, value in facts.items():
        if key not in FACTS:
            raise EnhancerError(f"fact '{key}' is not known; known are {', '.join(FACTS)}")
        if _NOT_IN_CELL.search(value) or value.strip().lower() in _NO_TEXT:
            raise EnhancerError(
                f"{key} {_shown(value)} is not allowed; a table takes one line of text without tab,"
                " '\"', '#'"
            )


def _known(row: Mapping[str, str] | None, training: Mapping[str, Any], key: str) -> str:
    """Return a fact from the row that is there, else from the training record."""
    if row is not None:
        return row[key]
    if key in ("positives", "negatives"):
        files = [file for file in training.get("inputs", ()) if file["label"] == key]
        text = ", ".join(f"{file['sequences']:,} sequences of {file['name']}" for file in files)
        return _NOT_IN_CELL.sub("_", text) or NOT_STATED
    if key == "held_out" and "test" in training:
        test = training["test"]
        return f"{test['positives']:,} positives and {test['negatives']:,} negatives to test on"
    return NOT_STATED


def _figures(path: Path, training: Mapping[str, Any]) -> dict[str, str]:
    try:
        aucs = (training["test"]["auc"], training["baseline"]["test"]["auc"])
        values = [auc[key] for auc in aucs for key in ("value", "low", "high")]
        return {name: f"{value:.4f}" for name, value in zip(FIGURES, values, strict=True)}
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"{path}: the training record lacks the test AUCs of network and baseline ({error});"
            " only what 'enhancer-core train' or 'baseline' wrote can be published, or a run of a"
            " study that names its 'baseline'"
        ) from error
