"""`import enhancer_core as ec`: what it offers, what it takes, and what it costs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import enhancer_core as ec
from enhancer_core.errors import DatasetError, DeviceError, FileError, ModelFileError, SequenceError

NAMES = (
    *("encode", "decode", "one_hot", "k_shuffle", "read_fasta", "open_genome", "read_motifs"),
    *("read_dataset", "split", "TrainConfig", "train", "load_model", "save_model", "predict"),
    *("predict_track", "score_variants", "mutagenesis", "evaluate", "fit_baseline", "extract"),
    *("sample_background", "call", "Calls", "evaluate_genome", "GenomeEvaluation"),
    *("split_genome", "add_hard_negatives"),
)
LENGTH = 60
LETTERS = "".join(np.random.default_rng(7).choice(list("ACGT"), 400))
SEQUENCES = [LETTERS[start : start + LENGTH] for start in range(0, 300, 50)]


@pytest.fixture(scope="module")
def model() -> ec.Model:
    positives = [f"{s[:20]}GATTACA{s[27:]}" for s in SEQUENCES * 5]
    shuffled = ec.k_shuffle(ec.encode(positives), k=1, rng=np.random.default_rng(0))
    data = ec.split(ec.Dataset.from_sequences(positives, shuffled, paired=True))
    return ec.train(data, "tf", ec.TrainConfig(restarts=1, epochs=1)).model


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("genome") / "genome.fa"
    path.write_text(f">chr1\n{LETTERS}\n>chr2\n{LETTERS[::-1]}\n")
    return path


def test_the_front_door_has_the_names_that_it_should() -> None:
    assert set(NAMES) <= set(dir(ec))
    assert all(getattr(ec, name) is not None for name in dir(ec) if name not in {"cli", "kipoi"})


def test_importing_the_package_costs_nothing() -> None:
    code = "import sys; import enhancer_core; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert not {"numpy", "torch", "numba", "click"} & set(loaded.stdout.split())


@pytest.mark.parametrize("kind", [list, tuple, np.array, pd.Series], ids=lambda kind: kind.__name__)
def test_sequences_are_taken_in_every_usual_container(
    model: ec.Model, kind: Callable[[list[str]], Iterable[str]]
) -> None:
    expected = model.predict(ec.encode(SEQUENCES))
    assert model.predict(kind(SEQUENCES)).tobytes() == expected.tobytes()
    assert ec.predict(model, kind(SEQUENCES)).tobytes() == expected.tobytes()


def test_one_string_is_no_list_of_sequences(model: ec.Model) -> None:
    with pytest.raises(SequenceError, match="one string of 60 letters; allowed is a list"):
        model.predict(SEQUENCES[0])


def test_an_array_that_is_not_of_codes_is_refused(model: ec.Model) -> None:
    with pytest.raises(SequenceError, match="an array of float64; codes are uint8"):
        model.predict(np.zeros((2, LENGTH)))


def test_sequences_of_another_length_are_refused(model: ec.Model) -> None:
    with pytest.raises(SequenceError, match="sequences of 4 bp; the model reads 60 bp"):
        model.predict(["ACGT"])


def test_a_model_is_saved_and_loaded_by_a_path_of_either_kind(
    model: ec.Model, tmp_path: Path
) -> None:
    model.save(str(tmp_path / "model.safetensors"))
    for path in (tmp_path, str(tmp_path), tmp_path / "model.safetensors"):
        loaded = ec.load_model(path)
        assert loaded.predict(SEQUENCES).tobytes() == model.predict(SEQUENCES).tobytes()
        assert loaded.metadata == model.metadata


def test_a_model_is_saved_into_a_folder_under_the_usual_name(
    model: ec.Model, tmp_path: Path
) -> None:
    model.save(tmp_path)
    assert (tmp_path / "model.safetensors").exists()


def test_a_model_describes_itself_in_five_lines_at_most(model: ec.Model) -> None:
    assert repr(model).startswith("Model: tf, reads 60 bp\n")
    figures = {"test": {"auc": {"value": 0.8142, "low": 0.7, "high": 0.9}}}
    for metadata in (figures, {"test": "of my own"}, {}):
        assert len(repr(ec.Model(model.members, metadata)).splitlines()) <= 5
    assert "test AUC 0.814 (0.700 to 0.900)" in repr(ec.Model(model.members, figures))


def test_mutagenesis_has_the_log_odds_of_each_change_predicted_alone(model: ec.Model) -> None:
    codes = ec.encode([SEQUENCES[0][:30] + "N" + SEQUENCES[0][31:]])
    effects = model.mutagenesis(codes)
    assert effects.shape == (1, 4, LENGTH)
    assert np.isnan(effects[0, :, 30]).all()
    assert (effects[0, codes[0, :30], range(30)] == 0).all()
    changed = codes.copy()
    changed[0, 12] = base = (codes[0, 12] + 1) % 4

    def log_odds(codes: np.ndarray[tuple[int, int], np.dtype[np.uint8]]) -> float:
        strands = (codes, np.where(codes == 4, 4, 3 - codes)[:, ::-1].astype(np.uint8))
        odds = [np.log(p / (1 - p)) for p in (model.predict(s).astype(float) for s in strands)]
        return float(np.mean(odds))

    expected = log_odds(changed) - log_odds(codes)
    assert effects[0, base, 12] == pytest.approx(expected, abs=1e-5)


def test_variants_are_scored_from_strings_and_from_a_vcf_alike(
    model: ec.Model, genome: Path, tmp_path: Path
) -> None:
    reference = LETTERS[199]
    others = [base for base in "ACGT" if base != reference]
    given = [f"chr1:200:{reference}:{base}" for base in others]
    vcf = tmp_path / "v.vcf"
    head = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    vcf.write_text(f"{head}chr1\t200\t.\t{reference}\t{','.join(others)}\t.\t.\t.\n")
    scores = model.score_variants(given, genome)
    assert scores == ec.score_variants(model, vcf, str(genome))
    table = pd.DataFrame(scores)
    assert table.alternative.tolist() == others
    np.testing.assert_allclose(
        table.difference, table.alternative_probability - table.reference_probability, atol=1e-12
    )


def test_a_variant_that_is_not_spelled_as_four_fields_is_refused(
    model: ec.Model, genome: Path
) -> None:
    with pytest.raises(FileError, match="variant 1: 'chr1-200-A'; allowed is CHROM:POSITION"):
        model.score_variants(["chr1-200-A"], genome)


def test_a_variant_that_does_not_fit_the_genome_is_skipped_if_asked(
    model: ec.Model, genome: Path
) -> None:
    (score,) = model.score_variants(["chr9:5:A:C"], genome, skip_mismatch=True)
    assert score.skipped == "unknown_chromosome"
    assert np.isnan(score.logit)


def test_a_track_has_the_probability_of_each_window(model: ec.Model, genome: Path) -> None:
    ((chrom, starts, ends, values), *_) = model.predict_track(genome, step=40)
    assert (chrom, starts[2], ends[2]) == ("chr1", 80, 120)
    assert values[2] == model.predict([LETTERS[70:130]])[0]


def test_a_shuffle_stays_in_the_part_of_its_sequence() -> None:
    shuffled = ec.k_shuffle(ec.encode(SEQUENCES * 4), k=2, rng=np.random.default_rng(0))
    data = ec.split(ec.Dataset.from_sequences(SEQUENCES * 4, shuffled, paired=True))
    n = len(SEQUENCES) * 4
    assert (data.parts[:n] == data.parts[n:]).all()


def test_sequences_of_unequal_length_are_learned_from_and_predicted_at_one() -> None:
    rng = np.random.default_rng(3)
    rows = ["".join(rng.choice(list("ACGT"), 40 + n)) for n in range(48)]
    positives, negatives = pd.Series(rows[::2]), rows[1::2]
    data = ec.split(ec.Dataset.from_sequences(positives, negatives, length=60))
    trained = ec.train(data, "tf", ec.TrainConfig(restarts=1, epochs=1)).model
    assert trained.length == 60
    found = ec.predict(trained, ["ACGT", *rows], length=60)
    assert np.isnan(found).tolist() == [True] + [False] * 48
    assert found[21] == trained.predict(rows[20:21])[0]  # which has 60 bp
    assert ec.decode(ec.encode(rows[:1], length=42)) == [f"N{rows[0]}N"]


def test_a_data_set_needs_both_classes() -> None:
    with pytest.raises(SequenceError, match="no sequences to encode"):
        ec.Dataset.from_sequences(SEQUENCES, [])
    with pytest.raises(DatasetError, match="allowed is one length"):
        ec.Dataset.from_sequences(SEQUENCES, ["ACGT"])


def test_a_gpu_that_is_not_there_is_refused(model: ec.Model) -> None:
    import torch  # as the other tests do, but only here

    if torch.cuda.is_available():
        assert model.predict(SEQUENCES, device="cuda").shape == (len(SEQUENCES),)
    else:
        with pytest.raises(DeviceError, match="no CUDA GPU that PyTorch can use"):
            model.predict(SEQUENCES, device="cuda")


def test_training_further_starts_from_the_weights_of_the_model(model: ec.Model) -> None:
    data = ec.split(ec.Dataset.from_sequences(SEQUENCES * 4, [s[::-1] for s in SEQUENCES * 4]))
    config = ec.TrainConfig(restarts=1, epochs=1, learning_rate=1e-12)
    finetuned = ec.train(data, initial=model, config=config).model
    np.testing.assert_allclose(finetuned.predict(SEQUENCES), model.predict(SEQUENCES), atol=1e-6)
    assert finetuned.metadata["network"] == "tf"


def test_a_model_of_another_network_is_no_start_for_the_one_that_is_named(model: ec.Model) -> None:
    long = [s * 2 for s in SEQUENCES * 4]
    data = ec.split(ec.Dataset.from_sequences(long, [s[::-1] for s in long]))
    with pytest.raises(ModelFileError, match="to start from they must be 20 of 9"):
        ec.train(data, "enhancer", initial=model)


def test_windows_around_peaks_are_extracted(genome: Path, tmp_path: Path) -> None:
    (tmp_path / "peaks.bed").write_text("chr1\t100\t200\nchr1\t0\t20\n")
    windows = ec.extract(genome, tmp_path / "peaks.bed", length=LENGTH)
    assert windows.names == ["chr1:120-180"]
    assert windows.sequences == [LETTERS[120:180]]
    assert "1 of 2 windows reach over a chromosome's end" in windows.notes[0]


def test_a_genome_is_evaluated_and_called_with_what_was_measured(
    model: ec.Model, genome: Path, tmp_path: Path
) -> None:
    (tmp_path / "peaks.bed").write_text("chr1\t100\t160\nchr1\t250\t300\n")
    found = ec.evaluate_genome(model, genome, tmp_path / "peaks.bed", step=2)
    assert (found.scored, len(found.peaks), found.base_rate) == (400, 2, 55 / 400)
    measured = found.with_thresholds(model)
    measured.save(tmp_path)
    calls = ec.call(ec.load_model(tmp_path), genome, top=4, step=2)
    assert len(calls) == 4
    assert sorted(calls.ranks.tolist()) == [1, 2, 3, 4]
    with pytest.raises(ModelFileError, match="the model has no thresholds for a precision"):
        ec.call(model, genome, precision=0.5)


def test_probabilities_hold_at_another_prevalence(model: ec.Model, genome: Path) -> None:
    assert model.prevalence == 0.5
    plain, rare = model.predict(SEQUENCES), model.predict(SEQUENCES, prevalence=0.1)
    np.testing.assert_allclose(rare / (1 - rare), plain / (1 - plain) / 9, rtol=1e-4)
    ((*_, values), *_) = model.predict_track(genome, step=40)
    ((*_, shifted), *_) = model.predict_track(genome, step=40, prevalence=0.1)
    np.testing.assert_allclose(shifted / (1 - shifted), values / (1 - values) / 9, rtol=1e-4)


def test_a_genome_is_split_trained_on_and_its_hard_negatives_added(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    chroms = {f"chr{c}": "".join(rng.choice(list("ACGT"), 2_000)) for c in (1, 2, 3)}
    fasta, bed = tmp_path / "genome.fa", tmp_path / "peaks.bed"
    fasta.write_text("".join(f">{name}\n{letters}\n" for name, letters in chroms.items()))
    bed.write_text(
        "".join(f"{name}\t{s}\t{s + 100}\n" for name in chroms for s in (300, 900, 1500))
    )
    data = ec.split_genome(fasta, bed, length=LENGTH, negatives_per_positive=4)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [15, 15, 15]
    model = ec.train(data, "tf", ec.TrainConfig(restarts=1, epochs=1, shift=10)).model
    assert len(ec.add_hard_negatives(data, model).train) == 15
