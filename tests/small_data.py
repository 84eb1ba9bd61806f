"""The [[data]] of small recipes: so few and short sequences that a run takes no time."""

from __future__ import annotations


def species(*names: str) -> str:
    """Species of the synthetic world, in one set."""
    return "".join(
        f'[[data]]\nname = "{name}"\nset = "world"\nworld = "{name}"\nnumber = 40\nlength = 60\n'
        for name in names
    )


CEBPA = '[[data]]\nname = "cebpa"\nsimulate = "CEBPA"\nnumber = 40\nlength = 60\n'
