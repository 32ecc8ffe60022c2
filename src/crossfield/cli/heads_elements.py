"""`crossfield heads elements`."""

from __future__ import annotations

from typing import Annotated

import typer

from crossfield.cli.heads_file import OutOption, OverwriteOption
from crossfield.cli.options import ModelArgument
from crossfield.errors import InputError

HELP = """Add elements to a model, or keep only some.

A new element starts with the weights of the known one that is most like it:
of its group in the periodic table, nearest period. No head has a reference
energy for it yet. Elements are joined by commas.

[bold]Examples[/bold]
  crossfield heads elements m.safetensors --add Pd,Pt -o new.safetensors
  crossfield heads elements mace-mh-1 --only H,C,N,O -o small.safetensors
"""


def register(group: typer.Typer) -> None:
    """Add the command."""

    @group.command(help=HELP, short_help="Add elements, or keep only some.")
    def elements(
        model: ModelArgument,
        output: OutOption,
        add: Annotated[
            str | None,
            typer.Option("--add", metavar="ELEMENTS", help="Elements to add.", show_default=False),
        ] = None,
        only: Annotated[
            str | None,
            typer.Option("--only", metavar="ELEMENTS", help="Elements to keep.", show_default=False),
        ] = None,
        overwrite: OverwriteOption = False,
    ) -> None:
        if (add is None) == (only is None):
            raise InputError("choose one: --add ELEMENTS or --only ELEMENTS")
        option, text = ("--add", add) if add is not None else ("--only", only or "")
        numbers = _numbers(text or "", option)

        from ase.data import chemical_symbols

        from crossfield.cli.heads_file import open_model, write_model
        from crossfield.heads import add_elements, only_elements

        given = open_model(model, output, overwrite=overwrite)
        if option == "--add":
            changed, origin = add_elements(given.model, numbers)
            starts = {chemical_symbols[z]: chemical_symbols[known] for z, known in origin.items()}
            write_model(output, changed, given, {"operation": "add elements", "from": starts})
            for new, known in starts.items():
                typer.echo(f"{new} starts with the weights of {known}")
        else:
            symbols = [chemical_symbols[z] for z in sorted(numbers)]
            record = {"operation": "only elements", "elements": symbols}
            write_model(output, only_elements(given.model, numbers), given, record)


def _numbers(text: str, option: str) -> list[int]:
    from ase.data import atomic_numbers

    numbers = []
    for symbol in (part.strip() for part in text.split(",")):
        if atomic_numbers.get(symbol, 0) < 1:
            raise InputError(f"{option} {text}: {symbol!r} is not an element")
        numbers.append(atomic_numbers[symbol])
    return numbers
