"""Which first-layer motifs a network's second layer joins, and whether planting them says so too.

A unit of the second layer reads the pooled outputs of the first at a few places. Two filters that
it weighs positively, at places t and t', are joined at a distance of t' - t pools. How strongly is
the product of what each adds when its best site is there, summed over all units and places, a unit
counting by how strongly the next layer reads it. So no scale counts that a ReLU lets pass from one
layer to the next.

The weights are a hint only: they know the distance to a pool's width, and nothing of what later
layers make of a unit. The test is to plant. Of two sites in background DNA the interaction is the
log odds with both, less those with either alone, plus those with none: 0 if what they tell just
adds up (Avsec et al. 2021, in silico motif interactions). Scores are means of both strands, so a
pair that is turned round as a whole is the same pair, and four things are told apart: on the strand
of the first site, the second may stand before or behind it, on the same strand or the opposite one.

That is what a genome may care about. A network of this kind can hardly: its first layer keeps the
better strand and forgets which it was, so sites far enough apart count alike on either, and with
both strands read, in either order. That its interaction is the same four times is a finding too.

References
----------
Avsec Z. et al. (2021). Nature Genetics 53:354-366.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
