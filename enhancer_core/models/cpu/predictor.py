"""Predict with a compiled network."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from enhancer_core.dna.codes import N_CODE, Codes, check_codes
from enhancer_core.errors import SequenceError
from enhancer_core.models.architecture import CLASSES, Architecture
from enhancer_core.models.cpu.layout import (
    Changes,
    Floats,
    Layer,
    Layers,
    aligned,
    plan,
    sliding_room,
    sums_shape,
)
from enhancer_core.models.cpu.object_cache import entry
from enhancer_core.models.cpu.sharing import scan

_BLOCK = 48  # sequences whose dense layers are computed together: whole tiles, within the cache


class CpuPredictor:
    """A network as it is laid out here; later changes of its weights are not seen.

    Parameters
    ----------
    architecture
        The network.
    parameters
        float32, shape (p,): its weights, end to end as `architecture.flatten` gives them.

    Attributes
    ----------
    stretch
        Windows along a genome that are best given at once.

    Examples
    --------
    >>> from enhancer_core.dna.codes import encode
    >>> from enhancer_core.models.architecture import Architecture, Convolution
    >>> from enhancer_core.models.network import Network
    >>> architecture = Architecture(convolutions=(Convolution(2, 3, 2),), dense=(3,), length=6)
    >>> predictor = CpuPredictor(architecture, Network(architecture).flat_parameters())
    >>> predictor.logits(encode(["ACGTAC", "NNNNNN"])).shape
    (2, 2)
    """

    stretch = 4096

    def __init__(self, architecture: Architecture, parameters: Floats) -> None:
        self.architecture, self.length = architecture, architecture.length
        self._plan = plan(self.architecture, sequences=_BLOCK, keep=False)
        self._packed = aligned(self._plan.packed)
        layers = self._plan.layers
        sums = np.zeros(sums_shape(layers[0]), np.float32)
        weights = np.ascontiguousarray(parameters, np.float32)
        entry("pack")(layers, weights, self._packed, sums)

    def logits(self, codes: Codes) -> Floats:
        """Compute the two logits of each sequence, on one core; threads may call side by side.

        Parameters
        ----------
        codes
            uint8, shape (n, L), values 0-4, with the length L that the network reads.

        Returns
        -------
        float32, shape (n, 2)
            Positives second. A row depends on its sequence only, to the last bit.

        Raises
        ------
        SequenceError
            If L is not the network's, or a code is above 4.
        """
        return self._outputs(codes, self._plan.layers, CLASSES)

    def pooled(self, codes: Codes) -> Floats:
        """Compute what the last convolution gives, after its pool and ReLU, on one core.

        Codes and errors are those of `logits`.

        Returns
        -------
        float32, shape (n, outputs, filters)
        """
        layers = self._plan.layers[: self._plan.convolutions]
        shape = int(layers[-1]["outputs"]), int(layers[-1]["filters"])
        return self._outputs(codes, layers, shape[0] * shape[1]).reshape(len(codes), *shape)

    def _outputs(self, codes: Codes, layers: Layers, size: int) -> Floats:
        """Compute the first `size` numbers that the last of these layers gives: (n, size)."""
        check_length(codes, self.architecture.length)
        memory, words = aligned(self._plan.memory), np.empty(codes.shape[1], np.int64)
        scores, convolutions = aligned(self._plan.scores), self._plan.convolutions
        forward = entry("forward", layers, convolutions, self._packed, memory, words, scores)
        found = np.empty((len(codes), size), np.float32)
        for start in range(0, len(codes), _BLOCK):
            some = np.ascontiguousarray(codes[start : start + _BLOCK])
            forward(some)
            found[start : start + _BLOCK] = _of_layer(layers[-1], memory, len(some), size)
        return found

    def substituted_logits(
        self, codes: Codes, rows: ArrayLike, positions: ArrayLike, bases: ArrayLike
    ) -> Floats:
        """Compute the logits of sequences with one base changed, on one core.

        Parameters
        ----------
        codes
            uint8, shape (n, L), values 0-4, with the length L that the network reads.
        rows, positions, bases
            Integers, shape (m,): the sequence, the position from 0, and the code 0-4 it gets.
            Changes of one sequence are best next to each other: it is then read once.

        Returns
        -------
        float32, shape (m, 2)
            Positives second.

        Raises
        ------
        SequenceError
            As `logits`, or if a row, a position or a base does not exist.

        Examples
        --------
        >>> from enhancer_core.dna.codes import encode
        >>> from enhancer_core.models.architecture import Architecture, Convolution
        >>> from enhancer_core.models.network import Network
        >>> architecture = Architecture(convolutions=(Convolution(2, 3, 2),), dense=(3,), length=6)
        >>> predictor = CpuPredictor(architecture, Network(architecture).flat_parameters())
        >>> changed = predictor.substituted_logits(encode(["ACGTAC"]), [0], [1], [3])
        >>> bool((changed == predictor.logits(encode(["ATGTAC"]))).all())
        True
        """
        check_length(codes, self.architecture.length)
        changes = np.stack([rows, positions, bases], axis=1).astype(np.int64)
        sizes = {"row": len(codes), "position": codes.shape[1], "base": N_CODE + 1}
        for (name, count), each in zip(sizes.items(), changes.T, strict=True):
            if ((each < 0) | (each >= count)).any():
                wrong = each[(each < 0) | (each >= count)][0]
                raise SequenceError(f"{name} {wrong} does not exist; allowed are 0 to {count - 1}")
        found = np.empty((len(changes), CLASSES), np.float32)
        stays = codes[changes[:, 0], changes[:, 1]] == changes[:, 2]
        computed = ~stays
        # One of those of a sequence that change nothing is computed among its other changes.
        _, last, which = np.unique(changes[stays, 0][::-1], return_index=True, return_inverse=True)
        one = np.flatnonzero(stays)[::-1][last]
        computed[one] = True
        found[computed] = self._changed_logits(np.ascontiguousarray(codes), changes[computed])
        found[stays] = found[one][which[::-1]]
        return found

    def _changed_logits(self, codes: Codes, changes: Changes) -> Floats:
        memory, original = aligned(self._plan.memory), aligned(self._plan.memory)
        size = max(self._plan.scores, sliding_room(self._plan.layers))
        scores, words = aligned(size), np.empty(codes.shape[1], np.int64)
        layers, convolutions = self._plan.layers, self._plan.convolutions
        substitute = entry(
            "substitute", layers, convolutions, self._packed, memory, original, words, scores
        )
        found = np.empty((len(changes), CLASSES), np.float32)
        for start in range(0, len(found), _BLOCK):
            some = changes[start : start + _BLOCK]
            substitute(codes, some)
            found[start : start + _BLOCK] = _of_layer(layers[-1], memory, len(some), CLASSES)
        return found

    def scanned_logits(self, codes: Codes, starts: ArrayLike) -> Floats:
        """Compute the logits of windows along a stretch of DNA, on one core.

        What windows that overlap share is computed once, to the same bits as by `logits`.

        Parameters
        ----------
        codes
            uint8, shape (C,), values 0-4: the stretch.
        starts
            Integers, shape (n,), in ascending order: where windows begin, all inside.

        Returns
        -------
        float32, shape (n, 2)
            Positives second.

        Raises
        ------
        SequenceError
            If starts do not ascend, a window is not inside, or a code is above 4.

        Examples
        --------
        >>> from enhancer_core.dna.codes import encode
        >>> from enhancer_core.models.architecture import Architecture, Convolution
        >>> from enhancer_core.models.network import Network
        >>> architecture = Architecture(convolutions=(Convolution(2, 3, 2),), dense=(3,), length=6)
        >>> predictor = CpuPredictor(architecture, Network(architecture).flat_parameters())
        >>> found = predictor.scanned_logits(encode(["ACGTACGG"])[0], [0, 2])
        >>> bool((found == predictor.logits(encode(["ACGTAC", "GTACGG"]))).all())
        True
        """
        check_codes(codes)
        begins = np.asarray(starts, np.int64)
        if (np.diff(begins) < 0).any():
            raise SequenceError("starts of windows must ascend")
        length = self.architecture.length
        for start in begins[:1], begins[-1:]:
            if ((start < 0) | (start + length > len(codes))).any():
                raise SequenceError(
                    f"window {start[0]}-{start[0] + length} is not inside the {len(codes)} bp"
                )
        return scan(self._plan, self._packed, np.ascontiguousarray(codes), begins, length)


def _of_layer(layer: Layer, memory: Floats, n: int, size: int) -> Floats:
    """Give the first numbers of a layer's outputs for n sequences, (n, size): a view."""
    place, stride = int(layer["output"]), int(layer["stride"])
    return memory[place : place + n * stride].reshape(n, stride)[:, :size]


def check_length(codes: Codes, length: int) -> None:
    """Raise unless sequences are what a network reads.

    Raises
    ------
    SequenceError
        If their length is not `length`, or a code is above 4.

    Examples
    --------
    >>> check_length(np.zeros((1, 500), np.uint8), 500)
    """
    if codes.shape[1] != length:
        raise SequenceError(f"sequences of {codes.shape[1]} bp; the model reads {length} bp")
    check_codes(codes)
