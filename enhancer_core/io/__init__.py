"""Everything that opens a file: FASTA, BED, GTF, genomes, motifs, tables and tracks."""
