"""`crossfield replay`: what is kept of earlier data, and its labels."""

from __future__ import annotations

import typer

from crossfield.cli import replay_label, replay_select, replay_show
from crossfield.cli.group import add_group

HELP = "Keep a sample of earlier data in training, so that nothing is forgotten."


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = add_group(app, "replay", help=HELP, short="Choose and label earlier data to keep in training.")

    for command in (replay_select, replay_label, replay_show):
        command.register(group)
