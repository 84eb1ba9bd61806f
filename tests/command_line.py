"""The commands that the command line offers, by name, in the order in which its help lists them."""

from __future__ import annotations

from collections.abc import Iterator

import click

from enhancer_core.cli import commands


def _offered() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(commands)
    for name in commands.list_commands(context):
        command = commands.get_command(context, name)
        assert command is not None, name
        yield name, command


COMMANDS = dict(_offered())
