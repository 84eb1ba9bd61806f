"""What the comparison of the default rests on."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from enhancer_core.data.dataset import SplitDataset
from enhancer_core.dna.codes import N_CODE, decode, reverse_complement
from enhancer_core.dna.kmers import k_mer_frequencies
from enhancer_core.io.fasta import write_fasta
from enhancer_core.io.tables import write_table
from enhancer_core.training import TrainConfig
from enhancer_core.training.evaluation import FittedBaseline


def script() -> ModuleType:
    path = Path(__file__).parents[2] / "training" / "defaults.py"
    spec = importlib.util.spec_from_file_location("defaults", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["defaults"] = module
    spec.loader.exec_module(module)
    return module


defaults = script()


def test_sequences_that_share_fifty_words_on_either_strand_are_near_duplicates() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (5, 200), dtype=np.uint8)
    codes[1, 100:179] = codes[0, :79]  # 79 - 30 + 1 = 50 words
    codes[2, 100:178] = codes[0, :78]  # 49
    codes[3, 121:] = reverse_complement(codes[1, :79][np.newaxis])[0]
    codes[4] = N_CODE
    groups = defaults.near_duplicates(codes).tolist()
    assert groups[0] == groups[1] == groups[3]
    assert len(set(groups)) == 3


def test_words_count_once_so_that_a_simple_repeat_is_no_duplication() -> None:
    repeat = np.tile(np.array([0, 1], np.uint8), (2, 100))
    assert len(set(defaults.near_duplicates(repeat).tolist())) == 2


def peaks(folder: Path, number: int) -> Path:
    """A file of peaks where DATA has those of REST."""
    (folder / "chip_seq_101bp").mkdir()
    codes = np.random.default_rng(0).integers(0, 4, (number, 101), dtype=np.uint8)
    names = [f"peak{i}" for i in range(number)]
    write_fasta(folder / "chip_seq_101bp" / "REST_GM12878.peaks.fa.gz", names, codes)
    return folder


@pytest.mark.parametrize(("most", "number"), [(100, 60), (60, 60), (40, 40)])
def test_peaks_are_held_against_their_own_shuffles_and_a_pair_is_in_one_part(
    tmp_path: Path, most: int, number: int
) -> None:
    (data,) = defaults.SETS["REST_GM12878"][0](peaks(tmp_path, 60), most)
    codes, parts = data.dataset.codes, data.parts
    assert data.dataset.labels.tolist() == [True] * number + [False] * number
    for k in (1, 2):
        counts = k_mer_frequencies(codes, k)
        assert not np.array_equal(codes[:number], codes[number:])
        assert np.allclose(counts[:number], counts[number:])
    assert parts[:number].tolist() == parts[number:].tolist()


def test_open_chromatin_is_split_by_the_tables_own_column(tmp_path: Path) -> None:
    (tmp_path / "cell_specific_dhs_200bp").mkdir()
    parts = ["training", "validation", "test"] * 2
    cells = ["HepG2"] * 3 + ["K562"] * 3
    sequences = decode(np.random.default_rng(0).integers(0, 4, (6, 200), dtype=np.uint8))
    rows = zip(map(str, range(6)), cells, parts, sequences, strict=True)
    path = tmp_path / "cell_specific_dhs_200bp" / "dhs.tsv.gz"
    write_table(path, ["name", "cell", "split", "sequence"], rows)
    (data,) = defaults.SETS["HepG2_against_K562"][0](tmp_path, 0)
    assert data.parts.tolist() == [0, 1, 2, 0, 1, 2]
    assert data.dataset.labels.tolist() == [True] * 3 + [False] * 3


def test_means_have_the_intervals_of_means_of_independent_differences() -> None:
    one = defaults.Figures(np.arange(8.0), np.array([0.3, 0.4, 0.0]))
    other = defaults.Figures(np.arange(8.0) + 1, np.array([0.4, 0.3, 0.2]))
    mean = defaults.mean([one, other])
    assert mean.values.tolist() == [each + 0.5 for each in range(8)]
    assert mean.errors.tolist() == pytest.approx([0.25, 0.25, 0.1])
    assert defaults.mean([one]).cells() == [
        *("0.0000", "1.0000", "2.0000", "3.0000"),
        *("+4.0000 (+3.7000 to +4.3000)", "+5.0000 (+4.6000 to +5.4000)"),
        *("+6.0000 (+6.0000 to +6.0000)", "7"),
    ]


def test_what_is_kept_is_computed_again_for_other_sequences_or_another_configuration_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = []

    def fit(data: SplitDataset, *, kind: str) -> FittedBaseline:
        fitted.append(kind)
        return FittedBaseline(kind, lambda codes: np.arange(len(codes), dtype=np.float32))

    monkeypatch.setattr(defaults, "fit_baseline", fit)
    (data,) = defaults.SETS["REST_GM12878"][0](peaks(tmp_path, 60), 60)
    (fewer,) = defaults.SETS["REST_GM12878"][0](tmp_path, 40)
    for each in (data, data, fewer):
        scores, seconds = defaults.scored(each, "gkm", tmp_path / "REST.0", 1)
        assert scores.tolist() == list(range(len(each.test)))
        assert seconds >= 0
    assert fitted == ["gkm"] * 2
    defaults.scored(data, "kmer", tmp_path / "REST.0", 1)
    assert fitted == ["gkm", "gkm", "kmer"]
    monkeypatch.setattr(defaults, "default_config", lambda _: TrainConfig(epochs=1))
    defaults.scored(data, "kmer", tmp_path / "REST.0", 1)
    assert fitted == ["gkm", "gkm", "kmer", "kmer"]


def test_the_table_has_a_row_a_set_and_their_mean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    networks = []

    def scored(data: SplitDataset, model: str, _: Path, __: int) -> tuple[object, float]:
        networks.append(model)
        sign = 1 if model == "motif_cnn" else -1
        return sign * (data.test.labels + np.linspace(0, 0.5, len(data.test))), 12.0

    monkeypatch.setattr(defaults, "scored", scored)
    said = [str(peaks(tmp_path, 60)), "-o", str(tmp_path / "out"), "--sets", "REST_GM12878"]
    monkeypatch.setattr(sys, "argv", ["defaults.py", *said])
    defaults.main()
    assert networks == ["motif_cnn", "gkm", "kmer", "tf"]
    difference = "\t".join(["+1.0000 (+1.0000 to +1.0000)"] * 3)
    figures = f"1.0000\t0.0000\t0.0000\t0.0000\t{difference}\t12"
    expected = (
        "set\tsequences\tfolds\tdefault\tgapped_k-mers\t5-mers\tpaper's_network"
        "\tover_gapped_k-mers\tover_5-mers\tover_paper's_network\tcpu_seconds\n"
        f"REST_GM12878\t120\t1\t{figures}\n"
        f"mean\t\t\t{figures}\n"
    )
    told = capsys.readouterr()
    assert told.out == expected == (tmp_path / "out" / "table.tsv").read_text()
    assert told.err == f"REST_GM12878.0\t{figures}\n"
