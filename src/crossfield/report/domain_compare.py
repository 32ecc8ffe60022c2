"""Several results side by side: scores of domains and benchmarks, and the main metric of each benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from crossfield.bench.domain.results import BenchmarkResult, MetricResult
from crossfield.report.domain_radar import Named, radar
from crossfield.report.domain_words import amount, coverage, domain_title, extent, global_extent, has_score
from crossfield.report.pieces import heading, notes, paragraph
from crossfield.report.section import Section
from crossfield.report.table import Cell, number, table

ABOUT = (
    "Scores, and the metric with the largest weight of each benchmark. *: not of all calculations of the "
    "benchmark; hover it for how many. The tabs of each result tell more."
)


def compare_section(found: Sequence[Named]) -> Section:
    """The tab that comes before those of each."""
    quick = [each.name for each in found if each.results.quick]
    html = notes(
        [("warn", f"Quick, and so of a small part of every set only: {'; '.join(quick)}.")]
        if quick and len(quick) < len(found)
        else []
    )
    html += paragraph(ABOUT) + radar(found) + heading("Domains") + domain_scores_table(found)
    return Section("compare", "Compare", html + heading("Benchmarks") + _benchmarks(found))


def domain_scores_table(found: Sequence[Named]) -> str:
    """Global score and those of domains, a column for each of the results; of one, what it is from."""
    stars = len(found) > 1
    rows: list[list[str | Cell]] = [_row("Global", Cell(""), [_global(each, stars) for each in found])]
    weights = {d.domain: d.weight for each in found for d in each.results.domains}
    for domain, weight in weights.items():
        cells = [_domain(each, domain, stars) for each in found]
        if any(cell.hint for cell in cells):
            counts = f"{weight:.2f}" if weight else "not counted"
            rows.append(_row(domain_title(domain), Cell(counts, weight, "" if weight else "muted"), cells))
    if not stars:
        return table(("Domain", "Weight", "Score", "Mean"), rows, caption=f"Scores of {_whose(found[0])}")
    columns = ("Domain", "Weight", *(each.name for each in found))
    caption = "Scores of domains; *: not of all that there is to calculate (hover it for what it is from)"
    return table(columns, rows, caption=caption)


def _row(title: str, weight: Cell, scores: list[Cell]) -> list[str | Cell]:
    """Scores side by side; of one, what it is from stands beside it and not behind it."""
    if len(scores) > 1:
        return [title, weight, *scores]
    return [title, weight, replace(scores[0], hint=""), Cell(scores[0].hint)]


def _whose(each: Named) -> str:
    subject, extent = each.results.subject, "quick results" if each.results.quick else "whole sets"
    return f"{f'head {subject.head}' if subject.head else subject.name}, {extent}"


def tab_link(found: Sequence[Named]) -> str:
    """To where the scores come from."""
    place, text = (
        ("compare", "All benchmarks, compared") if len(found) > 1 else ("benchmarks", "All benchmarks")
    )
    return f'<p><a href="#{place}">{text}</a></p>'


def _global(each: Named, stars: bool) -> Cell:
    own = global_extent(each.results)
    said = own.words(quick=each.results.quick)
    return _score(each.results.global_score, said, own.complete == own.total or not stars)


def _domain(each: Named, domain: str, stars: bool) -> Cell:
    own = extent(b for b in each.results.benchmarks if b.domain == domain)
    said = own.words(quick=each.results.quick) if own.total else ""
    return _score(each.score(domain), said, own.complete == own.total or not stars)


def _score(score: float | None, said: str, whole: bool) -> Cell:
    """A score; starred where it is not of all that it could be of."""
    return number(score, "{:.3f}" if whole else "{:.3f} *", hint=said)


def _benchmarks(found: Sequence[Named]) -> str:
    """A row for each benchmark that one of the results has numbers of."""
    titles = {b.name: b for each in found for b in each.results.benchmarks}
    rows: list[list[str | Cell]] = []
    for name, known in titles.items():
        own = [each.results.benchmark(name) for each in found]
        main = next(
            (metric for b in own if b and (metric := _main(b)) is not None and metric.value is not None), None
        )
        if main is None:
            continue
        scores = [_benchmark_score(b) for b in own]
        values = [_value(b, main.name) for b in own]
        unit = f", {main.unit}" if main.unit else ""
        rows.append([known.title, domain_title(known.domain), *scores, f"{main.name}{unit}", *values])
    names = [each.name for each in found]
    columns = ("Benchmark", "Domain", *(f"score of {name}" for name in names), "Metric", *names)
    return table(columns, rows, caption="Benchmarks that have been measured")


def _main(result: BenchmarkResult) -> MetricResult | None:
    """The metric with the largest weight; where none is scored, the first."""
    scored = [m for m in result.metrics if m.good is not None and m.weight > 0]
    return max(scored, key=lambda m: m.weight, default=next(iter(result.metrics), None))


def _benchmark_score(result: BenchmarkResult | None) -> Cell:
    if result is None or result.score is None:
        never = result is not None and not has_score(result)
        return Cell(
            "not scored" if never else "–", float("inf"), "muted", hint=result.reason if result else ""
        )
    return _score(result.score, _calculated(result), result.status == "complete")


def _value(result: BenchmarkResult | None, metric: str) -> Cell:
    value = next((m.value for m in result.metrics if m.name == metric), None) if result else None
    return number(value, amount(value), hint=_calculated(result) if result else "")


def _calculated(result: BenchmarkResult) -> str:
    return coverage(result) if result.total or result.problems else ""
