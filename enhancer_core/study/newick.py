"""Read a tree in Newick format: its leaves in order, and the distances between them."""

from __future__ import annotations

import re
from itertools import product

from enhancer_core.study.schema import RecipeError

Tree = dict[str, dict[str, float]]  # leaf, in the tree's order: other leaf: sum of branch lengths
_TOKEN = re.compile(r"[(),]|[^(),\s][^(),]*")


def read_newick(text: str) -> Tree:
    """Read a tree such as `(human:0.1,(mouse:0.2,rat:0.2):0.3);`; branches are 0 by default.

    Raises
    ------
    RecipeError
        If it is not a tree, or has a leaf twice.
    """
    tokens = [*_TOKEN.findall(text.strip().rstrip(";")), ""]
    tree: Tree = {}
    _read_node(tokens, tree)
    if tokens != [""]:
        raise RecipeError(f"tree: '{tokens[0]}' stands where the tree should end")
    return {leaf: {other: tree[leaf][other] for other in tree} for leaf in tree}


def _read_node(tokens: list[str], tree: Tree) -> dict[str, float]:
    """Take a node off the tokens; return its leaves, with their distances from its parent."""
    depths: dict[str, float] = {}
    if tokens[0] == "(":
        while (separator := tokens.pop(0)) in ("(", ","):
            child = _read_node(tokens, tree)
            for leaf, other in product(child, depths):
                tree[leaf][other] = tree[other][leaf] = child[leaf] + depths[other]
            depths |= child
        if separator != ")":
            raise RecipeError("tree: a '(' is not closed")
    name, _, length = ("" if tokens[0] in "()," else tokens.pop(0)).partition(":")
    if not depths:
        if not (leaf := name.strip()):
            example = "Newick such as (human:0.1,mouse:0.2); is needed"
            raise RecipeError(f"tree: a leaf has no name; {example}")
        if leaf in tree:
            raise RecipeError(f"tree: leaf '{leaf}' is there twice")
        depths, tree[leaf] = {leaf: 0.0}, {leaf: 0.0}
    try:
        return {leaf: depth + float(length or 0) for leaf, depth in depths.items()}
    except ValueError as error:
        raise RecipeError(f"tree: '{length}' is not a branch length") from error
