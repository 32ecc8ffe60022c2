"""`crossfield report`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from crossfield.cli.outputs import check_output
from crossfield.errors import InputError

HELP = """Write a page about a training run or a model.

One HTML file that needs nothing else and no network: curves of training,
errors, parity, what was forgotten, reference energies, elements, benchmarks,
the model card. A run need not have ended; with --serve the page follows it,
on this computer only, until Ctrl-C.

[bold]Examples[/bold]
  crossfield report runs/first
  crossfield report runs/first -o first.html --no-open
  crossfield report runs/first --serve
  crossfield report mace-mh-1 --bench mh1.json -o mh1.html
"""


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help=HELP, short_help="Write a page about a run or a model.")
    def report(
        subject: Annotated[
            str,
            typer.Argument(
                metavar="RUN_OR_MODEL",
                help="Folder of a run, a model as in `info`, or a file of `bench domain`.",
                show_default=False,
            ),
        ],
        output: Annotated[
            Path | None,
            typer.Option(
                "--output",
                "-o",
                metavar="FILE.html",
                help="Page to write; report.html in the folder of the run, or NAME.html, if left out.",
                show_default=False,
            ),
        ] = None,
        results: Annotated[
            list[Path] | None,
            typer.Option(
                "--bench",
                metavar="FILE.json",
                help="Results of `bench domain` to show, too. May be repeated.",
                show_default=False,
            ),
        ] = None,
        serve: Annotated[
            bool, typer.Option("--serve", help="Show it in the browser and follow the run; writes no file.")
        ] = False,
        port: Annotated[
            int, typer.Option("--port", min=0, max=65535, help="With --serve; 0: any that is free.")
        ] = 0,
        host: Annotated[
            str,
            typer.Option("--host", help="With --serve; another address lets other computers read along."),
        ] = "127.0.0.1",
        browse: Annotated[
            bool | None,
            typer.Option(
                "--open/--no-open",
                help="Open the page in the browser; without either, only with --serve on a terminal.",
                show_default=False,
            ),
        ] = None,
    ) -> None:
        if serve and output is not None:
            raise InputError("--serve writes no file: leave out --output")
        if not serve and (port != 0 or host != "127.0.0.1"):
            raise InputError("--port and --host go with --serve")
        if serve:
            _serve(subject, results or [], host, port, browse)
        else:
            _write(subject, results or [], output, browse)


def _write(text: str, results: list[Path], output: Path | None, browse: bool | None) -> None:
    target, subject = output or _target(text), Path(text)

    from crossfield.train.folder import RunFolder

    run = RunFolder(subject if subject.is_dir() else subject.parent)
    check_output(target, [subject, *results, *run.files, *run.replayed])

    from crossfield.files import replacing
    from crossfield.report.build import build_report, find_subject
    from crossfield.report.page import render

    page = render(build_report(find_subject(text, results)))
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as temporary:
        temporary.write_text(page, "utf-8")
    typer.echo(f"{target}")
    if browse:
        typer.launch(target.resolve().as_uri())


def _target(subject: str) -> Path:
    """In the folder of a run; else here."""
    path = Path(subject)
    return path / "report.html" if path.is_dir() else Path(f"{path.stem if path.suffix else path.name}.html")


def _serve(text: str, results: list[Path], host: str, port: int, browse: bool | None) -> None:
    from crossfield.report.build import build_report, find_subject
    from crossfield.report.serve import LOCAL, ReportServer

    subject = find_subject(text, results)
    build_report(subject)  # what is wrong is said here, and not in the browser
    with ReportServer(lambda: build_report(subject, live=True), lambda: subject.stamp, host, port) as server:
        typer.echo(f"{server.url}  (Ctrl-C ends it)")
        if host not in LOCAL:
            typer.echo("warning: whoever reaches this address can read the report", err=True)
        if browse or (browse is None and sys.stdout.isatty()):
            typer.launch(server.url)
        server.serve_forever()
