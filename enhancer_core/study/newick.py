"""Read a tree in Newick format: the order of its leaves, and their distances."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from enhancer_core.study.schema import RecipeError

_TOKEN = re.compile(r"[(),]|[^(),\s][^(),]*")


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
        If it is not a tree, or a leaf is there twice.

    Examples
    --------
    >>> tree = read_newick("(human:1,(mouse:2,rat:3):4);")
    >>> tree.leaves, tree.distances[0].tolist()
    (['human', 'mouse', 'rat'], [0.0, 7.0, 8.0])
    """
    tokens = [*_TOKEN.findall(text.strip().rstrip(";")), ""]
    between: dict[frozenset[str], float] = {}
    leaves = list(_node(tokens, between))
    if tokens != [""]:
        raise RecipeError(f"tree: '{tokens[0]}' stands where the tree should end")
    distances = np.array(
        [[between.get(frozenset((one, other)), 0.0) for other in leaves] for one in leaves]
    )
    return Tree(leaves, distances)


def _node(tokens: list[str], between: dict[frozenset[str], float]) -> dict[str, float]:
    """Take a node from the tokens; give its leaves, each with its distance from the node above."""
    below: dict[str, float] = {}
    if tokens[0] == "(":
        while (before := tokens.pop(0)) in ("(", ","):
            child = _node(tokens, between)
            for (leaf, far), (other, farther) in product(child.items(), below.items()):
                if leaf == other:
                    raise RecipeError(f"tree: leaf '{leaf}' is there twice")
                between[frozenset((leaf, other))] = far + farther
            below |= child
        if before != ")":
            raise RecipeError("tree: a '(' is not closed")
    name, _, length = ("" if tokens[0] in (*"(),", "") else tokens.pop(0)).partition(":")
    below = below or {name.strip(): 0.0}
    if "" in below:
        raise RecipeError(
            "tree: a leaf has no name; Newick such as (human:0.1,mouse:0.2); is needed"
        )
    try:
        branch = float(length) if length else 0.0
    except ValueError as error:
        raise RecipeError(f"tree: '{length}' is not a branch length") from error
    return {leaf: far + branch for leaf, far in below.items()}
