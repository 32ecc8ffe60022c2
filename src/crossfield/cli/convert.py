"""`crossfield convert`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from crossfield.cli.outputs import check_output
from crossfield.errors import InputError

HELP = """Convert a model of mace-torch, without running anything in its file.

FILE is a .model file, a state dict, or a checkpoint of a training run (.pt).
Neither mace-torch nor e3nn is needed. Wherever a command takes a model it
takes a .model file too; converting it first is for keeping the result.
What a state dict does not say is given with --set.

[bold]Examples[/bold]
  crossfield convert mace.model model.safetensors
  crossfield convert mace.model model.safetensors --theory Default=omat_pbe
  crossfield convert run.pt m.safetensors --set cutoff_on=basis ...
"""


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help=HELP, short_help="Convert a model of mace-torch.")
    def convert(
        file: Annotated[Path, typer.Argument(metavar="FILE", help="File of mace-torch.", show_default=False)],
        out: Annotated[Path, typer.Argument(metavar="OUT", help="Checkpoint to write.", show_default=False)],
        theory: Annotated[
            list[str] | None,
            typer.Option(
                "--theory",
                metavar="HEAD=THEORY",
                help="Known theory of a head. May be repeated.",
                show_default=False,
            ),
        ] = None,
        default_head: Annotated[
            str | None,
            typer.Option("--default-head", help="Head that answers if none is asked.", show_default=False),
        ] = None,
        setting: Annotated[
            list[str] | None,
            typer.Option(
                "--set",
                metavar="KEY=VALUE",
                help="What a state dict does not say. May be repeated.",
                show_default=False,
            ),
        ] = None,
    ) -> None:
        from crossfield.cli.info import show
        from crossfield.zoo.convert import convert as run

        check_output(out, [file])
        out.parent.mkdir(parents=True, exist_ok=True)
        run(
            file,
            out,
            facts=_facts(setting or []),
            theories=dict(_pair(text, "--theory") for text in theory or []),
            default_head=default_head,
        )
        show(out, str(out))


def _pair(text: str, option: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise InputError(f"{option} {text}: expected KEY=VALUE")
    return key, value


def _facts(settings: Sequence[str]) -> dict[str, object]:
    """Settings with their values read as YAML."""
    import yaml

    facts: dict[str, object] = {}
    for text in settings:
        key, value = _pair(text, "--set")
        if key in facts:
            raise InputError(f"--set {key} is given twice")
        try:
            facts[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InputError(f"--set {text}: the value cannot be read") from error
    return facts
