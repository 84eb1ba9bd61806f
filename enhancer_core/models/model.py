"""The model: members that predict together, and what is known of them; and its file.

Members are networks, and k-mer weights: linear models of all words of k letters.

A model file is one safetensors file: tensors, and a JSON header with the architecture and the
training record. Nothing loaded from it is executed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import enhancer_core
from enhancer_core.dna.codes import SequencesLike
from enhancer_core.errors import ModelFileError
from enhancer_core.io.outputs import MODEL_FILE
from enhancer_core.io.safetensors import Arrays, read_arrays, write_arrays
from enhancer_core.models.architecture import Architecture, KmerWeights, architecture_from_dict
from enhancer_core.models.cpu.kmer_predictor import CpuKmerPredictor
from enhancer_core.models.cpu.object_cache import available
from enhancer_core.models.cpu.predictor import CpuPredictor
from enhancer_core.models.device import resolve_device
from enhancer_core.models.ensemble import MeanPredictor, Predictor
from enhancer_core.models.parameters import AnyMember, Member, at_length, flatten, member_of, shapes

if TYPE_CHECKING:  # PyTorch takes seconds to import, a genome and tracks a tenth of one
    from enhancer_core.dna.intervals import Intervals
    from enhancer_core.io.tracks import Stretch
    from enhancer_core.models.gpu.predictor import GpuPredictor
    from enhancer_core.models.kmer_module import KmerModule
    from enhancer_core.models.network import Ensemble, Network


_MOST_MEMBERS = 1 << 10  # a damaged or hostile header must not ask for all time


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Model:
    """A trained network, k-mer weights, or several of both: they predict by their mean logits.

    Immutable: training and calibration return another. The methods that predict are the functions
    of the same names in `enhancer_core`, with this model first.
    """

    members: tuple[AnyMember, ...]  # at least one; all read sequences of one length
    metadata: Mapping[str, Any] = field(default_factory=dict)  # the training record, as in JSON

    @classmethod
    def from_torch(
        cls, network: Network | KmerModule | Ensemble, metadata: Mapping[str, Any] | None = None
    ) -> Model:
        """Copy the weights of a module that `to_torch` returned, as after training it."""
        networks = network.networks()
        members = [member_of(each.architecture, each.flat_parameters()) for each in networks]
        return cls(tuple(members), metadata or {})

    @property
    def architecture(self) -> Architecture:
        """Architecture of the first member that is a network.

        Raises
        ------
        ModelFileError
            If none is: k-mer weights have no filters.
        """
        return self.filter_members[0].architecture

    @property
    def length(self) -> int:
        """Length of the sequences that it reads, in bp."""
        return self.members[0].architecture.length

    @property
    def prevalence(self) -> float | None:
        """Share of positives that its probabilities hold among; None where it is not stated."""
        share = self.metadata.get("prevalence")
        return share if isinstance(share, float) and 0 < share < 1 else None

    @property
    def filter_members(self) -> list[Member]:
        """Networks of the first one's architecture: those whose filters are read as motifs.

        Raises
        ------
        ModelFileError
            As `architecture`.
        """
        networks = [each for each in self.members if isinstance(each, Member)]
        if not networks:
            raise ModelFileError("the model has k-mer weights alone; needed is one with a network")
        return [each for each in networks if each.architecture == networks[0].architecture]

    def filters(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return first-layer filters, float32 (F, 4, W), and biases, (F,), of `filter_members`."""
        weights = [member.weights() for member in self.filter_members]
        names = "convolutions.0.weight", "convolutions.0.bias"
        filters, biases = (np.concatenate([each[name] for each in weights]) for name in names)
        return filters, biases

    def at_length(self, length: int | None) -> Model:
        """Lay the model out for sequences of another length; None leaves it as it is.

        That needs members that pool over the whole sequence, as the network `motif_cnn` does. The
        mean or maximum over the longer or shorter sequence then takes the place of the old one.

        Raises
        ------
        ModelFileError
            If a member weighs places: its weights fit one length only.
        SequenceError
            If the length is too short for a member.
        """
        if length is None or length == self.length:
            return self
        return replace(self, members=tuple(at_length(each, length) for each in self.members))

    def predictor(self, device: str = "cpu") -> Predictor:
        """Lay the weights out for prediction on a device.

        On the CPU the compiled engine predicts, without PyTorch; elsewhere, and where the engine
        cannot be compiled, PyTorch does.

        Raises
        ------
        DeviceError
            If the device is not there.
        """
        device = resolve_device(device)
        predictors = [_predictor(member, device) for member in self.members]
        return predictors[0] if len(predictors) == 1 else MeanPredictor(predictors)

    def to_torch(self) -> Network | KmerModule | Ensemble:
        """Return a PyTorch module with a copy of the weights, in evaluation mode on the CPU.

        It is a plain `nn.Module`: one-hot sequences, float32 (n, 4, L) A C G T, to logits (n, 2),
        positives second. So attribution libraries take `target=1` for the logit of positives; the
        attribution of the log odds, whose logistic function is the probability, is that of target 1
        less that of target 0. Each ReLU and pool is a module of its own, of a kind for which captum
        and tangermeme have a DeepLIFT rule. captum explains one sequence a call correctly; of
        several in one call its `DeepLift` moves attributions between bases (captum#1276).

        K-mer weights are a look into a table, for which DeepLIFT has no rule. What they add to an
        attribution is their gradient, which is exact for each base alone: by base b at a position,
        the sum of the weights of the words over it with b there. So gradients, and gradient times
        input less its mean over the bases, are right; but where several bases of a word differ from
        the baseline, attributions need not sum to the difference in output, and a position that is
        not one base, as in interpolated inputs, has no words. Exact are `mutagenesis` of this
        package, and saturation mutagenesis and marginalisation of any.
        """
        # PyTorch takes seconds to import.
        from enhancer_core.models.network import torch_module

        return torch_module(self.members)

    def save(self, path: str | Path) -> None:
        """Write a model file; see `save_model`."""
        save_model(self, path)

    # What follows is bound late, through the package: the functions lie in wings above this one.
    def predict(
        self,
        sequences: SequencesLike,
        *,
        length: int | None = None,
        both_strands: bool = False,
        prevalence: float | None = None,
        device: str = "auto",
        threads: int = 1,
    ) -> NDArray[np.float32]:
        """Predict the probability of each sequence; see `enhancer_core.predict`."""
        return enhancer_core.predict(
            self, sequences,
            length=length, both_strands=both_strands, prevalence=prevalence, device=device,
            threads=threads,
        )  # fmt: skip

    def predict_track(
        self,
        genome: str | Path,
        regions: str | Path | Intervals | None = None,
        *,
        step: int = 50,
        both_strands: bool = False,
        prevalence: float | None = None,
        device: str = "auto",
        threads: int = 1,
    ) -> Iterator[Stretch]:
        """Predict along regions of a genome; see `enhancer_core.predict_track`."""
        return enhancer_core.predict_track(
            self, genome, regions, step=step, both_strands=both_strands, prevalence=prevalence,
            device=device, threads=threads,
        )  # fmt: skip

    def score_variants(
        self,
        variants: str | Path | Iterable[str],
        genome: str | Path,
        *,
        skip_mismatch: bool = False,
        device: str = "auto",
        threads: int = 1,
    ) -> list[enhancer_core.VariantScore]:
        """Score the effects of variants; see `enhancer_core.score_variants`."""
        return enhancer_core.score_variants(
            self, variants, genome, skip_mismatch=skip_mismatch, device=device, threads=threads
        )

    def mutagenesis(
        self,
        sequences: SequencesLike,
        *,
        length: int | None = None,
        device: str = "auto",
        threads: int = 1,
    ) -> NDArray[np.float32]:
        """Compute the effect of every single-base change; see `enhancer_core.mutagenesis`."""
        return enhancer_core.mutagenesis(
            self, sequences, length=length, device=device, threads=threads
        )

    def __repr__(self) -> str:
        """Summarise in a few lines: what it is, what it reads, how it was trained."""
        weights = sum(member.parameters.size for member in self.members)
        made = [each.architecture for each in self.members]
        parts = [f"{len(made)} member(s), {weights:,} weights"]
        if networks := [each for each in made if isinstance(each, Architecture)]:
            layers = networks[0].convolutions
            filters = ", ".join(f"{layer.filters} x {layer.width} bp" for layer in layers)
            parts.append(f"convolutions {filters}")
        if words := [f"{each.k}-mers" for each in made if isinstance(each, KmerWeights)]:
            parts.append(f"weights of {', '.join(words)}")
        lines = [
            f"Model: {self.metadata.get('network', 'network')}, reads {self.length} bp",
            f"  {'; '.join(parts)}",
        ]
        match self.metadata:
            case {"test": {"auc": {"value": float(auc), "low": float(low), "high": float(high)}}}:
                lines.append(f"  test AUC {auc:.3f} ({low:.3f} to {high:.3f})")
        return "\n".join(lines)


def _predictor(member: AnyMember, device: str) -> Predictor:
    """Lay one member's weights out for prediction on a device that is there."""
    if isinstance(member, Member):
        return single_predictor(member, device)
    if device == "cpu" and available():
        return CpuKmerPredictor(member)
    # PyTorch takes seconds to import.
    from enhancer_core.models.gpu.kmer_predictor import GpuKmerPredictor

    return GpuKmerPredictor(member, device=device)


def single_predictor(member: Member, device: str = "cpu") -> CpuPredictor | GpuPredictor:
    """Lay one network's weights out for prediction on a device that is there."""
    if device == "cpu" and available():
        return CpuPredictor(member.architecture, member.parameters)
    # PyTorch takes seconds to import.
    from enhancer_core.models.gpu.predictor import GpuPredictor

    return GpuPredictor(member.architecture, member.parameters, device=device)


def model_file(path: str | Path) -> Path:
    """Return the model file that a path means: itself, or `model.safetensors` in a folder."""
    path = Path(path)
    return path / MODEL_FILE if path.is_dir() else path


def save_model(model: Model, path: str | Path) -> None:
    """Write a model file, whole or not at all.

    Weights are float32. An ensemble's tensors are named for their member, `member.0.output.bias`.

    Parameters
    ----------
    model
        Any model.
    path
        File, for example `model.safetensors`; or an existing folder, for a file of that name.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    members = model.members
    record: dict[str, Any] = {"training": dict(model.metadata)}
    # Each version is written only for what the releases that read those before cannot: 1 for a
    # network, 2 for an ensemble of one architecture, 3 for one of several, 4 with k-mer weights.
    made = [each.architecture for each in members]
    if len(set(made)) > 1:
        version, record["members"] = 3, [each.to_dict() for each in made]
    else:
        version, record["architecture"] = 1, made[0].to_dict()
        if len(members) > 1:
            version, record["members"] = 2, len(members)
    if any(isinstance(each, KmerWeights) for each in made):
        version = 4
    arrays = {
        prefix + name: array
        for prefix, member in zip(_prefixes(len(members)), members, strict=True)
        for name, array in member.weights().items()
    }
    write_arrays(model_file(path), arrays, kind="model", record=record, version=version)


def load_model(path: str | Path) -> Model:
    """Read a model file.

    Parameters
    ----------
    path
        The file, or a folder with a `model.safetensors`.

    Returns
    -------
    Model
        As it was saved, to the bit.

    Raises
    ------
    FileError
        If the file cannot be read.
    ModelFileError
        If it is damaged, foreign, or of a newer format.
    """
    path = model_file(path)
    arrays, record = read_arrays(path, kind="model")
    try:
        architectures, metadata = _architectures(record), record["training"]
    except KeyError as error:
        raise ModelFileError(f"{path}: the header lacks {error}") from error
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
    named = list(zip(_prefixes(len(architectures)), architectures, strict=True))
    allowed = {p + name: shape for p, made in named for name, shape in shapes(made).items()}
    _check_weights(path, allowed, arrays)
    members = (
        member_of(made, flatten({n: arrays[p + n] for n in shapes(made)})) for p, made in named
    )
    return Model(tuple(members), metadata)


def _architectures(record: Mapping[str, Any]) -> list[Architecture | KmerWeights]:
    """Read the architecture of each member: one for a number of members, or a list."""
    members = record.get("members", 1)
    count = len(members) if isinstance(members, list) else members
    if type(count) is not int or not 1 <= count <= _MOST_MEMBERS:
        raise ModelFileError(
            f"members of {count!r} cannot be read; allowed are 1 to {_MOST_MEMBERS}"
        )
    if not isinstance(members, list):
        return [architecture_from_dict(record["architecture"])] * count
    architectures = [architecture_from_dict(fields) for fields in members]
    lengths = sorted({architecture.length for architecture in architectures})
    if len(lengths) > 1:
        spelled = " and ".join(map(str, lengths))
        raise ModelFileError(f"members read {spelled} bp; allowed is one length for all")
    return architectures


def _prefixes(members: int) -> list[str]:
    """Return the prefix of each member's tensor names: nothing for one alone."""
    return [""] if members == 1 else [f"member.{index}." for index in range(members)]


def _check_weights(path: Path, allowed: Mapping[str, tuple[int, ...]], arrays: Arrays) -> None:
    """Raise unless arrays have just the names and shapes of a model, and finite values."""
    if allowed.keys() != arrays.keys():
        odd = min(allowed.keys() ^ arrays.keys())
        what = "lacks" if odd in allowed else "has an unknown"
        raise ModelFileError(f"{path}: the file {what} tensor '{odd}'")
    for name, array in arrays.items():
        if array.shape != allowed[name] or array.dtype != np.float32:
            raise ModelFileError(
                f"{path}: tensor '{name}' is {array.dtype} {array.shape};"
                f" the architecture needs float32 {allowed[name]}"
            )
        if not np.isfinite(array).all():
            raise ModelFileError(f"{path}: tensor '{name}' has values that are not finite")
