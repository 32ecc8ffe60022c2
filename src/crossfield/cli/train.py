"""`crossfield train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossfield.cli.outputs import check_folder
from crossfield.errors import InputError

FORGOT = 3  # exit code where a head of the base has got worse than its tolerance; 1 is that of a crash

HELP = """Train a model with one head per level of theory.

The configuration is YAML; any key in it can be set on the command line.
The output folder then holds best.safetensors (the model), model-card.md,
log.jsonl, errors.json, predictions.safetensors, splits.json and the full
configuration; `crossfield report` shows them. With `base:` it starts from a
model, keeps its heads alive by replay, and forgetting.json says what they
could before and can now: exit code 3 if one got worse than
forgetting.tolerance. Ctrl-C stops after the current step and leaves a usable
last.safetensors; --resume goes on.

[bold]Examples[/bold]
  crossfield train config.yaml
  crossfield train config.yaml training.epochs=50 output=runs/second
  crossfield train config.yaml heads.molecules.weight=2
  crossfield train config.yaml --resume
"""


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help=HELP, short_help="Train a model from a YAML configuration.")
    def train(
        config: Annotated[
            Path, typer.Argument(metavar="CONFIG", help="Configuration (YAML).", show_default=False)
        ],
        overrides: Annotated[
            list[str] | None,
            typer.Argument(
                metavar="KEY=VALUE", help="Settings that replace those in the file.", show_default=False
            ),
        ] = None,
        resume: Annotated[
            bool, typer.Option("--resume", help="Go on with the run in the output folder.")
        ] = False,
        overwrite: Annotated[
            bool, typer.Option("--overwrite", help="Replace the run in the output folder.")
        ] = False,
    ) -> None:
        if resume and overwrite:
            raise InputError("--resume goes on with a run and --overwrite replaces it: choose one")

        from crossfield.train import load_config
        from crossfield.train import train as run

        try:
            settings = load_config(config, overrides or [])
        except RecursionError as error:
            raise InputError("nested far too deeply", file=config) from error
        check_folder(settings.folder)
        result = run(settings, resume=resume, overwrite=overwrite)
        if result.interrupted:
            raise typer.Exit(130)
        typer.echo(f"a page about it: crossfield report {settings.folder}")
        if result.forgot and settings.forgetting.fail:
            raise typer.Exit(FORGOT)
