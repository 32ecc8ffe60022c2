"""Scores at a glance: key numbers, the radar of domains, and a table of benchmarks for each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import plotly.graph_objects as go

from crossfield.bench.domain.results import BenchmarkResult, DomainResults, MetricResult
from crossfield.report.domain_others import global_table
from crossfield.report.domain_words import (
    amount,
    bar,
    chip,
    coverage,
    domain_title,
    global_words,
    letters,
    thresholds,
)
from crossfield.report.figure import figure
from crossfield.report.palette import look
from crossfield.report.pieces import cards, grid, heading, notes, paragraph
from crossfield.report.table import Cell, number, table

COLUMNS = ("Benchmark", "Score", "Status", "Calculated", "Metrics [good, bad]", "Remarks")
ABOUT = (
    "A metric scores 1 at its good value and beyond, 0 at its bad value and beyond, and linearly between. "
    "A benchmark scores the weighted mean of its metrics, a domain the mean of its benchmarks. What was not "
    "measured has no score and counts nowhere: it is not zero. Choose a benchmark to see what it is made of."
)


def summary(results: DomainResults) -> str:
    """Key numbers, what the reader should know, and domains beside those of other models."""
    found, remark = global_words(results)
    name = results.subject.name + (f", head {results.subject.head}" if results.subject.head else "")
    theory = str(results.subject.theory.get("method") or results.subject.theory.get("name") or "not stated")
    states = [b.status for b in results.benchmarks]
    counted = ", ".join(f"{states.count(s)} {s}" for s in ("partial", "missing", "not run") if s in states)
    return (
        cards(
            [
                ("Global score", found, remark),
                ("Benchmarks", f"{states.count('complete')} of {len(states)} complete", counted),
                ("Level of theory", theory, name),
                ("Measured", results.date[:10], "quick results" if results.quick else "whole sets"),
            ]
        )
        + notes([*_remarks(results)])
        + heading("Domains")
        + grid([radar(results), f"<div>{_domain_table(results)}{global_table(results)}</div>"])
        + heading("Benchmarks")
        + paragraph(ABOUT)
    )


def radar(results: DomainResults) -> str:
    """Scores of domains; a domain without one is a gap, and says so."""
    domains = [d for d in results.domains if d.total]
    known = [d for d in domains if d.score is not None]
    if not known:
        return ""
    labels = [
        domain_title(d.domain).replace(" ", "<br>") + ("" if d.score is not None else "<br>(no score)")
        for d in domains
    ]
    scores = [d.score for d in domains]
    colour, _, symbol = look(0)
    fig = go.Figure(
        go.Scatterpolar(
            r=[*scores, scores[0]],
            theta=[*labels, labels[0]],
            mode="lines+markers",
            connectgaps=False,
            line={"color": colour, "width": 2.5},
            marker={"symbol": symbol, "size": 8},
            fill="toself" if len(known) == len(domains) else None,
            fillcolor=f"rgba({', '.join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))}, .14)",
            hovertemplate="%{theta}: %{r:.2f}<extra></extra>",
        )
    )
    fig.update_layout(
        polar={
            "radialaxis": {"range": [0, 1], "tickvals": [0.25, 0.5, 0.75, 1], "angle": 90, "tickangle": 90}
        },
        margin={"l": 80, "r": 80, "t": 40, "b": 40},
        showlegend=False,
    )
    said = "; ".join(
        f"{domain_title(d.domain)} {'no score' if d.score is None else f'{d.score:.2f}'}" for d in domains
    )
    return figure(
        fig, title="Scores of domains, from 0 (centre) to 1", alt=f"Radar of scores: {said}", height=400
    )


def domain_table(domain: str, benchmarks: Sequence[BenchmarkResult], prefix: str) -> str:
    """The benchmarks of a domain; the name of one opens its panel."""
    title = escape(domain_title(domain))
    scores = [b.score for b in benchmarks if b.score is not None]
    mean = f"score {sum(scores) / len(scores):.2f} from" if scores else "no score:"
    said = f"{mean} {len(scores)} of {len(benchmarks)} benchmark{'s' if len(benchmarks) > 1 else ''}"
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in COLUMNS)
    return (
        f'<div class="table bench-table" role="region" aria-label="{title}" tabindex="0"><table>'
        f"<caption><h4>{title}</h4> {said}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(_row(b, prefix) for b in benchmarks)}</tbody></table></div>"
    )


def panel_id(result: BenchmarkResult, prefix: str) -> str:
    """Of the panel of a benchmark, on the page."""
    return f"{prefix}-{letters(result.name)}"


def _row(result: BenchmarkResult, prefix: str) -> str:
    name = (
        f'<button type="button" class="bench-open" aria-expanded="false" '
        f'aria-controls="{escape(panel_id(result, prefix))}">{escape(result.title)}</button>'
    )
    remarks = [
        f'<span class="chip mismatch">theory differs</span><small>{escape(result.mismatch)}</small>'
        if result.mismatch
        else "",
        f"<small>D3: {escape(result.dispersion)}</small>" if result.dispersion else "",
    ]
    return (
        f'<tr><th scope="row">{name}<small>{escape(result.reference or "no reference needed")}</small></th>'
        f"<td>{bar(result.score)}</td><td>{chip(result)}</td><td>{escape(coverage(result))}</td>"
        f"<td>{_metrics(result.metrics)}</td><td>{''.join(remarks)}</td></tr>"
    )


def _metrics(metrics: Iterable[MetricResult]) -> str:
    """Every metric with its unit and thresholds; those that are not scored stand in the panel."""
    scored = [m for m in metrics if m.good is not None]
    lines = "".join(
        f'<li title="{escape(m.description)}">{escape(m.name)} <b>{amount(m.value)}</b> {escape(m.unit)} '
        f"<small>{thresholds(m)}</small></li>"
        for m in scored or metrics
    )
    return f'<ul class="metrics">{lines}</ul>'


def _domain_table(results: DomainResults) -> str:
    rows: list[list[str | Cell]] = [
        [
            domain_title(d.domain),
            number(d.score, "{:.3f}"),
            number(d.weight, "{:.2f}") if d.weight else Cell("not counted", 0.0, "muted"),
            Cell(
                f"{d.complete + d.partial} of {d.total}" + (f", {d.partial} partial" if d.partial else ""),
                css="" if d.complete == d.total else "warn",
            ),
        ]
        for d in results.domains
        if d.total
    ]
    caption = "Scores of domains, their weights in the global score, and how many benchmarks have a score"
    return table(("Domain", "Score", "Weight", "Scored"), rows, caption=caption)


def _remarks(results: DomainResults) -> Iterable[tuple[str, str]]:
    if results.quick:
        yield (
            "warn",
            "Quick results: only a small part of every set was calculated. They tell whether something is "
            "broken, and are not to be compared with published numbers.",
        )
    if all(b.status in ("missing", "not run") for b in results.benchmarks):
        yield "bad", "No benchmark has results yet; the tables say why."
    differing = [b for b in results.benchmarks if b.mismatch]
    if differing:
        yield (
            "warn",
            f"In {len(differing)} of {len(results.benchmarks)} benchmarks the reference is of another "
            "functional than the model: part of the difference is not the model's error.",
        )
    troubled = sum(len(b.problems) for b in results.benchmarks)
    if troubled:
        yield (
            "warn",
            f"{troubled} parts could not be read or calculated. Every benchmark lists its own, with reasons.",
        )
