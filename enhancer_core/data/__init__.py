"""Labelled sequences, split into train, validation and test before anything else is done.

Records that must not be told apart stay in one part: identical sequences and reverse complements,
records of one name (a k-shuffle keeps its parent's name), and windows that overlap, where names
give coordinates. Where groups are given (chromosomes, a table), whole groups stay together instead,
and `without_shared_sequences` keeps identical sequences out of two groups: what it drops is written
down as left out, and stays so where the split is given back.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
