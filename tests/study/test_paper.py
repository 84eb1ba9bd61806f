"""What the paper found on simulated data, reached or passed; minutes each."""

from __future__ import annotations

import numpy as np
import pytest

from enhancer_core.data.dataset import SplitDataset, make_dataset
from enhancer_core.data.simulation import simulate
from enhancer_core.data.splits import split
from enhancer_core.interpretation.filters import filter_pfms
from enhancer_core.metrics import roc_auc
from enhancer_core.models.architecture import named_architecture
from enhancer_core.motifs.homer import similarity
from enhancer_core.motifs.motif import BUILTIN, Motif
from enhancer_core.prediction.sequences import probabilities
from enhancer_core.training.config import TrainConfig
from enhancer_core.training.trainer import Trained, train
from tests.predictors import model_of, predictor_of

CEBPA = BUILTIN["CEBPA"]


def simulated(definition: str) -> SplitDataset:
    rng = np.random.default_rng(0)
    made = simulate(CEBPA, n=10_000, definition=definition, rng=rng)
    names = [str(i) for i in range(20_000)]
    data = make_dataset(
        [("positives.fa", names[:10_000], made.positives)],
        [("background.fa", names[10_000:], made.background)],
    )
    return split(data, rng=rng)


def best_filter(trained: Trained, data: SplitDataset) -> float:
    positives = data.train.codes[data.train.labels]
    pfms = filter_pfms(model_of(trained.model), positives, threads=2)
    filters = [Motif(str(i), pfm) for i, pfm in enumerate(pfms) if pfm.any()]
    return float(similarity(filters, [CEBPA]).scores.max())


@pytest.mark.slow
@pytest.mark.parametrize(("definition", "least"), [("figure2", 0.875), ("literal", 0.815)])
def test_three_restarts_find_the_planted_motif(definition: str, least: float) -> None:
    data = simulated(definition)
    trained = train(
        data, named_architecture("enhancer"), TrainConfig(restarts=3, epochs=12), threads=2
    )
    found = probabilities(predictor_of(trained.model), data.test.codes, threads=2)
    auc, match = roc_auc(data.test.labels, found), best_filter(trained, data)
    print(f"{definition}: test AUC {auc:.4f}, first-layer filter against CEBPA {match:.3f}")
    assert auc >= least
    assert match >= 0.88
