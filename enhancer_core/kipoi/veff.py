"""The bridge to kipoi-veff, `enhancer-core-veff`: what `kipoi veff` did before Kipoi dropped it.

    enhancer-core-veff score_variants MODEL --source SOURCE ...

kipoi-veff 0.3.1 was made for older releases of Kipoi, NumPy and PyVCF. What it misses of them is
put back here, in this process only; its own code and options are as they were. Records of a VCF
pass it by: it scores SNVs, and what it finds is added to the lines of the input.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from enhancer_core.errors import EnhancerError
from enhancer_core.io.bed import read_bed_rows
from enhancer_core.io.files import check_output, read_lines
from enhancer_core.io.genome import open_genome
from enhancer_core.io.outputs import check_not_read
from enhancer_core.io.vcf import Field
from enhancer_core.kipoi.snvs import NUMBER, add_scores, write_snvs

_ID = "rID"  # INFO field in which kipoi-veff has its name of the SNV


def main() -> None:
    """Run kipoi-veff: score_variants, create_mutation_map or plot_mutation_map."""
    _restore_numpy()
    # All need the names of NumPy that are restored.
    import kipoi
    import kipoi_veff
    from kipoi_veff import mutation_map
    from kipoi_veff.utils import io
    from vcf import parser

    parser._Info.__new__.__defaults__ = (None,)  # for `type_code`, a field that PyVCF had not
    kipoi.get_model = _with_postprocessing(kipoi.get_model)
    io.BedWriter.append_interval = _append_interval
    kipoi_veff.score_variants = _of_whole_records(
        kipoi_veff.score_variants, lambda model: str(io.SyncPredictonsWriter(model).info_tag_prefix)
    )
    mutation_map._generate_mutation_map = _of_snvs(mutation_map._generate_mutation_map)
    from kipoi_veff.cli import cli_main  # takes get_model as it is then

    try:
        cli_main("veff", sys.argv[1:])
    except EnhancerError as error:
        _tell(f"error: {' '.join(str(error).split())}")
        sys.exit(2)


def _tell(line: str) -> None:
    sys.stderr.write(f"enhancer-core-veff: {line}\n")


def _append_interval(writer: Any, chrom: str, start: int, end: int, id: object) -> None:  # noqa: A002, ANN401
    """Write an interval as kipoi-veff does, but leave a name like contig_1 its first letter."""
    writer.ofh.write(f"chr{str(chrom).removeprefix('chr')}\t{int(start) - 1}\t{end}\t{id}\n")


def _of_whole_records(
    score_variants: Callable[..., Any], prefix_of: Callable[[Any], str]
) -> Callable[..., Any]:
    """Make kipoi-veff's `score_variants` keep records as they were, but for the INFO it adds."""

    def wrapped(
        model: object,
        dl_args: Mapping[str, Any],
        input_vcf: str,
        output_vcf: str | None = None,
        output_writers: Sequence[Any] = (),
        *,
        std_var_id: bool = False,
        **options: object,
    ) -> object:
        if output_vcf is not None:
            check_output(output_vcf)
            check_not_read(Path(output_vcf), [Path(output_vcf)], [Path(input_vcf)])
        scores = _Scores()
        result = None
        with _snvs(input_vcf, dl_args) as (snvs, scored):
            if scored:
                writers = [scores, *output_writers]
                result = score_variants(
                    model, dl_args, str(snvs), output_writers=writers, **options
                )
                if missed := scored - len(scores.found):
                    _tell(f"{missed:,} of them are not scored: outside the restriction BED")
            else:
                _tell(f"{input_vcf}: no SNV to score, so there are no scores to write")
            if output_vcf is not None:
                prefix = f"{prefix_of(model)}:"
                add_scores(
                    Path(input_vcf), Path(output_vcf), prefix, scores.fields, scores.found,
                    rename=std_var_id,
                )  # fmt: skip
        return result

    return wrapped


def _of_snvs(generate_mutation_map: Callable[..., Any]) -> Callable[..., Any]:
    """Make kipoi-veff's mutation maps of a VCF show its SNVs, and count what they leave out."""

    def wrapped(*arguments: object, **options: Any) -> object:  # noqa: ANN401
        vcf, bed = options.get("vcf_fpath"), options.get("bed_fpath")
        if bed is not None and not any(True for _ in read_bed_rows(Path(bed))):
            raise EnhancerError(f"{bed}: no intervals; at least one is needed")
        if vcf is None:
            return generate_mutation_map(*arguments, **options)
        with _snvs(vcf, options["dataloader_args"]) as (snvs, scored):
            if not scored:
                raise EnhancerError(f"{vcf}: no SNV that fits the genome; a map needs one")
            return generate_mutation_map(*arguments, **options | {"vcf_fpath": str(snvs)})

    return wrapped


@contextmanager
def _snvs(vcf: str, loader: Mapping[str, Any]) -> Iterator[tuple[Path, int]]:
    """Yield a file of a VCF's SNVs, and how many they are; count the rest."""
    with ExitStack() as stack:
        snvs = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "snvs.vcf.gz"
        fasta = loader.get("fasta_file")
        genome = None if fasta is None else stack.enter_context(open_genome(fasta, note=_tell))
        counts = write_snvs(Path(vcf), snvs, genome)
        if others := ", ".join(f"{count:,} {why}" for why, count in sorted(counts.items()) if why):
            left = f"{counts.total() - counts['']:,} of {counts.total():,} ALTs"
            _tell(f"{vcf}: {left} cannot be scored and stay as they are: {others}")
        yield snvs, counts[""]


class _Scores:
    """A writer for kipoi-veff, which collects the INFO fields of each SNV by its number."""

    def __init__(self) -> None:
        self.found: dict[int, dict[str, str]] = {}
        self.fields: list[Field] = []

    def __call__(
        self, predictions: Mapping[str, Any], records: Sequence[Any], line_ids: Sequence[object]
    ) -> None:
        """Collect a batch: a table for each score, with a row an SNV and a column an output."""
        outputs = "|".join(map(str, next(iter(predictions.values())).columns))
        what = f"SNV effect prediction. Prediction from model outputs: {outputs}"
        self.fields = [
            *(
                Field(
                    id=key.upper(), number="A", type="String", description=f"{key.upper()} {what}"
                )
                for key in predictions
            ),
            Field(id=_ID, number="A", type="String", description="kipoi-veff's name of the SNV"),
        ]
        for row, (record, name) in enumerate(zip(records, line_ids, strict=True)):
            values = {
                key.upper(): "|".join(f"{value:.8f}" for value in table.iloc[row])
                for key, table in predictions.items()
            }
            self.found[record.INFO[NUMBER]] = values | {_ID: str(name)}


def _restore_numpy() -> None:
    """Restore names that NumPy 1.24 and 2 dropped, and vstack that takes a generator."""
    names = {"int": int, "object": object, "string_": np.bytes_, "unicode_": np.str_}
    for name, value in (names | {"in1d": np.isin}).items():
        if name not in np.__dict__:
            setattr(np, name, value)
    vstack: Callable[..., Any] = np.vstack
    np.vstack = lambda arrays, **options: vstack(  # type: ignore[assignment]
        arrays if isinstance(arrays, np.ndarray) else list(arrays), **options
    )


def _with_postprocessing(get_model: Callable[..., Any]) -> Callable[..., Any]:
    """Make `kipoi.get_model` read `postprocessing`, which it has ignored since 0.6.36."""
    # Needs the names of NumPy that are restored.
    from kipoi_veff.specs import VarEffectDataLoaderArgs, VarEffectModelArgs

    def wrapped(model: str, source: str = "kipoi", **options: object) -> object:
        loaded = get_model(model, source, **options)
        stated = _model_yaml(model, source).get("postprocessing", {}).get("variant_effects")
        loaded.postprocessing = (
            {} if stated is None else {"variant_effects": VarEffectModelArgs.from_config(stated)}
        )
        if loaded.default_dataloader is not None:
            bed = VarEffectDataLoaderArgs.from_config({"bed_input": ["intervals_file"]})
            loaded.default_dataloader.postprocessing = {"variant_effects": bed}
        return loaded

    return wrapped


def _model_yaml(model: str, source: str) -> dict[str, Any]:
    """Read a model's yaml, or the row of its group's table through the template, unparsed."""
    # Need them too.
    import kipoi
    import yaml
    from kipoi.sources import LocalComponentGroup, get_component_file

    opened = kipoi.get_source(source)
    file = get_component_file(opened.get_model_dir(model), "model", raise_err=False)
    if file is not None:
        text = "\n".join(line for _, line in read_lines(Path(file)))
    else:
        path = Path(opened.local_path) / model
        group = Path(LocalComponentGroup.group_path(str(path)))
        rows = LocalComponentGroup.load(str(group))
        text = rows.template.render(**rows.get_model_row(str(path.relative_to(group))))
    content: dict[str, Any] = yaml.safe_load(text)
    return content


if __name__ == "__main__":
    main()
