"""The networks on a CPU core, compiled: the same numbers as PyTorch's, several times as fast.

Convolution 1 on one-hot DNA is a sum of rows of tables, one for each word of three letters and both
strands at once; activations lie position by position, so that filters are next to each other;
convolutions, pools and ReLUs of one sequence follow each other in the nearest cache; overlapping
windows share what they have in common; and the backward pass skips zeros. `predictor` predicts,
`learner` trains; both release the GIL, so that threads run in parallel, each on one core.
`kmer_predictor` predicts with k-mer weights, in whole numbers.
"""
