"""What an output may be: a name that fits its content, no input, and nothing finished is lost."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from enhancer_core.errors import FileError
from enhancer_core.io.files import StrPath, descriptor_of, is_stream

MODEL_FILE = "model.safetensors"  # in the folder that stands for a model


@dataclass(frozen=True, slots=True)
class Format:
    """What a file may hold, and the endings of its name, in either case, that say so."""

    name: str
    endings: tuple[str, ...]
    packed: tuple[str, ...] = (".gz",)  # after one of these, for a compressed file


FASTA = Format("FASTA", (".fa", ".fasta", ".fna"))
BED = Format("BED", (".bed",))
BEDGRAPH = Format("bedGraph", (".bedgraph", ".bdg", ".bg"))
BIGWIG = Format("bigWig", (".bw", ".bigwig"), packed=())
JSON = Format("JSON", (".json",))
MEME = Format("MEME", (".meme", ".txt"))
TSV = Format("a table", (".tsv", ".tab", ".txt"))
VCF = Format("VCF", (".vcf",), packed=(".gz", ".bgz"))
_FILE_ENDINGS = {
    *(".safetensors", ".html", ".md", ".png", ".svg", ".gz", ".bgz"),
    *(e for form in (FASTA, BED, BEDGRAPH, BIGWIG, JSON, MEME, TSV, VCF) for e in form.endings),
}


def format_of(path: StrPath, *allowed: Format) -> Format:
    """Return the format that a name's ending stands for; the first for a pipe or without an ending.

    Raises
    ------
    FileError
        If the ending is of none of those allowed.
    """
    path = Path(path)
    name = path.name.lower()
    for form in allowed:
        packed = next((ending for ending in form.packed if name.endswith(ending)), "")
        ending = Path(name.removesuffix(packed)).suffix
        if ending in form.endings or (form is allowed[0] and not ending):
            return form
    if is_stream(path):
        return allowed[0]
    choices = "; ".join(
        f"{', '.join(form.endings)} for {form.name}"
        + (f", or with {' or '.join(form.packed)} after it" if form.packed else "")
        for form in allowed
    )
    raise FileError(f"{path}: the ending does not fit what is written; allowed are {choices}")


def check_folder_name(path: Path) -> None:
    """Raise if the name of an output folder has the ending of a file.

    Raises
    ------
    FileError
        If it has.
    """
    ending = path.suffix.lower()
    if ending in _FILE_ENDINGS:
        raise FileError(f"{path}: a folder is written, so its name must not end in {path.suffix}")


def earlier_files(path: Path, patterns: Sequence[str] = ()) -> list[Path]:
    """Return the files that an output would replace; of a folder, those of the names' patterns.

    Empty files do not count: nothing is lost with them.
    """
    found = [path] if not patterns else [p for name in patterns for p in sorted(path.glob(name))]
    return [file for file in found if not is_stream(file) and file.is_file() and _size(file)]


def check_not_read(output: Path, files: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Raise if one of the files that an output would replace is read too, under any name.

    Raises
    ------
    FileError
        If it is.
    """
    read = {_identity(path): path for path in inputs}
    for file in files:
        if (same := _identity(file)) is not None and same in read:
            what = "it" if file == output else str(file)
            raise FileError(f"{output}: {what} is an input too ({read[same]}); write elsewhere")


def _size(path: Path) -> int:
    return path.stat().st_size


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a regular file from all others, whatever it is called."""
    try:
        number = descriptor_of(path)
        status = path.stat() if number is None else os.fstat(number)
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None
