"""The bridge to kipoi-veff, `enhancer-core-veff`: what `kipoi veff` did before Kipoi dropped it.

    enhancer-core-veff score_variants MODEL --source SOURCE ...

kipoi-veff 0.3.1 was made for older releases of Kipoi, NumPy and PyVCF. What it misses of them is
put back here, in this process only; its own code and options are as they were.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from enhancer_core.io.files import read_lines


def main() -> None:
    """Run kipoi-veff: score_variants, create_mutation_map or plot_mutation_map."""
    _restore_numpy()
    # Both need the names of NumPy that are restored.
    import kipoi
    from vcf import parser

    parser._Info.__new__.__defaults__ = (None,)  # for `type_code`, a field that PyVCF had not
    kipoi.get_model = _with_postprocessing(kipoi.get_model)
    from kipoi_veff.cli import cli_main  # takes get_model as it is then

    cli_main("veff", sys.argv[1:])


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
