"""Where everything of a network lies: its layers as rows of numbers, and all weights in one array.

Seen from here a network is a chain of layers of one kind, a convolution, a max-pool and a ReLU,
from activations (positions, channels) to (outputs, filters). The first reads DNA on both strands.
The first dense layer is a convolution as wide as the positions that are left, the other dense ones
have width 1, and the two logits are a last one, without the ReLU. Of a network that is not chained
the first and the last convolution are laid out; the others reach nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from enhancer_core.models.architecture import BASES, Architecture
from enhancer_core.models.parameters import shapes

Count = TypeVar("Count", int, NDArray[np.int64])
Floats: TypeAlias = NDArray[np.float32]  # flat
Sums: TypeAlias = NDArray[np.float32]  # (positions of a filter, BASES + 1, numbers of a row)
Layers: TypeAlias = NDArray[np.void]  # (layers,) of LAYER
Layer: TypeAlias = Any  # one of them
Fragments: TypeAlias = NDArray[np.void]  # (m,) of FRAGMENT
Changes: TypeAlias = NDArray[np.int64]  # (m, 3): row, position, code of the base
Words: TypeAlias = NDArray[np.int64]  # (L,): at each position, where its word's row begins


class Net(NamedTuple):
    """What kernels compute a network with; see `Plan`."""

    layers: Layers
    convolutions: int
    packed: Floats
    memory: Floats
    words: Words  # workspace
    scores: Floats  # workspace


Field: TypeAlias = Any  # one of those of a `Net`, as Python passes them to a kernel

LETTERS = 3  # of a word: the first layer's tables have a row for each word over A C G T N
WORDS = 5**LETTERS
_LINE = 16  # numbers in a line of the cache

LANES = 8  # of a vector
ROWS = 6  # of a tile
COLUMNS = 2 * LANES  # of a tile, and numbers of a wide vector
STRIP = 4 * LANES  # numbers of a strip

_POSITIONS = 192  # of a layer that a scan scores at once, so that scores stay near in the cache


def _record(*names: str) -> np.dtype[Any]:
    return np.dtype([(name, np.int64) for name in names])


LAYER = _record(
    *("channels", "width", "filters", "pool"),
    "outputs",  # positions after the pool
    # Places in the parameters: (filters, channels, width) and (filters,).
    *("weight", "bias"),
    "depth",  # channels * width, the numbers that a filter reads
    "columns",  # filters, in whole tiles
    "padded_depth",  # depth, in whole strips
    "tables",  # of the first layer: one for each word that a filter reads
    "row",  # numbers of a table's row: for each 8 filters, 8 scores on either strand
    "slides",  # whether the network is one convolution with one pool over all; see `sliding`
    "outputs_at_once",  # in a scan; see `sharing`
    # Places in the packed weights: (depth, columns), in the first layer its tables; (columns,);
    # (filters, padded_depth).
    *("packed", "packed_bias", "transposed"),
    # In memory: place of the first sequence's (outputs, filters); step to the next sequence's.
    *("output", "stride"),
)
# What several windows share of a layer's outputs; see `sharing`.
FRAGMENT = _record(
    "layer",
    "source",  # in memory: the fragment of the layer before
    "phase",  # the first position of the source that is pooled
    "outputs",
    "place",  # in memory: (outputs, filters)
)

Kind: TypeAlias = tuple[np.dtype[Any] | None, int, bool]  # dtype, ndim, whether in C order
INTEGER: Kind = (None, 0, True)
_CODES, _ROWS = ((np.dtype(np.uint8), ndim, True) for ndim in (1, 2))
_INTS, _CHANGES = ((np.dtype(np.int64), ndim, True) for ndim in (1, 2))
_TABLE: Kind = (np.dtype(np.int32), 1, True)
_FLOATS, _LOGITS, _SUMS = ((np.dtype(np.float32), ndim, True) for ndim in (1, 2, 3))
_DOUBLES, _LAYERS, _FRAGMENTS = ((np.dtype(d), 1, True) for d in (np.float64, LAYER, FRAGMENT))
_NET = (_LAYERS, INTEGER, _FLOATS, _FLOATS, _INTS, _FLOATS)
# What the kernels that Python calls take.
SIGNATURES: dict[str, tuple[Kind, ...]] = {
    "pack": (_LAYERS, _FLOATS, _FLOATS, _SUMS),
    "predict": (_ROWS, *_NET),
    "substitute": (_ROWS, _CHANGES, _FLOATS, *_NET),
    "compute_fragments": (_CODES, _LAYERS, _FRAGMENTS, *_NET),
    "slide": (_CODES, _INTS, INTEGER, *_NET),
    "compute_windows": (_CODES, _INTS, _INTS, INTEGER, INTEGER, INTEGER, _LOGITS, *_NET),
    "sum_words": (_CODES, _INTS, INTEGER, INTEGER, _TABLE, _INTS, _INTS),
    "sum_changed_words": (_ROWS, _CHANGES, INTEGER, _TABLE, _INTS, _INTS),
    "logistic.float32": (_FLOATS, _FLOATS),
    "logistic.float64": (_DOUBLES, _DOUBLES),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A network's layers, and the sizes of the flat arrays that they lie in."""

    layers: Layers
    convolutions: int  # how many of the layers; the others are dense
    packed: int  # weights and biases as the kernels read them
    memory: int  # activations of `sequences` at once
    scores: int  # of the positions of any convolution but the first, before the pool
    sequences: int

    def net(self, packed: Floats, *, length: int, scores: int = 0) -> Net:
        """Return what kernels compute with, for sequences of some length, in memory of its own."""
        memory, words = aligned(self.memory), np.zeros(length, np.int64)
        workspace = aligned(max(self.scores, scores))
        return Net(self.layers, self.convolutions, packed, memory, words, workspace)


def plan(architecture: Architecture, *, sequences: int, training: bool) -> Plan:
    """Lay out a network for some sequences at once; training needs the outputs of all layers."""
    lengths = architecture.pooled_lengths()
    last, weight, rows = len(lengths) - 1, 0, []
    for index, shape in enumerate(list(shapes(architecture).values())[::2]):  # without biases
        bias = weight + math.prod(shape)
        pool, outputs, width = 1, 1, lengths[last] if index == last + 1 else 1
        if index <= last:
            pool, outputs, width = architecture.convolutions[index].pool, lengths[index], shape[2]
        if architecture.chained or not 0 < index < last:
            channels = math.prod(shape[1:]) // width
            rows.append((channels, width, shape[0], pool, outputs, weight, bias))
        weight = bias + shape[0]
    convolutions = len(rows) - len(architecture.dense) - 1
    layers = np.zeros(len(rows), LAYER)
    for name, sizes in zip(LAYER.names or (), zip(*rows, strict=True), strict=False):
        layers[name] = sizes
    layers["depth"] = layers["channels"] * layers["width"]
    layers["columns"] = padded(layers["filters"], COLUMNS)
    layers["padded_depth"] = padded(layers["depth"], STRIP)
    layers["tables"] = -(-layers["width"] // LETTERS)
    layers["row"] = 2 * padded(layers["filters"], LANES)
    layers["slides"] = convolutions == 1 and layers["outputs"][0] == 1
    layers["outputs_at_once"] = np.maximum(_POSITIONS // layers["pool"], 1)
    scores = padded(layers["outputs"] * layers["pool"], ROWS) * layers["columns"]
    return Plan(
        layers=layers,
        convolutions=convolutions,
        packed=_place_weights(layers),
        memory=_place_outputs(layers, convolutions, sequences, training=training),
        scores=int(scores[1:convolutions].max(initial=0)),
        sequences=sequences,
    )


def _place_weights(layers: Layers) -> int:
    end = 0
    for index, layer in enumerate(layers):
        layer["packed"] = end
        if index == 0:
            end += layer["tables"] * layer["row"] * WORDS
        else:
            # Whole tiles, since gradients are written so.
            end += padded(layer["depth"], ROWS) * layer["columns"]
        layer["packed_bias"], end = end, end + layer["columns"]
        layer["transposed"], end = end, end + layer["filters"] * layer["padded_depth"]
    return int(end)


def _place_outputs(layers: Layers, convolutions: int, sequences: int, *, training: bool) -> int:
    """Place each layer's output; in prediction each sequence overwrites the one before."""
    end = 0
    for index, layer in enumerate(layers):
        batched = index >= convolutions - 1  # the dense layers read all sequences together
        size = padded(layer["outputs"] * layer["filters"], STRIP) + STRIP
        if not batched:  # the next convolution reads whole tiles of positions
            after = layers[index + 1]
            rows = padded(after["outputs"] * after["pool"], ROWS)
            size = max(size, padded(rows * after["channels"] + after["depth"], COLUMNS))
        layer["output"] = end
        layer["stride"] = size if training or batched else 0
        end += size * (padded(sequences, ROWS) if training or batched else 1)
    return int(end)


def padded(count: Count, step: int) -> Count:
    """Round up to whole steps."""
    return -(-count // step) * step


def sliding_workspace(layers: Layers) -> int:
    """Count the numbers of workspace that the kernels of `sliding` need."""
    return 2 * LANES * int(layers[0]["pool"])


def word_sums(layer: Layer) -> Sums:
    """Make zeros for what the tables of the first layer are summed from."""
    return np.zeros((layer["tables"] * LETTERS, BASES + 1, layer["row"]), np.float32)


def aligned(count: int) -> Floats:
    """Make an array of zeros that begins with a line of the cache, so that no vector spans two."""
    raw = np.zeros(count + _LINE, np.float32)
    start = -raw.ctypes.data // raw.itemsize % _LINE
    return raw[start : start + count]
