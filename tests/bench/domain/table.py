"""The table of benchmarks in docs/benchmarks.md; `python -m tests.bench.domain.table` writes it anew."""

from __future__ import annotations

from pathlib import Path

from crossfield.bench.domain.benchmark import Metric
from crossfield.bench.domain.catalogue import BENCHMARKS

PAGE = Path(__file__).parents[3] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- table of benchmarks -->", "<!-- end of the table -->"


def table() -> str:
    """As Markdown."""
    lines = [
        "| benchmark | domain | what | reference | scored, [good, bad] | D3 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for b in BENCHMARKS:
        scored = "; ".join(_metric(m) for m in b.metrics if m.good is not None and m.weight > 0)
        named = " Long: runs only if named." if b.opt_in else ""
        lines.append(
            f"| `{b.name}` | {b.domain.replace('_', ' ')} | {b.description}{named} | "
            f"{b.reference.method or '–'} | {scored or 'not scored'} | {'yes' if b.dispersion else 'no'} |"
        )
    return "\n".join(lines)


def _metric(m: Metric) -> str:
    return f"{m.name} [{m.good:g}, {m.bad:g}] {m.unit}".strip()


def shown() -> str:
    """What stands in the page."""
    return PAGE.read_text("utf-8").partition(BEGIN)[2].partition(END)[0].strip()


if __name__ == "__main__":
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", "utf-8")
