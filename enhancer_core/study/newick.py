"""Read a tree in Newick format: the order of its leaves, and their distances."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enhancer_core.study.fields import RecipeError

_TOKEN = re.compile(r"\s*([(),;]|[^(),;]+)")


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """The leaves of a tree from top to bottom, and the branches between each two."""

    leaves: list[str]
    distances: NDArray[np.float64]  # (leaves, leaves): sums of branch lengths

    def nearest(self, leaf: str, among: list[str]) -> list[str]:
        """Sort leaves by their distance from one of the tree's.

        Raises
        ------
        RecipeError
            If the tree lacks one.
        """
        row = self.distances[self.index(leaf)]
        return sorted(among, key=lambda other: row[self.index(other)])

    def index(self, leaf: str) -> int:
        """Find a leaf.

        Raises
        ------
        RecipeError
            If the tree lacks it.
        """
        if leaf not in self.leaves:
            raise RecipeError(
                f"'{leaf}' is not in the tree; its leaves are {', '.join(self.leaves)}"
            )
        return self.leaves.index(leaf)


def read_newick(text: str) -> Tree:
    """Read a tree; a branch without a length has 0.

    Parameters
    ----------
    text
        Newick, such as `(human:0.1,(mouse:0.2,rat:0.2):0.3);`.

    Raises
    ------
    RecipeError
        If it is not a tree.

    Examples
    --------
    >>> tree = read_newick("(human:1,(mouse:2,rat:3):4);")
    >>> tree.leaves, tree.distances[0].tolist()
    (['human', 'mouse', 'rat'], [0.0, 7.0, 8.0])
    """
    tokens = _TOKEN.findall(text)
    leaves: list[str] = []
    # For each leaf the branches from it up to the node under way: name of node -> length.
    above: list[dict[int, float]] = []
    nodes = 0
    open_nodes: list[list[int]] = []  # the leaves below each node that is open

    def close(below: list[int], label: str) -> None:
        nonlocal nodes
        length = label.partition(":")[2]
        try:
            bp = float(length) if length else 0.0
        except ValueError as error:
            raise RecipeError(f"tree: '{length}' is not a branch length") from error
        for leaf in below:
            above[leaf][nodes] = bp
        nodes += 1
        if open_nodes:
            open_nodes[-1].extend(below)

    position = 0
    while position < len(tokens) and tokens[position] != ";":
        token = tokens[position]
        following = tokens[position + 1] if position + 1 < len(tokens) else ""
        if token == "(":
            open_nodes.append([])
        elif token == ")":
            if not open_nodes:
                raise RecipeError("tree: a ')' closes nothing")
            below = open_nodes.pop()
            labelled = following not in ("", "(", ")", ",", ";")
            close(below, following if labelled else "")
            position += labelled
        elif token != ",":
            leaves.append(token.partition(":")[0].strip())
            above.append({})
            close([len(leaves) - 1], token)
        position += 1
    if open_nodes or not leaves:
        raise RecipeError("tree: not a tree in Newick format; a '(' is not closed or there is none")
    distances = np.array(
        [[sum(one[n] for n in one.keys() ^ other.keys() if n in one)
          + sum(other[n] for n in one.keys() ^ other.keys() if n in other)
          for other in above] for one in above]
    )  # fmt: skip
    return Tree(leaves, distances)
