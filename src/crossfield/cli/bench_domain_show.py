"""What `crossfield bench domain` shows: progress, the list of benchmarks, scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossfield.messages import counting_bar, say

if TYPE_CHECKING:
    from crossfield.bench.domain.benchmark import Benchmark
    from crossfield.bench.domain.results import BenchmarkResult, DomainResults
    from crossfield.bench.domain.run import Progress


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """One bar over all benchmarks on a terminal; elsewhere a line for each that has something to do."""
    bar = counting_bar()
    console = bar.console
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


def show_benchmarks(benchmarks: Sequence[Benchmark]) -> None:
    """All benchmarks, by domain, with their references and sets."""
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


def scores(results: DomainResults) -> dict[str, Any]:
    """Scores without the entries that they come from."""
    values = results.model_dump(
        mode="json", exclude={"benchmarks": {"__all__": {"entries", "curves", "structures"}}}
    )
    return dict(values)


def show(results: DomainResults, asked: Sequence[str], file: Path) -> None:
    """Scores and metrics of what was asked for, and how many others there are."""
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

    from crossfield.bench.domain.dispersion import NOT_ADDED

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
        remarks.append("another functional or dispersion than the reference")
    if b.dispersion.startswith(NOT_ADDED):
        remarks.append(escape(f"D3: {b.dispersion}"))
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
