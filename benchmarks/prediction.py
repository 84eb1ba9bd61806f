"""Prediction on one core, beside PyTorch and, where installed, onnxruntime.

    python benchmarks/prediction.py [SEQUENCES]

100,000 sequences of 500 bp, or so many as given, from a FASTA file to probabilities: the peers are
given the reading of ours, which is faster than what they come with, and then compute. Fails if a
peer's logits are not ours to 1e-4.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from limits import report_limit
from numpy.typing import NDArray
from turns import machine, one_core, report, take_turns

from enhancer_core.dna.codes import Codes, one_hot
from enhancer_core.io.fasta import read_blocks, write_fasta
from enhancer_core.models.architecture import named_architecture
from enhancer_core.models.model import Model
from enhancer_core.models.network import Network
from enhancer_core.models.network import one_hot as one_hot_tensor

TURNS, BATCH, LENGTH = 3, 256, 500
Predict = Callable[[Codes], NDArray[np.float32]]


def main(sequences: str = "100000") -> None:
    """Predict in turns."""
    torch.set_num_threads(1)
    print(machine(("numpy", "numba", "torch", "onnxruntime")))
    network = Network(
        named_architecture("enhancer"), generator=torch.Generator().manual_seed(0)
    ).eval()
    codes = np.random.default_rng(0).integers(0, 4, (int(sequences), LENGTH), dtype=np.uint8)
    ours = Model.from_torch(network).predictor().logits
    predicts = {"enhancer_core": ours, "PyTorch eager": pytorch(network)}
    peer = onnxruntime(network)
    if peer is None:
        print("onnxruntime: not measured, since it or `onnx` is not installed")
    else:
        predicts["onnxruntime"] = peer
    check(predicts, codes[:1000])
    with tempfile.TemporaryDirectory(prefix="enhancer-core-") as folder:
        fasta = Path(folder) / "sequences.fa"
        write_fasta(fasta, [f"sequence_{index}" for index in range(len(codes))], codes)
        results = report(
            "prediction from FASTA",
            take_turns(
                {who: end_to_end(fasta, each) for who, each in predicts.items()}, turns=TURNS
            ),
            unit="us a sequence",
            per=len(codes) / 1e6,
            bars={"onnxruntime": 2},
        )
        report_limit(results[-1], network.architecture, sequences=1e6)


def end_to_end(fasta: Path, predict: Predict) -> Callable[[], object]:
    """Make a function that reads the file a block at a time, and predicts."""
    return lambda: [
        predict(block.codes) for block in read_blocks(fasta, size=16_384, length=LENGTH)
    ]


def check(predicts: dict[str, Predict], codes: Codes) -> None:
    """Stop unless all give the same logits."""
    ours, *others = (predict(codes) for predict in predicts.values())
    for who, logits in zip(list(predicts)[1:], others, strict=True):
        worst = np.abs(logits - ours).max()
        if worst > 1e-4:
            sys.exit(f"{who}: logits differ by {worst}")


def pytorch(network: Network) -> Predict:
    """Predict in PyTorch, operation by operation."""

    def predict(codes: Codes) -> NDArray[np.float32]:
        with torch.inference_mode():
            batches = torch.split(torch.from_numpy(codes), BATCH)
            return np.concatenate([network(one_hot_tensor(batch)).numpy() for batch in batches])

    return predict


def onnxruntime(network: Network) -> Predict | None:
    """Predict in onnxruntime; None where it, or what writes its files, is not installed."""
    try:
        import onnxruntime as ort
    except ImportError:
        return None
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "network.onnx")
        example = torch.zeros(BATCH, 4, network.architecture.length)
        try:
            torch.onnx.export(
                network, (example,), path, dynamo=False, input_names=["x"],
                dynamic_axes={"x": {0: "n"}},
            )  # fmt: skip
        except ImportError:
            return None
        session: Any = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def predict(codes: Codes) -> NDArray[np.float32]:
        starts = range(0, len(codes), BATCH)
        return np.concatenate(
            [session.run(None, {"x": one_hot(codes[s : s + BATCH])})[0] for s in starts]
        )

    return predict


if __name__ == "__main__":
    one_core()
    main(*sys.argv[1:])
