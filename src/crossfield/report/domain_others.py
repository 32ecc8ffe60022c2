"""Published numbers of other models, beside those of the model at hand."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from crossfield.bench.domain.published import PublishedResult, published_results
from crossfield.bench.domain.results import BenchmarkResult, DomainResults
from crossfield.report.domain_words import amount, global_words, not_comparable
from crossfield.report.pieces import details, paragraph
from crossfield.report.table import Cell, number, table

FOLDED = 8  # rows, and more, are folded away
THIS = "this model"
MISSING = float("inf")  # what is missing comes last in any order
CAPTION = "This model, and what others have published"


def global_table(results: DomainResults) -> str:
    """The global score beside those that others have published, the best first.

    What is no whole result has no place among them: it stands below, and says why.
    """
    others = published_results().get("global", ())
    if not others:
        return ""
    said, _ = global_words(results)
    doubt = not_comparable(results)
    score = -MISSING if results.global_score is None or doubt else results.global_score
    marks = _marks(others)
    name = Cell(f"{THIS} (not comparable: {doubt})" if doubt else THIS, css="own")
    ranked: list[tuple[float, list[str | Cell]]] = [(score, [name, Cell(said, abs(score)), "–"])]
    for o in others:
        ranked.append((o.value, [o.model, number(o.value, "{:.3f}"), marks[_words(o)]]))
    rows = [row for _, row in sorted(ranked, key=lambda pair: -pair[0])]
    return table(("Model", "Global score", "Source"), rows, caption=CAPTION) + _sources(others)


def metric_table(result: BenchmarkResult) -> str:
    """Metrics of a benchmark beside those that others have published, with what differs from here."""
    others = published_results().get(result.name, ())
    if not others:
        return paragraph("No numbers of other models are known for this benchmark.")
    marks = _marks(others)
    rows: list[list[str | Cell]] = []
    for name in dict.fromkeys(o.metric for o in others):
        rows += [
            [m.name, Cell(THIS, css="own"), number(m.value, amount(m.value)), m.unit, "–"]
            for m in result.metrics
            if m.name == name
        ]
        for o in sorted((o for o in others if o.metric == name), key=lambda o: o.value):
            rows.append([o.metric, o.model, number(o.value, amount(o.value)), o.unit, marks[_words(o)]])
    html = table(("Metric", "Model", "Value", "Unit", "Source"), rows, caption=CAPTION) + _sources(others)
    return html if len(rows) <= FOLDED else details(f"Numbers of other models ({len(others)})", html)


def _marks(others: Sequence[PublishedResult]) -> dict[tuple[str, str], str]:
    """Numbers of the notes on sources and conditions."""
    return {words: str(n) for n, words in enumerate(dict.fromkeys(map(_words, others)), start=1)}


def _words(other: PublishedResult) -> tuple[str, str]:
    """Source and conditions."""
    differs = f" Differs from here: {other.differs}." if other.differs else ""
    return f"{other.origin.cite}, {other.origin.place}", f"{other.conditions}.{differs}"


def _sources(others: Sequence[PublishedResult]) -> str:
    urls = {_words(o): o.origin.url for o in others}
    lines = "".join(
        f'<li><a href="{escape(url)}" rel="noreferrer">{escape(source)}</a>: {escape(conditions)}</li>'
        for (source, conditions), url in urls.items()
    )
    return f'<ol class="sources">{lines}</ol>'
