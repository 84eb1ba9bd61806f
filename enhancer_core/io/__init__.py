"""Every file that is opened: FASTA, BED, genomes, motifs, tables, tracks, VCF and model files.

Files are read plain or gzipped, checked at the door, and written whole or not at all. Whatever
reads raises `FileError` if the file is missing, a folder, not readable, cut or damaged gzip, or not
UTF-8 where it should be text; whatever writes, if the folder is not writable, or the disk is full.
What else a function raises is in its own documentation.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
