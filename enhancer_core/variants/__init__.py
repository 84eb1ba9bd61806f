"""Effects of variants on a network's probability: any edit of the genome, both strands averaged.

`normalise` and `windows` make the two windows of an edit, `effects` scores them; `annotate` does it
for VCF records and `mutagenesis` for every single-base change of a sequence.
"""

from enhancer_core.variants.edits import Edit, Fetch, normalise, windows
from enhancer_core.variants.records import FIELDS, PREFIX, annotate
from enhancer_core.variants.saturation import Mutations, attributions, mutagenesis
from enhancer_core.variants.scoring import Effects, effects

__all__ = [
    "FIELDS",
    "PREFIX",
    "Edit",
    "Effects",
    "Fetch",
    "Mutations",
    "annotate",
    "attributions",
    "effects",
    "mutagenesis",
    "normalise",
    "windows",
]
