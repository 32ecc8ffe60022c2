"""Scores at a glance: key numbers, the radar of domains, and a table of benchmarks for each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from crossfield.bench.domain.results import BenchmarkResult, DomainResults, MetricResult
from crossfield.report.domain_others import global_table
from crossfield.report.domain_radar import Named, radar
from crossfield.report.domain_words import (
    amount,
    bar,
    chip,
    coverage,
    domain_title,
    extent,
    global_words,
    has_score,
    letters,
    thresholds,
)
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
    unscored = sum(not has_score(b) for b in results.benchmarks)
    own = extent(results.benchmarks)
    others = [f"{states.count(s)} {s}" for s in ("missing", "not run") if s in states]
    others += [f"{unscored} shown and never scored"] if unscored else []
    return (
        cards(
            [
                ("Global score", found, remark),
                (
                    "Benchmarks with a score",
                    f"{own.scored} of {own.total}",
                    ", ".join([f"{own.complete} of them complete", *others]),
                ),
                ("Level of theory", theory, name),
                ("Measured", results.date[:10], "quick results" if results.quick else "whole sets"),
            ]
        )
        + notes([*_remarks(results)])
        + heading("Domains")
        + grid([radar([Named("", results)]), f"<div>{_domain_table(results)}{global_table(results)}</div>"])
        + heading("Benchmarks")
        + paragraph(ABOUT)
    )


def domain_table(domain: str, benchmarks: Sequence[BenchmarkResult], prefix: str, *, quick: bool) -> str:
    """The benchmarks of a domain; the name of one opens its panel."""
    title = escape(domain_title(domain))
    scores = [b.score for b in benchmarks if b.score is not None]
    mean = f"score {sum(scores) / len(scores):.2f}" if scores else "no score"
    own = extent(benchmarks)
    said = f"{mean} {own.words(quick=quick)}" if own.total else "shown, and never scored"
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in COLUMNS)
    return (
        f'<div class="table bench-table" role="region" aria-label="{title}" tabindex="0"><table>'
        f"<caption><h4>{title}</h4> {said}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(_row(b, prefix, quick) for b in benchmarks)}</tbody></table></div>"
    )


def panel_id(result: BenchmarkResult, prefix: str) -> str:
    """Of the panel of a benchmark, on the page."""
    return f"{prefix}-{letters(result.name)}"


def _row(result: BenchmarkResult, prefix: str, quick: bool) -> str:
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
        f"<td>{bar(result)}</td><td>{chip(result, quick=quick)}</td><td>{escape(coverage(result))}</td>"
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
            Cell(own.words(quick=results.quick), css="" if own.complete == own.total else "warn"),
        ]
        for d in results.domains
        if (own := extent(b for b in results.benchmarks if b.domain == d.domain)).total
    ]
    caption = "Scores of domains, their weights in the global score, and what they are the means of"
    return table(("Domain", "Score", "Weight", "Mean"), rows, caption=caption)


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
