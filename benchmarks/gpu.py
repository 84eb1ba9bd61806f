"""Time training and scanning on a CUDA GPU, and write benchmarks/GPU.md; needs one.

    python benchmarks/gpu.py [-o FILE] [--bp BP]

Trains 50 restarts of the paper's network for 20 epochs on 22,400 sequences as one program, beside
PyTorch training one after the other on the same GPU, of which a few hundred steps are taken. Then
says what share of the time the GPU would need at the speeds of a copy and of a matrix product that
are measured on it, and how much memory is used. Then trains 50 restarts on each of 17 species of
14,000 sequences, and on all of them pooled. Then scans a chromosome of 300 Mb every 50 bp on both
strands, from FASTA to bigWig. Sequences are random: no time depends on what they are.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from run import table
from scanning import chromosome, scan
from torch.nn import functional
from turns import Result, machine, report

from enhancer_core.cli.options import cores
from enhancer_core.data.dataset import SplitDataset, make_dataset
from enhancer_core.data.splits import split
from enhancer_core.models.architecture import (
    BASES,
    CLASSES,
    NETWORKS,
    Architecture,
    named_architecture,
)
from enhancer_core.models.gpu.layers import used
from enhancer_core.models.gpu.learner import Batch, GpuLearner
from enhancer_core.models.model import Model
from enhancer_core.models.network import Network, one_hot
from enhancer_core.training.config import TrainConfig
from enhancer_core.training.gpu import arrangement
from enhancer_core.training.trainer import Work as Training
from enhancer_core.training.trainer import train, train_all

WANTED = NETWORKS["enhancer"]
CONFIG = TrainConfig(restarts=50, epochs=20, stop_below_loss=0)
SEQUENCES = 28_000  # of which 22,400 to learn from
ONE_BY_ONE = 300  # steps
TURNS = 3
SPECIES, SPECIES_SEQUENCES = 17, 14_000
HUMAN = 3.1e9  # bp
SECONDS_A_GENOME = 300  # what is promised


@dataclass(frozen=True, kw_only=True, slots=True)
class Least:
    """What one step must do at least."""

    operations: float  # of products and sums in the layers' matrix products
    moved: float  # bytes: what each product reads and writes, and Adam's arrays, once


def main() -> None:
    """Measure all, or say that nothing is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    page = Path(__file__).with_name("GPU.md")
    parser.add_argument("-o", "--output", type=Path, default=page, help="the page to write")
    parser.add_argument("--bp", type=int, default=300_000_000, help="of the chromosome scanned")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("not measured: no CUDA GPU")
        return
    device = f"{torch.cuda.get_device_name()}, {machine(('numpy', 'torch', 'triton'))}"
    print(device)
    results, figures = training("cuda")
    figures += [*species("cuda"), *scanning("cuda", options.bp)]
    for task, figure in figures:
        print(f"{task}: {figure}")
    lines = [
        "# How fast on a GPU",
        "",
        "Written by `python benchmarks/gpu.py`. Wall-clock time, contenders in turns in one run.",
        "",
        f"{device}.",
        "",
        *table([asdict(each) for each in results]),
        "",
        *("| | |", "|---|---|", *(f"| {task} | {figure} |" for task, figure in figures)),
        "",
    ]
    options.output.write_text("\n".join(lines))


def training(device: str) -> tuple[list[Result], list[tuple[str, str]]]:
    """Train in turns with PyTorch one by one; then set a step beside what the device can do."""
    data = sequences(SEQUENCES)
    print(arrangement(WANTED, CONFIG, sets=[data.dataset.codes], device=device))
    steps = CONFIG.epochs * -(-len(data.train) // CONFIG.batch_size)
    torch.cuda.reset_peak_memory_stats()
    ours, theirs = np.empty(TURNS + 1), np.empty(TURNS + 1)
    for turn in range(TURNS + 1):
        start = time.perf_counter()
        train(data, WANTED, CONFIG, threads=cores(), device=device)
        ours[turn] = time.perf_counter() - start
        theirs[turn] = one_by_one(data, device) / ONE_BY_ONE
    memory = torch.cuda.max_memory_allocated()
    results = report(
        f"{CONFIG.restarts} restarts x {CONFIG.epochs} epochs x {len(data.train)} sequences",
        {
            "one program": ours[1:] / (steps * CONFIG.restarts),  # validation and all
            "PyTorch, one by one": theirs[1:],
        },
        unit="us a step of a restart",
        per=1e-6,
        bars={"PyTorch, one by one": 100},
    )
    spent, least = (
        step_seconds(device),
        least_work(WANTED, restarts=CONFIG.restarts, batch=CONFIG.batch_size),
    )
    bandwidth, rate = copy_speed(device), product_speed(device)
    return results, [
        ("training, whole run", f"{np.median(ours[1:]):.1f} s (stretch 20 s)"),
        ("training, memory at most", f"{memory / 1e9:.2f} GB"),
        ("one step of all restarts, replayed", f"{1e3 * spent:.3f} ms"),
        ("copying", f"{bandwidth / 1e12:.2f} TB/s, read and written"),
        ("bfloat16 matrix product", f"{rate / 1e12:.0f} TFLOP/s"),
        (
            "share of a step that its bytes take at that speed",
            f"{least.moved / bandwidth / spent:.0%}",
        ),
        ("share that its operations take", f"{least.operations / rate / spent:.0%}"),
    ]


def species(device: str) -> list[tuple[str, str]]:
    """Train on many species, all side by side, and on all of them pooled."""
    each = [sequences(SPECIES_SEQUENCES, seed=seed) for seed in range(SPECIES)]
    pooled = sequences(SPECIES * SPECIES_SEQUENCES)
    spent = []
    for sets in (each, [pooled]):
        start = time.perf_counter()
        works = [Training(data) for data in sets]
        train_all(works, WANTED, CONFIG, threads=cores(), device=device)
        spent.append(time.perf_counter() - start)
    restarts = f"{CONFIG.restarts} restarts"
    return [
        (f"{SPECIES} species x {restarts}", f"{spent[0]:.0f} s"),
        (f"{len(pooled.dataset):,} sequences pooled x {restarts}", f"{spent[1]:.0f} s"),
        ("both", f"{sum(spent) / 60:.1f} min (stretch 15 min)"),
    ]


def sequences(count: int, *, seed: int = 0) -> SplitDataset:
    """Make random sequences in parts."""
    rng = np.random.default_rng(seed)
    names = [f"sequence_{index}" for index in range(count // 2)]
    both = rng.integers(0, 4, (2, len(names), WANTED.length), dtype=np.uint8)
    positives, negatives = (
        [(file, [f"{file}_{name}" for name in names], codes)]
        for file, codes in zip(("positives", "negatives"), both, strict=True)
    )
    return split(make_dataset(positives, negatives), rng=rng)


def one_by_one(data: SplitDataset, device: str) -> float:
    """Time steps of one network as PyTorch's tutorials write them: seconds for `ONE_BY_ONE`."""
    network = Network(WANTED).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=CONFIG.learning_rate)
    codes, labels = data.train.codes, data.train.labels.astype(np.int64)
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    for _ in range(ONE_BY_ONE):
        rows = rng.integers(0, len(labels), CONFIG.batch_size)
        x = one_hot(torch.from_numpy(codes[rows]).to(device))
        logits = network(x)
        loss = functional.cross_entropy(logits, torch.from_numpy(labels[rows]).to(device))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        loss.item()
    return time.perf_counter() - start


def step_seconds(device: str) -> float:
    """Time one recorded step of all restarts, bfloat16, by the device's clock."""
    first = Network(WANTED).flat_parameters()
    learner = GpuLearner(
        WANTED, np.stack([first] * CONFIG.restarts), device=device, dtype=torch.bfloat16
    )
    size = CONFIG.restarts, CONFIG.batch_size
    batch = Batch(
        codes=torch.randint(0, 4, (*size, WANTED.length), dtype=torch.uint8, device=device),
        labels=torch.randint(0, 2, size, device=device),
        shares=torch.full(size, 1 / CONFIG.batch_size, device=device),
        rates=torch.full(size[:1], 1e-3, dtype=torch.float64, device=device),
    )
    apart = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    apart.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(apart):
        for _ in range(3):
            learner.step(batch)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        learner.step(batch)
    return seconds(graph.replay)


def least_work(architecture: Architecture, *, restarts: int, batch: int) -> Least:
    """Count what a step must do, in bfloat16 but for the dense layers and Adam."""
    lengths, channels, before = architecture.pooled_lengths(), BASES, architecture.length
    operations, moved = 0.0, 0.0
    for index in used(architecture):
        layer = architecture.convolutions[index]
        taps = (before - layer.width + 1) * layer.filters * layer.width * channels
        # Forward on both strands in the first layer; backward for filters, and later for what
        # is read.
        operations += 2 * taps * (4 if index == 0 else 3)
        # Read and written twice: by the layer, and by the slopes; base codes are read as bytes.
        read = 2 * before if index == 0 else 2 * 2 * before * channels
        moved += read + 2 * 2 * lengths[index] * layer.filters
        channels, before = layer.filters, lengths[index]
    units, weights = channels * before, 0
    for size in (*architecture.dense, CLASSES):
        operations += 3 * 2 * units * size
        moved += 2 * 4 * (units + size)
        units = size
    weights = len(Network(architecture).flat_parameters())
    adam = 4 * 7 * weights  # reads weights, gradients and both means, and writes all but gradients
    return Least(operations=restarts * batch * operations, moved=restarts * (batch * moved + adam))


def copy_speed(device: str) -> float:
    """Measure bytes a second, read and written, of a large copy."""
    source = torch.empty(1 << 30, dtype=torch.uint8, device=device).random_(0, 255)
    target = torch.empty_like(source)
    return 2 * source.nbytes / seconds(partial(target.copy_, source))


def product_speed(device: str) -> float:
    """Measure operations a second of a large matrix product in bfloat16."""
    n = 8192
    a, b = (torch.randn(n, n, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * n**3 / seconds(partial(torch.mm, a, b))


def seconds(run: Callable[[], object], *, times: int = 20, turns: int = 9) -> float:
    """Give the median time of one call, by the device's clock."""
    spent = []
    for _ in range(turns + 1):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        begin.record()
        for _ in range(times):
            run()
        end.record()
        end.synchronize()
        spent.append(begin.elapsed_time(end) / 1e3 / times)
    return float(np.median(spent[1:]))


def scanning(device: str, bp: int) -> list[tuple[str, str]]:
    """Scan a chromosome from FASTA to bigWig, every 50 bp, both strands."""
    network = Network(named_architecture("enhancer"), generator=torch.Generator().manual_seed(0))
    predictor = Model.from_torch(network).predictor(device)
    with tempfile.TemporaryDirectory(prefix="enhancer-core-") as name:
        folder, spent = Path(name), []
        for size in (bp // 100, bp):  # the first warms up
            genome = chromosome(folder, size)
            start = time.perf_counter()
            scan(predictor, genome, folder / "track.bw", threads=cores())
            spent.append(time.perf_counter() - start)
    whole = HUMAN / bp * spent[-1]
    return [
        (f"track of {bp / 1e6:g} Mb, both strands", f"{spent[-1]:.1f} s"),
        ("scanning", f"{bp / spent[-1] / 1e6:.1f} Mb/s"),
        (
            "3.1 Gb at that speed, scaled and not measured",
            f"{whole:.0f} s (bar {SECONDS_A_GENOME} s, stretch 90 s)",
        ),
    ]


if __name__ == "__main__":
    main()
