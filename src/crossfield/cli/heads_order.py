"""`crossfield heads remove`, `rename`, `reorder` and `default`."""

from __future__ import annotations

from typing import Annotated

import typer

from crossfield.cli.heads_file import OutOption, OverwriteOption
from crossfield.cli.options import ModelArgument
from crossfield.errors import InputError

REMOVE = """Remove heads.

If the default head is one of them, there is no default any more.

[bold]Examples[/bold]
  crossfield heads remove m.safetensors mine -o base.safetensors
  crossfield heads remove m.safetensors a b -o m.safetensors --overwrite
"""
RENAME = """Give a head another name.

It stays the default head if it was.

[bold]Examples[/bold]
  crossfield heads rename m.safetensors Default omat_pbe -o new.safetensors
  crossfield heads rename mace.model Default pbe -o m.safetensors
"""
REORDER = """Put the heads in another order.

All of them must be named. Answers do not depend on the order.

[bold]Examples[/bold]
  crossfield heads reorder m.safetensors b a -o new.safetensors
  crossfield heads reorder m.safetensors c a b -o m.safetensors --overwrite
"""
DEFAULT = """Set the head that answers where none is asked for.

With --none, a head must be named wherever the model is used.

[bold]Examples[/bold]
  crossfield heads default m.safetensors molecules -o new.safetensors
  crossfield heads default m.safetensors --none -o new.safetensors
"""

NamesArgument = Annotated[list[str], typer.Argument(metavar="NAMES", help="Heads.", show_default=False)]


def register(group: typer.Typer) -> None:
    """Add the commands."""
    _register_remove(group)
    _register_rename(group)
    _register_reorder(group)
    _register_default(group)


def _register_remove(group: typer.Typer) -> None:
    @group.command(help=REMOVE, short_help="Remove heads.")
    def remove(
        model: ModelArgument, names: NamesArgument, output: OutOption, overwrite: OverwriteOption = False
    ) -> None:
        from crossfield.cli.heads_file import open_model, write_model
        from crossfield.heads import remove_heads

        given = open_model(model, output, overwrite=overwrite)
        record = {"operation": "remove", "heads": names}
        write_model(output, remove_heads(given.model, names), given, record)


def _register_rename(group: typer.Typer) -> None:
    @group.command(help=RENAME, short_help="Give a head another name.")
    def rename(
        model: ModelArgument,
        old: Annotated[str, typer.Argument(metavar="OLD", help="Head.", show_default=False)],
        new: Annotated[str, typer.Argument(metavar="NEW", help="Its new name.", show_default=False)],
        output: OutOption,
        overwrite: OverwriteOption = False,
    ) -> None:
        from crossfield.cli.heads_file import open_model, write_model
        from crossfield.heads import rename_head

        given = open_model(model, output, overwrite=overwrite)
        record = {"operation": "rename", "head": old, "to": new}
        renamed = rename_head(given.model, old, new)
        data = {new if name == old else name: what for name, what in given.data.items()}
        write_model(output, renamed, given, record, data=data)


def _register_reorder(group: typer.Typer) -> None:
    @group.command(help=REORDER, short_help="Put the heads in another order.")
    def reorder(
        model: ModelArgument, names: NamesArgument, output: OutOption, overwrite: OverwriteOption = False
    ) -> None:
        from crossfield.cli.heads_file import open_model, write_model
        from crossfield.heads import keep_heads

        given = open_model(model, output, overwrite=overwrite)
        changed = keep_heads(given.model, names)
        if left := [head.name for head in given.model.heads if head.name not in names]:
            raise InputError(
                f"name all heads: {', '.join(left)} would be lost (`crossfield heads remove` removes heads)"
            )
        write_model(output, changed, given, {"operation": "reorder", "heads": names})


def _register_default(group: typer.Typer) -> None:
    @group.command(help=DEFAULT, short_help="Set the head that answers by default.")
    def default(
        model: ModelArgument,
        output: OutOption,
        name: Annotated[str | None, typer.Argument(metavar="NAME", help="Head.", show_default=False)] = None,
        none: Annotated[bool, typer.Option("--none", help="No default: one must be named.")] = False,
        overwrite: OverwriteOption = False,
    ) -> None:
        if none == (name is not None):
            raise InputError("choose one: the name of a head, or --none")

        from crossfield.cli.heads_file import open_model, write_model
        from crossfield.heads import with_default

        given = open_model(model, output, overwrite=overwrite)
        record = {"operation": "default", "head": name}
        write_model(output, with_default(given.model, name), given, record)
