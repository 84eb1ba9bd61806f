"""Every single-base change of 500 bp on one core, beside tangermeme's fastISM and PyTorch.

    python benchmarks/mutagenesis.py [SEQUENCES]

320 sequences, or so many as given: with fewer, tangermeme does without fastISM. All read one
strand. Fails if log odds differ by 1e-4.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from turns import machine, one_core, report, take_turns

from enhancer_core.dna.codes import Codes
from enhancer_core.models.architecture import named_architecture
from enhancer_core.models.model import Model
from enhancer_core.models.network import Network, one_hot
from enhancer_core.prediction.sequences import substituted_log_odds

BATCH, THEIRS = 256, 512  # sequences at once; what suits tangermeme best of 64 to 512
Odds = NDArray[np.float32]  # (sequences, 4, L)


def main(sequences: str = "320") -> None:
    """Change everything in turns."""
    torch.set_num_threads(1)
    print(machine(("numpy", "numba", "torch", "tangermeme")))
    network = Network(
        named_architecture("enhancer"), generator=torch.Generator().manual_seed(0)
    ).eval()
    codes = np.random.default_rng(0).integers(0, 4, (int(sequences), 500), dtype=np.uint8)
    contenders: dict[str, Callable[[], Odds]] = {"enhancer_core": lambda: ours(network, codes)}
    try:
        from tangermeme.saturation_mutagenesis import saturation_mutagenesis
    except ImportError:
        print("tangermeme: not measured, since it is not installed")
    else:

        def fast_ism() -> Odds:
            found = saturation_mutagenesis(
                network,
                one_hot(torch.from_numpy(codes)),
                raw_outputs=True,
                batch_size=THEIRS,
                device="cpu",
            )
            logits: Odds = found.y_hat.numpy()
            return (logits[..., 1] - logits[..., 0]).reshape(len(codes), 4, -1)

        contenders["tangermeme"] = fast_ism
    few = codes[:8]
    check(ours(network, few), naive(network, few), "PyTorch")
    if "tangermeme" in contenders:
        check(ours(network, codes), contenders["tangermeme"](), "tangermeme")
    per = len(codes) / 1e3
    times = take_turns(contenders, turns=3)
    report("mutagenesis", times, unit="ms a sequence", per=per, bars={"tangermeme": 4})
    against = {
        "enhancer_core": lambda: ours(network, few),
        "PyTorch eager": lambda: naive(network, few),
    }
    times = take_turns(against, turns=3)
    per = len(few) / 1e3
    report("mutagenesis", times, unit="ms a sequence", per=per, bars={"PyTorch eager": 5})


def ours(network: Network, codes: Codes) -> Odds:
    """Give the log odds of each sequence with each base at each position."""
    n, length = codes.shape
    rows, bases, positions = np.indices((n, 4, length)).reshape(3, -1)
    found = substituted_log_odds(
        Model.from_torch(network).predictor(), codes, rows, positions, bases.astype(np.uint8)
    )
    return found.reshape(n, 4, length)


def naive(network: Network, codes: Codes) -> Odds:
    """Predict all changed sequences whole, in batches."""
    n, length = codes.shape
    rows, bases, positions = np.indices((n, 4, length)).reshape(3, -1)
    changed = codes[rows]
    changed[np.arange(len(rows)), positions] = bases
    with torch.inference_mode():
        batches = torch.split(torch.from_numpy(changed), BATCH)
        logits = torch.cat([network(one_hot(batch)) for batch in batches]).numpy()
    odds: Odds = (logits[:, 1] - logits[:, 0]).reshape(n, 4, length)
    return odds


def check(one: Odds, other: Odds, who: str) -> None:
    """Stop unless log odds are equal."""
    worst = np.abs(one - other).max()
    if worst > 1e-4:
        sys.exit(f"{who}: log odds differ by {worst}")


if __name__ == "__main__":
    one_core()
    main(*sys.argv[1:])
