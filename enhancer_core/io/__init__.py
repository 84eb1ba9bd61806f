"""Every file that is opened: FASTA, BED, genomes, motifs, tables, tracks, VCF and model files.

Files are read plain or gzipped, checked at the door, and written whole or not at all.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
