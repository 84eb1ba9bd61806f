"""Write the motifs that networks are planted with by default: JASPAR's of vertebrates.

    pip install pyjaspar==4.0.0
    python training/jaspar.py

The package carries these 77 kB, since pyjaspar is 57 MB and takes half a second to import. JASPAR
is free to use and to pass on under CC BY 4.0 (https://jaspar.elixir.no).
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

from pyjaspar import jaspardb  # type: ignore[import-not-found]

RELEASE = "JASPAR2026"
TARGET = Path(__file__).parents[1] / "enhancer_core" / "motifs" / f"{RELEASE}_vertebrates.pfm.gz"


def main() -> None:
    """Write the file, the same bytes each time."""
    database = jaspardb(release=RELEASE)
    motifs = database.fetch_motifs(collection="CORE", tax_group=["vertebrates"])
    lines = []
    for motif in sorted(motifs, key=lambda motif: motif.matrix_id):
        lines.append(f">{motif.matrix_id} {motif.name}")
        columns = zip(*(motif.counts[base] for base in "ACGT"), strict=True)
        lines += ["\t".join(f"{count:g}" for count in column) for column in columns]
    content = "".join(f"{line}\n" for line in lines).encode()
    TARGET.write_bytes(gzip.compress(content, mtime=0))
    sys.stdout.write(f"{len(motifs):,} motifs, {TARGET.stat().st_size:,} bytes: {TARGET.name}\n")


if __name__ == "__main__":
    main()
