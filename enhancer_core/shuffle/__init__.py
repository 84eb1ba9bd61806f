"""Shuffle DNA and keep the count of every k-let: uniform over all arrangements, for any k.

A sequence is an Euler walk in a graph with its words of k - 1 letters as vertices and its k-lets as
edges, and every other Euler walk from the same start is a shuffle (Kandel et al. 1996; uShuffle,
Jiang et al. 2008). To draw one: choose for each vertex, save that of the end, the edge by which it
is left last, so that these edges form a tree, all trees being equally likely (Wilson 1996); put the
other edges of each vertex in random order; walk. The first and last k - 1 letters stay, which keeps
the counts of words shorter than k too. (A sequence that ends as it starts could be rotated and keep
its k-lets, but not its shorter words.)

A vertex left only once gives no choice. The others, and the end, are the forks; the segments from
fork to fork take the place of edges: at k = 8, 500 bp are some 40 segments instead of 493 edges.

References
----------
Jiang M., Anderson J., Gillespie J., Mayne M. (2008). BMC Bioinformatics 9:192.
Kandel D., Matias Y., Unger R., Winkler P. (1996). Discrete Applied Mathematics 71:171-185.
Lemire D. (2019). ACM Transactions on Modeling and Computer Simulation 29(1):3.
Steele G., Lea D., Flood C. (2014). OOPSLA '14, 453-472.
Wilson D. (1996). STOC '96, 296-303.
"""

from enhancer_core.shuffle.sequences import LONGEST, k_shuffle, k_shuffle_ragged

__all__ = ["LONGEST", "k_shuffle", "k_shuffle_ragged"]
