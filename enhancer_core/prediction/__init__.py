"""Effects of variants on a network's probability: any edit of the genome, both strands averaged.

`normalise` and `windows` make the two windows of an edit, `effects` scores them; `annotate` does it
for VCF records and `mutagenesis` for every single-base change of a sequence.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
