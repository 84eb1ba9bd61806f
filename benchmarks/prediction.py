"""Prediction on one core, beside PyTorch and, where installed, onnxruntime.

Sequences of 500 bp from base codes; then the 1,500 single-base changes of one sequence, which the
peers predict as 1,500 sequences.

    python benchmarks/prediction.py [network] [sequences]

Contenders take turns; each line is a median of processor time, its ratio to ours, and the lowest
and the highest ratio of a turn. Fails if a peer's logits are not ours to 1e-4.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before the libraries that read it

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from enhancer_core.architecture import architecture
from enhancer_core.dna import Codes, one_hot
from enhancer_core.model import Network
from enhancer_core.model import one_hot as one_hot_tensor

TURNS, BATCH = 9, 256
Predict = Callable[[Codes], NDArray[np.float32]]


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
        import onnxruntime as ort  # type: ignore[import-not-found]
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


def main(name: str = "enhancer", sequences: str = "2048") -> None:
    """Take turns and print the table."""
    torch.set_num_threads(1)
    network = Network(architecture(name), generator=torch.Generator().manual_seed(0)).eval()
    codes = np.random.default_rng(0).integers(0, 4, (int(sequences), 500), dtype=np.uint8)
    predictor = network.predictor()
    contenders = {"enhancer_core": predictor.logits, "PyTorch": pytorch(network)}
    peer = onnxruntime(network)
    if peer is None:
        print("onnxruntime: not measured, since it or `onnx` is not installed")
    else:
        contenders["onnxruntime"] = peer
    _compare(contenders, codes, "us a sequence")
    changed, changes = every_change(codes[0])
    ours = contenders["enhancer_core"]
    near = {"enhancer_core": lambda _: predictor.substituted_logits(codes[:1], *changes)}
    print("all changes of one sequence:")
    _compare({**contenders, **near, "ours, whole": ours}, changed, "us a change")


def every_change(codes: Codes) -> tuple[Codes, tuple[NDArray[np.int64], ...]]:
    """Give the three other bases at each position of a sequence (L,), as sequences and changes."""
    positions = np.repeat(np.arange(len(codes)), 3)
    bases = (codes[positions] + np.tile([1, 2, 3], len(codes))) % 4
    changed = np.tile(codes, (len(positions), 1))
    changed[np.arange(len(positions)), positions] = bases
    return changed, (np.zeros_like(positions), positions, bases.astype(np.int64))


def _compare(contenders: dict[str, Predict], codes: Codes, unit: str) -> None:
    results = {who: predict(codes) for who, predict in contenders.items()}
    for who, logits in results.items():
        worst = np.abs(logits - results["enhancer_core"]).max()
        if worst > 1e-4:
            sys.exit(f"{who}: logits differ by {worst}")
    times: dict[str, list[float]] = {who: [] for who in contenders}
    for _ in range(TURNS):
        for who, predict in contenders.items():
            start = time.process_time()
            predict(codes)
            times[who].append((time.process_time() - start) / len(codes) * 1e6)
    report(times, unit)


def report(times: dict[str, list[float]], unit: str) -> None:
    """Print each contender's median, and how many times as long it takes as the first."""
    first = np.array(next(iter(times.values())))
    for who, each in times.items():
        ratios = np.array(each) / first
        print(
            f"{who:16} {np.median(each):8.2f} {unit}   {np.median(ratios):5.2f} x"
            f"   ({ratios.min():.2f} to {ratios.max():.2f})"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
