from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from enhancer_core.dna.codes import decode, encode
from enhancer_core.errors import SequenceError
from enhancer_core.io.genome import open_genome
from enhancer_core.io.vcf import VcfRecord
from enhancer_core.models.architecture import Architecture, Convolution
from enhancer_core.models.network import Network
from enhancer_core.motifs.motif import Motif
from enhancer_core.motifs.scan import Hit
from enhancer_core.prediction.saturation import attributions, mutate
from enhancer_core.prediction.vcf import annotate
from enhancer_core.report.mutagenesis import Marks, mutation_plot
from tests.prediction.test_variants import HIT, MISS, weak_base_network, word_network
from tests.predictors import predictor_of

SEQUENCE = "CCCGATTACCCC"  # GATTA at 3


def random_network(length: int) -> Network:
    architecture = Architecture(convolutions=(Convolution(4, 5, 3),), dense=(6,), length=length)
    return Network(architecture, generator=torch.Generator().manual_seed(0))


def test_each_base_is_changed_to_the_three_others_in_order() -> None:
    found = mutate(predictor_of(weak_base_network([0.1, 0.2])), encode(["GA"])[0])
    assert found.positions.tolist() == [0, 0, 0, 1, 1, 1]
    assert decode(found.references) == ["GGGAAA"]
    assert decode(found.alternatives) == ["ACTCGT"]


def test_effects_of_changes_to_a_word_are_as_by_hand() -> None:
    found = mutate(predictor_of(word_network("GATTA", length=12)), encode([SEQUENCE])[0])
    inside = (found.positions >= 3) & (found.positions < 8)
    np.testing.assert_allclose(found.effects.reference, HIT, atol=1e-7)
    np.testing.assert_allclose(found.effects.alternative[inside], MISS, atol=1e-7)
    np.testing.assert_allclose(found.effects.logit[inside], -2, atol=1e-6)
    np.testing.assert_allclose(found.effects.logit[~inside], 0, atol=1e-6)


def test_a_base_adds_what_its_loss_costs_on_average() -> None:
    network = weak_base_network([0.3, 0.6])
    found = attributions(mutate(predictor_of(network), encode(["AC"])[0]), 2)
    # strands averaged, a weak base counts 0.45 at either place; A is weak, and so is T
    np.testing.assert_allclose(found, [2 / 3 * 0.45, -2 / 3 * 0.45], atol=1e-7)


def test_n_is_left_alone_and_adds_nothing() -> None:
    found = mutate(predictor_of(weak_base_network([1, 1, 1])), encode(["ANC"])[0])
    assert set(found.positions.tolist()) == {0, 2}
    assert attributions(found, 3)[1] == 0
    assert len(mutate(predictor_of(weak_base_network([1, 1])), encode(["NN"])[0]).positions) == 0


def test_a_sequence_of_another_length_is_refused() -> None:
    with pytest.raises(SequenceError, match="sequences of 3 bp; the model reads 2 bp"):
        mutate(predictor_of(weak_base_network([1, 1])), encode(["ANC"])[0])


@pytest.mark.parametrize("length", [30, 31])
def test_an_snv_of_a_vcf_has_the_effect_of_the_same_change(
    length: int, tmp_path: Path, rng: np.random.Generator
) -> None:
    chromosome = "".join(rng.choice(list("ACGT"), 100))
    (tmp_path / "genome.fa").write_text(f">chr1\n{chromosome}\n")
    position = 50
    others = [base for base in "ACGT" if base != chromosome[position]]
    record = VcfRecord("a.vcf line 2", [], "chr1", position, chromosome[position], others)
    network = random_network(length)
    with open_genome(tmp_path / "genome.fa") as genome:
        ((_, info),) = annotate([record], predictor_of(network), genome)
    before = length // 2 - 1
    window = chromosome[position - before : position - before + length]
    found = mutate(predictor_of(network), encode([window])[0])
    here = found.positions == before
    np.testing.assert_allclose(
        [float(each) for each in info["LOGIT"].split(",")], found.effects.logit[here], rtol=1e-4
    )
    np.testing.assert_allclose(
        [float(each) for each in info["ALT"].split(",")], found.effects.alternative[here], rtol=1e-5
    )


# The plot


def drawn(sequence: str, network: Network, name: str = "a", marks: Marks | None = None) -> str:
    codes = encode([sequence])[0]
    return mutation_plot(name, codes, mutate(predictor_of(network), codes), marks)


def hit(name: str, start: int, width: int, p: float, strand: int = 1) -> Hit:
    return Hit(Motif(name, np.ones((4, width))), start, strand, 9.0, p)


def test_a_letter_stands_where_a_base_adds_and_hangs_where_it_takes() -> None:
    svg = drawn("AC", weak_base_network([0.3, 0.6]))
    letters = re.findall(r'#([ACGT])" transform="translate\((\S+) (\S+)\)scale\(9 (\S+)\)', svg)
    (zero,) = re.findall(r'd="M0 (\S+)h18"', svg)
    # equally high: the line is in the middle of 84 points below 44
    assert letters == [("A", "0", "44.00", "42.00"), ("C", "9", "86.00", "42.00")]
    assert zero == "86.00"


def test_the_map_has_a_cell_for_each_change_with_an_effect_and_a_dot_for_each_base() -> None:
    svg = drawn(SEQUENCE, word_network("GATTA", length=12))
    (cells,) = re.findall(r'<path fill="#1f6fb2" d="(\S[^"]+)"', svg)  # all are the strongest loss
    assert cells.count("M") == 5 * 3
    (dots,) = re.findall(r'd="([^"]+h2v2h-2z)"', svg)
    assert dots.count("M") == len(SEQUENCE)


def test_long_sequences_run_in_lines_of_100_bp() -> None:
    svg = drawn("ACGT" * 60, random_network(240))
    assert svg.count("<g transform") == 3
    assert ">0</text>" in svg
    assert ">230</text>" in svg


def test_sequences_without_effects_or_bases_are_drawn_too() -> None:
    assert "<use" not in drawn("CC", weak_base_network([0, 0]))
    assert "mostly N" in drawn("NN", weak_base_network([1, 1]))


def test_a_name_is_escaped() -> None:
    assert "a&lt;b&amp;c" in drawn("CC", weak_base_network([1, 1]), name="a<b&c")


def test_slopes_are_a_second_logo_of_its_own_height() -> None:
    marks = Marks(contributions=np.array([0.5, -1.5]))
    svg = drawn("AC", weak_base_network([0.3, 0.6]), marks=marks)
    letters = re.findall(r'#([ACGT])" transform="translate\(\S+ (\S+)\)scale\(9 (\S+)\)', svg)
    # 84 points for 2, from 14 below the first logo on: 44 + 84 + 14
    assert letters[2:] == [("A", "142.00", "21.00"), ("C", "163.00", "63.00")]
    assert ">loss</text>" in svg
    assert ">slope</text>" in svg


def test_of_hits_that_overlap_the_surest_is_drawn() -> None:
    hits = [hit("poor", 0, 8, 1e-3), hit("sure<", 4, 6, 1e-6, strand=-1), hit("next", 10, 2, 1e-4)]
    svg = drawn(SEQUENCE, word_network("GATTA", length=12), marks=Marks(hits=hits))
    assert re.findall(r"<title>(.*?)</title>", svg) == ["sure&lt;, p 1e-06", "next, p 0.0001"]
    assert re.findall(r'x="(\S+)" y="\S+" width="(\S+)" height="4"', svg) == [
        ("37", "52"), ("91", "16"),
    ]  # fmt: skip
    assert "← sure&lt;</text>" in svg
    assert "next</text>" not in svg  # no room for three letters


def test_a_hit_across_lines_is_drawn_on_both() -> None:
    marks = Marks(hits=[hit("across", 96, 10, 1e-5)])
    svg = drawn("ACGT" * 60, random_network(240), marks=marks)
    assert re.findall(r'x="(\S+)" y="\S+" width="(\S+)" height="4"', svg) == [
        ("865", "34"), ("1", "52"),
    ]  # fmt: skip
