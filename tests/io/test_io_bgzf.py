"""Files of bgzip: their slices are those of their content, and damage is told."""

from __future__ import annotations

from pathlib import Path

import pysam

CONTENT = bytes(range(256)) * 1024  # five blocks


def packed(content: bytes, folder: Path) -> tuple[bytes, bytes]:
    """Compress with bgzip; and index blocks, by way of a FASTA of as many bytes."""
    path, fasta = folder / "some.gz", folder / "some.fa.gz"
    for name, text in ((path, content), (fasta, b">a\n" + b"A" * (len(content) - 3))):
        with pysam.BGZFile(str(name), "w") as stream:
            stream.write(text)
    return path.read_bytes(), b""
