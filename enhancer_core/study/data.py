"""A study's data: read or simulated, and split once, before anything is copied or shuffled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from enhancer_core.data import species
from enhancer_core.data.background.candidates import BackgroundRules, candidate_windows
from enhancer_core.data.dataset import PARTS, TEST, Dataset, SplitDataset
from enhancer_core.data.groups import linked_sets, sequence_sets
from enhancer_core.data.homology import join_groupings, link_homologs
from enhancer_core.data.mixture import concatenate, take
from enhancer_core.data.simulation import simulate
from enhancer_core.data.splits import split_folds, split_strata
from enhancer_core.dna.codes import Codes, encode
from enhancer_core.errors import DatasetError, EnhancerError, FileError, SequenceError
from enhancer_core.io.fasta import read_fasta
from enhancer_core.io.genome import open_genome
from enhancer_core.io.motifs import read_motif
from enhancer_core.io.tables import read_table
from enhancer_core.study.recipe import Data, Study, settings

_DRAW, _SPLIT = 1, 2  # independent streams of random numbers


class _Source(NamedTuple):
    """Sequences of one class from one file or simulation."""

    label: bool
    file: str
    names: list[str]
    codes: Codes  # uint8 (n, L)


def load(data: Sequence[Data], folder: Path, *, seed: int) -> dict[str, SplitDataset]:
    """Read or simulate data sets, and split those of one set together.

    Linked records share a part, across the data of a set: identical sequences on either strand,
    overlapping windows, records of one name in one data set, and, on request, sequences that share
    rare k-mers. Every class of every data set is split 80 / 10 / 10; but records of a table, and
    all that are linked to them, are the test part.

    Returned by name, NAME@1 and so on for folds; names of records begin with the data's. Data of
    one definition, in a set of the same definitions and by one seed, are the same in every recipe.

    Raises
    ------
    EnhancerError
        If a file is missing or malformed, lengths in a set differ, or a part lacks a class.
    """
    sets: dict[str, list[Data]] = {}
    for definition in data:
        sets.setdefault(definition.set_name, []).append(definition)
    splits: dict[str, SplitDataset] = {}
    for members in sets.values():
        splits |= _load_set(members, folder, seed)
    return {name: splits[name] for definition in data for name in definition.splits}


def files_of(study: Study) -> list[str]:
    """List the files that a study reads, relative to its data folder, each once."""
    files: list[str] = []
    for recipe in study.recipes:
        for data in recipe.data:
            files += (*data.positives, *data.background, data.genome, data.table)
        files += (file for run in recipe.runs for file in run.motif_files)
    return list(dict.fromkeys(filter(None, files)))


def digest(data: SplitDataset) -> str:
    """Return the SHA-256 of sequences, labels, names and parts, in hexadecimal."""
    sha = hashlib.sha256()
    dataset = data.dataset
    for array in (dataset.codes, dataset.labels, data.parts):
        sha.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    sha.update("\n".join(dataset.names.tolist()).encode())
    return sha.hexdigest()


def _load_set(members: Sequence[Data], folder: Path, seed: int) -> dict[str, SplitDataset]:
    datasets = [_read(definition, folder, seed) for definition in members]
    unsplit = [SplitDataset(dataset, np.zeros(len(dataset), np.int64)) for dataset in datasets]
    pooled = concatenate(unsplit).dataset
    groups = linked_sets(pooled)
    if any(definition.relatives for definition in members):
        groups = join_groupings(groups, link_homologs(pooled.codes))
    rng = np.random.default_rng((_SPLIT, seed))
    first = members[0]
    if first.folds:
        folds = split_folds(pooled, folds=first.folds, rng=rng, groups=groups.astype(np.str_))
        return dict(zip(first.splits, folds, strict=True))
    member = np.repeat(np.arange(len(members)), [len(dataset) for dataset in datasets])
    from_table = np.array([bool(definition.table) for definition in members])[member]
    is_test = np.isin(groups, groups[from_table])
    parts = np.full(len(pooled), TEST)
    if not is_test.all():
        # Numbered anew, by the classes that are there: a genome gives background alone.
        strata, free = (
            np.unique(numbers[~is_test], return_inverse=True)[1].astype(np.int64)
            for numbers in (2 * member + pooled.labels, groups)
        )
        parts[~is_test] = split_strata(strata, free, rng=rng)
    whole = SplitDataset(pooled, parts)
    splits: dict[str, SplitDataset] = {}
    for index, definition in enumerate(members):
        split = splits[definition.name] = take(whole, member == index)
        labels = split.dataset.labels
        classes = () if definition.table else np.unique(labels)
        for part, label in product(range(len(PARTS)), classes):
            if not ((split.parts == part) & (labels == label)).any():
                raise DatasetError(
                    f"data '{definition.name}': the {PARTS[part]} part has no"
                    f" {'positive' if label else 'background sequence'}; too many sequences are"
                    " linked, or there are too few"
                )
    return splits


def _read(data: Data, folder: Path, seed: int) -> Dataset:
    try:
        sources = _sources(data, folder, seed)
    except EnhancerError as error:
        raise type(error)(f"data '{data.name}': {error}") from error
    if len({source.codes.shape[1] for source in sources}) > 1:
        raise DatasetError(f"data '{data.name}': its files have sequences of several lengths")
    counts = [len(source.names) for source in sources]
    dataset = Dataset(
        codes=np.concatenate([source.codes for source in sources]),
        labels=np.repeat(np.array([source.label for source in sources]), counts),
        names=np.array([name for source in sources for name in source.names], dtype=np.str_),
        files=np.repeat(np.array([source.file for source in sources], dtype=np.str_), counts),
    )
    return dataset if data.number is None else _at_most(dataset, data.number, seed)


def _sources(data: Data, folder: Path, seed: int) -> list[_Source]:
    digested = json.dumps(settings(data), sort_keys=True)
    entropy = np.frombuffer(hashlib.sha256(digested.encode()).digest(), np.uint32)
    rng = np.random.default_rng((_DRAW, seed, *entropy.tolist()))
    number = data.number or 0
    if data.positives or data.background:
        sources = []
        for i, file in enumerate((*data.positives, *data.background)):
            path = folder / file
            records = read_fasta(path, numbered=data.numbered)
            prefix = f"{data.name}|{path.name}|" if data.numbered else f"{data.name}|"
            names = [prefix + name for name in records.names]
            sources.append(_Source(i < len(data.positives), path.name, names, records.codes))
        if data.genome:
            n_positive = sum(len(source.names) for source in sources)
            number, length = min(number or n_positive, n_positive), sources[0].codes.shape[1]
            sources.append(_windows(data, folder, number, rng, length=length))
        return sources
    if data.table:
        return _from_table(data, folder / data.table)
    if data.genome:
        return [_windows(data, folder, number, rng, length=data.length)]
    if data.simulate:
        motif, definition = read_motif(data.simulate), data.definition
        simulated = simulate(motif, n=number, length=data.length, definition=definition, rng=rng)
        classes = simulated.positives, simulated.background
    else:
        classes = species.draw_species(data.world, number=number, length=data.length, seed=seed)
    return [
        _Source(
            kind == "positive", kind, [f"{data.name}|{kind}_{i}" for i in range(len(codes))], codes
        )
        for kind, codes in zip(("positive", "background"), classes, strict=True)
    ]


def _windows(
    data: Data, folder: Path, number: int, rng: np.random.Generator, *, length: int
) -> _Source:
    with open_genome(folder / data.genome) as genome:
        rules = BackgroundRules(length=length)
        candidates = candidate_windows(genome.letters, genome.lengths, rules, rng=rng)
        rows = np.arange(len(candidates))
        if data.repeats < 1:
            masked = candidates.composition.repeat
            if masked is None:
                raise DatasetError(f"{data.genome} has no lower-case letters to mark repeats")
            rows = np.flatnonzero(masked <= data.repeats)
        if len(rows) < number:
            raise DatasetError(f"{number} windows asked for; {data.genome} has {len(rows)}")
        windows = candidates.windows(
            np.sort(rng.choice(rows, number, replace=False, shuffle=False))
        )
        names = [f"{data.name}|{name}" for name in windows.names()]
        return _Source(label=False, file=data.genome, names=names, codes=genome.windows(windows))


def _from_table(data: Data, path: Path) -> list[_Source]:
    """Read bound and unbound sequences, each a source of its own."""
    sources: dict[str, list[_Source]] = {"1": [], "0": []}
    for number, row in read_table(path, ["sequence", "bound"]):
        bound = row["bound"]
        if bound not in sources:
            raise FileError(f"{path} line {number}: bound is '{bound}'; allowed are 1 and 0")
        try:
            codes = encode([row["sequence"]])
        except SequenceError as error:
            raise SequenceError(f"{path} line {number}: {error}") from error
        name = f"{data.name}|{path.name}|{number}"
        sources[bound].append(_Source(bound == "1", path.name, [name], codes))
    for bound, members in sources.items():
        if not members:
            raise FileError(f"{path}: no row has bound {bound}; tests need both")
    return [*sources["1"], *sources["0"]]


def _at_most(dataset: Dataset, number: int, seed: int) -> Dataset:
    """Draw at most `number` of each class, each sequence once."""
    rng = np.random.default_rng((_DRAW, seed, 1))
    first = np.sort(np.unique(sequence_sets(dataset.codes), return_index=True)[1])
    drawn = []
    for label in (True, False):
        rows = first[dataset.labels[first] == label]
        if len(rows) > number:
            rows = np.sort(rng.choice(rows, size=number, replace=False))
        drawn.append(rows)
    return dataset.take(np.concatenate(drawn))
