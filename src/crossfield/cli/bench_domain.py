"""`crossfield bench domain`: any model over crystals, molecules, surfaces, reactions and plain physics."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossfield.cli.bench_domain_show import progress_bar, scores, show, show_benchmarks
from crossfield.cli.options import HeadOption
from crossfield.errors import InputError
from crossfield.messages import say

if TYPE_CHECKING:
    from crossfield.bench.domain.subject import Subject

HELP = """Errors and scores of a model over all domains, as in the MACE-MH-1 paper.

MODEL is a checkpoint, a .model of mace-torch, a published model, or any ASE
calculator as MODULE:NAME, which is called with what --argument says. Published
sets are downloaded once; --data reads local copies. Every finished calculation
is kept by the fingerprint of the model: a run that was interrupted, or asks
for more, does only the rest. What is missing shows as missing, not as zero.

[bold]Examples[/bold]
  crossfield bench domain --list
  crossfield bench domain mace-mh-1 --head omat_pbe
  crossfield bench domain best.safetensors --head molecules --only molecules --quick
  crossfield bench domain best.safetensors --head surfaces --only s24,slab_oxygen --data sets/
  crossfield bench domain chgnet.model.dynamics:CHGNetCalculator --argument use_device=cpu --theory PBE
"""


def register_domain(group: typer.Typer) -> None:
    """Add the command to its group."""

    @group.command(help=HELP, short_help="Errors and scores over all domains.")
    def domain(
        model: Annotated[
            str | None, typer.Argument(metavar="MODEL", help="The model.", show_default=False)
        ] = None,
        head: HeadOption = None,
        only: Annotated[
            list[str] | None,
            typer.Option(
                "--only",
                metavar="NAMES",
                help="Benchmarks or domains, with commas, or given several times; those that are long run "
                "only if named.",
                show_default=False,
            ),
        ] = None,
        quick: Annotated[
            bool, typer.Option("--quick", help="A small part of every set: minutes with a small model.")
        ] = False,
        data: Annotated[
            Path | None,
            typer.Option(
                "--data",
                metavar="DIR",
                help="Local copies of the sets: archives as published, or unpacked.",
                show_default=False,
            ),
        ] = None,
        offline: Annotated[bool, typer.Option("--offline", help="Download nothing.")] = False,
        workers: Annotated[
            int | None,
            typer.Option(
                "--workers",
                "-j",
                min=1,
                help="Processes, of one thread each; one per core, or one on a GPU, if left out.",
                show_default=False,
            ),
        ] = None,
        dtype: Annotated[
            str | None,
            typer.Option(
                "--dtype",
                help="float64, if left out, or float32; MODULE:NAME has its own.",
                show_default=False,
            ),
        ] = None,
        device: Annotated[
            str | None,
            typer.Option(
                "--device",
                help="auto, if left out, cpu or cuda; MODULE:NAME chooses its own.",
                show_default=False,
            ),
        ] = None,
        argument: Annotated[
            list[str] | None,
            typer.Option(
                "--argument",
                metavar="NAME=VALUE",
                help="What MODULE:NAME is called with; VALUE is JSON, or else text.",
                show_default=False,
            ),
        ] = None,
        theory: Annotated[
            str | None,
            typer.Option(
                "--theory",
                help="Level of theory or functional that MODULE:NAME stands for: tells which references are "
                "of another one, and whether D3 is added.",
                show_default=False,
            ),
        ] = None,
        reads: Annotated[
            str,
            typer.Option("--reads", help='What MODULE:NAME reads of atoms.info: "charge,spin".'),
        ] = "",
        timeout: Annotated[
            float, typer.Option("--timeout", min=0.0, help="Seconds for one calculation; 0: any time.")
        ] = 3600.0,
        retry: Annotated[
            bool, typer.Option("--retry", help="Do calculations again that failed before.")
        ] = False,
        output: Annotated[
            Path | None,
            typer.Option(
                "--output",
                "-o",
                metavar="FILE.json",
                help="A copy of the results, for `crossfield report`.",
                show_default=False,
            ),
        ] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Scores as JSON.")] = False,
        show_list: Annotated[bool, typer.Option("--list", help="Show all benchmarks, and stop.")] = False,
    ) -> None:
        from crossfield.bench.domain.catalogue import BENCHMARKS, choose
        from crossfield.cli.outputs import check_output

        if show_list:
            show_benchmarks(BENCHMARKS)
            return
        if model is None:
            raise InputError("MODEL is missing (see crossfield bench domain --help)")
        if output is not None:
            check_output(output, [])
        names = [name.strip() for text in only or () for name in text.split(",") if name.strip()]
        if only is not None and not names:
            raise InputError("--only names no benchmark (`crossfield bench domain --list` shows all)")
        asked = choose(names)

        from crossfield.bench.domain.results import write_results
        from crossfield.bench.domain.run import run
        from crossfield.bench.domain.sources import Sources
        from crossfield.bench.domain.store import folder_of, results_file

        signal.signal(
            signal.SIGTERM, signal.default_int_handler
        )  # as Ctrl-C: nothing is lost, or left behind
        sources = Sources(data, online=not offline)
        subject = _subject(model, head, dtype, device, argument or [], theory, reads)
        if (doubt := subject.doubt) is not None:
            say(doubt)
        with progress_bar() as tell:
            results = run(
                subject,
                asked,
                BENCHMARKS,
                sources,
                quick=quick,
                workers=workers or _workers(device),
                limit=timeout or None,
                retry=retry,
                progress=tell,
            )
        if output is not None:
            output.parent.mkdir(parents=True, exist_ok=True)
            write_results(results, output)
        if as_json:
            typer.echo(json.dumps(scores(results), indent=1))
        else:
            show(results, [b.name for b in asked], output or results_file(folder_of(subject), quick=quick))
            page = model if subject.head is not None else output
            if page is not None:
                typer.echo(f"a page about it: crossfield report {page}")
        if all(b.status == "missing" for b in results.benchmarks if b.name in {a.name for a in asked}):
            raise InputError("nothing of what was asked for could be measured; the reasons are above")


def _workers(device: str | None) -> int:
    import torch

    if device == "cuda" or (device in (None, "auto") and torch.cuda.is_available()):
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _subject(
    model: str,
    head: str | None,
    dtype: str | None,
    device: str | None,
    arguments: Sequence[str],
    theory: str | None,
    reads: str,
) -> Subject:
    """A model file or name; or, with a colon and no such file, a calculator."""
    from crossfield.bench.domain.subject import calculator_subject, head_subject

    module, colon, name = model.partition(":")
    if colon and _dotted(module) and _dotted(name) and not Path(model).exists():
        for stated, option in ((head, "--head"), (dtype, "--dtype"), (device, "--device")):
            if stated is not None:
                raise InputError(f"{option} goes with a model; {model} is a calculator (see --argument)")
        read = frozenset(part.strip() for part in reads.split(",") if part.strip())
        if unknown := sorted(read - {"charge", "spin"}):
            raise InputError(f"--reads {unknown[0]}: write charge, spin or charge,spin")
        if (here := os.getcwd()) not in sys.path:  # behind all else: a module that is installed comes first
            sys.path.append(here)
        return calculator_subject(model, _arguments(arguments), theory=theory, reads=read)
    for given, option in ((arguments, "--argument"), (theory, "--theory"), (reads, "--reads")):
        if given:
            raise InputError(f"{option} goes with a calculator MODULE:NAME; a model says that itself")
    return head_subject(model, head, dtype=dtype or "float64", device=device or "auto")


def _dotted(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


def _arguments(pairs: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.isidentifier():
            raise InputError(f"--argument {pair}: write NAME=VALUE")
        if name in found:
            raise InputError(f"--argument {name} is given twice")
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found
