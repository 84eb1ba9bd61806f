"""The networks on a CPU core, compiled: the same numbers as PyTorch's, several times as fast.

Convolution 1 on one-hot DNA is a sum of rows of tables, one for each word of three letters and both
strands at once; activations lie position by position, so that filters are next to each other;
convolutions, pools and ReLUs of one sequence follow each other in the nearest cache; windows that
overlap share what they have in common; and slopes flow back only through what was passed on.
`predictor` predicts, `learner` learns; both let go of Python's lock, so that threads work side by
side, each on one core.
"""
