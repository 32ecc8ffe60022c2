"""`crossfield heads list`, and the table that the other commands about heads end with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from crossfield.cli.options import ModelArgument

if TYPE_CHECKING:
    from rich.table import Table

    from crossfield.model import Model
    from crossfield.theory import Head

HELP = """List the heads of a model, with the level of theory of each.

Elements are those that a head has reference energies for. Scale and shift
are in eV.

[bold]Examples[/bold]
  crossfield heads list best.safetensors
  crossfield heads list mace-mh-1
"""


def register(group: typer.Typer) -> None:
    """Add the command."""

    @group.command(name="list", help=HELP, short_help="The heads there are.")
    def list_heads(model: ModelArgument) -> None:
        from crossfield.zoo import checkpoint
        from crossfield.zoo.fetch import local_model

        show_heads(checkpoint.load(local_model(model)))


def show_heads(model: Model) -> None:
    """Print a table of the heads, and a line where the dispersion in their labels differs."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    console.print(_table(model))
    if line := dispersion_line(model.heads):
        console.print(line, soft_wrap=True)


def _table(model: Model) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from crossfield.theory import dispersion_of

    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    for name in ("head", "theory", "method", "dispersion"):
        table.add_column(name, overflow="fold")
    for name in ("elements", "scale", "shift"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("default", no_wrap=True)
    for head in model.heads:
        theory = head.theory
        texts = (head.name, theory.name, theory.method, dispersion_of(theory))
        table.add_row(
            *map(Text, texts),  # else brackets in a name would be taken for markup
            str(len(head.E0)),
            f"{head.scale:.4g}",
            f"{head.shift:.4g}",
            "yes" if head.name == model.default_head else "",
        )
    return table


def dispersion_line(heads: Sequence[Head]) -> str | None:
    """What follows where labels of some heads contain dispersion and those of others do not; else None."""
    from crossfield.theory import dispersion_differs, dispersion_of
    from crossfield.theory.dispersion import UNKNOWN

    known = [head for head in heads if dispersion_of(head.theory) != UNKNOWN]
    if not any(dispersion_differs(known[0].theory, head.theory) for head in known):
        return None
    groups: dict[str, list[str]] = {}
    for head in known:
        groups.setdefault(dispersion_of(head.theory), []).append(head.name)
    parts = "; ".join(f"{what} in {', '.join(names)}" for what, names in groups.items())
    return (
        f"labels contain different dispersion ({parts}): energies of these heads differ by it, and a "
        "correction such as D3 may be added to heads with none only"
    )
