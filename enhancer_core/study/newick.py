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

    Examples
    --------
    >>> read_newick("(human:1,(mouse:2,rat:3):4);")["human"]
    {'human': 0.0, 'mouse': 7.0, 'rat': 8.0}
    """
    tokens = [*_TOKEN.findall(text.strip().rstrip(";")), ""]
    tree: Tree = {}
    leaves = _read_node(tokens, tree)
    if tokens != [""]:
        raise RecipeError(f"tree: '{tokens[0]}' stands where the tree should end")
    return {leaf: {other: tree[leaf][other] for other in leaves} for leaf in leaves}


def _read_node(tokens: list[str], tree: Tree) -> dict[str, float]:
    """Take a node off the tokens; return its leaves, with their distances from its parent."""
    depths: dict[str, float] = {}
    if tokens[0] == "(":
        while (separator := tokens.pop(0)) in ("(", ","):
            child = _read_node(tokens, tree)
            for (leaf, depth), (other, other_depth) in product(child.items(), depths.items()):
                if leaf == other:
                    raise RecipeError(f"tree: leaf '{leaf}' is there twice")
                tree[leaf][other] = tree[other][leaf] = depth + other_depth
            depths |= child
        if separator != ")":
            raise RecipeError("tree: a '(' is not closed")
    label = tokens.pop(0) if tokens[0] not in ("(", ")", ",", "") else ""
    name, _, length = label.partition(":")
    if not depths:
        depths[name.strip()] = 0.0
        tree[name.strip()] = {name.strip(): 0.0}
    if "" in depths:
        raise RecipeError(
            "tree: a leaf has no name; Newick such as (human:0.1,mouse:0.2); is needed"
        )
    try:
        branch = float(length or 0)
    except ValueError as error:
        raise RecipeError(f"tree: '{length}' is not a branch length") from error
    return {leaf: depth + branch for leaf, depth in depths.items()}
