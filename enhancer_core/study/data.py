"""A study's data: read or made, and split once, before anything is copied, shuffled or pooled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

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
from enhancer_core.io.files import first_bytes
from enhancer_core.io.genome import open_genome
from enhancer_core.io.motifs import read_motif
from enhancer_core.io.tables import read_table
from enhancer_core.study.recipe import Data, Study, settings

_DRAW, _SPLIT = 1, 2  # independent streams of random numbers


def load(data: Sequence[Data], folder: Path, *, seed: int) -> dict[str, SplitDataset]:
    """Read or make data sets, and split those of one set together.

    Records that must not be told apart share a part, across the data of a set: identical sequences
    on either strand, windows that overlap, records of one name in one data set, and, where asked
    for, sequences that share rare words. Every class of every data set is split 80 / 10 / 10; but
    what comes from a table, and all that shares a part with it, is the test part.

    Parameters
    ----------
    data
        What to load.
    folder
        Where its files are.
    seed
        Of what is made, which of too many sequences are taken, and the split.

    Returns
    -------
    dict
        Split data by name, NAME@1 and so on where they have folds; names of records begin with the
        data's. Data of the same definition, in a set of the same, are the same in every recipe.

    Raises
    ------
    EnhancerError
        If a file is not what it should be, lengths in a set differ, or a part lacks a class.
    """
    by_set: dict[str, list[Data]] = {}
    for each in data:
        by_set.setdefault(each.set_name, []).append(each)
    found: dict[str, SplitDataset] = {}
    for members in by_set.values():
        found |= _load_set(members, folder, seed)
    return {name: found[name] for each in data for name in each.splits}


def check_files(study: Study, folder: Path) -> None:
    """Open every file of a study: what is missing is told now, not after hours of training.

    Raises
    ------
    FileError
        If one cannot be read.
    """
    for file in files_of(study):
        first_bytes(folder / file)


def files_of(study: Study) -> list[str]:
    """Name every file that a study reads, relative to the folder of its data, each once."""
    files: dict[str, None] = {}
    for recipe in study.recipes:
        for data in recipe.data:
            named = (*data.positives, *data.background, data.genome, data.table)
            files |= dict.fromkeys(filter(None, named))
        for run in recipe.runs:
            files |= dict.fromkeys(run.motif_files)
    return list(files)


def digest(data: SplitDataset) -> str:
    """Digest sequences, labels, names and parts, as 64 hexadecimal digits."""
    sha = hashlib.sha256()
    dataset = data.dataset
    for array in (dataset.codes, dataset.labels, data.parts):
        sha.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    sha.update("\n".join(dataset.names.tolist()).encode())
    return sha.hexdigest()


def _load_set(members: Sequence[Data], folder: Path, seed: int) -> dict[str, SplitDataset]:
    raw = {each.name: _read(each, folder, seed) for each in members}
    unsplit = [SplitDataset(each, np.zeros(len(each), np.int64)) for each in raw.values()]
    together = concatenate(unsplit).dataset
    sets = linked_sets(together)
    if any(each.relatives for each in members):
        sets = join_groupings(sets, link_homologs(together.codes))
    sizes = [len(each) for each in raw.values()]
    member = np.repeat(np.arange(len(raw)), sizes)
    rng = np.random.default_rng((_SPLIT, seed))
    first = members[0]
    if first.folds:
        groups = sets.astype(np.str_)
        splits = split_folds(together, folds=first.folds, rng=rng, groups=groups)
        return dict(zip(first.splits, splits, strict=True))
    # Only the classes that are there: a genome gives background alone.
    tables = np.array([bool(each.table) for each in members])
    tested = np.isin(sets, sets[tables[member]])
    parts = np.full(len(together), TEST)
    if not tested.all():
        _, strata = np.unique((2 * member + together.labels)[~tested], return_inverse=True)
        _, left = np.unique(sets[~tested], return_inverse=True)
        parts[~tested] = split_strata(strata.astype(np.int64), left.astype(np.int64), rng=rng)
    whole = SplitDataset(together, parts)
    found = {name: take(whole, member == index) for index, name in enumerate(raw)}
    for each in members:
        if not each.table:
            _check(each.name, found[each.name])
    return found


def _check(name: str, data: SplitDataset) -> None:
    labels = data.dataset.labels
    for label, kind in ((True, "positive"), (False, "background sequence")):
        for part, called in enumerate(PARTS):
            if (labels == label).any() and not ((labels == label) & (data.parts == part)).any():
                raise DatasetError(
                    f"data '{name}': the {called} part has no {kind}; too many sequences belong"
                    " together, or there are too few"
                )


def _read(data: Data, folder: Path, seed: int) -> Dataset:
    try:
        pieces = _pieces(data, folder, seed)
    except EnhancerError as error:
        raise type(error)(f"data '{data.name}': {error}") from error
    codes = [codes for _, _, _, codes in pieces]
    if len({each.shape[1] for each in codes}) > 1:
        raise DatasetError(f"data '{data.name}': its files have sequences of several lengths")
    dataset = Dataset(
        np.concatenate(codes),
        np.concatenate([np.full(len(names), label) for label, _, names, _ in pieces]),
        np.array([name for _, _, names, _ in pieces for name in names], dtype=np.str_),
        np.array([file for _, file, names, _ in pieces for _ in names], dtype=np.str_),
    )
    return dataset if data.number is None else _at_most(dataset, data, seed)


_Piece = tuple[bool, str, list[str], Codes]  # label, file, names, uint8 (n, L)


def _pieces(data: Data, folder: Path, seed: int) -> list[_Piece]:
    what = json.dumps(settings(data), sort_keys=True)
    words = np.frombuffer(hashlib.sha256(what.encode()).digest(), np.uint32)
    rng = np.random.default_rng((_DRAW, seed, *words.tolist()))
    number = data.number or 0
    if data.positives or data.background:
        read = [
            _from_file(data, folder / file, label=label)
            for label, files in ((True, data.positives), (False, data.background))
            for file in files
        ]
        if not data.genome:
            return read
        length, found = read[0][3].shape[1], sum(len(names) for _, _, names, _ in read)
        number = min(number or found, found)
        return [*read, _windows(data, folder, number, rng, length=length)]
    if data.table:
        return _from_table(data, folder / data.table)
    if data.genome:
        return [_windows(data, folder, number, rng, length=data.length)]
    if data.simulate:
        made = simulate(
            read_motif(data.simulate),
            n=number, length=data.length, definition=data.definition, rng=rng,
        )  # fmt: skip
        positives, background = made.positives, made.background
    else:
        positives, background = species.draw_species(
            data.world, number=number, length=data.length, seed=seed
        )
    return [
        (label, kind, [f"{data.name}|{kind}_{i}" for i in range(len(codes))], codes)
        for label, kind, codes in ((True, "positive", positives), (False, "background", background))
    ]


def _windows(
    data: Data, folder: Path, number: int, rng: np.random.Generator, *, length: int
) -> _Piece:
    """Draw so many windows of a genome."""
    with open_genome(folder / data.genome) as genome:
        rules = BackgroundRules(length=length)
        candidates = candidate_windows(genome.letters, genome.lengths, rules, rng=rng)
        rows = np.arange(len(candidates))
        if data.repeats < 1:
            masked = candidates.composition.repeat
            if masked is None:
                raise DatasetError(f"{data.genome} has no lower-case letters to tell repeats by")
            rows = np.flatnonzero(masked <= data.repeats)
        if len(rows) < number:
            raise DatasetError(f"{number} windows asked for; {data.genome} gives {len(rows)}")
        windows = candidates.windows(
            np.sort(rng.choice(rows, number, replace=False, shuffle=False))
        )
        names = [f"{data.name}|{name}" for name in windows.names()]
        return False, data.genome, names, genome.windows(windows)


def _from_file(data: Data, path: Path, *, label: bool) -> _Piece:
    read = read_fasta(path, numbered=data.numbered)
    prefix = f"{data.name}|{path.name}|" if data.numbered else f"{data.name}|"
    return label, path.name, [prefix + name for name in read.names], read.codes


def _from_table(data: Data, path: Path) -> list[_Piece]:
    """Read sequences that are bound and that are not."""
    found: dict[str, list[tuple[str, Codes]]] = {"1": [], "0": []}
    for number, row in read_table(path, ["sequence", "bound"]):
        if row["bound"] not in found:
            raise FileError(f"{path} line {number}: bound is '{row['bound']}'; allowed are 1 and 0")
        try:
            codes = encode([row["sequence"]])
        except SequenceError as error:
            raise SequenceError(f"{path} line {number}: {error}") from error
        found[row["bound"]].append((f"{data.name}|{path.name}|{number}", codes))
    for bound, each in found.items():
        if not each:
            raise FileError(f"{path}: no row has bound {bound}; tests need both")
    if len({codes.shape[1] for each in found.values() for _, codes in each}) > 1:
        raise DatasetError(f"{path}: sequences of several lengths; allowed is one")
    return [
        (bound == "1", path.name, [name for name, _ in each], np.concatenate([c for _, c in each]))
        for bound, each in found.items()
    ]


def _at_most(dataset: Dataset, data: Data, seed: int) -> Dataset:
    """Draw at most `number` of each class, each sequence once."""
    rng = np.random.default_rng((_DRAW, seed, 1))
    _, first = np.unique(sequence_sets(dataset.codes), return_index=True)
    fresh = np.zeros(len(dataset), dtype=bool)
    fresh[first] = True
    kept = []
    for label in (True, False):
        rows = np.flatnonzero(fresh & (dataset.labels == label))
        if len(rows) > (data.number or 0):
            rows = np.sort(rng.choice(rows, size=data.number, replace=False))
        kept.append(rows)
    return dataset.take(np.concatenate(kept))
