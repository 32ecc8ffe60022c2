"""A Markdown table of results of `crossfield bench domain`, a column for each model.

python benchmarks/domain_table.py chgnet.json sevennet.json > table.md
"""

from __future__ import annotations

import sys
from pathlib import Path

from crossfield.bench.domain.results import MEASURED, BenchmarkResult, DomainResults, read_results


def table(columns: list[DomainResults]) -> str:
    """Benchmarks that were measured with at least one of the models: scores, metrics, coverage."""
    lines = [
        "| benchmark | " + " | ".join(_title(r) for r in columns) + " |",
        "| --- |" + " --- |" * len(columns),
    ]
    for benchmark in columns[0].benchmarks:
        found = [r.benchmark(benchmark.name) for r in columns]
        if any(b is not None and b.status in MEASURED for b in found):
            lines.append(f"| {benchmark.title} | " + " | ".join(_cell(b) for b in found) + " |")
    return "\n".join(lines)


def _title(results: DomainResults) -> str:
    subject = results.subject
    name = subject.name.partition(":")[2].partition(" ")[0] or Path(subject.name).name
    return f"{name}{f', head {subject.head}' if subject.head else ''}{' (quick)' if results.quick else ''}"


def _cell(b: BenchmarkResult | None) -> str:
    if b is None or b.status not in MEASURED:
        return "–"
    shown = [m for m in b.metrics if m.good is not None] or b.metrics[:1]
    values = ", ".join(f"{m.name} {m.value:.4g} {m.unit}".strip() for m in shown if m.value is not None)
    score = "not scored" if b.score is None else f"score {b.score:.3f}"
    added = f"; {b.dispersion.partition(',')[0]}" if b.dispersion.startswith("D3") else ""
    part = "" if b.done == b.total else f"; {b.done} of {b.total}"
    return f"{values} ({score}{part}{added})"


if __name__ == "__main__":
    print(table([read_results(Path(name)) for name in sys.argv[1:]]))
