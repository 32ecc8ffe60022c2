"""`crossfield heads add`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from crossfield.cli.heads_file import OutOption, OverwriteOption
from crossfield.cli.options import ModelArgument
from crossfield.errors import InputError

if TYPE_CHECKING:
    from crossfield.model import Model
    from crossfield.theory import Head, Theory

HELP = """Add a head for another level of theory.

It starts as a copy of another head (--from; reference energies, scale and
shift, too), or as reference energy and pair repulsion alone (--zero, which
needs --E0). THEORY is a known one, or that of another head of the model.

[bold]Examples[/bold]
  crossfield heads add in.model x --theory pbe_gpaw --from a -o x.safetensors
  crossfield heads add in.model x --theory pbe_gpaw --zero --E0 E0.yaml -o ...
"""


def register(group: typer.Typer) -> None:
    """Add the command."""

    @group.command(help=HELP, short_help="Add a head.")
    def add(
        model: ModelArgument,
        name: Annotated[str, typer.Argument(metavar="NAME", help="The new head.", show_default=False)],
        output: OutOption,
        theory: Annotated[
            str, typer.Option("--theory", metavar="THEORY", help="Its level of theory.", show_default=False)
        ],
        start: Annotated[
            str | None, typer.Option("--from", metavar="HEAD", help="Head to copy.", show_default=False)
        ] = None,
        zero: Annotated[bool, typer.Option("--zero", help="Start without a network energy.")] = False,
        energies: Annotated[
            str | None,
            typer.Option(
                "--E0",
                metavar="E0",
                help="Reference energies, eV: a YAML file, or H=-13.6,... ; of HEAD if left out.",
                show_default=False,
            ),
        ] = None,
        overwrite: OverwriteOption = False,
    ) -> None:
        if zero == (start is not None):
            raise InputError("choose one: --from HEAD, to start as a copy of it, or --zero")
        if zero and energies is None:
            raise InputError("--zero needs --E0: there is no head to take reference energies from")

        from crossfield.cli.heads_energies import read_energies
        from crossfield.cli.heads_file import open_model, write_model
        from crossfield.heads import add_head

        E0 = None if energies is None else read_energies(energies)
        given = open_model(model, output, overwrite=overwrite)
        head = _head(given.model, name, theory, start, E0)
        record = {"operation": "add", "head": name, "theory": head.theory.name, "from": start}
        write_model(output, add_head(given.model, head, start=start), given, record)


def _head(model: Model, name: str, theory: str, start: str | None, E0: dict[int, float] | None) -> Head:
    from crossfield.heads import renamed
    from crossfield.theory import Head, head_index

    found = _theory(model, theory)
    if start is None:
        return renamed(Head(name="new", theory=found, E0=E0 or {}), name)
    other = model.heads[head_index(model.heads, start)]
    changes = {"theory": found} if E0 is None else {"theory": found, "E0": E0}
    return renamed(other.model_copy(update=changes), name)


def _theory(model: Model, name: str) -> Theory:
    """That of a head, which may be described nowhere else, or a known one."""
    from crossfield.theory import get_theory

    own = {head.theory.name: head.theory for head in model.heads}
    return own[name] if name in own else get_theory(name)
