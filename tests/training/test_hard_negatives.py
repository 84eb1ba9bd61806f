"""Hard negatives, and training on windows that are drawn anew for each epoch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from enhancer_core.data.dataset import TRAIN, SplitDataset
from enhancer_core.data.genome import split_genome
from enhancer_core.errors import DatasetError
from enhancer_core.models.model import Model
from enhancer_core.models.regression import fit_k_mers
from enhancer_core.training.config import TrainConfig
from enhancer_core.training.hard_negatives import (
    add_hard_negatives,
    find_hard_negatives,
    with_hard_negatives,
)
from enhancer_core.training.restart import RestartState, Task, Work, mini_batches
from enhancer_core.training.trainer import train
from tests.training.test_gpu_training import AS_PROGRAM, alike
from tests.training.test_trainer import SMALL, KilledError, same_weights, weights_of

LENGTH = SMALL.length
BP = 6_000
PEAKS = range(300, 2_700, 600)  # starts, on each of three chromosomes
ISLANDS = (3_300, 4_500)  # DNA like that of peaks, and more so, where there are none
ISLAND = 240  # bp
CONFIG = TrainConfig(restarts=2, epochs=3, batch_size=20, shift=5, flip=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> SplitDataset:
    """Peaks of much G and C in DNA of little, on three chromosomes, and islands as peaks are."""
    rng, folder = np.random.default_rng(5), tmp_path_factory.mktemp("genome")
    fasta, bed = "", ""
    for number in (1, 2, 3):
        letters = rng.choice(list("ACGT"), BP, p=[0.4, 0.1, 0.1, 0.4])
        for start in PEAKS:
            letters[start : start + 120] = rng.choice(list("ACGT"), 120, p=[0.1, 0.4, 0.4, 0.1])
        for start in ISLANDS:
            letters[start : start + ISLAND] = rng.choice(list("CG"), ISLAND)
        fasta += f">chr{number}\n{''.join(letters)}\n"
        bed += "".join(f"chr{number}\t{start}\t{start + 120}\n" for start in PEAKS)
    (folder / "genome.fa").write_text(fasta)
    (folder / "peaks.bed").write_text(bed)
    return split_genome(
        folder / "genome.fa", folder / "peaks.bed", length=LENGTH, tile=False,
        negatives_per_positive=8, test=["chr2"], validation=["chr3"],
    )  # fmt: skip


@pytest.fixture(scope="module")
def composition(data: SplitDataset) -> Model:
    """A model of single letters."""
    return Model(tuple(fit_k_mers(data, k=1).members))


def test_hard_negatives_are_what_is_like_peaks_where_there_are_none(
    data: SplitDataset, composition: Model
) -> None:
    sampler = data.sampler
    assert sampler is not None
    found = find_hard_negatives(sampler, composition, device="cpu")
    hard = sampler.intervals(found.places)
    assert set(hard.chroms.tolist()) == {"chr1"}
    assert len(hard) <= len(PEAKS)
    for start, end in zip(hard.starts, hard.ends, strict=True):
        assert any(start < island + ISLAND and end > island for island in ISLANDS)
    assert {island for island in ISLANDS for s in hard.starts if abs(s - island) < 120} == {
        *ISLANDS
    }
    bp = int((sampler.free[:, 1] - sampler.free[:, 0]).sum())
    assert found.step == 100
    assert bp / 100 <= found.scanned <= bp / 100 + len(sampler.free)
    assert len(hard) <= found.above < found.scanned / 10


def test_hard_negatives_are_the_same_for_any_number_of_threads(
    data: SplitDataset, composition: Model
) -> None:
    assert data.sampler is not None
    one, four = (
        find_hard_negatives(data.sampler, composition, device="cpu", threads=n) for n in (1, 4)
    )
    assert one.places.tolist() == four.places.tolist()


def test_hard_negatives_become_records_of_the_training_part_alone(
    data: SplitDataset, composition: Model
) -> None:
    added = add_hard_negatives(data, composition, device="cpu")
    assert added.sampler is not None
    assert data.sampler is not None
    changed = added.dataset.names != data.dataset.names
    assert 0 < changed.sum() <= len(added.sampler.hard)
    assert (added.parts[changed] == TRAIN).all()
    assert not added.dataset.labels[changed].any()
    expected = added.sampler.intervals(added.sampler.hard).names()
    assert set(added.dataset.names[changed]) <= set(expected)
    assert len(data.sampler.hard) == 0  # what was given is as it was


def test_rounds_add_up_and_half_of_the_negatives_at_most_are_hard(data: SplitDataset) -> None:
    once = with_hard_negatives(data, np.array([3_300, 3_400]))
    twice = with_hard_negatives(once, np.arange(3_300, 3_340))
    assert twice.sampler is not None
    assert twice.sampler.hard.tolist() == [*range(3_300, 3_340), 3_400]
    hard = set(twice.sampler.intervals(twice.sampler.hard).names())
    records = twice.dataset.names[(twice.parts == TRAIN) & ~twice.dataset.labels]
    assert len(records) == 32
    assert sum(name in hard for name in records.tolist()) == 16


def test_data_of_no_genome_have_no_hard_negatives(data: SplitDataset, composition: Model) -> None:
    with pytest.raises(DatasetError, match=r"^hard negatives need a split of a genome"):
        add_hard_negatives(replace(data, sampler=None), composition)


def test_windows_are_drawn_anew_for_each_restart_and_epoch_and_seed(data: SplitDataset) -> None:
    task, other = (Task(Work(data), SMALL, CONFIG, seed=seed) for seed in (0, 1))
    drawn = [task.sequences(restart, epoch) for restart in range(2) for epoch in range(3)]
    drawn.append(other.sequences(0, 0))
    assert len({each.tobytes() for each in drawn}) == len(drawn)
    assert task.sequences(1, 2).tobytes() == drawn[5].tobytes()
    assert {each.shape for each in drawn} == {task.codes.shape}


def test_all_checkpoints_of_an_epoch_read_the_same_windows(data: SplitDataset) -> None:
    task = Task(Work(data), SMALL, replace(CONFIG, checks_per_epoch=2), seed=0)
    first, second, third = (task.sequences(0, number) for number in range(3))
    assert first.tobytes() == second.tobytes() != third.tobytes()


def test_windows_of_a_genome_are_not_shifted_twice(data: SplitDataset) -> None:
    task = Task(Work(data), SMALL, CONFIG, seed=0)
    (batches,) = mini_batches(RestartState(task, 0), 0)
    assert batches.moves is None
    assert batches.turned is not None


def test_training_on_drawn_windows_is_the_same_for_any_number_of_threads(
    data: SplitDataset,
) -> None:
    one, two = (train(data, SMALL, CONFIG, device="cpu", threads=n) for n in (1, 2))
    assert same_weights(one, two)
    other = train(data, SMALL, CONFIG, device="cpu", seed=1)
    assert not np.array_equal(weights_of(one), weights_of(other))


def test_training_on_drawn_windows_goes_on_where_it_was_killed(
    data: SplitDataset, tmp_path: Path
) -> None:
    def kill(restart: int, check: object) -> None:
        if getattr(check, "epoch", 0) == 2:
            raise KilledError

    for device in ("cpu", AS_PROGRAM):
        folder = tmp_path / device.replace(":", "")
        folder.mkdir()
        with pytest.raises(KilledError):
            train(data, SMALL, CONFIG, device=device, folder=folder, progress=kill)
        assert list(folder.iterdir())
        resumed = train(data, SMALL, CONFIG, device=device, folder=folder)
        assert same_weights(resumed, train(data, SMALL, CONFIG, device=device))


@pytest.mark.parametrize("checks", [1, 2])
def test_one_program_reads_the_windows_that_restarts_read_one_by_one(
    data: SplitDataset, checks: int
) -> None:
    config = replace(CONFIG, checks_per_epoch=checks)
    as_program = train(data, SMALL, config, device=AS_PROGRAM)
    alike(as_program.restarts, train(data, SMALL, config, device="cpu").restarts)


def test_a_run_on_other_windows_is_not_continued(data: SplitDataset) -> None:
    places = np.array([3_300])
    one, other = (
        Task(Work(each), SMALL, CONFIG, seed=0).fingerprint
        for each in (data, replace(data, sampler=with_hard_negatives(data, places).sampler))
    )
    assert one != other
