"""`crossfield demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossfield.cli.outputs import check_folder

HELP = """One model from four theories: trained, evaluated, used.

Trains on four small data sets of real labels, shows the errors on systems
kept aside, relaxes a crystal and runs molecular dynamics. About six minutes
on two cores. Ctrl-C leaves the weights found so far.

[bold]Examples[/bold]
  crossfield demo
  crossfield demo --out /tmp/demo --minutes 2
"""


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help=HELP, short_help="The whole story on real data, in minutes.")
    def demo(
        out: Annotated[Path, typer.Option("--out", help="Folder to write to.")] = Path("crossfield-demo"),
        minutes: Annotated[float, typer.Option("--minutes", min=0.01, help="Time for training.")] = 4.5,
        overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier demo.")] = False,
    ) -> None:
        check_folder(out)
        from rich.console import Console

        from crossfield.demo.demo import run_demo

        if run_demo(out, minutes, Console(), overwrite=overwrite).interrupted:
            raise typer.Exit(130)
