"""`crossfield bench domain`: any model over crystals, molecules, surfaces, reactions and plain physics."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossfield.cli.options import HeadOption
from crossfield.errors import InputError
from crossfield.messages import say

if TYPE_CHECKING:
    from crossfield.bench.domain.benchmark import Benchmark
    from crossfield.bench.domain.results import BenchmarkResult, DomainResults
    from crossfield.bench.domain.run import Progress
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
        dtype: Annotated[str, typer.Option("--dtype", help="float64 or float32.")] = "float64",
        device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
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
            _show_list(BENCHMARKS)
            return
        if model is None:
            raise InputError("MODEL is missing (see crossfield bench domain --help)")
        if output is not None:
            check_output(output, [])
        asked = choose([name.strip() for text in only or () for name in text.split(",") if name.strip()])

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
        with _bar() as tell:
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
            typer.echo(json.dumps(_scores(results), indent=1))
        else:
            _show(results, [b.name for b in asked], output or results_file(folder_of(subject), quick=quick))
            page = model if subject.head is not None else output
            if page is not None:
                typer.echo(f"a page about it: crossfield report {page}")
        if all(b.status == "missing" for b in results.benchmarks if b.name in {a.name for a in asked}):
            raise InputError("nothing of what was asked for could be measured; the reasons are above")


def _workers(device: str) -> int:
    import torch

    if device == "cuda" or (device == "auto" and torch.cuda.is_available()):
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _subject(
    model: str,
    head: str | None,
    dtype: str,
    device: str,
    arguments: Sequence[str],
    theory: str | None,
    reads: str,
) -> Subject:
    """A model file or name; or, with a colon and no such file, a calculator."""
    from crossfield.bench.domain.subject import calculator_subject, head_subject

    module, colon, name = model.partition(":")
    if colon and name.isidentifier() and module.replace(".", "_").isidentifier() and not Path(model).exists():
        if head is not None:
            raise InputError(f"--head goes with a model; {model} is a calculator")
        read = frozenset(part.strip() for part in reads.split(",") if part.strip())
        if unknown := sorted(read - {"charge", "spin"}):
            raise InputError(f"--reads {unknown[0]}: write charge, spin or charge,spin")
        return calculator_subject(model, _arguments(arguments), theory=theory, reads=read)
    for given, option in ((arguments, "--argument"), (theory, "--theory"), (reads, "--reads")):
        if given:
            raise InputError(f"{option} goes with a calculator MODULE:NAME; a model says that itself")
    return head_subject(model, head, dtype=dtype, device=device)


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


@contextmanager
def _bar() -> Iterator[Progress]:
    """One bar over all benchmarks on a terminal; elsewhere a line for each that has something to do."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        auto_refresh=False,
        transient=True,
        disable=not console.is_terminal,
    )
    task = bar.add_task("reading the sets", total=0)
    states: dict[str, tuple[int, int]] = {}

    def tell(name: str, done: int, total: int) -> None:
        if name not in states and done < total and not console.is_terminal:
            console.print(f"{name}: {total - done} of {total} calculations to do", highlight=False)
        begun = name in states
        states[name] = (done, total)
        ended, in_all = (sum(numbers) for numbers in zip(*states.values()))
        what = name if begun else "preparing"
        bar.update(task, description=what, completed=ended, total=in_all, refresh=True)

    try:
        with bar:
            yield tell
    except KeyboardInterrupt:
        say("interrupted: what was calculated is kept, and the same command does the rest")
        raise


def _show_list(benchmarks: Sequence[Benchmark]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("benchmark", no_wrap=True)
    for column in ("what", "reference", "set"):
        table.add_column(column, overflow="fold")
    domain = ""
    for b in benchmarks:
        if b.domain != domain:
            domain = b.domain
            table.add_row(f"[bold]{domain}[/bold]")
        title = b.title + (" (long: only if named)" if b.opt_in else "")
        table.add_row(f"  {b.name}", title, b.reference.method or "–", " ".join(b.sources) or "–")
    console.print(table)


def _scores(results: DomainResults) -> dict[str, Any]:
    """Scores without the entries that they come from."""
    values = results.model_dump(
        mode="json", exclude={"benchmarks": {"__all__": {"entries", "curves", "structures"}}}
    )
    return dict(values)


def _show(results: DomainResults, asked: Sequence[str], file: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("benchmark", no_wrap=True)
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("done", justify="right", no_wrap=True)
    table.add_column("found", overflow="fold")
    for domain in results.domains:
        own = [b for b in results.benchmarks if b.domain == domain.domain and b.name in asked]
        if own:
            name = domain.domain.replace("_", " ")
            table.add_row(f"[bold]{name}[/bold]", f"[bold]{_three(domain.score)}[/bold]")
        for b in own:
            done = f"{b.done}/{b.total}" if b.total else ""
            table.add_row(f"  {b.name}", _three(b.score), done, _found(b))
    console.print(table)
    console.print(_global(results))
    others = [b for b in results.benchmarks if b.name not in asked]
    if earlier := sum(b.status != "not run" for b in others):
        console.print(f"{earlier} further results are of earlier runs, and count in scores")
    if not_run := sum(b.status == "not run" for b in others):
        console.print(f"{not_run} benchmarks have not been run (crossfield bench domain --list)")
    console.print(f"results: {file}", soft_wrap=True, markup=False)


def _three(score: float | None) -> str:
    return "–" if score is None else f"{score:.3f}"


def _found(b: BenchmarkResult) -> str:
    """Metrics, and what they do not cover."""
    from rich.markup import escape

    if b.status == "missing":
        return f"[yellow]missing[/yellow]: {escape(b.reason)}"
    shown = [m for m in b.metrics if m.good is not None] or list(b.metrics[:2])
    lines = [f"{m.name} {'–' if m.value is None else f'{m.value:.4g}'} {m.unit}".strip() for m in shown]
    counts: dict[str, int] = {}
    for problem in b.problems:
        counts[problem.kind] = counts.get(problem.kind, 0) + 1
    remarks = [f"{count} {_KINDS.get(kind, kind)}" for kind, count in counts.items()]
    broken = next((p for p in b.problems if p.kind in ("failed", "died", "input")), None)
    if broken is not None:
        remarks.append(escape(f"first {broken.name}: {broken.reason[:80]}"))
    if b.reason:
        remarks.append(escape(b.reason))
    if b.mismatch:
        remarks.append("another functional than the reference")
    if remarks:
        lines.append(f"[dim]{', '.join(remarks)}[/dim]")
    return "\n".join(lines)


_KINDS = {"input": "missing or malformed in the set"}


def _global(results: DomainResults) -> str:
    counted = [d for d in results.domains if d.weight > 0]
    complete, total = sum(d.complete for d in counted), sum(d.total for d in counted)
    scored = complete + sum(d.partial for d in counted)
    extent = f"from {scored} of {total} benchmarks, {complete} of them complete"
    extent += " in their quick part" if results.quick else ""
    if results.global_score is not None:
        return f"global score {results.global_score:.3f}, {extent}"
    missing = [d.domain.replace("_", " ") for d in counted if d.score is None]
    text = f"no global score: {', '.join(missing)} missing"
    if results.covered_score is not None:
        text += f"; {results.covered_score:.3f} over {results.covered_weight:.2f} of the weight, {extent}"
    return text
