"""`crossfield info`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossfield.cli.options import ModelArgument
from crossfield.errors import InputError

if TYPE_CHECKING:
    from crossfield.theory import Head

HELP = """Show what a model is.

Its size, elements, heads with their theories, and how it was trained.

[bold]Examples[/bold]
  crossfield info best.safetensors
  crossfield info best.safetensors --json | jq .heads
  crossfield info mace-mh-1 --card > model-card.md
"""


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help=HELP, short_help="Show what a model is.")
    def info(
        model: ModelArgument,
        as_json: Annotated[bool, typer.Option("--json", help="All metadata as JSON.")] = False,
        card: Annotated[bool, typer.Option("--card", help="The model card, as Markdown.")] = False,
    ) -> None:
        from crossfield.zoo.fetch import local_model

        if as_json and card:
            raise InputError("--json and --card are two ways to show a model: choose one")
        if card:
            from crossfield.train.card import card_of
            from crossfield.zoo.card_markdown import markdown

            path = local_model(model)
            typer.echo(markdown(card_of(path, name=None if path == Path(model) else model)), nl=False)
        elif as_json:
            from crossfield.zoo import checkpoint

            typer.echo(json.dumps(checkpoint.read_metadata(local_model(model)), indent=1))
        else:
            show(local_model(model), model)


def show(path: Path, name: str) -> None:
    """Print what a model is.

    Args:
        path: a checkpoint of our own format.
        name: what the user calls it.
    """
    from rich.console import Console

    from crossfield.zoo import checkpoint

    model, metadata = checkpoint.load(path), checkpoint.read_metadata(path)
    config = model.config
    console = Console(soft_wrap=True, highlight=False, markup=False)
    console.print(f"{name}", style="bold")
    console.print(f"{model.num_parameters:,} parameters, {str(model.dtype).removeprefix('torch.')}")
    console.print(
        f"{config.layers} layers ({', '.join(config.blocks)}), {config.channels} channels, "
        f"L <= {config.max_L}, l <= {config.l_max}, "
        f"correlation {'/'.join(map(str, config.correlations))}, cutoff {config.cutoff:g} Å"
        + (f", reads {' and '.join(config.inputs)}" if config.inputs else "")
    )
    console.print(f"elements: {_symbols(config.elements)}")
    console.print(f"back end: {back_end()}")
    provenance = metadata.get("provenance", {})
    for head in model.heads:
        default = " (default)" if head.name == model.default_head else ""
        console.print(f"\nhead {head.name}{default}", style="bold")
        for what, text in _head_lines(head, provenance):
            console.print(f"  {what:<12}{text}")
    console.print()
    if len(model.heads) > 1 and model.default_head is None:
        console.print("no default head: name one with --head, or head= in Python")
    if imported := provenance.get("imported"):
        console.print(f"imported from {imported['file']} ({imported['kind']})")
    for key in ("step", "epoch", "score"):
        value = provenance.get(key)
        if value is not None:
            console.print(f"{key}: {value:.4g}" if isinstance(value, float) else f"{key}: {value}")
    versions = ", ".join(f"{name} {number}" for name, number in metadata.get("versions", {}).items())
    console.print(f"written {metadata.get('written', 'at an unknown time')} with {versions}")


def back_end() -> str:
    """What computes where nothing else is asked for, on this machine."""
    import torch

    from crossfield.kernels.backend import DESCRIPTIONS, choose

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    backend = choose("auto", device)
    threads = f", {torch.get_num_threads()} threads" if device.type == "cpu" else ""
    return f"{backend} ({DESCRIPTIONS[backend]}) on {device}{threads}"


def _head_lines(head: Head, provenance: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    from crossfield.theory import dispersion_of

    theory = head.theory
    yield "theory", theory.name
    if theory.method or theory.basis:
        yield "method", " / ".join(part for part in (theory.method, theory.basis) if part)
    yield "dispersion", dispersion_of(theory)
    yield "charge", f"{theory.charge}; spin {theory.spin}"
    for what in ("data", "notes"):
        if text := getattr(theory, what):
            yield what, text
    yield "E0 for", _symbols(head.E0)
    yield "scale", f"{head.scale:.4g} eV, shift {head.shift:.4g} eV"
    data = provenance.get("data")
    frames = data.get(head.name, {}).get("frames") if isinstance(data, dict) else None
    if frames:
        yield "frames", ", ".join(f"{count} {split}" for split, count in frames.items())


def _symbols(numbers: Iterable[int]) -> str:
    from crossfield.theory import symbols

    return " ".join(symbols(numbers))
