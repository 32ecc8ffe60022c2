"""`crossfield init`: a first configuration."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crossfield.cli.group import add_group
from crossfield.cli.outputs import check_output
from crossfield.errors import InputError
from crossfield.messages import say

if TYPE_CHECKING:
    from crossfield.train.starter import Request, Starter

HELP = """Write a first configuration, after a look at the data.

It is short, says why each value is what it is, and `crossfield train` runs
it as it stands.
"""

FINETUNE = """Write a configuration that teaches a model a new level of theory.

It finds the names of labels, isolated atoms, charges and spins, elements that
the base does not know, and how to split and how long to train; it says what
it found, and what is odd about it. What the base can do is replayed, so that
it is not forgotten.

[bold]Examples[/bold]
  crossfield init finetune --base mace-mh-1 --data my.xyz --method PBE-D3
  crossfield init finetune --base a.safetensors --data x.xyz --data y.xyz.gz
  crossfield init finetune --base b.model --data x.xyz --theory wb97x_631gs
"""

SCRATCH = """Write a configuration that trains a model from random weights.

Names of labels, charges and spins that the model must read, how to split and
how long to train follow from the data.

[bold]Examples[/bold]
  crossfield init scratch --data my.xyz --method PBE-D3
  crossfield init scratch --data my.xyz --isolated-atoms a.xyz -o new.yaml
"""

DataOption = Annotated[
    list[Path],
    typer.Option(
        "--data", metavar="FILE", help="Extended XYZ, gzipped or not. May be repeated.", show_default=False
    ),
]
TheoryOption = Annotated[
    str | None,
    typer.Option("--theory", help="Its name; as the frames state it if left out.", show_default=False),
]
MethodOption = Annotated[
    str | None,
    typer.Option("--method", help="What a theory of your own is, as PBE-D3(BJ).", show_default=False),
]
NewHeadOption = Annotated[
    str | None,
    typer.Option("--head", help="Name of the head; of the first file if left out.", show_default=False),
]
AtomsOption = Annotated[
    Path | None,
    typer.Option("--isolated-atoms", metavar="FILE", help="Isolated atoms, for E0.", show_default=False),
]
FileOption = Annotated[Path, typer.Option("-o", metavar="FILE", help="Configuration to write.")]
FolderOption = Annotated[
    Path | None,
    typer.Option("--output", help="Folder of the run; runs/HEAD if left out.", show_default=False),
]
BadOption = Annotated[bool, typer.Option("--skip-bad", help="Leave out frames that cannot be used.")]
ReplaceOption = Annotated[bool, typer.Option("--overwrite", help="Replace the configuration.")]


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = add_group(app, "init", help=HELP, short="Write a first configuration for your data.")

    @group.command(help=FINETUNE, short_help="For a new level of theory in a model.")
    def finetune(
        base: Annotated[
            str,
            typer.Option(
                "--base", metavar="MODEL", help="Model to start from: file or published.", show_default=False
            ),
        ],
        data: DataOption,
        theory: TheoryOption = None,
        method: MethodOption = None,
        head: NewHeadOption = None,
        isolated_atoms: AtomsOption = None,
        file: FileOption = Path("config.yaml"),
        output: FolderOption = None,
        skip_bad: BadOption = False,
        accept_licence: Annotated[
            bool, typer.Option("--accept-licence", help="Accept the licence of the base.")
        ] = False,
        overwrite: ReplaceOption = False,
    ) -> None:
        from crossfield.train.starter import Request

        asked = Request(
            data=tuple(data),
            file=file,
            base=base,
            theory=theory,
            method=method,
            head=head,
            isolated_atoms=isolated_atoms,
            output=output,
            skip_bad=skip_bad,
            accept_licence=accept_licence,
        )
        _write(asked, overwrite=overwrite)

    @group.command(help=SCRATCH, short_help="For a model of your own.")
    def scratch(
        data: DataOption,
        theory: TheoryOption = None,
        method: MethodOption = None,
        head: NewHeadOption = None,
        isolated_atoms: AtomsOption = None,
        file: FileOption = Path("config.yaml"),
        output: FolderOption = None,
        skip_bad: BadOption = False,
        overwrite: ReplaceOption = False,
    ) -> None:
        from crossfield.train.starter import Request

        asked = Request(
            data=tuple(data),
            file=file,
            theory=theory,
            method=method,
            head=head,
            isolated_atoms=isolated_atoms,
            output=output,
            skip_bad=skip_bad,
        )
        _write(asked, overwrite=overwrite)


def _write(request: Request, *, overwrite: bool) -> None:
    """Look, show, write."""
    from crossfield.train.starter import starter

    file = request.file
    given = [*request.data, *([request.isolated_atoms] if request.isolated_atoms else [])]
    check_output(file, [*given, *([Path(request.base)] if request.base else [])])
    if file.exists() and not overwrite:
        raise InputError("exists already; --overwrite replaces it, -o names another", file=file)
    found = starter(request)
    found.write(file)
    _show(found, file)


def _show(found: Starter, file: Path) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, markup=False, soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for what, text in found.facts:
        table.add_row(Text(what), Text(text))
    console.print(table, soft_wrap=False)
    for warning in found.warnings:
        say(f"warning: {warning}")
    console.print(f"{file} is written; next:\n  crossfield train {shlex.quote(str(file))}")
