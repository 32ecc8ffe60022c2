"""`crossfield models`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossfield.errors import InputError

if TYPE_CHECKING:
    from crossfield.zoo.published import Published

HELP = """List published models that can be used by name, or show one of them.

Every command that takes a model takes these names too, and downloads what is
not there yet. --download does so ahead of time, for computers without a
network. Models are kept in ~/.cache/crossfield, or in $CROSSFIELD_CACHE.

[bold]Examples[/bold]
  crossfield models
  crossfield models mace-mh-1
  crossfield models mace-mh-1 --download --accept-licence
  crossfield models --json | jq 'keys'
"""


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help=HELP, short_help="Published models: what there is, and download.")
    def models(
        name: Annotated[
            str | None, typer.Argument(metavar="NAME", help="Model to show.", show_default=False)
        ] = None,
        download: Annotated[
            bool, typer.Option("--download", help="Download it, to be used without a network.")
        ] = False,
        accept_licence: Annotated[
            bool, typer.Option("--accept-licence", help="Accept the licence it is under.")
        ] = False,
        as_json: Annotated[bool, typer.Option("--json", help="All that is known, as JSON.")] = False,
    ) -> None:
        if download and name is None:
            raise InputError("--download needs the name of a model (`crossfield models` lists them)")
        if accept_licence and not download:
            raise InputError("--accept-licence goes with --download")

        from crossfield.zoo.fetch import local_model
        from crossfield.zoo.published import get_published, published

        chosen = published() if name is None else {name: get_published(name)}
        if name is not None and download:
            local_model(name, accept_licence=accept_licence)
        if as_json:
            facts = {key: _facts(model) for key, model in chosen.items()}
            typer.echo(json.dumps(facts if name is None else facts[name], indent=1, ensure_ascii=False))
        elif name is None:
            _list(list(chosen.values()))
        else:
            _show(chosen[name])


def _facts(model: Published) -> dict[str, Any]:
    from crossfield.zoo.fetch import cached

    path = cached(model)
    return {**model.model_dump(mode="json"), "cached": None if path is None else str(path)}


def _list(models: list[Published]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from crossfield.zoo.fetch import cached

    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    table.add_column("model", overflow="fold", min_width=max(len(model.name) for model in models))
    table.add_column("theories", overflow="fold")
    table.add_column("elements", justify="right", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("licence", no_wrap=True)
    table.add_column("cached", no_wrap=True)
    for model in models:
        table.add_row(
            Text.assemble((model.name, "bold"), f"\n{model.description}"),
            "\n".join(dict.fromkeys(model.heads.values())),
            str(len(model.elements)),
            _size(model),
            model.licence,
            "no" if cached(model) is None else "yes",
            end_section=True,
        )
    Console(highlight=False).print(table)


def _size(model: Published) -> str:
    """Number of parameters, else bytes of the file."""
    if model.parameters is not None:
        return f"{model.parameters / 1e6:.1f} M"
    return "?" if model.size is None else f"{model.size / 1e6:.0f} MB"


def _show(model: Published) -> None:
    from rich.console import Console

    from crossfield.theory import dispersion_of

    console = Console(soft_wrap=True, highlight=False, markup=False)
    console.print(model.name, style="bold")
    for what, text in _prose(model):
        console.print(_line(what, text))
    for what, text in _file(model):
        console.print(f"  {what:<12}{text}")  # to be copied, so never broken
    for head, theory in model.theories().items():
        console.print(f"\nhead {head}{' (default)' if head == model.default_head else ''}", style="bold")
        console.print(_line("theory", theory.name))
        console.print(_line("method", " / ".join(part for part in (theory.method, theory.basis) if part)))
        console.print(_line("dispersion", dispersion_of(theory)))


def _prose(model: Published) -> Iterator[tuple[str, str]]:
    from ase.data import chemical_symbols

    from crossfield.zoo.published import LICENCES

    licence = LICENCES[model.licence]
    yield "what it is", model.description
    if model.notes:
        yield "notes", model.notes
    yield "elements", " ".join(chemical_symbols[z] for z in model.elements)
    if model.parameters is not None:
        yield "parameters", f"about {model.parameters:,}"
    yield "licence", f"{licence.title} ({model.licence}), {licence.url}"
    yield "", licence.terms
    yield "reference", model.reference


def _file(model: Published) -> Iterator[tuple[str, str]]:
    from crossfield.zoo.fetch import cached

    path = cached(model)
    yield "URL", model.url
    if model.size is not None:
        yield "size", f"{model.size:,} bytes"
    yield "SHA-256", model.sha256 or "not published; that of the first download is remembered"
    yield "cached", "no" if path is None else f"{path}"


def _line(what: str, text: str) -> str:
    """Within 80 columns."""
    return fill(
        f"  {what:<12}{text}",
        width=79,
        subsequent_indent=" " * 14,
        break_long_words=False,
        break_on_hyphens=False,
    )
