"""Where the time of the benchmarks went."""

from __future__ import annotations

from html import escape

import plotly.graph_objects as go

from crossfield.bench.domain.results import BenchmarkResult, DomainResults
from crossfield.report.domain_words import coverage, domain_title
from crossfield.report.figure import figure
from crossfield.report.palette import look
from crossfield.report.pieces import cards, paragraph
from crossfield.report.table import Cell, number, table

ROW = 24  # pixels of a bar
ENOUGH = 20  # calculations; the mean of fewer is that of a start
ABOUT = (
    "Seconds are those of all calculations, added up over the processes that did them, whenever they did, "
    "including the start of each process: the first calculation of each waits for the model to be loaded and "
    "compiled. A rerun that finds a calculation done does not count it again. What each takes is told from "
    f"{ENOUGH} calculations on."
)


def timing(results: DomainResults) -> str:
    """Seconds per benchmark and calculation, and on what they were measured."""
    timed = [b for b in results.benchmarks if b.seconds > 0]
    total = sum(b.seconds for b in timed)
    items = sum(b.done for b in timed)
    versions = ", ".join(f"{name} {version}" for name, version in results.subject.versions.items())
    html = cards(
        [
            ("Calculations", f"{items:,}", f"{'the quick part' if results.quick else 'whole sets'}"),
            ("Time in all", _time(total), "added up over processes"),
            ("Processes", str(results.workers), results.machine),
            ("Precision", results.subject.dtype or "not known", versions),
        ]
    )
    if not timed:
        return html + paragraph("Nothing was calculated yet.")
    return html + paragraph(ABOUT) + _bars(timed) + _table(timed)


def _bars(timed: list[BenchmarkResult]) -> str:
    ordered = sorted(timed, key=lambda b: b.seconds)
    fig = go.Figure(
        go.Bar(
            x=[b.seconds for b in ordered],
            y=[escape(b.title, quote=False) for b in ordered],
            orientation="h",
            marker={"color": look(0).colour},
            hovertemplate="%{y}: %{x:,.1f} s<extra></extra>",
        )
    )
    fig.update_layout(
        xaxis={"title": "time, s", "rangemode": "tozero"},
        yaxis={"automargin": True, "ticks": "", "ticklabelstandoff": 5},
        margin={"l": 10, "r": 14, "t": 10, "b": 44},
    )
    longest = ordered[-1]
    return figure(
        fig,
        title="Time of each benchmark",
        alt=f"Bars of the time of {len(ordered)} benchmarks; {longest.title} took longest, "
        f"{_time(longest.seconds)}",
        height=90 + ROW * len(ordered),
    )


def _table(timed: list[BenchmarkResult]) -> str:
    rows: list[list[str | Cell]] = [
        [
            b.title,
            domain_title(b.domain),
            number(b.seconds, "{:,.1f}"),
            number(b.done, "{:,d}"),
            number(b.seconds / b.done if b.done >= ENOUGH else None, "{:.3g}"),
            coverage(b),
        ]
        for b in timed
    ]
    head = ("Benchmark", "Domain", "Time, s", "Calculations", "Each, s", "Calculated")
    return table(head, rows, caption="Time of benchmarks")


def _time(seconds: float) -> str:
    """As 12.3 s, 4.5 min or 6.7 h."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
