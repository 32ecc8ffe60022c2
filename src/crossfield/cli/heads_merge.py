"""`crossfield heads merge`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from crossfield.cli.heads_file import OutOption, OverwriteOption
from crossfield.cli.options import ModelArgument
from crossfield.errors import InputError

HELP = """Join the heads of two models that were trained with the same backbone.

All weights but those of the heads must be the same bit for bit, as after two
trainings that started from one model and trained heads only. A head that both
models have, the same in everything, is taken once; another one of the same
name must be renamed.

[bold]Examples[/bold]
  crossfield heads merge a.safetensors b.safetensors -o both.safetensors
  crossfield heads merge a.safetensors b.safetensors --rename x=y -o ...
"""


def register(group: typer.Typer) -> None:
    """Add the command."""

    @group.command(help=HELP, short_help="Join the heads of two models.")
    def merge(
        model: ModelArgument,
        second: Annotated[
            str,
            typer.Argument(metavar="SECOND", help="Model whose heads come behind.", show_default=False),
        ],
        output: OutOption,
        rename: Annotated[
            list[str] | None,
            typer.Option(
                "--rename",
                metavar="OLD=NEW",
                help="Name for a head of SECOND. May be repeated.",
                show_default=False,
            ),
        ] = None,
        overwrite: OverwriteOption = False,
    ) -> None:
        renames = _renames(rename or [])

        from crossfield.cli.heads_file import open_model, write_model
        from crossfield.heads import merge as join

        given = open_model(model, output, overwrite=overwrite)
        other = open_model(second, output, overwrite=False)
        record = {
            "operation": "merge",
            "with": other.source,
            "renamed": renames,
            "provenance": other.provenance,
        }
        joined = join(given.model, other.model, renames=renames)
        data = {renames.get(name, name): what for name, what in other.data.items()} | given.data
        write_model(output, joined, given, record, data=data)


def _renames(pairs: Sequence[str]) -> dict[str, str]:
    renames: dict[str, str] = {}
    for text in pairs:
        old, equals, new = text.partition("=")
        if not (old and equals and new):
            raise InputError(f"--rename {text}: expected OLD=NEW")
        if old in renames:
            raise InputError(f"--rename {old} is given twice")
        renames[old] = new
    return renames
