"""`crossfield replay`: what is kept of earlier data, and its labels."""

from __future__ import annotations

import typer

from crossfield.cli import replay_label, replay_select, replay_show

HELP = "Keep a sample of earlier data in training, so that nothing is forgotten."
NO_COMMAND = 2  # exit code


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(name="replay", rich_markup_mode="rich")
    app.add_typer(group, help=HELP, short_help="Choose and label earlier data to keep in training.")

    @group.callback(invoke_without_command=True)
    def replay(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())
            raise typer.Exit(NO_COMMAND)

    for command in (replay_select, replay_label, replay_show):
        command.register(group)
