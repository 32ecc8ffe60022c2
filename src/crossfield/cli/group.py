"""Commands under a common name."""

from __future__ import annotations

import typer

NO_COMMAND = 2  # exit code where the name stands alone


def add_group(app: typer.Typer, name: str, *, help: str, short: str) -> typer.Typer:
    """A group of commands, which shows its help where none of them is named.

    Args:
        app: what it is added to.
        name: of the group.
        help: on the group's own page.
        short: in the list of commands.
    """
    group = typer.Typer(name=name, rich_markup_mode="rich")
    app.add_typer(group, help=help, short_help=short)

    @group.callback(invoke_without_command=True)
    def alone(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())
            raise typer.Exit(NO_COMMAND)

    return group
