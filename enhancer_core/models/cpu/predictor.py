"""Predict with a compiled network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from enhancer_core.dna.codes import N_CODE, Codes, check_codes
from enhancer_core.errors import SequenceError
from enhancer_core.models.architecture import CLASSES, Architecture
from enhancer_core.models.cpu import layout
from enhancer_core.models.cpu.layout import Changes, Floats, Layer, Layers, Plan
from enhancer_core.models.cpu.object_cache import available, load_kernel
from enhancer_core.models.cpu.sharing import Numbers, share

FloatArray = TypeVar("FloatArray", NDArray[np.float32], NDArray[np.float64])
_SPAN = 1 << 14  # bp between the first and the last start of a block, if not long windows ask more
_BLOCK = 48  # sequences whose dense layers are computed together: whole tiles, within the cache


class CpuPredictor:
    """A network on CPU cores; any number of threads may call it.

    `parameters`, float32 (p,), are its weights as `parameters.flatten` lays them out. Along a
    genome `windows_per_call` windows a call of `scanned_logits` are fastest.

    Examples
    --------
    >>> from enhancer_core.dna.codes import encode
    >>> from enhancer_core.models.architecture import Architecture, Convolution
    >>> from enhancer_core.models.network import Network
    >>> architecture = Architecture(convolutions=(Convolution(2, 3, 2),), dense=(3,), length=6)
    >>> predictor = CpuPredictor(architecture, Network(architecture).flat_parameters())
    >>> logits = predictor.logits(encode(["ACGTAC", "ATGTAC", "GTACGG"]))
    >>> changed = predictor.substituted_logits(encode(["ACGTAC"]), [0], [1], [3])
    >>> bool((changed == logits[1:2]).all())
    True
    >>> scanned = predictor.scanned_logits(encode(["ACGTACGG"])[0], [0, 2])
    >>> bool((scanned == logits[[0, 2]]).all())
    True
    """

    windows_per_call = 4096

    def __init__(self, architecture: Architecture, parameters: Floats) -> None:
        self.architecture, self.length = architecture, architecture.length
        self._plan = layout.plan(architecture, sequences=_BLOCK, training=False)
        self._packed = layout.aligned(self._plan.packed)
        layers = self._plan.layers
        weights = np.ascontiguousarray(parameters, np.float32)
        load_kernel("pack")(layers, weights, self._packed, layout.word_sums(layers[0]))

    def logits(self, codes: Codes) -> Floats:
        """Compute the logits, float32 (n, 2), of sequences, uint8 (n, L), on one core.

        Positives are second. A row depends on its sequence only, to the last bit.

        Raises
        ------
        SequenceError
            If L is not the network's, or a code is above 4.
        """
        return self._outputs(codes, self._plan.layers, CLASSES)

    def pooled(self, codes: Codes) -> Floats:
        """Compute the last convolution's output, after its pool and ReLU, on one core.

        uint8 (n, L) -> float32 (n, outputs, filters); errors as for `logits`.
        """
        layers = self._plan.layers[: self._plan.convolutions]
        shape = int(layers[-1]["outputs"]), int(layers[-1]["filters"])
        return self._outputs(codes, layers, shape[0] * shape[1]).reshape(len(codes), *shape)

    def _outputs(self, codes: Codes, layers: Layers, size: int) -> Floats:
        """Compute the first `size` numbers of the output of the last of these layers: (n, size)."""
        check_length(codes, self.architecture.length)
        net = self._plan.net(self._packed, length=codes.shape[1])._replace(layers=layers)
        return _in_blocks(codes, load_kernel("predict", *net), layers[-1], net.memory, size)

    def substituted_logits(
        self, codes: Codes, rows: ArrayLike, positions: ArrayLike, bases: ArrayLike
    ) -> Floats:
        """Compute the logits, float32 (m, 2), of sequences with one base changed, on one core.

        `rows`, `positions` and `bases`, integers (m,), are the sequence, the position from 0, and
        the code 0-4 it gets. Changes of one sequence are best next to each other: it is then read
        once.

        Raises
        ------
        SequenceError
            As `logits`, or if a row, a position or a base does not exist.
        """
        check_length(codes, self.architecture.length)
        changes = checked_changes(codes, rows, positions, bases)
        logits = np.empty((len(changes), CLASSES), np.float32)
        same = codes[changes[:, 0], changes[:, 1]] == changes[:, 2]
        computed = ~same
        # Of those of a sequence that change nothing, one is computed among its other changes.
        _, last, which = np.unique(changes[same, 0][::-1], return_index=True, return_inverse=True)
        representatives = np.flatnonzero(same)[::-1][last]
        computed[representatives] = True
        logits[computed] = self._changed_logits(np.ascontiguousarray(codes), changes[computed])
        logits[same] = logits[representatives][which[::-1]]
        return logits

    def _changed_logits(self, codes: Codes, changes: Changes) -> Floats:
        layers = self._plan.layers
        size = layout.sliding_workspace(layers)
        net = self._plan.net(self._packed, length=codes.shape[1], scores=size)
        kernel = load_kernel("substitute", layout.aligned(self._plan.memory), *net)
        kernel = partial(kernel, codes)
        return _in_blocks(changes, kernel, layers[-1], net.memory, CLASSES)

    def scanned_logits(self, codes: Codes, starts: ArrayLike) -> Floats:
        """Compute the logits, float32 (n, 2), of windows along a sequence, uint8 (C,), on one core.

        What overlapping windows share is computed once, to the same bits as by `logits`.

        Raises
        ------
        SequenceError
            If starts do not ascend, a window is not inside, or a code is above 4.
        """
        length = self.architecture.length
        begins = checked_starts(codes, starts, length)
        return _scan(self._plan, self._packed, np.ascontiguousarray(codes), begins, length)


def _scan(plan: Plan, packed: Floats, codes: Codes, starts: Numbers, length: int) -> Floats:
    layers = plan.layers.copy()
    layers["columns"][0] = layers["filters"][0]  # in scores: `read_dna` does not pad them
    # The first layer as it scores single positions, of which the best is the pool's: its bias and
    # its ReLU change no order.
    unpooled = layers[:1].copy()
    unpooled["pool"] = 1
    positions = layout.padded((layers["outputs_at_once"] + 1) * layers["pool"], layout.ROWS)
    size = max(plan.scores, layout.sliding_workspace(layers), *positions * layers["columns"])
    span = max(_SPAN, 4 * length)
    extent = span + 2 * length + layout.LETTERS
    net = plan.net(packed, length=extent, scores=int(size) + layout.LANES)._replace(layers=layers)
    logits = np.empty((len(starts), CLASSES), np.float32)
    relative = np.zeros(0, np.int64)
    for block in blocks(starts, span):
        first = starts[block.start]
        before, relative = relative, starts[block] - first
        if not np.array_equal(before, relative):  # evenly spaced windows make the same blocks
            sharing = share(plan, relative)
            if len(net.memory) < sharing.memory:
                net = net._replace(memory=layout.aligned(sharing.memory))
        part = codes[first : first + relative[-1] + length]
        if sharing.layers and layers["slides"][0]:
            load_kernel("slide")(part, relative, plan.memory, *net)
        load_kernel("compute_fragments")(part, unpooled, sharing.fragments, *net)
        load_kernel("compute_windows")(
            part, relative, sharing.places, sharing.layers, plan.sequences, length, logits[block],
            *net,
        )  # fmt: skip
    return logits


def blocks(starts: Numbers, span: int) -> Iterator[slice]:
    """Cut starts that ascend into blocks, whose first and last differ by `span` at most."""
    end = 0
    while end < len(starts):
        begin, end = end, int(np.searchsorted(starts, starts[end] + span, side="right"))
        yield slice(begin, end)


def _in_blocks(
    rows: Codes | Changes, kernel: Callable[..., None], layer: Layer, memory: Floats, size: int
) -> Floats:
    """Run a kernel on blocks of rows; return the first numbers of a layer's outputs, (n, size)."""
    outputs = np.empty((len(rows), size), np.float32)
    place, stride = int(layer["output"]), int(layer["stride"])
    for start in range(0, len(rows), _BLOCK):
        block = np.ascontiguousarray(rows[start : start + _BLOCK])
        kernel(block)
        computed = memory[place : place + len(block) * stride].reshape(-1, stride)
        outputs[start : start + _BLOCK] = computed[:, :size]
    return outputs


def check_length(codes: Codes, length: int) -> None:
    """Raise unless sequences have the length and the letters that a network reads.

    Raises
    ------
    SequenceError
        If their length is not `length`, or a code is above 4.
    """
    if codes.shape[1] != length:
        raise SequenceError(f"sequences of {codes.shape[1]} bp; the model reads {length} bp")
    check_codes(codes)


def checked_changes(
    codes: Codes, rows: ArrayLike, positions: ArrayLike, bases: ArrayLike
) -> Changes:
    """Return the changes of `substituted_logits`, int64 (m, 3).

    Raises
    ------
    SequenceError
        If a row, a position or a base does not exist.
    """
    changes = np.stack([rows, positions, bases], axis=1).astype(np.int64)
    sizes = {"row": len(codes), "position": codes.shape[1], "base": N_CODE + 1}
    for (name, count), column in zip(sizes.items(), changes.T, strict=True):
        if (wrong := (column < 0) | (column >= count)).any():
            raise SequenceError(
                f"{name} {column[wrong][0]} does not exist; allowed are 0 to {count - 1}"
            )
    return changes


def checked_starts(codes: Codes, starts: ArrayLike, length: int) -> Numbers:
    """Return the starts of `scanned_logits`, int64 (n,).

    Raises
    ------
    SequenceError
        If starts do not ascend, a window is not inside, or a code is above 4.
    """
    check_codes(codes)
    begins = np.ascontiguousarray(starts, np.int64)
    if (np.diff(begins) < 0).any():
        raise SequenceError("starts of windows must ascend")
    for start in begins[:1], begins[-1:]:
        if ((start < 0) | (start + length > len(codes))).any():
            raise SequenceError(
                f"window {start[0]}-{start[0] + length} is not inside the {len(codes)} bp"
            )
    return begins


def expit(log_odds: FloatArray) -> FloatArray:
    """Compute 1 / (1 + exp(-x)) of each number: float32 or float64, any shape.

    Same bits as scipy's, whose import takes .2 s.

    Examples
    --------
    >>> expit(np.array([[0.0, np.log(3.0)]])).tolist()
    [[0.5, 0.75]]
    """
    if not available():
        from scipy import special  # here, since it takes so long

        probabilities: FloatArray = special.expit(log_odds)
        return probabilities
    contiguous = np.ascontiguousarray(log_odds)
    probabilities = np.empty_like(contiguous)
    load_kernel(f"logistic.{contiguous.dtype}")(contiguous.ravel(), probabilities.ravel())
    return probabilities
