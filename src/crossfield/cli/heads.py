"""`crossfield heads`: the heads and elements of a model in a file."""

from __future__ import annotations

import typer

from crossfield.cli import heads_add, heads_elements, heads_list, heads_merge, heads_order

HELP = """Heads and elements of a model: show, add, take away, rename, order, join.

A new file is written. What is not named stays as it is bit for bit, and so do
the answers of all other heads. Nothing is trained.
"""
NO_COMMAND = 2  # exit code


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(name="heads", rich_markup_mode="rich")
    app.add_typer(group, help=HELP, short_help="Add, remove, rename, merge heads; elements.")

    @group.callback(invoke_without_command=True)
    def heads(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())
            raise typer.Exit(NO_COMMAND)

    for command in (heads_list, heads_add, heads_order, heads_merge, heads_elements):
        command.register(group)
