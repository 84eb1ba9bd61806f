"""Find enhancers in DNA sequence: k-shuffles, convolutional networks, motifs and variant effects.

Import the module you need (`from enhancer_core import dna, shuffle, train`); this package itself
imports nothing, so that it costs nothing.
"""

__version__ = "0.1.0"
