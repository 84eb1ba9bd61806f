"""Probabilities of sequences and along genomes, calls with their precision, effects of variants.

`calls` makes calls of a track, and `accuracy` measures, where the peaks are known, how often these
are right. Effects are of any edit of the genome, both strands averaged: `normalise` and `windows`
make the two windows of an edit, `effects` scores them; `annotate` does it for VCF records and
`mutagenesis` for every single-base change of a sequence.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
