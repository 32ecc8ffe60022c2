"""`crossfield heads`: the heads and elements of a model in a file."""

from __future__ import annotations

import typer

from crossfield.cli import heads_add, heads_elements, heads_list, heads_merge, heads_order
from crossfield.cli.group import add_group

HELP = """Heads and elements of a model: show, add, take away, rename, order, join.

A new file is written. What is not named stays as it is bit for bit, and so do
the answers of all other heads. Nothing is trained.
"""


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = add_group(app, "heads", help=HELP, short="Add, remove, rename, merge heads; elements.")

    for command in (heads_list, heads_add, heads_order, heads_merge, heads_elements):
        command.register(group)
