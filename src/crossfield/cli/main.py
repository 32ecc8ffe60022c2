"""The `crossfield` command."""

from __future__ import annotations

import sys
from typing import Annotated, NoReturn

import typer

from crossfield import __version__
from crossfield.cli import (
    bench,
    convert,
    demo,
    evaluate,
    heads,
    info,
    init,
    models,
    predict,
    replay,
    report,
    train,
)
from crossfield.errors import InputError

BAD_INPUT = 2
INTERRUPTED = 130

# The base of all mistakes on a command line. Typer gives it no public name, and takes it from click or not,
# depending on its version.
UsageError: type[typer.BadParameter] = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name="crossfield",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with [bold]crossfield demo[/bold]: four theories, one model, six minutes.",
)
for command in (init, train, report, evaluate, predict, info, models, convert, heads, bench, demo, replay):
    command.register(app)


def _version(show: bool) -> None:
    if show:
        typer.echo(f"crossfield {__version__}")
        raise typer.Exit


@app.callback(
    invoke_without_command=True,
    help="One interatomic potential across levels of theory: train, evaluate, use.",
)
def _options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(BAD_INPUT)


def main() -> NoReturn:
    """Run the command; whatever is wrong with its input is one line on standard error and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        # a file name may hold bytes that are no text
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # TextIO has none, files do
    try:
        sys.exit(app(prog_name="crossfield", standalone_mode=False))
    except InputError as error:
        _fail(str(error))
    except UsageError as error:
        command = error.ctx.command_path if error.ctx else "crossfield"
        _fail(f"{error.format_message().rstrip('.')} (see {command} --help)")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{error.strerror or error}")
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(INTERRUPTED)


def _fail(message: str) -> NoReturn:
    from rich.console import Console

    line = " ".join(message.split())
    Console(stderr=True, soft_wrap=True).print(f"error: {line}", markup=False, highlight=False, style="red")
    sys.exit(BAD_INPUT)


if __name__ == "__main__":
    main()
